// What a wrapped function answers, throws, promises and streams is the same thing as without the wrapper.
import assert from 'node:assert/strict';
import { Readable } from 'node:stream';
import { after, before, beforeEach, test } from 'node:test';
import { context, trace as otel } from '@opentelemetry/api';
import { BasicTracerProvider, InMemorySpanExporter, SimpleSpanProcessor } from '@opentelemetry/sdk-trace-base';
import { Collector } from '../test/collector.ts';
import {
  flush,
  initLumina,
  shutdown,
  spanProcessor,
  trace,
  traceLLM,
  withAssociation,
  withSession,
  withUser,
} from './index.ts';

let collector: Collector;

async function* pieces(): AsyncGenerator<string> {
  yield 'Hello ';
  trace('inside', () => undefined);
  yield 'world';
}

before(async () => {
  collector = await new Collector().start();
  initLumina({ endpoint: collector.url, flush_interval_ms: 3_600_000, on_warning: () => undefined });
});
after(async () => {
  await shutdown();
  await collector.stop();
});
beforeEach(() => {
  collector.received.length = 0;
});

test('values, functions and frozen objects come back as the same object', () => {
  const values = [
    undefined,
    null,
    0,
    '',
    Symbol('x'),
    Object.freeze({ a: 1 }),
    [1],
    new Map(),
    () => 1,
    new Proxy(
      {},
      {
        get: () => {
          throw new Error('hands off');
        },
      },
    ),
  ];
  for (const value of values)
    assert.equal(
      trace('v', () => value),
      value,
    );
});

test('a promise comes back as the same promise, and a thrown error as the same error', async () => {
  const promise = Promise.resolve(5);
  assert.equal(
    trace('p', () => promise),
    promise,
  );
  const error = new TypeError('no');
  assert.throws(
    () =>
      trace('sync', () => {
        throw error;
      }),
    (thrown) => thrown === error,
  );
  await assert.rejects(
    trace('async', async () => {
      throw error;
    }),
    (thrown) => thrown === error,
  );
  await flush();
  for (const name of ['sync', 'async']) {
    const span = collector.span(name);
    assert.equal(span.status.code, 2);
    assert.equal(span.attributes['error.type'], 'TypeError');
    assert.equal(span.events[0]?.name, 'exception');
  }
});

test('a lazy thenable stays lazy and runs once', async () => {
  let runs = 0;
  const query = {};
  const then = (onValue: (rows: number[]) => unknown): unknown => Promise.resolve([++runs]).then(onValue);
  const [method = ''] = ['then'];
  Reflect.set(query, method, then);
  const traced = trace('query', () => query);
  assert.equal(traced, query);
  await flush();
  assert.equal(runs, 0);
  assert.deepEqual(await traced, [1]);
  assert.equal(runs, 1);
  await flush();
  collector.span('query');
});

test('a generator is the same generator; its pieces run inside its span, which ends with it', async () => {
  const generator = pieces();
  assert.equal(
    traceLLM(() => generator, { name: 'stream', model: 'gpt-4o', prompt: 'hi' }),
    generator,
  );
  let text = '';
  for await (const piece of generator) text += piece;
  assert.equal(text, 'Hello world');
  await flush();
  const outer = collector.span('stream');
  assert.equal(collector.span('inside').parentSpanId, outer.spanId);
  assert.match(String(outer.attributes['gen_ai.output.messages']), /Hello world/);
});

test('leaving a generator early runs its finally and ends its span', async () => {
  let isClosed = false;
  function* numbers(): Generator<number> {
    try {
      yield 1;
      yield 2;
    } finally {
      isClosed = true;
    }
  }
  for (const _ of trace('numbers', numbers)) break;
  assert.ok(isClosed);
  await flush();
  collector.span('numbers');
});

