// Photos and their protections as rows. Sealed columns come and go as bytes: only the story knows how to open them.
import type { Sql } from '../database.ts';
import { manifestAad } from '../sealed.ts';
import { sealsOf } from '../seals.ts';

export type PhotoStatus = 'registered' | 'protected';
export type PhotoFormat = 'jpeg' | 'png' | 'webp';

/** A registration to be written; `deviceModel` and `location` are sealed. */
export interface NewPhoto {
  tenantId: string;
  photoId: string;
  contentHash: Uint8Array;
  deviceModel: Uint8Array;
  location: Uint8Array | null;
  registeredAt: Date;
  signature: Uint8Array;
  keyId: string;
  traceId: string | null;
  /** Only with a trace. */
  spanId: string | null;
}

/** Where bytes that came in with the image belong in the manifest store: they are never kept here. */
export interface ManifestGap {
  /** In the whole manifest store. */
  at: number;
  /** In the manifest store that the image carried when it came. */
  from: number;
  length: number;
}

/** What the pixels carry, and the versions of the keys under which they do. */
export interface PhotoWatermark {
  id: bigint;
  syncVersion: number;
  payloadVersion: number;
}

/** What a protect leaves behind; `manifestStore` is the store without its gaps. */
export interface NewProtection {
  tenantId: string;
  photoId: string;
  format: PhotoFormat;
  width: number;
  height: number;
  orientation: number;
  watermark: PhotoWatermark;
  outputBytes: number;
  outputSha256: Uint8Array;
  unsignedSha256: Uint8Array;
  manifestStore: Uint8Array;
  manifestGaps: readonly ManifestGap[];
  manifestSha256: Uint8Array;
  certificateKid: string;
  fingerprint: Uint8Array;
  evidence: Readonly<Record<string, number | string | boolean | null>>;
  /** The rule by which a generated picture was disclosed. */
  profile: string | null;
  protectedAt: Date;
}

/** A photo with its protection when it has one. */
export interface PhotoRow {
  photoId: string;
  contentHash: Buffer;
  status: PhotoStatus;
  deviceModel: Buffer;
  location: Buffer | null;
  registeredAt: Date;
  signature: Buffer;
  keyId: string;
  traceId: string | null;
  spanId: string | null;
  createdAt: Date;
  protection: ProtectionRow | null;
}

export interface ProtectionRow {
  format: PhotoFormat;
  width: number;
  height: number;
  orientation: number;
  /** Null for pictures that were marked before ids were. */
  watermark: PhotoWatermark | null;
  outputBytes: number;
  outputSha256: Buffer;
  unsignedSha256: Buffer;
  manifestSha256: Buffer;
  certificateKid: string;
  fingerprint: Buffer;
  evidence: Record<string, number | string | boolean | null>;
  profile: string | null;
  protectedAt: Date;
}

/** Position in the list, newest first: the last row that was seen. */
export interface PhotoCursor {
  createdAt: Date;
  photoId: string;
}

const PHOTO_COLUMNS = `
  p.photo_id, p.content_hash, p.status, p.device_model, p.location, p.registered_at, p.registered_signature,
  p.registered_key_id, p.trace_id, p.span_id, p.created_at,
  r.format, r.width, r.height, r.orientation, r.watermark_id, r.watermark_sync_version, r.watermark_payload_version, r.output_bytes, r.output_sha256, r.unsigned_sha256,
  r.manifest_sha256, r.certificate_kid, r.fingerprint, r.evidence, r.profile, r.protected_at`;

/** Writes a registration that nobody holds. */
export async function insertPhoto(sql: Sql, photo: NewPhoto): Promise<void> {
  await sql.query(
    `insert into photos (tenant_id, photo_id, content_hash, device_model, location,
                         registered_at, registered_signature, registered_key_id, trace_id, span_id)
     values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)`,
    [
      photo.tenantId,
      photo.photoId,
      photo.contentHash,
      photo.deviceModel,
      photo.location,
      photo.registeredAt,
      photo.signature,
      photo.keyId,
      photo.traceId,
      photo.spanId,
    ],
  );
}

/**
 * Holds the newest registration of this content that nobody protected yet and nobody else holds; null when there is
 * none. Two protects at once never get the same one, but whoever carries on for a dead one gets what that one held.
 */
export async function reserveRegistration(
  sql: Sql,
  tenantId: string,
  contentHash: Uint8Array,
  owner: string,
  seconds: number,
): Promise<string | null> {
  const { rows } = await sql.query<{ photo_id: string }>(
    `update photos
        set reserved_by = $3, reserved_until = clock_timestamp() + make_interval(secs => $4)
      where tenant_id = $1
        and photo_id = (
          select photo_id
            from photos
           where tenant_id = $1 and content_hash = $2 and status = 'registered'
             and (reserved_until is null or reserved_until <= clock_timestamp() or reserved_by = $3)
           order by reserved_by = $3 desc nulls last, created_at desc, photo_id desc
           limit 1
             for update skip locked)
      returning photo_id`,
    [tenantId, contentHash, owner, seconds],
  );
  return rows[0]?.photo_id ?? null;
}

