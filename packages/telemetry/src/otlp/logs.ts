// OTLP log records: what one is, and ExportLogsServiceRequest read from protobuf and from JSON into the same records.
// Schema: opentelemetry-proto v1.9 collector/logs/v1, logs/v1; docs/specification.md, "JSON Protobuf Encoding".
import { MAX_NAME_LENGTH } from '../span.ts';
import type { Attributes, Json, SpanContext } from '../span.ts';
import { clipAtWord } from '../text.ts';
import { contextOf, newAttributes, NO_SCOPE, reject } from './build.ts';
import type { Rejected, ScopeParts } from './build.ts';
import { readAnyValue, readKeyValue, readResource, readScope } from './decode.ts';
import {
  anyValueOf,
  attributesOf,
  idAt,
  isAbsent,
  listAt,
  numberAt,
  objectAt,
  parse,
  rawOf,
  scopeOf,
  SpanRefusal,
  textAt,
  textOf,
  timeAt,
} from './json.ts';
import type { JsonObject } from './json.ts';
import { MAX_TIME_NS } from './limits.ts';
import { BYTES, FIXED32, FIXED64, OtlpDecodeError, Reader, VARINT } from './reader.ts';

/** One log record, or event: a record with a name. */
export interface LogRecord {
  /** Its resource and scope, one object per scope of a request. */
  context: SpanContext;
  /** When it happened: nanoseconds since 1970, of the observation where the source gave no time, 0 where nobody did. */
  timeNs: bigint;
  observedNs: bigint;
  /** 1 to 24 (SeverityNumber of the specification), 0 unspecified. */
  severityNumber: number;
  severityText: string;
  /** `event_name`, older `event.name` among the attributes; empty for a plain record. */
  eventName: string;
  body: Json;
  attributes: Attributes;
  /** 32 and 16 lower-case hex digits, never all zero; undefined where the record stands alone. */
  traceId: string | undefined;
  spanId: string | undefined;
  /** What the client, or this reader at its limits, left out. */
  droppedAttributes: number;
  /** As it was sent, for telling a repetition: a view of the request (copy it to keep it) or JSON text. */
  raw: Uint8Array | string;
}

/** What one export request held; `recordCount` counts all, the rejected too. */
export interface DecodedLogs {
  records: LogRecord[];
  rejected: Rejected;
  recordCount: number;
}

/** Records of one request; those beyond are rejected. */
export const MAX_LOG_RECORDS = 50_000;
const MAX_SEVERITY = 24;
const MAX_INT32 = 2_147_483_647;
const EMPTY = new Uint8Array(0);
const NOT_ZERO = /[^0]/;

const field = (number: number, wireType: number): number => number * 8 + wireType;

/**
 * Decodes an `ExportLogsServiceRequest` (protobuf, already decompressed). An empty message is an empty request. A record
 * that breaks the rules is rejected alone. Throws OtlpDecodeError when the message is truncated or garbled.
 */
export function decodeLogsProtobuf(bytes: Uint8Array): DecodedLogs {
  const reader = new Reader(bytes);
  const decoded = nothingDecoded();
  // ExportLogsServiceRequest: resource_logs = 1
  while (reader.pos < bytes.length) {
    const tag = reader.tag(bytes.length);
    if (tag === field(1, BYTES)) readResourceLogs(reader, reader.end(bytes.length), decoded);
    else reader.skip(tag & 7, bytes.length);
  }
  return decoded;
}

function nothingDecoded(): DecodedLogs {
  return { records: [], rejected: { count: 0, messages: [] }, recordCount: 0 };
}

/**
 * Walks one ResourceLogs or ResourceMetrics, or a scope of one: both have the context in field 1, the items in field 2 and
 * the schema URL in field 3, in any order; so the context is read first and the items in a second pass.
 */
export function readGroup(
  reader: Reader,
  end: number,
  onContext: (contextEnd: number) => void,
  onItem: (itemEnd: number, schemaUrl: string) => void,
): void {
  const start = reader.pos;
  let schemaUrl = '';
  while (reader.pos < end) {
    const tag = reader.tag(end);
    if (tag === field(1, BYTES)) onContext(reader.end(end));
    else if (tag === field(3, BYTES)) schemaUrl = reader.text(reader.end(end));
    else reader.skip(tag & 7, end);
  }
  reader.pos = start;
  while (reader.pos < end) {
    const tag = reader.tag(end);
    if (tag === field(2, BYTES)) onItem(reader.end(end), schemaUrl);
    else reader.skip(tag & 7, end);
  }
}

