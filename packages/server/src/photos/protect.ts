// The story of a protection: admit → mark, sign and check in a thread that alone sees pixels → record everything in one
// transaction → answer. What goes wrong before that transaction leaves nothing behind.
import { createHash, randomUUID } from 'node:crypto';
import { readImageHeader, requireProtectable } from '@lumatrace/provenance/image.ts';
import { disclosureOf, ProfileError, type Disclosure, type Profile } from '@lumatrace/provenance/profiles.ts';
import { audit } from '../access/audit.ts';
import type { TenantKey, TenantKeys } from '../keys/tenant-key.ts';
import type { WatermarkKeys } from '../keys/watermark-keys.ts';
import type { Database, Sql } from '../storage/database.ts';
import type { RecordedAnswer } from '../storage/postgres/idempotency.ts';
import {
  findManifest,
  findPhoto,
  insertHeldPhoto,
  insertProtection,
  markProtected,
  releaseRegistration,
  reserveRegistration,
  type PhotoFormat,
} from '../storage/postgres/photos.ts';
import type { Log } from '../transparency/log.ts';
import { idempotencyKeyOf, type Once, type Turn } from './idempotency.ts';
import type { Images, ManifestCredentials, Mark, ProtectedPicture } from './images.ts';
import { RECEIPT_HEADER, receiptText } from './receipts.ts';
import {
  canonicalJson,
  registrationRow,
  signRegistration,
  type Caller,
  type PhotoRequest,
  type Registration,
  type RegistrationSigner,
} from './registration.ts';
import { Refusal } from './refusal.ts';

export interface ProtectRoom {
  database: Database;
  tenantKeys: TenantKeys;
  watermarkKeys: WatermarkKeys;
  registrationSigner(): Promise<RegistrationSigner>;
  manifestCredentials(): Promise<ManifestCredentials>;
  images: Images;
  log: Pick<Log, 'append'>;
  once: Once;
  clock(): Date;
}

export interface ProtectRequest extends PhotoRequest {
  keepGps?: boolean;
  /** Last word of an IPTC digital source type, such as `trainedAlgorithmicMedia`. */
  digitalSourceType?: string;
  /** The rule by which a generated picture is disclosed, and the facts that it asks for. */
  profile?: Profile;
  aiProvider?: string;
  aiSystem?: string;
  aiSystemVersion?: string;
  /** ISO 8601. */
  aiCreatedAt?: string;
  /** Of the picture and its maker, for the manifest. */
  title?: string;
  author?: string;
  /** Factor on what the watermark may change, 0.5…2. */
  strength?: number;
}

/** A file in memory, with its SHA-256. */
export interface Upload {
  bytes: Uint8Array<ArrayBuffer>;
  sha256: Uint8Array;
}

export interface ProtectedImage {
  photoId: string;
  format: PhotoFormat;
  image: Uint8Array<ArrayBuffer>;
  /** Of the transparency log, as the header's text; undefined for an answer from before the log. */
  logReceipt: string | undefined;
}

export const PROTECT_ROUTE = 'POST /api/v1/photos/protect';

// a registration is held a little longer than the longest job with its time in the queue
const RESERVED_SECONDS = 90;

/**
 * Protects one image. The newest registration of this content that nobody protected yet is taken; otherwise the photo
 * is registered by this call. `upload.bytes` is empty afterwards.
 * @param signal of the client; with an Idempotency-Key the work goes on without it, since somebody may ask again
 */
export async function protect(
  room: ProtectRoom,
  caller: Caller,
  upload: Upload,
  request: ProtectRequest,
  idempotencyKey: string | null,
  signal: AbortSignal,
): Promise<ProtectedImage> {
  const key = idempotencyKeyOf(idempotencyKey);
  if (Buffer.from(upload.sha256).toString('hex') !== request.contentHash) {
    throw new Refusal('VALIDATION_FAILED', 'Expected contentHash to be the SHA-256 of the image, but it is another.');
  }
  requireProtectable(readImageHeader(upload.bytes));
  const disclosed = disclosedBy(request, room.clock());
  const attempt = {
    tenantId: caller.tenantId,
    route: PROTECT_ROUTE,
    key,
    bodySha256: createHash('sha256').update(upload.sha256).update(canonicalJson(request)).digest(),
  };
  const patience = key === null ? signal : undefined;
  return room.once.answer(attempt, {
    run: (turn) => protectOnce(room, caller, upload, { ...request, ...disclosed }, turn, patience),
    replay: (recorded) => protectAgain(room, caller, upload, request, recorded, signal),
  });
}

