// COSE_Sign1 (RFC 9052 §4.2) as a C2PA claim signature: detached payload, chain in the protected header (RFC 9360),
// nothing in the unprotected header that a claim generator of ours did not put there.
import { createHash, X509Certificate } from 'node:crypto';
import type { Signer, SigningAlgorithm } from '../signer.ts';
import { CborError, CborTag, decodeCbor, encodeCbor, type CborMap, type CborValue } from './cbor.ts';

/** The bytes are not a COSE_Sign1 as C2PA §13.2 wants it. */
export class CoseError extends Error {
  readonly code = 'COSE_INVALID';
}

const COSE_SIGN1_TAG = 18;
const HEADER = { alg: 1, x5chain: 33 } as const;
const ED25519_BYTES = 64;
/** "pad2" with its length, and two more bytes for the length of the first padding. */
const MAX_PADDING_OVERHEAD = 8;

// RFC 9053 §2.1 and §2.2, RFC 8230 §2
const COSE_ALGORITHM: Readonly<Record<SigningAlgorithm, number>> = { es256: -7, ps256: -37, ed25519: -8 };

// RFC 9053 and RFC 8230: what C2PA allows (§13.2.1)
const ALGORITHM_NAMES: ReadonlyMap<number, string> = new Map([
  [-7, 'ES256'],
  [-35, 'ES384'],
  [-36, 'ES512'],
  [-37, 'PS256'],
  [-38, 'PS384'],
  [-39, 'PS512'],
  [-8, 'EdDSA'],
]);

/** The name of a COSE algorithm that C2PA allows, else null. */
export function algorithmName(algorithm: number): string | null {
  return ALGORITHM_NAMES.get(algorithm) ?? null;
}

const EMPTY = new Uint8Array(0);

function protectedHeader(signer: Signer): Uint8Array {
  const [leaf] = signer.certificateChainDer;
  if (leaf === undefined) throw new TypeError('Expected a certificate chain with a leaf');
  const chain = signer.certificateChainDer.length === 1 ? leaf : signer.certificateChainDer;
  return encodeCbor(
    new Map<number, CborValue>([
      [HEADER.alg, COSE_ALGORITHM[signer.alg]],
      [HEADER.x5chain, chain],
    ]),
  );
}

function coseSign1(
  header: Uint8Array,
  signature: Uint8Array,
  unprotected: CborMap = new Map(),
): Uint8Array<ArrayBuffer> {
  return encodeCbor(new CborTag(COSE_SIGN1_TAG, [header, unprotected, null, signature]));
}

/** Asks a time-stamping authority about a signature; the token goes beside it. */
export interface Timestamper {
  /** No token of this authority is longer. */
  readonly maxTokenBytes: number;
  /** A TimeStampToken (RFC 3161) over a SHA-256 digest. Rejects when there is none to be had. */
  stamp(digest: Uint8Array): Promise<Uint8Array>;
}

// C2PA §13.2.5: sigTst2 holds one token; `padding` zeros make up for tokens that are shorter than the longest
function stamped(token: Uint8Array, padding: number): CborMap {
  const stamps: CborMap = new Map<string, CborValue>([['tstTokens', [new Map([['val', token]])]]]);
  return new Map<string, CborValue>([
    ['sigTst2', stamps],
    ['pad', new Uint8Array(padding)],
  ]);
}

/** What a time stamp covers (C2PA §10.3.2.5): the claim's CBOR in the first version, in the second that of the signature. */
export function countersignedBytes(header: Uint8Array, payload: Uint8Array): Uint8Array<ArrayBuffer> {
  return encodeCbor(['CounterSignature', header, EMPTY, payload]);
}

function signatureBytes(signer: Signer): number {
  if (signer.alg === 'ed25519') return ED25519_BYTES;
  const [leaf] = signer.certificateChainDer;
  if (leaf === undefined) throw new TypeError('Expected a certificate chain with a leaf');
  const key = new X509Certificate(leaf).publicKey.asymmetricKeyDetails;
  if (signer.alg === 'es256') return 64;
  return (key?.modulusLength ?? 0) / 8;
}

/** How long the signature box of this signer will be: exactly as much is reserved. */
export function coseSign1Length(signer: Signer, timestamper?: Timestamper): number {
  const signature = new Uint8Array(signatureBytes(signer));
  const unprotected = timestamper && stamped(new Uint8Array(timestamper.maxTokenBytes), 0);
  return coseSign1(protectedHeader(signer), signature, unprotected).length;
}

/** What the signer signs: the Sig_structure of RFC 9052 §4.4 over the claim's CBOR. */
export function sigStructure(header: Uint8Array, claim: Uint8Array): Uint8Array<ArrayBuffer> {
  return encodeCbor(['Signature1', header, EMPTY, claim]);
}

/**
 * The tagged COSE_Sign1 over a claim, time-stamped when there is an authority to ask; then it has the length that
 * `coseSign1Length` tells.
 * @throws CoseError when signer or authority return bytes of an unexpected length, and whatever they throw.
 */