test('a readable stream of Node is consumed by its consumer', async () => {
  const stream = Readable.from(['a', 'b']);
  assert.equal(
    trace('readable', () => stream),
    stream,
  );
  const read: string[] = [];
  for await (const piece of stream as AsyncIterable<string>) read.push(piece);
  assert.deepEqual(read, ['a', 'b']);
  await new Promise((resolve) => setImmediate(resolve));
  await flush();
  collector.span('readable');
});

test('both orders of arguments work, and the span is handed in', async () => {
  trace((span) => void span.setAttribute('own', 1), { name: 'older' });
  trace('newer', (span) => void span.setAttribute('own', 2), { kind: 'tool', input: { city: 'Paris' } });
  await flush();
  assert.equal(collector.span('older').attributes['own'], 1);
  const tool = collector.span('newer');
  assert.equal(tool.attributes['gen_ai.operation.name'], 'execute_tool');
  assert.equal(tool.attributes['gen_ai.tool.name'], 'newer');
  assert.equal(tool.attributes['gen_ai.tool.call.arguments'], '{"city":"Paris"}');
});

test('traceLLM reads known answers: model, usage, text', async () => {
  const usage = { prompt_tokens: 10, completion_tokens: 5, prompt_tokens_details: { cached_tokens: 4 } };
  const choices = [{ message: { role: 'assistant', content: 'Paris' }, finish_reason: 'stop' }];
  await traceLLM(async () => ({ id: 'chatcmpl-9', model: 'gpt-4o-2024-08-06', choices, usage }), {
    name: 'ask',
    system: 'openai',
    prompt: 'Capital?',
    metadata: { tier: 'gold' },
    tags: ['geo'],
  });
  await flush();
  const { attributes } = collector.span('ask');
  assert.equal(attributes['gen_ai.provider.name'], 'openai');
  assert.equal(attributes['gen_ai.response.model'], 'gpt-4o-2024-08-06');
  assert.equal(attributes['gen_ai.usage.input_tokens'], 10);
  assert.equal(attributes['gen_ai.usage.cache_read.input_tokens'], 4);
  assert.deepEqual(attributes['lumina.tags'], ['geo']);
  assert.equal(attributes['lumina.metadata'], '{"tier":"gold"}');
  assert.match(String(attributes['gen_ai.input.messages']), /Capital\?/);
});

test('session, user, tags and metadata reach every span inside, across awaits, and none outside', async () => {
  await withSession('s-1', () =>
    withUser('u-1', () =>
      withAssociation({ tags: ['beta'] }, async () => {
        await new Promise((resolve) => setImmediate(resolve));
        trace('in', () => undefined);
      }),
    ),
  );
  trace('out', () => undefined);
  await flush();
  const { attributes } = collector.span('in');
  assert.deepEqual(
    [attributes['session.id'], attributes['user.id'], attributes['lumina.tags']],
    ['s-1', 'u-1', ['beta']],
  );
  assert.equal(collector.span('out').attributes['session.id'], undefined);
});

test("spans nest with the user's own provider both ways, which gets none of ours; its spans come along when it wishes", async () => {
  const exporter = new InMemorySpanExporter();
  const own = new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter), spanProcessor()] });
  const span = own.getTracer('own').startSpan('request');
  context.with(otel.setSpan(context.active(), span), () =>
    trace('ours', () => own.getTracer('own').startSpan('database').end()),
  );
  span.end();
  await flush();
  const ours = collector.span('ours');
  assert.equal(ours.parentSpanId, span.spanContext().spanId);
  assert.equal(ours.traceId, span.spanContext().traceId);
  assert.equal(collector.span('database').parentSpanId, ours.spanId);
  collector.span('request');
  assert.deepEqual(
    exporter.getFinishedSpans().map(({ name }) => name),
    ['database', 'request'],
  );
});

test('input that JSON cannot hold hurts nobody', async () => {
  const cycle: Record<string, unknown> = { big: 1n };
  cycle['self'] = cycle;
  assert.equal(
    trace('cycle', () => 1, { input: cycle, metadata: cycle }),
    1,
  );
  await flush();
  collector.span('cycle');
});
