// The frame: what is refused before a route is asked, what every answer carries, how it behaves on a real socket.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtemp, mkdir, rm, writeFile } from 'node:fs/promises';
import { request as httpRequest } from 'node:http';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { gzipSync } from 'node:zlib';
import { pino } from 'pino';
import { z } from 'zod';
import { openHouse } from '../test/house.ts';
import { json, route, type Route } from './route.ts';
import { createHttp } from './server.ts';

const because = 'a test asks without credentials';
const open = { policy: { kind: 'public', because }, limit: 'none', tag: 'test', summary: 'A test.' } as const;
const ANY = { 200: { description: 'Fine.' } };

const echo = route({
  ...open,
  method: 'POST',
  path: '/api/echo',
  body: z.object({ text: z.string(), list: z.array(z.unknown()).optional() }),
  maxBodyBytes: 2_000,
  answers: ANY,
  handle: ({ body }) => Promise.resolve(json(body)),
});
const query = route({
  ...open,
  method: 'GET',
  path: '/api/query/{id}',
  query: z.object({ limit: z.coerce.number().int().max(500).default(50), tag: z.string().optional() }),
  answers: ANY,
  handle: ({ query, params, source }) => Promise.resolve(json({ query, params, source })),
});
const broken = route({
  ...open,
  method: 'GET',
  path: '/api/broken',
  answers: ANY,
  handle: () => Promise.reject(new Error('select secret from /srv/app at line 3')),
});
const late = route({
  ...open,
  method: 'GET',
  path: '/api/late',
  answers: ANY,
  handle: async () => (await delay(200), json({ late: true })),
});
const lying = route({
  ...open,
  method: 'GET',
  path: '/api/lying',
  answers: { 200: { description: 'A number.', schema: z.object({ n: z.number() }) } },
  handle: () => Promise.resolve(json({ n: 1, more: 2 })),
});
const stream = route({
  ...open,
  method: 'POST',
  path: '/v1/stream',
  rawBody: { contentTypes: ['application/x-protobuf'], description: 'Bytes.' },
  maxBodyBytes: 100,
  answers: ANY,
  onProblem: (problem, _request, requestId) => json({ own: problem.code, requestId }, problem.status),
  async handle({ incoming }) {
    let bytes = 0;
    for await (const chunk of incoming) bytes += (chunk as Buffer).length;
    return json({ bytes });
  },
});
const write = route({
  method: 'POST',
  path: '/api/write',
  summary: 'A test.',
  tag: 'test',
  policy: { kind: 'authenticated' },
  limit: 'v1',
  answers: ANY,
  handle: () => Promise.resolve(json({ written: true })),
});
const conflict = route({
  ...open,
  method: 'GET',
  path: '/api/conflict',
  answers: ANY,
  handle: () => Promise.reject(Object.assign(new Error('Other body.'), { code: 'CONFLICT', status: 422 })),
});

const dashboardDir = await mkdtemp(join(tmpdir(), 'lumatrace-pages-'));
await mkdir(join(dashboardDir, 'assets'));
await writeFile(join(dashboardDir, 'index.html'), '<!doctype html><title>page</title>');
await writeFile(join(dashboardDir, 'assets', 'main-abc123.js'), 'plain');
await writeFile(join(dashboardDir, 'assets', 'main-abc123.js.gz'), gzipSync('plain'));
await writeFile(join(dashboardDir, 'assets', 'main-abc123.js.br'), 'brotli bytes');

const house = await openHouse({
  routes: () => [echo, query, broken, late, lying, stream, write, conflict],
  limits: { requestsPerHour: 3, personRequestsPerHour: 30 },
  http: { dashboardDir, bodyTimeoutMs: 300 },
});
after(async () => {
  await house.close();
  await rm(dashboardDir, { recursive: true, force: true });
});
const { ask, http, firstRun } = house;
const { port } = await http.listen({ host: '127.0.0.1', port: 0 });
const base = `http://127.0.0.1:${port}`;

