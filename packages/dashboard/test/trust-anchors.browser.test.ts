// Roots of a workspace in the settings: looked at before they are believed, refused when they are none, removed by name.
import assert from 'node:assert/strict';
import { createHash, X509Certificate } from 'node:crypto';
import { after, before, test } from 'node:test';
import type { Browser, BrowserContext } from 'playwright-core';
import { createRoot } from '../../server/src/keys/certificates.ts';
import { startInstance, type Instance } from '../../server/src/test/instance.ts';
import { firstLogin, launch, looksRight, Watch } from './browser.ts';

let instance: Instance;
let browser: Browser;
let state: Awaited<ReturnType<BrowserContext['storageState']>>;

before(async () => {
  instance = await startInstance();
  browser = await launch();
  const context = await browser.newContext();
  await firstLogin(context, instance);
  state = await context.storageState();
  await context.close();
});
after(async () => {
  await browser?.close();
  await instance?.stop();
});

const believed = async (): Promise<string[]> => {
  const headers = { authorization: `Bearer ${instance.firstRun.apiKey}` };
  const answer = await fetch(`${instance.url}/api/v1/photos/trust-anchors`, { headers });
  return ((await answer.json()) as { data: { sha256: string }[] }).data.map(({ sha256 }) => sha256);
};

// a stranger's name: markup, right to left, and as long as names may be
const HOSTILE = `<img src=x onerror=alert(1)> \u202eعربي ${'long '.repeat(5)}`;

for (const [width, colorScheme] of [
  [1440, 'light'],
  [390, 'dark'],
] as const)
  test(`a root is looked at, believed and removed at ${width} pixels, ${colorScheme}`, async () => {
    const { certificatePem } = await createRoot({ organization: HOSTILE, now: new Date() });
    const sha256 = createHash('sha256').update(new X509Certificate(certificatePem).raw).digest('hex');
    const context = await browser.newContext({ storageState: state, colorScheme, viewport: { width, height: 900 } });
    const watch = new Watch(context, instance.url);
    const page = await context.newPage();
    await page.goto(`${instance.url}/settings/trust-anchors`);
    const installed = page.getByRole('region', { name: 'Trust anchors of the installation' });
    await installed.getByText('made or brought here').first().waitFor();
    await page.getByRole('button', { name: 'Add a root' }).click();
    await page.getByLabel('Certificate (PEM)').fill(certificatePem);
    await page.getByRole('button', { name: 'Look at it' }).click();
    const facts = page.getByRole('region', { name: 'What this certificate is' });
    assert.equal((await facts.locator('code').innerText()).replaceAll(' ', ''), sha256);
    // as RFC 4514 writes it, and as text
    assert.match(await facts.innerText(), /O=\\<img src=x onerror=alert\(1\)\\>/);
    assert.equal(await page.locator('img[src=x]').count(), 0);
    assert.deepEqual(await believed(), [], 'looking believes nothing');
    await looksRight(page, `trust-anchor-preview-${width}`);
    await page.getByRole('button', { name: 'Believe this root' }).click();
    const own = page.getByRole('region', { name: 'Trust anchors of this workspace' });
    await own.waitFor();
    assert.deepEqual(await believed(), [sha256]);
    await looksRight(page, `trust-anchors-${width}`);
    await own.getByRole('button', { name: /^Remove / }).click();
    await page.getByLabel(`Type ${sha256.slice(0, 8)} to go on`).fill(sha256.slice(0, 8));
    await looksRight(page, `trust-anchor-remove-${width}`);
    await page.getByRole('button', { name: 'Remove the root' }).click();
    await page.getByText('None. Pictures are believed').waitFor();
    assert.deepEqual(await believed(), []);
    watch.assertQuiet();
    await context.close();
  });

test('what is no certificate is refused in words, and a changed text must be looked at again', async () => {
  const { certificatePem } = await createRoot({ organization: 'Elsewhere', now: new Date() });
  const context = await browser.newContext({ storageState: state, viewport: { width: 1440, height: 900 } });
  const page = await context.newPage();
  await page.goto(`${instance.url}/settings/trust-anchors`);
  await page.getByRole('button', { name: 'Add a root' }).click();
  const field = page.getByLabel('Certificate (PEM)');
  await field.fill('no certificate');
  await page.getByRole('button', { name: 'Look at it' }).click();
  await page.getByRole('alert').getByText('VALIDATION_FAILED').waitFor();
  await field.fill(certificatePem);
  await page.getByRole('button', { name: 'Look at it' }).click();
  await page.getByRole('button', { name: 'Believe this root' }).waitFor();
  await field.fill('another text');
  await page.getByRole('button', { name: 'Look at it' }).waitFor();
  assert.equal(await page.getByRole('button', { name: 'Believe this root' }).count(), 0);
  assert.deepEqual(await believed(), []);
  await context.close();
});
