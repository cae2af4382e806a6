// The table itself: dialects without a recording by what their documents say, and laws that hold for every row of it.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { encodeRequest, requestJson, spanJson } from '../test/wire.ts';
import { CONTENT_ROWS } from './conventions-content.ts';
import { compareVersions } from './conventions-usage.ts';
import { CONVENTIONS } from './conventions.ts';
import { previewOf } from './messages.ts';
import { rereadSpan } from './otlp/build.ts';
import { decodeTracesProtobuf } from './otlp/decode.ts';
import type { Json, Span } from './span.ts';

function spanOf(values: Record<string, unknown>, scope = { name: '', version: '' }): Span {
  const request = requestJson([spanJson(values)]);
  request.resourceSpans[0]!.scopeSpans[0]!.scope = scope;
  return decodeTracesProtobuf(encodeRequest(request)).spans[0]!;
}

interface Sent {
  readonly what: string;
  readonly attributes: Record<string, unknown>;
  readonly scope?: { name: string; version: string };
  readonly fields?: Partial<Record<keyof Span, unknown>>;
  readonly preview?: { prompt: string | null; response: string | null };
  readonly mapped?: Record<string, string>;
}

const json = JSON.stringify;

const DIALECTS: readonly Sent[] = [
  {
    what: 'Google ADK',
    scope: { name: 'gcp.vertex.agent', version: '1.20.0' },
    attributes: {
      'gen_ai.system': 'gcp.vertex.agent',
      'gen_ai.request.model': 'gemini-2.5-flash',
      'gcp.vertex.agent.session_id': 's1',
      'gcp.vertex.agent.llm_request': json({
        model: 'gemini-2.5-flash',
        config: { system_instruction: 'Be brief.', tools: [{ function_declarations: [] }] },
        contents: [{ role: 'user', parts: [{ text: 'Weather in Lima?' }] }],
      }),
      'gcp.vertex.agent.llm_response': json({
        content: { role: 'model', parts: [{ function_call: { id: 'c', name: 'weather', args: { city: 'Lima' } } }] },
      }),
    },
    fields: { sessionId: 's1', model: 'gemini-2.5-flash' },
    preview: { prompt: 'Weather in Lima?', response: 'weather({"city":"Lima"})' },
    mapped: { input: 'gcp.vertex.agent.llm_request', systemInstructions: 'gcp.vertex.agent.llm_request' },
  },
  {
    what: 'Genkit',
    attributes: {
      'genkit:type': 'action',
      'genkit:metadata:subtype': 'model',
      'genkit:input': json({ messages: [{ role: 'user', content: [{ text: 'Hi' }] }], config: { temperature: 1 } }),
      'genkit:output': json({ message: { role: 'model', content: [{ text: 'Hello' }] }, finishReason: 'stop' }),
    },
    fields: { operation: 'chat' },
    preview: { prompt: 'Hi', response: 'Hello' },
  },
  {
    what: 'MLflow',
    attributes: {
      'mlflow.spanType': json('CHAT_MODEL'),
      'mlflow.spanInputs': json({ model: 'gpt-4o', messages: [{ role: 'user', content: 'Hi' }] }),
      'mlflow.spanOutputs': json({ choices: [{ message: { role: 'assistant', content: 'Hello' } }] }),
      'mlflow.chat.tokenUsage': json({ input_tokens: 5, output_tokens: 2, total_tokens: 7 }),
    },
    fields: { operation: 'chat', inputTokens: 5, outputTokens: 2 },
    preview: { prompt: 'Hi', response: 'Hello' },
    mapped: { inputTokens: 'mlflow.chat.tokenUsage/input_tokens' },
  },
  {
    what: 'LiveKit agents',
    attributes: {
      'gen_ai.request.model': 'gpt-4o-mini',
      'lk.pii.chat_ctx': json({ items: [], messages: [{ role: 'user', content: ['Hi there'] }] }),
      'lk.pii.response.text': 'Hello',
      'lk.response.ttft': 0.25,
    },
    fields: { timeToFirstChunkS: 0.25 },
    preview: { prompt: 'Hi there', response: 'Hello' },
  },
  {
    what: 'Pydantic AI, the events of its first format',
    scope: { name: 'pydantic-ai', version: '0.4.0' },
    attributes: {
      'gen_ai.operation.name': 'chat',
      events: json([
        { 'event.name': 'gen_ai.system.message', content: 'Be brief.', role: 'system' },
        { 'event.name': 'gen_ai.user.message', content: 'Hi', role: 'user' },
        { 'event.name': 'gen_ai.choice', index: 0, message: { role: 'assistant', content: 'Hello' } },
      ]),
    },
    preview: { prompt: 'Hi', response: 'Hello' },
    mapped: { input: 'events', output: 'events' },
  },
  {
    what: 'Pydantic AI, all messages of an agent',
    attributes: {
      'pydantic_ai.all_messages': json([
        { role: 'user', parts: [{ type: 'text', content: 'Hi' }] },
        { role: 'assistant', parts: [{ type: 'text', content: 'Hello' }] },
      ]),
    },
    preview: { prompt: 'Hi', response: 'Hello' },
    mapped: { input: 'pydantic_ai.all_messages', output: 'pydantic_ai.all_messages' },
  },
  {
    what: 'OpenInference, documents of a search',
    attributes: {
      'openinference.span.kind': 'RETRIEVER',
      'input.value': 'opening hours',
      'retrieval.documents.0.document.id': 'd1',
      'retrieval.documents.0.document.score': 0.9,
      'retrieval.documents.0.document.content': 'Open from nine to five.',
    },
    fields: { operation: 'retrieval', billable: false },
    preview: { prompt: 'opening hours', response: 'Open from nine to five.' },
    mapped: { output: 'retrieval.documents.*' },
  },
  {
    what: 'OpenInference, a reranker',
    attributes: {
      'openinference.span.kind': 'RERANKER',
      'reranker.model_name': 'rerank-3',
      'reranker.query': 'hours',
      'reranker.top_k': 1,
      'reranker.input_documents.0.document.content': 'a',
      'reranker.input_documents.1.document.content': 'b',
      'reranker.output_documents.0.document.content': 'b',
    },
    fields: { operation: 'rerank', model: 'rerank-3', topK: 1 },
    preview: { prompt: 'hours', response: 'b' },
  },
  {
    what: 'OpenInference, graph, tool and parameters',
    attributes: {
      'openinference.span.kind': 'TOOL',
      'tool.name': 'weather',
      'tool.description': 'Weather of a city',
      'input.value': '{"city":"Lima"}',
      'output.value': '{"sky":"drizzle"}',
      'graph.node.id': 'n2',
      'graph.node.parent_id': 'n1',
      'llm.invocation_parameters': json({ temperature: 0.5, max_tokens: 9, stop: ['x'] }),
    },
    fields: {
      operation: 'execute_tool',
      toolName: 'weather',
      toolDescription: 'Weather of a city',
      nodeId: 'n2',
      nodeParentId: 'n1',
      temperature: 0.5,
      maxTokens: 9,
      stopSequences: ['x'],
    },
    preview: { prompt: 'weather({"city":"Lima"})', response: '{"sky":"drizzle"}' },
    mapped: { temperature: 'llm.invocation_parameters/temperature' },
  },
  {
    what: 'Langfuse, level, prompt, cost and the first chunk',
    attributes: {
      'langfuse.observation.type': 'generation',
      'langfuse.observation.level': 'ERROR',
      'langfuse.observation.status_message': 'overloaded',
      'langfuse.observation.model.name': 'gpt-4o',
      'langfuse.observation.prompt.name': 'greeting',
      'langfuse.observation.prompt.version': 3,
      'langfuse.observation.cost_details': json({ input: 0.1, output: 0.2, total: 0.3 }),
      'langfuse.trace.name': 'checkout',
      'langfuse.environment': 'staging',
      'langfuse.release': 'v7',
      'langfuse.observation.metadata.plan': 'pro',
      'langfuse.trace.metadata.plan': 'basic',
      'langfuse.trace.metadata.region': 'eu',
    },
    fields: {
      operation: 'chat',
      status: 'error',
      statusMessage: 'overloaded',
      promptName: 'greeting',
      promptVersion: '3',
      clientCostUsd: '0.3',
      workflowName: 'checkout',
      environment: 'staging',
      release: 'v7',
      metadata: { plan: 'pro', region: 'eu' },
    },
  },
  {
    what: 'Lumina, the older names',
    attributes: {
      'llm.request': json({ model: 'gpt-4o', messages: [{ role: 'user', content: 'Hi' }] }),
      'llm.response': 'Hello',
      'lumina.customer_id': 'c9',
      'lumina.environment': 'dev',
    },
    fields: { userId: 'c9', environment: 'dev' },
    preview: { prompt: 'Hi', response: 'Hello' },
  },
  {
    what: 'OpenLLMetry, properties of an association',
    attributes: {
      'traceloop.span.kind': 'workflow',
      'traceloop.workflow.name': 'joke',
      'traceloop.association.properties.user_id': 'u1',
      'traceloop.association.properties.chat_id': 'c1',
      'traceloop.association.properties.plan': 'pro',
      'traceloop.entity.input': '{"args":["tell me"],"kwargs":{}}',
      'traceloop.entity.output': '"a joke"',
    },
    fields: {
      operation: 'invoke_workflow',
      workflowName: 'joke',
      userId: 'u1',
      sessionId: 'c1',
      metadata: { plan: 'pro' },
      billable: false,
    },
  },
];

