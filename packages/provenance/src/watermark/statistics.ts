// How surprising a reading is without the mark. Every bound holds for any fixed picture, over the choice of the keyed signs
// (docs/decisions/watermark-statistics.md).

/** What was read under one key at one place: all that a test needs. */
export interface SymbolEvidence {
  /** Σ sᵢyᵢ over the dims of every symbol. */
  readonly symbols: Float32Array;
  /** Σ yᵢ² over all dims. */
  readonly power: number;
}

export type WatermarkVerdict = 'DETECTED' | 'MARGINAL' | 'NOT_FOUND';

export const DETECTED_LOG10P = -9;
export const MARGINAL_LOG10P = -4;
/** An id is read only above this, whatever the bound says: below it the code itself begins to fail. */
export const MIN_BLIND_Z = 12.5;

const LOG10_IDS = 64 * Math.log10(2);

/** Σ accⱼxⱼ / √Σ yᵢ²: standard normal over the key for a fixed picture and a fixed id. 0 without any evidence. */
export function blindZ({ symbols, power }: SymbolEvidence, codeword: Int8Array): number {
  return power > 0 ? correlation(symbols, codeword) / Math.sqrt(power) : 0;
}

/**
 * As `blindZ`, but divided by the larger of √Σ yᵢ² and √Σ accⱼ². The first is right over the key; the second makes the marks
 * of the same tenant's other photos standard normal too, whose symbols are strong and agree with ours by chance in half.
 * It never raises z, so the bound stays one; z is at most √512.
 */
export function knownZ({ symbols, power }: SymbolEvidence, codeword: Int8Array): number {
  let bySymbol = 0;
  for (const value of symbols) bySymbol += value * value;
  const larger = Math.max(power, bySymbol);
  return larger > 0 ? correlation(symbols, codeword) / Math.sqrt(larger) : 0;
}

function correlation(symbols: Float32Array, codeword: Int8Array): number {
  let sum = 0;
  for (let j = 0; j < symbols.length; j++) sum += (symbols[j] as number) * (codeword[j] as number);
  return sum;
}

/** log₁₀ of attempts · exp(−z²/2) (W. Hoeffding 1963, theorem 2; union over attempts); 0 when the bound says nothing. */
export function log10pKnown(z: number, attempts: number): number {
  return z > 0 ? Math.min(0, Math.log10(attempts) - (z * z) / 2 / Math.LN10) : 0;
}

/** The same, united over all 2⁶⁴ ids; the checksum is not counted. */
export function log10pBlind(z: number, attempts: number): number {
  return z > 0 ? Math.min(0, LOG10_IDS + Math.log10(attempts) - (z * z) / 2 / Math.LN10) : 0;
}

export function verdictOf(log10p: number): WatermarkVerdict {
  if (log10p <= DETECTED_LOG10P) return 'DETECTED';
  return log10p <= MARGINAL_LOG10P ? 'MARGINAL' : 'NOT_FOUND';
}
