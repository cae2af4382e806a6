// TLS of the listeners: which versions, whose certificate, and a renewal without a restart; with the real program.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { cp, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { get, request } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { connect, type SecureVersion, type TLSSocket } from 'node:tls';
import { fileURLToPath } from 'node:url';
import { credentials, Metadata } from '@grpc/grpc-js';
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-grpc';
import { SimpleSpanProcessor, TracerProvider } from '@opentelemetry/sdk-trace';
import { startInstance, type Instance } from '../test/instance.ts';
import { generatedFiles, readKeyPair } from './tls.ts';

const DAY_MS = 86_400_000;
const MAIN = fileURLToPath(new URL('../main.ts', import.meta.url));
let folder: string;
let instance: Instance;
let ca: string;
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'lumatrace-tls-'));
  instance = await startInstance({ env: { LUMATRACE_TLS: 'generated' } });
  ca = await readFile(join(instance.dataDir, 'tls', 'ca.pem'), 'utf8');
});
after(async () => {
  await instance?.stop();
  if (folder !== undefined) await rm(folder, { recursive: true, force: true });
});

function handshake(port: number, maxVersion: SecureVersion): Promise<string> {
  return new Promise((done) => {
    const socket: TLSSocket = connect(
      { host: '127.0.0.1', port, ca, servername: 'localhost', minVersion: 'TLSv1.2', maxVersion },
      () => {
        done(socket.getProtocol() ?? '');
        socket.destroy();
      },
    );
    socket.on('error', (error: NodeJS.ErrnoException) => done(`refused ${error.code}`));
  });
}

function fingerprintAt(port: number, trusted: string): Promise<string> {
  return new Promise((done, fail) => {
    const socket: TLSSocket = connect({ host: '127.0.0.1', port, ca: trusted, servername: 'localhost' }, () => {
      done(socket.getPeerCertificate().fingerprint256);
      socket.destroy();
    });
    socket.on('error', fail);
  });
}

interface Answer {
  status: number;
  fingerprint: string;
  hsts: boolean;
}

function ask(port: number, trusted: string, path = '/api/v1/health', apiKey?: string): Promise<Answer> {
  const headers = apiKey === undefined ? {} : { authorization: `Bearer ${apiKey}` };
  return new Promise((done, fail) => {
    const request = get({ host: 'localhost', port, path, ca: trusted, agent: false, headers }, (response) => {
      const { fingerprint256 } = (response.socket as TLSSocket).getPeerCertificate();
      const hsts = response.headers['strict-transport-security'] !== undefined;
      response.resume().on('end', () => done({ status: response.statusCode ?? 0, fingerprint: fingerprint256, hsts }));
    });
    request.on('error', fail);
  });
}

const caOf = ({ certFile }: { certFile: string }): string => certFile.replace('cert.pem', 'ca.pem');

test('both HTTP ports speak TLS 1.3 and nothing older, and no plain HTTP', async () => {
  assert.match(instance.url, /^https:/);
  for (const port of [instance.ports.http, instance.ports.otlp]) {
    assert.equal(await handshake(port, 'TLSv1.3'), 'TLSv1.3');
    assert.match(await handshake(port, 'TLSv1.2'), /^refused .*PROTOCOL_VERSION/);
    assert.equal((await ask(port, ca)).status, 200);
    await assert.rejects(fetch(`http://127.0.0.1:${port}/api/v1/health`));
  }
  assert.equal((await ask(instance.ports.http, ca)).hsts, false, 'localhost is never pinned to https');
});

/** One span over gRPC by the official exporter. @returns the status of reading its trace afterwards */
async function exported(trusted: string): Promise<number> {
  const { apiKey } = instance.firstRun;
  const metadata = new Metadata();
  metadata.set('authorization', `Bearer ${apiKey}`);
  const exporter = new OTLPTraceExporter({
    url: `https://localhost:${instance.ports.grpc}`,
    credentials: credentials.createSsl(Buffer.from(trusted)),
    metadata,
    timeoutMillis: 2_000,
  });
  const tracing = new TracerProvider({ spanProcessors: [new SimpleSpanProcessor({ exporter })] });
  const span = tracing.getTracer('tests').startSpan('chat');
  span.end();
  await tracing.forceFlush().catch(() => undefined);
  await tracing.shutdown().catch(() => undefined);
  return (await ask(instance.ports.http, ca, `/api/traces/${span.spanContext().traceId}`, apiKey)).status;
}

test('the official exporter sends over gRPC with TLS 1.3 and the same certificate, and nothing older is spoken', async () => {
  const { grpc } = instance.ports;
  assert.equal(await handshake(grpc, 'TLSv1.3'), 'TLSv1.3');
  assert.match(await handshake(grpc, 'TLSv1.2'), /^refused .*PROTOCOL_VERSION/);
  assert.equal(await exported(ca), 200);
  const other = await generatedFiles(join(folder, 'stranger'), ['localhost']);
  assert.equal(await exported(await readFile(caOf(other), 'utf8')), 404);
});

