// Two people in two workspaces: invited by a link, joined, switched, given another role, removed.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { Browser, BrowserContext, Page } from 'playwright-core';
import { startInstance, type Instance } from '../../server/src/test/instance.ts';
import { firstLogin, launch, looksRight, PASSWORD, Watch } from './browser.ts';

let instance: Instance;
let browser: Browser;
before(async () => {
  [instance, browser] = await Promise.all([startInstance(), launch()]);
});
after(async () => {
  await browser?.close();
  await instance?.stop();
});

const WIDE = { width: 1440, height: 900 };
const EMAIL = 'ann@example.com';

async function open(viewport: {
  width: number;
  height: number;
}): Promise<{ context: BrowserContext; page: Page; watch: Watch }> {
  const context = await browser.newContext({ viewport, colorScheme: viewport.width < 500 ? 'dark' : 'light' });
  return { context, page: await context.newPage(), watch: new Watch(context, instance.url) };
}

async function inviteAnn(page: Page, role: string): Promise<string> {
  await page.goto(`${instance.url}/settings/members`);
  await page.getByLabel('E-mail').fill(EMAIL);
  await page.getByLabel('Role', { exact: true }).selectOption(role);
  await page.getByRole('button', { name: 'Make the link' }).click();
  return page.getByRole('region', { name: 'invitation', exact: true }).innerText();
}

test('a person is invited, makes an account on a phone, joins a second workspace, and is removed', async () => {
  const owner = await open(WIDE);
  await firstLogin(owner.context, instance);
  const link = await inviteAnn(owner.page, 'viewer');
  await owner.page.getByRole('button', { name: `Take back the invitation of ${EMAIL}` }).waitFor();
  await looksRight(owner.page, 'members-invite-1440');

  const ann = await open({ width: 390, height: 844 });
  await ann.page.goto(link);
  await ann.page.getByRole('heading', { name: 'Join Default' }).waitFor();
  assert.equal(new URL(ann.page.url()).hash, '', 'the token has left the address');
  await looksRight(ann.page, 'invitation-390');
  await ann.page.getByLabel('Your name').fill('Ann <b>Other</b>');
  await ann.page.getByLabel('Password').fill('seven quiet herons at dusk');
  await ann.page.getByRole('button', { name: 'Make my account' }).click();
  await ann.page.waitForURL((url) => url.pathname === '/connect');

  // the link is good for nothing any more
  const late = await open(WIDE);
  await late.page.goto(link);
  await late.page.getByText('This invitation is not known, was used or revoked, or has ended.').waitFor();

  // a second workspace, and what it shows
  const { page } = owner;
  await page.goto(`${instance.url}/settings/members`);
  await page.getByLabel('Role of Ann <b>Other</b>').waitFor();
  await page.getByRole('button', { name: 'Account' }).click();
  await page.getByRole('button', { name: 'New workspace' }).click();
  await page.getByRole('dialog').getByLabel('Name').fill('Second & Söhne');
  await page.getByRole('button', { name: 'Make it' }).click();
  await page.waitForURL((url) => url.pathname === '/connect');
  const second = await inviteAnn(page, 'analyst');
  assert.equal(await page.getByLabel('Role of Ann <b>Other</b>').count(), 0, 'she is no member here yet');

  await ann.page.setViewportSize(WIDE);
  await ann.page.goto(second);
  await ann.page.getByRole('button', { name: 'Join Second & Söhne' }).click();
  await ann.page.waitForURL((url) => url.pathname === '/connect');
  await ann.page.getByRole('button', { name: 'Account' }).click();
  await ann.page.getByRole('button', { name: /Default/ }).waitFor();
  await looksRight(ann.page, 'workspaces-1440');
  const otherTab = await ann.context.newPage();
  await otherTab.goto(`${instance.url}/settings/workspace`);
  await otherTab.getByText('Your workspaces').waitFor();
  await ann.page.getByRole('button', { name: /Default/ }).click();
  await ann.page.waitForFunction(async () => {
    const response = await fetch('/auth/me');
    return ((await response.json()) as { user: { role: string } }).user.role === 'viewer';
  });
  // what the other tab shows is of the other workspace no more
  await otherTab.waitForURL((url) => url.pathname === '/connect');
  await otherTab.close();

  // another role holds at once; then she is removed here and stays there
  await page.getByRole('button', { name: 'Account' }).click();
  await page.getByRole('button', { name: /Default/ }).click();
  await page.waitForURL((url) => url.pathname === '/connect');
  await page.goto(`${instance.url}/settings/members`);
  await page.getByLabel('Role of Ann <b>Other</b>').selectOption('admin');
  await page.waitForFunction(() => document.querySelector('select:disabled') === null);
  assert.equal((await ann.context.request.get(`${instance.url}/api/keys`)).status(), 200);
  await page.getByRole('button', { name: 'Remove Ann <b>Other</b>' }).click();
  await looksRight(page, 'members-remove-1440');
  await page.getByRole('dialog').getByRole('button', { name: 'Remove' }).click();
  await page.getByRole('dialog').waitFor({ state: 'detached' });
  assert.equal((await ann.context.request.get(`${instance.url}/auth/me`)).status(), 401);
  owner.watch.assertQuiet();
  ann.watch.assertQuiet(/40[0-9]/);
  await page.setViewportSize({ width: 390, height: 844 });
  await page.goto(`${instance.url}/settings/members`);
  await looksRight(page, 'members-390');
  await Promise.all([owner, ann, late].map(({ context }) => context.close()));
});

