// OTLP protobuf → spans: ExportTraceServiceRequest read by hand, straight into what the conventions need.
// Schema: open-telemetry/opentelemetry-proto v1.9 collector/trace/v1, trace/v1, resource/v1, common/v1.
import { Span } from '../span.ts';
import type { Attributes, AttributeValue, SpanContext, SpanEvent, SpanLink } from '../span.ts';
import {
  addAttribute,
  addEvent,
  addLink,
  contextOf,
  finish,
  jsonDouble,
  KINDS,
  newAttributes,
  NO_SCOPE,
  reject,
  STATUSES,
} from './build.ts';
import type { DecodedTraces, ScopeParts } from './build.ts';
import { bytesToBase64 } from './base64.ts';
import { DEFAULT_LIMITS, MAX_ATTRIBUTES, MAX_DEPTH, MAX_ITEMS } from './limits.ts';
import type { Limits } from './limits.ts';
import { BYTES, FIXED32, FIXED64, Reader, VARINT } from './reader.ts';

const EMPTY = new Uint8Array(0);

const field = (number: number, wireType: number): number => number * 8 + wireType;

/**
 * Decodes an `ExportTraceServiceRequest` (`application/x-protobuf`, already decompressed). An empty message is an empty
 * request. A span that breaks the rules is rejected alone and counted; spans keep views of `bytes` (`raw`), so do not
 * change them. Throws OtlpDecodeError when the message itself is truncated or garbled.
 */
export function decodeTracesProtobuf(bytes: Uint8Array, limits: Limits = DEFAULT_LIMITS): DecodedTraces {
  const reader = new Reader(bytes);
  const decoded: DecodedTraces = { spans: [], rejected: { count: 0, messages: [] }, spanCount: 0 };
  while (reader.pos < bytes.length) {
    const tag = reader.tag(bytes.length);
    if (tag === field(1, BYTES)) readResourceSpans(reader, reader.end(bytes.length), decoded, limits);
    else reader.skip(tag & 7, bytes.length);
  }
  return decoded;
}

// ResourceSpans: resource = 1, scope_spans = 2, schema_url = 3. Fields may come in any order, so the resource is read first.
const RESOURCE_SPANS_RESOURCE = field(1, BYTES);
const RESOURCE_SPANS_SCOPE_SPANS = field(2, BYTES);
const SCHEMA_URL = field(3, BYTES);

function readResourceSpans(reader: Reader, end: number, decoded: DecodedTraces, limits: Limits): void {
  const start = reader.pos;
  const resource = newAttributes();
  let raw: Uint8Array = EMPTY;
  let schemaUrl = '';
  while (reader.pos < end) {
    const tag = reader.tag(end);
    if (tag === RESOURCE_SPANS_RESOURCE) {
      const resourceEnd = reader.end(end);
      raw = reader.bytes.subarray(reader.pos, resourceEnd);
      readResource(reader, resourceEnd, resource);
    } else if (tag === SCHEMA_URL) schemaUrl = reader.text(reader.end(end));
    else reader.skip(tag & 7, end);
  }
  reader.pos = start;
  while (reader.pos < end) {
    const tag = reader.tag(end);
    if (tag === RESOURCE_SPANS_SCOPE_SPANS) {
      readScopeSpans(reader, reader.end(end), { attributes: resource, raw, schemaUrl }, decoded, limits);
    } else reader.skip(tag & 7, end);
  }
}

// Resource: attributes = 1.
export function readResource(reader: Reader, end: number, attributes: Attributes): void {
  let position = 0;
  while (reader.pos < end) {
    const tag = reader.tag(end);
    if (tag === field(1, BYTES)) readKeyValue(reader, reader.end(end), attributes, position++);
    else reader.skip(tag & 7, end);
  }
}

export interface ResourceParts {
  attributes: Attributes;
  raw: Uint8Array;
  schemaUrl: string;
}

// ScopeSpans: scope = 1, spans = 2, schema_url = 3.
const SCOPE_SPANS_SCOPE = field(1, BYTES);
const SCOPE_SPANS_SPAN = field(2, BYTES);

function readScopeSpans(
  reader: Reader,
  end: number,
  resource: ResourceParts,
  decoded: DecodedTraces,
  limits: Limits,
): void {
  const start = reader.pos;
  let scope = NO_SCOPE;
  let raw: Uint8Array = EMPTY;
  let schemaUrl = '';
  while (reader.pos < end) {
    const tag = reader.tag(end);
    if (tag === SCOPE_SPANS_SCOPE) {
      const scopeEnd = reader.end(end);
      raw = reader.bytes.subarray(reader.pos, scopeEnd);
      scope = readScope(reader, scopeEnd);
    } else if (tag === SCHEMA_URL) schemaUrl = reader.text(reader.end(end));
    else reader.skip(tag & 7, end);
  }
  const context = contextOf(resource.attributes, scope, schemaUrl || resource.schemaUrl, resource.raw, raw);
  reader.pos = start;
  while (reader.pos < end) {
    const tag = reader.tag(end);
    if (tag === SCOPE_SPANS_SPAN) readSpanInto(reader, reader.end(end), context, decoded, limits);
    else reader.skip(tag & 7, end);
  }
}