interface ProblemBody {
  code: string;
  message: string;
  status: number;
  traceId: string;
}
const problemOf = async (response: Response): Promise<ProblemBody> => (await response.json()) as ProblemBody;
const post = (body: string, headers: Record<string, string> = {}): Promise<Response> =>
  ask('POST', '/api/echo', { body, headers });

const start = (declared: unknown[]): Promise<unknown> =>
  createHttp({ routes: declared as Route[], access: house.access, log: pino({ enabled: false }) });

test('routes that are declared wrongly stop the start with a sentence', async () => {
  const wrong: Array<[unknown[], RegExp]> = [
    [[{ ...echo, policy: undefined }], /POST \/api\/echo declares no policy/],
    [[{ ...echo, policy: { kind: 'everyone' } }], /declares no policy/],
    [[{ ...echo, policy: { kind: 'public', because: ' ' } }], /does not say why/],
    [[{ ...echo, policy: { kind: 'scope', scope: 'traces:all' } }], /the scope "traces:all", which does not exist/],
    [[{ ...echo, limit: undefined }], /declares no rate limit/],
    [[{ ...echo, path: 'api/echo' }], /does not begin with a slash/],
    [[echo, { ...echo }], /declared twice/],
    [[query, { ...query, path: '/api/query/{other}' }], /declared twice/],
  ];
  for (const [declared, sentence] of wrong) await assert.rejects(start(declared), sentence);
});

test('every answer carries a request id: the sane one of the client, else a new one', async () => {
  for (const path of ['/api/v1/health', '/api/nothing', '/api/broken', '/', '/api/keys']) {
    const mine = await ask('GET', path, { headers: { 'x-request-id': 'mine-1.2_3' } });
    assert.equal(mine.headers.get('x-request-id'), 'mine-1.2_3', path);
    for (const sent of ['', 'a b', 'x'.repeat(129), '<script>', '{"a":1}']) {
      const headers: Record<string, string> = sent === '' ? {} : { 'x-request-id': sent };
      const response = await ask('GET', path, { headers });
      assert.match(response.headers.get('x-request-id') ?? '', /^[0-9a-f-]{36}$/, path);
    }
  }
});

test('every answer carries the security headers; pages may load their own scripts, data nothing', async () => {
  for (const path of ['/api/v1/health', '/api/nothing', '/api/broken', '/', '/docs', '/openapi.json']) {
    const { headers } = await ask('GET', path);
    assert.equal(headers.get('x-content-type-options'), 'nosniff', path);
    assert.equal(headers.get('referrer-policy'), 'no-referrer');
    assert.match(headers.get('content-security-policy') ?? '', /frame-ancestors 'none'/);
    assert.equal(headers.get('strict-transport-security'), null);
    assert.equal(headers.get('access-control-allow-origin'), null);
  }
  const page = (await ask('GET', '/')).headers.get('content-security-policy') ?? '';
  assert.match(page, /script-src 'self'(;|$)/);
  assert.match(page, /require-trusted-types-for 'script'; trusted-types 'none'$/);
  assert.match(
    (await ask('GET', '/api/v1/health')).headers.get('content-security-policy') ?? '',
    /^default-src 'none';/,
  );
});

test('HSTS is sent where the public address is https', async () => {
  const tls = await createHttp({
    routes: [echo],
    access: house.access,
    log: pino({ enabled: false }),
    publicUrl: 'https://lumatrace.example',
  });
  const { headers } = await tls.fetch(new Request('https://lumatrace.example/api/nothing'));
  assert.match(headers.get('strict-transport-security') ?? '', /^max-age=63072000/);
});