export async function signClaim(
  signer: Signer,
  claim: Uint8Array,
  timestamper?: Timestamper,
): Promise<Uint8Array<ArrayBuffer>> {
  const header = protectedHeader(signer);
  const signature = await signer.sign(sigStructure(header, claim));
  const expected = signatureBytes(signer);
  if (signature.length !== expected)
    throw new CoseError(`Expected a signature of ${expected} bytes for ${signer.alg} but received ${signature.length}`);
  if (timestamper === undefined) return coseSign1(header, signature);
  const digest = createHash('sha256')
    .update(countersignedBytes(header, encodeCbor(signature)))
    .digest();
  const token = await timestamper.stamp(new Uint8Array(digest));
  return padded(header, signature, token, coseSign1Length(signer, timestamper));
}

// an empty second padding reaches the two lengths that the first cannot: its own header grows at 24 and at 256 bytes
function padded(header: Uint8Array, signature: Uint8Array, token: Uint8Array, length: number): Uint8Array<ArrayBuffer> {
  const missing = length - coseSign1(header, signature, stamped(token, 0)).length;
  for (const second of [[], [['pad2', EMPTY] as const]])
    for (let padding = missing; padding >= Math.max(0, missing - MAX_PADDING_OVERHEAD); padding--) {
      const box = coseSign1(header, signature, new Map([...stamped(token, padding), ...second]));
      if (box.length === length) return box;
    }
  throw new CoseError(`Expected a time stamp that fits into the signature box but it is ${-missing} bytes too long`);
}

export interface ClaimSignature {
  readonly algorithm: number;
  /** DER, leaf first. */
  readonly chainDer: readonly Uint8Array[];
  readonly protectedHeader: Uint8Array;
  readonly signature: Uint8Array;
  readonly timestamp: ClaimTimestamp | null;
  /** Unprotected headers that C2PA does not know: nobody vouches for them. */
  readonly unknownHeaders: readonly string[];
}

export interface ClaimTimestamp {
  /** 1: a TimeStampResp over the claim. 2: a TimeStampToken over the signature. */
  readonly version: 1 | 2;
  readonly bytes: Uint8Array;
}

// what C2PA §13.2 and §13.2.5 allow beside the signature
const UNPROTECTED: ReadonlySet<string | number> = new Set(['sigTst', 'sigTst2', 'rVals', 'pad', 'pad2', 'x5chain', 33]);
const PADDING = ['pad', 'pad2'] as const;

/** Reads a signature box strictly. @throws CoseError, also for padding that is not zero. */
export function parseClaimSignature(bytes: Uint8Array): ClaimSignature {
  const item = decoded(bytes);
  const parts = item instanceof CborTag && item.tag === COSE_SIGN1_TAG ? item.value : item;
  if (!Array.isArray(parts) || parts.length !== 4) throw new CoseError('Expected a COSE_Sign1 of four parts');
  const [header, unprotected, payload, signature] = parts as readonly CborValue[];
  if (!(header instanceof Uint8Array) || !(unprotected instanceof Map) || !(signature instanceof Uint8Array))
    throw new CoseError('Expected header, map, payload and signature in a COSE_Sign1');
  if (payload !== null) throw new CoseError('Expected a detached payload in a COSE_Sign1');
  const fields = decoded(header);
  if (!(fields instanceof Map)) throw new CoseError('Expected a map as protected header');
  refusePadding(unprotected);
  return {
    algorithm: Number(fields.get(HEADER.alg)),
    chainDer: chainOf(fields, unprotected),
    protectedHeader: header,
    signature,
    timestamp: timestampOf(unprotected),
    unknownHeaders: [...unprotected.keys()].filter((key) => !UNPROTECTED.has(key)).map(String),
  };
}

function decoded(bytes: Uint8Array): CborValue {
  try {
    return decodeCbor(bytes);
  } catch (cause) {
    if (cause instanceof CborError) throw new CoseError(cause.message, { cause });
    throw cause;
  }
}

function refusePadding(unprotected: CborMap): void {
  for (const key of PADDING) {
    const padding = unprotected.get(key);
    if (padding === undefined) continue;
    if (!(padding instanceof Uint8Array) || padding.some((byte) => byte !== 0))
      throw new CoseError('Expected only zeros as padding of a COSE_Sign1');
  }
}

// one store of one token: a reader that looks at another one than we do would believe another time
function timestampOf(unprotected: CborMap): ClaimTimestamp | null {
  const [first, second] = [unprotected.get('sigTst'), unprotected.get('sigTst2')];
  if (first === undefined && second === undefined) return null;
  const store = second ?? first;
  const tokens = store instanceof Map ? store.get('tstTokens') : undefined;
  const [token, ...more] = Array.isArray(tokens) ? (tokens as readonly CborValue[]) : [];
  const bytes = token instanceof Map ? token.get('val') : undefined;
  if ((first !== undefined && second !== undefined) || more.length > 0 || !(bytes instanceof Uint8Array))
    throw new CoseError('Expected exactly one time stamp in a COSE_Sign1');
  return { version: second === undefined ? 1 : 2, bytes };
}

function chainOf(fields: CborMap, unprotected: CborMap): readonly Uint8Array[] {
  const found =
    fields.get(HEADER.x5chain) ??
    fields.get('x5chain') ??
    unprotected.get(HEADER.x5chain) ??
    unprotected.get('x5chain');
  const chain = found instanceof Uint8Array ? [found] : found;
  if (!Array.isArray(chain) || chain.length === 0 || !chain.every((der) => der instanceof Uint8Array))
    throw new CoseError('Expected a certificate chain in a COSE_Sign1');
  return chain;
}