/** Lets go of a registration that a failed protect held. */
export async function releaseRegistration(sql: Sql, tenantId: string, photoId: string, owner: string): Promise<void> {
  await sql.query(
    `update photos
        set reserved_by = null, reserved_until = null
      where tenant_id = $1 and photo_id = $2 and reserved_by = $3`,
    [tenantId, photoId, owner],
  );
}

/**
 * registered → protected, for the holder only; false when somebody else took it: roll back. A span that was registered
 * stays with its own trace.
 */
export async function markProtected(
  sql: Sql,
  photo: Pick<NewPhoto, 'tenantId' | 'photoId' | 'traceId' | 'spanId'> & { owner: string; protectedAt: Date },
): Promise<boolean> {
  const { rowCount } = await sql.query(
    `update photos
        set status = 'protected', protected_at = $4, trace_id = coalesce($5, trace_id),
            span_id = case when $5::text is null then span_id else $6 end,
            reserved_by = null, reserved_until = null
      where tenant_id = $1 and photo_id = $2 and status = 'registered' and reserved_by = $3`,
    [photo.tenantId, photo.photoId, photo.owner, photo.protectedAt, photo.traceId, photo.spanId],
  );
  return rowCount === 1;
}

/** Writes the photo of a protect that nobody registered before, held for `owner` until the same transaction marks it. */
export async function insertHeldPhoto(sql: Sql, photo: NewPhoto, owner: string): Promise<void> {
  await insertPhoto(sql, photo);
  await sql.query('update photos set reserved_by = $3 where tenant_id = $1 and photo_id = $2', [
    photo.tenantId,
    photo.photoId,
    owner,
  ]);
}

/** The manifest is sealed on its way in: it names title and author. */
export async function insertProtection(sql: Sql, made: NewProtection): Promise<void> {
  const key = await sealsOf(sql).tenant(made.tenantId);
  await sql.query(
    `insert into protections (tenant_id, photo_id, format, width, height, orientation, watermark_id, watermark_sync_version,
                              watermark_payload_version, output_bytes,
                              output_sha256, unsigned_sha256, manifest_store, manifest_gaps, manifest_sha256,
                              certificate_kid, fingerprint, evidence, protected_at, profile, manifest_sealed)
     values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, true)`,
    [
      made.tenantId,
      made.photoId,
      made.format,
      made.width,
      made.height,
      made.orientation,
      BigInt.asIntN(64, made.watermark.id).toString(),
      made.watermark.syncVersion,
      made.watermark.payloadVersion,
      made.outputBytes,
      made.outputSha256,
      made.unsignedSha256,
      key.seal('column', manifestAad(made.photoId), made.manifestStore),
      JSON.stringify(made.manifestGaps),
      made.manifestSha256,
      made.certificateKid,
      made.fingerprint,
      JSON.stringify(made.evidence),
      made.protectedAt,
      made.profile,
    ],
  );
}

/** One photo of the tenant, or null. */
export async function findPhoto(sql: Sql, tenantId: string, photoId: string): Promise<PhotoRow | null> {
  const { rows } = await sql.query<JoinedRow>(
    `select ${PHOTO_COLUMNS}
       from photos p
       left join protections r on r.tenant_id = p.tenant_id and r.photo_id = p.photo_id
      where p.tenant_id = $1 and p.photo_id = $2`,
    [tenantId, photoId],
  );
  return rows[0] ? photoOf(rows[0]) : null;
}

/** The photo of a tenant that carries an id, or null. */
export async function findPhotoByWatermark(sql: Sql, tenantId: string, id: bigint): Promise<string | null> {
  const { rows } = await sql.query<{ photo_id: string }>(
    'select photo_id from protections where tenant_id = $1 and watermark_id = $2',
    [tenantId, BigInt.asIntN(64, id).toString()],
  );
  return rows[0]?.photo_id ?? null;
}

/** The kept manifest of a photo with its gaps, or null. */
export async function findManifest(
  sql: Sql,
  tenantId: string,
  photoId: string,
): Promise<{ manifestStore: Buffer; manifestGaps: ManifestGap[] } | null> {
  const { rows } = await sql.query<{ kept: Buffer; isSealed: boolean; manifestGaps: ManifestGap[] }>(
    `select manifest_store as kept, manifest_sealed as "isSealed", manifest_gaps as "manifestGaps"
       from protections where tenant_id = $1 and photo_id = $2`,
    [tenantId, photoId],
  );
  if (!rows[0]) return null;
  const { kept, isSealed, manifestGaps } = rows[0];
  if (!isSealed) return { manifestStore: kept, manifestGaps };
  const key = await sealsOf(sql).tenant(tenantId);
  return { manifestStore: key.open('column', manifestAad(photoId), kept), manifestGaps };
}

