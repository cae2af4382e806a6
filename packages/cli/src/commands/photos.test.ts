// protect, verify and inspect as their user runs them: a process, files, pipes and exit codes, against a started installation.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { copyFile, mkdir, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { extractManifest } from '@lumatrace/provenance/c2pa/embed.ts';
import { shrinkToJpeg } from '@lumatrace/provenance/codec/alter.ts';
import { startInstance, type Instance } from '../../../server/src/test/instance.ts';

const MAIN = fileURLToPath(new URL('../main.ts', import.meta.url));
const PHOTOS = fileURLToPath(new URL('../../../../fixtures/photos/', import.meta.url));

let instance: Instance;
let folder: string;

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'lumatrace-cli-'));
  instance = await startInstance();
});
after(async () => {
  await instance.stop();
  await rm(folder, { recursive: true, force: true });
});

interface Ran {
  code: number | null;
  stdout: Buffer;
  stderr: string;
}

function run(args: readonly string[], input?: Uint8Array, key = instance.firstRun.apiKey): Promise<Ran> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [MAIN, ...args], {
      env: { PATH: process.env['PATH'], LUMATRACE_API_KEY: key },
      stdio: ['pipe', 'pipe', 'pipe'],
    });
    const [stdout, stderr]: [Buffer[], Buffer[]] = [[], []];
    child.stdout.on('data', (chunk: Buffer) => stdout.push(chunk));
    child.stderr.on('data', (chunk: Buffer) => stderr.push(chunk));
    child.on('error', reject);
    child.on('close', (code) =>
      resolve({ code, stdout: Buffer.concat(stdout), stderr: Buffer.concat(stderr).toString() }),
    );
    child.stdin.on('error', () => {});
    child.stdin.end(input);
  });
}

const at = (name: string): string => join(folder, name);
const url = (): string[] => ['--url', instance.url];

test('a folder is protected with its structure, once, and goes on where it was cut off', async () => {
  await mkdir(at('in/deep'), { recursive: true });
  await copyFile(`${PHOTOS}dandelion.jpg`, at('in/one.jpg'));
  await copyFile(`${PHOTOS}fig-bowl.jpg`, at('in/deep/two.jpg'));
  await writeFile(at('in/notes.txt'), 'not a picture');
  await writeFile(at('in/broken.jpg'), 'not a picture either');
  const args = ['protect', at('in'), '--out', at('out'), ...url(), '--sidecar', '--title', 'Still life', '--jobs', '2'];
  const first = await run(args);
  assert.equal(first.code, 1, first.stderr);
  assert.match(first.stdout.toString(), /2 protected, 0 done before, 1 not protected/);
  assert.match(first.stderr, /not protected: .*broken\.jpg/);
  const [one, two] = [await readFile(at('out/one.jpg')), await readFile(at('out/deep/two.jpg'))];
  assert.ok(one.includes('Still life') && two.includes('Still life'));
  const store = extractManifest(two, 'jpeg')?.store ?? new Uint8Array();
  assert.deepEqual(new Uint8Array(await readFile(at('out/deep/two.jpg.c2pa'))), new Uint8Array(store));
  await rm(at('in/broken.jpg'));
  const again = await run(args);
  assert.equal(again.code, 0, again.stderr);
  assert.match(again.stdout.toString(), /0 protected, 2 done before, 0 not protected/);
  // a file that was cut is written again, and it is the same photo
  await writeFile(at('out/one.jpg'), one.subarray(0, 1_000));
  const mended = await run(args);
  assert.match(mended.stdout.toString(), /1 protected, 1 done before/);
  assert.ok((await readFile(at('out/one.jpg'))).equals(one));
  // the same folder by another name is the same folder, and a change that keeps the size is seen
  const changed = Buffer.from(one);
  changed.fill(0, 900, 950);
  await writeFile(at('out/one.jpg'), changed);
  const elsewhere = await run(args.map((arg) => (arg === at('out') ? `${at('in')}/../out` : arg)));
  assert.match(elsewhere.stdout.toString(), /1 protected, 1 done before/);
  assert.ok((await readFile(at('out/one.jpg'))).equals(one));
});

