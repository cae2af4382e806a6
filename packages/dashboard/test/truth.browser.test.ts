// Every history of the truth table on the verify page: the file is dropped, and the words are those of its row. The page is
// an installation's; its question goes on to the room of the histories, for only there leaves ended and were revoked.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { Browser, Page } from 'playwright-core';
import { isAuthentic } from '../../server/src/photos/truth/answer.fixture.ts';
import { openCast, type Cast } from '../../server/src/photos/truth/cast.fixture.ts';
import { HISTORIES, type History } from '../../server/src/photos/truth/histories.fixture.ts';
import { startInstance, type Instance } from '../../server/src/test/instance.ts';
import { firstLogin, launch } from './browser.ts';

const OTHER_MANIFEST = 'org.lumatrace.registration.manifestDiffers';
const UNLIKE = 'org.lumatrace.registration.looksUnlike';
const CHANGED_PARTS = 'org.lumatrace.watermark.missingParts';

let cast: Cast;
let instance: Instance;
let browser: Browser;
let page: Page;
let asked: { image: Buffer; photoId: string } | undefined;

before(async () => {
  cast = await openCast();
  instance = await startInstance();
  browser = await launch();
  const context = await browser.newContext();
  await firstLogin(context, instance);
  page = await context.newPage();
  await page.route('**/api/v1/photos/verify', async (route) => {
    if (asked === undefined) throw new Error('Expected a history to be asked about');
    await route.fulfill({ json: await cast.stage.verify(asked.image, asked.photoId) });
  });
});

after(async () => {
  await browser?.close();
  await instance?.stop();
  await cast?.stage.close();
});

test('each history gets its words on the verify page', async (context) => {
  for (const history of HISTORIES)
    await context.test(history.name, async () => {
      asked = await history.make(cast);
      await page.goto(`${instance.url}/photos/verify?photo=${asked.photoId}`);
      const [mimeType, buffer] = ['image/jpeg', asked.image];
      await page.locator('input[type=file]').first().setInputFiles({ name: 'question', mimeType, buffer });
      const said = page.getByRole('status').filter({ hasText: /uthentic/ });
      await said.waitFor({ timeout: 20_000 });
      assert.equal(await said.locator('p').first().textContent(), headlineOf(history));
      const facts = await page.locator('dl').first().innerText();
      assert.match(facts, new RegExp(`\\b${history.c2pa}\\b[^]*\\b${history.watermark}\\b`));
      assert.ok(
        await page
          .getByText(CHANGES[history.tamperClass ?? 'null'])
          .first()
          .isVisible(),
      );
    });
});

const CHANGES = {
  NONE: 'No change was seen.',
  COMPRESSION: 'It was compressed again.',
  RESIZE: 'Its size was changed.',
  CROP: 'A part was cut off.',
  STRUCTURAL_ALTERATION: 'Parts of the picture were altered.',
  null: 'There was nothing to compare it with.',
} as const;

/** What the page must say, by the row alone. */
function headlineOf(history: History): string {
  if (isAuthentic(history)) return 'Authentic';
  if (history.findings.includes(CHANGED_PARTS)) return 'Not authentic: parts of this photo were changed';
  if (history.c2pa === 'TAMPERED') return 'Not authentic: the file was changed';
  if (history.c2pa === 'INVALID') return 'Not authentic: its credentials cannot be trusted';
  if (history.findings.includes(OTHER_MANIFEST)) return 'Not authentic: its credentials are those of another picture';
  if (history.watermark === 'DETECTED' && history.findings.includes(UNLIKE))
    return 'Not authentic: it does not look like this photo';
  return history.watermark === 'DETECTED' ? 'Not authentic, but it comes from this photo' : 'Not authentic';
}
