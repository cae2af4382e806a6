// JUMBF (ISO 19566-5) as a C2PA manifest store uses it, read strictly: whatever the signature does not cover
// (labels, box headers, padding) must be written in the one way that a claim generator writes it.
import { CborError, decodeCbor, type CborMap, type CborValue } from './cbor.ts';

export interface ContentBox {
  readonly type: string;
  /** Offset of the box header in the store. */
  readonly start: number;
  readonly payloadStart: number;
  readonly end: number;
}

export interface Superbox {
  readonly label: string;
  /** The type UUID of the description box in hex without hyphens. */
  readonly uuid: string;
  readonly start: number;
  readonly end: number;
  /** Where the description box begins: C2PA hashes a superbox from here to its end (§8.4.2.3). */
  readonly hashStart: number;
  readonly superboxes: readonly Superbox[];
  readonly contents: readonly ContentBox[];
}

/** One manifest with its three parts, offsets into the store. */
export interface ManifestBoxes {
  readonly label: string;
  readonly claim: ContentBox;
  readonly signature: ContentBox;
  readonly assertions: readonly Superbox[];
}

/** The store is not JUMBF as C2PA writes it; `offset` is where that showed. */
export class JumbfError extends Error {
  readonly code = 'JUMBF_INVALID';
  readonly offset: number;
  constructor(message: string, offset: number, options?: ErrorOptions) {
    super(message, options);
    this.offset = offset;
  }
}

const MAX_DEPTH = 8;
const MAX_BOXES = 20_000;
const HEADER_LENGTH = 8;
const UUID_LENGTH = 16;
const SALT_LENGTHS: ReadonlySet<number> = new Set([16, 32]);
const TOGGLE = { requestable: 0x01, label: 0x02, salt: 0x10 } as const;
const LABELLED = TOGGLE.requestable | TOGGLE.label;

// four letters in front of the ISO suffix name each C2PA superbox (§11.1.4)
const C2PA_SUFFIX = '00110010800000aa00389b71';
const c2paUuid = (letters: string): string => Buffer.from(letters, 'latin1').toString('hex') + C2PA_SUFFIX;
const UUID = {
  store: c2paUuid('c2pa'),
  manifest: c2paUuid('c2ma'),
  updateManifest: c2paUuid('c2um'),
  assertionStore: c2paUuid('c2as'),
  claim: c2paUuid('c2cl'),
  signature: c2paUuid('c2cs'),
  compressed: c2paUuid('c2cm'),
} as const;

// what a manifest may hold besides claim, signature and assertions (§11.1.4.2)
const OPTIONAL_PARTS: ReadonlyMap<string, string> = new Map([
  ['c2pa.credentials', c2paUuid('c2vc')],
  ['c2pa.databoxes', c2paUuid('c2db')],
]);
const CLAIM_LABELS: ReadonlySet<string> = new Set(['c2pa.claim', 'c2pa.claim.v2']);

