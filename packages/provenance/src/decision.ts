// The one decision: credentials × watermark × registration → authentic or not, and what seems to have happened.
// There is exactly one way to `authentic: true`, and it needs every check; docs/decisions/verification-decision.md.
import type { C2paStatus } from './c2pa/verify.ts';
import { ownFinding, type Finding } from './findings.ts';
import { SAME_PICTURE_DISTANCE } from './fingerprint.ts';

export type WatermarkStatus = 'DETECTED' | 'MARGINAL' | 'NOT_FOUND';

/** `null`: there is nothing to compare. */
export type TamperClass = 'NONE' | 'COMPRESSION' | 'RESIZE' | 'CROP' | 'STRUCTURAL_ALTERATION' | null;

/** What was recorded about the photo that the picture is held against. */
export interface RecordedPhoto {
  readonly width: number;
  readonly height: number;
  /** Estimate on the IJG scale for a JPEG, else null. */
  readonly quality: number | null;
}

/** A part of the picture that was changed after it was protected, in its pixels. */
export interface ChangedRegion {
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
  /** log₁₀ of the probability that a part with the mark looks so, all parts counted; from a model of this very picture. */
  readonly log10p: number;
}

export interface Evidence {
  readonly c2pa: { readonly status: C2paStatus; readonly findings: readonly Finding[] };
  /** null when there was no mark to look for, or no pixels to look in. */
  readonly watermark: {
    readonly z: number;
    readonly log10p: number;
    readonly verdict: WatermarkStatus;
    /** The id of another photo of the tenant's was read from the pixels. */
    readonly otherId?: bigint | null;
    /** That photo, when it is still kept. */
    readonly otherPhotoId?: string | null;
    /** Parts of the picture in which the mark is missing though it is elsewhere; null or absent when nobody looked. */
    readonly missing?: readonly ChangedRegion[] | null;
    /** Area of the picture over that of the protected one, in the mark's own scale; null or absent when not known. */
    readonly coverage?: number | null;
  } | null;
  /** null when the photo was registered and never protected. */
  readonly recorded: RecordedPhoto | null;
  /** Whether the file's manifest store is, byte for byte, the one issued for this photo; null when it has none. */
  readonly manifestMatches: boolean | null;
  readonly picture: {
    /** False: the pixels did not decode. */
    readonly decoded: boolean;
    readonly width: number;
    readonly height: number;
    /** Estimate on the IJG scale for a JPEG, else null. */
    readonly quality: number | null;
    /** Differing bits of 256 against the recorded fingerprint, null when not comparable. */
    readonly fingerprintDistance: number | null;
  };
}

export interface Decision {
  readonly authentic: boolean;
  /** z of the known-photo test, 0 when it was not made. */
  readonly confidenceScore: number;
  readonly c2paStatus: C2paStatus;
  readonly watermarkStatus: WatermarkStatus;
  readonly tamperClass: TamperClass;
  /** Where the watermark is missing though it is elsewhere, largest first; null when that was not looked for. */
  readonly changedRegions: readonly ChangedRegion[] | null;
  /** One sentence for people: the first reason that decided. */
  readonly message: string;
  readonly findings: readonly Finding[];
}

/** Decides. Pure: the same evidence gives the same decision. */
export function decide(evidence: Evidence): Decision {
  const { c2pa, watermark } = evidence;
  const objection = OBJECTIONS.find(({ holds }) => holds(evidence));
  const authentic = objection === undefined;
  const code = authentic ? 'org.lumatrace.decision.authentic' : 'org.lumatrace.decision.notAuthentic';
  const message = objection?.message ?? AUTHENTIC_MESSAGE;
  return {
    authentic,
    confidenceScore: watermark?.z ?? 0,
    c2paStatus: c2pa.status,
    watermarkStatus: watermark?.verdict ?? 'NOT_FOUND',
    tamperClass: tamperClassOf(evidence),
    changedRegions: watermark?.missing ?? null,
    message,
    findings: [
      ownFinding(code, authentic ? 'success' : 'failure', 'decision', undefined, message),
      registrationFinding(evidence),
      ...manifestFinding(evidence),
      watermarkFinding(evidence),
      ...missingFinding(evidence),
      ...pictureFindings(evidence),
      ...c2pa.findings,
    ],
  };
}

const AUTHENTIC_MESSAGE =
  'Authentic: the signed credentials of this photo are intact and trusted, and its watermark is in the picture.';

