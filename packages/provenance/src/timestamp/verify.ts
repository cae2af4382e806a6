// Checks a time-stamp response or token (RFC 3161 §2.4.2, RFC 5816, RFC 5652 §5.6). Bounded, offline, fail closed.
import { createHash, verify, X509Certificate } from 'node:crypto';
import { ContentInfo, SignedData, Attribute, type SignerInfo } from '@peculiar/asn1-cms';
import { AsnArray, AsnConvert, AsnPropTypes, AsnType, AsnTypeTypes, OctetString } from '@peculiar/asn1-schema';
import { PKIStatus, TimeStampResp, TSTInfo } from '@peculiar/asn1-tsp';
import { AlgorithmIdentifier, Certificate } from '@peculiar/asn1-x509';
import type { Finding } from '../findings.ts';
import { requireTimestampingPurpose, requireTrustedChain } from './chain.ts';
import { malformed, TimestampError, timestampFinding } from './failure.ts';
import { positiveInteger, SHA256_OID } from './request.ts';

export const LONGEST_TOKEN_BYTES = 32_768;
const MOST_CERTIFICATES = 8;
// clocks of two honest machines may differ by as much
const CLOCK_SKEW_MS = 300_000;

const OID = {
  signedData: '1.2.840.113549.1.7.2',
  tstInfo: '1.2.840.113549.1.9.16.1.4',
  contentType: '1.2.840.113549.1.9.3',
  messageDigest: '1.2.840.113549.1.9.4',
  signingCertificateV2: '1.2.840.113549.1.9.16.2.47',
} as const;

const HASHES: ReadonlyMap<string, string> = new Map([
  [SHA256_OID, 'sha256'],
  ['2.16.840.1.101.3.4.2.2', 'sha384'],
  ['2.16.840.1.101.3.4.2.3', 'sha512'],
]);

// the hash that a signature algorithm names itself; rsaEncryption takes that of the signer info
const SIGNATURES: ReadonlyMap<string, string | null> = new Map([
  ['1.2.840.113549.1.1.1', null],
  ['1.2.840.113549.1.1.11', 'sha256'],
  ['1.2.840.113549.1.1.12', 'sha384'],
  ['1.2.840.113549.1.1.13', 'sha512'],
  ['1.2.840.10045.4.3.2', 'sha256'],
  ['1.2.840.10045.4.3.3', 'sha384'],
  ['1.2.840.10045.4.3.4', 'sha512'],
]);

// a SEQUENCE of anything; decorators are not erasable, so the schema is told by a call
class Items extends AsnArray<ArrayBuffer> {}
AsnType({ type: AsnTypeTypes.Sequence, itemType: AsnPropTypes.Any })(Items);
// RFC 5652 §5.4: what is signed carries the tag of a SET instead of [0]
class SignedAttributeSet extends AsnArray<Attribute> {}
AsnType({ type: AsnTypeTypes.Set, itemType: Attribute })(SignedAttributeSet);

export interface TimestampTerms {
  readonly digest: Uint8Array;
  /** As asked; left out when a stored token is read again, whose nonce nobody remembers. */
  readonly nonce?: Uint8Array;
  readonly policy?: string;
  /** DER certificates that are trusted for time stamping, and nothing else is. */
  readonly anchorsDer: readonly Uint8Array[];
  /** SHA-256 (hex) of certificates that were revoked, whenever: the time of a stamp under one cannot be known. */
  readonly revoked?: ReadonlySet<string>;
  readonly nowMs: number;
}

export interface Timestamp {
  readonly genTimeMs: number;
  readonly accuracyMs: number;
  readonly policy: string;
  /** Hexadecimal; unique at its TSA. */
  readonly serialNumber: string;
  /** Subject of the TSA's certificate, as RFC 4514 writes names. */
  readonly authority: string;
  /** DER of the TimeStampToken, to be stored. */
  readonly token: Uint8Array;
}

export type TimestampVerdict =
  { readonly ok: true; readonly timestamp: Timestamp } | { readonly ok: false; readonly finding: Finding };

/** Judges what a TSA answered. Never throws for bytes of any kind. */
export function verifyTimestampResponse(bytes: Uint8Array, terms: TimestampTerms): TimestampVerdict {
  return judged(() => checkToken(tokenOf(bytes), terms));
}

/** Judges a stored token. Never throws for bytes of any kind. */
export function verifyTimestampToken(bytes: Uint8Array, terms: TimestampTerms): TimestampVerdict {
  return judged(() => checkToken(bytes, terms));
}

function judged(check: () => Timestamp): TimestampVerdict {
  try {
    return { ok: true, timestamp: check() };
  } catch (cause) {
    const error = cause instanceof TimestampError ? cause : malformed('asn1', 'The timestamp cannot be read.', cause);
    return { ok: false, finding: timestampFinding(error) };
  }
}

