// Every key that rotates is rotated while two processes take spans, read them, protect photographs and verify them:
// nothing is refused, nothing is lost, and at the end nothing old is left.
import assert from 'node:assert/strict';
import { hash, randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { after, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import sharp from 'sharp';
import { createExplore } from '../explore/explore.ts';
import { otlpRoutes } from '../http/otlp.ts';
import { BytesInFlight } from '../http/otlp-body.ts';
import { photoRoutes } from '../http/photos.ts';
import { telemetryRoutes } from '../http/telemetry.ts';
import { otlpJson } from '../ingest/fixtures/room.ts';
import { createIngest } from '../ingest/ingest.ts';
import type { LogIngest } from '../ingest/logs.ts';
import type { MetricIngest } from '../ingest/metrics.ts';
import { serve, type Served } from '../photos/fixtures/serve.ts';
import { testRoom } from '../photos/fixtures/room.ts';
import { ensureDayPartitions } from '../storage/postgres/partitions.ts';
import { keepSeals } from '../storage/seals.ts';
import { fixedSecret } from '../test/harness.ts';
import { openAll } from '../test/sealed-rows.ts';
import { createInstallationKeys } from './installation-keys.ts';
import { kekFromBytes } from './kek.ts';
import { createTenantKeys } from './tenant-keys.ts';
import { createTenantRotation, type TenantRotation } from './tenant-rotation.ts';
import { createWatermarkKeys } from './watermark-keys.ts';

const RELOAD_MS = 150;
const ROTATIONS = 3;
const kek = kekFromBytes(randomBytes(32));
const room = await testRoom();
const { database } = room.db;
const installationKeys = createInstallationKeys({ database, kek });
const processes: Array<ReturnType<typeof startProcess>> = [startProcess(), startProcess()];
const served: Served[] = [];
for (const { routes } of processes) served.push(await serve(routes));
after(async () => {
  for (const one of served) one.close();
  await room.close();
});

/** What one process has of its own: the keys that it read. */
function startProcess() {
  const tenantKeys = createTenantKeys({ database, kek, reloadAfterMs: RELOAD_MS });
  keepSeals(database, { tenant: (tenantId) => tenantKeys.forTenant(tenantId) });
  const watermarkKeys = createWatermarkKeys({ database, tenantKeys, installationKeys });
  const ingest = createIngest({
    database,
    tenantKeys,
    ensurePartitions: (retentionClass, days) => ensureDayPartitions(database, retentionClass, days),
  });
  const rotation: TenantRotation = createTenantRotation({
    database,
    tenantKeys,
    kek,
    settledMs: 3 * RELOAD_MS,
    quietMs: 2 * RELOAD_MS,
    graceMs: 3 * RELOAD_MS,
    record: () => Promise.resolve(),
    alert: () => Promise.resolve(),
    onError: (error) => assert.fail(error as Error),
  });
  const explore = createExplore({ database, tenantKeys, secrets: fixedSecret(Buffer.alloc(32, 1)) });
  const routes = [
    ...otlpRoutes({ ingest, logs: {} as LogIngest, metrics: {} as MetricIngest, bytesInFlight: new BytesInFlight() }),
    ...telemetryRoutes({ explore }),
    ...photoRoutes({ ...room, tenantKeys, watermarkKeys }),
  ];
  return { tenantKeys, watermarkKeys, rotation, routes };
}

interface Marked {
  photoId: string;
  bytes: Uint8Array<ArrayBuffer>;
}

let turn = 0;
/** Now one process answers, now the other. */
const urlOf = (path: string): string => `${served[turn++ % served.length]?.url}${path}`;

async function asked(path: string, tenantId: string, init: RequestInit = {}): Promise<Response> {
  const headers = { 'x-tenant': tenantId, 'x-scopes': 'traces:read traces:write', ...(init.headers as object) };
  const response = await fetch(urlOf(path), { ...init, headers });
  if (response.status !== 200) assert.fail(`${path}: ${response.status} ${await response.text()}`);
  return response;
}

test(
  'rotating the tenant’s key, its watermark’s and the installation’s under load loses no request',
  { timeout: 60_000 },
  async () => {
    const tenantId = await room.newTenant();
    const over = new AbortController();
    const sent = new Map<string, string>();
    const counts = { written: 0, read: 0, protected: 0, verified: 0 };

    const write = async (): Promise<void> => {
      while (!over.signal.aborted) {
        const traceId = randomBytes(16).toString('hex');
        const prompt = `prompt ${traceId}`;
        const nowNs = BigInt(Date.now()) * 1_000_000n;
        const attributes = { 'gen_ai.operation.name': 'chat', 'gen_ai.prompt': prompt };
        const span = { traceId, spanId: 'b7ad6b7169203331', startNs: nowNs - 1_000n, endNs: nowNs, attributes };
        const headers = { 'content-type': 'application/json' };
        await asked('/v1/traces', tenantId, {
          method: 'POST',
          headers,
          body: otlpJson([span], { 'service.name': 'a' }),
        });
        sent.set(traceId, prompt);
        counts.written++;
      }
    };
    const readOne = async (traceId: string): Promise<void> => {
      const trace = (await (await asked(`/api/traces/${traceId}`, tenantId)).json()) as { prompt: string };
      assert.equal(trace.prompt, sent.get(traceId));
      counts.read++;
    };
    const read = async (): Promise<void> => {
      while (!over.signal.aborted) {
        const known = [...sent.keys()];
        const traceId = known[Math.floor(Math.random() * known.length)];
        if (traceId === undefined) await sleep(5);
        else await readOne(traceId);
      }
    };
    const file = new URL('../../../../fixtures/photos/sunset.jpg', import.meta.url);
    const jpeg = await sharp(await readFile(file))
      .resize(640)
      .jpeg()
      .toBuffer();
    const photos: Marked[] = [];
    const verify = async ({ photoId, bytes }: Marked): Promise<void> => {
      const form = new FormData();
      form.set('photoId', photoId);
      form.set('image', new Blob([bytes]), 'photo');
      const answer = await asked('/api/v1/photos/verify', tenantId, { method: 'POST', body: form });
      const { authentic, watermarkStatus } = (await answer.json()) as { authentic: boolean; watermarkStatus: string };
      assert.deepEqual([authentic, watermarkStatus], [true, 'DETECTED']);
      counts.verified++;
    };
    const protect = async (): Promise<void> => {
      while (!over.signal.aborted) {
        const form = new FormData();
        form.set('image', new Blob([jpeg]), 'photo');
        form.set('request', JSON.stringify({ contentHash: hash('sha256', jpeg), deviceModel: 'camera', latitude: 1 }));
        const answer = await asked('/api/v1/photos/protect', tenantId, { method: 'POST', body: form });
        const photoId = answer.headers.get('x-photo-id') ?? '';
        const photo = { photoId, bytes: new Uint8Array(await answer.arrayBuffer()) };
        photos.push(photo);
        counts.protected++;
        await verify(photo);
        const shown = await asked(`/api/v1/photos/${photoId}`, tenantId);
        assert.equal(((await shown.json()) as { deviceModel: string }).deviceModel, 'camera');
      }
    };

    const rotate = async (): Promise<void> => {
      const never = new AbortController().signal;
      for (let round = 0; round < ROTATIONS; round++) {
        await sleep(400);
        // both at once
        await Promise.all(processes.map(({ rotation }) => rotation.rotate(tenantId)));
        await processes[0]?.watermarkKeys.rotate(tenantId);
        await installationKeys.rotate('watermark-sync');
        for (let look = 0; look < 60; look++) {
          await Promise.all(processes.map(({ rotation }) => rotation.work(never)));
          if ((await liveVersions(tenantId)).length === 1) break;
          await sleep(50);
        }
      }
    };
    const working = Promise.all([write(), write(), read(), protect()]);
    try {
      await Promise.race([working, rotate()]);
    } finally {
      over.abort();
      await working;
    }

    assert.deepEqual(await liveVersions(tenantId), [{ version: 1 + ROTATIONS, state: 'active' }]);
    await Promise.all([...sent.keys()].map(readOne));
    // the first was marked three versions of every key ago
    await verify(photos[0] as Marked);
    const opened = await database.inTenant(tenantId, async (sql) =>
      openAll(sql, tenantId, await createTenantKeys({ database, kek }).forTenant(tenantId)),
    );
    assert.ok(opened.every(({ version, plain }) => version === 1 + ROTATIONS && plain !== undefined));
    assert.ok(
      counts.written > 50 && counts.read > 50 && counts.protected > 3 && photos.length > 3,
      JSON.stringify(counts),
    );
    console.log(JSON.stringify({ ...counts, sealedValues: opened.length, rotations: ROTATIONS, lost: 0 }));
  },
);

const liveVersions = (tenantId: string): Promise<Array<{ version: number; state: string }>> =>
  database.inTenant(tenantId, async (sql) => {
    const { rows } = await sql.query<{ version: number; state: string }>(
      `select version, state from tenant_keys where version > 0 and state <> 'destroyed' order by version`,
    );
    return rows;
  });
