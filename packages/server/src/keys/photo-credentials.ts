// What signs photographs here: a certificate chain made at the first start and renewed in time, and a registration key.
// Private keys are made and used in the signer process; the root's key goes into the recovery kit and is not kept.
import { createHash, createPublicKey, X509Certificate } from 'node:crypto';
import { mkdir, open, readFile, rename } from 'node:fs/promises';
import { join } from 'node:path';
import type { Signer } from '@lumatrace/provenance/signer.ts';
import type { Database, Sql } from '../storage/database.ts';
import {
  insertPhotoKey,
  listPhotoKeys,
  lockPhotoKeys,
  newestPhotoKey,
  type PhotoKeyRow,
} from '../storage/postgres/photo-keys.ts';
import type { BroughtSource } from './brought.ts';
import { CERTIFICATE_DAYS, createRoot, issueCa, issueLeaf, type Root } from './certificates.ts';
import type { SignerProcess } from './signer/client.ts';

export interface PhotoCredentialsOptions {
  database: Database;
  signer: SignerProcess;
  /** DATA/recovery-kit. */
  recoveryKitDir: string;
  /** Shown to everybody who looks at a signed picture. */
  organization: string;
  /** Reverse domain name of the owner of the watermark's algorithm. */
  softBindingAlg: string;
  /** How leaves sign from the next one on, and a leaf that signs otherwise is due at once. ES256 when absent. */
  alg?: ClaimAlgorithm;
  /** What signs in place of a leaf made here: the operator's own certificate. */
  brought?: BroughtSource;
  /** PEM of further roots that are believed about signers; read whenever keys are. */
  furtherAnchorsPem?: () => Promise<string>;
  nowMs?: () => number;
}

/** ECDSA on P-256, or RSASSA-PSS with a key of 3072 bits. */
export type ClaimAlgorithm = 'es256' | 'ps256';

/** The shape that the photo stories ask for. */
export interface ManifestIdentity {
  kid: string;
  signer: Signer;
  /** Whom this installation believes about signers: its own roots, and those that the operator names. */
  trustAnchorsPem: string;
  /** Its own roots alone, with that of a certificate that was brought. */
  ownAnchorsPem: string;
  revocations: readonly { certificateSha256: string; revokedAt: Date }[];
  softBindingAlg: string;
}

export interface RegistrationIdentity {
  readonly keyId: string;
  readonly publicKeyPem: string;
  sign(message: Uint8Array): Promise<Uint8Array>;
}

export interface PhotoCredentials {
  /** What signs manifests now; never a certificate past its end. @throws KeyExpired, DatabaseUnavailable */
  manifest(): Promise<ManifestIdentity>;
  registration(): Promise<RegistrationIdentity>;
  /** Makes what is missing and renews what is due; run at every start and daily. */
  renew(): Promise<void>;
}

/** Nothing may be signed: the certificate ended and could not be renewed. Answered as 503. */
export class KeyExpired extends Error {
  readonly code = 'UNAVAILABLE';
}

const DAY_MS = 86_400_000;
/** Another process that renews is noticed after this long. */
const RELOAD_AFTER_MS = 60_000;
const ROOT_KEY_FILE = 'c2pa-root.key.pem';
const OWNER_ONLY = 0o400;

interface Loaded {
  manifest: ManifestIdentity;
  manifestEnds: Date;
  registration: RegistrationIdentity;
  atMs: number;
}

