// A secret of its own for every way in × encoding × place, sent to a started server with the rules of the release; then
// every place where anything could be kept or said is searched. Beside each stands a word that is no secret and must be
// found: so the search works.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { gunzipSync, gzipSync, zstdCompressSync, zstdDecompressSync } from 'node:zlib';
import { Client, credentials, Metadata } from '@grpc/grpc-js';
import pg from 'pg';
import { attributes, encodeRequest } from '../../../telemetry/test/wire.ts';
import { kekPath, readKek } from '../data-folder.ts';
import { kekFromBytes } from '../keys/kek.ts';
import { createTenantKeys } from '../keys/tenant-keys.ts';
import { Database, APP_ROLE } from '../storage/database.ts';
import { existingCluster, runningSocketDir, SUPERUSER } from '../storage/embedded/cluster.ts';
import { DATABASE_NAME, OWNER_ROLE } from '../storage/embedded/provision.ts';
import { blockAad } from '../storage/sealed.ts';
import { startInstance, type Instance } from './instance.ts';

const MAIN = fileURLToPath(new URL('../main.ts', import.meta.url));

/** What must not be found, and where it was put. */
const canaries: { core: string; place: string }[] = [];
/** What must be found in the tables. */
const controls: { word: string; place: string }[] = [];
const traceIds: string[] = [];
const answers: string[] = [];

/** 24 letters and digits, both kinds in it. */
const random = (): string =>
  randomBytes(32)
    .toString('base64')
    .replaceAll(/[^A-Za-z0-9]/g, '')
    .slice(0, 22) + 'a7';

function secret(place: string): string {
  const core = random();
  canaries.push({ core, place });
  return `sk-proj-${core}`;
}

function control(place: string): string {
  const word = `harmless-${randomBytes(5).toString('hex')}`;
  controls.push({ word, place });
  return word;
}

/** In pieces of a list: of each half a search of its own. */
function halves(place: string): string[] {
  const core = random();
  canaries.push({ core: core.slice(0, 12), place }, { core: core.slice(12), place });
  return [`sk-proj-${core.slice(0, 12)}`, core.slice(12)];
}

const escaped = (text: string): string => `{"q":"${text.replace('sk-', String.raw`\u0073\u006b-`)}"}`;

const resource = (way: string): object => ({
  attributes: attributes({
    'service.name': `svc ${control(`${way} service`)}`,
    'deployment.token': secret(`${way} resource`),
  }),
});
const scope = (way: string): object => ({
  name: `scope ${secret(`${way} scope name`)}`,
  attributes: attributes({ note: secret(`${way} scope attribute`) }),
});

function traces(way: string): object {
  const traceId = randomBytes(16).toString('hex');
  traceIds.push(traceId);
  const nowNs = String(BigInt(Date.now()) * 1_000_000n);
  const at = (place: string): string => secret(`${way} ${place}`);
  const span = {
    traceId,
    spanId: randomBytes(8).toString('hex'),
    name: `chat ${control(`${way} name`)} ${at('name')}`,
    traceState: `vendor=${at('trace state')}`,
    startTimeUnixNano: nowNs,
    endTimeUnixNano: nowNs,
    status: { code: 2, message: `refused ${at('status message')}` },
    attributes: attributes({
      'gen_ai.operation.name': 'chat',
      'gen_ai.request.model': 'gpt-4o',
      'gen_ai.input.messages': JSON.stringify([
        { role: 'user', parts: [{ type: 'text', content: `${control(`${way} prompt`)} ${at('prompt')}` }] },
      ]),
      'gen_ai.output.messages': escaped(at('JSON escape')),
      'gen_ai.usage.input_tokens': at('a count that is none'),
      'user.id': at('user id'),
      'session.id': at('session id'),
      'http.request.header.authorization': [`Bearer ${at('header')}`],
      baggage: `user=1,api_key=${at('baggage')}`,
      metadata: JSON.stringify({ nested: JSON.stringify({ deep: at('JSON in JSON') }) }),
      'langfuse.trace.tags': [at('tag')],
      chunks: halves(`${way} list`),
      structured: { inner: [at('structured')] },
      [`key ${at('attribute key')}`]: 'x',
      url: `postgres://app:${at('connection string')}@db/x`,
    }),
    events: [
      {
        name: `e ${at('event name')}`,
        timeUnixNano: nowNs,
        attributes: attributes({ 'exception.message': at('event') }),
      },
    ],
    links: [{ traceId, spanId: randomBytes(8).toString('hex'), attributes: attributes({ l: at('link') }) }],
  };
  const refused = {
    ...span,
    traceId: '0'.repeat(32),
    name: at('rejected span name'),
    attributes: attributes({ a: at('rejected span') }),
  };
  return { resourceSpans: [{ resource: resource(way), scopeSpans: [{ scope: scope(way), spans: [span, refused] }] }] };
}