// InstrumentationScope: name = 1, version = 2, attributes = 3.
export function readScope(reader: Reader, end: number): ScopeParts {
  const scope: ScopeParts = { name: '', version: '', attributes: newAttributes() };
  let position = 0;
  while (reader.pos < end) {
    const tag = reader.tag(end);
    if (tag === field(1, BYTES)) scope.name = reader.text(reader.end(end));
    else if (tag === field(2, BYTES)) scope.version = reader.text(reader.end(end));
    else if (tag === field(3, BYTES)) readKeyValue(reader, reader.end(end), scope.attributes, position++);
    else reader.skip(tag & 7, end);
  }
  return scope;
}

function readSpanInto(reader: Reader, end: number, context: SpanContext, decoded: DecodedTraces, limits: Limits): void {
  decoded.spanCount++;
  if (decoded.spanCount > limits.maxSpans) {
    reader.pos = end;
    reject(decoded.rejected, `Expected at most ${limits.maxSpans} spans in one request`);
    return;
  }
  const span = new Span(context, reader.bytes.subarray(reader.pos, end));
  readSpan(reader, end, span);
  const refusal = finish(span);
  if (refusal === undefined) decoded.spans.push(span);
  else reject(decoded.rejected, refusal);
}

// Span, as trace/v1 numbers it.
const TRACE_ID = field(1, BYTES);
const SPAN_ID = field(2, BYTES);
const TRACE_STATE = field(3, BYTES);
const PARENT_SPAN_ID = field(4, BYTES);
const NAME = field(5, BYTES);
const KIND = field(6, VARINT);
const START_TIME = field(7, FIXED64);
const END_TIME = field(8, FIXED64);
const ATTRIBUTES = field(9, BYTES);
const DROPPED_ATTRIBUTES = field(10, VARINT);
const EVENTS = field(11, BYTES);
const DROPPED_EVENTS = field(12, VARINT);
const LINKS = field(13, BYTES);
const DROPPED_LINKS = field(14, VARINT);
const STATUS = field(15, BYTES);
const FLAGS = field(16, FIXED32);

function readSpan(reader: Reader, end: number, span: Span): void {
  let position = 0;
  while (reader.pos < end) {
    const tag = reader.tag(end);
    if (tag === ATTRIBUTES) readSpanAttribute(reader, reader.end(end), span, position++);
    else if (tag === TRACE_ID) span.traceId = reader.hex(reader.end(end));
    else if (tag === SPAN_ID) span.spanId = reader.hex(reader.end(end));
    else if (tag === PARENT_SPAN_ID) span.parentSpanId = reader.hex(reader.end(end));
    else if (tag === NAME) span.name = reader.text(reader.end(end));
    else if (tag === KIND) span.kind = KINDS[reader.uint32(end)] ?? 'unspecified';
    else if (tag === START_TIME) span.startNs = reader.fixed64(end);
    else if (tag === END_TIME) span.endNs = reader.fixed64(end);
    else if (tag === STATUS) readStatus(reader, reader.end(end), span);
    else if (tag === EVENTS) readEventInto(reader, reader.end(end), span);
    else if (tag === LINKS) readLinkInto(reader, reader.end(end), span);
    else if (tag === TRACE_STATE) span.traceState = reader.text(reader.end(end));
    else if (tag === FLAGS) span.flags = reader.fixed32(end);
    else if (tag === DROPPED_ATTRIBUTES) span.droppedAttributes += reader.uint32(end);
    else if (tag === DROPPED_EVENTS) span.droppedEvents += reader.uint32(end);
    else if (tag === DROPPED_LINKS) span.droppedLinks += reader.uint32(end);
    else reader.skip(tag & 7, end);
  }
}

// Status: message = 2, code = 3.
function readStatus(reader: Reader, end: number, span: Span): void {
  while (reader.pos < end) {
    const tag = reader.tag(end);
    if (tag === field(2, BYTES)) span.statusMessage = reader.text(reader.end(end));
    else if (tag === field(3, VARINT)) span.status = STATUSES[reader.uint32(end)] ?? 'unset';
    else reader.skip(tag & 7, end);
  }
}

// Event: time_unix_nano = 1, name = 2, attributes = 3, dropped_attributes_count = 4.
function readEventInto(reader: Reader, end: number, span: Span): void {
  const event: SpanEvent = { timeNs: 0n, name: '', attributes: newAttributes(), droppedAttributes: 0 };
  let position = 0;
  while (reader.pos < end) {
    const tag = reader.tag(end);
    if (tag === field(1, FIXED64)) event.timeNs = reader.fixed64(end);
    else if (tag === field(2, BYTES)) event.name = reader.text(reader.end(end));
    else if (tag === field(3, BYTES))
      event.droppedAttributes += readKeyValue(reader, reader.end(end), event.attributes, position++);
    else if (tag === field(4, VARINT)) event.droppedAttributes += reader.uint32(end);
    else reader.skip(tag & 7, end);
  }
  addEvent(span, event);
}

