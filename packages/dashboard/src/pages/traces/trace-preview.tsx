// The opened trace beside the list: its figures, prompt and answer as the list knows them; the page is one key away.
import { useQuery } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import { ArrowUpRight, X } from 'lucide-react';
import type { ReactNode } from 'react';
import type { TraceItem } from '../../api/telemetry.ts';
import { traceQuery } from '../../api/trace.ts';
import { IconButton } from '../../elements/button.tsx';
import { ShortId } from '../../elements/copy.tsx';
import { Count, Duration, Moment, Money, StatusMark, Tag } from '../../elements/figures.tsx';
import { ProblemNotice } from '../../elements/notice.tsx';
import { SkeletonRows } from '../../elements/skeleton.tsx';
import { fieldTerm } from '../../filters/filter.ts';

interface TracePreviewProps {
  traceId: string;
  /** The list's own row; a trace that came by address alone is fetched. */
  item: TraceItem | undefined;
  onClose(): void;
  onTerm(term: string): void;
}

export function TracePreview({ traceId, item, onClose, onTerm }: TracePreviewProps) {
  const fetched = useQuery({ ...traceQuery(traceId), enabled: item === undefined });
  const trace = item ?? fetched.data;
  return (
    <aside
      aria-label="Opened trace"
      className="scroll-quiet flex w-full shrink-0 flex-col overflow-y-auto border-l bg-surface md:w-[400px]"
    >
      <div className="sticky top-0 z-10 flex h-10 shrink-0 items-center gap-2 border-b bg-surface pr-1 pl-4">
        <h2 className="min-w-0 flex-1 truncate font-semibold">{trace?.name ?? 'Trace'}</h2>
        <Link
          to="/traces/$traceId"
          params={{ traceId }}
          className="inline-flex h-8 items-center gap-1 rounded-md px-2 font-medium text-accent hover:bg-hover"
        >
          Open <ArrowUpRight size={14} aria-hidden />
        </Link>
        <IconButton label="Close (Esc)" onClick={onClose}>
          <X size={16} />
        </IconButton>
      </div>
      {fetched.error && trace === undefined && (
        <div className="p-4">
          <ProblemNotice error={fetched.error} retry={() => void fetched.refetch()} />
        </div>
      )}
      {fetched.isLoading && trace === undefined && <SkeletonRows rows={6} />}
      {trace && <Body trace={trace} onTerm={onTerm} />}
    </aside>
  );
}

function Body({ trace, onTerm }: { trace: TraceItem; onTerm: (term: string) => void }) {
  const value = (field: string, text: string | null): ReactNode =>
    text === null || text === '' ? (
      <span className="text-ink-3">not given</span>
    ) : (
      <button
        type="button"
        className="truncate text-left text-accent hover:underline"
        title={`Filter by ${fieldTerm(field, text)}`}
        onClick={() => onTerm(fieldTerm(field, text))}
      >
        {text}
      </button>
    );
  return (
    <div className="flex flex-col gap-4 p-4">
      <dl className="grid grid-cols-3 gap-x-3 gap-y-2">
        <Figure name="Cost">
          <Money usd={trace.cost_usd} priced={trace.cost_priced_usd} />
        </Figure>
        <Figure name="Latency">
          <Duration ms={trace.latency_ms} />
        </Figure>
        <Figure name="Status">
          <StatusMark status={trace.status} />
        </Figure>
        <Figure name="Tokens in">
          <Count value={trace.prompt_tokens} noun="tokens" />
        </Figure>
        <Figure name="Tokens out">
          <Count value={trace.completion_tokens} noun="tokens" />
        </Figure>
        <Figure name="Spans">
          <Count value={trace.span_count} noun="spans" />
        </Figure>
      </dl>
      <Passage name="Prompt" text={trace.prompt} />
      <Passage name="Response" text={trace.response} />
      <dl className="grid grid-cols-[76px_1fr] items-center gap-y-1">
        <dt className="text-xs text-ink-3">Service</dt>
        <dd className="flex min-w-0">{value('service', trace.service_name)}</dd>
        <dt className="text-xs text-ink-3">Model</dt>
        <dd className="flex min-w-0">{value('model', trace.model)}</dd>
        <dt className="text-xs text-ink-3">User</dt>
        <dd className="flex min-w-0">{value('user', trace.user_id)}</dd>
        <dt className="text-xs text-ink-3">Session</dt>
        <dd className="flex min-w-0">{value('session', trace.session_id)}</dd>
        <dt className="text-xs text-ink-3">Tags</dt>
        <dd className="flex min-w-0 flex-wrap gap-1">
          {trace.tags.length === 0 && <span className="text-ink-3">none</span>}
          {trace.tags.map((tag) => (
            <button
              key={tag}
              type="button"
              title={`Filter by ${fieldTerm('tag', tag)}`}
              onClick={() => onTerm(fieldTerm('tag', tag))}
            >
              <Tag>{tag}</Tag>
            </button>
          ))}
        </dd>
        <dt className="text-xs text-ink-3">Started</dt>
        <dd>
          <Moment iso={trace.timestamp} />
        </dd>
        <dt className="text-xs text-ink-3">Trace id</dt>
        <dd>
          <ShortId id={trace.trace_id} label="trace id" length={16} />
        </dd>
      </dl>
    </div>
  );
}

function Figure({ name, children }: { name: string; children: ReactNode }) {
  return (
    <div>
      <dt className="text-xs text-ink-3">{name}</dt>
      <dd className="text-md font-medium">{children}</dd>
    </div>
  );
}

function Passage({ name, text }: { name: string; text: string | null }) {
  return (
    <section>
      <h3 className="mb-1 text-xs text-ink-3">{name}</h3>
      {text ? (
        <p className="rounded-md border bg-sunken p-2.5 whitespace-pre-wrap break-words">{text}</p>
      ) : (
        <p className="text-ink-3">No text was sent with this trace.</p>
      )}
    </section>
  );
}
