// The signer process from outside: it signs, it is brought back when it dies, and it gives nothing away.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { createPublicKey, randomBytes, verify, constants } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, stat } from 'node:fs/promises';
import { createConnection } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { SignerError, SignerProcess } from './client.ts';
import { wrappingKeyFrom, type KeyAlgorithm } from './protocol.ts';

const wrappingKey = wrappingKeyFrom(randomBytes(32));
const tbs = Buffer.from('what is to be signed');
let directory: string;
let signer: SignerProcess;

before(async () => {
  directory = join(await mkdtemp(join(tmpdir(), 'signer-test-')), 'run');
  signer = await SignerProcess.start({ wrappingKey, directory });
});

after(async () => {
  await signer.close();
  await rm(dirname(directory), { recursive: true, force: true });
});

const VERIFIERS: Readonly<
  Record<KeyAlgorithm, (key: ReturnType<typeof createPublicKey>, signature: Buffer) => boolean>
> = {
  rs256: (key, signature) => verify('sha256', tbs, { key, padding: constants.RSA_PKCS1_PADDING }, signature),
  ps256: (key, signature) =>
    verify('sha256', tbs, { key, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: 32 }, signature),
  es256: (key, signature) =>
    signature.length === 64 && verify('sha256', tbs, { key, dsaEncoding: 'ieee-p1363' }, signature),
  'es256-der': (key, signature) => verify('sha256', tbs, { key, dsaEncoding: 'der' }, signature),
  ed25519: (key, signature) => verify(null, tbs, key, signature),
};

for (const [alg, isRight] of Object.entries(VERIFIERS) as [KeyAlgorithm, (typeof VERIFIERS)[KeyAlgorithm]][]) {
  test(`a generated ${alg} key signs in its own way`, async () => {
    const key = await signer.generate(alg);
    await signer.load(alg, key.wrappedPrivate);
    assert.equal(isRight(key.publicKey, await signer.sign(alg, tbs)), true);
    const { asymmetricKeyDetails } = key.publicKey;
    if (alg === 'rs256' || alg === 'ps256') assert.equal(asymmetricKeyDetails?.modulusLength, 3072);
    assert.doesNotMatch(key.wrappedPrivate.toString('latin1'), /PRIVATE/);
  });
}

test('a key that was loaded signs on after the process was killed, also in the middle of signing', async () => {
  const key = await signer.generate('es256-der');
  await signer.load('survivor', key.wrappedPrivate);
  for (let round = 0; round < 5; round++) {
    const pid = signer.pid;
    assert.ok(pid);
    const signatures = Array.from({ length: 40 }, () => signer.sign('survivor', tbs));
    process.kill(pid, 'SIGKILL');
    for (const signature of await Promise.all(signatures))
      assert.equal(VERIFIERS['es256-der'](key.publicKey, signature), true);
    // on a busy machine all forty may be signed before the signal is delivered
    for (let i = 0; signer.pid === pid && i < 1_000; i++) await signer.sign('survivor', tbs);
    assert.notEqual(signer.pid, pid);
  }
});

test('a key is sealed anew under another wrapping key, opens with that alone, and signs on meanwhile', async () => {
  const [old, young] = [randomBytes(32), randomBytes(32)].map((kek) => wrappingKeyFrom(kek)) as [Buffer, Buffer];
  const rotating = await SignerProcess.start({ wrappingKey: old, directory });
  try {
    const { wrappedPrivate, publicKey } = await rotating.generate('es256');
    await rotating.load('kid', wrappedPrivate);
    assert.deepEqual(await rotating.rewrap(wrappedPrivate), wrappedPrivate);
    const signing = Array.from({ length: 20 }, () => rotating.sign('kid', tbs));
    await rotating.replaceWrappingKeys(young, [old]);
    for (const signature of await Promise.all(signing)) assert.ok(VERIFIERS.es256(publicKey, signature));
    const again = await rotating.rewrap(wrappedPrivate);
    await rotating.load('kid', again);
    assert.ok(VERIFIERS.es256(publicKey, await rotating.sign('kid', tbs)));
    await rotating.replaceWrappingKeys(young, []);
    await assert.rejects(rotating.rewrap(wrappedPrivate), { code: 'KEY_REFUSED' });
    assert.deepEqual(await rotating.rewrap(again), again);
    assert.ok(VERIFIERS.es256(publicKey, await rotating.sign('kid', tbs)));
    const { wrappedPrivate: another } = await rotating.generate('es256');
    await assert.rejects(rotating.load('kid', another), { code: 'KEY_REFUSED' });
  } finally {
    await rotating.close();
  }
});

