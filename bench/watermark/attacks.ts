// What people do to pictures, by name: 49 core attacks, 3 extreme ones and what is reported beside them. Every attack is
// deterministic. Ported from the prototype's OpenCV list; where the tool differs (kernels of a resize), the strength is kept.
import type { Sharp } from 'sharp';
import { cropTo, fromBytes, gaussianFrom, mapSamples, randomFrom, toSharp, warp, type Raster } from './raster.ts';

export type Attack = (picture: Raster) => Promise<Raster>;

const jpeg = async (p: Raster, quality: number): Promise<Raster> =>
  fromBytes(await toSharp(p).jpeg({ quality }).toBuffer());
const webp = async (p: Raster, quality: number): Promise<Raster> =>
  fromBytes(await toSharp(p).webp({ quality }).toBuffer());
const avif = async (p: Raster, quality: number): Promise<Raster> =>
  fromBytes(await toSharp(p).avif({ quality, effort: 2 }).toBuffer());

async function raw(image: Sharp): Promise<Raster> {
  return fromBytes(await image.png({ compressionLevel: 0 }).toBuffer());
}

const stretch = (p: Raster, width: number, height: number): Promise<Raster> =>
  raw(toSharp(p).resize(Math.max(8, Math.round(width)), Math.max(8, Math.round(height)), { fit: 'fill' }));
const resize = (p: Raster, scale: number): Promise<Raster> => stretch(p, p.width * scale, p.height * scale);
const longSide = (p: Raster, side: number): Promise<Raster> => resize(p, side / Math.max(p.width, p.height));
const social = async (p: Raster, side: number, quality: number): Promise<Raster> =>
  jpeg(await longSide(p, side), quality);

/** Keeps a share of the area, off the middle. */
function crop(p: Raster, area: number, fx = 0.37, fy = 0.61): Raster {
  const side = Math.sqrt(area);
  const [width, height] = [Math.floor(p.width * side), Math.floor(p.height * side)];
  return cropTo(p, Math.floor((p.width - width) * fx), Math.floor((p.height - height) * fy), width, height);
}

function rotateAround(p: Raster, degrees: number, width: number, height: number): Raster {
  const t = (degrees * Math.PI) / 180;
  const [cos, sin] = [Math.cos(t), Math.sin(t)];
  const [cx, cy] = [(p.width - 1) / 2, (p.height - 1) / 2];
  const [ox, oy] = [(width - 1) / 2, (height - 1) / 2];
  return warp(
    p,
    width,
    height,
    (x, y) => [cos * (x - ox) - sin * (y - oy) + cx, sin * (x - ox) + cos * (y - oy) + cy],
    255,
  );
}

/** Turned, then cut to the largest rectangle of the same shape without a border. */
function rotateInside(p: Raster, degrees: number): Raster {
  const t = Math.abs((degrees * Math.PI) / 180);
  const { width: w, height: h } = p;
  const share = Math.min(w / (w * Math.cos(t) + h * Math.sin(t)), h / (w * Math.sin(t) + h * Math.cos(t)));
  return rotateAround(p, degrees, Math.floor(w * share), Math.floor(h * share));
}

function rotateFull(p: Raster, degrees: number): Raster {
  const t = Math.abs((degrees * Math.PI) / 180);
  const width = Math.ceil(p.width * Math.cos(t) + p.height * Math.sin(t));
  const height = Math.ceil(p.width * Math.sin(t) + p.height * Math.cos(t));
  return rotateAround(p, degrees, width, height);
}

/** Corners pulled inwards by up to `amount` of the sides. */
function perspective(p: Raster, amount: number, seed = 2): Raster {
  const random = randomFrom(seed);
  const { width: w, height: h } = p;
  const corners = [
    [0, 0, 1, 1],
    [w, 0, -1, 1],
    [w, h, -1, -1],
    [0, h, 1, -1],
  ] as const;
  const to = corners.map(([x, y, dx, dy]) => [x + dx * random() * amount * w, y + dy * random() * amount * h] as const);
  // where in the source does a pixel of the result come from: the projective map target → source
  const m = projective(
    to,
    corners.map(([x, y]) => [x, y] as const),
  );
  return warp(
    p,
    w,
    h,
    (x, y) => {
      const z = m[6] * x + m[7] * y + 1;
      return [(m[0] * x + m[1] * y + m[2]) / z, (m[3] * x + m[4] * y + m[5]) / z];
    },
    40,
  );
}

