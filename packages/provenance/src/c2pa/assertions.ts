// What our manifests say: who made it, what was done to the picture, and how its watermark leads back to it.
// Only statements; no pixels, no thumbnails, no location.
import type { ImageFormat } from '../image.ts';
import { MEDIA_TYPES } from '../image.ts';
import type { Disclosure } from '../profiles.ts';
import type { CborMap, CborValue } from './cbor.ts';

/** The version of the C2PA specification that these statements follow. */
export const SPEC_VERSION = '2.4.0';

/**
 * Name of our watermark in soft bindings; the operator may put an own reverse domain name in its place.
 * It is not in the public list of soft binding algorithms: a validator that insists on the list will object.
 */
export const DEFAULT_SOFT_BINDING_ALG = 'org.lumatrace.watermark.1';

/** Ties a manifest to the photo's record and to the model call that made the picture. */
export const PHOTO_LABEL = 'org.lumatrace.photo';
export const SOFT_BINDING_LABEL = 'c2pa.soft-binding';
const ACTIONS_LABEL = 'c2pa.actions.v2';
const METADATA_LABEL = 'cawg.metadata';
const PARENT_ID = 'parent';
/** In `softwareAgent`: who offers the system that is named there. */
export const PROVIDER_KEY = 'org.lumatrace.provider';

export interface SoftBinding {
  /** Reverse domain name of the algorithm, at most 200 characters. */
  readonly alg: string;
  /** The watermark's payload or a fingerprint, 1 to 1024 bytes. */
  readonly value: Uint8Array;
}

export interface Statements {
  readonly photoId: string;
  readonly softBindings: readonly [SoftBinding, ...SoftBinding[]];
  readonly format: ImageFormat;
  readonly signedAt: Date;
  /** Version of the software that writes this manifest. */
  readonly generatorVersion: string;
  readonly title?: string;
  readonly author?: string;
  /** A key of DIGITAL_SOURCE_TYPES, only when the caller said so. */
  readonly digitalSourceType?: DigitalSourceType;
  /** What a rule wants to be said of the model that made the picture; with a `digitalSourceType`. */
  readonly disclosure?: Disclosure;
  /** Location was taken out of the metadata. */
  readonly gpsRemoved?: boolean;
}

// IPTC digital source types that C2PA §18.15.2 knows; C2PA's own are below c2pa.org
const IPTC = 'http://cv.iptc.org/newscodes/digitalsourcetype/';
export const DIGITAL_SOURCE_TYPES = {
  algorithmicMedia: `${IPTC}algorithmicMedia`,
  algorithmicallyEnhanced: `${IPTC}algorithmicallyEnhanced`,
  composite: `${IPTC}composite`,
  compositeCapture: `${IPTC}compositeCapture`,
  compositeSynthetic: `${IPTC}compositeSynthetic`,
  compositeWithTrainedAlgorithmicMedia: `${IPTC}compositeWithTrainedAlgorithmicMedia`,
  computationalCapture: `${IPTC}computationalCapture`,
  dataDrivenMedia: `${IPTC}dataDrivenMedia`,
  digitalArt: `${IPTC}digitalArt`,
  digitalCapture: `${IPTC}digitalCapture`,
  digitalCreation: `${IPTC}digitalCreation`,
  humanEdits: `${IPTC}humanEdits`,
  negativeFilm: `${IPTC}negativeFilm`,
  positiveFilm: `${IPTC}positiveFilm`,
  print: `${IPTC}print`,
  screenCapture: `${IPTC}screenCapture`,
  trainedAlgorithmicMedia: `${IPTC}trainedAlgorithmicMedia`,
  virtualRecording: `${IPTC}virtualRecording`,
} as const;

export type DigitalSourceType = keyof typeof DIGITAL_SOURCE_TYPES;

export function isDigitalSourceType(name: string): name is DigitalSourceType {
  return Object.hasOwn(DIGITAL_SOURCE_TYPES, name);
}

const REVERSE_DOMAIN = /^[a-z0-9][a-z0-9-]*(\.[A-Za-z0-9][A-Za-z0-9_-]*)+$/;
const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
const MAX_TEXT = 500;

/** Whether a soft binding algorithm may be called so. `es.lumatrace` is somebody else's name in the public list. */
export function isSoftBindingAlgorithm(name: string): boolean {
  return name.length <= 200 && REVERSE_DOMAIN.test(name) && !/^es\.lumatrace(\.|$)/.test(name);
}

/** The manifest definition that the C2PA library takes, with text where soft bindings will be bytes. */
export function manifestDefinition(statements: Statements, hasParentStore: boolean): object {
  refuseUnsayable(statements);
  const inception = inceptionOf(statements, hasParentStore);
  const assertions: object[] = [
    created(ACTIONS_LABEL, { actions: actionsOf(statements, inception), allActionsIncluded: true }),
    ...statements.softBindings.map((binding) => created(SOFT_BINDING_LABEL, softBindingStandIn(binding))),
    created(PHOTO_LABEL, photoOf(statements)),
  ];
  if (statements.author !== undefined) assertions.push(authorOf(statements.author));
  return {
    claim_version: 2,
    claim_generator_info: [{ name: 'LumaTrace', version: statements.generatorVersion, specVersion: SPEC_VERSION }],
    ...(statements.title === undefined ? {} : { title: statements.title.toWellFormed() }),
    format: MEDIA_TYPES[statements.format],
    ingredients: inception === 'c2pa.opened' && !hasParentStore ? [parentDefinition(statements)] : [],
    assertions,
  };
}

