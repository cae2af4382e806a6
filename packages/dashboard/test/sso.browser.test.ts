// Somebody logs in by a real identity provider, in a browser; somebody whom no group lets in is told so.
import assert from 'node:assert/strict';
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createServer, type AddressInfo } from 'node:net';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import type { Browser } from 'playwright-core';
import { startInstance, type Instance } from '../../server/src/test/instance.ts';
import { firstLogin, launch, looksRight } from './browser.ts';

const PROVIDER = fileURLToPath(new URL('../../server/src/access/fixtures/identity-provider.ts', import.meta.url));

let instance: Instance;
let browser: Browser;
let provider: ChildProcess | undefined;
let port: number;

before(async () => {
  const probe = createServer().listen(0, '127.0.0.1');
  await once(probe, 'listening');
  ({ port } = probe.address() as AddressInfo);
  probe.close();
  const env = { LUMATRACE_OIDC_ALLOW: `localhost:${port}` };
  [instance, browser] = await Promise.all([startInstance({ env }), launch()]);
});
after(async () => {
  provider?.kill();
  await browser?.close();
  await instance?.stop();
});

test('the login page leads to the provider and back, and says in words why not', async () => {
  const owner = await browser.newContext();
  await firstLogin(owner, instance);
  const added = await owner.request.post(`${instance.url}/api/oidc-providers`, {
    headers: { origin: new URL(instance.url).origin },
    data: {
      name: 'Corp <i>ID</i>',
      issuer: `http://localhost:${port}`,
      clientId: 'lumatrace',
      clientSecret: 'a secret that is long enough',
      roleByGroup: [{ group: 'staff', role: 'viewer' }],
      isListed: true,
    },
  });
  assert.equal(added.status(), 201, await added.text());
  const { redirectUri } = (await added.json()) as { redirectUri: string };
  provider = spawn(process.execPath, [PROVIDER, String(port), redirectUri], { stdio: ['ignore', 'pipe', 'inherit'] });
  if (provider.stdout !== null) await once(provider.stdout, 'data');

  const enter = async (name: string) => {
    const context = await browser.newContext({ viewport: { width: 390, height: 844 }, colorScheme: 'dark' });
    const page = await context.newPage();
    await page.goto(`${instance.url}/settings/sessions`);
    await page.getByRole('link', { name: 'Continue with Corp <i>ID</i>' }).waitFor();
    await looksRight(page, 'login-sso-390');
    await page.getByRole('link', { name: 'Continue with Corp <i>ID</i>' }).click();
    await page.locator('input[name=login]').fill(name);
    await page.locator('input[name=password]').fill('any');
    await page.locator('button[type=submit]').click();
    await page.locator('button[type=submit]').click();
    await page.waitForURL((url) => url.origin === new URL(instance.url).origin);
    return { context, page };
  };
  const ann = await enter('ann');
  await ann.page.waitForURL((url) => url.pathname === '/settings/sessions');
  await ann.page.getByText('this one', { exact: true }).waitFor();
  await ann.context.close();
  const eve = await enter('eve');
  await eve.page.getByRole('alert').getByText('None of your groups is let in here.', { exact: false }).waitFor();
  await looksRight(eve.page, 'login-sso-refused-390');
  await eve.context.close();
  // a page elsewhere only leads to the button
  const stranger = await browser.newContext();
  const elsewhere = await stranger.newPage();
  const { pathname } = new URL(redirectUri.replace('/callback', '/login'));
  await elsewhere.setContent(`<a href="${instance.url}${pathname}">Log in</a>`);
  await elsewhere.getByRole('link').click();
  await elsewhere.getByRole('link', { name: 'Continue with Corp <i>ID</i>' }).click();
  await elsewhere.waitForURL((url) => url.port === String(port));
  await stranger.close();
  await owner.close();
});