// Link: trace_id = 1, span_id = 2, trace_state = 3, attributes = 4, dropped_attributes_count = 5, flags = 6.
function readLinkInto(reader: Reader, end: number, span: Span): void {
  const link: SpanLink = {
    traceId: '',
    spanId: '',
    traceState: '',
    attributes: newAttributes(),
    droppedAttributes: 0,
    flags: 0,
  };
  let position = 0;
  while (reader.pos < end) {
    const tag = reader.tag(end);
    if (tag === field(1, BYTES)) link.traceId = reader.hex(reader.end(end));
    else if (tag === field(2, BYTES)) link.spanId = reader.hex(reader.end(end));
    else if (tag === field(3, BYTES)) link.traceState = reader.text(reader.end(end));
    else if (tag === field(4, BYTES))
      link.droppedAttributes += readKeyValue(reader, reader.end(end), link.attributes, position++);
    else if (tag === field(5, VARINT)) link.droppedAttributes += reader.uint32(end);
    else if (tag === field(6, FIXED32)) link.flags = reader.fixed32(end);
    else reader.skip(tag & 7, end);
  }
  addLink(span, link);
}

/** Keeps one attribute of anything but a span; answers how many were dropped, 0 or 1. */
export function readKeyValue(reader: Reader, end: number, attributes: Attributes, position: number): number {
  if (position >= MAX_ATTRIBUTES) {
    reader.pos = end;
    return 1;
  }
  let key = '';
  let value: AttributeValue = null;
  while (reader.pos < end) {
    const tag = reader.tag(end);
    if (tag === KEY) key = reader.text(reader.end(end));
    else if (tag === VALUE) value = readAnyValue(reader, reader.end(end), 1);
    else reader.skip(tag & 7, end);
  }
  attributes[key] = value;
  return 0;
}

// KeyValue: key = 1, value = 2.
const KEY = field(1, BYTES);
const VALUE = field(2, BYTES);

function readSpanAttribute(reader: Reader, end: number, span: Span, position: number): void {
  let key = '';
  let value: AttributeValue = null;
  while (reader.pos < end) {
    const tag = reader.tag(end);
    if (tag === KEY) key = reader.text(reader.end(end));
    else if (tag === VALUE) value = readAnyValue(reader, reader.end(end), 1);
    else reader.skip(tag & 7, end);
  }
  addAttribute(span, key, value, position);
}

// AnyValue: string = 1, bool = 2, int = 3, double = 4, array = 5, kvlist = 6, bytes = 7; the last member on the wire counts.
export function readAnyValue(reader: Reader, end: number, depth: number): AttributeValue {
  let value: AttributeValue = null;
  while (reader.pos < end) {
    const tag = reader.tag(end);
    if (tag === field(1, BYTES)) value = reader.text(reader.end(end));
    else if (tag === field(2, VARINT)) value = reader.int64(end) !== 0;
    else if (tag === field(3, VARINT)) value = reader.int64(end);
    else if (tag === field(4, FIXED64)) value = jsonDouble(reader.double(end));
    else if (tag === field(5, BYTES)) value = readArray(reader, reader.end(end), depth);
    else if (tag === field(6, BYTES)) value = readMap(reader, reader.end(end), depth);
    else if (tag === field(7, BYTES)) value = readBytes(reader, reader.end(end));
    else reader.skip(tag & 7, end);
  }
  return value;
}

// ArrayValue: values = 1.
function readArray(reader: Reader, end: number, depth: number): AttributeValue {
  if (depth >= MAX_DEPTH) return tooDeep(reader, end);
  const items: AttributeValue[] = [];
  while (reader.pos < end) {
    const tag = reader.tag(end);
    if (tag !== field(1, BYTES)) reader.skip(tag & 7, end);
    else if (items.length >= MAX_ITEMS) reader.pos = reader.end(end);
    else items.push(readAnyValue(reader, reader.end(end), depth + 1));
  }
  return items;
}

// KeyValueList: values = 1.
function readMap(reader: Reader, end: number, depth: number): AttributeValue {
  if (depth >= MAX_DEPTH) return tooDeep(reader, end);
  const map = newAttributes();
  let position = 0;
  while (reader.pos < end) {
    const tag = reader.tag(end);
    if (tag !== field(1, BYTES)) reader.skip(tag & 7, end);
    else if (position++ >= MAX_ITEMS) reader.pos = reader.end(end);
    else readEntry(reader, reader.end(end), map, depth + 1);
  }
  return map;
}

function readEntry(reader: Reader, end: number, map: Attributes, depth: number): void {
  let key = '';
  let value: AttributeValue = null;
  while (reader.pos < end) {
    const tag = reader.tag(end);
    if (tag === KEY) key = reader.text(reader.end(end));
    else if (tag === VALUE) value = readAnyValue(reader, reader.end(end), depth);
    else reader.skip(tag & 7, end);
  }
  map[key] = value;
}

function readBytes(reader: Reader, end: number): string {
  const start = reader.pos;
  reader.pos = end;
  return bytesToBase64(reader.bytes.subarray(start, end));
}

function tooDeep(reader: Reader, end: number): null {
  reader.pos = end;
  return null;
}
