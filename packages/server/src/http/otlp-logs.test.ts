// Log records over a real socket: content joins its span whichever came first, scores replace, nothing is kept twice.
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { NOW_MS, otlpJson } from '../ingest/fixtures/room.ts';
import { serve } from '../ingest/fixtures/serve.ts';

const served = await serve();
after(() => served.close());

const NOW_NS = BigInt(NOW_MS) * 1_000_000n;
const JSON_TYPE = { 'content-type': 'application/json' };
const SPAN_ID = 'b7ad6b7169203331';
let lastTrace = 0;

const newTraceId = (): string => (++lastTrace).toString(16).padStart(32, '0');

type Value = string | number | boolean | null | Value[] | { [key: string]: Value };

function anyValue(value: Value): object {
  if (value === null) return {};
  if (typeof value === 'string') return { stringValue: value };
  if (typeof value === 'boolean') return { boolValue: value };
  if (typeof value === 'number') return Number.isInteger(value) ? { intValue: String(value) } : { doubleValue: value };
  if (Array.isArray(value)) return { arrayValue: { values: value.map(anyValue) } };
  return { kvlistValue: { values: keyValues(value) } };
}

function keyValues(values: { [key: string]: Value }): object[] {
  return Object.entries(values).map(([key, value]) => ({ key, value: anyValue(value) }));
}

interface Sent {
  traceId?: string;
  spanId?: string;
  eventName?: string;
  offsetNs?: bigint;
  body?: Value;
  attributes?: { [key: string]: Value };
  severityNumber?: number;
  severityText?: string;
}

function logsJson(...records: Sent[]): string {
  const logRecords = records.map(({ offsetNs = 0n, body, attributes = {}, ...rest }) => ({
    timeUnixNano: String(NOW_NS - 59_000_000_000n + offsetNs),
    ...(body === undefined ? {} : { body: anyValue(body) }),
    attributes: keyValues(attributes),
    ...rest,
  }));
  return JSON.stringify({
    resourceLogs: [
      {
        resource: { attributes: keyValues({ 'service.name': 'shop' }) },
        scopeLogs: [{ scope: { name: 'opentelemetry.instrumentation.openai' }, logRecords }],
      },
    ],
  });
}

async function sendLogs(tenantId: string, ...records: Sent[]): Promise<unknown> {
  const response = await served.post(tenantId, logsJson(...records), JSON_TYPE, '/v1/logs');
  const body = await response.json();
  assert.equal(response.status, 200, JSON.stringify(body));
  return body;
}

/** A chat call without any content, as instrumentations send it that log the content. */
async function sendSpan(tenantId: string, traceId: string, spanId = SPAN_ID): Promise<void> {
  const span = {
    traceId,
    spanId,
    name: 'chat gpt-4o',
    startNs: NOW_NS - 60_000_000_000n,
    endNs: NOW_NS - 58_000_000_000n,
    attributes: { 'gen_ai.operation.name': 'chat', 'gen_ai.request.model': 'gpt-4o', 'gen_ai.system': 'openai' },
  };
  assert.equal((await served.post(tenantId, otlpJson([span], { 'service.name': 'shop' }), JSON_TYPE)).status, 200);
}

const details = (traceId: string): Sent => ({
  traceId,
  spanId: SPAN_ID,
  eventName: 'gen_ai.client.inference.operation.details',
  attributes: {
    'gen_ai.request.model': 'gpt-4o',
    'gen_ai.input.messages': [{ role: 'user', parts: [{ type: 'text', content: 'Where is my parcel?' }] }],
    'gen_ai.output.messages': [
      { role: 'assistant', parts: [{ type: 'text', content: 'In Lyon.' }], finish_reason: 'stop' },
    ],
  },
});

const perMessage = (traceId: string): Sent[] => {
  const record = { traceId, spanId: SPAN_ID };
  return [
    { ...record, eventName: 'gen_ai.system.message', body: { content: 'Be brief.' } },
    { ...record, offsetNs: 1n, eventName: 'gen_ai.user.message', body: { content: 'Where is my parcel?' } },
    {
      ...record,
      offsetNs: 2n,
      eventName: 'gen_ai.choice',
      body: { index: 0, finish_reason: 'stop', message: { role: 'assistant', content: 'In Lyon.' } },
    },
  ];
};

