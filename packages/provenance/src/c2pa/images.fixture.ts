// A piece of a real photograph in the three formats, small enough to be signed hundreds of times.
import { readFileSync } from 'node:fs';
import { decode, encode, type Pixels } from '../codec/codec.ts';
import { readImageHeader, type ImageFormat } from '../image.ts';

const PHOTO = new URL('../../../../fixtures/photos/sunset.jpg', import.meta.url);

/** The upper left corner of one photograph in each format, without metadata. */
export async function photographs(width = 320, height = 256): Promise<Readonly<Record<ImageFormat, Uint8Array>>> {
  const jpeg = new Uint8Array(readFileSync(PHOTO));
  const header = readImageHeader(jpeg);
  const pixels = corner(await decode(jpeg, header), width, height);
  const as = (format: ImageFormat): Promise<Uint8Array> =>
    encode(
      pixels,
      { ...header, format, lossless: format === 'png' },
      { format, pieces: [], icc: null, exif: null, xmp: null },
    );
  return { jpeg: await as('jpeg'), png: await as('png'), webp: await as('webp') };
}

function corner({ channels, data, width: stride }: Pixels, width: number, height: number): Pixels {
  const rows = new Uint8Array(width * height * channels);
  for (let y = 0; y < height; y++) {
    const from = y * stride * channels;
    rows.set(data.subarray(from, from + width * channels), y * width * channels);
  }
  return { width, height, channels, bitDepth: 8, data: rows };
}
