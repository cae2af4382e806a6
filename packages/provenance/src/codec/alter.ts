// What people do to pictures after they were made: for the demonstration, tests and benchmarks.
import sharp from 'sharp';

/** Shrinks to `longSide` pixels and saves as JPEG without metadata, as a messenger would. */
export function shrinkToJpeg(image: Uint8Array, longSide: number, quality: number): Promise<Buffer> {
  return sharp(image)
    .resize({ width: longSide, height: longSide, fit: 'inside', withoutEnlargement: true })
    .jpeg({ quality })
    .toBuffer();
}

/**
 * Paints one grey block of `blockPixels`² in the middle and saves at high quality with the same metadata, the way an
 * editor does that knows nothing of credentials.
 */
export async function paintBlock(image: Uint8Array, blockPixels = 64): Promise<Buffer> {
  const { width, height } = await sharp(image).metadata();
  const block = await sharp({
    create: { width: blockPixels, height: blockPixels, channels: 3, background: { r: 128, g: 128, b: 128 } },
  })
    .png()
    .toBuffer();
  return sharp(image)
    .composite([{ input: block, left: Math.floor(width / 2), top: Math.floor(height / 2) }])
    .jpeg({ quality: 95 })
    .toBuffer();
}
