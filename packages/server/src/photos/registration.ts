// A registration: what is signed when somebody says "this file is mine", and how it is kept and read back.
import type { TenantKey } from '../keys/tenant-key.ts';
import { photoAad, type PhotoColumn } from '../storage/sealed.ts';
import type { NewPhoto } from '../storage/postgres/photos.ts';

/** Who asks, as far as a photo is concerned. `actor` goes into the audit line. */
export interface Caller {
  tenantId: string;
  actor: string;
  requestId: string;
}

/** What a client says about a photo; checked at the rim. */
export interface PhotoRequest {
  /** SHA-256 of the file before protection, lower-case hex. */
  contentHash: string;
  deviceModel: string;
  /** WGS 84 degrees. */
  latitude?: number;
  longitude?: number;
  /** The trace of the model call that made the picture, 32 hex. */
  traceId?: string;
  /** Its span, 16 hex; only with a trace. */
  spanId?: string;
}

/** A private key that signs registrations: ECDSA on P-256 with SHA-256, DER (RFC 3279 §2.2.3). */
export interface RegistrationSigner {
  readonly keyId: string;
  /** SubjectPublicKeyInfo in PEM: what a third party checks signatures with. */
  readonly publicKeyPem: string;
  sign(message: Uint8Array): Promise<Uint8Array>;
}

/**
 * The signed record. Its bytes are the RFC 8785 (JCS) text in UTF-8 of exactly these members; absent ones are left
 * out. `registeredAt` is ISO 8601 in UTC with milliseconds.
 */
export interface RegistrationRecord {
  type: typeof RECORD_TYPE;
  photoId: string;
  tenantId: string;
  contentHash: string;
  deviceModel: string;
  latitude?: number;
  longitude?: number;
  registeredAt: string;
  keyId: string;
}

export const RECORD_TYPE = 'org.lumatrace.registration.v1';

export interface Registration {
  record: RegistrationRecord;
  /** DER. */
  signature: Uint8Array;
}

/** Makes the record and has it signed. */
export async function signRegistration(
  signer: RegistrationSigner,
  photo: { photoId: string; tenantId: string; registeredAt: Date },
  { contentHash, deviceModel, latitude, longitude }: PhotoRequest,
): Promise<Registration> {
  const record: RegistrationRecord = {
    type: RECORD_TYPE,
    photoId: photo.photoId,
    tenantId: photo.tenantId,
    contentHash,
    deviceModel,
    ...(latitude === undefined ? {} : { latitude }),
    ...(longitude === undefined ? {} : { longitude }),
    registeredAt: photo.registeredAt.toISOString(),
    keyId: signer.keyId,
  };
  return { record, signature: await signer.sign(Buffer.from(canonicalJson(record))) };
}

/** The model call that made a picture. */
export type MadeBy = Pick<PhotoRequest, 'traceId' | 'spanId'>;

/** The row of a registration: device and place sealed under the tenant's key, bound to this photo and column. */
export function registrationRow(
  key: TenantKey,
  { record, signature }: Registration,
  { traceId, spanId }: MadeBy,
): NewPhoto {
  const { latitude, longitude } = record;
  const placed = latitude !== undefined || longitude !== undefined;
  return {
    tenantId: record.tenantId,
    photoId: record.photoId,
    contentHash: Buffer.from(record.contentHash, 'hex'),
    deviceModel: sealColumn(key, 'device_model', record.photoId, Buffer.from(record.deviceModel)),
    location: placed
      ? sealColumn(key, 'location', record.photoId, Buffer.from(canonicalJson({ latitude, longitude })))
      : null,
    registeredAt: new Date(record.registeredAt),
    signature,
    keyId: record.keyId,
    traceId: traceId ?? null,
    spanId: spanId ?? null,
  };
}

export function sealColumn(key: TenantKey, column: PhotoColumn, photoId: string, plain: Uint8Array): Buffer {
  return key.seal('column', photoAad(column, photoId), plain);
}

export function openColumn(key: TenantKey, column: PhotoColumn, photoId: string, sealed: Uint8Array): Buffer {
  return key.open('column', photoAad(column, photoId), sealed);
}

/** A value of plain JSON, members that are undefined left out. */
export type Json = string | number | boolean | null | readonly Json[] | { readonly [name: string]: Json | undefined };

/**
 * RFC 8785: members sorted by UTF-16 code units, numbers and strings as ECMAScript writes them, no blanks.
 * @throws TypeError for a number that JSON has no word for and for text that is not well-formed Unicode.
 */
export function canonicalJson(value: object | Json): string {
  if (Array.isArray(value)) return `[${value.map((item: Json) => canonicalJson(item)).join(',')}]`;
  if (typeof value === 'object' && value !== null) {
    const members = Object.entries(value as Record<string, Json | undefined>)
      .filter((member): member is [string, Json] => member[1] !== undefined)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([name, member]) => `${canonicalJson(name)}:${canonicalJson(member)}`);
    return `{${members.join(',')}}`;
  }
  if (typeof value === 'number' && !Number.isFinite(value)) throw new TypeError('Expected a finite number for JSON.');
  if (typeof value === 'string' && !value.isWellFormed()) throw new TypeError('Expected well-formed text for JSON.');
  return JSON.stringify(value);
}
