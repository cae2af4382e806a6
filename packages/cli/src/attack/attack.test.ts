// A short run of the quick families against an instance of its own: the holes are found, the instance holds.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { attack, type Report } from './attack.ts';
import { readCorpora } from './corpora.ts';
import { FAMILIES } from './families.ts';
import type { Family } from './family.ts';
import { findsHole } from './planted.ts';
import { ownStage, type Prepared } from './stage.ts';

const SEED = 7;
/** What is over in half a minute, the rehearsals on holes included; `./lumatrace attack` runs them all. */
const QUICK_NAMES = new Set([
  'tenants', 'matrix', 'assignment', 'tokens', 'csrf', 'cors', 'hosts', 'methods', 'media', 'cursors', 'replays',
  'protection', 'smuggling', 'leaks', 'invitations', 'entrances',
]); // prettier-ignore
const QUICK = FAMILIES.filter(({ name }) => QUICK_NAMES.has(name));
const MOST = 20;
/** Nobody looks for programs here. */
const NEEDY: Family = { name: 'needy', about: 'x', holes: [], needsTool: 'sqlmap', run: () => Promise.resolve() };

let prepared: Prepared;
let report: Report;
before(async () => {
  prepared = await ownStage(readCorpora(undefined), MOST);
  report = await attack(prepared, {
    families: [...QUICK, NEEDY],
    seed: SEED,
    secondsAtMost: 300,
    settleMs: 0,
    say: () => {},
  });
});
after(() => prepared.close());

test('every family finds every hole that was planted for it', () => {
  const ran = report.perFamily.filter(({ notRun }) => notRun === undefined);
  const missed = ran.filter(({ planted, plantedFound }) => planted === 0 || planted !== plantedFound);
  assert.deepEqual(
    missed.map(({ family, findings }) => ({ family, findings })),
    [],
  );
  assert.ok(report.planted >= report.families);
});

test('nothing gets through, nothing breaks, every cell of the matrix is as the table says', () => {
  assert.deepEqual(
    report.perFamily.flatMap(({ family, findings }) => findings.map((finding) => ({ family, ...finding }))),
    [],
  );
  const { accepted, serverErrors, restarts, matrixMismatches, deniedWritesNotAudited } = report;
  assert.deepEqual(
    { accepted, serverErrors, restarts, matrixMismatches, deniedWritesNotAudited },
    { accepted: 0, serverErrors: 0, restarts: 0, matrixMismatches: 0, deniedWritesNotAudited: 0 },
  );
});

test('every figure of the report is a number, and no family was idle', () => {
  const { corpora: _, corporaMissing, skipped: __, perFamily, ...figures } = report;
  for (const [name, value] of Object.entries(figures)) assert.equal(typeof value, 'number', name);
  for (const { family, tried, refused, notRun } of perFamily) {
    assert.ok(notRun !== undefined || (tried > 0 && refused > 0), family);
  }
  assert.ok(corporaMissing.includes('JSONTestSuite'), 'built-in samples are named as such');
});

test('a family that does not look is counted as not having found its hole', async () => {
  const idle: Family = {
    name: 'idle',
    about: 'does nothing',
    holes: [{ name: 'a hole', open: () => ({ status: 500, headers: {}, body: 'at Object.<anonymous>' }) }],
    run: () => Promise.resolve(),
  };
  const [hole] = idle.holes;
  assert.ok(hole !== undefined);
  assert.equal(await findsHole(prepared.stage, idle, hole, SEED), false);
});

test('a family whose program is not installed says so and is not counted', () => {
  const rows = report.perFamily.filter(({ family }) => family === NEEDY.name);
  assert.deepEqual(
    rows.map(({ tried, notRun }) => ({ tried, notRun })),
    [{ tried: 0, notRun: 'nobody looked for it' }],
  );
  assert.equal(report.families, QUICK.length);
  assert.deepEqual(
    report.skipped.map(({ family }) => family),
    [NEEDY.name],
  );
});

test('the whole command has at least twenty families, each with a hole and a name of its own', () => {
  assert.ok(FAMILIES.length >= 20);
  assert.equal(new Set(FAMILIES.map(({ name }) => name)).size, FAMILIES.length);
  for (const { name, holes } of FAMILIES) assert.ok(holes.length > 0, name);
});
