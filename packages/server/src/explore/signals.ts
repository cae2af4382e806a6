// What came beside the spans of a trace: log records that hold their content, others that are shown as events, and scores.
// Joined when it is read, so it does not matter which arrived first.
import {
  joinMessages,
  messagesFromLog,
  previewOf,
  type Attributes,
  type Json,
  type Preview,
  type SpanMessages,
} from '@lumatrace/telemetry';
import type { TenantKey } from '../keys/tenant-key.ts';
import { spanIdText } from '../storage/content-block.ts';
import type { Sql } from '../storage/database.ts';
import { decodeLogBlock, logFrom, type LogBlock } from '../storage/log-block.ts';
import { readBlocks } from '../storage/postgres/content.ts';
import { logPreviews, logsOfTrace, type LogPreview, type TraceLog } from '../storage/postgres/logs.ts';
import { scoresOfTraces, type ScoreSource, type StoredScore } from '../storage/postgres/scores.ts';
import { blockAad, logPreviewAad, scoreAad } from '../storage/sealed.ts';

/** A score in answers. */
export interface ScoreItem {
  score_id: string;
  trace_id: string;
  /** null: of the trace as a whole. */
  span_id: string | null;
  name: string;
  value: number | null;
  label: string | null;
  explanation: string | null;
  source: ScoreSource;
  timestamp: string;
  metadata: { [key: string]: Json };
}

/** A log record among the events of its span. */
export interface LogEvent {
  name: string;
  time: string;
  time_ns: string;
  attributes: Attributes;
  log: { severity_number: number; severity_text: string; body: Json; service_name: string };
}

interface JoinedLog {
  event: LogEvent;
  content: SpanMessages | undefined;
}

/** What one trace has beside its spans. */
export interface TraceSignals {
  scores: ScoreItem[];
  /** By span id; null are those of the trace as a whole. */
  scoresOf: ReadonlyMap<string | null, ScoreItem[]>;
  /** By span id; '' are the records that name no span. */
  logs: ReadonlyMap<string, readonly JoinedLog[]>;
}

/** What a span item may gain. */
export interface SignalledItem {
  span_id: string;
  prompt: string | null;
  response: string | null;
  messages: Omit<SpanMessages, 'from'> | null;
  events: Array<Omit<LogEvent, 'log'> & { log?: LogEvent['log'] }> | null;
  mapped_from: Record<string, string> | null;
  scores: ScoreItem[];
}

const MAX_LOGS_SHOWN = 10_000;
const MAX_SCORES_SHOWN = 5_000;
const MAX_PREVIEWS_READ = 10_000;

export interface StoredSignals {
  logs: TraceLog[];
  blocks: Array<{ blockId: string; sealed: Buffer }>;
  scores: StoredScore[];
}

/** Reads inside the transaction of the trace; {@link openSignals} opens it outside. */
export async function readSignals(
  sql: Sql,
  tenantId: string,
  trace: { traceId: string; days: readonly number[] },
): Promise<StoredSignals> {
  const logs = await logsOfTrace(sql, tenantId, trace.traceId, daysAround(trace.days), MAX_LOGS_SHOWN);
  const days = new Set(logs.map(({ blockDay }) => blockDay));
  const blockIds = new Set(logs.map(({ blockId }) => blockId));
  return {
    logs,
    blocks: await readBlocks(sql, tenantId, [...days], [...blockIds]),
    scores: await readScores(sql, tenantId, trace.traceId),
  };
}

export function readScores(sql: Sql, tenantId: string, traceId: string): Promise<StoredScore[]> {
  return scoresOfTraces(sql, tenantId, [traceId], MAX_SCORES_SHOWN);
}

/** A record of a span is of its days, or was written just before or after midnight. */
function daysAround(days: readonly number[]): number[] {
  return [...new Set(days.flatMap((day) => [day - 1, day, day + 1]))];
}

export function openSignals(stored: StoredSignals, key: TenantKey): TraceSignals {
  const blocks = new Map<string, LogBlock>();
  for (const { blockId, sealed } of stored.blocks) {
    blocks.set(blockId, decodeLogBlock(key.open('content', blockAad(blockId), sealed)));
  }
  const logs = new Map<string, JoinedLog[]>();
  for (const row of stored.logs) {
    const block = blocks.get(row.blockId);
    if (block === undefined) continue;
    const spanId = row.spanId === null ? '' : spanIdText(BigInt(row.spanId));
    const own = logs.get(spanId) ?? [];
    own.push(joinedLog(row, block));
    logs.set(spanId, own);
  }
  const scores = stored.scores.map((score) => scoreItem(score, key));
  return { scores, scoresOf: Map.groupBy(scores, ({ span_id }) => span_id), logs };
}

function joinedLog(row: TraceLog, block: LogBlock): JoinedLog {
  const { body, attributes, severityText } = logFrom(block, row.blockIndex);
  const { eventName, severity } = row;
  const content = messagesFromLog({ eventName, attributes, body });
  const event: LogEvent = {
    name: eventName || severityText || 'log',
    time: isoOf(BigInt(row.timeNs)),
    time_ns: row.timeNs,
    attributes,
    log: { severity_number: severity, severity_text: severityText, body, service_name: row.service },
  };
  return { event, content };
}

