import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ssim as independentSsim } from 'ssim.js';
import { lower95, ssim, worstPatch } from './measures.ts';
import { psnr, randomFrom, type Raster } from './raster.ts';

test('the bound agrees with its closed forms', () => {
  // all of n: p^n = 0.05; one of n: 1 − (1 − p)^n = 0.05
  for (const n of [1, 5, 28, 59, 500]) assert.ok(Math.abs(lower95(n, n) - 0.05 ** (1 / n)) < 1e-8);
  for (const n of [5, 28, 500]) assert.ok(Math.abs(lower95(1, n) - (1 - 0.95 ** (1 / n))) < 1e-8);
  // 10 of 20, table of the beta quantile: qbeta(0.05, 10, 11) = 0.3020
  assert.ok(Math.abs(lower95(10, 20) - 0.302) < 5e-4);
});

const picture = (change: (value: number, i: number) => number): Raster => {
  const random = randomFrom(5);
  const data = Uint8Array.from({ length: 128 * 128 * 3 }, (_, i) => change(64 + Math.floor(128 * random()), i));
  return { width: 128, height: 128, data };
};

test('SSIM is 1 for the same, and what its formula says when only the mean differs', () => {
  const one = picture((value) => value);
  assert.equal(ssim(one, one), 1);
  const flat = (level: number): Raster => picture(() => level);
  const [x, y, c1] = [100, 120, (0.01 * 255) ** 2];
  assert.ok(Math.abs(ssim(flat(x), flat(y)) - (2 * x * y + c1) / (x * x + y * y + c1)) < 1e-9);
  assert.ok(
    ssim(
      one,
      picture((value, i) => value + (Math.floor(i / 3) % 2 ? 20 : -20)),
    ) < 0.97,
  );
});

test('SSIM is that of another library', () => {
  const one = picture((value) => value);
  for (const strength of [2, 8, 30]) {
    const random = randomFrom(strength);
    const other = picture((value) => Math.min(255, Math.max(0, value + Math.round(strength * (2 * random() - 1)))));
    const theirs = independentSsim(rgba(one), rgba(other), { ssim: 'original', downsample: false }).mssim;
    assert.ok(Math.abs(ssim(one, other) - theirs) < 2e-4, `${ssim(one, other)} and ${theirs}`);
  }
});

function rgba({ width, height, data }: Raster): { width: number; height: number; data: Uint8ClampedArray } {
  const with4 = new Uint8ClampedArray(width * height * 4).fill(255);
  for (let i = 0; i < width * height; i++) for (let c = 0; c < 3; c++) with4[4 * i + c] = data[3 * i + c] as number;
  return { width, height, data: with4 };
}

test('the worst patch is the one that was changed', () => {
  const one = picture((value) => value);
  const other = picture((value, i) => (i === (70 * 128 + 80) * 3 ? value + 40 : value));
  const { left, top, psnr: worst } = worstPatch(one, other);
  assert.deepEqual([left, top], [64, 64]);
  assert.ok(worst < psnr(one, other));
});
