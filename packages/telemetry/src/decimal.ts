// Exact decimals as text and as integer pico-dollars (10^-12 USD): money never passes through a float.

const PICO_DIGITS = 12;
const DECIMAL = /^([+-]?)(\d{0,40})(?:\.(\d{0,60}))?(?:[eE]([+-]?\d{1,3}))?$/;
const MAX_DIGITS = 60;

interface Parts {
  negative: boolean;
  /** All digits, without the point. */
  digits: string;
  /** How many of the digits stand behind the point; never negative. */
  scale: number;
}

function partsOf(text: string): Parts | undefined {
  const match = DECIMAL.exec(text.trim());
  if (match === null) return undefined;
  const [, sign, whole = '', fraction = '', exponent = '0'] = match;
  if (whole === '' && fraction === '') return undefined;
  const scale = fraction.length - Number(exponent);
  if (Math.abs(scale) > MAX_DIGITS) return undefined;
  const digits = whole + fraction + '0'.repeat(Math.max(0, -scale));
  return { negative: sign === '-', digits, scale: Math.max(0, scale) };
}

/**
 * The shortest exact decimal text of a number or decimal text (`1e-7` → `"0.0000001"`, `"+1.50"` → `"1.5"`), or
 * undefined when it is none or longer than 60 places. A double is taken as its shortest decimal, as everyone prints it.
 */
export function decimalOf(value: number | string): string | undefined {
  const parts = partsOf(String(value));
  return parts === undefined ? undefined : textOf(parts.negative, BigInt(parts.digits), parts.scale);
}

function textOf(negative: boolean, magnitude: bigint, scale: number): string {
  const digits = magnitude.toString().padStart(scale + 1, '0');
  const whole = digits.slice(0, digits.length - scale);
  const fraction = digits.slice(digits.length - scale).replace(/0+$/, '');
  const text = fraction === '' ? whole : `${whole}.${fraction}`;
  return negative && magnitude !== 0n ? `-${text}` : text;
}

/** Pico-dollars → the shortest decimal text of dollars: `7_000_000_000n` → `"0.007"`. */
export function usdOf(pico: bigint): string {
  return textOf(pico < 0n, pico < 0n ? -pico : pico, PICO_DIGITS);
}

/** Decimal text of dollars → pico-dollars, rounded half to even beyond the twelfth place; undefined when it is no decimal. */
export function picoOf(usd: string): bigint | undefined {
  const parts = partsOf(usd);
  if (parts === undefined) return undefined;
  const { negative, digits, scale } = parts;
  const magnitude =
    scale <= PICO_DIGITS
      ? BigInt(digits) * 10n ** BigInt(PICO_DIGITS - scale)
      : divideHalfEven(BigInt(digits), 10n ** BigInt(scale - PICO_DIGITS));
  return negative ? -magnitude : magnitude;
}

/** `numerator / denominator` for non-negative integers, rounded half to even. */
export function divideHalfEven(numerator: bigint, denominator: bigint): bigint {
  const quotient = numerator / denominator;
  const twice = (numerator - quotient * denominator) * 2n;
  const roundsUp = twice > denominator || (twice === denominator && (quotient & 1n) === 1n);
  return roundsUp ? quotient + 1n : quotient;
}
