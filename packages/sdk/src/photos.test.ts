// Calls about photos against a server that answers as it is told: what is sent, what is repeated, what is thrown.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Readable } from 'node:stream';
import { after, before, beforeEach, test } from 'node:test';
import { MAX_IMAGE_BYTES, type ImageInput } from './photo-body.ts';
import { Photos } from './photos.ts';
import { initLumina } from './runtime.ts';

interface Asked {
  method: string;
  path: string;
  headers: IncomingMessage['headers'];
  body: Buffer;
}
type Reply = { status: number; headers?: Record<string, string>; body?: string | Uint8Array } | 'cut' | 'silence';

const asked: Asked[] = [];
const replies: Reply[] = [];
const server = createServer((request, response) => void take(request, response));
let photos: Photos;
let url: string;

async function take(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const chunks: Buffer[] = [];
  for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk);
  const { method = '', url: path = '', headers } = request;
  asked.push({ method, path, headers, body: Buffer.concat(chunks) });
  const reply = replies.shift() ?? { status: 200 };
  if (reply === 'silence') return;
  if (reply === 'cut') return void request.socket.destroy();
  response.writeHead(reply.status, reply.headers).end(reply.body ?? '{}');
}

before(async () => {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  photos = new Photos({ endpoint: url, api_key: 'k'.repeat(20), timeout_ms: 300, max_wait_ms: 3_000 });
});
after(() => {
  server.closeAllConnections();
  server.close();
});
beforeEach(() => {
  asked.length = 0;
  replies.length = 0;
});

const IMAGE = Buffer.from('not really a picture, but bytes with \r\n--lumatrace- in them');
const SHA256 = createHash('sha256').update(IMAGE).digest('hex');
const PROTECTED: Reply = { status: 200, headers: { 'x-photo-id': 'p', 'content-type': 'image/jpeg' }, body: 'picture' };

/** The parts of the last form, as a server reads them. */
async function formOf({ body, headers }: Asked): Promise<{ image: Buffer; request: Record<string, unknown> }> {
  const form = await new Response(new Uint8Array(body), {
    headers: { 'content-type': headers['content-type'] ?? '' },
  }).formData();
  const image = Buffer.from(await (form.get('image') as Blob).arrayBuffer());
  return { image, request: JSON.parse(String(form.get('request') ?? '{}')) as Record<string, unknown> };
}

const last = (): Asked => asked.at(-1) as Asked;

const INPUTS: [string, () => ImageInput][] = [
  ['bytes', () => IMAGE],
  ['an ArrayBuffer', () => new Uint8Array(IMAGE).buffer],
  ['a Blob', () => new Blob([new Uint8Array(IMAGE)])],
  ['a stream of Node', () => Readable.from([IMAGE.subarray(0, 9), IMAGE.subarray(9)])],
  ['a stream of the web', () => new Blob([new Uint8Array(IMAGE)]).stream()],
];
for (const [what, image] of INPUTS) {
  test(`protect takes ${what}, and sends the same bytes with their hash`, async () => {
    replies.push(PROTECTED);
    const made = await photos.protect(image(), { title: 'A title', aiCreatedAt: new Date(0) });
    const form = await formOf(last());
    assert.deepEqual(form.image, IMAGE);
    assert.deepEqual(form.request, {
      contentHash: SHA256,
      deviceModel: '@lumatrace/sdk',
      title: 'A title',
      aiCreatedAt: '1970-01-01T00:00:00.000Z',
    });
    assert.equal(last().headers.authorization, `Bearer ${'k'.repeat(20)}`);
    assert.deepEqual([made.photoId, made.mediaType, made.contentHash], ['p', 'image/jpeg', SHA256]);
    assert.equal(Buffer.from(made.image).toString(), 'picture');
  });
}

