// The tenant's photos as they are shown: a list by age, and one photo with everything that is known about it.
import { verify as verifySignature } from 'node:crypto';
import { activeCredentialsOf, credentialsOf, type Credentials } from '@lumatrace/provenance/c2pa/credentials.ts';
import type { TenantKey, TenantKeys } from '../keys/tenant-key.ts';
import { PHOTO_CURSOR_AAD } from '../storage/sealed.ts';
import type { Database } from '../storage/database.ts';
import { findPublished } from '../storage/postgres/published.ts';
import {
  findManifest,
  findPhoto,
  listPhotos,
  type ManifestGap,
  type PhotoCursor,
  type PhotoRow,
} from '../storage/postgres/photos.ts';
import { blankedOut } from './gaps.ts';
import type { Viewer } from './identify.ts';
import type { ManifestCredentials } from './images.ts';
import {
  canonicalJson,
  openColumn,
  RECORD_TYPE,
  type RegistrationRecord,
  type RegistrationSigner,
} from './registration.ts';
import { noSuchPhoto, photoIdOf, Refusal } from './refusal.ts';

export interface AlbumRoom {
  database: Database;
  tenantKeys: TenantKeys;
  registrationSigner(): Promise<RegistrationSigner>;
  manifestCredentials(): Promise<ManifestCredentials>;
}

/** One photo in a list. Sizes and format are those of the protected file; null until then. */
export interface PhotoSummary {
  photoId: string;
  status: 'registered' | 'protected';
  contentHash: string;
  format: 'jpeg' | 'png' | 'webp' | null;
  width: number | null;
  height: number | null;
  deviceModel: string;
  createdAt: string;
  protectedAt: string | null;
  /** The model call that made it, for those who may read traces. */
  traceId: string | null;
  spanId: string | null;
}

export interface PhotoDetail extends PhotoSummary {
  /** Null when strangers find nothing of it. */
  publication: { manifestId: string; publishedAt: string } | null;
  tenantId: string;
  latitude: number | null;
  longitude: number | null;
  registration: {
    /** Its JCS text is what `signature` signs. */
    record: RegistrationRecord;
    /** ECDSA P-256 with SHA-256, DER in base64. */
    signature: string;
    algorithm: 'ES256-DER';
    keyId: string;
    /** PEM; null when the key is no longer the one in use. */
    publicKey: string | null;
    verdict: RegistrationVerdict;
  };
  protection: {
    outputSha256: string;
    outputBytes: number;
    orientation: number;
    manifestSha256: string;
    certificateKid: string;
    fingerprint: string;
    evidence: Record<string, number | string | boolean | null>;
    /** The rule by which a generated picture was disclosed. */
    profile: string | null;
    /** What our own manifest tells; those that the picture came with are not kept. Null when it cannot be read. */
    credentials: Credentials | null;
  } | null;
}

/** Whether the signature fits the record; `unknown` when the key is not at hand. */
export type RegistrationVerdict = 'valid' | 'invalid' | 'unknown';

export interface PhotoPage {
  data: PhotoSummary[];
  pagination: { limit: number; nextCursor: string | null; hasMore: boolean };
}

/** Newest first, of one trace when it is given. @throws Refusal VALIDATION_FAILED for a cursor that this list did not give. */
export async function photoPage(
  room: AlbumRoom,
  viewer: Viewer,
  { limit, cursor, traceId }: { limit: number; cursor: string | null; traceId: string | null },
): Promise<PhotoPage> {
  const { tenantId } = viewer;
  const key = await room.tenantKeys.forTenant(tenantId);
  const after = cursor === null ? null : readCursor(key, cursor);
  const rows = await room.database.inTenant(tenantId, (sql) => listPhotos(sql, tenantId, limit + 1, after, traceId));
  const shown = rows.slice(0, limit);
  const last = shown.at(-1);
  const hasMore = rows.length > limit;
  return {
    data: shown.map((row) => summaryOf(key, viewer, row)),
    pagination: { limit, nextCursor: hasMore && last ? writeCursor(key, last) : null, hasMore },
  };
}

/** @throws Refusal NOT_FOUND for an id that is malformed, unknown or another tenant's. */
export async function photoDetail(room: AlbumRoom, viewer: Viewer, id: string): Promise<PhotoDetail> {
  const { tenantId } = viewer;
  const photoId = photoIdOf(id);
  const [row, published, manifest] = await room.database.inTenant(tenantId, async (sql) => [
    await findPhoto(sql, tenantId, photoId),
    await findPublished(sql, tenantId, photoId),
    await findManifest(sql, tenantId, photoId),
  ]);
  if (!row) throw noSuchPhoto();
  const credentials = manifest === null ? null : keptCredentials(manifest, await room.manifestCredentials());
  const key = await room.tenantKeys.forTenant(tenantId);
  const signer = await room.registrationSigner();
  const detail = detailOf(key, viewer, row, signer.keyId === row.keyId ? signer.publicKeyPem : null, credentials);
  const { manifestId, publishedAt } = published ?? {};
  return {
    ...detail,
    publication: manifestId && publishedAt ? { manifestId, publishedAt: publishedAt.toISOString() } : null,
  };
}

