// How long it takes: percentiles over time and by group. Every point and row leads to its traces.
import { useQuery } from '@tanstack/react-query';
import { useNavigate, useSearch } from '@tanstack/react-router';
import { useMemo } from 'react';
import { latencyQuery, seriesQuery, type LatencyAnswer } from '../api/telemetry.ts';
import { seriesColours } from '../charts/colours.ts';
import { groupedPercentileFrame, PERCENTILES, percentileFrame, UNNAMED, type Percentile } from '../charts/series.ts';
import { Swatch, TimeChart } from '../charts/time-chart.tsx';
import { Choice } from '../elements/choice.tsx';
import { Duration } from '../elements/figures.tsx';
import { Empty, ProblemNotice } from '../elements/notice.tsx';
import { Card, Page } from '../elements/page.tsx';
import { SkeletonBlock, SkeletonRows } from '../elements/skeleton.tsx';
import { Table } from '../elements/table.tsx';
import type { Interval } from '../filters/range.ts';
import { count } from '../format/number.ts';
import { duration } from '../format/time.ts';
import type { LatencyGroup } from '../routes.tsx';
import { RangePicker, rangeName, useSetRange } from '../shell/range-picker.tsx';
import { bucketRange, bucketWithin, useShowTraces } from './cost.tsx';
import { Figure, Figures } from './figure-row.tsx';
import { useInterval } from './use-interval.ts';

const GROUPS = [
  ['service', 'Service'],
  ['model', 'Model'],
  ['endpoint', 'Endpoint'],
] as const satisfies readonly (readonly [LatencyGroup, string])[];

const PERCENTILE_COLOURS: Record<Percentile, string> = { p50: 'series-1', p95: 'series-5', p99: 'series-2' };

export function LatencyPage() {
  const search = useSearch({ from: '/shell/latency' });
  const navigate = useNavigate({ from: '/latency' });
  const by = search.by ?? 'service';
  const { interval } = useInterval(search);
  const latency = useQuery(latencyQuery(by, interval));
  const showTraces = useShowTraces(search);
  return (
    <Page
      title="Latency"
      actions={
        <>
          <Choice
            label="Group by"
            value={by}
            options={GROUPS}
            onChange={(next) => void navigate({ search: (before) => ({ ...before, by: next }) })}
          />
          <RangePicker search={search} />
        </>
      }
    >
      <div className="mx-auto flex max-w-6xl flex-col gap-4">
        {latency.error && (
          <ProblemNotice
            error={latency.error}
            retry={() => void latency.refetch()}
            title="The latency could not be read."
          />
        )}
        <LatencyFigures latency={latency.data} />
        <div className="grid gap-4 lg:grid-cols-2">
          <Card title="Percentiles of spans" note="drag to zoom, click for the traces">
            <PercentileChart
              interval={interval}
              onShow={(from, to) => showTraces('none', undefined, bucketWithin(interval, from, to))}
            />
          </Card>
          <Card title={`p95 of spans by ${by === 'endpoint' ? 'service' : by}`} note="the seven busiest">
            <GroupedChart
              by={by === 'model' ? 'model' : 'service'}
              interval={interval}
              onShow={(key, from, to) => showTraces(by, key, bucketWithin(interval, from, to))}
            />
          </Card>
        </div>
        <Card
          title={`By ${by}`}
          note={by === 'model' ? `single model calls · ${rangeName(search)}` : `whole traces · ${rangeName(search)}`}
          flush
        >
          {latency.data === undefined ? (
            <SkeletonRows rows={5} />
          ) : (
            <Breakdown
              latency={latency.data}
              by={by}
              onShow={(key) => showTraces(by === 'service' ? 'root' : by, key)}
            />
          )}
        </Card>
      </div>
    </Page>
  );
}

function LatencyFigures({ latency }: { latency: LatencyAnswer | undefined }) {
  return (
    <Figures loading={latency === undefined}>
      <Figure name="Median of traces (p50)">{latency && <Duration ms={latency.p50Latency} />}</Figure>
      <Figure name="95 of 100 within (p95)">{latency && <Duration ms={latency.p95Latency} />}</Figure>
      <Figure name="99 of 100 within (p99)">{latency && <Duration ms={latency.p99Latency} />}</Figure>
      <Figure name="Average">{latency && <Duration ms={latency.avgLatency} />}</Figure>
    </Figures>
  );
}

