// The running SDK: one provider, one buffer, one sender; and the ends of its life. There is at most one at a time.
import { context, type Span, type Tracer } from '@opentelemetry/api';
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks';
import { defaultResource, resourceFromAttributes } from '@opentelemetry/resources';
import {
  AlwaysOnSampler,
  BasicTracerProvider,
  type ReadableSpan,
  type SpanProcessor,
} from '@opentelemetry/sdk-trace-base';
import manifest from '../package.json' with { type: 'json' };
import { SpanBuffer } from './buffer.ts';
import { associate } from './context.ts';
import { callerFiles, KeySource, warnOfWrittenKey } from './key.ts';
import { Notices, type SdkCounts } from './notices.ts';
import { settingsFrom, type LuminaOptions, type Settings } from './options.ts';
import { RedactionSource } from './redaction.ts';
import { Connection } from './request.ts';
import { Sender } from './sender.ts';

export const SCOPE = { name: manifest.name, version: manifest.version };

export interface Runtime {
  readonly tracer: Tracer;
  readonly settings: Settings;
  readonly notices: Notices;
  readonly sender: Sender;
  readonly processor: SpanProcessor;
  readonly redaction: RedactionSource;
  shutdown(): Promise<void>;
}

let running: Runtime | undefined;
let isListening = false;
let known: Settings | undefined;

/** The running SDK; undefined before initLumina, after shutdown and when it is not enabled. */
export function runtime(): Runtime | undefined {
  return running;
}

/** What the last initLumina said, also when nothing is recorded: where photos are protected. */
export function lastSettings(): Settings | undefined {
  return known;
}

/**
 * Starts the SDK; a second call replaces the first, whose spans are still sent. Never throws: without usable options
 * nothing is recorded and one line says why.
 */
export function initLumina(options: LuminaOptions = {}): void {
  const notices = new Notices(options.on_warning ?? ((message) => process.stderr.write(`lumatrace: ${message}\n`)));
  const stack = new Error().stack;
  notices.guard(() => {
    const settings = settingsFrom(options);
    known = settings;
    const previous = running;
    running = undefined;
    if (previous !== undefined) void previous.shutdown();
    if (!settings.enabled) return;
    running = start(settings, notices);
    if (!isListening) process.on('beforeExit', flushBeforeExit);
    isListening = true;
    void warnOfWrittenKey(options.api_key, callerFiles(stack), notices);
  });
}

/** Sends what waits; resolves when it is sent or given up, after `timeout_ms` at the latest. Never rejects. */
export async function flush(): Promise<void> {
  await running?.sender.flush();
}

/** Sends what waits and ends the SDK; the wrappers then only call what they wrap. Never rejects. */
export async function shutdown(): Promise<void> {
  const ending = running;
  running = undefined;
  await ending?.shutdown();
}

/** What was sent, dropped and repeated so far. */
export function counts(): Readonly<SdkCounts> | undefined {
  return running === undefined ? undefined : { ...running.notices.counts };
}

/**
 * For the `spanProcessors` of a tracer provider of yours: its spans are sent to LumaTrace too, with session and user.
 * What ends while the SDK is not running is not sent.
 */
export function spanProcessor(): SpanProcessor {
  return {
    onStart: (span, parent) => running?.processor.onStart(span, parent),
    onEnd: (span) => running?.processor.onEnd(span),
    forceFlush: flush,
    shutdown: flush,
  };
}

function start(settings: Settings, notices: Notices): Runtime {
  // false when the program has one: ours is only for programs without OpenTelemetry of their own
  context.setGlobalContextManager(contextManager());
  const buffer = new SpanBuffer(settings.maxBufferSpans, settings.maxBufferBytes, notices);
  const connection = new Connection(settings.timeoutMs);
  const key = new KeySource(settings.apiKey, settings.timeoutMs);
  const redaction = new RedactionSource(settings.endpoint, connection, key, notices);
  const resource = defaultResource().merge(resourceFromAttributes(resourceOf(settings)));
  const sender = new Sender({
    settings,
    buffer,
    connection,
    key,
    notices,
    redactor: () => redaction.current(),
    resource: resource.attributes,
    scope: SCOPE,
  });
  const processor = boundedProcessor(buffer, sender, notices);
  const provider = new BasicTracerProvider({
    resource,
    sampler: new AlwaysOnSampler(),
    spanProcessors: [processor],
    // prompts are long, and the buffer bounds them: the user's OTEL_* limits for other spans do not cut them
    spanLimits: { attributeValueLengthLimit: Infinity, attributeCountLimit: 128, eventCountLimit: 128 },
  });
  return {
    tracer: provider.getTracer(SCOPE.name, SCOPE.version),
    settings,
    notices,
    sender,
    processor,
    redaction,
    shutdown: () => sender.close(),
  };
}

function boundedProcessor(buffer: SpanBuffer, sender: Sender, notices: Notices): SpanProcessor {
  return {
    onStart: (span: Span, parent) => void notices.guard(() => associate(span, parent)),
    onEnd: (span: ReadableSpan) => void notices.guard(() => buffer.add(span) && sender.notify()),
    forceFlush: () => sender.flush(),
    shutdown: () => sender.flush(),
  };
}

let manager: AsyncLocalStorageContextManager | undefined;
function contextManager(): AsyncLocalStorageContextManager {
  manager ??= new AsyncLocalStorageContextManager().enable();
  return manager;
}

function resourceOf({ serviceName, environment, resource }: Settings): Record<string, string | number | boolean> {
  return {
    ...resource,
    'service.name': serviceName,
    ...(environment === undefined ? {} : { 'deployment.environment.name': environment }),
  };
}

/** When the event loop runs dry what waits is sent, without waiting between attempts; the exit comes after it. */
function flushBeforeExit(): void {
  const sender = running?.sender;
  if (sender !== undefined && !sender.isIdle) void sender.flush(true);
}