for (const { what, attributes, scope, fields, preview, mapped } of DIALECTS) {
  test(`${what} is read`, () => {
    const span = spanOf(attributes, scope);
    for (const [field, value] of Object.entries(fields ?? {}))
      assert.deepEqual(span[field as keyof Span], value, field);
    if (preview !== undefined) assert.deepEqual(previewOf(span.messages), preview);
    for (const [field, key] of Object.entries(mapped ?? {})) assert.equal(span.mappedFrom[field], key);
  });
}

const PROVIDERS: readonly [sent: string, provider: string][] = [
  ['openai', 'openai'],
  ['openai.chat', 'openai'],
  ['openai.responses', 'openai'],
  ['anthropic.messages', 'anthropic'],
  ['google.generative-ai', 'gcp.gemini'],
  ['google.vertex.chat', 'gcp.vertex_ai'],
  ['amazon-bedrock', 'aws.bedrock'],
  ['cohere.textEmbedding', 'cohere'],
  ['azure.ai.openai', 'azure.ai.openai'],
  ['az.ai.openai', 'az.ai.openai'],
  ['aws.bedrock', 'aws.bedrock'],
  ['gcp.vertex.agent', 'gcp.vertex.agent'],
  ['OpenAI', 'openai'],
  ['Anthropic', 'anthropic'],
  ['my.own.gateway', 'my.own.gateway'],
];

