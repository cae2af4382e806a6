// Instruments the official clients of OpenAI and Anthropic in place: the client, its promises and its streams stay the very
// objects that they were. A client object, or the class for every client that will be made.
import { context, SpanKind, trace as otel, type Attributes, type Span } from '@opentelemetry/api';
import { isApiPromise, watchApiPromise, watchResult, type Watch } from '../passthrough.ts';
import { runtime, type Runtime } from '../runtime.ts';
import { fail } from '../trace.ts';
import { describeAnswer } from './answers.ts';
import { markCall } from './call.ts';
import { at, isRecord, type Fields } from './fields.ts';
import {
  anthropicContent,
  chatContent,
  parametersOf,
  promptContent,
  responsesContent,
  type ReadContent,
} from './requests.ts';

interface Target {
  /** Members from the client to the resource. */
  path: readonly string[];
  /** Static members from the class of the client to the class of the resource. */
  statics: readonly string[];
  method: string;
  operation: string;
  provider: 'openai' | 'anthropic';
  content: ReadContent;
}

const TARGETS: readonly Target[] = [
  target('openai', 'chat', ['chat', 'completions'], ['Chat', 'Completions'], 'create', chatContent),
  target('openai', 'chat', ['responses'], ['Responses'], 'create', responsesContent),
  target('openai', 'embeddings', ['embeddings'], ['Embeddings'], 'create', promptContent),
  target('openai', 'text_completion', ['completions'], ['Completions'], 'create', promptContent),
  target('openai', 'generate_content', ['images'], ['Images'], 'generate', promptContent),
  target('openai', 'generate_content', ['images'], ['Images'], 'edit', promptContent),
  target('anthropic', 'chat', ['messages'], ['Messages'], 'create', anthropicContent),
  target('anthropic', 'chat', ['beta', 'messages'], ['Beta', 'Messages'], 'create', anthropicContent),
];

function target(
  provider: Target['provider'],
  operation: string,
  path: readonly string[],
  statics: readonly string[],
  method: string,
  content: ReadContent,
): Target {
  return { provider, operation, path, statics, method, content };
}

/** Ends of hosts that speak the OpenAI API → provider, as the conventions name it. */
const HOSTS: readonly (readonly [end: string, provider: string])[] = [
  ['.openai.azure.com', 'azure.ai.openai'],
  ['.services.ai.azure.com', 'azure.ai.inference'],
  ['api.groq.com', 'groq'],
  ['api.deepseek.com', 'deepseek'],
  ['api.mistral.ai', 'mistral_ai'],
  ['api.x.ai', 'x_ai'],
  ['api.perplexity.ai', 'perplexity'],
  ['generativelanguage.googleapis.com', 'gcp.gemini'],
  ['openrouter.ai', 'openrouter'],
];

const INSTRUMENTED = Symbol.for('@lumatrace/sdk instrumented');

type Method = (this: unknown, ...given: unknown[]) => unknown;

/**
 * Records every call of a model that the client makes, and returns the client. Give a client, or the class itself
 * (`instrument(OpenAI)`) for all its clients. Twice is once; what is no such client is told once and returned as it is.
 * Order does not matter: calls are recorded while the SDK runs.
 */
export function instrument<T extends object>(client: T): T {
  try {
    const found = typeof client === 'function' ? patchClass(client) : patchClient(client);
    if (found === 0) tellUnknown();
  } catch {
    tellUnknown();
  }
  return client;
}

function tellUnknown(): void {
  runtime()?.notices.once(
    'instrument',
    'instrument() expected a client of openai or @anthropic-ai/sdk; it is left as it is.',
  );
}

function patchClient(client: object): number {
  const isOpenAi = at(client, 'chat', 'completions') !== undefined;
  const targets = TARGETS.filter(({ provider }) => (provider === 'openai') === isOpenAi);
  const found = targets.filter(({ path, method, ...rest }) =>
    patch(at(client, ...path), method, { path, method, ...rest }),
  );
  const original = (client as Fields)['withOptions'] as Method | undefined;
  if (found.length > 0 && typeof original === 'function' && !isInstrumented(original)) {
    define(client, 'withOptions', function (this: unknown, ...given) {
      return instrument(original.apply(this, given) as object);
    });
  }
  return found.length;
}

