// A time-stamp request (RFC 3161 §2.4.1): a SHA-256 hash, a nonce, and the wish for the TSA's certificate.
import { AsnConvert, OctetString } from '@peculiar/asn1-schema';
import { MessageImprint, TimeStampReq, TimeStampReqVersion } from '@peculiar/asn1-tsp';
import { AlgorithmIdentifier } from '@peculiar/asn1-x509';

export const SHA256_OID = '2.16.840.1.101.3.4.2.1';
const SHA256_BYTES = 32;
const NONCE_BYTES = { least: 8, most: 20 } as const;

export interface TimestampQuestion {
  /** SHA-256 of what is stamped, 32 bytes. */
  readonly digest: Uint8Array;
  /** 8 to 20 random bytes, from the caller so that this room needs no randomness. */
  readonly nonce: Uint8Array;
  /** The policy that the TSA must stamp under; any when absent. */
  readonly policy?: string;
}

/** A positive DER integer's content: a leading zero would be dropped by an encoder, a high bit read as a sign. */
export function positiveInteger(nonce: Uint8Array): Uint8Array<ArrayBuffer> {
  let start = 0;
  while (start < nonce.length - 1 && nonce[start] === 0) start++;
  const rest = nonce.subarray(start);
  const signed = (rest[0] ?? 0) >= 0x80;
  const content = new Uint8Array(rest.length + (signed ? 1 : 0));
  content.set(rest, signed ? 1 : 0);
  return content;
}

/** The DER of a TimeStampReq. @throws TypeError for a digest or nonce of the wrong length. */
export function encodeTimestampRequest({ digest, nonce, policy }: TimestampQuestion): Uint8Array<ArrayBuffer> {
  if (digest.length !== SHA256_BYTES)
    throw new TypeError(`Expected ${SHA256_BYTES} bytes of SHA-256 but received ${digest.length}`);
  if (nonce.length < NONCE_BYTES.least || nonce.length > NONCE_BYTES.most)
    throw new TypeError(`Expected a nonce of 8 to 20 bytes but received ${nonce.length}`);
  const request = new TimeStampReq({
    version: TimeStampReqVersion.v1,
    messageImprint: new MessageImprint({
      hashAlgorithm: new AlgorithmIdentifier({ algorithm: SHA256_OID, parameters: null }),
      hashedMessage: new OctetString(new Uint8Array(digest)),
    }),
    nonce: positiveInteger(nonce).buffer,
    certReq: true,
  });
  if (policy !== undefined) request.reqPolicy = policy;
  return new Uint8Array(AsnConvert.serialize(request));
}
