// The official exporters of the three signals, over gRPC, protobuf and JSON, with and without compression: what they send
// arrives whole. Their own error handling is heard, so that a refusal fails the test.
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { Metadata } from '@grpc/grpc-js';
import { diag, SpanKind, trace, ROOT_CONTEXT, type DiagLogger } from '@opentelemetry/api';
import { OTLPLogExporter as GrpcLogs } from '@opentelemetry/exporter-logs-otlp-grpc';
import { OTLPLogExporter as JsonLogs } from '@opentelemetry/exporter-logs-otlp-http';
import { OTLPLogExporter as ProtoLogs } from '@opentelemetry/exporter-logs-otlp-proto';
import { OTLPMetricExporter as GrpcMetrics } from '@opentelemetry/exporter-metrics-otlp-grpc';
import { OTLPMetricExporter as JsonMetrics } from '@opentelemetry/exporter-metrics-otlp-http';
import { OTLPMetricExporter as ProtoMetrics } from '@opentelemetry/exporter-metrics-otlp-proto';
import { OTLPTraceExporter as GrpcTraces } from '@opentelemetry/exporter-trace-otlp-grpc';
import { OTLPTraceExporter as JsonTraces } from '@opentelemetry/exporter-trace-otlp-http';
import { OTLPTraceExporter as ProtoTraces } from '@opentelemetry/exporter-trace-otlp-proto';
import { CompressionAlgorithm } from '@opentelemetry/otlp-exporter-base';
import { resourceFromAttributes } from '@opentelemetry/resources';
import { LoggerProvider, SimpleLogRecordProcessor, type LogRecordExporter } from '@opentelemetry/sdk-logs';
import { MeterProvider, PeriodicExportingMetricReader, type PushMetricExporter } from '@opentelemetry/sdk-metrics';
import { SimpleSpanProcessor, TracerProvider, type SpanExporter } from '@opentelemetry/sdk-trace';
import { serve } from '../ingest/fixtures/serve.ts';
import { serveGrpc } from './fixtures/grpc.ts';

const served = await serve();
const grpc = await serveGrpc(served);
after(async () => {
  await grpc.stop();
  await served.close();
});
served.clock.nowMs = Date.now();

/** What the exporters complain about. */
const complaints: string[] = [];
const note = (...parts: unknown[]): void => void complaints.push(parts.map(String).join(' '));
const listener: DiagLogger = { error: note, warn: note, info: () => {}, debug: () => {}, verbose: () => {} };
diag.setLogger(listener);

const resource = resourceFromAttributes({ 'service.name': 'shop', 'deployment.environment.name': 'test' });

interface Exporters {
  traces: SpanExporter;
  logs: LogRecordExporter;
  metrics: PushMetricExporter;
}

type Make = (tenantId: string, compression: CompressionAlgorithm) => Exporters;

interface HttpConfig {
  url: string;
  headers: Record<string, string>;
  compression: CompressionAlgorithm;
}

function overHttp(
  Traces: new (config: HttpConfig) => SpanExporter,
  Logs: new (config: HttpConfig) => LogRecordExporter,
  Metrics: new (config: HttpConfig) => PushMetricExporter,
  base = '',
): Make {
  return (tenantId, compression) => {
    const common = { headers: { authorization: `Bearer ${tenantId}` }, compression };
    return {
      traces: new Traces({ ...common, url: `${served.url}${base}/v1/traces` }),
      logs: new Logs({ ...common, url: `${served.url}${base}/v1/logs` }),
      metrics: new Metrics({ ...common, url: `${served.url}${base}/v1/metrics` }),
    };
  };
}

const overGrpc: Make = (tenantId, compression) => {
  const metadata = new Metadata();
  metadata.set('Authorization', `Bearer ${tenantId}`);
  const common = { url: `http://127.0.0.1:${grpc.port}`, metadata, compression };
  return { traces: new GrpcTraces(common), logs: new GrpcLogs(common), metrics: new GrpcMetrics(common) };
};

