// A picture as a camera of 12 megapixels makes it: real photographs enlarged, with sensor noise, 5 to 8 MB of JPEG.
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import sharp from 'sharp';

const WIDTH = 4_000;
const HEIGHT = 3_000;
const PHOTOS = new URL('../fixtures/photos/', import.meta.url);
/** Photon and read noise of a small sensor indoors, in grey levels. */
const NOISE_SIGMA = 4.5;
const QUALITY = 96;
const NOISE_TILE = 1 << 20;

/** 4000 × 3000, EXIF orientation 1, the same bytes every time for the same photograph. */
export async function cameraLikeJpeg(photo = 'forest-stream.jpg'): Promise<Buffer> {
  const { data } = await sharp(readFileSync(new URL(photo, PHOTOS)))
    .resize(WIDTH, HEIGHT, { fit: 'cover', kernel: 'lanczos3' })
    .sharpen({ sigma: 1.2 })
    .toColourspace('srgb')
    .removeAlpha()
    .raw()
    .toBuffer({ resolveWithObject: true });
  const noise = gaussianNoise(NOISE_TILE);
  for (let i = 0, at = 0; i < data.length; i++) {
    // a stride that is prime to the tile, so that the noise does not repeat visibly
    at = (at + 7_919) & (NOISE_TILE - 1);
    data[i] = Math.min(
      255,
      Math.max(0, Math.round((data[i] as number) + (noise[(at + i) & (NOISE_TILE - 1)] as number))),
    );
  }
  return sharp(data, { raw: { width: WIDTH, height: HEIGHT, channels: 3 } })
    .withExif({ IFD0: { Make: 'LumaTrace', Model: 'Bench camera' } })
    .jpeg({ quality: QUALITY, chromaSubsampling: '4:2:0' })
    .toBuffer();
}

/** Standard normal times sigma by Box and Muller, from a fixed stream. */
function gaussianNoise(length: number): Float32Array {
  const noise = new Float32Array(length);
  let block = Buffer.alloc(0);
  for (let i = 0; i < length; i += 2) {
    const at = (i * 4) % 64;
    if (at === 0) block = createHash('sha512').update(`noise ${i}`).digest();
    const radius = NOISE_SIGMA * Math.sqrt(-2 * Math.log((block.readUInt32LE(at) + 1) / 2 ** 32));
    const angle = (2 * Math.PI * block.readUInt32LE(at + 4)) / 2 ** 32;
    noise[i] = radius * Math.cos(angle);
    noise[i + 1] = radius * Math.sin(angle);
  }
  return noise;
}
