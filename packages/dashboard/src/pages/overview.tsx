// Today against the seven days before: spend, traces, errors, p95; each figure leads to where it comes from.
import { useInfiniteQuery, useQuery } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import { CircleAlert } from 'lucide-react';
import { useMemo, useState, type ReactNode } from 'react';
import { photosQuery } from '../api/photos.ts';
import { costQuery, latencyQuery, latestTracesQuery, seriesQuery, type Metric } from '../api/telemetry.ts';
import { seriesColours } from '../charts/colours.ts';
import { amountFrame, withoutNothing, type Column } from '../charts/series.ts';
import { TimeChart } from '../charts/time-chart.tsx';
import { Duration, Moment, Money } from '../elements/figures.tsx';
import { ProblemNotice } from '../elements/notice.tsx';
import { Card, Page } from '../elements/page.tsx';
import { SkeletonBlock, SkeletonRows } from '../elements/skeleton.tsx';
import type { Interval } from '../filters/range.ts';
import { axisMoney, exactMoney, money } from '../format/money.ts';
import { compact, count } from '../format/number.ts';
import { duration } from '../format/time.ts';
import { changeOf, dayBefore, dayOf, totalOf, type Change } from './baseline.ts';
import { bucketWithin, useShowTraces } from './cost.tsx';
import { Figure, Figures } from './figure-row.tsx';
import { PhotoState } from './photos/photos.tsx';

export function OverviewPage() {
  const [today] = useState(() => dayOf(Date.now()));
  const before = useMemo(() => dayBefore(today), [today]);
  const costs = [useQuery(costQuery('model', today)), useQuery(costQuery('model', before))] as const;
  const traces = [useSum('traces', today), useSum('traces', before)] as const;
  const errors = [useSum('errors', today), useSum('errors', before)] as const;
  const latency = [useQuery(latencyQuery('service', today)), useQuery(latencyQuery('service', before))] as const;
  const failed = [...costs, ...latency].find(({ error }) => error !== null);
  const share = (today.toMs - today.fromMs) / DAY_MS;
  return (
    <Page title="Overview">
      <div className="mx-auto flex max-w-6xl flex-col gap-4">
        {failed?.error && <ProblemNotice error={failed.error} retry={() => void failed.refetch()} />}
        <p className="text-ink-2">
          Today so far, against an average day of the seven before, taken for as long as today has lasted.
        </p>
        <Figures loading={costs[0].isPending}>
          <Figure
            name="Spend"
            note={
              <Against
                change={changeOf(costs[0].data?.totalCost, costs[1].data?.totalCost, share / 7)}
                write={(usd) => money(usd.toFixed(9))}
              />
            }
          >
            {costs[0].data && (
              <Link to="/cost" search={asRange(today)}>
                <Money usd={costs[0].data.totalCost} />
              </Link>
            )}
          </Figure>
          <Figure name="Traces" note={<Against change={changeOf(traces[0], traces[1], share / 7)} write={compact} />}>
            {traces[0] !== undefined && (
              <Link to="/traces" search={asRange(today)}>
                {count(traces[0])}
              </Link>
            )}
          </Figure>
          <Figure
            name="Spans with errors"
            tone={errors[0] ? 'error' : undefined}
            note={<Against change={changeOf(errors[0], errors[1], share / 7)} write={compact} />}
          >
            {errors[0] !== undefined && (
              <Link to="/traces" search={{ ...asRange(today), filter: 'error' }}>
                {count(errors[0])}
              </Link>
            )}
          </Figure>
          <Figure
            name="p95 of traces"
            note={
              <Against
                change={changeOf(latency[0].data?.p95Latency ?? undefined, latency[1].data?.p95Latency ?? undefined, 1)}
                write={duration}
              />
            }
          >
            {latency[0].data && (
              <Link to="/latency" search={asRange(today)}>
                <Duration ms={latency[0].data.p95Latency} />
              </Link>
            )}
          </Figure>
        </Figures>
        <div className="grid gap-4 lg:grid-cols-2">
          <Card title="Spend by model" note="last 7 days" actions={<More to="/cost" />}>
            <WeekChart metric="cost" groupBy="model" />
          </Card>
          <Card title="Traces by service" note="last 7 days" actions={<More to="/traces" />}>
            <WeekChart metric="traces" groupBy="service" />
          </Card>
          <LatestErrors />
          <LatestPhotos />
        </div>
      </div>
    </Page>
  );
}

const DAY_MS = 86_400_000;

const asRange = ({ fromMs }: Interval): { from: string } => ({ from: new Date(fromMs).toISOString() });

function useSum(metric: Metric, interval: Interval): number | undefined {
  const { data } = useQuery(seriesQuery(metric, 'none', interval));
  return data && totalOf(data);
}

