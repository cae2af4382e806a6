// The public detector on the device: what the browser reads is what the server reads, and no picture leaves the page.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { after, before, test } from 'node:test';
import { generatorSaidIn } from '@lumatrace/provenance/c2pa/disclosure.ts';
import { credentialsSaid, isSaidGenerated } from '@lumatrace/provenance/c2pa/said.ts';
import { verifyC2pa } from '@lumatrace/provenance/c2pa/verify.ts';
import { readImageHeader } from '@lumatrace/provenance/image.ts';
import type { Browser, Page, Request } from 'playwright-core';
import { openCast, type Cast } from '../../server/src/photos/truth/cast.fixture.ts';
import { HISTORIES } from '../../server/src/photos/truth/histories.fixture.ts';
import { startInstance, type Instance } from '../../server/src/test/instance.ts';
import { assertAccessible, assertFits, launch, Watch } from './browser.ts';

const PICTURES = process.env['LUMATRACE_DASHBOARD_PICTURES'];

let cast: Cast;
let instance: Instance;
let browser: Browser;

before(async () => {
  cast = await openCast();
  instance = await startInstance();
  browser = await launch();
});

after(async () => {
  await browser?.close();
  await instance?.stop();
  await cast?.stage.close();
});

/** One history for each thing that the table says about credentials: what differs in pixels is no matter here. */
const CONCERNED = [
  ...new Map(
    HISTORIES.toReversed().map((history) => [
      [history.c2pa, ...history.findings.filter((code) => !/watermark|registration/.test(code))].join(' '),
      history,
    ]),
  ).values(),
];

/** A picture that the installation itself gave out. */
async function protectHere(image: Buffer): Promise<Buffer> {
  const form = new FormData();
  const contentHash = createHash('sha256').update(image).digest('hex');
  form.set('request', JSON.stringify({ contentHash, deviceModel: 'Desk camera' }));
  form.set('image', new Blob([new Uint8Array(image)]));
  const headers = { authorization: `Bearer ${instance.firstRun.apiKey}` };
  const response = await fetch(`${instance.url}/api/v1/photos/protect`, { method: 'POST', headers, body: form });
  assert.equal(response.status, 200, await response.clone().text());
  return Buffer.from(await response.arrayBuffer());
}

/** What the server tells the device of the room of the histories, whose leaves ended and were revoked. */
function belief() {
  const { trustAnchorsPem, timestampAnchorsPem, revocations } = cast.stage.credentials;
  return { anchorsPem: trustAnchorsPem, timestampAnchorsPem: timestampAnchorsPem ?? null, revocations };
}

async function readHere(image: Buffer) {
  const { trustAnchorsPem, timestampAnchorsPem, revocations } = cast.stage.credentials;
  const trust = { anchorsPem: trustAnchorsPem, ...(timestampAnchorsPem !== undefined && { timestampAnchorsPem }) };
  const { format } = readImageHeader(image);
  const c2pa = await verifyC2pa({ bytes: new Uint8Array(image), format, trust, revocations });
  return {
    credentials: credentialsSaid(c2pa, generatorSaidIn(image, format)),
    isGenerated: isSaidGenerated(c2pa),
    findings: c2pa.findings,
  };
}

interface Visit {
  page: Page;
  requests: Request[];
  watch: Watch;
  drop(buffer: Buffer): Promise<void>;
}

async function visit(options: { width?: number; colorScheme?: 'light' | 'dark' } = {}): Promise<Visit> {
  const { width = 1_280, colorScheme = 'light' } = options;
  const context = await browser.newContext({ viewport: { width, height: 844 }, colorScheme });
  const watch = new Watch(context, instance.url);
  const page = await context.newPage();
  // every answer of a worker is noted beside what the page makes of it
  await page.addInitScript(() => {
    const noted: unknown[] = [];
    const { Worker: Real } = globalThis;
    class Noted extends Real {
      constructor(url: string | URL, given?: WorkerOptions) {
        super(url, given);
        this.addEventListener('message', ({ data }) => noted.push(data));
      }
    }
    Object.assign(globalThis, { Worker: Noted, noted });
  });
  const requests: Request[] = [];
  page.on('request', (request) => requests.push(request));
  await page.goto(`${instance.url}/detect`);
  await page.getByLabel('Check on this device').check();
  const drop = (buffer: Buffer): Promise<void> =>
    page.locator('input[type=file]').setInputFiles({ name: 'question.jpg', mimeType: 'image/jpeg', buffer });
  return { page, requests, watch, drop };
}

const noted = (page: Page): Promise<unknown[]> =>
  page.evaluate(() => (globalThis as unknown as { noted: unknown[] }).noted);

