// Receipts as their user handles them: written beside a protected file, checked by another process without network.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { copyFile, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import type { Receipt } from '@lumatrace/provenance/log/receipt.ts';
import { startInstance, type Instance } from '../../../server/src/test/instance.ts';

const MAIN = fileURLToPath(new URL('../main.ts', import.meta.url));
const PHOTOS = fileURLToPath(new URL('../../../../fixtures/photos/', import.meta.url));

let instance: Instance;
let folder: string;
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'lumatrace-receipt-'));
  instance = await startInstance();
});
after(async () => {
  await instance.stop();
  await rm(folder, { recursive: true, force: true });
});

const at = (name: string): string => join(folder, name);

function run(args: readonly string[]): Promise<{ code: number | null; stdout: string; stderr: string }> {
  return new Promise((resolve, reject) => {
    const env = { PATH: process.env['PATH'], LUMATRACE_API_KEY: instance.firstRun.apiKey };
    const child = spawn(process.execPath, [MAIN, ...args], { env, stdio: ['ignore', 'pipe', 'pipe'] });
    let [stdout, stderr] = ['', ''];
    child.stdout.on('data', (chunk: Buffer) => (stdout += chunk.toString()));
    child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
    child.on('error', reject);
    child.on('close', (code) => resolve({ code, stdout, stderr }));
  });
}

test('protect --receipt writes what verify --proof believes, and nothing that was changed', async () => {
  await copyFile(`${PHOTOS}dandelion.jpg`, at('one.jpg'));
  const made = await run(['protect', at('one.jpg'), '--out', at('out'), '--url', instance.url, '--receipt']);
  assert.equal(made.code, 0, made.stderr);
  const key = await fetch(`${instance.url}/api/v1/log/key.pem`);
  await writeFile(at('log.pem'), await key.text());
  const [picture, receipt] = [at('out/one.jpg'), at('out/one.jpg.receipt.json')];

  const believed = await run(['verify', picture, '--proof', receipt, '--log-key', at('log.pem')]);
  assert.equal(believed.code, 0, believed.stdout + believed.stderr);
  assert.match(believed.stdout, /holds an entry about this file[^]*photo\.protect photo:/);

  const watch = ['log', at('kept.checkpoint'), '--log-key', at('log.pem'), '--url', instance.url, '--write'];
  assert.equal((await run(watch)).code, 0);
  const grown = await run(watch);
  assert.equal(grown.code, 0, grown.stdout + grown.stderr);
  assert.match(grown.stdout, /only grown/);

  const without = await run(['verify', picture, '--proof', receipt]);
  assert.equal(without.code, 3, without.stdout);

  const other = await run(['verify', `${PHOTOS}sunset.jpg`, '--proof', receipt, '--log-key', at('log.pem'), '--json']);
  assert.equal(other.code, 1);
  assert.equal((JSON.parse(other.stdout) as { log: string }).log, 'refused');

  const whole = JSON.parse(await readFile(receipt, 'utf8')) as Receipt;
  await writeFile(at('moved.json'), JSON.stringify({ ...whole, leafIndex: (whole.leafIndex ?? 0) + 1 }));
  assert.equal((await run(['verify', picture, '--proof', at('moved.json'), '--log-key', at('log.pem')])).code, 1);

  await writeFile(at('no.json'), 'no receipt');
  assert.equal((await run(['verify', picture, '--proof', at('no.json'), '--log-key', at('log.pem')])).code, 1);
  assert.equal((await run(['verify', picture, '--proof', at('nowhere.json')])).code, 3);
  assert.equal((await run(['verify', picture, '--proof', receipt, '--log-key', at('no.json')])).code, 3);
  assert.equal((await run(['verify', picture, '--log-key', at('log.pem')])).code, 2);
});