function PercentileChart({ interval, onShow }: { interval: Interval; onShow: (fromMs: number, toMs: number) => void }) {
  const series = useQuery(seriesQuery('latency', 'none', interval));
  const frame = useMemo(() => series.data && percentileFrame(series.data, PERCENTILES), [series.data]);
  const setRange = useSetRange();
  if (series.error) return <ProblemNotice error={series.error} retry={() => void series.refetch()} />;
  if (frame === undefined) return <SkeletonBlock height={268} />;
  if (series.data?.series.length === 0) return <NoLatency />;
  return (
    <TimeChart
      frame={frame}
      kind="lines"
      colourOf={({ name }) => PERCENTILE_COLOURS[name as Percentile]}
      figure={(exact) => duration(Number(exact))}
      tick={duration}
      label="Median, 95th and 99th percentile of span latency over time; the table below holds figures."
      onRange={(fromMs, toMs) => setRange(bucketRange(fromMs, toMs))}
      onPoint={(_, fromMs, toMs) => onShow(fromMs, toMs)}
    />
  );
}

interface GroupedChartProps {
  by: 'service' | 'model';
  interval: Interval;
  onShow: (groupKey: string | null | undefined, fromMs: number, toMs: number) => void;
}

function GroupedChart({ by, interval, onShow }: GroupedChartProps) {
  const series = useQuery(seriesQuery('latency', by, interval));
  const frame = useMemo(() => series.data && groupedPercentileFrame(series.data, 'p95'), [series.data]);
  const setRange = useSetRange();
  if (series.error) return <ProblemNotice error={series.error} retry={() => void series.refetch()} />;
  if (frame === undefined) return <SkeletonBlock height={268} />;
  if (frame.columns.length === 0) return <NoLatency />;
  return (
    <TimeChart
      frame={frame}
      kind="lines"
      colourOf={({ groupKey }) => seriesColours.tokenOf(by, groupKey ?? null)}
      figure={(exact) => duration(Number(exact))}
      tick={duration}
      label={`95th percentile of span latency over time by ${by}; the table below holds figures.`}
      onRange={(fromMs, toMs) => setRange(bucketRange(fromMs, toMs))}
      onPoint={(column, fromMs, toMs) => onShow(column?.groupKey, fromMs, toMs)}
    />
  );
}

function NoLatency() {
  return (
    <Empty title="Nothing ran in this time">
      <p>Widen the time range above.</p>
    </Empty>
  );
}

interface BreakdownProps {
  latency: LatencyAnswer;
  by: LatencyGroup;
  onShow: (groupKey: string | null) => void;
}

function Breakdown({ latency, by, onShow }: BreakdownProps) {
  if (latency.breakdown.length === 0) return <NoLatency />;
  return (
    <Table
      label={`Latency by ${by}`}
      numbersFrom={1}
      head={['Group', 'p50', 'p95', 'p99', 'Average', by === 'model' ? 'Calls' : 'Traces']}
      rows={latency.breakdown.map((group) => ({
        id: group.groupKey ?? '',
        onOpen: () => onShow(group.groupKey),
        openLabel: `Show the traces of ${group.groupKey ?? UNNAMED}`,
        cells: [
          <span key="name" className="inline-flex items-center gap-2 font-medium">
            {by !== 'endpoint' && <Swatch token={seriesColours.tokenOf(by, group.groupKey)} />}
            {group.groupKey || <span className="text-ink-3">{UNNAMED}</span>}
          </span>,
          <Duration key="p50" ms={group.p50Latency} />,
          <Duration key="p95" ms={group.p95Latency} />,
          <Duration key="p99" ms={group.p99Latency} />,
          <Duration key="avg" ms={group.avgLatency} />,
          count(group.traceCount),
        ],
      }))}
    />
  );
}
