// Each named emitter in the browser: what its unmodified package sent is read on the trace page with prompt, answer, model,
// tokens and exact cost, and the page says which key the prompt came from, or why there is none.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import type { Browser, BrowserContext, Page } from 'playwright-core';
import { decodeTracesJson } from '@lumatrace/telemetry/otlp/json.ts';
import { decodeTracesProtobuf } from '@lumatrace/telemetry/otlp/decode.ts';
import { startInstance, type Instance } from '../../server/src/test/instance.ts';
import { assertAccessible, assertFits, launch, settled } from './browser.ts';

const FIXTURES = fileURLToPath(new URL('../../../fixtures/otlp/emitters/', import.meta.url));
const PASSWORD = 'a passphrase for browser tests';

interface Shown {
  emitter: string;
  file: string;
  logs?: string;
  promptFrom: string;
}

const EMITTERS: readonly Shown[] = [
  {
    emitter: 'OpenTelemetry',
    file: 'otel-openai-0.22.0/openai-plain.pb',
    logs: 'otel-openai-0.22.0/openai-plain.logs.pb',
    promptFrom: 'log record gen_ai.user.message',
  },
  { emitter: 'OpenLLMetry 0.22', file: 'openllmetry-0.22.8/openai-plain.pb', promptFrom: 'gen_ai.prompt.*' },
  { emitter: 'OpenLLMetry 0.27', file: 'openllmetry-0.27.0/openai-plain.pb', promptFrom: 'gen_ai.input.messages' },
  { emitter: 'OpenInference', file: 'openinference-4.2.7/openai-plain.pb', promptFrom: 'llm.input_messages.*' },
  { emitter: 'Vercel AI SDK 4', file: 'vercel-ai-4.3.19/openai-plain.json', promptFrom: 'ai.prompt.messages' },
  { emitter: 'Vercel AI SDK 6', file: 'vercel-ai-6.0.326/openai-plain.json', promptFrom: 'ai.prompt.messages' },
  { emitter: 'Langfuse', file: 'langfuse-5.11.1/openai-plain.json', promptFrom: 'langfuse.observation.input' },
];

/** gpt-4o-mini: 17 tokens in at 0.15 and 3 out at 0.60 dollars per million. */
const COST_USD = '0.00000435';

let instance: Instance;
let browser: Browser;
let context: BrowserContext;
let page: Page;

before(async () => {
  instance = await startInstance();
  browser = await launch();
  context = await browser.newContext({ viewport: { width: 1440, height: 1000 } });
  const { email, password } = instance.firstRun.admin;
  const headers = { origin: new URL(instance.url).origin };
  await context.request.post(`${instance.url}/auth/login`, { data: { email, password }, headers });
  const change = { currentPassword: password, newPassword: PASSWORD };
  await context.request.post(`${instance.url}/auth/change-password`, { data: change, headers });
  page = await context.newPage();
});

after(async () => {
  await browser?.close();
  await instance?.stop();
});

async function send(path: string, file: string): Promise<void> {
  const response = await fetch(`${instance.otlpUrl}${path}`, {
    method: 'POST',
    headers: {
      authorization: `Bearer ${instance.firstRun.apiKey}`,
      'content-type': file.endsWith('.json') ? 'application/json' : 'application/x-protobuf',
    },
    body: readFileSync(`${FIXTURES}${file}`),
  });
  assert.equal(response.status, 200, await response.text());
}

/** Trace and span of the first billable call of a recording. */
function callOf(file: string): { traceId: string; spanId: string } {
  const bytes = readFileSync(`${FIXTURES}${file}`);
  const { spans } = file.endsWith('.json') ? decodeTracesJson(bytes) : decodeTracesProtobuf(bytes);
  const call = spans.find((span) => span.billable);
  assert.ok(call !== undefined);
  return call;
}

async function open(file: string, tab: string): Promise<string> {
  const { traceId, spanId } = callOf(file);
  await page.goto(`${instance.url}/traces/${traceId}?span=${spanId}&tab=${tab}`);
  await settled(page);
  return page.getByRole('complementary', { name: 'Chosen span' }).innerText();
}

for (const { emitter, file, logs, promptFrom } of EMITTERS) {
  test(`a call of ${emitter} shows prompt, answer, model, tokens and exact cost`, async () => {
    await send('/v1/traces', file);
    if (logs !== undefined) await send('/v1/logs', logs);
    const panel = await open(file, 'messages');
    for (const text of ['What is the capital of Peru? One word.', 'Lima.', `prompt from ${promptFrom}`])
      assert.ok(panel.replaceAll('\n', ' ').includes(text), `${text} in ${panel}`);
    const { traceId } = callOf(file);
    const trace = (await (await context.request.get(`${instance.url}/api/traces/${traceId}`)).json()) as {
      cost_usd: string;
      model: string;
      prompt_tokens: number;
      completion_tokens: number;
    };
    assert.deepEqual([trace.prompt_tokens, trace.completion_tokens, trace.cost_usd], [17, 3, COST_USD]);
    assert.match(trace.model, /^gpt-4o-mini/);
    assert.match(await page.getByRole('main').innerText(), /gpt-4o-mini/);
    await assertAccessible(page, emitter);
  });
}

test('the attributes name the fields that they became', async () => {
  const panel = await open('langfuse-5.11.1/openai-plain.json', 'attributes');
  for (const field of ['→ inputTokens', '→ responseModel', '→ operation', '→ input']) assert.ok(panel.includes(field));
});

test('a call without its text says why, and what to set', async () => {
  const file = 'otel-openai-0.3.0/openai-plain.pb';
  await send('/v1/traces', file);
  const panel = await open(file, 'messages');
  assert.match(panel, /Why is the prompt empty\?/);
  assert.match(panel, /@opentelemetry\/instrumentation-openai/);
  assert.match(panel, /OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT=true/);
  assert.match(panel, /Looked for gen_ai\.input\.messages/);
  await assertAccessible(page, 'why is the prompt empty');
  await page.setViewportSize({ width: 390, height: 844 });
  for (const tab of ['messages', 'attributes']) {
    await open(file, tab);
    await assertFits(page, `${tab} on a phone`);
  }
  await page.setViewportSize({ width: 1440, height: 1000 });
});

test('a call that the client library traces too is told once, with the words of the instrumentation', async () => {
  const file = 'openinference-4.2.7/anthropic-tools.pb';
  await send('/v1/traces', file);
  const { traceId } = callOf(file);
  const trace = (await (await context.request.get(`${instance.url}/api/traces/${traceId}`)).json()) as {
    prompt: string;
    response: string;
    cost_usd: string;
  };
  // claude-sonnet-4-5: 890 tokens in at 3 and 80 out at 15 dollars per million, each call once
  assert.deepEqual([trace.prompt, trace.cost_usd], ['How is the weather in Lima?', '0.00387']);
  assert.ok(trace.response.length > 0);
});
