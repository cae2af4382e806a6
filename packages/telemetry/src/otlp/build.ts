// The steps that both encodings of OTLP share: context, refusals, and the last look at a span before it is handed out.
import { isKnownKey, recognise, RESOURCE_KEYS, resourceLabel } from '../conventions.ts';
import { completeUsage } from '../conventions-usage.ts';
import { MAX_NAME_LENGTH, Span } from '../span.ts';
import type { Attributes, AttributeValue, SpanContext, SpanEvent, SpanKind, SpanLink, SpanStatus } from '../span.ts';
import { clipAtWord } from '../text.ts';
import {
  MAX_ATTRIBUTES,
  MAX_EVENTS,
  MAX_ISSUES,
  MAX_KNOWN_ATTRIBUTES,
  MAX_LINKS,
  MAX_REJECTION_MESSAGES,
  MAX_TIME_NS,
} from './limits.ts';

export interface Rejected {
  count: number;
  /** At most ten different sentences. */
  messages: string[];
}

/** What one export request held. `spans` keeps the order of the request; `spanCount` counts all, the rejected too. */
export interface DecodedTraces {
  spans: Span[];
  rejected: Rejected;
  spanCount: number;
}

/** Numbers of the enums, as opentelemetry-proto trace/v1 gives them; an unknown one reads as the first. */
export const KINDS: readonly SpanKind[] = ['unspecified', 'internal', 'server', 'client', 'producer', 'consumer'];
export const STATUSES: readonly SpanStatus[] = ['unset', 'ok', 'error'];

export function newAttributes(): Attributes {
  return Object.create(null) as Attributes;
}

export interface ScopeParts {
  name: string;
  version: string;
  attributes: Attributes;
}

export const NO_SCOPE: ScopeParts = { name: '', version: '', attributes: newAttributes() };

export function contextOf(
  resource: Attributes,
  scope: ScopeParts,
  schemaUrl: string,
  rawResource: Uint8Array | string,
  rawScope: Uint8Array | string,
): SpanContext {
  return {
    serviceName: resourceLabel(resource, RESOURCE_KEYS.serviceName) ?? 'unknown_service',
    serviceVersion: resourceLabel(resource, RESOURCE_KEYS.serviceVersion),
    environment: resourceLabel(resource, RESOURCE_KEYS.environment),
    scopeName: clipAtWord(scope.name, MAX_NAME_LENGTH),
    scopeVersion: clipAtWord(scope.version, MAX_NAME_LENGTH),
    schemaUrl,
    resourceAttributes: resource,
    scopeAttributes: scope.attributes,
    rawResource,
    rawScope,
  };
}

/** Keeps one attribute of a span and reads it; beyond the limit only a key of the table is still kept. */
export function addAttribute(span: Span, key: string, value: AttributeValue, position: number): void {
  if (position >= MAX_ATTRIBUTES && (position >= MAX_KNOWN_ATTRIBUTES || !isKnownKey(key))) {
    span.droppedAttributes++;
    return;
  }
  span.attributes[key] = value;
  recognise(span, key, value);
}

export function addEvent(span: Span, event: SpanEvent): void {
  if (span.events.length >= MAX_EVENTS) span.droppedEvents++;
  else if (span.events.length === 0) span.events = [event];
  else span.events.push(event);
}

export function addLink(span: Span, link: SpanLink): void {
  if (span.links.length >= MAX_LINKS) span.droppedLinks++;
  else if (span.links.length === 0) span.links = [link];
  else span.links.push(link);
}

/** A double as JSON can hold it. */
export function jsonDouble(value: number): AttributeValue {
  return Number.isFinite(value) ? (Object.is(value, -0) ? 0 : value) : String(value);
}

/** Checks and completes a span whose parts are read; answers why it must be refused, or undefined. */
export function finish(span: Span): string | undefined {
  if (!isId(span.traceId, TRACE_ID_DIGITS)) return badId('trace id', TRACE_ID_DIGITS, span.traceId);
  if (!isId(span.spanId, SPAN_ID_DIGITS)) return badId('span id', SPAN_ID_DIGITS, span.spanId);
  if (span.parentSpanId === '' || span.parentSpanId === NO_PARENT) span.parentSpanId = undefined;
  if (span.parentSpanId !== undefined && span.parentSpanId.length !== SPAN_ID_DIGITS) {
    return badId('parent span id', SPAN_ID_DIGITS, span.parentSpanId);
  }
  if (span.startNs <= 0n || span.startNs > MAX_TIME_NS) {
    return `Expected a start time from 1 to ${MAX_TIME_NS} ns for span ${span.spanId} but received ${span.startNs}`;
  }
  if (span.endNs > MAX_TIME_NS) {
    return `Expected an end time of at most ${MAX_TIME_NS} ns for span ${span.spanId} but received ${span.endNs}`;
  }
  if (span.endNs < span.startNs) endAtStart(span);
  if (span.name.length > MAX_NAME_LENGTH) span.name = cut(span, 'name', span.name);
  if (span.statusMessage.length > MAX_NAME_LENGTH) span.statusMessage = cut(span, 'status message', span.statusMessage);
  span.droppedAttributes = Math.min(span.droppedAttributes, MAX_INT32);
  span.droppedEvents = Math.min(span.droppedEvents, MAX_INT32);
  span.droppedLinks = Math.min(span.droppedLinks, MAX_INT32);
  completeSpan(span);
  return undefined;
}

