// Log records on their way in: admitted, redacted, sealed and written, each once; evaluation results become scores.
import { createHmac, hash, randomUUID } from 'node:crypto';
import { messagesFromLog, previewOf, type DecodedLogs, type LogRecord, type SpanContext } from '@lumatrace/telemetry';
import type { TenantKey, TenantKeys } from '../keys/tenant-key.ts';
import { spanIdNumber } from '../storage/content-block.ts';
import type { Sql } from '../storage/database.ts';
import { encodeLogBlock } from '../storage/log-block.ts';
import { insertBlocks } from '../storage/postgres/content.ts';
import { addSignalUsage, insertLogRecords, type LogRow } from '../storage/postgres/logs.ts';
import { putScores, type ScoreRow } from '../storage/postgres/scores.ts';
import { blockAad, logPreviewAad } from '../storage/sealed.ts';
import { EVALUATION_RESULT, scoreOfRecord, scoreRows, type GivenScore } from './scores.ts';
import { DAY_NS, SignalLane, SignalQuotaReached, withinRetention, type LaneOptions } from './signals-lane.ts';

/** What of a tenant's redaction log records need; see the room that owns it. */
export interface LogRedactor {
  redactLogs(records: LogRecord[]): LogRecord[];
}

export interface LogIngestOptions extends LaneOptions {
  tenantKeys: TenantKeys;
  /** Log records that a tenant may send a UTC day. */
  recordsPerDay: number;
  /** Every record passes through it before anything of it is kept. */
  redactorOf(tenantId: string): Promise<LogRedactor>;
}

export interface LogOutcome {
  rejected: number;
  /** One sentence per reason; with nothing rejected a warning. */
  messages: string[];
  /** Places in the decoded records of those whose time is outside what is kept; they are rejected, the others taken. */
  outside: number[];
}

/** Counted since the start, for `/metrics`. */
export interface LogCounts {
  stored: number;
  duplicates: number;
  rejected: number;
  scores: number;
  refusedRequests: number;
}

export interface LogIngest {
  /**
   * Resolves when everything that was taken is durable. The same record again has no effect. Rejects with IngestRefusal,
   * DatabaseUnavailable or an error of the tenant's key. `bytes` is the inflated size of the request.
   */
  accept(tenantId: string, decoded: DecodedLogs, bytes: number): Promise<LogOutcome>;
  counts(): LogCounts;
  drain(): Promise<void>;
}

export function createLogIngest(options: LogIngestOptions): LogIngest {
  const { database, tenantKeys, recordsPerDay } = options;
  const lane = new SignalLane(options);
  const counts: LogCounts = { stored: 0, duplicates: 0, rejected: 0, scores: 0, refusedRequests: 0 };

  async function write(
    sql: Sql,
    tenantId: string,
    delivery: LogDelivery,
    day: string,
    bytes: number,
  ): Promise<Written> {
    const inserted = await insertLogRecords(sql, tenantId, delivery.rows);
    if (inserted.size > 0) await insertBlocks(sql, tenantId, [await delivery.block()]);
    const scored = await putScores(sql, tenantId, delivery.scores);
    // Last, because its row stays locked until the commit.
    const items = inserted.size + scored;
    const today = await addSignalUsage(sql, tenantId, 'log_records', { day, items, bytes });
    if (items > 0 && today > recordsPerDay) throw new SignalQuotaReached();
    return { inserted: inserted.size, scored };
  }

  return {
    async accept(tenantId, decoded, bytes) {
      const { retentionClass, day, logRecordsToday } = await lane.terms(tenantId);
      const timed = timedRecords(decoded.records, lane.nowMs);
      const { kept, refused, message } = withinRetention(timed, {
        retentionClass,
        nowMs: lane.nowMs,
        what: 'log records',
      });
      const outcome: LogOutcome = {
        rejected: decoded.rejected.count + refused,
        messages: [...decoded.rejected.messages, ...(message === undefined ? [] : [message])],
        outside: refused === 0 ? [] : placesOfOthers(timed, kept),
      };
      if (kept.length > 0) {
        if (logRecordsToday >= recordsPerDay) throw lane.quotaRefusal('log records', recordsPerDay);
        const key = await tenantKeys.forTenant(tenantId);
        const delivery = logDelivery(kept, key, retentionClass, await options.redactorOf(tenantId));
        const days = (): number[] => [...new Set(delivery.rows.map((row) => row.day))];
        const written = await lane
          .run(tenantId, { bytes, retentionClass, days }, () =>
            database.inTenant(tenantId, (sql) => write(sql, tenantId, delivery, day, bytes)),
          )
          .catch((error: unknown) => {
            if (error instanceof SignalQuotaReached) throw lane.quotaRefusal('log records', recordsPerDay);
            throw error;
          });
        counts.stored += written.inserted;
        counts.scores += written.scored;
        counts.duplicates += delivery.received - written.inserted - written.scored;
        if (delivery.unscored > 0) outcome.messages.push(unscoredMessage(delivery.unscored));
      }
      counts.rejected += outcome.rejected;
      return outcome;
    },

    counts: () => ({ ...counts, refusedRequests: lane.refusedRequests }),
    drain: () => lane.drain(),
  };
}

function placesOfOthers(records: readonly LogRecord[], kept: readonly LogRecord[]): number[] {
  const isKept = new Set(kept);
  return records.flatMap((record, place) => (isKept.has(record) ? [] : [place]));
}

