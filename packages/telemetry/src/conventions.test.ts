// What recorded and literal spans mean: every generation of names ends in the same fields, and each field knows its key.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { attributes, encodeRequest, requestJson, spanJson } from '../test/wire.ts';
import { contentOf } from './conventions-content.ts';
import { CONVENTIONS } from './conventions.ts';
import { priceOfSpan } from './cost.ts';
import { usdOf } from './decimal.ts';
import { previewOf } from './messages.ts';
import { decodeTracesProtobuf } from './otlp/decode.ts';
import type { Span } from './span.ts';

function spanOf(values: Record<string, unknown>): Span {
  return decodeTracesProtobuf(encodeRequest(requestJson([spanJson(values)]))).spans[0]!;
}

function fixture(name: string): Span[] {
  const bytes = readFileSync(join(import.meta.dirname, '../../../fixtures/otlp', `${name}.pb`));
  return decodeTracesProtobuf(bytes).spans.sort((a, b) => (a.startNs < b.startNs ? -1 : 1));
}

function costOf(span: Span): string | undefined {
  const price = priceOfSpan(span);
  return price !== null && 'costPico' in price ? usdOf(price.costPico) : undefined;
}

test('spans in the current names are read whole', () => {
  const [agent, first, tool, second, embedding] = fixture('current');
  assert.equal(agent!.serviceName, 'weather-desk');
  assert.equal(agent!.environment, 'production');
  assert.equal(agent!.operation, 'invoke_agent');
  assert.equal(agent!.agentName, 'weather');
  assert.equal(agent!.userId, 'u-42');
  assert.equal(agent!.sessionId, 'conv-17');
  assert.equal(first!.parentSpanId, agent!.spanId);
  assert.equal(first!.provider, 'openai');
  assert.equal(first!.requestModel, 'gpt-4o');
  assert.equal(first!.model, 'gpt-4o-2024-08-06');
  assert.equal(first!.temperature, 0.2);
  assert.equal(first!.maxTokens, 512);
  assert.equal(first!.serviceTier, 'default');
  assert.deepEqual(first!.finishReasons, ['tool_calls']);
  assert.deepEqual(first!.usage, { inputTokens: 1_000, outputTokens: 20 });
  assert.deepEqual(first!.messages.systemInstructions, [{ type: 'text', content: 'Answer briefly.' }]);
  assert.equal(first!.messages.toolDefinitions.length, 1);
  assert.equal(tool!.toolName, 'get_weather');
  assert.equal(tool!.toolCallId, 'call_1');
  assert.deepEqual(tool!.messages.input[0]!.parts, [
    { type: 'tool_call', id: 'call_1', name: 'get_weather', arguments: { city: 'Zürich' } },
  ]);
  assert.equal(second!.cacheReadTokens, 1_000);
  assert.deepEqual(previewOf(second!.messages), {
    prompt: 'Wie wird das Wetter in Zürich? 🌦️',
    response: 'Bewölkt, 7 °C.',
  });
  assert.equal(embedding!.operation, 'embeddings');
  assert.equal(first!.latencyMs, 900);
});

test('the agent of the fixture repeats the usage of its calls and is not billed for it', () => {
  const [agent, first, tool, second, embedding] = fixture('current');
  assert.equal(agent!.hasUsage, true);
  assert.deepEqual(
    [agent, first, tool, second, embedding].map((span) => span!.billable),
    [false, true, false, true, true],
  );
  assert.equal(priceOfSpan(agent!), null);
  // 1,000 × 2.50 + 20 × 10 per million
  assert.equal(costOf(first!), '0.0027');
  // 300 × 2.50 + 1,000 × 1.25 + 44 × 10 per million
  assert.equal(costOf(second!), '0.00244');
  // 12 × 0.02 per million
  assert.equal(costOf(embedding!), '0.00000024');
});