/** @returns the status and the cookie that was set */
function person(path: string, { cookie, body }: { cookie?: string; body?: object } = {}): Promise<[number, string]> {
  const headers = { 'content-type': 'application/json', ...(cookie === undefined ? {} : { cookie }) };
  const method = body === undefined ? 'GET' : 'POST';
  const target = { host: 'localhost', port: instance.ports.http, path, method, ca, agent: false, headers } as const;
  return new Promise((done, fail) => {
    const outgoing = request(target, (response) => {
      const [set = ''] = response.headers['set-cookie'] ?? [];
      response.resume().on('end', () => done([response.statusCode ?? 0, set]));
    });
    outgoing.on('error', fail);
    outgoing.end(body === undefined ? undefined : JSON.stringify(body));
  });
}

test('over https the session cookie belongs to this host alone, and one under the plain name is none', async () => {
  const [status, set] = await person('/auth/login', { body: instance.firstRun.admin });
  assert.equal(status, 200);
  assert.match(set, /^__Host-lumatrace_session=[\w-]{43}; Path=\/; HttpOnly; SameSite=Lax; Max-Age=\d+; Secure$/);
  const [pair = ''] = set.split(';');
  assert.equal((await person('/auth/me', { cookie: pair }))[0], 200);
  assert.equal((await person('/auth/me', { cookie: pair.replace('__Host-', '') }))[0], 401);
  assert.equal((await person('/auth/me', { cookie: `lumatrace_session=planted; ${pair}` }))[0], 200);
});

test('the generated certificate is believed through its authority only, and its key is private', async () => {
  const other = await generatedFiles(join(folder, 'other'), ['localhost']);
  const stranger = await readFile(caOf(other), 'utf8');
  await assert.rejects(ask(instance.ports.http, stranger));
  const key = join(instance.dataDir, 'tls', 'key.pem');
  assert.equal((await stat(key)).mode & 0o777, 0o600);
  const leaf = new X509Certificate(await readFile(join(instance.dataDir, 'tls', 'cert.pem')));
  assert.equal(leaf.ca, false);
  assert.equal(leaf.checkHost('lumatrace.example'), undefined);
});

test('new files are served without a restart, and a pair that does not match is not', async () => {
  const before = await ask(instance.ports.http, ca);
  const own = join(instance.dataDir, 'tls');
  const next = await generatedFiles(join(folder, 'next'), ['localhost']);
  await writeFile(join(own, 'cert.pem'), await readFile(next.certFile));
  await sleep(2_500);
  assert.equal((await ask(instance.ports.http, ca)).fingerprint, before.fingerprint);
  await cp(next.keyFile, join(own, 'key.pem'));
  const nextCa = await readFile(caOf(next), 'utf8');
  const untilMs = performance.now() + 10_000;
  let served = await ask(instance.ports.http, nextCa).catch(() => undefined);
  while (served === undefined && performance.now() < untilMs) {
    await sleep(250);
    served = await ask(instance.ports.http, nextCa).catch(() => undefined);
  }
  assert.equal(served?.status, 200);
  assert.notEqual(served?.fingerprint, before.fingerprint);
  assert.equal(await fingerprintAt(instance.ports.grpc, nextCa), served?.fingerprint, 'gRPC serves the same one');
});

test('a pair is made anew when it ends soon or lacks a name, else kept', async () => {
  const data = join(folder, 'renewed');
  const now = new Date('2026-11-01T00:00:00Z');
  const read = async (): Promise<string> => readFile(join(data, 'tls', 'cert.pem'), 'utf8');
  await generatedFiles(data, ['localhost', '127.0.0.1'], now);
  const first = await read();
  await generatedFiles(data, ['localhost', '127.0.0.1'], new Date(now.getTime() + 366 * DAY_MS));
  assert.equal(await read(), first);
  await generatedFiles(data, ['localhost', '127.0.0.1'], new Date(now.getTime() + 368 * DAY_MS));
  const second = await read();
  assert.notEqual(second, first);
  await generatedFiles(data, ['localhost', 'traces.example'], new Date(now.getTime() + 368 * DAY_MS));
  assert.notEqual(await read(), second);
});

function refused(pattern: RegExp): (error: Error & { code?: string }) => boolean {
  return ({ code, message }) => code === 'VALIDATION_FAILED' && pattern.test(message) && !message.includes('hunter2');
}

test('files that are none, do not match or have ended are refused in a sentence without their content', async () => {
  const a = await generatedFiles(join(folder, 'a'), ['localhost']);
  const b = await generatedFiles(join(folder, 'b'), ['localhost']);
  const garbage = join(folder, 'garbage.pem');
  await writeFile(garbage, 'hunter2');
  await assert.rejects(readKeyPair({ ...a, keyFile: b.keyFile }), refused(/and its key in/));
  await assert.rejects(readKeyPair({ ...a, certFile: garbage }), refused(/garbage/));
  await assert.rejects(readKeyPair({ ...a, keyFile: join(folder, 'none') }), refused(/ENOENT/));
  await assert.rejects(readKeyPair(a, new Date(Date.now() + 400 * DAY_MS)), refused(/ended on/));
});

test('LUMATRACE_TLS=files without files does not start', async () => {
  const { code, err } = await new Promise<{ code: number | null; err: string }>((done) => {
    const args = [MAIN, 'up', '--port', '0', '--otlp-port', '0', '--grpc-port', '0', '--data', join(folder, 'c')];
    const env = { ...process.env, LUMATRACE_TLS: 'files' };
    const child = execFile(process.execPath, args, { env, timeout: 30_000 }, (_, __, text) =>
      done({ code: child.exitCode, err: text }),
    );
  });
  assert.equal(code, 2);
  assert.match(err, /LUMATRACE_TLS_CERT_FILE/);
});
