// A person adds a passkey, logs in by it and removes it; the browser has an authenticator of its own (WebAuthn, section 11).
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { Browser } from 'playwright-core';
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

test('a passkey is added with the password, opens the next session, and is removed', async () => {
  const context = await browser.newContext({ viewport: { width: 1440, height: 900 } });
  await firstLogin(context, instance);
  const watch = new Watch(context, instance.url);
  const page = await context.newPage();
  const client = await context.newCDPSession(page);
  await client.send('WebAuthn.enable');
  const { authenticatorId } = await client.send('WebAuthn.addVirtualAuthenticator', {
    options: {
      protocol: 'ctap2',
      transport: 'internal',
      hasResidentKey: true,
      hasUserVerification: true,
      isUserVerified: true,
      automaticPresenceSimulation: true,
    },
  });
  await page.goto(`${instance.url}/settings/sessions`);
  await page.getByText('No passkey yet.').waitFor();

  const add = async (password: string): Promise<void> => {
    await page.getByRole('button', { name: 'Add a passkey' }).click();
    const dialog = page.getByRole('dialog');
    await dialog.getByLabel('Name').fill('<b>laptop</b>');
    await dialog.getByLabel('Your password').fill(password);
    await dialog.getByRole('button', { name: 'Go on' }).click();
  };
  await add('not the password');
  await page.getByText('The current password is not right.').first().waitFor();
  await looksRight(page, 'passkey-add-1440');
  await page.getByRole('button', { name: 'Cancel' }).click();
  watch.assertQuiet(/400/);
  await add(PASSWORD);
  await page.getByRole('button', { name: 'Remove <b>laptop</b>' }).waitFor();
  await looksRight(page, 'passkeys-1440');
  await page.setViewportSize({ width: 390, height: 844 });
  await looksRight(page, 'passkeys-390');

  await context.request.post(`${instance.url}/auth/logout`, { headers: { origin: new URL(instance.url).origin } });
  await page.goto(`${instance.url}/login?next=%2Fsettings%2Fsessions`);
  await page.getByRole('button', { name: 'Use a passkey' }).waitFor();
  await looksRight(page, 'login-passkey-390');
  await page.getByRole('button', { name: 'Use a passkey' }).click();
  await page.waitForURL((url) => url.pathname === '/settings/sessions');
  await page.getByText('this one', { exact: true }).waitFor();
  const { credentials } = await client.send('WebAuthn.getCredentials', { authenticatorId });
  assert.equal(credentials.length, 1);
  assert.ok((credentials[0]?.signCount ?? 0) >= 1);

  await page.setViewportSize({ width: 1440, height: 900 });
  await page.getByRole('button', { name: 'Remove <b>laptop</b>' }).click();
  await page.getByRole('dialog').getByRole('textbox').fill('<b>laptop</b>');
  await page.getByRole('button', { name: 'Remove the passkey' }).click();
  await page.getByText('No passkey yet.').waitFor();
  watch.assertQuiet();

  await context.request.post(`${instance.url}/auth/logout`, { headers: { origin: new URL(instance.url).origin } });
  await page.goto(`${instance.url}/login`);
  await page.getByRole('button', { name: 'Use a passkey' }).click();
  await page.getByText('The passkey is not known here', { exact: false }).first().waitFor();
  watch.assertQuiet(/401/);

  // the authenticator refuses, as somebody who closes the dialog
  await client.send('WebAuthn.setUserVerified', { authenticatorId, isUserVerified: false });
  await page.getByRole('button', { name: 'Use a passkey' }).click();
  await page.getByText('No passkey was given', { exact: false }).first().waitFor({ timeout: 20_000 });
  await looksRight(page, 'login-passkey-refused-1440');
  await context.close();
});
