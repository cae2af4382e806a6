// Every page in both sizes and both appearances: nothing complains, nothing overflows, everybody can use it.
// With LUMATRACE_SCREENSHOTS=1 the pictures of the README are written to docs/images.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdir, readFile } from 'node:fs/promises';
import { gzipSync } from 'node:zlib';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import type { Browser, BrowserContext, Page } from 'playwright-core';
import { startInstance, type Instance } from '../../server/src/test/instance.ts';
import { assertAccessible, assertFits, launch, settled, Watch } from './browser.ts';
import { sendAgent, sendDays, type Sender } from './traffic.ts';

const PASSWORD = 'a quiet harbour at noon';
const ROOT = new URL('../../../', import.meta.url);
const IMAGES = fileURLToPath(new URL('docs/images/', ROOT));
const PHOTO = new URL('fixtures/photos/fig-bowl.jpg', ROOT);
const DIST = new URL('../dist/', import.meta.url);
const TAKES_PICTURES = process.env['LUMATRACE_SCREENSHOTS'] === '1';
const MAX_FIRST_LOAD_BYTES = 180_000;
/** What the README shows, wide in both appearances and some of it as on a phone; all else is checked and not kept. */
const WIDE_PICTURES: ReadonlySet<string> = new Set([
  'overview',
  'traces',
  'trace',
  'cost',
  'latency',
  'photo',
  'connect',
  'verdict',
]);
const PHONE_PICTURES: ReadonlySet<string> = new Set(['overview', 'traces', 'trace']);

function isKept(name: string, width: number, colorScheme: string): boolean {
  if (!TAKES_PICTURES) return false;
  return width === 390 ? colorScheme === 'light' && PHONE_PICTURES.has(name) : WIDE_PICTURES.has(name);
}

const SIZES = [
  { width: 1440, height: 900 },
  { width: 390, height: 844 },
] as const;

let instance: Instance;
let browser: Browser;
let state: Awaited<ReturnType<BrowserContext['storageState']>>;
let pages: Record<string, string>;

before(async () => {
  instance = await startInstance();
  browser = await launch();
  const sender: Sender = { otlpUrl: instance.otlpUrl, apiKey: instance.firstRun.apiKey };
  const traceId = await sendAgent(sender);
  if (TAKES_PICTURES) await demo(instance);
  else await sendDays(sender, 300, 5);
  state = await logIn();
  const photoId = await protectOne();
  const shown = TAKES_PICTURES ? await talkingSpan() : `/traces/${traceId}`;
  pages = {
    overview: '/',
    traces: '/traces',
    preview: `/traces?open=${traceId}`,
    trace: shown,
    'trace-error': `/traces/${traceId}`,
    'trace-cost': `/traces/${traceId}?tab=cost`,
    'trace-raw': `/traces/${traceId}?tab=raw`,
    cost: '/cost',
    latency: '/latency',
    photos: '/photos',
    photo: `/photos/${photoId}`,
    protect: '/photos/protect',
    verify: '/photos/verify',
    keys: '/settings/keys',
    members: '/settings/members',
    audit: '/settings/audit',
    workspace: '/settings/workspace',
    appearance: '/settings/appearance',
    connect: '/connect',
    nowhere: '/nowhere',
  };
});

after(async () => {
  await browser?.close();
  await instance?.stop();
});

/** The traffic and photographs of `lumatrace demo`, for pictures worth looking at. */
async function demo({ dataDir }: Instance): Promise<void> {
  const main = fileURLToPath(new URL('packages/cli/src/main.ts', ROOT));
  const child = spawn(process.execPath, [main, 'demo', '--data', dataDir], { stdio: 'inherit' });
  const code = await new Promise((resolve) => child.once('exit', resolve));
  assert.equal(code, 0);
}

async function logIn(): Promise<typeof state> {
  const context = await browser.newContext();
  const { email, password } = instance.firstRun.admin;
  const headers = { origin: new URL(instance.url).origin };
  const login = await context.request.post(`${instance.url}/auth/login`, { data: { email, password }, headers });
  assert.equal(login.status(), 200, await login.text());
  const change = await context.request.post(`${instance.url}/auth/change-password`, {
    data: { currentPassword: password, newPassword: PASSWORD },
    headers,
  });
  assert.ok(change.ok(), await change.text());
  const kept = await context.storageState();
  await context.close();
  return kept;
}

/** The latest research of the demonstration, opened at its last model call. */
async function talkingSpan(): Promise<string> {
  const context = await browser.newContext({ storageState: state });
  const ask = async <Answer>(path: string): Promise<Answer> =>
    (await (await context.request.get(instance.url + path)).json()) as Answer;
  const { data } = await ask<{ data: { trace_id: string }[] }>(
    '/api/traces?service=research-agent&status=unset&limit=1',
  );
  const id = data[0]?.trace_id;
  const { spans } = await ask<{ spans: { span_id: string; model: string | null }[] }>(`/api/traces/${id}`);
  await context.close();
  return `/traces/${id}?span=${spans.findLast(({ model }) => model !== null)?.span_id}`;
}

