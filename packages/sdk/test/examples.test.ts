// The examples as their reader runs them: `node examples/NAME/main.ts` against a started server and a stand-in for the model,
// looked at through the API.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { startInstance, type Instance } from '../../server/src/test/instance.ts';
import { ANSWER, startModelStandIn, type ModelStandIn } from './model-stand-in.ts';

const ROOT = fileURLToPath(new URL('../../../', import.meta.url));
const run = promisify(execFile);
/**
 * One call of gpt-4o by its public prices of 2.50, 1.25 and 10 dollars per million: 176 plain and 1,024 cached tokens in,
 * 90 out = 0.00044 + 0.00128 + 0.0009.
 */
const CALL_USD = '0.00262';

interface Shown {
  span_id: string;
  parent_span_id: string | null;
  name: string;
  model: string | null;
  prompt: string | null;
  response: string | null;
  cost_usd: string | null;
  prompt_tokens: number | null;
  completion_tokens: number | null;
  session_id: string | null;
  user_id: string | null;
  service_name: string;
  tags: string[];
  photo_id?: string | null;
  spans: Shown[];
  scores: { name: string; value: number | null; label: string | null; source: string }[];
}

let instance: Instance;
let model: ModelStandIn;

before(async () => {
  [instance, model] = await Promise.all([startInstance(), startModelStandIn()]);
});
after(async () => {
  await model?.stop();
  await instance?.stop();
});

/** What an example prints, with the model at an address. */
async function outputOf(name: string, openAiUrl: string): Promise<string> {
  const env = {
    ...process.env,
    LUMATRACE_ENDPOINT: instance.url,
    LUMATRACE_API_KEY: instance.firstRun.apiKey,
    OPENAI_BASE_URL: openAiUrl,
    OPENAI_API_KEY: 'none',
  };
  const { stdout, stderr } = await run(process.execPath, [`${ROOT}examples/${name}/main.ts`], { env });
  assert.equal(stderr, '');
  return stdout;
}

async function ask<T>(path: string, key = instance.firstRun.apiKey, init: RequestInit = {}): Promise<T> {
  const headers = { authorization: `Bearer ${key}`, 'content-type': 'application/json' };
  const response = await fetch(instance.url + path, { ...init, headers });
  assert.ok(response.ok, `${path}: ${response.status}`);
  return (await response.json()) as T;
}

async function runExample(name: string): Promise<Shown> {
  const stdout = await outputOf(name, model.openAiUrl);
  assert.match(stdout, new RegExp(ANSWER));
  const traceId = /trace ([0-9a-f]{32})/.exec(stdout)?.[1];
  return ask(`/api/traces/${traceId}`);
}

/** Names as a tree, in order of their start: `parent > child`. */
function tree({ spans }: Shown): string[] {
  const names = new Map(spans.map(({ span_id, name }) => [span_id, name]));
  return spans.map(({ parent_span_id, name }) => `${names.get(parent_span_id ?? '') ?? ''} > ${name}`).sort();
}

test('plain: prompt, answer, model, tokens, exact cost, session, user and score', async () => {
  const shown = await runExample('plain');
  assert.deepEqual(tree(shown), [' > answer a question', 'answer a question > chat gpt-4o']);
  assert.equal(shown.service_name, 'example-plain');
  assert.equal(shown.prompt, 'What is the capital of France?');
  assert.equal(shown.response, ANSWER);
  assert.equal(shown.model, 'gpt-4o');
  assert.deepEqual([shown.prompt_tokens, shown.completion_tokens], [1_200, 90]);
  assert.equal(shown.cost_usd, CALL_USD);
  assert.deepEqual([shown.session_id, shown.user_id], ['session-42', 'user-7']);
  assert.deepEqual(
    shown.scores.map(({ name, value, source }) => [name, value, source]),
    [['mentions_paris', 1, 'sdk']],
  );
});

