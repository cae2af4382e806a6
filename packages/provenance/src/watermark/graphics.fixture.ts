// Pictures that a watermark finds hard: gradients, text, flat shapes, one colour, small and unusual photographs.
import { readFileSync } from 'node:fs';
import sharp, { type Sharp } from 'sharp';

const PHOTO = new URL('../../../../fixtures/photos/dandelion.jpg', import.meta.url);

type Painter = (x: number, y: number, channel: number) => number;

const gradient: Painter = (x, y, c) => (c === 0 ? x / 4 : c === 1 ? y / 3 : 128);
const letters: Painter = (x, y) => (((x >> 2) * 7 + (y >> 3) * 13) % 11 < 3 && (y >> 3) % 2 ? 20 : 250);
const disc: Painter = (x, y, c) => (Math.hypot(x - 400, y - 300) < 200 ? 40 * c + 60 : 200 - 50 * c);
const oneColour: Painter = (_x, _y, c) => 60 + 60 * c;

function draw(width: number, height: number, painter: Painter): Sharp {
  const data = Buffer.alloc(width * height * 3);
  for (let i = 0; i < data.length; i++) {
    const pixel = Math.floor(i / 3);
    data[i] = Math.min(255, Math.max(0, painter(pixel % width, Math.floor(pixel / width), i % 3)));
  }
  return sharp(data, { raw: { width, height, channels: 3 } });
}

/** Encoded files by what they show. */
export async function graphics(): Promise<Record<string, Buffer>> {
  const photo = sharp(readFileSync(PHOTO));
  return {
    'gradient, JPEG': await draw(1_000, 750, gradient).jpeg({ quality: 90 }).toBuffer(),
    'gradient, WebP': await draw(1_000, 750, gradient).webp({ quality: 90 }).toBuffer(),
    'text, PNG': await draw(900, 700, letters).png().toBuffer(),
    'flat shapes, lossless WebP': await draw(800, 600, disc).webp({ lossless: true }).toBuffer(),
    'one colour, PNG': await draw(600, 500, oneColour).png().toBuffer(),
    'one colour, JPEG': await draw(600, 500, oneColour).jpeg({ quality: 90 }).toBuffer(),
    'small photograph, JPEG': await photo.clone().resize(256, 256).jpeg({ quality: 90 }).toBuffer(),
    '16-bit photograph, PNG': await photo.clone().resize(700).toColourspace('rgb16').png().toBuffer(),
    'grey photograph, PNG': await photo.clone().resize(700).toColourspace('b-w').png().toBuffer(),
    'palette, PNG': await photo.clone().resize(700).png({ palette: true }).toBuffer(),
    'half-transparent photograph, PNG': await photo.clone().resize(700).ensureAlpha(0.5).png().toBuffer(),
  };
}
