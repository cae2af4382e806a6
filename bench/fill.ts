// Fills an instance with millions of spans over thirty days, through the product's own way in: admission, pricing,
// content blocks, summaries, rollups and group commit are those of ingest. Only HTTP, the decoder and the rules of redaction
// are left out: a few hundred decoded requests are sent again and again with new ids, times, users and sessions.
// Resumable: ids follow from the seed, so a day that was half written is written again without effect.
import { randomUUID } from 'node:crypto';
import { readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { compileRedaction, decodeTracesProtobuf, DEFAULT_REDACTION, type DecodedTraces } from '@lumatrace/telemetry';
import { createApiKeys } from '../packages/server/src/access/api-keys.ts';
import type { Principal } from '../packages/server/src/access/principal.ts';
import { kekPath, readKek } from '../packages/server/src/data-folder.ts';
import { createIngest, type Ingest } from '../packages/server/src/ingest/ingest.ts';
import { upkeepTelemetry } from '../packages/server/src/ingest/upkeep.ts';
import { createInstallationKeys } from '../packages/server/src/keys/installation-keys.ts';
import { kekFromBytes } from '../packages/server/src/keys/kek.ts';
import { createTenantKeys } from '../packages/server/src/keys/tenant-keys.ts';
import { APP_ROLE, Database, type Sql } from '../packages/server/src/storage/database.ts';
import { existingCluster, runningSocketDir } from '../packages/server/src/storage/embedded/cluster.ts';
import { DATABASE_NAME, OWNER_ROLE } from '../packages/server/src/storage/embedded/provision.ts';
import { ensureDayPartitions } from '../packages/server/src/storage/postgres/partitions.ts';
import { insertTenant } from '../packages/server/src/storage/postgres/tenants.ts';
import { benchRequest, encodeRequest, randomFrom } from './genai-spans.ts';

/** What a filled instance holds; written beside its data. */
export interface Filled {
  spans: number;
  /** End of the thirty days, ms since 1970, a whole minute. */
  untilMs: number;
  daysDone: number;
  tenants: FilledTenant[];
}

export interface FilledTenant {
  name: string;
  share: number;
  tenantId: string;
  apiKey: string;
  /** Spans and requests sent so far. */
  sent: number;
  /** Some of its traces, and the long one. */
  traceIds: string[];
  longTraceId: string | null;
}

export const DAYS = 30;
export const LONG_TRACE_SPANS = 10_000;
const SHARES: ReadonlyArray<readonly [name: string, share: number]> = [
  ['40 %', 0.4],
  ['5 %', 0.05],
  ['0.1 %', 0.001],
  ['the rest', 0.549],
];
const RETENTION_CLASS = 90;
const SPANS_PER_REQUEST = 100;
const TEMPLATES = 240;
const IN_FLIGHT = 24;
const USERS = 5_000;
const TRACES_PER_SESSION = 4;
const DAY_MS = 86_400_000;
const DAY_NS = 86_400_000_000_000n;
const SEED = 20_261_124;
/** Sizes of single requests: whole conversations of some seven spans. */
const KEPT_TRACE_IDS = 400;

const KEEP_ALL = compileRedaction({
  ...DEFAULT_REDACTION,
  rules: DEFAULT_REDACTION.rules.map((rule) => ({ ...rule, enabled: false })),
});

type Progress = (text: string) => void;

/** Fills the running instance under `dataDir` with `spans` spans, going on where an earlier run stopped. */
export async function fill(dataDir: string, spans: number, progress: Progress): Promise<Filled> {
  const connected = await connect(dataDir);
  const { database, ingest } = connected;
  try {
    const known = await readFilled(dataDir);
    if (known !== undefined && known.spans !== spans) throw new Error(`${dataDir} holds ${known.spans} spans`);
    const filled = known ?? (await begin(dataDir, spans, connected));
    await writeFilled(dataDir, filled);
    if (filled.daysDone === DAYS) return filled;
    const templates = templatesOf();
    const startedMs = performance.now();
    const before = filled.daysDone;
    for (let day = before; day < DAYS; day++) {
      for (const [at, tenant] of filled.tenants.entries())
        await fillDay({ ingest, filled, tenant, at, day, templates });
      filled.daysDone = day + 1;
      await writeFilled(dataDir, filled);
      const perDayMs = (performance.now() - startedMs) / (day + 1 - before);
      const rate = (spans / DAYS / perDayMs) * 1_000;
      progress(`day ${day + 1} of ${DAYS}: ${Math.round(rate)} spans/s, ${minutes((DAYS - 1 - day) * perDayMs)} left`);
    }
    await ingest.drain();
    progress('merging rollups, as the daily job does');
    await upkeepTelemetry(database, Date.now());
    await writeFilled(dataDir, filled);
    return filled;
  } finally {
    await ingest.drain();
    await database.close();
  }
}

const minutes = (ms: number): string => `${(ms / 60_000).toFixed(1)} min`;

async function connect(dataDir: string) {
  const folder = await existingCluster(dataDir);
  const socketDir = folder === undefined ? undefined : await runningSocketDir(folder);
  const kekBytes = await readKek(kekPath(dataDir, undefined));
  if (socketDir === undefined || kekBytes === undefined) throw new Error(`Nothing runs on ${dataDir}`);
  const at = (user: string) => ({ host: socketDir, port: 5432, user, database: DATABASE_NAME, ssl: false as const });
  const database = new Database({ app: at(APP_ROLE), owner: at(OWNER_ROLE), statementTimeoutMs: 600_000 });
  const kek = kekFromBytes(kekBytes);
  const ingest = createIngest({
    database,
    tenantKeys: createTenantKeys({ database, kek }),
    tracesPerDay: 1_000_000_000,
    // The texts are made of common words: there is nothing to find in them, and looking takes a tenth of the time.
    redactorOf: () => Promise.resolve(KEEP_ALL),
    ensurePartitions: (retentionClass, days) => ensureDayPartitions(database, retentionClass, days),
  });
  const secrets = createInstallationKeys({ database, kek });
  const apiKeys = createApiKeys({ database, secrets, nowMs: Date.now, onError: () => {} });
  const createTenant = async (name: string): Promise<{ tenantId: string; apiKey: string }> => {
    const tenantId = randomUUID();
    await database.inTenant(tenantId, async (sql) => {
      await insertTenant(sql, { tenantId, name });
      await keepLonger(sql, tenantId);
    });
    const scopes = ['keys:admin', 'traces:read', 'traces:write'] as const;
    const by: Principal = { kind: 'apiKey', tenantId, subject: 'key:bench', scopes: new Set(scopes) };
    const wanted = { name: 'bench', scopes: ['traces:read'] as const, environment: 'live' as const, expiresAt: null };
    return { tenantId, apiKey: (await apiKeys.create(by, 'bench', wanted)).apiKey };
  };
  return { database, ingest, createTenant };
}

async function keepLonger(sql: Sql, tenantId: string): Promise<void> {
  await sql.query(`update tenants set retention_class = $2, requests_per_hour = 100000000 where tenant_id = $1`, [
    tenantId,
    RETENTION_CLASS,
  ]);
}

interface FirstRun {
  tenant: { id: string };
  apiKey: string;
}

/** The largest tenant is the one of the first start, so that its admin can open the dashboard. */
async function begin(
  dataDir: string,
  spans: number,
  { database, createTenant }: Awaited<ReturnType<typeof connect>>,
): Promise<Filled> {
  const first = JSON.parse(await readFile(join(dataDir, 'first-run.json'), 'utf8')) as FirstRun;
  await database.inTenant(first.tenant.id, (sql) => keepLonger(sql, first.tenant.id));
  const tenants: FilledTenant[] = [];
  for (const [name, share] of SHARES) {
    const isFirst = tenants.length === 0;
    const own = isFirst ? { tenantId: first.tenant.id, apiKey: first.apiKey } : await createTenant(name);
    tenants.push({ name, share, ...own, sent: 0, traceIds: [], longTraceId: null });
  }
  return { spans, untilMs: Math.floor(Date.now() / 60_000) * 60_000, daysDone: 0, tenants };
}

interface Template extends DecodedTraces {
  bytes: number;
  /** Of each span: its trace within the request, and its time from the start of it. */
  places: Array<{ trace: number; startNs: bigint; endNs: bigint; parent: number | undefined }>;
  traces: number;
}

function templatesOf(): Template[] {
  const random = randomFrom(SEED);
  return Array.from({ length: TEMPLATES }, () => {
    const body = encodeRequest(benchRequest(random, SPANS_PER_REQUEST, BigInt(Date.now()) * 1_000_000n));
    const decoded = decodeTracesProtobuf(body);
    const { spans } = decoded;
    const starts = new Map<string, bigint>();
    for (const { traceId, startNs } of spans) {
      const known = starts.get(traceId);
      if (known === undefined || startNs < known) starts.set(traceId, startNs);
    }
    const order = [...starts.keys()];
    const at = new Map(spans.map(({ spanId }, i) => [spanId, i]));
    const places = spans.map(({ traceId, startNs, endNs, parentSpanId }) => ({
      trace: order.indexOf(traceId),
      startNs: startNs - (starts.get(traceId) as bigint),
      endNs: endNs - (starts.get(traceId) as bigint),
      parent: parentSpanId === undefined ? undefined : at.get(parentSpanId),
    }));
    return { ...decoded, bytes: body.length, places, traces: order.length };
  });
}

interface Day {
  ingest: Ingest;
  filled: Filled;
  tenant: FilledTenant;
  /** Place of the tenant among all. */
  at: number;
  day: number;
  templates: Template[];
}

/** The spans of one tenant and day in order of time; the long trace is in the last but one. */
async function fillDay({ ingest, filled, tenant, at, day, templates }: Day): Promise<void> {
  const perDay = (filled.spans * tenant.share) / DAYS;
  // what does not fill a request on one day is sent on a later one
  const requests =
    Math.round((perDay * (day + 1)) / SPANS_PER_REQUEST) - Math.round((perDay * day) / SPANS_PER_REQUEST);
  const startMs = filled.untilMs - (DAYS - day) * DAY_MS;
  const windowMs = DAY_MS / Math.max(1, requests);
  const keepEvery = Math.max(1, Math.floor((requests * DAYS) / KEPT_TRACE_IDS));
  let next = 0;
  const worker = async (): Promise<void> => {
    for (let request = next++; request < requests; request = next++) {
      // more templates than requests under way: this one is nobody else's at the moment
      const template = templates[request % templates.length] as Template;
      const random = randomFrom(SEED + at * 100_000_007 + day * 1_000_003 + request);
      const ids = stamp(template, random, startMs + request * windowMs, windowMs);
      if (request % keepEvery === 0) tenant.traceIds.push(ids[0] as string);
      await ingest.accept(tenant.tenantId, template, template.bytes);
      tenant.sent += SPANS_PER_REQUEST;
    }
  };
  await Promise.all(Array.from({ length: IN_FLIGHT }, worker));
  if (at === 0 && day === DAYS - 2) tenant.longTraceId = await sendLongTrace(ingest, tenant, templates, startMs);
}

function hexOf(random: () => number, digits: number): string {
  let text = '';
  while (text.length < digits) {
    text += Math.floor(random() * 4_294_967_296)
      .toString(16)
      .padStart(8, '0');
  }
  return text.slice(0, digits);
}

/** New ids, times, durations, users and sessions for the spans of a template; the ids of its traces. */
function stamp(template: Template, random: () => number, fromMs: number, windowMs: number): string[] {
  const traces = Array.from({ length: template.traces }, () => ({
    id: hexOf(random, 32),
    startNs: BigInt(Math.floor((fromMs + random() * windowMs) * 1_000)) * 1_000n,
    // per mille: the same conversation is not equally slow each time
    pace: BigInt(Math.floor(400 + random() ** 3 * 2_400)),
    // few users ask often
    user: `user-${Math.floor(random() ** 2 * USERS)}`,
    session: `session-${Math.floor(fromMs / (windowMs * TRACES_PER_SESSION))}-${Math.floor(random() * template.traces)}`,
  }));
  const ids = template.spans.map(() => hexOf(random, 16));
  for (const [i, span] of template.spans.entries()) {
    const { trace, startNs, endNs, parent } = template.places[i] as Template['places'][number];
    const { id, startNs: begunNs, pace, user, session } = traces[trace] as (typeof traces)[number];
    span.traceId = id;
    span.spanId = ids[i] as string;
    span.parentSpanId = parent === undefined ? undefined : ids[parent];
    span.startNs = begunNs + (startNs * pace) / 1_000n;
    span.endNs = begunNs + (endNs * pace) / 1_000n;
    if (span.userId !== undefined) {
      span.userId = user;
      span.attributes['user.id'] = user;
    }
    if (span.sessionId !== undefined) {
      span.sessionId = session;
      span.attributes['gen_ai.conversation.id'] = session;
    }
  }
  return traces.map(({ id }) => id);
}

/** One agent run of ten thousand spans, sent in a hundred requests, in the middle of the day. */
async function sendLongTrace(
  ingest: Ingest,
  tenant: FilledTenant,
  templates: readonly Template[],
  startMs: number,
): Promise<string> {
  const random = randomFrom(SEED - 1);
  const traceId = hexOf(random, 32);
  const rootId = hexOf(random, 16);
  const noonNs = BigInt(startMs) * 1_000_000n + DAY_NS / 2n;
  for (let request = 0; request < LONG_TRACE_SPANS / SPANS_PER_REQUEST; request++) {
    const template = templates[request % templates.length] as Template;
    stamp(template, random, startMs, DAY_MS);
    const roots: string[] = [];
    for (const [i, span] of template.spans.entries()) {
      const { startNs, endNs, trace, parent } = template.places[i] as Template['places'][number];
      const begunNs = noonNs + BigInt(request * 700 + trace * 40) * 1_000_000n;
      const isRoot = request === 0 && i === 0;
      span.traceId = traceId;
      span.startNs = begunNs + startNs / 20n;
      span.endNs = begunNs + endNs / 20n;
      if (isRoot) span.endNs = noonNs + 80_000_000_000n;
      if (isRoot) span.spanId = rootId;
      else if (parent === undefined) roots.push(span.spanId);
      if (span.parentSpanId === undefined && !isRoot) span.parentSpanId = rootId;
    }
    if (request === 0) {
      // those of the first conversation hang below the root of all
      const firstTrace = template.places[0]?.trace;
      for (const [i, span] of template.spans.entries()) {
        if (i > 0 && template.places[i]?.trace === firstTrace) span.parentSpanId = rootId;
      }
    }
    await ingest.accept(tenant.tenantId, template, template.bytes);
    tenant.sent += SPANS_PER_REQUEST;
  }
  return traceId;
}

const FILE = 'filled.json';

async function readFilled(dataDir: string): Promise<Filled | undefined> {
  const text = await readFile(join(dataDir, FILE), 'utf8').catch(() => undefined);
  return text === undefined ? undefined : (JSON.parse(text) as Filled);
}

async function writeFilled(dataDir: string, filled: Filled): Promise<void> {
  const file = join(dataDir, FILE);
  await writeFile(`${file}.new`, JSON.stringify(filled), { mode: 0o600 });
  await rename(`${file}.new`, file);
}