const WAYS: readonly [way: string, make: Make][] = [
  ['gRPC', overGrpc],
  ['HTTP with protobuf', overHttp(ProtoTraces, ProtoLogs, ProtoMetrics)],
  ['HTTP with JSON', overHttp(JsonTraces, JsonLogs, JsonMetrics)],
  ["HTTP with JSON under Langfuse's path", overHttp(JsonTraces, JsonLogs, JsonMetrics, '/api/public/otel')],
];

interface Shown {
  prompt: string | null;
  response: string | null;
  prompt_tokens: number;
  cost_usd: string | null;
  service_name: string;
  scores: Array<{ name: string; value: number }>;
}

for (const [way, make] of WAYS) {
  for (const compression of [CompressionAlgorithm.NONE, CompressionAlgorithm.GZIP]) {
    test(`the official exporters arrive over ${way}, compression ${compression}`, async () => {
      const tenantId = await served.newTenant();
      const exporters = make(tenantId, compression);
      complaints.splice(0);

      const tracing = new TracerProvider({
        resource,
        spanProcessors: [new SimpleSpanProcessor({ exporter: exporters.traces })],
      });
      const logging = new LoggerProvider({
        resource,
        processors: [new SimpleLogRecordProcessor({ exporter: exporters.logs })],
      });
      const reader = new PeriodicExportingMetricReader({
        exporter: exporters.metrics,
        exportIntervalMillis: 3_600_000,
      });
      const metering = new MeterProvider({ resource, readers: [reader] });

      const span = tracing.getTracer('tests').startSpan('chat gpt-4o', {
        kind: SpanKind.CLIENT,
        attributes: {
          'gen_ai.operation.name': 'chat',
          'gen_ai.provider.name': 'openai',
          'gen_ai.request.model': 'gpt-4o',
          'gen_ai.usage.input_tokens': 1_000,
          'gen_ai.usage.output_tokens': 500,
        },
      });
      const context = trace.setSpan(ROOT_CONTEXT, span);
      const logger = logging.getLogger('tests');
      logger.emit({
        context,
        eventName: 'gen_ai.client.inference.operation.details',
        attributes: {
          'gen_ai.input.messages': [{ role: 'user', parts: [{ type: 'text', content: 'Where is my parcel?' }] }],
          'gen_ai.output.messages': [
            { role: 'assistant', parts: [{ type: 'text', content: 'In Lyon.' }], finish_reason: 'stop' },
          ],
        },
      });
      logger.emit({
        context,
        eventName: 'gen_ai.evaluation.result',
        attributes: { 'gen_ai.evaluation.name': 'Relevance', 'gen_ai.evaluation.score.value': 0.75 },
      });
      span.end();
      const tokens = metering.getMeter('tests').createHistogram('gen_ai.client.token.usage', { unit: '{token}' });
      tokens.record(1_000, { 'gen_ai.token.type': 'input', 'gen_ai.request.model': 'gpt-4o' });
      tokens.record(500, { 'gen_ai.token.type': 'output', 'gen_ai.request.model': 'gpt-4o' });
      await Promise.all([tracing.forceFlush(), logging.forceFlush(), metering.forceFlush()]);
      await Promise.all([tracing.shutdown(), logging.shutdown(), metering.shutdown()]);
      assert.deepEqual(complaints, []);

      const { traceId } = span.spanContext();
      const { body } = await served.get<Shown>(tenantId, `/api/traces/${traceId}`);
      assert.deepEqual([body.prompt, body.response], ['Where is my parcel?', 'In Lyon.']);
      // gpt-4o costs 2.50 and 10 dollars a million tokens
      assert.deepEqual([body.prompt_tokens, body.cost_usd, body.service_name], [1_000, '0.0075', 'shop']);
      assert.deepEqual(
        body.scores.map(({ name, value }) => [name, value]),
        [['Relevance', 0.75]],
      );
      const { rows } = await served.db.database.inTenant(tenantId, (sql) =>
        sql.query(
          'select distinct name, sum from metric_series join metric_points using (tenant_id, series_id) order by sum',
        ),
      );
      assert.deepEqual(
        rows.map((row) => [row.name, row.sum]),
        [
          ['gen_ai.client.token.usage', 500],
          ['gen_ai.client.token.usage', 1_000],
        ],
      );
    });
  }
}
