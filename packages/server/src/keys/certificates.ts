// The certificates behind C2PA signatures: offline root (10 years) → issuing CA (1 year) → leaf (at most 90 days).
// Keys of the CA and of leaves stay in the signer process: here come public keys and a door that signs. No I/O.
import 'reflect-metadata'; // @peculiar/x509 resolves its parts through it
import * as x509 from '@peculiar/x509';
import { createHash, createPublicKey, randomBytes, X509Certificate } from 'node:crypto';

/** Claim signing, as the C2PA conformance programme names it; critical in every leaf. */
const CLAIM_SIGNING_EKU = '1.3.6.1.4.1.62558.2.1';
/** RFC 3161 §2.3. */
const TIMESTAMPING_EKU = '1.3.6.1.5.5.7.3.8';
const DAY_MS = 86_400_000;
/** Clocks of readers may run behind ours. */
const BACKDATE_MS = 5 * 60_000;

export const CERTIFICATE_DAYS = {
  root: 3_652,
  issuingCa: 365,
  leaf: 90,
  rotateLeafAfter: 60,
  timestamping: 365,
} as const;

const ECDSA = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };
const CA_USAGE = x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign;

export interface Root {
  readonly certificatePem: string;
  /** Belongs in the recovery kit and nowhere else: it is needed once a year, for the next issuing CA. */
  readonly privateKeyPkcs8Pem: string;
}

export interface Subject {
  /** Shown to everybody who looks at a signed picture. */
  readonly organization: string;
  readonly now: Date;
}

/** ECDSA P-256 with SHA-256 over the bytes, as R‖S of 64 bytes: what a key of the kind `es256` does in the signer. */
export type SignTbs = (tbs: Uint8Array) => Promise<Uint8Array>;

/** A new root with its key, made here because it does not stay here. */
export async function createRoot({ organization, now }: Subject): Promise<Root> {
  const keys = await crypto.subtle.generateKey(ECDSA, true, ['sign', 'verify']);
  const certificate = await x509.X509CertificateGenerator.createSelfSigned(
    {
      name: nameOf(organization, 'Root'),
      serialNumber: newSerialNumber(),
      ...validity(now, CERTIFICATE_DAYS.root),
      keys,
      signingAlgorithm: ECDSA,
      extensions: [
        new x509.BasicConstraintsExtension(true, 1, true),
        new x509.KeyUsagesExtension(CA_USAGE, true),
        await x509.SubjectKeyIdentifierExtension.create(keys.publicKey, false, crypto),
      ],
    },
    crypto,
  );
  const pkcs8 = await crypto.subtle.exportKey('pkcs8', keys.privateKey);
  return {
    certificatePem: certificate.toString('pem'),
    privateKeyPkcs8Pem: x509.PemConverter.encode(pkcs8, 'PRIVATE KEY'),
  };
}

export interface CaRequest extends Subject {
  readonly root: Root;
  /** SubjectPublicKeyInfo (DER) of a P-256 key. */
  readonly publicKeySpki: Uint8Array;
}

/** The certificate of an issuing CA, PEM. */
export async function issueCa({ root, publicKeySpki, organization, now }: CaRequest): Promise<string> {
  const key = await crypto.subtle.importKey('pkcs8', derOf(root.privateKeyPkcs8Pem), ECDSA, false, ['sign']);
  return issue({
    subject: nameOf(organization, 'Issuing CA'),
    issuerPem: root.certificatePem,
    publicKeySpki,
    ...validity(now, CERTIFICATE_DAYS.issuingCa),
    sign: async (tbs) => new Uint8Array(await crypto.subtle.sign(ECDSA, key, new Uint8Array(tbs))),
    extensions: [new x509.BasicConstraintsExtension(true, 0, true), new x509.KeyUsagesExtension(CA_USAGE, true)],
  });
}

export interface LeafRequest extends Subject {
  readonly caCertificatePem: string;
  /** The CA's key, behind the door of the signer process. */
  readonly signWithCa: SignTbs;
  /** SubjectPublicKeyInfo (DER) of the key that will sign claims: P-256, or RSA of 3072 bits. */
  readonly publicKeySpki: Uint8Array;
  /** 1 to 90. */
  readonly days?: number;
}

/**
 * A leaf for claim signing by the C2PA certificate profile (§14.5.1), PEM. It never outlives its CA.
 * @throws RangeError for days out of range or a CA that ends first, Error when the CA's signature does not fit.
 */