test('an installation that is not there, or does not know the key, is told once and ends the run', async () => {
  const dead = await run(['protect', at('in'), '--out', at('dead'), '--url', 'http://127.0.0.1:9']);
  assert.deepEqual([dead.code, dead.stderr.split('\n').length], [3, 2], dead.stderr);
  const stranger = await run(['protect', at('in'), '--out', at('dead'), ...url()], undefined, 'lumina_live_wrong');
  assert.equal(stranger.code, 3, stranger.stderr);
});

test('verify finds the photo by itself, by its credentials or by its watermark, and says no to others', async () => {
  const whole = await run(['verify', at('out/one.jpg'), ...url()]);
  assert.equal(whole.code, 0, whole.stdout.toString() + whole.stderr);
  assert.match(whole.stdout.toString(), /^Authentic/);
  await writeFile(at('copy.jpg'), await shrinkToJpeg(await readFile(at('out/one.jpg')), 1_000, 75));
  const copy = await run(['verify', at('copy.jpg'), ...url(), '--json']);
  assert.equal(copy.code, 1);
  const answer = JSON.parse(copy.stdout.toString()) as Record<string, unknown>;
  assert.deepEqual(
    [answer['authentic'], answer['watermarkStatus'], answer['c2paStatus'], answer['tamperClass']],
    [false, 'DETECTED', 'MISSING', 'RESIZE'],
  );
  const stranger = await run(['verify', `${PHOTOS}sunset.jpg`, ...url()]);
  assert.equal(stranger.code, 1);
  assert.match(stranger.stdout.toString(), /neither credentials nor watermark/);
});

test('offline the credentials alone are checked, and valid ones leave the question open', async () => {
  const anchors = await fetch(`${instance.url}/c2pa/trust-anchors`);
  await writeFile(at('roots.pem'), await anchors.text());
  const trusted = await run(['verify', at('out/one.jpg'), '--offline', '--trust', at('roots.pem')]);
  assert.equal(trusted.code, 3, trusted.stderr);
  assert.match(trusted.stdout.toString(), /VALID: intact/);
  assert.equal((await run(['verify', at('out/one.jpg'), '--offline'])).code, 1, 'nobody is trusted without roots');
  assert.equal((await run(['verify', at('copy.jpg'), '--offline', '--trust', at('roots.pem')])).code, 3);
  const cut = (await readFile(at('out/one.jpg'))).subarray(0, 60_000);
  await writeFile(at('cut.jpg'), cut);
  assert.equal((await run(['verify', at('cut.jpg'), '--offline', '--trust', at('roots.pem')])).code, 1);
  assert.equal((await run(['verify', at('out/one.jpg'), '--url', 'http://127.0.0.1:9'])).code, 3);
});

test('inspect shows the whole manifest store, and nothing of a file reaches the terminal as it is', async () => {
  const seen = await run(['inspect', at('out/one.jpg'), '--json', '--trust', at('roots.pem')]);
  assert.equal(seen.code, 0, seen.stderr);
  const shown = JSON.parse(seen.stdout.toString()) as { c2paStatus: string; manifestStore: { manifests: object } };
  assert.equal(shown.c2paStatus, 'VALID');
  assert.equal(Object.keys(shown.manifestStore.manifests).length, 1);
  const words = await run(['inspect', at('out/one.jpg')]);
  assert.match(words.stdout.toString(), /made with +LumaTrace/);
  assert.match(words.stdout.toString(), /certificate +.*CN=LumaTrace C2PA Signer, \d{4}-\d\d-\d\d to/);
  assert.match(words.stdout.toString(), /leads to +nobody who is trusted here/);
  const hostile = '\u001b]8;;http://evil\u0007click\u001b]8;;\u0007\u202egnp';
  const made = await run(['protect', '-', ...url(), '--title', hostile], await readFile(`${PHOTOS}sunset.jpg`));
  const cleaned = await run(['inspect', '-'], made.stdout);
  assert.match(cleaned.stdout.toString(), /click/);
  for (const control of ['\u001b', '\u0007', '\u202e']) assert.ok(!cleaned.stdout.toString().includes(control));
  const [none, wrong, absent] = await Promise.all([
    run(['inspect', `${PHOTOS}sunset.jpg`]),
    run(['inspect']),
    run(['inspect', at('nothing.jpg')]),
  ]);
  assert.deepEqual([none.code, wrong.code, absent.code], [1, 2, 3]);
});

