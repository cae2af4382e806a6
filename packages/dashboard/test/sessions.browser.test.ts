// A person sees where they are logged in, and ends a session of theirs elsewhere.
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

async function loginElsewhere(): Promise<string> {
  const response = await fetch(`${instance.url}/auth/login`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', 'user-agent': 'curl/8.5.0', origin: instance.url },
    body: JSON.stringify({ email: instance.firstRun.admin.email, password: PASSWORD }),
  });
  assert.equal(response.status, 200);
  return (response.headers.getSetCookie()[0] ?? '').split(';')[0] ?? '';
}

const statusOf = async (cookie: string): Promise<number> =>
  (await fetch(`${instance.url}/auth/me`, { headers: { cookie } })).status;

for (const [width, colorScheme] of [
  [1280, 'light'],
  [390, 'dark'],
] as const) {
  test(`sessions are listed and ended at ${width} pixels, ${colorScheme}`, async () => {
    const context = await browser.newContext({ colorScheme, viewport: { width, height: 900 } });
    await (width === 1280 ? firstLogin(context, instance) : Promise.resolve());
    const watch = new Watch(context, instance.url);
    const page = await context.newPage();
    if (width === 390) {
      await page.goto(`${instance.url}/login`);
      await page.getByLabel('E-mail').fill(instance.firstRun.admin.email);
      await page.getByLabel('Password').fill(PASSWORD);
      await page.getByRole('button', { name: 'Log in' }).click();
      await page.waitForURL((url) => url.pathname !== '/login');
    }
    const [curl, another] = [await loginElsewhere(), await loginElsewhere()];
    await page.goto(`${instance.url}/settings/sessions`);
    await page.getByText('this one', { exact: true }).waitFor();
    await looksRight(page, `sessions-${width}`);
    const ends = page.getByRole('button', { name: 'End the session of curl' });
    const before = await ends.count();
    await ends.first().click();
    await page.waitForFunction(
      (count) => document.querySelectorAll('[aria-label="End the session of curl"]').length < count,
      before,
    );
    assert.equal([await statusOf(curl), await statusOf(another)].filter((status) => status === 401).length, 1);
    await page.getByRole('button', { name: 'End all others' }).click();
    await page.getByRole('button', { name: 'End all others' }).waitFor({ state: 'detached' });
    assert.deepEqual([await statusOf(curl), await statusOf(another)], [401, 401]);
    await page.getByText('this one', { exact: true }).waitFor();
    watch.assertQuiet();
    // also where the menu of the account has no room
    await page.getByRole('button', { name: 'Log out' }).click();
    await page.waitForURL((url) => url.pathname === '/login');
    assert.equal((await context.request.get(`${instance.url}/auth/me`)).status(), 401);
    await context.close();
  });
}
