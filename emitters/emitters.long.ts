// Every unmodified emitter, live: it speaks with the model stand-in, sends to a really started server, and the public
// API must show what was said, by which model, with the true tokens, at the exact cost, each call billed once.
// Takes minutes and installs packages of npm and Python: `./lumatrace test --all` runs it.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { decodeTracesProtobuf } from '../packages/telemetry/src/otlp/decode.ts';
import { decodeTracesJson } from '../packages/telemetry/src/otlp/json.ts';
import { startInstance, type Instance } from '../packages/server/src/test/instance.ts';
import { EMITTERS, type Emitter } from './emitters.ts';
import { installEnvironment, installPackages, PYTHON_ENVIRONMENTS } from './install.ts';
import { omits } from './omissions.ts';
import { runEmitter, type Sent, type TrueCall } from './run.ts';
import { costPico, dollars, pico } from './tariff.ts';

const TAKEN = new Set(['200', '0']);

interface ApiSpan {
  model: string | null;
  prompt: string | null;
  response: string | null;
  messages: unknown;
}
interface ApiTrace extends ApiSpan {
  cost_usd: string | null;
  prompt_tokens: number | null;
  completion_tokens: number | null;
  status: string;
  spans: ApiSpan[];
}

let instance: Instance;

before(async () => {
  instance = await startInstance();
});
after(async () => {
  await instance.stop();
});

test('the packages of npm install from the lock file', installPackages);
for (const name of PYTHON_ENVIRONMENTS) {
  test(`Python's packages install as pinned: ${name}`, () => installEnvironment(name));
}

for (const emitter of EMITTERS) {
  describe(`${emitter.name} is shown as what was really said, used and paid`, async () => {
    let sent: Sent[] = [];
    test('it runs, and the server takes everything that it sends', async () => {
      sent = await runEmitter(emitter, {
        httpUrl: instance.otlpUrl,
        grpcUrl: `http://127.0.0.1:${instance.ports.grpc}`,
        authorization: `Bearer ${instance.firstRun.apiKey}`,
      });
      for (const { recorded } of sent) {
        assert.ok(TAKEN.has(recorded.answered), `${recorded.path} of ${recorded.caseName}: ${recorded.answered}`);
      }
    });
    for (const caseName of emitter.cases) {
      test(caseName, async (t) => {
        const requests = sent.filter(({ truth }) => truth.case === caseName && truth.signal === 'traces');
        if (requests.length === 0) return void t.diagnostic(`${emitter.name} sends nothing for ${caseName}`);
        await checkCase(emitter, caseName, requests);
      });
    }
  });
}

async function checkCase(emitter: Emitter, caseName: string, requests: readonly Sent[]): Promise<void> {
  const traces = await Promise.all([...new Set(requests.flatMap(traceIdsOf))].map(readTrace));
  const { calls, failure } = requests[0]!.truth;
  if (failure !== undefined) {
    assert.ok(
      traces.every(({ status }) => status === 'error'),
      'a failed call is shown as failed',
    );
    assert.equal(costOf(traces), 0n, 'a failed call costs nothing');
    return;
  }
  checkContent(emitter, caseName, traces, calls);
  if (omits(emitter.name, caseName, 'usage') || omits(emitter.name, caseName, 'link')) return;
  const total = (field: 'prompt_tokens' | 'completion_tokens'): number =>
    traces.reduce((sum, trace) => sum + (trace[field] ?? 0), 0);
  assert.equal(total('prompt_tokens'), sumOf(calls, 'input_tokens'), 'input tokens, each call once');
  assert.equal(total('completion_tokens'), sumOf(calls, 'output_tokens'), 'output tokens, each call once');
  const known = calls.map((call) => (omits(emitter.name, caseName, 'cache') ? withoutCache(call) : call));
  const expected = known.reduce((sum, call) => sum + costPico(call.model, call), 0n);
  assert.equal(dollars(costOf(traces)), dollars(expected), 'the exact cost');
}

function checkContent(
  emitter: Emitter,
  caseName: string,
  traces: readonly ApiTrace[],
  calls: readonly TrueCall[],
): void {
  const spans = traces.flatMap((trace) => trace.spans);
  const last = calls.at(-1)!;
  const models = new Set(spans.map(({ model }) => model));
  assert.ok(models.has(last.response_model) || models.has(last.model), `the model, among ${[...models].join()}`);
  if (omits(emitter.name, caseName, 'content')) return;
  const said = JSON.stringify(spans.map(({ messages, prompt, response }) => [messages, prompt, response]));
  const shows = (text: string): boolean => said.includes(JSON.stringify(text).slice(1, -1));
  assert.ok(shows(last.prompt), `the prompt in ${said.slice(0, 2_000)}`);
  assert.ok(
    traces.some(({ prompt }) => prompt !== null && prompt !== ''),
    'a trace of the list has a prompt',
  );
  if (omits(emitter.name, caseName, 'answer')) return;
  // An answer of JSON may be shown as structure: then its words are there.
  const words = last.answer.startsWith('{')
    ? Object.values(JSON.parse(last.answer) as object).map(String)
    : [last.answer];
  for (const word of words) assert.ok(shows(word), `the answer in ${said.slice(0, 2_000)}`);
}

function traceIdsOf({ recorded }: Sent): string[] {
  const decode = recorded.contentType.includes('json') ? decodeTracesJson : decodeTracesProtobuf;
  return decode(recorded.body).spans.map(({ traceId }) => traceId);
}

async function readTrace(traceId: string): Promise<ApiTrace> {
  const response = await fetch(`${instance.url}/api/traces/${traceId}`, {
    headers: { authorization: `Bearer ${instance.firstRun.apiKey}` },
  });
  assert.equal(response.status, 200, `trace ${traceId}`);
  return (await response.json()) as ApiTrace;
}

function costOf(traces: readonly ApiTrace[]): bigint {
  return traces.reduce((sum, { cost_usd }) => sum + pico(cost_usd ?? '0'), 0n);
}

function sumOf(calls: readonly TrueCall[], field: 'input_tokens' | 'output_tokens'): number {
  return calls.reduce((sum, call) => sum + call[field], 0);
}

/** The call as somebody must price it who was told nothing about the cache. */
function withoutCache(call: TrueCall): TrueCall {
  return { ...call, cache_read_tokens: 0, cache_creation_tokens: 0 };
}