function logs(way: string): object {
  const nowNs = String(BigInt(Date.now()) * 1_000_000n);
  const at = (place: string): string => secret(`${way} ${place}`);
  const record = { timeUnixNano: nowNs, severityNumber: 9, severityText: 'INFO' };
  const scored = {
    ...record,
    traceId: traceIds[0],
    spanId: randomBytes(8).toString('hex'),
    eventName: 'gen_ai.evaluation.result',
  };
  return {
    resourceLogs: [
      {
        resource: resource(way),
        scopeLogs: [
          {
            scope: scope(way),
            logRecords: [
              {
                ...record,
                body: { stringValue: `${control(`${way} body`)} ${at('body')}` },
                attributes: attributes({
                  a: at('attribute'),
                  list: halves(`${way} list`),
                  j: escaped(at('JSON escape')),
                }),
              },
              {
                ...record,
                eventName: `event ${at('event name')}`,
                body: { kvlistValue: { values: attributes({ deep: { deeper: at('structured body') } }) } },
              },
              {
                ...scored,
                attributes: attributes({
                  'gen_ai.evaluation.name': `q ${at('score name')}`,
                  'gen_ai.evaluation.score.value': 0.5,
                  'gen_ai.evaluation.score.label': at('score label'),
                  'gen_ai.evaluation.explanation': at('score explanation'),
                }),
              },
            ],
          },
        ],
      },
    ],
  };
}

function metrics(way: string): object {
  const nowNs = String(BigInt(Date.now()) * 1_000_000n);
  const point = {
    asInt: '5',
    timeUnixNano: nowNs,
    attributes: attributes({
      'gen_ai.request.model': `m ${control(`${way} attribute`)}`,
      a: secret(`${way} attribute`),
    }),
  };
  const sum = { aggregationTemporality: 1, isMonotonic: true, dataPoints: [point] };
  const description = secret(`${way} description`);
  return {
    resourceMetrics: [
      {
        resource: resource(way),
        scopeMetrics: [{ scope: scope(way), metrics: [{ name: 'gen_ai.client.token.usage', description, sum }] }],
      },
    ],
  };
}

const SIGNALS = [
  { path: '/v1/traces', message: 'ExportTraceServiceRequest', make: traces, service: 'trace.v1.TraceService' },
  { path: '/v1/logs', message: 'ExportLogsServiceRequest', make: logs, service: 'logs.v1.LogsService' },
  { path: '/v1/metrics', message: 'ExportMetricsServiceRequest', make: metrics, service: 'metrics.v1.MetricsService' },
] as const;
const COMPRESSIONS: readonly (readonly [encoding: string | undefined, (body: Uint8Array) => Uint8Array])[] = [
  [undefined, (body) => body],
  ['gzip', gzipSync],
  ['zstd', zstdCompressSync],
];

let instance: Instance;
let backups: string;

before(async () => {
  instance = await startInstance();
  backups = await mkdtemp(join(tmpdir(), 'lumatrace-canaries-'));
});
after(async () => {
  await instance.stop();
  await rm(backups, { recursive: true, force: true });
});

