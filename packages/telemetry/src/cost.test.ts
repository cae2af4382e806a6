// Prices against the package they come from, over all models, and against sums made by hand.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { calcPrice, waitForUpdate } from '@pydantic/genai-prices';
import type { Provider } from '@pydantic/genai-prices';
import fc from 'fast-check';
import { isPriced, PriceBook, priceOf, usdOf } from './cost.ts';
import type { Call } from './cost.ts';
import bundledTable from './prices/genai-prices.json' with { type: 'json' };
import type { ModelPriceJson, PriceTableJson } from './prices/table.ts';
import type { Usage } from './span.ts';
import { exactPico, momentsOf, nameOf, rawPricesAt, usageOf, vectorsOf } from '../test/exact-price.ts';

const table = bundledTable as PriceTableJson;
const AT = Date.UTC(2026, 10, 20, 12);

function usd(call: Partial<Call>): string | undefined {
  const price = priceOf({ atMs: AT, usage: {}, ...call });
  return isPriced(price) ? usdOf(price.costPico) : undefined;
}

function reasonOf(call: Partial<Call>): string | undefined {
  const price = priceOf({ atMs: AT, usage: { inputTokens: 1, outputTokens: 1 }, ...call });
  return isPriced(price) ? undefined : price.unpriced;
}

/** A book with one model, `m` of `p`. */
function bookOf(prices: ModelPriceJson | PriceTableJson['providers'][number]['models'][number]['prices']): PriceBook {
  const models = [{ id: 'm', match: { equals: 'm' }, prices }];
  const provider = { id: 'p', name: 'P', api: 'https://api\\.p\\.example', models };
  return new PriceBook({ source: 's', version: '1', licence: '', sha256: '', sha256Of: '', providers: [provider] });
}

function pico(prices: Parameters<typeof bookOf>[0], usage: Usage, atMs = AT): bigint | string {
  const price = bookOf(prices).price({ provider: 'p', model: 'm', atMs, usage });
  return isPriced(price) ? price.costPico : price.unpriced;
}

test('sums made by hand from the published prices', () => {
  // gpt-4o: 2.50 in, 1.25 cached, 10 out; claude-sonnet-4-5: 3 in, 0.30 read, 3.75 write, 15 out
  assert.equal(
    usd({ provider: 'openai', model: 'gpt-4o', usage: { inputTokens: 1_000, outputTokens: 500 } }),
    '0.0075',
  );
  assert.equal(
    usd({
      provider: 'openai',
      model: 'gpt-4o',
      usage: { inputTokens: 1_000, cacheReadTokens: 400, outputTokens: 500 },
    }),
    '0.007',
  );
  assert.equal(
    usd({
      provider: 'anthropic',
      model: 'claude-sonnet-4-5-20250929',
      usage: { inputTokens: 10_000, cacheReadTokens: 6_000, cacheCreationTokens: 1_000, outputTokens: 100 },
    }),
    '0.01605',
  );
  assert.equal(usd({ provider: 'openai', model: 'gpt-4o', usage: { inputTokens: 0, outputTokens: 0 } }), '0');
  assert.equal(usd({ provider: 'openai', model: 'gpt-4o-mini', usage: { inputTokens: 1 } }), '0.00000015');
});

test('the lines of a bill are disjoint and name their prices', () => {
  const price = priceOf({
    provider: 'openai',
    model: 'gpt-4o',
    atMs: AT,
    usage: { inputTokens: 1_000, cacheReadTokens: 400, outputTokens: 500, reasoningTokens: 200 },
  });
  assert.ok(isPriced(price));
  assert.deepEqual(
    price.components.map(({ unit, quantity, usd, costPico }) => [unit, quantity, usd, usdOf(costPico)]),
    [
      ['input_tokens', 600, '2.5', '0.0015'],
      ['cache_read_tokens', 400, '1.25', '0.0005'],
      ['output_tokens', 500, '10', '0.005'],
    ],
  );
  assert.equal(price.priceVersion, '@pydantic/genai-prices 0.1.8');
  assert.equal(price.providerId, 'openai');
  assert.equal(price.modelId, 'gpt-4o');
});

test('subsets are counted once: reasoning is part of the output, cache part of the input', () => {
  const prices = { input_mtok: '1', output_mtok: '2' };
  const whole = pico(prices, { inputTokens: 100, outputTokens: 50 });
  assert.equal(whole, 200_000_000n);
  assert.equal(
    pico(prices, {
      inputTokens: 100,
      outputTokens: 50,
      cacheReadTokens: 90,
      cacheCreationTokens: 5,
      reasoningTokens: 40,
    }),
    whole,
  );
  assert.equal(
    pico({ ...prices, output_reasoning_mtok: '3' }, { inputTokens: 100, outputTokens: 50, reasoningTokens: 40 }),
    240_000_000n,
  );
});