// a parser that skips what it does not know would let bytes ride along, so what was read must write back the same
function parsed<T>(bytes: ArrayBuffer | Uint8Array<ArrayBuffer>, type: new () => T): T {
  const value = AsnConvert.parse(bytes, type);
  const given = ArrayBuffer.isView(bytes)
    ? Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    : Buffer.from(bytes);
  if (!Buffer.from(AsnConvert.serialize(value)).equals(given))
    throw malformed('der', 'The timestamp is not written in DER.');
  return value;
}

function bounded(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  if (bytes.length > LONGEST_TOKEN_BYTES) throw malformed('tooLong', 'The timestamp is longer than is read.');
  return new Uint8Array(bytes);
}

function tokenOf(bytes: Uint8Array): Uint8Array {
  const { status, timeStampToken } = parsed(bounded(bytes), TimeStampResp);
  if (status.status !== PKIStatus.granted && status.status !== PKIStatus.grantedWithMods)
    throw malformed('status', `The TSA answered with status ${Number(status.status)} instead of a timestamp.`);
  if (timeStampToken === undefined) throw malformed('noToken', 'The TSA granted a timestamp but sent none.');
  return new Uint8Array(AsnConvert.serialize(timeStampToken));
}

function checkToken(bytes: Uint8Array, terms: TimestampTerms): Timestamp {
  const token = bounded(bytes);
  const outer = parsed(token, ContentInfo);
  if (outer.contentType !== OID.signedData) throw malformed('contentType', 'The timestamp is not signed data.');
  const signed = parsed(outer.content, SignedData);
  const content = signed.encapContentInfo.eContent?.single?.buffer;
  if (signed.encapContentInfo.eContentType !== OID.tstInfo || content === undefined)
    throw malformed('contentType', 'The signed data holds no time-stamp info.');
  const info = parsed(content, TSTInfo);
  requireAnswer(info, terms);
  const period = periodOf(info, terms.nowMs);
  const signer = requireSignature(signed, content, period, terms);
  return {
    genTimeMs: info.genTime.getTime(),
    accuracyMs: period.latestMs - info.genTime.getTime(),
    policy: info.policy,
    serialNumber: Buffer.from(info.serialNumber).toString('hex'),
    authority: signer.subject.replaceAll('\n', ', '),
    token,
  };
}

function mismatch(reason: string, message: string): TimestampError {
  return new TimestampError('timeStamp.mismatch', reason, message);
}

function requireAnswer(info: TSTInfo, { digest, nonce, policy }: TimestampTerms): void {
  if (Number(info.version) !== 1) throw malformed('version', 'Expected version 1 of a time-stamp info.');
  const { hashAlgorithm, hashedMessage } = info.messageImprint;
  if (hashAlgorithm.algorithm !== SHA256_OID) throw mismatch('imprintHash', 'The timestamp is over another hash.');
  if (!Buffer.from(hashedMessage.buffer).equals(digest))
    throw mismatch('imprint', 'The timestamp is for something else.');
  if (nonce !== undefined && (info.nonce === undefined || !Buffer.from(info.nonce).equals(positiveInteger(nonce))))
    throw mismatch('nonce', 'The timestamp answers another request.');
  if (policy !== undefined && info.policy !== policy)
    throw mismatch('policy', 'The timestamp was made under another policy.');
}

function periodOf(info: TSTInfo, nowMs: number): { earliestMs: number; latestMs: number } {
  const { seconds = 0, millis = 0, micros = 0 } = info.accuracy ?? {};
  const accuracyMs = seconds * 1000 + millis + micros / 1000;
  const genTimeMs = info.genTime.getTime();
  if (!Number.isFinite(genTimeMs) || !(accuracyMs >= 0)) throw malformed('time', 'The timestamp tells no time.');
  if (genTimeMs - accuracyMs > nowMs + CLOCK_SKEW_MS)
    throw new TimestampError('timeStamp.outsideValidity', 'future', 'The timestamp lies in the future.');
  return { earliestMs: genTimeMs - accuracyMs, latestMs: genTimeMs + accuracyMs };
}

