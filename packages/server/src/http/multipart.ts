// Reads multipart/form-data (RFC 7578) into memory, never to disk: hard limits on bytes, parts, headers and time.
import { createHash } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { Busboy, type BusboyFileStream, type BusboyInstance } from '@fastify/busboy';
import { Problem } from './errors.ts';

export interface FormPart {
  /** In an ArrayBuffer of its own, so that it can be handed to a worker thread without a copy. */
  bytes: Uint8Array<ArrayBuffer>;
  sha256: Buffer;
}

export interface FormLimits {
  /** Part name → largest size in bytes. Every one of them must come exactly once; others are refused. */
  parts: Readonly<Record<string, number>>;
  /** No byte for so long, and the request ends with 408. */
  idleTimeoutMs?: number;
  totalTimeoutMs?: number;
}

const IDLE_TIMEOUT_MS = 20_000;
const TOTAL_TIMEOUT_MS = 120_000;
// delimiters, part headers, preamble and epilogue together
const OVERHEAD_BYTES = 16_384;
/** What a refused client may still send before it hears the answer: clients that write first read only then. */
const MAX_UNWANTED_BYTES = 67_108_864;
const MAX_PART_HEADERS = 16;
const MAX_PART_HEADER_BYTES = 8_192;
const PLAIN_ENCODINGS = new Set(['7bit', '8bit', 'binary']);

/** Bytes that a request with these parts may have at most: the counter of its own that the parser lacks. */
export function largestBody(limits: FormLimits): number {
  return Object.values(limits.parts).reduce((sum, bytes) => sum + bytes, OVERHEAD_BYTES);
}

/**
 * The parts by name. @throws Problem VALIDATION_FAILED (no boundary, broken body, missing, repeated or unknown part;
 * status 408 when the body does not come), PAYLOAD_TOO_LARGE (a part or the whole), UNSUPPORTED_MEDIA_TYPE.
 */
export function readForm(incoming: IncomingMessage, limits: FormLimits): Promise<Record<string, FormPart>> {
  const largest = largestBody(limits);
  const declared = Number(incoming.headers['content-length'] ?? 0);
  if (declared > MAX_UNWANTED_BYTES) return Promise.reject(tooLarge('the request', largest));
  const names = Object.keys(limits.parts);
  const parser = parserFor(incoming, names.length);
  return new Promise((resolve, reject) => {
    const parts = new Map<string, FormPart>();
    const open = new Set<string>();
    let received = 0;
    let refused: Problem | null = null;
    let over = false;
    const end = (problem: Problem | null): void => {
      if (over) return;
      over = true;
      clearTimeout(idle);
      clearTimeout(total);
      incoming.off('data', onData).off('end', onEnd).off('close', onClose);
      if (problem) reject(problem);
      else resolve(Object.fromEntries(parts));
    };
    // what still comes is read and forgotten before the answer goes out, or the client would see a broken connection
    const refuse = (problem: Problem): void => {
      refused ??= problem;
      parts.clear();
      if (incoming.readableEnded) end(refused);
      else incoming.resume();
    };
    const late = (): void =>
      end(refused ?? new Problem('VALIDATION_FAILED', 'The body did not come in time.', { status: 408 }));
    const idle = setTimeout(late, limits.idleTimeoutMs ?? IDLE_TIMEOUT_MS);
    const total = setTimeout(late, limits.totalTimeoutMs ?? TOTAL_TIMEOUT_MS);
    const onData = (chunk: Buffer): void => {
      idle.refresh();
      received += chunk.length;
      if (received > largest) refuse(tooLarge('the request', largest));
      if (received > MAX_UNWANTED_BYTES) end(refused);
      else if (!refused) feed(chunk);
    };
    const feed = (chunk: Buffer): void => {
      try {
        if (!parser.write(chunk)) incoming.pause();
      } catch (error) {
        refuse(broken(error));
      }
    };
    const onEnd = (): void => {
      if (refused) end(refused);
      else parser.end();
    };
    const onClose = (): void => {
      if (!incoming.complete) end(refused ?? invalid('The request broke off.'));
    };
    if (declared > largest) refuse(tooLarge('the request', largest));
    parser.on('drain', () => incoming.resume());
    parser.on('error', (error: unknown) => refuse(broken(error)));
    parser.on('partsLimit', () => refuse(invalid(`Expected the parts ${list(names)} and no others.`)));
    parser.on('file', (named: string | undefined, stream: BusboyFileStream, _fileName: string, encoding: string) => {
      // the parser's types promise a name, but a part may come without one
      const name = named ?? '';
      const limit = Object.hasOwn(limits.parts, name) ? limits.parts[name] : undefined;
      stream.on('error', (error: unknown) => refuse(broken(error)));
      if (limit === undefined) refuse(invalid(`Expected the parts ${list(names)} but received "${shown(name)}".`));
      else if (open.has(name)) refuse(invalid(`Expected one part "${name}" but received several.`));
      else if (!PLAIN_ENCODINGS.has(encoding))
        refuse(invalid(`Expected part "${name}" in binary, not ${shown(encoding)}.`));
      if (refused || limit === undefined) {
        stream.resume();
        return;
      }
      open.add(name);
      collect(stream, limit, (part) => (part ? parts.set(name, part) : refuse(tooLarge(`part "${name}"`, limit))));
    });
    parser.on('finish', () => {
      const missing = names.filter((name) => !parts.has(name));
      if (refused || missing.length === 0) end(refused);
      else refuse(invalid(`Expected the parts ${list(names)} but ${list(missing)} did not come.`));
    });
    incoming.on('data', onData).on('end', onEnd).on('close', onClose);
  });
}

