// A key that looks written into the code is told, and never printed.
import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { callerFiles, KeySource, warnOfWrittenKey } from './key.ts';
import { Notices } from './notices.ts';

const KEY = ['lumina', 'live', 'abcdefghijklmnop'].join('_');
let folder: string;
let file: string;

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'lumatrace-key-'));
  file = join(folder, 'app.js');
  await writeFile(file, `\ninitLumina({ api_key: '${KEY}' });\n`);
});
after(() => rm(folder, { recursive: true, force: true }));

async function warningsFor(key: string, environment: NodeJS.ProcessEnv): Promise<string[]> {
  const told: string[] = [];
  await warnOfWrittenKey(
    key,
    [join(folder, 'gone.js'), file],
    new Notices((message) => told.push(message)),
    environment,
  );
  return told;
}

test('a key whose text stands in a file of the caller is told with file and line, without the key', async () => {
  const [warning = '', ...more] = await warningsFor(KEY, {});
  assert.match(warning, /app\.js:2/);
  assert.ok(!warning.includes(KEY));
  assert.deepEqual(more, []);
});

test('a key from the environment is not told, nor one that stands nowhere', async () => {
  assert.deepEqual(await warningsFor(KEY, { ANY_NAME: KEY }), []);
  assert.deepEqual(await warningsFor(`${KEY}-other`, {}), []);
});

test('the files of the caller are told from stacks of modules and of CommonJS, packages and Node left out', () => {
  const stack = `Error
    at initLumina (file:///app/node_modules/@lumatrace/sdk/index.js:1:2)
    at file:///app/src/own%20file.js:3:4
    at Object.<anonymous> (/app/src/main.cjs:5:6)
    at async start (file:///app/src/start.ts:7:8)
    at node:internal/modules/cjs/loader:1:1`;
  assert.deepEqual(callerFiles(stack), ['/app/src/own file.js', '/app/src/main.cjs', '/app/src/start.ts']);
});

test('a provider that does not answer is given up, and asked again next time', async () => {
  let asked = 0;
  const source = new KeySource(() => (++asked === 1 ? new Promise<string>(() => undefined) : 'later'), 20);
  const keepAlive = setInterval(() => undefined, 1_000);
  await assert.rejects(source.current(), /in time/);
  clearInterval(keepAlive);
  assert.equal(await source.current(), 'later');
});