for (const [sent, provider] of PROVIDERS) {
  test(`the provider ${sent} is ${provider}`, () => assert.equal(spanOf({ 'gen_ai.system': sent }).provider, provider));
}

const USAGES: readonly [what: string, details: Json, fields: Partial<Record<keyof Span, number>>][] = [
  [
    'disjoint',
    { input: 253, output: 11, total: 1_800, input_cached_tokens: 1_536 },
    { inputTokens: 1_789, cacheReadTokens: 1_536 },
  ],
  [
    'disjoint without a total',
    { input: 31, output: 12, cache_read_input_tokens: 1_900, cache_creation_input_tokens: 340 },
    { inputTokens: 2_271, outputTokens: 12, cacheReadTokens: 1_900, cacheCreationTokens: 340 },
  ],
  [
    'a whole input beside its parts, as the total tells',
    { input: 100, output: 10, total: 110, input_cached_tokens: 80 },
    { inputTokens: 100, outputTokens: 10, cacheReadTokens: 80 },
  ],
  [
    'as OpenAI reports it',
    {
      prompt_tokens: 100,
      completion_tokens: 50,
      total_tokens: 150,
      prompt_tokens_details: { cached_tokens: 80 },
      completion_tokens_details: { reasoning_tokens: 40 },
    },
    { inputTokens: 100, outputTokens: 50, cacheReadTokens: 80, reasoningTokens: 40 },
  ],
  [
    'cache writes by their time to live',
    { input: 2, output: 3, input_cache_creation_5m: 10, input_cache_creation_1h: 20 },
    { inputTokens: 32, cacheCreationTokens: 30 },
  ],
  [
    'reasoning apart',
    { input: 5, output: 7, output_reasoning_tokens: 320 },
    { outputTokens: 327, reasoningTokens: 320 },
  ],
];

for (const [what, details, fields] of USAGES) {
  test(`Langfuse's usage is read: ${what}`, () => {
    const span = spanOf({ 'langfuse.observation.usage_details': json(details) });
    for (const [field, value] of Object.entries(fields)) assert.equal(span[field as keyof Span], value, field);
  });
}

