// No file is opened for writing while pictures are protected, verified and identified: the kernel's own account (strace) of
// the process with all its threads, and a planted write, from the main thread and from a worker, that must be seen.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { clusterFolder, testDatabase, type TestDatabase } from '../../test/harness.ts';

const STRACE = '/usr/bin/strace';
const STORIES = fileURLToPath(new URL('../retention.test.ts', import.meta.url));
const WRITES = /\b(?:creat|memfd_create)\(|O_WRONLY|O_RDWR|O_CREAT|O_TMPFILE/;
const CALLS = 'trace=open,openat,openat2,creat,memfd_create';
const LIMIT_MS = 120_000;

let folder: string | undefined;
let database: TestDatabase | undefined;

before(async () => {
  // it starts PostgreSQL when none runs yet: that must not happen below the trace
  database = await testDatabase();
  folder = await mkdtemp(join(tmpdir(), 'lumatrace-writes-'));
});

after(async () => {
  await database?.close();
  if (folder !== undefined) await rm(folder, { recursive: true, force: true });
});

/** Lines of the trace that open something for writing, without the database's own files; `read` must have been read. */
async function writesOf(args: readonly string[], read: string, env: NodeJS.ProcessEnv = {}): Promise<string[]> {
  const log = join(folder ?? '', 'trace');
  const traced = ['-f', '-qq', '-s', '256', '-e', CALLS, '-o', log, process.execPath, ...args];
  const { NODE_TEST_CONTEXT: _inherited, ...clean } = process.env;
  await promisify(execFile)(STRACE, traced, { env: { ...clean, ...env }, timeout: LIMIT_MS, maxBuffer: 1 << 24 });
  const lines = (await readFile(log, 'utf8')).split('\n');
  assert.ok(
    lines.some((line) => line.includes(read)),
    `the trace must show that ${read} was read`,
  );
  return lines.filter((line) => WRITES.test(line) && !line.includes(clusterFolder()));
}

test('a planted write is seen, of the main thread and of a worker', async () => {
  const planted = join(folder ?? '', 'planted');
  const write = `require('node:fs').writeFileSync(process.env.PLANTED, 'x')`;
  const inWorker = `new (require('node:worker_threads').Worker)(${JSON.stringify(write)}, { eval: true })`;
  for (const code of [write, inWorker]) {
    const seen = await writesOf(['--eval', code], 'O_RDONLY', { PLANTED: planted });
    assert.ok(
      seen.some((line) => line.includes(planted)),
      seen.join('\n'),
    );
  }
});

test('protect, verify and identify open no file for writing', async () => {
  assert.deepEqual(await writesOf(['--test', '--test-isolation=none', STORIES], 'photos/picture.ts'), []);
});
