// How a program with the SDK begins and ends: nothing keeps it alive, what waits is sent when it ends by itself, a server that
// hangs delays the end by the timeout and no longer. Programs of their own, as users write them.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer, type AddressInfo } from 'node:net';
import { after, before, beforeEach, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { Collector } from '../test/collector.ts';

const SDK = fileURLToPath(new URL('./index.ts', import.meta.url));
let collector: Collector;

before(async () => {
  collector = await new Collector().start();
});
after(() => collector.stop());
beforeEach(() => {
  collector.received.length = 0;
});

interface Ended {
  code: number | null;
  signal: string | null;
  stdout: string;
  stderr: string;
}

function program(body: string, endpoint = collector.url): { ended: Promise<Ended>; child: ReturnType<typeof spawn> } {
  const source = `
    import { counts, flush, initLumina, shutdown, trace } from ${JSON.stringify(SDK)};
    initLumina({ endpoint: ${JSON.stringify(endpoint)}, timeout_ms: 1500, flush_interval_ms: 3600000 });
    ${body}`;
  const child = spawn(process.execPath, ['--input-type=module', '--eval', source], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const ended = (async (): Promise<Ended> => {
    let stdout = '';
    let stderr = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
    child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
    const [code, signal] = (await once(child, 'close')) as [number | null, string | null];
    return { code, signal, stdout, stderr };
  })();
  return { ended, child };
}

test('a program that only ends sends what waits, and ends with its own code', async () => {
  const { code } = await program(`trace('last', () => undefined); process.exitCode = 3;`).ended;
  assert.equal(code, 3);
  collector.span('last');
});

test('an uncaught error of the program stays one, with its own code', async () => {
  const { code, stderr } = await program(`trace('fails', () => { throw new Error('mine'); });`).ended;
  assert.equal(code, 1);
  assert.match(stderr, /Error: mine/);
});

test('with no server the program ends at once, with one sentence per kind', async () => {
  const { code, stderr } = await program(`trace('last', () => undefined);`, 'http://127.0.0.1:9').ended;
  assert.equal(code, 0);
  assert.equal(stderr.match(/127\.0\.0\.1:9 is not reached/g)?.length, 1);
});

test('a server that hangs delays the end by the timeout and no longer', async () => {
  const sockets: { destroy(): void }[] = [];
  const hanging = createServer((socket) => void sockets.push(socket.on('error', () => undefined)));
  await new Promise<void>((resolve) => hanging.listen(0, '127.0.0.1', resolve));
  const url = `http://127.0.0.1:${(hanging.address() as AddressInfo).port}`;
  const body = `trace('last', () => undefined); const began = performance.now(); process.on('exit', () => console.log(performance.now() - began));`;
  const { code, stdout } = await program(body, url).ended;
  for (const socket of sockets) socket.destroy();
  hanging.close();
  assert.equal(code, 0);
  // the timeout of one request, and of the flush around it; the rest is for a busy machine
  assert.ok(Number(stdout) < 15_000, stdout);
});

test('SIGTERM ends the program as it did: the SDK catches no signals', async () => {
  const { ended, child } = program(`console.log('ready'); setInterval(() => undefined, 1000);`);
  await once(child.stdout as NodeJS.ReadableStream, 'data');
  child.kill('SIGTERM');
  assert.equal((await ended).signal, 'SIGTERM');
});

test('a handler of SIGTERM that waits for shutdown loses nothing', async () => {
  const body = `process.once('SIGTERM', () => void shutdown().then(() => process.exit(0)));
    trace('before the end', () => undefined); console.log('ready'); setInterval(() => undefined, 1000);`;
  const { ended, child } = program(body);
  await once(child.stdout as NodeJS.ReadableStream, 'data');
  child.kill('SIGTERM');
  assert.equal((await ended).code, 0);
  collector.span('before the end');
});

test('a rejection that the program does not handle is still unhandled, for lazy and for plain calls of a client', async () => {
  const body = `
    const { instrument } = await import(${JSON.stringify(SDK)});
    const { default: OpenAI } = await import(${JSON.stringify(import.meta.resolve('openai'))});
    process.on('unhandledRejection', (error) => { console.log('unhandled', error.constructor.name); });
    const client = instrument(new OpenAI({ baseURL: 'http://127.0.0.1:9', apiKey: 'none', maxRetries: 0 }));
    client.chat.completions.create({ model: 'gpt-4o', messages: [] });`;
  const { stdout } = await program(body).ended;
  assert.equal(stdout.trim(), 'unhandled APIConnectionError');
});
