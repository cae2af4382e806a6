// What people read: money, counts, sizes, probabilities and times, literal in and literal out.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { axisMoney, exactMoney, money } from './money.ts';
import { bytes, compact, count, percent, plural, probability } from './number.ts';
import { ago, duration } from './time.ts';

test('money shows the digits that matter and its exact figure every digit', () => {
  const cases: [string, string][] = [
    ['0', '$0'],
    ['0.000', '$0'],
    ['1234.5678', '$1,234.57'],
    ['1', '$1.00'],
    ['0.5', '$0.500'],
    ['0.0075', '$0.00750'],
    ['0.012345', '$0.0123'],
    ['0.0000456789', '$0.0000457'],
    ['0.000000000001', '$0.00000000000100'],
    ['-3.2', '−$3.20'],
  ];
  for (const [usd, shown] of cases) assert.equal(money(usd), shown, usd);
  assert.equal(exactMoney('1234.000000000001'), '$1,234.000000000001');
});

test('axis money is short at every size', () => {
  assert.deepEqual([0, 1_250_000, 1500, 12.5, 0.25, 0.004, 0.00012].map(axisMoney), [
    '$0',
    '$1.25M',
    '$1.5k',
    '$12.5',
    '$0.25',
    '$0.004',
    '$0.00012',
  ]);
});

test('counts are grouped, or cut to three digits that matter', () => {
  assert.equal(count(1234567), '1,234,567');
  assert.deepEqual([0, 999, 1000, 12_345, 999_600, 999_951, 4_200_000, 3e9].map(compact), [
    '0',
    '999',
    '1k',
    '12.3k',
    '1M',
    '1M',
    '4.2M',
    '3B',
  ]);
  assert.deepEqual(
    [plural(1, 'span'), plural(2, 'span'), plural(2, 'query', 'queries')],
    ['1 span', '2 spans', '2 queries'],
  );
  assert.deepEqual([0, 0.0123, 0.1234, 1].map(percent), ['0 %', '1.23 %', '12.3 %', '100 %']);
  assert.deepEqual([512, 2048, 26_214_400].map(bytes), ['512 B', '2 KiB', '25 MiB']);
});

test('a probability keeps its power of ten', () => {
  assert.deepEqual([-11.3, -9, -2, -1, 0].map(probability), ['5 × 10^-12', '1 × 10^-9', '0.01', '0.1', '1']);
});

test('durations change unit where the next one reads better, and never show 60 of the smaller', () => {
  const cases: [number, string][] = [
    [0, '0 ms'],
    [0.4213, '0.42 ms'],
    [7.25, '7.3 ms'],
    [812.4, '812 ms'],
    [999.7, '1.00 s'],
    [1_240, '1.24 s'],
    [12_340, '12.3 s'],
    [59_999, '1 min'],
    [125_000, '2 min 5 s'],
    [3_599_900, '1 h'],
    [12_000_000, '3 h 20 min'],
  ];
  for (const [ms, shown] of cases) assert.equal(duration(ms), shown, String(ms));
});

test('the past is told relative until a day has gone by', () => {
  const now = Date.parse('2026-11-23T12:00:00Z');
  const past = (seconds: number): string => ago(new Date(now - seconds * 1000).toISOString(), now);
  assert.deepEqual([past(1), past(30), past(180), past(7200)], ['now', '30 s ago', '3 min ago', '2 h ago']);
  assert.match(past(3 * 86_400), /20 Nov/);
  assert.equal(ago('nonsense', now), 'unknown');
});