test('the device reads histories of the truth table as the server does, and sends none of them', async () => {
  const { page, requests, watch, drop } = await visit();
  await page.route('**/api/v1/detect/belief', (route) => route.fulfill({ json: belief() }));
  for (const [at, history] of CONCERNED.entries()) {
    const { image } = await history.make(cast);
    await drop(image);
    await page.waitForFunction((count) => (globalThis as unknown as { noted: [] }).noted.length > count, at);
    const said = (await noted(page))[at];
    const expected: unknown = JSON.parse(JSON.stringify({ reading: await readHere(image) }));
    assert.deepEqual(JSON.parse(JSON.stringify(said)), expected, history.name);
    assert.equal((said as { reading: { credentials: { status: string } } }).reading.credentials.status, history.c2pa);
  }
  assert.deepEqual(
    requests.filter((request) => request.method() !== 'GET' || request.postDataBuffer() !== null).map((it) => it.url()),
    [],
  );
  watch.assertQuiet();
});

for (const [width, colorScheme] of [
  [1_280, 'light'],
  [390, 'dark'],
] as const)
  test(`one answer on a page ${width} px wide, also without a network`, async () => {
    const { page, requests, watch, drop } = await visit({ width, colorScheme });
    assert.ok(!requests.some((request) => request.url().endsWith('.wasm')), 'loaded before it was asked for');
    const image = await protectHere(cast.stage.photo.dandelion);
    await drop(image);
    await page.getByText('Signed, unchanged, and the signer is trusted here.').waitFor();
    const loaded = requests.length;
    await page.context().setOffline(true);
    await drop(image.subarray(0, image.length - 4_000));
    await page.getByText('Its credentials cannot be believed.').waitFor();
    await drop(image);
    await page.getByText('Signed, unchanged, and the signer is trusted here.').nth(1).waitFor();
    assert.ok(
      requests.slice(loaded).every((request) => /\/assets\/device-reader-|^blob:/.test(request.url())),
      requests
        .slice(loaded)
        .map((it) => it.url())
        .join(' '),
    );
    await page.context().setOffline(false);
    assert.equal(await page.getByText('Not looked for on this device').count(), 3);
    await assertFits(page, 'detect on the device');
    await assertAccessible(page, 'detect on the device');
    if (PICTURES !== undefined)
      await page.screenshot({ path: `${PICTURES}/detect-device-${width}-${colorScheme}.png`, fullPage: true });
    watch.assertQuiet();
  });

test('from this device a picture is sent only when its owner says so', async () => {
  const { page, requests, drop } = await visit();
  await drop(cast.stage.photo.sunset);
  await page.getByText('No credentials in this file. Its watermark was not looked for.').waitFor();
  assert.ok(requests.every((request) => request.method() === 'GET'));
  await page.getByRole('button', { name: 'Send the picture for that' }).click();
  await page.getByText('None of a published picture was found.').waitFor();
  assert.equal(requests.filter((request) => request.method() === 'POST').length, 1);
});

test('a file that keeps its reader busy is given up, and the page and the next file go on', async () => {
  const { page, drop } = await visit();
  await page.clock.install();
  await page.route('**/assets/device-reader-*.js', (route) =>
    route.fulfill({
      contentType: 'text/javascript',
      body: "onmessage = ({data}) => { if ('bytes' in data) for (;;); }",
    }),
  );
  await drop(cast.own.image);
  await page.getByRole('progressbar').waitFor();
  const givenUp = page.getByText('took longer than 20 seconds').first();
  // the reader is loaded first, and its time runs only then
  for (let tries = 0; tries < 50 && !(await givenUp.isVisible()); tries++) {
    await page.clock.fastForward(21_000);
    await page.waitForTimeout(100);
  }
  await givenUp.waitFor();
  await drop(cast.own.image);
  await page.getByRole('progressbar').waitFor();
});

test('the worker that reads strangers’ files may make no request, and only its own page may start it', async () => {
  const html = await (await fetch(`${instance.url}/detect`)).text();
  const pages = await Promise.all(['/detect', '/login'].map((path) => fetch(instance.url + path)));
  const [detect, login] = pages.map((answer) => answer.headers.get('content-security-policy') ?? '');
  assert.match(detect ?? '', /trusted-types device-reader$/);
  assert.match(login ?? '', /trusted-types 'none'$/);
  for (const policy of [detect, login]) assert.doesNotMatch(policy ?? '', /unsafe-eval/);
  assert.doesNotMatch(html, /device-reader/);
  const { page, drop, requests } = await visit();
  await drop(cast.own.image);
  await page.getByRole('status').first().waitFor();
  const script = requests.find((request) => request.url().includes('/assets/device-reader-'))?.url() ?? '';
  const policy = (await fetch(script)).headers.get('content-security-policy') ?? '';
  assert.match(policy, /^default-src 'none'; script-src 'wasm-unsafe-eval';/);
  assert.doesNotMatch(policy, /connect-src/);
});
