// Data keys of tenants: made on first use, kept wrapped by the KEK, one derived key per purpose and use.
import {
  createCipheriv,
  createDecipheriv,
  createHmac,
  createSecretKey,
  hkdfSync,
  randomBytes,
  type KeyObject,
} from 'node:crypto';
import type { Database } from '../storage/database.ts';
import { insertTenantKey, listTenantKeys, type WrappedKeyRow } from '../storage/postgres/key-store.ts';
import { KeyError, type Kek } from './kek.ts';
import type { KeyPurpose, TenantKey, TenantKeys } from './tenant-key.ts';

const FORMAT = 1;
const AES_256_GCM = 1;
const KEY_BYTES = 32;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
/** format u8 | algorithm u8 | key version u32 big-endian */
const HEADER_BYTES = 1 + 1 + 4;
const BODY_AT = HEADER_BYTES + NONCE_BYTES;
const OVERHEAD_BYTES = BODY_AT + TAG_BYTES;
/** Nonces are drawn from a block of random bytes: one call of the generator for 512 of them. */
const NONCE_BLOCK_BYTES = NONCE_BYTES * 512;

/** A tenant's key is read again after this long, so that a new or a destroyed version is seen by every process. */
const RELOAD_AFTER_MS = 60_000;

export interface TenantKeysOptions {
  database: Database;
  kek: Kek;
  nowMs?: () => number;
}

/** Bounded by the number of tenants that were active in the last minute; a failed load is not remembered. */
export function createTenantKeys({ database, kek, nowMs = Date.now }: TenantKeysOptions): TenantKeys {
  const loaded = new Map<string, { key: Promise<TenantKey>; staleAtMs: number }>();
  return {
    forTenant(tenantId) {
      const known = loaded.get(tenantId);
      if (known !== undefined && nowMs() < known.staleAtMs) return known.key;
      for (const [id, entry] of loaded) if (entry.staleAtMs <= nowMs()) loaded.delete(id);
      const key = load(database, kek, tenantId, new Date(nowMs()));
      loaded.set(tenantId, { key, staleAtMs: nowMs() + RELOAD_AFTER_MS });
      key.catch(() => {
        if (loaded.get(tenantId)?.key === key) loaded.delete(tenantId);
      });
      return key;
    },
  };
}

async function load(database: Database, kek: Kek, tenantId: string, now: Date): Promise<TenantKey> {
  const rows = await database.inTenant(tenantId, async (sql) => {
    const existing = await listTenantKeys(sql, tenantId);
    if (existing.length > 0) return existing;
    const wrapped = kek.wrap(tenantKeyUse(tenantId, 1), randomBytes(KEY_BYTES));
    // When two make the first key at once, the second insert waits for the first and then does nothing; reading
    // again gives both of them the key that was committed.
    await insertTenantKey(sql, { tenantId, version: 1, wrapped, activatedAt: now });
    return listTenantKeys(sql, tenantId);
  });
  return openTenantKey(kek, tenantId, rows);
}

const tenantKeyUse = (tenantId: string, version: number): string => `tdek|${tenantId}|${version}`;

function openTenantKey(kek: Kek, tenantId: string, rows: readonly WrappedKeyRow[]): TenantKey {
  const versions = new Map<number, Buffer>();
  for (const { version, wrapped, state } of rows) {
    if (state !== 'destroyed') versions.set(version, kek.unwrap(tenantKeyUse(tenantId, version), wrapped));
  }
  const active = rows.find(({ state }) => state === 'active');
  if (active === undefined) {
    throw new KeyError(
      'KEY_DESTROYED',
      'The tenant has no data key in force: its data was erased or is being rotated.',
    );
  }
  return tenantKeyFromBytes(tenantId, active.version, versions);
}

