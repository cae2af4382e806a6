// The canonical frame and the modulated lapped transform in which the mark lives.
// Lapped, because its basis functions fade out at their ends: no block edges to see, little leakage from the strong low
// frequencies of photographs. H. S. Malvar, "Lapped transforms for efficient transform/subband coding", 1990.

/** Distance between blocks; a basis function is twice as long. */
export const HOP = 16;
const SUPPORT = 2 * HOP;
/** Coefficients kept per axis: centre frequencies (k + ½)/32 cycles per pixel, up to 0.27. */
export const ORDERS = 9;

const CANONICAL_LONG_SIDE = 1024;
const CANONICAL_SHORT_SIDE = 256;

export interface FrameSize {
  width: number;
  height: number;
}

/**
 * The size at which a picture is marked and checked: long side 1024, or shorter side 256 where that is larger
 * (panoramas), never above its own size.
 */
export function canonicalSize({ width, height }: FrameSize): FrameSize {
  const scale = Math.min(
    1,
    Math.max(CANONICAL_LONG_SIDE / Math.max(width, height), CANONICAL_SHORT_SIDE / Math.min(width, height)),
  );
  return { width: Math.max(1, Math.round(width * scale)), height: Math.max(1, Math.round(height * scale)) };
}

/** One coefficient order of a block that lies in the band of the mark. */
export interface BandEntry {
  kx: number;
  ky: number;
  /** Relative amplitude of the mark, mean square 1 over the band. */
  amplitude: number;
}

// below 0.04 cycles per pixel photographs are too strong, above 0.27 a picture of 640 px has nothing left
const BAND_LOW = 0.04;
const BAND_HIGH = 0.27;
// the slope of photographs' spectra after local normalisation, measured by the prototype on 36 photographs
const BAND_SLOPE = -0.6;

/** The orders of a block in the band, row (ky) by row. */
export const BAND: readonly BandEntry[] = bandEntries();

function bandEntries(): BandEntry[] {
  const entries: BandEntry[] = [];
  for (let ky = 0; ky < ORDERS; ky++) {
    for (let kx = 0; kx < ORDERS; kx++) {
      const frequency = Math.hypot(kx + 0.5, ky + 0.5) / SUPPORT;
      if (frequency >= BAND_LOW && frequency <= BAND_HIGH) entries.push({ kx, ky, amplitude: frequency ** BAND_SLOPE });
    }
  }
  const rms = Math.sqrt(entries.reduce((sum, { amplitude }) => sum + amplitude ** 2, 0) / entries.length);
  return entries.map((entry) => ({ ...entry, amplitude: entry.amplitude / rms }));
}

/** Whole blocks that fit into a frame; frames under 32 px have none. */
export function blockCounts({ width, height }: FrameSize): { across: number; down: number } {
  return { across: Math.max(0, Math.floor(width / HOP) - 1), down: Math.max(0, Math.floor(height / HOP) - 1) };
}

// basis[k·32 + n]: orthonormal over all blocks and orders (sine window, time-domain aliasing cancels)
const BASIS = new Float32Array(ORDERS * SUPPORT);
for (let k = 0; k < ORDERS; k++) {
  for (let n = 0; n < SUPPORT; n++) {
    BASIS[k * SUPPORT + n] =
      Math.sqrt(2 / HOP) *
      Math.sin((Math.PI * (n + 0.5)) / SUPPORT) *
      Math.cos((Math.PI / HOP) * (n + 0.5 + HOP / 2) * (k + 0.5));
  }
}

/**
 * Coefficients of a frame in the order block row, ky, block, kx; all 9 × 9 orders of each block.
 * @param samples row order, width × height
 */
