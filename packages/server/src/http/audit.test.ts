// The audit log over HTTP: who may read it, its pages, its export and what the command says of the file.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { openHouse } from '../test/house.ts';

const CLI = fileURLToPath(new URL('../../../cli/src/main.ts', import.meta.url));
const house = await openHouse();
after(() => house.close());
const { ask, firstRun, access, db, dataDir } = house;
const headers = { authorization: `Bearer ${firstRun.apiKey}` };
interface Page {
  data: Array<{ position: number; action: string; object: string }>;
  nextBefore: number | null;
}
const page = async (query = ''): Promise<Page> =>
  (await (await ask('GET', `/api/v1/audit${query}`, { headers })).json()) as Page;
const newKey = (): Promise<Response> =>
  ask('POST', '/api/keys', { headers, body: { name: 'n', scopes: ['audit:read'] } });

test('pages follow each other without a gap, filters narrow them', async () => {
  for (let n = 0; n < 7; n++) assert.equal((await newKey()).status, 201);
  const seen: number[] = [];
  for (let query = '?limit=3'; ;) {
    const { data, nextBefore } = await page(query);
    seen.push(...data.map(({ position }) => position));
    if (nextBefore === null) break;
    query = `?limit=3&before=${nextBefore}`;
  }
  assert.deepEqual(
    seen,
    Array.from({ length: seen.length }, (_, i) => seen.length - i),
  );
  const made = (await page('?action=key.create&outcome=done')).data;
  assert.ok(made.length >= 7 && made.every(({ action }) => action === 'key.create'));
  assert.deepEqual((await page('?to=2001-01-01T00:00:00Z')).data, []);
});

test('a wrong filter is refused, an unknown place gives nothing', async () => {
  for (const query of ['?limit=0', '?limit=201', '?before=x', '?outcome=maybe', '?from=yesterday', '?before=-1']) {
    assert.equal((await ask('GET', `/api/v1/audit${query}`, { headers })).status, 400, query);
  }
});

const statusOf = async (moment: string): Promise<number> =>
  (await ask('GET', `/api/v1/audit?from=${encodeURIComponent(moment)}`, { headers })).status;
const expiring = async (expiresAt: string): Promise<number> =>
  (await ask('POST', '/api/keys', { headers, body: { name: 'n', scopes: ['audit:read'], expiresAt } })).status;

test('moments that only one of parser and database can read are no error of ours', async () => {
  assert.equal(await statusOf('2026-01-01T00:00:00.123456789+23:59'), 200);
  assert.equal(await statusOf('0283-04-29T23:38:56.1+21:25'), 200);
  assert.equal(await statusOf('0000-01-01T00:00:00Z'), 400);
  assert.equal(await statusOf('0001-01-01T00:00:00+14:00'), 400);
  assert.equal(await statusOf('9999-12-31T23:59:59-01:00'), 400);
  assert.equal(await expiring('2100-01-01T00:00:00+23:59'), 201);
  assert.equal(await expiring('9999-12-31T23:59:59-23:59'), 400);
});

test('owners, admins, auditors and security read it; analysts and viewers do not', async () => {
  const { cookie = '' } = await house.adminSession();
  const expected = { owner: 200, admin: 200, auditor: 200, security: 200, analyst: 403, viewer: 403 };
  for (const [role, status] of Object.entries(expected)) {
    await db.database.inTenant(firstRun.tenant.id, (sql) => sql.query('update memberships set role = $1', [role]));
    assert.equal((await ask('GET', '/api/v1/audit', { headers: { cookie } })).status, status, role);
  }
  await db.database.inTenant(firstRun.tenant.id, (sql) => sql.query(`update memberships set role = 'owner'`));
});

async function exported(): Promise<string[]> {
  const response = await ask('GET', '/api/v1/audit/export', { headers });
  assert.equal(response.headers.get('content-type'), 'application/x-ndjson');
  return (await response.text()).trimEnd().split('\n');
}

interface Said {
  code: number;
  text: string;
}

async function said(verb: string, text: string, ...args: string[]): Promise<Said> {
  const file = join(dataDir, 'audit-file');
  await writeFile(file, text);
  return promisify(execFile)(process.execPath, [CLI, 'audit', verb, file, ...args]).then(
    ({ stdout }) => ({ code: 0, text: stdout }),
    ({ code, stdout, stderr }: { code: number; stdout: string; stderr: string }) => ({ code, text: stdout + stderr }),
  );
}