test('spans in the older names end in the same fields', () => {
  const [events, texts, failed] = fixture('older');
  assert.equal(events!.provider, 'anthropic');
  assert.deepEqual(events!.usage, { inputTokens: 40, outputTokens: 9 });
  assert.deepEqual(events!.tags, ['pilot', 'docs']);
  assert.equal(events!.clientCostUsd, '0.000068');
  assert.deepEqual(
    events!.messages.input.map(({ role }) => role),
    ['system', 'user'],
  );
  assert.deepEqual(events!.messages.output, [
    { role: 'assistant', parts: [{ type: 'text', content: 'Hello!' }], finish_reason: 'stop' },
  ]);
  assert.equal(events!.mappedFrom.provider, 'gen_ai.system');
  assert.equal(events!.mappedFrom.inputTokens, 'gen_ai.usage.prompt_tokens');
  assert.equal(events!.mappedFrom.input, 'event:gen_ai.system.message + event:gen_ai.user.message');
  assert.equal(events!.mappedFrom.output, 'event:gen_ai.choice');
  // 40 × 0.80 + 9 × 4 per million
  assert.equal(costOf(events!), '0.000068');
  assert.deepEqual(previewOf(texts!.messages), { prompt: 'One word for joy?', response: 'Delight' });
  assert.deepEqual(texts!.usage, { inputTokens: 28, outputTokens: 3, totalTokens: 31 });
  assert.equal(texts!.mappedFrom.outputTokens, 'gen_ai.usage.total_tokens');
  assert.equal(texts!.billable, true);
  assert.equal(failed!.status, 'error');
  assert.equal(failed!.statusMessage, '429 Too Many Requests');
  assert.equal(failed!.errorType, 'RateLimitError');
  assert.equal(failed!.billable, false);
  assert.equal(previewOf(failed!.messages).prompt, 'Hi');
});

test('of two keys for one field the preferred one wins in either order, and tells so', () => {
  const older = { 'gen_ai.system': 'az.ai.openai', 'gen_ai.usage.prompt_tokens': 7, 'gen_ai.prompt': 'old' };
  const current = {
    'gen_ai.provider.name': 'azure.ai.openai',
    'gen_ai.usage.input_tokens': 8,
    'gen_ai.input.messages': 'new',
  };
  for (const span of [spanOf({ ...older, ...current }), spanOf({ ...current, ...older })]) {
    assert.equal(span.provider, 'azure.ai.openai');
    assert.equal(span.inputTokens, 8);
    assert.equal(previewOf(span.messages).prompt, 'new');
    assert.deepEqual(span.mappedFrom, {
      provider: 'gen_ai.provider.name',
      inputTokens: 'gen_ai.usage.input_tokens',
      input: 'gen_ai.input.messages',
    });
    assert.equal(span.attributes['gen_ai.system'], 'az.ai.openai');
  }
});

test('a preferred key with an unusable value leaves the field to the next one', () => {
  const span = spanOf({ 'gen_ai.usage.input_tokens': 'many', 'gen_ai.usage.prompt_tokens': 5 });
  assert.equal(span.inputTokens, 5);
  assert.equal(span.mappedFrom.inputTokens, 'gen_ai.usage.prompt_tokens');
  assert.equal(span.issues.length, 1);
});

test('of the same key twice the last one counts', () => {
  const twice = spanJson({}, { attributes: [...attributes({ 'user.id': 'a' }), ...attributes({ 'user.id': 'b' })] });
  const [span] = decodeTracesProtobuf(encodeRequest(requestJson([twice]))).spans;
  assert.equal(span!.userId, 'b');
  assert.equal(span!.attributes['user.id'], 'b');
});

test('tags are read from lists, JSON text and texts between commas', () => {
  for (const value of [['a', ' b ', 'a', ''], '["a","b"]', 'a, b,,a'])
    assert.deepEqual(spanOf({ 'lumina.tags': value }).tags, ['a', 'b']);
  assert.deepEqual(spanOf({ 'tag.tags': ['x'] }).tags, ['x']);
  assert.equal(spanOf({ 'lumina.tags': Array.from({ length: 500 }, (_, i) => `t${i}`) }).tags!.length, 64);
});

test('metadata is a JSON object, as text or structured', () => {
  assert.deepEqual(spanOf({ 'lumina.metadata': '{"plan":"pro","n":1}' }).metadata, { plan: 'pro', n: 1 });
  assert.equal(spanOf({ metadata: { plan: 'pro' } }).metadata!.plan, 'pro');
  const broken = spanOf({ metadata: '{broken' });
  assert.equal(broken.metadata, undefined);
  assert.equal(broken.issues.length, 1);
});

test("the client's cost is kept as an exact decimal", () => {
  assert.equal(spanOf({ 'lumina.cost_usd': 0.0075 }).clientCostUsd, '0.0075');
  assert.equal(spanOf({ 'lumina.cost_usd': '0.10000000000000000001' }).clientCostUsd, '0.10000000000000000001');
  assert.equal(spanOf({ 'lumina.cost_usd': 1e-7 }).clientCostUsd, '0.0000001');
});

