// OTLP/JSON → spans: the protobuf JSON mapping with OTLP's own rules (hex ids, integer enums), to the same spans as protobuf.
// Source: opentelemetry-proto docs/specification.md, "JSON Protobuf Encoding".
import { Span } from '../span.ts';
import type { Attributes, AttributeValue, SpanContext } from '../span.ts';
import { clean } from '../text.ts';
import { normalBase64 } from './base64.ts';
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
import { DEFAULT_LIMITS, MAX_ATTRIBUTES, MAX_DEPTH, MAX_ITEMS } from './limits.ts';
import type { Limits } from './limits.ts';
import { OtlpDecodeError } from './reader.ts';

export type JsonObject = { readonly [key: string]: unknown };

/** A number that a double may not hold: where one stands, the text is parsed with its literals at hand. */
const LONG_NUMBER = /[:[,\s]-?\d{16}/;
const DECIMAL_INTEGER = /^-?\d{1,20}$/;
const HEX = /^[0-9a-fA-F]*$/;
const MAX_UINT64 = 0xffff_ffff_ffff_ffffn;
const MAX_INT64 = 0x7fff_ffff_ffff_ffffn;
const MIN_INT64 = -0x8000_0000_0000_0000n;

/** A value inside one span is not what OTLP/JSON allows: the span is refused, the rest of the request is kept. */
export class SpanRefusal extends Error {
  override readonly name = 'SpanRefusal';
}

/**
 * Decodes an `ExportTraceServiceRequest` in OTLP/JSON (`application/json`). `{}` is an empty request. A span that breaks
 * the rules is rejected alone and counted. Throws OtlpDecodeError for text that is no JSON or no export request.
 */
export function decodeTracesJson(body: string | Uint8Array, limits: Limits = DEFAULT_LIMITS): DecodedTraces {
  const request = objectAt(parse(textOf(body)), 'the request');
  const decoded: DecodedTraces = { spans: [], rejected: { count: 0, messages: [] }, spanCount: 0 };
  const groups = listAt(request.resourceSpans, 'resourceSpans');
  for (const [i, group] of groups.entries()) readGroup(group, `resourceSpans[${i}]`, decoded, limits);
  return decoded;
}

/** What is wrong outside a span concerns every span below it: the request is refused. */
function readGroup(group: unknown, at: string, decoded: DecodedTraces, limits: Limits): void {
  try {
    readResourceSpans(objectAt(group, at), decoded, limits);
  } catch (error) {
    throw error instanceof SpanRefusal ? new OtlpDecodeError(error.message, at, { cause: error }) : error;
  }
}

export function textOf(body: string | Uint8Array): string {
  if (typeof body === 'string') return body;
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(body);
  } catch (cause) {
    throw new OtlpDecodeError('Expected JSON in UTF-8 but received other bytes', 'the request', { cause });
  }
}

interface WithSource {
  source?: string;
}
type Reviver = (this: unknown, key: string, value: unknown, context: WithSource) => unknown;
const parseWithSource = JSON.parse as (text: string, reviver: Reviver) => unknown;

export function parse(text: string): unknown {
  try {
    return LONG_NUMBER.test(text) ? parseWithSource(text, keepLongIntegers) : (JSON.parse(text) as unknown);
  } catch (cause) {
    throw new OtlpDecodeError('Expected JSON but received other text', 'the request', { cause });
  }
}

/** An integer literal beyond ±(2^53 − 1) stays its own text, as if it had been sent as a string. */
const keepLongIntegers: Reviver = (_key, value, { source }) =>
  typeof value === 'number' && !Number.isSafeInteger(value) && source !== undefined && DECIMAL_INTEGER.test(source)
    ? source
    : value;

function readResourceSpans(group: JsonObject, decoded: DecodedTraces, limits: Limits): void {
  const resource = isAbsent(group.resource) ? {} : objectAt(group.resource, 'resource');
  const attributes = attributesOf(resource.attributes).attributes;
  const schemaUrl = textAt(group.schemaUrl, 'schemaUrl');
  const raw = rawOf(resource, 'resource');
  for (const item of listAt(group.scopeSpans, 'scopeSpans')) {
    const scopeSpans = objectAt(item, 'scopeSpans');
    const scope = isAbsent(scopeSpans.scope) ? undefined : objectAt(scopeSpans.scope, 'scope');
    const url = textAt(scopeSpans.schemaUrl, 'schemaUrl') || schemaUrl;
    const context = contextOf(
      attributes,
      scope === undefined ? NO_SCOPE : scopeOf(scope),
      url,
      raw,
      rawOf(scope ?? {}, 'scope'),
    );
    for (const span of listAt(scopeSpans.spans, 'spans')) readSpanInto(span, context, decoded, limits);
  }
}

