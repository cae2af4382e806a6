// Photos that their owners published, as rows: anybody may look them up, only the owner writes them.
import type { Sql } from '../database.ts';

export interface PublishedPhoto {
  tenantId: string;
  photoId: string;
  manifestId: string;
  publishedAt: Date;
}

/** Differing bits of 256 beside the photo. */
export interface FingerprintMatch {
  photoId: string;
  distance: number;
}

interface Row {
  tenant_id: string;
  photo_id: string;
  manifest_id: string;
  published_at: Date;
}

const COLUMNS = 'tenant_id, photo_id, manifest_id, published_at';
/** Photos whose fingerprints one question is held against, newest first. */
const MAX_COMPARED = 100_000;

const publishedOf = (row: Row): PublishedPhoto => ({
  tenantId: row.tenant_id,
  photoId: row.photo_id,
  manifestId: row.manifest_id,
  publishedAt: row.published_at,
});

/** In the owner's transaction; false when it was published already. */
export async function insertPublished(
  sql: Sql,
  photo: { tenantId: string; photoId: string; manifestId: string; binding: Uint8Array },
): Promise<boolean> {
  const { rowCount } = await sql.query(
    `insert into published_photos (tenant_id, photo_id, manifest_id, binding, fingerprint)
     select tenant_id, photo_id, $3, $4, fingerprint_bits from protections where tenant_id = $1 and photo_id = $2
     on conflict (tenant_id, photo_id) do nothing`,
    [photo.tenantId, photo.photoId, photo.manifestId, photo.binding],
  );
  return rowCount === 1;
}

/** In the owner's transaction; false when it was not published. */
export async function deletePublished(sql: Sql, tenantId: string, photoId: string): Promise<boolean> {
  const { rowCount } = await sql.query('delete from published_photos where tenant_id = $1 and photo_id = $2', [
    tenantId,
    photoId,
  ]);
  return rowCount === 1;
}

export async function findPublished(sql: Sql, tenantId: string, photoId: string): Promise<PublishedPhoto | null> {
  const { rows } = await sql.query<Row>(
    `select ${COLUMNS} from published_photos where tenant_id = $1 and photo_id = $2`,
    [tenantId, photoId],
  );
  return rows[0] ? publishedOf(rows[0]) : null;
}

export async function findPublishedByManifest(sql: Sql, manifestId: string): Promise<PublishedPhoto | null> {
  const { rows } = await sql.query<Row>(
    `select ${COLUMNS} from published_photos where manifest_id = $1 order by published_at limit 1`,
    [manifestId],
  );
  return rows[0] ? publishedOf(rows[0]) : null;
}

/** Newest first, at most `limit`: ids are random, but nothing forbids two tenants the same one. */
export async function findPublishedByBinding(sql: Sql, binding: Uint8Array, limit: number): Promise<PublishedPhoto[]> {
  const { rows } = await sql.query<Row>(
    `select ${COLUMNS} from published_photos where binding = $1 order by published_at desc limit $2`,
    [binding, limit],
  );
  return rows.map(publishedOf);
}

/** Tenants that published, those that did so last first. */
export async function listPublishers(sql: Sql, limit: number): Promise<string[]> {
  const { rows } = await sql.query<{ tenant_id: string }>(
    `select tenant_id from published_photos group by tenant_id order by max(published_at) desc limit $1`,
    [limit],
  );
  return rows.map(({ tenant_id }) => tenant_id);
}

/** Published photos that look alike, nearest first. */
export async function findPublishedAlike(
  sql: Sql,
  fingerprint: Uint8Array,
  within: number,
  limit: number,
): Promise<(PublishedPhoto & { distance: number })[]> {
  const { rows } = await sql.query<Row & { distance: number }>(
    `select * from (
       select ${COLUMNS}, bit_count(fingerprint # $1::bit(256))::int as distance
         from (select * from published_photos order by published_at desc limit ${MAX_COMPARED}) newest) compared
      where distance <= $2
      order by distance, published_at desc
      limit $3`,
    [bitsOf(fingerprint), within, limit],
  );
  return rows.map((row) => ({ ...publishedOf(row), distance: row.distance }));
}

/** The tenant's own photos that look alike, nearest first. */
export async function findOwnAlike(
  sql: Sql,
  tenantId: string,
  fingerprint: Uint8Array,
  within: number,
  limit: number,
): Promise<FingerprintMatch[]> {
  const { rows } = await sql.query<{ photo_id: string; distance: number }>(
    `select photo_id, distance from (
       select photo_id, protected_at, bit_count(fingerprint_bits # $2::bit(256))::int as distance
         from (select * from protections where tenant_id = $1 order by protected_at desc limit ${MAX_COMPARED}) newest) compared
      where distance <= $3
      order by distance, protected_at desc
      limit $4`,
    [tenantId, bitsOf(fingerprint), within, limit],
  );
  return rows.map((row) => ({ photoId: row.photo_id, distance: row.distance }));
}

const bitsOf = (bytes: Uint8Array): string => Array.from(bytes, (byte) => byte.toString(2).padStart(8, '0')).join('');
