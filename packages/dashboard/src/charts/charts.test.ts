// What charts draw: alignment, collecting, stacking and colours, on literal data.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { SeriesAnswer } from '../api/telemetry.ts';
import { REST, SeriesColours } from './palette.ts';
import {
  amountFrame,
  bucketTimes,
  groupedPercentileFrame,
  percentileFrame,
  stacked,
  withoutNothing,
} from './series.ts';

const HOUR = 3_600_000;
const at = (hour: number): string => new Date(Date.UTC(2026, 10, 23, hour)).toISOString();

const column = (values: number[]) => ({ name: '', groupKey: '', values, exact: [] });

function answer(series: SeriesAnswer['series']): SeriesAnswer {
  return { intervalMs: HOUR, startDate: at(0), endDate: at(4), omittedSeries: 0, series };
}

test('every bucket of the range stands on the axis, also where nothing happened', () => {
  const times = bucketTimes(answer([{ groupKey: 'a', points: [{ t: at(2), value: '1' }] }]));
  assert.deepEqual(
    times.map((ms) => new Date(ms).getUTCHours()),
    [0, 1, 2, 3],
  );
});

test('a range that begins inside a bucket begins its axis at that bucket', () => {
  const half = { ...answer([{ groupKey: 'a', points: [{ t: at(1), value: 1 }] }]), startDate: '2026-11-23T00:30:00Z' };
  assert.deepEqual(
    bucketTimes(half).map((ms) => new Date(ms).toISOString().slice(11, 16)),
    ['00:00', '01:00', '02:00', '03:00'],
  );
});

test('costs keep the server’s exact digits, an empty bucket costs 0, and the largest group comes first', () => {
  const frame = amountFrame(
    answer([
      { groupKey: 'small', points: [{ t: at(0), value: '0.000000000001' }] },
      {
        groupKey: 'large',
        points: [
          { t: at(1), value: '2.5' },
          { t: at(3), value: '1' },
        ],
      },
    ]),
  );
  assert.deepEqual(
    frame.columns.map(({ name }) => name),
    ['large', 'small'],
  );
  assert.deepEqual(frame.columns[0]?.exact, ['0', '2.5', '0', '1']);
  assert.equal(frame.columns[1]?.exact[0], '0.000000000001');
});

test('more groups than colours are collected into one, and nothing is lost from the sum', () => {
  const series = Array.from({ length: 20 }, (_, index) => ({
    groupKey: `m${index}`,
    points: [{ t: at(0), value: '0.1' }],
  }));
  const frame = amountFrame(answer(series));
  assert.equal(frame.columns.length, 7);
  assert.equal(frame.columns.at(-1)?.name, REST);
  assert.equal(frame.columns.at(-1)?.exact[0], '1.4');
});

test('a group that is 0 throughout does not stand in the legend', () => {
  const series = [
    { groupKey: 'priced', points: [{ t: at(0), value: '0.000000000001' }] },
    { groupKey: null, points: [{ t: at(0), value: '0' }] },
  ];
  assert.deepEqual(
    withoutNothing(answer(series)).series.map(({ groupKey }) => groupKey),
    ['priced'],
  );
});

test('latency without spans is a gap, never 0', () => {
  const points = [
    { t: at(1), p50: 10, p95: 20, p99: 30, count: 4 },
    { t: at(2), p50: 0, p95: 0, p99: 0, count: 0 },
  ];
  const frame = percentileFrame(answer([{ groupKey: null, points }]));
  assert.deepEqual(
    frame.columns.map(({ values }) => values),
    [
      [null, 10, null, null],
      [null, 20, null, null],
      [null, 30, null, null],
    ],
  );
  const grouped = groupedPercentileFrame(
    answer([
      { groupKey: 'a', points },
      { groupKey: 'b', points: [{ t: at(0), p95: 5, count: 9 }] },
    ]),
    'p95',
  );
  assert.deepEqual(
    grouped.columns.map(({ name }) => name),
    ['b', 'a'],
  );
});

test('layers stand on one another', () => {
  assert.deepEqual(stacked([column([1, 2]), column([3, 0])]), [
    [1, 2],
    [4, 2],
  ]);
});

test('a series keeps its colour, also in the next page’s memory, and kinds do not take one another’s', () => {
  const kept = new Map<string, string>();
  const store = {
    getItem: (key: string) => kept.get(key) ?? null,
    setItem: (key: string, value: string) => void kept.set(key, value),
  };
  const colours = new SeriesColours(store);
  assert.equal(colours.tokenOf('model', 'gpt-4o'), 'series-1');
  assert.equal(colours.tokenOf('model', 'claude'), 'series-2');
  assert.equal(colours.tokenOf('service', 'checkout'), 'series-1');
  const later = new SeriesColours(store);
  assert.equal(later.tokenOf('model', 'claude'), 'series-2');
  assert.equal(later.tokenOf('model', REST), 'series-rest');
  assert.equal(new SeriesColours({ getItem: () => 'not json', setItem: () => {} }).tokenOf('model', 'x'), 'series-1');
});