const APART: readonly [what: string, attributes: Record<string, unknown>, tokens: [input: number, output: number]][] = [
  [
    'cached tokens that exceed the input cannot be part of it',
    { 'gen_ai.usage.input_tokens': 31, 'gen_ai.usage.cache_read.input_tokens': 1_900 },
    [1_931, 0],
  ],
  [
    'a total that counts the cache apart',
    {
      'gen_ai.usage.input_tokens': 100,
      'gen_ai.usage.output_tokens': 10,
      'gen_ai.usage.total_tokens': 160,
      'gen_ai.usage.cache_read.input_tokens': 50,
    },
    [150, 10],
  ],
  [
    'a total that counts reasoning apart',
    {
      'gen_ai.usage.input_tokens': 100,
      'gen_ai.usage.output_tokens': 10,
      'gen_ai.usage.total_tokens': 150,
      'gen_ai.usage.reasoning.output_tokens': 40,
    },
    [100, 50],
  ],
  [
    "the provider's own count without the cache (AI SDK 4 and 5)",
    {
      'gen_ai.usage.input_tokens': 31,
      'ai.response.providerMetadata': json({
        anthropic: { usage: { input_tokens: 31, cache_read_input_tokens: 10, cache_creation_input_tokens: 5 } },
      }),
    },
    [46, 0],
  ],
  [
    'a cache inside the input is left alone',
    { 'gen_ai.usage.input_tokens': 100, 'gen_ai.usage.cache_read.input_tokens': 80 },
    [100, 0],
  ],
];

for (const [what, attributes, [input, output]] of APART) {
  test(`counts mean what they say: ${what}`, () => {
    const span = spanOf(attributes);
    assert.deepEqual([span.inputTokens, span.outputTokens ?? 0], [input, output]);
    assert.equal(span.issues.length > 0, input + output !== 100);
  });
}

test('AI SDK 4 leaves the cache out of the input for Anthropic, however small it is', () => {
  const attributes = {
    'ai.operationId': 'ai.generateText.doGenerate',
    'gen_ai.system': 'anthropic.messages',
    'gen_ai.usage.input_tokens': 100,
    'ai.response.providerMetadata': json({ anthropic: { cacheReadInputTokens: 40, cacheCreationInputTokens: 2 } }),
  };
  const four = spanOf(attributes, { name: 'ai', version: '' });
  assert.equal(four.inputTokens, 142);
  assert.equal(
    four.mappedFrom.inputTokens,
    'gen_ai.usage.input_tokens + ai.response.providerMetadata/anthropic.cacheReadInputTokens + ai.response.providerMetadata/anthropic.cacheCreationInputTokens',
  );
  const six = { ...attributes, 'ai.usage.inputTokenDetails.noCacheTokens': 58 };
  assert.equal(spanOf(six, { name: 'ai', version: '' }).inputTokens, 100);
});

test('no limit is no number, and nothing odd', () => {
  const span = spanOf({ 'langfuse.observation.model.parameters': json({ max_tokens: 'Infinity', temperature: 1 }) });
  assert.deepEqual([span.maxTokens, span.temperature, span.issues.length], [undefined, 1, 0]);
});

test('when two keys disagree a sentence says which one was taken', () => {
  const span = spanOf({ 'llm.token_count.prompt': 12, 'gen_ai.usage.input_tokens': 10 });
  assert.equal(span.inputTokens, 10);
  assert.deepEqual(span.issues, [
    'gen_ai.usage.input_tokens says 10 and llm.token_count.prompt says 12; gen_ai.usage.input_tokens was taken',
  ]);
  assert.deepEqual(spanOf({ 'llm.token_count.prompt': 10, 'gen_ai.usage.input_tokens': 10 }).issues, []);
});

test('versions are compared by their numbers', () => {
  assert.ok(compareVersions('0.9.0', '0.10.0') < 0);
  assert.ok(compareVersions('1.2', '1.2.0') === 0);
  assert.ok(compareVersions('v2.0.0-rc1', '1.99') > 0);
  assert.ok(compareVersions('', '0.0.1') < 0);
});

// Laws

