// Stamps from our own authority and from one elsewhere (a real HTTP server, `openssl ts` behind it): what a photograph
// gets, what happens when there is none to be had, and that old signatures stay good.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createHash, randomBytes, X509Certificate } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { certificatesOf } from '@lumatrace/provenance/c2pa/anchors.ts';
import { makeAuthority, type TestAuthority } from '@lumatrace/provenance/timestamp/authority.fixture.ts';
import { answerTimestampRequest } from '@lumatrace/provenance/timestamp/reply.ts';
import { verifyTimestampToken } from '@lumatrace/provenance/timestamp/verify.ts';
import { createEgress } from '../egress/egress.ts';
import { createPhotoCredentials, type PhotoCredentials } from '../keys/photo-credentials.ts';
import { SignerProcess } from '../keys/signer/client.ts';
import { wrappingKeyFrom } from '../keys/signer/protocol.ts';
import { testDatabase, type TestDatabase } from '../test/harness.ts';
import { createOwnAuthority, OWN_POLICY, type OwnAuthority } from './authority.ts';
import { createTimestampClient } from './client.ts';
import { createTimestamps, type Timestamps } from './timestamps.ts';

const DAY_MS = 86_400_000;
const digest = createHash('sha256').update('a signature').digest();
const folder = mkdtempSync(join(tmpdir(), 'lumatrace-time-'));
const at = (name: string): string => join(folder, name);
let db: TestDatabase;
let signer: SignerProcess;
let nowMs = Date.now();

before(async () => {
  db = await testDatabase();
  signer = await SignerProcess.start({ wrappingKey: wrappingKeyFrom(randomBytes(32)), directory: at('run') });
});
after(async () => {
  await signer.close();
  await db.close();
  rmSync(folder, { recursive: true });
});

const openssl = (...args: string[]): string =>
  execFileSync('openssl', args, { cwd: folder, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });

const credentialsNow = (): PhotoCredentials =>
  createPhotoCredentials({
    database: db.database,
    signer,
    recoveryKitDir: at('recovery-kit'),
    organization: 'Test',
    softBindingAlg: 'org.lumatrace.watermark.1',
    nowMs: () => nowMs,
  });
const authority = (): OwnAuthority =>
  createOwnAuthority({ database: db.database, signer, organization: 'Test', nowMs: () => nowMs });

async function ours(): Promise<Timestamps> {
  const credentials = credentialsNow();
  await credentials.renew();
  const ownAnchorsPem = async (): Promise<string> => (await credentials.manifest()).trustAnchorsPem;
  const timestamps = createTimestamps({
    source: { own: authority() },
    ownAnchorsPem,
    nowMs: () => nowMs,
  });
  await timestamps.renew();
  return timestamps;
}

test('our own authority stamps under the root of the installation, and several starts make one key', async () => {
  const { stamper, anchorsPem } = await ours();
  assert.ok(stamper);
  const token = await stamper.stamp(digest);
  assert.ok(token.length <= (await stamper.maxTokenBytes()));
  const anchorsDer = [new X509Certificate(await anchorsPem()).raw];
  const verdict = verifyTimestampToken(token, { digest, anchorsDer, nowMs, policy: OWN_POLICY });
  assert.ok(verdict.ok, JSON.stringify(verdict));
  assert.match(verdict.timestamp.authority, /CN=LumaTrace Time Stamping/);
  await Promise.all([authority(), authority(), authority()].map((each) => each.renew()));
  const { rows } = await db.database.inSystem((sql) =>
    sql.query<{ n: string }>("select count(*) as n from photo_keys where purpose = 'time-stamping'"),
  );
  assert.equal(Number(rows[0]?.n), 1);
});

test('openssl verifies an answer of our own authority', async () => {
  const { anchorsPem } = await ours();
  writeFileSync(at('root.pem'), await anchorsPem());
  writeFileSync(at('data'), 'a signature');
  openssl('ts', '-query', '-data', 'data', '-sha256', '-cert', '-out', 'q.tsq');
  writeFileSync(at('r.tsr'), await authority().answer(readFileSync(at('q.tsq'))));
  assert.match(openssl('ts', '-verify', '-queryfile', 'q.tsq', '-in', 'r.tsr', '-CAfile', 'root.pem'), /OK/);
});

test('its key is renewed before its certificate ends, and what the old one stamped stays good', async () => {
  const first = await ours();
  const old = await first.stamper!.stamp(digest);
  nowMs += 340 * DAY_MS;
  const later = await ours();
  const fresh = await later.stamper!.stamp(digest);
  const anchorsDer = [...(await later.anchorsPem()).matchAll(/-----BEGIN[^-]+-----[^-]+-----END[^-]+-----/g)].map(
    ([pem]) => new X509Certificate(pem).raw,
  );
  for (const token of [old, fresh]) assert.equal(verifyTimestampToken(token, { digest, anchorsDer, nowMs }).ok, true);
  const { rows } = await db.database.inSystem((sql) =>
    sql.query<{ n: string }>("select count(*) as n from photo_keys where purpose = 'time-stamping'"),
  );
  assert.equal(Number(rows[0]?.n), 2);
});

