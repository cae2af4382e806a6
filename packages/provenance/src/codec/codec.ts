// Pixels out of files and files out of pixels: the only importer of sharp (libvips), set up to be predictable.
import sharp, { type Sharp } from 'sharp';
import { IMAGE_LIMITS, ImageError, type ImageHeader } from '../image.ts';
import { release } from '../release.ts';
import { attachMetadata, type Metadata } from './metadata.ts';

// no cache: nothing of a picture outlives its request. One thread: measured, libvips' threads gain nothing on one
// picture, and worker threads scale over processors.
sharp.cache(false);
sharp.concurrency(1);
// every parser that we do not need is attack surface
sharp.block({ operation: ['VipsForeignLoad'] });
sharp.unblock({
  operation: ['VipsForeignLoadJpegBuffer', 'VipsForeignLoadPngBuffer', 'VipsForeignLoadWebpBuffer'],
});

/** Interleaved samples in the colours of the file: no profile is applied, no orientation, no alpha is multiplied in. */
export interface Pixels {
  width: number;
  height: number;
  channels: 1 | 3 | 4;
  bitDepth: 8 | 16;
  data: Uint8Array | Uint16Array;
}

/** Luma (ITU-R BT.601, 0…255, alpha over white) in row order. */
export interface Luma {
  width: number;
  height: number;
  data: Float32Array;
}

/** JPEG is never encoded below this quality: at 75 and less our own encoder would eat the mark. */
const MIN_JPEG_QUALITY = 85;
const SMALLER_JPEG_QUALITIES = [97, 94, 90, MIN_JPEG_QUALITY] as const;
/** A file of our own must be taken by verification, with a manifest of a megabyte in it. */
const MAX_ENCODED_BYTES = IMAGE_LIMITS.maxBytes - 1_048_576;
const SMALLEST_PNG_LEVEL = 9;
// lossy WebP does not tell its quality; 90 costs about 0.5 dB beside the source (libwebp's own tables)
const WEBP_QUALITY = 90;
// 12 megapixels of photograph: level 3 in 0.7 s, level 6 in 1.5 s and 1 % smaller; without adaptive filters 70 % larger
const PNG_OPTIONS = { compressionLevel: 3, adaptiveFiltering: true, palette: false } as const;
// lossless WebP of 12 megapixels: effort 1 in 7 s, effort 4 (the default) in 25 s and 1.5 % smaller
const LOSSLESS_WEBP_OPTIONS = { lossless: true, exact: true, effort: 1 } as const;

/**
 * All pixels at full size; 16-bit PNG stays 16-bit, palettes become colours, depths below 8 become 8.
 * @throws ImageError VALIDATION_FAILED when they do not decode completely.
 */
export async function decode(bytes: Uint8Array, header: ImageHeader): Promise<Pixels> {
  const deep = header.bitDepth === 16;
  // libvips' raw output drops the alpha of grey pictures: grey with alpha is treated as RGBA
  const grey = header.channels === 1;
  const colourspace = deep ? (grey ? 'grey16' : 'rgb16') : grey ? 'b-w' : 'srgb';
  const { data, info } = await decoding(bytes, () =>
    open(bytes)
      .toColourspace(colourspace)
      .raw({ depth: deep ? 'ushort' : 'uchar' })
      .toBuffer({ resolveWithObject: true }),
  );
  return {
    width: info.width,
    height: info.height,
    channels: info.channels as Pixels['channels'],
    bitDepth: deep ? 16 : 8,
    data: deep ? new Uint16Array(data.buffer, data.byteOffset, data.length >> 1) : data,
  };
}

/**
 * The luma at exactly `width`×`height` (the picture is stretched to it, not cropped). JPEG is decoded at a fraction
 * of its size where that is enough, which is what makes checking cheap.
 * @throws ImageError VALIDATION_FAILED when the pixels do not decode.
 */
export async function decodeLuma(bytes: Uint8Array, width: number, height: number): Promise<Luma> {
  const { data, info } = await decoding(bytes, () =>
    open(bytes)
      .flatten({ background: '#ffffff' })
      .toColourspace('srgb')
      .resize(width, height, { fit: 'fill', kernel: 'cubic' })
      .raw({ depth: 'uchar' })
      .toBuffer({ resolveWithObject: true }),
  );
  const luma = lumaOf(data, info.channels, width * height);
  release(data);
  return { width, height, data: luma };
}

/** As `decodeLuma`, for a grey picture at its own size: the same values in half the time. */
export async function decodeGrey(bytes: Uint8Array): Promise<Luma> {
  const { data, info } = await decoding(bytes, () =>
    open(bytes).toColourspace('b-w').raw({ depth: 'uchar' }).toBuffer({ resolveWithObject: true }),
  );
  const luma = new Float32Array(data);
  release(data);
  return { width: info.width, height: info.height, data: luma };
}

