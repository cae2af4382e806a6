// What a manifest store tells about a picture's way, manifest by manifest: who signed, with which chain, when, and what
// was done. It is told, not judged: `verifyC2pa` says what of it may be believed.
import { createHash, X509Certificate } from 'node:crypto';
import { certificatesOf, rootOf } from './anchors.ts';
import { CborTag, type CborMap, type CborValue } from './cbor.ts';
import { claimTime, type ClaimTime } from './claim-time.ts';
import { algorithmName, parseClaimSignature, CoseError, type ClaimSignature } from './cose.ts';
import {
  cborMapOf,
  JumbfError,
  lastManifestIn,
  manifestsOf,
  parseJumbf,
  payloadOf,
  type ManifestBoxes,
  type Superbox,
} from './jumbf.ts';
import { plain } from './report.ts';
import type { TrustAnchors } from './wasm.ts';

/** Times are ISO 8601 in UTC; texts are of the file, made harmless and at most 300 characters. */
export interface Credentials {
  /** The active manifest first, then those that it builds on, newest first. */
  readonly manifests: readonly ManifestStory[];
  /** Manifests beyond those that are told. */
  readonly more: number;
}

export interface ManifestStory {
  readonly label: string;
  readonly title: string | null;
  readonly claimGenerator: string | null;
  /** Such as ES256; null when it is none that we know. */
  readonly algorithm: string | null;
  readonly chain: readonly CertificateStory[];
  /** Subject of the trust anchor that the chain ends at; null when it is not believed here. */
  readonly trustedBy: string | null;
  /** Null without a time stamp, or with one that is not believed here. */
  readonly timestamp: ClaimTime | null;
  readonly actions: readonly ActionStory[];
  readonly ingredients: readonly IngredientStory[];
}

/** Of X.509, the leaf first. */
export interface CertificateStory {
  readonly subject: string;
  readonly issuer: string;
  /** Hexadecimal. */
  readonly serialNumber: string;
  readonly notBefore: string;
  readonly notAfter: string;
  /** Of the DER, hexadecimal. */
  readonly sha256: string;
  /** From when on it is not believed; null while it is. */
  readonly revokedAt: string | null;
}

export interface ActionStory {
  readonly action: string;
  readonly when: string | null;
  readonly softwareAgent: string | null;
  readonly digitalSourceType: string | null;
}

export interface IngredientStory {
  readonly title: string | null;
  readonly format: string | null;
  readonly relationship: string | null;
  /** Label of its own manifest in this store; null when it came without. */
  readonly manifest: string | null;
}

export interface CredentialTerms {
  readonly trust: TrustAnchors;
  readonly revocations?: readonly { readonly certificateSha256: string; readonly revokedAt: Date }[];
  readonly nowMs: number;
}

const MAX_MANIFESTS = 20;
const MAX_ACTIONS = 50;
const MAX_INGREDIENTS = 20;
const MAX_CHAIN = 6;

/** The whole store; null when it cannot be read strictly. */
export function credentialsOf(store: Uint8Array, terms: CredentialTerms): Credentials | null {
  return reading(() => {
    const newestFirst = manifestsOf(parseJumbf(store)).toReversed();
    const told = newestFirst.slice(0, MAX_MANIFESTS);
    return {
      manifests: told.map((boxes) => manifestStory(store, boxes, terms)),
      more: newestFirst.length - told.length,
    };
  });
}

/** The active manifest of a store whose earlier ones are blanked out; null when it cannot be read. */
export function activeCredentialsOf(store: Uint8Array, terms: CredentialTerms): Credentials | null {
  return reading(() => ({ manifests: [manifestStory(store, lastManifestIn(store), terms)], more: 0 }));
}

function reading(work: () => Credentials): Credentials | null {
  try {
    return work();
  } catch (error) {
    if (error instanceof JumbfError || error instanceof CoseError) return null;
    throw error;
  }
}

function manifestStory(store: Uint8Array, boxes: ManifestBoxes, terms: CredentialTerms): ManifestStory {
  const claim = cborMapOf(store, boxes.claim);
  const signature = parseClaimSignature(payloadOf(store, boxes.signature));
  const { trust, revocations = [], nowMs } = terms;
  const revoked = new Map(revocations.map(({ certificateSha256, revokedAt }) => [certificateSha256, revokedAt]));
  return {
    label: plain(boxes.label),
    title: textOf(claim.get('dc:title')),
    claimGenerator: generatorOf(claim),
    algorithm: algorithmName(signature.algorithm),
    chain: signature.chainDer.slice(0, MAX_CHAIN).flatMap((der) => certificateStory(der, revoked)),
    trustedBy: subjectOf(rootOf(signature.chainDer, certificatesOf(trust.anchorsPem))),
    timestamp: timeOf(payloadOf(store, boxes.claim), signature, trust, new Set(revoked.keys()), nowMs),
    actions: actionsIn(store, boxes).slice(0, MAX_ACTIONS).map(actionStory),
    ingredients: ingredientsIn(store, boxes).slice(0, MAX_INGREDIENTS),
  };
}

