// The data folder: one process at a time, a key that is made once and never guessed, sentences that say what to do.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { checkKek, isKeyed, kekPath, openKek, readKek, takeDataFolder, writeKek } from './data-folder.ts';
import { testDatabase } from './test/harness.ts';

const root = await mkdtemp(join(tmpdir(), 'lumatrace-folder-'));
after(() => rm(root, { recursive: true, force: true }));

let folders = 0;
const newFolder = (): string => join(root, `f${folders++}`);
const nothing = (): Promise<boolean> => Promise.resolve(false);
const something = (): Promise<boolean> => Promise.resolve(true);

/** A process that holds the lock of a folder until it is killed. */
async function holder(dataDir: string): Promise<{ pid: number; kill(): Promise<void> }> {
  const module = fileURLToPath(new URL('./data-folder.ts', import.meta.url));
  const code = `
    const { takeDataFolder } = await import(${JSON.stringify(module)});
    const lock = await takeDataFolder(${JSON.stringify(dataDir)});
    lock.tell({ pid: process.pid, url: 'http://localhost:1234' });
    process.stdout.write('held');
    setInterval(() => {}, 1000);`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', code], { stdio: ['ignore', 'pipe', 'inherit'] });
  await once(child.stdout, 'data');
  return {
    pid: child.pid as number,
    async kill() {
      const gone = once(child, 'exit');
      child.kill('SIGKILL');
      await gone;
    },
  };
}

test('a second start is told who has the folder, and where that serves', async () => {
  const dataDir = newFolder();
  const other = await holder(dataDir);
  try {
    await assert.rejects(takeDataFolder(dataDir), (error: Error) =>
      error.message.includes(`process ${other.pid} serves http://localhost:1234 from ${dataDir}`),
    );
  } finally {
    await other.kill();
  }
});

test('the lock of a killed process is free at once, though its note still lies there', async () => {
  const dataDir = newFolder();
  const other = await holder(dataDir);
  await other.kill();
  assert.ok((await readdir(dataDir)).includes('up.json'));
  const lock = await takeDataFolder(dataDir);
  await lock.release();
});

test('a note that names a living stranger does not hold the folder', async () => {
  const dataDir = newFolder();
  await (await takeDataFolder(dataDir)).release();
  await writeFile(join(dataDir, 'up.json'), JSON.stringify({ pid: process.ppid, url: 'http://localhost:1' }));
  await (await takeDataFolder(dataDir)).release();
});

test('of many that start at once exactly one gets the folder', async () => {
  const dataDir = newFolder();
  const outcomes = await Promise.allSettled(Array.from({ length: 8 }, () => takeDataFolder(dataDir)));
  const locks = outcomes.flatMap((outcome) => (outcome.status === 'fulfilled' ? [outcome.value] : []));
  assert.equal(locks.length, 1);
  await locks[0]?.release();
});

test('the folder is closed to others, and its key readable by the owner alone', async () => {
  const dataDir = newFolder();
  const lock = await takeDataFolder(dataDir);
  const { file, isNew } = await openKek(kekPath(dataDir, undefined), nothing);
  assert.equal(isNew, true);
  assert.equal((await stat(dataDir)).mode & 0o777, 0o700);
  assert.equal((await stat(file)).mode & 0o777, 0o400);
  assert.match(await readFile(file, 'utf8'), /^[0-9a-f]{64}\n$/);
  assert.deepEqual(
    (await readdir(dataDir)).filter((name) => name.endsWith('.new')),
    [],
  );
  await lock.release();
});

test('the key is made once, and two are never the same', async () => {
  const [one, two] = [newFolder(), newFolder()];
  for (const dataDir of [one, two]) await (await takeDataFolder(dataDir)).release();
  const first = await openKek(kekPath(one, undefined), nothing);
  const again = await openKek(kekPath(one, undefined), something);
  const other = await openKek(kekPath(two, undefined), nothing);
  assert.deepEqual(again, { ...first, isNew: false });
  assert.notDeepEqual(other.bytes, first.bytes);
});

test('a key that is missing beside data is never replaced by a new one', async () => {
  const dataDir = newFolder();
  await (await takeDataFolder(dataDir)).release();
  const file = kekPath(dataDir, undefined);
  await assert.rejects(openKek(file, something), /is missing.*Put your copy of it back/s);
  await assert.rejects(stat(file));
});

test('what is no key is refused, and a key is never written over another', async () => {
  const dataDir = newFolder();
  await (await takeDataFolder(dataDir)).release();
  const file = join(dataDir, 'kek');
  for (const text of ['', 'short', `${'0'.repeat(63)}g`, '0'.repeat(65)]) {
    await writeFile(file, text);
    await assert.rejects(readKek(file), /Expected 64 hexadecimal digits/, JSON.stringify(text));
  }
  await rm(file);
  await writeKek(file, Buffer.alloc(32, 1));
  await assert.rejects(writeKek(file, Buffer.alloc(32, 2)), { code: 'EEXIST' });
  assert.deepEqual(await readKek(file), Buffer.alloc(32, 1));
});

test('a database remembers its key and refuses another', async () => {
  const empty = await testDatabase({ migrated: false });
  assert.equal(await isKeyed(empty.database), false);
  await empty.close();
  const db = await testDatabase();
  try {
    assert.equal(await isKeyed(db.database), false);
    await checkKek(db.database, Buffer.alloc(32, 1), 'kek');
    await checkKek(db.database, Buffer.alloc(32, 1), 'kek');
    assert.equal(await isKeyed(db.database), true);
    await assert.rejects(checkKek(db.database, Buffer.alloc(32, 2), 'kek'), /is not the one/);
  } finally {
    await db.close();
  }
});

test('a folder of another user is refused with its owner', async (t) => {
  if (process.geteuid?.() !== 0) return t.diagnostic('needs root');
  const { chown, mkdir } = await import('node:fs/promises');
  const dataDir = newFolder();
  await mkdir(dataDir);
  await chown(dataDir, 65534, 65534);
  await assert.rejects(takeDataFolder(dataDir), /belongs to the user with id 65534/);
});
