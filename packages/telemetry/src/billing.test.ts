// One call is billed once, whoever describes it how often; and the prices that users of other tools reported as wrong.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { isSameModel, notBilled, type BillingSpan } from './billing.ts';
import { isPriced, priceOf, usdOf, type Call } from './cost.ts';

const AT = Date.UTC(2026, 10, 20, 12);

interface Given {
  parent?: number;
  from?: number;
  to?: number;
  in?: number;
  out?: number;
  read?: number;
  reasoning?: number;
  model?: string;
  name?: string;
  response?: string;
  operation?: string;
  isCall?: boolean;
}

/** A span `id` from 0 to 100 ms, a call of gpt-4o unless said otherwise. */
function span(id: number, given: Given = {}): BillingSpan {
  return {
    spanId: BigInt(id),
    parentSpanId: given.parent === undefined ? null : BigInt(given.parent),
    startNs: BigInt(given.from ?? 0) * 1_000_000n,
    endNs: BigInt(given.to ?? 100) * 1_000_000n,
    isCall: given.isCall ?? true,
    name: given.name ?? 'chat',
    operation: given.operation ?? 'chat',
    model: given.model ?? 'gpt-4o',
    response: given.response ?? null,
    inputTokens: given.in ?? null,
    outputTokens: given.out ?? null,
    cacheReadTokens: given.read ?? null,
    cacheCreationTokens: null,
    reasoningTokens: given.reasoning ?? null,
  };
}

/** Left-out span → [the one that stands for it, why]. */
function decided(spans: readonly BillingSpan[]): Record<string, [number, string]> {
  const found = [...notBilled(spans)].sort(([a], [b]) => Number(a - b));
  return Object.fromEntries(found.map(([id, { by, reason }]) => [String(id), [Number(by), reason]]));
}

test('two real calls side by side are both billed, however equal they are', () => {
  assert.deepEqual(decided([span(1, { in: 10, out: 5 }), span(2, { in: 10, out: 5 })]), {});
  const agent = span(1, { isCall: false });
  const twins = [span(2, { parent: 1, in: 10, out: 5 }), span(3, { parent: 1, in: 10, out: 5 })];
  assert.deepEqual(decided([agent, ...twins]), {});
});

test('the outer span of the Vercel AI SDK is its inner one, https://github.com/vercel/ai/pull/2304', () => {
  const outer = span(1, { name: 'ai.generateText', in: 30, out: 12 });
  const steps = [
    span(2, { parent: 1, name: 'ai.generateText.doGenerate', in: 10, out: 5, from: 1 }),
    span(3, { parent: 1, name: 'ai.toolCall', isCall: false, from: 20 }),
    span(4, { parent: 1, name: 'ai.generateText.doGenerate', in: 20, out: 7, from: 30 }),
  ];
  assert.deepEqual(decided([outer, ...steps]), { 1: [2, 'wrapper'] });
  // an outer span that was cut off reports other tokens, and is a wrapper all the same
  assert.deepEqual(decided([{ ...outer, inputTokens: 20 }, ...steps]), { 1: [2, 'wrapper'] });
});

test('the sum of a loop around its calls is not one more, https://github.com/langfuse/langfuse/issues/14754', () => {
  const agent = span(1, { name: 'invoke_agent', in: 14_426, out: 771, model: 'gpt-5.1' });
  const calls = [
    span(2, { parent: 1, in: 6_426, out: 700, from: 1, model: 'gpt-5.1' }),
    span(3, { parent: 1, in: 8_000, out: 71, from: 50, model: 'gpt-5.1' }),
  ];
  assert.deepEqual(decided([agent, ...calls]), { 1: [2, 'sum_of_calls'] });
});

test('a call that is counted at each level is one, https://github.com/langfuse/langfuse/issues/3956', () => {
  const complete = span(1, { in: 22, out: 40, model: 'granite3-moe' });
  const chat = span(2, { parent: 1, in: 22, out: 40, model: 'granite3-moe:latest', from: 1 });
  assert.deepEqual(decided([complete, chat]), { 1: [2, 'same_usage'] });
});

test('a chain around ChatOpenAI around the instrumented client is one call', () => {
  const spans = [
    span(1, { isCall: false, name: 'RunnableSequence' }),
    span(2, { parent: 1, name: 'ChatOpenAI', in: 100, out: 20 }),
    span(3, {
      parent: 2,
      name: 'openai.chat',
      in: 100,
      out: 20,
      model: 'gpt-4o-2024-08-06',
      response: 'chatcmpl-1',
      from: 1,
    }),
  ];
  assert.deepEqual(decided(spans), { 2: [3, 'same_usage'] });
});

