// Tables of others: what they price is kept digit for digit, what they leave open is left out, what is wrong is named.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { bundledProviders, isPriced, PriceBook, usdOf, type Call } from '../cost.ts';
import { PriceTableError, readPriceTable } from './read-table.ts';

const SHA256 = 'ab'.repeat(32);
const AT = Date.UTC(2026, 10, 20);

function bookOf(file: unknown): PriceBook {
  return new PriceBook(readPriceTable(JSON.stringify(file), SHA256, bundledProviders()));
}

function cost(book: PriceBook, call: Omit<Call, 'atMs'>): string {
  const price = book.price({ ...call, atMs: AT });
  return isPriced(price) ? usdOf(price.costPico) : price.unpriced;
}

const LITELLM = {
  sample_spec: { litellm_provider: 'one of the providers', input_cost_per_token: 0 },
  'gpt-4o': {
    litellm_provider: 'openai',
    mode: 'chat',
    input_cost_per_token: 2.5e-6,
    output_cost_per_token: 1e-5,
    cache_read_input_token_cost: 1.25e-6,
    input_cost_per_token_batches: 1.25e-6,
    output_cost_per_token_batches: 5e-6,
    search_context_cost_per_query: { low: 0.03 },
  },
  'gemini/gemini-2.5-pro': {
    litellm_provider: 'gemini',
    input_cost_per_token: 1.25e-6,
    input_cost_per_token_above_200k_tokens: 2.5e-6,
    output_cost_per_token: 1e-5,
    output_cost_per_token_above_200k_tokens: 1.5e-5,
  },
  'us.anthropic.claude-x-v1:0': {
    litellm_provider: 'bedrock_converse',
    input_cost_per_token: 3e-6,
    output_cost_per_token: 1.5e-5,
  },
  'free-or-unknown': { litellm_provider: 'openai', input_cost_per_token: 0, output_cost_per_token: 0 },
  'by-the-picture': { litellm_provider: 'openai', input_cost_per_token: 1e-6, output_cost_per_image: 0.04 },
  'by-the-second': { litellm_provider: 'openai', input_cost_per_second: 0.0001 },
};

test('LiteLLM’s file is a table: tokens, tiers, batches, its names of providers', () => {
  const book = bookOf(LITELLM);
  assert.equal(book.version, 'LiteLLM model prices abababababab');
  assert.equal(book.modelCount, 3);
  const usage = { inputTokens: 1_000, cacheReadTokens: 400, outputTokens: 500 };
  assert.equal(cost(book, { provider: 'openai', model: 'gpt-4o', usage }), '0.007');
  assert.equal(
    cost(book, {
      provider: 'openai',
      model: 'gpt-4o',
      serviceTier: 'batch',
      usage: { inputTokens: 1_000, outputTokens: 500 },
    }),
    '0.00375',
  );
  assert.equal(
    cost(book, { provider: 'gcp.gemini', model: 'gemini-2.5-pro', usage: { inputTokens: 200_001 } }),
    '0.5000025',
  );
  assert.equal(
    cost(book, { provider: 'aws.bedrock', model: 'us.anthropic.claude-x-v1:0', usage: { inputTokens: 1_000 } }),
    '0.003',
  );
});

test('what LiteLLM’s file prices by other measures, or writes as nothing, is left out', () => {
  const book = bookOf(LITELLM);
  for (const model of ['free-or-unknown', 'by-the-picture', 'by-the-second', 'sample_spec'])
    assert.equal(cost(book, { provider: 'openai', model, usage: { inputTokens: 1 } }), 'unknown_model');
});

test('our own shape is read back as it was', () => {
  const providers = bundledProviders().slice(0, 3);
  const file = { source: 'house', version: '7', licence: 'ours', providers };
  assert.deepEqual(readPriceTable(JSON.stringify(file), SHA256).providers, providers);
});

test('every provider of the bundled table is read back as it was', () => {
  const file = { source: 'house', version: '7', licence: 'ours', providers: bundledProviders() };
  assert.deepEqual(readPriceTable(JSON.stringify(file), SHA256).providers, bundledProviders());
});

test('digits beyond a double are kept', () => {
  const text = `[{"id":"p","api_pattern":"x","models":[{"id":"m","match":{"equals":"m"},"prices":{"input_mtok":98765.123456789012}}]}]`;
  const [provider] = readPriceTable(text, SHA256).providers;
  assert.deepEqual(provider?.models[0]?.prices, { input_mtok: '98765.123456789012' });
});

test('no text crashes it: it is a table, or an error with a code', () => {
  fc.assert(
    fc.property(fc.oneof(fc.string(), fc.json()), (text) => {
      try {
        readPriceTable(text, SHA256);
      } catch (error) {
        assert.ok(error instanceof PriceTableError && error.code === 'VALIDATION_FAILED', String(error));
      }
    }),
  );
});

test('tokens in two parts at once are not priced where nobody says what they cost together', () => {
  const book = bookOf([
    {
      id: 'p',
      api_pattern: 'https://p',
      models: [{ id: 'm', match: { equals: 'm' }, prices: { input_mtok: 2, cache_read_mtok: 1, input_audio_mtok: 8 } }],
    },
  ]);
  const call = { provider: 'p', model: 'm' };
  assert.equal(
    cost(book, { ...call, usage: { inputTokens: 9, cacheReadTokens: 4, inputAudioTokens: 5 } }),
    'ambiguous_usage',
  );
  assert.equal(cost(book, { ...call, usage: { inputTokens: 9, inputAudioTokens: 5 } }), '0.000048');
  const counts = new Map([['cache_audio_read_tokens', 0]]);
  assert.equal(
    cost(book, { ...call, counts, usage: { inputTokens: 9, cacheReadTokens: 4, inputAudioTokens: 5 } }),
    '0.000044',
  );
});
