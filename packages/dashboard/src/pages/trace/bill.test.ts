// The lines of a bill in words.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { lineOf } from './bill.ts';

test('a line names its part, its price with the unit, and the exact cost', () => {
  const line = { unit: 'cache_read_tokens', quantity: 400, usd: '1.25', per: 1_000_000, costUsd: '0.0005' };
  assert.deepEqual(lineOf(line), {
    name: 'input, read from cache',
    quantity: 400,
    price: '$1.25 / 1M',
    usd: '0.0005',
    token: 'series-3',
  });
});

test('a unit that a newer server adds is shown by its own name', () => {
  const { name, price } = lineOf({ unit: 'search_queries', quantity: 2, usd: '0.01', per: 10, costUsd: '0.002' });
  assert.deepEqual([name, price], ['search queries', '$0.01 / 10']);
});
