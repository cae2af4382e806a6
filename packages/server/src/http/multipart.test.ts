// Multipart bodies over a real socket: what is read, what is refused, and that a refusal is always heard.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import { connect, type AddressInfo } from 'node:net';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { asProblem, Problem } from './errors.ts';
import { readForm, UploadMemory, type FormLimits } from './multipart.ts';

const LIMITS: FormLimits = { parts: { image: 100_000, request: 1_000 }, idleTimeoutMs: 400, totalTimeoutMs: 1_500 };

let server: Server;
let port: number;

before(async () => {
  server = createServer(async (request, response) => {
    try {
      const parts = await readForm(request, LIMITS);
      const seen = Object.entries(parts).map(([name, { bytes, sha256 }]) => [
        name,
        [bytes.length, sha256.toString('hex')],
      ]);
      response.end(JSON.stringify(Object.fromEntries(seen)));
    } catch (error) {
      const { code, status, message } = asProblem(error);
      response.writeHead(status).end(JSON.stringify({ code, message }));
    }
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  port = (server.address() as AddressInfo).port;
});

after(() => {
  server.closeAllConnections();
  server.close();
});

interface Heard {
  status: number;
  body: { code?: string; message?: string; [part: string]: unknown };
}

async function post(
  body: FormData | Uint8Array<ArrayBuffer> | string,
  headers: Record<string, string> = {},
): Promise<Heard> {
  const response = await fetch(`http://127.0.0.1:${port}/`, { method: 'POST', body, headers });
  return { status: response.status, body: (await response.json()) as Heard['body'] };
}

function formOf(parts: Record<string, Uint8Array | string>): FormData {
  const form = new FormData();
  for (const [name, value] of Object.entries(parts)) {
    if (typeof value === 'string') form.append(name, value);
    else form.append(name, new Blob([new Uint8Array(value)]), 'file.bin');
  }
  return form;
}

const raw = (text: string, contentType = 'multipart/form-data; boundary=X'): Promise<Heard> =>
  post(text, { 'content-type': contentType });

const part = (name: string, content: string, more = ''): string =>
  `--X\r\nContent-Disposition: form-data; name="${name}"\r\n${more}\r\n${content}\r\n`;

test('the parts come whole, with their hash, in any order and with or without a file name', async () => {
  const image = Buffer.alloc(99_999, 7);
  const hash = createHash('sha256').update(image).digest('hex');
  const asFile = formOf({ image, request: '{}' });
  assert.deepEqual((await post(asFile)).body.image, [99_999, hash]);
  const jsonAsFile = new FormData();
  jsonAsFile.append('request', new Blob(['{}'], { type: 'application/json' }), 'request.json');
  jsonAsFile.append('image', new Blob([image]));
  const { status, body } = await post(jsonAsFile);
  assert.equal(status, 200);
  assert.deepEqual(body.image, [99_999, hash]);
  assert.equal((await raw(`${part('request', '{}')}${part('image', 'abc')}--X--\r\n`)).status, 200);
});

test('a part of exactly its limit passes, one byte more is 413', async () => {
  assert.equal((await post(formOf({ image: Buffer.alloc(100_000), request: '{}' }))).status, 200);
  const { status, body } = await post(formOf({ image: Buffer.alloc(100_001), request: '{}' }));
  assert.equal(status, 413);
  assert.equal(body.code, 'PAYLOAD_TOO_LARGE');
  assert.equal((await post(formOf({ image: Buffer.alloc(1), request: 'x'.repeat(1_001) }))).status, 413);
});

test('a client that writes far too much before it reads still hears 413', async () => {
  const { status, body } = await post(formOf({ image: Buffer.alloc(50_000_000), request: '{}' }));
  assert.deepEqual([status, body.code], [413, 'PAYLOAD_TOO_LARGE']);
});

test('the whole is counted, declared or not', async () => {
  const declared = await post(formOf({ image: Buffer.alloc(400_000), request: '{}' }));
  assert.equal(declared.status, 413);
  const endless = new ReadableStream({
    pull(controller) {
      controller.enqueue(Buffer.from('a preamble that does not end '.repeat(50)));
      if (++chunks > 200) controller.close();
    },
  });
  let chunks = 0;
  const response = await fetch(`http://127.0.0.1:${port}/`, {
    method: 'POST',
    body: endless,
    duplex: 'half',
    headers: { 'content-type': 'multipart/form-data; boundary=X' },
  });
  assert.equal(response.status, 413);
});

const REFUSED: readonly (readonly [what: string, send: () => Promise<Heard>, status: number])[] = [
  ['a missing part', () => post(formOf({ image: Buffer.from('a') })), 400],
  ['no part at all', () => raw('--X--\r\n'), 400],
  ['an empty body', () => raw(''), 400],
  ['two images', () => raw(`${part('image', 'a')}${part('image', 'b')}${part('request', '{}')}--X--\r\n`), 400],
  ['an unknown part', () => post(formOf({ image: Buffer.from('a'), request: '{}', other: 'x' })), 400],
  ['a part called __proto__', () => post(formOf({ image: Buffer.from('a'), ['__proto__x'.slice(0, 9)]: 'x' })), 400],
  ['a thousand parts', () => raw(`${part('image', 'a').repeat(1_000)}--X--\r\n`), 400],
  ['another boundary than declared', () => raw(`${part('image', 'a')}--X--\r\n`.replaceAll('--X', '--Y')), 400],
  ['no boundary', () => raw(part('image', 'a'), 'multipart/form-data'), 400],
  ['an empty boundary', () => raw(part('image', 'a'), 'multipart/form-data; boundary='), 400],
  ['no closing delimiter', () => raw(part('image', 'a')), 400],
  ['a part that breaks off in its header', () => raw('--X\r\nContent-Disposition: form-'), 400],
  ['a part without a name', () => raw('--X\r\nContent-Disposition: form-data\r\n\r\na\r\n--X--\r\n'), 400],
  [
    'base64',
    () => raw(`${part('image', 'YQ==', 'Content-Transfer-Encoding: base64\r\n')}${part('request', '{}')}--X--\r\n`),
    400,
  ],
  [
    'a header of 100 kB',
    () => raw(`--X\r\nContent-Disposition: form-data; name="image"\r\nA: ${'a'.repeat(100_000)}\r\n\r\na\r\n--X--\r\n`),
    400,
  ],
  ['JSON', () => raw('{}', 'application/json'), 415],
  ['multipart/mixed', () => raw(part('image', 'a'), 'multipart/mixed; boundary=X'), 415],
  ['no content type', () => post(new Uint8Array([1])), 415],
];

for (const [what, send, status] of REFUSED) {
  test(`${what} is answered with ${status}`, async () => {
    const heard = await send();
    assert.equal(heard.status, status, JSON.stringify(heard.body));
  });
}

test('a body that stops coming is answered with 408', async () => {
  const socket = connect(port, '127.0.0.1');
  socket.write(
    `POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\nContent-Type: multipart/form-data; boundary=X\r\n\r\n--X\r\n`,
  );
  const [answer] = (await once(socket, 'data')) as [Buffer];
  assert.match(answer.toString(), /^HTTP\/1.1 408 .*VALIDATION_FAILED/s);
  socket.destroy();
});

test('a body that drips one byte at a time is answered with 408 too', async () => {
  const socket = connect(port, '127.0.0.1');
  socket.write(
    `POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\nContent-Type: multipart/form-data; boundary=X\r\n\r\n`,
  );
  const drip = setInterval(() => socket.write('-'), 100);
  const [answer] = (await once(socket, 'data')) as [Buffer];
  clearInterval(drip);
  assert.match(answer.toString(), /^HTTP\/1.1 408 /);
  socket.destroy();
});

test('a client that goes away in the middle harms nobody', async () => {
  const socket = connect(port, '127.0.0.1');
  socket.write(
    `POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\nContent-Type: multipart/form-data; boundary=X\r\n\r\n${part('image', 'a')}`,
  );
  await sleep(50);
  socket.destroy();
  await sleep(50);
  assert.equal((await post(formOf({ image: Buffer.from('a'), request: '{}' }))).status, 200);
});

test('a thousand random bodies are answered, every one', async () => {
  const pieces = [
    '--X',
    '\r\n',
    '--',
    'Content-Disposition: form-data; name="image"',
    '\r\n\r\n',
    'abc',
    '\n',
    '\0',
    'X',
    ': ',
  ];
  let state = 12_345;
  const random = (below: number): number => (state = (state * 1_103_515_245 + 12_345) & 0x7fffffff) % below;
  for (let i = 0; i < 1_000; i++) {
    const body = Array.from({ length: random(20) }, () => pieces[random(pieces.length)]).join('');
    assert.equal((await raw(body)).status, 400, JSON.stringify(body));
  }
});

test('uploads wait for memory in turn, and are refused when it does not come', async () => {
  const memory = new UploadMemory({ bytes: 100, maxWaiting: 1, waitMs: 100 });
  const held = Promise.withResolvers<void>();
  const first = memory.hold(80, () => held.promise);
  const second = memory.hold(50, async () => 'in turn');
  await assert.rejects(
    memory.hold(1, async () => {}),
    (error) => (error as Problem).code === 'UNAVAILABLE',
  );
  held.resolve();
  assert.equal(await second, 'in turn');
  await first;
  const long = memory.hold(100, () => sleep(300));
  await assert.rejects(
    memory.hold(1, async () => {}),
    (error) => (error as Problem).headers['retry-after'] === '5',
  );
  await long;
  assert.equal(await memory.hold(100, async () => 'free again'), 'free again');
});
