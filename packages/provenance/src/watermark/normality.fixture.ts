// Is a sample standard normal? Moments and the Kolmogorov–Smirnov test, for the null distribution of the detector.

export interface Normality {
  n: number;
  mean: number;
  sd: number;
  excessKurtosis: number;
  max: number;
  /** Of the two-sided Kolmogorov–Smirnov test against the standard normal. */
  ksP: number;
}

export function normality(values: readonly number[]): Normality {
  const n = values.length;
  const mean = values.reduce((sum, z) => sum + z, 0) / n;
  const variance = values.reduce((sum, z) => sum + (z - mean) ** 2, 0) / n;
  const fourth = values.reduce((sum, z) => sum + (z - mean) ** 4, 0) / n;
  return {
    n,
    mean,
    sd: Math.sqrt(variance),
    excessKurtosis: fourth / variance ** 2 - 3,
    max: values.reduce((most, z) => Math.max(most, z), -Infinity),
    ksP: kolmogorovP(values),
  };
}

/** Two-sided Kolmogorov–Smirnov test against the standard normal; asymptotic series of the Kolmogorov distribution. */
function kolmogorovP(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const n = sorted.length;
  let distance = 0;
  for (const [i, z] of sorted.entries()) {
    const cdf = normalCdf(z);
    distance = Math.max(distance, Math.abs(cdf - i / n), Math.abs((i + 1) / n - cdf));
  }
  const x = (Math.sqrt(n) + 0.12 + 0.11 / Math.sqrt(n)) * distance;
  let sum = 0;
  for (let k = 1; k <= 100; k++) sum += 2 * (-1) ** (k - 1) * Math.exp(-2 * k * k * x * x);
  return Math.min(1, Math.max(0, sum));
}

/** Abramowitz and Stegun 7.1.26: error below 1.5e-7. */
function normalCdf(z: number): number {
  const t = 1 / (1 + (0.3275911 * Math.abs(z)) / Math.SQRT2);
  const poly = t * (0.254829592 + t * (-0.284496736 + t * (1.421413741 + t * (-1.453152027 + t * 1.061405429))));
  const half = 0.5 * poly * Math.exp((-z * z) / 2);
  return z > 0 ? 1 - half : half;
}