/** The key of one tenant from its versions in clear, `version` being the one that seals. */
export function tenantKeyFromBytes(
  tenantId: string,
  version: number,
  versions: ReadonlyMap<number, Uint8Array>,
): TenantKey {
  const derived = new Map<string, KeyObject>();
  // One key per purpose, version and use (RFC 5869); sealing and deriving never share one.
  const keyFor = (purpose: KeyPurpose, ofVersion: number, use: 'seal' | 'derive'): KeyObject => {
    const name = `${purpose}|${use}|${ofVersion}`;
    const known = derived.get(name);
    if (known !== undefined) return known;
    const secret = versions.get(ofVersion);
    if (secret === undefined) {
      throw new KeyError('KEY_UNKNOWN_VERSION', `Expected a live version of the data key but received ${ofVersion}.`);
    }
    const info = `lumatrace|${purpose}|${use}`;
    const key = createSecretKey(Buffer.from(hkdfSync('sha256', secret, tenantId, info, KEY_BYTES)));
    derived.set(name, key);
    return key;
  };
  return {
    tenantId,
    version,
    seal(purpose, aad, plaintext) {
      const nonce = nextNonce();
      const cipher = createCipheriv('aes-256-gcm', keyFor(purpose, version, 'seal'), nonce, {
        authTagLength: TAG_BYTES,
      });
      cipher.setAAD(boundTo(purpose, aad, tenantId, version));
      const ciphertext = cipher.update(plaintext);
      cipher.final();
      const sealed = Buffer.allocUnsafe(OVERHEAD_BYTES + ciphertext.length);
      sealed[0] = FORMAT;
      sealed[1] = AES_256_GCM;
      sealed.writeUInt32BE(version, 2);
      nonce.copy(sealed, HEADER_BYTES);
      ciphertext.copy(sealed, BODY_AT);
      cipher.getAuthTag().copy(sealed, BODY_AT + ciphertext.length);
      return sealed;
    },
    open(purpose, aad, sealed) {
      const bytes = Buffer.from(sealed.buffer, sealed.byteOffset, sealed.byteLength);
      if (bytes.length < OVERHEAD_BYTES || bytes[0] !== FORMAT || bytes[1] !== AES_256_GCM) {
        throw new KeyError('KEY_MALFORMED', 'The sealed bytes are not in our format.');
      }
      const ofVersion = bytes.readUInt32BE(2);
      const key = keyFor(purpose, ofVersion, 'seal');
      const decipher = createDecipheriv('aes-256-gcm', key, bytes.subarray(HEADER_BYTES, BODY_AT), {
        authTagLength: TAG_BYTES,
      });
      decipher.setAAD(boundTo(purpose, aad, tenantId, ofVersion));
      decipher.setAuthTag(bytes.subarray(-TAG_BYTES));
      try {
        const plain = decipher.update(bytes.subarray(BODY_AT, -TAG_BYTES));
        decipher.final();
        return plain;
      } catch (error) {
        throw new KeyError('KEY_REFUSED', `The sealed ${purpose} cannot be opened: other bytes, row or tenant.`, {
          cause: error,
        });
      }
    },
    // Version 1 for ever: what is derived (a watermark key, a blind index) must stay the same when sealing rotates.
    derive(purpose, info) {
      return createHmac('sha256', keyFor(purpose, 1, 'derive'))
        .update(info, 'utf8')
        .digest();
    },
  };
}

function boundTo(purpose: KeyPurpose, aad: string, tenantId: string, version: number): Buffer {
  return Buffer.from(`${purpose}|${aad}|${tenantId}|${version}`, 'utf8');
}

let nonceBlock = Buffer.alloc(0);
let nonceAt = 0;

// Each slice is handed out once, so the block is never shared between two seals.
function nextNonce(): Buffer {
  if (nonceAt + NONCE_BYTES > nonceBlock.length) {
    nonceBlock = randomBytes(NONCE_BLOCK_BYTES);
    nonceAt = 0;
  }
  const nonce = nonceBlock.subarray(nonceAt, nonceAt + NONCE_BYTES);
  nonceAt += NONCE_BYTES;
  return nonce;
}
