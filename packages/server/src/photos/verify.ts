// The story of a verification: find the photo → look at the file in a thread → one fail-closed decision. Whatever happens
// to the thread, the answer is a verdict about the file, and never a better one than the evidence.
import type { Credentials } from '@lumatrace/provenance/c2pa/credentials.ts';
import { c2paEngineFailed } from '@lumatrace/provenance/c2pa/verify.ts';
import { decide, type Decision, type Evidence } from '@lumatrace/provenance/decision.ts';
import { readImageHeader, type ImageHeader } from '@lumatrace/provenance/image.ts';
import type { WatermarkKeys } from '../keys/watermark-keys.ts';
import type { Database } from '../storage/database.ts';
import { findPhoto, findPhotoByWatermark, type ProtectionRow } from '../storage/postgres/photos.ts';
import type { Examination, Images, ManifestCredentials, Unexamined } from './images.ts';
import type { Caller } from './registration.ts';
import { noSuchPhoto, photoIdOf } from './refusal.ts';

export interface VerifyRoom {
  database: Database;
  watermarkKeys: WatermarkKeys;
  manifestCredentials(): Promise<ManifestCredentials>;
  images: Images;
  /** PEM of roots that a tenant believes about signers besides ours; they change nobody else's verdict. */
  tenantAnchorsPem?(tenantId: string): Promise<string>;
}

export interface Verification extends Decision {
  tenantId: string;
  /** What the file's own manifest store tells; null without one that can be read. */
  credentials: Credentials | null;
}

/**
 * Holds a file against a photo. `image.bytes` is empty afterwards.
 * @throws Refusal NOT_FOUND for an id that is malformed, unknown or another tenant's, UNAVAILABLE when no thread gets
 *   free; ImageError for a file that is no still JPEG, PNG or WebP within the limits by its header
 */
export async function verify(
  room: VerifyRoom,
  { tenantId }: Caller,
  image: { bytes: Uint8Array<ArrayBuffer> },
  id: string,
  signal: AbortSignal,
): Promise<Verification> {
  const photoId = photoIdOf(id);
  const photo = await room.database.inTenant(tenantId, (sql) => findPhoto(sql, tenantId, photoId));
  if (!photo) throw noSuchPhoto();
  const header = readImageHeader(image.bytes);
  const { protection } = photo;
  const marked = protection && {
    mark: protection.watermark && {
      ...(await room.watermarkKeys.forReading(tenantId, protection.watermark)),
      id: protection.watermark.id,
    },
    width: protection.width,
    height: protection.height,
    fingerprint: protection.fingerprint,
  };
  const believed = await believedBy(room, tenantId);
  const seen = await room.images.examine({ image: image.bytes, marked }, believed, signal);
  const evidence =
    'unexamined' in seen
      ? unexaminedEvidence(seen, header, protection)
      : evidenceOf(seen, protection, await otherPhoto(room, tenantId, seen));
  const credentials = 'unexamined' in seen ? null : seen.c2pa.credentials;
  return { ...decide(evidence), credentials, tenantId };
}

/** What signs here, with the roots of the tenant: about signers alone, never about the time. */
async function believedBy(room: VerifyRoom, tenantId: string): Promise<ManifestCredentials> {
  const credentials = await room.manifestCredentials();
  const pem = (await room.tenantAnchorsPem?.(tenantId)) ?? '';
  if (pem === '') return credentials;
  const { trustAnchorsPem, timestampAnchorsPem = trustAnchorsPem } = credentials;
  return { ...credentials, trustAnchorsPem: `${trustAnchorsPem}\n${pem}`, timestampAnchorsPem };
}

/** The photo whose mark was read instead of the one asked for; null when there is none or it is not kept any more. */
async function otherPhoto(room: VerifyRoom, tenantId: string, { watermark }: Examination): Promise<string | null> {
  const id = watermark?.otherId ?? null;
  if (id === null) return null;
  return room.database.inTenant(tenantId, (sql) => findPhotoByWatermark(sql, tenantId, id));
}

function evidenceOf(seen: Examination, protection: ProtectionRow | null, other: string | null): Evidence {
  const { c2pa, header } = seen;
  const manifestSha256 = c2pa.manifest?.manifestStoreSha256;
  return {
    c2pa,
    watermark: seen.watermark && { ...seen.watermark, otherPhotoId: other },
    recorded: recordedOf(protection),
    manifestMatches:
      manifestSha256 === undefined ? null : manifestSha256 === protection?.manifestSha256.toString('hex'),
    picture: {
      decoded: seen.decoded,
      width: header.width,
      height: header.height,
      quality: header.jpegQuality,
      fingerprintDistance: seen.fingerprintDistance,
    },
  };
}

function unexaminedEvidence(
  { unexamined }: Unexamined,
  { width, height, jpegQuality }: ImageHeader,
  protection: ProtectionRow | null,
): Evidence {
  return {
    c2pa: c2paEngineFailed(unexamined),
    watermark: null,
    recorded: recordedOf(protection),
    manifestMatches: null,
    picture: { decoded: false, width, height, quality: jpegQuality, fingerprintDistance: null },
  };
}

function recordedOf(protection: ProtectionRow | null): Evidence['recorded'] {
  if (!protection) return null;
  const { width, height, evidence } = protection;
  return { width, height, quality: typeof evidence.quality === 'number' ? evidence.quality : null };
}