async function post(path: string, type: string, encoding: string | undefined, body: Uint8Array): Promise<number> {
  const headers: Record<string, string> = { authorization: `Bearer ${instance.firstRun.apiKey}`, 'content-type': type };
  if (encoding !== undefined) headers['content-encoding'] = encoding;
  const answer = await fetch(new URL(path, instance.otlpUrl), { method: 'POST', headers, body: Buffer.from(body) });
  answers.push(`${[...answer.headers].join('\n')}\n${await answer.text()}`);
  return answer.status;
}

function overGrpc(service: string, body: Uint8Array): Promise<void> {
  const client = new Client(`127.0.0.1:${instance.ports.grpc}`, credentials.createInsecure());
  const metadata = new Metadata();
  metadata.set('authorization', `Bearer ${instance.firstRun.apiKey}`);
  return new Promise<void>((resolve, reject) => {
    client.makeUnaryRequest(
      `/opentelemetry.proto.collector.${service}/Export`,
      (bytes: Uint8Array) => Buffer.from(bytes),
      (bytes: Buffer) => bytes,
      body,
      metadata,
      (error, response) => {
        client.close();
        answers.push(`${error?.message ?? ''}\n${String(response)}`);
        if (error === null) resolve();
        else reject(error);
      },
    );
  });
}

/** The first canary that stands in the bytes, as text or as hex. */
function assertClean(bytes: Buffer | string, where: string): void {
  const buffer = Buffer.from(bytes);
  const found = canaries.filter(
    ({ core }) => buffer.includes(core) || buffer.includes(Buffer.from(core).toString('hex')),
  );
  assert.deepEqual(
    found.map(({ place }) => place),
    [],
    where,
  );
}

async function get(path: string): Promise<string> {
  const answer = await fetch(new URL(path, instance.url), {
    headers: { authorization: `Bearer ${instance.firstRun.apiKey}` },
  });
  return answer.text();
}

test('every way in takes its canaries', async () => {
  for (const { path, message, make, service } of SIGNALS) {
    for (const base of ['', '/api/public/otel']) {
      for (const [encoding, compress] of COMPRESSIONS) {
        const json = Buffer.from(JSON.stringify(make(`${base}${path} JSON ${encoding}`)));
        assert.equal(await post(base + path, 'application/json', encoding, compress(json)), 200);
        const protobuf = encodeRequest(make(`${base}${path} protobuf ${encoding}`), message);
        assert.equal(await post(base + path, 'application/x-protobuf', encoding, compress(protobuf)), 200);
      }
    }
    await overGrpc(service, encodeRequest(make(`${path} gRPC`), message));
    for (const type of ['application/json', 'application/x-protobuf', 'text/plain']) {
      const garbled = Buffer.from(`{"resourceSpans": [ ${secret(`${path} garbled ${type}`)} `);
      assert.ok((await post(path, type, undefined, garbled)) >= 400);
      assert.ok((await post(path, type, 'gzip', garbled)) >= 400);
    }
  }
  const hidden = secret('a wrong key');
  const answer = await fetch(new URL('/v1/traces', instance.otlpUrl), {
    method: 'POST',
    headers: { authorization: `Bearer ${hidden}` },
  });
  answers.push(await answer.text());
  assert.ok(canaries.length > 500, String(canaries.length));
});

test('no answer quotes one, refusals included', () => {
  assertClean(answers.join('\n'), 'answers');
  assert.match(answers.join('\n'), /rejected/i);
});

test('no answer of the API holds one, and what was sent beside them is there', async () => {
  const texts = [
    await get('/api/traces?limit=500'),
    await get('/api/facets'),
    await get('/api/metrics'),
    await get('/api/analytics/cost?groupBy=service'),
  ];
  for (const traceId of traceIds) texts.push(await get(`/api/traces/${traceId}`));
  const said = texts.join('\n');
  assertClean(said, 'API');
  for (const { word, place } of controls) if (/ (?:name|prompt)$/.test(place)) assert.ok(said.includes(word), place);
});

