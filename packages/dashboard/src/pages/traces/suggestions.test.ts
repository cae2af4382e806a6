// What the filter bar suggests while one types.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { suggestionsFor } from './suggestions.ts';

const FACETS = {
  services: [{ value: 'check out', count: 9 }],
  models: [
    { value: 'gpt-4o', count: 5 },
    { value: 'claude', count: 3 },
  ],
  environments: [],
  tags: [],
  users: [{ value: 'gpt-fan', count: 1 }],
  statuses: [],
};

test('an empty bar offers the keys, a key its values with how often they occur', () => {
  assert.ok(suggestionsFor('', undefined).some(({ text, complete }) => text === 'model:' && !complete));
  assert.deepEqual(suggestionsFor('model:', FACETS), [
    { text: 'model:gpt-4o', complete: true, count: 5 },
    { text: 'model:claude', complete: true, count: 3 },
  ]);
  assert.deepEqual(
    suggestionsFor('model:cl', FACETS).map(({ text }) => text),
    ['model:claude'],
  );
});

test('free text finds keys and values of every kind, quoted where they hold blanks', () => {
  assert.deepEqual(
    suggestionsFor('gpt', FACETS).map(({ text }) => text),
    ['model:gpt-4o', 'user:gpt-fan'],
  );
  assert.deepEqual(
    suggestionsFor('service:"che', FACETS).map(({ text }) => text),
    ['service:"check out"'],
  );
  assert.deepEqual(suggestionsFor('model:', undefined), []);
});
