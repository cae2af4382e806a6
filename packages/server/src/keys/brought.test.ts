// Certificates that an operator brings: what the validator trusts, what is refused, and what happens when files change.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { chmod, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { signImage } from '@lumatrace/provenance/c2pa/sign.ts';
import { verifyC2pa } from '@lumatrace/provenance/c2pa/verify.ts';
import type { Signer } from '@lumatrace/provenance/signer.ts';
import { testDatabase, type TestDatabase } from '../test/harness.ts';
import { createBrought, openKeyFile, type BroughtSource } from './brought.ts';
import { CertificateRefused } from './certificate-profile.ts';
import { operatorChain, type ChainKnobs, type OperatorChain } from './fixtures/chain.ts';
import { createPhotoCredentials, KeyExpired } from './photo-credentials.ts';
import { SignerProcess } from './signer/client.ts';
import { wrappingKeyFrom } from './signer/protocol.ts';

const DAY_MS = 86_400_000;
let folder: string;
let db: TestDatabase;
let signer: SignerProcess;
let chainFile: string;
let keyFile: string;
let nowMs = Date.now();
const warnings: { message: string; code?: string }[] = [];

before(async () => {
  db = await testDatabase();
  folder = await mkdtemp(join(tmpdir(), 'lumatrace-brought-'));
  [chainFile, keyFile] = [join(folder, 'chain.pem'), join(folder, 'key.pem')];
  signer = await SignerProcess.start({ wrappingKey: wrappingKeyFrom(randomBytes(32)), directory: join(folder, 'run') });
});

after(async () => {
  await signer.close();
  await db.close();
  await rm(folder, { recursive: true, force: true });
});

const source = (): BroughtSource =>
  createBrought({
    chainFile,
    alsoWatched: [keyFile],
    open: openKeyFile(signer, keyFile),
    onWarning: (warning) => warnings.push(warning),
    nowMs: () => nowMs,
  });

async function bring(chainPem: string, keyPem: string, mode = 0o400): Promise<void> {
  await rm(keyFile, { force: true });
  await writeFile(chainFile, chainPem);
  await writeFile(keyFile, keyPem);
  await chmod(keyFile, mode);
}

const whole = ({ leafPem, rootPem }: OperatorChain): string => `${leafPem}\n${rootPem}\n`;

async function statusOf(door: Signer, anchorsPem: string): Promise<string> {
  const { bytes } = await signImage({
    bytes: new Uint8Array(await readFile(new URL('../../../../fixtures/photos/sunset.jpg', import.meta.url))),
    format: 'jpeg',
    signer: door,
    trust: { anchorsPem },
    photoId: '6b1c5a2e-6f0e-4d3c-9a71-0f5f3f0f1a2b',
    softBinding: { alg: 'org.lumatrace.watermark.1', value: Uint8Array.of(1, 2, 3) },
    signedAt: new Date(),
    generatorVersion: '0.1.0',
  });
  const { status, findings } = await verifyC2pa({ bytes, format: 'jpeg', trust: { anchorsPem } });
  return status === 'VALID' ? status : `${status} ${JSON.stringify(findings)}`;
}

for (const key of ['es256', 'ps256', 'ed25519'] as const)
  test(`the validator trusts pictures of a brought ${key} certificate, also after the signer was started again`, async () => {
    const chain = await operatorChain({ key });
    await bring(whole(chain), chain.keyPem);
    const identity = await source().current('');
    assert.equal(identity.signer.alg, key);
    process.kill(signer.pid!, 'SIGKILL');
    assert.equal(await statusOf(identity.signer, chain.rootPem), 'VALID');
  });

async function refusalOf(chainPem: string, keyPem: string, mode?: number): Promise<string> {
  await bring(chainPem, keyPem, mode);
  try {
    await source().current('');
    return 'accepted';
  } catch (error) {
    assert.ok(error instanceof CertificateRefused, String(error));
    assert.ok(!error.message.includes('PRIVATE'));
    return error.code;
  }
}