test('rag: embeddings and a streamed answer, each priced once', async () => {
  const shown = await runExample('rag');
  assert.deepEqual(tree(shown), [
    ' > answer from documents',
    'answer from documents > chat gpt-4o',
    'answer from documents > embeddings text-embedding-3-small',
    'answer from documents > retrieve documents',
    'retrieve documents > embeddings text-embedding-3-small',
  ]);
  // two requests of 14 tokens at 0.02 dollars per million
  assert.equal(shown.cost_usd, '0.00262056');
  assert.deepEqual(shown.tags, ['rag']);
  assert.equal(shown.session_id, 'rag-session');
  const chat = shown.spans.find(({ name }) => name === 'chat gpt-4o');
  assert.equal(chat?.response, ANSWER);
  assert.equal(chat?.cost_usd, CALL_USD);
  assert.deepEqual(
    shown.scores.map(({ name, value, label }) => [name, value, label]),
    [['grounded', 1, 'rule']],
  );
});

test('agent: two calls around a tool, in the tree of the agent', async () => {
  const shown = await runExample('agent');
  assert.deepEqual(tree(shown), [
    ' > city agent',
    'city agent > chat gpt-4o',
    'city agent > chat gpt-4o',
    'city agent > look_up_city',
  ]);
  assert.equal(shown.cost_usd, '0.00524');
  assert.equal(shown.response, ANSWER);
  assert.equal(shown.prompt, 'What is the capital of France?');
  assert.deepEqual([shown.session_id, shown.user_id], ['agent-session', 'user-7']);
  const tool = shown.spans.find(({ name }) => name === 'look_up_city');
  assert.match(JSON.stringify(tool), /isCapital/);
  assert.deepEqual(
    shown.scores.map(({ name, value, label }) => [name, value, label]),
    [['task_done', 1, 'done']],
  );
});

interface Tied {
  photoId: string;
  traceId: string | null;
  spanId: string | null;
  publication: object | null;
  protection: { outputSha256: string; profile: string };
}

test('image: the picture is protected and published, and span and photo lead to each other', async () => {
  const drawn = await readFile(`${ROOT}fixtures/photos/sunset.jpg`);
  const painter = await startModelStandIn(drawn);
  const stdout = await outputOf('image', painter.openAiUrl).finally(() => painter.stop());
  const [, traceId, spanId] = /trace ([0-9a-f]{32})\nspan ([0-9a-f]{16})/.exec(stdout) ?? [];
  const [, photoId = ''] = /photo ([0-9a-f-]{36}), authentic: true/.exec(stdout) ?? [];
  assert.match(stdout, new RegExp(`identified ${photoId}, made by span ${spanId}`));
  const photo = await ask<Tied>(`/api/v1/photos/${photoId}`);
  assert.deepEqual([photo.traceId, photo.spanId, photo.protection.profile], [traceId, spanId, 'ca-sb-942']);
  assert.match(stdout, new RegExp(`sha256 ${photo.protection.outputSha256}`));
  assert.ok(photo.publication);
  const { data } = await ask<{ data: Tied[] }>(`/api/v1/photos?traceId=${traceId}`);
  assert.deepEqual(
    data.map((each) => each.photoId),
    [photoId],
  );
  const shown = await ask<Shown>(`/api/traces/${traceId}`);
  assert.deepEqual(tree(shown), [' > draw a lighthouse', 'draw a lighthouse > generate_content gpt-image-1']);
  const span = shown.spans.find(({ span_id }) => span_id === spanId);
  assert.deepEqual([span?.name, span?.photo_id], ['draw a lighthouse', photoId]);
  // the call inside is billed, once: 12 tokens of text in, 272 of picture out
  assert.ok(shown.cost_usd !== null && Number(shown.cost_usd) > 0, String(shown.cost_usd));
  // a key that verifies photos and reads no traces is not told the model call
  const body = JSON.stringify({ name: 'verifies only', scopes: ['photos:verify'] });
  const { apiKey } = await ask<{ apiKey: string }>('/api/keys', undefined, { method: 'POST', body });
  const seen = await ask<Tied>(`/api/v1/photos/${photoId}`, apiKey);
  assert.deepEqual([seen.photoId, seen.traceId, seen.spanId], [photoId, null, null]);
});
