// How long a trace takes from the click to its painted rows, in headless Chromium on a warm server.
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { chromium } from 'playwright-core';
import type { Instance } from '../packages/server/src/test/instance.ts';
import { quantile, round } from './report.ts';

const ROUNDS = 9;
/** Runs in the page. */
const ROWS_PAINTED = `
  document.querySelectorAll('[role=treegrid] [role=row]').length > 10 &&
  new Promise((resolve) => requestAnimationFrame(() => setTimeout(() => resolve(performance.now()))))
`;
const PASSWORD_FILE = 'bench-password';

/**
 * From the start of the navigation (a full load of the page's address) to the frame in which its rows stand;
 * `wholeAnswerMs` is the answer with every message in it, which scripts read.
 */
export async function paintTimes(
  instance: Instance,
  traceId: string,
): Promise<{ p50Ms: number; p95Ms: number; wholeAnswerMs: number }> {
  const password = await ownPassword(instance);
  const executablePath = process.env['CHROMIUM_PATH'] ?? '/usr/bin/chromium';
  const browser = await chromium.launch({ executablePath, args: ['--no-sandbox', '--disable-gpu'] });
  try {
    const context = await browser.newContext({ viewport: { width: 1440, height: 900 }, bypassCSP: true });
    const page = await context.newPage();
    await page.goto(instance.url);
    const login = { email: instance.firstRun.admin.email, password };
    const answer = await context.request.post(`${instance.url}/auth/login`, {
      data: login,
      headers: { origin: instance.url },
    });
    if (!answer.ok()) throw new Error(`The login was answered with ${answer.status()}`);
    const takenMs: number[] = [];
    for (let i = 0; i < ROUNDS; i++) {
      await page.goto('about:blank');
      await page.goto(`${instance.url}/traces/${traceId}`, { waitUntil: 'commit' });
      // the first frame after the rows are there, by the page's own clock, which starts with the navigation
      const handle = await page.waitForFunction(ROWS_PAINTED, undefined, { polling: 'raf' });
      const paintedMs = await handle.jsonValue();
      await page.waitForLoadState('networkidle');
      if (i > 1) takenMs.push(Number(paintedMs));
    }
    const startedMs = performance.now();
    await (
      await fetch(`${instance.url}/api/traces/${traceId}`, {
        headers: { authorization: `Bearer ${instance.firstRun.apiKey}` },
      })
    ).json();
    const wholeAnswerMs = round(performance.now() - startedMs);
    return { p50Ms: round(quantile(takenMs, 0.5)), p95Ms: round(quantile(takenMs, 0.95)), wholeAnswerMs };
  } finally {
    await browser.close();
  }
}

/** The first password must be changed once; a kept instance remembers that it was. */
async function ownPassword({ url, dataDir, firstRun }: Instance): Promise<string> {
  const file = join(dataDir, PASSWORD_FILE);
  const known = await readFile(file, 'utf8').catch(() => undefined);
  if (known !== undefined) return known;
  const post = async (path: string, body: object, cookie?: string): Promise<Response> => {
    const answer = await fetch(`${url}${path}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', origin: url, ...(cookie === undefined ? {} : { cookie }) },
      body: JSON.stringify(body),
    });
    if (!answer.ok) throw new Error(`${path} was answered with ${answer.status}: ${await answer.text()}`);
    return answer;
  };
  const { email, password } = firstRun.admin;
  const login = await post('/auth/login', { email, password });
  const cookie = login.headers
    .getSetCookie()
    .map((line) => line.split(';', 1)[0])
    .join('; ');
  const newPassword = `bench of ${firstRun.tenant.id}`;
  await post('/auth/change-password', { currentPassword: password, newPassword }, cookie);
  await writeFile(file, newPassword, { mode: 0o600 });
  return newPassword;
}
