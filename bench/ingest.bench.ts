// Spans per second through the whole of a real instance, beside what COPY reaches for the same columns held wide.
// Everything is on: authentication, gzip, RLS, encryption, cost, summaries, rollups, quota, synchronous commit.
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { Agent, request } from 'node:http';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { parseArgs } from 'node:util';
import { gzipSync } from 'node:zlib';
import pg from 'pg';
import { from as copyFrom } from 'pg-copy-streams';
import { existingCluster, runningSocketDir, SUPERUSER } from '../packages/server/src/storage/embedded/cluster.ts';
import { DATABASE_NAME, OWNER_ROLE } from '../packages/server/src/storage/embedded/provision.ts';
import { startInstance, type Instance } from '../packages/server/src/test/instance.ts';
import { processTree } from '../packages/server/src/test/processes.ts';
import { benchRequest, encodeRequest, randomFrom, type BenchRequest, type BenchSpan } from './genai-spans.ts';
import { MemoryWatch, type MemoryReport } from './memory.ts';
import { measurePhoenix, type Peer } from './phoenix.ts';
import { progress, publish, quantile, round } from './report.ts';

const SPANS_PER_REQUEST = 100;
const CLIENTS = 8;
const WARM_UP_REQUESTS = 300;
const MEASURED_REQUESTS = Number(process.env['BENCH_INGEST_REQUESTS'] ?? 2_500);
const SINGLE_REQUESTS = 300;
const REDACTED_REQUESTS = Math.ceil(MEASURED_REQUESTS / 3);
/** Enough for Phoenix to show its pace, which is some twenty times slower. */
const PEER_REQUESTS = 100;
const COPY_BATCH_ROWS = 5_000;
const COPY_BATCHES = 16;
const COPY_WARM_UP_BATCHES = 2;
/** Linux counts in ticks of 10 ms. */
const TICKS_PER_SECOND = 100;
const SEED = 20_261_123;

interface Prepared {
  bodies: Buffer[];
  rawBytes: number;
  gzipBytes: number;
  spans: number;
}

/** The same columns wide, as owner: messages in the row, uncompressed, two indexes, day partitions. */
const TWIN = `
  create table twin (
    tenant_id uuid not null, day date not null, trace_id uuid not null, span_id bigint not null,
    parent_span_id bigint, start_ns bigint not null, end_ns bigint not null, cost_pico bigint,
    input_tokens bigint, output_tokens bigint, cache_read_tokens bigint, status smallint not null, kind smallint not null,
    name text not null, service text not null, environment text, operation text, provider text, model text,
    user_id text, session_id text, messages text not null,
    primary key (tenant_id, day, trace_id, span_id)
  ) partition by range (day);
  create index twin_time on twin (tenant_id, start_ns, trace_id) include (end_ns, cost_pico, model, service, environment);
  alter table twin alter column messages set storage external, alter column name set storage external,
    alter column service set storage external, alter column environment set storage external,
    alter column operation set storage external, alter column provider set storage external,
    alter column model set storage external, alter column user_id set storage external,
    alter column session_id set storage external;
`;

const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '0' },
    peers: { type: 'string', default: 'yes' },
    json: { type: 'boolean' },
  },
});
const memoryMinutes = Number(values.minutes);
const random = randomFrom(SEED);
progress(`preparing ${WARM_UP_REQUESTS + MEASURED_REQUESTS + SINGLE_REQUESTS} requests`);
const warmUp = prepare(WARM_UP_REQUESTS);
const measured = prepare(MEASURED_REQUESTS);
const single = prepare(SINGLE_REQUESTS);
const redacted = prepare(REDACTED_REQUESTS);