test('no row of any table holds one, plain or decrypted, and what was sent beside them is there', async () => {
  const socketDir = await runningSocketDir((await existingCluster(instance.dataDir))!);
  const at = (user: string): pg.PoolConfig => ({ host: socketDir, port: 5432, user, database: DATABASE_NAME });
  const client = new pg.Client(at(SUPERUSER));
  const database = new Database({ app: at(APP_ROLE), owner: at(OWNER_ROLE) });
  await client.connect();
  try {
    const { rows: tables } = await client.query<{ name: string }>(
      `select format('%I.%I', schemaname, tablename) as name from pg_tables where schemaname not in ('pg_catalog', 'information_schema')`,
    );
    assert.ok(tables.length > 20);
    let rows = '';
    for (const { name } of tables) {
      const dumped = await client.query<{ row: string }>(`select t::text as row from only ${name} t`);
      rows += dumped.rows.map(({ row }) => row).join('\n');
    }
    assertClean(rows, 'tables');
    const key = await createTenantKeys({
      database,
      kek: kekFromBytes((await readKek(kekPath(instance.dataDir, undefined)))!),
    }).forTenant(instance.firstRun.tenant.id);
    const blocks = await client.query<{ id: string; sealed: Buffer }>(
      `select block_id::text as id, sealed from content_blocks`,
    );
    assert.ok(blocks.rows.length >= 20);
    const opened = blocks.rows
      .map(({ id, sealed }) =>
        zstdDecompressSync(key.open('content', blockAad(id.replaceAll('-', '')), sealed)).toString(),
      )
      .join('\n');
    assertClean(opened, 'content blocks');
    const all = rows + opened;
    assert.deepEqual(
      controls.filter(({ word }) => !all.includes(word)).map(({ place }) => place),
      [],
      'controls',
    );
    assert.match(opened, /\[redacted:openai-key\]/);
  } finally {
    await client.end();
    await database.close();
  }
});

async function filesUnder(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  return entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
}

test('no byte of the data folder holds one, its write-ahead log included, nor what the server printed', async () => {
  let hasControl = false;
  let walBytes = 0;
  for (const file of await filesUnder(instance.dataDir)) {
    const bytes = await readFile(file).catch(() => Buffer.alloc(0));
    assertClean(bytes, file);
    if (!file.includes('pg_wal')) continue;
    walBytes += bytes.length;
    hasControl ||= bytes.includes(controls.find(({ place }) => place.endsWith(' name'))!.word);
  }
  assert.ok(hasControl, `the write-ahead log of ${walBytes} bytes holds the names of spans`);
  assertClean(instance.output(), 'output');
  assertClean(await get('/metrics'), '/metrics');
});

test('no backup holds one', async () => {
  const file = join(backups, 'backup');
  const child = spawn(process.execPath, [MAIN, 'backup', file, '--data', instance.dataDir], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (text) => (output += text));
  const [code] = (await once(child, 'close')) as [number];
  assert.equal(code, 0, output);
  const bytes = await readFile(file);
  assertClean(bytes, 'backup');
  assertClean(unpacked(bytes), 'backup, unpacked');
  assertClean(output, 'output of backup');
});

/** The stream of the archive where it is compressed, wherever that begins. */
function unpacked(bytes: Buffer): Buffer {
  const gzip = bytes.indexOf(Buffer.from([0x1f, 0x8b, 0x08]));
  const zstd = bytes.indexOf(Buffer.from([0x28, 0xb5, 0x2f, 0xfd]));
  if (gzip >= 0 && gzip < 4_096) return gunzipSync(bytes.subarray(gzip));
  if (zstd >= 0 && zstd < 4_096) return zstdDecompressSync(bytes.subarray(zstd));
  return bytes;
}
