// Evaluation results → scores. Source: OpenTelemetry GenAI conventions, event gen_ai.evaluation.result.
import { createHmac, randomUUID } from 'node:crypto';
import { clip, type Attributes, type Json, type LogRecord } from '@lumatrace/telemetry';
import type { TenantKey } from '../keys/tenant-key.ts';
import { spanIdNumber } from '../storage/content-block.ts';
import type { ScoreRow, ScoreSource } from '../storage/postgres/scores.ts';
import { scoreAad } from '../storage/sealed.ts';

export const EVALUATION_RESULT = 'gen_ai.evaluation.result';

/** A score as somebody gave it. */
export interface GivenScore {
  /** 32 lower-case hex digits, and 16 or undefined for the trace as a whole. */
  traceId: string;
  spanId: string | undefined;
  name: string;
  source: ScoreSource;
  timeNs: bigint;
  value: number | null;
  label: string | null;
  explanation: string | null;
  /** Whatever else was said about it. */
  metadata: { [key: string]: Json };
}

/** What is sealed beside the row. */
export interface SealedScore {
  explanation: string | null;
  metadata: { [key: string]: Json };
}

const MAX_NAME = 200;
const MAX_EXPLANATION = 10_000;
const MAX_METADATA = 65_536;

/** The attributes that a score is made of; the rest is its metadata. */
const KEYS = {
  name: 'gen_ai.evaluation.name',
  value: 'gen_ai.evaluation.score.value',
  label: 'gen_ai.evaluation.score.label',
  explanation: 'gen_ai.evaluation.explanation',
} as const;
const OWN_KEYS: ReadonlySet<string> = new Set([...Object.values(KEYS), 'event.name']);

/** The score of an evaluation result; undefined for any other record, and for one without a trace or a name. */
export function scoreOfRecord(record: LogRecord): GivenScore | undefined {
  if (record.eventName !== EVALUATION_RESULT || record.traceId === undefined) return undefined;
  const { attributes } = record;
  const name = textOf(attributes[KEYS.name]);
  if (name === null) return undefined;
  return {
    traceId: record.traceId,
    spanId: record.spanId,
    name: clip(name, MAX_NAME),
    source: 'sdk',
    timeNs: record.timeNs,
    value: numberOf(attributes[KEYS.value]),
    label: textOf(attributes[KEYS.label]),
    explanation: textOf(attributes[KEYS.explanation]),
    metadata: metadataOf(record, attributes),
  };
}

function metadataOf(record: LogRecord, attributes: Attributes): { [key: string]: Json } {
  const metadata: { [key: string]: Json } = {};
  for (const key in attributes) if (!OWN_KEYS.has(key)) metadata[key] = attributes[key] ?? null;
  if (record.body !== null) metadata.body = record.body;
  metadata['service.name'] = record.context.serviceName;
  if (record.context.scopeName !== '') metadata['otel.scope.name'] = record.context.scopeName;
  return JSON.stringify(metadata).length <= MAX_METADATA ? metadata : {};
}

function textOf(value: Json | undefined): string | null {
  if (typeof value === 'number' || typeof value === 'boolean') return String(value);
  return typeof value === 'string' && value !== '' ? value : null;
}

function numberOf(value: Json | undefined): number | null {
  if (typeof value === 'boolean') return value ? 1 : 0;
  const number = typeof value === 'string' && value.trim() !== '' ? Number(value) : value;
  return typeof number === 'number' && Number.isFinite(number) ? number : null;
}

/** The rows of scores; of those with the same trace, span, name and source the last counts. */
export function scoreRows(scores: readonly GivenScore[], key: TenantKey, retentionClass: number): ScoreRow[] {
  const rows = new Map<string, ScoreRow>();
  const hashKey = key.derive('blind-index', 'scores');
  for (const score of scores) {
    const row = scoreRow(score, key, hashKey, retentionClass);
    const id = JSON.stringify([row.traceId, String(row.spanId), row.name, row.source]);
    const other = rows.get(id);
    if (other === undefined || other.timeNs <= row.timeNs) rows.set(id, row);
  }
  return [...rows.values()];
}

function scoreRow(score: GivenScore, key: TenantKey, hashKey: Buffer, retentionClass: number): ScoreRow {
  const { traceId, name, source, timeNs, value, metadata } = score;
  const spanId = score.spanId === undefined ? 0n : spanIdNumber(score.spanId);
  const label = score.label === null ? null : clip(score.label, MAX_NAME);
  const explanation = score.explanation === null ? null : clip(score.explanation, MAX_EXPLANATION);
  const sealed: SealedScore = { explanation, metadata };
  const content = JSON.stringify([String(timeNs), value, label, sealed]);
  return {
    scoreId: randomUUID().replaceAll('-', ''),
    traceId,
    spanId,
    name,
    source,
    timeNs,
    value,
    label,
    contentHash: createHmac('sha256', hashKey).update(content).digest().readBigInt64BE(0),
    sealed: key.seal(
      'column',
      scoreAad({ traceId, spanId, name, source }),
      Buffer.from(JSON.stringify(sealed), 'utf8'),
    ),
    expires: Number(timeNs / 86_400_000_000_000n) + retentionClass + 1,
  };
}
