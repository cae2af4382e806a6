// What it costs: over time and by group. Every bar and row leads to its traces.
import { useQuery } from '@tanstack/react-query';
import { useNavigate, useSearch } from '@tanstack/react-router';
import { useMemo } from 'react';
import { costQuery, seriesQuery, type CostAnswer } from '../api/telemetry.ts';
import { seriesColours } from '../charts/colours.ts';
import { amountFrame, UNNAMED, withoutNothing, type Column } from '../charts/series.ts';
import { Swatch, TimeChart } from '../charts/time-chart.tsx';
import { Choice } from '../elements/choice.tsx';
import { Money } from '../elements/figures.tsx';
import { Empty, ProblemNotice } from '../elements/notice.tsx';
import { Card, Page } from '../elements/page.tsx';
import { SkeletonBlock, SkeletonRows } from '../elements/skeleton.tsx';
import { Table } from '../elements/table.tsx';
import { fieldTerm } from '../filters/filter.ts';
import { rangeFromSearch, type Interval, type RangeSearch } from '../filters/range.ts';
import { axisMoney, exactMoney } from '../format/money.ts';
import { count, percent, plural } from '../format/number.ts';
import type { CostGroup } from '../routes.tsx';
import { RangePicker, rangeName, useSetRange } from '../shell/range-picker.tsx';
import { Figure, Figures } from './figure-row.tsx';
import { useInterval } from './use-interval.ts';

const GROUPS = [
  ['model', 'Model'],
  ['service', 'Service'],
  ['environment', 'Environment'],
  ['endpoint', 'Endpoint'],
  ['user', 'User'],
  ['date', 'Day'],
] as const satisfies readonly (readonly [CostGroup, string])[];

/** Groups that the list can be filtered by. */
const FILTERED: ReadonlySet<string> = new Set([
  'model',
  'service',
  'user',
  'environment',
  'endpoint',
  'root',
  'status',
]);
const CHARTED = { model: 'model', service: 'service' } as const satisfies Partial<Record<CostGroup, CostGroup>>;

export function CostPage() {
  const search = useSearch({ from: '/shell/cost' });
  const navigate = useNavigate({ from: '/cost' });
  const by = search.by ?? 'model';
  const { interval } = useInterval(search);
  const cost = useQuery(costQuery(by, interval));
  const showTraces = useShowTraces(search);
  return (
    <Page
      title="Cost"
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
        {cost.error && (
          <ProblemNotice error={cost.error} retry={() => void cost.refetch()} title="The cost could not be read." />
        )}
        <CostFigures cost={cost.data} />
        <Card title={`Spend over time`} note="drag to zoom, click a bar for its traces">
          <CostChart by={by} interval={interval} onShow={showTraces} />
        </Card>
        <Card title={`By ${GROUPS.find(([name]) => name === by)?.[1].toLowerCase()}`} note={rangeName(search)} flush>
          {cost.data === undefined ? (
            <SkeletonRows rows={5} />
          ) : (
            <Breakdown cost={cost.data} by={by} interval={interval} onShow={showTraces} />
          )}
        </Card>
      </div>
    </Page>
  );
}

type ShowTraces = (by: string, groupKey: string | null | undefined, range?: RangeSearch) => void;

/** Goes to the traces of one group and time; what the list cannot filter by leads to the time alone. */
export function useShowTraces(search: RangeSearch): ShowTraces {
  const navigate = useNavigate();
  return (by, groupKey, range) => {
    const known = FILTERED.has(by) && groupKey !== null && groupKey !== undefined && groupKey !== '';
    const filter = known ? { filter: fieldTerm(by, groupKey) } : {};
    void navigate({ to: '/traces', search: { ...(range ?? rangeFromSearch({ ...search })), ...filter } });
  };
}

export function bucketRange(fromMs: number, toMs: number): RangeSearch {
  return { from: new Date(fromMs).toISOString(), to: new Date(toMs).toISOString() };
}

/** The first and the last bar hold only what lies in the range of the page, and so does the list behind them. */
export function bucketWithin({ fromMs, toMs }: Interval, bucketFromMs: number, bucketToMs: number): RangeSearch {
  return bucketRange(Math.max(bucketFromMs, fromMs), Math.min(bucketToMs, toMs ?? bucketToMs));
}

function CostFigures({ cost }: { cost: CostAnswer | undefined }) {
  return (
    <Figures loading={cost === undefined}>
      <Figure name="Spend">{cost && <Money usd={cost.totalCost} />}</Figure>
      <Figure name="A trace, on average">{cost && <Money usd={cost.avgCost} />}</Figure>
      <Figure name="Traces">{cost && count(cost.traceCount)}</Figure>
      <Figure
        name="Unpriced calls"
        tone={cost?.unpricedCount ? 'warn' : undefined}
        note={
          cost && cost.unpricedCount > 0 ? `in ${plural(cost.unpricedTraces, 'trace')}; not in the spend` : undefined
        }
      >
        {cost && count(cost.unpricedCount)}
      </Figure>
    </Figures>
  );
}

