// The stories of the C2PA Soft Binding Resolution API (2.4, "Decoupled"): from a soft binding or a picture to the manifest
// that belongs to it. Only what owners published is here; the pictures themselves are nowhere.
import type { Database } from '../storage/database.ts';
import { findManifest } from '../storage/postgres/photos.ts';
import { findPublishedByBinding, findPublishedByManifest } from '../storage/postgres/published.ts';
import { sealsOf } from '../storage/seals.ts';
import { FINGERPRINT_ALG } from './binding.ts';
import { identifyPublished, type IdentifyRoom } from './identify.ts';
import type { ManifestCredentials } from './images.ts';
import { Refusal } from './refusal.ts';

export interface ResolutionRoom extends IdentifyRoom {
  database: Database;
  /** Name of the watermark's algorithm in this installation's manifests. */
  softBindingAlg: string;
  /** `ownAnchorsPem`: without the roots of others that are believed here. */
  manifestCredentials(): Promise<Pick<ManifestCredentials, 'trustAnchorsPem'> & { ownAnchorsPem?: string }>;
}

export interface ManifestMatch {
  manifestId: string;
  /** 0…100: 100 for a watermark, less for a picture that only looks alike. */
  similarityScore?: number;
}

/** Manifests by the value of a soft binding; none for an algorithm that is not ours. */
export async function matchesByBinding(
  { database, softBindingAlg }: ResolutionRoom,
  { alg, value, maxResults }: { alg: string; value: string; maxResults: number },
): Promise<ManifestMatch[]> {
  if (alg !== softBindingAlg) return [];
  const binding = bytesOf(value);
  const rows = await database.inLookup('published', (sql) => findPublishedByBinding(sql, binding, maxResults));
  return rows.map(({ manifestId }) => ({ manifestId }));
}

/** Manifests of the photo that a picture shows. `image.bytes` is empty afterwards. */
export async function matchesByContent(
  room: ResolutionRoom,
  image: { bytes: Uint8Array<ArrayBuffer> },
  { alg, maxResults }: { alg?: string; maxResults: number },
  signal: AbortSignal,
): Promise<ManifestMatch[]> {
  const { matches } = await identifyPublished(room, image, signal);
  return matches
    .filter(({ kind }) => alg === undefined || alg === (kind === 'watermark' ? room.softBindingAlg : FINGERPRINT_ALG))
    .flatMap((match) =>
      match.manifestId === null ? [] : [{ manifestId: match.manifestId, similarityScore: scoreOf(match) }],
    )
    .slice(0, maxResults);
}

function scoreOf(match: { kind: 'watermark' } | { kind: 'fingerprint'; distance: number }): number {
  return match.kind === 'watermark' ? 100 : Math.min(99, Math.round(100 * (1 - match.distance / 128)));
}

/** The manifest store as it was signed. @throws Refusal NOT_FOUND */
export async function manifestStore(
  { database }: Pick<ResolutionRoom, 'database'>,
  manifestId: string,
): Promise<Uint8Array> {
  const row = await database.inLookup('published', (sql) => findPublishedByManifest(sql, manifestId));
  const kept = row && (await keptOf(database, row));
  if (!kept) throw new Refusal('NOT_FOUND', 'There is no manifest with this id.');
  return kept.manifestStore;
}

async function keptOf(
  database: Database,
  { tenantId, photoId }: { tenantId: string; photoId: string },
): ReturnType<typeof findManifest> {
  try {
    // before the transaction, as in a publication
    await sealsOf({ door: database }).tenant(tenantId);
  } catch (error) {
    // of a tenant whose data was erased nothing is found
    if ((error as { code?: unknown }).code === 'TENANT_RESTRICTED') return null;
    throw error;
  }
  return database.inTenant(tenantId, (sql) => findManifest(sql, tenantId, photoId));
}

function bytesOf(base64: string): Uint8Array {
  if (!/^[A-Za-z0-9+/_-]+={0,2}$/.test(base64)) {
    throw new Refusal('VALIDATION_FAILED', 'Expected value to be base64.');
  }
  return Buffer.from(base64, 'base64');
}
