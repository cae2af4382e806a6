// Every history of the truth table gets its row's answer, by API and by command.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { openCast, type Cast } from './cast.fixture.ts';
import { assertAnswer } from './answer.fixture.ts';
import { guide } from './guide.fixture.ts';
import { HISTORIES } from './histories.fixture.ts';

const CLI = fileURLToPath(new URL('../../../../cli/src/main.ts', import.meta.url));
const COMMAND = new URL('../../../../cli/src/commands/verify.ts', import.meta.url).href;
const CLI_LIMIT_MS = 60_000;
const EXIT_AUTHENTIC = 0;
const EXIT_NOT_AUTHENTIC = 1;

let cast: Cast;
let folder: string | undefined;

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'lumatrace-truth-'));
  cast = await openCast();
});

after(async () => {
  await cast?.stage.close();
  if (folder !== undefined) await rm(folder, { recursive: true, force: true });
});

test('the table holds thirty histories and more, each with a name of its own', () => {
  assert.ok(HISTORIES.length >= 30);
  assert.equal(new Set(HISTORIES.map(({ name }) => name)).size, HISTORIES.length);
});

test('each history gets its answer by API and by command', async (context) => {
  const asked: Asked[] = [];
  for (const [at, history] of HISTORIES.entries()) {
    await context.test(`API: ${history.name}`, async () => {
      const { image, photoId } = await history.make(cast);
      const file = join(folder ?? '', `history-${at}`);
      await writeFile(file, image);
      asked.push({ file, photoId });
      assertAnswer(history, await cast.stage.verify(image, photoId));
    });
  }
  assert.equal(asked.length, HISTORIES.length);
  const answers = (await run(['--input-type=module', '--eval', ASK_ALL, COMMAND, JSON.stringify(asked)])).stdout
    .trim()
    .split('\n');
  for (const [at, history] of HISTORIES.entries()) {
    await context.test(`command: ${history.name}`, () => {
      const [answer, code] = [JSON.parse(answers[2 * at] ?? ''), Number(answers[2 * at + 1])];
      assert.equal(code, assertAnswer(history, answer).authentic ? EXIT_AUTHENTIC : EXIT_NOT_AUTHENTIC);
    });
  }
});

for (const [name, expected] of [
  ['a JPEG as it was protected', EXIT_AUTHENTIC],
  ['the manifest cut out', EXIT_NOT_AUTHENTIC],
] as const)
  test(`the command as people type it ends with ${expected} for: ${name}`, async () => {
    const history = HISTORIES.find((row) => row.name === name);
    assert.ok(history);
    const { image, photoId } = await history.make(cast);
    const file = join(folder ?? '', 'one');
    await writeFile(file, image);
    const { code, stdout, stderr } = await run([
      CLI,
      'verify',
      file,
      '--url',
      cast.stage.url,
      '--photo',
      photoId,
      '--json',
    ]);
    assert.equal(code, expected, stderr);
    assertAnswer(history, JSON.parse(stdout));
  });

interface Asked {
  file: string;
  photoId: string;
}

// starting the command once for each of so many files costs half a minute: one process runs it on all of them
const ASK_ALL = `
  const { command } = await import(process.argv[1]);
  for (const { file, photoId } of JSON.parse(process.argv[2]))
    console.log(await command.run({ url: process.env.TRUTH_URL, photo: photoId, json: true }, [file]));`;

function run(args: readonly string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  const env = { ...process.env, LUMATRACE_API_KEY: cast.stage.tenantId, TRUTH_URL: cast.stage.url };
  return new Promise((resolve) => {
    execFile(process.execPath, args, { env, timeout: CLI_LIMIT_MS, maxBuffer: 1 << 24 }, (error, stdout, stderr) =>
      resolve({ code: Number(error?.code ?? 0), stdout, stderr }),
    );
  });
}

test('the guide holds the tables as the code has them', async () => {
  const { present, expected } = await guide();
  assert.equal(present, expected);
});
