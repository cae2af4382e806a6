// Check digits of cards, accounts and national numbers: each answers whether the digits belong together.

const digitsOf = (text: string): number[] => Array.from(text, Number);

/** Luhn, ISO/IEC 7812-1 annex B; digits only. */
export function luhn(digits: string): boolean {
  let sum = 0;
  // from the right, every second digit doubled, digits of the product added
  for (let i = digits.length - 1, isDoubled = false; i >= 0; i--, isDoubled = !isDoubled) {
    const digit = digits.charCodeAt(i) - 48;
    const doubled = digit * 2;
    sum += isDoubled ? (doubled > 9 ? doubled - 9 : doubled) : digit;
  }
  return sum % 10 === 0;
}

/** The rest of a decimal number of any length, letters as A = 10 … Z = 35 (ISO 7064, ISO 13616). */
export function mod97(text: string): number {
  let rest = 0;
  // digit by digit, letters as two digits
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    rest = code >= 65 ? (rest * 100 + code - 55) % 97 : (rest * 10 + code - 48) % 97;
  }
  return rest;
}

/** Weighted sum of the leading digits. */
export function weighted(digits: string, weights: readonly number[]): number {
  return weights.reduce((sum, weight, i) => sum + weight * (digits.charCodeAt(i) - 48), 0);
}

/** ISO/IEC 7064 MOD 11,10 over all digits (German Steuer-ID). */
export function iso7064Mod11x10(digits: string): boolean {
  let product = 10;
  // each digit but the last folds into the product
  for (const digit of digitsOf(digits.slice(0, -1))) {
    const sum = (digit + product) % 10 || 10;
    product = (2 * sum) % 11;
  }
  return (11 - product) % 10 === Number(digits.at(-1));
}

const VERHOEFF_D = [
  '0123456789',
  '1234067895',
  '2340178956',
  '3401289567',
  '4012395678',
  '5987604321',
  '6598710432',
  '7659821043',
  '8765932104',
  '9876543210',
].map(digitsOf);
const VERHOEFF_P = [
  '0123456789',
  '1576283094',
  '5803796142',
  '8916043527',
  '9453126870',
  '4286573901',
  '2793806415',
  '7046913258',
].map(digitsOf);

/** Verhoeff's dihedral check (J. Verhoeff, "Error Detecting Decimal Codes", 1969), the last digit being the check. */
export function verhoeff(digits: string): boolean {
  let check = 0;
  // from the right, each digit permuted by its place
  for (let i = 0; i < digits.length; i++) {
    const digit = digits.charCodeAt(digits.length - 1 - i) - 48;
    check = VERHOEFF_D[check]![VERHOEFF_P[i % 8]![digit]!]!;
  }
  return check === 0;
}

const CRC_TABLE = Uint32Array.from({ length: 256 }, (_, n) => {
  let c = n;
  for (let k = 0; k < 8; k++) c = c & 1 ? 0xedb88320 ^ (c >>> 1) : c >>> 1;
  return c >>> 0;
});

/** CRC-32 (ISO-HDLC, as in zlib) of ASCII text. */
export function crc32(text: string): number {
  let crc = 0xffffffff;
  // one byte at a time
  for (let i = 0; i < text.length; i++) crc = CRC_TABLE[(crc ^ text.charCodeAt(i)) & 0xff]! ^ (crc >>> 8);
  return (crc ^ 0xffffffff) >>> 0;
}

const BASE62 = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';

/** A number in base 62, padded (the check of GitHub's and npm's tokens). */
export function base62(value: number, length: number): string {
  let text = '';
  for (let rest = value; rest > 0; rest = Math.floor(rest / 62)) text = BASE62[rest % 62] + text;
  return text.padStart(length, '0');
}
