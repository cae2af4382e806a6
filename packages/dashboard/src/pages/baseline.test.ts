// Today against the usual, on figures that can be checked in one's head.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { changeOf, dayBefore, dayOf, totalOf } from './baseline.ts';

const point = (value: number) => ({ t: '2026-11-23T00:00:00Z', value });

test('today is told against an average day, scaled to the part of today that has gone by', () => {
  // 70 over seven days are 10 a day, 2.5 in six hours
  assert.deepEqual(changeOf('5', '70', 0.25 / 7), { usual: 2.5, percent: 100 });
  assert.deepEqual(changeOf(2, 70, 0.25 / 7), { usual: 2.5, percent: -20 });
  assert.deepEqual(changeOf(900, 1_000, 1), { usual: 1_000, percent: -10 });
});

test('without anything before there is no comparison, and an unknown figure has none either', () => {
  assert.equal(changeOf(5, 0, 1), undefined);
  assert.equal(changeOf(undefined, 5, 1), undefined);
  assert.equal(changeOf(5, undefined, 1), undefined);
});

test('today begins at local midnight and the seven days before end there', () => {
  const nowMs = new Date(2026, 10, 23, 14, 30, 45).getTime();
  const today = dayOf(nowMs);
  assert.deepEqual(today, { fromMs: new Date(2026, 10, 23).getTime(), toMs: new Date(2026, 10, 23, 14, 30).getTime() });
  assert.deepEqual(dayBefore(today), { fromMs: today.fromMs - 7 * 86_400_000, toMs: today.fromMs });
  const midnight = dayOf(new Date(2026, 10, 23).getTime());
  assert.ok(midnight.toMs > midnight.fromMs, 'an interval is never empty');
});

test('a total is the sum of all points of all groups', () => {
  const series = [
    { groupKey: 'a', points: [point(1), point(2)] },
    { groupKey: null, points: [point(4)] },
  ];
  assert.equal(totalOf({ intervalMs: 1, startDate: '', endDate: '', omittedSeries: 0, series }), 7);
});
