// SQL of scores: one per trace or span, name and source; the latest of each counts.
import type { Sql } from '../database.ts';
import { bigints, byteas, dates, texts, uuids } from './binary.ts';

export const SCORE_SOURCES = ['sdk', 'api', 'evaluator'] as const;
export type ScoreSource = (typeof SCORE_SOURCES)[number];

export interface ScoreRow {
  /** 32 hex digits. */
  scoreId: string;
  traceId: string;
  /** 0 for the trace as a whole. */
  spanId: bigint;
  name: string;
  source: ScoreSource;
  timeNs: bigint;
  value: number | null;
  label: string | null;
  contentHash: bigint;
  sealed: Uint8Array;
  /** First day on which it is no longer kept, days since 1970. */
  expires: number;
}

/**
 * Writes scores; one of the same trace, span, name and source is replaced unless the new one is older or the same. Answers
 * how many had an effect. Each such key once in `rows`.
 */
export async function putScores(sql: Sql, tenantId: string, rows: readonly ScoreRow[]): Promise<number> {
  if (rows.length === 0) return 0;
  const { rowCount } = await sql.query(
    `
      insert into scores (
        tenant_id, trace_id, span_id, name, source, score_id, time_ns, value, label, content_hash, sealed, expires
      )
      select
        $1::uuid, trace_id, span_id, name, source, score_id, time_ns, value::float8, label, content_hash, sealed, expires
      from unnest(
        $2::uuid[], $3::int8[], $4::text[], $5::text[], $6::uuid[], $7::int8[], $8::text[], $9::text[], $10::int8[],
        $11::bytea[], $12::date[]
      ) as sent (trace_id, span_id, name, source, score_id, time_ns, value, label, content_hash, sealed, expires)
      order by trace_id, span_id, name, source
      on conflict (tenant_id, trace_id, span_id, name, source) do update set
        score_id = excluded.score_id,
        time_ns = excluded.time_ns,
        value = excluded.value,
        label = excluded.label,
        content_hash = excluded.content_hash,
        sealed = excluded.sealed,
        expires = excluded.expires
      where excluded.time_ns >= scores.time_ns and excluded.content_hash <> scores.content_hash
    `,
    [
      tenantId,
      uuids(rows.map(({ traceId }) => traceId)),
      bigints(rows.map(({ spanId }) => spanId)),
      texts(rows.map(({ name }) => name)),
      texts(rows.map(({ source }) => source)),
      uuids(rows.map(({ scoreId }) => scoreId)),
      bigints(rows.map(({ timeNs }) => timeNs)),
      texts(rows.map(({ value }) => (value === null ? null : String(value)))),
      texts(rows.map(({ label }) => label)),
      bigints(rows.map(({ contentHash }) => contentHash)),
      byteas(rows.map(({ sealed }) => sealed)),
      dates(rows.map(({ expires }) => expires)),
    ],
  );
  return rowCount;
}

export type StoredScore = Omit<ScoreRow, 'expires' | 'contentHash' | 'sealed' | 'spanId' | 'timeNs'> & {
  spanId: string;
  timeNs: string;
  sealed: Buffer;
};

/** The scores of some traces, by trace, the earliest first, at most `limit`. */
export async function scoresOfTraces(
  sql: Sql,
  tenantId: string,
  traceIds: readonly string[],
  limit: number,
): Promise<StoredScore[]> {
  const { rows } = await sql.query<StoredScore>(
    `
      select
        replace(score_id::text, '-', '') as "scoreId",
        replace(trace_id::text, '-', '') as "traceId",
        span_id as "spanId",
        name,
        source,
        time_ns as "timeNs",
        value,
        label,
        sealed
      from scores
      where tenant_id = $1 and trace_id = any ($2::uuid[])
      order by trace_id, time_ns, name, source, span_id
      limit $3
    `,
    [tenantId, uuids(traceIds), limit],
  );
  return rows;
}

/** Takes out the scores that are no longer kept on `today` (days since 1970). */
export async function deleteExpiredScores(sql: Sql, tenantId: string, today: string): Promise<number> {
  const { rowCount } = await sql.query(
    `
      delete from scores
      where tenant_id = $1 and expires <= $2
    `,
    [tenantId, today],
  );
  return rowCount;
}
