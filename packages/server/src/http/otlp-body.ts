// The bytes of an OTLP request: received, inflated and bounded, one by one and all requests together.
import type { IncomingMessage } from 'node:http';
import { promisify } from 'node:util';
import { gunzip, gunzipSync, inflate, inflateRaw, zstdDecompress, type InputType } from 'node:zlib';
import { Problem } from './errors.ts';

/** Before and after decompression, as OTLP recommends. */
export const MAX_OTLP_BYTES = 64 * 1024 * 1024;
/** All requests together that are being received, inflated or decoded, whichever way they came. */
const MAX_BYTES_IN_FLIGHT = 256 * 1024 * 1024;
/** A sender that pauses longer is told so and cut. */
export const BODY_TIMEOUT_MS = 20_000;
/** Smaller bodies inflate faster here than on the way to a thread and back; what swells beyond it goes there after all. */
const INFLATE_HERE = { maxBytes: 8 * 1024, maxOutputLength: 512 * 1024 };

/** What one request holds of the bytes in flight. */
export interface Held {
  /** @throws Problem UNAVAILABLE when all requests together hold too much. */
  take(bytes: number): void;
  release(): void;
}

/** The budget of one process. */
export class BytesInFlight {
  #bytes = 0;

  hold(): Held {
    let held = 0;
    return {
      take: (bytes) => {
        // an idle process takes any one request: its size is limited already
        if (this.#bytes > 0 && this.#bytes + bytes > MAX_BYTES_IN_FLIGHT) {
          throw new Problem('UNAVAILABLE', 'Too much is being received at once.', { headers: { 'Retry-After': '1' } });
        }
        this.#bytes += bytes;
        held += bytes;
      },
      release: () => {
        this.#bytes -= held;
        held = 0;
      },
    };
  }
}

/** The body as it was sent. Rejects with a Problem when it is too large or does not come. */
export function receive(incoming: IncomingMessage, held: Held, timeoutMs: number): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let size = 0;
    const timer = setTimeout(() => fail(lateBody()), timeoutMs);
    const fail = (error: unknown): void => {
      clearTimeout(timer);
      incoming.off('data', onData);
      incoming.resume();
      reject(error);
    };
    const onData = (chunk: Buffer): void => {
      timer.refresh();
      size += chunk.length;
      if (size > MAX_OTLP_BYTES) return fail(tooLarge());
      try {
        held.take(chunk.length);
      } catch (error) {
        return fail(error);
      }
      chunks.push(chunk);
    };
    incoming.on('data', onData);
    incoming.once('end', () => {
      clearTimeout(timer);
      resolve(chunks.length === 1 ? (chunks[0] as Buffer) : Buffer.concat(chunks, size));
    });
    incoming.once('error', () => fail(new Problem('VALIDATION_FAILED', 'The body ended early.')));
  });
}

function lateBody(): Problem {
  return new Problem('VALIDATION_FAILED', 'The body did not come in time.', { status: 408 });
}

export function tooLarge(): Problem {
  return new Problem('PAYLOAD_TOO_LARGE', `Expected at most ${MAX_OTLP_BYTES} bytes, before and after decompression.`);
}

export type Inflater = (body: Buffer) => Promise<Buffer> | Buffer;
type Inflate = (body: InputType, options: { maxOutputLength: number; chunkSize: number }) => Promise<Buffer>;

/**
 * Output comes in pieces of `chunkSize`, and each piece costs a way to the thread and back: 270 kB of spans took 1.4 ms of
 * processor in pieces of 16 KiB, which is the default, and 0.35 ms in one.
 */
const LIMITED = { maxOutputLength: MAX_OTLP_BYTES, chunkSize: 512 * 1024 };
const inThread =
  (inflater: Inflate): Inflater =>
  (body) =>
    inflater(body, LIMITED);
const gunzipInThread = inThread(promisify(gunzip) as Inflate);
const inflateZlib = inThread(promisify(inflate) as Inflate);
const inflateBare = inThread(promisify(inflateRaw) as Inflate);

/** One encoding at a time; a stack of them is refused. */
const INFLATERS: ReadonlyMap<string, Inflater> = new Map<string, Inflater>([
  ['gzip', gunzipWhereFaster],
  ['x-gzip', gunzipWhereFaster],
  ['deflate', (body) => (hasZlibHeader(body) ? inflateZlib(body) : inflateBare(body))],
  ['zstd', inThread(promisify(zstdDecompress) as Inflate)],
]);

function gunzipWhereFaster(body: Buffer): Promise<Buffer> | Buffer {
  if (body.length > INFLATE_HERE.maxBytes) return gunzipInThread(body);
  try {
    return gunzipSync(body, { maxOutputLength: INFLATE_HERE.maxOutputLength });
  } catch (error) {
    if (isTooLarge(error)) return gunzipInThread(body);
    throw error;
  }
}

/**
 * "deflate" is the zlib format (RFC 9110, 8.4.1.2), but some senders leave its header out. RFC 1950, 2.2: method 8, and
 * the first two bytes are a multiple of 31. Bare deflate may begin so by chance once in a thousand; then it is refused.
 */
function hasZlibHeader(body: Buffer): boolean {
  return body.length >= 2 && ((body[0] as number) & 0x0f) === 8 && body.readUInt16BE(0) % 31 === 0;
}

function isTooLarge(error: unknown): boolean {
  return (error as NodeJS.ErrnoException).code === 'ERR_BUFFER_TOO_LARGE';
}

/** Undefined for a body that is sent as it is. @throws Problem UNSUPPORTED_MEDIA_TYPE for anything but one known encoding. */
export function inflaterOf(contentEncoding: string | null): Inflater | undefined {
  const name = (contentEncoding ?? '').trim().toLowerCase();
  if (name === '' || name === 'identity') return undefined;
  const inflater = INFLATERS.get(name);
  if (inflater === undefined) {
    throw new Problem('UNSUPPORTED_MEDIA_TYPE', 'Expected one content encoding: gzip, deflate, zstd or none.', {
      headers: { 'Accept-Encoding': 'gzip, deflate, zstd' },
    });
  }
  return inflater;
}

export async function inflated(inflater: Inflater, body: Buffer): Promise<Buffer> {
  try {
    return await inflater(body);
  } catch (error) {
    if (isTooLarge(error)) throw tooLarge();
    throw new Problem('VALIDATION_FAILED', 'The body is not in the content encoding that it names.', { cause: error });
  }
}
