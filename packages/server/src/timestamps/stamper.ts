// Asks an authority for time stamps and believes none that does not check out: what a job gets is a verified token.
import { randomBytes } from 'node:crypto';
import { certificatesOf } from '@lumatrace/provenance/c2pa/anchors.ts';
import { encodeTimestampRequest } from '@lumatrace/provenance/timestamp/request.ts';
import { verifyTimestampResponse } from '@lumatrace/provenance/timestamp/verify.ts';

/** No time stamp can be had now: nothing is signed without one. Answered as 503. */
export class TimestampUnavailable extends Error {
  readonly code = 'UNAVAILABLE';
}

export interface Stamper {
  /** Asks once to learn how long its tokens are. @throws TimestampUnavailable */
  maxTokenBytes(): Promise<number>;
  /** A TimeStampToken over a SHA-256 digest, verified. @throws TimestampUnavailable */
  stamp(digest: Uint8Array): Promise<Uint8Array>;
}

export interface StamperOptions {
  /** The DER of a TimeStampReq to that of a TimeStampResp. */
  ask(request: Uint8Array): Promise<Uint8Array>;
  /** PEM of the roots that its certificate must lead to; asked for each time, because they are renewed. */
  anchorsPem(): Promise<string>;
  /** SHA-256 (hex) of revoked certificates. */
  revoked?(): Promise<ReadonlySet<string>>;
  nowMs?: () => number;
}

const NONCE_BYTES = 16;
// integers without leading zeros, signatures in DER: tokens of one authority differ by a few bytes
const SPREAD_BYTES = 16;
const DIGEST_BYTES = 32;

export function createStamper({
  ask,
  anchorsPem,
  revoked = async () => new Set<string>(),
  nowMs = Date.now,
}: StamperOptions): Stamper {
  let longest: Promise<number> | undefined;

  async function tokenOver(digest: Uint8Array): Promise<Uint8Array> {
    const question = { digest, nonce: randomBytes(NONCE_BYTES) };
    let response: Uint8Array;
    try {
      response = await ask(encodeTimestampRequest(question));
    } catch (cause) {
      throw new TimestampUnavailable('The time-stamping authority does not answer.', { cause });
    }
    const anchorsDer = certificatesOf(await anchorsPem()).map(({ raw }) => raw);
    const verdict = verifyTimestampResponse(response, {
      ...question,
      anchorsDer,
      revoked: await revoked(),
      nowMs: nowMs(),
    });
    if (verdict.ok) return verdict.timestamp.token;
    throw new TimestampUnavailable(`The time-stamping authority's answer is refused: ${verdict.finding.message}`);
  }

  async function learn(): Promise<number> {
    return (await tokenOver(new Uint8Array(DIGEST_BYTES))).length + SPREAD_BYTES;
  }

  return {
    async maxTokenBytes() {
      const learning = (longest ??= learn());
      learning.catch(() => {
        if (longest === learning) longest = undefined;
      });
      return learning;
    },
    async stamp(digest) {
      const token = await tokenOver(digest);
      if (longest !== undefined && token.length > (await longest)) {
        // it changed its certificates: the next signature leaves more room
        longest = undefined;
        throw new TimestampUnavailable("The time-stamping authority's answers have become longer; try again.");
      }
      return token;
    },
  };
}
