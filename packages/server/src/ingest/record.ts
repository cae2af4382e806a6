// From a span to its row: hashed, priced, its times and ids as the columns hold them.
import { hash } from 'node:crypto';
import { isPriced, picoOf, priceOfSpan, type PriceBook, type Span, type SpanContext } from '@lumatrace/telemetry';
import type { TenantKey } from '../keys/tenant-key.ts';
import { KIND_NUMBERS, STATUS_NUMBERS, spanIdNumber, type StoredPrice } from '../storage/content-block.ts';
import type { SpanRow } from '../storage/postgres/spans.ts';

/** A span with its row; the block's id and day are filled in when the block of the request is known. */
export interface Recorded {
  span: Span;
  row: SpanRow;
  /** What the block keeps of the price: undefined for a span that is not billable. */
  price: StoredPrice | undefined;
}

export const DAY_NS = 86_400_000_000_000n;
/** What fits a 64-bit column: nine million dollars. A call beyond it is no call: it is shown as unpriced. */
const MAX_PICO = 0x7fff_ffff_ffff_ffffn;

/** `prices`: the tenant's; the release's table without. */
export function recorded(span: Span, contentHash: bigint, retentionClass: number, prices?: PriceBook): Recorded {
  const price = rowPriceOf(span, prices);
  const row: SpanRow = {
    traceId: span.traceId,
    spanId: spanIdNumber(span.spanId),
    parentSpanId: span.parentSpanId === undefined ? null : spanIdNumber(span.parentSpanId),
    day: Number(span.startNs / DAY_NS),
    retentionClass,
    startNs: span.startNs,
    endNs: span.endNs,
    contentHash,
    blockId: '',
    blockDay: 0,
    blockIndex: 0,
    costPico: price.costPico,
    clientCostPico: clientCostOf(span),
    inputTokens: span.inputTokens ?? null,
    outputTokens: span.outputTokens ?? null,
    cacheReadTokens: span.cacheReadTokens ?? null,
    cacheCreationTokens: span.cacheCreationTokens ?? null,
    reasoningTokens: span.reasoningTokens ?? null,
    status: STATUS_NUMBERS.get(span.status) ?? 0,
    kind: KIND_NUMBERS.get(span.kind) ?? 0,
    billable: span.billable,
    name: span.name,
    service: span.serviceName,
    environment: span.environment ?? null,
    endpoint: span.endpoint ?? null,
    operation: span.operation ?? null,
    provider: span.provider ?? null,
    model: span.model ?? null,
    priceVersion: price.version,
    userId: span.userId ?? null,
    sessionId: span.sessionId ?? null,
    errorType: span.errorType ?? null,
    responseHash: span.responseId === undefined ? null : BigInt.asIntN(64, digest64(span.responseId)),
    repeatsSpanId: null,
    repeatsReason: null,
  };
  return { span, row, price: price.stored };
}

export interface RowPrice {
  costPico: bigint | null;
  version: string | null;
  stored: StoredPrice | undefined;
}

/** What a span costs as its row and its block keep it. */
export function rowPriceOf(span: Span, prices?: PriceBook): RowPrice {
  const price = priceOfSpan(span, prices);
  if (price === null) return { costPico: null, version: null, stored: undefined };
  if (!isPriced(price)) return { costPico: null, version: null, stored: price };
  if (price.costPico > MAX_PICO) return { costPico: null, version: null, stored: { unpriced: 'implausible' } };
  const { providerId, modelId, priceVersion, overrideId } = price;
  const components = price.components.map((line) => ({ ...line, costPico: String(line.costPico) }));
  const stored = { providerId, modelId, ...(overrideId !== undefined && { overrideId }), components };
  return { costPico: price.costPico, version: priceVersion, stored };
}

function clientCostOf(span: Span): bigint | null {
  if (span.clientCostUsd === undefined) return null;
  const pico = picoOf(span.clientCostUsd);
  return pico === undefined || pico > MAX_PICO ? null : pico;
}

/**
 * Tells a repetition from other content: SHA-256 over the span as it was sent, with that of its resource and scope
 * mixed in, once more with a key of the tenant, 64 bits of it. Two contents of one span id collide once in 2^64; across
 * span ids it is never compared. (The key stands before text of one length, and the end is cut: no extension of lengths.)
 */
export function contentHasher(key: TenantKey): (span: Span) => bigint {
  const keyed = key.derive('blind-index', 'content-hash');
  const contexts = new Map<SpanContext, Buffer>();
  return (span) => {
    let context = contexts.get(span.context);
    if (context === undefined) {
      const { rawResource, rawScope } = span.context;
      context = Buffer.concat([digest(rawResource), digest(rawScope)]);
      contexts.set(span.context, context);
    }
    return digest64(Buffer.concat([keyed, digest(span.raw), context]));
  };
}

function digest(bytes: Uint8Array | string): Buffer {
  return hash('sha256', bytes, 'buffer');
}

function digest64(bytes: Uint8Array | string): bigint {
  return digest(bytes).readBigInt64BE(0);
}
