// The command `tenants` from end to end: list, erase with the name, the certificate, and checking it without a database.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, mock, test } from 'node:test';
import { checkpointKey, publicPem } from './access/audit-checkpoint.ts';
import { createErasures } from './access/erasure.ts';
import { readInvocation, UsageError } from './config.ts';
import { createInstallationKeys } from './keys/installation-keys.ts';
import { kekFromBytes } from './keys/kek.ts';
import { createTenantKeys } from './keys/tenant-keys.ts';
import { testRoom } from './ingest/fixtures/room.ts';
import { tenantsCommand } from './tenants-command.ts';

const kekBytes = randomBytes(32);
const kek = kekFromBytes(kekBytes);
const room = await testRoom({ kek });
const { database } = room.db;
const folder = await mkdtemp(join(tmpdir(), 'lumatrace-tenants-'));
await writeFile(join(folder, 'kek'), `${kekBytes.toString('hex')}\n`, { mode: 0o400 });
after(async () => {
  await room.close();
  await rm(folder, { recursive: true, force: true });
});

interface Ran {
  code: number;
  out: string;
}

/** As main.ts runs it, without the second that a process takes to start. */
async function run(...words: string[]): Promise<Ran> {
  const said = mock.method(process.stdout, 'write', () => true);
  try {
    const invocation = readInvocation(['tenants', ...words, '--data', folder], { DATABASE_URL: room.db.url.owner });
    const code = await tenantsCommand(invocation);
    return { code, out: said.mock.calls.map(({ arguments: [text] }) => String(text)).join('') };
  } finally {
    said.mock.restore();
  }
}
const refused = (code: string, ...words: string[]): Promise<void> => assert.rejects(run(...words), { code });
const misused = (...words: string[]): Promise<void> => assert.rejects(run(...words), UsageError);

test('a tenant is listed, erased by its name, and its certificate holds offline until a byte is changed', async () => {
  const tenantId = await room.newTenant();
  await room.tenantKeys.forTenant(tenantId);
  assert.match((await run('list')).out, new RegExp(`^${tenantId}  .*  Test$`, 'm'));
  await misused('erase', tenantId);
  await refused('VALIDATION_FAILED', 'erase', tenantId, '--name', 'Tset');
  assert.equal((await run('erase', tenantId, '--name', 'Test')).code, 0);
  await assert.rejects(createTenantKeys({ database, kek }).forTenant(tenantId), { code: 'TENANT_RESTRICTED' });
  // what the running program does two minutes later
  const seed = (await createInstallationKeys({ database, kek }).secret('audit-checkpoint')).secret;
  const signingKey = checkpointKey(seed);
  await createErasures({ database, signingKey, forget: () => {}, settledMs: 0 }).work(new AbortController().signal);
  const certificate = await run('certificate', tenantId);
  assert.equal(certificate.code, 0);
  const [file, key, forged] = ['erased', 'key.pem', 'forged'].map((name) => join(folder, name)) as [
    string,
    string,
    string,
  ];
  await writeFile(file, certificate.out);
  await writeFile(key, publicPem(signingKey));
  await writeFile(forged, certificate.out.replace('"tenantId":"', '"tenantId": "'));
  const held = await run('verify', file, '--key', key);
  assert.deepEqual([held.code, held.out.includes(`tenant ${tenantId}`)], [0, true]);
  assert.equal((await run('verify', forged, '--key', key)).code, 1);
  await assert.rejects(run('verify', file, '--key', file), /holds no Ed25519 public key/);
});

test('wrong use is told', async () => {
  for (const words of [[], ['erase'], ['list', 'more'], ['erase', 'not-an-id', '--name', 'x'], ['bake', 'cake']])
    await misused(...words);
});
