// What stays of a file beside its pixels: ICC, EXIF, XMP, IPTC and colour chunks, taken out of one container and put into
// another of the same format. Everything else is left behind: previews, maps, second pictures, unknown segments.
import { crc32, inflateSync } from 'node:zlib';
import {
  exifOrientation,
  jpegSegments,
  pngChunks,
  startsWith,
  webpChunks,
  withoutExifPrefix,
  type ImageFormat,
} from '../image.ts';
import { withoutGps } from './exif.ts';

/** The pieces in their container's own form, ready to be inserted; empty arrays when there are none. */
export interface Metadata {
  format: ImageFormat;
  /** JPEG: whole segments; PNG: whole chunks before IDAT. */
  pieces: readonly Uint8Array[];
  /** WebP: chunk bodies. */
  icc: Uint8Array | null;
  exif: Uint8Array | null;
  xmp: Uint8Array | null;
}

export interface MetadataOptions {
  /** Keeps the position in EXIF and XMP; otherwise EXIF loses its GPS directory, and XMP that speaks of GPS is dropped. */
  keepGps: boolean;
}

/** Reads what stays. Never throws on damaged metadata: what cannot be read with certainty is left out. */
export function readMetadata(bytes: Uint8Array, format: ImageFormat, options: MetadataOptions): Metadata {
  return READERS[format](bytes, options);
}

/** The encoded file with the metadata put in at the places that the format prescribes; pure and deterministic. */
export function attachMetadata(encoded: Uint8Array, metadata: Metadata): Uint8Array {
  return WRITERS[metadata.format](encoded, metadata);
}

const READERS = { jpeg: readJpeg, png: readPng, webp: readWebp } as const;
const WRITERS = { jpeg: writeJpeg, png: writePng, webp: writeWebp } as const;

// ---------------------------------------------------------------- EXIF and XMP

/** The TIFF block as it may stay. A block that cannot be read leaves only its orientation, which the pixels need. */
function keptExif(tiff: Uint8Array, { keepGps }: MetadataOptions): Uint8Array {
  if (keepGps) return tiff;
  return withoutGps(tiff) ?? orientationOnly(exifOrientation(tiff));
}

function orientationOnly(orientation: number): Uint8Array {
  // big-endian TIFF: one directory at 8 with one SHORT (3) entry 0x0112, and no next directory
  return Uint8Array.of(
    0x4d, 0x4d, 0, 42, 0, 0, 0, 8, 0, 1, 0x01, 0x12, 0, 3, 0, 0, 0, 1, 0, orientation, 0, 0, 0, 0, 0, 0,
  ); // prettier-ignore
}

function mayStay(xmp: Uint8Array, { keepGps }: MetadataOptions): boolean {
  return keepGps || !/gps|geo:|location/i.test(Buffer.from(xmp).toString('latin1'));
}

// ---------------------------------------------------------------- JPEG

const XMP_PREFIX = 'http://ns.adobe.com/xap/1.0/\0';
const PHOTOSHOP_PREFIX = 'Photoshop 3.0\0';

function readJpeg(bytes: Uint8Array, options: MetadataOptions): Metadata {
  const pieces: Uint8Array[] = [];
  for (const { marker, body, offset, end } of jpegSegments(bytes)) {
    if (marker === 0xe1 && startsWith(body, 0, 'Exif\0\0')) {
      pieces.push(jpegSegment(0xe1, concat([body.subarray(0, 6), keptExif(body.subarray(6), options)])));
    } else if (marker === 0xe1 && startsWith(body, 0, XMP_PREFIX)) {
      if (mayStay(body, options)) pieces.push(bytes.slice(offset, end));
    } else if (marker === 0xe2 && startsWith(body, 0, 'ICC_PROFILE\0')) {
      pieces.push(jpegSegment(0xe2, body));
    } else if (marker === 0xed && startsWith(body, 0, PHOTOSHOP_PREFIX)) {
      const iptc = iptcOnly(body);
      if (iptc) pieces.push(jpegSegment(0xed, iptc));
    } else if (marker === 0xfe) {
      pieces.push(jpegSegment(0xfe, body));
    }
  }
  return { format: 'jpeg', pieces, icc: null, exif: null, xmp: null };
}