interface Shown {
  prompt: string | null;
  response: string | null;
  scores: Array<Record<string, unknown>>;
  spans: Array<{
    prompt: string | null;
    response: string | null;
    mapped_from: Record<string, string>;
    messages: { input: Array<{ role: string }>; output: unknown[] };
    events: Array<{ name: string; attributes: object; log?: { body: unknown; severity_text: string } }>;
    scores: Array<Record<string, unknown>>;
  }>;
}

async function shown(tenantId: string, traceId: string): Promise<Shown> {
  const { status, body } = await served.get<Shown>(tenantId, `/api/traces/${traceId}`);
  assert.equal(status, 200);
  return body;
}

async function listed(tenantId: string, traceId: string): Promise<{ prompt: string | null; response: string | null }> {
  const { body } = await served.get<{
    data: Array<{ trace_id: string; prompt: string | null; response: string | null }>;
  }>(tenantId, '/api/traces');
  const item = body.data.find(({ trace_id }) => trace_id === traceId);
  assert.ok(item);
  return item;
}

const SHAPES: readonly [what: string, records: (traceId: string) => Sent[], from: RegExp][] = [
  [
    'the operation details',
    (traceId) => [details(traceId)],
    /log:gen_ai\.client\.inference\.operation\.details\/gen_ai\.input\.messages/,
  ],
  ['older events per message', perMessage, /log:gen_ai\.user\.message/],
];

for (const [what, records, from] of SHAPES) {
  for (const order of ['span first', 'log first'] as const) {
    test(`${what} give their span its prompt and answer, ${order}: list, trace, outline and span agree`, async () => {
      const tenantId = await served.newTenant();
      const traceId = newTraceId();
      if (order === 'span first') await sendSpan(tenantId, traceId);
      await sendLogs(tenantId, ...records(traceId));
      if (order === 'log first') await sendSpan(tenantId, traceId);

      const trace = await shown(tenantId, traceId);
      const [span] = trace.spans;
      assert.deepEqual([span?.prompt, span?.response], ['Where is my parcel?', 'In Lyon.']);
      assert.deepEqual([trace.prompt, trace.response], ['Where is my parcel?', 'In Lyon.']);
      assert.match(span?.mapped_from.input ?? '', from);
      assert.equal(span?.messages.output.length, 1);
      const item = await listed(tenantId, traceId);
      assert.deepEqual([item.prompt, item.response], ['Where is my parcel?', 'In Lyon.']);
      const outline = await served.get<Shown>(tenantId, `/api/traces/${traceId}/outline`);
      assert.deepEqual([outline.body.prompt, outline.body.response], ['Where is my parcel?', 'In Lyon.']);
      const alone = await served.get<Shown['spans'][0]>(tenantId, `/api/traces/${traceId}/spans/${SPAN_ID}`);
      assert.deepEqual(alone.body, span);
    });
  }
}

test('the content of a record is not shown once more among the events, but everything else of it is', async () => {
  const tenantId = await served.newTenant();
  const traceId = newTraceId();
  await sendSpan(tenantId, traceId);
  await sendLogs(tenantId, details(traceId));
  const [span] = (await shown(tenantId, traceId)).spans;
  assert.deepEqual(
    span?.events.map(({ name, attributes }) => [name, attributes]),
    [['gen_ai.client.inference.operation.details', { 'gen_ai.request.model': 'gpt-4o' }]],
  );
});

test('other records of a trace are events of their span, or of the root when they name none', async () => {
  const tenantId = await served.newTenant();
  const traceId = newTraceId();
  await sendSpan(tenantId, traceId);
  const line = { traceId, severityNumber: 13, severityText: 'WARN' };
  await sendLogs(
    tenantId,
    { ...line, spanId: SPAN_ID, body: 'retrying', attributes: { attempt: 2 } },
    { ...line, offsetNs: 5n, body: { stage: 'no span' } },
    { body: 'of no trace at all' },
  );
  const { spans } = await shown(tenantId, traceId);
  assert.deepEqual(
    spans[0]?.events.map(({ name, attributes, log }) => [name, attributes, log?.body]),
    [
      ['WARN', { attempt: 2 }, 'retrying'],
      ['WARN', {}, { stage: 'no span' }],
    ],
  );
});

