import assert from 'node:assert/strict';
import { test } from 'node:test';
import { complexSquare, fft2, halfSpectrum, inverseRealFft2, realFft2 } from './fft.ts';

function noise(length: number, seed = 1): Float32Array {
  let state = seed;
  return Float32Array.from({ length }, () => {
    state = (state * 1_103_515_245 + 12_345) % 2_147_483_648;
    return state / 1_073_741_824 - 1;
  });
}

/** Σ f(x, y) e^{−2πi(ux + vy)/size}, straight from the definition. */
function bin(data: Float32Array, width: number, size: number, u: number, v: number): [number, number] {
  let [re, im] = [0, 0];
  for (let i = 0; i < data.length; i++) {
    const angle = (-2 * Math.PI * (u * (i % width) + v * Math.floor(i / width))) / size;
    re += (data[i] as number) * Math.cos(angle);
    im += (data[i] as number) * Math.sin(angle);
  }
  return [re, im];
}

const near = (a: number | undefined, b: number, tolerance: number): void =>
  assert.ok(Math.abs((a as number) - b) < tolerance, `${a} is not ${b}`);

for (const [width, height, size] of [
  [16, 16, 16],
  [13, 7, 16],
  [31, 5, 32],
  [1, 9, 16],
] as const) {
  test(`a real picture of ${width}×${height} has the bins of the definition, and comes back`, () => {
    const data = noise(width * height, width);
    const spectrum = realFft2(data, width, height, halfSpectrum(size));
    for (let v = 0; v <= size / 2; v++) {
      for (let u = 0; u < size; u++) {
        const [re, im] = bin(data, width, size, u, v);
        near(spectrum.re[v * size + u], re, 1e-4);
        near(spectrum.im[v * size + u], im, 1e-4);
      }
    }
    const back = inverseRealFft2(spectrum, width, height, new Float32Array(width * height));
    for (let i = 0; i < data.length; i++) near(back[i], data[i] as number, 1e-5);
  });
}

test('a complex square has the bins of the definition, and comes back', () => {
  const square = complexSquare(16);
  const [re, im] = [noise(256, 3), noise(256, 4)];
  square.re.set(re);
  square.im.set(im);
  fft2(square);
  for (let v = 0; v < 16; v++) {
    for (let u = 0; u < 16; u++) {
      const [a, b] = [bin(re, 16, 16, u, v), bin(im, 16, 16, u, v)];
      near(square.re[v * 16 + u], a[0] - b[1], 1e-4);
      near(square.im[v * 16 + u], a[1] + b[0], 1e-4);
    }
  }
  fft2(square, true);
  for (let i = 0; i < 256; i++) near(square.re[i], re[i] as number, 1e-5);
});

test('at 1024 the power of the bins is the power of the picture', () => {
  const data = noise(1_000 * 700, 5);
  const { re, im } = realFft2(data, 1_000, 700, halfSpectrum(1_024));
  let power = 0;
  for (let i = 0; i < re.length; i++) {
    const row = Math.floor(i / 1_024);
    const times = row === 0 || row === 512 ? 1 : 2;
    power += times * ((re[i] as number) ** 2 + (im[i] as number) ** 2);
  }
  const expected = data.reduce((sum, value) => sum + value * value, 0) * 1_024 * 1_024;
  near(power / expected, 1, 1e-4);
});