async function protectOne(): Promise<string> {
  const context = await browser.newContext({ storageState: state });
  const page = await context.newPage();
  await page.goto(`${instance.url}/photos/protect`);
  await page
    .locator('input[type=file]')
    .setInputFiles({ name: 'figs.jpg', mimeType: 'image/jpeg', buffer: await readFile(PHOTO) });
  const link = page.getByRole('link', { name: 'Open the photo' });
  await link.waitFor({ timeout: 30_000 });
  const href = (await link.getAttribute('href')) ?? '';
  await context.close();
  return href.slice(href.lastIndexOf('/') + 1);
}

for (const viewport of SIZES) {
  for (const colorScheme of ['light', 'dark'] as const) {
    test(`every page at ${viewport.width} px, ${colorScheme}: quiet, within the window, accessible, still`, async () => {
      const context = await browser.newContext({ viewport, colorScheme, reducedMotion: 'reduce', storageState: state });
      const watch = new Watch(context, new URL(instance.url).origin);
      const page = await context.newPage();
      await observeShifts(page);
      for (const [name, path] of Object.entries(pages)) {
        await page.goto(instance.url + path);
        await settled(page);
        await assertFits(page, name);
        await assertAccessible(page, name);
        const shifts = await shiftsOf(page);
        assert.ok(totalOf(shifts) < 0.1, `${name}: layout shifts ${JSON.stringify(shifts)}`);
        if (isKept(name, viewport.width, colorScheme)) await picture(page, name, viewport.width, colorScheme);
      }
      if (isKept('verdict', viewport.width, colorScheme)) await verdictPicture(page, viewport.width, colorScheme);
      watch.assertQuiet();
      await context.close();
    });
  }
}

interface Shift {
  value: number;
  what: string[];
}

// layout shifts that no input caused, as the Layout Instability API reports them, with what moved
async function observeShifts(page: Page): Promise<void> {
  await page.addInitScript(`
    window.layoutShifts = [];
    const nameOf = ({ node }) => (node?.outerHTML ?? node?.textContent ?? 'gone').slice(0, 120);
    new PerformanceObserver((list) => {
      for (const { hadRecentInput, value, sources } of list.getEntries()) {
        if (!hadRecentInput) window.layoutShifts.push({ value, what: sources.map(nameOf) });
      }
    }).observe({ type: 'layout-shift', buffered: true });
  `);
}

async function shiftsOf(page: Page): Promise<Shift[]> {
  return (await page.evaluate('window.layoutShifts')) as Shift[];
}

function totalOf(shifts: Shift[]): number {
  return shifts.reduce((sum, { value }) => sum + value, 0);
}

async function picture(page: Page, name: string, width: number, colorScheme: string): Promise<void> {
  await mkdir(IMAGES, { recursive: true });
  await page.screenshot({ path: `${IMAGES}${name}-${width === 390 ? 'phone-' : ''}${colorScheme}.png` });
}

async function verdictPicture(page: Page, width: number, colorScheme: string): Promise<void> {
  await page.goto(`${instance.url}/photos/protect`);
  await page
    .locator('input[type=file]')
    .setInputFiles({ name: 'figs.jpg', mimeType: 'image/jpeg', buffer: await readFile(PHOTO) });
  const save = page.getByRole('button', { name: 'Save the protected picture' });
  await save.waitFor({ timeout: 30_000 });
  const [download] = await Promise.all([page.waitForEvent('download'), save.click()]);
  const buffer = await readFile(await download.path());
  await page.goto(`${instance.url}/photos/verify`);
  await page
    .locator('input[type=file]')
    .setInputFiles({ name: download.suggestedFilename(), mimeType: 'image/jpeg', buffer });
  await page.getByText('How the verdict came about').waitFor({ timeout: 30_000 });
  await settled(page);
  await picture(page, 'verdict', width, colorScheme);
}

test('the first load stays below 180 kB of JavaScript, gzipped, whichever page it is', async () => {
  for (const path of ['/', '/traces', '/cost', '/connect', '/photos/verify']) {
    const total = await firstLoadBytes(path);
    process.stderr.write(`first load of ${path}: ${total} bytes of gzipped JavaScript\n`);
    assert.ok(total > 0 && total <= MAX_FIRST_LOAD_BYTES, `${path}: ${total} bytes`);
  }
});

async function firstLoadBytes(path: string): Promise<number> {
  const context = await browser.newContext({ storageState: state });
  const page = await context.newPage();
  const scripts = new Set<string>();
  page.on('request', (request) => {
    if (request.resourceType() === 'script') scripts.add(new URL(request.url()).pathname);
  });
  await page.goto(instance.url + path);
  await settled(page);
  await context.close();
  let total = 0;
  for (const script of scripts) total += gzipSync(await readFile(new URL(`.${script}`, DIST)), { level: 9 }).length;
  return total;
}
