// A time-stamping authority of our own (RFC 3161), under the root that also signs photographs: it keeps signatures alive
// beyond the 90 days of a leaf without any outgoing request. What its word is worth: the clock of this installation.
import { createHash, randomBytes, X509Certificate } from 'node:crypto';
import { answerTimestampRequest, type TimestampAuthority } from '@lumatrace/provenance/timestamp/reply.ts';
import { issueTimestampingCertificate } from '../keys/certificates.ts';
import type { SignerProcess } from '../keys/signer/client.ts';
import type { Database, Sql } from '../storage/database.ts';
import {
  insertPhotoKey,
  listPhotoKeys,
  lockPhotoKeys,
  newestPhotoKey,
  type PhotoKeyRow,
} from '../storage/postgres/photo-keys.ts';
import { TimestampUnavailable } from './stamper.ts';

export interface OwnAuthorityOptions {
  database: Database;
  signer: SignerProcess;
  /** In its certificate; shown to everybody who looks at a signed picture. */
  organization: string;
  nowMs?: () => number;
}

export interface OwnAuthority {
  /** Makes its key and certificate, anew when they near their end; after the issuing CA was renewed. */
  renew(): Promise<void>;
  /** Answers a TimeStampReq. @throws TimestampUnavailable, TimestampRequestError */
  answer(request: Uint8Array): Promise<Uint8Array>;
}

/**
 * Policy of its stamps, what docs/guides/timestamps.md promises. Identifiers below 2.25 need no registration (X.667); a
 * random UUID would be less likely to meet another's, but the ASN.1 library writes no arcs that long.
 */
export const OWN_POLICY = '2.25.1512035744';
const DAY_MS = 86_400_000;
const RENEW_BEFORE_MS = 30 * DAY_MS;
/** A revoked CA is noticed after this long; until then its stamps are refused, and nothing is signed. */
const RELOAD_AFTER_MS = 5_000;
const SERIAL_BYTES = 16;

export function createOwnAuthority(options: OwnAuthorityOptions): OwnAuthority {
  const { database, signer, nowMs = Date.now } = options;
  let loaded: Promise<TimestampAuthority> | undefined;
  let loadedAtMs = 0;

  async function load(): Promise<TimestampAuthority> {
    const rows = await database.inSystem(async (sql) => {
      const known = await listPhotoKeys(sql);
      const own = newestPhotoKey(known, 'time-stamping');
      if (own === undefined || isGood(own, known, new Date(nowMs()))) return known;
      await renew(sql, options, new Date(nowMs()));
      return listPhotoKeys(sql);
    });
    const own = newestPhotoKey(rows, 'time-stamping');
    const ca = own && issuerOf(own, rows);
    if (own === undefined || ca === undefined) throw new TimestampUnavailable('There is no key for time stamps yet.');
    await signer.load(own.kid, own.wrappedPrivate as Buffer);
    return {
      certificatesDer: [own, ca].map((row) => new Uint8Array(certificateOf(row).raw)),
      policy: OWN_POLICY,
      sign: (tbs) => signer.sign(own.kid, tbs),
    };
  }

  async function current(): Promise<TimestampAuthority> {
    if (nowMs() - loadedAtMs > RELOAD_AFTER_MS) loaded = undefined;
    if (loaded === undefined) loadedAtMs = nowMs();
    const loading = (loaded ??= load());
    loading.catch(() => {
      if (loaded === loading) loaded = undefined;
    });
    return loading;
  }

  return {
    async renew() {
      await database.inSystem((sql) => renew(sql, options, new Date(nowMs())));
      loaded = undefined;
      await current();
    },
    async answer(request) {
      return answerTimestampRequest(request, await current(), {
        now: new Date(nowMs()),
        serialNumber: randomBytes(SERIAL_BYTES),
      });
    },
  };
}

async function renew(sql: Sql, { signer, organization }: OwnAuthorityOptions, now: Date): Promise<void> {
  await lockPhotoKeys(sql);
  const rows = await listPhotoKeys(sql);
  const known = newestPhotoKey(rows, 'time-stamping');
  if (known !== undefined && isGood(known, rows, now)) return;
  const ca = newestPhotoKey(rows, 'issuing-ca');
  if (ca === undefined) throw new TimestampUnavailable('There is no issuing authority for the key of time stamps.');
  await signer.load(ca.kid, ca.wrappedPrivate as Buffer);
  const { publicKeySpki, wrappedPrivate } = await signer.generate('es256-der');
  const certificatePem = await issueTimestampingCertificate({
    caCertificatePem: ca.certificatePem as string,
    signWithCa: (tbs) => signer.sign(ca.kid, tbs),
    publicKeySpki,
    organization,
    now,
  });
  await insertPhotoKey(sql, {
    kid: createHash('sha256').update(publicKeySpki).digest('base64url'),
    purpose: 'time-stamping',
    certificatePem,
    publicSpki: publicKeySpki,
    wrappedPrivate,
    createdAt: now,
    expiresAt: new X509Certificate(certificatePem).validToDate,
  });
}

// whoever holds the key of a revoked CA could stamp as we do: such stamps are not believed, so none are made
function isGood(row: PhotoKeyRow, rows: readonly PhotoKeyRow[], now: Date): boolean {
  const endsInMs = (row.expiresAt as Date).getTime() - now.getTime();
  return endsInMs > RENEW_BEFORE_MS && issuerOf(row, rows)?.revokedAt === null;
}

const certificateOf = (row: PhotoKeyRow): X509Certificate => new X509Certificate(row.certificatePem as string);

function issuerOf(row: PhotoKeyRow, rows: readonly PhotoKeyRow[]): PhotoKeyRow | undefined {
  return rows.find((one) => one.purpose === 'issuing-ca' && certificateOf(row).checkIssued(certificateOf(one)));
}
