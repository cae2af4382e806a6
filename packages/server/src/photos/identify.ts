// The story of an identification: whose picture is this? The id is read from the pixels alone, under the keys of those whose
// photos may be named to the caller; then it is looked up. A picture without a mark is nobody's, and so is one of others.
import type { PayloadKey } from '@lumatrace/provenance/watermark/keys.ts';
import { MAX_PAYLOAD_KEYS, type BlindFinding } from '@lumatrace/provenance/watermark/find.ts';
import { readImageHeader } from '@lumatrace/provenance/image.ts';
import type { WatermarkKeys } from '../keys/watermark-keys.ts';
import type { Database } from '../storage/database.ts';
import { findPhotoByWatermark } from '../storage/postgres/photos.ts';
import type { Images } from './images.ts';
import type { Caller } from './registration.ts';

export interface IdentifyRoom {
  database: Database;
  watermarkKeys: WatermarkKeys;
  images: Images;
}

export interface Identification {
  /** Null when no mark was read, or the photo is not kept any more. */
  photoId: string | null;
  watermark: {
    status: 'DETECTED' | 'NOT_FOUND';
    /** 0 when nothing was read. */
    z: number;
    /** log₁₀ of a bound on the probability of such an answer without a mark, all attempts counted. */
    log10p: number;
    /** Readings that the bound pays for: all versions of all keys times all places that may be looked at. */
    attempts: number;
  };
}

/**
 * Reads whose photo a file shows, among the caller's own. `image.bytes` is empty afterwards.
 * @throws Refusal UNAVAILABLE when no thread gets free; ImageError for a file that is no still JPEG, PNG or WebP
 */
export async function identify(
  room: IdentifyRoom,
  { tenantId }: Caller,
  image: { bytes: Uint8Array<ArrayBuffer> },
  signal: AbortSignal,
): Promise<Identification> {
  return identifyAmong(room, [tenantId], image, signal);
}

/**
 * The same among several tenants, such as those that published. Tenants beyond what one search pays for are not tried; the
 * bound counts those that are.
 */
export async function identifyAmong(
  { database, watermarkKeys, images }: IdentifyRoom,
  tenantIds: readonly string[],
  image: { bytes: Uint8Array<ArrayBuffer> },
  signal: AbortSignal,
): Promise<Identification> {
  readImageHeader(image.bytes);
  const payloads: PayloadKey[] = [];
  let syncs: Awaited<ReturnType<WatermarkKeys['forReading']>>['syncs'] = [];
  for (const tenantId of tenantIds) {
    const keys = await watermarkKeys.forReading(tenantId);
    if (payloads.length + keys.payloads.length > MAX_PAYLOAD_KEYS) break;
    payloads.push(...keys.payloads);
    syncs = keys.syncs;
  }
  const { blind, attempts } = await images.identify({ image: image.bytes, syncs, payloads }, signal);
  return {
    photoId: blind === null ? null : await photoOf(database, blind),
    watermark: {
      status: blind === null ? 'NOT_FOUND' : 'DETECTED',
      z: blind?.z ?? 0,
      log10p: blind?.log10p ?? 0,
      attempts,
    },
  };
}

function photoOf(database: Database, { tenantId, id }: BlindFinding): Promise<string | null> {
  return database.inTenant(tenantId, (sql) => findPhotoByWatermark(sql, tenantId, id));
}
