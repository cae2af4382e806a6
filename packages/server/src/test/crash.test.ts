// Fifty kills at random moments, of random processes, while spans and photographs arrive: what was acknowledged stays,
// what was not is whole or absent, and `up` needs no hand.
import assert from 'node:assert/strict';
import { createHash, randomBytes, randomInt, randomUUID } from 'node:crypto';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { freePort, startInstance, type Instance } from './instance.ts';
import { processTree, type Process } from './processes.ts';

const KILLS = 50;
const SPANS_PER_REQUEST = 20;
const RECOVERY_MS = 60_000;
// Every protection is asked for again at the end: enough of them to be hit, few enough to be checked.
const PROTECT_PAUSE_MS = 150;
const PHOTO = new URL('../../../../fixtures/photos/dandelion.jpg', import.meta.url);

interface Protection {
  key: string;
  photoId?: string;
}

let dataDir: string;
let ports: { http: number; otlp: number; grpc: number };
let instance: Instance;
let photo: Buffer;
const acknowledged = new Map<string, number>();
const protections: Protection[] = [];
let slowestMs = 0;

before(async () => {
  dataDir = await mkdtemp(join(tmpdir(), 'lumatrace-crash-'));
  ports = { http: await freePort(), otlp: await freePort(), grpc: await freePort() };
  photo = await readFile(PHOTO);
  instance = await startInstance({ dataDir, ports });
});

after(async () => {
  await instance.stop();
  await rm(dataDir, { recursive: true, force: true });
});

test('fifty random kills during ingest and protect lose no acknowledged span and leave no half photo', async (t) => {
  const victims = new Map<string, number>();
  for (let kill = 0; kill < KILLS; kill++) {
    const load = new AbortController();
    const work = [sendSpans(load.signal), sendSpans(load.signal), protectPhotos(load.signal)];
    try {
      await sleep(randomInt(30, 500));
      const victim = pickVictim(processTree(instance.process.pid as number));
      // Ended by itself after an earlier kill: allowed, as long as `up` starts it again.
      if (victim === undefined) {
        assert.ok(hasEnded(), 'the instance lives or has ended');
        t.diagnostic(`ended by itself with ${instance.process.exitCode}: ${instance.output().slice(-600)}`);
      } else {
        process.kill(victim.pid, 'SIGKILL');
        victims.set(roleOf(victim), (victims.get(roleOf(victim)) ?? 0) + 1);
        if (victim.pid !== instance.process.pid) await readyAgain();
        else await ended();
      }
    } finally {
      load.abort();
      await Promise.all(work);
    }
    if (hasEnded()) instance = await startInstance({ dataDir, ports });
  }
  t.diagnostic(`killed ${[...victims].map(([name, n]) => `${name} ${n}×`).join(', ')}`);
  t.diagnostic(`the slowest was ready again after ${Math.round(slowestMs)} ms`);
  t.diagnostic(`${acknowledged.size} traces acknowledged, ${protections.length} protections begun`);
  assert.ok(acknowledged.size > KILLS / 2, 'the load really ran');
  await everyAcknowledgedSpanIsThere();
  await everyPhotoIsWhole();
});

/** One trace after the other until told to stop; remembers those that were acknowledged. */
async function sendSpans(signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    const traceId = randomBytes(16).toString('hex');
    const answered = await post(`${instance.otlpUrl}/v1/traces`, JSON.stringify(exportRequest(traceId)), {
      'content-type': 'application/json',
    });
    if (answered?.status === 200) acknowledged.set(traceId, SPANS_PER_REQUEST);
    else await sleep(20);
  }
}

async function protectPhotos(signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    const protection: Protection = { key: randomUUID() };
    protections.push(protection);
    const answered = await protect(protection.key);
    if (answered?.status === 200) protection.photoId = answered.photoId;
    await sleep(PROTECT_PAUSE_MS);
  }
}

async function protect(key: string): Promise<{ status: number; photoId: string; image: Buffer } | undefined> {
  const form = new FormData();
  form.set('image', new Blob([new Uint8Array(photo)]), 'photo.jpg');
  const contentHash = createHash('sha256').update(photo).digest('hex');
  form.set('request', JSON.stringify({ contentHash, deviceModel: 'crash test' }));
  return post(`${instance.url}/api/v1/photos/protect`, form, { 'idempotency-key': key });
}

async function post(
  url: string,
  body: string | FormData,
  headers: Record<string, string>,
): Promise<{ status: number; photoId: string; image: Buffer } | undefined> {
  try {
    const response = await fetch(url, {
      method: 'POST',
      body,
      headers: { ...headers, authorization: `Bearer ${instance.firstRun.apiKey}` },
      signal: AbortSignal.timeout(RECOVERY_MS),
    });
    const image = Buffer.from(await response.arrayBuffer());
    return { status: response.status, photoId: response.headers.get('x-photo-id') ?? '', image };
  } catch {
    return undefined; // Cut off in the middle: not acknowledged.
  }
}

