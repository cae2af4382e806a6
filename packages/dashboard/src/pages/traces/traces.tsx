// The traces: filter bar and range above, a virtual list, and the opened one in a panel beside it.
// The address holds all of it. Keys: j k move, Enter opens (again: the page), Esc closes, / filters.
import { keepPreviousData, useInfiniteQuery, useQuery } from '@tanstack/react-query';
import { useNavigate, useSearch } from '@tanstack/react-router';
import { Columns3, RefreshCw } from 'lucide-react';
import { useEffect, useMemo, useState } from 'react';
import { newerTracesQuery, PAGE_SIZE, tracesQuery, type TraceItem } from '../../api/telemetry.ts';
import { onboardingQuery } from '../../api/session.ts';
import { Button, buttonLook, IconButton } from '../../elements/button.tsx';
import { Empty, ProblemNotice } from '../../elements/notice.tsx';
import { Page } from '../../elements/page.tsx';
import { Pop } from '../../elements/pop.tsx';
import { SkeletonRows } from '../../elements/skeleton.tsx';
import { isTyping } from '../../elements/typing.ts';
import { useNarrow } from '../../elements/use-narrow.ts';
import { parseFilter, withTerm } from '../../filters/filter.ts';
import { intervalOf } from '../../filters/range.ts';
import { ConnectLines } from '../connect-lines.tsx';
import type { TracesSearch } from '../../routes.tsx';
import { RangePicker } from '../../shell/range-picker.tsx';
import { chosenColumns, COLUMNS, type Column } from './columns.tsx';
import { FilterBar } from './filter-bar.tsx';
import { TraceList } from './trace-list.tsx';
import { TracePreview } from './trace-preview.tsx';

export function TracesPage() {
  const search = useSearch({ from: '/shell/traces' });
  const navigate = useNavigate({ from: '/traces' });
  const [loadedAt, setLoadedAt] = useState(() => Date.now());
  const narrow = useNarrow();
  const filter = search.filter ?? '';
  const { query } = useMemo(() => parseFilter(filter), [filter]);
  const { range, from, to } = search;
  const interval = useMemo(() => intervalOf({ range, from, to }, loadedAt), [range, from, to, loadedAt]);
  const list = useInfiniteQuery(tracesQuery(query, interval));
  const items = useMemo(() => list.data?.pages.flatMap(({ data }) => data) ?? [], [list.data]);
  const room = narrow ? 'narrow' : search.open === undefined ? 'wide' : 'beside';
  const columns = useMemo(() => chosenColumns(search.columns, room), [search.columns, room]);
  const change = (next: TracesSearch): void => void navigate({ search: (before) => ({ ...before, ...next }) });
  const refresh = (): void => {
    setLoadedAt(Date.now());
    void list.refetch();
  };
  const addTerm = (term: string): void => change({ filter: withTerm(filter, term), open: undefined });
  const openAt = items.findIndex(({ trace_id }) => trace_id === search.open);
  useListKeys(items, openAt, search.open);
  return (
    <Page
      title="Traces"
      fills
      actions={
        <>
          <NewerTraces
            query={query}
            newest={list.isPlaceholderData || to !== undefined ? undefined : items[0]}
            items={items}
            onShow={refresh}
          />
          <IconButton label="Refresh" look="plain" onClick={refresh}>
            <RefreshCw size={14} className={list.isRefetching ? 'animate-spin' : ''} />
          </IconButton>
          <ColumnMenu columns={columns} onChange={(names) => change({ columns: names })} />
          <RangePicker search={search} />
        </>
      }
    >
      <div className="flex flex-wrap items-start gap-2 border-b bg-surface px-4 py-2">
        <FilterBar filter={filter} interval={interval} onChange={(next) => change({ filter: next || undefined })} />
      </div>
      <div className="flex min-h-0 flex-1">
        <div
          aria-busy={list.isPlaceholderData}
          className={`min-h-0 min-w-0 flex-1 ${search.open && narrow ? 'hidden' : ''} ${list.isPlaceholderData ? 'opacity-60' : ''}`}
        >
          {list.error && (
            <div className="p-4">
              <ProblemNotice
                error={list.error}
                retry={() => void list.refetch()}
                title="The traces could not be read."
              />
            </div>
          )}
          {list.isPending && !list.error && <SkeletonRows rows={18} />}
          {list.data && items.length === 0 && (
            <NoTraces filtered={filter !== ''} onClear={() => change({ filter: undefined })} />
          )}
          {items.length > 0 && (
            <TraceList
              items={items}
              columns={columns}
              open={search.open}
              hasMore={list.hasNextPage}
              loading={list.isFetchingNextPage}
              known={list.data?.pages[0]?.pagination.total}
              onMore={() => void list.fetchNextPage()}
              onOpen={(traceId) => change({ open: traceId })}
              onTerm={addTerm}
            />
          )}
        </div>
        {search.open && (
          <TracePreview
            key={search.open}
            traceId={search.open}
            item={items[openAt]}
            onClose={() => change({ open: undefined })}
            onTerm={addTerm}
          />
        )}
      </div>
    </Page>
  );
}

