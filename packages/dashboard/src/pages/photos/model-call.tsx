// The model call that made a photo, for those who may read traces: model, prompt, tokens, cost, and the way to its trace.
import { useQuery } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import type { ReactNode } from 'react';
import { ApiError } from '../../api/client.ts';
import { callBehind } from '../../api/photo-call.ts';
import type { PhotoDetail } from '../../api/photos.ts';
import { spanQuery, traceQuery, type TraceOutline } from '../../api/trace.ts';
import { Count, Duration, Moment, Money } from '../../elements/figures.tsx';
import { ProblemNotice } from '../../elements/notice.tsx';
import { Card } from '../../elements/page.tsx';
import { SkeletonRows } from '../../elements/skeleton.tsx';

const PROMPT_CHARACTERS = 280;

/** Nothing for a photo without a model call, and for who may not read traces: the server then names none. */
export function ModelCall({ photo: { traceId, spanId } }: { photo: PhotoDetail }) {
  if (!traceId) return null;
  return <Call traceId={traceId} spanId={spanId ?? null} />;
}

function Call({ traceId, spanId }: { traceId: string; spanId: string | null }) {
  const trace = useQuery(traceQuery(traceId));
  const isGone = trace.error instanceof ApiError && trace.error.status === 404;
  return (
    <Card title="Made by a model" note={trace.data && <Moment iso={trace.data.timestamp} />}>
      {isGone && (
        <p className="text-ink-2">
          The trace is not here (any more): its time of retention may have passed, or its spans never came.
        </p>
      )}
      {trace.error && !isGone && <ProblemNotice error={trace.error} retry={() => void trace.refetch()} />}
      {trace.isPending && !trace.error && <SkeletonRows rows={4} />}
      {trace.data && <Told trace={trace.data} spanId={spanId} />}
    </Card>
  );
}

function Told({ trace, spanId }: { trace: TraceOutline; spanId: string | null }) {
  const call = callBehind(trace.spans, spanId);
  return (
    <div className="flex flex-col gap-3">
      {call === undefined ? (
        <p className="text-ink-2">
          {spanId === null ? 'The photo names the trace, not the span.' : 'The span did not come (yet).'} The figures
          are the whole trace’s.
        </p>
      ) : (
        <Prompt traceId={trace.trace_id} spanId={call.span_id} />
      )}
      <dl className="grid gap-x-4 gap-y-1.5 sm:grid-cols-[150px_minmax(0,1fr)]">
        <Fact name="Model">{call?.model ?? trace.model ?? 'unknown'}</Fact>
        <Fact name="Service">{call?.service_name ?? trace.service_name}</Fact>
        <Fact name="Tokens">
          <Count value={call?.prompt_tokens ?? (call ? 0 : trace.prompt_tokens)} noun="tokens in" /> in,{' '}
          <Count value={call?.completion_tokens ?? (call ? 0 : trace.completion_tokens)} noun="tokens out" /> out
        </Fact>
        <Fact name="Cost">
          <Cost trace={trace} call={call} />
        </Fact>
        <Fact name="Took">
          <Duration ms={call === undefined ? trace.latency_ms : tookMs(call)} />
        </Fact>
      </dl>
      <p>
        <Link
          to="/traces/$traceId"
          params={{ traceId: trace.trace_id }}
          search={spanId === null ? {} : { span: spanId }}
          className="text-accent underline"
        >
          Open the call in its trace
        </Link>
      </p>
    </div>
  );
}

function Cost({ trace, call }: { trace: TraceOutline; call: TraceOutline['spans'][number] | undefined }) {
  if (call === undefined) return <Money usd={trace.cost_usd} priced={trace.cost_priced_usd} />;
  if (call.billable !== true) return <span className="text-ink-2">not a billed call</span>;
  return <Money usd={call.cost_usd ?? null} />;
}

const tookMs = ({ start_ns, end_ns }: { start_ns: string; end_ns: string }): number =>
  Number((BigInt(end_ns) - BigInt(start_ns)) / 1_000n) / 1_000;

/** Only its beginning: the whole of it stands in the trace. */
function Prompt({ traceId, spanId }: { traceId: string; spanId: string }) {
  const { data, error } = useQuery(spanQuery(traceId, spanId));
  if (error) return <p className="text-ink-2">The prompt could not be read.</p>;
  if (data === undefined) return <SkeletonRows rows={1} />;
  if (data.prompt === null) return <p className="text-ink-2">The span holds no prompt.</p>;
  const { prompt } = data;
  const shown = prompt.length > PROMPT_CHARACTERS ? `${prompt.slice(0, PROMPT_CHARACTERS)}…` : prompt;
  return <blockquote className="border-l-2 border-accent pl-3 break-words whitespace-pre-wrap">{shown}</blockquote>;
}

function Fact({ name, children }: { name: string; children: ReactNode }) {
  return (
    <>
      <dt className="text-ink-3">{name}</dt>
      <dd className="min-w-0">{children}</dd>
    </>
  );
}