test('of an SDK that traces itself beside an instrumented client, the same response is billed once', () => {
  const spans = [
    span(1, { isCall: false }),
    span(2, { parent: 1, in: 100, out: 20, response: 'chatcmpl-1', from: 1, to: 90 }),
    span(3, { parent: 1, in: 100, out: 20, read: 64, response: 'chatcmpl-1', from: 2, to: 89 }),
  ];
  assert.deepEqual(decided(spans), { 2: [3, 'same_response'] });
});

test('usage repeated with every piece of a stream is the last of it, https://github.com/langchain-ai/langchain/pull/20180', () => {
  const pieces = [9, 17, 31].map((out, i) =>
    span(i + 2, { parent: 1, in: 8, out, response: 'msg_1', from: 1 + i, to: 40 }),
  );
  assert.deepEqual(decided([span(1, { isCall: false }), ...pieces]), {
    2: [4, 'same_response'],
    3: [4, 'same_response'],
  });
});

test('a stand-in that answers everything under one id does not make two calls one', () => {
  const first = span(1, { in: 10, out: 5, response: 'chatcmpl-123', from: 0, to: 40 });
  const second = span(2, { in: 90, out: 7, response: 'chatcmpl-123', from: 50, to: 90 });
  assert.deepEqual(decided([first, second]), {});
});

test('whoever knows what was cached stands for the call', () => {
  const outer = span(1, { in: 100, out: 20, read: 64 });
  const inner = span(2, { parent: 1, in: 100, out: 20, from: 1 });
  assert.deepEqual(decided([outer, inner]), { 2: [1, 'same_usage'] });
});

test('a manual span without tokens around a client with them, and the other way round', () => {
  const silent = span(1, {});
  assert.deepEqual(decided([silent, span(2, { parent: 1, in: 10, out: 5, from: 1 })]), { 1: [2, 'told_inside'] });
  const telling = span(1, { in: 10, out: 5 });
  assert.deepEqual(decided([telling, span(2, { parent: 1, from: 1 })]), { 2: [1, 'told_outside'] });
});

test('what contains another call and has tokens of its own is a call of its own', () => {
  const chat = span(1, { in: 300, out: 50 });
  const embedding = span(2, { parent: 1, in: 7, operation: 'embeddings', model: 'text-embedding-3-small', from: 1 });
  assert.deepEqual(decided([chat, embedding]), {});
  const nested = span(2, { parent: 1, in: 20, out: 5, from: 1 });
  assert.deepEqual(decided([chat, nested]), {});
  // a silent span around a call of another model does not disappear: its price stays unknown
  assert.deepEqual(decided([span(1, {}), embedding]), {});
});

test('two answers, or two models, are two calls, however equal their tokens are', () => {
  const outer = span(1, { in: 100, out: 20, response: 'resp-A' });
  const tool = span(2, { parent: 1, isCall: false, name: 'execute_tool', from: 1 });
  const inner = { parent: 2, in: 100, out: 20, from: 2 };
  assert.deepEqual(decided([outer, tool, span(3, { ...inner, response: 'resp-B', model: 'claude-3-5-sonnet' })]), {});
  assert.deepEqual(decided([outer, tool, span(3, { ...inner, response: 'resp-B' })]), {});
  assert.deepEqual(decided([outer, tool, span(3, { ...inner, model: 'gpt-4o-mini' })]), {});
  // a wrapper without an answer of its own, or without a model, is one all the same
  const [{ response: _, ...wrapper }, named] = [outer, span(3, { ...inner, response: 'resp-B' })];
  assert.deepEqual(decided([{ ...wrapper, response: null }, tool, named]), { 1: [3, 'same_usage'] });
  assert.deepEqual(decided([{ ...wrapper, response: null, model: null }, tool, named]), { 1: [3, 'same_usage'] });
  // of several with these tokens the one that it may repeat stands for it
  const other = span(4, { parent: 1, in: 100, out: 20, from: 3, model: 'gpt-4o-2024-08-06' });
  const mini = span(3, { parent: 1, in: 100, out: 20, from: 2, model: 'gpt-4o-mini' });
  assert.deepEqual(decided([{ ...wrapper, response: null }, mini, other]), { 1: [4, 'same_usage'] });
});