// kept out of labels: controls, blanks, invisible characters, and what has a meaning in a URI
const BAD_LABEL = /[\p{C}\p{Z}/;?#]/u;

const latin1 = new TextDecoder('latin1');
const strictUtf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** The whole store as a tree, or JumbfError. */
export function parseJumbf(store: Uint8Array): Superbox {
  const reader = new JumbfReader(store);
  const root = reader.superbox(0, store.length, 0);
  if (root.end !== store.length)
    throw new JumbfError(`Expected one manifest store but ${store.length - root.end} bytes follow it`, root.end);
  if (root.label !== 'c2pa' || root.uuid !== UUID.store)
    throw new JumbfError('Expected a superbox labelled c2pa for the manifest store', 0);
  return root;
}

/**
 * The parts of every manifest in the store, the active one last. Ingredients' manifests are read as strictly: their
 * inner labels and types are outside of every signature too. A compressed one (§11.1.4.8) is covered whole by the hash
 * of its ingredient and is left out. Throws JumbfError when a part is missing, doubled or unknown.
 */
export function manifestsOf(root: Superbox): readonly [...ManifestBoxes[], ManifestBoxes] {
  if (root.contents[0] !== undefined)
    throw new JumbfError('Expected only manifests in the manifest store', root.contents[0].start);
  const active = root.superboxes.at(-1);
  if (active === undefined) throw new JumbfError('Expected a manifest in the manifest store', root.start);
  const ingredients = root.superboxes.slice(0, -1).filter((box) => box.uuid !== UUID.compressed || !isCompressed(box));
  return [...ingredients.map(partsOf), partsOf(active)];
}

/** The active manifest of a store, all of which is read strictly. @throws JumbfError */
export function activeManifest(store: Uint8Array): ManifestBoxes {
  return manifestsOf(parseJumbf(store)).at(-1) as ManifestBoxes;
}

/**
 * The last manifest of a store in which earlier ones may be blanked out, so that nothing before it can be followed.
 * @throws JumbfError when there is none that reaches to the end of the store
 */
export function lastManifestIn(store: Uint8Array): ManifestBoxes {
  const at = Buffer.from(store.buffer, store.byteOffset, store.length).lastIndexOf(Buffer.from(UUID.manifest, 'hex'));
  // before the UUID: the header of its description box, and of the manifest itself
  const start = at - 2 * HEADER_LENGTH;
  if (start < 0) throw new JumbfError('Expected a manifest in the manifest store', 0);
  const manifest = new JumbfReader(store).superbox(start, store.length, 1);
  if (manifest.end !== store.length) throw new JumbfError('Expected the last manifest to end with the store', start);
  return partsOf(manifest);
}

const isCompressed = (box: Superbox): boolean => onlyContent(box, 'brob').type === 'brob';

function partsOf(manifest: Superbox): ManifestBoxes {
  if (manifest.uuid !== UUID.manifest && manifest.uuid !== UUID.updateManifest)
    throw new JumbfError('Expected the type of a manifest on its superbox', manifest.start);
  if (manifest.contents[0] !== undefined)
    throw new JumbfError('Expected only superboxes in a manifest', manifest.contents[0].start);
  const claims = manifest.superboxes.filter((box) => CLAIM_LABELS.has(box.label));
  const claim = only(claims, 'claim', UUID.claim, manifest);
  const signature = only(labelled(manifest, 'c2pa.signature'), 'signature', UUID.signature, manifest);
  const assertions = only(labelled(manifest, 'c2pa.assertions'), 'assertion store', UUID.assertionStore, manifest);
  if (assertions.contents[0] !== undefined)
    throw new JumbfError('Expected only assertions in the assertion store', assertions.contents[0].start);
  const known = new Set([claim, signature, assertions]);
  for (const part of manifest.superboxes)
    if (!known.has(part) && OPTIONAL_PARTS.get(part.label) !== part.uuid)
      throw new JumbfError(`Expected known parts in a manifest but found "${part.label}"`, part.start);
  return {
    label: manifest.label,
    claim: onlyContent(claim, 'cbor'),
    signature: onlyContent(signature, 'cbor'),
    assertions: assertions.superboxes,
  };
}

const labelled = (box: Superbox, label: string): Superbox[] => box.superboxes.filter((part) => part.label === label);

function only(found: readonly Superbox[], what: string, uuid: string, manifest: Superbox): Superbox {
  const [box] = found;
  if (box === undefined || found.length !== 1)
    throw new JumbfError(`Expected one ${what} in a manifest but found ${found.length}`, manifest.start);
  if (box.uuid !== uuid) throw new JumbfError(`Expected the type of a ${what} on its superbox`, box.start);
  return box;
}

/** The single content box of a superbox; JumbfError when there are others or it has another type. */
export function onlyContent(box: Superbox, type: string): ContentBox {
  const [content] = box.contents;
  if (content === undefined || box.contents.length !== 1 || box.superboxes.length > 0 || content.type !== type)
    throw new JumbfError(`Expected one ${type} box in "${box.label}"`, box.start);
  return content;
}

/** The bytes of a content box, not copied. */
export function payloadOf(store: Uint8Array, box: ContentBox): Uint8Array {
  return store.subarray(box.payloadStart, box.end);
}

/** A content box read as CBOR; JumbfError when it is none. */
export function cborOf(store: Uint8Array, box: ContentBox): CborValue {
  try {
    return decodeCbor(payloadOf(store, box));
  } catch (cause) {
    if (cause instanceof CborError) throw new JumbfError(cause.message, box.start, { cause });
    throw cause;
  }
}

/** As `cborOf`, where only a map will do. */
export function cborMapOf(store: Uint8Array, box: ContentBox): CborMap {
  const value = cborOf(store, box);
  if (!(value instanceof Map)) throw new JumbfError('Expected a CBOR map', box.start);
  return value;
}

class JumbfReader {
  #boxes = 0;
  readonly #bytes: Uint8Array;
  readonly #view: DataView;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  superbox(start: number, limit: number, depth: number): Superbox {
    if (depth > MAX_DEPTH) throw new JumbfError(`Expected JUMBF of at most ${MAX_DEPTH} levels`, start);
    const box = this.#header(start, limit);
    if (box.type !== 'jumb') throw new JumbfError(`Expected a superbox but found "${box.type}"`, start);
    const described = this.#header(box.payloadStart, box.end);
    if (described.type !== 'jumd') throw new JumbfError('Expected a description box first in a superbox', start);
    const { label, uuid } = this.#description(described);
    const superboxes: Superbox[] = [];
    const contents: ContentBox[] = [];
    for (let at = described.end; at < box.end;) {
      const child = this.#header(at, box.end);
      if (child.type === 'jumb') superboxes.push(this.superbox(at, box.end, depth + 1));
      else contents.push(this.#content(child));
      at = child.end;
    }
    refuseTwins(superboxes);
    return { label, uuid, start, end: box.end, hashStart: described.start, superboxes, contents };
  }

  // 32-bit lengths only: "to the end" (0) and 64-bit lengths (1) are legal ISO boxes, and two ways to say one thing
  #header(start: number, limit: number): ContentBox {
    if (++this.#boxes > MAX_BOXES) throw new JumbfError(`Expected at most ${MAX_BOXES} boxes`, start);
    if (limit - start < HEADER_LENGTH) throw new JumbfError('Expected a box header but the bytes end', start);
    const length = this.#view.getUint32(start);
    if (length < HEADER_LENGTH || length > limit - start)
      throw new JumbfError(`Expected a box within its parent but its length is ${length}`, start);
    const type = latin1.decode(this.#bytes.subarray(start + 4, start + HEADER_LENGTH));
    return { type, start, payloadStart: start + HEADER_LENGTH, end: start + length };
  }

  #content(box: ContentBox): ContentBox {
    if (box.type === 'jumd') throw new JumbfError('Expected one description box in a superbox', box.start);
    if (box.type === 'free' && payloadOf(this.#bytes, box).some((byte) => byte !== 0))
      throw new JumbfError('Expected only zeros in a padding box', box.start);
    return box;
  }

  #description(box: ContentBox): { label: string; uuid: string } {
    const togglesAt = box.payloadStart + UUID_LENGTH;
    if (togglesAt + 2 > box.end) throw new JumbfError('Expected a type and a label in a description box', box.start);
    const uuid = Buffer.from(this.#bytes.subarray(box.payloadStart, togglesAt)).toString('hex');
    const toggles = this.#bytes[togglesAt] ?? 0;
    if ((toggles & LABELLED) !== LABELLED || (toggles & ~(LABELLED | TOGGLE.salt)) !== 0)
      throw new JumbfError(`Expected a label and at most a salt but the toggles are ${toggles}`, box.start);
    const labelEnd = this.#bytes.indexOf(0, togglesAt + 1);
    if (labelEnd < 0 || labelEnd >= box.end) throw new JumbfError('Expected a label that ends', box.start);
    const label = this.#label(togglesAt + 1, labelEnd);
    const rest = labelEnd + 1;
    if ((toggles & TOGGLE.salt) === 0) {
      if (rest !== box.end) throw new JumbfError('Expected nothing after the label', rest);
    } else this.#salt(rest, box.end);
    return { label, uuid };
  }

  #label(start: number, end: number): string {
    let label: string;
    try {
      label = strictUtf8.decode(this.#bytes.subarray(start, end));
    } catch (cause) {
      throw new JumbfError('Expected a label in UTF-8', start, { cause });
    }
    if (label === '' || BAD_LABEL.test(label))
      throw new JumbfError('Expected a label without blanks, controls and URI delimiters', start);
    return label;
  }

  #salt(start: number, limit: number): void {
    const box = this.#header(start, limit);
    if (box.type !== 'c2sh' || box.end !== limit || !SALT_LENGTHS.has(box.end - box.payloadStart))
      throw new JumbfError('Expected a salt of 16 or 32 bytes at the end of the description', start);
  }
}

function refuseTwins(superboxes: readonly Superbox[]): void {
  const seen = new Set<string>();
  for (const { label, start } of superboxes) {
    if (seen.has(label)) throw new JumbfError(`Expected labels once but found "${label}" again`, start);
    seen.add(label);
  }
}