function Against({ change, write }: { change: Change | undefined; write: (value: number) => string }): ReactNode {
  if (change === undefined) return 'nothing to compare with yet';
  const usual = `the usual ${write(change.usual)}`;
  if (change.percent === undefined || change.percent === 0) return `as ${usual}`;
  if (change.percent >= 200) return `${(1 + change.percent / 100).toFixed(1)} times ${usual}`;
  return `${Math.abs(change.percent)} % ${change.percent > 0 ? 'above' : 'below'} ${usual}`;
}

function More({ to, filter }: { to: '/cost' | '/traces' | '/photos'; filter?: string }) {
  return (
    <Link
      to={to}
      search={filter === undefined ? {} : { filter }}
      className="text-xs font-medium text-accent hover:underline"
    >
      All of it
    </Link>
  );
}

function WeekChart({ metric, groupBy }: { metric: 'cost' | 'traces'; groupBy: 'model' | 'service' }) {
  const [week] = useState((): Interval => ({
    fromMs: Math.floor(Date.now() / 60_000) * 60_000 - 7 * DAY_MS,
    toMs: undefined,
  }));
  const series = useQuery(seriesQuery(metric, groupBy, week));
  const showTraces = useShowTraces({});
  const frame = useMemo(() => series.data && amountFrame(withoutNothing(series.data)), [series.data]);
  if (series.error) return <ProblemNotice error={series.error} retry={() => void series.refetch()} />;
  if (frame === undefined) return <SkeletonBlock height={228} />;
  if (frame.columns.length === 0)
    return <p className="py-16 text-center text-ink-3">Nothing in the last seven days.</p>;
  const colourOf = (column: Column): string => seriesColours.tokenOf(groupBy, column.groupKey ?? null);
  return (
    <TimeChart
      frame={frame}
      kind="bars"
      height={200}
      colourOf={colourOf}
      figure={metric === 'cost' ? exactMoney : (exact) => count(Number(exact))}
      tick={metric === 'cost' ? axisMoney : compact}
      label={`${metric} of the last seven days by ${groupBy}`}
      onPoint={(column, fromMs, toMs) => showTraces(groupBy, column?.groupKey, bucketWithin(week, fromMs, toMs))}
    />
  );
}

const LATEST = 6;

function LatestErrors() {
  const [week] = useState((): Interval => ({
    fromMs: Math.floor(Date.now() / 60_000) * 60_000 - 7 * DAY_MS,
    toMs: undefined,
  }));
  const traces = useQuery(latestTracesQuery({ status: 'error' }, week, LATEST));
  return (
    <Card title="Latest traces with errors" note="last 7 days" flush actions={<More to="/traces" filter="error" />}>
      <Lines
        error={traces.error}
        empty="No trace ended with an error in the last seven days."
        items={traces.data?.data}
      >
        {(trace) => (
          <Link key={trace.trace_id} to="/traces/$traceId" params={{ traceId: trace.trace_id }} className={LINE}>
            <CircleAlert size={14} className="shrink-0 text-error" aria-hidden />
            <span className="min-w-0 truncate font-medium">{trace.name}</span>
            <span className="min-w-0 flex-1 truncate text-ink-3">{trace.service_name}</span>
            <Moment iso={trace.timestamp} />
          </Link>
        )}
      </Lines>
    </Card>
  );
}

function LatestPhotos() {
  const photos = useInfiniteQuery(photosQuery);
  return (
    <Card title="Latest photos" note="protected and registered" flush actions={<More to="/photos" />}>
      <Lines
        error={photos.error}
        empty="No photo was protected yet."
        items={photos.data?.pages[0]?.data.slice(0, LATEST)}
      >
        {(photo) => (
          <Link key={photo.photoId} to="/photos/$photoId" params={{ photoId: photo.photoId }} className={LINE}>
            <span className="w-24 shrink-0">
              <PhotoState photo={photo} />
            </span>
            <code className="min-w-0 flex-1 truncate font-mono text-xs text-ink-2">{photo.photoId}</code>
            <Moment iso={photo.createdAt} />
          </Link>
        )}
      </Lines>
    </Card>
  );
}

const LINE = 'flex h-9 items-center gap-3 border-b px-4 last:border-0 hover:bg-hover';

interface LinesProps<Item> {
  items: Item[] | undefined;
  error: Error | null;
  empty: string;
  children: (item: Item) => ReactNode;
}

function Lines<Item>({ items, error, empty, children }: LinesProps<Item>) {
  if (error) {
    return (
      <div className="p-4">
        <ProblemNotice error={error} />
      </div>
    );
  }
  if (items === undefined) return <SkeletonRows rows={4} rowHeight={36} />;
  if (items.length === 0) return <p className="px-4 py-8 text-center text-ink-3">{empty}</p>;
  return items.map(children);
}
