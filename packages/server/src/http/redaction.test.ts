// Who may read, try and change the rules over HTTP, and how a bad rule is refused.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { startInstance, type Instance } from '../test/instance.ts';

interface Answer {
  status: number;
  body: { version?: string; code?: string; message?: string; rules?: unknown[]; after?: unknown };
}

let instance: Instance;
before(async () => void (instance = await startInstance()));
after(() => instance.stop());

async function ask(method: string, path: string, key: string, body?: unknown): Promise<Answer> {
  const headers = { authorization: `Bearer ${key}`, 'content-type': 'application/json' };
  const init = body === undefined ? { method, headers } : { method, headers, body: JSON.stringify(body) };
  const answer = await fetch(new URL(path, instance.url), init);
  return { status: answer.status, body: (await answer.json()) as Answer['body'] };
}

async function keyWith(...scopes: string[]): Promise<string> {
  const made = await ask('POST', '/api/keys', instance.firstRun.apiKey, { name: scopes.join(), scopes });
  assert.equal(made.status, 201);
  return (made.body as { apiKey: string }).apiKey;
}

test('an SDK that may only write reads the rules; it neither tries nor changes them', async () => {
  const key = await keyWith('traces:write');
  const { status, body } = await ask('GET', '/api/redaction', key);
  assert.equal(status, 200);
  assert.ok((body.rules ?? []).length > 30);
  assert.equal((await ask('PUT', '/api/redaction', key, { personalData: true, rules: [] })).status, 403);
  assert.equal((await ask('POST', '/api/redaction/try', key, { text: 'x' })).status, 403);
  assert.equal((await ask('GET', '/api/redaction', await keyWith('photos:register'))).status, 403);
});

test('rules that were read can be sent back, and are a new version', async () => {
  const key = instance.firstRun.apiKey;
  const { body: before } = await ask('GET', '/api/redaction', key);
  const changed = await ask('PUT', '/api/redaction', key, { ...before, personalData: true });
  assert.deepEqual([changed.status, changed.body.version], [200, '1']);
  const again = await ask('PUT', '/api/redaction', key, { ...before, personalData: false });
  assert.deepEqual([again.status, again.body.code], [409, 'CONFLICT']);
  const tried = await ask('POST', '/api/redaction/try', key, { text: 'to ada@example.org' });
  assert.equal(tried.body.after, 'to [redacted:email]');
});

test('a rule that cannot run is refused with its reason', async () => {
  const rule = { id: 'own', name: 'Own', source: 'tenant', action: 'mask', enabled: true };
  for (const [pattern, reason] of [
    ['(', /not RE2 syntax/],
    ['a*', /matches the empty text/],
    [undefined, /no pattern/],
  ] as const) {
    const set = { personalData: false, rules: [{ ...rule, pattern }] };
    for (const [method, path, body] of [
      ['PUT', '/api/redaction', set],
      ['POST', '/api/redaction/try', { rules: set, text: 'x' }],
    ] as const) {
      const refused = await ask(method, path, instance.firstRun.apiKey, body);
      assert.deepEqual([refused.status, refused.body.code], [400, 'VALIDATION_FAILED']);
      assert.match(refused.body.message ?? '', reason);
    }
  }
});

test('a trace that is not there cannot be tried', async () => {
  const tried = await ask('POST', '/api/redaction/try', instance.firstRun.apiKey, { traceId: 'f'.repeat(32) });
  assert.equal(tried.status, 404);
  assert.equal((await ask('POST', '/api/redaction/try', instance.firstRun.apiKey, {})).status, 400);
  for (const traceId of ["' or 1=1--", '\u202e', 'undefined', 'f'.repeat(31)]) {
    const refused = await ask('POST', '/api/redaction/try', instance.firstRun.apiKey, { traceId });
    assert.deepEqual([refused.status, refused.body.code], [400, 'VALIDATION_FAILED'], traceId);
  }
});
