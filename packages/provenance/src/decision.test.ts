// Every cell of the decision table, and the one that is authentic.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { C2paStatus } from './c2pa/verify.ts';
import { decide, tamperClassOf, type Evidence, type TamperClass, type WatermarkStatus } from './decision.ts';

const C2PA: readonly C2paStatus[] = ['VALID', 'INVALID', 'TAMPERED', 'MISSING'];
const WATERMARK: readonly (WatermarkStatus | 'not looked for')[] = [
  'DETECTED',
  'MARGINAL',
  'NOT_FOUND',
  'not looked for',
];
const REGISTRATION = ['issued for it', 'issued for another', 'no manifest', 'never protected'] as const;
const PICTURE = ['as recorded', 'other size', 'other content', 'not comparable', 'undecodable'] as const;

const TESTED = {
  DETECTED: { z: 30, log10p: -194.5 },
  MARGINAL: { z: 5.5, log10p: -5.7 },
  NOT_FOUND: { z: 0.4, log10p: 0 },
} as const;
const DISTANCE = { 'as recorded': 0, 'other size': 2, 'other content': 120, 'not comparable': null, undecodable: null };

function evidenceOf(
  c2pa: C2paStatus,
  watermark: (typeof WATERMARK)[number],
  registration: (typeof REGISTRATION)[number],
  picture: (typeof PICTURE)[number],
): Evidence {
  const match = { code: 'assertion.dataHash.match', severity: 'success', subject: 'c2pa', message: '' } as const;
  return {
    c2pa: { status: c2pa, findings: c2pa === 'VALID' ? [match] : [] },
    watermark: watermark === 'not looked for' ? null : { ...TESTED[watermark], verdict: watermark },
    recorded: registration === 'never protected' ? null : { width: 4000, height: 3000, quality: 90 },
    manifestMatches: registration === 'no manifest' ? null : registration === 'issued for it',
    picture: {
      decoded: picture !== 'undecodable',
      width: picture === 'other size' ? 1080 : 4000,
      height: picture === 'other size' ? 810 : 3000,
      quality: 90,
      fingerprintDistance: DISTANCE[picture],
    },
  };
}

for (const c2pa of C2PA)
  for (const watermark of WATERMARK)
    for (const registration of REGISTRATION)
      for (const picture of PICTURE) {
        const isTheOne =
          c2pa === 'VALID' && watermark === 'DETECTED' && registration === 'issued for it' && picture === 'as recorded';
        test(`${c2pa}, ${watermark}, ${registration}, ${picture}: ${isTheOne ? 'authentic' : 'not authentic'}`, () => {
          const decision = decide(evidenceOf(c2pa, watermark, registration, picture));
          assert.equal(decision.authentic, isTheOne);
          assert.equal(decision.c2paStatus, c2pa);
          assert.equal(decision.watermarkStatus, watermark === 'not looked for' ? 'NOT_FOUND' : watermark);
          assert.equal(decision.message.startsWith('Authentic'), isTheOne);
          const failures = decision.findings.filter(({ severity }) => severity === 'failure');
          assert.equal(failures.length === 0, isTheOne, failures.map(({ code }) => code).join());
          if (isTheOne) assert.equal(decision.tamperClass, 'NONE');
        });
      }

const base = evidenceOf('VALID', 'DETECTED', 'issued for it', 'as recorded');

test('a photo that lacks its watermark in one part is altered, wherever its credentials are', () => {
  const part = { x: 10, y: 20, width: 300, height: 200, log10p: -12 };
  for (const status of ['MISSING', 'TAMPERED', 'INVALID'] as const) {
    const decision = decide({
      ...base,
      c2pa: { status, findings: [] },
      manifestMatches: null,
      watermark: { ...TESTED.DETECTED, verdict: 'DETECTED', missing: [part], coverage: 1 },
    });
    assert.deepEqual(
      [decision.authentic, decision.tamperClass, decision.changedRegions],
      [false, 'STRUCTURAL_ALTERATION', [part]],
    );
    const finding = decision.findings.find(({ code }) => code === 'org.lumatrace.watermark.missingParts');
    assert.deepEqual(finding?.evidence, { regions: 1, ...part });
  }
});

test('a photo of which less is there than was protected is a crop, by the scale of its mark', () => {
  const watermark = { ...TESTED.DETECTED, verdict: 'DETECTED' as const, missing: [] };
  const evidence = { ...base, c2pa: { status: 'MISSING' as const, findings: [] }, manifestMatches: null };
  const classOf = (coverage: number | null): TamperClass =>
    tamperClassOf({ ...evidence, watermark: { ...watermark, coverage } });
  assert.deepEqual([classOf(0.8), classOf(0.99), classOf(null)], ['CROP', 'COMPRESSION', 'COMPRESSION']);
});