export function createPhotoCredentials(options: PhotoCredentialsOptions): PhotoCredentials {
  const { database, signer, softBindingAlg, nowMs = Date.now } = options;
  let loaded: Promise<Loaded> | undefined;
  let loadedAtMs = 0;

  async function current(): Promise<Loaded> {
    if (loaded === undefined || nowMs() - loadedAtMs > RELOAD_AFTER_MS) {
      loadedAtMs = nowMs();
      const reading = load();
      loaded = reading;
      reading.catch(() => {
        if (loaded === reading) loaded = undefined;
      });
    }
    return loaded;
  }

  // a renewal that fails stops nobody while there is a certificate that still may sign
  async function load(): Promise<Loaded> {
    let rows = await database.inSystem(listPhotoKeys);
    if (isDue(rows, null, nowMs()))
      rows = await database
        .inSystem((sql) => renew(sql, options, null, new Date(nowMs())))
        .catch((error: unknown) => {
          if (signing(rows) === undefined) throw error;
          return rows;
        });
    const { leaf, ca } = signing(rows) ?? {};
    const registration = newestPhotoKey(rows, 'registration');
    if (leaf === undefined || ca === undefined || registration === undefined)
      throw new KeyExpired('There is no key that may sign photographs.');
    await signer.load(leaf.kid, leaf.wrappedPrivate as Buffer);
    await signer.load(registration.kid, registration.wrappedPrivate as Buffer);
    const chain = [leaf, ca].map((row) => derOf(row.certificatePem as string));
    const furtherAnchorsPem = (await options.furtherAnchorsPem?.()) ?? '';
    const made = {
      kid: leaf.kid,
      signer: signer.signer(leaf.kid, algorithmOf(leaf), chain),
      endsAt: leaf.expiresAt as Date,
    };
    const brought = await options.brought?.current(furtherAnchorsPem);
    const { kid, signer: door, endsAt } = brought ?? made;
    const roots = rows.filter((row) => row.purpose === 'root').map((row) => row.certificatePem);
    const ownAnchorsPem = [...roots, ...(brought?.rootPem ? [brought.rootPem] : [])].join('\n');
    return {
      atMs: nowMs(),
      manifestEnds: endsAt,
      manifest: {
        kid,
        signer: door,
        ownAnchorsPem,
        trustAnchorsPem: furtherAnchorsPem === '' ? ownAnchorsPem : `${ownAnchorsPem}\n${furtherAnchorsPem}`,
        revocations: rows
          .filter((row) => row.revokedAt !== null && row.certificatePem !== null)
          .map((row) => ({
            certificateSha256: createHash('sha256')
              .update(derOf(row.certificatePem as string))
              .digest('hex'),
            revokedAt: row.revokedAt as Date,
          })),
        softBindingAlg,
      },
      registration: {
        keyId: registration.kid,
        publicKeyPem: createPublicKey({ key: registration.publicSpki, format: 'der', type: 'spki' })
          .export({ format: 'pem', type: 'spki' })
          .toString(),
        sign: (message) => signer.sign(registration.kid, message),
      },
    };
  }

  return {
    async manifest() {
      const { manifest, manifestEnds } = await current();
      if (manifestEnds.getTime() <= nowMs())
        throw new KeyExpired('The certificate that signs photographs has expired.');
      return manifest;
    },
    async registration() {
      return (await current()).registration;
    },
    async renew() {
      await database.inSystem((sql) => renew(sql, options, options.alg ?? 'es256', new Date(nowMs())));
      loaded = undefined;
      await current();
    },
  };
}

/**
 * Makes what is missing or due, one process after the other. A leaf that does not sign as `wanted` is due; null while
 * serving, or processes with different settings (a rolling restart) would replace each other's leaf every minute.
 * @returns all keys as they are then
 */
async function renew(
  sql: Sql,
  options: PhotoCredentialsOptions,
  wanted: ClaimAlgorithm | null,
  now: Date,
): Promise<PhotoKeyRow[]> {
  await lockPhotoKeys(sql);
  const rows = await listPhotoKeys(sql);
  if (!isDue(rows, wanted, now.getTime())) return rows;
  if (newestPhotoKey(rows, 'registration') === undefined) await makeRegistrationKey(sql, options.signer, now);
  if (isLeafDue(rows, wanted, now.getTime())) await makeLeaf(sql, options, await caFor(sql, options, rows, now), now);
  return listPhotoKeys(sql);
}

function isDue(rows: readonly PhotoKeyRow[], wanted: ClaimAlgorithm | null, nowMs: number): boolean {
  return newestPhotoKey(rows, 'registration') === undefined || isLeafDue(rows, wanted, nowMs);
}

function isLeafDue(rows: readonly PhotoKeyRow[], wanted: ClaimAlgorithm | null, nowMs: number): boolean {
  const { leaf } = signing(rows) ?? {};
  if (leaf === undefined || (wanted !== null && algorithmOf(leaf) !== wanted)) return true;
  return nowMs >= leaf.createdAt.getTime() + CERTIFICATE_DAYS.rotateLeafAfter * DAY_MS;
}

/** The newest leaf and the CA that issued it, neither of them revoked. */
function signing(rows: readonly PhotoKeyRow[]): { leaf: PhotoKeyRow; ca: PhotoKeyRow } | undefined {
  for (const leaf of rows.filter((row) => row.purpose === 'leaf' && row.revokedAt === null)) {
    const ca = rows.find((row) => row.purpose === 'issuing-ca' && row.revokedAt === null && issued(row, leaf));
    if (ca !== undefined) return { leaf, ca };
  }
  return undefined;
}

