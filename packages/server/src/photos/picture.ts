// What is done to a picture in its thread: mark, encode, sign and check; build again; examine. Bytes in, bytes and
// findings out: no database, no socket, no private key.
import { createHash } from 'node:crypto';
import { isDigitalSourceType } from '@lumatrace/provenance/c2pa/assertions.ts';
import { EmbedError, extractManifest, insertManifest } from '@lumatrace/provenance/c2pa/embed.ts';
import { signImage, type SignedImage } from '@lumatrace/provenance/c2pa/sign.ts';
import { verifyC2pa } from '@lumatrace/provenance/c2pa/verify.ts';
import { C2paEngineError } from '@lumatrace/provenance/c2pa/wasm.ts';
import { decode, decodeLuma, encode, type Luma } from '@lumatrace/provenance/codec/codec.ts';
import { readMetadata } from '@lumatrace/provenance/codec/metadata.ts';
import { fingerprintDistance, fingerprintOf } from '@lumatrace/provenance/fingerprint.ts';
import { release } from '@lumatrace/provenance/release.ts';
import {
  IMAGE_LIMITS,
  ImageError,
  readImageHeader,
  requireProtectable,
  type ImageFormat,
  type ImageHeader,
} from '@lumatrace/provenance/image.ts';
import { detect, type KnownFinding } from '@lumatrace/provenance/watermark/find.ts';
import { canonicalScale, lookedAtSize } from '@lumatrace/provenance/watermark/frame.ts';
import { canonicalLuma } from '@lumatrace/provenance/watermark/place.ts';
import { paintedRegions } from '@lumatrace/provenance/painted.ts';
import { presenceMap, type MissingRegion, type Projection } from '@lumatrace/provenance/watermark/presence.ts';
import type { ChangedRegion } from '@lumatrace/provenance/decision.ts';
import { markPixels, type Marked } from '@lumatrace/provenance/watermark/strength.ts';
import software from '../../package.json' with { type: 'json' };
import { bindingOf, FINGERPRINT_ALG } from './binding.ts';
import { withIncoming, withoutIncoming } from './gaps.ts';
import type {
  ExamineJob,
  Examination,
  Identified,
  ImageJob,
  MarkingJob,
  ProtectedPicture,
  RebuiltPicture,
  WatermarkSeen,
  Mark,
  KnownMark,
} from './images.ts';

/** A result with the buffers in it that go to the main thread without a copy. */
export interface Outcome {
  result: unknown;
  transfer: ArrayBuffer[];
}

/** The way to what a thread that sees pixels does not have. */
export interface SigningDoor {
  sign(tbs: Uint8Array): Promise<Uint8Array>;
  stamp(digest: Uint8Array): Promise<Uint8Array>;
}

type JobOf<Kind extends ImageJob['kind']> = Extract<ImageJob, { kind: Kind }>;

/**
 * @param door asks the main thread for a signature, and for a time stamp over a digest
 * @throws ImageError when the picture cannot be protected, or our own check of the result does not pass
 */
export async function protectPicture(job: JobOf<'protect'>, door: SigningDoor): Promise<Outcome> {
  const { header, unsigned, marked, fingerprint } = await markPicture(job);
  const incoming = incomingStore(job.image, header.format);
  // the decoder's thread looks at the encoded picture while this one signs it and checks the signature
  const looking = ownLuma(unsigned, header);
  const signed = await signPicture(job, header.format, unsigned, fingerprint, door);
  requireVerifiable(signed.bytes);
  await checkOwnManifest(job, header.format, signed);
  const { kept, gaps } = withoutIncoming(signed.manifestStore, incoming);
  const hashes = {
    sha256: sha256(signed.bytes),
    unsignedSha256: signed.unsignedSha256,
    manifestSha256: sha256(signed.manifestStore),
  };
  const luma = await looking;
  const found = checkOwnMark(luma, header, job.mark);
  release(luma.data, unsigned);
  const result: ProtectedPicture = {
    ...hashes,
    image: signed.bytes,
    format: header.format,
    width: header.width,
    height: header.height,
    orientation: header.orientation,
    manifestStore: kept,
    manifestGaps: gaps,
    fingerprint,
    evidence: {
      quality: readImageHeader(signed.bytes).jpegQuality,
      gain: marked.gain,
      journeyZ: marked.journeyZ,
      z: found.z,
      log10p: found.log10p,
    },
  };
  return { result, transfer: [signed.bytes.buffer] };
}

/** The bytes of an earlier protection again: the same mark, the same encoder, the manifest put back. */
export async function rebuildPicture(job: JobOf<'rebuild'>): Promise<Outcome> {
  const { header, unsigned } = await markPicture(job);
  const kept = { kept: job.manifestStore, gaps: job.manifestGaps };
  const store = withIncoming(kept, incomingStore(job.image, header.format));
  const image = store ? insertManifest(unsigned, header.format, store) : new Uint8Array(0);
  const result: RebuiltPicture = { image, sha256: sha256(image) };
  return { result, transfer: [image.buffer] };
}

