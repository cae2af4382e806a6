// Prices in the browser: a price of the workspace, the question what a call costs, and stored spans priced again.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { Browser, BrowserContext, Page } from 'playwright-core';
import { startInstance, type Instance } from '../../server/src/test/instance.ts';
import { assertAccessible, assertFits, launch, settled, Watch } from './browser.ts';

const PASSWORD = 'a quiet harbour at noon';
const PICTURES = process.env['LUMATRACE_PRICES_PICTURES'];

let instance: Instance;
let browser: Browser;
let state: Awaited<ReturnType<BrowserContext['storageState']>>;

before(async () => {
  instance = await startInstance();
  browser = await launch();
  state = await logIn();
});
after(async () => {
  await browser?.close();
  await instance?.stop();
});

async function logIn(): Promise<typeof state> {
  const context = await browser.newContext();
  const page = await context.newPage();
  const { email, password } = instance.firstRun.admin;
  const login = { data: { email, password } };
  await page.request.post(`${instance.url}/auth/login`, login);
  const changed = await page.request.post(`${instance.url}/auth/change-password`, {
    data: { currentPassword: password, newPassword: PASSWORD },
    headers: { origin: instance.url },
  });
  assert.ok(changed.ok(), `${changed.status()} ${await changed.text()}`);
  const saved = await context.storageState();
  await context.close();
  return saved;
}

const traceOf = (digit: number): string => String(digit).repeat(32);

/** Sends one trace in OTLP/JSON; attributes of each span as plain values. */
async function send(
  digit: number,
  spans: { id: string; parent?: string; name: string; attributes: Record<string, string | number> }[],
) {
  const startNs = BigInt(Date.now() - 60_000) * 1_000_000n;
  const body = {
    resourceSpans: [
      {
        resource: { attributes: [{ key: 'service.name', value: { stringValue: 'prices' } }] },
        scopeSpans: [
          {
            spans: spans.map(({ id, parent, name, attributes }, i) => ({
              traceId: traceOf(digit),
              spanId: id.repeat(16),
              ...(parent && { parentSpanId: parent.repeat(16) }),
              name,
              startTimeUnixNano: String(startNs + BigInt(i) * 1_000_000n),
              endTimeUnixNano: String(startNs + 2_000_000_000n - BigInt(i) * 1_000_000n),
              attributes: Object.entries(attributes).map(([key, value]) => ({
                key,
                value: typeof value === 'number' ? { doubleValue: value } : { stringValue: value },
              })),
            })),
          },
        ],
      },
    ],
  };
  const response = await fetch(`${instance.otlpUrl}/v1/traces`, {
    method: 'POST',
    headers: { authorization: `Bearer ${instance.firstRun.apiKey}`, 'content-type': 'application/json' },
    body: JSON.stringify(body),
  });
  assert.equal(response.status, 200, await response.text());
}

const callOf = (model: string, more: Record<string, string | number> = {}) => ({
  'gen_ai.operation.name': 'chat',
  'gen_ai.provider.name': 'openai',
  'gen_ai.request.model': model,
  'gen_ai.usage.input_tokens': 1_000,
  'gen_ai.usage.output_tokens': 500,
  ...more,
});

async function open(
  path: string,
  size = { width: 1440, height: 1000 },
): Promise<{ page: Page; watch: Watch; close(): Promise<void> }> {
  const context = await browser.newContext({ storageState: state, viewport: size });
  const watch = new Watch(context, new URL(instance.url).origin);
  const page = await context.newPage();
  await page.goto(`${instance.url}${path}`);
  await settled(page);
  return { page, watch, close: () => context.close() };
}

async function picture(page: Page, name: string): Promise<void> {
  if (PICTURES !== undefined) await page.screenshot({ path: `${PICTURES}/${name}.png`, fullPage: true });
}

test('a price is added, asked for, and stored spans are priced again by it', async () => {
  for (const digit of [1, 2, 3]) await send(digit, [{ id: 'a', name: 'chat', attributes: callOf('house-7b') }]);
  const { page, watch, close } = await open('/settings/prices');
  await page.getByText('1,694 models').waitFor();
  await assertAccessible(page, 'prices');

  await page.getByRole('button', { name: 'New price' }).click();
  await page.getByLabel('The model').selectOption('starts_with');
  await page.getByLabel('Name or pattern').fill('house-');
  await page.getByLabel('Price of unit 1').fill('1');
  await page.getByLabel('Price of unit 2').fill('4');
  await assertAccessible(page, 'new price');
  await picture(page, 'new-price');
  await page.getByRole('button', { name: 'Save' }).click();
  await page.getByRole('cell', { name: 'starts with house-' }).waitFor();

  await page.getByLabel('Model', { exact: true }).fill('house-7b');
  await page.getByRole('button', { name: 'Ask' }).click();
  // 1,000 × 1 + 500 × 4 per million
  await page.getByText('$0.003', { exact: true }).first().waitFor();
  await page.getByText('Override 1 applies, the first that does: the model starts with "house-".').waitFor();

  await page.getByRole('button', { name: 'Show what would change' }).click();
  await page.getByText('3 of 3 calls would change: $0 becomes $0.009.').waitFor();
  await assertAccessible(page, 'what would change');
  await picture(page, 'dry-run');
  await page.getByRole('button', { name: 'Price 3 traces again' }).click();
  await page.getByRole('cell', { name: 'done' }).waitFor();
  await picture(page, 'done');
  await page.getByRole('button', { name: 'Show what would change' }).click();
  await page.getByText('Nothing would change: 3 calls in 3 traces cost what they cost.').waitFor();
  await page.goto(`${instance.url}/traces/${traceOf(1)}?tab=cost`);
  await settled(page);
  await page.getByText('@pydantic/genai-prices 0.1.8 + overrides 1').waitFor();
  await page.getByRole('link', { name: 'your price' }).waitFor();
  watch.assertQuiet();
  await close();
});

test('prices fit a phone', async () => {
  const { page, close } = await open('/settings/prices', { width: 390, height: 844 });
  await page.getByText('1,694 models').waitFor();
  await assertFits(page, 'prices');
  await picture(page, 'phone');
  await close();
});

test('the cost tab says why a span is not billed, and how far the client’s cost is from ours', async () => {
  await send(4, [
    { id: 'b', name: 'ChatOpenAI', attributes: callOf('gpt-4o') },
    { id: 'c', parent: 'b', name: 'chat gpt-4o', attributes: callOf('gpt-4o', { 'lumina.cost_usd': 0.008 }) },
  ]);
  const { page, watch, close } = await open(`/traces/${traceOf(4)}?tab=cost&span=${'b'.repeat(16)}`);
  await page.getByText('Not billed: repeats another span').waitFor();
  await page.getByText('Another span of the same call reports the same tokens.').waitFor();
  await picture(page, 'not-billed');
  await page.getByRole('link', { name: `span ${'c'.repeat(16)}` }).click();
  await page.getByText('+$0.0005 (+6.7 %)').waitFor();
  await assertAccessible(page, 'cost tab');
  await picture(page, 'client-cost');
  watch.assertQuiet();
  await close();
});
