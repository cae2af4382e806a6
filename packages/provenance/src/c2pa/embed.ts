// Where a manifest store lives in a file: JPEG APP11 segments, the PNG chunk caBX, the WebP chunk C2PA
// (C2PA specification, appendix A.3). Puts one in, takes it out, and finds whatever is left of a broken one.
import { crc32 } from 'node:zlib';
import {
  ImageError,
  jpegSegments,
  pngChunks,
  startsWith,
  webpChunks,
  type ImageFormat,
  type JpegSegment,
} from '../image.ts';
import { concatBytes } from './cbor.ts';

/** The container around a manifest store is not written as the specification says. */
export class EmbedError extends Error {
  readonly code = 'C2PA_CONTAINER_INVALID';
}

export interface EmbeddedManifest {
  /** The JUMBF bytes of the store, joined where the container splits them. */
  readonly store: Uint8Array;
  /** First byte of the container that holds it, and the first byte after it. */
  readonly start: number;
  readonly end: number;
}

interface Container {
  insert(unsigned: Uint8Array, store: Uint8Array): Uint8Array<ArrayBuffer>;
  extract(bytes: Uint8Array): EmbeddedManifest | null;
  /** Container parts that claim to hold a store, well-formed or not. */
  claims(bytes: Uint8Array): boolean;
}

const MAX_STORE_BYTES = 16 * 1024 * 1024;

/**
 * The signed file: the same bytes that the C2PA library writes when it embeds this store into this file.
 * @throws EmbedError when the file holds a store already, TypeError when the store cannot be one.
 */
export function insertManifest(unsigned: Uint8Array, format: ImageFormat, store: Uint8Array): Uint8Array<ArrayBuffer> {
  if (store.length < 32 || store.length > MAX_STORE_BYTES)
    throw new TypeError(`Expected a manifest store of 32 to ${MAX_STORE_BYTES} bytes but received ${store.length}`);
  if (CONTAINERS[format].claims(unsigned)) throw new EmbedError('Expected a file without a manifest store');
  return CONTAINERS[format].insert(unsigned, store);
}

/** The manifest store of a file, or null when its container has none. @throws EmbedError when it is damaged or doubled. */
export function extractManifest(bytes: Uint8Array, format: ImageFormat): EmbeddedManifest | null {
  try {
    return CONTAINERS[format].extract(bytes);
  } catch (cause) {
    if (cause instanceof ImageError) throw new EmbedError(cause.message, { cause });
    throw cause;
  }
}

// byte strings that a photograph does not hold by chance, looked for in the whole file, so that a store behind the end of
// the image, or in a container that no longer parses, still counts as a marker
const TRACES: readonly string[] = ['jumdc2', 'urn:c2pa:'];
const PART_TRACE = 'c2pa.';
const PARTS: readonly string[] = ['c2pa.assertions', 'c2pa.signature', 'c2pa.claim'];
const REMOTE_TRACE = 'dcterms:provenance';

/** Any sign of C2PA in the file, also of a store that is cut, hidden or overwritten in part. */
export function hasC2paMarker(bytes: Uint8Array, format: ImageFormat): boolean {
  if (CONTAINERS[format].claims(bytes)) return true;
  const haystack = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (TRACES.some((trace) => haystack.includes(trace, 0, 'latin1')) || hasRemoteReference(bytes)) return true;
  // five letters alone do turn up in 25 MB of noise, about once in 40,000 files
  for (let at = -1; (at = haystack.indexOf(PART_TRACE, at + 1, 'latin1')) >= 0;)
    if (PARTS.some((part) => startsWith(bytes, at, part))) return true;
  return false;
}

/** Whether XMP points to a manifest that lies elsewhere. It is never fetched. */
export function hasRemoteReference(bytes: Uint8Array): boolean {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).includes(REMOTE_TRACE, 0, 'latin1');
}

// ---------------------------------------------------------------- JPEG: APP11 segments (ISO 19566-5 annex D)

