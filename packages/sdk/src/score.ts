// A judgement of a span: by a person, by a rule, by another model. Sent as the log record that the GenAI conventions name
// for it, gen_ai.evaluation.result.
import type { Attributes } from '@opentelemetry/api';
import { activeSpan } from './context.ts';
import { runtime } from './runtime.ts';

export interface Score {
  /** What is judged: `helpfulness`, `correct`, … */
  name: string;
  /** A number, or true (1) and false (0). */
  value?: number | boolean;
  /** A word for it: `good`, `refused`, … */
  label?: string;
  explanation?: string;
  /** Ids of the judged span; without them the span in which the caller runs. */
  trace_id?: string;
  span_id?: string;
}

/** Records a score. Without a span to put it on, it is told once and not sent. Never throws. */
export function score(given: Score): void {
  const active = runtime();
  if (active === undefined) return;
  active.notices.guard(() => {
    const inside = activeSpan();
    const traceId = given.trace_id ?? inside?.traceId;
    const spanId = given.span_id ?? (given.trace_id === undefined ? inside?.spanId : undefined);
    const why = refusal(given, traceId, spanId);
    if (why !== undefined) {
      active.notices.counts.scores_dropped++;
      active.notices.once(`score: ${why}`, `a score was not sent: ${why}.`);
      return;
    }
    active.sender.addScore({
      timeMs: Date.now(),
      traceId: traceId ?? '',
      spanId: spanId ?? '',
      attributes: attributesOf(given),
    });
  });
}

function refusal(given: Score, traceId: string | undefined, spanId: string | undefined): string | undefined {
  if (typeof given.name !== 'string' || given.name === '') return 'it has no name';
  if (given.value === undefined && given.label === undefined) return 'it has neither a value nor a label';
  if (given.value !== undefined && !Number.isFinite(Number(given.value))) return 'its value is no finite number';
  if (traceId === undefined || !/^[0-9a-f]{32}$/i.test(traceId)) return 'there is no trace to put it on';
  if (spanId !== undefined && !/^[0-9a-f]{16}$/i.test(spanId)) return 'its span_id is none';
  return undefined;
}

function attributesOf({ name, value, label, explanation }: Score): Attributes {
  return {
    'gen_ai.evaluation.name': name,
    ...(value === undefined ? {} : { 'gen_ai.evaluation.score.value': Number(value) }),
    ...(label === undefined ? {} : { 'gen_ai.evaluation.score.label': label }),
    ...(explanation === undefined ? {} : { 'gen_ai.evaluation.explanation': explanation }),
  };
}