/** Of Photoshop's resources only IPTC-IIM (0x0404: author, rights, caption): others hold previews of the unmarked pixels. */
function iptcOnly(body: Uint8Array): Uint8Array | null {
  for (let at = PHOTOSHOP_PREFIX.length; at + 12 <= body.length && startsWith(body, at, '8BIM');) {
    const id = ((body[at + 4] as number) << 8) | (body[at + 5] as number);
    const nameBytes = 1 + (body[at + 6] as number);
    const sizeAt = at + 6 + nameBytes + (nameBytes & 1);
    if (sizeAt + 4 > body.length) return null;
    const size = new DataView(body.buffer, body.byteOffset + sizeAt, 4).getUint32(0);
    const end = sizeAt + 4 + size + (size & 1);
    if (end > body.length) return null;
    if (id === 0x0404) return concat([ascii(PHOTOSHOP_PREFIX), body.subarray(at, end)]);
    at = end;
  }
  return null;
}

function writeJpeg(encoded: Uint8Array, { pieces }: Metadata): Uint8Array {
  const first = jpegSegments(encoded)[0];
  // JFIF asks to be the first segment; what we add follows it
  const at = first && first.marker === 0xe0 ? first.end : 2;
  return concat([encoded.subarray(0, at), ...pieces, encoded.subarray(at)]);
}

function jpegSegment(marker: number, body: Uint8Array): Uint8Array {
  const length = body.length + 2;
  return concat([Uint8Array.of(0xff, marker, length >> 8, length & 255), body]);
}

// ---------------------------------------------------------------- PNG

// chunks that say what the sample values mean, and how large the picture is meant to be
const PNG_KEPT = new Set(['gAMA', 'cHRM', 'sRGB', 'cICP', 'mDCV', 'cLLI', 'iCCP', 'pHYs']);
// the specification's own keywords: free text under any other may hold raw EXIF profiles with a position
const PNG_KEYWORDS = new Set(['Title', 'Author', 'Description', 'Copyright', 'Creation Time', 'Software', 'Source']);
const PNG_XMP_KEYWORD = 'XML:com.adobe.xmp';

function readPng(bytes: Uint8Array, options: MetadataOptions): Metadata {
  const pieces: Uint8Array[] = [];
  for (const { type, body, offset, end } of pngChunks(bytes)) {
    if (PNG_KEPT.has(type)) pieces.push(bytes.slice(offset, end));
    else if (type === 'eXIf') pieces.push(pngChunk('eXIf', keptExif(body, options)));
    else if (isText(type) && keepsText(type, body, options)) pieces.push(bytes.slice(offset, end));
  }
  return { format: 'png', pieces, icc: null, exif: null, xmp: null };
}

function isText(type: string): boolean {
  return type === 'tEXt' || type === 'zTXt' || type === 'iTXt';
}

function keepsText(type: string, body: Uint8Array, options: MetadataOptions): boolean {
  const keyword = Buffer.from(body.subarray(0, Math.max(0, body.indexOf(0)))).toString('latin1');
  if (PNG_KEYWORDS.has(keyword)) return true;
  if (keyword !== PNG_XMP_KEYWORD) return false;
  const text = type === 'zTXt' ? inflated(body.subarray(keyword.length + 2)) : internationalText(body);
  return options.keepGps || (text !== null && mayStay(text, options));
}

// XMP of more than a megabyte is dropped rather than inflated
const MAX_TEXT_BYTES = 1 << 20;

/** The text of an iTXt chunk, inflated where it is compressed; null when it is damaged or too large. */
function internationalText(body: Uint8Array): Uint8Array | null {
  const keywordEnd = body.indexOf(0);
  const languageEnd = body.indexOf(0, keywordEnd + 3);
  const translationEnd = body.indexOf(0, languageEnd + 1);
  if (keywordEnd < 0 || languageEnd < 0 || translationEnd < 0) return null;
  const text = body.subarray(translationEnd + 1);
  return body[keywordEnd + 1] === 0 ? text : inflated(text);
}

function inflated(text: Uint8Array): Uint8Array | null {
  try {
    return inflateSync(text, { maxOutputLength: MAX_TEXT_BYTES });
  } catch {
    return null;
  }
}

function writePng(encoded: Uint8Array, { pieces }: Metadata): Uint8Array {
  // after IHDR (8 + 25 bytes): before PLTE and IDAT, as colour chunks ask; what the encoder wrote of the same kind goes
  const replaced = new Set(pieces.map((piece) => Buffer.from(piece.subarray(4, 8)).toString('latin1')));
  const kept = pngChunks(encoded).filter(({ type }) => !(PNG_KEPT.has(type) && replaced.has(type)));
  const [header, ...rest] = kept.map(({ offset, end }) => encoded.subarray(offset, end));
  return concat([encoded.subarray(0, 8), header as Uint8Array, ...pieces, ...rest]);
}

