// The dashboard under its content security policy: no page breaks it, and an injected one cannot get round it.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { Browser, BrowserContext, Page } from 'playwright-core';
import { startInstance, type Instance } from '../../server/src/test/instance.ts';
import { launch, settled } from './browser.ts';

const PAGES = [
  '/',
  '/traces',
  '/latency',
  '/photos/protect',
  '/photos/verify',
  '/settings/keys',
  '/settings/audit',
  '/settings/redaction',
  '/connect',
  '/nowhere',
  '/docs',
];
const HOSTILE = '<img src=x onerror="alert(1)"><script>alert(2)</script>';

let instance: Instance;
let browser: Browser;
let context: BrowserContext;
before(async () => {
  instance = await startInstance();
  browser = await launch();
  context = await browser.newContext();
  const { email, password } = instance.firstRun.admin;
  const headers = { origin: instance.url };
  const login = await context.request.post(`${instance.url}/auth/login`, { data: { email, password }, headers });
  assert.equal(login.status(), 200);
  const passwords = { currentPassword: password, newPassword: 'a quiet harbour at noon' };
  const change = await context.request.post(`${instance.url}/auth/change-password`, { data: passwords, headers });
  assert.ok(change.ok());
  await context.addInitScript(() => {
    const seen: string[] = [];
    Object.assign(globalThis, { violations: seen });
    document.addEventListener('securitypolicyviolation', (event) =>
      seen.push(`${event.violatedDirective} ${event.blockedURI} ${event.sample}`),
    );
  });
});
after(async () => {
  await browser?.close();
  await instance?.stop();
});

async function open(path: string): Promise<Page> {
  const page = await context.newPage();
  page.on('dialog', () => assert.fail('a dialog opened'));
  await page.goto(`${instance.url}${path}`);
  await settled(page);
  return page;
}

function violationsOf(page: Page): Promise<string[]> {
  return page.evaluate(() => (globalThis as unknown as { violations: string[] }).violations);
}

test('no page breaks the policy', async () => {
  for (const path of PAGES) {
    const page = await open(path);
    assert.deepEqual(await violationsOf(page), [], path);
    assert.notEqual((await page.locator('body').innerText()).trim(), '', path);
    await page.close();
  }
});

test('text becomes neither markup nor script, whatever code tries it, and each try is seen', async () => {
  const page = await open('/traces');
  const refused = await page.evaluate((hostile) => {
    const tries: Record<string, () => void> = {
      innerHTML: () => void (document.body.innerHTML = hostile),
      insertAdjacentHTML: () => document.body.insertAdjacentHTML('beforeend', hostile),
      src: () => void (document.createElement('script').src = '/appearance.js'),
      // oxlint-disable-next-line no-implied-eval
      timeout: () => void setTimeout('alert(3)', 0),
      policy: () =>
        void (
          globalThis as unknown as { trustedTypes: { createPolicy(name: string, rules: object): void } }
        ).trustedTypes.createPolicy('mine', { createHTML: (text: string) => text }),
    };
    return Object.entries(tries).flatMap(([name, attempt]) => {
      try {
        attempt();
        return [];
      } catch {
        return [name];
      }
    });
  }, HOSTILE);
  assert.deepEqual(refused, ['innerHTML', 'insertAdjacentHTML', 'src', 'timeout', 'policy']);
  const violations = await violationsOf(page);
  assert.ok(violations.length >= 5, violations.join('\n'));
  await page.close();
});
