// An owner adds an identity provider by the page; somebody comes in by it, and is out when it is switched off.
import assert from 'node:assert/strict';
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import type { Browser } from 'playwright-core';
import { freePort, startInstance, type Instance } from '../../server/src/test/instance.ts';
import { firstLogin, launch, looksRight, Watch } from './browser.ts';

const PROVIDER = fileURLToPath(new URL('../../server/src/access/fixtures/identity-provider.ts', import.meta.url));
const NAME = '<img src=x onerror=alert(1)>';
let instance: Instance;
let browser: Browser;
let port: number;
let provider: ChildProcess | undefined;
before(async () => {
  port = await freePort();
  const env = { LUMATRACE_OIDC_ALLOW: `localhost:${port}` };
  [instance, browser] = await Promise.all([startInstance({ env }), launch()]);
});
after(async () => {
  provider?.kill();
  await browser?.close();
  await instance?.stop();
});

async function startProvider(redirectUri: string): Promise<void> {
  provider?.kill();
  provider = spawn(process.execPath, [PROVIDER, String(port), redirectUri], { stdio: ['ignore', 'pipe', 'inherit'] });
  if (provider.stdout !== null) await once(provider.stdout, 'data');
}

test('a provider is checked, added, used, changed, switched off and removed', async () => {
  const context = await browser.newContext({ viewport: { width: 1440, height: 900 } });
  await firstLogin(context, instance);
  const watch = new Watch(context, instance.url);
  const page = await context.newPage();
  await page.goto(`${instance.url}/settings/single-sign-on`);
  await page.getByText('None yet', { exact: false }).waitFor();
  await page.getByRole('button', { name: 'Add a provider' }).click();
  const dialog = page.getByRole('dialog');
  await dialog.getByLabel('Name').fill(NAME);
  await dialog.getByLabel('Issuer').fill('http://169.254.169.254');
  await dialog.getByRole('button', { name: 'Check' }).click();
  await dialog.getByText('LUMATRACE_OIDC_ALLOW', { exact: false }).waitFor();
  await dialog.getByLabel('Issuer').fill(`http://localhost:${port}`);
  await dialog.getByRole('button', { name: 'Check' }).click();
  await dialog.getByText('It could not be reached.').waitFor();
  await startProvider('http://localhost/not-yet');
  await dialog.getByRole('button', { name: 'Check' }).click();
  await dialog.getByText('It answers, signs with', { exact: false }).waitFor();
  await dialog.getByLabel('Client ID').fill('lumatrace');
  await dialog.getByLabel('Client secret').fill('a secret that is long enough');
  for (const [index, group, role] of [
    [1, 'staff', 'viewer'],
    [2, 'analysts', 'analyst'],
  ] as const) {
    await dialog.getByRole('button', { name: 'Add a group' }).click();
    await dialog.getByLabel(`Group ${index}`, { exact: true }).fill(group);
    await dialog.getByLabel(`Role of group ${index}`).selectOption(role);
  }
  await dialog.getByRole('button', { name: 'Move group 2 up' }).click();
  assert.equal(await dialog.getByLabel('Group 1', { exact: true }).inputValue(), 'analysts');
  await dialog.getByLabel('Shown to everybody').check();
  await looksRight(page, 'sso-add-1440');
  await page.setViewportSize({ width: 390, height: 844 });
  await looksRight(page, 'sso-add-390');
  await page.setViewportSize({ width: 1440, height: 900 });
  await dialog.getByRole('button', { name: 'Add', exact: true }).click();
  const redirectUri = (await dialog.getByRole('region', { name: 'Redirect URI' }).innerText()).trim();
  await dialog.getByRole('button', { name: 'Done' }).click();
  await page.getByText('2 groups with a role', { exact: false }).waitFor();
  await looksRight(page, 'sso-1440');
  await startProvider(redirectUri);

  const people = await browser.newContext();
  const person = await people.newPage();
  await person.goto(`${instance.url}/login`);
  await person.getByRole('link', { name: `Continue with ${NAME}` }).click();
  await person.locator('input[name=login]').fill('ann');
  await person.locator('input[name=password]').fill('any');
  await person.locator('button[type=submit]').click();
  await person.locator('button[type=submit]').click();
  await person.waitForURL((url) => url.origin === new URL(instance.url).origin);
  const me = await people.request.get(`${instance.url}/auth/me`);
  assert.equal(((await me.json()) as { user: { role: string } }).user.role, 'analyst');
  await person.goto(`${instance.url}/settings/single-sign-on`);
  await person.getByText('Owners and admins see this.').waitFor();

  await page.getByRole('button', { name: `Change ${NAME}` }).click();
  await dialog.getByRole('button', { name: 'Take group 1 away' }).click();
  await dialog.getByRole('button', { name: 'Save' }).click();
  await page.getByText('1 group with a role', { exact: false }).waitFor();
  await page.getByRole('button', { name: `Switch off ${NAME}` }).click();
  await page.getByText('off', { exact: true }).waitFor();
  assert.equal((await people.request.get(`${instance.url}/auth/me`)).status(), 401);
  await page.setViewportSize({ width: 390, height: 844 });
  await looksRight(page, 'sso-off-390');
  await page.getByRole('button', { name: `Remove ${NAME}` }).click();
  await page.getByRole('dialog').getByRole('textbox').fill(NAME);
  await page.getByRole('button', { name: 'Remove the provider' }).click();
  await page.getByText('None yet', { exact: false }).waitFor();
  watch.assertQuiet();
  await people.close();
  await context.close();
});