type Homography = readonly [number, number, number, number, number, number, number, number];

function projective(
  from: readonly (readonly [number, number])[],
  to: readonly (readonly [number, number])[],
): Homography {
  const rows: number[][] = [];
  for (let i = 0; i < 4; i++) {
    const [[x, y], [u, v]] = [from[i] as readonly [number, number], to[i] as readonly [number, number]];
    rows.push([x, y, 1, 0, 0, 0, -u * x, -u * y, u], [0, 0, 0, x, y, 1, -v * x, -v * y, v]);
  }
  return solve(rows) as unknown as Homography;
}

/** Gauss-Jordan with pivots on an n×(n+1) system. */
function solve(rows: number[][]): number[] {
  const n = rows.length;
  for (let column = 0; column < n; column++) {
    const best = rows.findIndex(
      (row, i) =>
        i >= column &&
        Math.abs(row[column] as number) === Math.max(...rows.slice(column).map((r) => Math.abs(r[column] as number))),
    );
    [rows[column], rows[best]] = [rows[best] as number[], rows[column] as number[]];
    const pivot = rows[column] as number[];
    const head = pivot[column] as number;
    for (let k = column; k <= n; k++) pivot[k] = (pivot[k] as number) / head;
    for (const [i, row] of rows.entries()) {
      const factor = row[column] as number;
      if (i === column || factor === 0) continue;
      for (let k = column; k <= n; k++) row[k] = (row[k] as number) - factor * (pivot[k] as number);
    }
  }
  return rows.map((row) => row[n] as number);
}

const blur = (p: Raster, sigma: number): Promise<Raster> => raw(toSharp(p).blur(sigma));

function noise(p: Raster, sigma: number): Raster {
  const next = gaussianFrom(randomFrom(1));
  return mapSamples(p, (value) => value + sigma * next());
}

const gamma = (p: Raster, power: number): Raster => mapSamples(p, (value) => 255 * (value / 255) ** power);
const tone = (p: Raster, contrast: number, brightness: number): Raster =>
  mapSamples(p, (value) => (value - 128) * contrast + 128 + brightness);

async function sharpen(p: Raster, amount = 0.6): Promise<Raster> {
  const soft = (await blur(p, 1.2)).data;
  let at = 0;
  return mapSamples(p, (value) => (1 + amount) * value - amount * (soft[at++] as number));
}

const lumaAt = (data: Uint8Array, i: number): number =>
  0.299 * (data[i] as number) + 0.587 * (data[i + 1] as number) + 0.114 * (data[i + 2] as number);

/** Saturation in HSV: channels move towards the largest one. */
function saturation(p: Raster, share: number): Raster {
  const { data } = p;
  return mapSamples(p, (value, x, y) => {
    const i = (y * p.width + x) * 3;
    const most = Math.max(data[i] as number, data[i + 1] as number, data[i + 2] as number);
    return most - (most - value) * share;
  });
}

const grey = (p: Raster): Raster => mapSamples(p, (_, x, y) => lumaAt(p.data, (y * p.width + x) * 3));

function equalised(p: Raster): Raster {
  const plain = grey(p);
  const counts = new Float64Array(256);
  for (let i = 0; i < plain.data.length; i += 3)
    counts[plain.data[i] as number] = (counts[plain.data[i] as number] as number) + 1;
  const levels = new Float64Array(256);
  for (let v = 0, sum = 0; v < 256; v++) levels[v] = (sum += (counts[v] as number) / (plain.data.length / 3)) * 255;
  return mapSamples(plain, (value) => levels[value] as number);
}

const palette = async (p: Raster, colours: number): Promise<Raster> =>
  fromBytes(await toSharp(p).png({ palette: true, colours, dither: 1 }).toBuffer());