const KEYS = [
  ...new Set([
    ...CONVENTIONS.map(({ key }) => key.split('/')[0]!.replace(/\.\*$/, '.any')),
    ...CONTENT_ROWS.map(({ key }) => key.replace(/\.\*$/, '.0.message.content')),
  ]),
];
const value = fc.oneof(
  fc.string(),
  fc.integer(),
  fc.double({ noNaN: true, noDefaultInfinity: true }),
  fc.boolean(),
  fc.jsonValue().map((item) => json(item)),
  fc.array(fc.string(), { maxLength: 4 }),
);
const attributes = fc.dictionary(fc.oneof({ weight: 4, arbitrary: fc.constantFrom(...KEYS) }, fc.string()), value, {
  maxKeys: 12,
  noNullPrototype: true,
});

test('every attribute that was sent can still be read, recognised or not', () => {
  fc.assert(
    fc.property(attributes, (sent) => {
      const span = spanOf(sent);
      assert.equal(span.droppedAttributes, 0);
      assert.deepEqual(Object.keys(span.attributes).length, Object.keys(sent).length);
    }),
    { numRuns: 300 },
  );
});

test('no value under any key of the table breaks a span, and what is read can be written as JSON', () => {
  fc.assert(
    fc.property(attributes, fc.constantFrom('', 'ai', 'pydantic-ai', 'logfire.openai', 'pipecat'), (sent, name) => {
      const span = spanOf(sent, { name, version: '1.0.0' });
      json([span.messages, span.mappedFrom, span.usage, span.metadata, span.tags, span.billable, span.model]);
      previewOf(span.messages);
      for (const issue of span.issues) assert.equal(typeof issue, 'string');
    }),
    { numRuns: 500 },
  );
});

/** What must not depend on the order; several origins of one field have none. */
const read = (span: Span): unknown => [
  Object.entries(span.mappedFrom)
    .map(([field, key]) => [field, key.split(' + ').sort()])
    .sort(),
  span.usage,
  span.model,
  span.provider,
  span.operation,
  Object.entries(span.metadata ?? {}).sort(([a], [b]) => (a < b ? -1 : 1)),
];

test('the order of attributes changes nothing', () => {
  fc.assert(
    fc.property(attributes, (sent) => {
      const reversed = Object.fromEntries(Object.entries(sent).reverse());
      assert.deepEqual(read(spanOf(sent)), read(spanOf(reversed)));
    }),
    { numRuns: 300 },
  );
});

test('a span read again from what is left remembers nothing of what was taken out', () => {
  const secret = 'sk-canary-0123456789';
  const span = spanOf({
    'gen_ai.input.messages': json([{ role: 'user', content: secret }]),
    'user.id': secret,
    'lumina.metadata': json({ key: secret }),
    'gen_ai.usage.input_tokens': secret,
  });
  const clean = Object.fromEntries(
    Object.entries(span.attributes).map(([key, item]) => [key, String(item).replaceAll(secret, '[gone]')]),
  );
  const again = rereadSpan(span, { attributes: clean });
  const { raw: _raw, context: _context, ...rest } = again;
  assert.ok(
    !json([rest, again.messages, again.mappedFrom], (_key, item: unknown) =>
      typeof item === 'bigint' ? String(item) : item,
    ).includes(secret),
  );
  assert.equal(previewOf(again.messages).prompt, '[gone]');
  assert.equal(again.spanId, span.spanId);
});

test('what was odd about the times of a span is still told when it is read again', () => {
  const [span] = decodeTracesProtobuf(encodeRequest(requestJson([spanJson({}, { endTimeUnixNano: '0' })]))).spans;
  assert.equal(span!.issues.length, 1);
  assert.deepEqual(rereadSpan(span!, { attributes: {} }).issues, span!.issues);
});

test('a conversation of thousands of indexed keys is kept whole', () => {
  const sent: Record<string, string> = {};
  for (let i = 0; i < 900; i++) {
    sent[`llm.input_messages.${i}.message.role`] = i % 2 === 0 ? 'user' : 'assistant';
    sent[`llm.input_messages.${i}.message.content`] = `m${i}`;
  }
  const span = spanOf(sent);
  assert.equal(span.messages.input.length, 900);
  assert.deepEqual(span.messages.input.at(-1)?.parts, [{ type: 'text', content: 'm899' }]);
  assert.equal(span.droppedAttributes, 0);
});

test('JSON that was cut off stays text', () => {
  const cut = '[{"role":"user","parts":[{"type":"te';
  assert.equal(previewOf(spanOf({ 'gen_ai.input.messages': cut }).messages).prompt, cut);
});
