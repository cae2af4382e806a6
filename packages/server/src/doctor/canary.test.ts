// Every secret that a running installation has, looked for where it must not be: logs, answers, command lines, environments.
import assert from 'node:assert/strict';
import { readFile, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { startInstance, type Instance } from '../test/instance.ts';

const METRICS_TOKEN = 'canary-metrics-token-7f1c2b9e4d';
const SENT = 'canary-password-that-somebody-sent';
let instance: Instance;
let secrets: Readonly<Record<string, string>>;
let answers = '';

before(async () => {
  const env = { LUMATRACE_LOG_LEVEL: 'trace', LUMATRACE_TLS: 'off', LUMATRACE_METRICS_TOKEN: METRICS_TOKEN };
  instance = await startInstance({ env });
  const { apiKey, admin, serviceAccount } = instance.firstRun;
  const kek = (await readFile(join(instance.dataDir, 'kek'), 'utf8')).trim();
  secrets = {
    kek,
    'kek in base64': Buffer.from(kek, 'hex').toString('base64'),
    apiKey,
    'admin password': admin.password,
    'service password': serviceAccount.password,
    'metrics token': METRICS_TOKEN,
    'a wrong password': SENT,
  };
});
after(() => instance?.stop());

/** Names of secrets in a text. */
function foundIn(text: string): string[] {
  return Object.entries(secrets).flatMap(([name, secret]) => (text.includes(secret) ? [name] : []));
}

async function ask(path: string, init: RequestInit = {}): Promise<Response> {
  const response = await fetch(`${instance.url}${path}`, init);
  answers += JSON.stringify([...response.headers]) + (await response.clone().text());
  return response;
}

const asJson = (body: unknown): RequestInit => ({
  method: 'POST',
  headers: { 'content-type': 'application/json' },
  body: typeof body === 'string' ? body : JSON.stringify(body),
});

/** This process's descendants, by number. */
async function descendants(of: number): Promise<number[]> {
  const parents = new Map<number, number>();
  for (const name of await readdir('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    const status = await readFile(`/proc/${name}/status`, 'utf8').catch(() => '');
    parents.set(Number(name), Number(/^PPid:\t(\d+)/m.exec(status)?.[1]));
  }
  const under = (pid: number): number[] =>
    [...parents].filter(([, parent]) => parent === pid).flatMap(([child]) => [child, ...under(child)]);
  return under(of);
}

test('the search itself finds a secret', () => {
  assert.deepEqual(foundIn(`x${METRICS_TOKEN}y`), ['metrics token']);
});

test('no secret is in a log line or an answer, whatever was sent wrongly', async () => {
  const { apiKey, admin } = instance.firstRun;
  const asKey = { authorization: `Bearer ${apiKey}` };
  assert.equal((await ask('/api/traces', { headers: asKey })).status, 200);
  await ask('/api/traces?limit=nonsense', { headers: asKey });
  await ask(`/api/traces?api_key=${apiKey}`);
  await ask(`/${apiKey}`);
  await ask('/api/traces', { headers: { 'x-api-key': `${apiKey}x` } });
  await ask('/metrics', { headers: { authorization: `Bearer ${METRICS_TOKEN}` } });
  assert.equal((await ask('/auth/login', asJson({ email: admin.email, password: SENT }))).status, 401);
  assert.equal((await ask('/auth/login', asJson({ email: admin.email, password: admin.password }))).status, 200);
  await ask('/auth/login', asJson({ email: 7, password: SENT }));
  await ask('/auth/login', asJson(`{"password": "${SENT}"`));
  await ask('/v1/traces', { ...asJson(`{"${SENT}"`), headers: { ...asKey, 'content-type': 'application/json' } });
  assert.match(instance.output(), /"msg":"request"/, 'nothing was logged');
  assert.deepEqual(foundIn(answers), []);
  // the first start shows no secret either, only where it is
  assert.deepEqual(foundIn(instance.output()), []);
});

test('no secret is in a command line, and none in the environment of a child', async () => {
  const self = instance.process.pid ?? 0;
  const children = await descendants(self);
  assert.ok(children.length >= 2, 'Expected the signer and PostgreSQL below the process');
  for (const pid of [self, ...children]) {
    const commandLine = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '');
    assert.deepEqual(foundIn(commandLine), [], commandLine);
  }
  let read = 0;
  for (const pid of children) {
    const environment = await readFile(`/proc/${pid}/environ`, 'utf8').catch(() => '');
    const commandLine = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '');
    read += environment.length;
    assert.deepEqual(foundIn(environment), [], commandLine.replaceAll('\0', ' '));
  }
  assert.ok(read > 0, 'no environment could be read');
});