/** @returns the score with what is sealed of it. */
export function scoreItem(score: StoredScore, key: TenantKey): ScoreItem {
  const { traceId, name, source } = score;
  const spanId = BigInt(score.spanId);
  const plain = key.open('column', scoreAad({ traceId, spanId, name, source }), score.sealed).toString('utf8');
  const { explanation, metadata } = JSON.parse(plain) as Pick<ScoreItem, 'explanation' | 'metadata'>;
  return {
    score_id: score.scoreId,
    trace_id: traceId,
    span_id: spanId === 0n ? null : spanIdText(spanId),
    name,
    value: score.value,
    label: score.label,
    explanation,
    source,
    timestamp: isoOf(BigInt(score.timeNs)),
    metadata,
  };
}

/** Attributes that the messages of a span were read from: shown there, not once more among its events. */
const CONTENT_KEYS: ReadonlySet<string> = new Set([
  'gen_ai.input.messages',
  'gen_ai.output.messages',
  'gen_ai.system_instructions',
  'gen_ai.tool.definitions',
]);

/**
 * Adds to a span item what came beside it: content that the span itself does not have, events, scores. `own` are the
 * messages of the span; `isLead` is true for the span that names its trace, which also shows the records without a span.
 */
export function joinSignals<Item extends Omit<SignalledItem, 'scores'>>(
  item: Item,
  own: SpanMessages | undefined,
  signals: TraceSignals,
  isLead: boolean,
): Item & { scores: ScoreItem[] } {
  const logs = signals.logs.get(item.span_id) ?? [];
  const scores = signals.scoresOf.get(item.span_id) ?? [];
  const stray = isLead ? (signals.logs.get('') ?? []) : [];
  if (logs.length + stray.length === 0) return { ...item, scores };
  const contents = logs.map(({ content }) => content).filter((content) => content !== undefined);
  const joined = own === undefined || contents.length === 0 ? undefined : joinMessages(own, contents);
  const isUsed = joined !== undefined && Object.values(joined.from).some((key) => key.includes('log:'));
  const events = logs.map(({ event, content }) => (isUsed && content !== undefined ? withoutContent(event) : event));
  const withEvents = [...(item.events ?? []), ...events, ...stray.map(({ event }) => event)];
  withEvents.sort((a, b) => (BigInt(a.time_ns) < BigInt(b.time_ns) ? -1 : 1));
  if (joined === undefined) return { ...item, events: withEvents, scores };
  const { input, output, systemInstructions, toolDefinitions, from } = joined;
  return {
    ...item,
    ...previewOf(joined),
    messages: { input, output, systemInstructions, toolDefinitions },
    events: withEvents,
    mapped_from: { ...item.mapped_from, ...from },
    scores,
  };
}

function withoutContent(event: LogEvent): LogEvent {
  const attributes = Object.fromEntries(Object.entries(event.attributes).filter(([key]) => !CONTENT_KEYS.has(key)));
  return { ...event, attributes, log: { ...event.log, body: null } };
}

/** What is sealed in the preview of a log record; `isUser` when the prompt is a user's own message. */
type KeptPreview = Preview & { isUser?: boolean };

/**
 * Fills in the previews of listed traces that have none of their own from log records: those of the span that names the
 * trace, else those of the span whose records came first.
 */
export async function joinPreviews(
  sql: Sql,
  tenantId: string,
  key: TenantKey,
  items: ReadonlyArray<{ trace_id: string; span_id: string; prompt: string | null; response: string | null }>,
  days: readonly number[],
): Promise<void> {
  const wanting = items.filter(({ prompt, response }) => prompt === null || response === null);
  if (wanting.length === 0) return;
  const traceIds = wanting.map(({ trace_id }) => trace_id);
  const rows = await logPreviews(sql, tenantId, traceIds, daysAround(days), MAX_PREVIEWS_READ);
  const byTrace = Map.groupBy(rows, ({ traceId }) => traceId);
  for (const item of wanting) {
    const own = byTrace.get(item.trace_id);
    if (own === undefined) continue;
    const leads = own.filter(({ spanId }) => spanTextOf(spanId) === item.span_id);
    const first = own[0]?.spanId ?? null;
    const chosen = leads.length > 0 ? leads : own.filter(({ spanId }) => spanId === first);
    const { prompt, response } = previewOfRecords(chosen, key);
    item.prompt ??= prompt;
    item.response ??= response;
  }
}

function spanTextOf(spanId: string | null): string | null {
  return spanId === null ? null : spanIdText(BigInt(spanId));
}

/** The last message of the user, and the first answer. */
function previewOfRecords(rows: readonly LogPreview[], key: TenantKey): Preview {
  const previews = rows.map(({ recordId, preview }): KeptPreview => {
    const plain = key.open('preview', logPreviewAad(recordId), preview).toString('utf8');
    return JSON.parse(plain) as KeptPreview;
  });
  const asked = previews.filter(({ prompt }) => prompt !== null);
  return {
    prompt: (asked.findLast(({ isUser }) => isUser === true) ?? asked.at(-1))?.prompt ?? null,
    response: previews.find(({ response }) => response !== null)?.response ?? null,
  };
}

function isoOf(ns: bigint): string {
  return new Date(Number(ns / 1_000_000n)).toISOString();
}
