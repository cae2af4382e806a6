// What a time-stamping authority of our own answers (RFC 3161 §2.4.2, RFC 5816, RFC 5652 §5): one ECDSA P-256 signature.
import { createHash } from 'node:crypto';
import {
  Attribute,
  CertificateChoices,
  CertificateSet,
  CMSVersion,
  ContentInfo,
  DigestAlgorithmIdentifier,
  DigestAlgorithmIdentifiers,
  EncapsulatedContent,
  EncapsulatedContentInfo,
  IssuerAndSerialNumber,
  SignatureAlgorithmIdentifier,
  SignedData,
  SignerIdentifier,
  SignerInfo,
  SignerInfos,
} from '@peculiar/asn1-cms';
import { AsnConvert, OctetString } from '@peculiar/asn1-schema';
import {
  Accuracy,
  MessageImprint,
  PKIStatus,
  PKIStatusInfo,
  TimeStampReq,
  TimeStampResp,
  TSTInfo,
  TSTInfoVersion,
} from '@peculiar/asn1-tsp';
import { AlgorithmIdentifier, Certificate } from '@peculiar/asn1-x509';
import { positiveInteger, SHA256_OID } from './request.ts';

/** The request is not one that this authority answers. */
export class TimestampRequestError extends Error {
  readonly code = 'VALIDATION_FAILED';
}

export interface TimestampAuthority {
  /** DER, the authority's own certificate first, then those between it and the root. */
  readonly certificatesDer: readonly Uint8Array[];
  /** What its stamps promise: an object identifier of the operator's. */
  readonly policy: string;
  /** ECDSA P-256 with SHA-256 over the bytes, DER encoded (RFC 3279 §2.2.3). */
  sign(tbs: Uint8Array): Promise<Uint8Array>;
}

export interface Stamp {
  readonly now: Date;
  /** Never the same twice: 16 random bytes. */
  readonly serialNumber: Uint8Array;
}

const LONGEST_REQUEST_BYTES = 1_024;
const SHA256_BYTES = 32;
const ACCURACY_SECONDS = 1;
const OID = {
  signedData: '1.2.840.113549.1.7.2',
  tstInfo: '1.2.840.113549.1.9.16.1.4',
  contentType: '1.2.840.113549.1.9.3',
  messageDigest: '1.2.840.113549.1.9.4',
  signingCertificateV2: '1.2.840.113549.1.9.16.2.47',
  ecdsaWithSha256: '1.2.840.10045.4.3.2',
} as const;

/** The DER of a TimeStampResp. @throws TimestampRequestError for what is no request over SHA-256 under our policy */
export async function answerTimestampRequest(
  request: Uint8Array,
  authority: TimestampAuthority,
  stamp: Stamp,
): Promise<Uint8Array<ArrayBuffer>> {
  const question = readRequest(request);
  const info = AsnConvert.serialize(infoFor(question, authority, stamp));
  const signed = await signedData(info, authority, question.certReq);
  const timeStampToken = new ContentInfo({ contentType: OID.signedData, content: AsnConvert.serialize(signed) });
  const status = new PKIStatusInfo({ status: PKIStatus.granted });
  return new Uint8Array(AsnConvert.serialize(new TimeStampResp({ status, timeStampToken })));
}

function readRequest(request: Uint8Array): TimeStampReq {
  if (request.length > LONGEST_REQUEST_BYTES) throw new TimestampRequestError('The time-stamp request is too long.');
  try {
    return AsnConvert.parse(new Uint8Array(request), TimeStampReq);
  } catch (cause) {
    throw new TimestampRequestError('The time-stamp request cannot be read.', { cause });
  }
}

function infoFor(request: TimeStampReq, { policy }: TimestampAuthority, { now, serialNumber }: Stamp): TSTInfo {
  const { messageImprint, reqPolicy, nonce, extensions } = request;
  if (messageImprint.hashAlgorithm.algorithm !== SHA256_OID)
    throw new TimestampRequestError('Expected a time-stamp request over SHA-256.');
  if (messageImprint.hashedMessage.byteLength !== SHA256_BYTES)
    throw new TimestampRequestError('Expected 32 bytes of SHA-256 in a time-stamp request.');
  if (reqPolicy !== undefined && reqPolicy !== policy)
    throw new TimestampRequestError('The time-stamp request asks for a policy that is not offered.');
  if (extensions !== undefined && extensions.length > 0)
    throw new TimestampRequestError('The time-stamp request has an extension that is not known.');
  const info = new TSTInfo({
    version: TSTInfoVersion.v1,
    policy,
    messageImprint: new MessageImprint(messageImprint),
    serialNumber: positiveInteger(serialNumber).buffer,
    // whole seconds: what the accuracy says beside it is wider
    genTime: new Date(Math.floor(now.getTime() / 1_000) * 1_000),
    accuracy: new Accuracy({ seconds: ACCURACY_SECONDS }),
  });
  if (nonce !== undefined) info.nonce = nonce;
  return info;
}

