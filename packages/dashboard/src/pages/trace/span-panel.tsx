// The chosen span: its figures, and tabs for what was said, what it cost, and everything that was sent.
import { useQuery } from '@tanstack/react-query';
import { Tabs } from 'radix-ui';
import type { ReactNode } from 'react';
import { spanQuery, type SpanItem } from '../../api/trace.ts';
import { CopyButton, ShortId } from '../../elements/copy.tsx';
import { Duration, Money, StatusMark } from '../../elements/figures.tsx';
import { JsonView } from '../../elements/json-view.tsx';
import { ProblemNotice } from '../../elements/notice.tsx';
import { SkeletonRows } from '../../elements/skeleton.tsx';
import { SPAN_TABS, type SpanTab } from '../../routes.tsx';
import type { Row } from '../../waterfall/rows.ts';
import { TAB } from '../connect-lines.tsx';
import { AttributesTab } from './attributes-tab.tsx';
import { CostTab } from './cost-tab.tsx';
import { EventsTab } from './events-tab.tsx';
import { KINDS, KindIcon } from './kinds.tsx';
import { MessagesTab } from './messages-tab.tsx';
import { SpanScores } from './scores.tsx';
import { SpanPhotos } from './span-photos.tsx';

const TITLES: Record<SpanTab, string> = {
  messages: 'Messages',
  cost: 'Cost',
  attributes: 'Attributes',
  events: 'Events',
  raw: 'Raw',
};

const CONTENT: Record<SpanTab, (props: { span: SpanItem }) => ReactNode> = {
  messages: MessagesTab,
  cost: CostTab,
  attributes: AttributesTab,
  events: EventsTab,
  raw: RawTab,
};

interface SpanPanelProps {
  traceId: string;
  row: Row;
  /** Undefined: where the span says something. */
  tab: SpanTab | undefined;
  onTab(tab: SpanTab): void;
}

export function SpanPanel({ traceId, row, tab: asked, onTab }: SpanPanelProps) {
  const { span: shown } = row;
  const { data: span, error, refetch } = useQuery(spanQuery(traceId, shown.span_id));
  const tab = asked ?? (span === undefined ? 'messages' : tabWorthReading(span));
  const counts: Partial<Record<SpanTab, number>> = {
    events: span?.events?.length ?? 0,
    attributes: Object.keys(span?.attributes ?? {}).length,
  };
  return (
    <aside
      aria-label="Chosen span"
      className="flex h-1/2 w-full shrink-0 flex-col border-t bg-surface lg:h-auto lg:w-[420px] lg:border-t-0 lg:border-l xl:w-[460px]"
    >
      <header className="flex flex-col gap-1 px-4 pt-3 pb-2">
        <h2 className="flex items-center gap-2 font-semibold">
          <KindIcon kind={row.kind} size={16} />
          <span className="truncate">{shown.name}</span>
        </h2>
        <p className="flex flex-wrap items-center gap-x-3 text-xs text-ink-2">
          <span>{KINDS[row.kind].word}</span>
          <StatusMark status={shown.status} />
          <span>
            <Duration ms={shown.latency_ms} />, <Duration ms={row.selfMs} /> by itself
          </span>
          {shown.billable && <Money usd={shown.cost_usd} />}
          <ShortId id={shown.span_id} label="span id" length={16} />
        </p>
        {span && <Failure span={span} />}
        {span && <SpanScores scores={span.scores} />}
        {span?.issues.map((issue) => (
          <p key={issue} className="text-xs text-warn">
            {issue}
          </p>
        ))}
        <SpanPhotos traceId={traceId} spanId={shown.span_id} span={span} />
      </header>
      <Tabs.Root value={tab} onValueChange={(next) => onTab(next as SpanTab)} className="flex min-h-0 flex-1 flex-col">
        <Tabs.List aria-label="About the span" className="scroll-quiet flex shrink-0 overflow-x-auto border-b px-2">
          {SPAN_TABS.map((name) => (
            <Tabs.Trigger key={name} value={name} className={TAB}>
              {TITLES[name]}
              {(counts[name] ?? 0) > 0 && <span className="ml-1 text-xs text-ink-3">{counts[name]}</span>}
            </Tabs.Trigger>
          ))}
        </Tabs.List>
        {SPAN_TABS.map((name) => {
          const Content = CONTENT[name];
          return (
            <Tabs.Content
              key={name}
              value={name}
              className="scroll-quiet min-h-0 flex-1 overflow-y-auto p-4 -outline-offset-2"
            >
              {span && <Content span={span} />}
              {error && (
                <ProblemNotice error={error} retry={() => void refetch()} title="The span could not be read." />
              )}
              {span === undefined && !error && <SkeletonRows rows={6} />}
            </Tabs.Content>
          );
        })}
      </Tabs.Root>
    </aside>
  );
}

// a span without messages opens where it says something
function tabWorthReading({ messages, events }: SpanItem): SpanTab {
  if (messages !== null && messages.input.length + messages.output.length > 0) return 'messages';
  return (events?.length ?? 0) > 0 ? 'events' : 'attributes';
}

function Failure({ span }: { span: SpanItem }) {
  if (span.status !== 'error') return null;
  return (
    <p className="rounded-md bg-error-wash px-2.5 py-1.5 break-words">
      {span.error_type && <code className="mr-2 font-mono text-xs text-error">{span.error_type}</code>}
      {span.status_message || 'The span ended with an error and gave no message.'}
    </p>
  );
}

function RawTab({ span }: { span: SpanItem }) {
  return (
    <div className="relative">
      <CopyButton
        text={JSON.stringify(span, null, 2)}
        label="Copy the span as JSON"
        className="absolute top-0 right-0"
      />
      <JsonView value={span} />
    </div>
  );
}