const APP0 = 0xe0;
const APP11 = 0xeb;
const JPEG_CHUNK_BYTES = 64_000; // what the C2PA library puts into one segment
const BOX_HEADER_BYTES = 8;
const SEGMENT_HEADER_BYTES = 8; // CI, En, Z
const BOX_INSTANCE = 0x0211;
// the instance number is not signed and says nothing: only the library's own and the plainest are taken
const KNOWN_INSTANCES: ReadonlySet<number> = new Set([BOX_INSTANCE, 1]);
const C2PA_TYPE_AT = 24; // in the first segment: CI En Z, jumb header, jumd header, then the type UUID

const jpeg: Container = {
  insert(unsigned, store) {
    const app0 = jpegSegments(unsigned).findLast((segment) => segment.marker === APP0);
    const at = app0?.end ?? 2;
    const parts: Uint8Array[] = [unsigned.subarray(0, at)];
    for (let offset = 0, z = 1; offset < store.length; offset += JPEG_CHUNK_BYTES, z++) {
      const repeated = z === 1 ? store.subarray(0, 0) : store.subarray(0, BOX_HEADER_BYTES);
      const piece = store.subarray(offset, offset + JPEG_CHUNK_BYTES);
      parts.push(jpegSegmentHeader(repeated.length + piece.length, z), repeated, piece);
    }
    parts.push(unsigned.subarray(at));
    return concatBytes(parts);
  },

  extract(bytes) {
    const segments = jpegSegments(bytes);
    const first = segments.findIndex(isC2paSegment);
    if (first < 0) return null;
    const pieces: Uint8Array[] = [];
    let length = 0;
    let total = 0;
    let z = 0;
    const begin = segments[first] as JpegSegment;
    const instance = view16(begin.body, 2);
    if (!KNOWN_INSTANCES.has(instance)) throw new EmbedError(`Expected a usual box instance but found ${instance}`);
    let end = begin.end;
    for (const segment of segments.slice(first)) {
      if (!isJumbfSegment(segment) || view16(segment.body, 2) !== instance) break;
      const box = view32(segment.body, SEGMENT_HEADER_BYTES);
      if (view32(segment.body, 4) !== ++z) throw new EmbedError('Expected APP11 segments numbered from 1');
      if (z === 1) total = box;
      else if (box !== total || view32(segment.body, 12) !== view32(begin.body, 12))
        throw new EmbedError('Expected the same box header in every APP11 segment of a store');
      const piece = segment.body.subarray(SEGMENT_HEADER_BYTES + (z === 1 ? 0 : BOX_HEADER_BYTES));
      pieces.push(piece);
      length += piece.length;
      end = segment.end;
      if (length >= total) break;
    }
    if (length !== total) throw new EmbedError(`Expected a store of ${total} bytes but its segments hold ${length}`);
    if (segments.filter(isC2paSegment).length > 1) throw new EmbedError('Expected one manifest store in a JPEG');
    return { store: concatBytes(pieces), start: begin.offset, end };
  },

  claims(bytes) {
    try {
      return jpegSegments(bytes).some((segment) => isJumbfSegment(segment) && mentionsC2pa(segment.body));
    } catch {
      return false; // a header that breaks off: the traces in the whole file decide
    }
  },
};

function jpegSegmentHeader(payloadBytes: number, z: number): Uint8Array {
  const header = new Uint8Array(4 + SEGMENT_HEADER_BYTES);
  const view = new DataView(header.buffer);
  view.setUint16(0, 0xff00 | APP11);
  view.setUint16(2, 2 + SEGMENT_HEADER_BYTES + payloadBytes);
  header.set([0x4a, 0x50], 4); // CI "JP"
  view.setUint16(6, BOX_INSTANCE);
  view.setUint32(8, z);
  return header;
}

const isJumbfSegment = ({ marker, body }: JpegSegment): boolean =>
  marker === APP11 && body.length >= SEGMENT_HEADER_BYTES + BOX_HEADER_BYTES && startsWith(body, 0, 'JP');

const isC2paSegment = (segment: JpegSegment): boolean =>
  isJumbfSegment(segment) && startsWith(segment.body, 12, 'jumb') && startsWith(segment.body, C2PA_TYPE_AT, 'c2pa');

// ---------------------------------------------------------------- PNG: chunk caBX

