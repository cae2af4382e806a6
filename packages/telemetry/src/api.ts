// What a span means, for everyone: decode it, read it, price it, arrange it. Pure: runs in a browser as it does in a server.
export { decodeTracesProtobuf } from './otlp/decode.ts';
export { decodeTracesJson } from './otlp/json.ts';
export { OtlpDecodeError } from './otlp/reader.ts';
export { encodeExportResponse, encodeStatus, exportResponseJson, RPC_CODE, statusJson } from './otlp/encode.ts';
export type { DecodedTraces, Rejected } from './otlp/build.ts';
export type { Limits } from './otlp/limits.ts';
export type { PartialSuccess, RejectedMember, RpcStatus } from './otlp/encode.ts';
export { decodeLogsJson, decodeLogsProtobuf } from './otlp/logs.ts';
export type { DecodedLogs, LogRecord } from './otlp/logs.ts';
export { decodeMetricsJson, decodeMetricsProtobuf } from './otlp/metrics.ts';
export type { DataPoint, DecodedMetrics, Metric, MetricKind, Temporality } from './otlp/metrics.ts';
export { Span, SpanFields, USAGE_FIELDS } from './span.ts';
export type {
  Attributes,
  AttributeValue,
  Json,
  SpanContext,
  SpanEvent,
  SpanKind,
  SpanLink,
  SpanStatus,
  Usage,
} from './span.ts';
export { completeSpan, rereadSpan } from './otlp/build.ts';
export type { SpanContent } from './otlp/build.ts';
export { CONVENTIONS } from './conventions.ts';
export type { Convention } from './conventions.ts';
export { captureOf, whyNoPrompt } from './conventions-capture.ts';
export type { Capture, NoPrompt } from './conventions-capture.ts';
export { CONTENT_ROWS, contentOf, joinMessages, messagesFromLog } from './conventions-content.ts';
export { messagesOf, partsOf, previewOf } from './messages.ts';
export type { Message, Messages, Part, Preview, SpanMessages } from './messages.ts';
export {
  bundledPrices,
  bundledProviders,
  bundledTableInfo,
  isPriced,
  PriceBook,
  priceOf,
  priceOfSpan,
} from './cost.ts';
export type { Call, CostComponent, Priced, PriceOverride, Unpriced, UnpricedReason } from './cost.ts';
export { NOT_BILLED_REASONS, notBilled } from './billing.ts';
export type { BillingSpan, NotBilled, NotBilledReason } from './billing.ts';
export { decimalOf, picoOf, usdOf } from './decimal.ts';
export { criticalPathOf, treeOf } from './trace.ts';
export type { CriticalSection, TraceNode, TraceSpan, TraceTree } from './trace.ts';
export { bucketOf, RELATIVE_ERROR, Sketch, valueOf } from './sketch.ts';
export type { SketchJson } from './sketch.ts';
export {
  compileRedaction,
  DEFAULT_REDACTION,
  MAX_PATTERN_CHARACTERS,
  MAX_TENANT_RULES,
  REDACTION_DETECTORS,
  REDACTION_RULES_KEY,
  REDACTION_VERSION_KEY,
  RedactionRuleError,
} from './redact.ts';
export type {
  Redaction,
  RedactionAction,
  RedactionHit,
  RedactionOptions,
  RedactionRule,
  RedactionRules,
} from './redact.ts';
export { clean, clip, ellipsize } from './text.ts';