test('more cached tokens than input leave nothing uncached, never less', () => {
  assert.equal(
    pico({ input_mtok: '10', cache_read_mtok: '1', output_mtok: '0' }, { inputTokens: 5, cacheReadTokens: 9 }),
    9_000_000n,
  );
});

test('a tier counts for the whole call once the input exceeds its start', () => {
  const prices: ModelPriceJson = {
    input_mtok: { base: '1', tiers: [[200_000, '2']] },
    output_mtok: { base: '10', tiers: [[200_000, '15']] },
  };
  assert.equal(pico(prices, { inputTokens: 200_000, outputTokens: 10 }), 200_100_000_000n);
  assert.equal(pico(prices, { inputTokens: 200_001, outputTokens: 10 }), 400_152_000_000n);
});

test('prices change on their day and with the time of day', () => {
  const dated = [{ prices: { input_mtok: '4' } }, { from: '2026-11-01', prices: { input_mtok: '3' } }];
  assert.equal(pico(dated, { inputTokens: 1 }, Date.UTC(2026, 9, 31, 23, 59, 59, 999)), 4_000_000n);
  assert.equal(pico(dated, { inputTokens: 1 }, Date.UTC(2026, 10, 1)), 3_000_000n);
  const nightly = [
    { prices: { input_mtok: '4' } },
    { between: ['22:00:00Z', '06:00:00Z'] as [string, string], prices: { input_mtok: '2' } },
  ];
  assert.equal(pico(nightly, { inputTokens: 1 }, Date.UTC(2026, 10, 1, 23)), 2_000_000n);
  assert.equal(pico(nightly, { inputTokens: 1 }, Date.UTC(2026, 10, 1, 5, 59)), 2_000_000n);
  assert.equal(pico(nightly, { inputTokens: 1 }, Date.UTC(2026, 10, 1, 6)), 4_000_000n);
});

test('a price per request is added once', () => {
  assert.equal(
    pico({ input_mtok: '1', output_mtok: '1', requests_kcount: '5' }, { inputTokens: 0, outputTokens: 0 }),
    5_000_000_000n,
  );
});

test('fractions of a pico-dollar are summed before they are rounded, half to even', () => {
  assert.equal(pico({ input_mtok: '0.0000004', output_mtok: '0.0000004' }, { inputTokens: 1, outputTokens: 1 }), 1n);
  assert.equal(pico({ input_mtok: '0.0000005' }, { inputTokens: 1 }), 0n);
  assert.equal(pico({ input_mtok: '0.0000005' }, { inputTokens: 3 }), 2n);
  assert.equal(pico({ input_mtok: '0.083333333333' }, { inputTokens: 3 }), 250_000n);
});

test('what a seller does not price is not charged: the output of an embedding', () => {
  assert.equal(pico({ input_mtok: '1' }, { inputTokens: 3, outputTokens: 9 }), 3_000_000n);
  assert.equal(pico({ output_mtok: '1' }, { inputTokens: 3, outputTokens: 9 }), 9_000_000n);
});

test('service tiers and batches have their own prices, from the day that they are known for', () => {
  const usage = { inputTokens: 1_000, outputTokens: 500 };
  // gpt-5 per million: 1.25 in, 10 out; flex and batch half, priority double
  const call = { provider: 'openai', model: 'gpt-5', usage };
  assert.equal(usd(call), '0.00625');
  assert.equal(usd({ ...call, serviceTier: 'default' }), '0.00625');
  assert.equal(usd({ ...call, serviceTier: 'flex' }), '0.003125');
  assert.equal(usd({ ...call, serviceTier: 'batch' }), '0.003125');
  assert.equal(usd({ ...call, serviceTier: 'Priority' }), '0.0125');
  assert.equal(reasonOf({ ...call, serviceTier: 'flex', atMs: Date.UTC(2026, 9, 11) }), 'unknown_service_tier');
});

