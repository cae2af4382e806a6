// RFC 3161 §3.4: the way to an authority elsewhere, by HTTP. What comes back is judged by the caller, not trusted here.
import type { Egress } from '../egress/egress.ts';

const TIMEOUT_MS = 8_000;
const MAX_BYTES = 65_536;

/** @returns a function from the DER of a TimeStampReq to that of a TimeStampResp. It throws EgressError and Error. */
export function createTimestampClient(url: string, egress: Egress): (request: Uint8Array) => Promise<Uint8Array> {
  return async (request) => {
    const { status, headers, body } = await egress({
      url,
      method: 'POST',
      headers: { 'content-type': 'application/timestamp-query', accept: 'application/timestamp-reply' },
      body: request,
      timeoutMs: TIMEOUT_MS,
      maxBytes: MAX_BYTES,
      // most public authorities have no TLS: their answers are signed, and the request holds one hash
      isPlainAllowed: true,
    });
    if (status !== 200) throw new Error(`The time-stamping authority answered with status ${status}.`);
    if (headers['content-type']?.split(';')[0]?.trim().toLowerCase() !== 'application/timestamp-reply')
      throw new Error('The time-stamping authority answered with something that is no time stamp.');
    return new Uint8Array(body);
  };
}
