// The story of a registration: sign what is said about a file, and keep it; the file itself never comes here.
import { createHash, randomUUID } from 'node:crypto';
import type { Receipt } from '@lumatrace/provenance/log/receipt.ts';
import { audit } from '../access/audit.ts';
import type { TenantKeys } from '../keys/tenant-key.ts';
import type { Database } from '../storage/database.ts';
import { insertPhoto } from '../storage/postgres/photos.ts';
import type { Log } from '../transparency/log.ts';
import { idempotencyKeyOf, type Once, type Turn } from './idempotency.ts';
import {
  canonicalJson,
  registrationRow,
  signRegistration,
  type Caller,
  type PhotoRequest,
  type RegistrationSigner,
} from './registration.ts';
import { Refusal } from './refusal.ts';

export interface RegisterRoom {
  database: Database;
  tenantKeys: TenantKeys;
  registrationSigner(): Promise<RegistrationSigner>;
  log: Pick<Log, 'append'>;
  once: Once;
  clock(): Date;
}

/** The contract's answer; `signature` is base64 of the DER signature over the registration record. */
export interface Registered {
  photoId: string;
  tenantId: string;
  signature: string;
  /** That the transparency log will hold this registration; its proof can be asked for a moment later. */
  logReceipt: Receipt;
}

export const REGISTER_ROUTE = 'POST /api/v1/photos/register';

/**
 * Registers a file by its hash and answers the text of the JSON answer, the same bytes for the same Idempotency-Key.
 * Without a key every call makes a new photo, also for a hash that is known.
 * @param body the request as it came: what an Idempotency-Key is compared with
 */
export function register(
  room: RegisterRoom,
  caller: Caller,
  request: PhotoRequest,
  body: object,
  idempotencyKey: string | null,
): Promise<Uint8Array> {
  const attempt = {
    tenantId: caller.tenantId,
    route: REGISTER_ROUTE,
    key: idempotencyKeyOf(idempotencyKey),
    bodySha256: createHash('sha256').update(canonicalJson(body)).digest(),
  };
  return room.once.answer(attempt, {
    run: (turn) => registerOnce(room, caller, request, turn),
    replay: async ({ body }) => {
      if (!body) throw new Refusal('CONFLICT', 'The recorded answer is incomplete.');
      return body;
    },
  });
}

async function registerOnce(
  room: RegisterRoom,
  caller: Caller,
  request: PhotoRequest,
  turn: Turn,
): Promise<Uint8Array> {
  const photo = { photoId: randomUUID(), tenantId: caller.tenantId, registeredAt: room.clock() };
  const key = await room.tenantKeys.forTenant(caller.tenantId);
  const registration = await signRegistration(await room.registrationSigner(), photo, request);
  return room.database.inTenant(caller.tenantId, async (sql) => {
    await insertPhoto(sql, registrationRow(key, registration, request));
    await audit(sql, {
      ...caller,
      action: 'photo.register',
      object: `photo:${photo.photoId}`,
      outcome: 'done',
      detail: {},
    });
    const answer: Registered = {
      photoId: photo.photoId,
      tenantId: caller.tenantId,
      signature: Buffer.from(registration.signature).toString('base64'),
      logReceipt: await room.log.append(sql, {
        action: 'photo.register',
        tenantId: caller.tenantId,
        object: `photo:${photo.photoId}`,
        sha256: { content: request.contentHash },
      }),
    };
    const body = Buffer.from(JSON.stringify(answer));
    await turn.record(sql, { status: 200, headers: {}, body, outputSha256: null, photoId: photo.photoId });
    return body;
  });
}