function lumaOf(data: Uint8Array, channels: number, count: number): Float32Array {
  const luma = new Float32Array(count);
  if (channels < 3) {
    for (let i = 0, at = 0; i < count; i++, at += channels) luma[i] = data[at] as number;
    return luma;
  }
  for (let i = 0, at = 0; i < count; i++, at += channels) {
    luma[i] = 0.299 * (data[at] as number) + 0.587 * (data[at + 1] as number) + 0.114 * (data[at + 2] as number);
  }
  return luma;
}

/**
 * The same format, depth, chroma subsampling and metadata as the source. JPEG quality is the larger of the source's
 * estimate and 85; lossless WebP stays lossless. What would then be too large to be verified is encoded smaller: JPEG
 * with codes of its own, then at lower quality, but never below 85. The same pixels give the same bytes.
 */
export async function encode(pixels: Pixels, header: ImageHeader, metadata: Metadata): Promise<Uint8Array> {
  let whole: Uint8Array = new Uint8Array();
  for (const encoder of ENCODERS[header.format](header)) {
    release(whole);
    const encoded = await encoder(raw(pixels)).toBuffer();
    whole = attachMetadata(encoded, metadata);
    if (whole !== encoded) release(encoded);
    if (whole.length <= MAX_ENCODED_BYTES) break;
  }
  return whole;
}

function raw({ width, height, channels, bitDepth, data }: Pixels): Sharp {
  const grey = channels === 1;
  const image = sharp(data, { raw: { width, height, channels }, limitInputPixels: IMAGE_LIMITS.maxPixels });
  return image.toColourspace(bitDepth === 16 ? (grey ? 'grey16' : 'rgb16') : grey ? 'b-w' : 'srgb');
}

/** Luma as bytes in row order. */
export interface GreyBytes {
  width: number;
  height: number;
  data: Uint8ClampedArray;
}

/** A JPEG of the luma alone: the simulated journey of our own check. `grey` is read until this is answered. */
export async function encodeGreyJpeg(grey: GreyBytes, quality: number): Promise<Uint8Array> {
  return greyImage(grey).toColourspace('b-w').jpeg({ quality, optimiseCoding: false }).toBuffer();
}

/** A lossy WebP of the luma alone, at the quality that `encode` uses. */
export async function encodeGreyWebp(grey: GreyBytes): Promise<Uint8Array> {
  return greyImage(grey).webp({ quality: WEBP_QUALITY }).toBuffer();
}

function greyImage({ width, height, data }: GreyBytes): Sharp {
  return sharp(data, { raw: { width, height, channels: 1 } });
}

/** The quality that `encode` uses for a JPEG source. */
export function jpegQualityFor(header: ImageHeader): number {
  return Math.max(MIN_JPEG_QUALITY, header.jpegQuality ?? MIN_JPEG_QUALITY);
}

type Encoder = (image: Sharp) => Sharp;

/** What is tried in turn until the file is small enough. */
const ENCODERS: Readonly<Record<ImageHeader['format'], (header: ImageHeader) => readonly Encoder[]>> = {
  jpeg: (header) => {
    const quality = jpegQualityFor(header);
    const lower = SMALLER_JPEG_QUALITIES.filter((smaller) => smaller < quality);
    return [
      // 12 megapixels in 30 ms instead of 90, for 3 % more bytes; 17 % at quality 100
      jpegOf(header, quality, false),
      ...[quality, ...lower].map((smaller) => jpegOf(header, smaller, true)),
    ];
  },
  png: () => [
    (image) => image.png(PNG_OPTIONS),
    (image) => image.png({ ...PNG_OPTIONS, compressionLevel: SMALLEST_PNG_LEVEL }),
  ],
  webp: (header) => [
    (image) =>
      header.lossless ? image.webp(LOSSLESS_WEBP_OPTIONS) : image.webp({ quality: WEBP_QUALITY, alphaQuality: 100 }),
  ],
};

function jpegOf({ chromaSubsampling }: ImageHeader, quality: number, optimiseCoding: boolean): Encoder {
  // the encoder knows 4:2:0 and 4:4:4: whatever has more chroma than 4:2:0 keeps all of it
  const kept = chromaSubsampling === '4:2:0' ? '4:2:0' : '4:4:4';
  return (image) => image.jpeg({ quality, chromaSubsampling: kept, optimiseCoding });
}

function open(bytes: Uint8Array): Sharp {
  return sharp(bytes, {
    // "error" implies "truncated": a picture that ends early does not count as decoded
    failOn: 'error',
    limitInputPixels: IMAGE_LIMITS.maxPixels,
    ignoreIcc: true,
    sequentialRead: true,
  });
}

async function decoding<Result>(bytes: Uint8Array, run: () => Promise<Result>): Promise<Result> {
  try {
    return await run();
  } catch (cause) {
    throw new ImageError(
      'VALIDATION_FAILED',
      'Expected pixels that decode completely but the image data is damaged or cut off',
      { bytes: bytes.length },
      { cause },
    );
  }
}