const instance = await startInstance({ env: { LUMATRACE_TRACES_PER_DAY: '1000000000', LUMATRACE_LOG_LEVEL: 'warn' } });
try {
  const agent = new Agent({ keepAlive: true, maxSockets: CLIENTS });
  progress('warming up');
  await send(agent, instance, warmUp.bodies, CLIENTS);
  progress('measuring');
  const before = cpuSeconds(instance);
  const startedMs = performance.now();
  const latenciesMs = await send(agent, instance, measured.bodies, CLIENTS);
  const elapsedS = (performance.now() - startedMs) / 1_000;
  const cpu = differences(cpuSeconds(instance), before);
  const spansPerSecond = measured.spans / elapsedS;
  progress(`${round(spansPerSecond, 0)} spans/s`);
  const singleMs = await send(agent, instance, single.bodies, 1);
  const redaction = await turnOnEveryRule(instance);
  const redactedStartMs = performance.now();
  if (redaction.rules > 0) await send(agent, instance, redacted.bodies, CLIENTS);
  const redactingPerSecond = (redacted.spans / (performance.now() - redactedStartMs)) * 1_000;
  if (redaction.rules > 0)
    progress(`${round(redactingPerSecond, 0)} spans/s with ${redaction.rules} rules of redaction`);
  let sent = warmUp.spans + measured.spans + single.spans + (redaction.rules > 0 ? redacted.spans : 0);
  let memory: MemoryReport | null = null;
  if (memoryMinutes > 0) {
    progress(`watching the memory for ${memoryMinutes} minutes`);
    const watch = new MemoryWatch(instance.process.pid as number);
    sent += await sendForMinutes(agent, instance, memoryMinutes);
    memory = watch.stop();
    progress(`memory: ${JSON.stringify(memory)}`);
  }
  agent.destroy();

  const stored = await storedSpans(instance);
  const viaApi = await spansOfSeries(instance);
  progress(`sent ${sent}, stored ${stored}, charted ${viaApi}`);
  if (stored !== sent || viaApi !== sent) process.exitCode = 1;
  const copyRowsPerSecond = await measureCopy(instance);
  progress(`COPY ${round(copyRowsPerSecond, 0)} rows/s`);
  await instance.stop();
  const { peers, peersReason } = await measurePeers();

  publish(
    'ingest',
    {
      spansPerSecond: round(spansPerSecond, 0),
      sent,
      stored,
      charted: viaApi,
      p50Ms: round(quantile(latenciesMs, 0.5)),
      p99Ms: round(quantile(latenciesMs, 0.99)),
      p50SingleMs: round(quantile(singleMs, 0.5)),
      p99SingleMs: round(quantile(singleMs, 0.99)),
      copyRowsPerSecond: round(copyRowsPerSecond, 0),
      ratioToCopy: round(spansPerSecond / copyRowsPerSecond, 3),
      spansPerSecondRedacting: redaction.rules > 0 ? round(redactingPerSecond, 0) : null,
      redactingRatio: redaction.rules > 0 ? round(redactingPerSecond / spansPerSecond, 3) : null,
      redactionRules: redaction.rules,
      ...(redaction.reason === undefined ? {} : { redactionReason: redaction.reason }),
      peers,
      ...(peersReason === undefined ? {} : { peersReason }),
      timesPeer: peers[0] === undefined ? null : round(spansPerSecond / peers[0].spansPerSecond),
      memory,
      rawBytesPerSpan: round(measured.rawBytes / measured.spans, 0),
      gzipBytesPerSpan: round(measured.gzipBytes / measured.spans, 0),
      clients: CLIENTS,
      spansPerRequest: SPANS_PER_REQUEST,
      nodeCpuUsPerSpan: round((cpu.node / measured.spans) * 1e6),
      postgresCpuUsPerSpan: round((cpu.postgres / measured.spans) * 1e6),
      loadGeneratorCores: round(cpu.generator / elapsedS, 2),
      otherLoadCores: round((cpu.machine - cpu.node - cpu.postgres - cpu.generator) / elapsedS, 2),
    },
    [
      'Goals: 16,000 spans/s, at least 0.35 of COPY, p99SingleMs below 50, with every rule of redaction at least 0.6 of it, five',
      'times Phoenix, memory flat over ten minutes (`--minutes 10`). The load generator shares the cores; its requests are made',
      'before the clock starts, each span with ids of its own. `stored` is counted in the table, `charted` by the API. Our answer',
      'waits for the commit, so a span can be read when it is answered; the peer is timed until its last span can be read.',
    ],
  );
} finally {
  await instance.stop();
}

