// The story of an identification: whose picture is this? The id is read from the pixels alone, under the keys of those whose
// photos may be named to the caller; then photos that look alike are named as candidates, which prove nothing.
import { ownFinding, type Finding } from '@lumatrace/provenance/findings.ts';
import { SAME_PICTURE_DISTANCE } from '@lumatrace/provenance/fingerprint.ts';
import { readImageHeader } from '@lumatrace/provenance/image.ts';
import { MAX_PAYLOAD_KEYS, type BlindFinding } from '@lumatrace/provenance/watermark/find.ts';
import type { PayloadKey } from '@lumatrace/provenance/watermark/keys.ts';
import type { WatermarkKeys } from '../keys/watermark-keys.ts';
import type { Database, Sql } from '../storage/database.ts';
import { findPhoto, findPhotoByWatermark } from '../storage/postgres/photos.ts';
import {
  findOwnAlike,
  findPublished,
  findPublishedAlike,
  listPublishers,
  type PublishedPhoto,
} from '../storage/postgres/published.ts';
import type { Identified, Images } from './images.ts';
import type { Caller } from './registration.ts';

export interface IdentifyRoom {
  database: Database;
  watermarkKeys: WatermarkKeys;
  images: Images;
}

/** What a match says beside how it was found; trace and span only to those who may read traces. */
interface Named {
  photoId: string;
  manifestId: string | null;
  traceId: string | null;
  spanId: string | null;
}

export type Match =
  (Named & { kind: 'watermark'; log10p: number }) | (Named & { kind: 'fingerprint'; distance: number });

/** Who asks: a tenant, and whether it may be told which model call made a picture. */
export type Viewer = Pick<Caller, 'tenantId'> & { canReadTraces: boolean };

export interface Identification {
  /** The photo whose mark was read first, then candidates that look alike, nearest first. */
  matches: Match[];
  findings: Finding[];
}

/** Candidates by fingerprint, at most. */
export const MAX_CANDIDATES = 10;

/**
 * Reads whose photo a file shows, among the caller's own and those that their owners published. `image.bytes` is empty
 * afterwards.
 * @throws Refusal UNAVAILABLE when no thread gets free; ImageError for a file that is no still JPEG, PNG or WebP
 */
export async function identify(
  room: IdentifyRoom,
  viewer: Viewer,
  image: { bytes: Uint8Array<ArrayBuffer> },
  signal: AbortSignal,
): Promise<Identification> {
  const { tenantId } = viewer;
  const publishers = await publishersOf(room.database);
  const tenants = [tenantId, ...publishers.filter((one) => one !== tenantId)];
  const seen = await lookAt(room, tenants, image, signal);
  const byMark = seen.blind && (await ownOrPublished(room.database, viewer, seen.blind));
  const own = await ownCandidates(room.database, viewer, seen.fingerprint);
  const published = await publishedCandidates(room.database, seen.fingerprint);
  const candidates = [...own, ...published.filter(({ photoId }) => !own.some((one) => one.photoId === photoId))]
    .filter(({ photoId }) => photoId !== byMark?.photoId)
    .sort((one, other) => one.distance - other.distance)
    .slice(0, MAX_CANDIDATES);
  return { matches: [...(byMark ? [byMark] : []), ...candidates], findings: findingsOf(seen, candidates.length) };
}

/** The same for anybody: only what was published is named. */
export async function identifyPublished(
  room: IdentifyRoom,
  image: { bytes: Uint8Array<ArrayBuffer> },
  signal: AbortSignal,
): Promise<Identification> {
  const seen = await lookAt(room, await publishersOf(room.database), image, signal);
  const byMark = seen.blind && (await publishedMatch(room.database, seen.blind));
  const candidates = (await publishedCandidates(room.database, seen.fingerprint)).filter(
    ({ photoId }) => photoId !== byMark?.photoId,
  );
  return { matches: [...(byMark ? [byMark] : []), ...candidates], findings: findingsOf(seen, candidates.length) };
}

/** Tenants beyond what one search pays for are not tried: those that published last are. */
function publishersOf(database: Database): Promise<string[]> {
  return database.inLookup('published', (sql) => listPublishers(sql, MAX_PAYLOAD_KEYS));
}

