// What real emitters sent, byte for byte, through the real routes: every recorded request is taken without a word, and where
// content came as log records the page of its span says what the model was asked and answered, whichever arrived first.
import assert from 'node:assert/strict';
import { readFile, readdir } from 'node:fs/promises';
import { after, test } from 'node:test';
import { gunzipSync } from 'node:zlib';
import { decodeLogsJson, decodeLogsProtobuf, decodeTracesJson, decodeTracesProtobuf } from '@lumatrace/telemetry';
import { serve } from '../ingest/fixtures/serve.ts';

const FOLDER = new URL('../../../../fixtures/otlp/emitters/', import.meta.url);
const served = await serve();
after(() => served.close());

interface Truth {
  emitter: string;
  signal: 'traces' | 'logs' | 'metrics';
  path: string;
  contentType: string;
  contentEncoding: string;
  calls: Array<{ prompt?: string; answer?: string }>;
}

interface Recorded {
  truth: Truth;
  body: Buffer;
}

/** The requests of one case, by signal. */
async function recorded(emitter: string, name: string): Promise<Map<Truth['signal'], Recorded>> {
  const files = await readdir(new URL(`${emitter}/`, FOLDER));
  const requests = new Map<Truth['signal'], Recorded>();
  for (const file of files.filter((each) => each.endsWith('.truth.json'))) {
    const stem = file.slice(0, -'.truth.json'.length);
    if (stem.split('.')[0] !== name) continue;
    const truth = JSON.parse(await readFile(new URL(`${emitter}/${file}`, FOLDER), 'utf8')) as Truth;
    const body = files.find((each) => each === `${stem}.pb` || each === `${stem}.json`);
    assert.ok(body, `Expected a request beside ${emitter}/${file}`);
    requests.set(truth.signal, { truth, body: await readFile(new URL(`${emitter}/${body}`, FOLDER)) });
  }
  return requests;
}

/** Files are kept as they came or inflated, whatever the header said: the header goes only with what it describes. */
function send(tenantId: string, { truth, body }: Recorded): Promise<Response> {
  const isGzip = body[0] === 0x1f && body[1] === 0x8b;
  const headers = { 'content-type': truth.contentType, ...(isGzip ? { 'content-encoding': 'gzip' } : {}) };
  // gRPC was recorded as the message alone
  const path = truth.path.startsWith('/v1/') || truth.path.startsWith('/api/') ? truth.path : `/v1/${truth.signal}`;
  const contentType = truth.contentType.startsWith('application/grpc') ? 'application/x-protobuf' : truth.contentType;
  return served.post(tenantId, body, { ...headers, 'content-type': contentType }, path);
}

/** The moment of the recording, so that nothing is too old to be kept. */
function momentOf({ truth, body }: Recorded): number {
  const bytes = body[0] === 0x1f && body[1] === 0x8b ? gunzipSync(body) : body;
  const isJson = truth.contentType.includes('json');
  const timeNs =
    truth.signal === 'logs'
      ? (isJson ? decodeLogsJson(bytes) : decodeLogsProtobuf(bytes)).records[0]?.timeNs
      : (isJson ? decodeTracesJson(bytes) : decodeTracesProtobuf(bytes)).spans[0]?.startNs;
  return Number((timeNs ?? 0n) / 1_000_000n) + 60_000;
}

const emitters = await readdir(FOLDER).catch(() => []);

interface Shown {
  data: Array<{ trace_id: string; prompt: string | null; response: string | null }>;
}
interface ShownTrace {
  spans: Array<{
    operation: string | null;
    prompt: string | null;
    response: string | null;
    mapped_from: Record<string, string>;
  }>;
}

for (const emitter of emitters.sort()) {
  const files = await readdir(new URL(`${emitter}/`, FOLDER));
  const names = new Set(
    files.filter((file) => file.endsWith('.truth.json')).map((file) => file.split('.')[0] as string),
  );
  test(`everything that ${emitter} sent is taken`, async () => {
    for (const name of names) {
      const requests = await recorded(emitter, name);
      const tenantId = await served.newTenant();
      const traces = requests.get('traces');
      if (traces !== undefined) served.clock.nowMs = momentOf(traces);
      for (const [signal, request] of requests) {
        const response = await send(tenantId, request);
        const answer = Buffer.from(await response.arrayBuffer()).toString('latin1');
        assert.equal(response.status, 200, `${emitter}/${name} ${signal}: ${answer}`);
        // every metric that these emitters send is of GenAI, and nothing else is rejected either
        assert.match(answer, /^(\{\})?$/, `${emitter}/${name} ${signal}: ${answer}`);
      }
    }
  });

  const withLogs = [...names].filter((name) => files.some((file) => file.startsWith(`${name}.logs.`)));
  for (const order of ['spans first', 'logs first'] as const) {
    if (withLogs.length === 0) continue;
    test(`the content that ${emitter} sends as log records is that of its spans, ${order}`, async () => {
      let compared = 0;
      for (const name of withLogs) {
        const requests = await recorded(emitter, name);
        const [traces, logs] = [requests.get('traces'), requests.get('logs')];
        if (traces === undefined || logs === undefined) continue;
        served.clock.nowMs = momentOf(traces);
        const tenantId = await served.newTenant();
        for (const request of order === 'spans first' ? [traces, logs] : [logs, traces]) {
          assert.equal((await send(tenantId, request)).status, 200);
        }
        const { body: list } = await served.get<Shown>(tenantId, '/api/traces');
        const traceIds = list.data.map(({ trace_id }) => trace_id);
        const spans: ShownTrace['spans'] = [];
        for (const traceId of traceIds) {
          spans.push(...(await served.get<ShownTrace>(tenantId, `/api/traces/${traceId}`)).body.spans);
        }
        const calls = spans.filter(({ operation }) => operation === 'chat');
        for (const { prompt, answer } of traces.truth.calls) {
          if (prompt === undefined || answer === undefined || answer === '') continue;
          if (NEVER_SENT.has(`${emitter}/${name}`)) continue;
          const shown = calls.find(
            (span) => same(span.response, answer) && (same(span.prompt, prompt) || isFollowUp(name, span.prompt)),
          );
          const all = JSON.stringify(calls.map((span) => [span.prompt, span.response]));
          assert.ok(shown, `${emitter}/${name}: expected "${prompt}" → "${answer}" among ${all}`);
          assert.match(shown.mapped_from.input ?? '', ALSO_ON_SPANS.has(emitter) ? /gen_ai/ : /^log:/);
          compared++;
        }
      }
      assert.ok(compared > 0, 'Expected calls to compare');
    });
  }
}

/** A user message without parts is all that the emitter sends of a picture and the question beside it. */
const NEVER_SENT = new Set(['python-otel-openai-2.4b0/openai-image']);

/** These send the content as attributes of the span too, which then win. */
const ALSO_ON_SPANS = new Set(['python-otel-openai-2.4b0']);

/** The second call of a conversation with tools may carry nothing but the answer of the tool. */
function isFollowUp(name: string, prompt: string | null): boolean {
  return name.includes('responses-tools') && prompt !== null;
}

/** Previews are cut and on one line. */
function same(shown: string | null, truth: string): boolean {
  return shown !== null && oneLine(shown) === oneLine(truth);
}

function oneLine(text: string): string {
  return text.replace(/\s+/g, ' ').trim().slice(0, 200);
}

test('there are recordings to replay', () => {
  assert.ok(emitters.length > 0);
});