test('an unknown route is a 404 problem, a wrong method 405 with Allow, OPTIONS and HEAD are sane', async () => {
  const unknown = await ask('GET', '/api/nothing');
  assert.equal(unknown.status, 404);
  assert.equal(unknown.headers.get('content-type'), 'application/problem+json');
  assert.equal((await problemOf(unknown)).code, 'NOT_FOUND');
  const wrong = await ask('DELETE', '/api/echo');
  assert.equal(wrong.status, 405);
  assert.equal(wrong.headers.get('allow'), 'POST, OPTIONS');
  assert.equal((await problemOf(wrong)).code, 'VALIDATION_FAILED');
  const options = await ask('OPTIONS', '/api/keys', {
    headers: { origin: 'https://attacker.example', 'access-control-request-method': 'POST' },
  });
  assert.equal(options.status, 204);
  assert.equal(options.headers.get('allow'), 'GET, HEAD, POST, OPTIONS');
  assert.equal(options.headers.get('access-control-allow-origin'), null);
  const head = await ask('HEAD', '/api/v1/health');
  assert.equal(head.status, 200);
  assert.equal(await head.text(), '');
});

test('an error that nobody meant tells nothing, and the log tells it once', async () => {
  const response = await ask('GET', '/api/broken', { headers: { 'x-request-id': 'broken-1' } });
  const text = await response.text();
  assert.equal(response.status, 500);
  assert.match(text, /INTERNAL_ENGINE_ERROR/);
  assert.doesNotMatch(text, /secret|srv|line 3|stack/);
  const told = house.log().match(/"requestId":"broken-1"[^\n]*select secret/g);
  assert.equal(told?.length, 1);
});

test("a room's own error keeps its status", async () => {
  const response = await ask('GET', '/api/conflict');
  assert.equal(response.status, 422);
  assert.equal((await problemOf(response)).code, 'CONFLICT');
});

test('an answer that differs from its declaration is found in tests', async () => {
  assert.equal((await ask('GET', '/api/lying')).status, 500);
  assert.match(house.log(), /members that its schema does not declare/);
});

test('a body must be JSON by name, in UTF-8 and without encoding', async () => {
  for (const headers of [
    { 'content-type': 'text/plain' },
    { 'content-type': 'application/x-www-form-urlencoded' },
    { 'content-type': 'application/jsonp' },
    { 'content-type': 'application/json; charset=latin1' },
    { 'content-type': 'application/json', 'content-encoding': 'gzip' },
  ] as Array<Record<string, string>>) {
    const response = await post('{"text":"x"}', headers);
    assert.equal(response.status, 415, JSON.stringify(headers));
    assert.equal((await problemOf(response)).code, 'UNSUPPORTED_MEDIA_TYPE');
  }
  assert.equal((await post('{"text":"x"}', { 'content-type': 'Application/JSON; charset=UTF-8' })).status, 200);
});

test('a body that is not the declared one is refused with the name of the field', async () => {
  const response = await post('{"text":1}');
  assert.equal(response.status, 400);
  assert.match((await problemOf(response)).message, /^"text" in the body: /);
  assert.match((await problemOf(await post('[]'))).message, /^The body: /);
  assert.match((await problemOf(await post(''))).message, /^Expected JSON/);
});

const asked = (path: string): Promise<Response> => ask('GET', path);

test('query and path are checked: bounds, repetition, NUL', async () => {
  assert.equal((await asked('/api/query/1?limit=500')).status, 200);
  const above = await asked('/api/query/1?limit=501');
  assert.equal(above.status, 400);
  assert.match((await problemOf(above)).message, /"limit" in the query/);
  assert.equal((await asked('/api/query/1?tag=a&tag=b')).status, 400);
  assert.equal((await asked('/api/query/1?tag=%00')).status, 400);
  assert.equal((await asked(`/api/query/1?tag=${'x'.repeat(9_000)}`)).status, 400);
  assert.equal((await asked('/api/query/%00')).status, 404);
  assert.equal((await asked('/api/query/1?__proto__=1&constructor=2')).status, 200);
});

