// Metrics on their way in: those of GenAI are kept as series and points, the others are taken, counted and let go.
import { hash } from 'node:crypto';
import {
  clip,
  type Attributes,
  type DataPoint,
  type DecodedMetrics,
  type Json,
  type Metric,
} from '@lumatrace/telemetry';
import type { Sql } from '../storage/database.ts';
import { addSignalUsage } from '../storage/postgres/logs.ts';
import { knownSeries, putPoints, putSeries, type PointRow, type SeriesRow } from '../storage/postgres/metrics.ts';
import { DAY_NS, SignalLane, SignalQuotaReached, withinRetention, type LaneOptions } from './signals-lane.ts';

/** What of a tenant's redaction metrics need; see the room that owns it. */
export interface AttributeRedactor {
  redactAttributes(attributes: Attributes): Attributes;
}

export interface MetricIngestOptions extends LaneOptions {
  /** Points that a tenant may send a UTC day. */
  pointsPerDay: number;
  /** The attributes of every point and resource pass through it before anything of them is kept. */
  redactorOf(tenantId: string): Promise<AttributeRedactor>;
}

export interface MetricOutcome {
  rejected: number;
  /** One sentence per reason; with nothing rejected a warning. */
  messages: string[];
}

/** Counted since the start, for `/metrics`. */
export interface MetricCounts {
  stored: number;
  /** Points that came again unchanged. */
  duplicates: number;
  rejected: number;
  /** Taken, but of no GenAI metric: not kept. */
  notKept: number;
  refusedRequests: number;
}

export interface MetricIngest {
  /** Resolves when everything that is kept is durable; rejects as the ingest of log records does. */
  accept(tenantId: string, decoded: DecodedMetrics, bytes: number): Promise<MetricOutcome>;
  counts(): MetricCounts;
  drain(): Promise<void>;
}

/** Beginnings of the names that are kept: the conventions', and what older instrumentations called theirs. */
const KEPT = ['gen_ai.', 'llm.', 'mcp.'] as const;
/** A label that is different in every call would grow for ever. */
const MAX_SERIES_PER_TENANT = 20_000;
const MAX_ATTRIBUTES = 64;
const MAX_VALUE = 200;
const MAX_NAME = 200;
const MAX_NAMES_TOLD = 5;

export function createMetricIngest(options: MetricIngestOptions): MetricIngest {
  const { database, pointsPerDay } = options;
  const lane = new SignalLane(options);
  const counts: MetricCounts = { stored: 0, duplicates: 0, rejected: 0, notKept: 0, refusedRequests: 0 };

  async function write(
    sql: Sql,
    tenantId: string,
    delivery: MetricDelivery,
    day: string,
    bytes: number,
  ): Promise<Written> {
    const { series, points } = delivery;
    const { known, total } = await knownSeries(sql, tenantId, [...series.keys()], MAX_SERIES_PER_TENANT + 1);
    let room = MAX_SERIES_PER_TENANT - total;
    const admitted = [...series.values()].filter(({ seriesId }) => known.has(seriesId) || room-- > 0);
    const ids = new Set(admitted.map(({ seriesId }) => seriesId));
    const kept = ids.size === series.size ? points : points.filter(({ seriesId }) => ids.has(seriesId));
    await putSeries(sql, tenantId, admitted);
    const stored = await putPoints(sql, tenantId, kept);
    // Last, because its row stays locked until the commit.
    const today = await addSignalUsage(sql, tenantId, 'metric_points', { day, items: stored, bytes });
    if (stored > 0 && today > pointsPerDay) throw new SignalQuotaReached();
    return { stored, withoutRoom: points.length - kept.length };
  }

  return {
    async accept(tenantId, decoded, bytes) {
      const { retentionClass, day, metricPointsToday } = await lane.terms(tenantId);
      const wanted = decoded.points.filter(({ metric }) => isKept(metric.name));
      const terms = { retentionClass, nowMs: lane.nowMs, what: 'data points' };
      const { kept, refused, message } = withinRetention(wanted, terms);
      const outcome: MetricOutcome = {
        rejected: decoded.rejected.count + refused,
        messages: [...decoded.rejected.messages, ...(message === undefined ? [] : [message])],
      };
      const notKept = decoded.points.length - wanted.length;
      counts.notKept += notKept;
      if (notKept > 0) outcome.messages.push(notKeptMessage(notKept, decoded.points));
      if (kept.length > 0) {
        if (metricPointsToday >= pointsPerDay) throw lane.quotaRefusal('data points', pointsPerDay);
        const delivery = metricDelivery(kept, retentionClass, await options.redactorOf(tenantId));
        const days = (): number[] => [...new Set(delivery.points.map((row) => row.day))];
        const written = await lane
          .run(tenantId, { bytes, retentionClass, days }, () =>
            database.inTenant(tenantId, (sql) => write(sql, tenantId, delivery, day, bytes)),
          )
          .catch((error: unknown) => {
            if (error instanceof SignalQuotaReached) throw lane.quotaRefusal('data points', pointsPerDay);
            throw error;
          });
        counts.stored += written.stored;
        counts.duplicates += kept.length - written.stored - written.withoutRoom;
        if (written.withoutRoom > 0) {
          outcome.rejected += written.withoutRoom;
          outcome.messages.push(`Expected at most ${MAX_SERIES_PER_TENANT} series of metrics of one tenant`);
        }
      }
      counts.rejected += outcome.rejected;
      return outcome;
    },
    counts: () => ({ ...counts, refusedRequests: lane.refusedRequests }),
    drain: () => lane.drain(),
  };
}

