// What is sent, repeated, dropped and told: against a collector that answers as it is told.
import assert from 'node:assert/strict';
import { afterEach, beforeEach, test } from 'node:test';
import { Collector } from '../test/collector.ts';
import { counts, flush, initLumina, score, shutdown, trace, type LuminaOptions } from './index.ts';
import { retryAfter } from './request.ts';

let collector: Collector;
const warnings: string[] = [];

beforeEach(async () => {
  collector = await new Collector().start();
  warnings.length = 0;
});
afterEach(async () => {
  await shutdown();
  await collector.stop();
});

function start(options: LuminaOptions = {}): void {
  initLumina({
    endpoint: collector.url,
    service_name: 'test',
    api_key: 'lumina_test_key',
    flush_interval_ms: 3_600_000,
    on_warning: (message) => warnings.push(message),
    ...options,
  });
}

test('a span arrives with key, service and environment', async () => {
  start({ environment: 'staging', resource: { team: 'search' } });
  trace('work', () => undefined);
  await flush();
  const [request] = collector.at('/v1/traces');
  assert.equal(request?.headers.authorization, 'Bearer lumina_test_key');
  for (const part of ['"service.name"', 'staging', 'search', '@lumatrace/sdk'])
    assert.ok(request?.body.includes(part), part);
  assert.equal(counts()?.spans_sent, 1);
});

for (const status of [429, 502, 503, 504]) {
  test(`${status} is repeated after the time that the server asks for`, async () => {
    start();
    collector.answers.push({ status, headers: { 'retry-after': '1' } });
    trace('work', () => undefined);
    await flush();
    const [first, second] = collector.at('/v1/traces');
    assert.ok(first !== undefined && second !== undefined && second.atMs - first.atMs >= 990);
    assert.equal(second.body, first.body);
    assert.equal(counts()?.spans_sent, 1);
  });
}

for (const status of [400, 403, 404, 413, 500]) {
  test(`${status} is not repeated: the spans are dropped, counted and told once`, async () => {
    start();
    collector.answers.push({ status }, { status });
    for (const name of ['one', 'two']) {
      trace(name, () => undefined);
      await flush();
    }
    assert.equal(collector.at('/v1/traces').length, 2);
    assert.equal(counts()?.spans_dropped, 2);
    assert.equal(warnings.filter((warning) => warning.includes(`/v1/traces answered ${status}`)).length, 1);
  });
}

test('a connection that is cut is tried again', async () => {
  start();
  collector.answers.push({ status: 0 });
  trace('work', () => undefined);
  await flush();
  assert.equal(counts()?.spans_sent, 1);
});

test('a key provider is asked late, once, and again when the server refuses its key', async () => {
  let asked = 0;
  start({ api_key: async () => `lumina_test_${++asked}` });
  assert.equal(asked, 0);
  trace('one', () => undefined);
  await flush();
  trace('two', () => undefined);
  await flush();
  assert.equal(asked, 1);
  collector.answers.push({ status: 401 });
  trace('three', () => undefined);
  await flush();
  assert.equal(asked, 2);
  assert.equal(collector.at('/v1/traces').at(-1)?.headers.authorization, 'Bearer lumina_test_2');
  assert.equal(counts()?.spans_sent, 3);
});

test('a key provider that fails reaches nobody', async () => {
  start({ timeout_ms: 300, api_key: () => Promise.reject(new Error('the vault is sealed')) });
  assert.equal(
    trace('work', () => 7),
    7,
  );
  await flush();
  await shutdown();
  assert.match(warnings.join('\n'), /vault is sealed/);
});

test('with the server away the buffer holds so many spans and bytes, and the rest is dropped, counted and told once', async () => {
  const endpoint = collector.url;
  await collector.stop();
  start({ endpoint, max_buffer_spans: 100, timeout_ms: 200 });
  for (let i = 0; i < 1_000; i++) trace('work', () => undefined);
  assert.equal(counts()?.spans_dropped, 900);
  assert.equal(warnings.filter((warning) => warning.includes('dropped')).length, 1);
  await shutdown();
  await collector.start();
  start({ endpoint: 'http://127.0.0.1:9', max_buffer_bytes: 100_000 });
  for (let i = 0; i < 100; i++) trace('work', () => undefined, { input: 'x'.repeat(10_000) });
  assert.ok((counts()?.spans_dropped ?? 0) >= 90);
});

