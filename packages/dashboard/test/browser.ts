// A headless Chromium that remembers what must not happen: console errors, failed scripts, requests to elsewhere.
import { createRequire } from 'node:module';
import { existsSync } from 'node:fs';
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { chromium, type Browser, type BrowserContext, type Page } from 'playwright-core';

const ARGUMENTS = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  '--no-first-run',
];
const CANDIDATES = ['/usr/bin/chromium', '/usr/bin/google-chrome'];

export function launch(): Promise<Browser> {
  const executablePath = process.env['CHROMIUM_PATH'] ?? CANDIDATES.find((path) => existsSync(path));
  if (executablePath === undefined) throw new Error('Expected Chromium at /usr/bin/chromium or in CHROMIUM_PATH');
  return chromium.launch({ executablePath, args: ARGUMENTS });
}

/** Everything in a context that should make a test fail. */
export class Watch {
  readonly complaints: string[] = [];
  readonly #origin: string;

  constructor(context: BrowserContext, origin: string) {
    this.#origin = origin;
    context.on('console', (message) => {
      if (message.type() === 'error' || message.type() === 'warning') this.#add(`console: ${message.text()}`);
    });
    context.on('weberror', (error) => this.#add(`error: ${error.error().message}`));
    context.on('request', (request) => {
      const url = new URL(request.url());
      if (url.protocol.startsWith('http') && url.origin !== this.#origin) this.#add(`request to ${request.url()}`);
    });
  }

  #add(complaint: string): void {
    this.complaints.push(complaint);
  }

  /** Fails with what was noted, except lines that a test provoked on purpose. */
  assertQuiet(provoked?: RegExp): void {
    assert.deepEqual(
      this.complaints.filter((complaint) => provoked === undefined || !provoked.test(complaint)),
      [],
    );
    this.complaints.length = 0;
  }
}

const axePath = createRequire(import.meta.url).resolve('axe-core/axe.min.js');
const axeSource = await readFile(axePath, 'utf8');

interface AxeResult {
  violations: { id: string; nodes: { target: string[]; failureSummary?: string }[] }[];
}

/** Fails when axe finds a violation of WCAG 2.2 A or AA, or of its best practices. */
export async function assertAccessible(page: Page, where: string): Promise<void> {
  await page.evaluate(axeSource);
  const found = (await page.evaluate(
    `axe.run(document, { runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'] })`,
  )) as AxeResult;
  const violations = found.violations.map(
    ({ id, nodes }) => `${id}: ${nodes[0]?.target.join(' ')} ${nodes[0]?.failureSummary}`,
  );
  assert.deepEqual(violations, [], where);
}

/** Fails when something is wider than the window, so that a phone would scroll sideways. */
export async function assertFits(page: Page, where: string): Promise<void> {
  const [content, window] = await page.evaluate(() => [document.documentElement.scrollWidth, innerWidth] as const);
  assert.ok(content <= window, `${where}: ${content} px of content in ${window} px`);
}

/** Waits until nothing is loading and no request is under way. */
export async function settled(page: Page): Promise<void> {
  await page.waitForLoadState('networkidle');
  await page.waitForFunction(() => document.querySelector('[aria-label="Loading"], [aria-busy="true"]') === null);
}

/** Settled, no wider than the window, accessible; a picture of it where LUMATRACE_DASHBOARD_PICTURES names a folder. */
export async function looksRight(page: Page, name: string): Promise<void> {
  await settled(page);
  await assertFits(page, name);
  await assertAccessible(page, name);
  const folder = process.env['LUMATRACE_DASHBOARD_PICTURES'];
  if (folder !== undefined) await page.screenshot({ path: `${folder}/${name}.png` });
}

/** What a person types who comes first; every browser test logs in with it afterwards. */
export const PASSWORD = 'a quiet harbour at noon';

/** Logs the first person in by the API and chooses a password: the cookies are the context's. */
export async function firstLogin({ request }: BrowserContext, instance: StartedInstance): Promise<void> {
  const { email, password } = instance.firstRun.admin;
  const headers = { origin: new URL(instance.url).origin };
  const login = await request.post(`${instance.url}/auth/login`, { data: { email, password }, headers });
  assert.equal(login.status(), 200, await login.text());
  const change = { currentPassword: password, newPassword: PASSWORD };
  assert.ok((await request.post(`${instance.url}/auth/change-password`, { data: change, headers })).ok());
}

interface StartedInstance {
  readonly url: string;
  readonly firstRun: { readonly admin: { readonly email: string; readonly password: string } };
}