/** The server itself as often as everything else together, since it has the most to lose. */
function pickVictim(tree: readonly Process[]): Process | undefined {
  const [root, ...others] = tree;
  return others.length === 0 || randomInt(2) === 0 ? root : (others[randomInt(others.length)] as Process);
}

function hasEnded(): boolean {
  return instance.process.exitCode !== null || instance.process.signalCode !== null;
}

async function ended(): Promise<void> {
  while (!hasEnded()) await sleep(5);
}

function roleOf(process: Process): string {
  return process.name === 'node' || process.name === 'MainThread'
    ? (/([\w-]+)\.ts/.exec(process.commandLine)?.[1] ?? 'node')
    : process.name;
}

/** Serving again by itself, or ended. */
async function readyAgain(): Promise<void> {
  const fromMs = performance.now();
  for (;;) {
    if (hasEnded()) return;
    const ready = await fetch(`${instance.url}/health/ready`).catch(() => undefined);
    await ready?.body?.cancel();
    const tookMs = performance.now() - fromMs;
    slowestMs = Math.max(slowestMs, tookMs);
    if (ready?.status === 200) return;
    assert.ok(tookMs < RECOVERY_MS, `not ready after ${RECOVERY_MS} ms:\n${instance.output().slice(-2_000)}`);
    await sleep(50);
  }
}

async function everyAcknowledgedSpanIsThere(): Promise<void> {
  const lost: string[] = [];
  for (const [traceId, expected] of acknowledged) {
    const response = await get(`/api/traces/${traceId}`);
    const found = response.status === 200 ? ((await response.json()) as { spans: unknown[] }).spans.length : 0;
    if (found !== expected) lost.push(`${traceId}: ${found} of ${expected}`);
  }
  assert.deepEqual(lost, []);
}

/** The same key again gives the same photo, each key one photo, and each photo can be verified or is only registered. */
async function everyPhotoIsWhole(): Promise<void> {
  const ids = new Set<string>();
  for (const { key, photoId } of protections) {
    const answered = await protect(key);
    assert.equal(answered?.status, 200, `protect again with key ${key}`);
    if (photoId !== undefined) assert.equal(answered?.photoId, photoId, 'the same key is the same photo');
    ids.add(answered?.photoId as string);
    assert.equal(await isAuthentic(answered?.photoId as string, answered?.image as Buffer), true);
  }
  assert.equal(ids.size, protections.length, 'each key is one photo');
  const listed = await allPhotos();
  assert.equal(listed.filter(({ status }) => status === 'protected').length, ids.size, 'no photo without its answer');
}

async function isAuthentic(photoId: string, image: Buffer): Promise<boolean> {
  const form = new FormData();
  form.set('image', new Blob([new Uint8Array(image)]), 'photo.jpg');
  form.set('photoId', photoId);
  const answered = await post(`${instance.url}/api/v1/photos/verify`, form, {});
  return (JSON.parse(answered?.image.toString('utf8') ?? '{}') as { authentic?: boolean }).authentic === true;
}

async function allPhotos(): Promise<{ photoId: string; status: string }[]> {
  const photos: { photoId: string; status: string }[] = [];
  let cursor: string | null | undefined;
  do {
    const response = await get(`/api/v1/photos?limit=200${cursor ? `&cursor=${encodeURIComponent(cursor)}` : ''}`);
    assert.equal(response.status, 200);
    const page = (await response.json()) as { data: typeof photos; pagination: { nextCursor?: string | null } };
    photos.push(...page.data);
    cursor = page.pagination.nextCursor;
  } while (cursor);
  return photos;
}

function get(path: string): Promise<Response> {
  return fetch(`${instance.url}${path}`, { headers: { authorization: `Bearer ${instance.firstRun.apiKey}` } });
}

function exportRequest(traceId: string): object {
  const startNs = BigInt(Date.now()) * 1_000_000n;
  const spans = Array.from({ length: SPANS_PER_REQUEST }, (_, i) => ({
    traceId,
    spanId: (i + 1).toString(16).padStart(16, '0'),
    parentSpanId: i === 0 ? '' : '0000000000000001',
    name: 'chat gpt-4o',
    kind: 3,
    startTimeUnixNano: String(startNs + BigInt(i)),
    endTimeUnixNano: String(startNs + 1_000_000n),
    attributes: [
      { key: 'gen_ai.operation.name', value: { stringValue: 'chat' } },
      { key: 'gen_ai.provider.name', value: { stringValue: 'openai' } },
      { key: 'gen_ai.request.model', value: { stringValue: 'gpt-4o' } },
      { key: 'gen_ai.usage.input_tokens', value: { intValue: '100' } },
      { key: 'gen_ai.usage.output_tokens', value: { intValue: '20' } },
    ],
  }));
  const resource = { attributes: [{ key: 'service.name', value: { stringValue: 'crash-test' } }] };
  return { resourceSpans: [{ resource, scopeSpans: [{ spans }] }] };
}