test('the same request again has no effect', async () => {
  const tenantId = await served.newTenant();
  const traceId = newTraceId();
  await sendSpan(tenantId, traceId);
  const before = served.logs.counts();
  for (let i = 0; i < 3; i++) await sendLogs(tenantId, ...perMessage(traceId));
  const counts = served.logs.counts();
  assert.deepEqual([counts.stored - before.stored, counts.duplicates - before.duplicates], [3, 6]);
  const { spans } = await shown(tenantId, traceId);
  assert.deepEqual(
    spans[0]?.messages.input.map(({ role }) => role),
    ['system', 'user'],
  );
});

test('what the span itself says wins over its log records', async () => {
  const tenantId = await served.newTenant();
  const traceId = newTraceId();
  const span = {
    traceId,
    spanId: SPAN_ID,
    startNs: NOW_NS - 60_000_000_000n,
    endNs: NOW_NS - 58_000_000_000n,
    attributes: { 'gen_ai.operation.name': 'chat', 'gen_ai.prompt': 'own prompt' },
  };
  await served.post(tenantId, otlpJson([span], {}), JSON_TYPE);
  await sendLogs(tenantId, details(traceId));
  const trace = await shown(tenantId, traceId);
  assert.deepEqual([trace.prompt, trace.response], ['own prompt', 'In Lyon.']);
  assert.deepEqual([trace.spans[0]?.prompt, trace.spans[0]?.response], ['own prompt', 'In Lyon.']);
});

const evaluation = (traceId: string, more: { [key: string]: Value } = {}, offsetNs = 0n): Sent => ({
  traceId,
  spanId: SPAN_ID,
  eventName: 'gen_ai.evaluation.result',
  offsetNs,
  attributes: {
    'gen_ai.evaluation.name': 'Relevance',
    'gen_ai.evaluation.score.value': 0.75,
    'gen_ai.evaluation.score.label': 'relevant',
    'gen_ai.evaluation.explanation': 'It answers the question.',
    ...more,
  },
});

test('an evaluation result is a score of its span, whichever came first', async () => {
  const tenantId = await served.newTenant();
  const traceId = newTraceId();
  await sendLogs(tenantId, evaluation(traceId, { 'gen_ai.response.id': 'resp-1' }));
  await sendSpan(tenantId, traceId);
  const { spans, scores } = await shown(tenantId, traceId);
  assert.equal(scores.length, 1);
  assert.deepEqual(spans[0]?.scores, scores);
  const [score] = scores;
  assert.match(String(score?.score_id), /^[0-9a-f]{32}$/);
  assert.deepEqual(
    { ...score, score_id: '' },
    {
      score_id: '',
      trace_id: traceId,
      span_id: SPAN_ID,
      name: 'Relevance',
      value: 0.75,
      label: 'relevant',
      explanation: 'It answers the question.',
      source: 'sdk',
      timestamp: new Date(NOW_MS - 59_000).toISOString(),
      metadata: {
        'gen_ai.response.id': 'resp-1',
        'service.name': 'shop',
        'otel.scope.name': 'opentelemetry.instrumentation.openai',
      },
    },
  );
});

test('the same score again has no effect; a later one of the same name replaces; an earlier one does not', async () => {
  const tenantId = await served.newTenant();
  const traceId = newTraceId();
  await sendSpan(tenantId, traceId);
  await sendLogs(tenantId, evaluation(traceId));
  const [first] = (await shown(tenantId, traceId)).scores;
  const before = served.logs.counts().scores;
  await sendLogs(tenantId, evaluation(traceId));
  assert.equal(served.logs.counts().scores, before);
  assert.deepEqual((await shown(tenantId, traceId)).scores, [first]);

  await sendLogs(tenantId, evaluation(traceId, { 'gen_ai.evaluation.score.value': 0.1 }, 1_000_000_000n));
  const later = (await shown(tenantId, traceId)).scores;
  assert.deepEqual(
    later.map(({ value }) => value),
    [0.1],
  );
  await sendLogs(tenantId, evaluation(traceId, { 'gen_ai.evaluation.score.value': 0.9 }, -1_000_000_000n));
  assert.deepEqual((await shown(tenantId, traceId)).scores, later);
  await sendLogs(tenantId, evaluation(traceId, { 'gen_ai.evaluation.name': 'Harm' }));
  assert.equal((await shown(tenantId, traceId)).scores.length, 2);
});

test('an evaluation result that names no trace stays a record, and the sender is told', async () => {
  const tenantId = await served.newTenant();
  const { traceId: _none, spanId: _neither, ...alone } = evaluation('');
  const answer = (await sendLogs(tenantId, alone)) as { partialSuccess: Record<string, string> };
  assert.equal(answer.partialSuccess.rejectedLogRecords, '0');
  assert.match(answer.partialSuccess.errorMessage ?? '', /without a trace/);
});