test('a call with an answer or a model of its own is not the sum of those inside it', () => {
  const outer = span(1, { in: 30, out: 3, response: 'r0' });
  const minis = [
    span(2, { parent: 1, in: 10, out: 1, from: 1, response: 'r1', model: 'gpt-4o-mini' }),
    span(3, { parent: 1, in: 20, out: 2, from: 2, response: 'r2', model: 'gpt-4o-mini' }),
  ];
  assert.deepEqual(decided([outer, ...minis]), {});
  assert.deepEqual(decided([{ ...outer, model: 'gpt-4o-mini' }, ...minis]), {});
  assert.deepEqual(decided([{ ...outer, response: null }, ...minis]), {});
  // an agent reports the sum of its calls, whichever models it used beside its own
  const agent = { ...outer, response: null, name: 'invoke_agent' };
  assert.deepEqual(decided([{ ...agent, model: null }, ...minis]), { 1: [2, 'sum_of_calls'] });
  const mixed = minis.map((each, i) => (i === 0 ? each : { ...each, model: 'gpt-4o' }));
  assert.deepEqual(decided([agent, ...mixed]), { 1: [2, 'sum_of_calls'] });
});

test('repetitions of repetitions point to the span that is billed', () => {
  const spans = [1, 2, 3].map((id) => span(id, { ...(id > 1 && { parent: id - 1 }), in: 10, out: 5, from: id }));
  assert.deepEqual(decided(spans), { 1: [3, 'same_usage'], 2: [3, 'same_usage'] });
});

test('names of one model', () => {
  const same: [string | null, string | null][] = [
    ['gpt-4o', 'gpt-4o-2024-08-06'],
    ['openai/gpt-4o', 'gpt-4o'],
    ['claude-sonnet-4-5', 'us.anthropic.claude-sonnet-4-5-20250929-v1:0'],
    ['GPT-4o', ' gpt-4o'],
    [null, 'anything'],
  ];
  for (const [a, b] of same) assert.ok(isSameModel(a, b), `${a} = ${b}`);
  assert.ok(!isSameModel('gpt-4o', 'gpt-4o-mini'));
  assert.ok(!isSameModel('gpt-4', 'gpt-4o'));
});

const anySpan: fc.Arbitrary<BillingSpan> = fc
  .record({
    id: fc.integer({ min: 1, max: 9 }),
    parent: fc.option(fc.integer({ min: 1, max: 9 }), { nil: undefined }),
    from: fc.integer({ min: 0, max: 3 }),
    in: fc.option(fc.integer({ min: 0, max: 3 }), { nil: undefined }),
    out: fc.option(fc.integer({ min: 0, max: 2 }), { nil: undefined }),
    read: fc.option(fc.constant(1), { nil: undefined }),
    response: fc.option(fc.constantFrom('a', 'b'), { nil: undefined }),
    isCall: fc.boolean(),
    name: fc.constantFrom('chat', 'ai.generateText', 'ai.generateText.doGenerate'),
    model: fc.constantFrom('gpt-4o', 'gpt-4o-mini'),
  })
  .map(({ id, ...given }) => span(id, given as Given));
const anyTrace = fc.uniqueArray(anySpan, { selector: ({ spanId }) => spanId, maxLength: 9 });

test('the order of the spans never matters, circles of parents included', () => {
  fc.assert(
    fc.property(anyTrace, fc.infiniteStream(fc.nat()), (spans, numbers) => {
      const shuffled = spans
        .map((each) => ({ each, rank: numbers.next().value as number }))
        .sort((a, b) => a.rank - b.rank)
        .map(({ each }) => each);
      assert.deepEqual(decided(shuffled), decided(spans));
    }),
    { numRuns: 2_000 },
  );
});

test('only calls are left out, and each for a call that is billed: nothing is lost', () => {
  fc.assert(
    fc.property(anyTrace, (spans) => {
      const found = notBilled(spans);
      const calls = new Set(spans.filter(({ isCall }) => isCall).map(({ spanId }) => spanId));
      for (const [spanId, { by }] of found) {
        assert.ok(calls.has(spanId) && calls.has(by));
        assert.ok(!found.has(by), `${spanId} is left out for ${by}, which is left out too`);
      }
      if (calls.size > 0) assert.ok(found.size < calls.size);
    }),
    { numRuns: 2_000 },
  );
});

test('a chain of ten thousand calls, each inside the other, is decided at once', () => {
  const chain = Array.from({ length: 10_000 }, (_, i) =>
    span(i + 1, { ...(i > 0 && { parent: i }), in: i, out: 1, from: i }),
  );
  assert.equal(notBilled(chain).size, 0);
});