/** A request with what its profile makes of it. */
interface DisclosedRequest extends ProtectRequest {
  disclosure?: Disclosure;
}

const FACTS = ['aiProvider', 'aiSystem', 'aiSystemVersion', 'aiCreatedAt'] as const;

/** @throws Refusal VALIDATION_FAILED when the profile misses a fact, or there are facts that nobody would read */
function disclosedBy(request: ProtectRequest, now: Date): Pick<DisclosedRequest, 'disclosure' | 'digitalSourceType'> {
  const { profile, aiCreatedAt } = request;
  if (profile === undefined) {
    const told = FACTS.find((name) => request[name] !== undefined);
    if (told === undefined) return {};
    throw new Refusal('VALIDATION_FAILED', `${told}: Expected a profile beside it: without one it is not written.`);
  }
  const facts = { ...request, aiCreatedAt: aiCreatedAt === undefined ? undefined : new Date(aiCreatedAt) };
  try {
    return disclosureOf(profile, facts, now);
  } catch (error) {
    if (error instanceof ProfileError) throw new Refusal(error.code, error.message, { cause: error });
    throw error;
  }
}

async function protectOnce(
  room: ProtectRoom,
  caller: Caller,
  upload: Upload,
  request: DisclosedRequest,
  turn: Turn,
  signal: AbortSignal | undefined,
): Promise<ProtectedImage> {
  const { tenantId } = caller;
  const key = await room.tenantKeys.forTenant(tenantId);
  const registered = await room.database.inTenant(tenantId, (sql) =>
    reserveRegistration(sql, tenantId, upload.sha256, turn.holder, RESERVED_SECONDS),
  );
  const photoId = registered ?? randomUUID();
  try {
    const credentials = await room.manifestCredentials();
    const mark = { ...(await room.watermarkKeys.forMarking(tenantId)), id: room.watermarkKeys.newId() };
    const registering = registered ? null : signedRegistration(room, photoId, tenantId, request);
    const picturing = room.images.protect(
      {
        image: upload.bytes,
        photoId,
        mark,
        signedAt: room.clock(),
        keepGps: request.keepGps ?? false,
        digitalSourceType: request.digitalSourceType ?? null,
        ...(request.disclosure === undefined ? {} : { disclosure: request.disclosure }),
        ...(request.title === undefined ? {} : { title: request.title }),
        ...(request.author === undefined ? {} : { author: request.author }),
        ...strengthOf(request),
      },
      credentials,
      signal,
    );
    const [picture, registration] = await Promise.all([picturing, registering]);
    const made = { photoId, key, mark, registration, picture, certificateKid: credentials.kid };
    const logReceipt = await room.database.inTenant(tenantId, (sql) => record(sql, room, caller, request, turn, made));
    return { photoId, format: picture.format, image: picture.image, logReceipt };
  } catch (error) {
    // when this fails too, the reservation ends by itself
    if (registered) {
      await room.database
        .inTenant(tenantId, (sql) => releaseRegistration(sql, tenantId, photoId, turn.holder))
        .catch(() => {});
    }
    throw error;
  }
}

async function signedRegistration(
  room: ProtectRoom,
  photoId: string,
  tenantId: string,
  request: ProtectRequest,
): Promise<Registration> {
  const registeredAt = room.clock();
  return signRegistration(await room.registrationSigner(), { photoId, tenantId, registeredAt }, request);
}

interface Made {
  photoId: string;
  key: TenantKey;
  mark: Mark;
  /** Null when the photo was registered before. */
  registration: Registration | null;
  picture: ProtectedPicture;
  certificateKid: string;
}

