// The data key of one tenant as the story rooms see it: seal and open, nothing else leaves `keys`.

/** Purposes that get a key of their own by HKDF-SHA-256 (never one key for two uses). */
export type KeyPurpose = 'content' | 'column' | 'preview' | 'blind-index' | 'export' | 'watermark';

export interface TenantKey {
  readonly tenantId: string;
  readonly version: number;
  /**
   * AES-256-GCM with a random 96-bit nonce; `aad` binds table, column and row so that rows cannot be swapped
   * (tenant and key version are added by the key itself). Layout: v1 | alg | key version u32 | nonce | ciphertext | tag.
   */
  seal(purpose: KeyPurpose, aad: string, plaintext: Uint8Array): Buffer;
  /** Reverses `seal`, with any version still in force. Throws a coded error when the bytes or the aad are not ours. */
  open(purpose: KeyPurpose, aad: string, sealed: Uint8Array): Buffer;
  /** HMAC-SHA-256 under the purpose's key: watermark keys per photo, blind indexes. 32 bytes. */
  derive(purpose: KeyPurpose, info: string): Buffer;
}

export interface TenantKeys {
  /** The key in force for a tenant, created on first use; cached. Throws DatabaseUnavailable or a coded error. */
  forTenant(tenantId: string): Promise<TenantKey>;
}
