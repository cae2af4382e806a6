// A claim key that stays in OpenBao or Vault: its transit engine gets the bytes to be signed and gives a signature.
// API: https://openbao.org/api-docs/secret/transit/ ("Read key", "Sign data"). What comes back is checked with the leaf.
import { constants, createPublicKey, verify, type KeyObject } from 'node:crypto';
import { readFile, stat } from 'node:fs/promises';
import type { Signer, SigningAlgorithm } from '@lumatrace/provenance/signer.ts';
import type { Egress } from '../egress/egress.ts';
import type { OpenSigner } from './brought.ts';
import { CertificateRefused } from './certificate-profile.ts';
import { SignerError } from './signer/client.ts';

export interface TransitOptions {
  /** Address of the engine with its mount: https://bao.example:8200/v1/transit */
  url: string;
  /** Name of the key in the engine. */
  key: string;
  /** Holds the token; read at every request, because agents renew it. Others than its owner must not read it. */
  tokenFile: string;
  /** PEM of authorities to believe about the server instead of the system's. */
  caPem?: string;
  egress: Egress;
}

const TIMEOUT_MS = 5_000;
const MAX_BYTES = 262_144; // a key of many versions lists them all
const MAX_TOKEN_BYTES = 4_096;
const OTHERS_READ = 0o077;
const SIGNATURE = /^(?:vault|bao):v(\d{1,9}):([A-Za-z0-9+/_-]+={0,2})$/;

/** Opens the transit key that belongs to a chain: the version whose public key is the leaf's. */
export function openTransit(options: TransitOptions): OpenSigner {
  return async (_kid, { alg, chainDer, publicKey }) => {
    const version = await versionOf(options, publicKey).catch((cause: unknown) => {
      if (cause instanceof CertificateRefused) throw cause;
      throw new CertificateRefused(
        'TRANSIT_FAILED',
        `The transit engine does not tell about its key: ${(cause as Error).message}`,
        { cause },
      );
    });
    return signerOf(options, { alg, chainDer, publicKey, version });
  };
}

async function versionOf(options: TransitOptions, publicKey: KeyObject): Promise<number> {
  const answer = await askTransit(options, 'GET', `keys/${encodeURIComponent(options.key)}`);
  for (const [version, entry] of Object.entries(fieldOf(fieldOf(answer, 'data'), 'keys') ?? {})) {
    const pem = fieldOf(entry, 'public_key');
    if (typeof pem === 'string' && isSame(pem, publicKey)) return Number(version);
  }
  throw new CertificateRefused(
    'KEY_MISMATCH',
    `Expected a version of the transit key "${options.key}" with the public key of the leaf certificate but there is none.`,
  );
}

// PEM, and for Ed25519 the 32 bytes alone in base64
function isSame(text: string, publicKey: KeyObject): boolean {
  try {
    const isRaw = !text.includes('-----');
    const jwk = { kty: 'OKP', crv: 'Ed25519', x: Buffer.from(text, 'base64').toString('base64url') };
    const key = isRaw ? createPublicKey({ key: jwk, format: 'jwk' }) : createPublicKey(text);
    return key.equals(publicKey);
  } catch {
    return false;
  }
}

interface Opened {
  alg: SigningAlgorithm;
  chainDer: readonly Uint8Array[];
  publicKey: KeyObject;
  version: number;
}

/** How the engine is asked for raw signatures; "jws" makes ECDSA answer R‖S instead of DER. */
const PARAMETERS: Readonly<Record<SigningAlgorithm, Readonly<Record<string, unknown>>>> = {
  es256: { hash_algorithm: 'sha2-256', marshaling_algorithm: 'jws' },
  ps256: { hash_algorithm: 'sha2-256', signature_algorithm: 'pss', salt_length: 'hash' },
  ed25519: {},
};

function signerOf(options: TransitOptions, { alg, chainDer, publicKey, version }: Opened): Signer {
  return {
    alg,
    certificateChainDer: chainDer,
    async sign(tbs) {
      const body = { input: Buffer.from(tbs).toString('base64'), key_version: version, ...PARAMETERS[alg] };
      const answer = await askTransit(options, 'POST', `sign/${encodeURIComponent(options.key)}`, body).catch(
        (cause: unknown) => {
          throw new SignerError('UNAVAILABLE', 'The transit engine did not sign.', { cause });
        },
      );
      const text = fieldOf(fieldOf(answer, 'data'), 'signature');
      const match = typeof text === 'string' ? SIGNATURE.exec(text) : null;
      const signature = Buffer.from(match?.[2] ?? '', 'base64');
      if (Number(match?.[1]) !== version || !isSignedBy(publicKey, alg, tbs, signature))
        throw new SignerError(
          'UNAVAILABLE',
          'The transit engine answered with something that is no signature of the leaf.',
        );
      return new Uint8Array(signature);
    },
  };
}

/** Whether a signature is one of this key in the way that the algorithm of ours says. */
export function isSignedBy(key: KeyObject, alg: SigningAlgorithm, tbs: Uint8Array, signature: Uint8Array): boolean {
  if (alg === 'ed25519') return verify(null, tbs, key, signature);
  if (alg === 'es256') return verify('sha256', tbs, { key, dsaEncoding: 'ieee-p1363' }, signature);
  return verify('sha256', tbs, { key, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: 32 }, signature);
}

/** The engine answered, but not with what was asked for. */
export class TransitAnswer extends Error {
  readonly status: number;

  constructor(status: number) {
    super(`it answered with status ${status}`);
    this.status = status;
  }
}

// the message of an error never holds what came back: it could be the token
export async function askTransit(
  options: TransitOptions,
  method: 'GET' | 'POST',
  path: string,
  body?: object,
): Promise<unknown> {
  const { url, tokenFile, caPem, egress } = options;
  const { status, body: bytes } = await egress({
    url: `${url.replace(/\/+$/, '')}/${path}`,
    method,
    headers: {
      'x-vault-token': await readToken(tokenFile),
      'x-vault-request': 'true',
      ...(body && { 'content-type': 'application/json' }),
    },
    ...(body && { body: JSON.stringify(body) }),
    ...(caPem !== undefined && { ca: caPem }),
    timeoutMs: TIMEOUT_MS,
    maxBytes: MAX_BYTES,
  });
  if (status !== 200) throw new TransitAnswer(status);
  try {
    return JSON.parse(bytes.toString('utf8')) as unknown;
  } catch {
    throw new Error('it answered with something that is no JSON');
  }
}

async function readToken(file: string): Promise<string> {
  const found = await stat(file).catch(() => undefined);
  if (found === undefined || found.size > MAX_TOKEN_BYTES)
    throw new CertificateRefused('TRANSIT_TOKEN', `Expected the token of the transit engine in ${file}.`);
  if ((found.mode & OTHERS_READ) !== 0)
    throw new CertificateRefused('TRANSIT_TOKEN', `Expected that only its owner reads ${file}: chmod 0400.`);
  const token = (await readFile(file, 'utf8')).trim();
  if (/^[\x21-\x7e]+$/.test(token)) return token;
  throw new CertificateRefused('TRANSIT_TOKEN', `Expected one token in ${file}.`);
}

export function fieldOf(value: unknown, key: string): unknown {
  return typeof value === 'object' && value !== null && Object.hasOwn(value, key)
    ? (value as Record<string, unknown>)[key]
    : undefined;
}