test('records beyond the retention are rejected and counted, the others kept', async () => {
  const tenantId = await served.newTenant({ retentionClass: 1 });
  const traceId = newTraceId();
  await sendSpan(tenantId, traceId);
  const answer = (await sendLogs(tenantId, ...perMessage(traceId), {
    ...details(traceId),
    offsetNs: -2n * 86_400_000_000_000n,
  })) as { partialSuccess: Record<string, string> };
  assert.equal(answer.partialSuccess.rejectedLogRecords, '1');
  assert.match(answer.partialSuccess.errorMessage ?? '', /more than 1 day ago/);
  assert.equal((await listed(tenantId, traceId)).prompt, 'Where is my parcel?');
});

test('one tenant never sees the records or scores of another', async () => {
  const [one, other] = [await served.newTenant(), await served.newTenant()];
  const traceId = newTraceId();
  await sendSpan(one, traceId);
  await sendSpan(other, traceId);
  await sendLogs(other, details(traceId), evaluation(traceId));
  const { prompt, spans, scores } = await shown(one, traceId);
  assert.deepEqual([prompt, spans[0]?.events.length, scores.length], [null, 0, 0]);
});

test('nothing that was said lies readable in the tables', async () => {
  const tenantId = await served.newTenant();
  const traceId = newTraceId();
  await sendLogs(tenantId, details(traceId), evaluation(traceId), { traceId, body: 'In Lyon too' });
  for (const table of ['log_records', 'scores', 'content_blocks']) {
    const { rows } = await served.db.database.inTenant(tenantId, (sql) => sql.query(`select * from ${table}`));
    assert.ok(rows.length > 0);
    for (const row of rows) {
      for (const value of Object.values(row)) {
        const text = Buffer.isBuffer(value) ? value.toString('latin1') : String(value);
        assert.doesNotMatch(text, /Lyon|parcel|answers the question/);
      }
    }
  }
});

test('a tenant that has used its day up is told when to come back, and nothing of the request is kept', async () => {
  const small = await serve({ recordsPerDay: 4 });
  try {
    const tenantId = await small.newTenant();
    const post = (...records: Sent[]): Promise<Response> =>
      small.post(tenantId, logsJson(...records), JSON_TYPE, '/v1/logs');
    assert.equal((await post(...perMessage(newTraceId()))).status, 200);
    const refused = await post(...perMessage(newTraceId()));
    assert.equal(refused.status, 429);
    assert.equal(Number(refused.headers.get('retry-after')), 43_200);
    assert.equal(((await refused.json()) as { code: number }).code, 8);
    assert.equal((await post({ body: 'the fourth' })).status, 200);
    assert.equal((await post({ body: 'the fifth' })).status, 429);
    assert.equal(small.logs.counts().stored, 4);
  } finally {
    await small.close();
  }
});

test('the redactor sees every record before anything of it is kept', async () => {
  const redacting = await serve({
    signalRedactor: {
      redactLogs: (records) =>
        records
          .map((record) => ({ ...record, body: 'masked', attributes: {} }))
          .filter(({ eventName }) => eventName !== 'drop'),
      redactAttributes: (attributes) => attributes,
    },
  });
  try {
    const tenantId = await redacting.newTenant();
    const traceId = newTraceId();
    const span = { traceId, spanId: SPAN_ID, startNs: NOW_NS - 60_000_000_000n, endNs: NOW_NS - 58_000_000_000n };
    await redacting.post(tenantId, otlpJson([span], {}), JSON_TYPE);
    const body = logsJson(
      { traceId, spanId: SPAN_ID, eventName: 'drop', body: 'gone' },
      { traceId, spanId: SPAN_ID, eventName: 'kept', body: 'secret', attributes: { secret: 'secret' } },
    );
    for (let i = 0; i < 2; i++) assert.equal((await redacting.post(tenantId, body, JSON_TYPE, '/v1/logs')).status, 200);
    const { body: trace } = await redacting.get<Shown>(tenantId, `/api/traces/${traceId}`);
    assert.deepEqual(
      trace.spans[0]?.events.map(({ name, attributes, log }) => [name, attributes, log?.body]),
      [['kept', {}, 'masked']],
    );
  } finally {
    await redacting.close();
  }
});
