// The palette against WCAG 2.2: every pair of tokens that meets on a page, in light and in dark.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';

type Theme = 'light' | 'dark';
const TOKEN = /--([a-z0-9-]+): light-dark\(#([0-9a-f]{6}), #([0-9a-f]{6})\);/g;
const css = readFileSync(new URL('tokens.css', import.meta.url), 'utf8');
const tokens = new Map([...css.matchAll(TOKEN)].map(([, name, light, dark]) => [name, { light, dark }]));

const GROUNDS = ['canvas', 'surface', 'sunken', 'raised', 'hover', 'selected'];
const TEXT = ['ink', 'ink-2', 'ink-3', 'accent', 'ok', 'warn', 'error'];
const SERIES = ['1', '2', '3', '4', '5', '6', '7', 'rest'].map((slot) => `series-${slot}`);

// text 4.5:1 (1.4.3), parts of controls and charts 3:1 (1.4.11)
const PAIRS: [string, string, number][] = [
  ...TEXT.flatMap((text) => GROUNDS.map((ground): [string, string, number] => [text, ground, 4.5])),
  ...['ok', 'warn', 'error'].flatMap((status): [string, string, number][] => [
    [status, `${status}-wash`, 4.5],
    ['ink', `${status}-wash`, 4.5],
    ['ink-2', `${status}-wash`, 4.5],
  ]),
  ['accent', 'accent-wash', 4.5],
  ['ink', 'accent-wash', 4.5],
  ['on-accent', 'accent', 4.5],
  ['on-accent', 'accent-strong', 4.5],
  ...['canvas', 'surface', 'raised'].map((ground): [string, string, number] => ['line-control', ground, 3]),
  ...SERIES.flatMap((series) =>
    ['canvas', 'surface', 'selected'].map((ground): [string, string, number] => [series, ground, 3]),
  ),
];

for (const theme of ['light', 'dark'] as const) {
  test(`every pair of colours that meets has the contrast WCAG 2.2 AA asks for (${theme})`, () => {
    const tooWeak = PAIRS.map(([ink, ground, least]) => ({ ink, ground, least, ratio: contrast(ink, ground, theme) }))
      .filter(({ ratio, least }) => ratio < least)
      .map(({ ink, ground, least, ratio }) => `${ink} on ${ground}: ${ratio.toFixed(2)} < ${least}`);
    assert.deepEqual(tooWeak, []);
  });
}

test('the contrast of black on white is 21 and of equal colours 1, as WCAG defines', () => {
  assert.equal(ratioOf('000000', 'ffffff'), 21);
  assert.equal(ratioOf('767676', '767676'), 1);
  assert.ok(Math.abs(ratioOf('767676', 'ffffff') - 4.54) < 0.01);
});

test('every colour is defined for both themes, and nothing outside the tokens names a colour', () => {
  const colours = css.match(/#[0-9a-f]{3,8}\b/gi) ?? [];
  assert.equal(colours.length, tokens.size * 2);
});

function contrast(ink: string, ground: string, theme: Theme): number {
  return ratioOf(hexOf(ink, theme), hexOf(ground, theme));
}

function hexOf(name: string, theme: Theme): string {
  const hex = tokens.get(name)?.[theme];
  assert.ok(hex, `Expected a token --${name} in tokens.css`);
  return hex;
}

// WCAG 2.2, "contrast ratio" and "relative luminance"
function ratioOf(one: string, other: string): number {
  const [low, high] = [luminance(one), luminance(other)].sort((a, b) => a - b) as [number, number];
  return (high + 0.05) / (low + 0.05);
}

function luminance(hex: string): number {
  const channel = (at: number): number => {
    const value = Number.parseInt(hex.slice(at, at + 2), 16) / 255;
    return value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
  };
  return 0.2126 * channel(0) + 0.7152 * channel(2) + 0.0722 * channel(4);
}