test('a revoked issuing CA takes the certificate of the authority with it', async () => {
  const before = await ours();
  const old = await before.stamper!.stamp(digest);
  await db.database.inSystem((sql) =>
    sql.query("update photo_keys set revoked_at = $1 where purpose = 'issuing-ca'", [new Date(nowMs)]),
  );
  await credentialsNow().renew();
  nowMs += 6_000;
  const after = before;
  const fresh = await after.stamper!.stamp(digest);
  const { rows } = await db.database.inSystem((sql) =>
    sql.query<{ pem: string }>('select certificate_pem as pem from photo_keys where revoked_at is not null'),
  );
  const revoked = new Set(
    rows.map(({ pem }) => createHash('sha256').update(new X509Certificate(pem).raw).digest('hex')),
  );
  const anchorsDer = certificatesOf(await after.anchorsPem()).map(({ raw }) => raw);
  const accepted = [old, fresh].map((token) => verifyTimestampToken(token, { digest, anchorsDer, revoked, nowMs }).ok);
  assert.deepEqual(accepted, [false, true]);
});

interface Elsewhere {
  server: Server;
  url: string;
  behave: (request: Uint8Array) => Promise<{ status?: number; type?: string; body: Uint8Array }>;
}

async function elsewhere(peer: TestAuthority): Promise<Elsewhere> {
  const stamp = (request: Uint8Array): Promise<Uint8Array> =>
    answerTimestampRequest(request, peer.authority, { now: new Date(), serialNumber: randomBytes(16) });
  const one: Elsewhere = {
    server: createServer(),
    url: '',
    behave: async (request) => ({ body: await stamp(request) }),
  };
  one.server.on('request', async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk);
    assert.equal(request.headers['content-type'], 'application/timestamp-query');
    const { status = 200, type = 'application/timestamp-reply', body } = await one.behave(Buffer.concat(chunks));
    response.writeHead(status, { 'content-type': type }).end(body);
  });
  await new Promise<void>((done) => one.server.listen(0, '127.0.0.1', done));
  one.url = `http://127.0.0.1:${(one.server.address() as { port: number }).port}/`;
  return one;
}

const stampsOf = (url: string, peer: TestAuthority, allow = [new URL(url).host]): Timestamps =>
  createTimestamps({
    source: { ask: createTimestampClient(url, createEgress({ allow })) },
    ownAnchorsPem: async () => '',
    furtherAnchorsPem: async () => peer.rootPem,
  });

test('an authority elsewhere is asked by HTTP, and only believed when its answer checks out', async () => {
  const peer = await makeAuthority();
  const there = await elsewhere(peer);
  const { stamper } = stampsOf(there.url, peer);
  assert.ok((await stamper!.stamp(digest)).length <= (await stamper!.maxTokenBytes()));
  const good = there.behave;
  const kept = (await good(await requestOver(digest))).body;
  const stranger = await makeAuthority();
  const wrong: Record<string, Elsewhere['behave']> = {
    'an error': async () => ({ status: 500, body: Buffer.from('no') }),
    'a page': async (request) => ({ ...(await good(request)), type: 'text/html' }),
    'a redirect': async () => ({ status: 302, body: Buffer.alloc(0) }),
    'an old answer': async () => ({ body: kept }),
    'an endless answer': async () => ({ body: Buffer.alloc(1_000_000) }),
    nothing: async () => ({ body: Buffer.alloc(0) }),
    "a stranger's answer": async (request) => ({
      body: await answerTimestampRequest(request, stranger.authority, {
        now: new Date(),
        serialNumber: randomBytes(8),
      }),
    }),
    'a time of an hour ago in the future': async (request) => ({
      body: await answerTimestampRequest(request, peer.authority, {
        now: new Date(Date.now() + 3_600_000),
        serialNumber: randomBytes(8),
      }),
    }),
  };
  for (const [what, behave] of Object.entries(wrong)) {
    there.behave = behave;
    await assert.rejects(stamper!.stamp(digest), { code: 'UNAVAILABLE' }, what);
  }
  there.server.close();
  there.server.closeAllConnections();
  await assert.rejects(stamper!.stamp(digest), { code: 'UNAVAILABLE' });
});

async function requestOver(digestOf: Uint8Array): Promise<Uint8Array> {
  const { encodeTimestampRequest } = await import('@lumatrace/provenance/timestamp/request.ts');
  return encodeTimestampRequest({ digest: digestOf, nonce: randomBytes(16) });
}

test('an authority on a private address is not asked unless it is allowed', async () => {
  const peer = await makeAuthority();
  const there = await elsewhere(peer);
  const { stamper } = stampsOf(there.url, peer, []);
  await assert.rejects(stamper!.maxTokenBytes(), { code: 'UNAVAILABLE' });
  there.server.close();
});
