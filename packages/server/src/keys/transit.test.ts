// The transit engine as a stand-in that speaks the documented protocol (https://openbao.org/api-docs/secret/transit/):
// no OpenBao is installed with the tests. Its keys are real, and so are the signatures.
import assert from 'node:assert/strict';
import { constants, createHash, createPublicKey, randomBytes, sign, type KeyObject } from 'node:crypto';
import { once } from 'node:events';
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { json } from 'node:stream/consumers';
import { after, before, test } from 'node:test';
import type { Signer } from '@lumatrace/provenance/signer.ts';
import { createEgress } from '../egress/egress.ts';
import { checkChain } from './certificate-profile.ts';
import { operatorChain, type OperatorChain } from './fixtures/chain.ts';
import { openTransit } from './transit.ts';

const TOKEN = 's.a-token-of-the-test';
let folder: string;
let tokenFile: string;
let server: Server;
let base: string;
let chain: OperatorChain;
/** In place of the stand-in's own answer to a request to sign. */
let trouble: ((outgoing: ServerResponse) => void) | undefined;

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'lumatrace-transit-'));
  tokenFile = join(folder, 'token');
  await writeFile(tokenFile, `${TOKEN}\n`, { mode: 0o400 });
  server = createServer((incoming, outgoing) => void standIn(incoming, outgoing));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  base = `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1/transit`;
});

after(async () => {
  server.closeAllConnections();
  server.close();
  await rm(folder, { recursive: true, force: true });
});

async function standIn(incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> {
  const answer = (status: number, body: unknown): void => void outgoing.writeHead(status).end(JSON.stringify(body));
  if (incoming.headers['x-vault-token'] !== TOKEN) return answer(403, { errors: ['permission denied'] });
  if (incoming.url === '/v1/transit/keys/photos') {
    const older = (await operatorChain()).privateKey;
    const keys = { 1: { public_key: shownKey(older) }, 2: { public_key: shownKey(chain.privateKey) } };
    return answer(200, { data: { name: 'photos', latest_version: 2, keys } });
  }
  if (incoming.url !== '/v1/transit/sign/photos') return answer(404, { errors: [] });
  if (trouble !== undefined) return trouble(outgoing);
  const { input, key_version, ...how } = (await json(incoming)) as Record<string, string>;
  const signature = signed(chain.privateKey, Buffer.from(input!, 'base64'), how);
  return answer(200, { data: { signature: `vault:v${key_version}:${signature}` } });
}

// PEM, but the bare 32 bytes for Ed25519
function shownKey(key: KeyObject): string {
  if (key.asymmetricKeyType === 'ed25519')
    return Buffer.from(key.export({ format: 'jwk' }).x!, 'base64url').toString('base64');
  return createPublicKey(key).export({ format: 'pem', type: 'spki' }).toString();
}

function signed(key: KeyObject, tbs: Buffer, how: Readonly<Record<string, string>>): string {
  if (key.asymmetricKeyType === 'ed25519') return sign(null, tbs, key).toString('base64');
  assert.equal(how['hash_algorithm'], 'sha2-256');
  if (key.asymmetricKeyType === 'ec') {
    const isJws = how['marshaling_algorithm'] === 'jws';
    const bytes = sign('sha256', tbs, { key, dsaEncoding: isJws ? 'ieee-p1363' : 'der' });
    return bytes.toString(isJws ? 'base64url' : 'base64');
  }
  const isPss = how['signature_algorithm'] === 'pss';
  const padding = isPss ? constants.RSA_PKCS1_PSS_PADDING : constants.RSA_PKCS1_PADDING;
  const saltLength = how['salt_length'] === 'hash' ? 32 : constants.RSA_PSS_SALTLEN_MAX_SIGN;
  return sign('sha256', tbs, { key, padding, saltLength }).toString('base64');
}

async function opened(): Promise<Signer> {
  const checked = checkChain(`${chain.leafPem}${chain.rootPem}`, Date.now());
  const kid = createHash('sha256').update('kid').digest('base64url');
  const egress = createEgress({ allow: [new URL(base).host] });
  return openTransit({ url: `${base}/`, key: 'photos', tokenFile, egress })(kid, checked);
}

for (const key of ['es256', 'ps256', 'ed25519'] as const)
  test(`signs ${key} with the version whose key is the leaf's, checked before it is used`, async () => {
    chain = await operatorChain({ key });
    const signer = await opened();
    const signature = await signer.sign(randomBytes(200));
    assert.equal(signature.length, key === 'ps256' ? 384 : 64);
  });

const reply =
  (body: string, status = 200, headers = {}) =>
  (outgoing: ServerResponse): void =>
    void outgoing.writeHead(status, headers).end(body);
const signatureOf = (text: unknown): string => JSON.stringify({ data: { signature: text } });

test('fails closed: whatever is no signature of the leaf is 503, and the message holds nothing of the answer', async () => {
  chain = await operatorChain();
  const other = await operatorChain();
  const signer = await opened();
  const tbs = randomBytes(100);
  const foreign = signed(other.privateKey, tbs, { hash_algorithm: 'sha2-256', marshaling_algorithm: 'jws' });
  const own = signed(chain.privateKey, tbs, { hash_algorithm: 'sha2-256', marshaling_algorithm: 'jws' });
  const troubles: readonly [string, (outgoing: ServerResponse) => void][] = [
    ['another key', reply(signatureOf(`vault:v2:${foreign}`))],
    ['another version', reply(signatureOf(`vault:v1:${own}`))],
    ['no signature', reply(signatureOf(7))],
    ['sealed', reply(JSON.stringify({ errors: ['Vault is sealed secret-text'] }), 503)],
    ['no JSON', reply('<html>secret-text')],
    ['elsewhere', reply('', 307, { location: `${base}/sign/photos` })],
    ['too long', reply(`"${'x'.repeat(400_000)}"`)],
    ['cut off', (outgoing) => void outgoing.destroy()],
  ];
  for (const [name, one] of troubles) {
    trouble = one;
    await assert.rejects(signer.sign(tbs), (error: Error & { code?: string }) => {
      assert.equal(error.code, 'UNAVAILABLE', name);
      assert.ok(!error.message.includes('secret-text') && !error.message.includes(TOKEN));
      return true;
    });
  }
  trouble = reply(signatureOf(`vault:v2:${own}`));
  assert.equal((await signer.sign(tbs)).length, 64, 'and the right one is taken');
  trouble = undefined;
});

test('refused at the start: a leaf of another key, a token that others read, an address that is not allowed', async () => {
  chain = await operatorChain();
  const checked = checkChain(`${(await operatorChain()).leafPem}`, Date.now());
  const egress = createEgress({ allow: [new URL(base).host] });
  const options = { url: base, key: 'photos', tokenFile, egress };
  await assert.rejects(openTransit(options)('kid', checked), { code: 'KEY_MISMATCH' });
  await assert.rejects(openTransit({ ...options, egress: createEgress({ allow: [] }) })('kid', checked), {
    code: 'TRANSIT_FAILED',
  });
  await assert.rejects(openTransit({ ...options, tokenFile: join(folder, 'none') })('kid', checked), {
    code: 'TRANSIT_TOKEN',
  });
  await chmod(tokenFile, 0o444);
  await assert.rejects(openTransit(options)('kid', checked), { code: 'TRANSIT_TOKEN' });
  await chmod(tokenFile, 0o400);
});
