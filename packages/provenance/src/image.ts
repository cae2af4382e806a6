// What a picture says about itself before any pixel is decoded: format, size, depth, orientation, limits.
// Every read is bounded by the bytes that are there; a header that lies ends in a coded error, never in a crash.

export type ImageFormat = 'jpeg' | 'png' | 'webp';
export type ImageErrorCode = 'UNSUPPORTED_MEDIA_TYPE' | 'PAYLOAD_TOO_LARGE' | 'VALIDATION_FAILED';

/** The picture is bad (never the caller): `code` is the public error code, `evidence` the values that led to it. */
export class ImageError extends Error {
  readonly code: ImageErrorCode;
  readonly evidence: Readonly<Record<string, string | number | boolean>>;

  constructor(
    code: ImageErrorCode,
    message: string,
    evidence: Readonly<Record<string, string | number | boolean>> = {},
    options?: ErrorOptions,
  ) {
    super(message, options);
    this.name = 'ImageError';
    this.code = code;
    this.evidence = evidence;
  }
}

/** What the header alone tells. Width and height are the stored ones: `orientation` (EXIF 1…8) is not applied. */
export interface ImageHeader {
  format: ImageFormat;
  width: number;
  height: number;
  /** Samples per pixel as stored, a palette counting as its colours: 1 grey, 2 grey+alpha, 3 RGB, 4 RGBA or CMYK. */
  channels: 1 | 2 | 3 | 4;
  bitDepth: number;
  hasAlpha: boolean;
  orientation: number;
  animated: boolean;
  cmyk: boolean;
  palette: boolean;
  /** WebP by VP8L, and PNG always. */
  lossless: boolean;
  /** JPEG only: estimate on the scale of the Independent JPEG Group, 1…100. */
  jpegQuality: number | null;
  /** JPEG only; `other` are factors beside the three usual ones. */
  chromaSubsampling: '4:4:4' | '4:2:2' | '4:2:0' | 'other' | null;
}

export const IMAGE_LIMITS = { maxBytes: 26_214_400, maxPixels: 16_000_000, minProtectedSidePx: 256 } as const;

export const MEDIA_TYPES: Readonly<Record<ImageFormat, string>> = {
  jpeg: 'image/jpeg',
  png: 'image/png',
  webp: 'image/webp',
};

// magic bytes of what people send by mistake: named in the refusal, so that they know what to convert
const REFUSED_MAGIC: readonly (readonly [name: string, offset: number, bytes: string])[] = [
  ['GIF', 0, 'GIF8'],
  ['TIFF', 0, 'II*\0'],
  ['TIFF', 0, 'MM\0*'],
  ['BMP', 0, 'BM'],
  ['PDF', 0, '%PDF'],
  ['SVG or XML', 0, '<'],
  ['AVIF or HEIF', 4, 'ftyp'],
  ['JPEG XL', 0, '\xff\x0a'],
  ['JPEG 2000', 4, 'jP  '],
];

/** The format by its magic bytes, or null: a file name or a declared type plays no part. */
export function sniffFormat(bytes: Uint8Array): ImageFormat | null {
  if (startsWith(bytes, 0, '\xff\xd8\xff')) return 'jpeg';
  if (startsWith(bytes, 0, '\x89PNG\r\n\x1a\n')) return 'png';
  if (startsWith(bytes, 0, 'RIFF') && startsWith(bytes, 8, 'WEBP')) return 'webp';
  return null;
}

/**
 * Reads the header and holds it against the limits that verify and protect have in common.
 * @throws ImageError UNSUPPORTED_MEDIA_TYPE (other format, animated), PAYLOAD_TOO_LARGE (bytes or pixels),
 *   VALIDATION_FAILED (empty, or a header that ends early or contradicts itself).
 */
export function readImageHeader(bytes: Uint8Array): ImageHeader {
  if (bytes.length === 0) throw invalid('Expected an image but received an empty file', { bytes: 0 });
  if (bytes.length > IMAGE_LIMITS.maxBytes) {
    throw new ImageError(
      'PAYLOAD_TOO_LARGE',
      `Expected at most ${IMAGE_LIMITS.maxBytes} bytes for an image but received ${bytes.length}`,
      { bytes: bytes.length, maxBytes: IMAGE_LIMITS.maxBytes },
    );
  }
  const format = sniffFormat(bytes);
  if (format === null) throw unsupported(bytes);
  const header = READERS[format](bytes);
  refuseBeyondLimits(header);
  return header;
}