export function forward(samples: Float32Array, size: FrameSize): Float32Array {
  const { width } = size;
  const { across, down } = blockCounts(size);
  const rowLength = across * ORDERS;
  const coefficients = new Float32Array(down * ORDERS * rowLength);
  const column = new Float32Array(width);
  for (let by = 0; by < down; by++) {
    for (let ky = 0; ky < ORDERS; ky++) {
      // down the columns: the projection of 32 rows on one basis function, for all columns at once
      column.fill(0);
      for (let n = 0; n < SUPPORT; n++) {
        const weight = BASIS[ky * SUPPORT + n] as number;
        const row = (by * HOP + n) * width;
        for (let x = 0; x < width; x++) column[x] = (column[x] as number) + weight * (samples[row + x] as number);
      }
      // along the row: each block's 32 values on the nine basis functions
      let out = (by * ORDERS + ky) * rowLength;
      for (let bx = 0; bx < across; bx++) {
        const start = bx * HOP;
        for (let kx = 0; kx < ORDERS; kx++) {
          const basis = kx * SUPPORT;
          let sum = 0;
          for (let n = 0; n < SUPPORT; n++) sum += (BASIS[basis + n] as number) * (column[start + n] as number);
          coefficients[out++] = sum;
        }
      }
    }
  }
  return coefficients;
}

/** The frame that has these coefficients: the transpose of `forward`. */
export function inverse(coefficients: Float32Array, size: FrameSize): Float32Array {
  const { width, height } = size;
  const { across, down } = blockCounts(size);
  const rowLength = across * ORDERS;
  const samples = new Float32Array(width * height);
  const line = new Float32Array(width);
  for (let by = 0; by < down; by++) {
    for (let ky = 0; ky < ORDERS; ky++) {
      // along the row: overlapping basis functions summed into one line
      line.fill(0);
      let at = (by * ORDERS + ky) * rowLength;
      for (let bx = 0; bx < across; bx++) {
        const start = bx * HOP;
        for (let kx = 0; kx < ORDERS; kx++) {
          const value = coefficients[at++] as number;
          if (value === 0) continue;
          const basis = kx * SUPPORT;
          for (let n = 0; n < SUPPORT; n++) {
            line[start + n] = (line[start + n] as number) + value * (BASIS[basis + n] as number);
          }
        }
      }
      // down the columns: the line times one basis function into 32 rows
      for (let n = 0; n < SUPPORT; n++) {
        const weight = BASIS[ky * SUPPORT + n] as number;
        const row = (by * HOP + n) * width;
        for (let x = 0; x < width; x++) samples[row + x] = (samples[row + x] as number) + weight * (line[x] as number);
      }
    }
  }
  return samples;
}

/** Box mean with edges repeated, radius `r`, by running sums: cost does not depend on the radius. */
export function boxMean(source: Float32Array, { width, height }: FrameSize, r: number): Float32Array {
  const across = new Float32Array(width * height);
  const scale = 1 / (2 * r + 1);
  for (let y = 0; y < height; y++) {
    const row = y * width;
    let sum = 0;
    for (let i = -r; i <= r; i++) sum += source[row + Math.min(width - 1, Math.max(0, i))] as number;
    for (let x = 0; x < width; x++) {
      across[row + x] = sum * scale;
      const enters = source[row + Math.min(width - 1, x + r + 1)] as number;
      sum += enters - (source[row + Math.max(0, x - r)] as number);
    }
  }
  const mean = new Float32Array(width * height);
  const sums = new Float32Array(width);
  for (let i = -r; i <= r; i++) {
    const row = Math.min(height - 1, Math.max(0, i)) * width;
    for (let x = 0; x < width; x++) sums[x] = (sums[x] as number) + (across[row + x] as number);
  }
  for (let y = 0; y < height; y++) {
    const row = y * width;
    const enters = Math.min(height - 1, y + r + 1) * width;
    const leaves = Math.max(0, y - r) * width;
    for (let x = 0; x < width; x++) {
      mean[row + x] = (sums[x] as number) * scale;
      sums[x] = (sums[x] as number) + (across[enters + x] as number) - (across[leaves + x] as number);
    }
  }
  return mean;
}
