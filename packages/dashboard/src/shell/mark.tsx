// The mark of LumaTrace: three bars of a trace.

export function Mark({ size = 20 }: { size?: number }) {
  return (
    <svg width={size} height={size} viewBox="0 0 24 24" aria-hidden className="shrink-0">
      <rect width="24" height="24" rx="5" fill="var(--accent)" />
      <path d="M5 8h9M8 12h11M11 16h5" stroke="var(--on-accent)" strokeWidth="2.4" strokeLinecap="round" fill="none" />
    </svg>
  );
}