async function measurePeers(): Promise<{ peers: Peer[]; peersReason?: string }> {
  if (values.peers === 'no') return { peers: [], peersReason: 'left out by --peers no' };
  try {
    const peer = await measurePhoenix(measured.bodies.slice(0, PEER_REQUESTS), SPANS_PER_REQUEST);
    progress(`${peer.name} ${peer.version}: ${peer.spansPerSecond} spans/s`);
    return { peers: [peer] };
  } catch (error) {
    return { peers: [], peersReason: (error as Error).message.split('\n', 1)[0] ?? 'unknown' };
  }
}

interface RuleSet {
  personalData: boolean;
  rules: Array<{ enabled: boolean }>;
}

/** Every built-in rule, personal data included; how many there are, or why none could be turned on. */
async function turnOnEveryRule({ url, firstRun }: Instance): Promise<{ rules: number; reason?: string }> {
  const headers = { authorization: `Bearer ${firstRun.apiKey}`, 'content-type': 'application/json' };
  const known = await fetch(`${url}/api/redaction`, { headers });
  if (!known.ok) return { rules: 0, reason: `GET /api/redaction was answered with ${known.status}` };
  const set = (await known.json()) as RuleSet;
  const all = { ...set, personalData: true, rules: set.rules.map((rule) => ({ ...rule, enabled: true })) };
  const changed = await fetch(`${url}/api/redaction`, { method: 'PUT', headers, body: JSON.stringify(all) });
  if (!changed.ok) return { rules: 0, reason: `PUT /api/redaction was answered with ${changed.status}` };
  // ingest reads a tenant's rules anew every few seconds
  await new Promise((resolve) => setTimeout(resolve, 6_000));
  return { rules: all.rules.length };
}

/** Sends for so long, as fast as it is taken: a hundred requests whose ids are written anew each time. Spans sent. */
async function sendForMinutes(agent: Agent, { otlpUrl, firstRun }: Instance, minutes: number): Promise<number> {
  const url = new URL('/v1/traces', otlpUrl);
  const templates = Array.from({ length: 100 }, () => {
    const request = next();
    const body = encodeRequest(request);
    const ids = new Set(request.spans.flatMap(({ traceId, spanId }) => [traceId, spanId]));
    return { body, places: [...ids].map((id) => placesOf(body, Buffer.from(id, 'hex'))) };
  });
  const untilMs = performance.now() + minutes * 60_000;
  let requests = 0;
  const client = async (own: number): Promise<void> => {
    // of its own, so that no body changes while it is sent
    const mine = templates.filter((_, at) => at % CLIENTS === own);
    for (let i = 0; performance.now() < untilMs; i++) {
      const { body, places } = mine[i % mine.length] as (typeof templates)[number];
      for (const { length, offsets } of places) {
        const id = randomBytes(length);
        for (const offset of offsets) id.copy(body, offset);
      }
      await post(agent, url, firstRun.apiKey, body, 'identity');
      requests++;
    }
  };
  await Promise.all(Array.from({ length: CLIENTS }, (_, own) => client(own)));
  return requests * SPANS_PER_REQUEST;
}

function placesOf(body: Buffer, id: Buffer): { length: number; offsets: number[] } {
  const offsets: number[] = [];
  for (let at = body.indexOf(id); at >= 0; at = body.indexOf(id, at + 1)) offsets.push(at);
  return { length: id.length, offsets };
}

function prepare(requests: number): Prepared {
  const prepared: Prepared = { bodies: [], rawBytes: 0, gzipBytes: 0, spans: 0 };
  for (let i = 0; i < requests; i++) {
    const body = encodeRequest(next());
    const compressed = gzipSync(body);
    prepared.bodies.push(compressed);
    prepared.rawBytes += body.length;
    prepared.gzipBytes += compressed.length;
    prepared.spans += SPANS_PER_REQUEST;
  }
  return prepared;
}