async function signedData(
  info: ArrayBuffer,
  authority: TimestampAuthority,
  withCertificates: boolean,
): Promise<SignedData> {
  const [own] = authority.certificatesDer;
  if (own === undefined) throw new TypeError('Expected a certificate of the time-stamping authority');
  const certificate = AsnConvert.parse(new Uint8Array(own), Certificate);
  const sha256 = new DigestAlgorithmIdentifier({ algorithm: SHA256_OID });
  const signedAttrs = inDerOrder([
    attribute(OID.contentType, objectIdentifier(OID.tstInfo)),
    attribute(OID.messageDigest, AsnConvert.serialize(new OctetString(digest(info)))),
    attribute(OID.signingCertificateV2, signingCertificateV2(own)),
  ]);
  const signerInfo = new SignerInfo({
    version: CMSVersion.v1,
    sid: new SignerIdentifier({
      issuerAndSerialNumber: new IssuerAndSerialNumber({
        issuer: certificate.tbsCertificate.issuer,
        serialNumber: certificate.tbsCertificate.serialNumber,
      }),
    }),
    digestAlgorithm: sha256,
    signedAttrs,
    signatureAlgorithm: new SignatureAlgorithmIdentifier({ algorithm: OID.ecdsaWithSha256 }),
  });
  const signature = await authority.sign(setOf(signedAttrs));
  signerInfo.signature = new OctetString(new Uint8Array(signature));
  const signed = new SignedData({
    version: CMSVersion.v3,
    digestAlgorithms: new DigestAlgorithmIdentifiers([sha256]),
    encapContentInfo: new EncapsulatedContentInfo({
      eContentType: OID.tstInfo,
      eContent: new EncapsulatedContent({ single: new OctetString(info) }),
    }),
    signerInfos: new SignerInfos([signerInfo]),
  });
  if (withCertificates) signed.certificates = certificateSet(authority.certificatesDer);
  return signed;
}

function certificateSet(certificatesDer: readonly Uint8Array[]): CertificateSet {
  const ordered = [...certificatesDer].sort(Buffer.compare);
  return new CertificateSet(
    ordered.map((der) => new CertificateChoices({ certificate: AsnConvert.parse(new Uint8Array(der), Certificate) })),
  );
}

const digest = (bytes: ArrayBuffer | Uint8Array): Uint8Array<ArrayBuffer> =>
  new Uint8Array(createHash('sha256').update(new Uint8Array(bytes)).digest());

function attribute(attrType: string, value: ArrayBuffer): Attribute {
  return new Attribute({ attrType, attrValues: [value] });
}

// DER of a SET OF: by the bytes of its elements (X.690 §11.6)
function inDerOrder(attributes: readonly Attribute[]): Attribute[] {
  return attributes
    .map((one) => ({ one, der: Buffer.from(AsnConvert.serialize(one)) }))
    .sort((a, b) => Buffer.compare(a.der, b.der))
    .map(({ one }) => one);
}

const TAG = { objectIdentifier: 0x06, sequence: 0x30, set: 0x31 } as const;

// RFC 5652 §5.4: what is signed carries the tag of a SET instead of [0]
function setOf(attributes: readonly Attribute[]): Uint8Array {
  return der(TAG.set, Buffer.concat(attributes.map((one) => Buffer.from(AsnConvert.serialize(one)))));
}

// the identifier alone is what is left of an AlgorithmIdentifier without parameters
function objectIdentifier(oid: string): ArrayBuffer {
  const algorithm = new Uint8Array(AsnConvert.serialize(new AlgorithmIdentifier({ algorithm: oid })));
  return algorithm.slice(2).buffer;
}

// RFC 5035 §3: SHA-256 is the default of the hash algorithm and therefore not written
function signingCertificateV2(certificate: Uint8Array): ArrayBuffer {
  const certHash = new Uint8Array(AsnConvert.serialize(new OctetString(digest(certificate))));
  return der(TAG.sequence, der(TAG.sequence, der(TAG.sequence, certHash))).buffer;
}

function der(tag: number, content: Uint8Array): Uint8Array<ArrayBuffer> {
  const { length } = content;
  const header =
    length < 0x80 ? [tag, length] : length < 0x100 ? [tag, 0x81, length] : [tag, 0x82, length >> 8, length & 0xff];
  const bytes = new Uint8Array(header.length + length);
  bytes.set(header);
  bytes.set(content, header.length);
  return bytes;
}