function timeOf(
  claim: Uint8Array,
  signature: ClaimSignature,
  trust: TrustAnchors,
  revoked: ReadonlySet<string>,
  nowMs: number,
): ClaimTime | null {
  const anchors = certificatesOf(trust.timestampAnchorsPem ?? trust.anchorsPem);
  const time = claimTime(signature, { claim, anchors, revoked, nowMs });
  return time !== null && 'at' in time ? time : null;
}

function certificateStory(der: Uint8Array, revoked: ReadonlyMap<string, Date>): CertificateStory[] {
  try {
    const certificate = new X509Certificate(der);
    const sha256 = createHash('sha256').update(der).digest('hex');
    return [
      {
        subject: nameOf(certificate.subject),
        issuer: nameOf(certificate.issuer),
        serialNumber: certificate.serialNumber,
        notBefore: certificate.validFromDate.toISOString(),
        notAfter: certificate.validToDate.toISOString(),
        sha256,
        revokedAt: revoked.get(sha256)?.toISOString() ?? null,
      },
    ];
  } catch {
    return []; // the library says why this is no certificate
  }
}

function actionStory(action: CborMap): ActionStory {
  const agent = action.get('softwareAgent');
  return {
    action: textOf(action.get('action')) ?? 'unknown',
    when: timeText(action.get('when')),
    softwareAgent: agent instanceof Map ? named(agent) : textOf(agent),
    digitalSourceType: textOf(action.get('digitalSourceType')),
  };
}

/** A time of C2PA is RFC 3339 text, as CBOR's tag 0 (RFC 8949 §3.4.1) or plain. */
function timeText(value: CborValue): string | null {
  const text = value instanceof CborTag && value.tag === 0 ? value.value : value;
  const ms = typeof text === 'string' ? Date.parse(text) : Number.NaN;
  return Number.isNaN(ms) ? null : new Date(ms).toISOString();
}

function ingredientsIn(store: Uint8Array, boxes: ManifestBoxes): IngredientStory[] {
  const labels = ['c2pa.ingredient.v3', 'c2pa.ingredient.v2', 'c2pa.ingredient'];
  return labels
    .flatMap((label) => withLabel(boxes, label))
    .flatMap((box) => {
      const ingredient = firstCbor(store, [box]);
      if (ingredient === null) return [];
      return [
        {
          title: textOf(ingredient.get('dc:title')),
          format: textOf(ingredient.get('dc:format')),
          relationship: textOf(ingredient.get('relationship')),
          manifest: manifestNamed(ingredient.get('activeManifest') ?? ingredient.get('c2pa_manifest')),
        },
      ];
    });
}

/** The label in `self#jumbf=/c2pa/LABEL`. */
function manifestNamed(reference: CborValue): string | null {
  const uri = reference instanceof Map ? textOf(reference.get('url')) : null;
  return uri === null ? null : (/^self#jumbf=\/c2pa\/([^/]+)/.exec(uri)?.[1] ?? null);
}

// label, and label__1, label__2 … (§6.4)
export function withLabel(boxes: ManifestBoxes, label: string): readonly Superbox[] {
  return boxes.assertions.filter((box) => box.label === label || box.label.startsWith(`${label}__`));
}

export function firstCbor(store: Uint8Array, assertions: readonly Superbox[]): CborMap | null {
  const [content] = assertions[0]?.contents ?? [];
  return content?.type === 'cbor' ? cborMapOf(store, content) : null;
}

export function actionsIn(store: Uint8Array, boxes: ManifestBoxes): readonly CborMap[] {
  return [...withLabel(boxes, 'c2pa.actions.v2'), ...withLabel(boxes, 'c2pa.actions')].flatMap((box) =>
    listOf(firstCbor(store, [box])?.get('actions')).filter((action) => action instanceof Map),
  );
}

export function generatorOf(claim: CborMap): string | null {
  const info = claim.get('claim_generator_info');
  const first = Array.isArray(info) ? (info as CborValue[])[0] : info;
  return first instanceof Map ? named(first) : textOf(claim.get('claim_generator'));
}

function named(info: CborMap): string | null {
  const [name, version] = [textOf(info.get('name')), textOf(info.get('version'))];
  return name === null ? null : version === null ? name : `${name} ${version}`;
}

export const listOf = (value: CborValue): readonly CborValue[] => (Array.isArray(value) ? (value as CborValue[]) : []);
export const textOf = (value: CborValue): string | null => (typeof value === 'string' ? plain(value) : null);
/** A distinguished name in one line. */
export const nameOf = (subject: string): string => plain(subject.replaceAll('\n', ', '));
const subjectOf = (certificate: X509Certificate | null): string | null =>
  certificate === null ? null : nameOf(certificate.subject);
