// Signs a picture: the C2PA library lays out the manifest store, we put the soft binding's bytes in and a
// JPEG's hash, and sign.
import { createHash } from 'node:crypto';
import { jpegSegments, type ImageFormat } from '../image.ts';
import type { Signer } from '../signer.ts';
import {
  manifestDefinition,
  parentDefinition,
  SOFT_BINDING_LABEL,
  withSoftBindingBytes,
  type SoftBinding,
  type Statements,
} from './assertions.ts';
import { concatBytes, encodeCbor, type CborMap, type CborValue } from './cbor.ts';
import { coseSign1Length, signClaim, type Timestamper } from './cose.ts';
import { EmbedError, extractManifest, insertManifest } from './embed.ts';
import {
  cborMapOf,
  activeManifest,
  onlyContent,
  payloadOf,
  type ContentBox,
  type ManifestBoxes,
  type Superbox,
} from './jumbf.ts';
import { verifyC2pa } from './verify.ts';
import { C2paEngineError, layOutManifest, type Layout, type TrustAnchors } from './wasm.ts';

export interface SignRequest extends Omit<Statements, 'softBindings'> {
  /** The marked and encoded picture, without a manifest. */
  readonly bytes: Uint8Array;
  readonly signer: Signer;
  /** Whose time stamp goes beside the signature; none when absent. */
  readonly timestamper?: Timestamper;
  /** The watermark's payload, first; a fingerprint may follow. */
  readonly softBinding: SoftBinding;
  readonly fingerprint?: SoftBinding;
  /** The picture as it came: its credentials, if it has any, become the parent ingredient. */
  readonly source?: { readonly bytes: Uint8Array; readonly format: ImageFormat };
  /** Whom a reader here trusts: the parent's own credentials are judged by it at the time of signing. */
  readonly trust: TrustAnchors;
}

export interface SignedImage {
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** All that must be kept to make `bytes` again from the unsigned picture (`insertManifest`); it holds no pixels. */
  readonly manifestStore: Uint8Array<ArrayBuffer>;
  /** Of the picture that was signed. */
  readonly unsignedSha256: Uint8Array;
}

/** The picture came with credentials that cannot be carried on; they are never dropped silently. */
export class SourceCredentialsError extends Error {
  readonly code = 'VALIDATION_FAILED';
}

/**
 * Embeds a signed manifest. One call to the signer, then one to the timestamper. Every call makes another manifest: labels and salts are random.
 * @throws TypeError (unsayable statements), SourceCredentialsError (`source` holds a damaged store), EmbedError (`bytes`
 *   hold a store), C2paEngineError, and whatever the signer throws.
 */
export async function signImage(request: SignRequest): Promise<SignedImage> {
  const { bytes, format, signer, timestamper, softBinding, fingerprint, source, trust } = request;
  const softBindings: [SoftBinding, ...SoftBinding[]] = fingerprint ? [softBinding, fingerprint] : [softBinding];
  const parent = source !== undefined && hasStore(source) ? { ...source, definition: parentDefinition(source) } : null;
  const definition = manifestDefinition({ ...request, softBindings }, parent !== null);
  const signatureBytes = coseSign1Length(signer, timestamper);
  const draft = await layOut(outlineOf(bytes, format), format, definition, signatureBytes, parent, trust);
  const unsignedSha256 = createHash('sha256').update(bytes).digest();
  const dataHash = format === 'jpeg' ? unsignedSha256 : null;
  const manifestStore = await sealStore(draft.store, softBindings, dataHash, (claim) =>
    signClaim(signer, claim, timestamper),
  );
  const signed = { bytes: insertManifest(bytes, format, manifestStore), manifestStore, unsignedSha256 };
  if (parent !== null) await requireSoundParent(signed, request);
  return signed;
}

/**
 * What the library lays a manifest out for. Of a JPEG that is its header without image data: it would hash the data in
 * WebAssembly, 20 ms for 6 MB and more than once, where Node needs 4. The store is excluded from the hash and what lies
 * around it are the bytes of the unsigned file, so that their hash is the one that belongs there. Other formats are
 * rare, large, and change around the store (WebP's length).
 */
function outlineOf(bytes: Uint8Array, format: ImageFormat): Uint8Array {
  if (format !== 'jpeg') return bytes;
  const endOfHeader = jpegSegments(bytes).at(-1)?.end;
  return concatBytes([bytes.subarray(0, endOfHeader), END_OF_IMAGE]);
}

const END_OF_IMAGE = Uint8Array.of(0xff, 0xd9);

