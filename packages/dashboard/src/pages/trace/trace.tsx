// One trace: tree and waterfall in one list, the chosen span in the panel beside it. Keys: j k, ← → fold, e next error.
import { useQuery } from '@tanstack/react-query';
import { Link, useNavigate, useParams, useSearch } from '@tanstack/react-router';
import { ArrowLeft, CircleAlert } from 'lucide-react';
import { useEffect, useMemo, useState, type ReactNode } from 'react';
import { traceQuery, type TraceOutline } from '../../api/trace.ts';
import { Button } from '../../elements/button.tsx';
import { ShortId } from '../../elements/copy.tsx';
import { Count, Duration, Moment, Money, StatusMark, Tag } from '../../elements/figures.tsx';
import { Empty, ProblemNotice } from '../../elements/notice.tsx';
import { Page } from '../../elements/page.tsx';
import { SkeletonRows } from '../../elements/skeleton.tsx';
import { ApiError } from '../../api/client.ts';
import { isTyping } from '../../elements/typing.ts';
import { fieldTerm } from '../../filters/filter.ts';
import { count, plural } from '../../format/number.ts';
import type { SpanTab } from '../../routes.tsx';
import { ancestorsOf, visibleRows, waterfallOf, type Waterfall } from '../../waterfall/rows.ts';
import { TraceScores } from './scores.tsx';
import { SpanPanel } from './span-panel.tsx';
import { WaterfallList } from './waterfall-list.tsx';

export function TracePage() {
  const { traceId } = useParams({ from: '/shell/traces/$traceId' });
  const trace = useQuery(traceQuery(traceId));
  return (
    <Page
      title={trace.data?.name ?? 'Trace'}
      fills
      before={
        <Link
          to="/traces"
          search={{}}
          className="inline-flex h-8 items-center gap-1 rounded-md px-1.5 text-ink-2 hover:bg-hover hover:text-ink"
        >
          <ArrowLeft size={16} aria-hidden />
          Traces
        </Link>
      }
      actions={
        trace.data && (
          <>
            {trace.data.tags.map((tag) => (
              <Tag key={tag}>{tag}</Tag>
            ))}
            <ShortId id={traceId} label="trace id" length={16} />
          </>
        )
      }
    >
      {trace.error && <Missing error={trace.error} retry={() => void trace.refetch()} />}
      {trace.isPending && !trace.error && <SkeletonRows rows={16} />}
      {trace.data && <Opened trace={trace.data} />}
    </Page>
  );
}

function Missing({ error, retry }: { error: Error; retry: () => void }) {
  if (error instanceof ApiError && error.status === 404) {
    return (
      <Empty icon={<CircleAlert size={24} />} title="There is no such trace here">
        <p>Its time of retention may have passed, or the id belongs to another workspace.</p>
        <Link to="/traces" className="text-accent underline">
          Go to the traces
        </Link>
      </Empty>
    );
  }
  return (
    <div className="p-4">
      <ProblemNotice error={error} retry={retry} title="The trace could not be read." />
    </div>
  );
}

function Opened({ trace }: { trace: TraceOutline }) {
  const search = useSearch({ from: '/shell/traces/$traceId' });
  const navigate = useNavigate({ from: '/traces/$traceId' });
  const [folded, setFolded] = useState<ReadonlySet<string>>(new Set());
  const waterfall = useMemo(() => waterfallOf(trace.spans), [trace.spans]);
  const visible = useMemo(() => visibleRows(waterfall.rows, folded), [waterfall, folded]);
  const chosen = waterfall.rowOf.get(search.span ?? '') ?? firstWorthReading(waterfall);
  const row = waterfall.rows[chosen];
  const choose = (at: number): void => {
    const hidden = new Set(ancestorsOf(waterfall.rows, at));
    if ([...folded].some((id) => hidden.has(id))) setFolded(new Set([...folded].filter((id) => !hidden.has(id))));
    void navigate({ search: (before) => ({ ...before, span: waterfall.rows[at]?.span.span_id }), replace: true });
  };
  const fold = (at: number, closed: boolean): void => {
    const id = waterfall.rows[at]?.span.span_id;
    if (id === undefined) return;
    const next = new Set(folded);
    if (closed) next.add(id);
    else next.delete(id);
    setFolded(next);
  };
  const nextError = (): void => {
    const at = waterfall.errors.find((each) => each > chosen) ?? waterfall.errors[0];
    if (at !== undefined) choose(at);
  };
  const chooseSpan = (spanId: string): void => {
    const at = waterfall.rowOf.get(spanId);
    if (at !== undefined) choose(at);
  };
  useTraceKeys({ waterfall, visible, chosen, choose, fold, nextError });
  return (
    <>
      <Summary
        trace={trace}
        truncated={trace.spans_truncated}
        waterfall={waterfall}
        onNextError={nextError}
        onSpan={chooseSpan}
      />
      <div className="flex min-h-0 flex-1 flex-col lg:flex-row">
        <div className="min-h-0 min-w-0 flex-1">
          <WaterfallList
            waterfall={waterfall}
            visible={visible}
            folded={folded}
            chosen={chosen}
            onChoose={choose}
            onFold={fold}
          />
        </div>
        {row && (
          <SpanPanel
            key={row.span.span_id}
            row={row}
            traceId={trace.trace_id}
            tab={search.tab}
            onTab={(tab: SpanTab) => void navigate({ search: (before) => ({ ...before, tab }), replace: true })}
          />
        )}
      </div>
    </>
  );
}

