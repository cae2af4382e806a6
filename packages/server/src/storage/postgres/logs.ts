// SQL of log records: narrow rows that point into sealed blocks, found again by their trace; and the day's count of them.
import type { Sql } from '../database.ts';
import { byteas, dates, ints, isoDay, smallints, texts, uuids, bigints } from './binary.ts';

export interface LogRow {
  /** 32 hex digits: 128 bits of a keyed hash of what was sent. */
  recordId: string;
  /** Days since 1970. */
  day: number;
  retentionClass: number;
  /** 32 hex digits; null for a record of no trace. */
  traceId: string | null;
  spanId: bigint | null;
  timeNs: bigint;
  severity: number;
  service: string;
  eventName: string;
  blockId: string;
  blockDay: number;
  blockIndex: number;
  /** Sealed; of a record that holds content of its span. */
  preview: Uint8Array | null;
}

/** Writes the records that are not there yet and answers their ids. Every `recordId` once in `rows`. */
export async function insertLogRecords(sql: Sql, tenantId: string, rows: readonly LogRow[]): Promise<Set<string>> {
  if (rows.length === 0) return new Set();
  const { rows: inserted } = await sql.query<{ recordId: string }>(
    `
      insert into log_records (
        tenant_id, day, record_id, retention_class, trace_id, span_id, time_ns, severity, service, event_name,
        block_id, block_day, block_index, preview
      )
      select
        $1::uuid, day, record_id, retention_class, nullif(trace_id, uuid_nil), nullif(span_id, 0), time_ns, severity,
        service, event_name, block_id, block_day, block_index, nullif(preview, ''::bytea)
      from unnest(
        $2::date[], $3::uuid[], $4::int2[], $5::uuid[], $6::int8[], $7::int8[], $8::int2[], $9::text[], $10::text[],
        $11::uuid[], $12::date[], $13::int4[], $14::bytea[]
      ) as sent (
        day, record_id, retention_class, trace_id, span_id, time_ns, severity, service, event_name,
        block_id, block_day, block_index, preview
      ),
      (values ('00000000-0000-0000-0000-000000000000'::uuid)) as nil (uuid_nil)
      order by record_id
      on conflict do nothing
      returning replace(record_id::text, '-', '') as "recordId"
    `,
    [
      tenantId,
      dates(rows.map(({ day }) => day)),
      uuids(rows.map(({ recordId }) => recordId)),
      smallints(rows.map(({ retentionClass }) => retentionClass)),
      // no id of a trace or span is all zero, so zero stands for none
      uuids(rows.map(({ traceId }) => traceId ?? '0'.repeat(32))),
      bigints(rows.map(({ spanId }) => spanId ?? 0n)),
      bigints(rows.map(({ timeNs }) => timeNs)),
      smallints(rows.map(({ severity }) => severity)),
      texts(rows.map(({ service }) => service)),
      texts(rows.map(({ eventName }) => eventName)),
      uuids(rows.map(({ blockId }) => blockId)),
      dates(rows.map(({ blockDay }) => blockDay)),
      ints(rows.map(({ blockIndex }) => blockIndex)),
      byteas(rows.map(({ preview }) => preview ?? NONE)),
    ],
  );
  return new Set(inserted.map(({ recordId }) => recordId));
}

const NONE = new Uint8Array(0);

/** A record of a trace as its page needs it; 64-bit numbers are decimal text. */
export interface TraceLog {
  recordId: string;
  spanId: string | null;
  timeNs: string;
  severity: number;
  service: string;
  eventName: string;
  blockId: string;
  /** Days since 1970. */
  blockDay: number;
  blockIndex: number;
}

/** Records of one trace, the earliest first, at most `limit`. `days` are those on which they may lie. */
export async function logsOfTrace(
  sql: Sql,
  tenantId: string,
  traceId: string,
  days: readonly number[],
  limit: number,
): Promise<TraceLog[]> {
  const { rows } = await sql.query<TraceLog>(
    `
      select
        replace(record_id::text, '-', '') as "recordId",
        span_id as "spanId",
        time_ns as "timeNs",
        severity,
        service,
        event_name as "eventName",
        replace(block_id::text, '-', '') as "blockId",
        block_day - date '1970-01-01' as "blockDay",
        block_index as "blockIndex"
      from log_records
      where tenant_id = $1
        and day = any ($3::date[])
        and trace_id = $2
      order by time_ns, record_id
      limit $4
    `,
    [tenantId, traceId, days.map(isoDay), limit],
  );
  return rows;
}

/** The sealed preview of a record that holds content of a span. */
export interface LogPreview {
  recordId: string;
  traceId: string;
  spanId: string | null;
  preview: Buffer;
}

/** Previews of the records of many traces, by trace, the earliest first; at most `limit` of them. */
export async function logPreviews(
  sql: Sql,
  tenantId: string,
  traceIds: readonly string[],
  days: readonly number[],
  limit: number,
): Promise<LogPreview[]> {
  if (traceIds.length === 0) return [];
  const { rows } = await sql.query<LogPreview>(
    `
      select
        replace(record_id::text, '-', '') as "recordId",
        replace(trace_id::text, '-', '') as "traceId",
        span_id as "spanId",
        preview
      from log_records
      where tenant_id = $1
        and day = any ($3::date[])
        and trace_id = any ($2::uuid[])
        and preview is not null
      order by trace_id, time_ns, record_id
      limit $4
    `,
    [tenantId, uuids(traceIds), days.map(isoDay), limit],
  );
  return rows;
}

export type CountedSignal = 'log_records' | 'metric_points';

const ADD_TO_USAGE: Record<CountedSignal, string> = {
  log_records: `
    insert into usage (tenant_id, day, traces, spans, duplicates, replaced, bytes, log_records)
    values ($1, $2, 0, 0, 0, 0, $4, $3)
    on conflict (tenant_id, day) do update set
      log_records = usage.log_records + excluded.log_records,
      bytes = usage.bytes + excluded.bytes
    returning log_records as total
  `,
  metric_points: `
    insert into usage (tenant_id, day, traces, spans, duplicates, replaced, bytes, metric_points)
    values ($1, $2, 0, 0, 0, 0, $4, $3)
    on conflict (tenant_id, day) do update set
      metric_points = usage.metric_points + excluded.metric_points,
      bytes = usage.bytes + excluded.bytes
    returning metric_points as total
  `,
};

/** Adds to what the tenant sent on a day and answers how many of the signal it is now. Its row stays locked. */
export async function addSignalUsage(
  sql: Sql,
  tenantId: string,
  signal: CountedSignal,
  { day, items, bytes }: { day: string; items: number; bytes: number },
): Promise<number> {
  const { rows } = await sql.query<{ total: string }>(ADD_TO_USAGE[signal], [tenantId, day, items, bytes]);
  return Number(rows[0]?.total ?? 0);
}

/** What the tenant has sent of both signals on a day. */
export async function readSignalUsage(
  sql: Sql,
  tenantId: string,
  day: string,
): Promise<{ logRecords: number; metricPoints: number }> {
  const { rows } = await sql.query<{ logRecords: string; metricPoints: string }>(
    `
      select log_records as "logRecords", metric_points as "metricPoints"
      from usage
      where tenant_id = $1 and day = $2
    `,
    [tenantId, day],
  );
  const row = rows[0];
  return { logRecords: Number(row?.logRecords ?? 0), metricPoints: Number(row?.metricPoints ?? 0) };
}