test('counts sent as decimal text are counts', () => {
  assert.equal(spanOf({ 'gen_ai.usage.input_tokens': '12' }).inputTokens, 12);
});

test('users, sessions, photos and tools come from their keys', () => {
  const span = spanOf({
    'user.id': 'u',
    'enduser.id': 'e',
    'gen_ai.conversation.id': 'c',
    'session.id': 's',
    'lumatrace.photo_id': 'p',
    'http.route': '/ask',
  });
  assert.equal(span.userId, 'e');
  assert.equal(span.sessionId, 's');
  assert.equal(span.photoId, 'p');
  assert.equal(span.endpoint, '/ask');
});

test('a model call that succeeded without reporting usage is billable with an unknown price', () => {
  const span = spanOf({
    'gen_ai.operation.name': 'chat',
    'gen_ai.provider.name': 'openai',
    'gen_ai.request.model': 'gpt-4o',
  });
  assert.equal(span.billable, true);
  assert.deepEqual(priceOfSpan(span), { unpriced: 'no_usage' });
});

test('spans without GenAI attributes are kept and cost nothing', () => {
  const span = spanOf({ 'db.system.name': 'postgresql' });
  assert.equal(span.billable, false);
  assert.equal(priceOfSpan(span), null);
  assert.equal(span.attributes['db.system.name'], 'postgresql');
});

test('content read again from stored attributes is the same as at arrival', () => {
  for (const span of [...fixture('current'), ...fixture('older')]) {
    const stored = JSON.parse(JSON.stringify(span.attributes)) as Record<string, string>;
    const { operation, events, finishReasons } = span;
    assert.deepEqual(
      contentOf({ attributes: stored, events, scopeName: span.context.scopeName, operation, finishReasons }),
      span.messages,
    );
  }
});

test('every key stands in the table once for each field', () => {
  const rows = CONVENTIONS.map(({ field, key }) => `${field} ${key}`);
  assert.deepEqual(rows, [...new Set(rows)]);
  assert.deepEqual(
    CONVENTIONS.map(({ rank }) => rank),
    rows.map((_, i) => i),
  );
});

test('escapes in JSON text bring neither NUL nor lone surrogates into fields', () => {
  const span = spanOf({
    'lumina.tags': '["a\\u0000b","\\ud800"]',
    'gen_ai.response.finish_reasons': '["st\\u0000p"]',
    metadata: '{"k\\u0000":"v\\u0000"}',
  });
  assert.deepEqual(span.tags, ['a\uFFFDb', '\uFFFD']);
  assert.deepEqual(span.finishReasons, ['st\uFFFDp']);
  assert.deepEqual(span.metadata, { 'k\uFFFD': 'v\uFFFD' });
});

test('metadata nested without end stays an attribute: what is a field can be written again', () => {
  const span = spanOf({ metadata: `{"a":${'['.repeat(30_000)}${']'.repeat(30_000)}}` });
  assert.equal(span.metadata, undefined);
  assert.equal(span.issues.length, 1);
});

test('a call with a count that cannot be read is unpriced, not cheaper', () => {
  const call = { 'gen_ai.provider.name': 'openai', 'gen_ai.request.model': 'gpt-4o' };
  const usage = { 'gen_ai.usage.input_tokens': 10, 'gen_ai.usage.output_tokens': 5 };
  for (const key of [...Object.keys(usage), 'gen_ai.usage.cache_read.input_tokens']) {
    for (const value of [-5, 9_223_372_036_854_775_807n, 'many']) {
      const span = spanOf({ ...call, ...usage, [key]: value });
      assert.deepEqual(priceOfSpan(span), { unpriced: 'no_usage' });
    }
  }
  const total = spanOf({ ...call, ...usage, 'gen_ai.usage.input_tokens': -5, 'gen_ai.usage.total_tokens': 15 });
  assert.equal(costOf(total), '0.000075');
});

test('the sentences about one span are bounded', () => {
  const many = Array.from({ length: 5_000 }, () => attributes({ 'gen_ai.usage.input_tokens': 'x' })[0]!);
  const [span] = decodeTracesProtobuf(encodeRequest(requestJson([spanJson({}, { attributes: many })]))).spans;
  assert.ok(span!.issues.length <= 100);
});
