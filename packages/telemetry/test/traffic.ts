// Realistic, varied GenAI spans of about 2.7 kB for benches: several models, prompts and answers, as an OpenTelemetry SDK sends them.
import { attributes, requestJson } from './wire.ts';
import type { RequestJson, SpanJson } from './wire.ts';

const MODELS = [
  ['openai', 'gpt-4o', 'gpt-4o-2024-08-06'],
  ['openai', 'gpt-4o-mini', 'gpt-4o-mini-2024-07-18'],
  ['anthropic', 'claude-sonnet-4-5', 'claude-sonnet-4-5-20250929'],
  ['gcp.vertex_ai', 'gemini-2.5-flash', 'gemini-2.5-flash'],
] as const;

const WORDS =
  'the order of a customer was delayed because its parcel waited in the wrong depot please check invoice refund policy and answer in two short polite sentences with the date of delivery tracking number warehouse carrier status return window support ticket'.split(
    ' ',
  );

/** A linear congruential generator (Numerical Recipes): the same traffic in every run. */
export function generator(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 4_294_967_296;
  };
}

function prose(random: () => number, words: number): string {
  return Array.from({ length: words }, () => WORDS[Math.floor(random() * WORDS.length)]!).join(' ');
}

function hex(random: () => number, digits: number): string {
  let text = '';
  while (text.length < digits)
    text += Math.floor(random() * 65_536)
      .toString(16)
      .padStart(4, '0');
  return text;
}

function genAiSpan(random: () => number, startNs: bigint): SpanJson {
  const [provider, request, response] = MODELS[Math.floor(random() * MODELS.length)]!;
  const inputTokens = 300 + Math.floor(random() * 3_000);
  const input = [
    { role: 'system', parts: [{ type: 'text', content: prose(random, 60) }] },
    { role: 'user', parts: [{ type: 'text', content: prose(random, 110) }] },
  ];
  const output = [{ role: 'assistant', parts: [{ type: 'text', content: prose(random, 70) }], finish_reason: 'stop' }];
  return {
    traceId: hex(random, 32),
    spanId: hex(random, 16),
    parentSpanId: hex(random, 16),
    name: `chat ${request}`,
    kind: 3,
    startTimeUnixNano: startNs.toString(),
    endTimeUnixNano: (startNs + BigInt(Math.floor(200e6 + random() * 4e9))).toString(),
    status: {},
    flags: 257,
    attributes: attributes({
      'gen_ai.operation.name': 'chat',
      'gen_ai.provider.name': provider,
      'gen_ai.request.model': request,
      'gen_ai.response.model': response,
      'gen_ai.response.id': `chatcmpl-${hex(random, 28)}`,
      'gen_ai.response.finish_reasons': ['stop'],
      'gen_ai.request.temperature': 0.7,
      'gen_ai.request.max_tokens': 1024,
      'gen_ai.request.top_p': 0.95,
      'gen_ai.usage.input_tokens': inputTokens,
      'gen_ai.usage.output_tokens': 20 + Math.floor(random() * 800),
      'gen_ai.usage.cache_read.input_tokens': Math.floor(inputTokens * random()),
      'gen_ai.conversation.id': hex(random, 24),
      'gen_ai.input.messages': JSON.stringify(input),
      'gen_ai.output.messages': JSON.stringify(output),
      'server.address': 'gateway.example',
      'server.port': 443,
      'user.id': `user-${Math.floor(random() * 500)}`,
      'lumina.tags': ['support', 'production'],
      'app.feature': 'order-status',
      'app.release': '2026.11.3',
      'app.retry': false,
      'thread.id': 7,
    }),
  };
}

/** One request of `count` spans; `seed` varies the content. */
export function trafficRequest(count: number, seed: number, startNs = 1_795_000_000_000_000_000n): RequestJson {
  const random = generator(seed);
  const spans = Array.from({ length: count }, (_, i) => genAiSpan(random, startNs + BigInt(i) * 1_000_000n));
  return requestJson(spans, {
    'service.name': 'order-assistant',
    'service.version': '4.2.0',
    'deployment.environment.name': 'production',
    'telemetry.sdk.language': 'nodejs',
  });
}
