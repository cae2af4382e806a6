// The command `keys` as its user runs it: on a data folder that nobody serves, before and after a start.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { startInstance, type Instance } from './test/instance.ts';

const MAIN = fileURLToPath(new URL('./main.ts', import.meta.url));
let dataDir: string;
let instance: Instance;

before(async () => {
  dataDir = await mkdtemp(join(tmpdir(), 'lumatrace-keys-'));
  instance = await startInstance({ dataDir });
});
after(async () => {
  await instance.stop();
  await rm(dataDir, { recursive: true, force: true });
});

async function keys(...args: string[]): Promise<{ code: number; output: string }> {
  const child = spawn(process.execPath, [MAIN, 'keys', ...args, '--data', dataDir], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (text) => (output += text));
  const code = await new Promise<number>((resolve) => child.once('close', resolve));
  return { code, output };
}

async function auditedActions(): Promise<string[]> {
  const answer = await fetch(new URL('/api/v1/audit?limit=50', instance.url), {
    headers: { authorization: `Bearer ${instance.firstRun.apiKey}` },
  });
  assert.equal(answer.status, 200);
  const { data } = (await answer.json()) as { data: { action: string; object: string }[] };
  return data.map(({ action, object }) => `${action} ${object}`);
}

test('what is no kind of key is refused with the kinds there are', async () => {
  for (const args of [
    ['rotate', 'everything'],
    ['list', 'kek'],
  ]) {
    const { code, output } = await keys(...args);
    assert.equal(code, 2, output);
    assert.match(output, /Expected "keys /);
  }
});

test('secrets rotate while LumaTrace runs, each with its line, and no key is printed', async () => {
  for (const kind of ['people', 'watermark-sync', 'token']) {
    const { code, output } = await keys('rotate', kind);
    assert.equal(code, 0, output);
    assert.match(output, new RegExp(`^${kind} `, 'm'));
  }
  assert.equal((await keys('rotate', 'token')).code, 1, 'one is on its way already');
  const actions = await auditedActions();
  for (const [action, object] of [
    ['key.rotate', 'people:2'],
    ['key.rotate', 'watermark-sync:2'],
    ['token-key.publish', 'token-key:'],
  ])
    assert.ok(
      actions.some((line) => line.startsWith(`${action} ${object}`)),
      `${action} in ${actions.join('\n')}`,
    );
});

test('the KEK rotates in a folder that nobody serves, and the next start serves as before', async () => {
  const { apiKey, admin } = instance.firstRun;
  await instance.stop();
  const old = await readFile(join(dataDir, 'kek'), 'utf8');
  const { code, output } = await keys('rotate', 'kek');
  assert.equal(code, 0, output);
  assert.match(output, /^kek 2: \d+ keys were wrapped again/m);
  const now = await readFile(join(dataDir, 'kek'), 'utf8');
  assert.notEqual(now, old);
  assert.equal(await readFile(join(dataDir, 'kek.v1'), 'utf8'), old);
  for (const key of [old, now]) assert.ok(!output.includes(key.trim()));
  const listed = await keys('list');
  assert.match(listed.output, /^kek +2 .*\nkek +1 /m);
  await rm(join(dataDir, 'kek.v1'));
  instance = await startInstance({ dataDir });
  const traces = await fetch(new URL('/api/traces', instance.url), { headers: { authorization: `Bearer ${apiKey}` } });
  assert.equal(traces.status, 200, 'with the old key gone');
  const login = await fetch(new URL('/auth/login', instance.url), {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(admin),
  });
  assert.equal(login.status, 200);
  assert.ok((await auditedActions()).includes('kek.rotate kek:2'));
});

test('a wrong key stops every command that would use it, and changes nothing', async () => {
  await instance.stop();
  const right = await readFile(join(dataDir, 'kek'), 'utf8');
  await rm(join(dataDir, 'kek'));
  await writeFile(join(dataDir, 'kek'), '0'.repeat(64), { mode: 0o400 });
  for (const kind of ['kek', 'token']) {
    const { code, output } = await keys('rotate', kind);
    assert.equal(code, 1, output);
    assert.match(output, /is not the one that this database was encrypted under/);
  }
  await rm(join(dataDir, 'kek'));
  await writeFile(join(dataDir, 'kek'), right, { mode: 0o400 });
  assert.deepEqual(
    (await readdir(dataDir)).filter((name) => name.startsWith('kek.')),
    [],
  );
});