interface Written {
  inserted: number;
  scored: number;
}

function unscoredMessage(count: number): string {
  return `${count} evaluation results without a trace or a gen_ai.evaluation.name were kept as log records only`;
}

/** A record that nobody dated happened now. */
function timedRecords(records: readonly LogRecord[], nowMs: number): LogRecord[] {
  const nowNs = BigInt(Math.floor(nowMs)) * 1_000_000n;
  return records.map((record) => (record.timeNs > 0n ? record : { ...record, timeNs: nowNs }));
}

interface LogDelivery {
  received: number;
  rows: LogRow[];
  scores: ScoreRow[];
  /** Evaluation results that could not become scores. */
  unscored: number;
  /** Compressed and sealed when it is first asked for. */
  block(): Promise<{ blockId: string; day: number; retentionClass: number; sealed: Buffer }>;
}

function logDelivery(
  records: readonly LogRecord[],
  key: TenantKey,
  retentionClass: number,
  redactor: LogRedactor,
): LogDelivery {
  // The id is of what was sent, so that a repetition stays one whatever the redaction of the day is; it is keyed, so that
  // nobody who reads rows can test a guess.
  const recordIdOf = recordIds(key);
  const sent = new Map<string, LogRecord>();
  for (const record of records) sent.set(recordIdOf(record), record);
  const redacted = redactedById(sent, redactor);
  const plain: LogRecord[] = [];
  const recordIdsOfPlain: string[] = [];
  const scores: GivenScore[] = [];
  let unscored = 0;
  for (const [recordId, record] of redacted) {
    const score = scoreOfRecord(record);
    if (score !== undefined) {
      scores.push(score);
      continue;
    }
    plain.push(record);
    recordIdsOfPlain.push(recordId);
    if (record.eventName === EVALUATION_RESULT) unscored++;
  }
  const blockId = randomUUID().replaceAll('-', '');
  const blockDay = plain.reduce((latest, record) => Math.max(latest, dayOf(record)), 0);
  const rows = plain.map((record, index) => {
    const recordId = recordIdsOfPlain[index] as string;
    return logRow(record, { recordId, retentionClass, blockId, blockDay, index, key });
  });
  let sealing: Promise<Buffer> | undefined;
  return {
    received: records.length,
    rows,
    scores: scoreRows(scores, key, retentionClass),
    unscored,
    async block() {
      sealing ??= encodeLogBlock(plain).then((bytes) => key.seal('content', blockAad(blockId), bytes));
      return { blockId, day: blockDay, retentionClass, sealed: await sealing };
    },
  };
}

/** All at once, which is faster; one by one when the redactor takes whole records out. */
function redactedById(sent: ReadonlyMap<string, LogRecord>, redactor: LogRedactor): Array<[string, LogRecord]> {
  const ids = [...sent.keys()];
  const redacted = redactor.redactLogs([...sent.values()]);
  if (redacted.length === ids.length) return redacted.map((record, i) => [ids[i] as string, record]);
  return [...sent].flatMap(([id, record]) =>
    redactor.redactLogs([record]).map((kept): [string, LogRecord] => [id, kept]),
  );
}

function dayOf({ timeNs }: LogRecord): number {
  return Number(timeNs / DAY_NS);
}

function logRow(
  record: LogRecord,
  place: {
    recordId: string;
    retentionClass: number;
    blockId: string;
    blockDay: number;
    index: number;
    key: TenantKey;
  },
): LogRow {
  const { recordId, retentionClass, blockId, blockDay, index, key } = place;
  return {
    recordId,
    day: dayOf(record),
    retentionClass,
    traceId: record.traceId ?? null,
    spanId: record.spanId === undefined ? null : spanIdNumber(record.spanId),
    timeNs: record.timeNs,
    severity: record.severityNumber,
    service: record.context.serviceName,
    eventName: record.eventName,
    blockId,
    blockDay,
    blockIndex: index,
    preview: record.traceId === undefined ? null : sealedPreview(record, recordId, key),
  };
}

/** Of a record that says what its span was asked or answered; lists read only this. */
function sealedPreview(record: LogRecord, recordId: string, key: TenantKey): Buffer | null {
  const messages = messagesFromLog(record);
  if (messages === undefined) return null;
  const preview = previewOf(messages);
  if (preview.prompt === null && preview.response === null) return null;
  const isUser = messages.input.some(({ role }) => role === 'user');
  return key.seal('preview', logPreviewAad(recordId), Buffer.from(JSON.stringify({ ...preview, isUser }), 'utf8'));
}

/** 128 bits of HMAC-SHA-256 over the record as it was sent, with its resource and scope, in hex. */
function recordIds(key: TenantKey): (record: LogRecord) => string {
  const hashKey = key.derive('blind-index', 'log-records');
  const contexts = new Map<SpanContext, Buffer>();
  return ({ context, raw }) => {
    let digest = contexts.get(context);
    if (digest === undefined) {
      digest = Buffer.concat([
        hash('sha256', context.rawResource, 'buffer'),
        hash('sha256', context.rawScope, 'buffer'),
      ]);
      contexts.set(context, digest);
    }
    return createHmac('sha256', hashKey).update(digest).update(raw).digest('hex').slice(0, 32);
  };
}