/** Traces that made deciding quadratic; twenty thousand spans are the most that are looked through. */
const LARGE: Record<string, BillingSpan[]> = {
  'one response id for calls one after the other': many((i) => ({ in: i, out: 1, response: 'r', from: i, to: i + 1 })),
  'one response id around calls': many((i) => ({
    ...(i % 2 === 1 && { parent: i }),
    in: i,
    response: 'r',
    from: i - (i % 2),
    to: i + 1,
  })),
  'equal calls side by side': many((i) => ({ ...(i > 0 && { parent: 1 }), in: 1, out: 1, from: i })),
  'silent calls side by side': many((i) => ({ ...(i > 0 && { parent: 1 }), from: i })),
  'equal calls inside one another, each with its own answer': many((i) => ({
    ...(i > 0 && { parent: i }),
    in: 1,
    response: `r${i}`,
    from: i,
  })),
  'silent spans of another model around calls': many((i) => ({
    ...(i > 0 && { parent: Math.min(i, 10_000) }),
    ...(i >= 10_000 ? { in: i } : { model: `m${i}` }),
    from: i,
  })),
  'outer spans without inner ones around calls': many((i) => ({
    ...(i > 0 && { parent: Math.min(i, 10_000) }),
    ...(i < 10_000 && { name: 'ai.generateText' }),
    in: i,
    from: i,
  })),
};

function many(givenOf: (i: number) => Given): BillingSpan[] {
  return Array.from({ length: 20_000 }, (_, i) => span(i + 1, givenOf(i)));
}

for (const [what, spans] of Object.entries(LARGE)) {
  test(`twenty thousand spans are decided at once: ${what}`, () => {
    const startMs = performance.now();
    notBilled(spans);
    const tookMs = performance.now() - startMs;
    assert.ok(tookMs < 3_000, `${Math.round(tookMs)} ms`);
  });
}

interface Reported {
  issue: string;
  what: string;
  call: Omit<Call, 'atMs'>;
  /** Summed by hand from the providers' price pages; null: no price may be shown. */
  usd: string | null;
}

