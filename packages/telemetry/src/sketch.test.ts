// The sketch against exact percentiles of the sorted values.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { bucketOf, RELATIVE_ERROR, Sketch, valueOf } from './sketch.ts';
import { generator } from '../test/traffic.ts';

const QUANTILES = [0, 0.01, 0.25, 0.5, 0.9, 0.95, 0.99, 1];

function exact(values: readonly number[], q: number): number {
  return [...values].sort((a, b) => a - b)[Math.floor(q * (values.length - 1))]!;
}

function assertClose(sketch: Sketch, values: readonly number[]): void {
  for (const q of QUANTILES) {
    const truth = exact(values, q);
    const error = Math.abs(sketch.quantile(q)! - truth);
    assert.ok(error <= truth * RELATIVE_ERROR * (1 + 1e-9), `p${q * 100}: ${sketch.quantile(q)} for ${truth}`);
  }
}

function sketchOf(values: readonly number[]): Sketch {
  const sketch = new Sketch();
  for (const value of values) sketch.add(value);
  return sketch;
}

const random = generator(11);
const DISTRIBUTIONS: Record<string, number[]> = {
  uniform: Array.from({ length: 20_000 }, () => random() * 5_000),
  'log-normal': Array.from({ length: 20_000 }, () => Math.exp(6 + 2 * (random() + random() + random() - 1.5))),
  'Pareto, heavy tail': Array.from({ length: 20_000 }, () => 10 / (1 - random()) ** 2),
  constant: Array.from({ length: 100 }, () => 1_234.5),
};

for (const [name, values] of Object.entries(DISTRIBUTIONS)) {
  test(`percentiles of ${name} values are within 1 % of the exact ones`, () => {
    assertClose(sketchOf(values), values);
  });
}

test('percentiles of any values are within 1 %', () => {
  const latency = fc.double({ min: 0.001, max: 1e9, noNaN: true });
  fc.assert(
    fc.property(fc.array(latency, { minLength: 1, maxLength: 200 }), (values) => assertClose(sketchOf(values), values)),
  );
});

test('merged parts are the same sketch as the whole, in any order', () => {
  const values = DISTRIBUTIONS['log-normal']!;
  const [first, second] = [sketchOf(values.slice(0, 7_000)), sketchOf(values.slice(7_000))];
  const forwards = sketchOf([]);
  forwards.merge(first);
  forwards.merge(second);
  const backwards = sketchOf([]);
  backwards.merge(second);
  backwards.merge(first);
  assert.deepEqual(forwards.toJSON(), sketchOf(values).toJSON());
  assert.deepEqual(backwards.toJSON(), forwards.toJSON());
  assert.equal(forwards.count, values.length);
});

test('a stored sketch reads as it was, and only filled buckets are stored', () => {
  const sketch = sketchOf([0, 0, 5, 5, 5_000]);
  const stored = JSON.parse(JSON.stringify(sketch)) as ReturnType<Sketch['toJSON']>;
  assert.deepEqual(stored, { zeros: 2, indices: [bucketOf(5), bucketOf(5_000)], counts: [2, 1] });
  assert.deepEqual(Sketch.from(stored).toJSON(), stored);
});

test('an empty sketch has no percentiles; zeros and negatives count as zero', () => {
  assert.equal(new Sketch().quantile(0.5), undefined);
  const sketch = sketchOf([0, -3, 7]);
  assert.equal(sketch.quantile(0.5), 0);
  assert.equal(sketch.count, 3);
});

test('a bucket stands for every value in it within 1 %', () => {
  for (const value of [1e-6, 0.017, 1, 3.999, 4, 12_345.678, 9e12]) {
    assert.ok(Math.abs(valueOf(bucketOf(value)) - value) <= value * RELATIVE_ERROR * (1 + 1e-9), `${value}`);
  }
});

test('buckets stay bounded: the lowest are merged and high percentiles stay right', () => {
  const sketch = new Sketch();
  for (let exponent = -6; exponent < 300; exponent += 0.005) sketch.add(10 ** exponent);
  assert.ok(sketch.toJSON().indices.length <= 2_200);
  const truth = 10 ** (-6 + 0.005 * Math.floor(0.99 * (sketch.count - 1)));
  assert.ok(Math.abs(sketch.quantile(0.99)! / truth - 1) < 0.02);
});

test('what is no value, quantile or stored sketch is refused', () => {
  assert.throws(() => new Sketch().add(Number.NaN), TypeError);
  assert.throws(() => sketchOf([1]).quantile(1.1), TypeError);
  assert.throws(() => Sketch.from({ zeros: 0, indices: [1], counts: [] }), TypeError);
  assert.throws(() => Sketch.from({ zeros: -1, indices: [], counts: [] }), TypeError);
});
