// The story of a publication: from then on anybody who holds a copy of the picture finds its manifest, and nothing else.
import { activeManifest } from '@lumatrace/provenance/c2pa/jumbf.ts';
import { audit } from '../access/audit.ts';
import type { Database, Sql } from '../storage/database.ts';
import { findManifest, findPhoto } from '../storage/postgres/photos.ts';
import { deletePublished, findPublished, insertPublished } from '../storage/postgres/published.ts';
import { sealsOf } from '../storage/seals.ts';
import { writeEntry } from '../transparency/entry.ts';
import { bindingOf } from './binding.ts';
import { noSuchPhoto, photoIdOf, Refusal } from './refusal.ts';
import type { Caller } from './registration.ts';

export interface PublishRoom {
  database: Database;
}

export interface Publication {
  photoId: string;
  /** Under /c2pa/manifests; null when the photo is not published. */
  manifestId: string | null;
  publishedAt: string | null;
}

/**
 * Publishes a photo's manifest, or takes it back. Twice is once.
 * @throws Refusal NOT_FOUND; CONFLICT when there is no manifest to give out whole
 */
export async function publish(
  { database }: PublishRoom,
  caller: Caller,
  id: string,
  isPublished: boolean,
): Promise<Publication> {
  const photoId = photoIdOf(id);
  const { tenantId } = caller;
  // before the transaction: reading the manifest in it must not wait for another connection
  await sealsOf({ door: database }).tenant(tenantId);
  return database.inTenant(tenantId, async (sql) => {
    const isChanged = isPublished
      ? await insertPublished(sql, { tenantId, photoId, ...(await publishable(sql, tenantId, photoId)) })
      : await withdraw(sql, tenantId, photoId);
    if (isChanged) {
      const action = isPublished ? 'photo.publish' : 'photo.withdraw';
      await audit(sql, { ...caller, action, object: `photo:${photoId}`, outcome: 'done' });
      await writeEntry(sql, { action, tenantId, object: `photo:${photoId}`, sha256: {} });
    }
    const row = await findPublished(sql, tenantId, photoId);
    return { photoId, manifestId: row?.manifestId ?? null, publishedAt: row?.publishedAt.toISOString() ?? null };
  });
}

async function publishable(
  sql: Sql,
  tenantId: string,
  photoId: string,
): Promise<{ manifestId: string; binding: Uint8Array }> {
  const photo = await findPhoto(sql, tenantId, photoId);
  if (!photo) throw noSuchPhoto();
  const kept = await findManifest(sql, tenantId, photoId);
  if (!kept || !photo.protection?.watermark) {
    throw new Refusal('CONFLICT', 'This photo has no watermark that a copy of it could be found by: protect it first.');
  }
  if (kept.manifestGaps.length > 0) {
    throw new Refusal(
      'CONFLICT',
      'The manifest holds credentials that came with the picture. They are not kept, so that it cannot be given out whole.',
    );
  }
  return { manifestId: activeManifest(kept.manifestStore).label, binding: bindingOf(photo.protection.watermark.id) };
}

async function withdraw(sql: Sql, tenantId: string, photoId: string): Promise<boolean> {
  if (!(await findPhoto(sql, tenantId, photoId))) throw noSuchPhoto();
  return deletePublished(sql, tenantId, photoId);
}
