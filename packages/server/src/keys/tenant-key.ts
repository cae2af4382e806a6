// The data key of one tenant as the story rooms see it: seal and open, nothing else leaves `keys`.
import type { Aad } from '../storage/sealed.ts';

/** Purposes that get a key of their own by HKDF-SHA-256 (never one key for two uses). */
export type KeyPurpose = 'content' | 'column' | 'preview' | 'blind-index' | 'export' | 'watermark';

/** Those that something is derived for; what is derived stays when the key rotates. */
export type DerivedPurpose = 'blind-index' | 'watermark';

export interface TenantKey {
  readonly tenantId: string;
  /** The version that seals now; another one after a rotation. @throws what `seal` throws */
  readonly version: number;
  /**
   * AES-256-GCM with a random 96-bit nonce; `aad` binds table, column and row so that rows cannot be swapped
   * (tenant and key version are added by the key itself). Layout: v1 | alg | key version u32 | nonce | ciphertext | tag.
   * @throws SealingStopped (503) when the key may not seal any more, KeyError KEY_DESTROYED after an erasure.
   */
  seal(purpose: KeyPurpose, aad: Aad, plaintext: Uint8Array): Buffer;
  /** Reverses `seal`, with any version still in force. Throws a coded error when the bytes or the aad are not ours. */
  open(purpose: KeyPurpose, aad: Aad, sealed: Uint8Array): Buffer;
  /** HMAC-SHA-256 under the purpose's key: watermark keys per photo, blind indexes. 32 bytes. */
  derive(purpose: DerivedPurpose, info: string): Buffer;
}

export interface TenantKeys {
  /**
   * The key of a tenant, created on first use; cached, and kept up to date while it is used. Throws DatabaseUnavailable
   * or a coded error: TenantErased (403) when the tenant's data was erased.
   */
  forTenant(tenantId: string): Promise<TenantKey>;
  /** This process opens nothing of the tenant any more. */
  forget(tenantId: string): void;
}