function requireSignature(
  signed: SignedData,
  content: ArrayBuffer,
  period: { earliestMs: number; latestMs: number },
  { anchorsDer, revoked }: Pick<TimestampTerms, 'anchorsDer' | 'revoked'>,
): X509Certificate {
  const [signer, ...more] = signed.signerInfos;
  if (signer === undefined || more.length > 0) throw malformed('signers', 'Expected exactly one signer.');
  if (Number(signed.version) !== 3) throw malformed('version', 'Expected version 3 of signed data.');
  const hash = HASHES.get(signer.digestAlgorithm.algorithm);
  if (hash === undefined) throw malformed('weakHash', 'The TSA hashes with an algorithm that is not accepted.');
  if (![...signed.digestAlgorithms].every(({ algorithm }) => algorithm === signer.digestAlgorithm.algorithm))
    throw malformed('digestAlgorithms', 'The signed data names a hash that no signer uses.');
  const attributes = signer.signedAttrs ?? [];
  if (oid(only(attributes, OID.contentType)) !== OID.tstInfo)
    throw malformed('contentType', 'The signed content type is not a time-stamp info.');
  const digest = AsnConvert.parse(only(attributes, OID.messageDigest), OctetString);
  if (!Buffer.from(digest.buffer).equals(createHash(hash).update(Buffer.from(content)).digest()))
    throw mismatch('messageDigest', 'The signed digest is not that of the time-stamp info.');
  const { leaf, others } = certificatesOf(signed, only(attributes, OID.signingCertificateV2));
  requireSigner(signer, leaf);
  const certificate = x509(leaf);
  requireSigned(signer, hash, certificate);
  requireTimestampingPurpose(leaf);
  requireTrustedChain(
    certificate,
    others.map(x509),
    anchorsDer.map((der) => new X509Certificate(der)),
    { ...period, ...(revoked && { revoked }) },
  );
  return certificate;
}

function x509(certificate: Certificate): X509Certificate {
  return new X509Certificate(Buffer.from(AsnConvert.serialize(certificate)));
}

function only(attributes: readonly Attribute[], type: string): ArrayBuffer {
  const found = attributes.filter(({ attrType }) => attrType === type);
  const [value, ...more] = found.flatMap(({ attrValues }) => attrValues);
  if (found.length !== 1 || value === undefined || more.length > 0)
    throw malformed('signedAttributes', `Expected the signed attribute ${type} exactly once.`);
  return value;
}

const TAG = { objectIdentifier: 0x06, sequence: 0x30 } as const;

function oid(value: ArrayBuffer): string {
  if (new Uint8Array(value)[0] !== TAG.objectIdentifier) throw malformed('contentType', 'Expected an identifier.');
  // an AlgorithmIdentifier of nothing but an identifier is how this library reads one
  const content = new Uint8Array(value);
  return AsnConvert.parse(Uint8Array.of(TAG.sequence, content.length, ...content), AlgorithmIdentifier).algorithm;
}

// RFC 5816 §2.2.1: the hash algorithm stands first, unless it is SHA-256
function essCertId(attribute: ArrayBuffer): { hash: string; certHash: Buffer } {
  const [certs] = AsnConvert.parse(attribute, Items);
  const [first] = certs === undefined ? [] : AsnConvert.parse(certs, Items);
  const fields = first === undefined ? [] : [...AsnConvert.parse(first, Items)];
  const [head] = fields;
  const isNamed = head !== undefined && new Uint8Array(head)[0] === TAG.sequence;
  const algorithm = isNamed ? AsnConvert.parse(head, AlgorithmIdentifier).algorithm : SHA256_OID;
  const digest = fields[isNamed ? 1 : 0];
  const hash = HASHES.get(algorithm);
  if (hash === undefined || digest === undefined)
    throw malformed('essCertId', 'The TSA does not name its certificate by an accepted hash.');
  return { hash, certHash: Buffer.from(AsnConvert.parse(digest, OctetString).buffer) };
}

function certificatesOf(signed: SignedData, attribute: ArrayBuffer): { leaf: Certificate; others: Certificate[] } {
  const bag = [...(signed.certificates ?? [])].flatMap(({ certificate }) => certificate ?? []);
  if (bag.length > MOST_CERTIFICATES) throw malformed('certificates', 'The timestamp carries too many certificates.');
  const { hash, certHash } = essCertId(attribute);
  const leaf = bag.find((one) => createHash(hash).update(x509(one).raw).digest().equals(certHash));
  if (leaf === undefined) throw malformed('essCertId', 'The certificate that the TSA names is not in the timestamp.');
  return { leaf, others: bag.filter((one) => one !== leaf) };
}

function requireSigner({ sid }: SignerInfo, leaf: Certificate): void {
  const named = sid.issuerAndSerialNumber;
  const { issuer, serialNumber } = leaf.tbsCertificate;
  const same =
    named !== undefined &&
    Buffer.from(named.serialNumber).equals(Buffer.from(serialNumber)) &&
    Buffer.from(AsnConvert.serialize(named.issuer)).equals(Buffer.from(AsnConvert.serialize(issuer)));
  if (!same) throw malformed('signerId', 'The signer is not the one whose certificate is named.');
}

function requireSigned(signer: SignerInfo, hash: string, certificate: X509Certificate): void {
  const named = SIGNATURES.get(signer.signatureAlgorithm.algorithm);
  if (named === undefined || (named !== null && named !== hash))
    throw malformed('signatureAlgorithm', 'The TSA signs with an algorithm that is not accepted.');
  const attributes = Buffer.from(AsnConvert.serialize(new SignedAttributeSet(signer.signedAttrs)));
  if (!verify(hash, attributes, certificate.publicKey, Buffer.from(signer.signature.buffer)))
    throw mismatch('signature', 'The signature of the TSA does not fit.');
}
