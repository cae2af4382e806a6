// `node emitters/capture.ts [NAME…]`: runs the emitters and writes what they sent to fixtures/otlp/emitters.
// Bodies are written as they were sent, after undoing the content encoding; JSON is indented for the reader.
import { realpathSync } from 'node:fs';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { EMITTERS, HERE, type Emitter } from './emitters.ts';
import { runEmitter, type Sent } from './run.ts';

const FIXTURES = fileURLToPath(new URL('../fixtures/otlp/emitters/', import.meta.url));

async function capture(emitter: Emitter): Promise<void> {
  const sent = await runEmitter(emitter);
  const folder = `${FIXTURES}${emitter.name}/`;
  await rm(folder, { recursive: true, force: true });
  await mkdir(folder, { recursive: true });
  for (const [name, each] of named(sent)) {
    const { contentType } = each.recorded;
    const body = withoutPaths(each.recorded.body);
    const isJson = contentType.includes('json');
    const text = isJson ? `${JSON.stringify(JSON.parse(body.toString('utf8')), null, 2)}\n` : body;
    await writeFile(`${folder}${name}.${isJson ? 'json' : 'pb'}`, text);
    await writeFile(`${folder}${name}.truth.json`, `${JSON.stringify(each.truth, null, 2)}\n`);
  }
  const bytes = sent.reduce((sum, { recorded }) => sum + recorded.body.length, 0);
  const silent = emitter.cases.filter((name) => !sent.some(({ truth }) => truth.case === name));
  const note = silent.length === 0 ? '' : `; nothing for ${silent.join(', ')}`;
  process.stdout.write(`${emitter.name}: ${sent.length} requests, ${bytes} bytes${note}\n`);
}

/**
 * Stack traces of failures name files of the machine. Each of its folders is overwritten by a name of equal length, so
 * that every length prefix of a protobuf body stays true; nothing else of a body is touched.
 */
function withoutPaths(body: Buffer): Buffer {
  let text = body.toString('latin1');
  for (const [path, stem] of MACHINE_PATHS) {
    const neutral = stem.padEnd(path.length, '-').slice(0, path.length);
    text = text.replaceAll(path, neutral);
  }
  return Buffer.from(text, 'latin1');
}

const MACHINE_PATHS: readonly [path: string, stem: string][] = [
  [HERE.replace(/\/$/, ''), '/srv/weather-app'],
  [realpathSync(`${HERE}python/current/venv`), '/srv/venv'],
  [realpathSync(`${HERE}python/older/venv`), '/srv/venv'],
  [realpathSync(`${HERE}python/pydantic/venv`), '/srv/venv'],
  [dirname(process.execPath), '/usr/bin'],
  [homedir(), '/home/app'],
];

/** `CASE` for the traces, `CASE.logs` and `CASE.metrics` for the others; `-2` and so on when there are several. */
function named(sent: readonly Sent[]): [string, Sent][] {
  const seen = new Map<string, number>();
  return sent.map((each) => {
    const { case: caseName, signal } = each.truth;
    const base = signal === 'traces' ? caseName : `${caseName}.${signal}`;
    const count = (seen.get(base) ?? 0) + 1;
    seen.set(base, count);
    return [count === 1 ? base : `${base}-${count}`, each];
  });
}

const wanted = process.argv.slice(2);
const chosen = EMITTERS.filter(({ name }) => wanted.length === 0 || wanted.some((part) => name.startsWith(part)));
let failed = 0;
for (const emitter of chosen) {
  try {
    await capture(emitter);
  } catch (error) {
    failed += 1;
    process.stderr.write(`${emitter.name}: ${error instanceof Error ? error.message : String(error)}\n`);
  }
}
process.exitCode = failed === 0 && chosen.length > 0 ? 0 : 1;