test('the receipt of the log comes with the picture; one that cannot be read does not lose it', async () => {
  const receipt = { type: 'org.lumatrace.log-receipt.v1', origin: 'o', leafHash: '00', entry: '{}' };
  const header = Buffer.from(JSON.stringify(receipt)).toString('base64url');
  for (const [text, expected] of [
    [header, receipt],
    ['no receipt', null],
  ] as const) {
    const headers = { 'x-photo-id': 'p', 'content-type': 'image/jpeg', 'lumatrace-log-receipt': text };
    replies.push({ status: 200, headers, body: 'picture' });
    assert.deepEqual((await photos.protect(IMAGE)).logReceipt, expected);
  }
  replies.push({ status: 200, body: JSON.stringify({ data: [receipt], log: {} }) });
  assert.deepEqual((await photos.logProof('a/b')).data, [receipt]);
  assert.equal(last().path, '/api/v1/photos/a%2Fb/log-proof');
});

test('a busy server is asked again as late as it wants, a cut line at once, always under one Idempotency-Key', async () => {
  replies.push({ status: 429, headers: { 'retry-after': '1' } }, 'cut', { status: 503 }, PROTECTED);
  const startMs = performance.now();
  await photos.protect(IMAGE);
  assert.ok(performance.now() - startMs >= 1_000);
  const keys = new Set(asked.map(({ headers }) => headers['idempotency-key']));
  assert.deepEqual([asked.length, keys.size], [4, 1]);
  assert.match([...keys][0] as string, /^[0-9a-f-]{36}$/);
  replies.push(PROTECTED);
  await photos.protect(IMAGE);
  assert.ok(!keys.has(last().headers['idempotency-key'] as string), 'another call is another photo');
});

test('attempts and waits are bounded, and the last refusal is thrown', async () => {
  const busy: Reply = { status: 503, headers: { 'retry-after': '0' } };
  replies.push(busy, busy, busy, busy, PROTECTED);
  await assert.rejects(photos.protect(IMAGE), { code: 'UNAVAILABLE', status: 503 });
  assert.equal(asked.length, 4);
  replies.length = 0;
  replies.push({ status: 429, headers: { 'retry-after': '3600' } });
  await assert.rejects(photos.protect(IMAGE), { code: 'RATE_LIMIT_EXCEEDED', retryAfterMs: 3_600_000 });
  assert.equal(asked.length, 5);
});

test('a refusal is thrown once with code, words, action and request id of the server', async () => {
  const problem = { code: 'VALIDATION_FAILED', message: 'aiSystem: Expected it.', action: 'Send it.' };
  replies.push({ status: 400, headers: { 'x-request-id': 'r-1' }, body: JSON.stringify(problem) });
  await assert.rejects(photos.protect(IMAGE), { ...problem, status: 400, requestId: 'r-1', name: 'PhotoError' });
  replies.push({ status: 409, body: JSON.stringify({ code: 'CONFLICT', message: 'm' }) });
  await assert.rejects(photos.publish('p'), { code: 'CONFLICT' });
  assert.equal(asked.length, 2);
});

test('a proxy’s page and an answer that is no image are told as such', async () => {
  replies.push({ status: 418, body: '<html>' });
  await assert.rejects(photos.get('p'), { code: 'BAD_ANSWER', status: 418 });
  replies.push({ status: 200, body: '<html>' });
  await assert.rejects(photos.get('p'), { code: 'BAD_ANSWER' });
  replies.push({ status: 200, headers: { 'content-type': 'text/html' }, body: '<html>' });
  await assert.rejects(photos.protect(IMAGE), { code: 'BAD_ANSWER' });
});

test('silence ends after the timeout of each attempt, an abort at once', async () => {
  const two = new Photos({ endpoint: url, api_key: 'k', timeout_ms: 100, max_attempts: 2 });
  replies.push('silence', 'silence');
  await assert.rejects(two.get('p'), { code: 'NO_ANSWER' });
  assert.equal(asked.length, 2);
  const gone = new AbortController();
  replies.push('silence');
  setTimeout(() => gone.abort(), 20);
  await assert.rejects(photos.get('p', { signal: gone.signal }), { code: 'ABORTED' });
  await assert.rejects(photos.get('p', { signal: gone.signal }), { code: 'ABORTED' });
  assert.equal(asked.length, 3);
});

