// The list itself: rows of 32 px, only those in sight are drawn, the next page is asked for before the end is reached.
import { Filter } from 'lucide-react';
import { memo, useEffect, useMemo, useRef, type KeyboardEvent } from 'react';
import type { TraceItem } from '../../api/telemetry.ts';
import { addDecimals } from '../../format/decimal.ts';
import { exactMoney, money } from '../../format/money.ts';
import { count, plural } from '../../format/number.ts';
import { ROW_PX, useRows } from '../../elements/use-rows.ts';
import type { Column } from './columns.tsx';

const AHEAD = 30;

interface TraceListProps {
  items: TraceItem[];
  columns: Column[];
  open: string | undefined;
  hasMore: boolean;
  loading: boolean;
  /** How many there are, as far as the server counted. */
  known: number | undefined;
  onMore(): void;
  onOpen(traceId: string): void;
  onTerm(term: string): void;
}

export function TraceList({ items, columns, open, hasMore, loading, known, onMore, onOpen, onTerm }: TraceListProps) {
  const scroller = useRef<HTMLDivElement>(null);
  const rows = useRows(items.length, scroller);
  const drawn = rows.getVirtualItems();
  const last = drawn.at(-1)?.index ?? 0;
  useEffect(() => {
    if (hasMore && !loading && last >= items.length - AHEAD) onMore();
  }, [hasMore, loading, last, items.length, onMore]);
  const openAt = items.findIndex(({ trace_id }) => trace_id === open);
  useEffect(() => {
    if (openAt >= 0) rows.scrollToIndex(openAt, { align: 'auto' });
  }, [openAt, rows]);
  const tracks = columns.map(({ width }) => width).join(' ');
  const least = columns.reduce((sum, column) => sum + column.least, 0) + 8 * (columns.length - 1) + 32;
  const listen = (event: KeyboardEvent): void => {
    if (event.target !== event.currentTarget || items.length === 0) return;
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step === undefined) return;
    event.preventDefault();
    const next = items[Math.min(Math.max(openAt + step, 0), items.length - 1)];
    if (next) onOpen(next.trace_id);
  };
  return (
    <div className="flex h-full flex-col">
      <div
        ref={scroller}
        role="grid"
        aria-label="Traces"
        aria-rowcount={hasMore ? -1 : items.length + 1}
        aria-activedescendant={openAt >= 0 ? `trace-${open}` : undefined}
        tabIndex={0}
        onKeyDown={listen}
        className="scroll-quiet min-h-0 flex-1 overflow-auto bg-surface -outline-offset-2"
      >
        <div
          role="row"
          aria-rowindex={1}
          className="sticky top-0 z-10 grid h-8 items-center gap-x-2 border-b bg-surface px-4 text-xs font-medium text-ink-3"
          style={{ gridTemplateColumns: tracks, minWidth: least }}
        >
          {columns.map((column) => (
            <span key={column.name} role="columnheader" className={column.right ? 'text-right' : ''}>
              {column.title}
            </span>
          ))}
        </div>
        <div role="rowgroup" className="relative" style={{ height: rows.getTotalSize(), minWidth: least }}>
          {drawn.map(({ index, start }) => {
            const item = items[index];
            return item === undefined ? null : (
              <Row
                key={item.trace_id}
                item={item}
                index={index}
                top={start}
                columns={columns}
                tracks={tracks}
                open={item.trace_id === open}
                onOpen={onOpen}
                onTerm={onTerm}
              />
            );
          })}
        </div>
      </div>
      <p role="status" className="flex h-7 shrink-0 items-center border-t bg-surface px-4 text-xs text-ink-3">
        {loading
          ? 'Loading more'
          : hasMore
            ? `${count(items.length)} of ${total(known)} loaded; scroll for more`
            : `All ${count(items.length)} shown`}
        <Sum items={items} hasMore={hasMore} />
      </p>
    </div>
  );
}

/** What the shown rows add up to: the figure of the chart that led here, when all of them are shown. */
function Sum({ items, hasMore }: { items: TraceItem[]; hasMore: boolean }) {
  const { usd, unpriced, errors } = useMemo(() => sumOf(items), [items]);
  return (
    <span className="ml-auto pl-4" title={hasMore ? 'Of the rows that are loaded' : `${exactMoney(usd)} exactly`}>
      {hasMore ? 'so far ' : 'together '}
      <span data-sum={usd}>{money(usd)}</span>
      {unpriced > 0 && `, ${plural(unpriced, 'trace')} not fully priced`}
      {errors > 0 && `, ${plural(errors, 'span')} with errors`}
    </span>
  );
}

const isUnpriced = ({ cost_usd, matching_cost_usd = cost_usd }: TraceItem): boolean => matching_cost_usd === null;

function sumOf(items: readonly TraceItem[]): { usd: string; unpriced: number; errors: number } {
  return {
    usd: addDecimals(items.map((item) => item.matching_cost_priced_usd ?? item.cost_priced_usd)),
    unpriced: items.filter(isUnpriced).length,
    errors: items.reduce((sum, { error_count }) => sum + (error_count ?? 0), 0),
  };
}

/** The server stops counting at 10,000. */
const COUNTED_TO = 10_000;

function total(known: number | undefined): string {
  if (known === undefined) return 'many';
  return known >= COUNTED_TO ? `more than ${count(COUNTED_TO)}` : count(known);
}

interface RowProps {
  item: TraceItem;
  index: number;
  top: number;
  columns: Column[];
  tracks: string;
  open: boolean;
  onOpen(traceId: string): void;
  onTerm(term: string): void;
}

const Row = memo(function Row({ item, index, top, columns, tracks, open, onOpen, onTerm }: RowProps) {
  return (
    <div
      id={`trace-${item.trace_id}`}
      role="row"
      aria-rowindex={index + 2}
      aria-selected={open}
      onClick={() => onOpen(item.trace_id)}
      className={`absolute inset-x-0 grid cursor-pointer items-center gap-x-2 border-b px-4 ${open ? 'bg-selected' : 'hover:bg-hover'} ${item.status === 'error' ? 'shadow-[inset_2px_0_0_var(--error)]' : ''}`}
      style={{ gridTemplateColumns: tracks, height: ROW_PX, transform: `translateY(${top}px)` }}
    >
      {columns.map((column) => (
        <Cell key={column.name} column={column} item={item} onTerm={onTerm} />
      ))}
    </div>
  );
});

function Cell({ column, item, onTerm }: { column: Column; item: TraceItem; onTerm: (term: string) => void }) {
  const term = column.term?.(item);
  return (
    <div role="gridcell" className={`group/cell relative min-w-0 truncate ${column.right ? 'text-right' : ''}`}>
      {column.cell(item)}
      {term !== undefined && (
        <button
          type="button"
          tabIndex={-1}
          aria-label={`Filter by ${term}`}
          title={`Filter by ${term}`}
          className="absolute top-1/2 right-0 hidden h-6 w-6 -translate-y-1/2 items-center justify-center rounded-sm border bg-raised text-ink-2 group-hover/cell:flex hover:text-accent"
          onClick={(event) => {
            event.stopPropagation();
            onTerm(term);
          }}
        >
          <Filter size={12} />
        </button>
      )}
    </div>
  );
}