function overlay(p: Raster): Promise<Raster> {
  const { width: w, height: h } = p;
  const svg = `<svg xmlns="http://www.w3.org/2000/svg" width="${w}" height="${h}">
    <rect x="${w * 0.1}" y="${h * 0.1}" width="${w * 0.35}" height="${h * 0.3}" fill="rgb(240,200,30)"/>
    <text x="${w * 0.1}" y="${h * 0.85}" font-family="sans-serif" font-weight="bold" font-size="${w / 12}" fill="#fff">SAMPLE</text></svg>`;
  return raw(toSharp(p).composite([{ input: Buffer.from(svg) }]));
}

/** At 60 % among other content, as JPEG 80. */
async function collage(p: Raster): Promise<Raster> {
  const { width: w, height: h } = p;
  const random = randomFrom(3);
  const cells = { width: Math.floor(w / 16), height: Math.floor(h / 16), data: new Uint8Array(0) };
  cells.data = Uint8Array.from({ length: cells.width * cells.height * 3 }, () => Math.floor(random() * 255));
  const around = await stretch(cells, w, h);
  const small = await resize(p, 0.6);
  const input = await toSharp(small).png({ compressionLevel: 0 }).toBuffer();
  const [left, top] = [Math.floor(w * 0.05), Math.floor(h * 0.3)];
  return jpeg(await raw(toSharp(around).composite([{ input, left, top }])), 80);
}

function moire(p: Raster, strength = 6): Raster {
  const turn = 2 * Math.PI;
  return mapSamples(
    p,
    (value, x, y) =>
      value +
      strength * Math.sin(turn * (x * 0.31 + y * 0.047)) * Math.sin(turn * (y * 0.29 - x * 0.03)) +
      8 * Math.sin(turn * (x * 0.0013 + y * 0.0021)),
  );
}

/** A photograph of a screen. */
async function screenCamera(p: Raster, tilt: number): Promise<Raster> {
  const shot = moire(perspective(await resize(p, 0.8), tilt));
  return jpeg(noise(gamma(await blur(shot, 1), 1.15), 3), 75);
}

/** Printed and photographed: turned, soft, pale. */
async function printCamera(p: Raster, tilt: number): Promise<Raster> {
  const soft = await blur(perspective(rotateInside(p, 1.3), tilt), 1.6);
  return jpeg(noise(tone(saturation(soft, 0.7), 0.75, 8), 4), 80);
}

/** Bilateral filter of diameter 7, σ 30 grey levels and 5 pixels: noise goes, edges stay. */
function bilateral(p: Raster): Raster {
  const { width, height, data } = p;
  const near = Float64Array.from({ length: 49 }, (_, i) =>
    Math.exp(-(((i % 7) - 3) ** 2 + (Math.floor(i / 7) - 3) ** 2) / 50),
  );
  const alike = Float64Array.from({ length: 766 }, (_, d) => Math.exp(-(d * d) / 1800));
  const out = new Uint8Array(data.length);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const at = (y * width + x) * 3;
      let [r, g, b, total] = [0, 0, 0, 0];
      for (let k = 0; k < 49; k++) {
        const v = Math.min(height - 1, Math.max(0, y + Math.floor(k / 7) - 3));
        const u = Math.min(width - 1, Math.max(0, x + (k % 7) - 3));
        const i = (v * width + u) * 3;
        const difference =
          Math.abs((data[i] as number) - (data[at] as number)) +
          Math.abs((data[i + 1] as number) - (data[at + 1] as number)) +
          Math.abs((data[i + 2] as number) - (data[at + 2] as number));
        const weight = (near[k] as number) * (alike[difference] as number);
        r += weight * (data[i] as number);
        g += weight * (data[i + 1] as number);
        b += weight * (data[i + 2] as number);
        total += weight;
      }
      out[at] = Math.round(r / total);
      out[at + 1] = Math.round(g / total);
      out[at + 2] = Math.round(b / total);
    }
  }
  return { width, height, data: out };
}

/** A part whose long side is 8 times the short one. */
function strip(p: Raster): Raster {
  const height = Math.floor(p.width / 8);
  return cropTo(p, 0, Math.floor((p.height - height) * 0.4), p.width, height);
}

