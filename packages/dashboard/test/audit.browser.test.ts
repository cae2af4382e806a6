// The audit log in the settings: found by what was done, opened, proven and checked; and the alert above every page.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import type { Browser, BrowserContext, Page } from 'playwright-core';
import { verifyExport } from '../../server/src/access/audit-export.ts';
import { verifyLine } from '../../server/src/access/audit-proof.ts';
import { startInstance, type Instance } from '../../server/src/test/instance.ts';
import { assertAccessible, assertFits, firstLogin, launch, settled, Watch } from './browser.ts';

let instance: Instance;
let browser: Browser;
let state: Awaited<ReturnType<BrowserContext['storageState']>>;
const PICTURES = process.env['LUMATRACE_DASHBOARD_PICTURES'];

before(async () => {
  instance = await startInstance();
  browser = await launch();
  const context = await browser.newContext();
  await firstLogin(context, instance);
  state = await context.storageState();
  await context.close();
  for (let n = 0; n < 70; n++) await ask('POST', '/api/keys', { name: `key ${n}`, scopes: ['traces:read'] });
});
after(async () => {
  await browser?.close();
  await instance?.stop();
});

const ask = (method: string, path: string, body?: object): Promise<Response> =>
  fetch(`${instance.url}${path}`, {
    method,
    headers: { authorization: `Bearer ${instance.firstRun.apiKey}`, 'content-type': 'application/json' },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });

async function visit(
  path: string,
  look: (page: Page, watch: Watch) => Promise<void>,
  { width = 1_440, height = 900, scheme = 'light' as 'light' | 'dark' } = {},
): Promise<void> {
  const context = await browser.newContext({
    storageState: state,
    viewport: { width, height },
    colorScheme: scheme,
    acceptDownloads: true,
  });
  const watch = new Watch(context, new URL(instance.url).origin);
  const page = await context.newPage();
  await page.goto(`${instance.url}${path}`);
  await settled(page);
  await look(page, watch);
  watch.assertQuiet();
  await context.close();
}

async function picture(page: Page, name: string): Promise<void> {
  if (PICTURES !== undefined) await page.screenshot({ path: join(PICTURES, `${name}.png`), fullPage: true });
}

const rows = (page: Page) => page.getByRole('region', { name: 'Audit log' }).locator('tbody tr');

test('pages go on, a search narrows and is in the address, and back undoes it', async () => {
  await visit('/settings/audit', async (page) => {
    await page.getByText(/agree with \d+ signed checkpoint/).waitFor();
    assert.equal(await rows(page).count(), 50);
    await page.getByRole('button', { name: 'Older lines' }).click();
    await page.waitForFunction(() => document.querySelectorAll('tbody tr').length > 60);
    await page.getByLabel('Action').fill('session.open');
    await page.getByRole('button', { name: 'Search', exact: true }).last().click();
    await page.waitForURL(/action=session\.open/);
    await settled(page);
    const found = await rows(page).count();
    assert.ok(found < 10, `${found} lines`);
    await page.goBack();
    await settled(page);
    assert.equal(await page.getByLabel('Action').inputValue(), '');
    assert.ok((await rows(page).count()) >= 50);
  });
});

const day = (offset: number): string => new Date(Date.now() + offset * 86_400_000).toISOString().slice(0, 10);

test('days narrow in the reader’s zone, and what is no day narrows nothing', async () => {
  await visit(`/settings/audit?from=${day(-1)}&to=${day(1)}`, async (page) => {
    assert.equal(await rows(page).count(), 50);
  });
  await visit('/settings/audit?to=2001-01-01', async (page) => {
    await page.getByText('No line meets this search').waitFor();
    await page.getByRole('button', { name: 'Everything' }).click();
    await settled(page);
    assert.equal(await rows(page).count(), 50);
  });
  await visit('/settings/audit?from=yesterday', async (page) => assert.equal(await rows(page).count(), 50));
});

async function downloaded(page: Page, name: string): Promise<string> {
  const [download] = await Promise.all([page.waitForEvent('download'), page.getByRole('link', { name }).click()]);
  return readFile(await download.path(), 'utf8');
}

test('a line opens with all it says, its proof holds, and so does the export', async () => {
  await visit('/settings/audit?action=key.create', async (page) => {
    await rows(page).first().click();
    const dialog = page.getByRole('dialog');
    await dialog.getByText('key.create').waitFor();
    await picture(page, 'audit-line');
    await assertAccessible(page, 'a line of the audit log');
    assert.equal(verifyLine(await downloaded(page, 'Proof of this line')).because, undefined);
    await dialog.getByRole('button', { name: 'only these' }).first().click();
    await page.waitForURL(/actor=/);
    const { finding, lines } = await verifyExport((await downloaded(page, 'Export all')).trimEnd().split('\n'));
    assert.equal(finding, undefined);
    assert.ok(lines > 70);
  });
});

test('what was noticed stands above every page until it was seen, and in the settings', async () => {
  for (let n = 0; n < 31; n++) await ask('DELETE', `/api/keys/${randomUUID()}`);
  for (const [name, view] of Object.entries({
    wide: { width: 1_440, height: 900 },
    phone: { width: 390, height: 844 },
    dark: { scheme: 'dark' as const },
  }))
    await visit(
      '/settings/audit',
      async (page) => {
        await page.getByRole('status').getByText('Many ids').waitFor();
        await page.getByRole('region', { name: 'Security alerts' }).getByText('30 within 60 s').waitFor();
        await picture(page, `audit-${name}`);
        await assertAccessible(page, `the audit log, ${name}`);
        await assertFits(page, `the audit log, ${name}`);
      },
      view,
    );
  await visit('/cost', async (page) => {
    await page.getByRole('status').getByText('Many ids').waitFor();
    await picture(page, 'audit-banner');
    await page.getByRole('button', { name: 'I have seen it' }).click();
    await page.getByRole('button', { name: 'I have seen it' }).waitFor({ state: 'detached' });
    await page.reload();
    await settled(page);
    assert.equal(await page.getByRole('button', { name: 'I have seen it' }).count(), 0);
  });
});
