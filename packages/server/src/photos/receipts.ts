// What the transparency log holds about a photo, for its owner.
import type { Receipt } from '@lumatrace/provenance/log/receipt.ts';
import type { Database } from '../storage/database.ts';
import { findPhoto } from '../storage/postgres/photos.ts';
import type { Log } from '../transparency/log.ts';
import { noSuchPhoto, photoIdOf } from './refusal.ts';

export interface ReceiptsRoom {
  database: Database;
  log: Pick<Log, 'receiptsOf'>;
}

/** The header in which a protection's receipt is answered: base64url of its JSON. */
export const RECEIPT_HEADER = 'lumatrace-log-receipt';

export const receiptText = (receipt: Receipt): string => Buffer.from(JSON.stringify(receipt)).toString('base64url');

/** Newest first; none for a photo from before the log. @throws Refusal NOT_FOUND */
export async function photoReceipts(room: ReceiptsRoom, tenantId: string, id: string): Promise<Receipt[]> {
  const photoId = photoIdOf(id);
  const photo = await room.database.inTenant(tenantId, (sql) => findPhoto(sql, tenantId, photoId));
  if (!photo) throw noSuchPhoto();
  return room.log.receiptsOf(tenantId, `photo:${photoId}`);
}
