// Bytes on disk per span, everything included: tables, indexes, TOAST, summaries and rollups of the spans of bench ingest, whose texts are
// all distinct. The write-ahead log is told apart: it is recycled and does not grow with what is kept.
import { Agent, request } from 'node:http';
import { gzipSync } from 'node:zlib';
import pg from 'pg';
import { existingCluster, runningSocketDir, SUPERUSER } from '../packages/server/src/storage/embedded/cluster.ts';
import { DATABASE_NAME } from '../packages/server/src/storage/embedded/provision.ts';
import { startInstance, type Instance } from '../packages/server/src/test/instance.ts';
import { benchRequest, encodeRequest, randomFrom } from './genai-spans.ts';
import { measurePhoenix, type Peer } from './phoenix.ts';
import { progress, publish, round } from './report.ts';

const REQUESTS = Number(process.env['BENCH_STORAGE_REQUESTS'] ?? 2_000);
const SPANS_PER_REQUEST = 100;
const PEER_REQUESTS = 45;
const CLIENTS = 8;
const SEED = 20_261_125;
const GOAL_BYTES = 700;

interface Part {
  part: string;
  bytes: number;
}

const random = randomFrom(SEED);
const instance = await startInstance({ env: { LUMATRACE_TRACES_PER_DAY: '1000000000', LUMATRACE_LOG_LEVEL: 'warn' } });
try {
  const before = await sizes(instance);
  progress(`sending ${REQUESTS * SPANS_PER_REQUEST} spans`);
  const sent = await send(instance);
  const after = await sizes(instance);
  const spans = REQUESTS * SPANS_PER_REQUEST;
  const bytes = after.database - before.database;
  const parts = after.parts
    .map(({ part, bytes: now }) => ({
      part,
      bytesPerSpan: round((now - (before.parts.find((other) => other.part === part)?.bytes ?? 0)) / spans),
    }))
    .filter(({ bytesPerSpan }) => bytesPerSpan >= 0.1);
  progress(`${round(bytes / spans, 0)} bytes per span: ${JSON.stringify(parts)}`);
  await instance.stop();
  const { peers, peersReason } = await measurePeers(sent.first);
  publish(
    'storage',
    {
      bytesPerSpan: round(bytes / spans, 0),
      goalBytes: GOAL_BYTES,
      spans,
      rawBytesPerSpan: round(sent.rawBytes / spans, 0),
      gzipBytesPerSpan: round(sent.gzipBytes / spans, 0),
      parts,
      walBytesPerSpan: round((after.wal - before.wal) / spans, 0),
      peers,
      ...(peersReason === undefined ? {} : { peersReason }),
    },
    [
      `Goal: ${GOAL_BYTES} bytes. After vacuum and checkpoint; deltas of rollups are as they were written, the merge of each minute had not come yet.`,
    ],
  );
} finally {
  await instance.stop();
}

async function send({
  otlpUrl,
  firstRun,
}: Instance): Promise<{ rawBytes: number; gzipBytes: number; first: Buffer[] }> {
  const agent = new Agent({ keepAlive: true, maxSockets: CLIENTS });
  const url = new URL('/v1/traces', otlpUrl);
  const sum = { rawBytes: 0, gzipBytes: 0, first: [] as Buffer[] };
  let left = REQUESTS;
  const client = async (): Promise<void> => {
    while (left-- > 0) {
      const raw = encodeRequest(benchRequest(random, SPANS_PER_REQUEST, BigInt(Date.now()) * 1_000_000n));
      const body = gzipSync(raw, { level: 1 });
      sum.rawBytes += raw.length;
      sum.gzipBytes += body.length;
      if (sum.first.length < PEER_REQUESTS) sum.first.push(body);
      await post(agent, url, firstRun.apiKey, body);
    }
  };
  await Promise.all(Array.from({ length: CLIENTS }, client));
  agent.destroy();
  return sum;
}

function post(agent: Agent, url: URL, apiKey: string, body: Buffer): Promise<void> {
  return new Promise((resolve, reject) => {
    const headers = {
      'content-type': 'application/x-protobuf',
      'content-encoding': 'gzip',
      'content-length': body.length,
      authorization: `Bearer ${apiKey}`,
    };
    const sending = request(url, { method: 'POST', agent, headers }, (answer) => {
      answer.resume();
      answer.on('end', () =>
        answer.statusCode === 200 ? resolve() : reject(new Error(`Answered with ${answer.statusCode}`)),
      );
    });
    sending.on('error', reject);
    sending.end(body);
  });
}

async function sizes({ dataDir }: Instance): Promise<{ database: number; wal: number; parts: Part[] }> {
  const folder = await existingCluster(dataDir);
  const socketDir = folder === undefined ? undefined : await runningSocketDir(folder);
  if (socketDir === undefined) throw new Error('The embedded PostgreSQL does not run.');
  const client = new pg.Client({ host: socketDir, port: 5432, user: SUPERUSER, database: DATABASE_NAME });
  await client.connect();
  try {
    await client.query('vacuum traces, rollups, spans, content_blocks');
    await client.query('checkpoint');
    const { rows: parts } = await client.query<{ part: string; bytes: string }>(`
      select part || ' ' || kind as part, sum(bytes) as bytes
      from pg_class c
      cross join lateral (select substring(c.relname from '^(spans|content_blocks)') as parent) as p
      cross join lateral (select coalesce(p.parent, c.relname) as part) as named
      cross join lateral (
        values ('rows', pg_relation_size(c.oid)), ('indexes', pg_indexes_size(c.oid)),
          ('toast', pg_table_size(c.oid) - pg_relation_size(c.oid))
      ) as kinds (kind, bytes)
      where c.relkind = 'r' and c.relnamespace = 'public'::regnamespace
      group by 1
      order by 2 desc
    `);
    const { rows } = await client.query<{ database: string; wal: string }>(`
      select pg_database_size(current_database()) as database, (select sum(size) from pg_ls_waldir()) as wal
    `);
    return {
      database: Number(rows[0]?.database),
      wal: Number(rows[0]?.wal),
      parts: parts.map(({ part, bytes }) => ({ part, bytes: Number(bytes) })),
    };
  } finally {
    await client.end();
  }
}

async function measurePeers(bodies: readonly Buffer[]): Promise<{ peers: Peer[]; peersReason?: string }> {
  try {
    return { peers: [await measurePhoenix(bodies, SPANS_PER_REQUEST)] };
  } catch (error) {
    return { peers: [], peersReason: (error as Error).message.split('\n', 1)[0] ?? 'unknown' };
  }
}