test('a second signer with the same wrapping key opens the same sealed key', async () => {
  const { wrappedPrivate, publicKey } = await signer.generate('es256');
  const second = await SignerProcess.start({ wrappingKey, directory });
  try {
    await second.load('moved', wrappedPrivate);
    assert.equal(VERIFIERS.es256(publicKey, await second.sign('moved', tbs)), true);
  } finally {
    await second.close();
  }
});

test('a key sealed under another wrapping key, altered or cut is refused', async () => {
  const other = await SignerProcess.start({ wrappingKey: wrappingKeyFrom(randomBytes(32)), directory });
  const foreign = await other.generate('es256').finally(() => other.close());
  const { wrappedPrivate } = await signer.generate('es256');
  const altered = Buffer.from(wrappedPrivate);
  altered[20] = (altered[20] ?? 0) ^ 1;
  for (const wrapped of [foreign.wrappedPrivate, altered, wrappedPrivate.subarray(0, 30), Buffer.alloc(0)])
    await assert.rejects(signer.load('bad', wrapped), hasCode('KEY_REFUSED'));
  await assert.rejects(signer.sign('bad', tbs), hasCode('UNKNOWN_KEY'));
});

test('a name keeps its key', async () => {
  const [first, second] = await Promise.all([signer.generate('es256'), signer.generate('es256')]);
  await signer.load('named', first.wrappedPrivate);
  await signer.load('named', first.wrappedPrivate);
  await assert.rejects(signer.load('named', second.wrappedPrivate), hasCode('KEY_REFUSED'));
  assert.equal(VERIFIERS.es256(first.publicKey, await signer.sign('named', tbs)), true);
});

test('a strange key id and a request that is too large are refused', async () => {
  await assert.rejects(signer.load('../../etc/passwd', Buffer.alloc(60)), hasCode('BAD_REQUEST'));
  await assert.rejects(signer.sign('named', Buffer.alloc(300_000)), hasCode('BAD_REQUEST'));
});

test('requests beyond the bounded queue are refused at once', async () => {
  const key = await signer.generate('es256');
  await signer.load('busy', key.wrappedPrivate);
  const answers = await Promise.allSettled(Array.from({ length: 1_500 }, () => signer.sign('busy', tbs)));
  const refused = answers.filter((answer) => answer.status === 'rejected');
  assert.equal(refused.length, 1_500 - 1_024);
  for (const { reason } of refused) assert.equal((reason as SignerError).code, 'UNAVAILABLE');
});

test('only the owner reaches the socket', async () => {
  assert.equal((await stat(signer.socketPath)).mode & 0o777, 0o600);
  assert.equal((await stat(dirname(signer.socketPath))).mode & 0o777, 0o700);
});

test('the wrapping key is in neither the arguments nor the environment of the process', async (t) => {
  if (process.platform !== 'linux') return t.diagnostic('needs /proc');
  for (const file of ['cmdline', 'environ']) {
    const text = await readFile(`/proc/${signer.pid}/${file}`, 'latin1');
    assert.ok(!text.includes(wrappingKey.toString('base64')) && !text.includes(wrappingKey.toString('hex')));
    if (file === 'environ') assert.equal(text, '');
  }
});

const frame = (body: string | Buffer, length = Buffer.byteLength(body)): Buffer => {
  const head = Buffer.alloc(4);
  head.writeUInt32BE(length);
  return Buffer.concat([head, Buffer.from(body)]);
};

