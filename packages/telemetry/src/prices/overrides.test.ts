// A tenant's own prices: the first that applies, and patterns that hold nobody up.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { bundledPrices } from '../cost.ts';
import {
  compileNewOverride,
  compileOverride,
  MAX_OVERRIDES_PROGRAM,
  OverrideRules,
  type PriceOverride,
} from './overrides.ts';

const PRICES = { input_mtok: '1' };
const AT = Date.UTC(2026, 10, 20);

function named(model: string): { provider: string; model: string; tier: string } {
  return { provider: 'p', model, tier: '' };
}

/** Nested repetitions, as large as a tenant's patterns may be; they match nothing. */
const HOSTILE: PriceOverride = { id: 'hostile', model: { regex: '(?:a{0,20}b?){0,20}Ndq$' }, prices: PRICES };

test('of the rules that fit a model the first counts whose other conditions hold, remembered or not', () => {
  const list: PriceOverride[] = [
    { id: 'later', model: { regex: '^house-\\d$' }, from: '2026-12-01', prices: PRICES },
    { id: 'other', model: { regex: '^house-\\d$' }, provider: 'q', prices: PRICES },
    { id: 'any', model: { starts_with: 'house-' }, prices: PRICES },
  ];
  const rules = new OverrideRules({ version: '1', list });
  const idOf = (provider: string, atMs: number): unknown => {
    const found = rules.find({ ...named('house-1'), provider }, atMs);
    return typeof found === 'object' ? found.id : found;
  };
  for (let i = 0; i < 2; i++) {
    assert.equal(idOf('p', AT), 'any');
    assert.equal(idOf('q', AT), 'other');
    assert.equal(idOf('q', Date.UTC(2026, 11, 1)), 'later');
  }
  assert.equal(rules.find(named('else'), AT), undefined);
});

test('each model is looked at once, and names longer than 200 characters never', () => {
  let looks = 0;
  const rules = new OverrideRules({ version: '1', list: [HOSTILE] }, () => looks++);
  for (let i = 0; i < 10; i++) rules.find(named('m'), AT);
  assert.equal(looks, 2);
  assert.equal(rules.find(named('a'.repeat(201)), AT), undefined);
  assert.equal(looks, 2);
});

test('ever new names take patterns half a second in ten, then they have no price until the next ten', () => {
  let nowMs = 0;
  const rules = new OverrideRules({ version: '1', list: [HOSTILE] }, () => (nowMs += 100));
  const answers = Array.from({ length: 7 }, (_, i) => rules.find(named(`m${i}`), AT));
  assert.deepEqual(answers, [...Array.from({ length: 5 }, () => undefined), 'too_many_models', 'too_many_models']);
  assert.equal(rules.find(named('m0'), AT), undefined, 'what was looked at before is still known');
  nowMs += 10_000;
  assert.equal(rules.find(named('m6'), AT), undefined);
});

test('as many simple patterns fit together as the guide says', () => {
  const guide = readFileSync(new URL('../../../../docs/guides/prices.md', import.meta.url), 'utf8');
  const [, said, regex] = /\((\d+) such as `([^`]+)`/.exec(guide) ?? [];
  const { program } = compileOverride({ id: 'one', model: { regex: regex! }, prices: PRICES });
  assert.equal(Number(said), Math.floor(MAX_OVERRIDES_PROGRAM / program));
});

test('rules without patterns are never put off', () => {
  const list: PriceOverride[] = [{ id: 'all', model: { contains: 'm' }, prices: PRICES }];
  const rules = new OverrideRules({ version: '1', list }, () => 1e9 * Math.random());
  for (let i = 0; i < 5_000; i++) assert.equal(typeof rules.find(named(`m${i}`), AT), 'object');
});

test('a hundred thousand calls of ever new models under the worst patterns take a second, not minutes', () => {
  assert.ok(compileOverride(HOSTILE).program <= MAX_OVERRIDES_PROGRAM);
  const book = bundledPrices().with({ version: '1', list: [HOSTILE] });
  const startMs = performance.now();
  for (let i = 0; i < 100_000; i++) {
    book.price({ provider: 'p', model: 'a'.repeat(190) + i, atMs: AT, usage: { inputTokens: 1 } });
  }
  assert.ok(performance.now() - startMs < 5_000);
});

test('a new override with a day that there is not is refused; one that is kept goes on', () => {
  const rule = { id: 'x', model: { equals: 'm' }, prices: PRICES };
  for (const from of ['2026-02-31', '2026-02-29', '2026-13-01', '2026-04-31T00:00Z']) {
    assert.throws(() => compileNewOverride({ ...rule, from }), /"2026-/);
  }
  compileNewOverride({ ...rule, from: '2028-02-29' });
  compileOverride({ ...rule, from: '2026-02-31' });
});

test('a new override that prices output says what input costs', () => {
  const rule = { id: 'x', model: { equals: 'm' } };
  assert.throws(() => compileNewOverride({ ...rule, prices: { output_mtok: '1' } }), /price of input/);
  compileNewOverride({ ...rule, prices: { output_mtok: '1', input_mtok: '0' } });
  compileNewOverride({ ...rule, prices: { input_mtok: '1' } });
});
