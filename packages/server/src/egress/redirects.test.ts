// Redirects where a caller allows them: every hop is judged as if it were asked for, over real sockets and real DNS.
import assert from 'node:assert/strict';
import { createServer, type IncomingMessage, type RequestListener, type Server } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { generatedFiles } from '../tls/tls.ts';
import { createEgress, type EgressError, type EgressRequest } from './egress.ts';
import { startNameServer, type NameServer } from './name-server.fixture.ts';

let folder: string;
let names: NameServer;
let ca: string;
const servers: Server[] = [];
const ports = { first: 0, second: 0, tls: 0 };
const heard: IncomingMessage[] = [];

const answer: RequestListener = (request, response) => {
  heard.push(request);
  const { pathname, searchParams } = new URL(request.url ?? '/', 'http://any');
  const to = searchParams.get('to');
  const status = Number(searchParams.get('status') ?? 302);
  const left = Number(searchParams.get('left') ?? 0);
  if (pathname === '/slow') setTimeout(() => response.writeHead(302, { location: '/slow' }).end(), 150).unref();
  else if (left > 0) response.writeHead(302, { location: `/?left=${left - 1}` }).end();
  else if (to === null) response.end(`${request.method} ${request.headers.host}`);
  else response.writeHead(status, { location: to }).end('<a href="secret">');
};

async function listening(server: Server): Promise<number> {
  servers.push(server);
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  return (server.address() as { port: number }).port;
}

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'lumatrace-redirects-'));
  names = await startNameServer();
  const files = await generatedFiles(folder, ['localhost', 'first.example']);
  ca = await readFile(files.certFile.replace('cert.pem', 'ca.pem'), 'utf8');
  const pair = { cert: await readFile(files.certFile), key: await readFile(files.keyFile) };
  ports.first = await listening(createServer(answer));
  ports.second = await listening(createServer(answer));
  ports.tls = await listening(createTlsServer(pair, answer));
});
after(async () => {
  for (const server of servers) server.close();
  names?.close();
  if (folder !== undefined) await rm(folder, { recursive: true, force: true });
});

const first = (query: string): string => `http://first.example:${ports.first}/${query}`;

/** Asks with every name of this file on loopback; `first.example` alone is allowed unless more is. @returns body or code */
function ask(url: string, options: Partial<EgressRequest> & { allow?: readonly string[] } = {}): Promise<string> {
  const { allow = [], ...request } = options;
  heard.length = 0;
  const egress = createEgress({ allow: [`first.example:${ports.first}`, ...allow], resolve: names.resolve });
  return egress({ url, maxRedirects: 3, isPlainAllowed: true, timeoutMs: 5_000, ...request }).then(
    ({ body }) => body.toString(),
    (error: EgressError) => `${error.code} ${error.message}`,
  );
}

const elsewhere = (host: string, port: number): string => first(`?to=${encodeURIComponent(`http://${host}:${port}/`)}`);

test('a redirect is followed as often as the caller says and no further', async () => {
  assert.equal(await ask(first('?left=3')), `GET first.example:${ports.first}`);
  assert.equal(heard.length, 4);
  assert.match(await ask(first('?left=4')), /^EGRESS_REDIRECTED/);
  assert.equal(heard.length, 4);
  assert.match(await ask(first('?left=1'), { maxRedirects: 0 }), /^EGRESS_REDIRECTED/);
});

const INSIDE = [
  'http://127.0.0.1:PORT/',
  'http://0x7f.1:PORT/',
  'http://[::ffff:127.0.0.1]:PORT/',
  'http://localhost:PORT/',
  'http://second.example:PORT/',
  '//second.example:PORT/',
  'http://169.254.169.254/latest/meta-data/',
  'http://user:password@first.example:PORT/',
  'file:///etc/passwd',
  'ftp://first.example/',
];
for (const to of INSIDE)
  test(`a redirect to ${to} is forbidden, and nobody there is asked`, async () => {
    const url = first(`?to=${encodeURIComponent(to.replace('PORT', String(ports.second)))}`);
    assert.match(await ask(url), /^EGRESS_FORBIDDEN/);
    assert.equal(heard.length, 1);
  });

test('the name is asked again at every hop, and what it says then counts', async () => {
  const before = names.queries();
  assert.equal(await ask(first('?left=2')), `GET first.example:${ports.first}`);
  assert.equal(names.queries(), before + 3);
  // said to be outside until the second hop connects
  names.next('127.0.0.1', '93.184.216.34');
  assert.doesNotMatch(await ask(elsewhere('rebound.example', ports.second), { timeoutMs: 400 }), /FORBIDDEN|second/);
  names.next('127.0.0.1', '127.0.0.1');
  assert.match(await ask(elsewhere('rebound.example', ports.second)), /^EGRESS_FORBIDDEN/);
  assert.equal(heard.length, 1);
});

test('another origin gets no credentials, the same one does', async () => {
  const headers = {
    Authorization: 'Bearer secret',
    cookie: 'a=secret',
    'X-Vault-Token': 'secret',
    accept: 'text/html',
  };
  const allow = [`second.example:${ports.second}`];
  assert.match(await ask(elsewhere('second.example', ports.second), { headers, allow }), /second/);
  const [before, after] = heard.map(({ headers: sent }): object => sent);
  assert.equal((before as typeof headers & { authorization: string }).authorization, 'Bearer secret');
  assert.deepEqual(after, {
    accept: 'text/html',
    host: `second.example:${ports.second}`,
    connection: 'close',
  });
  await ask(first('?left=1'), { headers });
  assert.equal(heard[1]?.headers['x-vault-token'], 'secret');
});

test('https leads to https, and to http never, allowed or not', async () => {
  const at = `https://first.example:${ports.tls}/`;
  const allow = [`first.example:${ports.tls}`, `second.example:${ports.second}`];
  assert.equal(await ask(`${at}?left=1`, { ca, allow }), `GET first.example:${ports.tls}`);
  const down = `${at}?to=${encodeURIComponent(`http://second.example:${ports.second}/`)}`;
  assert.match(await ask(down, { ca, allow }), /^EGRESS_FORBIDDEN .*https to http/);
  assert.equal(heard.length, 1);
});

test('a request with a body is never sent on, and all hops share one time', async () => {
  for (const status of [301, 302, 303, 307, 308])
    assert.match(await ask(first(`?to=/&status=${status}`), { method: 'POST', body: 'secret' }), /^EGRESS_REDIRECTED/);
  assert.match(await ask(first('slow'), { maxRedirects: 20, timeoutMs: 500 }), /^EGRESS_TIMEOUT/);
});

test('a redirect without a place, or with one that cannot be read, is told without what came', async () => {
  for (const query of ['?status=300&to=/', '?status=304&to=/', '?to=http%3A%2F%2F%5B'])
    assert.match(await ask(first(query)), /^EGRESS_REDIRECTED The answer leads elsewhere/);
});
