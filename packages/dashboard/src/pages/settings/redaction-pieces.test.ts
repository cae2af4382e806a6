// The pieces put together again are the texts; what was taken out is told apart.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { piecesOf } from './redaction-pieces.ts';

test('what a mark replaced is its own piece before', () => {
  assert.deepEqual(piecesOf('to ada@example.org, now', 'to [redacted:email], now'), {
    before: [
      { text: 'to ', ruleId: undefined },
      { text: 'ada@example.org', ruleId: 'email' },
      { text: ', now', ruleId: undefined },
    ],
    after: [
      { text: 'to ', ruleId: undefined },
      { text: '[redacted:email]', ruleId: 'email' },
      { text: ', now', ruleId: undefined },
    ],
  });
});

test('a mark at the end, a hash, and a mark that stood there before', () => {
  const before = '[redacted:card] x 1111';
  const after = '[redacted:card] x [hash:own-rule:0123456789abcdef]';
  assert.deepEqual(piecesOf(before, after).before, [
    { text: '[redacted:card] x ', ruleId: undefined },
    { text: '1111', ruleId: 'own-rule' },
  ]);
});

test('what does not add up is shown as it was', () => {
  assert.deepEqual(piecesOf('{"a":1,"b":2}', '{"b":2}').before, [{ text: '{"a":1,"b":2}', ruleId: undefined }]);
});