// what people come for is an error, else the first call of a model
function firstWorthReading({ rows, errors }: Waterfall): number {
  return (
    errors.at(-1) ??
    Math.max(
      0,
      rows.findIndex(({ kind }) => kind === 'llm'),
    )
  );
}

interface SummaryProps {
  trace: TraceOutline;
  truncated: boolean;
  waterfall: Waterfall;
  onNextError: () => void;
  onSpan: (spanId: string) => void;
}

function Summary({ trace, truncated, waterfall, onNextError, onSpan }: SummaryProps) {
  const { errors, missingParents } = waterfall;
  return (
    <div className="flex flex-wrap items-center gap-x-6 gap-y-1 border-b bg-surface px-4 py-1.5">
      <dl className="flex flex-wrap gap-x-6 gap-y-1">
        <Fact name="Cost">
          <Money usd={trace.cost_usd} priced={trace.cost_priced_usd} />
        </Fact>
        <Fact name="Latency">
          <Duration ms={trace.latency_ms} />
        </Fact>
        <Fact name="Tokens">
          <Count value={trace.prompt_tokens} noun="tokens in" /> in,{' '}
          <Count value={trace.completion_tokens} noun="tokens out" /> out
        </Fact>
        <Fact name="Spans">{count(trace.span_count)}</Fact>
        <Fact name="Status">
          <StatusMark status={trace.status} />
        </Fact>
        <Fact name="Service">
          <Link
            to="/traces"
            search={{ filter: fieldTerm('service', trace.service_name) }}
            className="hover:text-accent hover:underline"
          >
            {trace.service_name}
          </Link>
        </Fact>
        {trace.user_id && (
          <Fact name="User">
            <Link
              to="/traces"
              search={{ filter: fieldTerm('user', trace.user_id) }}
              className="hover:text-accent hover:underline"
            >
              {trace.user_id}
            </Link>
          </Fact>
        )}
        {trace.session_id && (
          <Fact name="Session">
            <Link
              to="/traces"
              search={{ filter: fieldTerm('session', trace.session_id) }}
              className="hover:text-accent hover:underline"
            >
              {trace.session_id}
            </Link>
          </Fact>
        )}
        {trace.scores.length > 0 && (
          <Fact name="Scores">
            <TraceScores scores={trace.scores} onSpan={onSpan} />
          </Fact>
        )}
        <Fact name="Started">
          <Moment iso={trace.timestamp} />
        </Fact>
      </dl>
      <span className="ml-auto flex items-center gap-3">
        {truncated && <span className="text-xs text-warn">Only the earliest spans are shown.</span>}
        {missingParents > 0 && (
          <span className="text-xs text-warn" title="Spans name a parent that was not sent (yet); they stand as roots.">
            {plural(missingParents, 'parent')} missing
          </span>
        )}
        {errors.length > 0 && (
          <Button look="danger" className="!h-7" onClick={onNextError} title="Next error (e)">
            {plural(errors.length, 'error')}
          </Button>
        )}
      </span>
    </div>
  );
}

function Fact({ name, children }: { name: string; children: ReactNode }) {
  return (
    <div className="flex items-center gap-1.5 whitespace-nowrap">
      <dt className="text-xs text-ink-3">{name}</dt>
      <dd className="font-medium">{children}</dd>
    </div>
  );
}

interface Keys {
  waterfall: Waterfall;
  visible: number[];
  chosen: number;
  choose(at: number): void;
  fold(at: number, closed: boolean): void;
  nextError(): void;
}

function useTraceKeys({ waterfall, visible, chosen, choose, fold, nextError }: Keys): void {
  const navigate = useNavigate();
  useEffect(() => {
    const step = (by: number): void => {
      const next = visible[Math.min(Math.max(visible.indexOf(chosen) + by, 0), visible.length - 1)];
      if (next !== undefined) choose(next);
    };
    const left = (): void => {
      const row = waterfall.rows[chosen];
      if (row === undefined) return;
      if (row.childCount > 0 && visible.includes(chosen + 1)) fold(chosen, true);
      else if (row.parent >= 0) choose(row.parent);
    };
    const actions: Record<string, () => void> = {
      j: () => step(1),
      k: () => step(-1),
      e: nextError,
      Escape: () => void navigate({ to: '/traces', search: {} }),
    };
    const onList: Record<string, () => void> = {
      ArrowDown: () => step(1),
      ArrowUp: () => step(-1),
      ArrowLeft: left,
      ArrowRight: () => fold(chosen, false),
    };
    const listen = (event: KeyboardEvent): void => {
      if (isTyping(event.target) || event.metaKey || event.ctrlKey || event.altKey) return;
      const inList = event.target instanceof HTMLElement && event.target.getAttribute('role') === 'treegrid';
      const action = actions[event.key] ?? (inList ? onList[event.key] : undefined);
      if (action === undefined) return;
      event.preventDefault();
      action();
    };
    window.addEventListener('keydown', listen);
    return () => window.removeEventListener('keydown', listen);
  });
}
