// Prices: the table in use, the workspace's own prices in front of it, a question for trying them, and stored spans
// priced again.
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { ArrowUp, Plus } from 'lucide-react';
import { useState, type FormEvent } from 'react';
import { askPrice, MODEL_RULES, pricesQuery, savePrices, type PriceOverride, type Prices } from '../../api/prices.ts';
import { Button, IconButton } from '../../elements/button.tsx';
import { CopyButton } from '../../elements/copy.tsx';
import { Dialog } from '../../elements/dialog.tsx';
import { TextField } from '../../elements/field.tsx';
import { ProblemNotice } from '../../elements/notice.tsx';
import { Card } from '../../elements/page.tsx';
import { SkeletonRows } from '../../elements/skeleton.tsx';
import { Table } from '../../elements/table.tsx';
import { exactMoney } from '../../format/money.ts';
import { count } from '../../format/number.ts';
import { day } from '../../format/time.ts';
import { lineOf } from '../trace/bill.ts';
import { OverrideForm, unitWords } from './prices-override.tsx';
import { RecostCard } from './prices-recost.tsx';

export function PricesSection() {
  const prices = useQuery(pricesQuery);
  if (prices.error) return <ProblemNotice error={prices.error} retry={() => void prices.refetch()} />;
  if (prices.data === undefined) return <SkeletonRows rows={4} />;
  return (
    <>
      <TableCard prices={prices.data} />
      <OverridesCard prices={prices.data} />
      <QuestionCard />
      <RecostCard />
    </>
  );
}

function TableCard({ prices: { table, sha256, version } }: { prices: Prices }) {
  return (
    <Card title="Price table" note="in exact decimals, never floats">
      <dl className="grid grid-cols-[auto_1fr] gap-x-4 gap-y-1">
        <dt className="text-ink-3">Table</dt>
        <dd>
          {table.source} {table.version}, {count(table.models)} models
        </dd>
        <dt className="text-ink-3">From</dt>
        <dd>
          {table.installedAt === null
            ? 'this release'
            : `the operator (${table.installedBy}), since ${day(table.installedAt)}`}
        </dd>
        <dt className="text-ink-3">SHA-256</dt>
        <dd className="inline-flex min-w-0 items-center">
          <code className="truncate font-mono text-xs">{sha256}</code>
          <CopyButton text={sha256} label="Copy SHA-256" className="!h-6 !w-6" />
        </dd>
        <dt className="text-ink-3">On new spans</dt>
        <dd>
          <code className="font-mono text-xs">{version}</code>
        </dd>
      </dl>
    </Card>
  );
}

function OverridesCard({ prices }: { prices: Prices }) {
  const [edited, setEdited] = useState<{ at: number; override: PriceOverride | undefined }>();
  const queryClient = useQueryClient();
  const saving = useMutation({
    mutationFn: (overrides: readonly PriceOverride[]) => savePrices(prices.overridesVersion, overrides),
    onSuccess: (saved) => {
      queryClient.setQueryData(pricesQuery.queryKey, saved);
      setEdited(undefined);
    },
    onError: () => void queryClient.invalidateQueries({ queryKey: pricesQuery.queryKey }),
  });
  const { overrides } = prices;
  const replaced = (at: number, ...by: PriceOverride[]): PriceOverride[] => overrides.toSpliced(at, 1, ...by);
  return (
    <Card
      title="Your prices"
      note="the first that applies counts, before the table"
      flush
      actions={
        <Button
          look="primary"
          icon={<Plus size={14} aria-hidden />}
          onClick={() => {
            saving.reset();
            setEdited({ at: overrides.length, override: undefined });
          }}
        >
          New price
        </Button>
      }
    >
      {saving.error && edited === undefined && (
        <div className="p-4">
          <ProblemNotice error={saving.error} />
        </div>
      )}
      {overrides.length === 0 ? (
        <p className="p-4 text-ink-3">
          None: every call has the price of the table. Add one for a model that the table does not know, for your own
          deployment’s name, or for a price that you negotiated.
        </p>
      ) : (
        <Table
          label="Your prices"
          head={['Model', 'Provider', 'Tier', 'Valid', 'Prices', '']}
          rows={overrides.map((override, at) => ({
            id: override.id,
            cells: [
              <ModelRuleText key="model" override={override} />,
              override.provider ?? 'any',
              override.serviceTier === '*' ? 'any' : (override.serviceTier ?? 'none'),
              validityOf(override),
              <PriceList key="prices" override={override} />,
              <span key="act" className="inline-flex justify-end">
                {at > 0 && (
                  <IconButton
                    label={`Put price ${at + 1} before the one above`}
                    disabled={saving.isPending}
                    onClick={() =>
                      saving.mutate(overrides.toSpliced(at - 1, 2, override, overrides[at - 1] as PriceOverride))
                    }
                  >
                    <ArrowUp size={14} aria-hidden />
                  </IconButton>
                )}
                <Button
                  look="quiet"
                  aria-label={`Edit price ${at + 1}`}
                  onClick={() => {
                    saving.reset();
                    setEdited({ at, override });
                  }}
                >
                  Edit
                </Button>
                <Button
                  look="quiet"
                  aria-label={`Remove price ${at + 1}`}
                  disabled={saving.isPending}
                  onClick={() => saving.mutate(replaced(at))}
                >
                  Remove
                </Button>
              </span>,
            ],
          }))}
        />
      )}
      <p className="border-t px-4 py-2 text-xs text-ink-3">
        Holds for spans that arrive from now on, within 5 seconds.
        {prices.changedAt && ` Version ${prices.overridesVersion}, changed ${day(prices.changedAt)}.`}
      </p>
      <Dialog
        title={edited?.override === undefined ? 'New price' : 'Edit price'}
        open={edited !== undefined}
        onClose={() => setEdited(undefined)}
        wide
      >
        {edited && (
          <OverrideForm
            override={edited.override}
            error={saving.error}
            isSaving={saving.isPending}
            onSave={(override) => saving.mutate(replaced(edited.at, override))}
            onClose={() => setEdited(undefined)}
          />
        )}
      </Dialog>
    </Card>
  );
}