/** What protect asks beyond the common limits. @throws ImageError VALIDATION_FAILED (too small) or UNSUPPORTED_MEDIA_TYPE (CMYK). */
export function requireProtectable(header: ImageHeader): void {
  const shorter = Math.min(header.width, header.height);
  if (shorter < IMAGE_LIMITS.minProtectedSidePx) {
    throw invalid(
      `Expected a shorter side of at least ${IMAGE_LIMITS.minProtectedSidePx} px for protection but received ${header.width}×${header.height}`,
      { width: header.width, height: header.height },
    );
  }
  // a conversion would change every colour of the picture: that is the owner's decision, not ours
  if (header.cmyk) {
    throw new ImageError(
      'UNSUPPORTED_MEDIA_TYPE',
      'Expected a JPEG in grey or RGB for protection but received CMYK: convert it to RGB first',
      { cmyk: true },
    );
  }
}

function refuseBeyondLimits(header: ImageHeader): void {
  const { width, height } = header;
  if (width < 1 || height < 1) {
    throw invalid(`Expected a width and a height above zero but received ${width}×${height}`, { width, height });
  }
  if (width * height > IMAGE_LIMITS.maxPixels) {
    throw new ImageError(
      'PAYLOAD_TOO_LARGE',
      `Expected at most ${IMAGE_LIMITS.maxPixels} pixels for an image but received ${width}×${height}`,
      { width, height, maxPixels: IMAGE_LIMITS.maxPixels },
    );
  }
  if (header.animated) {
    throw new ImageError('UNSUPPORTED_MEDIA_TYPE', `Expected a still image but received an animated ${header.format}`, {
      animated: true,
    });
  }
}

function unsupported(bytes: Uint8Array): ImageError {
  const known = REFUSED_MAGIC.find(([, offset, magic]) => startsWith(bytes, offset, magic));
  return new ImageError(
    'UNSUPPORTED_MEDIA_TYPE',
    `Expected a JPEG, PNG or WebP by its magic bytes but received ${known ? known[0] : 'something else'}`,
    { received: known ? known[0] : 'unknown' },
  );
}

function invalid(message: string, evidence: Record<string, string | number | boolean> = {}): ImageError {
  return new ImageError('VALIDATION_FAILED', message, evidence);
}

const READERS: Readonly<Record<ImageFormat, (bytes: Uint8Array) => ImageHeader>> = {
  jpeg: readJpegHeader,
  png: readPngHeader,
  webp: readWebpHeader,
};

// ---------------------------------------------------------------- JPEG (ITU-T T.81, annex B)

/** One marker segment before the entropy-coded data; `body` excludes marker and length. */
export interface JpegSegment {
  marker: number;
  /** Of the 0xFF that begins the marker. */
  offset: number;
  /** First byte after the segment. */
  end: number;
  body: Uint8Array;
}

const MAX_JPEG_SEGMENTS = 4096;
const SOF_MARKERS = new Set([0xc0, 0xc1, 0xc2, 0xc3, 0xc5, 0xc6, 0xc7, 0xc9, 0xca, 0xcb, 0xcd, 0xce, 0xcf]);

/** The segments from SOI up to, and with, the first SOS. @throws ImageError VALIDATION_FAILED when they break off. */
export function jpegSegments(bytes: Uint8Array): JpegSegment[] {
  const segments: JpegSegment[] = [];
  let at = 2;
  while (segments.length < MAX_JPEG_SEGMENTS) {
    const offset = at;
    if (bytes[at] !== 0xff) throw invalid(`Expected a JPEG marker at byte ${at} but the header ends or is damaged`);
    while (bytes[at] === 0xff) at++;
    const marker = bytes[at];
    if (marker === undefined || at + 3 > bytes.length) throw invalid('Expected a whole JPEG header but it is cut off');
    at++;
    if (marker === 0x01 || (marker >= 0xd0 && marker <= 0xd7)) continue;
    if (marker === 0xd9) throw invalid('Expected image data in the JPEG but it ends after its header');
    const length = ((bytes[at] as number) << 8) | (bytes[at + 1] as number);
    if (length < 2 || at + length > bytes.length) {
      throw invalid(`Expected ${length} bytes in the JPEG segment at byte ${offset} but the file is cut off`);
    }
    segments.push({ marker, offset, end: at + length, body: bytes.subarray(at + 2, at + length) });
    if (marker === 0xda) return segments;
    at += length;
  }
  throw invalid(`Expected at most ${MAX_JPEG_SEGMENTS} segments in the JPEG header`);
}

