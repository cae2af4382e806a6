// Spans around the user's functions: trace for any step, traceLLM for a call of a model. What the function answers, throws,
// promises or streams comes through untouched.
import {
  context,
  SpanKind,
  SpanStatusCode,
  trace as otel,
  type Attributes,
  type Context,
  type Span,
} from '@opentelemetry/api';
import { textOf } from './context.ts';
import { newCall, sawInstrumentedCall, withCallMark } from './instrument/call.ts';
import { describeAnswer } from './instrument/answers.ts';
import { nameOf } from './notices.ts';
import { watchCall, type Watch } from './passthrough.ts';
import { runtime, type Runtime } from './runtime.ts';

/** Kind of a step → `gen_ai.operation.name`. */
const OPERATIONS = {
  agent: 'invoke_agent',
  workflow: 'invoke_workflow',
  tool: 'execute_tool',
  retrieval: 'retrieval',
  embeddings: 'embeddings',
} as const;
/** Where the name of the step stands, for kinds that have a name of their own. */
const NAMES: Partial<Record<StepKind, string>> = {
  agent: 'gen_ai.agent.name',
  workflow: 'gen_ai.workflow.name',
  tool: 'gen_ai.tool.name',
};

export type StepKind = keyof typeof OPERATIONS;

export interface TraceOptions {
  name?: string;
  /** What the step is; without it an ordinary span. */
  kind?: StepKind;
  /** What goes in: a text or anything that JSON can hold. */
  input?: unknown;
  tags?: readonly string[];
  metadata?: Readonly<Record<string, unknown>>;
  attributes?: Attributes;
}

export interface TraceLLMOptions extends Omit<TraceOptions, 'kind' | 'input'> {
  /** The provider as the conventions name it: `openai`, `anthropic`, … */
  system?: string;
  model?: string;
  /** A text, or messages as the provider takes them. */
  prompt?: unknown;
}

type Traced<T> = (span: Span) => T;

/** Runs `fn` in a span; answers what `fn` answers. */
export function trace<T>(name: string, fn: Traced<T>, options?: TraceOptions): T;
/** The older order of arguments. */
export function trace<T>(fn: Traced<T>, options?: TraceOptions): T;
export function trace<T>(first: string | Traced<T>, second?: Traced<T> | TraceOptions, third?: TraceOptions): T {
  const fn = typeof first === 'function' ? first : (second as Traced<T>);
  const options = typeof first === 'function' ? (second as TraceOptions | undefined) : third;
  const name = typeof first === 'string' ? first : (options?.name ?? fn.name) || 'trace';
  const active = runtime();
  if (active === undefined) return fn(noSpan());
  const span = active.notices.guard(() => startStep(active, name, options ?? {}));
  if (span === undefined) return fn(noSpan());
  return watchCall(() => fn(span), stepWatch(active, span, options ?? {}));
}

/** Runs `fn`, one call of a model, in a span with its prompt and, where the answer's shape is known, answer and usage. */
export function traceLLM<T>(fn: Traced<T>, options: TraceLLMOptions = {}): T {
  const active = runtime();
  if (active === undefined) return fn(noSpan());
  const span = active.notices.guard(() => startLlm(active, options));
  if (span === undefined) return fn(noSpan());
  return watchCall(() => fn(span), llmWatch(active, span, options));
}

function noSpan(): Span {
  return otel.wrapSpanContext({ traceId: '0'.repeat(32), spanId: '0'.repeat(16), traceFlags: 0 });
}

function startStep({ tracer, settings }: Runtime, name: string, options: TraceOptions): Span {
  const attributes: Attributes = { ...options.attributes, ...describe(options) };
  if (options.kind !== undefined) {
    attributes['gen_ai.operation.name'] = OPERATIONS[options.kind];
    const key = NAMES[options.kind];
    if (key !== undefined) attributes[key] = name;
  }
  if (options.input !== undefined && settings.captureContent) Object.assign(attributes, inputOf(options));
  return tracer.startSpan(name, { kind: SpanKind.INTERNAL, attributes });
}

function inputOf({ kind, input }: TraceOptions): Attributes {
  if (kind === 'tool') return { 'gen_ai.tool.call.arguments': textOf(input) };
  if (kind === 'retrieval') return { 'gen_ai.retrieval.query.text': textOf(input) };
  return {
    'gen_ai.input.messages': JSON.stringify([{ role: 'user', parts: [{ type: 'text', content: textOf(input) }] }]),
  };
}