/** The ingredient that the picture was before: `parentOf`, without a thumbnail. */
export function parentDefinition({ format }: Pick<Statements, 'format'>): object {
  return { title: 'source', format: MEDIA_TYPES[format], relationship: 'parentOf', label: PARENT_ID };
}

// a picture with credentials, or of unknown origin, was opened; only the caller can say that it was made here
function inceptionOf({ digitalSourceType }: Statements, hasParentStore: boolean): 'c2pa.opened' | 'c2pa.created' {
  return hasParentStore || digitalSourceType === undefined ? 'c2pa.opened' : 'c2pa.created';
}

function actionsOf(statements: Statements, inception: 'c2pa.opened' | 'c2pa.created'): object[] {
  const when = statements.signedAt.toISOString();
  const type = statements.digitalSourceType;
  const maker = inception === 'c2pa.created' ? statements.disclosure : undefined;
  const first = {
    action: inception,
    when: maker?.createdAt.toISOString() ?? when,
    ...(maker === undefined ? {} : { softwareAgent: softwareAgentOf(maker) }),
    ...(type === undefined ? {} : { digitalSourceType: DIGITAL_SOURCE_TYPES[type] }),
    ...(inception === 'c2pa.opened' ? { parameters: { ingredientIds: [PARENT_ID] } } : {}),
  };
  const metadata = statements.gpsRemoved === true ? [{ action: 'c2pa.edited.metadata', when }] : [];
  return [first, ...metadata, { action: 'c2pa.watermarked.bound', when }];
}

const created = (label: string, data: object): object => ({ label, created: true, data });

// a generator-info map of the specification; the provider is a member of ours, as such maps may have
function softwareAgentOf({ system, version, provider }: Disclosure): object {
  return {
    name: system.toWellFormed(),
    ...(version === undefined ? {} : { version: version.toWellFormed() }),
    ...(provider === undefined ? {} : { [PROVIDER_KEY]: provider.toWellFormed() }),
  };
}

// whoever holds the file reads this: the photo's id is random and leads to trace and tenant only for those who may ask
function photoOf({ photoId, disclosure }: Statements): object {
  return {
    photoId,
    ...(disclosure === undefined ? {} : { disclosure: disclosedBy(disclosure) }),
  };
}

// also for a picture that came with credentials: whoever opened it here is not the model that made it
function disclosedBy({ profile, createdAt, ...generator }: Disclosure): object {
  const said = Object.entries(generator).map(([name, text]) => [name, text.toWellFormed()]);
  return { profile, ...Object.fromEntries(said), createdAt: createdAt.toISOString() };
}

// CAWG metadata assertion 1.1: what a person says about the picture, gathered and not vouched for by the signer
function authorOf(author: string): object {
  const data = { '@context': { dc: 'http://purl.org/dc/elements/1.1/' }, 'dc:creator': [author.toWellFormed()] };
  return { label: METADATA_LABEL, kind: 'Json', data };
}

// the library takes JSON, which has no bytes: text of the same length holds their place until `withSoftBindingBytes`
function softBindingStandIn({ alg, value }: SoftBinding): object {
  return { alg, blocks: [{ scope: {}, value: '0'.repeat(value.length) }], pad: '' };
}

/** The assertion's map with the value as the CBOR byte string that the specification wants, keys in the same order. */
export function withSoftBindingBytes(assertion: CborMap, value: Uint8Array): CborMap {
  const block = new Map<string | number, CborValue>();
  for (const [key, entry] of onlyBlock(assertion)) block.set(key, key === 'value' ? value : entry);
  const bound = new Map<string | number, CborValue>();
  for (const [key, entry] of assertion)
    bound.set(key, key === 'blocks' ? [block] : key === 'pad' ? new Uint8Array(0) : entry);
  return bound;
}

function onlyBlock(assertion: CborMap): CborMap {
  const blocks = assertion.get('blocks');
  const [block] = Array.isArray(blocks) ? (blocks as readonly CborValue[]) : [];
  if (!(block instanceof Map)) throw new TypeError('Expected a soft binding with one block');
  return block;
}

/** What a soft binding assertion says, text values (other vendors write them) as their UTF-8 bytes; null when malformed. */
export function readSoftBinding(assertion: CborValue): SoftBinding | null {
  if (!(assertion instanceof Map)) return null;
  const alg: CborValue = assertion.get('alg');
  const blocks: CborValue = assertion.get('blocks');
  if (typeof alg !== 'string' || !Array.isArray(blocks)) return null;
  const [block] = blocks as readonly CborValue[];
  const value: CborValue = block instanceof Map ? block.get('value') : undefined;
  if (value instanceof Uint8Array) return { alg, value };
  return typeof value === 'string' ? { alg, value: new TextEncoder().encode(value) } : null;
}

function refuseUnsayable(statements: Statements): void {
  if (!UUID.test(statements.photoId)) throw new TypeError('Expected a UUID as photoId');
  for (const { alg, value } of statements.softBindings) {
    if (!isSoftBindingAlgorithm(alg)) throw new TypeError(`Expected a reverse domain name of ours but received ${alg}`);
    if (value.length === 0 || value.length > 1024) throw new TypeError('Expected 1 to 1024 bytes in a soft binding');
  }
  const { system, version, provider } = statements.disclosure ?? {};
  for (const text of [statements.title, statements.author, system, version, provider])
    if (text !== undefined && text.length > MAX_TEXT)
      throw new TypeError(`Expected at most ${MAX_TEXT} characters but received ${text.length}`);
}