/** The text of one part; refuses what is nested too deep to be written. */
export function rawOf(part: JsonObject, at: string): string {
  try {
    return JSON.stringify(part);
  } catch (cause) {
    throw new OtlpDecodeError('Expected JSON of a sane depth', at, { cause });
  }
}

export function scopeOf(scope: JsonObject): ScopeParts {
  return {
    name: textAt(scope.name, 'scope.name'),
    version: textAt(scope.version, 'scope.version'),
    attributes: attributesOf(scope.attributes).attributes,
  };
}

function readSpanInto(item: unknown, context: SpanContext, decoded: DecodedTraces, limits: Limits): void {
  decoded.spanCount++;
  if (decoded.spanCount > limits.maxSpans) {
    reject(decoded.rejected, `Expected at most ${limits.maxSpans} spans in one request`);
    return;
  }
  try {
    const json = objectAt(item, 'span');
    const span = readSpan(json, new Span(context, rawOf(json, 'span')));
    const refusal = finish(span);
    if (refusal === undefined) decoded.spans.push(span);
    else reject(decoded.rejected, refusal);
  } catch (error) {
    if (!(error instanceof SpanRefusal || error instanceof OtlpDecodeError)) throw error;
    reject(decoded.rejected, error.message);
  }
}

function readSpan(json: JsonObject, span: Span): Span {
  span.traceId = idAt(json.traceId, 'traceId');
  span.spanId = idAt(json.spanId, 'spanId');
  span.parentSpanId = idAt(json.parentSpanId, 'parentSpanId');
  span.traceState = textAt(json.traceState, 'traceState');
  span.name = textAt(json.name, 'name');
  span.kind = KINDS[numberAt(json.kind, 'kind')] ?? 'unspecified';
  span.startNs = timeAt(json.startTimeUnixNano, 'startTimeUnixNano');
  span.endNs = timeAt(json.endTimeUnixNano, 'endTimeUnixNano');
  span.flags = numberAt(json.flags, 'flags');
  span.droppedAttributes = numberAt(json.droppedAttributesCount, 'droppedAttributesCount');
  span.droppedEvents = numberAt(json.droppedEventsCount, 'droppedEventsCount');
  span.droppedLinks = numberAt(json.droppedLinksCount, 'droppedLinksCount');
  readStatus(json.status, span);
  for (const [position, item] of listAt(json.attributes, 'attributes').entries()) {
    const entry = objectAt(item, 'attributes');
    addAttribute(span, textAt(entry.key, 'key'), anyValueOf(entry.value, 1), position);
  }
  for (const item of listAt(json.events, 'events')) readEventInto(objectAt(item, 'events'), span);
  for (const item of listAt(json.links, 'links')) readLinkInto(objectAt(item, 'links'), span);
  return span;
}

function readStatus(json: unknown, span: Span): void {
  if (isAbsent(json)) return;
  const status = objectAt(json, 'status');
  span.status = STATUSES[numberAt(status.code, 'status.code')] ?? 'unset';
  span.statusMessage = textAt(status.message, 'status.message');
}

function readEventInto(json: JsonObject, span: Span): void {
  const { attributes, dropped } = attributesOf(json.attributes);
  addEvent(span, {
    timeNs: timeAt(json.timeUnixNano, 'timeUnixNano'),
    name: textAt(json.name, 'event.name'),
    attributes,
    droppedAttributes: dropped + numberAt(json.droppedAttributesCount, 'droppedAttributesCount'),
  });
}

function readLinkInto(json: JsonObject, span: Span): void {
  const { attributes, dropped } = attributesOf(json.attributes);
  addLink(span, {
    traceId: idAt(json.traceId, 'link.traceId'),
    spanId: idAt(json.spanId, 'link.spanId'),
    traceState: textAt(json.traceState, 'link.traceState'),
    attributes,
    droppedAttributes: dropped + numberAt(json.droppedAttributesCount, 'droppedAttributesCount'),
    flags: numberAt(json.flags, 'link.flags'),
  });
}

export function attributesOf(json: unknown): { attributes: Attributes; dropped: number } {
  const attributes = newAttributes();
  const list = listAt(json, 'attributes');
  for (const item of list.slice(0, MAX_ATTRIBUTES)) {
    const entry = objectAt(item, 'attributes');
    attributes[textAt(entry.key, 'key')] = anyValueOf(entry.value, 1);
  }
  return { attributes, dropped: Math.max(0, list.length - MAX_ATTRIBUTES) };
}

type ReadMember = (value: unknown, depth: number) => AttributeValue;

