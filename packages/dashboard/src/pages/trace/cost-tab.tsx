// What a span cost and why: each kind of token once, as one stacked bar with its prices and where they come from.
import type { UnpricedReason } from '@lumatrace/telemetry';
import { Link } from '@tanstack/react-router';
import { CircleHelp } from 'lucide-react';
import type { SpanItem } from '../../api/trace.ts';
import { Swatch } from '../../charts/time-chart.tsx';
import { Money } from '../../elements/figures.tsx';
import { Empty } from '../../elements/notice.tsx';
import { Table } from '../../elements/table.tsx';
import { addDecimals } from '../../format/decimal.ts';
import { exactMoney } from '../../format/money.ts';
import { count } from '../../format/number.ts';
import { lineOf, type BillLine } from './bill.ts';

const REASONS: Record<UnpricedReason | 'implausible', string> = {
  no_model: 'The span names no model.',
  no_usage: 'The span names a model but no tokens.',
  unknown_provider: 'The price table does not know this provider.',
  unknown_model: 'The price table does not know this model.',
  unknown_service_tier: 'The price table has no price for this service tier.',
  no_price: 'The price table names this model without a price.',
  ambiguous_usage: 'The token counts contradict one another.',
  too_many_models: 'More new names of models arrived than the patterns of the price overrides were tried on in time.',
  implausible: 'The price came out larger than any call can cost.',
};

export function CostTab({ span }: { span: SpanItem }) {
  const lines = (span.cost_components ?? []).map(lineOf);
  if (span.cost_usd === null) return <Unpriced span={span} />;
  if (span.repeats) return <Repeats span={span} repeats={span.repeats} />;
  if (!span.billable) {
    return (
      <Empty title="This span costs nothing by itself">
        <p>Only model calls are billed, each once; the trace’s cost is the sum of theirs.</p>
      </Empty>
    );
  }
  return (
    <div className="flex flex-col gap-4">
      <p className="text-lg font-semibold">
        {exactMoney(span.cost_usd)} <span className="text-xs font-normal text-ink-3">exactly</span>
      </p>
      {lines.length > 0 && <StackedBar lines={lines} />}
      {lines.length > 0 && <Bill lines={lines} />}
      <dl className="grid grid-cols-[auto_1fr] gap-x-4 gap-y-1">
        <dt className="text-ink-3">Tokens in</dt>
        <dd>{count(span.prompt_tokens)}, cached ones included</dd>
        <dt className="text-ink-3">Tokens out</dt>
        <dd>{count(span.completion_tokens)}, reasoning included</dd>
        <dt className="text-ink-3">Prices from</dt>
        <dd>
          {span.price_version ?? 'not told'}
          {span.priced_as && `: ${span.priced_as.provider || 'any provider'}, ${span.priced_as.model}`}
          {span.priced_as?.override_id !== undefined && (
            <>
              ,{' '}
              <Link to="/settings/$section" params={{ section: 'prices' }} className="text-accent underline">
                your price
              </Link>
            </>
          )}
        </dd>
        {span.client_cost_usd && <ClientCost ours={span.cost_usd} theirs={span.client_cost_usd} />}
      </dl>
    </div>
  );
}

const REPEATS: Record<string, string> = {
  same_response: 'Another span carries the same response id: both describe one call.',
  same_usage: 'Another span of the same call reports the same tokens.',
  sum_of_calls: 'Its tokens are the sum of the calls inside it, which are billed one by one.',
  wrapper: 'It is the outer span of a library around its own calls, which are billed one by one.',
  told_inside: 'It reports no tokens; a call of the same model inside it does.',
  told_outside: 'It reports no tokens; the span around it does.',
};

function Repeats({ span, repeats }: { span: SpanItem; repeats: NonNullable<SpanItem['repeats']> }) {
  return (
    <Empty title="Not billed: repeats another span">
      <p>{REPEATS[repeats.reason] ?? 'Another span describes the same call.'}</p>
      <p>
        Billed is{' '}
        <Link
          from="/traces/$traceId"
          to="."
          search={(before) => ({ ...before, span: repeats.span_id })}
          className="text-accent underline"
        >
          span <code className="font-mono text-xs">{repeats.span_id}</code>
        </Link>
        .
      </p>
      <p>
        {count(span.prompt_tokens)} tokens in, {count(span.completion_tokens)} out are counted there, not here.
      </p>
      {span.client_cost_usd && <p>The client says {exactMoney(span.client_cost_usd)}.</p>}
    </Empty>
  );
}

/** What the client says beside ours, and how far it is from it: theirs − ours, exactly and in per cent. */
function ClientCost({ ours, theirs }: { ours: string; theirs: string }) {
  const difference = addDecimals([theirs, ours === '0' ? '0' : `-${ours}`]);
  return (
    <>
      <dt className="text-ink-3">Told by the client</dt>
      <dd>
        {exactMoney(theirs)}{' '}
        {difference === '0' ? (
          <span className="text-ink-3">the same</span>
        ) : (
          <span className="text-warn">
            {difference.startsWith('-') ? '' : '+'}
            {exactMoney(difference)}
            {shareOf(difference, ours)}
          </span>
        )}
      </dd>
    </>
  );
}

function shareOf(difference: string, ours: string): string {
  const percent = (Number(difference) / Number(ours)) * 100;
  return Number.isFinite(percent) ? ` (${percent > 0 ? '+' : '−'}${Math.abs(percent).toFixed(1)} %)` : '';
}

function Unpriced({ span }: { span: SpanItem }) {
  return (
    <Empty icon={<CircleHelp size={24} />} title="Unpriced">
      <p>
        {REASONS[span.unpriced_reason as keyof typeof REASONS] ?? 'No price is known for this call.'} It is left out of
        sums and counted as unpriced there, never as 0.
      </p>
      <p>
        {count(span.prompt_tokens)} tokens in, {count(span.completion_tokens)} out
        {span.model && (
          <>
            {' '}
            of <code className="font-mono text-xs">{span.model}</code>
          </>
        )}
      </p>
      {span.client_cost_usd && <p>The client says {exactMoney(span.client_cost_usd)}.</p>}
    </Empty>
  );
}

function StackedBar({ lines }: { lines: BillLine[] }) {
  const total = lines.reduce((sum, { usd }) => sum + Number(usd), 0);
  return (
    <div
      className="flex h-4 gap-px overflow-hidden rounded-sm"
      role="img"
      aria-label="Parts of the cost; the table below holds the figures."
    >
      {lines.map(({ name, usd, token }) => (
        <span
          key={name}
          title={`${name}: ${exactMoney(usd)}`}
          style={{
            width: `${total === 0 ? 100 / lines.length : (Number(usd) / total) * 100}%`,
            background: `var(--${token})`,
          }}
        />
      ))}
    </div>
  );
}

function Bill({ lines }: { lines: BillLine[] }) {
  return (
    <div className="rounded-md border">
      <Table
        label="Parts of the cost"
        numbersFrom={1}
        head={['Part', 'Quantity', 'Price', 'Cost']}
        rows={lines.map(({ name, quantity, price, usd, token }) => ({
          id: name,
          cells: [
            <span key="name" className="inline-flex items-center gap-2">
              <Swatch token={token} />
              {name}
            </span>,
            count(quantity),
            price,
            <Money key="cost" usd={usd} />,
          ],
        }))}
      />
    </div>
  );
}