const BAD_FIRST_FRAMES: readonly (readonly [string, Buffer])[] = [
  ['no token', frame('{"id":1,"op":"sign","kid":"named","tbs":"AA=="}')],
  ['a wrong token', frame('{"id":1,"op":"hello","token":"AAAA"}')],
  ['no JSON', frame('sign please')],
  ['a number', frame('7')],
  ['an unknown request', frame('{"id":1,"op":"export","kid":"named"}')],
  ['an id that is text', frame('{"id":"1","op":"hello","token":"AAAA"}')],
  ['a length of 4 GiB', frame('{}', 0xffffffff)],
  ['a length of zero', frame('')],
];

for (const [what, bytes] of BAD_FIRST_FRAMES) {
  test(`a connection that begins with ${what} is closed without an answer`, async () => {
    const socket = createConnection(signer.socketPath);
    let answered = 0;
    socket.on('data', () => answered++);
    await once(socket, 'connect');
    socket.write(bytes);
    await once(socket, 'close');
    assert.equal(answered, 0);
    assert.ok(await signer.generate('ed25519'), 'the others are still served');
  });
}

test('a directory whose path is too long for a socket is replaced by a temporary one', async () => {
  const long = join(dirname(directory), 'x'.repeat(120));
  const elsewhere = await SignerProcess.start({ wrappingKey, directory: long });
  const { socketPath } = elsewhere;
  assert.ok(Buffer.byteLength(socketPath) <= 107 && socketPath.startsWith(tmpdir()));
  assert.equal((await stat(dirname(socketPath))).mode & 0o777, 0o700);
  assert.ok(await elsewhere.generate('ed25519'));
  await elsewhere.close();
  await assert.rejects(stat(dirname(socketPath)));
});

test('closing refuses what waits, ends the process and removes the socket', async () => {
  const closing = await SignerProcess.start({ wrappingKey, directory });
  const { pid, socketPath } = closing;
  const waiting = assert.rejects(closing.generate('rs256'), hasCode('UNAVAILABLE'));
  await closing.close();
  await waiting;
  await assert.rejects(stat(socketPath));
  assert.throws(() => process.kill(pid ?? 0, 0), { code: 'ESRCH' });
  await assert.rejects(closing.sign('any', tbs), hasCode('UNAVAILABLE'));
});

test('the process ends when its parent is killed', async () => {
  const script = `
    import { SignerProcess } from ${JSON.stringify(fileURLToPath(new URL('./client.ts', import.meta.url)))};
    const signer = await SignerProcess.start({ wrappingKey: new Uint8Array(32), directory: ${JSON.stringify(directory)} });
    console.log(signer.pid);
    setInterval(() => undefined, 1000);`;
  const parent = spawn(process.execPath, ['--input-type=module', '-e', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const [line] = (await once(parent.stdout, 'data')) as [Buffer];
  const pid = Number(line.toString());
  assert.ok(pid > 0);
  parent.kill('SIGKILL');
  for (let waitedMs = 0; waitedMs < 5_000; waitedMs += 50) {
    try {
      process.kill(pid, 0);
    } catch {
      return;
    }
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  assert.fail('Expected the signer to end with its parent');
});

test('a program with nothing else to do ends although a signer runs', async () => {
  const script = `
    import { SignerProcess } from ${JSON.stringify(fileURLToPath(new URL('./client.ts', import.meta.url)))};
    await SignerProcess.start({ wrappingKey: new Uint8Array(32), directory: ${JSON.stringify(directory)} });`;
  const parent = spawn(process.execPath, ['--input-type=module', '-e', script], {
    stdio: ['ignore', 'inherit', 'inherit'],
  });
  const [code] = (await once(parent, 'exit')) as [number];
  assert.equal(code, 0);
});

function hasCode(code: SignerError['code']): (error: unknown) => boolean {
  return (error) => error instanceof SignerError && error.code === code;
}