function pngChunk(type: string, body: Uint8Array): Uint8Array {
  const chunk = new Uint8Array(12 + body.length);
  const view = new DataView(chunk.buffer);
  view.setUint32(0, body.length);
  chunk.set(ascii(type), 4);
  chunk.set(body, 8);
  view.setUint32(8 + body.length, crc32(chunk.subarray(4, 8 + body.length)));
  return chunk;
}

// ---------------------------------------------------------------- WebP

function readWebp(bytes: Uint8Array, options: MetadataOptions): Metadata {
  const chunks = webpChunks(bytes);
  const body = (type: string): Uint8Array | null => chunks.find((chunk) => chunk.type === type)?.body ?? null;
  const [exif, xmp] = [body('EXIF'), body('XMP ')];
  return {
    format: 'webp',
    pieces: [],
    icc: body('ICCP')?.slice() ?? null,
    exif: exif && keptWebpExif(exif, options),
    xmp: xmp && mayStay(xmp, options) ? xmp.slice() : null,
  };
}

/** Some writers put the prefix of JPEG before the block: what had it keeps it. */
function keptWebpExif(body: Uint8Array, options: MetadataOptions): Uint8Array {
  const tiff = withoutExifPrefix(body);
  return concat([body.subarray(0, body.length - tiff.length), keptExif(tiff, options)]);
}

const VP8X_ICC = 0x20;
const VP8X_ALPHA = 0x10;
const VP8X_EXIF = 0x08;
const VP8X_XMP = 0x04;

function writeWebp(encoded: Uint8Array, { icc, exif, xmp }: Metadata): Uint8Array {
  if (!icc && !exif && !xmp) return encoded;
  const chunks = webpChunks(encoded);
  const picture = chunks.filter(({ type }) => type === 'ALPH' || type === 'VP8 ' || type === 'VP8L');
  const canvas = webpCanvas(chunks);
  const flags = (icc ? VP8X_ICC : 0) | canvas.alphaFlag | (exif ? VP8X_EXIF : 0) | (xmp ? VP8X_XMP : 0);
  const extended = new Uint8Array(10);
  extended[0] = flags;
  putUint24(extended, 4, canvas.width - 1);
  putUint24(extended, 7, canvas.height - 1);
  const parts = [webpChunk('VP8X', extended)];
  if (icc) parts.push(webpChunk('ICCP', icc));
  for (const { type, body } of picture) parts.push(webpChunk(type, body));
  if (exif) parts.push(webpChunk('EXIF', exif));
  if (xmp) parts.push(webpChunk('XMP ', xmp));
  const content = concat(parts);
  const riff = new Uint8Array(12);
  riff.set(ascii('RIFF'), 0);
  new DataView(riff.buffer).setUint32(4, content.length + 4, true);
  riff.set(ascii('WEBP'), 8);
  return concat([riff, content]);
}

/** Size and alpha of a WebP that our own encoder has just made: VP8X, VP8 or VP8L first. */
function webpCanvas(chunks: ReturnType<typeof webpChunks>): { width: number; height: number; alphaFlag: number } {
  const first = chunks[0];
  if (!first) throw new TypeError('Expected an encoded WebP with a chunk');
  const { type, body } = first;
  const view = new DataView(body.buffer, body.byteOffset, body.byteLength);
  if (type === 'VP8X') {
    const width = 1 + ((view.getUint16(4, true) | (view.getUint8(6) << 16)) >>> 0);
    const height = 1 + ((view.getUint16(7, true) | (view.getUint8(9) << 16)) >>> 0);
    return { width, height, alphaFlag: view.getUint8(0) & VP8X_ALPHA };
  }
  if (type === 'VP8L') {
    const bits = view.getUint32(1, true);
    return {
      width: 1 + (bits & 0x3fff),
      height: 1 + ((bits >>> 14) & 0x3fff),
      alphaFlag: (bits >>> 28) & 1 ? VP8X_ALPHA : 0,
    };
  }
  return { width: view.getUint16(6, true) & 0x3fff, height: view.getUint16(8, true) & 0x3fff, alphaFlag: 0 };
}

function webpChunk(type: string, body: Uint8Array): Uint8Array {
  const chunk = new Uint8Array(8 + body.length + (body.length & 1));
  chunk.set(ascii(type), 0);
  new DataView(chunk.buffer).setUint32(4, body.length, true);
  chunk.set(body, 8);
  return chunk;
}

// ---------------------------------------------------------------- bytes

function putUint24(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value & 255;
  bytes[at + 1] = (value >> 8) & 255;
  bytes[at + 2] = (value >> 16) & 255;
}

function ascii(text: string): Uint8Array {
  return Uint8Array.from(text, (character) => character.charCodeAt(0));
}

function concat(parts: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}