function keptCredentials(
  { manifestStore, manifestGaps }: { manifestStore: Uint8Array; manifestGaps: readonly ManifestGap[] },
  { trustAnchorsPem, timestampAnchorsPem, revocations }: ManifestCredentials,
): Credentials | null {
  const trust = {
    anchorsPem: trustAnchorsPem,
    ...(timestampAnchorsPem === undefined ? {} : { timestampAnchorsPem }),
  };
  const terms = { trust, revocations, nowMs: Date.now() };
  if (manifestGaps.length === 0) return credentialsOf(manifestStore, terms);
  return activeCredentialsOf(blankedOut({ kept: manifestStore, gaps: manifestGaps }), terms);
}

function summaryOf(key: TenantKey, { canReadTraces }: Viewer, row: PhotoRow): PhotoSummary {
  return {
    photoId: row.photoId,
    status: row.status,
    contentHash: row.contentHash.toString('hex'),
    format: row.protection?.format ?? null,
    width: row.protection?.width ?? null,
    height: row.protection?.height ?? null,
    deviceModel: openColumn(key, 'device_model', row.photoId, row.deviceModel).toString('utf8'),
    createdAt: row.createdAt.toISOString(),
    protectedAt: row.protection?.protectedAt.toISOString() ?? null,
    traceId: canReadTraces ? row.traceId : null,
    spanId: canReadTraces ? row.spanId : null,
  };
}

function detailOf(
  key: TenantKey,
  viewer: Viewer,
  row: PhotoRow,
  publicKey: string | null,
  credentials: Credentials | null,
): Omit<PhotoDetail, 'publication'> {
  const { tenantId } = viewer;
  const summary = summaryOf(key, viewer, row);
  const place = placeOf(key, row);
  const { protection } = row;
  const record: RegistrationRecord = {
    type: RECORD_TYPE,
    photoId: row.photoId,
    tenantId,
    contentHash: summary.contentHash,
    deviceModel: summary.deviceModel,
    ...place,
    registeredAt: row.registeredAt.toISOString(),
    keyId: row.keyId,
  };
  return {
    ...summary,
    tenantId,
    latitude: place.latitude ?? null,
    longitude: place.longitude ?? null,
    registration: {
      record,
      signature: row.signature.toString('base64'),
      algorithm: 'ES256-DER',
      keyId: row.keyId,
      publicKey,
      verdict: registrationVerdict(record, row.signature, publicKey),
    },
    protection: protection && {
      outputSha256: protection.outputSha256.toString('hex'),
      outputBytes: protection.outputBytes,
      orientation: protection.orientation,
      manifestSha256: protection.manifestSha256.toString('hex'),
      certificateKid: protection.certificateKid,
      fingerprint: protection.fingerprint.toString('hex'),
      evidence: protection.evidence,
      profile: protection.profile,
      credentials,
    },
  };
}

/** Rebuilt from what is stored and checked as a third party would. */
function registrationVerdict(
  record: RegistrationRecord,
  signature: Buffer,
  publicKeyPem: string | null,
): RegistrationVerdict {
  if (publicKeyPem === null) return 'unknown';
  const isSigned = verifySignature('sha256', Buffer.from(canonicalJson(record)), publicKeyPem, signature);
  return isSigned ? 'valid' : 'invalid';
}

function placeOf(key: TenantKey, row: PhotoRow): { latitude?: number; longitude?: number } {
  if (!row.location) return {};
  const text = openColumn(key, 'location', row.photoId, row.location).toString('utf8');
  return JSON.parse(text) as { latitude?: number; longitude?: number };
}

const CURSOR = /^(\d{1,13})\.([0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})$/;

/** Sealed by the tenant's key: it says nothing to its holder, and only what this list gave is a cursor of it. */
function writeCursor(key: TenantKey, { createdAt, photoId }: PhotoRow): string {
  return key.seal('column', PHOTO_CURSOR_AAD, Buffer.from(`${createdAt.getTime()}.${photoId}`)).toString('base64url');
}

function readCursor(key: TenantKey, text: string): PhotoCursor {
  const match = CURSOR.exec(opened(key, text));
  const createdAt = new Date(Number(match?.[1] ?? NaN));
  if (!match?.[2] || Number.isNaN(createdAt.getTime())) throw notOurs();
  return { createdAt, photoId: match[2] };
}

function opened(key: TenantKey, text: string): string {
  try {
    return key.open('column', PHOTO_CURSOR_AAD, Buffer.from(text, 'base64url')).toString('latin1');
  } catch (cause) {
    throw notOurs(cause);
  }
}

function notOurs(cause?: unknown): Refusal {
  return new Refusal('VALIDATION_FAILED', 'Expected a cursor of this list.', { cause });
}
