// A log that is watched from outside: grown, shrunk, rewritten, of another key. The log here is a small one in this process.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { createPublicKey, generateKeyPairSync, randomBytes, sign, type KeyObject } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { checkpointText, logOfSpki, pemOf, signedNote } from '@lumatrace/provenance/log/checkpoint.ts';
import { consistencyPlan, fold, rootPlan, type Cover, type Hash } from '@lumatrace/provenance/log/tree.ts';

const MAIN = fileURLToPath(new URL('../main.ts', import.meta.url));
const identityOf = (key: KeyObject) => logOfSpki(createPublicKey(key).export({ format: 'der', type: 'spki' }));
const { privateKey } = generateKeyPairSync('ed25519');

// what the log shows now; tests change it
let leaves: Hash[] = Array.from({ length: 5 }, () => randomBytes(32));
let key = privateKey;

const hashOf = ({ level, index }: Cover[number]): Hash => {
  if (level === 0) return leaves[index] as Hash;
  const half = { level: level - 1, index: index * 2 };
  return fold([hashOf(half), hashOf({ ...half, index: half.index + 1 })]);
};
const over = (cover: Cover): Hash => fold(cover.map(hashOf));

function noteNow(): string {
  const log = identityOf(key);
  const text = checkpointText(log, { size: leaves.length, root: over(rootPlan(leaves.length)) });
  return signedNote(log, text, sign(null, Buffer.from(text), key));
}

const server = createServer((request, response) => {
  const { pathname, searchParams } = new URL(request.url ?? '/', 'http://log');
  if (pathname.endsWith('/checkpoint')) return void response.end(noteNow());
  const plan = consistencyPlan(Number(searchParams.get('first')), Number(searchParams.get('second')));
  const proof = plan.map((cover) => Buffer.from(over(cover)).toString('base64'));
  return void response.end(JSON.stringify({ proof }));
});
let folder: string;
let url: string;
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'lumatrace-log-'));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  await writeFile(join(folder, 'log.pem'), pemOf(identityOf(privateKey)));
});
after(async () => {
  server.close();
  await rm(folder, { recursive: true, force: true });
});

const kept = (): string => join(folder, 'kept.checkpoint');

async function run(...more: string[]): Promise<{ code: number; text: string }> {
  const args = ['log', kept(), '--log-key', join(folder, 'log.pem'), '--url', url, ...more];
  const child = spawn(process.execPath, [MAIN, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
  let text = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => (text += chunk.toString()));
  const [code] = (await once(child, 'close')) as [number];
  return { code, text };
}

test('the first checkpoint is kept, and the log that only grows is told so', async () => {
  assert.equal((await run()).code, 3, 'nothing was kept yet');
  assert.equal((await run('--write')).code, 0);
  assert.equal(await readFile(kept(), 'utf8'), noteNow());
  leaves.push(...Array.from({ length: 9 }, () => randomBytes(32)));
  const { code, text } = await run('--write', '--json');
  assert.equal(code, 0, text);
  const { grew, kept: before, newest } = JSON.parse(text) as { grew: boolean; kept: number; newest: number };
  assert.deepEqual([grew, before, newest], [true, 5, 14]);
});

test('a log that was rewritten, cut off or signed by another key is found out, and the kept checkpoint stays', async () => {
  const honest = leaves;
  const note = await readFile(kept(), 'utf8');
  const cases: Array<[RegExp, () => void]> = [
    [/rewritten/, () => (leaves = honest.with(3, randomBytes(32)))],
    [/rewritten/, () => (leaves = [...honest.with(13, randomBytes(32)), randomBytes(32)])],
    [/shrank/, () => (leaves = honest.slice(0, 13))],
    [/another log/, () => (key = generateKeyPairSync('ed25519').privateKey)],
  ];
  for (const [expected, change] of cases) {
    [leaves, key] = [honest, privateKey];
    change();
    const { code, text } = await run('--write');
    assert.equal(code, 1, text);
    assert.match(text, expected);
    assert.equal(await readFile(kept(), 'utf8'), note);
  }
});