function next(): BenchRequest {
  return benchRequest(random, SPANS_PER_REQUEST, BigInt(Date.now()) * 1_000_000n);
}

/** Sends each body once, `clients` at a time; how long each answer took. Any answer but 200 ends the bench. */
async function send(
  agent: Agent,
  { otlpUrl, firstRun }: Instance,
  bodies: Buffer[],
  clients: number,
): Promise<number[]> {
  const url = new URL('/v1/traces', otlpUrl);
  const latenciesMs: number[] = [];
  let at = 0;
  const client = async (): Promise<void> => {
    for (let i = at++; i < bodies.length; i = at++) {
      const startedMs = performance.now();
      await post(agent, url, firstRun.apiKey, bodies[i] as Buffer);
      latenciesMs.push(performance.now() - startedMs);
    }
  };
  await Promise.all(Array.from({ length: clients }, client));
  return latenciesMs;
}

function post(agent: Agent, url: URL, apiKey: string, body: Buffer, encoding = 'gzip'): Promise<void> {
  return new Promise((resolve, reject) => {
    const headers = {
      'content-type': 'application/x-protobuf',
      'content-encoding': encoding,
      'content-length': body.length,
      authorization: `Bearer ${apiKey}`,
    };
    const sending = request(url, { method: 'POST', agent, headers }, (answer) => {
      let bytes = 0;
      answer.on('data', (chunk: Buffer) => (bytes += chunk.length));
      answer.on('end', () => {
        // an empty message: everything was taken
        if (answer.statusCode === 200 && bytes === 0) resolve();
        else reject(new Error(`Expected 200 and an empty message but received ${answer.statusCode}, ${bytes} bytes`));
      });
    });
    sending.on('error', reject);
    sending.end(body);
  });
}

interface CpuSeconds {
  node: number;
  postgres: number;
  generator: number;
  /** Everything that ran on the machine. */
  machine: number;
}

function cpuSeconds({ process: server }: Instance): CpuSeconds {
  const seconds = { node: 0, postgres: 0 };
  for (const { pid, name } of processTree(server.pid as number)) {
    seconds[name.startsWith('postgres') ? 'postgres' : 'node'] += ticksOf(pid) / TICKS_PER_SECOND;
  }
  const own = process.cpuUsage();
  // user, nice, system, idle, iowait, irq, softirq, …
  const [, user = 0, nice = 0, system = 0, , , irq = 0, softirq = 0] = (
    readFileSync('/proc/stat', 'utf8').split('\n', 1)[0] ?? ''
  )
    .split(/\s+/)
    .map(Number);
  const machine = (user + nice + system + irq + softirq) / TICKS_PER_SECOND;
  return { ...seconds, generator: (own.user + own.system) / 1e6, machine };
}

/** User and system time; the fields behind the name of the program, which may hold anything. */
function ticksOf(pid: number): number {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return Number(fields[11]) + Number(fields[12]);
  } catch {
    return 0; // it ended meanwhile
  }
}

function differences(after: CpuSeconds, before: CpuSeconds): CpuSeconds {
  return {
    node: after.node - before.node,
    postgres: after.postgres - before.postgres,
    generator: after.generator - before.generator,
    machine: after.machine - before.machine,
  };
}

async function connectAs(user: string, { dataDir }: Instance): Promise<pg.Client> {
  const folder = await existingCluster(dataDir);
  const socketDir = folder === undefined ? undefined : await runningSocketDir(folder);
  if (socketDir === undefined) throw new Error('The embedded PostgreSQL does not run.');
  const client = new pg.Client({ host: socketDir, port: 5432, user, database: DATABASE_NAME });
  // the instance is stopped under us when something else failed; that failure is the one to tell
  client.on('error', () => {});
  await client.connect();
  return client;
}