test('a photo with something around it is altered, whatever size the file has', () => {
  const watermark = { ...TESTED.DETECTED, verdict: 'DETECTED' as const, missing: [], coverage: 1.49 };
  const evidence = { ...base, c2pa: { status: 'MISSING' as const, findings: [] }, manifestMatches: null, watermark };
  for (const picture of [
    { decoded: true, width: 1020, height: 885, quality: null, fingerprintDistance: 53 },
    { decoded: true, width: 4000, height: 3000, quality: 90, fingerprintDistance: 2 },
  ])
    assert.equal(tamperClassOf({ ...evidence, picture }), 'STRUCTURAL_ALTERATION');
});

const messageAt = (fingerprintDistance: number | null): string => {
  const picture = { ...base.picture, fingerprintDistance };
  return decide({ ...base, c2pa: { status: 'MISSING', findings: [] }, manifestMatches: null, picture }).message;
};

test('a mark in a picture that is no likeness is not said to show the photo', () => {
  assert.match(messageAt(134), /does not look like it/);
  for (const distance of [0, 53, null]) assert.match(messageAt(distance), /shows this photo/);
});

test('a photo inside of something larger is not told apart by the fingerprint of the whole', () => {
  const watermark = { ...TESTED.DETECTED, verdict: 'DETECTED' as const, missing: [] };
  const saidOf = (coverage: number): string =>
    decide({
      ...base,
      c2pa: { status: 'MISSING', findings: [] },
      manifestMatches: null,
      watermark: { ...watermark, coverage },
      picture: { ...base.picture, width: 1020, height: 900, fingerprintDistance: 120 },
    }).message;
  assert.match(saidOf(1), /does not look like it/);
  assert.match(saidOf(1.4), /shows this photo/);
});

test('an own photo shrunk to 1080 px and saved as JPEG 75 is a resized one without credentials', () => {
  const decision = decide({
    ...base,
    c2pa: { status: 'MISSING', findings: [] },
    manifestMatches: null,
    picture: { decoded: true, width: 1080, height: 810, quality: 75, fingerprintDistance: 2 },
  });
  assert.deepEqual(
    [decision.authentic, decision.c2paStatus, decision.watermarkStatus, decision.tamperClass],
    [false, 'MISSING', 'DETECTED', 'RESIZE'],
  );
  assert.match(decision.message, /credentials were removed/);
  assert.equal(decision.confidenceScore, 30);
});

const TAMPERED = { status: 'TAMPERED', findings: [] } as const;
const MISSING = { status: 'MISSING', findings: [] } as const;
const INVALID = {
  status: 'INVALID',
  findings: [{ code: 'assertion.dataHash.match', severity: 'success', subject: 'c2pa', message: '' }],
} as const;
const same = { decoded: true, width: 4000, height: 3000, quality: 90, fingerprintDistance: 0 };

const CLASSES: readonly (readonly [string, Partial<Evidence>, TamperClass])[] = [
  ['intact bytes under an expired certificate', { c2pa: INVALID }, 'NONE'],
  ['a changed block under the old credentials', { c2pa: TAMPERED }, 'STRUCTURAL_ALTERATION'],
  ['credentials over a stronger compression', { c2pa: TAMPERED, picture: { ...same, quality: 60 } }, 'COMPRESSION'],
  [
    'the same size saved again',
    { c2pa: MISSING, manifestMatches: null, picture: { ...same, quality: 60 } },
    'COMPRESSION',
  ],
  [
    'the same size with other content',
    { c2pa: MISSING, picture: { ...same, fingerprintDistance: 18 } },
    'STRUCTURAL_ALTERATION',
  ],
  ['another size', { c2pa: MISSING, picture: { ...same, width: 2000, height: 1500 } }, 'RESIZE'],
  [
    'another aspect with other content',
    { c2pa: MISSING, picture: { ...same, width: 3600, fingerprintDistance: 44 } },
    'CROP',
  ],
  [
    'another aspect with the same content',
    { c2pa: MISSING, picture: { ...same, width: 3600, fingerprintDistance: 2 } },
    'RESIZE',
  ],
  [
    'a mark in a picture that hardly resembles the photo',
    { c2pa: MISSING, picture: { ...same, fingerprintDistance: 90 } },
    'STRUCTURAL_ALTERATION',
  ],
  ['another picture', { c2pa: MISSING, watermark: null, picture: { ...same, fingerprintDistance: 120 } }, null],
  ['a photo that was never protected', { recorded: null }, null],
  ['pixels that do not decode', { picture: { ...same, decoded: false, fingerprintDistance: null } }, null],
];

for (const [what, change, expected] of CLASSES)
  test(`${what}: ${expected ?? 'no class'}`, () => {
    assert.equal(tamperClassOf({ ...base, ...change }), expected);
  });
