// The real clients of OpenAI and Anthropic, newest and previous major, against a stand-in for their APIs.
import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';
import Anthropic from '@anthropic-ai/sdk';
import PreviousAnthropic from 'anthropic-previous';
import OpenAI from 'openai';
import PreviousOpenAI from 'openai-previous';
import { Collector, type SentSpan } from '../../test/collector.ts';
import {
  ANSWER,
  ANTHROPIC_USAGE,
  OPENAI_USAGE,
  startModelStandIn,
  THOUGHT,
  type ModelStandIn,
} from '../../test/model-stand-in.ts';
import { flush, initLumina, instrument, shutdown, traceLLM } from '../index.ts';

const QUESTION = 'What is the capital of France?';
const TOOL = {
  type: 'function' as const,
  function: { name: 'look_up', parameters: { type: 'object', properties: {} } },
};
const warnings: string[] = [];
let collector: Collector;
let model: ModelStandIn;

before(async () => {
  model = await startModelStandIn();
});
after(async () => {
  await model.stop();
});
afterEach(async () => {
  await shutdown();
  await collector.stop();
  warnings.length = 0;
});

async function start(): Promise<void> {
  collector = await new Collector().start();
  initLumina({ endpoint: collector.url, service_name: 'test', on_warning: (message) => warnings.push(message) });
}

async function onlySpan(): Promise<SentSpan> {
  await flush();
  const spans = collector.spans();
  assert.equal(spans.length, 1, JSON.stringify(spans.map(({ name }) => name)));
  return spans[0] as SentSpan;
}

function messages(span: SentSpan, key: 'input' | 'output'): unknown {
  return JSON.parse(String(span.attributes[`gen_ai.${key}.messages`]));
}

function assertOpenAiUsage(span: SentSpan): void {
  assert.equal(span.attributes['gen_ai.usage.input_tokens'], OPENAI_USAGE.prompt);
  assert.equal(span.attributes['gen_ai.usage.output_tokens'], OPENAI_USAGE.completion);
  assert.equal(span.attributes['gen_ai.usage.cache_read.input_tokens'], OPENAI_USAGE.cached);
  assert.equal(span.attributes['gen_ai.usage.reasoning.output_tokens'], OPENAI_USAGE.reasoning);
}

function assertAnthropicUsage(span: SentSpan): void {
  const { input, cacheRead, cacheCreation, output } = ANTHROPIC_USAGE;
  assert.equal(span.attributes['gen_ai.usage.input_tokens'], input + cacheRead + cacheCreation);
  assert.equal(span.attributes['gen_ai.usage.output_tokens'], output);
  assert.equal(span.attributes['gen_ai.usage.cache_read.input_tokens'], cacheRead);
  assert.equal(span.attributes['gen_ai.usage.cache_creation.input_tokens'], cacheCreation);
}

const answered = [{ role: 'assistant', parts: [{ type: 'text', content: ANSWER }], finish_reason: 'stop' }];
const asked = [{ role: 'user', parts: [{ type: 'text', content: QUESTION }] }];

