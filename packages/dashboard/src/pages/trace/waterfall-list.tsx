// Tree and waterfall in one virtual list: only rows in sight are drawn, so 10,000 spans scroll like ten.
import { ChevronRight, CircleAlert } from 'lucide-react';
import { memo, useEffect, useMemo, useRef } from 'react';
import { Count, Duration, Money } from '../../elements/figures.tsx';
import { useNarrow } from '../../elements/use-narrow.ts';
import { ROW_PX, useRows } from '../../elements/use-rows.ts';
import { duration } from '../../format/time.ts';
import { axisTicks, type Row, type Stretch, type Waterfall } from '../../waterfall/rows.ts';
import { KINDS, KindIcon } from './kinds.tsx';

const INDENT_PX = 14;
const WIDE = 'minmax(180px, 6fr) minmax(70px, 2fr) 44px 84px 60px minmax(140px, 6fr)';
const NARROW = 'minmax(140px, 5fr) 60px minmax(90px, 4fr)';

interface WaterfallListProps {
  waterfall: Waterfall;
  visible: number[];
  folded: ReadonlySet<string>;
  chosen: number;
  onChoose(at: number): void;
  onFold(at: number, closed: boolean): void;
}

export function WaterfallList({ waterfall, visible, folded, chosen, onChoose, onFold }: WaterfallListProps) {
  const scroller = useRef<HTMLDivElement>(null);
  const narrow = useNarrow();
  const list = useRows(visible.length, scroller);
  const ticks = useMemo(() => axisTicks(waterfall.lengthMs, narrow ? 2 : 5), [waterfall.lengthMs, narrow]);
  const shown = visible.indexOf(chosen);
  useEffect(() => {
    if (shown >= 0) list.scrollToIndex(shown, { align: 'auto' });
  }, [shown, list]);
  const tracks = narrow ? NARROW : WIDE;
  return (
    <div className="flex h-full flex-col bg-surface">
      <div
        ref={scroller}
        role="treegrid"
        aria-label="Spans"
        aria-rowcount={visible.length + 1}
        aria-activedescendant={shown >= 0 ? `span-${chosen}` : undefined}
        tabIndex={0}
        className="scroll-quiet min-h-0 flex-1 overflow-auto -outline-offset-2"
      >
        <div
          role="row"
          aria-rowindex={1}
          className="sticky top-0 z-10 grid h-8 items-center gap-x-2 border-b bg-surface px-3 text-xs font-medium text-ink-3"
          style={{ gridTemplateColumns: tracks }}
        >
          <span role="columnheader">Span</span>
          {!narrow && (
            <>
              <span role="columnheader">Model</span>
              <span role="columnheader" className="text-right">
                Tokens
              </span>
              <span role="columnheader" className="text-right">
                Cost
              </span>
            </>
          )}
          <span role="columnheader" className="text-right">
            Duration
          </span>
          <span role="columnheader" aria-label="Time" className="relative h-full overflow-hidden">
            {ticks.map((ms) => (
              <span
                key={ms}
                className="absolute top-0 flex h-full items-center border-l pl-1 text-2xs font-normal whitespace-nowrap"
                style={{ left: `${waterfall.lengthMs === 0 ? 0 : (ms / waterfall.lengthMs) * 100}%` }}
              >
                {ms / waterfall.lengthMs < 0.84 && duration(ms)}
              </span>
            ))}
          </span>
        </div>
        <div role="rowgroup" className="relative" style={{ height: list.getTotalSize() }}>
          {list.getVirtualItems().map(({ index, start }) => {
            const at = visible[index] ?? 0;
            const row = waterfall.rows[at];
            return row === undefined ? null : (
              <SpanRow
                key={row.span.span_id}
                row={row}
                at={at}
                index={index}
                top={start}
                tracks={tracks}
                narrow={narrow}
                open={!folded.has(row.span.span_id)}
                chosen={at === chosen}
                onChoose={onChoose}
                onFold={onFold}
              />
            );
          })}
        </div>
      </div>
      <Key />
    </div>
  );
}

interface SpanRowProps {
  row: Row;
  at: number;
  index: number;
  top: number;
  tracks: string;
  narrow: boolean;
  open: boolean;
  chosen: boolean;
  onChoose(at: number): void;
  onFold(at: number, closed: boolean): void;
}

// callbacks change with every render of the page and do not change what a row shows
function looksTheSame(before: SpanRowProps, after: SpanRowProps): boolean {
  return (['row', 'at', 'index', 'top', 'tracks', 'narrow', 'open', 'chosen', 'onFold'] as const).every(
    (name) => before[name] === after[name],
  );
}

