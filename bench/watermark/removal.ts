// Somebody who knows everything but the keys tries to take the mark away: estimates it from the one picture that there is,
// by laying its periods over each other, and subtracts the estimate where a mark may be strong.
import { analyse, boxBlur } from '../../packages/provenance/src/watermark/analyse.ts';
import { halfSpectrum, inverseRealFft2, realFft2 } from '../../packages/provenance/src/watermark/fft.ts';
import { visibilityMask } from '../../packages/provenance/src/watermark/mask.ts';
import { addDelta, canonicalLuma } from '../../packages/provenance/src/watermark/place.ts';
import { psnr, type Raster } from './raster.ts';

/** What is spent on the attempt, dB against the marked picture. */
const SPENT_DB = 45;

/** A change of the canonical grid, subtracted at the strength that costs 45 dB. */
function subtract(picture: Raster, estimate: (luma: ReturnType<typeof canonicalLuma>) => Float32Array): Raster {
  const pixels = { ...picture, channels: 3 as const, bitDepth: 8 as const };
  const luma = canonicalLuma(pixels);
  const mask = visibilityMask(luma);
  const change = estimate(luma).map((value, i) => value * (mask[i] as number));
  let [low, high] = [0, 8];
  let result = picture;
  for (let i = 0; i < 8; i++) {
    const strength = (low + high) / 2;
    const tried = { ...pixels, data: Uint8Array.from(picture.data) };
    addDelta(tried, change, -strength);
    result = { width: picture.width, height: picture.height, data: tried.data };
    if (psnr(picture, result) > SPENT_DB) low = strength;
    else high = strength;
  }
  return result;
}

/** The mean of what lies `period` canonical pixels apart, in the locally normalised picture. */
export function removeByFolding(picture: Raster, period: number): Raster {
  return subtract(picture, (luma) => {
    const { width, height } = luma;
    const local = boxBlur(luma.data, width, height, 7);
    const residual = luma.data.map((value, i) => value - (local[i] as number));
    const deviation = boxBlur(
      residual.map((value) => value * value),
      width,
      height,
      11,
    );
    const sums = new Float64Array(period * period);
    const counts = new Float64Array(period * period);
    for (let i = 0; i < residual.length; i++) {
      const at = (Math.floor(i / width) % period) * period + ((i % width) % period);
      const value = (residual[i] as number) / (Math.sqrt(deviation[i] as number) + 1);
      sums[at] = (sums[at] as number) + Math.min(2.5, Math.max(-2.5, value));
      counts[at] = (counts[at] as number) + 1;
    }
    const tile = sums.map((sum, i) => sum / Math.max(1, counts[i] as number));
    const rms = Math.sqrt(tile.reduce((sum, value) => sum + value * value, 0) / tile.length);
    return Float32Array.from(residual, (_, i) => {
      const at = (Math.floor(i / width) % period) * period + ((i % width) % period);
      return (tile[at] as number) / rms;
    });
  });
}

const PEAK = 12;

/** Lines that stand out of the spectrum, taken for the mark. */
export function removePeaks(picture: Raster): Raster {
  return subtract(picture, (luma) => {
    const { width, height } = luma;
    const { power, spectrum } = analyse(luma);
    const bins = realFft2(luma.data, width, height, halfSpectrum(spectrum.size));
    for (let i = 0; i < power.length; i++) {
      if ((power[i] as number) >= PEAK) continue;
      bins.re[i] = 0;
      bins.im[i] = 0;
    }
    const peaks = inverseRealFft2(bins, width, height, new Float32Array(luma.data.length));
    const rms = Math.sqrt(peaks.reduce((sum, value) => sum + value * value, 0) / peaks.length) || 1;
    return peaks.map((value) => value / rms);
  });
}
