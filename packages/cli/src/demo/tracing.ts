// OpenTelemetry as an application would set it up, with one difference: spans are placed on a timeline in the past, so
// that a demonstration shows days and not seconds. Names follow the GenAI semantic conventions.
import { context, SpanKind, SpanStatusCode, trace, type Attributes, type Context, type Span } from '@opentelemetry/api';
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-proto';
import { resourceFromAttributes } from '@opentelemetry/resources';
import { BatchSpanProcessor, TracerProvider } from '@opentelemetry/sdk-trace';

export interface Telemetry {
  /** Runs `work` inside a root span that began at `startMs`. */
  run(name: string, startMs: number, attributes: Attributes, work: (step: Step) => Promise<void>): Promise<void>;
  flush(): Promise<void>;
  shutdown(): Promise<void>;
}

/** One place in a trace: opens children, and moves its own clock by what they took. */
export interface Step {
  span: Span;
  /** Runs `work` in a child span; the child ends where its own clock stands. A throw marks it as failed and rises. */
  child<T>(name: string, attributes: Attributes, work: (step: Step) => Promise<T>, kind?: SpanKind): Promise<T>;
  /** Moves the clock: so long did the real thing take. */
  spend(ms: number): void;
}

/** Sends to `${otlpUrl}/v1/traces` with the official OTLP exporter. */
export function startTelemetry(service: string, environment: string, otlpUrl: string, apiKey: string): Telemetry {
  const exporter = new OTLPTraceExporter({
    url: `${otlpUrl}/v1/traces`,
    headers: { authorization: `Bearer ${apiKey}` },
  });
  const processor = new BatchSpanProcessor({ exporter, maxExportBatchSize: 128, maxQueueSize: 8192 });
  const provider = new TracerProvider({
    resource: resourceFromAttributes({
      'service.name': service,
      'service.version': '1.4.2',
      'deployment.environment.name': environment,
    }),
    spanProcessors: [processor],
  });
  const tracer = provider.getTracer('lumatrace-demo', '0.1.0');

  async function inSpan<T>(
    parent: Context,
    clock: { nowMs: number },
    name: string,
    attributes: Attributes,
    kind: SpanKind,
    work: (step: Step) => Promise<T>,
  ): Promise<T> {
    const span = tracer.startSpan(name, { startTime: clock.nowMs, attributes, kind }, parent);
    const inner = trace.setSpan(parent, span);
    const step: Step = {
      span,
      child: (childName, childAttributes, childWork, childKind = SpanKind.INTERNAL) =>
        inSpan(inner, clock, childName, childAttributes, childKind, childWork),
      spend: (ms) => (clock.nowMs += ms),
    };
    try {
      return await work(step);
    } catch (error) {
      const failure = error as Error & { code?: string };
      span.recordException(failure, clock.nowMs);
      span.setAttribute('error.type', failure.code ?? failure.name);
      span.setStatus({ code: SpanStatusCode.ERROR, message: failure.message });
      throw error;
    } finally {
      span.end(clock.nowMs);
    }
  }

  return {
    async run(name, startMs, attributes, work) {
      const clock = { nowMs: startMs };
      // A failed request is part of the picture; its spans say so, and the demonstration goes on.
      await inSpan(context.active(), clock, name, attributes, SpanKind.SERVER, work).catch(() => {});
    },
    flush: () => provider.forceFlush(),
    shutdown: () => provider.shutdown(),
  };
}