test('each fault of a chain has its code', async () => {
  const knobs: readonly [ChainKnobs, string][] = [
    [{ purpose: '1.3.6.1.5.5.7.3.4' }, 'LEAF_PURPOSE'],
    [{ purpose: '2.5.29.37.0' }, 'LEAF_PURPOSE'],
    [{ usage: 2 }, 'LEAF_KEY_USAGE'],
    [{ isCa: true }, 'LEAF_KEY_USAGE'],
    [{ key: 'p384' }, 'LEAF_KEY'],
    [{ key: 'rsa2048' }, 'LEAF_KEY'],
    [{ notAfter: new Date(nowMs - 1_000) }, 'CERTIFICATE_DATES'],
    [{ notBefore: new Date(nowMs + DAY_MS) }, 'CERTIFICATE_DATES'],
  ];
  for (const [knob, code] of knobs) {
    const chain = await operatorChain(knob);
    assert.equal(await refusalOf(whole(chain), chain.keyPem), code, JSON.stringify(knob));
  }
});

test('each fault of the files has its code', async () => {
  const [chain, other] = [await operatorChain(), await operatorChain()];
  const cases: readonly [string, string, string, number?][] = [
    [whole(chain), chain.keyPem, 'KEY_FILE_MODE', 0o600],
    [whole(chain), chain.keyPem, 'KEY_FILE_MODE', 0o444],
    [whole(chain), other.keyPem, 'KEY_MISMATCH'],
    [whole(chain), 'no key', 'KEY_UNREADABLE'],
    [`${chain.rootPem}${chain.leafPem}`, chain.keyPem, 'CHAIN_ORDER'],
    [`${chain.leafPem}${other.rootPem}`, chain.keyPem, 'CHAIN_ORDER'],
    [chain.leafPem, chain.keyPem, 'ROOT_UNTRUSTED'],
    ['', chain.keyPem, 'CHAIN_UNREADABLE'],
    ['x'.repeat(70_000), chain.keyPem, 'CHAIN_UNREADABLE'],
    [whole(chain).repeat(4), chain.keyPem, 'CHAIN_UNREADABLE'],
  ];
  for (const [chainPem, keyPem, code, mode] of cases) assert.equal(await refusalOf(chainPem, keyPem, mode), code);
  await bring(chain.leafPem, chain.keyPem);
  assert.ok(await source().current(chain.rootPem), 'a root among the trust anchors is enough');
});

test('new files are taken up; wrong ones are told and the ones before stay', async () => {
  const [first, second] = [await operatorChain(), await operatorChain()];
  await bring(whole(first), first.keyPem);
  const brought = source();
  const before_ = await brought.current('');
  warnings.length = 0;
  await bring(whole(first), second.keyPem);
  const between = await brought.current('');
  assert.equal(between.kid, before_.kid);
  assert.equal(await statusOf(between.signer, first.rootPem), 'VALID', 'a key that was replaced first signs nothing');
  assert.deepEqual(
    warnings.map(({ code }) => code),
    ['KEY_MISMATCH'],
  );
  await bring(whole(second), second.keyPem);
  const next = await brought.current('');
  assert.notEqual(next.kid, before_.kid);
  assert.equal(await statusOf(next.signer, second.rootPem), 'VALID');
});

test('it signs in place of our own leaf, warns before its end, and nothing is signed after it', async () => {
  const chain = await operatorChain();
  await bring(whole(chain), chain.keyPem);
  const brought = source();
  const credentials = createPhotoCredentials({
    database: db.database,
    signer,
    recoveryKitDir: join(folder, 'recovery-kit'),
    organization: 'Test',
    softBindingAlg: 'org.lumatrace.watermark.1',
    brought,
    nowMs: () => nowMs,
  });
  await credentials.renew();
  const manifest = await credentials.manifest();
  assert.equal(await statusOf(manifest.signer, manifest.trustAnchorsPem), 'VALID');
  assert.equal(brought.shown()?.state, 'active');
  warnings.length = 0;
  nowMs += 50 * DAY_MS;
  await credentials.manifest();
  assert.match(warnings[0]?.message ?? '', /ends soon/);
  assert.equal(brought.shown()?.state, 'due');
  nowMs += 10 * DAY_MS + 60_000;
  await assert.rejects(credentials.manifest(), KeyExpired);
  assert.equal(brought.shown()?.state, 'ended');
});