/** As the owner: tenants that have manifests of before they were sealed. At most `limit`. */
export async function tenantsWithOpenManifests(sql: Sql, limit: number): Promise<string[]> {
  await sql.query(`select set_config('app.backup', 'on', true)`);
  const { rows } = await sql.query<{ tenantId: string }>(
    'select distinct tenant_id as "tenantId" from protections where not manifest_sealed limit $1',
    [limit],
  );
  return rows.map(({ tenantId }) => tenantId);
}

/** In a tenant transaction: seals at most `limit` of them; those that somebody else holds are left. Returns how many. */
export async function sealManifests(sql: Sql, tenantId: string, limit: number): Promise<number> {
  const key = await sealsOf(sql).tenant(tenantId);
  const { rows } = await sql.query<{ photoId: string; kept: Buffer }>(
    `
      select photo_id as "photoId", manifest_store as kept
      from protections
      where tenant_id = $1 and not manifest_sealed
      limit $2
      for update skip locked
    `,
    [tenantId, limit],
  );
  for (const { photoId, kept } of rows)
    await sql.query(
      'update protections set manifest_store = $3, manifest_sealed = true where tenant_id = $1 and photo_id = $2',
      [tenantId, photoId, key.seal('column', manifestAad(photoId), kept)],
    );
  return rows.length;
}

/** At most `limit` photos, newest first, after the cursor; only those of one trace when it is given. */
export async function listPhotos(
  sql: Sql,
  tenantId: string,
  limit: number,
  after: PhotoCursor | null,
  traceId: string | null = null,
): Promise<PhotoRow[]> {
  const { rows } = await sql.query<JoinedRow>(
    `select ${PHOTO_COLUMNS}
       from photos p
       left join protections r on r.tenant_id = p.tenant_id and r.photo_id = p.photo_id
      where p.tenant_id = $1
        and ($3::timestamptz is null or (p.created_at, p.photo_id) < ($3::timestamptz, $4::uuid))
        and ($5::text is null or p.trace_id = $5)
      order by p.created_at desc, p.photo_id desc
      limit $2`,
    [tenantId, limit, after?.createdAt ?? null, after?.photoId ?? null, traceId],
  );
  return rows.map(photoOf);
}

function watermarkOf(row: JoinedRow): PhotoWatermark | null {
  if (row.watermark_id === null) return null;
  return {
    id: BigInt.asUintN(64, BigInt(row.watermark_id)),
    syncVersion: row.watermark_sync_version,
    payloadVersion: row.watermark_payload_version,
  };
}

interface JoinedRow {
  photo_id: string;
  content_hash: Buffer;
  status: PhotoStatus;
  device_model: Buffer;
  location: Buffer | null;
  registered_at: Date;
  registered_signature: Buffer;
  registered_key_id: string;
  trace_id: string | null;
  span_id: string | null;
  created_at: Date;
  format: PhotoFormat | null;
  width: number;
  height: number;
  orientation: number;
  watermark_id: string | null;
  watermark_sync_version: number;
  watermark_payload_version: number;
  output_bytes: number;
  output_sha256: Buffer;
  unsigned_sha256: Buffer;
  manifest_sha256: Buffer;
  certificate_kid: string;
  fingerprint: Buffer;
  evidence: Record<string, number | string | boolean | null>;
  profile: string | null;
  protected_at: Date;
}

function photoOf(row: JoinedRow): PhotoRow {
  return {
    photoId: row.photo_id,
    contentHash: row.content_hash,
    status: row.status,
    deviceModel: row.device_model,
    location: row.location,
    registeredAt: row.registered_at,
    signature: row.registered_signature,
    keyId: row.registered_key_id,
    traceId: row.trace_id,
    spanId: row.span_id,
    createdAt: row.created_at,
    protection: row.format === null ? null : protectionOf(row, row.format),
  };
}

function protectionOf(row: JoinedRow, format: PhotoFormat): ProtectionRow {
  return {
    format,
    width: row.width,
    height: row.height,
    orientation: row.orientation,
    watermark: watermarkOf(row),
    outputBytes: row.output_bytes,
    outputSha256: row.output_sha256,
    unsignedSha256: row.unsigned_sha256,
    manifestSha256: row.manifest_sha256,
    certificateKid: row.certificate_kid,
    fingerprint: row.fingerprint,
    evidence: row.evidence,
    profile: row.profile,
    protectedAt: row.protected_at,
  };
}