function readJpegHeader(bytes: Uint8Array): ImageHeader {
  const segments = jpegSegments(bytes);
  const frame = segments.find(({ marker }) => SOF_MARKERS.has(marker));
  if (!frame) throw invalid('Expected a frame header in the JPEG but found none');
  const { body } = frame;
  const components = body[5] ?? 0;
  if (body.length < 6 + 3 * components) throw invalid('Expected a whole JPEG frame header but it is cut off');
  if (components !== 1 && components !== 3 && components !== 4) {
    throw invalid(`Expected 1, 3 or 4 components in the JPEG but received ${components}`, { components });
  }
  const exif = segments.find(({ marker, body }) => marker === 0xe1 && startsWith(body, 0, 'Exif\0\0'));
  return {
    format: 'jpeg',
    height: ((body[1] as number) << 8) | (body[2] as number),
    width: ((body[3] as number) << 8) | (body[4] as number),
    channels: components,
    bitDepth: body[0] as number,
    hasAlpha: false,
    orientation: exif ? exifOrientation(exif.body.subarray(6)) : 1,
    animated: false,
    cmyk: components === 4,
    palette: false,
    lossless: false,
    jpegQuality: estimateJpegQuality(segments),
    chromaSubsampling: components === 3 ? subsampling(body) : null,
  };
}

const SUBSAMPLING = new Map<string, ImageHeader['chromaSubsampling']>([
  ['1x1', '4:4:4'],
  ['2x1', '4:2:2'],
  ['2x2', '4:2:0'],
]);

function subsampling(frame: Uint8Array): ImageHeader['chromaSubsampling'] {
  const luma = frame[7] as number;
  const [blue, red] = [frame[10] as number, frame[13] as number];
  if (blue !== red || blue === 0 || (blue & 15) === 0) return 'other';
  return SUBSAMPLING.get(`${(luma >> 4) / (blue >> 4)}x${(luma & 15) / (blue & 15)}`) ?? 'other';
}

// luminance table K.1 of ITU-T T.81 as a sum and in zigzag order: the scale of the Independent JPEG Group multiplies it
// prettier-ignore
const LUMA_K1 = [
  16, 11, 12, 14, 12, 10, 16, 14, 13, 14, 18, 17, 16, 19, 24, 40, 26, 24, 22, 22, 24, 49, 35, 37, 29, 40, 58, 51, 61, 60, 57, 51,
  56, 55, 64, 72, 92, 78, 64, 68, 87, 69, 55, 56, 80, 109, 81, 87, 95, 98, 103, 104, 103, 62, 77, 113, 121, 112, 100, 120, 92, 101, 103, 99,
];

/** The sum of the luminance table at a quality, as libjpeg's `jpeg_set_quality` makes it. */
function lumaTableSum(quality: number): number {
  const scale = quality < 50 ? Math.floor(5000 / quality) : 200 - 2 * quality;
  return LUMA_K1.reduce((sum, value) => sum + Math.min(255, Math.max(1, Math.floor((value * scale + 50) / 100))), 0);
}

const LUMA_SUMS = Array.from({ length: 100 }, (_, index) => lumaTableSum(index + 1));

/**
 * The quality whose standard luminance table has the sum nearest to the file's own (ties: the higher quality).
 * Exact for libjpeg's tables, an estimate for the tables of cameras; null when there is no table.
 */
export function estimateJpegQuality(segments: readonly JpegSegment[]): number | null {
  const sum = firstTableSum(segments);
  if (sum === null) return null;
  let best = 1;
  for (let quality = 1; quality <= 100; quality++) {
    const [here, there] = [LUMA_SUMS[quality - 1] as number, LUMA_SUMS[best - 1] as number];
    if (Math.abs(here - sum) <= Math.abs(there - sum)) best = quality;
  }
  return best;
}

function firstTableSum(segments: readonly JpegSegment[]): number | null {
  for (const { marker, body } of segments) {
    if (marker !== 0xdb) continue;
    for (let at = 0; at < body.length;) {
      const [wide, id] = [(body[at] as number) >> 4, (body[at] as number) & 15];
      const size = wide ? 128 : 64;
      const table = body.subarray(at + 1, at + 1 + size);
      if (table.length < size) return null;
      // 16-bit tables are rescaled to nothing: their entries already are quantiser steps
      if (id === 0) return tableSum(table, wide !== 0);
      at += 1 + size;
    }
  }
  return null;
}