interface Written {
  /** Points that had an effect. */
  stored: number;
  /** Points of series beyond what a tenant may have. */
  withoutRoom: number;
}

function isKept(name: string): boolean {
  return KEPT.some((beginning) => name.startsWith(beginning));
}

/** Names are of instruments, not of people: they may be said. */
function notKeptMessage(count: number, points: readonly DataPoint[]): string {
  const names = [...new Set(points.map(({ metric }) => metric.name).filter((name) => !isKept(name)))].sort();
  const told = names.slice(0, MAX_NAMES_TOLD).map((name) => clip(name, 60));
  const more = names.length > told.length ? ` and ${names.length - told.length} more` : '';
  return `${count} data points were taken but not kept: only metrics of GenAI are (not ${told.join(', ')}${more})`;
}

interface MetricDelivery {
  series: Map<string, SeriesRow>;
  points: PointRow[];
}

function metricDelivery(
  points: readonly DataPoint[],
  retentionClass: number,
  redactor: AttributeRedactor,
): MetricDelivery {
  const series = new Map<string, SeriesRow>();
  const rows = new Map<string, PointRow>();
  const metrics = new Map<Metric, RedactedMetric>();
  for (const point of points) {
    const metric = metrics.get(point.metric) ?? redactedMetric(point.metric, redactor);
    metrics.set(point.metric, metric);
    const own = seriesRow(point, metric, bounded(redactor.redactAttributes(point.attributes)));
    const row = pointRow(point, own.seriesId, retentionClass);
    const known = series.get(own.seriesId) ?? own;
    known.firstDay = Math.min(known.firstDay, row.day);
    known.lastDay = Math.max(known.lastDay, row.day);
    series.set(own.seriesId, known);
    // of two points of one series at one time the last counts
    rows.set(`${own.seriesId}${point.timeNs}`, row);
  }
  return { series, points: [...rows.values()] };
}

/** What all points of a metric share, as it may be kept. */
interface RedactedMetric {
  labels: Pick<SeriesRow, 'name' | 'unit' | 'description' | 'service' | 'environment'>;
  /** Tells series of different resources and scopes apart. */
  identity: string;
}

function redactedMetric(metric: Metric, redactor: AttributeRedactor): RedactedMetric {
  const { context } = metric;
  const { name, unit, description, scope, service, environment } = redactor.redactAttributes({
    name: clip(metric.name, MAX_NAME),
    unit: clip(metric.unit, MAX_NAME),
    description: metric.description,
    scope: context.scopeName,
    service: context.serviceName,
    environment: context.environment ?? null,
  });
  const labels = {
    name: String(name ?? ''),
    unit: String(unit ?? ''),
    description: String(description ?? ''),
    service: String(service ?? ''),
    environment: typeof environment === 'string' ? environment : null,
  };
  const resource = canonical(redactor.redactAttributes(context.resourceAttributes));
  const { kind, temporality, monotonic } = metric;
  return {
    labels,
    identity: JSON.stringify([labels.name, labels.unit, kind, temporality, monotonic, scope, resource]),
  };
}

function seriesRow(
  point: DataPoint,
  { labels, identity }: RedactedMetric,
  attributes: Record<string, Json>,
): SeriesRow {
  const { kind, temporality, monotonic } = point.metric;
  const day = Number(point.timeNs / DAY_NS);
  return {
    seriesId: hash('sha256', identity + canonical(attributes), 'hex').slice(0, 32),
    ...labels,
    kind,
    temporality,
    monotonic,
    attributes,
    firstDay: day,
    lastDay: day,
  };
}

/** Labels, not content: few, and short. */
function bounded(attributes: Attributes): Record<string, Json> {
  const kept: Record<string, Json> = {};
  for (const key of Object.keys(attributes).slice(0, MAX_ATTRIBUTES)) {
    const value = attributes[key] ?? null;
    const isPlain = typeof value === 'number' || typeof value === 'boolean';
    kept[clip(key, MAX_NAME)] = isPlain
      ? value
      : clip(typeof value === 'string' ? value : JSON.stringify(value), MAX_VALUE);
  }
  return kept;
}

/** The same text for the same attributes, whatever their order. */
function canonical(attributes: Readonly<Record<string, Json>>): string {
  return JSON.stringify(Object.entries(attributes).sort(([a], [b]) => (a < b ? -1 : 1)));
}

function pointRow(point: DataPoint, seriesId: string, retentionClass: number): PointRow {
  const { startNs, timeNs, value, count, sum, min, max, buckets, exponential, quantiles } = point;
  const shape = buckets ?? exponential ?? quantiles;
  return {
    seriesId,
    day: Number(timeNs / DAY_NS),
    retentionClass,
    startNs,
    timeNs,
    value: value ?? null,
    count: count ?? null,
    sum: sum ?? null,
    min: finite(min),
    max: finite(max),
    shape: shape === undefined ? null : JSON.stringify(shape),
  };
}

/** An SDK that saw nothing says ±Infinity. */
function finite(value: number | undefined): number | null {
  return value !== undefined && Number.isFinite(value) ? value : null;
}
