// Rows of the workbench: nothing without a verdict counts as checked, and reports hold what was answered and no formulas.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ApiError } from '../../api/client.ts';
import type { Verdict } from '../../api/photos.ts';
import { countGroups, csvReport, groupOf, jsonReport, reasonOf, type CheckTask } from './checked-list.ts';

const VERDICT: Verdict = {
  authentic: true,
  confidenceScore: 31.5,
  c2paStatus: 'VALID',
  watermarkStatus: 'DETECTED',
  tamperClass: 'NONE',
  changedRegions: null,
  tenantId: 't',
  message: '',
  findings: [],
  credentials: null,
};

function task(name: string, state: CheckTask['state'], input = 'p'): CheckTask {
  return { id: 1, file: new File(['123'], name, { type: 'image/jpeg' }), input, state, sentBack: 0 };
}
const done = (verdict: Verdict): CheckTask['state'] => ({ name: 'done', ms: 12.4, result: { photoId: 'p', verdict } });

const TASKS = [
  task('=HYPERLINK("x").jpg', { name: 'failed', error: new ApiError(400, { message: 'No, "broken"' }, new Headers()) }),
  task('cut.jpg', done({ ...VERDICT, authentic: false, c2paStatus: 'MISSING', tamperClass: 'CROP' })),
  task('a.jpg', done(VERDICT)),
];

test('only an answer puts a file into a group other than unchecked', () => {
  for (const name of ['waiting', 'working', 'cancelled'] as const)
    assert.equal(groupOf(task('a', { name })), 'unchecked');
  assert.deepEqual(countGroups(TASKS), { authentic: 1, derived: 1, 'not-authentic': 0, unchecked: 1 });
  assert.equal(groupOf(task('a', done({ ...VERDICT, authentic: false, c2paStatus: 'TAMPERED' }))), 'not-authentic');
});

test('a file that names no photo asks for one', () => {
  assert.equal(reasonOf(task('a', { name: 'waiting' }, '')), 'Which photo should it be?');
});

test('the CSV report is RFC 4180 in the order of the files, and no name becomes a formula', () => {
  const [head, first, second, third, end] = csvReport(TASKS).split('\r\n');
  assert.match(head ?? '', /^file,bytes,group,authentic,/);
  assert.equal(first, 'a.jpg,3,authentic,true,VALID,DETECTED,31.5,NONE,,p,12,No change was seen.');
  assert.match(second ?? '', /^cut\.jpg,3,derived,false,MISSING,DETECTED,31\.5,CROP,/);
  assert.equal(third, `"'=HYPERLINK(""x"").jpg",3,unchecked,,,,,,,,,"No, ""broken"""`);
  assert.equal(end, '');
});

test('the JSON report holds whole answers', () => {
  const report = JSON.parse(jsonReport(TASKS, new Date(0))) as { madeAt: string; files: { verdict: unknown }[] };
  assert.equal(report.madeAt, '1970-01-01T00:00:00.000Z');
  assert.deepEqual(
    report.files.map(({ verdict }) => verdict !== null),
    [true, true, false],
  );
  assert.deepEqual(report.files[0]?.verdict, VERDICT);
});