/** Costs that other tools showed wrong, as their users reported them. */
const REPORTED: readonly Reported[] = [
  {
    issue: 'https://github.com/langfuse/langfuse/issues/10592',
    what: 'cached tokens added to the input that includes them',
    // 86 × 2.50 + 17,817 × 1.25 + 100 × 10 per million
    call: {
      provider: 'openai',
      model: 'gpt-4o',
      usage: { inputTokens: 17_903, cacheReadTokens: 17_817, outputTokens: 100 },
    },
    usd: '0.02348625',
  },
  {
    issue: 'https://github.com/BerriAI/litellm/issues/9812',
    what: 'written cache charged as input once more; Anthropic billed 0.0544',
    // 3 × 3 + 12,304 × 3.75 + 550 × 15 per million
    call: {
      provider: 'anthropic',
      model: 'claude-3-7-sonnet-20250219',
      usage: { inputTokens: 12_307, cacheCreationTokens: 12_304, outputTokens: 550 },
    },
    usd: '0.054399',
  },
  {
    issue: 'https://github.com/BerriAI/litellm/issues/5443',
    what: 'cache reads and writes left out of the cost',
    // 1,000 × 3 + 5,000 × 3.75 + 20,000 × 0.30 + 400 × 15 per million
    call: {
      provider: 'anthropic',
      model: 'claude-3-5-sonnet-20240620',
      usage: { inputTokens: 26_000, cacheCreationTokens: 5_000, cacheReadTokens: 20_000, outputTokens: 400 },
    },
    usd: '0.03375',
  },
  {
    issue: 'https://github.com/openlit/openlit/issues/1378',
    what: 'cache reads at the full price of input',
    // 200 × 3 + 5,000 × 0.30 + 1,000 × 3.75 + 300 × 15 per million
    call: {
      provider: 'anthropic',
      model: 'claude-sonnet-4-5',
      usage: { inputTokens: 6_200, cacheReadTokens: 5_000, cacheCreationTokens: 1_000, outputTokens: 300 },
    },
    usd: '0.01035',
  },
  {
    issue: 'https://github.com/langfuse/langfuse/issues/11244',
    what: 'reasoning on top of the output that includes it',
    // 22,118 × 1.25 + 1,970 × 10 per million
    call: {
      provider: 'openai',
      model: 'gpt-5.1',
      usage: { inputTokens: 22_118, outputTokens: 1_970, reasoningTokens: 956 },
    },
    usd: '0.0473475',
  },
  {
    issue: 'https://github.com/langfuse/langfuse/issues/12531',
    what: 'thoughts of Gemini left out: output includes them',
    // 324 × 2 + (1,364 + 495) × 12 per million
    call: {
      provider: 'gcp.gemini',
      model: 'gemini-3-pro-preview',
      usage: { inputTokens: 324, outputTokens: 1_859, reasoningTokens: 495 },
    },
    usd: '0.022956',
  },
  {
    issue: 'https://github.com/langfuse/langfuse/issues/8482',
    what: 'long prompts at the price of short ones',
    // 250,000 × 6 + 1,000 × 22.50 per million
    call: { provider: 'anthropic', model: 'claude-sonnet-4-5', usage: { inputTokens: 250_000, outputTokens: 1_000 } },
    usd: '1.5225',
  },
  {
    issue: 'https://github.com/BerriAI/litellm/issues/16377',
    what: 'the cache of long prompts at the price of short ones',
    // 50,000 × 6 + 200,000 × 0.60 + 1,000 × 22.50 per million
    call: {
      provider: 'anthropic',
      model: 'claude-sonnet-4-5',
      usage: { inputTokens: 250_000, cacheReadTokens: 200_000, outputTokens: 1_000 },
    },
    usd: '0.4425',
  },
  {
    issue: 'https://github.com/BerriAI/litellm/issues/9807',
    what: 'Gemini beyond 200,000 tokens; exactly there is still the lower price',
    // 200,000 × 1.25 + 100 × 10 per million
    call: { provider: 'gcp.gemini', model: 'gemini-2.5-pro', usage: { inputTokens: 200_000, outputTokens: 100 } },
    usd: '0.251',
  },
  {
    issue: 'https://github.com/BerriAI/litellm/issues/13810',
    what: 'flex at the standard price',
    // half of 2,000 × 0.05 + 500 × 0.40 per million
    call: {
      provider: 'openai',
      model: 'gpt-5-nano',
      serviceTier: 'flex',
      usage: { inputTokens: 2_000, outputTokens: 500 },
    },
    usd: '0.00015',
  },
  {
    issue: 'https://github.com/langfuse/langfuse/issues/13780',
    what: 'priority at the standard price',
    call: {
      provider: 'openai',
      model: 'gpt-5',
      serviceTier: 'priority',
      usage: { inputTokens: 1_000, outputTokens: 500 },
    },
    usd: '0.0125',
  },
  {
    issue: 'https://github.com/BerriAI/litellm/pull/30558',
    what: 'a tier whose price nobody published is unknown, not standard',
    call: {
      provider: 'anthropic',
      model: 'claude-sonnet-4-5',
      serviceTier: 'priority',
      usage: { inputTokens: 1_000, outputTokens: 500 },
    },
    usd: null,
  },
  {
    issue: 'https://github.com/langfuse/langfuse/issues/6655',
    what: 'region prefixes of Bedrock',
    // 1,000 × 3 + 500 × 15 per million
    call: {
      provider: 'aws.bedrock',
      model: 'us.anthropic.claude-3-5-sonnet-20241022-v2:0',
      usage: { inputTokens: 1_000, outputTokens: 500 },
    },
    usd: '0.0105',
  },
  {
    issue: 'https://github.com/langfuse/langfuse/issues/13325',
    what: 'a user’s own inference profile names no model: unpriced until an override says which',
    call: {
      provider: 'aws.bedrock',
      model: 'arn:aws:bedrock:eu-west-1:123456789012:application-inference-profile/abc123',
      usage: { inputTokens: 1_000, outputTokens: 500 },
    },
    usd: null,
  },
  {
    issue: 'https://github.com/langchain-ai/langchain/pull/12190',
    what: 'fine-tuned models at the price of their base',
    // 1,000 × 0.30 + 500 × 1.20 per million
    call: {
      provider: 'openai',
      model: 'ft:gpt-4o-mini-2024-07-18:acme::abc123',
      usage: { inputTokens: 1_000, outputTokens: 500 },
    },
    usd: '0.0009',
  },
  {
    issue: 'https://github.com/BerriAI/litellm/issues/7607',
    what: 'embeddings of Azure',
    call: { provider: 'azure.ai.openai', model: 'text-embedding-3-small', usage: { inputTokens: 1_000 } },
    usd: '0.00002',
  },
  {
    issue: 'https://github.com/langfuse/langfuse/issues/3738',
    what: 'Azure answers "ada" for its embeddings',
    call: { provider: 'azure.ai.openai', model: 'ada', usage: { inputTokens: 1_000 } },
    usd: '0.0001',
  },
];

for (const { issue, what, call, usd } of REPORTED) {
  test(`${what} (${issue})`, () => {
    const price = priceOf({ ...call, atMs: AT });
    assert.equal(isPriced(price) ? usdOf(price.costPico) : null, usd);
  });
}
