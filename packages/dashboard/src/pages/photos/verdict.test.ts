// Every answer that verify can give, in words; none but `authentic: true` is good news.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Verdict } from '../../api/photos.ts';
import { chanceOf, changeSeen, spoken, timelineOf } from './verdict.ts';

const VERDICT: Verdict = {
  authentic: false,
  confidenceScore: null,
  c2paStatus: 'MISSING',
  watermarkStatus: 'NOT_FOUND',
  tamperClass: null,
  changedRegions: null,
  tenantId: '',
  message: '',
  findings: [],
  credentials: null,
};

const finding = (subject: 'file' | 'c2pa' | 'decision') =>
  ({ code: subject, severity: 'info', subject, message: '' }) as const;

test('no combination that is not authentic sounds like success', () => {
  for (const c2paStatus of ['VALID', 'INVALID', 'TAMPERED', 'MISSING'] as const) {
    for (const watermarkStatus of ['DETECTED', 'MARGINAL', 'NOT_FOUND'] as const) {
      const { tone, headline } = spoken({ ...VERDICT, c2paStatus, watermarkStatus });
      assert.notEqual(tone, 'ok');
      assert.match(headline, /^Not authentic/);
    }
  }
  assert.equal(spoken({ ...VERDICT, authentic: true }).tone, 'ok');
});

test('a stripped copy is told apart from a stranger’s picture', () => {
  assert.equal(spoken({ ...VERDICT, watermarkStatus: 'DETECTED' }).tone, 'warn');
  assert.equal(spoken(VERDICT).tone, 'error');
});

const coded = (code: string): Verdict['findings'] => [{ ...finding('c2pa'), code }];

test('credentials of another picture, and a copied watermark, are not called this photo', () => {
  const foreign = coded('org.lumatrace.registration.manifestDiffers');
  for (const watermarkStatus of ['DETECTED', 'NOT_FOUND'] as const) {
    const said = spoken({ ...VERDICT, c2paStatus: 'VALID', watermarkStatus, findings: foreign });
    assert.match(said.headline, /credentials are those of another picture/);
    assert.equal(said.tone, 'error');
  }
  const copied = coded('org.lumatrace.registration.looksUnlike');
  const said = spoken({ ...VERDICT, watermarkStatus: 'DETECTED', findings: copied });
  assert.deepEqual([said.tone, said.headline], ['error', 'Not authentic: it does not look like this photo']);
  assert.equal(spoken({ ...VERDICT, findings: copied }).headline, 'Not authentic');
});

test('the score is told with its probability, and nothing is told where nothing was measured', () => {
  assert.equal(chanceOf(VERDICT), undefined);
  assert.match(
    chanceOf({ ...VERDICT, confidenceScore: 5.99781, watermarkStatus: 'DETECTED' }) ?? '',
    /found: score 6\.0.*1 × 10\^-9/,
  );
  assert.match(chanceOf({ ...VERDICT, confidenceScore: 0 }) ?? '', /not found.*0\.5/);
  assert.equal(changeSeen(VERDICT), 'There was nothing to compare it with.');
});

test('findings are told by subject in the order of the story', () => {
  const stages = timelineOf([finding('decision'), finding('c2pa'), finding('file'), finding('c2pa')]);
  assert.deepEqual(
    stages.map(({ title, findings }) => [title, findings.length]),
    [
      ['The file', 1],
      ['Content credentials', 2],
      ['Decision', 1],
    ],
  );
});
