// What must not pass: tokens behind written escapes, deep down, after very many others; and texts made to take long.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { compileRedaction, DEFAULT_REDACTION } from '../redact.ts';
import type { Json } from '../span.ts';

const TOKEN = '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';
const TOKENS = [
  TOKEN,
  'sk-proj-a1B2c3D4e5F6g7H8i9J0k1L2m3N4',
  'AKIAIOSFODNN7EXAMPLE',
  'eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl',
  'hf_aBcDeFgHiJkLmNoPqRsTuVwXyZaBcDeFgH',
];
const secrets = compileRedaction(DEFAULT_REDACTION);
const all = compileRedaction({
  ...DEFAULT_REDACTION,
  personalData: true,
  rules: DEFAULT_REDACTION.rules.map((rule) => ({ ...rule, enabled: true })),
});

const BEFORE = [
  '\\n',
  '\\t',
  '\\r',
  '\\r\\n',
  '\\\\n',
  '\\b',
  '\\x0a',
  '\\xe9',
  '\\u00e9',
  '\\u000a',
  '\\u2028',
  '\\U0001F600',
  '%3D',
  '%20',
  '%0A',
  '%253D',
  '%C3%A9',
  '\u001b[31m',
  '\u001b[0;1;32m',
  '\\u001b[31m',
  '\\x1b[31m',
  '\\033[31m',
  '\\e[1m',
];

test('a token is found behind every written escape, percent-encoding and colour', () => {
  for (const before of BEFORE) {
    for (const token of TOKENS) {
      for (const text of [`log:${before}${token}`, `data: {"a":"line one${before}${token}"}`, `x${before}${token}`]) {
        const after = secrets.redactText(text).text;
        assert.ok(!after.includes(token.slice(-10)), `${text} → ${after}`);
        assert.ok(after.includes(before), 'the escape itself stays');
      }
    }
  }
  assert.equal(secrets.redactText('GET /q?a=1&password%3Dhunter22%26b').text.includes('hunter22'), false);
});

test('escapes in ordinary texts change nothing', () => {
  for (const text of ['C:\\new\\temp\\x', '100%25 of %20 names', '\u001b[31mred\u001b[0m', 'a\\nb\\tc \\u00e9']) {
    assert.equal(secrets.redactText(text).text, text);
  }
});

test('lists and members in each other are read to the depth that decoders take, and beyond it taken out', () => {
  const nested = (depth: number, wrap: (inner: Json) => Json): Json =>
    Array.from({ length: depth }).reduce<Json>((inner) => wrap(inner), TOKEN);
  for (const wrap of [(inner: Json) => [inner], (inner: Json) => ({ a: inner })]) {
    for (const depth of [11, 13, 16, 32, 63, 64, 65, 66, 200, 1_000]) {
      const after = JSON.stringify(secrets.redactAttributes({ x: nested(depth, wrap) }));
      assert.ok(!after.includes('zQWB'), `${depth}: ${after}`);
      assert.ok(after.includes(depth < 60 ? '[redacted:github-token]' : '[redacted:'));
    }
  }
  const inDepth = nested(20, (inner) => [inner]);
  assert.deepEqual(
    secrets.redactJson(nested(20, (inner) => [inner === TOKEN ? 'harmless' : inner])),
    JSON.parse(JSON.stringify(inDepth).replace(TOKEN, 'harmless')),
  );
});

test('findings have no number beyond which they stay', () => {
  for (const piece of [`${TOKEN} `, 'password=abc123x ']) {
    const after = secrets.redactText(piece.repeat(70_001)).text;
    assert.ok(!after.includes('zQWB') && !after.includes('abc123x'));
  }
});

test('tokens in pieces of a list are taken out in one pass', () => {
  const list = [
    'a ',
    'ghp_zQWBuTSOoRi4A9',
    'spHcVY5ncns',
    'DkxkJ0mLq17 and ghp_zQWBuTSOoRi4A9',
    'spHcVY5ncnsDkxkJ0mLq17',
    ' b',
    TOKEN,
  ];
  assert.deepEqual(secrets.redactJson(list), [
    'a ',
    '[redacted:github-token]',
    '',
    ' and [redacted:github-token]',
    '',
    ' b',
    '[redacted:github-token]',
  ]);
});

/** Milliseconds of the processor for the seed repeated to `length`, as often as makes `total` characters together. */
function timeOf(seed: string, length: number, total: number, asList: boolean): number {
  const count = Math.ceil(length / seed.length);
  const text = asList ? '' : seed.repeat(count);
  const start = process.cpuUsage();
  for (let done = 0; done < total; done += length) {
    if (asList)
      secrets.redactJson(Array.from({ length: count }, (_, i) => (i % 2 === 0 ? seed : `${seed.slice(22)} `)));
    else all.redactText(text);
  }
  const { user, system } = process.cpuUsage(start);
  return (user + system) / 1_000;
}

test('the same number of characters takes the same time in short texts and in one long one', () => {
  const seeds = [
    'eyJ',
    'eyJa',
    'eyJaaaaaaaa',
    '%3DeyJ',
    '\\neyJ',
    '-----BEGIN PRIVATE KEY----- -----END PRIVATE KEY-----',
    '-----BEGIN PRIVATE KEY-----',
    'aws ',
    'secret',
    'cookie:a=',
    'password=(',
    'token=a.',
    '<password>',
    'curl -u ',
    '--password ',
    ' -u a:',
    'ya29.',
    'SG.',
    'basic ',
    'Basic aaaaaaaa',
    'x\\u001b[',
    '%25',
  ];
  const list = 'ghp_abcdefghij0123456789KLMN0123456789abcd';
  for (const [seed, asList] of [...seeds.map((each) => [each, false] as const), [list, true] as const]) {
    const [short, long, total] = [1_000, 128_000, 256_000];
    timeOf(seed, short, total, asList);
    const small = Math.max(20, timeOf(seed, short, total, asList));
    const large = timeOf(seed, long, total, asList);
    // a quadratic one takes 128 times as long
    assert.ok(large < small * 8, `${JSON.stringify(seed)}: ${small} ms in short texts, ${large} ms in a long one`);
  }
});