function outputOf(kind: StepKind | undefined, value: unknown): Attributes {
  if (kind === 'tool') return { 'gen_ai.tool.call.result': textOf(value) };
  if (kind === 'retrieval') return { 'gen_ai.retrieval.documents': textOf(value) };
  return {
    'gen_ai.output.messages': JSON.stringify([
      { role: 'assistant', parts: [{ type: 'text', content: textOf(value) }] },
    ]),
  };
}

function startLlm({ tracer, settings }: Runtime, options: TraceLLMOptions): Span {
  const attributes: Attributes = { ...options.attributes, ...describe(options) };
  if (options.system !== undefined) attributes['gen_ai.provider.name'] = options.system;
  if (options.model !== undefined) attributes['gen_ai.request.model'] = options.model;
  if (options.prompt !== undefined && settings.captureContent) {
    const { prompt } = options;
    attributes['gen_ai.input.messages'] =
      typeof prompt === 'string'
        ? JSON.stringify([{ role: 'user', parts: [{ type: 'text', content: prompt }] }])
        : textOf(prompt);
  }
  return tracer.startSpan(options.name ?? 'llm', { kind: SpanKind.CLIENT, attributes });
}

export function describe({ tags, metadata }: TraceOptions): Attributes {
  return {
    ...(tags === undefined ? {} : { 'lumina.tags': [...tags] }),
    ...(metadata === undefined ? {} : { 'lumina.metadata': textOf(metadata) }),
  };
}

/** A span ends once, whatever its watch hears afterwards. */
function watchOf(
  active: Runtime,
  span: Span,
  inside: Context,
  on: { item?: (item: unknown) => void; value?: (value: unknown) => void; last: () => void },
): Watch {
  let isOver = false;
  const end = (last: () => void): void => {
    if (isOver) return;
    isOver = true;
    active.notices.guard(last);
    active.notices.guard(() => on.last());
    span.end();
  };
  return {
    context: inside,
    onItem: (item) => void active.notices.guard(() => on.item?.(item)),
    onValue: (value) => end(() => on.value?.(value)),
    onError: (error) => end(() => fail(span, error)),
    onEnd: () => end(() => undefined),
  };
}

function stepWatch(active: Runtime, span: Span, options: TraceOptions): Watch {
  const inside = otel.setSpan(context.active(), span);
  // an ordinary span says nothing of its answer; a step that was given an input or a kind does
  const isTold = active.settings.captureContent && (options.kind !== undefined || options.input !== undefined);
  const texts: string[] = [];
  return watchOf(active, span, inside, {
    item: (item) => void (isTold && typeof item === 'string' && texts.push(item)),
    value: (value) => {
      if (isTold && value !== undefined) span.setAttributes(outputOf(options.kind, value));
    },
    last: () => void (texts.length > 0 && span.setAttributes(outputOf(options.kind, texts.join('')))),
  });
}

function llmWatch(active: Runtime, span: Span, options: TraceLLMOptions): Watch {
  const mark = newCall();
  const inside = withCallMark(otel.setSpan(context.active(), span), mark);
  const answer = describeAnswer(active.settings.captureContent);
  return watchOf(active, span, inside, {
    item: (item) => answer.add(item),
    value: (value) => answer.whole(value),
    last: () => {
      // the instrumented client inside tells usage and cost: one call is told, and billed, once
      const isWrapper = sawInstrumentedCall(mark);
      span.setAttributes(isWrapper ? answer.content() : { ...answer.content(), ...answer.usage() });
      span.setAttribute('gen_ai.operation.name', isWrapper ? 'invoke_workflow' : 'chat');
      if (isWrapper && options.name !== undefined) span.setAttribute('gen_ai.workflow.name', options.name);
    },
  });
}

/** The error as the conventions tell it; its message may hold secrets, which the redaction takes out before it is sent. */
export function fail(span: Span, error: unknown): void {
  const { name, message, status, code } = (error ?? {}) as {
    name?: unknown;
    message?: unknown;
    status?: unknown;
    code?: unknown;
  };
  const type = typeof status === 'number' ? String(status) : typeof code === 'string' ? code : name;
  span.setAttribute('error.type', typeof type === 'string' && type !== '' ? type : '_OTHER');
  span.setStatus({ code: SpanStatusCode.ERROR, message: typeof message === 'string' ? message : nameOf(error) });
  if (error instanceof Error) span.recordException(error);
}