test('inspect shows the store of a file that was changed after it was signed, and says what it is worth', async () => {
  const changed = await readFile(at('out/one.jpg'));
  changed.fill(0x55, changed.length - 4_000, changed.length - 3_900);
  const { code, stdout } = await run(['inspect', '-', '--json', '--trust', at('roots.pem')], changed);
  const shown = JSON.parse(stdout.toString()) as {
    c2paStatus: string;
    manifestStore: { manifests: object } | null;
    credentials: { manifests: { claimGenerator: string; trustedBy: string | null }[] } | null;
  };
  assert.deepEqual([code, shown.c2paStatus], [1, 'TAMPERED']);
  assert.equal(Object.keys(shown.manifestStore?.manifests ?? {}).length, 1);
  assert.match(shown.credentials?.manifests[0]?.claimGenerator ?? '', /^LumaTrace /);
  assert.match(shown.credentials?.manifests[0]?.trustedBy ?? '', /LumaTrace Root/);
});

test('standard input and output: a pipe protects, a pipe verifies', async () => {
  const made = await run(['protect', '-', ...url()], await readFile(`${PHOTOS}sunset.jpg`));
  assert.equal(made.code, 0, made.stderr);
  assert.match(made.stderr, /^photo [0-9a-f-]{36}\n$/);
  assert.equal((await run(['verify', '-', ...url()], made.stdout)).code, 0);
  assert.equal((await run(['inspect', '-'], made.stdout)).code, 0);
});

test('what cannot be done is said: a wrong key, wrong options, two files of one name', async () => {
  const file = at('out/one.jpg');
  const before = (await stat(file)).mtimeMs;
  assert.equal((await run(['verify', file, ...url()], undefined, 'lumina_live_wrong')).code, 3);
  assert.equal((await run(['protect', file, '--out', at('out'), ...url()])).code, 2, 'it would overwrite itself');
  assert.equal((await run(['protect', file, '--out', at('o'), '--strength', '7', ...url()])).code, 2);
  assert.equal((await run(['protect', file, at('in/one.jpg'), '--out', at('o'), ...url()])).code, 2);
  assert.equal((await run(['protect', at('empty'), '--out', at('o'), ...url()])).code, 3);
  assert.equal((await stat(file)).mtimeMs, before);
});

test('a generated picture is disclosed by profile, inspect shows it, and a missing fact is told before anything is sent', async () => {
  const picture = await readFile(`${PHOTOS}dandelion.jpg`);
  const facts = ['--profile', 'ca-sb-942', '--provider', 'Example AI', '--system', 'example-image'];
  const without = await run(['protect', '-', ...url(), ...facts], picture);
  assert.equal(without.code, 2);
  assert.match(without.stderr, /Expected --system-version with --profile ca-sb-942/);
  const alone = await run(['protect', '-', ...url(), '--system', 'example-image'], picture);
  assert.match(alone.stderr, /Expected --profile beside/);
  const made = await run(['protect', '-', ...url(), ...facts, '--system-version', '2.1'], picture);
  assert.equal(made.code, 0, made.stderr);
  const { stdout } = await run(['inspect', '-', '--json'], made.stdout);
  for (const said of ['ca-sb-942', 'Example AI', 'example-image', '2.1', 'trainedAlgorithmicMedia'])
    assert.ok(stdout.toString().includes(said), said);
});