/** Calls `onItem` for each record or metric below one resource, with the context that the items share. */
export function readResourceGroup(
  reader: Reader,
  end: number,
  onItem: (itemEnd: number, context: SpanContext) => void,
): void {
  const resource = newAttributes();
  let rawResource: Uint8Array = EMPTY;
  const onResource = (resourceEnd: number): void => {
    rawResource = reader.bytes.subarray(reader.pos, resourceEnd);
    readResource(reader, resourceEnd, resource);
  };
  readGroup(reader, end, onResource, (scopeEnd, resourceUrl) => {
    let scope: ScopeParts = NO_SCOPE;
    let rawScope: Uint8Array = EMPTY;
    let context: SpanContext | undefined;
    const onScope = (partEnd: number): void => {
      rawScope = reader.bytes.subarray(reader.pos, partEnd);
      scope = readScope(reader, partEnd);
    };
    readGroup(reader, scopeEnd, onScope, (itemEnd, url) => {
      context ??= contextOf(resource, scope, url || resourceUrl, rawResource, rawScope);
      onItem(itemEnd, context);
    });
  });
}

function readResourceLogs(reader: Reader, end: number, decoded: DecodedLogs): void {
  readResourceGroup(reader, end, (recordEnd, context) => {
    if (isBeyond(decoded)) {
      reader.pos = recordEnd;
      return;
    }
    const record = emptyRecord(context, reader.bytes.subarray(reader.pos, recordEnd));
    readRecord(reader, recordEnd, record);
    take(record, decoded);
  });
}

function isBeyond(decoded: DecodedLogs): boolean {
  decoded.recordCount++;
  if (decoded.recordCount <= MAX_LOG_RECORDS) return false;
  reject(decoded.rejected, `Expected at most ${MAX_LOG_RECORDS} log records in one request`);
  return true;
}

function emptyRecord(context: SpanContext, raw: Uint8Array | string): LogRecord {
  return {
    context,
    timeNs: 0n,
    observedNs: 0n,
    severityNumber: 0,
    severityText: '',
    eventName: '',
    body: null,
    attributes: newAttributes(),
    traceId: undefined,
    spanId: undefined,
    droppedAttributes: 0,
    raw,
  };
}

// LogRecord, as logs/v1 numbers it.
const TIME = field(1, FIXED64);
const SEVERITY_NUMBER = field(2, VARINT);
const SEVERITY_TEXT = field(3, BYTES);
const BODY = field(5, BYTES);
const ATTRIBUTES = field(6, BYTES);
const DROPPED_ATTRIBUTES = field(7, VARINT);
const FLAGS = field(8, FIXED32);
const TRACE_ID = field(9, BYTES);
const SPAN_ID = field(10, BYTES);
const OBSERVED_TIME = field(11, FIXED64);
const EVENT_NAME = field(12, BYTES);

function readRecord(reader: Reader, end: number, record: LogRecord): void {
  let position = 0;
  while (reader.pos < end) {
    const tag = reader.tag(end);
    if (tag === ATTRIBUTES)
      record.droppedAttributes += readKeyValue(reader, reader.end(end), record.attributes, position++);
    else if (tag === TIME) record.timeNs = reader.fixed64(end);
    else if (tag === OBSERVED_TIME) record.observedNs = reader.fixed64(end);
    else if (tag === BODY) record.body = readAnyValue(reader, reader.end(end), 1);
    else if (tag === TRACE_ID) record.traceId = reader.hex(reader.end(end));
    else if (tag === SPAN_ID) record.spanId = reader.hex(reader.end(end));
    else if (tag === EVENT_NAME) record.eventName = reader.text(reader.end(end));
    else if (tag === SEVERITY_NUMBER) record.severityNumber = reader.uint32(end);
    else if (tag === SEVERITY_TEXT) record.severityText = reader.text(reader.end(end));
    else if (tag === DROPPED_ATTRIBUTES) record.droppedAttributes += reader.uint32(end);
    else if (tag === FLAGS) reader.fixed32(end);
    else reader.skip(tag & 7, end);
  }
}

/**
 * Decodes an `ExportLogsServiceRequest` in OTLP/JSON. `{}` is an empty request. A record that breaks the rules is rejected
 * alone. Throws OtlpDecodeError for text that is no JSON or no export request.
 */