async function lookAt(
  { watermarkKeys, images }: IdentifyRoom,
  tenantIds: readonly string[],
  image: { bytes: Uint8Array<ArrayBuffer> },
  signal: AbortSignal,
): Promise<Identified> {
  readImageHeader(image.bytes);
  const payloads: PayloadKey[] = [];
  let syncs: Awaited<ReturnType<WatermarkKeys['forReading']>>['syncs'] = [];
  for (const tenantId of tenantIds) {
    const keys = await watermarkKeys.forReading(tenantId);
    if (payloads.length + keys.payloads.length > MAX_PAYLOAD_KEYS) break;
    payloads.push(...keys.payloads);
    syncs = keys.syncs;
  }
  return images.identify({ image: image.bytes, syncs, payloads }, signal);
}

/** A mark of the caller's names any photo; somebody else's only a published one. */
async function ownOrPublished(database: Database, viewer: Viewer, blind: BlindFinding): Promise<Match | null> {
  const { tenantId } = viewer;
  if (blind.tenantId !== tenantId) return publishedMatch(database, blind);
  return database.inTenant(tenantId, async (sql) => {
    const photoId = await findPhotoByWatermark(sql, tenantId, blind.id);
    if (photoId === null) return null;
    return { ...(await named(sql, viewer, photoId)), kind: 'watermark', log10p: blind.log10p };
  });
}

async function publishedMatch(database: Database, { tenantId, id, log10p }: BlindFinding): Promise<Match | null> {
  const published = await database.inTenant(tenantId, async (sql) => {
    const photoId = await findPhotoByWatermark(sql, tenantId, id);
    return photoId === null ? null : findPublished(sql, tenantId, photoId);
  });
  return published && { ...shared(published), kind: 'watermark', log10p };
}

type Candidate = Extract<Match, { kind: 'fingerprint' }>;

function ownCandidates(database: Database, viewer: Viewer, fingerprint: Uint8Array): Promise<Candidate[]> {
  const { tenantId } = viewer;
  return database.inTenant(tenantId, async (sql) => {
    const found = await findOwnAlike(sql, tenantId, fingerprint, SAME_PICTURE_DISTANCE, MAX_CANDIDATES);
    const matches: Candidate[] = [];
    for (const { photoId, distance } of found) {
      matches.push({ ...(await named(sql, viewer, photoId)), kind: 'fingerprint', distance });
    }
    return matches;
  });
}

/** A photo of the viewer's own. */
async function named(sql: Sql, { tenantId, canReadTraces }: Viewer, photoId: string): Promise<Named> {
  const published = await findPublished(sql, tenantId, photoId);
  const photo = canReadTraces ? await findPhoto(sql, tenantId, photoId) : null;
  return {
    photoId,
    manifestId: published?.manifestId ?? null,
    traceId: photo?.traceId ?? null,
    spanId: photo?.spanId ?? null,
  };
}

async function publishedCandidates(database: Database, fingerprint: Uint8Array): Promise<Candidate[]> {
  const found = await database.inLookup('published', (sql) =>
    findPublishedAlike(sql, fingerprint, SAME_PICTURE_DISTANCE, MAX_CANDIDATES),
  );
  return found.map((photo) => ({ ...shared(photo), kind: 'fingerprint', distance: photo.distance }));
}

/** Of a published photo nothing but its credentials: the model call behind it is its owner's. */
const shared = ({ photoId, manifestId }: PublishedPhoto) => ({
  photoId,
  manifestId,
  traceId: null,
  spanId: null,
});

function findingsOf({ blind, attempts }: Identified, candidates: number): Finding[] {
  const evidence = { attempts, log10p: blind?.log10p ?? 0, z: blind?.z ?? 0 };
  return [
    blind
      ? ownFinding('org.lumatrace.identify.read', 'info', 'watermark', evidence)
      : ownFinding('org.lumatrace.identify.notRead', 'info', 'watermark', evidence),
    ...(candidates > 0
      ? [ownFinding('org.lumatrace.identify.candidates', 'info', 'registration', { candidates })]
      : []),
  ];
}