export async function issueLeaf(request: LeafRequest): Promise<string> {
  const { caCertificatePem, signWithCa, publicKeySpki, organization, now, days = CERTIFICATE_DAYS.leaf } = request;
  if (!(days >= 1 && days <= CERTIFICATE_DAYS.leaf))
    throw new RangeError(`Expected 1 to ${CERTIFICATE_DAYS.leaf} days for a leaf but received ${days}`);
  const period = validity(now, days);
  if (period.notAfter > new X509Certificate(caCertificatePem).validToDate)
    throw new RangeError('Expected an issuing CA that outlives its leaf: renew the CA first');
  return issue({
    subject: nameOf(organization, 'C2PA Signer'),
    issuerPem: caCertificatePem,
    publicKeySpki,
    ...period,
    sign: signWithCa,
    extensions: [
      new x509.BasicConstraintsExtension(false, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
      new x509.ExtendedKeyUsageExtension([CLAIM_SIGNING_EKU], true),
    ],
  });
}

/**
 * A certificate for time stamping alone (RFC 3161 §2.3), PEM: a year, or as long as its CA.
 * @throws Error when the CA's signature does not fit
 */
export async function issueTimestampingCertificate(request: Omit<LeafRequest, 'days'>): Promise<string> {
  const { caCertificatePem, signWithCa, publicKeySpki, organization, now } = request;
  const { notBefore, notAfter } = validity(now, CERTIFICATE_DAYS.timestamping);
  const caEnds = new X509Certificate(caCertificatePem).validToDate;
  return issue({
    subject: nameOf(organization, 'Time Stamping'),
    issuerPem: caCertificatePem,
    publicKeySpki,
    notBefore,
    notAfter: notAfter < caEnds ? notAfter : caEnds,
    sign: signWithCa,
    extensions: [
      new x509.BasicConstraintsExtension(false, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
      new x509.ExtendedKeyUsageExtension([TIMESTAMPING_EKU], true),
    ],
  });
}

interface Issue {
  readonly subject: x509.JsonName;
  readonly issuerPem: string;
  readonly publicKeySpki: Uint8Array;
  readonly notBefore: Date;
  readonly notAfter: Date;
  readonly sign: SignTbs;
  readonly extensions: readonly x509.Extension[];
}

// the library signs only with a key that it holds: so the certificate is written twice, first with a stand-in
// signature to learn the bytes to be signed, then with theirs; serial number and dates are fixed before
async function issue(request: Issue): Promise<string> {
  const issuer = new x509.X509Certificate(request.issuerPem);
  const publicKey = new x509.PublicKey(new Uint8Array(request.publicKeySpki));
  const parameters = {
    subject: request.subject,
    issuer: issuer.subject,
    serialNumber: newSerialNumber(),
    notBefore: request.notBefore,
    notAfter: request.notAfter,
    publicKey,
    signingAlgorithm: ECDSA,
    extensions: [
      ...request.extensions,
      await x509.SubjectKeyIdentifierExtension.create(publicKey, false, crypto),
      await x509.AuthorityKeyIdentifierExtension.create(issuer.publicKey, false, crypto),
    ],
  };
  const write = (signature: Uint8Array<ArrayBuffer>): Promise<x509.X509Certificate> =>
    x509.X509CertificateGenerator.create({ ...parameters, signature }, crypto);
  const draft = await write(new Uint8Array(64).fill(1));
  const certificate = await write(new Uint8Array(await request.sign(tbsOf(new Uint8Array(draft.rawData)))));
  const written = new X509Certificate(Buffer.from(certificate.rawData));
  if (!written.verify(createPublicKey(request.issuerPem)))
    throw new Error("Expected a signature by the issuer's key on a certificate");
  return certificate.toString('pem');
}

// a certificate is SEQUENCE { tbsCertificate SEQUENCE, … }: the first element inside, with its header
function tbsOf(der: Uint8Array): Uint8Array {
  const outer = headerLength(der, 0);
  const inner = headerLength(der, outer);
  return der.subarray(outer, outer + inner + contentLength(der, outer));
}

function headerLength(der: Uint8Array, at: number): number {
  const first = der[at + 1] ?? 0;
  return first < 0x80 ? 2 : 2 + (first & 0x7f);
}

function contentLength(der: Uint8Array, at: number): number {
  const header = headerLength(der, at);
  if (header === 2) return der[at + 1] ?? 0;
  return der.subarray(at + 2, at + header).reduce((length, byte) => length * 256 + byte, 0);
}

/** PEM certificates as DER in the order given: leaf and issuing CA for a claim signature, the root left out. */
export function chainDer(...pems: readonly string[]): Uint8Array[] {
  return pems.map((pem) => new Uint8Array(new X509Certificate(pem).raw));
}

/** SHA-256 of the DER certificate in hex: how records and revocations name it. */
export function certificateSha256(pem: string): string {
  return createHash('sha256').update(new X509Certificate(pem).raw).digest('hex');
}

/** Where a leaf stands in its life: a new one is due after 60 days, and a finished one signs nothing any more. */
export function leafState(pem: string, now: Date): 'fresh' | 'due' | 'finished' {
  const { validFromDate, validToDate } = new X509Certificate(pem);
  if (now >= validToDate || now < validFromDate) return 'finished';
  return now.getTime() - validFromDate.getTime() >= CERTIFICATE_DAYS.rotateLeafAfter * DAY_MS ? 'due' : 'fresh';
}

function nameOf(organization: string, role: string): x509.JsonName {
  const plain = organization.replaceAll(/\p{C}/gu, '').trim().slice(0, 64); // ub-organization-name, RFC 5280 A.1
  if (plain === '') throw new TypeError('Expected a name for the organization of a certificate');
  return [{ O: [plain] }, { CN: [`LumaTrace ${role}`] }];
}

// whole seconds, because that is all a certificate can say
function validity(now: Date, days: number): { notBefore: Date; notAfter: Date } {
  const from = Math.floor((now.getTime() - BACKDATE_MS) / 1_000) * 1_000;
  return { notBefore: new Date(from), notAfter: new Date(from + days * DAY_MS) };
}

// 127 random bits, positive, never with a leading zero byte (RFC 5280 §4.1.2.2)
function newSerialNumber(): string {
  const bytes = randomBytes(16);
  bytes[0] = ((bytes[0] ?? 0) & 0x7f) | 0x40;
  return bytes.toString('hex');
}

function derOf(pem: string): ArrayBuffer {
  const [der] = x509.PemConverter.decode(pem);
  if (der === undefined) throw new TypeError('Expected a private key in PEM');
  return der;
}
