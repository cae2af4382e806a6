// A picture as a camera of 12 megapixels makes it: real photographs enlarged, with sensor noise, 5 to 8 MB of JPEG.
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import sharp from 'sharp';

const PHOTOS = new URL('../fixtures/photos/', import.meta.url);
const NOISE_TILE = 1 << 20;

export interface Camera {
  width: number;
  height: number;
  /** Photon and read noise of the sensor, in grey levels. */
  noiseSigma: number;
  quality: number;
  chromaSubsampling: '4:2:0' | '4:4:4';
}

/** A small sensor indoors. */
const PHONE: Camera = { width: 4_000, height: 3_000, noiseSigma: 4.5, quality: 96, chromaSubsampling: '4:2:0' };
/** The most that is taken: 16 megapixels in 24.8 MB. */
export const LARGEST: Camera = { ...PHONE, height: 4_000, quality: 100, chromaSubsampling: '4:4:4' };

/** EXIF orientation 1, the same bytes every time for the same photograph. */
export async function cameraLikeJpeg(photo = 'forest-stream.jpg', camera: Camera = PHONE): Promise<Buffer> {
  const { width, height, noiseSigma, quality, chromaSubsampling } = camera;
  const { data } = await sharp(readFileSync(new URL(photo, PHOTOS)))
    .resize(width, height, { fit: 'cover', kernel: 'lanczos3' })
    .sharpen({ sigma: 1.2 })
    .toColourspace('srgb')
    .removeAlpha()
    .raw()
    .toBuffer({ resolveWithObject: true });
  const noise = gaussianNoise(NOISE_TILE, noiseSigma);
  for (let i = 0, at = 0; i < data.length; i++) {
    // a stride that is prime to the tile, so that the noise does not repeat visibly
    at = (at + 7_919) & (NOISE_TILE - 1);
    data[i] = Math.min(
      255,
      Math.max(0, Math.round((data[i] as number) + (noise[(at + i) & (NOISE_TILE - 1)] as number))),
    );
  }
  return sharp(data, { raw: { width, height, channels: 3 } })
    .withExif({ IFD0: { Make: 'LumaTrace', Model: 'Bench camera' } })
    .jpeg({ quality, chromaSubsampling })
    .toBuffer();
}

/** Standard normal times sigma by Box and Muller, from a fixed stream. */
function gaussianNoise(length: number, sigma: number): Float32Array {
  const noise = new Float32Array(length);
  let block = Buffer.alloc(0);
  for (let i = 0; i < length; i += 2) {
    const at = (i * 4) % 64;
    if (at === 0) block = createHash('sha512').update(`noise ${i}`).digest();
    const radius = sigma * Math.sqrt(-2 * Math.log((block.readUInt32LE(at) + 1) / 2 ** 32));
    const angle = (2 * Math.PI * block.readUInt32LE(at + 4)) / 2 ** 32;
    noise[i] = radius * Math.cos(angle);
    noise[i + 1] = radius * Math.sin(angle);
  }
  return noise;
}
