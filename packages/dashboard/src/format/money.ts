// Amounts of US dollars for people: the digits that matter; the exact figure is for the tooltip.
import { magnitudeOf, roundDecimal } from './decimal.ts';
import { groupDigits } from './number.ts';

/** `"1234.5678"` → `$1,234.57`, `"0.012345"` → `$0.0123`, `"0.0000456789"` → `$0.0000457`, `"0"` → `$0`. */
export function money(usd: string): string {
  const magnitude = magnitudeOf(usd);
  if (magnitude === undefined) return '$0';
  const digits = magnitude >= 0 ? 2 : 2 - magnitude;
  return signed(roundDecimal(usd, digits));
}

/** Every digit: `"0.007"` → `$0.007 (exact)`. */
export function exactMoney(usd: string): string {
  return signed(usd);
}

/** Short, for axes: `$1.2k`, `$0.004`. Takes a float, since an axis has no exact figures. */
export function axisMoney(usd: number): string {
  if (usd === 0) return '$0';
  const size = Math.abs(usd);
  if (size >= 1e6) return `$${trim(usd / 1e6)}M`;
  if (size >= 1e3) return `$${trim(usd / 1e3)}k`;
  if (size >= 1) return `$${trim(usd)}`;
  return `$${Number(usd.toPrecision(2))
    .toFixed(Math.min(12, 1 - Math.floor(Math.log10(size))))
    .replace(/0+$/, '')}`;
}

function signed(text: string): string {
  return text.startsWith('-') ? `−$${groupDigits(text.slice(1))}` : `$${groupDigits(text)}`;
}

function trim(value: number): string {
  return value.toFixed(2).replace(/\.?0+$/, '');
}
