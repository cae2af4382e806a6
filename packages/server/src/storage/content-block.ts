// The inside of a content block: what the spans of one request carried beside their rows, as JSON under zstd.
// Sealing is the caller's; a stored span becomes a Span again, read by the conventions table of today.
import { promisify } from 'node:util';
import { constants, zstdCompress, zstdDecompressSync, type ZstdOptions } from 'node:zlib';
import {
  Span,
  type Attributes,
  type CostComponent,
  type SpanContext,
  type SpanEvent,
  type SpanLink,
} from '@lumatrace/telemetry';
import { addAttribute, completeSpan } from '@lumatrace/telemetry/otlp/build.ts';
import type { SpanRow } from './postgres/spans.ts';

const VERSION = 1;
/** One request is at most 64 MiB inflated; as JSON with escapes somewhat more. */
const MAX_BLOCK_BYTES = 512 * 1024 * 1024;
// Level 1: the higher ones save 4 % and take twice the time, measured on GenAI spans of 2.7 kB.
// The whole output of a usual block in one piece: each further one is a way to the thread and back.
const COMPRESSION = { chunkSize: 64 * 1024, params: { [constants.ZSTD_c_compressionLevel]: 1 } };

/** How a span was priced: the lines of the bill, or why there is none. */
export type StoredPrice =
  { providerId: string; modelId: string; overrideId?: string; components: StoredComponent[] } | { unpriced: string };
export type StoredComponent = Omit<CostComponent, 'costPico'> & { costPico: string };

// Member names are short because there are a hundred spans in a block and thousands of blocks.
interface StoredSpan {
  /** index of its context */
  c: number;
  a: Attributes;
  /** events: time, name, attributes, dropped attributes */
  e?: Array<[string, string, Attributes, number]>;
  l?: SpanLink[];
  /** trace state, status message, flags */
  t?: string;
  m?: string;
  f?: number;
  /** dropped attributes, events, links */
  d?: [number, number, number];
  /** what was odd */
  i?: string[];
  p?: StoredPrice;
}

type StoredContext = Omit<SpanContext, 'rawResource' | 'rawScope'>;

export interface ContentBlock {
  v: number;
  contexts: StoredContext[];
  spans: StoredSpan[];
}

type Compress = (bytes: Uint8Array, options: ZstdOptions) => Promise<Buffer>;
/** On another thread: the main one, which decodes, is what limits ingest. */
const compress = promisify(zstdCompress) as Compress;

/**
 * The bytes of a block; a span's place in `spans` is its `blockIndex`. `prices` has one entry per span. What is written
 * is read before this returns its promise, so the spans may change afterwards.
 */
export function encodeBlock(spans: readonly Span[], prices: readonly (StoredPrice | undefined)[]): Promise<Buffer> {
  const indices = new Map<SpanContext, number>();
  const contexts: StoredContext[] = [];
  const stored = spans.map((span, i) => {
    let index = indices.get(span.context);
    if (index === undefined) {
      index = contexts.length;
      indices.set(span.context, index);
      const { rawResource: _resource, rawScope: _scope, ...context } = span.context;
      contexts.push(context);
    }
    return storedSpan(span, index, prices[i]);
  });
  const block: ContentBlock = { v: VERSION, contexts, spans: stored };
  return compress(Buffer.from(JSON.stringify(block), 'utf8'), COMPRESSION);
}

function storedSpan(span: Span, context: number, price: StoredPrice | undefined): StoredSpan {
  const stored: StoredSpan = { c: context, a: span.attributes };
  const { events, links, droppedAttributes, droppedEvents, droppedLinks } = span;
  if (events.length > 0) {
    stored.e = events.map((event) => [String(event.timeNs), event.name, event.attributes, event.droppedAttributes]);
  }
  if (links.length > 0) stored.l = links;
  if (span.traceState !== '') stored.t = span.traceState;
  if (span.statusMessage !== '') stored.m = span.statusMessage;
  if (span.flags !== 0) stored.f = span.flags;
  if (droppedAttributes + droppedEvents + droppedLinks > 0) {
    stored.d = [droppedAttributes, droppedEvents, droppedLinks];
  }
  if (span.issues.length > 0) stored.i = span.issues;
  if (price !== undefined) stored.p = price;
  return stored;
}

/** Throws when the bytes are no block of a version that is known here. */
export function decodeBlock(bytes: Uint8Array): ContentBlock {
  return parsed(zstdDecompressSync(bytes, { maxOutputLength: MAX_BLOCK_BYTES }));
}