function tableSum(table: Uint8Array, wide: boolean): number {
  if (!wide) return table.reduce((sum, value) => sum + value, 0);
  let sum = 0;
  for (let i = 0; i < table.length; i += 2) sum += ((table[i] as number) << 8) | (table[i + 1] as number);
  return sum;
}

/** The orientation tag (0x0112) of IFD0 in a TIFF block; 1 when absent or damaged. */
export function exifOrientation(tiff: Uint8Array): number {
  const view = new DataView(tiff.buffer, tiff.byteOffset, tiff.byteLength);
  if (tiff.length < 14) return 1;
  const little = view.getUint16(0) === 0x4949;
  if (!little && view.getUint16(0) !== 0x4d4d) return 1;
  const ifd = view.getUint32(4, little);
  if (ifd + 2 > tiff.length) return 1;
  const count = view.getUint16(ifd, little);
  for (let index = 0, at = ifd + 2; index < count && at + 12 <= tiff.length; index++, at += 12) {
    if (view.getUint16(at, little) !== 0x0112) continue;
    const value = view.getUint16(at + 8, little);
    return value >= 1 && value <= 8 ? value : 1;
  }
  return 1;
}

// ---------------------------------------------------------------- PNG (W3C PNG, third edition)

/** One chunk: `offset` of its length field, `end` after its CRC. */
export interface PngChunk {
  type: string;
  offset: number;
  end: number;
  body: Uint8Array;
}

const MAX_PNG_CHUNKS = 65_536;

/** Chunks in file order until IEND, the end of the bytes, or (with `headerOnly`) the first IDAT, which is included. */
export function pngChunks(bytes: Uint8Array, headerOnly = false): PngChunk[] {
  const chunks: PngChunk[] = [];
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (let at = 8; at + 12 <= bytes.length && chunks.length < MAX_PNG_CHUNKS;) {
    const length = view.getUint32(at);
    const type = latin1(bytes, at + 4, 4);
    const end = at + 12 + length;
    if (headerOnly && type === 'IDAT') {
      chunks.push({ type, offset: at, end, body: bytes.subarray(at + 8, Math.min(bytes.length, end - 4)) });
      return chunks;
    }
    if (end > bytes.length) return chunks;
    chunks.push({ type, offset: at, end, body: bytes.subarray(at + 8, end - 4) });
    if (type === 'IEND') return chunks;
    at = end;
  }
  return chunks;
}

// colour type → samples per pixel and the bit depths that the specification allows
const PNG_COLOUR_TYPES = new Map<number, { channels: 1 | 2 | 3 | 4; depths: readonly number[] }>([
  [0, { channels: 1, depths: [1, 2, 4, 8, 16] }],
  [2, { channels: 3, depths: [8, 16] }],
  [3, { channels: 3, depths: [1, 2, 4, 8] }],
  [4, { channels: 2, depths: [8, 16] }],
  [6, { channels: 4, depths: [8, 16] }],
]);

function readPngHeader(bytes: Uint8Array): ImageHeader {
  const chunks = pngChunks(bytes, true);
  const ihdr = chunks[0];
  if (!ihdr || ihdr.type !== 'IHDR' || ihdr.body.length !== 13) {
    throw invalid('Expected a whole IHDR chunk first in the PNG but it is cut off or damaged');
  }
  const { body } = ihdr;
  const view = new DataView(body.buffer, body.byteOffset, body.byteLength);
  const [bitDepth, colourType] = [body[8] as number, body[9] as number];
  const colour = PNG_COLOUR_TYPES.get(colourType);
  if (!colour || !colour.depths.includes(bitDepth)) {
    throw invalid(
      `Expected a PNG colour type and depth of the specification but received ${colourType} and ${bitDepth}`,
    );
  }
  const transparency = chunks.some(({ type }) => type === 'tRNS') ? 1 : 0;
  const channels = (colour.channels + (colour.channels % 2 === 1 ? transparency : 0)) as 1 | 2 | 3 | 4;
  const exif = chunks.find(({ type }) => type === 'eXIf');
  return {
    format: 'png',
    width: view.getUint32(0),
    height: view.getUint32(4),
    channels,
    bitDepth,
    hasAlpha: channels % 2 === 0,
    orientation: exif ? exifOrientation(exif.body) : 1,
    animated: chunks.some(({ type }) => type === 'acTL'),
    cmyk: false,
    palette: colourType === 3,
    lossless: true,
    jpegQuality: null,
    chromaSubsampling: null,
  };
}

