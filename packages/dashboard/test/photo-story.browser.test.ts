// Many pictures in the verify workbench, as a person uses it: drop, filter, open, wait when asked to, cancel, save.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import type { Browser, BrowserContext } from 'playwright-core';
import { startInstance, type Instance } from '../../server/src/test/instance.ts';
import { firstLogin, launch, looksRight, Watch } from './browser.ts';

const FIGS = fileURLToPath(new URL('../../../fixtures/photos/fig-bowl.jpg', import.meta.url));
const VERIFY = '**/api/v1/photos/verify';

let instance: Instance;
let browser: Browser;
let state: Awaited<ReturnType<BrowserContext['storageState']>>;
let photoId: string;
let protectedImage: Buffer;

async function protect(image: Uint8Array, more: { title?: string } = {}): Promise<{ id: string; bytes: Buffer }> {
  const form = new FormData();
  const contentHash = createHash('sha256').update(image).digest('hex');
  form.set('request', JSON.stringify({ contentHash, deviceModel: 'Desk camera', ...more }));
  form.set('image', new Blob([new Uint8Array(image)]));
  const headers = { authorization: `Bearer ${instance.firstRun.apiKey}` };
  const response = await fetch(`${instance.url}/api/v1/photos/protect`, { method: 'POST', headers, body: form });
  assert.equal(response.status, 200, await response.clone().text());
  return { id: response.headers.get('x-photo-id') ?? '', bytes: Buffer.from(await response.arrayBuffer()) };
}

before(async () => {
  instance = await startInstance();
  browser = await launch();
  ({ id: photoId, bytes: protectedImage } = await protect(await readFile(FIGS)));
  const context = await browser.newContext();
  await firstLogin(context, instance);
  state = await context.storageState();
  await context.close();
});

after(async () => {
  await browser?.close();
  await instance?.stop();
});

/** The protected picture, one with changed bytes, the bare original, and a file that is no picture. */
async function fourFiles() {
  const damaged = Buffer.from(protectedImage);
  damaged.fill(0x55, damaged.length - 4_000, damaged.length - 3_900);
  const mimeType = 'image/jpeg';
  return [
    { name: `figs.${photoId}.jpg`, mimeType, buffer: protectedImage },
    { name: `damaged.${photoId}.jpg`, mimeType, buffer: damaged },
    { name: `bare.${photoId}.jpg`, mimeType, buffer: await readFile(FIGS) },
    { name: 'notes.txt', mimeType: 'text/plain', buffer: Buffer.from('no picture') },
  ];
}

for (const [width, colorScheme] of [
  [1440, 'light'],
  [390, 'dark'],
] as const) {
  test(`many pictures become rows with verdicts that filter, open and save at ${width} pixels, ${colorScheme}`, async () => {
    const context = await browser.newContext({ storageState: state, colorScheme, viewport: { width, height: 900 } });
    const watch = new Watch(context, instance.url);
    const page = await context.newPage();
    await page.goto(`${instance.url}/photos/verify`);
    await page.locator('input[type=file]').setInputFiles(await fourFiles());
    const grid = page.getByRole('grid', { name: 'Pictures' });
    await page.getByRole('button', { name: 'Clear the list' }).waitFor({ timeout: 30_000 });
    const told = await grid.innerText();
    assert.match(told, /figs\.[^\n]*\s+Authentic\s+NONE/);
    assert.match(told, /damaged\.[^\n]*\s+Not authentic/);
    assert.match(told, /notes\.txt\s+Not checked\s+–\s+Only JPEG, PNG and WebP are taken\./);
    await looksRight(page, `workbench-${width}`);
    await page.getByRole('radio', { name: 'Authentic 1', exact: true }).click();
    await page.waitForURL('**/photos/verify?verdict=authentic');
    assert.equal(await grid.getByRole('row').count(), 2);
    await grid.focus();
    await page.keyboard.press('j');
    const opened = page.getByRole('complementary', { name: 'Opened picture' });
    await opened.getByText('How the verdict came about').waitFor();
    await looksRight(page, `workbench-open-${width}`);
    await opened.getByRole('button', { name: 'Close', exact: true }).click();
    const [download] = await Promise.all([
      page.waitForEvent('download'),
      page.getByRole('button', { name: 'CSV' }).click(),
    ]);
    const lines = (await readFile(await download.path(), 'utf8')).trimEnd().split('\r\n');
    assert.equal(lines.length, 5);
    assert.match(lines[1] ?? '', /^figs\..*,authentic,true,VALID,DETECTED,/);
    watch.assertQuiet();
    await context.close();
  });
}

test('at most three pictures go at once, a 429 is waited out, and cancelling ends the rest', async () => {
  const context = await browser.newContext({ storageState: state, viewport: { width: 1440, height: 900 } });
  const page = await context.newPage();
  let [under, most, asked] = [0, 0, 0];
  const held: (() => Promise<void>)[] = [];
  await page.route(VERIFY, async (route) => {
    asked++;
    if (asked === 1) {
      const json = { code: 'RATE_LIMIT_EXCEEDED', message: 'Too many requests.' };
      await route.fulfill({ status: 429, headers: { 'retry-after': '2' }, json });
      return;
    }
    under++;
    most = Math.max(most, under);
    held.push(async () => {
      under--;
      await route.abort().catch(() => {});
    });
  });
  await page.goto(`${instance.url}/photos/verify`);
  const buffer = await readFile(FIGS);
  const files = Array.from({ length: 50 }, (_, at) => ({
    name: `${at}.${photoId}.jpg`,
    mimeType: 'image/jpeg',
    buffer,
  }));
  await page.locator('input[type=file]').setInputFiles(files);
  await page.getByText(/the server asks to wait [12] s/).waitFor();
  await page.waitForFunction(() => !document.body.innerText.includes('asks to wait'));
  await page.getByText('Checking…').nth(2).waitFor();
  assert.equal(await page.getByText('Checking…').count(), 3);
  assert.ok(most <= 3, `${most} at once`);
  assert.ok((await page.getByRole('grid').getByRole('row').count()) < 50, 'rows out of sight are not drawn');
  await page.getByRole('button', { name: 'Cancel', exact: true }).click();
  await page.getByRole('radio', { name: 'Not checked 50' }).waitFor();
  const askedWhenCancelled = asked;
  await Promise.all(held.map((end) => end()));
  await page.getByText('Cancelled before there was an answer.').first().waitFor();
  assert.equal(asked, askedWhenCancelled);
  await context.close();
});