/** Looks at everything that speaks for or against a picture; judges nothing. */
export async function examinePicture({ image, trust, marked }: JobOf<'examine'>): Promise<Outcome> {
  const header = readImageHeader(image);
  const [c2pa, luma] = await Promise.all([
    verifyC2pa({ bytes: image, format: header.format, trust, revocations: trust.revocations }),
    decodedOrNull(image, lookedAtSize(header)),
  ]);
  const result: Examination = {
    c2pa,
    header,
    decoded: luma !== null,
    watermark:
      luma && marked?.mark
        ? watermarkIn(luma, header, { ...marked, mark: marked.mark }, c2pa.status !== 'VALID')
        : null,
    fingerprintDistance: luma && marked ? fingerprintDistance(fingerprintOf(luma), marked.fingerprint) : null,
    sha256: sha256(image),
  };
  return { result, transfer: [] };
}

/** Reads whose mark a picture carries. @throws ImageError when the pixels do not decode */
export async function identifyPicture({ image, syncs, payloads }: JobOf<'identify'>): Promise<Outcome> {
  const header = readImageHeader(image);
  const { width, height } = lookedAtSize(header);
  const luma = await decodeLuma(image, width, height);
  const { blind, attempts } = detect(luma, { syncs, payloads, received: header, depth: 'full' });
  const result: Identified = { blind, attempts, fingerprint: fingerprintOf(luma) };
  return { result, transfer: [] };
}

/**
 * The mark of the known photo; where it is not found, whether another photo of the tenant's is; where it is, which parts
 * lack it. Bytes that are intact are not looked at part by part: nothing can be missing there.
 */
function watermarkIn(
  luma: Luma,
  received: ImageHeader,
  { mark, width, height, fingerprint }: NonNullable<ExamineJob['marked']> & { mark: KnownMark },
  isChanged: boolean,
): WatermarkSeen {
  const { syncs, payloads, id } = mark;
  const found = detect(luma, { syncs, payloads, known: { id, payloads }, received, depth: 'full' });
  const { blind, map } = found;
  const { z, log10p, verdict } = found.known as KnownFinding;
  const otherId = verdict !== 'DETECTED' && blind !== null && blind.id !== id ? blind.id : null;
  if (verdict !== 'DETECTED' || map === null || !isChanged) {
    return { z, log10p, verdict, otherId, missing: null, coverage: null };
  }
  const [[sync], [payload]] = [syncs, payloads];
  const coverage = coverageOf(luma, map, { width, height });
  // cells of the fingerprint lie where they lay only in the whole picture, upright
  const painted = found.kind === 'upright' && isWhole(coverage) ? paintedRegions(luma, fingerprint) : [];
  const unmarked = sync && payload ? presenceMap(luma, map, { sync, payload }, id).regions : [];
  return { z, log10p, verdict, otherId, missing: inPixels([...unmarked, ...painted], received), coverage };
}

/** Largest first. */
function inPixels(regions: readonly Omit<MissingRegion, 'cells'>[], { width, height }: ImageHeader): ChangedRegion[] {
  const largestFirst = [...regions].sort((one, other) => other.width * other.height - one.width * one.height);
  return largestFirst.slice(0, MAX_REGIONS).map((region) => ({
    x: Math.floor(region.left * width),
    y: Math.floor(region.top * height),
    width: Math.min(width, Math.ceil(region.width * width)),
    height: Math.min(height, Math.ceil(region.height * height)),
    log10p: region.log10p,
  }));
}

const MAX_REGIONS = 50;

const isWhole = (coverage: number | null): boolean => coverage !== null && Math.abs(coverage - 1) < 0.02;

/** Null for a tilted picture: its parts have different scales. */
function coverageOf(luma: Luma, map: Projection, protectedSize: { width: number; height: number }): number | null {
  if ((map.g ?? 0) !== 0 || (map.h ?? 0) !== 0) return null;
  const scale = canonicalScale(protectedSize);
  const frame = protectedSize.width * scale * protectedSize.height * scale;
  return (luma.width * luma.height) / Math.abs(map.a * map.d - map.b * map.c) / frame;
}

interface MarkedPicture {
  header: ImageHeader;
  unsigned: Uint8Array;
  marked: Marked;
  /** Of the marked pixels before they are encoded: it is signed with them. */
  fingerprint: Uint8Array;
}