function ModelRuleText({ override: { model, note } }: { override: PriceOverride }) {
  const rule = MODEL_RULES.find(([kind]) => model[kind] !== undefined);
  return (
    <span title={note}>
      <span className="text-ink-3">{rule?.[1]}</span>{' '}
      <code className="font-mono text-xs">{rule && model[rule[0]]}</code>
    </span>
  );
}

function validityOf({ from, until }: PriceOverride): string {
  if (from === undefined && until === undefined) return 'always';
  if (from === undefined) return `until ${until}`;
  return until === undefined ? `from ${from}` : `${from} to ${until}`;
}

function PriceList({ override: { prices } }: { override: PriceOverride }) {
  const entries = Object.entries(prices).map(([key, price]) => ({
    words: unitWords(key),
    amount: typeof price === 'string' ? exactMoney(price) : `${exactMoney(price.base)} and tiers`,
  }));
  return (
    <span title={entries.map(({ words, amount }) => `${words}: ${amount}`).join('; ')}>
      {entries
        .slice(0, 2)
        .map(({ words, amount }) => `${words.split(',')[0]} ${amount}`)
        .join(', ')}
      {entries.length > 2 && <span className="text-ink-3"> and {entries.length - 2} more</span>}
    </span>
  );
}

const FIELDS = [
  ['inputTokens', 'Tokens in'],
  ['outputTokens', 'Tokens out'],
  ['cacheReadTokens', 'of those in, from cache'],
] as const;

function QuestionCard() {
  const [names, setNames] = useState({ model: 'gpt-4o-2024-08-06', provider: 'openai', serviceTier: '' });
  const [counts, setCounts] = useState({ inputTokens: 1_000, outputTokens: 500, cacheReadTokens: 0 });
  const asking = useMutation({
    mutationFn: () =>
      askPrice({
        model: names.model.trim(),
        ...(names.provider.trim() !== '' && { provider: names.provider.trim() }),
        ...(names.serviceTier.trim() !== '' && { serviceTier: names.serviceTier.trim() }),
        ...counts,
      }),
  });
  const submit = (event: FormEvent): void => {
    event.preventDefault();
    asking.mutate();
  };
  return (
    <Card title="What would a call cost?" note="now, with the prices above">
      <form className="flex flex-wrap items-end gap-3" onSubmit={submit}>
        <div className="min-w-48 flex-1">
          <TextField
            label="Model"
            required
            maxLength={256}
            value={names.model}
            onChange={(event) => setNames({ ...names, model: event.target.value })}
          />
        </div>
        <div className="w-32">
          <TextField
            label="Provider"
            placeholder="not told"
            maxLength={200}
            value={names.provider}
            onChange={(event) => setNames({ ...names, provider: event.target.value })}
          />
        </div>
        <div className="w-28">
          <TextField
            label="Service tier"
            placeholder="standard"
            maxLength={200}
            value={names.serviceTier}
            onChange={(event) => setNames({ ...names, serviceTier: event.target.value })}
          />
        </div>
        {FIELDS.map(([field, label]) => (
          <div key={field} className="w-36">
            <TextField
              label={label}
              type="number"
              min={0}
              step={1}
              required
              value={counts[field]}
              onChange={(event) => setCounts({ ...counts, [field]: event.target.valueAsNumber || 0 })}
            />
          </div>
        ))}
        <Button type="submit" look="primary" disabled={asking.isPending}>
          Ask
        </Button>
      </form>
      <div aria-live="polite" className="mt-3 flex flex-col gap-3 empty:hidden">
        {asking.error && <ProblemNotice error={asking.error} />}
        {asking.data && (
          <>
            <p>
              <strong className="text-lg font-semibold">
                {asking.data.costUsd === null ? 'Unpriced' : exactMoney(asking.data.costUsd)}
              </strong>{' '}
              <span className="text-ink-2">{asking.data.why}</span>
            </p>
            {asking.data.components.length > 0 && (
              <div className="rounded-md border">
                <Table
                  label="Parts of the cost"
                  numbersFrom={1}
                  head={['Part', 'Quantity', 'Price', 'Cost']}
                  rows={asking.data.components.map(lineOf).map(({ name, quantity, price, usd }) => ({
                    id: name,
                    cells: [name, count(quantity), price, exactMoney(usd)],
                  }))}
                />
              </div>
            )}
          </>
        )}
      </div>
    </Card>
  );
}
