// The door to a private signing key: who opens it and where it lives is nobody's business behind it.

/** COSE algorithms that the C2PA specification allows and that we sign with (RFC 9053 §2, RFC 8230 §2). */
export type SigningAlgorithm = 'es256' | 'ps256' | 'ed25519';

export interface Signer {
  readonly alg: SigningAlgorithm;
  /** DER certificates, leaf first, every issuer after it, the root not included. */
  readonly certificateChainDer: readonly Uint8Array[];
  /**
   * Signs the bytes themselves (the signer hashes). Raw signature: ES256 as R‖S of 64 bytes (IEEE P1363),
   * PS256 with MGF1-SHA-256 and a salt of 32 bytes, Ed25519 of 64 bytes. Rejects when the key cannot be reached.
   */
  sign(tbs: Uint8Array): Promise<Uint8Array>;
}