test('a variant replaces the standard price key by key, the first that applies in front', () => {
  const model: PriceTableJson['providers'][number]['models'][number] = {
    id: 'm',
    match: { equals: 'm' },
    prices: { input_mtok: '10', output_mtok: '20' },
    variants: [
      { when: { service_tier: 'flex' }, from: '2027-01-01', prices: { input_mtok: '1' } },
      { when: { service_tier: 'flex' }, prices: { input_mtok: '5' } },
      { when: { service_tier: 'flex', region: 'eu' }, prices: { input_mtok: '0' } },
    ],
  };
  const provider = { id: 'p', name: 'P', api: 'https://api\\.p\\.example', models: [model] };
  const book = new PriceBook({
    source: 's',
    version: '1',
    licence: '',
    sha256: '',
    sha256Of: '',
    providers: [provider],
  });
  const cost = (atMs: number): bigint => {
    const usage = { inputTokens: 1, outputTokens: 1 };
    const price = book.price({ provider: 'p', model: 'm', serviceTier: 'flex', atMs, usage });
    assert.ok(isPriced(price));
    return price.costPico;
  };
  assert.equal(cost(AT), 25_000_000n);
  assert.equal(cost(Date.UTC(2027, 0, 2)), 21_000_000n);
});

function picoOfCounts(prices: ModelPriceJson, counts: [string, number][]): bigint | string {
  const price = bookOf(prices).price({ provider: 'p', model: 'm', atMs: AT, usage: {}, counts: new Map(counts) });
  return isPriced(price) ? price.costPico : price.unpriced;
}

test('units that are no tokens are priced by their own measure', () => {
  // 0.36 dollars an hour is a hundredth of a cent a second
  assert.equal(picoOfCounts({ audio_hours: '0.36' }, [['audio_seconds', 2.5]]), 250_000_000n);
  assert.equal(picoOfCounts({ web_searches_kcount: '10', input_mtok: '1' }, [['web_searches', 3]]), 30_000_000_000n);
  assert.equal(
    picoOfCounts({ input_document_kpages: '1', input_annotated_document_kpages: '3' }, [
      ['input_document_pages', 10],
      ['input_annotated_document_pages', 4],
    ]),
    18_000_000_000n,
  );
  assert.equal(
    picoOfCounts({ output_mtok: '1', output_image_mtok: '40' }, [
      ['output_tokens', 1_120],
      ['output_image_tokens', 1_120],
    ]),
    44_800_000_000n,
  );
});

test('what is unknown has no price and says why', () => {
  assert.equal(reasonOf({ provider: 'openai', model: 'gpt-77-imaginary' }), 'unknown_model');
  assert.equal(reasonOf({ provider: 'ollama', model: 'gpt-4o' }), 'unknown_provider');
  assert.equal(reasonOf({ model: 'my-own-model' }), 'unknown_model');
  assert.equal(reasonOf({ provider: 'openai' }), 'no_model');
  assert.equal(reasonOf({ provider: 'openai', model: 'gpt-4o', usage: {} }), 'no_usage');
  assert.equal(reasonOf({ provider: 'openai', model: 'gpt-4o', usage: { cacheReadTokens: 5 } }), 'no_usage');
  assert.equal(reasonOf({ provider: 'openai', model: 'gpt-4o', usage: { outputTokens: 5 } }), 'no_usage');
  assert.equal(reasonOf({ provider: 'openai', model: 'gpt-3.5-turbo', serviceTier: 'flex' }), 'unknown_service_tier');
  assert.equal(reasonOf({ provider: 'openai', model: 'gpt-5', serviceTier: 'scale' }), 'unknown_service_tier');
  assert.equal(reasonOf({ provider: 'openai', model: 'gpt-4o', serviceTier: 'default' }), undefined);
  assert.equal(reasonOf({ provider: 'openai', model: 'x'.repeat(10_000) }), 'unknown_model');
  assert.equal(pico({}, { inputTokens: 1 }), 'no_price');
  assert.equal(pico({ audio_hours: '1' }, { inputTokens: 1, outputTokens: 1 }), 'no_price');
  const overlapping = { input_mtok: '1', cache_read_mtok: '1', input_audio_mtok: '1', cache_audio_read_mtok: '1' };
  assert.equal(pico(overlapping, { inputTokens: 9, cacheReadTokens: 1, inputAudioTokens: 1 }), 'ambiguous_usage');
  assert.equal(pico(overlapping, { inputTokens: 9, inputAudioTokens: 1 }), 9_000_000n);
});

