// The story of the public detector: what a picture's credentials say, and whether a published photo's watermark is in it. Told
// to anybody, so it holds no personal data: no title, no author, no place, no trace, nobody's unpublished photo.
import { generatorSaidBy, generatorSaidIn, type SaidGenerator } from '@lumatrace/provenance/c2pa/disclosure.ts';
import { credentialsSaid, isSaidGenerated, type SaidCredentials } from '@lumatrace/provenance/c2pa/said.ts';
import { c2paEngineFailed } from '@lumatrace/provenance/c2pa/verify.ts';
import type { Finding } from '@lumatrace/provenance/findings.ts';
import { readImageHeader } from '@lumatrace/provenance/image.ts';
import { identifyPublished, type IdentifyRoom } from './identify.ts';
import type { ManifestCredentials } from './images.ts';
import { Refusal } from './refusal.ts';
import { manifestStore } from './resolution.ts';

export interface DetectRoom extends IdentifyRoom {
  manifestCredentials(): Promise<ManifestCredentials>;
}

export interface Detection {
  credentials: SaidCredentials;
  /** Whether a model made it: what the credentials say, null when they say nothing or are not to be believed. */
  isGenerated: boolean | null;
  watermark: {
    status: 'DETECTED' | 'NOT_FOUND';
    log10p: number | null;
    photoId: string | null;
    manifestId: string | null;
    /** The model that the published photo's own credentials name: also for a copy that lost them. */
    madeBy: SaidGenerator | null;
  };
  /** Published photos that look alike: candidates, never proof. */
  candidates: { photoId: string; manifestId: string | null; distance: number }[];
  findings: Finding[];
}

/** @throws Refusal UNAVAILABLE when no thread gets free; ImageError for a file that is no still JPEG, PNG or WebP */
export async function detectPublicly(
  room: DetectRoom,
  image: { bytes: Uint8Array<ArrayBuffer> },
  signal: AbortSignal,
): Promise<Detection> {
  const { format } = readImageHeader(image.bytes);
  const said = generatorSaidIn(image.bytes, format);
  // the thread takes the bytes: the second question needs its own
  const copy = { bytes: new Uint8Array(image.bytes) };
  const credentials = await room.manifestCredentials();
  const [seen, { matches, findings }] = await Promise.all([
    room.images.examine({ image: image.bytes, marked: null }, credentials, signal),
    identifyPublished(room, copy, signal),
  ]);
  const c2pa = 'unexamined' in seen ? c2paEngineFailed(seen.unexamined) : seen.c2pa;
  const read = matches.find((match) => match.kind === 'watermark');
  return {
    credentials: credentialsSaid(c2pa, said),
    isGenerated: isSaidGenerated(c2pa),
    watermark: {
      status: findings.some(({ code }) => code === 'org.lumatrace.identify.read') ? 'DETECTED' : 'NOT_FOUND',
      log10p: read?.log10p ?? null,
      photoId: read?.photoId ?? null,
      manifestId: read?.manifestId ?? null,
      madeBy: read?.manifestId ? await publishedGenerator(room, read.manifestId) : null,
    },
    candidates: matches.flatMap((match) =>
      match.kind === 'fingerprint'
        ? [{ photoId: match.photoId, manifestId: match.manifestId, distance: match.distance }]
        : [],
    ),
    findings: [...c2pa.findings, ...findings],
  };
}

/** From the kept manifest, which was signed and checked here. */
async function publishedGenerator(room: DetectRoom, manifestId: string): Promise<SaidGenerator | null> {
  try {
    return generatorSaidBy(await manifestStore(room, manifestId));
  } catch (error) {
    // its owner took it back between the two questions
    if (error instanceof Refusal && error.code === 'NOT_FOUND') return null;
    throw error;
  }
}