// every reason against, the weightiest first; a picture is authentic when none of them holds
const OBJECTIONS: readonly { readonly holds: (evidence: Evidence) => boolean; readonly message: string }[] = [
  {
    holds: ({ recorded }) => recorded === null,
    message: 'Not authentic: this photo was registered but never protected, so there is nothing to verify against.',
  },
  {
    holds: ({ picture }) => !picture.decoded,
    message: 'Not authentic: the pixels of this file could not be decoded.',
  },
  {
    holds: ({ c2pa }) => c2pa.status === 'TAMPERED',
    message: 'Not authentic: the file was changed after its credentials were signed.',
  },
  {
    holds: ({ watermark }) => (watermark?.otherId ?? null) !== null,
    message: 'Not authentic: the picture carries the watermark of another photo.',
  },
  {
    holds: ({ watermark }) => (watermark?.missing ?? []).length > 0,
    message: 'Not authentic: parts of the picture were changed after it was protected.',
  },
  {
    holds: (evidence) =>
      evidence.c2pa.status === 'MISSING' && evidence.watermark?.verdict === 'DETECTED' && looksUnlike(evidence),
    message:
      'Not authentic: it carries the watermark of this photo and does not look like it. It was turned or mirrored, or the watermark was copied.',
  },
  {
    holds: (evidence) => evidence.c2pa.status === 'MISSING' && evidence.watermark?.verdict === 'DETECTED',
    message: 'Not authentic as a file: it shows this photo, but its signed credentials were removed.',
  },
  {
    holds: ({ c2pa }) => c2pa.status === 'MISSING',
    message: 'Not authentic: the file carries no signed credentials.',
  },
  {
    holds: ({ c2pa }) => c2pa.status !== 'VALID',
    message: 'Not authentic: the credentials of the file are not to be trusted.',
  },
  {
    holds: ({ manifestMatches }) => manifestMatches !== true,
    message: 'Not authentic: the credentials are valid, but they were not issued for this photo.',
  },
  {
    holds: ({ watermark }) => watermark?.verdict !== 'DETECTED',
    message: 'Not authentic: the watermark of this photo is not in the picture.',
  },
  {
    holds: (evidence) => !showsTheRecorded(evidence),
    message: 'Not authentic: the picture differs from what was recorded when it was protected.',
  },
];

// Measured: crops and screenshots differ from their photo in up to 53 bits of 256, other photographs in 120 to 134.
const UNLIKE_DISTANCE = 100;

/** Where the photo lies inside of something larger, such as a screenshot, the fingerprint is that of the whole and tells nothing. */
const looksUnlike = ({ picture: { fingerprintDistance }, watermark }: Evidence): boolean =>
  fingerprintDistance !== null &&
  fingerprintDistance >= UNLIKE_DISTANCE &&
  (watermark?.coverage ?? 1) <= FRAMED_COVERAGE;

function showsTheRecorded({ recorded, picture }: Evidence): boolean {
  if (recorded === null || picture.fingerprintDistance === null) return false;
  if (picture.width !== recorded.width || picture.height !== recorded.height) return false;
  return picture.fingerprintDistance <= SAME_PICTURE_DISTANCE;
}

// ---------------------------------------------------------------- what seems to have happened

// Differing bits of 256, measured on the six committed photographs: JPEG 30 to 95 at the same size changed at most 2,
// shrinking to 320…1080 px at most 8; a crop by 5 % changed 10 to 38, by 10 % 18 to 50, a painted block of 150 px 0 to 4
// and of 300 px 4 to 18. So small edits can pass for compression: the class is a hint, the decision does not use it.
const RESAVED_DISTANCE = 3;
const RESIZED_DISTANCE = 9;
/** The mark's scale is known to a few in a thousand. */
const CROPPED_COVERAGE = 0.97;
/** More is in the file than was protected: a frame, an interface around a screenshot, corners of a turned picture. */
const FRAMED_COVERAGE = 1.03;

/**
 * The class of the change, from the weakest claim that explains what was seen. It is a hint for people and decides
 * nothing: only intact signed bytes are called NONE.
 */
