// Tree and waterfall in one virtual list: only rows in sight are drawn, so 10,000 spans scroll like ten.
import { useVirtualizer } from '@tanstack/react-virtual';
import { ChevronRight, CircleAlert } from 'lucide-react';
import { memo, useEffect, useMemo, useRef } from 'react';
import { Count, Duration, Money } from '../../elements/figures.tsx';
import { useNarrow } from '../../elements/use-narrow.ts';
import { duration } from '../../format/time.ts';
import { axisTicks, type Row, type Waterfall } from '../../waterfall/rows.ts';
import { KINDS, KindIcon } from './kinds.tsx';

const ROW_PX = 32;
const INDENT_PX = 14;
const WIDE = 'minmax(200px, 5fr) minmax(90px, 1.6fr) 52px 76px minmax(180px, 6fr)';
const NARROW = 'minmax(150px, 5fr) minmax(100px, 4fr)';

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
  const list = useVirtualizer({
    count: visible.length,
    getScrollElement: () => scroller.current,
    estimateSize: () => ROW_PX,
    overscan: 16,
  });
  const ticks = useMemo(() => axisTicks(waterfall.lengthMs, narrow ? 2 : 5), [waterfall.lengthMs, narrow]);
  const shown = visible.indexOf(chosen);
  useEffect(() => {
    if (shown >= 0) list.scrollToIndex(shown, { align: 'auto' });
  }, [shown, list]);
  const tracks = narrow ? NARROW : WIDE;
  return (
    <div
      ref={scroller}
      role="treegrid"
      aria-label="Spans"
      aria-rowcount={visible.length + 1}
      aria-activedescendant={shown >= 0 ? `span-${chosen}` : undefined}
      tabIndex={0}
      className="scroll-quiet h-full overflow-auto bg-surface -outline-offset-2"
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
        <span role="columnheader" aria-label="Time" className="relative h-full overflow-hidden">
          {ticks.map((ms) => (
            <span
              key={ms}
              className="absolute top-0 flex h-full items-center border-l pl-1 text-2xs font-normal whitespace-nowrap"
              style={{ left: `${waterfall.lengthMs === 0 ? 0 : (ms / waterfall.lengthMs) * 100}%` }}
            >
              {duration(ms)}
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
  const tokens = span.prompt_tokens + span.completion_tokens;
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
            {(row.kind === 'llm' || row.kind === 'embedding' || (span.cost_usd !== null && span.cost_usd !== '0')) && (
              <Money usd={span.cost_usd} priced={span.cost_priced_usd} />
            )}
          </div>
        </>
      )}
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

/** The bar, its length as text beside it, and under it the stretches that the whole trace waited for. */
function Bar({ row, failed }: { row: Row; failed: boolean }) {
  const { bar, critical, span, selfMs } = row;
  const colour = failed ? 'var(--error)' : `var(--${KINDS[row.kind].token})`;
  const textAfter = bar.to < 0.78;
  const title = `${duration(span.latency_ms)}, of it ${duration(selfMs)} by itself; starts at ${duration(row.startMs)}`;
  return (
    <div className="relative h-full" title={title}>
      <div
        className="absolute top-[9px] h-[11px] min-w-[2px] rounded-[2px] opacity-90"
        style={{ left: percent(bar.from), width: percent(bar.to - bar.from), background: colour }}
      />
      {critical.map(({ from, to }) => (
        <div
          key={from}
          className="absolute top-[22px] h-[2px] min-w-[2px] bg-ink"
          style={{ left: percent(from), width: percent(to - from) }}
        />
      ))}
      <span
        className="absolute top-[6px] px-1.5 text-2xs whitespace-nowrap text-ink-2"
        style={textAfter ? { left: percent(bar.to) } : { right: percent(1 - bar.from) }}
      >
        {bar.from < 0.16 && !textAfter ? '' : <Duration ms={span.latency_ms} />}
      </span>
      {bar.from < 0.16 && !textAfter && (
        <span
          className="absolute top-[8px] rounded-[2px] bg-surface px-1 text-2xs leading-[13px] text-ink-2"
          style={{ left: `calc(${percent(bar.from)} + 4px)` }}
        >
          <Duration ms={span.latency_ms} />
        </span>
      )}
    </div>
  );
}

function Key() {
  return (
    <ul className="flex flex-wrap items-center gap-x-4 gap-y-1 px-3 py-3 text-xs text-ink-3">
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
