// Counts, shares and sizes for people.

/** Thousands separated in the whole part of a plain decimal: `1234567.5` → `1,234,567.5`. */
export function groupDigits(text: string): string {
  const [whole = '', fraction] = text.split('.');
  const grouped = whole.replace(/\B(?=(\d{3})+$)/g, ',');
  return fraction === undefined ? grouped : `${grouped}.${fraction}`;
}

/** Every digit of an integer: 12345 → `12,345`. */
export function count(value: number): string {
  return groupDigits(String(Math.round(value)));
}

/** Three digits that matter: 999 → `999`, 12345 → `12.3k`, 4200000 → `4.2M`. */
export function compact(value: number): string {
  const size = Math.abs(value);
  for (const [unit, letter] of UNITS) {
    // 999,600 is 1M, never 1000k
    if (size >= unit * 0.9995) return `${threeDigits(value / unit)}${letter}`;
  }
  return Number.isInteger(value) ? String(value) : threeDigits(value);
}

const UNITS = [
  [1e9, 'B'],
  [1e6, 'M'],
  [1e3, 'k'],
] as const;

function threeDigits(value: number): string {
  return String(Number(value.toPrecision(3)));
}

/** `count(1, 'span')` reads `1 span`, 2 reads `2 spans`. */
export function plural(value: number, noun: string, nouns = `${noun}s`): string {
  return `${count(value)} ${value === 1 ? noun : nouns}`;
}

/** 0.1234 → `12.3 %`. */
export function percent(share: number): string {
  const value = share * 100;
  const digits = value !== 0 && Math.abs(value) < 10 ? 2 : 1;
  return `${value.toFixed(digits).replace(/\.?0+$/, '')} %`;
}

/** Bytes in the binary units that the limits are given in: 26214400 → `25 MiB`. */
export function bytes(size: number): string {
  if (size < 1024) return `${size} B`;
  if (size < 1024 ** 2) return `${threeDigits(size / 1024)} KiB`;
  return `${threeDigits(size / 1024 ** 2)} MiB`;
}

/**
 * A probability too small to write out: log10 p = −11.3 → `5 × 10^-12`; from 0.001 up as a decimal.
 */
export function probability(log10p: number): string {
  if (log10p >= -3) return String(Number((10 ** log10p).toPrecision(2)));
  let exponent = Math.floor(log10p);
  let mantissa = Math.round(10 ** (log10p - exponent));
  if (mantissa === 10) [mantissa, exponent] = [1, exponent + 1];
  return `${mantissa} × 10^${exponent}`;
}
