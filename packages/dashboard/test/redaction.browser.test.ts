// Settings → Redaction as its user meets it: try a text, write a rule, see what it does before saving, save, and see that
// what arrives from then on is redacted and counted.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Browser, BrowserContext, Page } from 'playwright-core';
import { startInstance, type Instance } from '../../server/src/test/instance.ts';
import { assertAccessible, assertFits, firstLogin, launch, settled, Watch } from './browser.ts';
import { sendAgent } from './traffic.ts';

const PICTURES = process.env['LUMATRACE_REDACTION_PICTURES'];

let instance: Instance;
let browser: Browser;
let context: BrowserContext;
let page: Page;
let watch: Watch;

before(async () => {
  instance = await startInstance();
  browser = await launch();
  context = await browser.newContext({ viewport: { width: 1440, height: 900 } });
  watch = new Watch(context, new URL(instance.url).origin);
  await firstLogin(context, instance);
  await sendAgent({ otlpUrl: instance.otlpUrl, apiKey: instance.firstRun.apiKey });
  page = await context.newPage();
  await page.goto(`${instance.url}/settings/redaction`);
});

after(async () => {
  await browser.close();
  await instance.stop();
});

const nowNs = (): string => String(BigInt(Date.now()) * 1_000_000n);

async function picture(name: string): Promise<void> {
  if (PICTURES !== undefined) await page.screenshot({ path: `${PICTURES}/${name}.png`, fullPage: true });
}

test('the playground shows what the rules take out, unsaved ones too', async () => {
  const after = page.getByRole('region', { name: 'After' });
  await after.getByText('[redacted:openai-key]').waitFor();
  assert.match((await after.textContent()) ?? '', /ada@example\.org/);
  await page.getByRole('switch', { name: /Redact personal data/ }).check();
  for (const mark of ['email', 'phone', 'card', 'iban']) await after.getByText(`[redacted:${mark}]`).waitFor();
  const marked = page.getByRole('region', { name: 'Before' }).locator('mark');
  assert.deepEqual(await marked.allTextContents(), [
    'ada@example.org',
    '+49 30 901820',
    '4111 1111 1111 1111',
    'DE89 3704 0044 0532 0130 00',
    'sk-proj-a1B2c3D4e5F6g7H8i9J0k1L2',
  ]);
  await settled(page);
  await picture('playground');
  await assertAccessible(page, 'redaction');
  await assertFits(page, 'redaction');
});

test('a rule of one’s own is checked while it is written, and runs once saved', async () => {
  await page.getByRole('button', { name: 'New rule' }).click();
  await page.getByLabel('Name', { exact: true }).fill('Case number');
  await page.getByLabel('Pattern').fill('CASE-([0-9]{4}');
  await page.getByText(/not RE2 syntax/).waitFor();
  await page.getByLabel('Pattern').fill('CASE-[0-9]{4}');
  await page.getByLabel('Try it on').fill('see CASE-1234 and CASE-5678');
  await page.getByText('Finds it 2 ×.').waitFor();
  await picture('rule');
  await page.getByRole('button', { name: 'Add the rule' }).click();
  await page.getByRole('button', { name: 'Save the rules' }).click();
  await page.getByText('Version 1 is in force').waitFor();
  const { url, firstRun } = instance;
  const headers = { authorization: `Bearer ${firstRun.apiKey}`, 'content-type': 'application/json' };
  // effective within five seconds: sent anew until the rule held
  for (let i = 1, name = ''; name !== 'about [redacted:case-number]'; i++) {
    assert.ok(i < 100, name);
    const traceId = i.toString(16).padStart(32, 'c');
    const span = {
      traceId,
      spanId: 'b'.repeat(16),
      name: 'about CASE-1234',
      startTimeUnixNano: nowNs(),
      endTimeUnixNano: nowNs(),
    };
    const body = JSON.stringify({ resourceSpans: [{ scopeSpans: [{ spans: [span] }] }] });
    assert.equal((await fetch(`${instance.otlpUrl}/v1/traces`, { method: 'POST', headers, body })).status, 200);
    name = ((await (await fetch(`${url}/api/traces/${traceId}`, { headers })).json()) as { name: string }).name;
    await sleep(100);
  }
  for (let isCounted = false; !isCounted; await sleep(200)) {
    const hits = (await (await fetch(`${url}/api/redaction/hits`, { headers })).json()) as {
      data: { ruleId: string }[];
    };
    isCounted = hits.data.some(({ ruleId }) => ruleId === 'case-number');
  }
  await page.reload();
  await page.getByText(/Taken out in the last 7 days: .*Case number/).waitFor();
});

test('a recent trace can be tried, and the page fits a phone', async () => {
  await page.getByRole('radio', { name: 'Recent trace' }).click();
  await page.getByRole('region', { name: 'Before' }).getByText('attributes').waitFor();
  await page.setViewportSize({ width: 390, height: 844 });
  await settled(page);
  await assertFits(page, 'redaction on a phone');
  await picture('phone');
  watch.assertQuiet(/400/);
});