export function decodeLogsJson(body: string | Uint8Array): DecodedLogs {
  const decoded = nothingDecoded();
  readJsonGroups(body, { groups: 'resourceLogs', scopes: 'scopeLogs', items: 'logRecords' }, (item, context) => {
    if (isBeyond(decoded)) return;
    refusing(decoded.rejected, () => {
      const json = objectAt(item, 'logRecord');
      const record = emptyRecord(context, rawOf(json, 'logRecord'));
      fillRecord(json, record);
      take(record, decoded);
    });
  });
  return decoded;
}

/** Walks an export request of any signal in OTLP/JSON: resource groups, their scopes, the items of each. */
export function readJsonGroups(
  body: string | Uint8Array,
  names: { groups: string; scopes: string; items: string },
  onItem: (item: unknown, context: SpanContext) => void,
): void {
  const request = objectAt(parse(textOf(body)), 'the request');
  for (const [i, group] of listAt(request[names.groups], names.groups).entries()) {
    const at = `${names.groups}[${i}]`;
    try {
      readJsonGroup(objectAt(group, at), names, onItem);
    } catch (error) {
      // what is wrong outside an item concerns every item below it
      throw error instanceof SpanRefusal ? new OtlpDecodeError(error.message, at, { cause: error }) : error;
    }
  }
}

function readJsonGroup(
  group: JsonObject,
  names: { scopes: string; items: string },
  onItem: (item: unknown, context: SpanContext) => void,
): void {
  const resource = isAbsent(group.resource) ? {} : objectAt(group.resource, 'resource');
  const { attributes } = attributesOf(resource.attributes);
  const resourceUrl = textAt(group.schemaUrl, 'schemaUrl');
  const rawResource = rawOf(resource, 'resource');
  for (const each of listAt(group[names.scopes], names.scopes)) {
    const below = objectAt(each, names.scopes);
    const scope = isAbsent(below.scope) ? undefined : objectAt(below.scope, 'scope');
    const url = textAt(below.schemaUrl, 'schemaUrl') || resourceUrl;
    const parts = scope === undefined ? NO_SCOPE : scopeOf(scope);
    const context = contextOf(attributes, parts, url, rawResource, rawOf(scope ?? {}, 'scope'));
    for (const item of listAt(below[names.items], names.items)) onItem(item, context);
  }
}

/** Runs the reading of one item: what is wrong inside it rejects it alone. */
export function refusing(rejected: Rejected, read: () => void): void {
  try {
    read();
  } catch (error) {
    if (!(error instanceof SpanRefusal || error instanceof OtlpDecodeError)) throw error;
    reject(rejected, error.message);
  }
}

function fillRecord(json: JsonObject, record: LogRecord): void {
  const { attributes, dropped } = attributesOf(json.attributes);
  record.timeNs = timeAt(json.timeUnixNano, 'timeUnixNano');
  record.observedNs = timeAt(json.observedTimeUnixNano, 'observedTimeUnixNano');
  record.severityNumber = numberAt(json.severityNumber, 'severityNumber');
  record.severityText = textAt(json.severityText, 'severityText');
  record.eventName = textAt(json.eventName, 'eventName');
  record.body = anyValueOf(json.body, 1);
  record.attributes = attributes;
  record.droppedAttributes = dropped + numberAt(json.droppedAttributesCount, 'droppedAttributesCount');
  record.traceId = idAt(json.traceId, 'traceId');
  record.spanId = idAt(json.spanId, 'spanId');
}

/** The last look at a record. Ids that cannot be ids are absent ones, as the data model says; the record is kept. */
function take(record: LogRecord, decoded: DecodedLogs): void {
  if (record.timeNs === 0n) record.timeNs = record.observedNs;
  if (record.timeNs > MAX_TIME_NS || record.observedNs > MAX_TIME_NS) {
    reject(decoded.rejected, `Expected a time of at most ${MAX_TIME_NS} ns for a log record`);
    return;
  }
  record.traceId = idOrNone(record.traceId, 32);
  record.spanId = record.traceId === undefined ? undefined : idOrNone(record.spanId, 16);
  if (record.severityNumber > MAX_SEVERITY) record.severityNumber = 0;
  if (record.eventName === '' && typeof record.attributes['event.name'] === 'string') {
    record.eventName = record.attributes['event.name'];
  }
  record.eventName = clipAtWord(record.eventName, MAX_NAME_LENGTH);
  record.severityText = clipAtWord(record.severityText, MAX_NAME_LENGTH);
  record.droppedAttributes = Math.min(record.droppedAttributes, MAX_INT32);
  decoded.records.push(record);
}

function idOrNone(id: string | undefined, digits: number): string | undefined {
  return id !== undefined && id.length === digits && NOT_ZERO.test(id) ? id : undefined;
}
