// The tie between model calls and photos on three pages: the trace shows its picture's state, the photo its model call, and
// the protect page discloses by profile.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { after, before, test } from 'node:test';
import type { Browser, BrowserContext } from 'playwright-core';
import { startInstance, type Instance } from '../../server/src/test/instance.ts';
import { firstLogin, launch, looksRight, Watch } from './browser.ts';

const SUNSET = fileURLToPath(new URL('../../../fixtures/photos/sunset.jpg', import.meta.url));
const TRACE_ID = '7b8efff798038103d269b633813fc60c';
const [STEP_ID, CALL_ID, LIAR_ID] = ['eee19b7ec3c1b173', 'eee19b7ec3c1b174', 'eee19b7ec3c1b175'];
const BARE_ID = 'eee19b7ec3c1b176';

let instance: Instance;
let browser: Browser;
let state: Awaited<ReturnType<BrowserContext['storageState']>>;
let photoId: string;

const authorization = (): string => `Bearer ${instance.firstRun.apiKey}`;

function attributes(values: Record<string, string | number>): object[] {
  return Object.entries(values).map(([key, value]) => ({
    key,
    value: typeof value === 'string' ? { stringValue: value } : { intValue: String(value) },
  }));
}

async function protectSunset(): Promise<string> {
  const image = await readFile(SUNSET);
  const contentHash = createHash('sha256').update(image).digest('hex');
  const facts = { profile: 'eu-ai-act-art-50', aiProvider: 'Example AI', aiSystem: 'gpt-image-1' };
  const form = new FormData();
  form.set('request', JSON.stringify({ contentHash, deviceModel: 'x', traceId: TRACE_ID, spanId: STEP_ID, ...facts }));
  form.set('image', new Blob([new Uint8Array(image)]));
  const headers = { authorization: authorization() };
  const response = await fetch(`${instance.url}/api/v1/photos/protect`, { method: 'POST', headers, body: form });
  assert.equal(response.status, 200);
  await response.arrayBuffer();
  return response.headers.get('x-photo-id') ?? '';
}

async function sendTrace(): Promise<void> {
  const startNs = BigInt(Date.now() - 5_000) * 1_000_000n;
  const span = (spanId: string, name: string, parentSpanId: string | undefined, values: object): object => ({
    traceId: TRACE_ID,
    spanId,
    ...(parentSpanId === undefined ? {} : { parentSpanId }),
    name,
    startTimeUnixNano: String(startNs),
    endTimeUnixNano: String(startNs + 4_200_000_000n),
    attributes: attributes(values as Record<string, string | number>),
  });
  const prompt = JSON.stringify([{ role: 'user', parts: [{ type: 'text', content: 'A lighthouse at dusk' }] }]);
  const spans = [
    span(STEP_ID, 'draw a lighthouse', undefined, {
      'gen_ai.operation.name': 'invoke_workflow',
      'lumatrace.photo_id': photoId,
    }),
    span(CALL_ID, 'generate_content gpt-image-1', STEP_ID, {
      'gen_ai.operation.name': 'generate_content',
      'gen_ai.provider.name': 'openai',
      'gen_ai.request.model': 'gpt-image-1',
      'gen_ai.input.messages': prompt,
      'gen_ai.usage.input_tokens': 12,
      'gen_ai.usage.output_tokens': 272,
    }),
    span(BARE_ID, 'draw without a mark', STEP_ID, { 'lumatrace.photo.state': 'unprotected' }),
    span(LIAR_ID, 'claims a picture', STEP_ID, { 'lumatrace.photo_id': '11111111-2222-4333-8444-555555555555' }),
  ];
  const resource = { attributes: attributes({ 'service.name': 'studio' }) };
  const response = await fetch(`${instance.otlpUrl}/v1/traces`, {
    method: 'POST',
    headers: { authorization: authorization(), 'content-type': 'application/json' },
    body: JSON.stringify({ resourceSpans: [{ resource, scopeSpans: [{ spans }] }] }),
  });
  assert.equal(response.status, 200, await response.text());
}

before(async () => {
  instance = await startInstance();
  browser = await launch();
  photoId = await protectSunset();
  await sendTrace();
  const context = await browser.newContext();
  await firstLogin(context, instance);
  state = await context.storageState();
  await context.close();
});

after(async () => {
  await browser?.close();
  await instance?.stop();
});

for (const [width, colorScheme] of [
  [1440, 'light'],
  [390, 'dark'],
] as const) {
  test(`trace, photo and protection show each other at ${width} pixels, ${colorScheme}`, async () => {
    const context = await browser.newContext({ storageState: state, colorScheme, viewport: { width, height: 900 } });
    const watch = new Watch(context, instance.url);
    const page = await context.newPage();
    await page.goto(`${instance.url}/traces/${TRACE_ID}?span=${STEP_ID}`);
    const pictures = page.getByRole('list', { name: 'Pictures of this span' });
    await pictures.getByText('signature is valid').waitFor();
    const line = await pictures.innerText();
    assert.match(line, /protected\s+not published/);
    await looksRight(page, `tie-trace-${width}`);
    await pictures.getByRole('link').click();
    await page.getByRole('heading', { name: 'Made by a model' }).waitFor();
    await page.getByText('A lighthouse at dusk').waitFor();
    const card = page.locator('section', { has: page.getByRole('heading', { name: 'Made by a model' }) });
    const told = await card.innerText();
    assert.match(told, /gpt-image-1/);
    assert.match(told, /12 in, 272 out/);
    assert.match(told, /\$0\.01/);
    await looksRight(page, `tie-photo-${width}`);
    await card.getByRole('link', { name: 'Open the call in its trace' }).click();
    await page.waitForURL(`**/traces/${TRACE_ID}?span=${STEP_ID}`);
    watch.assertQuiet();
    await context.close();
  });
}

test('a photo id that only the span claims is shown as a claim, and a picture without a mark as such', async () => {
  const context = await browser.newContext({ storageState: state });
  const page = await context.newPage();
  await page.goto(`${instance.url}/traces/${TRACE_ID}?span=${LIAR_ID}`);
  await page.getByText('no photo of this workspace names this trace so').waitFor();
  assert.equal(await page.getByRole('link', { name: /Made the photo/ }).count(), 0);
  await page.goto(`${instance.url}/traces/${TRACE_ID}?span=${BARE_ID}`);
  await page.getByText('came out unprotected').waitFor();
  await context.close();
});

test('the protect page takes pictures once the profile has its facts, and the photo keeps the profile', async () => {
  const context = await browser.newContext({ storageState: state, viewport: { width: 1440, height: 900 } });
  const watch = new Watch(context, instance.url);
  const page = await context.newPage();
  await page.goto(`${instance.url}/photos/protect`);
  await page.getByLabel('Disclosure').selectOption('ca-sb-942');
  await page.getByText('Fill in: provider of the system.').waitFor();
  assert.equal(await page.locator('input[type=file]').count(), 0);
  await page.getByLabel('Provider of the system').fill('Example AI');
  await page.getByLabel('System or model').fill('example-image');
  await page.getByLabel('Version of the system').fill('2.1');
  await page.locator('input[type=file]').setInputFiles(SUNSET);
  await page.getByText(/Protected in/).waitFor();
  await looksRight(page, 'tie-protect');
  const href = await page.getByRole('link', { name: 'Open the photo' }).getAttribute('href');
  const headers = { authorization: authorization() };
  const response = await fetch(`${instance.url}/api/v1${href}`, { headers });
  const { protection } = (await response.json()) as { protection: { profile: string } };
  assert.equal(protection.profile, 'ca-sb-942');
  watch.assertQuiet();
  await context.close();
});