/** What follows from several fields together, once all attributes are read. */
export function completeSpan(span: Span): void {
  if (span.environment === undefined) span.environment = span.context.environment;
  completeUsage(span);
  if (span.kind === 'client' && span.attributes['url.full'] !== undefined) leaveOutForeignRoute(span);
  if (span.level === 'error' && span.status === 'unset') span.status = 'error';
  if (span.statusText !== undefined && span.statusMessage === '') span.statusMessage = span.statusText;
  if (span.firstChunkAtMs !== undefined && span.timeToFirstChunkS === undefined) completeFirstChunk(span);
  if (span.issues.length > MAX_ISSUES) span.issues.splice(MAX_ISSUES);
}

/** `http.route` of an HTTP client's span is a route of the server that it called, not of the application. */
function leaveOutForeignRoute(span: Span): void {
  const at = span.origins.findIndex(({ field, key }) => field === 'endpoint' && key === 'http.route');
  if (at < 0) return;
  span.origins.splice(at, 1);
  span.endpoint = undefined;
}

function completeFirstChunk(span: Span): void {
  const ms = (span.firstChunkAtMs ?? 0) - Number(span.startNs / 1_000_000n);
  if (ms < 0) return;
  span.timeToFirstChunkS = ms / 1000;
  const moment = span.origins.find((row) => row.field === 'firstChunkAtMs');
  if (moment !== undefined) span.origins.push({ ...moment, field: 'timeToFirstChunkS' });
}

/** What may be read again: everything that was said, without the ids and times. */
export interface SpanContent {
  attributes: Attributes;
  events?: SpanEvent[];
  links?: SpanLink[];
  context?: SpanContext;
  name?: string;
  statusMessage?: string;
}

/** Sentences about times and lengths: they quote nothing that was said, so a span that is read again keeps them. */
const SHAPE_ISSUE =
  /^(?:The span has no end time|Expected an end time after|The (?:name|status message) of \d+ characters)/;

/**
 * A new span with the ids, times and `raw` of `span` and the content that is given: every field, the messages and
 * `mappedFrom` are read again from it, so that nothing remembers what was taken out. What is not given stays.
 */
export function rereadSpan(span: Span, content: SpanContent): Span {
  const again = new Span(content.context ?? span.context, span.raw);
  again.traceId = span.traceId;
  again.spanId = span.spanId;
  again.parentSpanId = span.parentSpanId;
  again.traceState = span.traceState;
  again.name = content.name ?? span.name;
  again.kind = span.kind;
  again.status = span.status;
  again.statusMessage = content.statusMessage ?? span.statusMessage;
  again.startNs = span.startNs;
  again.endNs = span.endNs;
  again.flags = span.flags;
  again.droppedAttributes = span.droppedAttributes;
  again.droppedEvents = span.droppedEvents;
  again.droppedLinks = span.droppedLinks;
  for (const key in content.attributes) addAttribute(again, key, content.attributes[key] ?? null, 0);
  again.events = content.events ?? span.events;
  again.links = content.links ?? span.links;
  completeSpan(again);
  for (const issue of span.issues)
    if (SHAPE_ISSUE.test(issue) && !again.issues.includes(issue)) again.issues.push(issue);
  return again;
}

/** Counts fit a signed 32-bit column. */
const MAX_INT32 = 2_147_483_647;
const TRACE_ID_DIGITS = 32;
const SPAN_ID_DIGITS = 16;
const NO_PARENT = '0'.repeat(SPAN_ID_DIGITS);
const NOT_ZERO = /[^0]/;

function isId(id: string, digits: number): boolean {
  return id.length === digits && NOT_ZERO.test(id);
}

function badId(what: string, digits: number, id: string): string {
  const received = id.length === digits ? 'only zeros' : `${id.length} digits`;
  return `Expected a ${what} of ${digits} hex digits, not all zero, but received ${received}`;
}

function endAtStart(span: Span): void {
  span.issues.push(
    span.endNs === 0n
      ? 'The span has no end time; it was set to the start'
      : `Expected an end time after the start but received ${span.startNs - span.endNs} ns before it; it was set to the start`,
  );
  span.endNs = span.startNs;
}

function cut(span: Span, what: string, text: string): string {
  const kept = clipAtWord(text, MAX_NAME_LENGTH);
  span.issues.push(`The ${what} of ${text.length} characters was cut to ${kept.length}`);
  return kept;
}

export function reject(rejected: Rejected, message: string): void {
  rejected.count++;
  if (rejected.messages.length < MAX_REJECTION_MESSAGES && !rejected.messages.includes(message)) {
    rejected.messages.push(message);
  }
}