test('limits: a tenant has so many requests an hour on /api/v1, told in every answer, then 429', async () => {
  const headers = { authorization: `Bearer ${firstRun.apiKey}` };
  for (let left = 2; left >= 0; left--) {
    const response = await ask('POST', '/api/write', { headers });
    assert.equal(response.status, 200);
    assert.equal(response.headers.get('x-ratelimit-limit'), '3');
    assert.equal(response.headers.get('x-ratelimit-remaining'), String(left));
    const reset = Number(response.headers.get('x-ratelimit-reset'));
    assert.ok(reset > 3_500 && reset <= 3_600);
  }
  for (let i = 0; i < 2; i++) {
    const refused = await ask('POST', '/api/write', { headers });
    assert.equal(refused.status, 429);
    assert.equal(refused.headers.get('x-ratelimit-remaining'), '0');
    assert.equal(refused.headers.get('retry-after'), refused.headers.get('x-ratelimit-reset'));
    assert.equal((await problemOf(refused)).code, 'RATE_LIMIT_EXCEEDED');
  }
});

test('writes with a session must come from our own pages', async () => {
  const { cookie = '' } = await house.adminSession();
  const written = async (headers: Record<string, string>): Promise<number> =>
    (await ask('POST', '/api/write', { headers: { cookie, host: 'localhost:3000', ...headers } })).status;
  assert.equal(await written({ 'sec-fetch-site': 'same-origin' }), 200);
  assert.equal(await written({ origin: 'http://localhost:3000' }), 200);
  assert.equal(await written({}), 200);
  for (const headers of [
    { 'sec-fetch-site': 'cross-site' },
    { 'sec-fetch-site': 'same-site' },
    { 'sec-fetch-site': 'none' },
    { 'sec-fetch-site': 'cross-site', origin: 'http://localhost:3000' },
    { origin: 'https://attacker.example' },
    { origin: 'http://localhost:3001' },
    { origin: 'http://localhost:3000.attacker.example' },
    { origin: 'null' },
  ] as Array<Record<string, string>>) {
    assert.equal(await written(headers), 403, JSON.stringify(headers));
  }
  const login = await ask('POST', '/auth/login', {
    headers: { 'sec-fetch-site': 'cross-site' },
    body: { email: firstRun.admin.email, password: 'x' },
  });
  assert.equal(login.status, 403);
  assert.equal((await ask('GET', '/auth/me', { headers: { cookie, 'sec-fetch-site': 'cross-site' } })).status, 200);
});

test('pages: hashed assets for ever and compressed, the page for client routes, problems below the API', async () => {
  const page = await ask('GET', '/traces/0af7651916cd43dd8448eb211c80319c');
  assert.equal(page.status, 200);
  assert.match(await page.text(), /<title>page/);
  assert.equal(page.headers.get('cache-control'), 'no-cache');
  const again = await ask('GET', '/', { headers: { 'if-none-match': page.headers.get('etag') ?? '' } });
  assert.equal(again.status, 304);
  const plain = await ask('GET', '/assets/main-abc123.js');
  assert.equal(await plain.text(), 'plain');
  assert.match(plain.headers.get('cache-control') ?? '', /immutable/);
  assert.match(plain.headers.get('content-type') ?? '', /^text\/javascript/);
  for (const [accept, encoding] of [
    ['gzip, deflate, br', 'br'],
    ['gzip', 'gzip'],
    ['br;q=0, gzip', 'gzip'],
    ['identity', null],
  ] as const) {
    const response = await ask('GET', '/assets/main-abc123.js', { headers: { 'accept-encoding': accept } });
    assert.equal(response.headers.get('content-encoding'), encoding, accept);
    assert.equal(response.headers.get('vary'), 'accept-encoding');
  }
  for (const path of ['/assets/missing.js', '/..%2f..%2fetc%2fpasswd.txt', '/api/x', '/auth/x', '/health', '/v1/x']) {
    assert.equal((await ask('GET', path)).status, 404, path);
  }
});