/** `gen_ai.provider.name` as the conventions list it, with a model that it sells. */
const WELL_KNOWN: readonly [provider: string, model: string, seller: string][] = [
  ['openai', 'gpt-4o', 'openai'],
  ['azure.ai.openai', 'gpt-4o', 'azure'],
  ['az.ai.openai', 'gpt-4o-mini', 'azure'],
  ['azure.ai.inference', 'gpt-4o', 'azure'],
  ['anthropic', 'claude-sonnet-4-5', 'anthropic'],
  ['aws.bedrock', 'anthropic.claude-3-5-sonnet-20241022-v2:0', 'aws'],
  ['gcp.gemini', 'gemini-2.5-flash', 'google'],
  ['gcp.vertex_ai', 'gemini-2.5-flash', 'google'],
  ['gcp.gen_ai', 'gemini-2.5-pro', 'google'],
  ['vertex_ai', 'gemini-2.5-pro', 'google'],
  ['cohere', 'command-r-plus', 'cohere'],
  ['deepseek', 'deepseek-chat', 'deepseek'],
  ['groq', 'llama-3.3-70b-versatile', 'groq'],
  ['mistral_ai', 'mistral-large-latest', 'mistral'],
  ['perplexity', 'sonar', 'perplexity'],
  ['x_ai', 'grok-4.3', 'x-ai'],
  ['xai', 'grok-4.3', 'x-ai'],
  ['OpenAI', ' GPT-4o ', 'openai'],
  ['gcp.gemini', 'models/gemini-2.5-flash', 'google'],
  ['gcp.vertex_ai', 'publishers/google/models/gemini-2.5-flash', 'google'],
  ['gcp.vertex_ai', 'claude-sonnet-4-5@20250929', 'google'],
  ['anthropic', 'us.anthropic.claude-sonnet-4-5-20250929-v1:0', 'aws'],
];

for (const [provider, model, seller] of WELL_KNOWN) {
  test(`${provider} sells ${model.trim()} at the prices of ${seller}`, () => {
    const price = priceOf({ provider, model, atMs: AT, usage: { inputTokens: 10, outputTokens: 10 } });
    assert.ok(isPriced(price), `${provider} ${model} has no price`);
    assert.equal(price.providerId, seller);
  });
}

test('names as gateways, clouds and fine-tuning write them find the seller that they name, and no other', () => {
  const cases: readonly [provider: string | undefined, model: string, seller: string | undefined, id?: string][] = [
    ['openai', 'openai/gpt-4o', 'openai', 'gpt-4o'],
    [undefined, 'openai/gpt-4o', 'openai', 'gpt-4o'],
    ['litellm', 'azure/gpt-4o', 'azure'],
    ['litellm', 'bedrock/us.anthropic.claude-sonnet-4-5-20250929-v1:0', 'aws'],
    [undefined, 'gemini/gemini-2.5-flash', 'google', 'gemini-2.5-flash'],
    ['openrouter', 'openai/gpt-4o', 'openrouter', 'openai/gpt-4o'],
    ['openai', 'gpt-4o-20240806', 'openai', 'gpt-4o'],
    ['openai', 'ft:gpt-4o-mini-2024-07-18:acme::abc123', 'openai', 'ft:gpt-4o-mini'],
    [undefined, 'ft:gpt-4o-2024-08-06:acme::abc123', 'openai', 'ft:gpt-4o'],
    ['aws.bedrock', 'arn:aws:bedrock:us-east-1::foundation-model/anthropic.claude-3-5-sonnet-20241022-v2:0', 'aws'],
    [
      'aws.bedrock',
      'arn:aws:bedrock:eu-west-1:123456789012:inference-profile/eu.anthropic.claude-sonnet-4-5-20250929-v1:0',
      'aws',
    ],
    // a user's own profile, a deployment's name, another house's model and a house that is not in the table: not guessed
    ['aws.bedrock', 'arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/abc123', undefined],
    ['azure.ai.openai', 'my-team-deployment', undefined],
    ['openai', 'anthropic/claude-sonnet-4-5', undefined],
    ['vllm', 'gpt-4o', undefined],
    ['vllm', 'openai/gpt-4o', undefined],
  ];
  for (const [provider, model, seller, id] of cases) {
    const price = priceOf({ provider, model, atMs: AT, usage: { inputTokens: 10, outputTokens: 10 } });
    assert.equal(isPriced(price) ? price.providerId : undefined, seller, `${provider} ${model}`);
    if (id !== undefined) assert.equal(isPriced(price) ? price.modelId : undefined, id);
  }
});

test('without a provider, or with the name of a library, the model tells who answered', () => {
  for (const provider of [undefined, '', 'langchain', 'crewai', 'spring_ai', '_OTHER']) {
    assert.equal(usd({ provider, model: 'gpt-4o', usage: { inputTokens: 1_000, outputTokens: 500 } }), '0.0075');
  }
});

