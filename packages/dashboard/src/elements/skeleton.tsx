// The shape of what is coming. Appears only after 150 ms; says once, to those who hear the page, that it loads.

export function Skeleton({ className = '' }: { className?: string }) {
  return <div aria-hidden className={`appear-late rounded-sm bg-sunken ${className}`} />;
}

/** Rows of a list. */
export function SkeletonRows({ rows = 12, rowHeight = 32 }: { rows?: number; rowHeight?: number }) {
  return (
    <div role="status" aria-label="Loading">
      {Array.from({ length: rows }, (_, index) => (
        <div key={index} className="flex items-center gap-4 border-b px-4" style={{ height: rowHeight }}>
          <Skeleton className="h-3 w-24" />
          <Skeleton className="h-3 flex-1" />
          <Skeleton className="h-3 w-16" />
          <Skeleton className="h-3 w-12" />
        </div>
      ))}
    </div>
  );
}

export function SkeletonBlock({ height }: { height: number }) {
  return (
    <div role="status" aria-label="Loading" style={{ height }}>
      <Skeleton className="h-full w-full" />
    </div>
  );
}