const verdictOf = (lines: readonly string[], ...args: string[]): Promise<Said> =>
  said('verify', `${lines.join('\n')}\n`, ...args);

test('the export holds, offline, and says so', async () => {
  await access.auditLog.checkpoint();
  assert.ok((await newKey()).ok);
  const lines = await exported();
  const publicKey = join(dataDir, 'audit-checkpoints', 'public-key.pem');
  assert.match((await verdictOf(lines, '--key', publicKey)).text, /^The chain holds: \d+ lines, 2 checkpoints/);
  assert.equal((await verdictOf(lines)).code, 0);
  const status = (await (await ask('GET', '/api/v1/audit/verification', { headers })).json()) as { finding: unknown };
  assert.equal(status.finding, null);
  assert.ok((await page('?action=audit.export')).data.length > 0, 'the export itself has a line');
});

test('a file that was changed does not hold: exit code 1 and the place', async () => {
  const lines = await exported();
  const edited = lines.map((line, i) => (i === 3 ? line.replace(/"actor":"[^"]+"/, '"actor":"key:nobody"') : line));
  assert.deepEqual([(await verdictOf(edited)).code], [1]);
  assert.match((await verdictOf(edited)).text, /line 3/);
  assert.equal((await verdictOf(lines.filter((_, i) => i !== 4))).code, 1, 'deleted');
  assert.equal((await verdictOf(lines.slice(0, 5))).code, 1, 'cut');
  assert.equal((await verdictOf([...lines.slice(0, 5), ...lines.slice(-1)])).code, 1, 'cut before the end');
  assert.equal((await verdictOf(['{'])).code, 1);
  assert.equal((await verdictOf([])).code, 1);
});

test('a file signed with another key is refused when the key is given', async () => {
  const other = await openHouse();
  try {
    await other.access.auditLog.checkpoint();
    const verdict = await verdictOf(
      await exported(),
      '--key',
      join(other.dataDir, 'audit-checkpoints', 'public-key.pem'),
    );
    assert.equal(verdict.code, 1);
  } finally {
    await other.close();
  }
});

test('one line is proven to somebody who sees no other, offline, and a changed one is not', async () => {
  const publicKey = join(dataDir, 'audit-checkpoints', 'public-key.pem');
  const made = (await page('?action=key.create')).data[0];
  // newer than every checkpoint: it gets one
  assert.ok((await newKey()).ok);
  const newest = (await page('?limit=1')).data[0];
  for (const { position, object } of [made, newest].filter((line) => line !== undefined)) {
    const response = await ask('GET', `/api/v1/audit/lines/${position}/proof`, { headers });
    assert.equal(response.status, 200);
    const proof = await response.text();
    const { code, text } = await said('verify-line', proof, '--key', publicKey, '--json');
    assert.equal(code, 0, text);
    assert.equal((JSON.parse(text) as { position: number }).position, position);
    assert.equal((await said('verify-line', proof.replace(object, 'key:other'), '--key', publicKey)).code, 1);
    assert.equal((await said('verify', proof)).code, 1);
  }
});

test('a line that is not there, or not a number, has no proof', async () => {
  for (const position of ['0', '-1', '1e3', '999999', 'x', '1.5', '9'.repeat(30)]) {
    const { status } = await ask('GET', `/api/v1/audit/lines/${position}/proof`, { headers });
    assert.equal(status, 404, position);
  }
});

test('checkpoints that were kept elsewhere are taken by the command, and show a log that was put back', async () => {
  const response = await ask('GET', '/api/v1/audit/checkpoints', { headers });
  assert.match(response.headers.get('content-type') ?? '', /^text\/plain/);
  const kept = join(dataDir, 'kept');
  await writeFile(kept, await response.text());
  const lines = await exported();
  assert.match((await verdictOf(lines, '--checkpoints', kept)).text, /holds/);
  const short = lines.filter((line) => ((JSON.parse(line) as { position?: number }).position ?? 0) <= 3);
  const { code, text } = await verdictOf(short, '--checkpoints', kept);
  assert.equal(code, 1);
  assert.match(text, /line 4 \(truncated\)/);
});