test('pictures that name no photo are found by their watermark', async () => {
  const context = await browser.newContext({ storageState: state, viewport: { width: 1440, height: 900 } });
  const page = await context.newPage();
  await page.goto(`${instance.url}/photos/verify`);
  const file = { name: 'from-the-web.jpg', mimeType: 'image/jpeg', buffer: protectedImage };
  await page.locator('input[type=file]').setInputFiles(file);
  await page.getByRole('button', { name: 'Find it by its watermark' }).click();
  await page.getByText('Authentic', { exact: true }).waitFor({ timeout: 30_000 });
  assert.equal(await page.getByText(photoId).count(), 1);
  await context.close();
});

for (const [width, colorScheme] of [
  [1440, 'dark'],
  [390, 'light'],
] as const) {
  test(`a photo shows its place in the log, proved in the browser, at ${width} pixels, ${colorScheme}`, async () => {
    const context = await browser.newContext({ storageState: state, colorScheme, viewport: { width, height: 900 } });
    const watch = new Watch(context, instance.url);
    const page = await context.newPage();
    await page.goto(`${instance.url}/photos/${photoId}`);
    const card = page.locator('section', { has: page.getByRole('heading', { name: 'In the transparency log' }) });
    await card
      .getByText(/^Entry \d+ of \d+; /)
      .first()
      .waitFor({ timeout: 20_000 });
    assert.match(await card.innerText(), /Protected/);
    await card.scrollIntoViewIfNeeded();
    await looksRight(page, `log-card-${width}`);
    watch.assertQuiet();
    await context.close();
  });
}

test('a proof that does not lead to the root is told', async () => {
  const context = await browser.newContext({ storageState: state });
  const page = await context.newPage();
  await page.route('**/log-proof', async (route) => {
    const answer = await route.fetch();
    const json = (await answer.json()) as { data: { entry: string }[] };
    for (const receipt of json.data) receipt.entry = receipt.entry.replace('photo.protect', 'photo.register');
    await route.fulfill({ response: answer, json });
  });
  await page.goto(`${instance.url}/photos/${photoId}`);
  await page.getByText('Its proof does not lead to the log’s root.').first().waitFor();
  await context.close();
});

for (const [width, colorScheme] of [
  [1440, 'light'],
  [390, 'dark'],
] as const) {
  test(`keys stand on a year with what comes next at ${width} pixels, ${colorScheme}`, async () => {
    const context = await browser.newContext({ storageState: state, colorScheme, viewport: { width, height: 900 } });
    const watch = new Watch(context, instance.url);
    const page = await context.newPage();
    await page.goto(`${instance.url}/photos/keys`);
    const row = page.getByRole('row', { name: /Key for credentials/ });
    await row.waitFor();
    assert.match(await row.innerText(), /in use/);
    assert.match(await row.innerText(), /Made .*, rotates .*, ends /);
    assert.ok((await page.locator('[data-bar="c2pa-leaf"]').boundingBox())?.width);
    await page.getByText(/Key for credentials rotates/).waitFor();
    await looksRight(page, `keys-${width}`);
    watch.assertQuiet();
    await context.close();
  });
}

for (const [width, colorScheme] of [
  [1440, 'dark'],
  [390, 'light'],
] as const) {
  test(`credentials are told with their actions, time stamp and chain at ${width} pixels, ${colorScheme}`, async () => {
    // the title is of whoever sent the picture, and this one already carries credentials
    const title = `<img src=x onerror=alert(1)> \u202e${'W'.repeat(160)}`;
    const again = await protect(protectedImage, { title });
    const context = await browser.newContext({ storageState: state, colorScheme, viewport: { width, height: 900 } });
    const watch = new Watch(context, instance.url);
    const page = await context.newPage();
    await page.goto(`${instance.url}/photos/${again.id}`);
    const story = page.getByRole('article', { name: 'Credentials in force' });
    for (const said of [
      'Opened',
      'Marked with an invisible watermark',
      'Time-stamped',
      'ES256',
      'which is trusted here',
    ])
      await story.getByText(said).first().waitFor();
    await story.getByText('It came with credentials of its own.').waitFor();
    assert.equal(await page.getByRole('article', { name: 'Earlier credentials' }).count(), 0, 'those are not kept');
    await story.scrollIntoViewIfNeeded();
    await looksRight(page, `photo-credentials-${width}`);
    await page.goto(`${instance.url}/photos/verify`);
    await page
      .locator('input[type=file]')
      .setInputFiles({ name: `again.${again.id}.jpg`, mimeType: 'image/jpeg', buffer: again.bytes });
    await page.getByText('What the file’s credentials tell').click();
    const earlier = page.getByRole('article', { name: 'Earlier credentials' });
    await earlier.getByText('Marked with an invisible watermark').waitFor();
    await earlier.scrollIntoViewIfNeeded();
    await looksRight(page, `verified-credentials-${width}`);
    watch.assertQuiet();
    await context.close();
  });
}