function CostChart({ by, interval, onShow }: { by: CostGroup; interval: Interval; onShow: ShowTraces }) {
  const groupBy = by in CHARTED ? CHARTED[by as keyof typeof CHARTED] : 'none';
  const series = useQuery(seriesQuery('cost', groupBy, interval));
  const setRange = useSetRange();
  const frame = useMemo(() => series.data && amountFrame(withoutNothing(series.data)), [series.data]);
  if (series.error) return <ProblemNotice error={series.error} retry={() => void series.refetch()} />;
  if (frame === undefined) return <SkeletonBlock height={268} />;
  if (frame.columns.length === 0) return <NoCost />;
  const colourOf = (column: Column): string =>
    groupBy === 'none' ? 'series-1' : seriesColours.tokenOf(groupBy, column.groupKey ?? null);
  const named =
    groupBy === 'none'
      ? { ...frame, columns: frame.columns.map((column) => ({ ...column, name: 'All spend' })) }
      : frame;
  return (
    <TimeChart
      frame={named}
      kind="bars"
      colourOf={colourOf}
      figure={exactMoney}
      tick={axisMoney}
      label={`Spend over time by ${groupBy === 'none' ? 'nothing' : groupBy}; the table below holds the figures.`}
      onRange={(fromMs, toMs) => setRange(bucketRange(fromMs, toMs))}
      onPoint={(column, fromMs, toMs) => onShow(groupBy, column?.groupKey, bucketWithin(interval, fromMs, toMs))}
    />
  );
}

function NoCost() {
  return (
    <Empty title="Nothing was spent in this time">
      <p>Cost appears with the first span that names a model and its tokens. Widen the time range above.</p>
    </Empty>
  );
}

interface BreakdownProps {
  cost: CostAnswer;
  by: CostGroup;
  interval: Interval;
  onShow: ShowTraces;
}

function Breakdown({ cost, by, interval, onShow }: BreakdownProps) {
  if (cost.breakdown.length === 0) return <NoCost />;
  const total = Number(cost.totalCost);
  const unpriced = cost.breakdown.some(({ unpricedCount }) => unpricedCount > 0);
  return (
    <Table
      label={`Cost by ${by}`}
      numbersFrom={1}
      head={['Group', 'Cost', 'Share', 'Traces', 'A trace', ...(unpriced ? ['Unpriced calls'] : [])]}
      rows={cost.breakdown.map((group) => ({
        id: group.groupKey ?? '',
        onOpen: () => onShow(by, group.groupKey, by === 'date' ? dayWithin(interval, group.groupKey) : undefined),
        openLabel: `Show the traces of ${group.groupKey ?? UNNAMED}`,
        cells: [
          <span key="name" className="inline-flex items-center gap-2 font-medium">
            {by in CHARTED && <Swatch token={seriesColours.tokenOf(by, group.groupKey)} />}
            {group.groupKey || <span className="text-ink-3">{UNNAMED}</span>}
          </span>,
          <Money key="cost" usd={knownCost(group)} />,
          isUnpriced(group) ? (
            <None key="share" />
          ) : (
            <Share key="share" share={total === 0 ? 0 : Number(group.totalCost) / total} />
          ),
          count(group.traceCount),
          <PerTrace key="each" group={group} />,
          ...(unpriced
            ? [
                <span key="none" className={group.unpricedCount ? 'text-warn' : 'text-ink-3'}>
                  {count(group.unpricedCount)}
                </span>,
              ]
            : []),
        ],
      }))}
    />
  );
}

function Share({ share }: { share: number }) {
  return (
    <span className="inline-flex items-center justify-end gap-2">
      <span aria-hidden className="h-1.5 w-20 overflow-hidden rounded-full bg-sunken">
        <span className="block h-full rounded-full bg-accent" style={{ width: `${share * 100}%` }} />
      </span>
      <span className="w-14">{percent(share)}</span>
    </span>
  );
}

type Group = CostAnswer['breakdown'][number];

/** Nothing of the group could be priced: its cost is unknown, not 0. */
const isUnpriced = ({ totalCost, unpricedCount }: Group): boolean => unpricedCount > 0 && Number(totalCost) === 0;

const knownCost = (group: Group): string | null => (isUnpriced(group) ? null : group.totalCost);

const None = () => <span className="text-ink-3">–</span>;

// a mean is no exact figure: twelve places are those of the prices
function PerTrace({ group }: { group: Group }) {
  if (group.traceCount === 0 || isUnpriced(group)) return <None />;
  return <Money usd={(Number(group.totalCost) / group.traceCount).toFixed(12)} />;
}

function dayWithin(interval: Interval, date: string | null): RangeSearch | undefined {
  const fromMs = Date.parse(`${date ?? ''}T00:00:00Z`);
  return Number.isNaN(fromMs) ? undefined : bucketWithin(interval, fromMs, fromMs + 86_400_000);
}