/** Member of an AnyValue → how it is read. */
const MEMBERS: ReadonlyMap<string, ReadMember> = new Map<string, ReadMember>([
  ['stringValue', (value) => textAt(value, 'stringValue')],
  ['boolValue', (value) => (typeof value === 'boolean' ? value : refuse('true or false', 'boolValue', value))],
  ['intValue', (value) => integerAt(value, 'intValue')],
  ['doubleValue', (value) => doubleAt(value)],
  ['arrayValue', (value, depth) => arrayOf(objectAt(value, 'arrayValue'), depth)],
  ['kvlistValue', (value, depth) => mapOf(objectAt(value, 'kvlistValue'), depth)],
  ['bytesValue', (value) => bytesAt(value)],
]);

export function anyValueOf(json: unknown, depth: number): AttributeValue {
  if (isAbsent(json)) return null;
  const object = objectAt(json, 'value');
  for (const member in object) {
    const value = object[member];
    const read = isAbsent(value) ? undefined : MEMBERS.get(member);
    if (read !== undefined) return read(value, depth);
  }
  return null;
}

function arrayOf(json: JsonObject, depth: number): AttributeValue {
  if (depth >= MAX_DEPTH) return null;
  return listAt(json.values, 'values')
    .slice(0, MAX_ITEMS)
    .map((item) => anyValueOf(item, depth + 1));
}

function mapOf(json: JsonObject, depth: number): AttributeValue {
  if (depth >= MAX_DEPTH) return null;
  const map = newAttributes();
  for (const item of listAt(json.values, 'values').slice(0, MAX_ITEMS)) {
    const entry = objectAt(item, 'values');
    map[textAt(entry.key, 'key')] = anyValueOf(entry.value, depth + 1);
  }
  return map;
}

// The primitives of the mapping. Absent and null mean the default of the type.

export function isAbsent(value: unknown): value is null | undefined {
  return value === undefined || value === null;
}

export function refuse(expected: string, at: string, value: unknown): never {
  throw new SpanRefusal(`Expected ${expected} for ${at} but received ${kindOf(value)}`);
}

function kindOf(value: unknown): string {
  if (Array.isArray(value)) return 'an array';
  return typeof value === 'object' ? 'an object' : JSON.stringify(value).slice(0, 40);
}

export function objectAt(value: unknown, at: string): JsonObject {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as JsonObject;
  throw new OtlpDecodeError(`Expected an object but received ${value === null ? 'null' : kindOf(value)}`, at);
}

export function listAt(value: unknown, at: string): readonly unknown[] {
  if (isAbsent(value)) return [];
  if (Array.isArray(value)) return value as unknown[];
  throw new OtlpDecodeError(`Expected an array but received ${kindOf(value)}`, at);
}

export function textAt(value: unknown, at: string): string {
  if (isAbsent(value)) return '';
  return typeof value === 'string' ? clean(value) : refuse('text', at, value);
}

export function idAt(value: unknown, at: string): string {
  const text = isAbsent(value) ? '' : value;
  if (typeof text !== 'string' || !HEX.test(text)) return refuse('hex digits', at, value);
  return text.toLowerCase();
}

/** 32-bit integers and enums: numbers, or (as the protobuf mapping allows for integers) their decimal text. */
export function numberAt(value: unknown, at: string): number {
  if (isAbsent(value)) return 0;
  const number = typeof value === 'string' && DECIMAL_INTEGER.test(value) ? Number(value) : value;
  if (typeof number === 'number' && Number.isSafeInteger(number) && number >= 0) return number;
  return refuse('an integer', at, value);
}

export function bigintAt(value: unknown, at: string, min: bigint, max: bigint): bigint {
  const isInteger =
    typeof value === 'number' ? Number.isSafeInteger(value) : typeof value === 'string' && DECIMAL_INTEGER.test(value);
  const integer = isInteger ? BigInt(value as number | string) : refuse('a 64-bit integer', at, value);
  return integer >= min && integer <= max ? integer : refuse('a 64-bit integer', at, value);
}

export function timeAt(value: unknown, at: string): bigint {
  return isAbsent(value) ? 0n : bigintAt(value, at, 0n, MAX_UINT64);
}

function integerAt(value: unknown, at: string): AttributeValue {
  const integer = bigintAt(value, at, MIN_INT64, MAX_INT64);
  const number = Number(integer);
  return Number.isSafeInteger(number) ? number : integer.toString();
}

const NAMED_DOUBLES = new Set(['NaN', 'Infinity', '-Infinity']);

export function doubleAt(value: unknown): AttributeValue {
  if (typeof value === 'number') return jsonDouble(value);
  if (typeof value === 'string' && NAMED_DOUBLES.has(value)) return value;
  const number = typeof value === 'string' && value.trim() !== '' ? Number(value) : Number.NaN;
  return Number.isFinite(number) ? jsonDouble(number) : refuse('a number', 'doubleValue', value);
}

function bytesAt(value: unknown): string {
  const base64 = typeof value === 'string' ? normalBase64(value) : undefined;
  return base64 ?? refuse('base64', 'bytesValue', value);
}
