// The guide about emitters is worked out from what they sent; this keeps it so.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { CASES } from './cases.ts';
import { guide, GUIDE } from './guide.ts';
import { costPico, dollars, pico } from './tariff.ts';

test('the guide says what the recorded requests say', () => {
  assert.equal(readFileSync(GUIDE, 'utf8'), guide(), 'Run node emitters/guide.ts --write');
});

test('the tariff of the cases is exact: half of a cached prompt at half the price', () => {
  const usage = CASES['openai-cached']!.turns[0]!.usage;
  // 253 × $0.15 + 1,536 × $0.075 + 11 × $0.60, each per million.
  assert.equal(dollars(costPico('gpt-4o-mini', usage)), '0.00015975');
  assert.equal(pico('0.00015975'), 159_750_000n);
});