/** The same with its inflated size, or undefined when that is above `maxBytes`: fifty MB of one word are a few kB here. */
export function decodeBlockWithin(
  bytes: Uint8Array,
  maxBytes: number,
): { block: ContentBlock; inflatedBytes: number } | undefined {
  try {
    const json = zstdDecompressSync(bytes, { maxOutputLength: Math.min(maxBytes, MAX_BLOCK_BYTES) });
    return { block: parsed(json), inflatedBytes: json.length };
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ERR_BUFFER_TOO_LARGE') return undefined;
    throw error;
  }
}

function parsed(json: Buffer): ContentBlock {
  const block = JSON.parse(json.toString('utf8')) as ContentBlock;
  if (block.v !== VERSION) throw new Error(`Expected content block version ${VERSION} but received ${block.v}`);
  return block;
}

/** The bytes of a block that was opened and changed. */
export function encodeOpened(block: ContentBlock): Promise<Buffer> {
  return compress(Buffer.from(JSON.stringify(block), 'utf8'), COMPRESSION);
}

const KINDS = ['unspecified', 'internal', 'server', 'client', 'producer', 'consumer'] as const;
const STATUSES = ['unset', 'ok', 'error'] as const;
export const KIND_NUMBERS: ReadonlyMap<string, number> = new Map(KINDS.map((kind, i) => [kind, i]));
export const STATUS_NUMBERS: ReadonlyMap<string, number> = new Map(STATUSES.map((status, i) => [status, i]));

export function statusName(status: number): (typeof STATUSES)[number] {
  return STATUSES[status] ?? 'unset';
}

/** 64 bits as a signed integer ↔ 16 hex digits. */
export function spanIdText(spanId: bigint): string {
  return BigInt.asUintN(64, spanId).toString(16).padStart(16, '0');
}
export function spanIdNumber(hex: string): bigint {
  return BigInt.asIntN(64, BigInt(`0x${hex}`));
}

/** What a stored span is without its content: ids, times and the names of the row. */
export function spanWithoutContent(row: SpanRow): Span {
  return fill(new Span(contextOf(row, undefined), ''), row);
}

/**
 * The span of `row` again, with its attributes, events and links. What the row holds wins over what the attributes would
 * say today; `price` is as it was at arrival.
 */
export function spanFrom(row: SpanRow, block: ContentBlock): { span: Span; price: StoredPrice | undefined } {
  const stored = block.spans[row.blockIndex];
  if (stored === undefined) throw new Error(`Expected span ${row.blockIndex} in a block of ${block.spans.length}`);
  const span = new Span(contextOf(row, block.contexts[stored.c]), '');
  let position = 0;
  for (const key in stored.a) addAttribute(span, key, stored.a[key] ?? null, position++);
  span.events = (stored.e ?? []).map(([timeNs, name, attributes, droppedAttributes]): SpanEvent => ({
    timeNs: BigInt(timeNs),
    name,
    attributes,
    droppedAttributes,
  }));
  span.links = stored.l ?? [];
  span.traceState = stored.t ?? '';
  span.statusMessage = stored.m ?? '';
  span.flags = stored.f ?? 0;
  [span.droppedAttributes, span.droppedEvents, span.droppedLinks] = stored.d ?? [0, 0, 0];
  span.startNs = row.startNs;
  completeSpan(span);
  span.issues.splice(0, Infinity, ...(stored.i ?? []));
  return { span: fill(span, row), price: stored.p };
}

function contextOf(row: SpanRow, stored: StoredContext | undefined): SpanContext {
  return {
    serviceVersion: undefined,
    scopeName: '',
    scopeVersion: '',
    schemaUrl: '',
    resourceAttributes: {},
    scopeAttributes: {},
    ...stored,
    serviceName: row.service,
    environment: row.environment ?? undefined,
    rawResource: '',
    rawScope: '',
  };
}

function fill(span: Span, row: SpanRow): Span {
  span.traceId = row.traceId;
  span.spanId = spanIdText(row.spanId);
  span.parentSpanId = row.parentSpanId === null ? undefined : spanIdText(row.parentSpanId);
  span.name = row.name;
  span.kind = KINDS[row.kind] ?? 'unspecified';
  span.status = statusName(row.status);
  span.startNs = row.startNs;
  span.endNs = row.endNs;
  span.environment = row.environment ?? undefined;
  span.endpoint = row.endpoint ?? undefined;
  span.operation = row.operation ?? undefined;
  span.provider = row.provider ?? undefined;
  if (row.model !== null && span.model !== row.model) span.responseModel = row.model;
  span.inputTokens = row.inputTokens ?? undefined;
  span.outputTokens = row.outputTokens ?? undefined;
  span.cacheReadTokens = row.cacheReadTokens ?? undefined;
  span.cacheCreationTokens = row.cacheCreationTokens ?? undefined;
  span.reasoningTokens = row.reasoningTokens ?? undefined;
  span.userId = row.userId ?? undefined;
  span.sessionId = row.sessionId ?? undefined;
  span.errorType = row.errorType ?? undefined;
  return span;
}
