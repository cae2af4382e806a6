// Our own authority's answers are right for `openssl ts`, for our verifier, and in what they refuse.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createHash, randomBytes, X509Certificate } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { makeAuthority, TIMESTAMP_POLICY, type AuthorityOptions, type TestAuthority } from './authority.fixture.ts';
import { answerTimestampRequest } from './reply.ts';
import { encodeTimestampRequest } from './request.ts';
import { verifyTimestampResponse, verifyTimestampToken } from './verify.ts';

const folder = mkdtempSync(join(tmpdir(), 'lumatrace-stamp-'));
after(() => rmSync(folder, { recursive: true }));
const at = (name: string): string => join(folder, name);
const digest = createHash('sha256').update('a signature').digest();
const HOUR_MS = 3_600_000;
let peer: TestAuthority;
before(async () => void (peer = await makeAuthority()));

const answered = (request: Uint8Array): Promise<Uint8Array> =>
  answerTimestampRequest(request, peer.authority, { now: new Date(), serialNumber: randomBytes(16) });

function openssl(...args: string[]): string {
  return execFileSync('openssl', args, { cwd: folder, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
}

test('openssl verifies what the authority answers to our request and to its own', async () => {
  writeFileSync(at('root.pem'), peer.rootPem);
  writeFileSync(at('data'), 'a signature');
  for (let i = 0; i < 8; i++) {
    writeFileSync(at('ours.tsq'), encodeTimestampRequest({ digest, nonce: randomBytes(16) }));
    openssl('ts', '-query', '-data', 'data', '-sha256', '-cert', '-out', 'theirs.tsq');
    for (const query of ['ours.tsq', 'theirs.tsq']) {
      writeFileSync(at('r.tsr'), await answered(execFileSync('cat', [at(query)])));
      assert.match(openssl('ts', '-verify', '-queryfile', query, '-in', 'r.tsr', '-CAfile', 'root.pem'), /OK/);
    }
  }
  assert.match(openssl('ts', '-reply', '-in', 'r.tsr', '-text'), new RegExp(`Policy OID: ${TIMESTAMP_POLICY}`));
});

test('our verifier accepts it with nonce and policy, and every time gives another serial number', async () => {
  const seen = new Set<string>();
  for (let i = 0; i < 20; i++) {
    const question = { digest, nonce: randomBytes(16), policy: TIMESTAMP_POLICY };
    const terms = { anchorsDer: [peer.rootDer], nowMs: Date.now() };
    const verdict = verifyTimestampResponse(await answered(encodeTimestampRequest(question)), {
      ...question,
      ...terms,
    });
    assert.ok(verdict.ok, JSON.stringify(verdict));
    seen.add(verdict.timestamp.serialNumber);
  }
  assert.equal(seen.size, 20);
});

test('what is no request over SHA-256 under its policy is refused', async () => {
  writeFileSync(at('data'), 'x');
  openssl('ts', '-query', '-data', 'data', '-sha512', '-out', 'sha512.tsq');
  openssl('ts', '-query', '-data', 'data', '-sha256', '-tspolicy', '1.2.3', '-out', 'policy.tsq');
  const good = encodeTimestampRequest({ digest, nonce: randomBytes(16) });
  const bad = [
    execFileSync('cat', [at('sha512.tsq')]),
    execFileSync('cat', [at('policy.tsq')]),
    good.subarray(0, 30),
    new Uint8Array(0),
    new Uint8Array(5_000),
  ];
  for (const request of bad) await assert.rejects(answered(request), { code: 'VALIDATION_FAILED' });
});

// what only a verifier can refuse: each of these authorities signs correctly
const WRONG: readonly (readonly [string, AuthorityOptions, Date | undefined, string])[] = [
  ['a certificate for signing claims', { purposes: ['1.3.6.1.4.1.62558.2.1'] }, undefined, 'eku'],
  ['one for time stamping and more', { purposes: ['1.3.6.1.5.5.7.3.8', '1.3.6.1.5.5.7.3.4'] }, undefined, 'eku'],
  ['a purpose that is not critical', { critical: false }, undefined, 'eku'],
  ['no purpose at all', { purposes: [] }, undefined, 'eku'],
  ['a certificate signed with SHA-1', { weak: true }, undefined, 'weakChain'],
  ['one that had expired', { notAfter: new Date(Date.now() - HOUR_MS) }, undefined, 'certificateValidity'],
  ['one that is not yet valid', { notBefore: new Date(Date.now() + HOUR_MS) }, undefined, 'certificateValidity'],
  ['a time to come', {}, new Date(Date.now() + HOUR_MS), 'future'],
];

for (const [what, options, now, reason] of WRONG)
  test(`a stamp of ${what} is refused`, async () => {
    const wrong = await makeAuthority(options);
    const token = await wrong.stamp(digest, now);
    const verdict = verifyTimestampToken(token, { digest, anchorsDer: [wrong.rootDer], nowMs: Date.now() });
    assert.equal(verdict.ok ? 'accepted' : verdict.finding.evidence?.['reason'], reason, JSON.stringify(verdict));
  });

test('a stamp from before its certificate expired is still good', async () => {
  const old = await makeAuthority({ notAfter: new Date(Date.now() - HOUR_MS) });
  const token = await old.stamp(digest, new Date(Date.now() - 2 * HOUR_MS));
  assert.equal(verifyTimestampToken(token, { digest, anchorsDer: [old.rootDer], nowMs: Date.now() }).ok, true);
});

test('another certificate in place of the named one is refused', async () => {
  const other = await makeAuthority();
  const impostor = { ...peer.authority, certificatesDer: other.authority.certificatesDer };
  const question = { digest, nonce: randomBytes(16) };
  const stamp = { now: new Date(), serialNumber: randomBytes(16) };
  const response = await answerTimestampRequest(encodeTimestampRequest(question), impostor, stamp);
  const terms = { anchorsDer: [other.rootDer], nowMs: Date.now() };
  const verdict = verifyTimestampResponse(response, { ...question, ...terms });
  assert.equal(verdict.ok ? 'accepted' : verdict.finding.evidence?.['reason'], 'signature');
  assert.ok(new X509Certificate(Buffer.from(other.rootDer)).ca);
});