async function markPicture({ image, mark, keepGps, strength }: MarkingJob): Promise<MarkedPicture> {
  const header = readImageHeader(image);
  requireProtectable(header);
  const pixels = await decode(image, header);
  const marked = await markPixels(pixels, mark, mark.id, {
    ...header,
    ...(strength === undefined ? {} : { strength }),
  });
  const luma = canonicalLuma(pixels);
  const fingerprint = fingerprintOf(luma);
  release(luma.data);
  const unsigned = await encode(pixels, header, readMetadata(image, header.format, { keepGps }));
  release(pixels.data);
  return { header, unsigned, marked, fingerprint };
}

async function signPicture(
  job: JobOf<'protect'>,
  format: ImageFormat,
  bytes: Uint8Array,
  fingerprint: Uint8Array,
  { sign, stamp }: SigningDoor,
): Promise<SignedImage> {
  const { alg, certificateChainDer, softBindingAlg, maxTokenBytes } = job.signing;
  const type = job.digitalSourceType;
  try {
    return await signImage({
      bytes,
      format,
      signer: { alg, certificateChainDer, sign },
      ...(maxTokenBytes === null ? {} : { timestamper: { maxTokenBytes, stamp } }),
      softBinding: { alg: softBindingAlg, value: bindingOf(job.mark.id) },
      // a watermark that was copied into another picture comes with a fingerprint that does not fit it
      fingerprint: { alg: FINGERPRINT_ALG, value: fingerprint },
      source: { bytes: job.image, format },
      trust: job.trust,
      photoId: job.photoId,
      signedAt: job.signedAt,
      generatorVersion: software.version,
      ...(type !== null && isDigitalSourceType(type) ? { digitalSourceType: type } : {}),
      ...(job.disclosure === undefined ? {} : { disclosure: job.disclosure }),
      ...(job.title === undefined ? {} : { title: job.title }),
      ...(job.author === undefined ? {} : { author: job.author }),
    });
  } catch (error) {
    // credentials of others are carried on, never stripped: what cannot be carried is refused
    if (error instanceof EmbedError || (error instanceof C2paEngineError && !error.trapped)) {
      throw new ImageError(
        'VALIDATION_FAILED',
        'The image came with content credentials that are damaged.',
        {},
        { cause: error },
      );
    }
    throw error;
  }
}

/**
 * The pixels of what will be given out. Signing adds a manifest beside the image data and changes none of it: the
 * manifest's own hash, checked on the final bytes, covers exactly these.
 */
function ownLuma(unsigned: Uint8Array, header: ImageHeader): Promise<Luma> {
  const { width, height } = lookedAtSize(header);
  const luma = decodeLuma(unsigned, width, height);
  // awaited after signing: when that fails first, this failure is nobody's
  luma.catch(() => {});
  return luma;
}

function requireVerifiable({ length }: Uint8Array): void {
  if (length <= IMAGE_LIMITS.maxBytes) return;
  throw new ImageError(
    'PAYLOAD_TOO_LARGE',
    `The protected picture would have ${length} bytes, more than the ${IMAGE_LIMITS.maxBytes} that verification takes: send it smaller, or as JPEG.`,
    { bytes: length, maxBytes: IMAGE_LIMITS.maxBytes },
  );
}

async function checkOwnManifest(job: JobOf<'protect'>, format: ImageFormat, { bytes }: SignedImage): Promise<void> {
  const { trust } = job;
  const { status, manifest, findings } = await verifyC2pa({
    bytes,
    format,
    trust,
    revocations: trust.revocations,
    isUntold: true,
  });
  if (status === 'VALID' && manifest?.photoId === job.photoId) return;
  const why = findings.filter(({ severity }) => severity === 'failure').map(({ code }) => code);
  throw new Error(`Expected our own manifest to be valid but it is ${status}: ${why.join(', ')}`);
}

function checkOwnMark(luma: Luma, received: ImageHeader, { sync, payload, id }: Mark): KnownFinding {
  const { known } = detect(luma, {
    syncs: [sync],
    payloads: [],
    known: { id, payloads: [payload] },
    received,
    depth: 'fast',
  });
  if (known?.verdict === 'DETECTED') return known;
  throw new ImageError(
    'VALIDATION_FAILED',
    'The picture cannot carry a watermark: our own check does not find the mark.',
  );
}

function incomingStore(image: Uint8Array, format: ImageFormat): Uint8Array | null {
  try {
    return extractManifest(image, format)?.store ?? null;
  } catch (error) {
    // `signImage` refuses such an image; a rebuild of one never was
    if (error instanceof EmbedError) return null;
    throw error;
  }
}

async function decodedOrNull(
  image: Uint8Array,
  { width, height }: { width: number; height: number },
): Promise<Luma | null> {
  try {
    return await decodeLuma(image, width, height);
  } catch (error) {
    if (error instanceof ImageError) return null;
    throw error;
  }
}

function sha256(bytes: Uint8Array): Uint8Array {
  return createHash('sha256').update(bytes).digest();
}
