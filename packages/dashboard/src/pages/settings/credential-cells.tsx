// Cells that tables of keys and of service accounts share.
import { Moment, Tag } from '../../elements/figures.tsx';
import { day } from '../../format/time.ts';

export function Scopes({ scopes }: { scopes: string[] }) {
  const shown = scopes.slice(0, scopes.length > 2 ? 1 : 2);
  return (
    <span className="inline-flex gap-1" title={scopes.join(', ')}>
      {shown.map((scope) => (
        <Tag key={scope}>{scope}</Tag>
      ))}
      {scopes.length > shown.length && (
        <span className="text-xs text-ink-3">and {scopes.length - shown.length} more</span>
      )}
    </span>
  );
}

/** Whoever is reminded by an alert sees here which one it is. */
const SOON_MS = 14 * 86_400_000;

export function Expiry({ expiresAt, now }: { expiresAt: string | null; now: number }) {
  if (expiresAt === null) return <span className="text-ink-3">never</span>;
  const leftMs = Date.parse(expiresAt) - now;
  if (leftMs <= 0) return <span className="text-error">expired {day(expiresAt)}</span>;
  return (
    <span className={leftMs <= SOON_MS ? 'text-warn' : ''}>
      {leftMs <= SOON_MS && 'soon: '}
      {day(expiresAt)}
    </span>
  );
}

export function LastUsed({ at }: { at: string | null }) {
  return at === null ? <span className="text-ink-3">never</span> : <Moment iso={at} />;
}