/** Photo, protection, audit line, log entry and the answer under the key: all of it or nothing. @returns the receipt */
async function record(
  sql: Sql,
  room: ProtectRoom,
  caller: Caller,
  request: ProtectRequest,
  turn: Turn,
  { photoId, key, mark, registration, picture, certificateKid }: Made,
): Promise<string> {
  const { tenantId } = caller;
  const protectedAt = room.clock();
  const { traceId = null, spanId = null } = request;
  if (registration) await insertHeldPhoto(sql, registrationRow(key, registration, request), turn.holder);
  const ours = await markProtected(sql, { tenantId, photoId, owner: turn.holder, protectedAt, traceId, spanId });
  if (!ours) {
    throw new Refusal('UNAVAILABLE', 'The registration was taken by another request.', { retryAfterSeconds: 1 });
  }
  await insertProtection(sql, {
    tenantId,
    photoId,
    format: picture.format,
    width: picture.width,
    height: picture.height,
    orientation: picture.orientation,
    watermark: { id: mark.id, syncVersion: mark.sync.version, payloadVersion: mark.payload.version },
    outputBytes: picture.image.length,
    outputSha256: picture.sha256,
    unsignedSha256: picture.unsignedSha256,
    manifestStore: picture.manifestStore,
    manifestGaps: picture.manifestGaps,
    manifestSha256: picture.manifestSha256,
    certificateKid,
    fingerprint: picture.fingerprint,
    evidence: picture.evidence,
    profile: request.profile ?? null,
    protectedAt,
  });
  await audit(sql, {
    ...caller,
    action: 'photo.protect',
    object: `photo:${photoId}`,
    outcome: 'done',
    detail: { registeredBefore: registration === null },
  });
  const receipt = receiptText(
    await room.log.append(sql, {
      action: 'photo.protect',
      tenantId,
      object: `photo:${photoId}`,
      sha256: { content: request.contentHash, output: hex(picture.sha256), manifest: hex(picture.manifestSha256) },
    }),
  );
  const headers = { [RECEIPT_HEADER]: receipt };
  await turn.record(sql, { status: 200, headers, body: null, outputSha256: picture.sha256, photoId });
  return receipt;
}

/** The same answer again: marked and encoded anew, the kept manifest put back, and compared with what was answered. */
async function protectAgain(
  room: ProtectRoom,
  { tenantId }: Caller,
  upload: Upload,
  request: ProtectRequest,
  { photoId, outputSha256, headers }: RecordedAnswer,
  signal: AbortSignal,
): Promise<ProtectedImage> {
  const [photo, manifest] = await room.database.inTenant(tenantId, async (sql) =>
    photoId === null
      ? [null, null]
      : [await findPhoto(sql, tenantId, photoId), await findManifest(sql, tenantId, photoId)],
  );
  if (!photo?.protection || !manifest || !outputSha256) throw notTheSameAgain();
  if (photo.protection.watermark === null) throw notTheSameAgain();
  const { id, syncVersion, payloadVersion } = photo.protection.watermark;
  const keys = await room.watermarkKeys.ofVersions(tenantId, syncVersion, payloadVersion);
  const picture = await room.images.rebuild(
    {
      image: upload.bytes,
      mark: { ...keys, id },
      keepGps: request.keepGps ?? false,
      ...strengthOf(request),
      ...manifest,
    },
    signal,
  );
  if (Buffer.compare(picture.sha256, outputSha256) !== 0) throw notTheSameAgain();
  const logReceipt = headers[RECEIPT_HEADER];
  return { photoId: photo.photoId, format: photo.protection.format, image: picture.image, logReceipt };
}

const hex = (hash: Uint8Array): string => Buffer.from(hash).toString('hex');

const strengthOf = ({ strength }: ProtectRequest): { strength?: number } =>
  strength === undefined ? {} : { strength };

// an upgrade of the encoder between the two requests: honest is to say so, wrong would be a second photo
function notTheSameAgain(): Refusal {
  return new Refusal(
    'CONFLICT',
    'The answer to the first request cannot be built again byte for byte. The photo exists; a new key protects anew.',
  );
}