test('a key that is refused is asked for again, once, and never told', async () => {
  const keys = ['first-secret', 'second-secret', 'third-secret'];
  const renewing = new Photos({ endpoint: url, api_key: () => keys.shift() ?? 'none' });
  replies.push({ status: 401 }, { status: 200, body: '{"photoId":"p"}' });
  assert.equal((await renewing.get('p')).photoId, 'p');
  assert.deepEqual(
    asked.map(({ headers }) => headers.authorization),
    ['Bearer first-secret', 'Bearer second-secret'],
  );
  replies.push({ status: 401 }, { status: 401 }, { status: 401 });
  await assert.rejects(renewing.get('p'), (error: Error) => {
    assert.ok(!JSON.stringify([error.message, error.stack, error]).includes('secret'));
    return 'code' in error && error.code === 'AUTH_INVALID';
  });
  assert.equal(asked.length, 4);
});

test('what is too large is not sent, a stream not read to its end', async () => {
  let taken = 0;
  async function* endless(): AsyncGenerator<Uint8Array> {
    for (;;) {
      taken += 1_048_576;
      yield new Uint8Array(1_048_576);
    }
  }
  await assert.rejects(photos.protect(endless()), { code: 'PAYLOAD_TOO_LARGE' });
  assert.ok(taken <= MAX_IMAGE_BYTES + 1_048_576);
  await assert.rejects(photos.verify(new Uint8Array(MAX_IMAGE_BYTES + 1), 'p'), { code: 'PAYLOAD_TOO_LARGE' });
  await assert.rejects(photos.identify(new Uint8Array(0)), { code: 'VALIDATION_FAILED' });
  await assert.rejects(photos.identify('a path' as unknown as Uint8Array), TypeError);
  assert.equal(asked.length, 0);
});

test('every verb has its route; ids and queries are encoded', async () => {
  const page = { data: [{ photoId: 'a' }], pagination: { nextCursor: 'c&d', hasMore: true, limit: 1 } };
  const end = { data: [{ photoId: 'b' }], pagination: { nextCursor: null, hasMore: false, limit: 1 } };
  replies.push({ status: 200, body: JSON.stringify(page) }, { status: 200, body: JSON.stringify(end) });
  const ids: string[] = [];
  for await (const { photoId } of photos.all({ limit: 1, traceId: 't' })) ids.push(photoId);
  assert.deepEqual(ids, ['a', 'b']);
  await photos.withdraw('../x');
  await photos.publish('p');
  await photos.verify(IMAGE, 'p');
  await photos.identify(IMAGE);
  await photos.register(IMAGE, { latitude: 1, idempotencyKey: 'mine' });
  const registered = JSON.parse(last().body.toString()) as object;
  assert.deepEqual(registered, { contentHash: SHA256, deviceModel: '@lumatrace/sdk', latitude: 1 });
  assert.equal(last().headers['idempotency-key'], 'mine');
  assert.deepEqual(
    asked.map(({ method, path }) => `${method} ${path}`),
    [
      'GET /api/v1/photos?limit=1&traceId=t',
      'GET /api/v1/photos?limit=1&cursor=c%26d&traceId=t',
      'DELETE /api/v1/photos/..%2Fx/publication',
      'PUT /api/v1/photos/p/publication',
      'POST /api/v1/photos/verify',
      'POST /api/v1/photos/identify',
      'POST /api/v1/photos/register',
    ],
  );
});

test('an endpoint that is none is wrong use, and so are limits without an end', async () => {
  for (const options of [{ timeout_ms: 0 }, { timeout_ms: Number.NaN }, { max_attempts: 1e9 }, { max_wait_ms: -1 }])
    assert.throws(() => new Photos(options), TypeError);
  await assert.rejects(new Photos({ endpoint: 'ftp://x' }).get('p'), TypeError);
  initLumina({ endpoint: 'ftp://x', on_warning: () => undefined });
  await assert.rejects(new Photos().get('p'), TypeError);
});

test('photos use the address and key of initLumina, also when it records nothing', async () => {
  initLumina({ endpoint: url, api_key: 'of-the-program', enabled: false });
  await new Photos().get('p');
  assert.equal(last().headers.authorization, 'Bearer of-the-program');
});
