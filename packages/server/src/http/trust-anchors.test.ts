// A tenant's own roots: they change its own verdicts and nobody else's, neither another tenant's nor the detector's.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { after, before, test } from 'node:test';
import { promisify } from 'node:util';
import { makeChain, type TestChain } from '@lumatrace/provenance/c2pa/chain.fixture.ts';
import { signImage } from '@lumatrace/provenance/c2pa/sign.ts';
import { operatorChain } from '../keys/fixtures/chain.ts';
import { createTenantAnchors, MOST_TENANT_ANCHORS } from '../keys/tenant-anchors.ts';
import { detectPublicly } from '../photos/detect.ts';
import { testRoom, type TestRoom } from '../photos/fixtures/room.ts';
import { serve, type Served } from '../photos/fixtures/serve.ts';
import { register } from '../photos/register.ts';
import { verify } from '../photos/verify.ts';
import { trustAnchorRoutes } from './trust-anchors.ts';

const signal = new AbortController().signal;
let room: TestRoom;
const installation = async () => ({
  ownAnchorsPem: installed[0],
  trustAnchorsPem: installed.join('\n'),
  timestampAnchorsPem: installed[1],
});
let installed: [string, string];
let served: Served;
let elsewhere: TestChain;
let picture: Uint8Array<ArrayBuffer>;

before(async () => {
  const made = await testRoom();
  installed = [(await operatorChain()).rootPem, (await operatorChain()).rootPem];
  const tenantAnchors = createTenantAnchors({ database: made.database });
  room = { ...made, tenantAnchorsPem: tenantAnchors.pemOf };
  served = await serve(trustAnchorRoutes({ tenantAnchors, installation }));
  elsewhere = await makeChain({ name: 'Elsewhere' });
  ({ bytes: picture } = await signImage({
    bytes: new Uint8Array(await readFile(new URL('../../../../fixtures/photos/sunset.jpg', import.meta.url))),
    format: 'jpeg',
    signer: elsewhere.signer,
    trust: elsewhere.trust,
    photoId: '6b1c5a2e-6f0e-4d3c-9a71-0f5f3f0f1a2b',
    softBinding: { alg: 'org.lumatrace.watermark.1', value: Uint8Array.of(1, 2, 3) },
    signedAt: new Date(),
    generatorVersion: '0.1.0',
  }));
});

after(async () => {
  served.close();
  await room.close();
});

async function ask(
  method: string,
  tenant: string,
  body?: object,
  path = '',
): Promise<{ status: number; body: Answered }> {
  const url = `${served.url}/api/v1/photos/trust-anchors${path}`;
  const headers = { 'x-tenant': tenant, 'content-type': 'application/json' };
  const response = await fetch(url, { method, headers, ...(body && { body: JSON.stringify(body) }) });
  return { status: response.status, body: (await response.json()) as Answered };
}
type Answered = {
  sha256?: string;
  validFrom?: string;
  expiresAt?: string;
  data?: { sha256: string; subject: string }[];
  installation?: { sha256: string; source: string }[];
};

async function credentialsIn(tenantId: string): Promise<string> {
  const caller = { tenantId, actor: 'key:test', requestId: 'test' };
  const request = { contentHash: createHash('sha256').update(randomBytes(8)).digest('hex'), deviceModel: 'x' };
  const answer = await register(room, caller, request, request, null);
  const { photoId } = JSON.parse(Buffer.from(answer).toString()) as { photoId: string };
  const image = { bytes: new Uint8Array(picture) };
  return (await verify(room, caller, image, photoId, signal)).c2paStatus;
}

async function detected(): Promise<string> {
  const { credentials } = await detectPublicly(room as never, { bytes: new Uint8Array(picture) }, signal);
  return credentials.status;
}