test('without a provider, names that only one house gives tell it too', () => {
  const sellers = [
    ['text-embedding-3-small', 'openai'],
    ['text-embedding-ada-002', 'openai'],
    ['chatgpt-4o-latest', 'openai'],
    ['models/gemini-2.5-flash', 'google'],
    ['anthropic.claude-3-5-sonnet-20241022-v2:0', 'aws'],
    ['us.amazon.nova-lite-v1:0', 'aws'],
  ] as const;
  for (const [model, seller] of sellers) {
    const price = priceOf({ model, atMs: AT, usage: { inputTokens: 10, outputTokens: 0 } });
    assert.ok(isPriced(price), `${model} has no price`);
    assert.equal(price.providerId, seller);
  }
});

test("the host of a known provider outranks the client's name for it, another host does not", () => {
  const call = {
    provider: 'openai',
    model: 'llama-3.3-70b-versatile',
    atMs: AT,
    usage: { inputTokens: 1, outputTokens: 1 },
  };
  const price = priceOf({ ...call, serverAddress: 'api.groq.com' });
  assert.ok(isPriced(price));
  assert.equal(price.providerId, 'groq');
  assert.deepEqual(priceOf({ ...call, serverAddress: '127.0.0.1' }), { unpriced: 'unknown_model' });
  assert.equal(reasonOf({ provider: 'openai', model: 'gpt-4o', serverAddress: 'localhost' }), undefined);
});

test('look-ups of hostile, ever new names stay bounded and right', () => {
  const book = bookOf({ input_mtok: '1' });
  for (let i = 0; i < 10_000; i++) book.price({ provider: 'p', model: `m${i}`, atMs: AT, usage: { inputTokens: 1 } });
  assert.ok(isPriced(book.price({ provider: 'p', model: 'm', atMs: AT, usage: { inputTokens: 1 } })));
});

const providers = (await waitForUpdate()) as Provider[];

// The whole comparison, with service tiers and the decimals of the Python package, is `./lumatrace bench cost`.
test('models of every provider cost what the package says, and to the pico-dollar what rationals say', () => {
  const now = new Date(AT);
  let compared = 0;
  for (const provider of providers) {
    for (const [i, model] of provider.models.entries()) {
      // every third model, so that the test stays quick; each provider's first is always there
      if (i % 3 !== 0) continue;
      const name = nameOf(provider, model);
      for (const at of momentsOf(model, now)) {
        const prices = rawPricesAt(model, at);
        for (const [vector, cells] of vectorsOf(prices)) {
          const counts = new Map(Object.entries(usageOf(cells)));
          const ours = priceOf({ provider: provider.id, model: name, atMs: at.getTime(), usage: {}, counts });
          const exact = exactPico(prices, cells);
          const theirs = calcPrice(usageOf(cells), name, { providerId: provider.id, timestamp: at });
          const label = `${provider.id} ${name}, ${vector} at ${at.toISOString()}`;
          assert.equal(isPriced(ours) ? ours.costPico : undefined, exact, label);
          const difference = Math.abs(Number(exact ?? 0n) - (theirs?.total_price ?? NaN) * 1e12);
          assert.ok(difference <= 0.5 + (theirs?.total_price ?? 0) * 1e3, label);
          compared++;
        }
      }
    }
  }
  assert.ok(compared > 4_000, `only ${compared} compared`);
});

test('random usage never costs less than nothing, and more tokens never cost less', () => {
  const tokens = fc.nat(2_000_000);
  fc.assert(
    fc.property(
      fc.record({ inputTokens: tokens, outputTokens: tokens, cacheReadTokens: tokens, reasoningTokens: tokens }),
      (usage) => {
        const cost = (more: number): bigint => {
          const price = priceOf({
            provider: 'openai',
            model: 'gpt-4o',
            atMs: AT,
            usage: { ...usage, outputTokens: usage.outputTokens + more },
          });
          assert.ok(isPriced(price));
          return price.costPico;
        };
        assert.ok(cost(0) >= 0n);
        assert.ok(cost(1) > cost(0));
      },
    ),
  );
});

test('the table says where it comes from', () => {
  assert.equal(table.version, '0.1.8');
  assert.match(table.sha256, /^[0-9a-f]{64}$/);
  assert.equal(table.providers.length, providers.length);
  assert.equal(
    table.providers.flatMap(({ models }) => models).length,
    providers.flatMap(({ models }) => models).length,
  );
});
