// Decimals: shortest text, exact pico-dollars, and back.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { decimalOf, divideHalfEven, picoOf, usdOf } from './decimal.ts';

test('pico-dollars are written as the shortest decimal', () => {
  const cases: readonly [bigint, string][] = [
    [0n, '0'],
    [1n, '0.000000000001'],
    [7_000_000_000n, '0.007'],
    [1_000_000_000_000n, '1'],
    [-1_500_000_000_000n, '-1.5'],
    [123_456_789_012_345_678_901_234n, '123456789012.345678901234'],
  ];
  for (const [pico, usd] of cases) {
    assert.equal(usdOf(pico), usd);
    assert.equal(picoOf(usd), pico);
  }
});

test('decimal text is made canonical', () => {
  const cases: readonly [number | string, string][] = [
    [0.1, '0.1'],
    [1e-7, '0.0000001'],
    [2.5e-9, '0.0000000025'],
    [1e21, '1000000000000000000000'],
    ['+1.50', '1.5'],
    ['007', '7'],
    ['.5', '0.5'],
    ['5.', '5'],
    ['-0', '0'],
    [' 3 ', '3'],
    ['1.25E2', '125'],
  ];
  for (const [value, text] of cases) assert.equal(decimalOf(value), text);
});

test('what is no decimal is none', () => {
  for (const text of ['', '.', '-', 'NaN', 'Infinity', '1,5', '1e999', '0x10', '1 2', '1e', `${'9'.repeat(41)}`])
    assert.equal(decimalOf(text), undefined);
  assert.equal(decimalOf(Number.NaN), undefined);
  assert.equal(picoOf('one'), undefined);
});

test('beyond the twelfth place pico-dollars round half to even', () => {
  assert.equal(picoOf('0.0000000000005'), 0n);
  assert.equal(picoOf('0.0000000000015'), 2n);
  assert.equal(picoOf('0.00000000000050001'), 1n);
  assert.equal(picoOf('-0.0000000000015'), -2n);
});

test('division rounds half to even', () => {
  assert.deepEqual(
    [1n, 2n, 3n, 5n, 6n, 7n, 9n, 10n].map((numerator) => divideHalfEven(numerator, 4n)),
    [0n, 0n, 1n, 1n, 2n, 2n, 2n, 2n],
  );
});

test('any amount survives being written and read', () => {
  fc.assert(fc.property(fc.bigInt({ min: -(10n ** 24n), max: 10n ** 24n }), (pico) => picoOf(usdOf(pico)) === pico));
});

test('any double is written as the decimal that reads as the same double', () => {
  const doubles = fc.double({ min: 1e-30, max: 1e15, noNaN: true });
  fc.assert(fc.property(doubles, (value) => Number(decimalOf(value)) === value));
});
