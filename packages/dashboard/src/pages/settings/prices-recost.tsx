// Stored spans priced again: first what would change, then the run with its progress.
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { useState, type FormEvent } from 'react';
import {
  cancelRecost,
  dryRun,
  isUnderWay,
  recostsQuery,
  startRecost,
  type Change,
  type DryRun,
  type Recost,
} from '../../api/prices.ts';
import { Button } from '../../elements/button.tsx';
import { TextField } from '../../elements/field.tsx';
import { Money, Moment } from '../../elements/figures.tsx';
import { ProblemNotice } from '../../elements/notice.tsx';
import { Card } from '../../elements/page.tsx';
import { Table } from '../../elements/table.tsx';
import { exactMoney } from '../../format/money.ts';
import { count, plural } from '../../format/number.ts';

const DAY_MS = 86_400_000;
const DEFAULT_DAYS = 7;

const dayBefore = (days: number): string => new Date(Date.now() - days * DAY_MS).toISOString().slice(0, 10);

export function RecostCard() {
  const [range, setRange] = useState({ from: dayBefore(DEFAULT_DAYS), to: dayBefore(-1) });
  const queryClient = useQueryClient();
  const runs = useQuery(recostsQuery);
  const trying = useMutation({ mutationFn: () => dryRun(range.from, range.to) });
  const starting = useMutation({
    mutationFn: () => startRecost(range.from, range.to),
    onSuccess: async () => {
      trying.reset();
      await queryClient.invalidateQueries({ queryKey: recostsQuery.queryKey });
    },
  });
  const change = (part: Partial<typeof range>): void => {
    setRange({ ...range, ...part });
    trying.reset();
    starting.reset();
  };
  const submit = (event: FormEvent): void => {
    event.preventDefault();
    trying.mutate();
  };
  return (
    <Card
      title="Price stored spans again"
      note="with the prices of now; nothing changes before you have seen what would"
    >
      <form className="flex flex-wrap items-end gap-3" onSubmit={submit}>
        <div className="w-40">
          <TextField
            label="Traces from"
            type="date"
            required
            value={range.from}
            onChange={(event) => change({ from: event.target.value })}
          />
        </div>
        <div className="w-40">
          <TextField
            label="until, exclusive"
            type="date"
            required
            value={range.to}
            onChange={(event) => change({ to: event.target.value })}
          />
        </div>
        <Button type="submit" disabled={trying.isPending}>
          {trying.isPending ? 'Computing…' : 'Show what would change'}
        </Button>
      </form>
      <div className="mt-3 flex flex-col gap-3 empty:hidden">
        {trying.error && <ProblemNotice error={trying.error} />}
        {trying.data && <Preview preview={trying.data} />}
        {trying.data && (
          <Button
            look="primary"
            className="self-start"
            disabled={starting.isPending || (trying.data.isComplete && trying.data.changed === 0)}
            onClick={() => starting.mutate()}
          >
            Price {plural(trying.data.tracesTotal, 'trace')} again
          </Button>
        )}
        {starting.error && <ProblemNotice error={starting.error} />}
        {runs.error && <ProblemNotice error={runs.error} retry={() => void runs.refetch()} />}
        {runs.data && runs.data.length > 0 && <Runs runs={runs.data} />}
      </div>
    </Card>
  );
}

function Preview({ preview }: { preview: DryRun }) {
  const { models, traces, tracesTotal, isComplete, ...total } = preview;
  const changed = models.filter((model) => model.changed > 0);
  return (
    <>
      <p aria-live="polite">
        {total.changed === 0
          ? `Nothing would change: ${plural(total.spans, 'call')} in ${plural(traces, 'trace')} cost what they cost.`
          : `${count(total.changed)} of ${plural(total.spans, 'call')} would change: ${exactMoney(total.oldUsd)} becomes ${exactMoney(total.newUsd)}.`}
        {!isComplete && ` The range is long: this is its first ${count(traces)} of ${plural(tracesTotal, 'trace')}.`}
      </p>
      {changed.length > 0 && (
        <div className="rounded-md border">
          <Table
            label="What would change, by model"
            numbersFrom={1}
            head={['Model', 'Calls', 'Changed', 'Unpriced', 'Cost now', 'Cost then', 'Difference']}
            rows={[
              ...changed.map(({ provider, model, ...own }) => ({
                id: `${provider} ${model}`,
                cells: [
                  <span key="model">
                    {model ?? 'no model'} {provider && <span className="text-ink-3">{provider}</span>}
                  </span>,
                  ...figuresOf(own),
                ],
              })),
              { id: 'all', cells: [<strong key="all">All models</strong>, ...figuresOf(total)] },
            ]}
          />
        </div>
      )}
    </>
  );
}

function figuresOf({ spans, changed, unpricedBefore, unpricedAfter, oldUsd, newUsd, differenceUsd }: Change) {
  return [
    count(spans),
    count(changed),
    unpricedBefore === unpricedAfter ? count(unpricedAfter) : `${count(unpricedBefore)} → ${count(unpricedAfter)}`,
    <Money key="old" usd={oldUsd} />,
    <Money key="new" usd={newUsd} />,
    <Money key="difference" usd={differenceUsd} />,
  ];
}

const STATES: Record<Recost['state'], string> = {
  queued: 'waits',
  running: 'under way',
  completed: 'done',
  cancelled: 'cancelled',
  failed: 'failed',
};

function Runs({ runs }: { runs: Recost[] }) {
  const queryClient = useQueryClient();
  const cancelling = useMutation({
    mutationFn: cancelRecost,
    onSettled: () => queryClient.invalidateQueries({ queryKey: recostsQuery.queryKey }),
  });
  return (
    <div className="rounded-md border">
      {cancelling.error && <ProblemNotice error={cancelling.error} />}
      <Table
        label="Runs"
        numbersFrom={3}
        head={['Started', 'Range', 'State', 'Traces', 'Changed', 'Difference', '']}
        rows={runs.map((run) => ({
          id: run.recostId,
          cells: [
            <Moment key="started" iso={run.createdAt} />,
            `${run.from.slice(0, 10)} to ${run.to.slice(0, 10)}`,
            STATES[run.state],
            isUnderWay(run) ? (
              <progress
                key="progress"
                aria-label="Traces done"
                className="w-24 accent-accent"
                max={Math.max(1, run.tracesTotal)}
                value={run.tracesDone}
              />
            ) : (
              count(run.tracesDone)
            ),
            count(run.changed),
            <Money key="difference" usd={run.differenceUsd} />,
            isUnderWay(run) ? (
              <Button
                key="cancel"
                look="quiet"
                disabled={cancelling.isPending}
                onClick={() => cancelling.mutate(run.recostId)}
              >
                Cancel
              </Button>
            ) : null,
          ],
        }))}
      />
    </div>
  );
}
