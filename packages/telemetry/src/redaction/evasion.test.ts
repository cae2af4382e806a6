// What must not pass: tokens behind written escapes, deep down, after very many others; and texts made to take long.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decodeTracesJson } from '../otlp/json.ts';
import { decodeLogsJson } from '../otlp/logs.ts';
import { decodeMetricsJson } from '../otlp/metrics.ts';
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

/** Every field that is cut to 1,000 characters before anything is redacted, as it is kept. */
function keptOf(text: string): string[] {
  const ids = { traceId: '0'.repeat(31) + '1', spanId: '0'.repeat(15) + '1' };
  const times = { startTimeUnixNano: '1', endTimeUnixNano: '2' };
  const scope = { name: text, version: text };
  const span = { ...ids, ...times, name: text, status: { code: 2, message: text } };
  const { spans } = decodeTracesJson(JSON.stringify({ resourceSpans: [{ scopeSpans: [{ scope, spans: [span] }] }] }));
  const log = { timeUnixNano: '1', eventName: text, severityText: text };
  const { records } = decodeLogsJson(JSON.stringify({ resourceLogs: [{ scopeLogs: [{ logRecords: [log] }] }] }));
  const metric = {
    name: text,
    description: text,
    unit: text,
    gauge: { dataPoints: [{ timeUnixNano: '1', asInt: '1' }] },
  };
  const { points } = decodeMetricsJson(
    JSON.stringify({ resourceMetrics: [{ scopeMetrics: [{ metrics: [metric] }] }] }),
  );
  const [{ name, statusMessage, context }] = secrets.redactSpans(spans) as [(typeof spans)[0]];
  const [{ eventName, severityText }] = secrets.redactLogs(records) as [(typeof records)[0]];
  const cut = [name, statusMessage, context.scopeName, context.scopeVersion, eventName, severityText];
  const { metric: taken } = points[0]!;
  return [...cut, ...[taken.name, taken.description, taken.unit].map((each) => secrets.redactText(each).text)];
}

test('where a long name is cut through a secret, no part of it is left', () => {
  const hidden = [
    ...TOKENS.map((token) => [token, token.slice(0, 6)] as const),
    ['postgres://app:s3cretWord@db.internal/app', 's3c'],
    ['password=hunter22-hunter22', 'hun'],
  ] as const;
  for (const [token, part] of hidden) {
    for (let shown = 1; shown <= token.length + 1; shown++) {
      const lead = 'word '.repeat(200).slice(0, 999 - shown);
      for (const kept of keptOf(`${lead} ${token} and more`)) {
        assert.ok(kept.length <= 1_000 + 40 && kept.startsWith('word word'), kept);
        assert.ok(!kept.includes(part), `${shown} of ${token}: ${kept.slice(-60)}`);
      }
    }
  }
  for (const kept of keptOf(`eyJhbGciOiJIUzI1NiJ9${'a'.repeat(5_000)}.c2lnbmF0dXJl`)) assert.equal(kept, '…');
  for (const kept of keptOf(`${'word '.repeat(197)}4111 1111 1111 1111`)) assert.ok(!kept.includes('1111'), kept);
  for (const kept of keptOf('word '.repeat(200))) assert.equal(kept, 'word '.repeat(200));
  for (const kept of keptOf('word '.repeat(300))) assert.equal(kept, 'word '.repeat(200).trimEnd());
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
