// Whether a certificate chain that an operator brings may sign claims: the C2PA certificate profile (§14.5.1) and what a
// reader of ours demands. Every refusal has a code and says how to mend it. No I/O.
import 'reflect-metadata'; // @peculiar/x509 resolves its parts through it
import * as x509 from '@peculiar/x509';
import { X509Certificate, type KeyObject } from 'node:crypto';
import type { SigningAlgorithm } from '@lumatrace/provenance/signer.ts';

export type CertificateFault =
  | 'CHAIN_UNREADABLE'
  | 'CHAIN_ORDER'
  | 'CERTIFICATE_DATES'
  | 'CERTIFICATE_ALGORITHM'
  | 'LEAF_KEY'
  | 'LEAF_PURPOSE'
  | 'LEAF_KEY_USAGE'
  | 'ROOT_UNTRUSTED'
  | 'KEY_FILE_MODE'
  | 'KEY_UNREADABLE'
  | 'KEY_MISMATCH'
  | 'TRANSIT_TOKEN'
  | 'TRANSIT_FAILED';

/** What was brought cannot sign; the message says what to change, and never shows a secret. */
export class CertificateRefused extends Error {
  readonly code: CertificateFault;
  constructor(code: CertificateFault, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'CertificateRefused';
    this.code = code;
  }
}

export interface CheckedChain {
  alg: SigningAlgorithm;
  publicKey: KeyObject;
  /** Leaf first, without a root. */
  chainDer: readonly Uint8Array[];
  /** The root, when the file ends with one: whoever puts it there trusts it. */
  rootPem: string | null;
  startsAt: Date;
  /** When the first certificate of the chain ends. */
  endsAt: Date;
}

const PEM = /-----BEGIN CERTIFICATE-----[A-Za-z0-9+/=\s]+-----END CERTIFICATE-----/g;
const MOST_CERTIFICATES = 6;
const MAX_BYTES = 65_536;
const CLAIM_SIGNING_EKU = '1.3.6.1.4.1.62558.2.1';
const ANY_EKU = '2.5.29.37.0';
const SIGNATURE_HASHES: ReadonlySet<string> = new Set(['SHA-256', 'SHA-384', 'SHA-512']);
const RSA_BITS = { least: 3_072, most: 4_096 };

/** Reads a PEM chain, leaf first, strictly. @throws CertificateRefused */
export function checkChain(pem: string, nowMs: number): CheckedChain {
  const certificates = readChain(pem);
  const [leaf] = certificates as [X509Certificate, ...X509Certificate[]];
  requireOrder(certificates);
  for (const certificate of certificates) requireDates(certificate, nowMs);
  for (const certificate of certificates) requireStrongSignature(certificate);
  requireLeafProfile(leaf);
  const last = certificates.at(-1) as X509Certificate;
  const isRooted = certificates.length > 1 && last.checkIssued(last);
  const chain = isRooted ? certificates.slice(0, -1) : certificates;
  return {
    alg: algorithmOf(leaf),
    publicKey: leaf.publicKey,
    chainDer: chain.map(({ raw }) => new Uint8Array(raw)),
    rootPem: isRooted ? last.toString() : null,
    startsAt: leaf.validFromDate,
    endsAt: new Date(Math.min(...certificates.map(({ validToDate }) => validToDate.getTime()))),
  };
}

function readChain(pem: string): X509Certificate[] {
  const texts = pem.length > MAX_BYTES ? [] : (pem.match(PEM) ?? []);
  if (texts.length === 0 || texts.length > MOST_CERTIFICATES)
    throw new CertificateRefused(
      'CHAIN_UNREADABLE',
      `Expected 1 to ${MOST_CERTIFICATES} certificates in PEM, leaf first, but found ${texts.length}.`,
    );
  try {
    return texts.map((text) => new X509Certificate(text));
  } catch (cause) {
    throw new CertificateRefused('CHAIN_UNREADABLE', 'A certificate of the chain cannot be read.', { cause });
  }
}

function requireOrder(certificates: readonly X509Certificate[]): void {
  for (const [index, certificate] of certificates.entries()) {
    const issuer = certificates[index + 1];
    if (issuer === undefined) return;
    if (!issuer.ca || !certificate.checkIssued(issuer) || !certificate.verify(issuer.publicKey))
      throw new CertificateRefused(
        'CHAIN_ORDER',
        `Expected each certificate to be signed by the next, leaf first: number ${index + 2} did not sign number ${index + 1}.`,
      );
  }
}

function requireDates({ validFromDate, validToDate, subject }: X509Certificate, nowMs: number): void {
  if (validFromDate.getTime() <= nowMs && nowMs < validToDate.getTime()) return;
  throw new CertificateRefused(
    'CERTIFICATE_DATES',
    `Expected a certificate that is valid now but "${oneLine(subject)}" is so from ${validFromDate.toISOString()} to ${validToDate.toISOString()}: bring a renewed one.`,
  );
}

function requireStrongSignature(certificate: X509Certificate): void {
  const { name, hash } = new x509.X509Certificate(certificate.raw).signatureAlgorithm as {
    name: string;
    hash?: { name: string };
  };
  if (name === 'Ed25519' || SIGNATURE_HASHES.has(hash?.name ?? '')) return;
  throw new CertificateRefused(
    'CERTIFICATE_ALGORITHM',
    `Expected a certificate signed with SHA-256 or stronger, or Ed25519: have "${oneLine(certificate.subject)}" issued anew.`,
  );
}

function requireLeafProfile(leaf: X509Certificate): void {
  const purposes = leaf.keyUsage ?? [];
  if (!purposes.includes(CLAIM_SIGNING_EKU) || purposes.includes(ANY_EKU))
    throw new CertificateRefused(
      'LEAF_PURPOSE',
      `Expected the extended key usage ${CLAIM_SIGNING_EKU} (C2PA claim signing) on the leaf and not anyExtendedKeyUsage.`,
    );
  const read = new x509.X509Certificate(leaf.raw);
  const usage = read.getExtension(x509.KeyUsagesExtension);
  // OpenSSL calls no certificate a CA whose key usage says otherwise; the constraint itself is meant here
  const isCa = read.getExtension(x509.BasicConstraintsExtension)?.ca === true;
  const signs = usage !== null && (usage.usages & x509.KeyUsageFlags.digitalSignature) !== 0;
  const certifies = usage !== null && (usage.usages & x509.KeyUsageFlags.keyCertSign) !== 0;
  if (!signs || certifies || isCa)
    throw new CertificateRefused(
      'LEAF_KEY_USAGE',
      'Expected the key usage digitalSignature on the leaf, not keyCertSign, and no CA as the first certificate.',
    );
}

function algorithmOf({ publicKey }: X509Certificate): SigningAlgorithm {
  const { asymmetricKeyType: type, asymmetricKeyDetails: details = {} } = publicKey;
  if (type === 'ec' && details.namedCurve === 'prime256v1') return 'es256';
  if (type === 'ed25519') return 'ed25519';
  const { modulusLength = 0 } = details;
  if (type === 'rsa' && modulusLength >= RSA_BITS.least && modulusLength <= RSA_BITS.most) return 'ps256';
  throw new CertificateRefused(
    'LEAF_KEY',
    `Expected a key on P-256, Ed25519, or RSA of ${RSA_BITS.least} to ${RSA_BITS.most} bits for the leaf.`,
  );
}

const oneLine = (text: string): string => text.replaceAll(/\s+/g, ', ').slice(0, 200);
