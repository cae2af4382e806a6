// The columns of the traces list: what each shows, how wide, and which can be chosen.
import type { ReactNode } from 'react';
import type { TraceItem } from '../../api/telemetry.ts';
import { Count, Duration, Moment, Money, StatusMark, Tag } from '../../elements/figures.tsx';
import { fieldTerm } from '../../filters/filter.ts';
import { exactMoney } from '../../format/money.ts';

export interface Column {
  name: string;
  title: string;
  /** A track of CSS grid. */
  width: string;
  /** Least width in px, for the horizontal scroll. */
  least: number;
  right?: boolean;
  cell(item: TraceItem): ReactNode;
  /** The filter term that this cell stands for. */
  term?(item: TraceItem): string | undefined;
}

const None = () => <span className="text-ink-3">–</span>;

const fieldOf = (field: string, value: string | null): string | undefined =>
  value === null || value === '' ? undefined : fieldTerm(field, value);

/** In a list of one model or service: what its calls alone cost, with the whole trace beside it. */
function Cost({ item }: { item: TraceItem }) {
  if (item.matching_cost_usd === undefined) return <Money usd={item.cost_usd} priced={item.cost_priced_usd} />;
  return (
    <span title={`Of the whole trace: ${item.cost_usd === null ? 'unpriced' : exactMoney(item.cost_usd)}`}>
      <Money usd={item.matching_cost_usd} priced={item.matching_cost_priced_usd} />
    </span>
  );
}

export const COLUMNS: readonly Column[] = [
  { name: 'time', title: 'Time', width: '84px', least: 84, cell: (item) => <Moment iso={item.timestamp} /> },
  {
    name: 'status',
    title: 'Status',
    width: '72px',
    least: 72,
    cell: (item) => <StatusMark status={item.status} />,
    term: (item) => (item.status === 'error' ? 'error' : `status:${item.status}`),
  },
  {
    name: 'name',
    title: 'Name',
    width: 'minmax(80px, 1.1fr)',
    least: 80,
    cell: (item) => <span className="font-medium">{item.name}</span>,
  },
  {
    name: 'service',
    title: 'Service',
    width: 'minmax(100px, 0.8fr)',
    least: 100,
    cell: (item) => item.service_name,
    term: (item) => fieldOf('service', item.service_name),
  },
  {
    name: 'model',
    title: 'Model',
    width: 'minmax(110px, 0.8fr)',
    least: 110,
    cell: (item) => item.model ?? <None />,
    term: (item) => fieldOf('model', item.model),
  },
  {
    name: 'prompt',
    title: 'Prompt',
    width: 'minmax(160px, 1.8fr)',
    least: 160,
    cell: (item) => (item.prompt ? <span className="text-ink-2">{item.prompt}</span> : <None />),
  },
  {
    name: 'response',
    title: 'Response',
    width: 'minmax(160px, 1.8fr)',
    least: 160,
    cell: (item) => (item.response ? <span className="text-ink-2">{item.response}</span> : <None />),
  },
  {
    name: 'user',
    title: 'User',
    width: 'minmax(90px, 0.5fr)',
    least: 90,
    cell: (item) => item.user_id ?? <None />,
    term: (item) => fieldOf('user', item.user_id),
  },
  {
    name: 'session',
    title: 'Session',
    width: 'minmax(90px, 0.5fr)',
    least: 90,
    cell: (item) => item.session_id ?? <None />,
    term: (item) => fieldOf('session', item.session_id),
  },
  {
    name: 'tags',
    title: 'Tags',
    width: 'minmax(90px, 0.6fr)',
    least: 90,
    cell: (item) =>
      item.tags.length === 0 ? (
        <None />
      ) : (
        <span className="inline-flex gap-1">
          {item.tags.slice(0, 3).map((tag) => (
            <Tag key={tag}>{tag}</Tag>
          ))}
        </span>
      ),
  },
  {
    name: 'spans',
    title: 'Spans',
    width: '60px',
    least: 60,
    right: true,
    cell: (item) => <Count value={item.span_count} noun="spans" />,
  },
  {
    name: 'tokens',
    title: 'Tokens',
    width: '72px',
    least: 72,
    right: true,
    cell: (item) => (
      <span title={`${item.prompt_tokens} in, ${item.completion_tokens} out`}>
        <Count value={item.prompt_tokens + item.completion_tokens} noun="tokens" />
      </span>
    ),
  },
  {
    name: 'latency',
    title: 'Latency',
    width: '68px',
    least: 68,
    right: true,
    cell: (item) => <Duration ms={item.latency_ms} />,
  },
  {
    name: 'cost',
    title: 'Cost',
    width: '96px',
    least: 96,
    right: true,
    cell: (item) => <Cost item={item} />,
  },
];

const DEFAULT = ['time', 'status', 'name', 'service', 'model', 'prompt', 'spans', 'tokens', 'latency', 'cost'];
/** Beside an opened trace, and on a phone. */
const BESIDE = ['time', 'status', 'name', 'model', 'tokens', 'latency', 'cost'];
const NARROW = ['time', 'name', 'latency', 'cost'];

export type Room = 'wide' | 'beside' | 'narrow';
const FITTING: Record<Room, readonly string[]> = { wide: DEFAULT, beside: BESIDE, narrow: NARROW };

/** The columns that an address asks for, in their one order; unknown names are left out. */
export function chosenColumns(columns: string | undefined, room: Room): Column[] {
  const names = columns?.split(',') ?? FITTING[room];
  const chosen = COLUMNS.filter(({ name }) => names.includes(name));
  return chosen.length > 0 ? chosen : COLUMNS.filter(({ name }) => DEFAULT.includes(name));
}
