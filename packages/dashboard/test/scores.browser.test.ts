// A trace whose content and scores came as log records: the page shows them, and a score leads to its span.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { Browser, BrowserContext } from 'playwright-core';
import { startInstance, type Instance } from '../../server/src/test/instance.ts';
import { assertAccessible, assertFits, firstLogin, launch, settled, Watch } from './browser.ts';

const TRACE_ID = '5b8efff798038103d269b633813fc60c';
const ROOT_ID = 'eee19b7ec3c1b173';
const CALL_ID = 'eee19b7ec3c1b174';

let instance: Instance;
let browser: Browser;
let state: Awaited<ReturnType<BrowserContext['storageState']>>;

type Attributes = Record<string, string | number>;

function attributes(values: Attributes): object[] {
  return Object.entries(values).map(([key, value]) => ({
    key,
    value: typeof value === 'string' ? { stringValue: value } : { doubleValue: value },
  }));
}

async function send(signal: string, body: object): Promise<void> {
  const response = await fetch(`${instance.otlpUrl}/v1/${signal}`, {
    method: 'POST',
    headers: { authorization: `Bearer ${instance.firstRun.apiKey}`, 'content-type': 'application/json' },
    body: JSON.stringify(body),
  });
  assert.equal(response.status, 200, await response.text());
}

async function sendTrace(): Promise<void> {
  const startNs = BigInt(Date.now() - 5_000) * 1_000_000n;
  const span = (spanId: string, name: string, more: object, values: Attributes): object => ({
    traceId: TRACE_ID,
    spanId,
    name,
    startTimeUnixNano: String(startNs),
    endTimeUnixNano: String(startNs + 1_200_000_000n),
    attributes: attributes(values),
    ...more,
  });
  const resource = { attributes: attributes({ 'service.name': 'shop' }) };
  const spans = [
    span(ROOT_ID, 'answer the customer', {}, {}),
    span(
      CALL_ID,
      'chat gpt-4o',
      { parentSpanId: ROOT_ID, kind: 3 },
      { 'gen_ai.operation.name': 'chat', 'gen_ai.provider.name': 'openai', 'gen_ai.request.model': 'gpt-4o' },
    ),
  ];
  await send('traces', { resourceSpans: [{ resource, scopeSpans: [{ spans }] }] });
  const record = (spanId: string | undefined, eventName: string, more: object): object => ({
    traceId: TRACE_ID,
    spanId,
    timeUnixNano: String(startNs + 1_000_000_000n),
    eventName,
    ...more,
  });
  const score = (spanId: string | undefined, values: Attributes): object =>
    record(spanId, 'gen_ai.evaluation.result', { attributes: attributes(values) });
  const logRecords = [
    record(CALL_ID, 'gen_ai.user.message', {
      body: { kvlistValue: { values: attributes({ content: 'Where is my parcel?' }) } },
    }),
    record(CALL_ID, 'gen_ai.choice', {
      body: {
        kvlistValue: {
          values: [
            ...attributes({ finish_reason: 'stop' }),
            { key: 'message', value: { kvlistValue: { values: attributes({ content: 'It is in Lyon.' }) } } },
          ],
        },
      },
    }),
    record(CALL_ID, '', {
      severityText: 'WARN',
      severityNumber: 13,
      body: { stringValue: 'the first attempt timed out' },
    }),
    score(CALL_ID, {
      'gen_ai.evaluation.name': 'Relevance',
      'gen_ai.evaluation.score.value': 0.8125,
      'gen_ai.evaluation.score.label': 'relevant',
      'gen_ai.evaluation.explanation': 'It says where the parcel is, but not when it arrives.',
    }),
    score(undefined, { 'gen_ai.evaluation.name': 'Resolved', 'gen_ai.evaluation.score.label': 'yes' }),
  ];
  await send('logs', { resourceLogs: [{ resource, scopeLogs: [{ logRecords }] }] });
}

before(async () => {
  instance = await startInstance();
  browser = await launch();
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
  test(`scores and the content of log records are on the page at ${width} pixels, ${colorScheme}`, async () => {
    const context = await browser.newContext({
      storageState: state,
      colorScheme,
      viewport: { width, height: 900 },
    });
    const watch = new Watch(context, instance.url);
    const page = await context.newPage();
    await page.goto(`${instance.url}/traces/${TRACE_ID}?span=${ROOT_ID}`);
    await page.getByText('Resolved').waitFor();
    await page.getByRole('button', { name: /Relevance 0\.813, relevant/ }).click();
    const panel = page.getByRole('complementary', { name: 'Chosen span' });
    await panel.getByRole('list', { name: 'Scores' }).getByText('It says where the parcel is').waitFor();
    await panel.getByText('It is in Lyon.').first().waitFor();
    assert.match(page.url(), new RegExp(`span=${CALL_ID}`));
    await settled(page);
    await assertFits(page, `scores at ${width}`);
    await assertAccessible(page, `scores at ${width}`);
    const picture = process.env['LUMATRACE_TEST_PICTURES'];
    if (picture !== undefined) await page.screenshot({ path: `${picture}/scores-${width}.png` });
    await panel.getByRole('tab', { name: /Events/ }).click();
    await panel.getByText('the first attempt timed out').waitFor();
    if (picture !== undefined) await page.screenshot({ path: `${picture}/events-${width}.png` });
    watch.assertQuiet();
    await context.close();
  });
}

test('the list shows what the log records say', async () => {
  const context = await browser.newContext({ storageState: state });
  const page = await context.newPage();
  await page.goto(`${instance.url}/traces`);
  await page.getByText('Where is my parcel?').first().waitFor();
  await context.close();
});