export function tamperClassOf(evidence: Evidence): TamperClass {
  const { recorded, picture, c2pa, watermark } = evidence;
  if (recorded === null || !picture.decoded) return null;
  const distance = picture.fingerprintDistance ?? Number.POSITIVE_INFINITY;
  if (watermark?.verdict !== 'DETECTED' && distance > SAME_PICTURE_DISTANCE) return null; // another picture
  if (evidence.manifestMatches === true && hasIntactBytes(c2pa)) return 'NONE';
  if ((watermark?.missing ?? []).length > 0) return 'STRUCTURAL_ALTERATION';
  const coverage = watermark?.coverage ?? 1;
  if (coverage > FRAMED_COVERAGE) return 'STRUCTURAL_ALTERATION';
  if (coverage < CROPPED_COVERAGE) return 'CROP';
  const sameSize = picture.width === recorded.width && picture.height === recorded.height;
  if (sameSize) return sameSizeClass(evidence, distance);
  return distance > RESIZED_DISTANCE ? 'CROP' : 'RESIZE';
}

function hasIntactBytes({ status, findings }: Evidence['c2pa']): boolean {
  if (status !== 'VALID' && status !== 'INVALID') return false;
  return findings.some(({ code, severity }) => severity === 'success' && /^assertion\.\w+Hash\.match$/.test(code));
}

// credentials that stayed while the bytes changed: no encoder ran that drops them, so somebody edited the file
function sameSizeClass({ c2pa, recorded, picture }: Evidence, distance: number): TamperClass {
  if (distance > RESAVED_DISTANCE) return 'STRUCTURAL_ALTERATION';
  const isCompressed =
    recorded?.quality !== null && picture.quality !== null && picture.quality < (recorded?.quality ?? 0);
  return c2pa.status === 'TAMPERED' && !isCompressed ? 'STRUCTURAL_ALTERATION' : 'COMPRESSION';
}

// ---------------------------------------------------------------- findings

function registrationFinding({ recorded }: Evidence): Finding {
  return recorded === null
    ? ownFinding('org.lumatrace.registration.registeredOnly', 'failure', 'registration')
    : ownFinding('org.lumatrace.registration.protected', 'success', 'registration');
}

function manifestFinding({ recorded, manifestMatches }: Evidence): readonly Finding[] {
  if (recorded === null || manifestMatches === null) return [];
  return [
    manifestMatches
      ? ownFinding('org.lumatrace.registration.manifestMatches', 'success', 'registration')
      : ownFinding('org.lumatrace.registration.manifestDiffers', 'failure', 'registration'),
  ];
}

const WATERMARK_FINDINGS = {
  DETECTED: ['org.lumatrace.watermark.detected', 'success'],
  MARGINAL: ['org.lumatrace.watermark.marginal', 'failure'],
  NOT_FOUND: ['org.lumatrace.watermark.notFound', 'failure'],
} as const;

function watermarkFinding({ watermark }: Evidence): Finding {
  const [code, severity] = WATERMARK_FINDINGS[watermark?.verdict ?? 'NOT_FOUND'];
  if ((watermark?.otherId ?? null) !== null) {
    const photoId = watermark?.otherPhotoId ?? null;
    return ownFinding('org.lumatrace.watermark.otherPhoto', 'failure', 'watermark', { photoId });
  }
  const evidence: Finding['evidence'] =
    watermark === null ? { looked: false } : { z: watermark.z, log10p: watermark.log10p };
  return ownFinding(code, severity, 'watermark', evidence);
}

function missingFinding({ watermark }: Evidence): readonly Finding[] {
  const missing = watermark?.missing ?? [];
  if (missing.length === 0) return [];
  const [largest] = missing as readonly [ChangedRegion];
  const evidence = { regions: missing.length, ...largest };
  return [ownFinding('org.lumatrace.watermark.missingParts', 'failure', 'watermark', evidence)];
}

function pictureFindings(evidence: Evidence): readonly Finding[] {
  const { recorded, picture } = evidence;
  if (!picture.decoded) return [ownFinding('org.lumatrace.file.undecodable', 'failure', 'file')];
  if (recorded === null || showsTheRecorded(evidence)) return [];
  return [
    ownFinding('org.lumatrace.registration.pixelsDiffer', 'failure', 'registration', {
      width: picture.width,
      height: picture.height,
      recordedWidth: recorded.width,
      recordedHeight: recorded.height,
      fingerprintDistance: picture.fingerprintDistance,
    }),
    ...(looksUnlike(evidence) ? [ownFinding('org.lumatrace.registration.looksUnlike', 'failure', 'registration')] : []),
  ];
}