function patchClass(type: object): number {
  const statics = type as unknown as Fields;
  const isOpenAi = statics['Chat'] !== undefined;
  const targets = TARGETS.filter(({ provider }) => (provider === 'openai') === isOpenAi);
  return targets.filter((each) => patch(staticAt(type, each.statics), each.method, each)).length;
}

/** Classes are functions: `at` looks into objects alone. */
function staticAt(type: unknown, path: readonly string[]): unknown {
  let found = type as Fields | undefined;
  for (const key of path) found = found?.[key] as Fields | undefined;
  return found?.['prototype'];
}

/** Whether there is such a method, patched now or before. */
function patch(resource: unknown, method: string, how: Target): boolean {
  const original = at(resource, method) as Method | undefined;
  if (typeof original !== 'function') return false;
  if (isInstrumented(original)) return true;
  define(resource as object, method, function (this: unknown, ...given) {
    const active = runtime();
    if (active === undefined || isSuppressed(given)) return original.apply(this, given);
    const span = active.notices.guard(() => startCall(active, how, this, given[0]));
    if (span === undefined) return original.apply(this, given);
    const watch = callWatch(active, span);
    return callOriginal(() => original.apply(this, given), watch);
  });
  return true;
}

function isInstrumented(method: object): boolean {
  return INSTRUMENTED in method;
}

function define(target_: object, name: string, method: Method): void {
  Object.defineProperty(method, INSTRUMENTED, { value: true });
  Object.defineProperty(method, 'name', { value: name });
  Object.defineProperty(target_, name, { value: method, writable: true, configurable: true, enumerable: false });
}

/** A request that is not one: the client will say so. */
function isSuppressed(given: readonly unknown[]): boolean {
  return !isRecord(given[0]);
}

function callOriginal(call: () => unknown, watch: Watch): unknown {
  let result: unknown;
  try {
    result = context.with(watch.context, call);
  } catch (error) {
    watch.onError(error);
    throw error;
  }
  if (isApiPromise(result)) watchApiPromise(result, watch);
  else watchResult(result, watch);
  return result;
}

function startCall({ tracer, settings }: Runtime, how: Target, resource: unknown, request: unknown): Span {
  const fields = request as Fields;
  markCall(context.active());
  const { provider, address } = serverOf(resource, how.provider);
  const attributes: Attributes = {
    'gen_ai.operation.name': how.operation,
    'gen_ai.provider.name': provider,
    ...parametersOf(fields),
    ...address,
    ...(settings.captureContent ? how.content(fields) : {}),
  };
  const model = typeof fields['model'] === 'string' ? ` ${fields['model']}` : '';
  return tracer.startSpan(`${how.operation}${model}`, { kind: SpanKind.CLIENT, attributes });
}

function serverOf(resource: unknown, fallback: string): { provider: string; address: Attributes } {
  const base = at(resource, '_client', 'baseURL');
  if (typeof base !== 'string' || !URL.canParse(base)) return { provider: fallback, address: {} };
  const { hostname, port, protocol } = new URL(base);
  const known = fallback === 'openai' ? HOSTS.find(([end]) => hostname.endsWith(end)) : undefined;
  const number = port === '' ? (protocol === 'http:' ? 80 : 443) : Number(port);
  return { provider: known?.[1] ?? fallback, address: { 'server.address': hostname, 'server.port': number } };
}

/** Ends the span once: with the whole answer, with what a stream brought until it ended, or with the error. */
function callWatch(active: Runtime, span: Span): Watch {
  const startedMs = performance.now();
  const answer = describeAnswer(active.settings.captureContent);
  let hasChunk = false;
  let isOver = false;
  const end = (last: () => void): void => {
    if (isOver) return;
    isOver = true;
    active.notices.guard(() => span.setAttributes({ ...answer.usage(), ...answer.content() }));
    active.notices.guard(last);
    span.end();
  };
  return {
    context: otel.setSpan(context.active(), span),
    onItem(item) {
      if (!hasChunk) {
        hasChunk = true;
        span.setAttribute('gen_ai.response.time_to_first_chunk', (performance.now() - startedMs) / 1_000);
      }
      active.notices.guard(() => answer.add(item));
    },
    onValue(value) {
      active.notices.guard(() => answer.whole(value));
      end(() => undefined);
    },
    onError: (error) => end(() => fail(span, error)),
    onEnd: (isComplete) =>
      end(() => {
        if (!isComplete) span.setAttribute('lumina.stream.ended_early', true);
      }),
  };
}
