// Langfuse's clients against us: the requests that they make, and the answers that they accept. What @langfuse/otel
// itself sends is replayed from fixtures in otlp-fixtures.test.ts.
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { NOW_MS, otlpJson } from '../ingest/fixtures/room.ts';
import { serve } from '../ingest/fixtures/serve.ts';

const served = await serve();
after(() => served.close());

const basic = (tenantId: string): Record<string, string> => ({
  authorization: `Basic ${Buffer.from(`pk-anything:${tenantId}`).toString('base64')}`,
});
const TRACE_ID = '0af7651916cd43dd8448eb211c80319c';
const SPAN_ID = 'b7ad6b7169203331';

async function ask(method: string, path: string, headers: Record<string, string>, body?: object): Promise<Response> {
  return fetch(`${served.url}${path}`, {
    method,
    headers: { ...headers, 'content-type': 'application/json' },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
}

test('a sign of life needs no key, everything else does', async () => {
  assert.deepEqual(await (await ask('GET', '/api/public/health', {})).json(), { status: 'OK', version: '0.0.0' });
  assert.equal((await ask('GET', '/api/public/projects', {})).status, 401);
  assert.equal((await ask('POST', '/api/public/ingestion', {}, { batch: [] })).status, 401);
  assert.equal((await ask('POST', '/api/public/otel/v1/traces', {}, {})).status, 401);
});

test('their check of credentials finds the tenant as its project', async () => {
  const tenantId = await served.newTenant();
  const { data } = (await (await ask('GET', '/api/public/projects', basic(tenantId))).json()) as {
    data: Array<{ id: string; name: string }>;
  };
  assert.deepEqual([data[0]?.id, data[0]?.name], [tenantId, 'Test']);
});

test('media are never asked for, under the id that the client expects', async () => {
  const tenantId = await served.newTenant();
  const sha256Hash = 'a+b/cdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNO=';
  const media = { traceId: TRACE_ID, contentType: 'image/png', contentLength: 68, field: 'input', sha256Hash };
  const answer = await ask('POST', '/api/public/media', basic(tenantId), media);
  assert.deepEqual(await answer.json(), { mediaId: 'a-b_cdefghijklmnopqrst', uploadUrl: null });
});

test('scores of their clients become ours, each once; other events are refused one by one', async () => {
  const tenantId = await served.newTenant();
  const startNs = BigInt(NOW_MS - 60_000) * 1_000_000n;
  const span = { traceId: TRACE_ID, spanId: SPAN_ID, startNs, endNs: startNs + 5n };
  await served.post(
    tenantId,
    otlpJson([span], {}),
    { 'content-type': 'application/json' },
    '/api/public/otel/v1/traces',
  );
  const timestamp = new Date(NOW_MS - 1_000).toISOString();
  const event = (id: string, body: object, type = 'score-create'): object => ({ id, type, timestamp, body });
  const batch = [
    event('1', { traceId: TRACE_ID, observationId: SPAN_ID, name: 'accuracy', value: 0.9, comment: 'good' }),
    event('2', { traceId: TRACE_ID, name: 'tone', value: 'friendly' }),
    event('3', { traceId: 'not an id', name: 'tone', value: 1 }),
    event('4', { id: 'x', name: 'a trace of their older API' }, 'trace-create'),
  ];
  for (let i = 0; i < 2; i++) {
    const answer = await ask('POST', '/api/public/ingestion', basic(tenantId), { batch });
    assert.equal(answer.status, 207);
    const { successes, errors } = (await answer.json()) as Record<string, Array<{ id: string; status: number }>>;
    assert.deepEqual(
      successes?.map(({ id, status }) => [id, status]),
      [
        ['1', 201],
        ['2', 201],
      ],
    );
    assert.deepEqual(
      errors?.map(({ id, status }) => [id, status]),
      [
        ['3', 400],
        ['4', 400],
      ],
    );
  }
  const { body } = await served.get<{ scores: Array<Record<string, unknown>> }>(tenantId, `/api/traces/${TRACE_ID}`);
  assert.deepEqual(
    body.scores.map(({ name, value, label, span_id, explanation }) => [name, value, label, span_id, explanation]),
    [
      ['accuracy', 0.9, null, SPAN_ID, 'good'],
      ['tone', null, 'friendly', null, null],
    ],
  );
});

test('an event outside the retention is refused by itself, however often it comes; the others are taken', async () => {
  const tenantId = await served.newTenant();
  const event = (id: string, agoMs: number): object => ({
    id,
    type: 'score-create',
    timestamp: new Date(NOW_MS - agoMs).toISOString(),
    body: { traceId: TRACE_ID, name: `score ${id}`, value: 1 },
  });
  const dayMs = 86_400_000;
  const batch = [event('now', 1_000), event('old', 4_000 * dayMs), event('ahead', -2 * dayMs), event('then', 2_000)];
  const span = {
    traceId: TRACE_ID,
    spanId: SPAN_ID,
    startNs: BigInt(NOW_MS) * 1_000_000n,
    endNs: BigInt(NOW_MS) * 1_000_000n,
  };
  await served.post(tenantId, otlpJson([span], {}), { 'content-type': 'application/json' });
  for (let i = 0; i < 2; i++) {
    const answer = await ask('POST', '/api/public/ingestion', basic(tenantId), { batch });
    assert.equal(answer.status, 207);
    const { successes, errors } = (await answer.json()) as Record<string, Array<{ id: string; message?: string }>>;
    assert.deepEqual(
      successes?.map(({ id }) => id),
      ['now', 'then'],
    );
    assert.deepEqual(
      errors?.map(({ id }) => id),
      ['old', 'ahead'],
    );
    assert.match(errors?.[0]?.message ?? '', /retention/);
  }
  const { body } = await served.get<{ scores: Array<{ name: string }> }>(tenantId, `/api/traces/${TRACE_ID}`);
  assert.deepEqual(body.scores.map(({ name }) => name).sort(), ['score now', 'score then']);
});
