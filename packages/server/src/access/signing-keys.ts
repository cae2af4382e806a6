// The set of keys that sign tokens: which one signs, which ones still verify, and what the world may see of them.
import { createPublicKey, type KeyObject } from 'node:crypto';
import { calculateJwkThumbprint, type JWK } from 'jose';
import type { Database } from '../storage/database.ts';
import {
  insertSigningKey,
  listSigningKeys,
  lockSigningKeys,
  type SigningKeyRow,
} from '../storage/postgres/key-store.ts';
import { Remembered } from './remembered.ts';

/** The signer process as this room sees it: private keys go in and out wrapped, only signatures come back. */
export interface TokenSigner {
  /** A new RSA-3072 key pair: the public half, and the private half as only the signer can open it. */
  generate(): Promise<{ publicJwk: JWK; wrappedPrivate: Uint8Array }>;
  /** Makes the wrapped key ready to sign under this name; loading twice is loading once. */
  load(kid: string, wrappedPrivate: Uint8Array): Promise<void>;
  /** RSASSA-PKCS1-v1_5 with SHA-256 over `tbs`. */
  sign(kid: string, tbs: Uint8Array): Promise<Uint8Array>;
}

/**
 * RS256 is promised in the security policy. OWASP ASVS 5.0, appendix C, disallows PKCS#1 v1.5 for new designs: the
 * algorithm is a property of each key, so that another one can follow by rotation.
 */
const ALGORITHM = 'RS256';
/** Another process that rotates the set is noticed after this long; a new key is published a day before it signs. */
const RELOAD_AFTER_MS = 60_000;

export interface VerifyingKey {
  alg: string;
  key: KeyObject;
}

export interface SigningKeySet {
  /** The key that signs now. */
  active: { kid: string; alg: string };
  /** Keys that verify, by kid: the active one, the next, and those that retire. */
  verifying: ReadonlyMap<string, VerifyingKey>;
  jwks: { keys: JWK[] };
}

export interface SigningKeys {
  /** In force now; never older than a minute. @throws DatabaseUnavailable. */
  current(): Promise<SigningKeySet>;
  sign(kid: string, tbs: Uint8Array): Promise<Uint8Array>;
}

export interface SigningKeysOptions {
  database: Database;
  signer: TokenSigner;
  nowMs: () => number;
}

/** Makes the first key when there is none; of two processes that start at once, one makes it and the other takes it. */
export function createSigningKeys({ database, signer, nowMs }: SigningKeysOptions): SigningKeys {
  const remembered = new Remembered<SigningKeySet>({ maxAgeMs: RELOAD_AFTER_MS, maxEntries: 1, nowMs });

  // The key is drawn before the transaction, since that takes a second or more; of several that start at once, the
  // first to hold the lock writes its key and the others throw theirs away.
  async function withFirstKey(): Promise<SigningKeyRow[]> {
    const { publicJwk, wrappedPrivate } = await signer.generate();
    const first: SigningKeyRow = {
      kid: await calculateJwkThumbprint(publicJwk, 'sha256'),
      alg: ALGORITHM,
      publicJwk: { ...publicJwk },
      wrappedPrivate: Buffer.from(wrappedPrivate),
      state: 'active',
    };
    return database.inSystem(async (sql) => {
      await lockSigningKeys(sql);
      const known = await listSigningKeys(sql);
      if (hasActive(known)) return known;
      await insertSigningKey(sql, { ...first, activatedAt: new Date(nowMs()) });
      return [...known, first];
    });
  }

  async function load(): Promise<SigningKeySet> {
    const known = await database.inSystem(listSigningKeys);
    const rows = hasActive(known) ? known : await withFirstKey();
    const active = rows.find(({ state }) => state === 'active');
    if (active === undefined) throw new Error('There is no active token signing key.');
    await signer.load(active.kid, active.wrappedPrivate);
    return {
      active: { kid: active.kid, alg: active.alg },
      verifying: new Map(rows.map((row) => [row.kid, { alg: row.alg, key: publicKeyOf(row) }])),
      jwks: { keys: rows.map(publishedJwk) },
    };
  }

  return {
    current: () => remembered.recall('current', load),
    sign: (kid, tbs) => signer.sign(kid, tbs),
  };
}

function hasActive(rows: readonly SigningKeyRow[]): boolean {
  return rows.some(({ state }) => state === 'active');
}

function publicKeyOf(row: SigningKeyRow): KeyObject {
  return createPublicKey({ key: row.publicJwk, format: 'jwk' });
}

// Only the public members by name: a private member cannot slip out, whatever the row holds.
function publishedJwk({ kid, alg, publicJwk }: SigningKeyRow): JWK {
  const { kty, n, e, crv, x, y } = publicJwk as JWK;
  const members = { kty, n, e, crv, x, y };
  const present = Object.fromEntries(Object.entries(members).filter(([, value]) => value !== undefined));
  return { ...present, kid, alg, use: 'sig' } as JWK;
}
