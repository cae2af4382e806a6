// Timestamps are made by `openssl ts`, an implementation that shares no code with ours.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { X509Certificate } from 'node:crypto';
import { encodeTimestampRequest, type TimestampQuestion } from './request.ts';
import { verifyTimestampResponse, verifyTimestampToken, type TimestampVerdict } from './verify.ts';

const folder = mkdtempSync(join(tmpdir(), 'lumatrace-tsa-'));
after(() => rmSync(folder, { recursive: true }));
const at = (name: string): string => join(folder, name);
const POLICY = '1.3.6.1.4.1.99999.1';
const question: TimestampQuestion = {
  digest: createHash('sha256').update('a claim').digest(),
  nonce: Uint8Array.from({ length: 16 }, (_, i) => 0xf0 - i),
};

function openssl(...args: string[]): string {
  return execFileSync('openssl', args, { cwd: folder, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
}

const CONFIG = `
[req]
distinguished_name=dn
[dn]
[root]
basicConstraints=critical,CA:TRUE
keyUsage=critical,keyCertSign
[good]
extendedKeyUsage=critical,timeStamping
keyUsage=critical,digitalSignature
[soft]
extendedKeyUsage=timeStamping
[tsa]
default_tsa=one
[one]
serial=serial
default_policy=${POLICY}
digests=sha256,sha1
accuracy=secs:1
signer_digest=sha256
ess_cert_id_alg=sha256
`;

function certificate(name: string, extension: string, ...more: string[]): void {
  openssl(
    'req',
    '-newkey',
    'rsa:2048',
    '-nodes',
    '-keyout',
    `${name}.key`,
    '-out',
    `${name}.csr`,
    '-subj',
    `/CN=${name}`,
    '-config',
    'c.cnf',
  );
  const issuer =
    extension === 'root' ? ['-signkey', 'root.key'] : ['-CA', 'root.pem', '-CAkey', 'root.key', '-CAcreateserial'];
  openssl(
    'x509',
    '-req',
    '-in',
    `${name}.csr`,
    '-out',
    `${name}.pem`,
    '-extfile',
    'c.cnf',
    '-extensions',
    extension,
    '-sha256',
    ...issuer,
    ...more,
  );
}

function reply(signer: string, request: Uint8Array = encodeTimestampRequest(question), ...more: string[]): Uint8Array {
  writeFileSync(at('q.tsq'), request);
  openssl(
    'ts',
    '-reply',
    '-config',
    'c.cnf',
    '-queryfile',
    'q.tsq',
    '-signer',
    `${signer}.pem`,
    '-inkey',
    `${signer}.key`,
    '-out',
    'r.tsr',
    ...more,
  );
  return readFileSync(at('r.tsr'));
}

function trust(name = 'root'): { anchorsDer: Uint8Array[]; nowMs: number } {
  return { anchorsDer: [new X509Certificate(readFileSync(at(`${name}.pem`))).raw], nowMs: Date.now() };
}

function reason(verdict: TimestampVerdict): unknown {
  return verdict.ok ? 'accepted' : verdict.finding.evidence?.['reason'];
}

before(async () => {
  writeFileSync(at('c.cnf'), CONFIG);
  writeFileSync(at('serial'), '01');
  certificate('root', 'root', '-days', '30');
  for (const name of ['good', 'soft']) certificate(name, name, '-days', '30');
  // a time stamp says ± one second, and all of that must lie within the certificates' validity, which begins now
  await sleep(2_100);
});

test('a timestamp of openssl over our request is accepted', () => {
  const verdict = verifyTimestampResponse(reply('good'), { ...question, policy: POLICY, ...trust() });
  assert.equal(reason(verdict), 'accepted', JSON.stringify(verdict));
  assert.ok(verdict.ok && Math.abs(verdict.timestamp.genTimeMs - Date.now()) < 10_000);
  assert.equal(verdict.ok && verdict.timestamp.accuracyMs, 1000);
});

test('openssl agrees that the answer fits our request', () => {
  reply('good');
  assert.match(openssl('ts', '-verify', '-queryfile', 'q.tsq', '-in', 'r.tsr', '-CAfile', 'root.pem'), /OK/);
});

test('another nonce, digest, policy, anchor or time is refused with its reason', () => {
  const response = reply('good');
  const judge = (change: Partial<TimestampQuestion>, terms = trust()): unknown =>
    reason(verifyTimestampResponse(response, { ...question, ...change, ...terms }));
  assert.equal(judge({ nonce: new Uint8Array(16).fill(7) }), 'nonce');
  assert.equal(judge({ digest: new Uint8Array(32) }), 'imprint');
  assert.equal(judge({ policy: '1.2.3' }), 'policy');
  assert.equal(judge({}, trust('soft')), 'noAnchor');
  assert.equal(judge({}, { ...trust(), anchorsDer: [] }), 'noAnchor');
  assert.equal(judge({}, { ...trust(), nowMs: Date.now() - 3_600_000 }), 'future');
});

test('truncated, empty and huge answers are refused', () => {
  const response = reply('good');
  for (const bytes of [
    new Uint8Array(),
    response.subarray(0, 40),
    response.subarray(0, -1),
    Buffer.concat([response, Buffer.of(0)]),
  ])
    assert.notEqual(reason(verifyTimestampResponse(bytes, { ...question, ...trust() })), 'accepted');
  assert.equal(reason(verifyTimestampResponse(new Uint8Array(1_048_576), { ...question, ...trust() })), 'tooLong');
});

test('a bit flipped anywhere in a token is refused', () => {
  const good = verifyTimestampResponse(reply('good'), { ...question, ...trust() });
  assert.ok(good.ok, JSON.stringify(good));
  const { token } = good.timestamp;
  const terms = { ...question, ...trust() };
  assert.equal(reason(verifyTimestampToken(token, terms)), 'accepted');
  const accepted: number[] = [];
  for (let i = 0; i < 300; i++) {
    const bit = Math.floor((i * token.length * 8) / 300) + (i % 8);
    const flipped = token.slice();
    flipped[bit >> 3]! ^= 1 << (bit & 7);
    if (verifyTimestampToken(flipped, terms).ok) accepted.push(bit);
  }
  assert.deepEqual(accepted, []);
});