const SpanRow = memo(function SpanRow({
  row,
  at,
  index,
  top,
  tracks,
  narrow,
  open,
  chosen,
  onChoose,
  onFold,
}: SpanRowProps) {
  const { span } = row;
  const { tokens } = span;
  const failed = span.status === 'error';
  return (
    <div
      id={`span-${at}`}
      role="row"
      aria-level={row.depth + 1}
      aria-expanded={row.childCount > 0 ? open : undefined}
      aria-selected={chosen}
      aria-rowindex={index + 2}
      onClick={() => onChoose(at)}
      className={`absolute inset-x-0 grid cursor-pointer items-center gap-x-2 border-b px-3 ${chosen ? 'bg-selected' : 'hover:bg-hover'}`}
      style={{ gridTemplateColumns: tracks, height: ROW_PX, transform: `translateY(${top}px)` }}
    >
      <div
        role="gridcell"
        className="flex min-w-0 items-center gap-1.5"
        style={{ paddingLeft: Math.min(row.depth, 24) * INDENT_PX }}
      >
        <Fold row={row} open={open} onFold={(closed) => onFold(at, closed)} />
        {failed ? (
          <CircleAlert size={14} className="shrink-0 text-error" aria-label="error" />
        ) : (
          <KindIcon kind={row.kind} />
        )}
        <span className={`truncate ${failed ? 'text-error' : ''}`} title={span.name}>
          {span.name}
        </span>
        {row.orphan && (
          <span className="text-2xs whitespace-nowrap text-warn" title="Its parent was not sent.">
            no parent
          </span>
        )}
        {!open && <span className="rounded-sm bg-sunken px-1 text-2xs text-ink-3">+{row.below}</span>}
      </div>
      {!narrow && (
        <>
          <div role="gridcell" className="truncate text-xs text-ink-2" title={span.model ?? undefined}>
            {span.model}
          </div>
          <div role="gridcell" className="text-right text-xs text-ink-2">
            {tokens > 0 && <Count value={tokens} noun="tokens" />}
          </div>
          <div role="gridcell" className="text-right text-xs text-ink-2">
            {span.billable && <Money usd={span.cost_usd} />}
          </div>
        </>
      )}
      <div role="gridcell" className="text-right text-xs text-ink-2">
        <Duration ms={span.latency_ms} />
      </div>
      <div role="gridcell" className="h-full">
        <Bar row={row} failed={failed} />
      </div>
    </div>
  );
}, looksTheSame);

function Fold({ row, open, onFold }: { row: Row; open: boolean; onFold: (closed: boolean) => void }) {
  if (row.childCount === 0) return <span className="w-4 shrink-0" />;
  return (
    <button
      type="button"
      tabIndex={-1}
      aria-label={open ? `Fold ${row.below} below` : `Unfold ${row.below} below`}
      className="flex h-6 w-4 shrink-0 items-center justify-center rounded-sm text-ink-3 hover:text-ink"
      onClick={(event) => {
        event.stopPropagation();
        onFold(open);
      }}
    >
      <ChevronRight size={14} className={open ? 'rotate-90' : ''} />
    </button>
  );
}

const percent = (share: number): string => `${(share * 100).toFixed(3)}%`;

/** The bar, and under it the stretches that the whole trace waited for. */
function Bar({ row, failed }: { row: Row; failed: boolean }) {
  const { bar, critical, span, selfMs } = row;
  const colour = failed ? 'var(--error)' : `var(--${KINDS[row.kind].token})`;
  const title = `${duration(span.latency_ms)}, of it ${duration(selfMs)} by itself; starts at ${duration(row.startMs)}`;
  return (
    <div className="relative h-full" title={title}>
      <div
        className="absolute top-[9px] h-[12px] min-w-[2px] rounded-[2px]"
        style={{ left: percent(bar.from), width: percent(bar.to - bar.from), background: colour }}
      />
      {critical.filter(isSeen).map(({ from, to }) => (
        <div
          key={from}
          className="absolute top-[23px] h-[2px] bg-ink"
          style={{ left: percent(from), width: percent(to - from) }}
        />
      ))}
    </div>
  );
}

/** Slivers between two children would look like dirt: they are a pixel wide. */
function isSeen({ from, to }: Stretch): boolean {
  return to - from > 0.01;
}

function Key() {
  return (
    <ul className="hidden flex-wrap items-center gap-x-4 gap-y-0.5 border-t px-3 py-1.5 text-xs text-ink-3 md:flex">
      {Object.values(KINDS).map(({ word, token }) => (
        <li key={word} className="inline-flex items-center gap-1.5">
          <span aria-hidden className="h-2 w-4 rounded-[2px]" style={{ background: `var(--${token})` }} />
          {word}
        </li>
      ))}
      <li className="inline-flex items-center gap-1.5">
        <span aria-hidden className="h-[2px] w-4 bg-ink" />
        critical path: what the trace waited for
      </li>
    </ul>
  );
}
