// The filter language and the time range: text in, the contract's parameters out.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { fieldTerm, parseFilter, splitTerms, withTerm, withoutTerm, type TraceQuery } from './filter.ts';
import { datesOf, intervalBefore, intervalOf, rangeFromSearch } from './range.ts';

test('each kind of term becomes the parameter that the contract names', () => {
  const cases: [string, TraceQuery][] = [
    ['', {}],
    ['model:gpt-4o cost>0.01 error', { model: 'gpt-4o', minCost: '0.01', status: 'error' }],
    ['service:checkout tag:prod tag:eu', { service: 'checkout', tags: 'prod,eu' }],
    ['user:"Ann Lee" session:s-1', { user: 'Ann Lee', session: 's-1' }],
    [
      'cost>=$.5 cost<2 latency>1.5s latency<=900000',
      { minCost: '0.5', maxCost: '2', minLatency: '1500', maxLatency: '900000' },
    ],
    ['status:ok refund policy', { status: 'ok', q: 'refund policy' }],
    ['"two words" http://x', { q: 'two words http://x' }],
  ];
  for (const [text, query] of cases) assert.deepEqual(parseFilter(text).query, query, text);
});

test('a term that cannot be used is left out and says why', () => {
  for (const term of [
    'model:',
    'status:bad',
    'tokens>5',
    'cost>lots',
    'latency>2parsec',
    '-model:x',
    'tag:a,b',
    'cost>-1',
  ]) {
    const filter = parseFilter(term);
    assert.equal(filter.terms.length, 1, term);
    assert.ok(filter.terms[0]?.problem, term);
    assert.deepEqual(filter.query, {}, term);
  }
  const twice = parseFilter('model:a model:b');
  assert.equal(twice.query.model, 'a');
  assert.ok(twice.terms[1]?.problem);
});

test('any text is read without throwing, and a value that was clicked comes back as itself', () => {
  fc.assert(fc.property(fc.string(), (text) => parseFilter(text).terms.length >= 0));
  fc.assert(
    fc.property(fc.string({ minLength: 1, unit: 'grapheme' }), (value) => {
      const term = fieldTerm('user', value);
      assert.deepEqual(splitTerms(term), [term]);
      assert.equal(parseFilter(term).query.user, value);
    }),
  );
});

test('a term is added once and removed by its place', () => {
  assert.equal(withTerm('error', 'model:x'), 'error model:x');
  assert.equal(withTerm('error model:x', 'model:x'), 'error model:x');
  assert.equal(withoutTerm('error model:x user:y', 1), 'error user:y');
});

test('an address with a senseless range falls back to the default', () => {
  assert.deepEqual(rangeFromSearch({ range: '24h' }), { range: '24h' });
  assert.deepEqual(rangeFromSearch({ range: 'constructor' }), {});
  assert.deepEqual(rangeFromSearch({ from: 'x', to: 'y', range: '1h' }), { range: '1h' });
  assert.deepEqual(rangeFromSearch({ from: '2026-11-02', to: '2026-11-01' }), {});
  assert.deepEqual(rangeFromSearch({ from: '2026-11-01', to: '2026-11-02' }), {
    from: '2026-11-01T00:00:00.000Z',
    to: '2026-11-02T00:00:00.000Z',
  });
});

test('a relative range starts on a whole minute and stays open; the one before it has the same length', () => {
  const nowMs = Date.parse('2026-11-23T12:00:30Z');
  const interval = intervalOf({ range: '1h' }, nowMs);
  assert.deepEqual(datesOf(interval), { startDate: '2026-11-23T11:00:00.000Z' });
  const exact = intervalOf({ from: '2026-11-22T00:00:00Z', to: '2026-11-23T00:00:00Z' }, nowMs);
  assert.deepEqual(datesOf(exact), { startDate: '2026-11-22T00:00:00.000Z', endDate: '2026-11-23T00:00:00.000Z' });
  assert.deepEqual(intervalBefore(exact, nowMs), { fromMs: Date.parse('2026-11-21'), toMs: exact.fromMs });
});
