// Every kind of key is rotated by the command while two servers answer clients of every kind: nothing is refused, before, while
// and after the new versions come into use.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { hash, randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import sharp from 'sharp';
import { otlpJson } from '../ingest/fixtures/room.ts';
import { SETTLED_MS } from '../keys/installation-keys.ts';
import { startTwoServers, type TwoServers } from './two-servers.ts';

const MAIN = fileURLToPath(new URL('../main.ts', import.meta.url));
const PHOTO = new URL('../../../../fixtures/photos/sunset.jpg', import.meta.url);
const KINDS = [
  'api-key-pepper',
  'session',
  'cursor',
  'people',
  'watermark-sync',
  'tenant-data',
  'token',
  'kek',
] as const;
/** Long enough for a version to be read by both and to be used for a while. */
const AFTERWARDS_MS = SETTLED_MS + 15_000;
type Headers = Record<string, string>;

let servers: TwoServers;
before(async () => void (servers = await startTwoServers()));
after(() => servers?.stop());

let turn = 0;
/** Now one server answers, now the other. */
const urlOf = (path: string): string => `${(turn++ % 2 === 0 ? servers.a : servers.b).url}${path}`;

async function asked(path: string, init: RequestInit & { headers?: Headers } = {}): Promise<Response> {
  const response = await fetch(urlOf(path), init);
  if (!response.ok) assert.fail(`${init.method ?? 'GET'} ${path}: ${response.status} ${await response.text()}`);
  return response;
}
const posted = (path: string, body: object, headers: Headers = {}): Promise<Response> =>
  asked(path, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: JSON.stringify(body),
  });
const bearer = (secret: string): Headers => ({ authorization: `Bearer ${secret}` });

const image = (bytes: Uint8Array<ArrayBuffer>): FormData => {
  const form = new FormData();
  form.set('image', new Blob([bytes]), 'photo.jpg');
  return form;
};

async function rotate(kind: string): Promise<string> {
  const child = spawn(process.execPath, [MAIN, 'keys', 'rotate', kind, '--data', servers.a.dataDir], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, ...servers.env },
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (text) => (output += text));
  const code = await new Promise<number>((resolve) => child.once('close', resolve));
  assert.equal(code, 0, output);
  return output;
}

test('rotating every key under load loses no request', { timeout: 300_000 }, async (t) => {
  const { firstRun, ports } = servers.a;
  const key = bearer(firstRun.apiKey);
  const over = new AbortController();
  const counts: Record<string, number> = {};
  const looping = async (name: string, everyMs: number, work: () => Promise<void>): Promise<void> => {
    while (!over.signal.aborted) {
      await work();
      counts[name] = (counts[name] ?? 0) + 1;
      await sleep(everyMs);
    }
  };

  const login = async (): Promise<Headers> => {
    const { email, password } = firstRun.admin;
    const answer = await posted('/auth/login', { email, password });
    return { cookie: (answer.headers.getSetCookie()[0] ?? '').split(';')[0] ?? '' };
  };
  const old = await login();
  const token = async (): Promise<string> =>
    ((await (await posted('/api/v1/auth/login', firstRun.serviceAccount)).json()) as { token: string }).token;
  let held = await token();
  const jpeg = await sharp(await readFile(PHOTO))
    .resize(512)
    .jpeg()
    .toBuffer();
  const photos: Array<{ photoId: string; bytes: Uint8Array<ArrayBuffer> }> = [];

  let cursor: string | null = null;
  const working = Promise.all([
    looping('key', 60, async () => void (await asked('/api/settings', { headers: key }))),
    looping('session that was open', 120, async () => void (await asked('/auth/me', { headers: old }))),
    looping('login', 3_000, async () => void (await asked('/auth/me', { headers: await login() }))),
    looping('token', 60, async () => void (await asked('/api/settings', { headers: bearer(held) }))),
    looping('new token', 4_000, async () => void (held = await token())),
    looping('new key', 3_000, async () => {
      const body = { name: 'new', scopes: ['traces:read'] };
      const { keyId, apiKey } = (await (await posted('/api/keys', body, key)).json()) as {
        keyId: string;
        apiKey: string;
      };
      await asked('/api/settings', { headers: bearer(apiKey) });
      await asked('/api/settings', { headers: bearer(apiKey) });
      await asked(`/api/keys/${keyId}`, { method: 'DELETE', headers: key });
    }),
    looping('spans', 100, async () => {
      const nowNs = BigInt(Date.now()) * 1_000_000n;
      const traceId = randomBytes(16).toString('hex');
      const attributes = { 'gen_ai.operation.name': 'chat', 'gen_ai.prompt': `prompt ${traceId}` };
      const span = { traceId, spanId: 'b7ad6b7169203331', startNs: nowNs - 1_000n, endNs: nowNs, attributes };
      const answer = await fetch(`http://localhost:${ports.otlp}/v1/traces`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', ...key },
        body: otlpJson([span], { 'service.name': 'a' }),
      });
      assert.equal(answer.status, 200, await answer.text());
      const shown = (await (await asked(`/api/traces/${traceId}`, { headers: key })).json()) as { prompt: string };
      assert.equal(shown.prompt, `prompt ${traceId}`);
    }),
    // one list, page by page, for as long as the test runs
    looping('page', 250, async () => {
      const after = cursor === null ? '' : `&cursor=${encodeURIComponent(cursor)}`;
      const page = await asked(`/api/traces?limit=1${after}`, { headers: key });
      cursor = ((await page.json()) as { pagination: { nextCursor: string | null } }).pagination.nextCursor;
    }),
    looping('photo', 4_000, async () => {
      const form = image(new Uint8Array(jpeg));
      form.set('request', JSON.stringify({ contentHash: hash('sha256', jpeg), deviceModel: 'camera' }));
      const made = await asked('/api/v1/photos/protect', { method: 'POST', headers: key, body: form });
      const photoId = made.headers.get('x-photo-id') ?? '';
      photos.push({ photoId, bytes: new Uint8Array(await made.arrayBuffer()) });
      for (const photo of [photos[0], photos.at(-1)]) {
        const asking = image(photo?.bytes ?? new Uint8Array());
        asking.set('photoId', photo?.photoId ?? '');
        const verdict = await asked('/api/v1/photos/verify', { method: 'POST', headers: key, body: asking });
        const { authentic } = (await verdict.json()) as { authentic: boolean };
        assert.equal(authentic, true);
      }
    }),
  ]);
  const rotating = async (): Promise<void> => {
    await sleep(5_000);
    for (const kind of KINDS) await rotate(kind);
    await sleep(AFTERWARDS_MS);
  };
  try {
    await Promise.race([working, rotating()]);
  } finally {
    over.abort();
    await working;
  }
  const asks = Object.values(counts).reduce((sum, count) => sum + count, 0);
  t.diagnostic(JSON.stringify({ rotated: KINDS.length, rounds: asks, ...counts, failed: 0 }));
  assert.ok(asks > 500, JSON.stringify(counts));
});
