// What is published: packed, installed in an empty folder, run as ESM and CommonJS under the machine's older Node against a
// started server, and its declarations compiled.
import assert from 'node:assert/strict';
import { execFile, execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { startInstance, type Instance } from '../../server/src/test/instance.ts';

const ROOT = fileURLToPath(new URL('../../../', import.meta.url));
const run = promisify(execFile);
/** The oldest Node of the machine; where there is only ours, ours. */
const OLDER_NODE = ['/usr/bin/node', '/usr/local/bin/node'].find((path) => existsSync(path)) ?? process.execPath;
const PROGRAM = `
initLumina({ service_name: 'packed' });
const usage = { prompt_tokens: 1000, completion_tokens: 100 };
const choices = [{ index: 0, message: { role: 'assistant', content: 'Paris' }, finish_reason: 'stop' }];
const ask = async () => ({ id: 'chatcmpl-' + process.pid, model: 'gpt-4o', choices, usage });
trace('packed program', async (span) => {
  await traceLLM(ask, { name: 'ask', system: 'openai', prompt: 'The key is ' + ['sk', 'proj', 'Ab3dEf6hIj9kLm2nOp5qRs8tUv1wXy4zAb3dEf6hIj9kLm2n'].join('-') });
  score({ name: 'good', value: 0.5 });
  console.log(process.version, span.spanContext().traceId);
});
`;
const NAMES = 'initLumina, score, trace, traceLLM';

const root = await mkdtemp(join(tmpdir(), 'lumatrace-packed-'));
/** The project that installs the package. */
const folder = join(root, 'user');
let instance: Instance;

before(async () => {
  instance = await startInstance();
  const built = join(root, 'built');
  execFileSync(process.execPath, [join(ROOT, 'packages/sdk/scripts/build.ts'), built], { stdio: 'inherit' });
  execFileSync('npm', ['pack', built, '--pack-destination', root, '--silent'], { stdio: 'ignore' });
  await mkdir(folder);
  await writeFile(join(folder, 'package.json'), '{"name":"user","private":true}');
  const tarball = join(root, 'lumatrace-sdk-0.1.0.tgz');
  const flags = ['--ignore-scripts', '--no-audit', '--no-fund', '--prefer-offline', '--silent'];
  execFileSync('npm', ['install', tarball, ...flags], { cwd: folder, stdio: 'inherit' });
});
after(async () => {
  await instance?.stop();
  await rm(root, { recursive: true, force: true });
});

interface Shown {
  prompt: string;
  response: string;
  cost_usd: string;
  scores: { value: number }[];
  spans: unknown[];
}

for (const [kind, file, first] of [
  ['ESM', 'program.mjs', `import { ${NAMES} } from '@lumatrace/sdk';`],
  ['CommonJS', 'program.cjs', `const { ${NAMES} } = require('@lumatrace/sdk');`],
] as const) {
  test(`the package runs as ${kind} under the machine's Node, and its spans arrive redacted and priced`, async () => {
    await writeFile(join(folder, file), first + PROGRAM);
    const env = {
      PATH: process.env['PATH'],
      LUMATRACE_ENDPOINT: instance.url,
      LUMATRACE_API_KEY: instance.firstRun.apiKey,
    };
    const { stdout, stderr } = await run(OLDER_NODE, [file], { cwd: folder, env });
    assert.equal(stderr, '');
    const traceId = stdout.trim().split(' ')[1];
    const response = await fetch(`${instance.url}/api/traces/${traceId}`, {
      headers: { authorization: `Bearer ${instance.firstRun.apiKey}` },
    });
    const shown = (await response.json()) as Shown;
    assert.equal(shown.spans.length, 2);
    assert.equal(shown.response, 'Paris');
    assert.match(shown.prompt, /^The key is /);
    assert.ok(!JSON.stringify(shown).includes('Ab3dEf6hIj9k'));
    // 1,000 tokens at 2.50 and 100 at 10 dollars per million
    assert.equal(shown.cost_usd, '0.0035');
    assert.equal(shown.scores[0]?.value, 0.5);
  });
}

test('a key in the source is told when the program starts, one from the environment is not', async () => {
  const key = ['lumina', 'test', 'notarealkeyatall0123456789'].join('_');
  const text = `import { initLumina } from '@lumatrace/sdk';\ninitLumina({ api_key: '${key}' });\n`;
  await writeFile(join(folder, 'written.mjs'), text);
  const told = await run(OLDER_NODE, ['written.mjs'], { cwd: folder });
  assert.match(told.stderr, /looks written into the code \(.*written\.mjs:2\)/);
  assert.ok(!told.stderr.includes(key));
  const quiet = await run(OLDER_NODE, ['written.mjs'], { cwd: folder, env: { ...process.env, KEY: key } });
  assert.equal(quiet.stderr, '');
});

test('it depends on OpenTelemetry alone, and says which Node it needs', async () => {
  const text = await readFile(join(folder, 'node_modules/@lumatrace/sdk/package.json'), 'utf8');
  const { dependencies, engines } = JSON.parse(text) as { dependencies: object; engines: { node: string } };
  assert.ok(Object.keys(dependencies).every((name) => name.startsWith('@opentelemetry/')));
  assert.equal(engines.node, '^18.19.0 || >=20.6.0');
});

test('its declarations compile for modules and for CommonJS', async () => {
  const use = `import { ${NAMES}, instrument, photos, Photos, PhotoError, traceImage, withSession, type LuminaOptions } from '@lumatrace/sdk';
const options: LuminaOptions = { api_key: async () => 'x' };
initLumina(options);
const n: number = trace('n', () => 1);
const p: Promise<string> = traceLLM(async (span) => span.spanContext().traceId, { prompt: 'x' });
const d: Date = instrument(new Date());
withSession('s', () => score({ name: 'x', value: true }));
async function draw(): Promise<string> {
  const made = await traceImage({ model: 'm' }, () => new Uint8Array(1));
  const bare = await traceImage({ model: 'm', onFailure: 'return-unprotected' }, () => new Blob([]).stream());
  const id: string | null = bare.state === 'protected' ? bare.photoId : bare.photoId;
  const { authentic } = await new Photos({ max_attempts: 1 }).verify(made.image, made.photoId);
  for await (const { traceId } of photos.all()) if (traceId === made.traceId) return traceId ?? '';
  throw new PhotoError('NOT_FOUND', String(authentic) + id);
}
export { n, p, d, draw };
`;
  await writeFile(join(folder, 'use.mts'), use);
  await writeFile(join(folder, 'use.cts'), use);
  const compiler = join(ROOT, 'node_modules/.bin/tsc');
  const flags = ['--noEmit', '--strict', '--module', 'nodenext', '--target', 'es2022', '--types', 'node'];
  const roots = ['--typeRoots', join(ROOT, 'node_modules/@types')];
  await run(compiler, [...flags, ...roots, 'use.mts', 'use.cts'], { cwd: folder });
});
