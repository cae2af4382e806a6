// The TSA's certificate and its way to a trusted anchor, judged at the time that was stamped (RFC 3161 §2.3, RFC 5280 §6).
import { createHash, X509Certificate } from 'node:crypto';
import { AsnConvert } from '@peculiar/asn1-schema';
import { BasicConstraints, Certificate, ExtendedKeyUsage } from '@peculiar/asn1-x509';
import { TimestampError } from './failure.ts';

const OID = {
  basicConstraints: '2.5.29.19',
  extendedKeyUsage: '2.5.29.37',
  timeStamping: '1.3.6.1.5.5.7.3.8',
} as const;
const LONGEST_CHAIN = 6;

// SHA-2 with RSA, with ECDSA, and Ed25519; SHA-1 and MD5 are absent on purpose
const STRONG_SIGNATURES: ReadonlySet<string> = new Set([
  '1.2.840.113549.1.1.11',
  '1.2.840.113549.1.1.12',
  '1.2.840.113549.1.1.13',
  '1.2.840.10045.4.3.2',
  '1.2.840.10045.4.3.3',
  '1.2.840.10045.4.3.4',
  '1.3.101.112',
]);

export interface Period {
  readonly earliestMs: number;
  readonly latestMs: number;
}

export interface ChainTerms extends Period {
  /** SHA-256 (hex) of certificates that nothing may lead through. */
  readonly revoked?: ReadonlySet<string>;
}

function untrusted(reason: string, message: string): TimestampError {
  return new TimestampError('timeStamp.untrusted', reason, message);
}

/** @throws TimestampError unless the only purpose is time stamping and critical (RFC 3161 §2.3). */
export function requireTimestampingPurpose(certificate: Certificate): void {
  const usage = certificate.tbsCertificate.extensions?.find(({ extnID }) => extnID === OID.extendedKeyUsage);
  if (usage?.critical !== true)
    throw untrusted('eku', 'The TSA certificate has no critical extended key usage for time stamping.');
  const purposes = [...AsnConvert.parse(usage.extnValue, ExtendedKeyUsage)];
  if (purposes.length !== 1 || purposes[0] !== OID.timeStamping)
    throw untrusted('eku', 'The TSA certificate is for other purposes than time stamping.');
}

function requireValidity(certificate: X509Certificate, { earliestMs, latestMs }: Period): void {
  const inside = certificate.validFromDate.getTime() <= earliestMs && latestMs <= certificate.validToDate.getTime();
  if (!inside)
    throw new TimestampError(
      'timeStamp.outsideValidity',
      'certificateValidity',
      'A certificate of the TSA was not valid at the time that it stamped.',
    );
}

function requireStrong(certificate: X509Certificate): void {
  const { signatureAlgorithm } = AsnConvert.parse(certificate.raw, Certificate);
  if (!STRONG_SIGNATURES.has(signatureAlgorithm.algorithm))
    throw untrusted('weakChain', 'A certificate of the TSA is signed with an algorithm that is not accepted.');
}

/** How many authorities may stand below this one; undefined when it says nothing. */
function pathLength(certificate: X509Certificate): number | undefined {
  const { extensions } = AsnConvert.parse(certificate.raw, Certificate).tbsCertificate;
  const constraints = extensions?.find(({ extnID }) => extnID === OID.basicConstraints);
  return constraints === undefined
    ? undefined
    : AsnConvert.parse(constraints.extnValue, BasicConstraints).pathLenConstraint;
}

function issued(issuer: X509Certificate, subject: X509Certificate): boolean {
  return issuer.ca && subject.checkIssued(issuer) && subject.verify(issuer.publicKey);
}

/**
 * Walks from the TSA's certificate to an anchor; `others` only offer steps in between.
 * @throws TimestampError when there is no way, or when a certificate of it was not valid through the whole period.
 */
export function requireTrustedChain(
  leaf: X509Certificate,
  others: readonly X509Certificate[],
  anchors: readonly X509Certificate[],
  { revoked, ...period }: ChainTerms,
): void {
  let current = leaf;
  for (let depth = 0; depth < LONGEST_CHAIN; depth++) {
    requireValidity(current, period);
    const at = current;
    if (revoked?.has(createHash('sha256').update(at.raw).digest('hex')) === true)
      throw untrusted('revoked', 'A certificate behind the TSA was revoked.');
    if (anchors.some((anchor) => anchor.raw.equals(at.raw))) return;
    requireStrong(current);
    const issuer = [...anchors, ...others].find((candidate) => issued(candidate, at));
    if (issuer === undefined) break;
    if ((pathLength(issuer) ?? LONGEST_CHAIN) < depth)
      throw untrusted('pathLength', 'An authority of the TSA issued deeper than it may.');
    current = issuer;
  }
  throw untrusted('noAnchor', 'The TSA’s certificate does not lead to a trust anchor for time stamping.');
}