// what we have just written can only be broken by what the parent brought along, such as a manifest without its own parent
async function requireSoundParent({ bytes }: SignedImage, { format, trust }: SignRequest): Promise<void> {
  const { status, findings } = await verifyC2pa({ bytes, format, trust });
  if (status !== 'TAMPERED') return;
  const codes = findings.filter(({ severity }) => severity === 'failure').map(({ code }) => code);
  throw unkeepable(new Error(codes.join(', ')));
}

function hasStore(source: { readonly bytes: Uint8Array; readonly format: ImageFormat }): boolean {
  try {
    return extractManifest(source.bytes, source.format) !== null;
  } catch (cause) {
    if (cause instanceof EmbedError) throw unkeepable(cause);
    throw cause;
  }
}

// what the library refuses with a parent, and not for a trap of its own, it refuses for the parent
async function layOut(...request: Parameters<typeof layOutManifest>): Promise<Layout> {
  const parent = request[4];
  try {
    return await layOutManifest(...request);
  } catch (cause) {
    if (parent !== null && cause instanceof C2paEngineError && !cause.trapped) throw unkeepable(cause);
    throw cause;
  }
}

function unkeepable(cause: Error): SourceCredentialsError {
  const message = 'The picture carries damaged C2PA credentials that cannot be kept: remove or repair them first.';
  return new SourceCredentialsError(message, { cause });
}

// every replacement keeps its length: no offset, and so no hash of the picture, changes
async function sealStore(
  draft: Uint8Array,
  softBindings: readonly SoftBinding[],
  dataHash: Uint8Array | null,
  sign: (claim: Uint8Array) => Promise<Uint8Array>,
): Promise<Uint8Array<ArrayBuffer>> {
  const store = new Uint8Array(draft);
  const manifest = activeManifest(store);
  const hashes = new Map<string, Uint8Array>();
  for (const [index, { value }] of softBindings.entries()) {
    const assertion = assertionOf(manifest, instanceLabel(SOFT_BINDING_LABEL, index));
    const box = onlyContent(assertion, 'cbor');
    replaceCbor(store, box, withSoftBindingBytes(cborMapOf(store, box), value));
    hashes.set(assertion.label, hashOf(store, assertion));
  }
  if (dataHash !== null) {
    const assertion = assertionOf(manifest, DATA_HASH_LABEL);
    const box = onlyContent(assertion, 'cbor');
    replaceCbor(store, box, new Map(cborMapOf(store, box)).set('hash', dataHash));
    hashes.set(assertion.label, hashOf(store, assertion));
  }
  replaceCbor(store, manifest.claim, withAssertionHashes(cborMapOf(store, manifest.claim), hashes));
  replaceBytes(store, manifest.signature, await sign(payloadOf(store, manifest.claim)));
  return store;
}

const DATA_HASH_LABEL = 'c2pa.hash.data';

// §6.4: the second assertion of a label is called label__1
const instanceLabel = (label: string, index: number): string => (index === 0 ? label : `${label}__${index}`);

function assertionOf(manifest: ManifestBoxes, label: string): Superbox {
  const found = manifest.assertions.find((assertion) => assertion.label === label);
  if (found === undefined) throw new Error(`Expected the library to write the assertion ${label}`);
  return found;
}

/** SHA-256 over a superbox without its own header, as hashed URIs of assertions want it (§8.4.2.3). */
export function hashOf(store: Uint8Array, box: Superbox): Uint8Array {
  return createHash('sha256').update(store.subarray(box.hashStart, box.end)).digest();
}

function withAssertionHashes(claim: CborMap, hashes: ReadonlyMap<string, Uint8Array>): CborMap {
  const sealed = new Map(claim);
  const list = claim.get('created_assertions');
  if (!Array.isArray(list)) throw new Error('Expected the library to write created_assertions');
  let replaced = 0;
  const references = (list as readonly CborValue[]).map((reference) => {
    const hash = reference instanceof Map ? hashes.get(labelOfUri(reference.get('url'))) : undefined;
    if (hash === undefined) return reference;
    replaced++;
    return new Map(reference as CborMap).set('hash', hash);
  });
  if (replaced !== hashes.size) throw new Error('Expected every assertion that was replaced among created_assertions');
  return sealed.set('created_assertions', references);
}

/** The last segment of a JUMBF URI, '' when it is none. */
export function labelOfUri(uri: CborValue): string {
  return typeof uri === 'string' ? uri.slice(uri.lastIndexOf('/') + 1) : '';
}

function replaceCbor(store: Uint8Array, box: ContentBox, value: CborMap): void {
  replaceBytes(store, box, encodeCbor(value));
}

function replaceBytes(store: Uint8Array, box: ContentBox, bytes: Uint8Array): void {
  if (bytes.length !== box.end - box.payloadStart)
    throw new Error(`Expected ${box.end - box.payloadStart} bytes for a box of the store but made ${bytes.length}`);
  store.set(bytes, box.payloadStart);
}