// ---------------------------------------------------------------- WebP (RFC 9649)

/** One RIFF chunk: `offset` of its FourCC, `end` after its padding. */
export interface WebpChunk {
  type: string;
  offset: number;
  end: number;
  body: Uint8Array;
}

const MAX_WEBP_CHUNKS = 65_536;

/** Chunks in file order; the last body is cut where the file is. */
export function webpChunks(bytes: Uint8Array): WebpChunk[] {
  const chunks: WebpChunk[] = [];
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (let at = 12; at + 8 <= bytes.length && chunks.length < MAX_WEBP_CHUNKS;) {
    const length = view.getUint32(at + 4, true);
    const end = at + 8 + length + (length & 1);
    chunks.push({
      type: latin1(bytes, at, 4),
      offset: at,
      end,
      body: bytes.subarray(at + 8, Math.min(bytes.length, at + 8 + length)),
    });
    at = end;
  }
  return chunks;
}

function readWebpHeader(bytes: Uint8Array): ImageHeader {
  const chunks = webpChunks(bytes);
  const first = chunks[0];
  if (!first) throw invalid('Expected a chunk in the WebP but it is cut off');
  const still = chunks.find(({ type }) => type === 'VP8 ' || type === 'VP8L');
  const lossless = still?.type === 'VP8L';
  const size = first.type === 'VP8X' ? extendedSize(first.body) : stillSize(first);
  const exif = chunks.find(({ type }) => type === 'EXIF');
  return {
    format: 'webp',
    width: size.width,
    height: size.height,
    channels: size.hasAlpha ? 4 : 3,
    bitDepth: 8,
    hasAlpha: size.hasAlpha,
    orientation: exif ? exifOrientation(withoutExifPrefix(exif.body)) : 1,
    animated: size.animated || chunks.some(({ type }) => type === 'ANIM' || type === 'ANMF'),
    cmyk: false,
    palette: false,
    lossless,
    jpegQuality: null,
    chromaSubsampling: null,
  };
}

interface WebpSize {
  width: number;
  height: number;
  hasAlpha: boolean;
  animated: boolean;
}

function extendedSize(body: Uint8Array): WebpSize {
  if (body.length < 10) throw invalid('Expected a whole VP8X chunk in the WebP but it is cut off');
  const flags = body[0] as number;
  return {
    width: 1 + uint24(body, 4),
    height: 1 + uint24(body, 7),
    hasAlpha: (flags & 0x10) !== 0,
    animated: (flags & 0x02) !== 0,
  };
}

function stillSize({ type, body }: WebpChunk): WebpSize {
  if (type === 'VP8L' && body.length >= 5 && body[0] === 0x2f) {
    const bits = uint24(body, 1) + (body[4] as number) * 0x1000000;
    return {
      width: 1 + (bits & 0x3fff),
      height: 1 + ((bits >>> 14) & 0x3fff),
      hasAlpha: ((bits >>> 28) & 1) === 1,
      animated: false,
    };
  }
  if (type === 'VP8 ' && body.length >= 10 && uint24(body, 3) === 0x2a019d) {
    const width = ((body[6] as number) | ((body[7] as number) << 8)) & 0x3fff;
    const height = ((body[8] as number) | ((body[9] as number) << 8)) & 0x3fff;
    return { width, height, hasAlpha: false, animated: false };
  }
  throw invalid('Expected a VP8, VP8L or VP8X header in the WebP but it is cut off or damaged');
}

/** Some writers put the JPEG prefix `Exif\0\0` before the TIFF block of a WebP. */
export function withoutExifPrefix(body: Uint8Array): Uint8Array {
  return startsWith(body, 0, 'Exif\0\0') ? body.subarray(6) : body;
}

// ---------------------------------------------------------------- bytes

function uint24(bytes: Uint8Array, at: number): number {
  return (bytes[at] as number) | ((bytes[at + 1] as number) << 8) | ((bytes[at + 2] as number) << 16);
}

function latin1(bytes: Uint8Array, at: number, length: number): string {
  return String.fromCharCode(...bytes.subarray(at, at + length));
}

/** Whether the bytes at `offset` spell `text`, one Latin-1 character a byte. */
export function startsWith(bytes: Uint8Array, offset: number, text: string): boolean {
  if (offset + text.length > bytes.length) return false;
  for (let i = 0; i < text.length; i++) if (bytes[offset + i] !== text.charCodeAt(i)) return false;
  return true;
}