const PNG_CHUNK_TYPE = 'caBX';
const PNG_CHUNK_OVERHEAD = 12;

const png: Container = {
  insert(unsigned, store) {
    const header = pngChunks(unsigned, true)[0];
    if (header?.type !== 'IHDR') throw new EmbedError('Expected IHDR first in a PNG');
    return concatBytes([unsigned.subarray(0, header.end), pngChunk(store), unsigned.subarray(header.end)]);
  },

  extract(bytes) {
    const chunks = pngChunks(bytes).filter((chunk) => chunk.type === PNG_CHUNK_TYPE);
    const [chunk] = chunks;
    if (chunk === undefined) return null;
    if (chunks.length > 1) throw new EmbedError('Expected one manifest store in a PNG');
    const written = bytes.subarray(chunk.offset, chunk.end);
    if (view32(written, written.length - 4) !== crc32(written.subarray(4, -4)))
      throw new EmbedError('Expected the right check sum on the chunk of the manifest store');
    return { store: chunk.body, start: chunk.offset, end: chunk.end };
  },

  claims: (bytes) => pngChunks(bytes).some((chunk) => chunk.type === PNG_CHUNK_TYPE),
};

function pngChunk(body: Uint8Array): Uint8Array {
  const chunk = new Uint8Array(PNG_CHUNK_OVERHEAD + body.length);
  const view = new DataView(chunk.buffer);
  view.setUint32(0, body.length);
  chunk.set(Buffer.from(PNG_CHUNK_TYPE, 'latin1'), 4);
  chunk.set(body, 8);
  view.setUint32(chunk.length - 4, crc32(chunk.subarray(4, -4)));
  return chunk;
}

// ---------------------------------------------------------------- WebP: RIFF chunk C2PA, the last one

const WEBP_CHUNK_TYPE = 'C2PA';
const RIFF_HEADER_BYTES = 8;

const webp: Container = {
  insert(unsigned, store) {
    const last = webpChunks(unsigned).at(-1);
    if (last === undefined) throw new EmbedError('Expected a chunk in a WebP');
    const chunk = new Uint8Array(RIFF_HEADER_BYTES + store.length + (store.length & 1));
    chunk.set(Buffer.from(WEBP_CHUNK_TYPE, 'latin1'));
    new DataView(chunk.buffer).setUint32(4, store.length, true);
    chunk.set(store, RIFF_HEADER_BYTES);
    const signed = concatBytes([unsigned.subarray(0, last.end), chunk]);
    new DataView(signed.buffer).setUint32(4, signed.length - RIFF_HEADER_BYTES, true);
    return signed;
  },

  extract(bytes) {
    const chunks = webpChunks(bytes).filter((chunk) => chunk.type === WEBP_CHUNK_TYPE);
    const [chunk] = chunks;
    if (chunk === undefined) return null;
    if (chunks.length > 1) throw new EmbedError('Expected one manifest store in a WebP');
    if (chunk.end > bytes.length) throw new EmbedError('Expected the whole chunk of the manifest store');
    const padding = bytes.subarray(chunk.offset + RIFF_HEADER_BYTES + chunk.body.length, chunk.end);
    if (padding.some((byte) => byte !== 0)) throw new EmbedError('Expected a zero as padding of the chunk');
    const riffEnd = RIFF_HEADER_BYTES + new DataView(bytes.buffer, bytes.byteOffset).getUint32(4, true);
    if (riffEnd !== bytes.length) throw new EmbedError(`Expected a RIFF of ${riffEnd} bytes, received ${bytes.length}`);
    return { store: chunk.body, start: chunk.offset, end: chunk.end };
  },

  claims: (bytes) => webpChunks(bytes).some((chunk) => chunk.type === WEBP_CHUNK_TYPE),
};

const CONTAINERS: Readonly<Record<ImageFormat, Container>> = { jpeg, png, webp };

// ---------------------------------------------------------------- bytes

function view16(bytes: Uint8Array, at: number): number {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength).getUint16(at);
}

function view32(bytes: Uint8Array, at: number): number {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength).getUint32(at);
}

const mentionsC2pa = (bytes: Uint8Array): boolean =>
  Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).includes('c2pa', 0, 'latin1');
