// One export request made ready to be written: everything that needs the processor but not the database.
import { randomUUID } from 'node:crypto';
import type { PriceBook, Span } from '@lumatrace/telemetry';
import type { TenantKey } from '../keys/tenant-key.ts';
import { encodeBlock } from '../storage/content-block.ts';
import type { BlockRow } from '../storage/postgres/content.ts';
import { blockAad } from '../storage/sealed.ts';
import { markBilled } from './billing.ts';
import { contentHasher, recorded, type Recorded } from './record.ts';
import { leaveOutSelfTraced } from './self-traced.ts';
import { summaryOf, type Summary } from './summary.ts';

/** Applied to the spans of every way in before anything of them is stored, shown or counted: returns what may be kept. */
export interface Redactor {
  redactSpans(spans: Span[]): Span[];
}

/** The spans of one request that belong to one trace. */
export interface DeliveredTrace {
  spans: Recorded[];
  /** Their ids, to see whether another request carries one of them too. */
  ids: Set<bigint>;
  summary: Summary;
}

export interface Delivery {
  spanCount: number;
  /** Identical spans inside the request that were left out, and others that a later one replaced. */
  duplicates: number;
  replaced: number;
  traces: Map<string, DeliveredTrace>;
  /** Day and class of the block, and the block itself when it is compressed and sealed. */
  blockDay: number;
  retentionClass: number;
  block: Promise<BlockRow>;
  /** Inflated size of the request. */
  bytes: number;
}

export interface DeliveryTerms {
  key: TenantKey;
  retentionClass: number;
  redactor: Redactor;
  /** The tenant's prices; the release's table without. */
  prices?: PriceBook | undefined;
  bytes: number;
}

/** Of spans with the same id in one request the last counts. Undefined when nothing may be kept. */
export function deliveryOf(spans: readonly Span[], terms: DeliveryTerms): Delivery | undefined {
  const { key, retentionClass, redactor, prices, bytes } = terms;
  // The hash is of what was sent, so that a repetition stays one whatever the redaction of the day is; it is keyed, so
  // that nobody who reads rows can test a guess of what was taken out.
  const kept = lastOfEach(spans, contentHasher(key));
  const redacted = redactor.redactSpans(kept.spans);
  if (redacted.length === 0) return undefined;
  const records = redacted.map((span) => recorded(span, kept.hashes.get(idOf(span)) ?? 0n, retentionClass, prices));
  leaveOutSelfTraced(records);
  const { block, blockDay } = sealedBlock(records, key, retentionClass);
  return {
    spanCount: records.length,
    retentionClass,
    blockDay,
    duplicates: kept.duplicates,
    replaced: kept.replaced,
    traces: byTrace(records),
    block,
    bytes,
  };
}

interface Kept {
  spans: Span[];
  hashes: Map<string, bigint>;
  duplicates: number;
  replaced: number;
}

function lastOfEach(spans: readonly Span[], contentHash: (span: Span) => bigint): Kept {
  const last = new Map<string, Span>();
  const hashes = new Map<string, bigint>();
  const kept: Kept = { spans: [], hashes, duplicates: 0, replaced: 0 };
  for (const span of spans) {
    const id = idOf(span);
    const hash = contentHash(span);
    const earlier = hashes.get(id);
    if (earlier === hash) kept.duplicates++;
    else if (earlier !== undefined) kept.replaced++;
    hashes.set(id, hash);
    last.set(id, span);
  }
  kept.spans = [...last.values()];
  return kept;
}

const idOf = (span: Span): string => span.traceId + span.spanId;

function sealedBlock(
  records: readonly Recorded[],
  key: TenantKey,
  retentionClass: number,
): { block: Promise<BlockRow>; blockDay: number } {
  const blockId = randomUUID().replaceAll('-', '');
  const day = records.reduce((latest, { row }) => Math.max(latest, row.day), 0);
  records.forEach(({ row }, index) => {
    row.blockId = blockId;
    row.blockDay = day;
    row.blockIndex = index;
  });
  const bytes = encodeBlock(
    records.map(({ span }) => span),
    records.map(({ price }) => price),
  );
  const block = bytes.then((plain) => ({
    blockId,
    day,
    retentionClass,
    sealed: key.seal('content', blockAad(blockId), plain),
  }));
  // It is awaited when its group is written; until then a failure is nobody's.
  block.catch(() => {});
  return { block, blockDay: day };
}

function byTrace(records: readonly Recorded[]): Map<string, DeliveredTrace> {
  const spans = Map.groupBy(records, ({ row }) => row.traceId);
  const traces = new Map<string, DeliveredTrace>();
  for (const [traceId, own] of spans) {
    markBilled(own.map(({ row }) => row));
    traces.set(traceId, { spans: own, ids: new Set(own.map(({ row }) => row.spanId)), summary: summaryOf(own) });
  }
  return traces;
}

/** Whether both carry the same span: such deliveries are written one after the other. */
export function overlap(a: Delivery, b: Delivery): boolean {
  for (const [traceId, trace] of b.traces) {
    const other = a.traces.get(traceId);
    if (other !== undefined && !other.ids.isDisjointFrom(trace.ids)) return true;
  }
  return false;
}
