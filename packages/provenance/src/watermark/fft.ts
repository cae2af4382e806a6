// The fast Fourier transform of a square: radix 2, in place, single precision. Used to try all offsets of a crop at once.
// J. W. Cooley and J. W. Tukey, 1965.

/** A complex square of side n (a power of two), rows one after the other. */
export interface ComplexSquare {
  side: number;
  re: Float32Array;
  im: Float32Array;
}

export function complexSquare(side: number): ComplexSquare {
  return { side, re: new Float32Array(side * side), im: new Float32Array(side * side) };
}

/** Transforms rows, then columns; the result is transposed (row u, column v holds frequency v, u). */
export function fourier(square: ComplexSquare): void {
  const rows = rowTransform(square.side);
  rows(square);
  transpose(square);
  rows(square);
}

/** The inverse of `fourier`, transposed back, scaled by 1/n². */
export function inverseFourier(square: ComplexSquare): void {
  const { re, im, side } = square;
  for (let i = 0; i < im.length; i++) im[i] = -(im[i] as number);
  fourier(square);
  const scale = 1 / (side * side);
  for (let i = 0; i < re.length; i++) {
    re[i] = (re[i] as number) * scale;
    im[i] = -(im[i] as number) * scale;
  }
}

const TILE = 32;

function transpose({ side, re, im }: ComplexSquare): void {
  for (let v = 0; v < side; v += TILE) {
    for (let u = v; u < side; u += TILE) {
      for (let y = v; y < Math.min(side, v + TILE); y++) {
        for (let x = u === v ? y + 1 : u; x < Math.min(side, u + TILE); x++) {
          const [a, b] = [y * side + x, x * side + y];
          const real = re[a] as number;
          re[a] = re[b] as number;
          re[b] = real;
          const imaginary = im[a] as number;
          im[a] = im[b] as number;
          im[b] = imaginary;
        }
      }
    }
  }
}

function rowTransform(n: number): (square: ComplexSquare) => void {
  const bits = Math.log2(n);
  if (!Number.isInteger(bits)) throw new TypeError(`Expected a power of two for the side but received ${n}`);
  const cosines = Float32Array.from({ length: n / 2 }, (_, i) => Math.cos((2 * Math.PI * i) / n));
  const sines = Float32Array.from({ length: n / 2 }, (_, i) => -Math.sin((2 * Math.PI * i) / n));
  const reversed = new Uint32Array(n);
  for (let i = 0; i < n; i++) reversed[i] = ((reversed[i >> 1] as number) >> 1) | ((i & 1) << (bits - 1));
  return ({ re, im }) => {
    for (let row = 0; row < n * n; row += n) {
      for (let i = 0; i < n; i++) {
        const j = reversed[i] as number;
        if (j <= i) continue;
        const real = re[row + i] as number;
        re[row + i] = re[row + j] as number;
        re[row + j] = real;
        const imaginary = im[row + i] as number;
        im[row + i] = im[row + j] as number;
        im[row + j] = imaginary;
      }
      // butterflies of span 2, 4, … n
      for (let span = 2; span <= n; span <<= 1) {
        const half = span >> 1;
        const step = n / span;
        for (let start = row; start < row + n; start += span) {
          for (let k = 0, t = 0; k < half; k++, t += step) {
            const [c, s] = [cosines[t] as number, sines[t] as number];
            const p = start + k;
            const q = p + half;
            const real = (re[q] as number) * c - (im[q] as number) * s;
            const imaginary = (re[q] as number) * s + (im[q] as number) * c;
            re[q] = (re[p] as number) - real;
            im[q] = (im[p] as number) - imaginary;
            re[p] = (re[p] as number) + real;
            im[p] = (im[p] as number) + imaginary;
          }
        }
      }
    }
  };
}