async function storedSpans(running: Instance): Promise<number> {
  const client = await connectAs(SUPERUSER, running);
  const { rows } = await client.query<{ count: string }>('select count(*) from spans');
  await client.end();
  return Number(rows[0]?.count);
}

async function spansOfSeries({ url, firstRun }: Instance): Promise<number> {
  const answer = await fetch(`${url}/api/analytics/series?metric=spans&timeRange=24h`, {
    headers: { authorization: `Bearer ${firstRun.apiKey}` },
  });
  const body = (await answer.json()) as { series: Array<{ points: Array<{ value: number }> }> };
  return body.series.flatMap(({ points }) => points).reduce((sum, { value }) => sum + value, 0);
}

// ── COPY ────────────────────────────────────────────────────────────────────────────────────────────────────────────

function isoOf(daysAhead: number): string {
  return new Date(Date.now() + daysAhead * 86_400_000).toISOString().slice(0, 10);
}

async function measureCopy(running: Instance): Promise<number> {
  const client = await connectAs(OWNER_ROLE, running);
  await client.query(TWIN);
  for (const day of [-1, 0, 1]) {
    await client.query(
      `create table twin_${isoOf(day).replaceAll('-', '')} partition of twin for values from ('${isoOf(day)}') to ('${isoOf(day + 1)}')`,
    );
  }
  const tenantId = running.firstRun.tenant.id;
  const copy = async (batch: Buffer): Promise<void> => {
    await pipeline(Readable.from([batch]), client.query(copyFrom('copy twin from stdin')));
  };
  let rows = 0;
  let elapsedMs = 0;
  for (let i = 0; i < COPY_WARM_UP_BATCHES + COPY_BATCHES; i++) {
    const batch = copyBatch(tenantId);
    const startedMs = performance.now();
    await copy(batch);
    if (i < COPY_WARM_UP_BATCHES) continue;
    elapsedMs += performance.now() - startedMs;
    rows += COPY_BATCH_ROWS;
  }
  const { rows: found } = await client.query<{ fsync: string }>('show fsync');
  if (found[0]?.fsync !== 'on') throw new Error('Expected fsync on');
  await client.end();
  return (rows / elapsedMs) * 1_000;
}

function copyBatch(tenantId: string): Buffer {
  const lines: string[] = [];
  while (lines.length < COPY_BATCH_ROWS) {
    const { service, spans } = next();
    for (const span of spans) lines.push(copyLine(tenantId, service, span));
  }
  return Buffer.from(lines.slice(0, COPY_BATCH_ROWS).join(''), 'utf8');
}

function signed64(hex: string): string {
  return String(BigInt.asIntN(64, BigInt(`0x${hex}`)));
}

function copyLine(tenantId: string, service: string, span: BenchSpan): string {
  const attributes = new Map(span.attributes);
  const value = (key: string): string => {
    const found = attributes.get(key);
    return found === undefined ? '\\N' : escaped(String(found));
  };
  const columns = [
    tenantId,
    new Date(Number(span.startNs / 1_000_000n)).toISOString().slice(0, 10),
    span.traceId,
    signed64(span.spanId),
    span.parentSpanId === undefined ? '\\N' : signed64(span.parentSpanId),
    span.startNs,
    span.endNs,
    '1234567890',
    value('gen_ai.usage.input_tokens'),
    value('gen_ai.usage.output_tokens'),
    value('gen_ai.usage.cache_read.input_tokens'),
    span.status,
    3,
    escaped(span.name),
    service,
    'production',
    value('gen_ai.operation.name'),
    value('gen_ai.provider.name'),
    value('gen_ai.request.model'),
    value('user.id'),
    value('gen_ai.conversation.id'),
    escaped(JSON.stringify(span.attributes)),
  ];
  return `${columns.join('\t')}\n`;
}

/** Text format of COPY: backslash, tab and line ends escaped. */
function escaped(text: string): string {
  return text.replaceAll('\\', '\\\\').replaceAll('\t', '\\t').replaceAll('\n', '\\n').replaceAll('\r', '\\r');
}