/** A CA that outlives a leaf made now; a new one under the root of the recovery kit, or under a new root. */
async function caFor(
  sql: Sql,
  { signer, organization, recoveryKitDir }: PhotoCredentialsOptions,
  rows: readonly PhotoKeyRow[],
  now: Date,
): Promise<PhotoKeyRow> {
  const outlives = now.getTime() + (CERTIFICATE_DAYS.leaf + 1) * DAY_MS;
  const known = newestPhotoKey(rows, 'issuing-ca');
  if (known !== undefined && (known.expiresAt as Date).getTime() > outlives) return known;
  const root =
    (await rootOfKit(recoveryKitDir, newestPhotoKey(rows, 'root'))) ??
    (await makeRoot(sql, organization, recoveryKitDir, now));
  const { publicKeySpki, wrappedPrivate } = await signer.generate('es256');
  const certificatePem = await issueCa({ root, publicKeySpki, organization, now });
  return insertCertificate(sql, 'issuing-ca', certificatePem, publicKeySpki, wrappedPrivate, now);
}

/** The root that is in force, when its key still lies in the recovery kit. */
async function rootOfKit(recoveryKitDir: string, row: PhotoKeyRow | undefined): Promise<Root | undefined> {
  if (row === undefined) return undefined;
  const privateKeyPkcs8Pem = await readFile(join(recoveryKitDir, ROOT_KEY_FILE), 'utf8').catch(() => undefined);
  if (privateKeyPkcs8Pem === undefined) return undefined;
  return { certificatePem: row.certificatePem as string, privateKeyPkcs8Pem };
}

/** The key reaches the disk before the certificate is committed: a crash in between makes both anew. */
async function makeRoot(sql: Sql, organization: string, recoveryKitDir: string, now: Date): Promise<Root> {
  const root = await createRoot({ organization, now });
  await writeKit(recoveryKitDir, root.privateKeyPkcs8Pem);
  const certificate = new X509Certificate(root.certificatePem);
  const publicSpki = certificate.publicKey.export({ format: 'der', type: 'spki' });
  await insertCertificate(sql, 'root', root.certificatePem, publicSpki, null, now);
  return root;
}

async function writeKit(recoveryKitDir: string, pem: string): Promise<void> {
  await mkdir(recoveryKitDir, { recursive: true, mode: 0o700 });
  const path = join(recoveryKitDir, ROOT_KEY_FILE);
  const pending = `${path}.${process.pid}`;
  const file = await open(pending, 'w', OWNER_ONLY);
  try {
    await file.writeFile(pem);
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(pending, path);
}

async function makeLeaf(sql: Sql, options: PhotoCredentialsOptions, ca: PhotoKeyRow, now: Date): Promise<void> {
  const { signer, organization, alg = 'es256' } = options;
  await signer.load(ca.kid, ca.wrappedPrivate as Buffer);
  const { publicKeySpki, wrappedPrivate } = await signer.generate(alg);
  const certificatePem = await issueLeaf({
    caCertificatePem: ca.certificatePem as string,
    signWithCa: (tbs) => signer.sign(ca.kid, tbs),
    publicKeySpki,
    organization,
    now,
  });
  await insertCertificate(sql, 'leaf', certificatePem, publicKeySpki, wrappedPrivate, now);
}

async function makeRegistrationKey(sql: Sql, signer: SignerProcess, now: Date): Promise<void> {
  const { publicKeySpki, wrappedPrivate } = await signer.generate('es256-der');
  await insertPhotoKey(sql, {
    kid: kidOf(publicKeySpki),
    purpose: 'registration',
    certificatePem: null,
    publicSpki: publicKeySpki,
    wrappedPrivate,
    createdAt: now,
    expiresAt: null,
  });
}

async function insertCertificate(
  sql: Sql,
  purpose: 'root' | 'issuing-ca' | 'leaf',
  certificatePem: string,
  publicSpki: Buffer,
  wrappedPrivate: Buffer | null,
  now: Date,
): Promise<PhotoKeyRow> {
  const expiresAt = new X509Certificate(certificatePem).validToDate;
  const row = {
    kid: kidOf(publicSpki),
    purpose,
    certificatePem,
    publicSpki,
    wrappedPrivate,
    createdAt: now,
    expiresAt,
  };
  await insertPhotoKey(sql, row);
  return { ...row, revokedAt: null };
}

/** SHA-256 of the public key, base64url: a name that is no path and says nothing. */
function kidOf(publicSpki: Uint8Array): string {
  return createHash('sha256').update(publicSpki).digest('base64url');
}

/** What the key of a leaf was made for: the signer fixes it when it makes the key. */
function algorithmOf({ publicSpki }: PhotoKeyRow): ClaimAlgorithm {
  const { asymmetricKeyType } = createPublicKey({ key: publicSpki, format: 'der', type: 'spki' });
  return asymmetricKeyType === 'rsa' ? 'ps256' : 'es256';
}

function issued(ca: PhotoKeyRow, leaf: PhotoKeyRow): boolean {
  return new X509Certificate(leaf.certificatePem as string).checkIssued(
    new X509Certificate(ca.certificatePem as string),
  );
}

function derOf(pem: string): Uint8Array {
  return new Uint8Array(new X509Certificate(pem).raw);
}
