// SQL of metrics: one row per series, and its points by time.
import type { Sql } from '../database.ts';
import { bigints, booleans, dates, isoDay, smallints, texts, uuids } from './binary.ts';

export interface SeriesRow {
  /** 32 hex digits over everything that identifies the series. */
  seriesId: string;
  name: string;
  unit: string;
  description: string;
  kind: string;
  temporality: string;
  monotonic: boolean;
  service: string;
  environment: string | null;
  attributes: Readonly<Record<string, unknown>>;
  /** Days since 1970 of the points that come with it. */
  firstDay: number;
  lastDay: number;
}

export interface PointRow {
  seriesId: string;
  /** Days since 1970. */
  day: number;
  retentionClass: number;
  startNs: bigint;
  timeNs: bigint;
  value: number | null;
  count: number | null;
  sum: number | null;
  min: number | null;
  max: number | null;
  /** Buckets or quantiles as JSON text. */
  shape: string | null;
}

/** Which of the series are there already, and how many the tenant has in all, counted up to `most`. */
export async function knownSeries(
  sql: Sql,
  tenantId: string,
  seriesIds: readonly string[],
  most: number,
): Promise<{ known: Set<string>; total: number }> {
  const { rows } = await sql.query<{ seriesId: string }>(
    `
      select replace(series_id::text, '-', '') as "seriesId"
      from metric_series
      where tenant_id = $1 and series_id = any ($2::uuid[])
    `,
    [tenantId, uuids(seriesIds)],
  );
  const known = new Set(rows.map(({ seriesId }) => seriesId));
  if (known.size === seriesIds.length) return { known, total: 0 };
  const counted = await sql.query<{ total: string }>(
    `
      select count(*) as total
      from (select from metric_series where tenant_id = $1 limit $2) as counted
    `,
    [tenantId, most],
  );
  return { known, total: Number(counted.rows[0]?.total ?? 0) };
}

/** Writes series that are new and widens the days of the others. Every `seriesId` once in `rows`. */
export async function putSeries(sql: Sql, tenantId: string, rows: readonly SeriesRow[]): Promise<void> {
  if (rows.length === 0) return;
  await sql.query(
    `
      insert into metric_series (
        tenant_id, series_id, name, unit, description, kind, temporality, monotonic, service, environment, attributes,
        first_day, last_day
      )
      select
        $1::uuid, series_id, name, unit, description, kind, temporality, monotonic, service, environment,
        attributes::jsonb, first_day, last_day
      from unnest(
        $2::uuid[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::bool[], $9::text[], $10::text[],
        $11::text[], $12::date[], $13::date[]
      ) as sent (
        series_id, name, unit, description, kind, temporality, monotonic, service, environment, attributes,
        first_day, last_day
      )
      order by series_id
      on conflict (tenant_id, series_id) do update set
        first_day = least(metric_series.first_day, excluded.first_day),
        last_day = greatest(metric_series.last_day, excluded.last_day)
      where excluded.first_day < metric_series.first_day or excluded.last_day > metric_series.last_day
    `,
    [
      tenantId,
      uuids(rows.map(({ seriesId }) => seriesId)),
      texts(rows.map(({ name }) => name)),
      texts(rows.map(({ unit }) => unit)),
      texts(rows.map(({ description }) => description)),
      texts(rows.map(({ kind }) => kind)),
      texts(rows.map(({ temporality }) => temporality)),
      booleans(rows.map(({ monotonic }) => monotonic)),
      texts(rows.map(({ service }) => service)),
      texts(rows.map(({ environment }) => environment)),
      texts(rows.map(({ attributes }) => JSON.stringify(attributes))),
      dates(rows.map(({ firstDay }) => firstDay)),
      dates(rows.map(({ lastDay }) => lastDay)),
    ],
  );
}

/**
 * Writes points; the same again has no effect, other content at the same time of a series replaces. Answers how many had
 * an effect. Every pair of series and time once in `rows`.
 */