test('a key is rotated and shown as replaced; a service account is made, rotated and disabled', async () => {
  const { context, page, watch } = await open(WIDE);
  await page.goto(`${instance.url}/login`);
  await page.getByLabel('E-mail').fill(instance.firstRun.admin.email);
  await page.getByLabel('Password').fill(PASSWORD);
  await page.getByRole('button', { name: 'Log in' }).click();
  await page.waitForURL((url) => url.pathname !== '/login');
  watch.assertQuiet(/401/);
  await page.goto(`${instance.url}/settings/keys`);
  await page.getByRole('button', { name: 'Rotate First key' }).click();
  await looksRight(page, 'rotate-key-1440');
  await page.getByRole('button', { name: 'Make the new key' }).click();
  const key = await page.getByRole('region', { name: 'New key', exact: true }).innerText();
  const status = async (apiKey: string): Promise<number> =>
    (await fetch(`${instance.url}/api/settings`, { headers: { authorization: `Bearer ${apiKey}` } })).status;
  assert.deepEqual([await status(key.trim()), await status(instance.firstRun.apiKey)], [200, 200]);
  await page.getByRole('button', { name: 'Close' }).click();
  await page.getByText('replaced', { exact: true }).waitFor();
  await page.setViewportSize({ width: 390, height: 844 });
  await looksRight(page, 'keys-rotated-390');
  await page.setViewportSize(WIDE);

  await page.getByRole('button', { name: 'New service account' }).click();
  const dialog = page.getByRole('dialog');
  await dialog.getByLabel('Name').fill('<b>nightly</b>');
  await dialog.getByLabel('Expires').selectOption('30');
  await dialog.getByLabel('Read traces').check();
  await dialog.getByRole('button', { name: 'Create account' }).click();
  const shown = async (label: string): Promise<string> =>
    (await dialog.getByRole('region', { name: label, exact: true }).innerText()).trim();
  const username = await shown('User name');
  const old = await shown('Password');
  await looksRight(page, 'service-account-made-1440');
  await page.getByRole('button', { name: 'Close' }).click();
  await page.getByRole('button', { name: 'Rotate <b>nightly</b>' }).click();
  await page.getByRole('button', { name: 'Make the new password' }).click();
  const fresh = await shown('New password');
  await page.getByRole('button', { name: 'Close' }).click();
  const login = async (password: string): Promise<number> =>
    (
      await fetch(`${instance.url}/api/v1/auth/login`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ username, password }),
      })
    ).status;
  assert.deepEqual([await login(old), await login(fresh)], [200, 200]);
  await looksRight(page, 'keys-and-accounts-1440');
  await page.getByRole('button', { name: 'Disable <b>nightly</b>' }).click();
  await page.getByRole('dialog').getByRole('textbox').fill('<b>nightly</b>');
  await page.getByRole('button', { name: 'Disable the account' }).click();
  await page.getByText('disabled', { exact: true }).waitFor();
  assert.deepEqual([await login(old), await login(fresh)], [401, 401]);
  watch.assertQuiet();
  await context.close();
});