const turnedBy = (p: Raster, quarter: number): Promise<Raster> => raw(toSharp(p).rotate(quarter));

export const CORE: Readonly<Record<string, Attack>> = {
  none: async (p) => p,
  jpeg90: (p) => jpeg(p, 90),
  jpeg70: (p) => jpeg(p, 70),
  jpeg50: (p) => jpeg(p, 50),
  jpeg30: (p) => jpeg(p, 30),
  jpeg15: (p) => jpeg(p, 15),
  webp50: (p) => webp(p, 50),
  resize2x: (p) => resize(p, 2),
  'resize0.75': (p) => resize(p, 0.75),
  'resize0.5': (p) => resize(p, 0.5),
  'resize0.25': (p) => resize(p, 0.25),
  'resize0.37+q75': async (p) => jpeg(await resize(p, 0.37), 75),
  'crop50%area': async (p) => crop(p, 0.5),
  'crop25%area': async (p) => crop(p, 0.25),
  'crop25%+q60': (p) => jpeg(crop(p, 0.25), 60),
  'aspect+3%': (p) => stretch(p, p.width * 1.03, p.height),
  'aspect-8%': (p) => stretch(p, p.width * 0.92, p.height),
  rot90: (p) => turnedBy(p, 90),
  rot180: (p) => turnedBy(p, 180),
  rot1: async (p) => rotateInside(p, 1),
  'rot5+q80': (p) => jpeg(rotateInside(p, -5), 80),
  rot17full: async (p) => rotateFull(p, 17),
  rot45crop: async (p) => rotateInside(p, 45),
  fliph: (p) => raw(toSharp(p).flop()),
  'flipv+rot3': async (p) => rotateInside(await raw(toSharp(p).flip()), 3),
  screenshot: async (p) => jpeg(await sharpen(gamma(await resize(p, 0.66), 0.9)), 80),
  blur1: (p) => blur(p, 1),
  blur2: (p) => blur(p, 2),
  median5: (p) => raw(toSharp(p).median(5)),
  noise5: async (p) => noise(p, 5),
  noise10: async (p) => noise(p, 10),
  noise25: async (p) => noise(p, 25),
  'bright+40': async (p) => tone(p, 1, 40),
  'contrast.6': async (p) => tone(p, 0.6, 0),
  'sat.3': async (p) => saturation(p, 0.3),
  grey: async (p) => grey(p),
  histeq: async (p) => equalised(p),
  quant32: (p) => palette(p, 32),
  overlay,
  'collage.6': collage,
  social2048q75: (p) => social(p, 2_048, 75),
  social1080q75: (p) => social(p, 1_080, 75),
  'crop50+social1080q75': (p) => social(crop(p, 0.5), 1_080, 75),
  nlmeans: async (p) => bilateral(p),
  'persp2%': async (p) => perspective(p, 0.02),
  'persp5%': async (p) => perspective(p, 0.05),
  'screencam3%': (p) => screenCamera(p, 0.03),
  'printcam3%': (p) => printCamera(p, 0.03),
  'jpeg75+60': async (p) => jpeg(await jpeg(p, 75), 60),
};

export const EXTREME: Readonly<Record<string, Attack>> = {
  webp20: (p) => webp(p, 20),
  social640q60: (p) => social(p, 640, 60),
  'crop10%area': async (p) => crop(p, 0.1),
};

/** Reported beside the table, in no rate. */
export const BEYOND: Readonly<Record<string, Attack>> = {
  avif50: (p) => avif(p, 50),
  'persp8%': async (p) => perspective(p, 0.08),
  strip: async (p) => strip(p),
  'crop15%area': async (p) => crop(p, 0.15),
};

/** For pictures of 512 px. */
export const SMALL: Readonly<Record<string, Attack>> = {
  none: async (p) => p,
  jpeg70: (p) => jpeg(p, 70),
  jpeg50: (p) => jpeg(p, 50),
  jpeg30: (p) => jpeg(p, 30),
  webp50: (p) => webp(p, 50),
  'resize0.5': (p) => resize(p, 0.5),
  'crop50%area': async (p) => crop(p, 0.5),
  'rot5+q80': (p) => jpeg(rotateInside(p, -5), 80),
};
