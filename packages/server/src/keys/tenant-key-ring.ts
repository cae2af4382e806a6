// The versions of one tenant's data key in clear: which of them seals now, which only open, and the keys derived from them.
// A ring lives as long as its tenant is asked for and is given what was read anew, so that a request that began before a
// rotation ends with the versions that came with it.
import { createCipheriv, createDecipheriv, createHmac, createSecretKey, hkdfSync, randomBytes } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { KeyError } from './kek.ts';
import type { DerivedPurpose, KeyPurpose, TenantKey } from './tenant-key.ts';

const FORMAT = 1;
const AES_256_GCM = 1;
export const KEY_BYTES = 32;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
/** format u8 | algorithm u8 | key version u32 big-endian */
const HEADER_BYTES = 1 + 1 + 4;
const BODY_AT = HEADER_BYTES + NONCE_BYTES;
const OVERHEAD_BYTES = BODY_AT + TAG_BYTES;
/** Nonces are drawn from a block of random bytes: one call of the generator for 512 of them. */
const NONCE_BLOCK_BYTES = NONCE_BYTES * 512;

const DAY_MS = 86_400_000;
/** Nothing is sealed with a version from this age on, counted from when it came into use. */
export const STOP_AFTER_MS = 90 * DAY_MS;
/** Random 96-bit nonces: at most 2^32 seals under one key (NIST SP 800-38D, 8.3). Rotation comes long before. */
export const MAX_SEALS = 2 ** 32;
/** Nothing is sealed with what was read longer ago: a process that was stopped may wake up after a version was destroyed. */
export const TRUSTED_FOR_MS = 15 * 60_000;

/** One version as it was read. */
export interface KeyVersion {
  version: number;
  secret: Uint8Array;
  /** Milliseconds since it came into use, by the clock of the database; negative while it is only made known. */
  ageMs: number;
  /** False: it opens what it sealed, and no more. */
  canSeal: boolean;
  /** By all processes, as far as they have told. */
  seals: number;
}

export interface KeyMaterial {
  versions: readonly KeyVersion[];
  /** Once a version was rotated: what `derive` stands on, apart from every version. */
  root?: ReadonlyMap<DerivedPurpose, Uint8Array>;
  /** By the clock of the ring. */
  readAtMs: number;
}

/** Purposes that keys or indexes are derived for; in this order they lie in the stored root. */
export const DERIVED_PURPOSES = ['blind-index', 'watermark'] as const satisfies readonly DerivedPurpose[];

/** What the root of a tenant is: the keys that version 1 derives from, from which version 1 itself cannot be computed. */
export function rootOf(tenantId: string, versionOne: Uint8Array): Buffer {
  return Buffer.concat(DERIVED_PURPOSES.map((purpose) => expand(versionOne, tenantId, purpose, 'derive')));
}

/** Reverses the concatenation. @throws KeyError KEY_MALFORMED for another length */
export function readRoot(bytes: Uint8Array): Map<DerivedPurpose, Uint8Array> {
  if (bytes.length !== DERIVED_PURPOSES.length * KEY_BYTES)
    throw new KeyError('KEY_MALFORMED', 'The root of the derived keys has another length.');
  return new Map(DERIVED_PURPOSES.map((purpose, i) => [purpose, bytes.subarray(i * KEY_BYTES, (i + 1) * KEY_BYTES)]));
}

// One key per purpose, version and use (RFC 5869); sealing and deriving never share one.
function expand(secret: Uint8Array, tenantId: string, purpose: KeyPurpose, use: 'seal' | 'derive'): Buffer {
  return Buffer.from(hkdfSync('sha256', secret, tenantId, `lumatrace|${purpose}|${use}`, KEY_BYTES));
}

/** The tenant's data was erased; nothing of it can be opened. Answered 403. */
export class TenantErased extends Error {
  readonly code = 'TENANT_RESTRICTED';

  constructor() {
    super('The data of this tenant was erased: its keys are destroyed.');
    this.name = 'TenantErased';
  }
}

