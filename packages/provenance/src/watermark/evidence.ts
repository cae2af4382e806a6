// From a picture to the numbers that a key's signs are held against.
// Nothing here depends on any key: that is what makes the false-alarm bound hold for every picture.
import type { Luma } from '../codec/codec.ts';
import { BAND, blockCounts, boxMean, forward, HOP, ORDERS, type FrameSize } from './transform.ts';

/** Whitened coefficients yᵢ, one for each sign, in the order of `keyedSigns`. */
export type Evidence = Float32Array;

// tuned on 30 photographs (fixtures and Debian wallpapers, gain 1) after 1080 px JPEG 50 and 640 px JPEG 60: worst z 33.5
// and 14.7; without power floor and slope 17 and 3.7; orders weighted equally 33 and 13.6
const RESIDUAL_RADIUS = 5;
const VARIANCE_RADIUS = 10;
const SAMPLE_LIMIT = 2.5;
const COEFFICIENT_LIMIT = 2;
/** Share of the mean power that every order is taken to have: compression empties high orders, and they must not shout. */
const POWER_FLOOR = 0.3;
const FREQUENCY_SLOPE = -0.7;

/** The evidence of a canonical frame. */
export function evidence(luma: Luma): Evidence {
  const counts = blockCounts(luma);
  const coefficients = bandCoefficients(forward(normalise(luma), luma), counts);
  whiten(coefficients, counts);
  return coefficients;
}

/** Local mean off, local standard deviation to one, outliers cut: edges must not outweigh a whole sky. */
export function normalise(luma: Luma): Float32Array {
  const { data } = luma;
  const residual = boxMean(data, luma, RESIDUAL_RADIUS);
  const squared = new Float32Array(data.length);
  for (let i = 0; i < data.length; i++) {
    const value = (data[i] as number) - (residual[i] as number);
    residual[i] = value;
    squared[i] = value * value;
  }
  const variance = boxMean(squared, luma, VARIANCE_RADIUS);
  for (let i = 0; i < data.length; i++) {
    const value = (residual[i] as number) / (Math.sqrt(Math.max(0, variance[i] as number)) + 1);
    residual[i] = Math.min(SAMPLE_LIMIT, Math.max(-SAMPLE_LIMIT, value));
  }
  return residual;
}

/** The orders of the band, block by block. */
export function bandCoefficients(all: Float32Array, { across, down }: { across: number; down: number }): Float32Array {
  const picked = new Float32Array(across * down * BAND.length);
  let out = 0;
  for (let by = 0; by < down; by++) {
    for (let bx = 0; bx < across; bx++) {
      for (const { kx, ky } of BAND) picked[out++] = all[((by * ORDERS + ky) * across + bx) * ORDERS + kx] as number;
    }
  }
  return picked;
}

/** Divides by the local and by the order's power, limits, and weights each order by what it can carry; in place. */
export function whiten(coefficients: Float32Array, blocks: { across: number; down: number }): void {
  const count = blocks.across * blocks.down;
  const orders = BAND.length;
  if (count === 0) return;
  let power = orderPower(coefficients, new Float32Array(count).fill(1));
  const energy = blockEnergy(coefficients, power, blocks);
  power = orderPower(coefficients, energy);
  const local = blockEnergy(coefficients, power, blocks);
  const deviation = power.map(Math.sqrt);
  const weight = BAND.map(({ kx, ky, amplitude }, order) => {
    const frequency = Math.hypot(kx + 0.5, ky + 0.5) / (2 * HOP);
    return (amplitude * frequency ** FREQUENCY_SLOPE) / (deviation[order] as number);
  });
  for (let block = 0, at = 0; block < count; block++) {
    const blockDeviation = Math.sqrt(local[block] as number);
    for (let order = 0; order < orders; order++, at++) {
      const value = (coefficients[at] as number) / ((deviation[order] as number) * blockDeviation);
      const limited = Math.min(COEFFICIENT_LIMIT, Math.max(-COEFFICIENT_LIMIT, value));
      coefficients[at] = limited * (weight[order] as number);
    }
  }
}

/** Mean power of each order over all blocks, each block divided by its energy; with the floor added. */
function orderPower(coefficients: Float32Array, energy: Float32Array): Float64Array {
  const orders = BAND.length;
  const power = new Float64Array(orders);
  for (let block = 0, at = 0; block < energy.length; block++) {
    const share = 1 / (energy[block] as number);
    for (let order = 0; order < orders; order++, at++) {
      power[order] = (power[order] as number) + (coefficients[at] as number) ** 2 * share;
    }
  }
  const mean = power.reduce((sum, value) => sum + value, 0) / (orders * energy.length);
  return power.map((value) => value / energy.length + POWER_FLOOR * mean + 1e-9);
}

/** Mean whitened power of each block and its eight neighbours. */
function blockEnergy(coefficients: Float32Array, power: Float64Array, blocks: { across: number; down: number }) {
  const orders = BAND.length;
  const energy = new Float32Array(blocks.across * blocks.down);
  for (let block = 0, at = 0; block < energy.length; block++) {
    let sum = 0;
    for (let order = 0; order < orders; order++, at++)
      sum += (coefficients[at] as number) ** 2 / (power[order] as number);
    energy[block] = sum / orders;
  }
  const size: FrameSize = { width: blocks.across, height: blocks.down };
  return boxMean(energy, size, 1).map((value) => Math.max(0, value) + 1e-3);
}
