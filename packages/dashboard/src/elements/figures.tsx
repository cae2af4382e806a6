// Single values inside text and cells: money, moments, durations, states. The exact figure is always on hover.
import { CircleAlert, CircleCheck, CircleDashed } from 'lucide-react';
import { useSyncExternalStore } from 'react';
import type { Status } from '../api/telemetry.ts';
import { exactMoney, money } from '../format/money.ts';
import { compact, count } from '../format/number.ts';
import { ago, duration, exactMoment } from '../format/time.ts';

/** US dollars; null is said as a word, with what is known so far on hover. */
export function Money({ usd, priced }: { usd: string | null; priced?: string | undefined }) {
  if (usd !== null) return <span title={`${exactMoney(usd)} exactly`}>{money(usd)}</span>;
  const known = priced !== undefined && priced !== '0' ? ` The priced part: ${exactMoney(priced)}.` : '';
  return (
    <span className="text-warn" title={`No price is known for a model that was used.${known}`}>
      unpriced
    </span>
  );
}

const TICK_MS = 5_000;
let now = Date.now();
const listeners = new Set<() => void>();
let ticking: number | undefined;

function subscribe(listener: () => void): () => void {
  listeners.add(listener);
  ticking ??= window.setInterval(() => {
    now = Date.now();
    for (const each of listeners) each();
  }, TICK_MS);
  return () => {
    listeners.delete(listener);
    if (listeners.size > 0) return;
    window.clearInterval(ticking);
    ticking = undefined;
  };
}

/** The present, renewed every five seconds by one clock for the whole page. */
export function useNow(): number {
  return useSyncExternalStore(subscribe, () => now);
}

export function Moment({ iso }: { iso: string }) {
  const present = useNow();
  return (
    <time dateTime={iso} title={exactMoment(iso)}>
      {ago(iso, present)}
    </time>
  );
}

export function Duration({ ms }: { ms: number | null | undefined }) {
  if (ms === null || ms === undefined) return <span className="text-ink-3">unknown</span>;
  return <span title={`${ms} ms`}>{duration(ms)}</span>;
}

export function Count({ value, noun }: { value: number; noun: string }) {
  return <span title={`${count(value)} ${noun}`}>{compact(value)}</span>;
}

const STATES = {
  ok: [CircleCheck, 'text-ok', 'ok'],
  error: [CircleAlert, 'text-error', 'error'],
  unset: [CircleDashed, 'text-ink-3', 'unset'],
} as const;

export function StatusMark({ status, words = true }: { status: Status; words?: boolean }) {
  const [Icon, colour, word] = STATES[status];
  return (
    <span className={`inline-flex items-center gap-1 ${colour}`} title={`status: ${word}`}>
      <Icon size={14} aria-hidden />
      {words ? word : <span className="sr-only">{word}</span>}
    </span>
  );
}

export function Tag({ children }: { children: string }) {
  return (
    <span className="inline-flex max-w-48 items-center truncate rounded-sm border bg-sunken px-1.5 text-xs text-ink-2">
      {children}
    </span>
  );
}