/** No data is written: the key is too old, sealed too often, or was not read anew for too long. Answered 503. */
export class SealingStopped extends Error {
  readonly code = 'UNAVAILABLE';
  readonly action = 'Let the operator see that the jobs run, or rotate the data key: docs/guides/tenant-keys.md.';
}

/** The key was rotated while a request held it; it is being read again. Answered 503, and the next try succeeds. */
export class KeyBehind extends Error {
  readonly code = 'UNAVAILABLE';

  constructor() {
    super('The data key was rotated a moment ago and is read again.');
    this.name = 'KeyBehind';
  }
}

export interface RingOptions {
  tenantId: string;
  /** Monotonic milliseconds. */
  nowMs: () => number;
  /** Called when what was read is older than `reloadAfterMs`, at most once until it is given something. */
  onStale?: () => void;
  reloadAfterMs?: number;
}

export class TenantKeyRing implements TenantKey {
  readonly tenantId: string;
  readonly #nowMs: () => number;
  readonly #onStale: (() => void) | undefined;
  readonly #reloadAfterMs: number;
  #material: KeyMaterial = { versions: [], readAtMs: -Infinity };
  #derived = new Map<string, KeyObject>();
  /** By version, since they were last told. */
  #seals = new Map<number, number>();
  #sealing: KeyVersion | undefined;
  /** Until then `#sealing` is right. */
  #reviseAtMs = -Infinity;
  #staleAtMs = Infinity;

  constructor({ tenantId, nowMs, onStale, reloadAfterMs = Infinity }: RingOptions) {
    this.tenantId = tenantId;
    this.#nowMs = nowMs;
    this.#onStale = onStale;
    this.#reloadAfterMs = reloadAfterMs;
  }

  /** What holds from now on. The keys of versions that are gone are forgotten. */
  give(material: KeyMaterial): void {
    this.#material = material;
    this.#staleAtMs = material.readAtMs + this.#reloadAfterMs;
    this.#reviseAtMs = -Infinity;
    const live = new Set(material.versions.map(({ version }) => version));
    for (const [name] of this.#derived) {
      const version = Number(name.slice(name.indexOf('|') + 1));
      if (version > 0 && !live.has(version)) this.#derived.delete(name);
    }
  }

  /** Nothing opens or seals any more. */
  forget(): void {
    this.#derived.clear();
    this.give({ versions: [], readAtMs: this.#nowMs() });
    this.#staleAtMs = Infinity;
  }

  /** How often each version sealed since the last call. */
  takeSeals(): Map<number, number> {
    const taken = this.#seals;
    this.#seals = new Map();
    return taken;
  }

  /** They could not be told: they are counted to the next. */
  returnSeals(taken: ReadonlyMap<number, number>): void {
    for (const [version, n] of taken) this.#seals.set(version, (this.#seals.get(version) ?? 0) + n);
  }

  get version(): number {
    return this.#sealingVersion().version;
  }

  seal(purpose: KeyPurpose, aad: string, plaintext: Uint8Array): Buffer {
    const { version } = this.#sealingVersion();
    this.#seals.set(version, (this.#seals.get(version) ?? 0) + 1);
    const nonce = nextNonce();
    const cipher = createCipheriv('aes-256-gcm', this.#sealKey(purpose, version), nonce, { authTagLength: TAG_BYTES });
    cipher.setAAD(boundTo(purpose, aad, this.tenantId, version));
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
  }

  open(purpose: KeyPurpose, aad: string, sealed: Uint8Array): Buffer {
    this.#tellStale(this.#nowMs());
    const bytes = Buffer.from(sealed.buffer, sealed.byteOffset, sealed.byteLength);
    if (bytes.length < OVERHEAD_BYTES || bytes[0] !== FORMAT || bytes[1] !== AES_256_GCM) {
      throw new KeyError('KEY_MALFORMED', 'The sealed bytes are not in our format.');
    }
    const version = bytes.readUInt32BE(2);
    const decipher = createDecipheriv(
      'aes-256-gcm',
      this.#sealKey(purpose, version),
      bytes.subarray(HEADER_BYTES, BODY_AT),
      { authTagLength: TAG_BYTES },
    );
    decipher.setAAD(boundTo(purpose, aad, this.tenantId, version));
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
  }

  // What is derived (a watermark key, a blind index) must stay the same when sealing rotates: version 1 for ever, or the root
  // that was taken from it.
  derive(purpose: DerivedPurpose, info: string): Buffer {
    const key = this.#keyNamed(`${purpose}.derive|0`, () => {
      const kept = this.#material.root?.get(purpose);
      return kept ?? expand(this.#secretOf(1), this.tenantId, purpose, 'derive');
    });
    return createHmac('sha256', key).update(info, 'utf8').digest();
  }

  #sealKey(purpose: KeyPurpose, version: number): KeyObject {
    return this.#keyNamed(`${purpose}|${version}`, () =>
      expand(this.#secretOf(version), this.tenantId, purpose, 'seal'),
    );
  }

  #keyNamed(name: string, make: () => Uint8Array): KeyObject {
    const known = this.#derived.get(name);
    if (known !== undefined) return known;
    const key = createSecretKey(make());
    this.#derived.set(name, key);
    return key;
  }