function parserFor(incoming: IncomingMessage, parts: number): BusboyInstance {
  const contentType = incoming.headers['content-type'];
  if (contentType === undefined || !/^multipart\/form-data\s*(?:;|$)/i.test(contentType)) {
    throw new Problem('UNSUPPORTED_MEDIA_TYPE', 'Expected multipart/form-data.');
  }
  try {
    return new Busboy({
      headers: { 'content-type': contentType },
      // every part is bytes here: clients send JSON parts with and without a file name
      isPartAFile: () => true,
      limits: { parts: parts + 1, headerPairs: MAX_PART_HEADERS, headerSize: MAX_PART_HEADER_BYTES },
    });
  } catch (error) {
    throw broken(error);
  }
}

/** Calls back once: with the whole part, or with null as soon as it is larger than `limit`. */
function collect(stream: BusboyFileStream, limit: number, done: (part: FormPart | null) => void): void {
  const chunks: Buffer[] = [];
  const hash = createHash('sha256');
  let length = 0;
  stream.on('data', (chunk: Buffer) => {
    const before = length;
    length += chunk.length;
    if (length <= limit) {
      chunks.push(chunk);
      hash.update(chunk);
    } else if (before <= limit) {
      chunks.length = 0;
      done(null);
    }
  });
  stream.on('end', () => {
    if (length <= limit) done({ bytes: joined(chunks, length), sha256: hash.digest() });
  });
}

function joined(chunks: readonly Buffer[], length: number): Uint8Array<ArrayBuffer> {
  const whole = new Uint8Array(length);
  let at = 0;
  for (const chunk of chunks) {
    whole.set(chunk, at);
    at += chunk.length;
  }
  return whole;
}

function list(names: readonly string[]): string {
  return names.map((name) => `"${name}"`).join(' and ');
}

/** A name from outside as it may stand in an answer. */
function shown(text: string): string {
  return text.replace(/[^\x20-\x7e]/g, '?').slice(0, 40);
}

function invalid(message: string): Problem {
  return new Problem('VALIDATION_FAILED', message);
}

function broken(cause: unknown): Problem {
  return new Problem('VALIDATION_FAILED', 'Expected a well-formed multipart body with its boundary.', { cause });
}

function tooLarge(what: string, bytes: number): Problem {
  return new Problem('PAYLOAD_TOO_LARGE', `Expected at most ${bytes} bytes for ${what}.`);
}

/**
 * Memory for uploads that are on their way or being worked on. A request that finds none waits without being read
 * (TCP holds its sender back), and after a while is answered with 503.
 */
export class UploadMemory {
  #free: number;
  readonly #waiting: { bytes: number; enter: () => void }[] = [];
  readonly #maxWaiting: number;
  readonly #waitMs: number;

  constructor(options: { bytes: number; maxWaiting?: number; waitMs?: number }) {
    this.#free = options.bytes;
    this.#maxWaiting = options.maxWaiting ?? 256;
    this.#waitMs = options.waitMs ?? 15_000;
  }

  /** Runs `work` while `bytes` are set aside for it. @throws Problem UNAVAILABLE with Retry-After. */
  async hold<T>(bytes: number, work: () => Promise<T>): Promise<T> {
    await this.#take(bytes);
    try {
      return await work();
    } finally {
      this.#free += bytes;
      this.#admit();
    }
  }

  #take(bytes: number): Promise<void> {
    if (this.#waiting.length === 0 && this.#free >= bytes) {
      this.#free -= bytes;
      return Promise.resolve();
    }
    if (this.#waiting.length >= this.#maxWaiting) return Promise.reject(busy());
    return new Promise((resolve, reject) => {
      const waiter = {
        bytes,
        enter: (): void => {
          clearTimeout(timer);
          resolve();
        },
      };
      const timer = setTimeout(() => {
        this.#waiting.splice(this.#waiting.indexOf(waiter), 1);
        reject(busy());
        this.#admit();
      }, this.#waitMs);
      this.#waiting.push(waiter);
    });
  }

  #admit(): void {
    for (let first = this.#waiting[0]; first && this.#free >= first.bytes; first = this.#waiting[0]) {
      this.#waiting.shift();
      this.#free -= first.bytes;
      first.enter();
    }
  }
}

function busy(): Problem {
  return new Problem('UNAVAILABLE', 'Too many uploads are on their way.', { headers: { 'retry-after': '5' } });
}
