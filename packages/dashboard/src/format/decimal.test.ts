// Exact decimal text against BigInt arithmetic of its own and hand-computed cases.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { addDecimals, magnitudeOf, roundDecimal } from './decimal.ts';

test('rounding is half away from zero and keeps the digits asked for', () => {
  const cases: [string, number, string][] = [
    ['0.0075', 3, '0.008'],
    ['0.0074999', 3, '0.007'],
    ['999.999', 2, '1000.00'],
    ['-1.25', 1, '-1.3'],
    ['-0.001', 2, '0.00'],
    ['12', 2, '12.00'],
    ['0.5', 0, '1'],
    ['007.1', 1, '7.1'],
    ['123456789012345678901234567890.125', 2, '123456789012345678901234567890.13'],
  ];
  for (const [text, digits, expected] of cases) assert.equal(roundDecimal(text, digits), expected, text);
});

test('the magnitude is the place of the first digit that counts', () => {
  assert.deepEqual(['1234.5', '1.5', '0.5', '0.05', '0', '0.000'].map(magnitudeOf), [
    3,
    0,
    -1,
    -2,
    undefined,
    undefined,
  ]);
});

test('a sum of picodollars is exact, where floats would drift', () => {
  assert.equal(addDecimals(['0.1', '0.2']), '0.3');
  assert.equal(addDecimals([]), '0');
  assert.equal(addDecimals(['0.0000075', '-0.0000075']), '0');
  const pico = fc.bigInt({ min: -(10n ** 20n), max: 10n ** 20n });
  fc.assert(
    fc.property(fc.array(pico, { maxLength: 20 }), (amounts) => {
      const total = amounts.reduce((sum, amount) => sum + amount, 0n);
      assert.equal(addDecimals(amounts.map(picoText)), addDecimals([picoText(total)]));
    }),
  );
});

test('text that is no plain decimal is refused, not guessed', () => {
  for (const text of ['', '1e5', 'NaN', '1,000', '.5']) assert.throws(() => roundDecimal(text, 2), TypeError);
});

function picoText(pico: bigint): string {
  const digits = (pico < 0n ? -pico : pico).toString().padStart(13, '0');
  return `${pico < 0n ? '-' : ''}${digits.slice(0, -12)}.${digits.slice(-12)}`;
}