  #secretOf(version: number): Uint8Array {
    if (this.#material.versions.length === 0) throw new TenantErased();
    const found = this.#material.versions.find((one) => one.version === version);
    if (found !== undefined) return found.secret;
    this.#tellIfBehind(version);
    throw new KeyError('KEY_UNKNOWN_VERSION', `Expected a live version of the data key but received ${version}.`);
  }

  /** A request that held the key for long without using it may meet a version that came meanwhile. @throws KeyBehind */
  #tellIfBehind(version: number): void {
    const { versions, readAtMs } = this.#material;
    const isNewer = versions.every((one) => one.version < version);
    // what was read just now and does not know it will not know it the next time
    if (!isNewer || this.#onStale === undefined || this.#nowMs() - readAtMs < this.#reloadAfterMs / 10) return;
    this.#onStale();
    throw new KeyBehind();
  }

  #tellStale(nowMs: number): void {
    if (nowMs < this.#staleAtMs) return;
    this.#staleAtMs = Infinity;
    this.#onStale?.();
  }

  /** The reader failed: it is told again after `afterMs`. */
  staleAgainAfter(afterMs: number): void {
    this.#staleAtMs = this.#nowMs() + afterMs;
  }

  #sealingVersion(): KeyVersion {
    const nowMs = this.#nowMs();
    this.#tellStale(nowMs);
    if (nowMs >= this.#reviseAtMs) this.#revise(nowMs);
    if (this.#sealing === undefined) throw new TenantErased();
    return this.#sealing;
  }

  /** The newest version in use; the oldest when none is, since the first of a tenant is in use at once. */
  #revise(nowMs: number): void {
    const { versions, readAtMs } = this.#material;
    const sinceMs = nowMs - readAtMs;
    const sealable = versions.filter(({ canSeal }) => canSeal).sort((a, b) => b.version - a.version);
    const sealing = sealable.find(({ ageMs }) => ageMs + sinceMs >= 0) ?? sealable.at(-1);
    this.#sealing = undefined;
    if (sealing === undefined) return;
    if (sinceMs >= TRUSTED_FOR_MS)
      throw new SealingStopped('The data key was not read anew for 15 minutes: nothing is written under it.');
    if (sealing.ageMs + sinceMs >= STOP_AFTER_MS)
      throw new SealingStopped('The data key of the tenant is older than 90 days: nothing is written under it.');
    if (sealing.seals >= MAX_SEALS)
      throw new SealingStopped('The data key of the tenant has sealed 2^32 times: nothing is written under it.');
    this.#sealing = sealing;
    // the next moment at which something else may hold
    const moments = sealable.map(({ ageMs }) => readAtMs - ageMs).filter((atMs) => atMs > nowMs);
    this.#reviseAtMs = Math.min(...moments, readAtMs + TRUSTED_FOR_MS, readAtMs + STOP_AFTER_MS - sealing.ageMs);
  }
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