function NewerTraces(props: {
  query: ReturnType<typeof parseFilter>['query'];
  newest: TraceItem | undefined;
  items: TraceItem[];
  onShow: () => void;
}) {
  const { data } = useQuery({ ...newerTracesQuery(props.query, props.newest), placeholderData: keepPreviousData });
  const known = useMemo(() => new Set(props.items.map(({ trace_id }) => trace_id)), [props.items]);
  const fresh = (props.newest && data?.data.filter(({ trace_id }) => !known.has(trace_id)).length) ?? 0;
  return (
    <span role="status">
      {fresh > 0 && (
        <Button look="primary" onClick={props.onShow}>
          {fresh >= PAGE_SIZE ? `${PAGE_SIZE}+` : fresh} new
        </Button>
      )}
    </span>
  );
}

function ColumnMenu({ columns, onChange }: { columns: Column[]; onChange: (names: string | undefined) => void }) {
  const shown = new Set(columns.map(({ name }) => name));
  const toggle = (name: string): void => {
    const next = COLUMNS.filter((column) => shown.has(column.name) !== (column.name === name));
    onChange(next.map((column) => column.name).join(',') || undefined);
  };
  return (
    <Pop
      align="end"
      buttonClass={buttonLook('plain')}
      panelClass="w-44 p-1"
      button={
        <>
          <Columns3 size={14} aria-hidden /> Columns
        </>
      }
    >
      {() => (
        <>
          {COLUMNS.map((column) => (
            <label
              key={column.name}
              className="flex h-7 cursor-pointer items-center gap-2 rounded-sm px-2 hover:bg-hover"
            >
              <input
                type="checkbox"
                className="accent-accent"
                checked={shown.has(column.name)}
                onChange={() => toggle(column.name)}
              />
              {column.title}
            </label>
          ))}
          <button
            type="button"
            onClick={() => onChange(undefined)}
            className="mt-1 flex h-8 w-full items-center rounded-sm border-t px-2 text-ink-2 hover:bg-hover"
          >
            As at first
          </button>
        </>
      )}
    </Pop>
  );
}

function NoTraces({ filtered, onClear }: { filtered: boolean; onClear: () => void }) {
  const { data: onboarding } = useQuery(onboardingQuery);
  if (onboarding?.hasSpans === false) {
    return (
      <div className="scroll-quiet h-full overflow-y-auto p-4">
        <ConnectLines />
      </div>
    );
  }
  return (
    <Empty title={filtered ? 'No trace in this time matches the filter' : 'No traces in this time'}>
      <p>{filtered ? 'Take a term away, or widen the time range.' : 'Widen the time range above.'}</p>
      {filtered && <Button onClick={onClear}>Clear the filter</Button>}
    </Empty>
  );
}

function useListKeys(items: TraceItem[], openAt: number, open: string | undefined): void {
  const navigate = useNavigate({ from: '/traces' });
  useEffect(() => {
    const show = (traceId: string | undefined): void =>
      void navigate({ search: (before) => ({ ...before, open: traceId }), replace: open !== undefined });
    const listen = (event: KeyboardEvent): void => {
      if (isTyping(event.target) || event.metaKey || event.ctrlKey || event.altKey) return;
      const onControl = event.target instanceof HTMLButtonElement || event.target instanceof HTMLAnchorElement;
      if (event.key === 'j') show(items[Math.min(openAt + 1, items.length - 1)]?.trace_id);
      else if (event.key === 'k') show(items[Math.max(openAt - 1, 0)]?.trace_id);
      else if (event.key === 'Escape' && open !== undefined) show(undefined);
      else if (event.key === 'Enter' && open !== undefined && !onControl) {
        void navigate({ to: '/traces/$traceId', params: { traceId: open }, search: {} });
      } else return;
      event.preventDefault();
    };
    window.addEventListener('keydown', listen);
    return () => window.removeEventListener('keydown', listen);
  }, [items, openAt, open, navigate]);
}
