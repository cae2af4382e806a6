// Exact decimals as text: amounts of money are never passed through a float, not even to be shown.

const DECIMAL = /^(-?)(\d+)(?:\.(\d+))?$/;

interface Parts {
  negative: boolean;
  whole: string;
  fraction: string;
}

/** The parts of a plain decimal; throws a TypeError for anything else (`1e5`, ``, `NaN`). */
function partsOf(text: string): Parts {
  const match = DECIMAL.exec(text);
  if (match === null) throw new TypeError(`Expected a plain decimal but received ${JSON.stringify(text)}`);
  return {
    negative: match[1] === '-',
    whole: (match[2] ?? '').replace(/^0+(?=\d)/, ''),
    fraction: match[3] ?? '',
  };
}

export function isDecimal(text: string): boolean {
  return DECIMAL.test(text);
}

/** Rounds half away from zero to `digits` places after the point, exactly; keeps trailing zeros. */
export function roundDecimal(text: string, digits: number): string {
  const { negative, whole, fraction } = partsOf(text);
  const kept = BigInt(whole + fraction.slice(0, digits).padEnd(digits, '0'));
  const roundUp = (fraction[digits] ?? '0') >= '5';
  const scaled = (roundUp ? kept + 1n : kept).toString().padStart(digits + 1, '0');
  const text_ =
    digits === 0 ? scaled : `${scaled.slice(0, scaled.length - digits)}.${scaled.slice(scaled.length - digits)}`;
  return negative && /[1-9]/.test(text_) ? `-${text_}` : text_;
}

/** How far the first digit that is not 0 lies from the point: 1234.5 → 3, 1.5 → 0, 0.05 → −2; undefined for zero. */
export function magnitudeOf(text: string): number | undefined {
  const { whole, fraction } = partsOf(text);
  if (whole !== '0') return whole.length - 1;
  const first = fraction.search(/[1-9]/);
  return first === -1 ? undefined : -1 - first;
}

/** Sum of plain decimals, exact. */
export function addDecimals(texts: readonly string[]): string {
  const parts = texts.map(partsOf);
  const places = Math.max(0, ...parts.map(({ fraction }) => fraction.length));
  const total = parts.reduce((sum, { negative, whole, fraction }) => {
    const scaled = BigInt(whole + fraction.padEnd(places, '0'));
    return negative ? sum - scaled : sum + scaled;
  }, 0n);
  return fromScaled(total, places);
}

function fromScaled(scaled: bigint, places: number): string {
  const digits = (scaled < 0n ? -scaled : scaled).toString().padStart(places + 1, '0');
  const whole = digits.slice(0, digits.length - places);
  const fraction = digits.slice(digits.length - places).replace(/0+$/, '');
  return `${scaled < 0n ? '-' : ''}${whole}${fraction === '' ? '' : `.${fraction}`}`;
}
