// The launcher's shell half: which Node it takes, what it fetches, how it is reached, what it says when npm is missing.
// It runs here beside a launch.ts that only tells how it was started, with an npm and a node of our own on PATH.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { chmod, copyFile, mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, beforeEach, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const run = promisify(execFile);
const LAUNCHER = fileURLToPath(new URL('../../../../lumatrace', import.meta.url));
const TELL = `process.stdout.write(JSON.stringify({ node: process.execPath, args: process.argv.slice(2), env: process.env }))`;

const root = await mkdtemp(join(tmpdir(), 'lumatrace launcher '));
after(() => rm(root, { recursive: true, force: true }));

let clone: string;
let bin: string;

beforeEach(async () => {
  const place = await mkdtemp(join(root, "it's "));
  clone = join(place, 'a clone');
  bin = join(place, 'bin');
  await mkdir(clone);
  await mkdir(bin);
  await copyFile(LAUNCHER, join(clone, 'lumatrace'));
  await writeFile(join(clone, 'launch.ts'), TELL);
});

interface Told {
  node: string;
  args: string[];
  env: Record<string, string>;
}

async function script(name: string, text: string): Promise<void> {
  await writeFile(join(bin, name), `#!/bin/sh\n${text}\n`);
  await chmod(join(bin, name), 0o755);
}

/** An npm that "installs" a Node by linking ours, after some shell of the test, and notes how it was called. */
async function npmThatWorks(first = ''): Promise<void> {
  await script(
    'npm',
    `${first}
    env >'${join(clone, 'npm.env')}'
    echo called >>'${join(clone, 'npm.calls')}'
    for last; do :; done
    mkdir -p "node_modules/\${last%@*}/bin" && ln -s '${process.execPath}' "node_modules/\${last%@*}/bin/node"`.replaceAll(
      "it's",
      `it'\\''s`,
    ),
  );
}

const oldNode = (): Promise<void> => script('node', 'echo v20.20.2');

async function launch(
  args: readonly string[] = ['up'],
  env: Record<string, string> = {},
  path?: string,
): Promise<Told> {
  const { stdout } = await run('sh', [path ?? join(clone, 'lumatrace'), ...args], {
    cwd: tmpdir(),
    env: { PATH: `${bin}:/usr/bin:/bin`, ...env },
  });
  return JSON.parse(stdout) as Told;
}

test('a Node that is new enough is used, and the arguments arrive as they were given', async () => {
  await script('node', `case "$1" in --version) echo v24.0.0 ;; *) exec '${process.execPath}' "$@" ;; esac`);
  const words = ['up', '--data', 'a b', '', '*', "it's", '$HOME', '--', '-x'];
  const told = await launch(words);
  assert.deepEqual(told.args, words);
  assert.ok(!(await readdir(clone)).includes('.runtime'));
});

test('an old Node is passed by: one is fetched once and used from then on', async () => {
  await oldNode();
  await npmThatWorks();
  assert.deepEqual((await launch()).args, ['up']);
  assert.deepEqual((await launch()).args, ['up']);
  assert.equal(await readFile(join(clone, 'npm.calls'), 'utf8'), 'called\n');
  const left = await readdir(join(clone, '.runtime'));
  assert.equal(left.length, 1, left.join(' '));
});

test('npm settings of the caller do not reach the installation, where packages come from does', async () => {
  await oldNode();
  await npmThatWorks();
  const told = await launch(['up'], {
    npm_config_global: 'true',
    npm_config_prefix: '/nowhere',
    NPM_CONFIG_OMIT: 'optional',
    npm_config_registry: 'https://registry.example',
    npm_config_https_proxy: 'http://proxy.example',
    LUMATRACE_PORT: '4000',
  });
  const seen = await readFile(join(clone, 'npm.env'), 'utf8');
  for (const text of [seen, JSON.stringify(told.env)]) assert.doesNotMatch(text, /config_(global|prefix|omit)/i);
  assert.match(seen, /npm_config_registry=https:\/\/registry\.example/);
  assert.match(seen, /npm_config_https_proxy=http:\/\/proxy\.example/);
  assert.equal(told.env['LUMATRACE_PORT'], '4000');
});

test('it is reached through links, relative ones too, and from any folder', async () => {
  await oldNode();
  await npmThatWorks();
  await symlink(join(clone, 'lumatrace'), join(bin, 'one'));
  await symlink('one', join(bin, 'two'));
  assert.deepEqual((await launch(['up'], {}, join(bin, 'two'))).args, ['up']);
});

test('without npm it says so and ends with 2', async () => {
  await oldNode();
  for (const program of ['sh', 'env', 'sed', 'uname', 'dirname', 'readlink', 'tr', 'mkdir', 'rm', 'mv', 'cat']) {
    await symlink(`/bin/${program}`, join(bin, program));
  }
  const failed = await launch(['up'], { PATH: bin }).catch((error: unknown) => error);
  assert.equal((failed as { code: number }).code, 2);
  assert.match((failed as { stderr: string }).stderr, /^lumatrace: npm is needed and is not on PATH/);
});

test('a fetch that fails shows why, ends with 3, and the next start tries again', async () => {
  await oldNode();
  await script('npm', 'echo "E404 no such thing" >&2; exit 1');
  const failed = await launch().catch((error: unknown) => error);
  assert.equal((failed as { code: number }).code, 3);
  assert.match((failed as { stderr: string }).stderr, /E404 no such thing/);
  await npmThatWorks();
  assert.deepEqual((await launch()).args, ['up']);
});

test('starts at the same time all get a Node, and what a killed fetch left is removed', async () => {
  await oldNode();
  // all wait for each other (5 s at most), so that they rename at the same moment
  await npmThatWorks(`tries=0
    until [ "$(ls -d ../fetch.* | wc -l)" -ge 6 ] || [ $tries -ge 500 ]; do sleep 0.01; tries=$((tries + 1)); done
    sleep 0.1`);
  await mkdir(join(clone, '.runtime', 'fetch.4194303', 'node_modules'), { recursive: true });
  const told = await Promise.all(Array.from({ length: 6 }, () => launch()));
  for (const { args } of told) assert.deepEqual(args, ['up']);
  const left = await readdir(join(clone, '.runtime'));
  assert.equal(left.length, 1, left.join(' '));
  const [runtime = ''] = left;
  assert.deepEqual(await readdir(join(clone, '.runtime', runtime)), ['bin']);
});
