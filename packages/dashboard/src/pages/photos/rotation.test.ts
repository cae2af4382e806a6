// Positions on the year's strip, and what comes next.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { appointments, barOf, isIn, yearAround, type KeyShown } from './rotation.ts';

const YEAR = yearAround(Date.UTC(2026, 0, 15));
const KEY: KeyShown = {
  kind: 'c2pa-leaf',
  id: 'a',
  owner: 'installation',
  createdAt: '2026-01-01T00:00:00Z',
  rotateAt: null,
  endsAt: null,
  revokedAt: null,
  state: 'active',
};
/** As a share of the year. */
const days = (count: number): number => count / 365;

test('the year is twelve whole months from the month before last, across New Year', () => {
  assert.equal(new Date(YEAR.startMs).toISOString(), '2025-11-01T00:00:00.000Z');
  assert.equal(new Date(YEAR.endMs).toISOString(), '2026-11-01T00:00:00.000Z');
  assert.equal(YEAR.months.length, 12);
  assert.ok(isIn(YEAR, YEAR.startMs) && !isIn(YEAR, YEAR.endMs));
});

test('a bar ends with the key or its revocation, whichever is first, and is cut to the year', () => {
  assert.deepEqual(barOf(YEAR, KEY), { from: days(61), to: 1 });
  const ending = { ...KEY, endsAt: '2026-01-11T00:00:00Z' };
  assert.deepEqual(barOf(YEAR, ending), { from: days(61), to: days(71) });
  assert.deepEqual(barOf(YEAR, { ...ending, revokedAt: '2026-01-06T00:00:00Z' }), { from: days(61), to: days(66) });
  assert.deepEqual(barOf(YEAR, { ...KEY, createdAt: '2020-01-01T00:00:00Z' }), { from: 0, to: 1 });
  assert.equal(barOf(YEAR, { ...KEY, createdAt: '2020-01-01T00:00:00Z', endsAt: '2021-01-01T00:00:00Z' }), null);
  assert.equal(barOf(YEAR, { ...KEY, createdAt: '2027-01-01T00:00:00Z' }), null);
});

test('appointments are of keys in use, soonest first, and a key without dates has none', () => {
  const due: KeyShown = { ...KEY, id: 'due', state: 'due', rotateAt: '2026-01-10T00:00:00Z' };
  const ends: KeyShown = { ...KEY, id: 'ends', endsAt: '2026-03-01T00:00:00Z' };
  const old: KeyShown = { ...KEY, id: 'old', state: 'verifying', endsAt: '2026-02-01T00:00:00Z' };
  assert.deepEqual(
    appointments([KEY, ends, old, due]).map(({ key, what }) => [key.id, what]),
    [
      ['due', 'rotates'],
      ['ends', 'ends'],
    ],
  );
});
