// Pictures as bare RGB, and the few operations on them that sharp has not: warps, noise, moiré, a keyed pseudo-random source.
import sharp, { type Sharp } from 'sharp';
// the product's codec allows three decoders in this process; attacks come as AVIF and draw with SVG too
import '../../packages/provenance/src/codec/codec.ts';

sharp.unblock({ operation: ['VipsForeignLoad'] });

/** 8-bit RGB, interleaved. */
export interface Raster {
  width: number;
  height: number;
  data: Uint8Array;
}

export function toSharp({ width, height, data }: Raster): Sharp {
  return sharp(data, { raw: { width, height, channels: 3 } });
}

export async function fromBytes(bytes: Uint8Array): Promise<Raster> {
  const { data, info } = await sharp(bytes)
    .flatten({ background: '#ffffff' })
    .toColourspace('srgb')
    .raw()
    .toBuffer({ resolveWithObject: true });
  if (info.channels === 3) return { width: info.width, height: info.height, data };
  const rgb = new Uint8Array(info.width * info.height * 3);
  for (let i = 0; i < rgb.length; i++) rgb[i] = data[Math.floor(i / 3) * info.channels] as number;
  return { width: info.width, height: info.height, data: rgb };
}

/** mulberry32: 32 bits of state are enough for noise that must be the same in every run. */
export function randomFrom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

export function gaussianFrom(random: () => number): () => number {
  return () => Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
}

/** Every sample of every channel through `change`, rounded and clamped. */
export function mapSamples(
  raster: Raster,
  change: (value: number, x: number, y: number, channel: number) => number,
): Raster {
  const { width, height, data } = raster;
  const out = new Uint8Array(data.length);
  for (let y = 0, i = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      for (let c = 0; c < 3; c++, i++) {
        out[i] = Math.min(255, Math.max(0, Math.round(change(data[i] as number, x, y, c))));
      }
    }
  }
  return { width, height, data: out };
}

/** Catmull-Rom weights of four neighbours. */
function cubic(t: number): [number, number, number, number] {
  const [a, b] = [t * t, t * t * t];
  return [-0.5 * t + a - 0.5 * b, 1 - 2.5 * a + 1.5 * b, 0.5 * t + 2 * a - 1.5 * b, -0.5 * a + 0.5 * b];
}

/** A new picture whose pixel (x, y) shows `source` at `from(x, y)`, bicubic; `background` outside. */
export function warp(
  source: Raster,
  width: number,
  height: number,
  from: (x: number, y: number) => readonly [number, number],
  background: number,
): Raster {
  const data = new Uint8Array(width * height * 3);
  for (let y = 0, i = 0; y < height; y++) {
    for (let x = 0; x < width; x++, i += 3) {
      const [sx, sy] = from(x, y);
      if (!(sx >= -0.5 && sy >= -0.5 && sx <= source.width - 0.5 && sy <= source.height - 0.5)) {
        data.fill(background, i, i + 3);
        continue;
      }
      const [x0, y0] = [Math.floor(sx), Math.floor(sy)];
      const [wx, wy] = [cubic(sx - x0), cubic(sy - y0)];
      for (let c = 0; c < 3; c++) {
        let sum = 0;
        for (let j = 0; j < 4; j++) {
          const row = Math.min(source.height - 1, Math.max(0, y0 + j - 1)) * source.width;
          let line = 0;
          for (let k = 0; k < 4; k++) {
            const column = Math.min(source.width - 1, Math.max(0, x0 + k - 1));
            line += (wx[k] as number) * (source.data[(row + column) * 3 + c] as number);
          }
          sum += (wy[j] as number) * line;
        }
        data[i + c] = Math.min(255, Math.max(0, Math.round(sum)));
      }
    }
  }
  return { width, height, data };
}

export function cropTo(source: Raster, left: number, top: number, width: number, height: number): Raster {
  const data = new Uint8Array(width * height * 3);
  for (let y = 0; y < height; y++) {
    const start = ((top + y) * source.width + left) * 3;
    data.set(source.data.subarray(start, start + width * 3), y * width * 3);
  }
  return { width, height, data };
}

/** dB over all samples of two pictures of one size. */
export function psnr(one: Raster, other: Raster): number {
  let squares = 0;
  for (let i = 0; i < one.data.length; i++) squares += ((one.data[i] as number) - (other.data[i] as number)) ** 2;
  return squares === 0 ? Infinity : 10 * Math.log10((255 * 255 * one.data.length) / squares);
}