export async function putPoints(sql: Sql, tenantId: string, rows: readonly PointRow[]): Promise<number> {
  if (rows.length === 0) return 0;
  const { rowCount } = await sql.query(
    `
      insert into metric_points (
        tenant_id, day, series_id, time_ns, retention_class, start_ns, value, count, sum, min, max, shape
      )
      select
        $1::uuid, day, series_id, time_ns, retention_class, start_ns, value::float8, count::float8, sum::float8,
        min::float8, max::float8, shape::jsonb
      from unnest(
        $2::date[], $3::uuid[], $4::int8[], $5::int2[], $6::int8[], $7::text[], $8::text[], $9::text[], $10::text[],
        $11::text[], $12::text[]
      ) as sent (day, series_id, time_ns, retention_class, start_ns, value, count, sum, min, max, shape)
      order by series_id, time_ns
      on conflict (tenant_id, day, series_id, time_ns, retention_class) do update set
        start_ns = excluded.start_ns,
        value = excluded.value,
        count = excluded.count,
        sum = excluded.sum,
        min = excluded.min,
        max = excluded.max,
        shape = excluded.shape
      where (
        metric_points.start_ns, metric_points.value, metric_points.count, metric_points.sum, metric_points.min,
        metric_points.max, metric_points.shape
      ) is distinct from (
        excluded.start_ns, excluded.value, excluded.count, excluded.sum, excluded.min, excluded.max, excluded.shape
      )
    `,
    [
      tenantId,
      dates(rows.map(({ day }) => day)),
      uuids(rows.map(({ seriesId }) => seriesId)),
      bigints(rows.map(({ timeNs }) => timeNs)),
      smallints(rows.map(({ retentionClass }) => retentionClass)),
      bigints(rows.map(({ startNs }) => startNs)),
      ...(['value', 'count', 'sum', 'min', 'max'] as const).map((column) =>
        texts(rows.map((row) => (row[column] === null ? null : String(row[column])))),
      ),
      texts(rows.map(({ shape }) => shape)),
    ],
  );
  return rowCount;
}

export interface ListedMetric {
  name: string;
  unit: string;
  description: string;
  kind: string;
  temporality: string;
  series: number;
  services: string[];
  attributeKeys: string[];
  firstDay: string;
  lastDay: string;
}

/** The metrics that a tenant has, by name, at most `limit`. */
export async function listMetrics(sql: Sql, tenantId: string, limit: number): Promise<ListedMetric[]> {
  const { rows } = await sql.query<ListedMetric>(
    `
      select
        name,
        min(unit) as unit,
        min(description) as description,
        min(kind) as kind,
        min(temporality) as temporality,
        count(*)::int as series,
        (array_agg(distinct service))[1:50] as services,
        (
          select coalesce(array_agg(key order by key), '{}')
          from (
            select distinct jsonb_object_keys(keyed.attributes) as key
            from metric_series as keyed
            where keyed.tenant_id = $1 and keyed.name = metric_series.name
            limit 100
          ) as keys
        ) as "attributeKeys",
        min(first_day)::text as "firstDay",
        max(last_day)::text as "lastDay"
      from metric_series
      where tenant_id = $1
      group by name
      order by name
      limit $2
    `,
    [tenantId, limit],
  );
  return rows;
}

export interface StoredSeries {
  seriesId: string;
  unit: string;
  description: string;
  kind: string;
  temporality: string;
  monotonic: boolean;
  service: string;
  environment: string | null;
  attributes: Record<string, unknown>;
}

/** The series of one metric, at most `limit`. */
export async function seriesOfMetric(sql: Sql, tenantId: string, name: string, limit: number): Promise<StoredSeries[]> {
  const { rows } = await sql.query<StoredSeries>(
    `
      select
        replace(series_id::text, '-', '') as "seriesId",
        unit, description, kind, temporality, monotonic, service, environment, attributes
      from metric_series
      where tenant_id = $1 and name = $2
      order by series_id
      limit $3
    `,
    [tenantId, name, limit],
  );
  return rows;
}

export interface StoredPoint {
  seriesId: string;
  startNs: string;
  timeNs: string;
  value: number | null;
  count: number | null;
  sum: number | null;
  min: number | null;
  max: number | null;
  shape: unknown;
}

/** Points of some series inside a range of time, by series and time, at most `limit`. */
export async function pointsOfSeries(
  sql: Sql,
  tenantId: string,
  seriesIds: readonly string[],
  { fromNs, untilNs }: { fromNs: bigint; untilNs: bigint },
  limit: number,
): Promise<StoredPoint[]> {
  if (seriesIds.length === 0) return [];
  const { rows } = await sql.query<StoredPoint>(
    `
      select
        replace(series_id::text, '-', '') as "seriesId",
        start_ns as "startNs",
        time_ns as "timeNs",
        value, count, sum, min, max, shape
      from metric_points
      where tenant_id = $1
        and series_id = any ($2::uuid[])
        and day >= $3::date
        and day <= $4::date
        and time_ns >= $5
        and time_ns < $6
      order by series_id, time_ns
      limit $7
    `,
    [tenantId, uuids(seriesIds), isoDay(dayOf(fromNs)), isoDay(dayOf(untilNs)), fromNs, untilNs, limit],
  );
  return rows;
}

function dayOf(ns: bigint): number {
  return Number(ns / 86_400_000_000_000n);
}

/** Takes out the series whose last point is no longer kept (before `day`, such as `2026-11-23`). */
export async function deleteExpiredSeries(sql: Sql, tenantId: string, day: string): Promise<number> {
  const { rowCount } = await sql.query(
    `
      delete from metric_series
      where tenant_id = $1 and last_day < $2
    `,
    [tenantId, day],
  );
  return rowCount;
}