for (const [version, Client] of [
  ['newest', OpenAI],
  ['previous', PreviousOpenAI as unknown as typeof OpenAI],
] as const) {
  const connect = (): OpenAI => instrument(new Client({ baseURL: model.openAiUrl, apiKey: 'none', maxRetries: 0 }));
  const request = { model: 'gpt-4o', messages: [{ role: 'user' as const, content: QUESTION }], temperature: 0.5 };

  test(`openai ${version}: a chat completion has prompt, answer, model, parameters and usage`, async () => {
    await start();
    const completion = await connect().chat.completions.create(request);
    assert.equal(completion.choices[0]?.message.content, ANSWER);
    const span = await onlySpan();
    assert.equal(span.name, 'chat gpt-4o');
    assert.equal(span.attributes['gen_ai.operation.name'], 'chat');
    assert.equal(span.attributes['gen_ai.provider.name'], 'openai');
    assert.equal(span.attributes['gen_ai.request.temperature'], 0.5);
    assert.equal(span.attributes['gen_ai.response.model'], 'gpt-4o');
    assert.match(String(span.attributes['gen_ai.response.id']), /^chatcmpl-\d+$/);
    assert.deepEqual(span.attributes['gen_ai.response.finish_reasons'], ['stop']);
    assert.equal(span.attributes['server.address'], '127.0.0.1');
    assert.deepEqual(messages(span, 'input'), asked);
    assert.deepEqual(messages(span, 'output'), answered);
    assertOpenAiUsage(span);
  });

  test(`openai ${version}: withResponse and asResponse give what they gave`, async () => {
    await start();
    const client = connect();
    const { data, response } = await client.chat.completions.create(request).withResponse();
    assert.equal(data.choices[0]?.message.content, ANSWER);
    assert.equal(response.headers.get('x-request-id'), 'req_1');
    assertOpenAiUsage(await onlySpan());
    const raw = await client.chat.completions.create(request).asResponse();
    assert.match(await raw.text(), /chat\.completion/);
    await new Promise((resolve) => setImmediate(resolve));
    await flush();
    assert.equal(collector.spans().length, 2);
  });

  test(`openai ${version}: a stream brings its pieces to the caller and its answer, usage and first chunk to the span`, async () => {
    await start();
    const stream = await connect().chat.completions.create({
      ...request,
      stream: true,
      stream_options: { include_usage: true },
    });
    let text = '';
    for await (const chunk of stream) text += chunk.choices[0]?.delta.content ?? '';
    assert.equal(text, ANSWER);
    const span = await onlySpan();
    assert.deepEqual(messages(span, 'output'), answered);
    assertOpenAiUsage(span);
    const firstChunkS = span.attributes['gen_ai.response.time_to_first_chunk'];
    assert.ok(typeof firstChunkS === 'number' && firstChunkS > 0 && firstChunkS < 60);
    assert.equal(span.attributes['gen_ai.request.stream'], true);
  });

  test(`openai ${version}: leaving a stream early ends its span with what came`, async () => {
    await start();
    const stream = await connect().chat.completions.create({ ...request, stream: true });
    for await (const chunk of stream) if (chunk.choices[0]?.delta.content === 'Paris ') break;
    const span = await onlySpan();
    assert.match(JSON.stringify(messages(span, 'output')), /"Paris /);
    assert.equal(span.attributes['lumina.stream.ended_early'], true);
  });

  test(`openai ${version}: both branches of tee bring every piece, in one span`, async () => {
    await start();
    const stream = await connect().chat.completions.create({ ...request, stream: true });
    const texts = await Promise.all(
      stream.tee().map(async (branch) => {
        let text = '';
        for await (const chunk of branch) text += chunk.choices[0]?.delta.content ?? '';
        return text;
      }),
    );
    assert.deepEqual(texts, [ANSWER, ANSWER]);
    assert.deepEqual(messages(await onlySpan(), 'output'), answered);
  });

  test(`openai ${version}: the stream helper and parse go through one span each`, async () => {
    await start();
    const client = connect();
    const final = await client.chat.completions.stream(request).finalChatCompletion();
    assert.equal(final.choices[0]?.message.content, ANSWER);
    assert.deepEqual(messages(await onlySpan(), 'output'), answered);
    const parsed = await client.chat.completions.parse(request);
    assert.equal(parsed.choices[0]?.message.content, ANSWER);
    await flush();
    assert.equal(collector.spans().length, 2);
  });

  test(`openai ${version}: tool calls are parts, whole and streamed`, async () => {
    await start();
    const client = connect();
    await client.chat.completions.create({ ...request, tools: [TOOL] });
    const stream = await client.chat.completions.create({ ...request, tools: [TOOL], stream: true });
    for await (const _ of stream);
    await flush();
    const call = { type: 'tool_call', id: 'call_1', name: 'look_up', arguments: { city: 'Paris' } };
    for (const span of collector.spans()) {
      assert.deepEqual(messages(span, 'output'), [{ role: 'assistant', parts: [call], finish_reason: 'tool_calls' }]);
      assert.match(String(span.attributes['gen_ai.tool.definitions']), /look_up/);
    }
    assert.equal(collector.spans().length, 2);
  });

  test(`openai ${version}: responses have instructions, thoughts, answer and usage, whole, streamed and helped`, async () => {
    await start();
    const client = connect();
    const ask = { model: 'o4-mini', instructions: 'Be brief.', input: QUESTION };
    assert.equal((await client.responses.create(ask)).output_text, ANSWER);
    for await (const _ of await client.responses.create({ ...ask, stream: true }));
    assert.equal((await client.responses.stream(ask).finalResponse()).status, 'completed');
    await flush();
    assert.equal(collector.spans().length, 3);
    for (const span of collector.spans()) {
      assert.deepEqual(messages(span, 'input'), asked);
      assert.match(String(span.attributes['gen_ai.system_instructions']), /Be brief\./);
      assert.match(JSON.stringify(messages(span, 'output')), new RegExp(`reasoning.*${THOUGHT}.*${ANSWER}`));
      assertOpenAiUsage(span);
    }
  });

  test(`openai ${version}: embeddings and images are priced by what they report`, async () => {
    await start();
    const client = connect();
    const { data } = await client.embeddings.create({ model: 'text-embedding-3-small', input: ['one', 'two'] });
    assert.equal(data[0]?.embedding.length, 8);
    await client.images.generate({ model: 'gpt-image-1', prompt: 'a lighthouse' });
    await flush();
    const embedding = collector.span('embeddings text-embedding-3-small');
    assert.equal(embedding.attributes['gen_ai.usage.input_tokens'], 14);
    const image = collector.span('generate_content gpt-image-1');
    assert.equal(image.attributes['gen_ai.usage.input_tokens'], 12);
    assert.equal(image.attributes['gen_ai.usage.output_tokens'], 272);
    assert.ok(!JSON.stringify(image).includes('aGVsbG8='));
  });

  test(`openai ${version}: an error is the caller's own, and the span's`, async () => {
    await start();
    const call = connect().chat.completions.create({ ...request, model: 'overloaded' });
    await assert.rejects(call, (error) => error instanceof Client.APIError && error.status === 503);
    const span = await onlySpan();
    assert.equal(span.status.code, 2);
    assert.equal(span.attributes['error.type'], '503');
  });

  test(`openai ${version}: a failing parse reaches its caller and nobody else`, async () => {
    await start();
    const parsing = connect().chat.completions.parse({ ...request, model: 'overloaded' });
    await assert.rejects(parsing, Client.APIError);
    await new Promise((resolve) => setImmediate(resolve));
    assert.equal((await onlySpan()).attributes['error.type'], '503');
  });

  test(`openai ${version}: an abort ends the span of its call`, async () => {
    await start();
    const aborting = new AbortController();
    const call = connect().chat.completions.create(request, { signal: aborting.signal });
    aborting.abort();
    await assert.rejects(call, (error) => error instanceof Client.APIUserAbortError);
    assert.equal((await onlySpan()).status.code, 2);
  });

  test(`openai ${version}: a call inside traceLLM is told once`, async () => {
    await start();
    const client = connect();
    await traceLLM(() => client.chat.completions.create(request), { name: 'ask', system: 'openai', prompt: QUESTION });
    await flush();
    const outer = collector.span('ask');
    const inner = collector.span('chat gpt-4o');
    assert.equal(inner.parentSpanId, outer.spanId);
    assert.equal(outer.attributes['gen_ai.usage.input_tokens'], undefined);
    assert.equal(outer.attributes['gen_ai.operation.name'], 'invoke_workflow');
    assert.deepEqual(messages(outer, 'output'), answered);
  });

  test(`openai ${version}: a client of withOptions is instrumented, and nothing twice`, async () => {
    await start();
    const client = instrument(connect());
    await client.withOptions({ timeout: 10_000 }).chat.completions.create(request);
    await onlySpan();
  });
}

for (const [version, Client] of [
  ['newest', Anthropic],
  ['previous', PreviousAnthropic as unknown as typeof Anthropic],
] as const) {
  const connect = (): Anthropic =>
    instrument(new Client({ baseURL: model.anthropicUrl, apiKey: 'none', maxRetries: 0 }));
  const request = {
    model: 'claude-opus-4-8',
    max_tokens: 100,
    system: 'Be brief.',
    messages: [{ role: 'user' as const, content: QUESTION }],
  };
  const tools = [{ name: 'look_up', input_schema: { type: 'object' as const, properties: {} } }];

  test(`anthropic ${version}: a message has system, prompt, thoughts, answer, and the sum of its disjoint inputs`, async () => {
    await start();
    const message = await connect().messages.create(request);
    assert.equal(message.stop_reason, 'end_turn');
    const span = await onlySpan();
    assert.equal(span.attributes['gen_ai.provider.name'], 'anthropic');
    assert.deepEqual(messages(span, 'input'), asked);
    assert.match(String(span.attributes['gen_ai.system_instructions']), /Be brief\./);
    const parts = [
      { type: 'reasoning', content: THOUGHT },
      { type: 'text', content: ANSWER },
    ];
    assert.deepEqual(messages(span, 'output'), [{ role: 'assistant', parts, finish_reason: 'end_turn' }]);
    assertAnthropicUsage(span);
  });

  test(`anthropic ${version}: streams, the stream helper and beta messages are complete`, async () => {
    await start();
    const client = connect();
    for await (const _ of await client.messages.create({ ...request, stream: true }));
    assert.match(await client.messages.stream(request).finalText(), /Paris/);
    await client.beta.messages.create(request);
    await flush();
    assert.equal(collector.spans().length, 3);
    for (const span of collector.spans()) {
      assert.match(JSON.stringify(messages(span, 'output')), new RegExp(`${THOUGHT}.*${ANSWER}`));
      assertAnthropicUsage(span);
    }
  });

  test(`anthropic ${version}: tool calls are parts, whole and streamed`, async () => {
    await start();
    const client = connect();
    await client.messages.create({ ...request, tools });
    for await (const _ of await client.messages.create({ ...request, tools, stream: true }));
    await flush();
    for (const span of collector.spans()) {
      assert.match(
        JSON.stringify(messages(span, 'output')),
        /"tool_call","id":"toolu_1","name":"look_up","arguments":\{"city":"Paris"\}/,
      );
      assert.deepEqual(span.attributes['gen_ai.response.finish_reasons'], ['tool_use']);
    }
    assert.equal(collector.spans().length, 2);
  });

  test(`anthropic ${version}: an error is the caller's own`, async () => {
    await start();
    await assert.rejects(connect().messages.create({ ...request, model: 'overloaded' }), Client.APIError);
    assert.equal((await onlySpan()).attributes['error.type'], '503');
  });
}

test('instrumenting the class reaches clients made later', async () => {
  await start();
  class Own extends PreviousOpenAI {}
  instrument(PreviousOpenAI);
  const client = new Own({ baseURL: model.openAiUrl, apiKey: 'none', maxRetries: 0 });
  await client.chat.completions.create({ model: 'gpt-4o', messages: [{ role: 'user', content: QUESTION }] });
  assertOpenAiUsage(await onlySpan());
});

test('what is no client is returned as it is, with one sentence', async () => {
  await start();
  const thing = { chat: 1 };
  assert.equal(instrument(thing), thing);
  assert.equal(warnings.filter((warning) => warning.includes('instrument()')).length, 1);
});
