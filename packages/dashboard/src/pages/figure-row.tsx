// A row of a few large figures above a page's charts.
import type { ReactNode } from 'react';
import { Skeleton } from '../elements/skeleton.tsx';

export function Figures({ loading, children }: { loading: boolean; children: ReactNode }) {
  return (
    <dl
      aria-busy={loading}
      className="grid grid-cols-2 gap-px overflow-hidden rounded-md border bg-line md:grid-cols-4"
    >
      {children}
    </dl>
  );
}

interface FigureProps {
  name: string;
  tone?: 'warn' | 'error' | undefined;
  note?: ReactNode;
  children: ReactNode;
}

export function Figure({ name, tone, note, children }: FigureProps) {
  const colour = tone === 'warn' ? 'text-warn' : tone === 'error' ? 'text-error' : 'text-ink';
  return (
    <div className="bg-surface px-4 py-3">
      <dt className="text-xs text-ink-3">{name}</dt>
      <dd className={`mt-0.5 text-lg font-semibold tabular-nums ${colour}`}>
        {children === undefined || children === null ? <Skeleton className="my-1 h-4 w-20" /> : children}
      </dd>
      {note && <dd className="mt-0.5 text-xs text-ink-3">{note}</dd>}
    </div>
  );
}