test('a span larger than the whole buffer goes out alone', async () => {
  start({ max_buffer_bytes: 10_000 });
  trace('large', () => undefined, { input: 'x'.repeat(50_000) });
  await flush();
  assert.equal(collector.spans().length, 1);
});

test('enabled: false calls the function and sends nothing', async () => {
  start({ enabled: false });
  assert.equal(
    trace('work', (span) => span.isRecording()),
    false,
  );
  score({ name: 'good', value: 1 });
  await flush();
  assert.equal(collector.received.length, 0);
  assert.equal(counts(), undefined);
});

test('wrong options are told and never thrown', () => {
  initLumina({ endpoint: 'not a url', on_warning: (message) => warnings.push(message) });
  start({ batch_size: -1 });
  assert.match(warnings.join('\n'), /endpoint.*\n.*batch_size/);
  initLumina({ endpoint: 'ftp://x', on_warning: () => assert.fail('a listener that throws') });
  assert.equal(
    trace('work', () => 1),
    1,
  );
});

test('secrets are masked before anything is known of the server, and its rules hold when they are known', async () => {
  const canary = ['sk', 'proj', 'Ab3dEf6hIj9kLm2nOp5qRs8tUv1wXy4zAb3dEf6hIj9kLm2n'].join('-');
  start();
  trace('first', () => undefined, { input: `the key is ${canary}` });
  await flush();
  assert.ok(!collector.received.some(({ body }) => body.includes(canary)));
  await shutdown();
  const rule = {
    id: 'ticket',
    name: 'Ticket',
    source: 'tenant',
    pattern: 'TICKET-[0-9]+',
    action: 'mask',
    enabled: true,
  };
  collector.fixed.set('/api/redaction', {
    status: 200,
    body: JSON.stringify({ version: 'v2', personalData: false, rules: [rule] }),
  });
  start();
  trace('asks for the rules', () => undefined);
  await flush();
  trace('TICKET-1', () => Promise.reject(new Error('TICKET-2 failed')), { input: 'TICKET-3' }).catch(() => undefined);
  await new Promise((resolve) => setImmediate(resolve));
  await flush();
  assert.equal(collector.spans().length, 3);
  assert.ok(!collector.at('/v1/traces').some(({ body }) => body.includes('TICKET-')));
  assert.equal(collector.at('/api/redaction').at(-1)?.headers.authorization, 'Bearer lumina_test_key');
});

test('rules that cannot run leave the ones that can', async () => {
  collector.fixed.set('/api/redaction', {
    status: 200,
    body: '{"version":"v3","personalData":false,"rules":[{"id":"x","source":"tenant","pattern":"(","action":"mask","enabled":true,"name":"x"}]}',
  });
  start();
  trace('one', () => undefined);
  await flush();
  trace('two', () => undefined);
  await flush();
  assert.equal(counts()?.spans_sent, 2);
  assert.match(warnings.join('\n'), /redaction rules of the server/);
});

test('a score goes to /v1/logs with the ids of the span in which it was given', async () => {
  start();
  trace('work', () => score({ name: 'helpful', value: 0.9, label: 'good', explanation: 'it answered' }));
  score({ name: 'elsewhere', value: true, trace_id: 'a'.repeat(32), span_id: 'b'.repeat(16) });
  score({ name: 'nowhere', value: 1 });
  await flush();
  const span = collector.span('work');
  const body = collector.at('/v1/logs')[0]?.body ?? '';
  for (const part of [
    span.traceId,
    span.spanId,
    'gen_ai.evaluation.result',
    '"doubleValue":0.9',
    'it answered',
    'a'.repeat(32),
  ]) {
    assert.ok(body.includes(part), part);
  }
  assert.ok(!body.includes('nowhere'));
  assert.deepEqual([counts()?.scores_sent, counts()?.scores_dropped], [2, 1]);
});

test('a server without /v1/logs is told once, its scores are counted', async () => {
  collector.fixed.set('/v1/logs', { status: 404, body: '{}' });
  start();
  for (let i = 0; i < 2; i++) {
    trace('work', () => score({ name: 'helpful', value: 1 }));
    await flush();
  }
  assert.equal(counts()?.scores_dropped, 2);
  assert.equal(warnings.filter((warning) => warning.includes('/v1/logs')).length, 1);
});

test('Retry-After is seconds or a date', () => {
  assert.equal(retryAfter('3'), 3_000);
  assert.equal(retryAfter('Mon, 23 Nov 2026 10:00:05 GMT', Date.parse('2026-11-23T10:00:00Z')), 5_000);
  assert.equal(retryAfter('soon'), undefined);
});