test('metrics are given to this machine only, and not through a proxy on it', async () => {
  assert.equal((await ask('GET', '/metrics')).status, 401);
  const local = await fetch(`${base}/metrics`);
  const text = await local.text();
  assert.equal(local.status, 200);
  assert.match(text, /^# TYPE lumatrace_http_requests_total counter$/m);
  assert.match(text, /^lumatrace_http_requests_total\{method="GET",route="\/api\/broken",status="500"\} \d+$/m);
  assert.match(text, /^lumatrace_http_request_duration_seconds_bucket\{method="GET",route="other",le="\+Inf"\} \d+$/m);
  assert.equal((await fetch(`${base}/metrics`, { headers: { 'x-forwarded-for': '203.0.113.9' } })).status, 401);
});

test('health says what does not answer', async () => {
  const ready = await ask('GET', '/health/ready');
  assert.deepEqual(await ready.json(), { status: 'UP', checks: { database: 'UP' } });
  const { ping } = house.db.database;
  Object.assign(house.db.database, { ping: () => Promise.reject(new Error('gone')) });
  const down = await ask('GET', '/health/ready');
  Object.assign(house.db.database, { ping });
  assert.equal(down.status, 503);
  assert.deepEqual(await down.json(), { status: 'DOWN', checks: { database: 'DOWN' } });
});

/** Sends text as it is over a socket and reads until the server ends or a time has passed. */
async function raw(text: string, waitMs = 1_000): Promise<string> {
  const socket = connect(port, '127.0.0.1');
  let answer = '';
  socket.on('data', (chunk) => (answer += chunk.toString()));
  socket.on('error', () => {});
  await once(socket, 'connect');
  socket.write(text);
  await Promise.race([once(socket, 'close'), delay(waitMs)]);
  socket.destroy();
  return answer;
}

const askedAs = (host: string, target = '/api/v1/health'): Promise<string> =>
  raw(`GET ${target} HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`);

test('over loopback only loopback names and our own are answered', async () => {
  for (const host of ['localhost', `localhost:${port}`, '127.0.0.1', 'LOCALHOST:1', '[::1]:3000']) {
    assert.match(await askedAs(host), /^HTTP\/1\.1 200 /, host);
  }
  for (const host of ['attacker.example', 'localhost.attacker.example', '127.0.0.1.nip.io', '10.0.0.1']) {
    assert.match(await askedAs(host), /^HTTP\/1\.1 403 /, host);
  }
  assert.match(await askedAs('localhost', 'http://attacker.example/api/v1/health'), /^HTTP\/1\.1 403 /);
  assert.match(await askedAs('attacker.example', 'http://localhost/api/v1/health'), /^HTTP\/1\.1 403 /);
  for (const host of ['a b', 'x\\y', '@', 'user@localhost']) {
    assert.match(await askedAs(host), /^HTTP\/1\.1 4\d\d /, host);
  }
});

test('what is not HTTP gets a problem and the end of the connection', async () => {
  for (const text of [
    'nonsense\r\n\r\n',
    'GET / HTTP/9.9\r\n\r\n',
    `GET / HTTP/1.1\r\nHost: localhost\r\n x\r\n\r\n`,
  ]) {
    const answer = await raw(text);
    assert.match(answer, /^HTTP\/1\.1 400 /, text);
    assert.match(answer, /x-request-id: /);
    assert.match(answer, /VALIDATION_FAILED/);
  }
  const flood = await raw(`GET / HTTP/1.1\r\nHost: localhost\r\nX: ${'x'.repeat(20_000)}\r\n\r\n`);
  assert.match(flood, /^HTTP\/1\.1 431 /);
  const smuggled =
    'POST /api/echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n';
  assert.match(await raw(`${smuggled}0\r\n\r\n`), /^HTTP\/1\.1 400 /);
});

test('a body that does not come is answered with 408', async () => {
  const head = 'POST /api/echo HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n';
  const answer = await raw(`${head}Content-Length: 100\r\n\r\n{"te`, 2_000);
  assert.match(answer, /^HTTP\/1\.1 408 /);
  assert.match(answer, /VALIDATION_FAILED/);
});

test('a body that is too long is refused by its length before it comes, and by counting when it has none', async () => {
  const head = 'POST /api/echo HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n';
  assert.match(await raw(`${head}Content-Length: 2001\r\n\r\n`), /^HTTP\/1\.1 413 /);
  const chunk = 'x'.repeat(1_000);
  const chunked = `${head}Transfer-Encoding: chunked\r\n\r\n${`3e8\r\n${chunk}\r\n`.repeat(3)}0\r\n\r\n`;
  assert.match(await raw(chunked), /^HTTP\/1\.1 413 /);
  const fits = await post(JSON.stringify({ text: 'x'.repeat(1_900) }));
  assert.equal(fits.status, 200);
});

const send = (bytes: number, type = 'application/x-protobuf'): Promise<Response> =>
  fetch(`${base}/v1/stream`, { method: 'POST', body: Buffer.alloc(bytes), headers: { 'content-type': type } });

test('a route that reads its own bytes gets the stream, and answers the refusals of the frame in its own words', async () => {
  assert.deepEqual(await (await send(100)).json(), { bytes: 100 });
  const long = await send(101);
  assert.equal(long.status, 413);
  assert.equal(((await long.json()) as { own: string }).own, 'PAYLOAD_TOO_LARGE');
  assert.equal((await send(1, 'text/plain')).status, 415);
});

test('the source is the peer, and the forwarded address only behind a proxy that is trusted', async () => {
  const forwarded = { 'x-forwarded-for': '198.51.100.7, 203.0.113.9' };
  const sourceAt = async (address: string): Promise<string> =>
    ((await (await fetch(`${address}/api/query/1`, { headers: forwarded })).json()) as { source: string }).source;
  assert.equal(await sourceAt(base), '127.0.0.1');
  const behind = await createHttp({
    routes: [query],
    access: house.access,
    log: pino({ enabled: false }),
    trustedProxies: ['127.0.0.0/8', '203.0.113.9'],
  });
  const proxied = await behind.listen({ host: '127.0.0.1', port: 0 });
  assert.equal(await sourceAt(`http://127.0.0.1:${proxied.port}`), '198.51.100.7');
  await behind.stop();
});

test('stopping lets running requests finish and refuses new ones; a taken port is an error', async () => {
  const other = await createHttp({ routes: [late], access: house.access, log: pino({ enabled: false }) });
  const first = await other.listen({ host: '127.0.0.1', port: 0 });
  await assert.rejects(other.listen({ host: '127.0.0.1', port: first.port }), { code: 'EADDRINUSE' });
  const running = fetch(`http://127.0.0.1:${first.port}/api/late`);
  await delay(50);
  const stopped = other.stop();
  assert.deepEqual(await (await running).json(), { late: true });
  await stopped;
  await assert.rejects(fetch(`http://127.0.0.1:${first.port}/api/late`));
});

test('a client that goes away does not disturb the others', async () => {
  for (let i = 0; i < 20; i++) {
    const request = httpRequest(`${base}/api/late`);
    request.on('error', () => {});
    request.end();
    setTimeout(() => request.destroy(), 20);
  }
  await delay(300);
  assert.equal((await fetch(`${base}/api/v1/health`)).status, 200);
});

function named(path: string): Route {
  return route({ ...open, method: 'GET', path, answers: ANY, handle: () => Promise.resolve(json({ path })) });
}

test('a name goes before a parameter in the same place, in whatever order the routes were declared', async () => {
  const paths = ['/api/things/{thingId}', '/api/things/names', '/api/{kind}/names/all', '/api/things/{thingId}/all'];
  for (const declared of [paths, paths.toReversed()]) {
    const routes = declared.map(named);
    const own = await createHttp({ routes, access: house.access, log: pino({ enabled: false }) });
    const asked = async (path: string): Promise<unknown> =>
      (await own.fetch(new Request(`http://localhost${path}`))).json();
    assert.deepEqual(await asked('/api/things/names'), { path: '/api/things/names' });
    assert.deepEqual(await asked('/api/things/7'), { path: '/api/things/{thingId}' });
    assert.deepEqual(await asked('/api/things/names/all'), { path: '/api/things/{thingId}/all' });
    assert.deepEqual(await asked('/api/others/names/all'), { path: '/api/{kind}/names/all' });
  }
});