test('a root changes the verdicts of its tenant, until it is removed, and nobody else’s', async () => {
  const [ours, theirs] = [await room.newTenant(), await room.newTenant()];
  assert.equal(await credentialsIn(ours), 'INVALID');
  const before_ = await detected();
  const { status, body } = await ask('POST', ours, { certificate: elsewhere.trust.anchorsPem });
  assert.equal(status, 201);
  assert.equal(await credentialsIn(ours), 'VALID');
  assert.equal(await credentialsIn(theirs), 'INVALID');
  assert.equal(await detected(), before_);
  assert.notEqual(before_, 'VALID');
  assert.deepEqual((await ask('GET', theirs)).body.data, []);
  assert.equal((await ask('DELETE', theirs, undefined, `/${body.sha256}`)).status, 404);
  assert.equal((await ask('DELETE', ours, undefined, `/${body.sha256}`)).status, 200);
  assert.equal(await credentialsIn(ours), 'INVALID');
  const { rows } = await room.database.inTenant(ours, (sql) =>
    sql.query<{ action: string }>(`select action from audit where object like 'trust-anchor:%' order by seq`),
  );
  assert.deepEqual(
    rows.map(({ action }) => action),
    ['trust-anchor.add', 'trust-anchor.remove'],
  );
});

test('refused: a leaf, a key, two at once, one that ended, the same again, and more than twenty', async () => {
  const tenant = await room.newTenant();
  const { leafPem, rootPem, keyPem } = await operatorChain();
  for (const certificate of ['x', leafPem, keyPem, `${rootPem}${rootPem}`])
    assert.equal((await ask('POST', tenant, { certificate })).status, 400);
  assert.equal((await ask('POST', tenant, { certificate: rootPem })).status, 201);
  assert.equal((await ask('POST', tenant, { certificate: rootPem })).status, 409);
  for (let count = 1; count < MOST_TENANT_ANCHORS; count++)
    assert.equal((await ask('POST', tenant, { certificate: (await operatorChain()).rootPem })).status, 201);
  assert.equal((await ask('POST', tenant, { certificate: (await operatorChain()).rootPem })).status, 409);
  const late = createTenantAnchors({ database: room.database, nowMs: () => Date.now() + 20 * 365 * 86_400_000 });
  await assert.rejects(
    late.add(tenant, rootPem, 'key:test', async () => undefined),
    { code: 'VALIDATION_FAILED' },
  );
  assert.equal(await late.pemOf(tenant), '', 'and one that has ended is believed no more');
});

const openssl = async (pem: string): Promise<string> => {
  const run = promisify(execFile)('openssl', [
    'x509',
    '-noout',
    '-fingerprint',
    '-sha256',
    '-dates',
    '-dateopt',
    'iso_8601',
  ]);
  run.child.stdin?.end(pem);
  return (await run).stdout;
};

test('a dry run says what openssl says of the certificate, and writes nothing', async () => {
  const tenant = await room.newTenant();
  const certificate = elsewhere.trust.anchorsPem;
  const { status, body } = await ask('POST', tenant, { certificate, dryRun: true });
  assert.equal(status, 200);
  const [, sha256 = '', from = '', to = ''] =
    /Fingerprint=([0-9A-F:]+)\s+notBefore=(.+)\s+notAfter=(.+)/.exec(await openssl(certificate)) ?? [];
  assert.equal(body.sha256, sha256.replaceAll(':', '').toLowerCase());
  assert.deepEqual(
    [body.validFrom, body.expiresAt].map((at) => Date.parse(at ?? '')),
    [from, to].map(Date.parse),
  );
  assert.equal((await ask('POST', tenant, { certificate: 'x', dryRun: true })).status, 400);
  assert.deepEqual((await ask('GET', tenant)).body.data, []);
});

test('the list says what the installation believes, each once about signers and once about time', async () => {
  const { body } = await ask('GET', await room.newTenant());
  assert.deepEqual(
    body.installation?.map(({ source }) => source),
    ['own', 'file', 'time'],
  );
  const [own, file, time] = body.installation ?? [];
  assert.notEqual(own?.sha256, file?.sha256);
  assert.equal(file?.sha256, time?.sha256);
});
