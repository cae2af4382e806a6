// The three signals of OTLP as one table: how a request is read, which room takes it, and what its answer calls the rest.
import {
  decodeLogsJson,
  decodeLogsProtobuf,
  decodeMetricsJson,
  decodeMetricsProtobuf,
  decodeTracesJson,
  decodeTracesProtobuf,
  type PartialSuccess,
  type RejectedMember,
} from '@lumatrace/telemetry';
import type { Ingest } from '../ingest/ingest.ts';
import type { LogIngest } from '../ingest/logs.ts';
import type { MetricIngest } from '../ingest/metrics.ts';

export type OtlpEncoding = 'protobuf' | 'json';

/** The rooms behind the signals. */
export interface OtlpRooms {
  ingest: Pick<Ingest, 'accept'>;
  logs: Pick<LogIngest, 'accept'>;
  metrics: Pick<MetricIngest, 'accept'>;
}

export interface OtlpSignal {
  name: 'traces' | 'logs' | 'metrics';
  summary: string;
  /** Of opentelemetry-proto, for gRPC: its one method is Export. */
  service: string;
  /** Name of the request and answer messages, for the documentation. */
  message: string;
  again: string;
  /** What the partial success counts. */
  rejected: RejectedMember;
  /**
   * Decodes and stores; resolves when it is durable, with what was not taken. @throws OtlpDecodeError, IngestRefusal or
   * any coded error of the rooms below.
   */
  take(tenantId: string, body: Uint8Array, encoding: OtlpEncoding): Promise<PartialSuccess | undefined>;
}

export function otlpSignals({ ingest, logs, metrics }: OtlpRooms): OtlpSignal[] {
  return [
    {
      name: 'traces',
      summary: 'Take spans (OTLP)',
      service: 'opentelemetry.proto.collector.trace.v1.TraceService',
      message: 'ExportTraceService',
      again: 'The same span again has no effect; other content under its id replaces it.',
      rejected: 'rejectedSpans',
      async take(tenantId, body, encoding) {
        const decoded = encoding === 'protobuf' ? decodeTracesProtobuf(body) : decodeTracesJson(body);
        const { rejectedSpans, messages } = await ingest.accept(tenantId, decoded, body.length);
        return partialSuccess(rejectedSpans, messages);
      },
    },
    {
      name: 'logs',
      summary: 'Take log records (OTLP): content of spans, evaluation results, plain records',
      service: 'opentelemetry.proto.collector.logs.v1.LogsService',
      message: 'ExportLogsService',
      again: 'The same record again has no effect.',
      rejected: 'rejectedLogRecords',
      async take(tenantId, body, encoding) {
        const decoded = encoding === 'protobuf' ? decodeLogsProtobuf(body) : decodeLogsJson(body);
        const { rejected, messages } = await logs.accept(tenantId, decoded, body.length);
        return partialSuccess(rejected, messages);
      },
    },
    {
      name: 'metrics',
      summary: 'Take metrics (OTLP); those of GenAI are kept',
      service: 'opentelemetry.proto.collector.metrics.v1.MetricsService',
      message: 'ExportMetricsService',
      again: 'The same point again has no effect; another value at its time replaces it.',
      rejected: 'rejectedDataPoints',
      async take(tenantId, body, encoding) {
        const decoded = encoding === 'protobuf' ? decodeMetricsProtobuf(body) : decodeMetricsJson(body);
        const { rejected, messages } = await metrics.accept(tenantId, decoded, body.length);
        return partialSuccess(rejected, messages);
      },
    },
  ];
}

/** Unset when everything was taken; with nothing rejected and a message it is the warning that OTLP allows. */
function partialSuccess(rejected: number, messages: readonly string[]): PartialSuccess | undefined {
  return rejected === 0 && messages.length === 0 ? undefined : { rejected, errorMessage: messages.join('; ') };
}
