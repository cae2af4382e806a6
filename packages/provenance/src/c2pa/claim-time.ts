// When a claim was signed, as a time-stamping authority says (C2PA §10.3.2.5). The library reports a wrong stamp only as
// a remark, takes any signing-time attribute for the stamp's own time, and follows SHA-1: so the stamp is judged here too.
import { createHash, type X509Certificate } from 'node:crypto';
import type { Finding } from '../findings.ts';
import { verifyTimestampResponse, verifyTimestampToken } from '../timestamp/verify.ts';
import { encodeCbor } from './cbor.ts';
import { countersignedBytes, type ClaimSignature } from './cose.ts';

export interface ClaimTime {
  /** ISO 8601, UTC. */
  readonly at: string;
  readonly accuracyMs: number;
  /** Subject of the authority's certificate. */
  readonly authority: string;
  readonly policy: string;
  /** Hexadecimal; unique at its authority. */
  readonly serialNumber: string;
}

export interface ClaimTimeTerms {
  /** CBOR of the claim. */
  readonly claim: Uint8Array;
  readonly anchors: readonly X509Certificate[];
  /** SHA-256 (hex). */
  readonly revoked: ReadonlySet<string>;
  readonly nowMs: number;
}

/** Null without a time stamp, a finding for one that is not to be believed. */
export function claimTime(
  { timestamp, protectedHeader, signature }: ClaimSignature,
  { claim, anchors, revoked, nowMs }: ClaimTimeTerms,
): ClaimTime | Finding | null {
  if (timestamp === null) return null;
  const anchorsDer = anchors.map(({ raw }) => raw);
  const payload = timestamp.version === 1 ? claim : encodeCbor(signature);
  const terms = { digest: sha256(countersignedBytes(protectedHeader, payload)), anchorsDer, revoked, nowMs };
  // the first version holds the authority's whole answer
  const judge = timestamp.version === 1 ? verifyTimestampResponse : verifyTimestampToken;
  const verdict = judge(timestamp.bytes, terms);
  if (!verdict.ok) return verdict.finding;
  const { genTimeMs, accuracyMs, authority, policy, serialNumber } = verdict.timestamp;
  return { at: new Date(genTimeMs).toISOString(), accuracyMs, authority, policy, serialNumber };
}

const sha256 = (bytes: Uint8Array): Uint8Array => createHash('sha256').update(bytes).digest();
