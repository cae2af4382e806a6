// How rare a score is: the upper tail of the standard normal distribution, as a power of ten, also where doubles end.

/** log10 of P(Z ≥ z). Absolute error below 1e-6 for every z ≥ 0; negative z by symmetry. */
export function log10UpperTail(z: number): number {
  if (z < 0) return Math.log10(1 - 10 ** log10UpperTail(-z));
  const log10Density = (-0.5 * z * z - 0.5 * Math.log(2 * Math.PI)) / Math.LN10;
  return log10Density + Math.log10(z < 3 ? millsBySeries(z) : millsByFraction(z));
}

// Mills' ratio (tail ÷ density) by Laplace's continued fraction (Abramowitz and Stegun 26.2.14)
function millsByFraction(z: number): number {
  let value = z;
  for (let k = 60; k >= 1; k--) value = z + k / value;
  return 1 / value;
}

// Mills' ratio by the power series of the distribution (Abramowitz and Stegun 26.2.11)
function millsBySeries(z: number): number {
  let term = z;
  let sum = z;
  for (let k = 1; k < 60; k++) {
    term *= (z * z) / (2 * k + 1);
    sum += term;
  }
  return Math.sqrt(Math.PI / 2) * Math.exp(0.5 * z * z) - sum;
}
