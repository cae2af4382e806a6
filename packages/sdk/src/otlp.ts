// Spans and scores as OTLP/JSON (opentelemetry-proto, docs/specification.md, "JSON Protobuf Encoding"), every text of them
// through the redaction: nothing else of the SDK writes what is sent.
import type { AttributeValue, Attributes, HrTime } from '@opentelemetry/api';
import type { ReadableSpan } from '@opentelemetry/sdk-trace-base';

/** Takes secrets out of the attributes of a span, an event or a record. Pure. */
export interface Redactor {
  attributes(attributes: Attributes): Attributes;
  text(text: string): string;
}

/** One score on its way: a log record `gen_ai.evaluation.result`. */
export interface ScoreRecord {
  timeMs: number;
  traceId: string;
  spanId: string;
  attributes: Attributes;
}

interface KeyValue {
  key: string;
  value: object;
}

/** Start of the export request; `spans` follow, joined by commas, then SPANS_END. */
export function spansBegin(resource: Attributes, scope: { name: string; version?: string | undefined }): string {
  return `{"resourceSpans":[{"resource":{"attributes":${JSON.stringify(keyValues(resource))}},"scopeSpans":[{"scope":${JSON.stringify(scope)},"spans":[`;
}
export const SPANS_END = ']}]}]}';

export function spanJson(span: ReadableSpan, redactor: Redactor): string {
  const { traceId, spanId, traceState, traceFlags } = span.spanContext();
  return JSON.stringify({
    traceId,
    spanId,
    parentSpanId: span.parentSpanContext?.spanId,
    traceState: traceState?.serialize(),
    flags: traceFlags,
    name: redactor.text(span.name),
    kind: span.kind + 1,
    startTimeUnixNano: nanoseconds(span.startTime),
    endTimeUnixNano: nanoseconds(span.endTime),
    attributes: keyValues(redactor.attributes(span.attributes)),
    droppedAttributesCount: span.droppedAttributesCount || undefined,
    events: span.events.map((event) => ({
      timeUnixNano: nanoseconds(event.time),
      name: event.name,
      attributes: keyValues(redactor.attributes(event.attributes ?? {})),
    })),
    links: span.links.map(({ context, attributes }) => ({
      traceId: context.traceId,
      spanId: context.spanId,
      attributes: keyValues(redactor.attributes(attributes ?? {})),
    })),
    status: {
      code: span.status.code,
      message: span.status.message === undefined ? undefined : redactor.text(span.status.message),
    },
  });
}

export function scoresJson(
  scores: readonly ScoreRecord[],
  resource: Attributes,
  scope: { name: string; version?: string | undefined },
  redactor: Redactor,
): string {
  const logRecords = scores.map((score) => ({
    timeUnixNano: `${score.timeMs}000000`,
    observedTimeUnixNano: `${score.timeMs}000000`,
    severityNumber: 9,
    severityText: 'INFO',
    eventName: 'gen_ai.evaluation.result',
    traceId: score.traceId,
    spanId: score.spanId,
    attributes: keyValues(redactor.attributes(score.attributes)),
  }));
  return JSON.stringify({
    resourceLogs: [{ resource: { attributes: keyValues(resource) }, scopeLogs: [{ scope, logRecords }] }],
  });
}

function keyValues(attributes: Attributes): KeyValue[] {
  const list: KeyValue[] = [];
  for (const key in attributes) {
    const value = attributes[key];
    if (value !== undefined && value !== null) list.push({ key, value: anyValue(value) });
  }
  return list;
}

function anyValue(value: AttributeValue | null): object {
  if (typeof value === 'string') return { stringValue: value };
  if (typeof value === 'boolean') return { boolValue: value };
  if (typeof value === 'number') return Number.isSafeInteger(value) ? { intValue: String(value) } : doubleValue(value);
  if (Array.isArray(value)) return { arrayValue: { values: value.map((item) => anyValue(item ?? null)) } };
  return {};
}

/** JSON has no NaN: protobuf's mapping writes the three that are no numbers as texts. */
function doubleValue(value: number): object {
  return { doubleValue: Number.isFinite(value) ? value : String(value) };
}

function nanoseconds([seconds, nanos]: HrTime): string {
  return seconds === 0 ? String(nanos) : `${seconds}${String(nanos).padStart(9, '0')}`;
}
