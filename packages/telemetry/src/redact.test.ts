// Redaction as its callers use it: texts, JSON in texts, spans and logs whole, overlaps, actions, rules of tenants, time.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { decodeTracesJson } from './otlp/json.ts';
import { decodeLogsJson } from './otlp/logs.ts';
import {
  compileRedaction,
  DEFAULT_REDACTION,
  RedactionRuleError,
  type RedactionRule,
  type RedactionRules,
} from './redact.ts';
import { clean } from './text.ts';

const KEY = `sk-proj-a1B2c3D4e5F6g7H8i9J0k1L2m3N4`;
const everything: RedactionRules = { ...DEFAULT_REDACTION, personalData: true };
const secrets = compileRedaction(DEFAULT_REDACTION);
const all = compileRedaction(everything, { hashKey: new Uint8Array(32).fill(1) });

const own = (pattern: string, more: Partial<RedactionRule> = {}): RedactionRules => ({
  ...DEFAULT_REDACTION,
  rules: [
    ...DEFAULT_REDACTION.rules,
    { id: 'case-number', name: 'Case', source: 'tenant', pattern, action: 'mask', enabled: true, ...more },
  ],
});
const withAction = (id: string, action: RedactionRule['action']): RedactionRules => ({
  ...everything,
  rules: everything.rules.map((rule) => (rule.id === id ? { ...rule, action } : rule)),
});

test('by default secrets are masked and personal data stays', () => {
  const text = `mail ada@example.org, key ${KEY}`;
  assert.deepEqual(secrets.redactText(text), {
    text: 'mail ada@example.org, key [redacted:openai-key]',
    hits: [{ ruleId: 'openai-key', count: 1 }],
  });
  assert.equal(all.redactText(text).text, 'mail [redacted:email], key [redacted:openai-key]');
});

test('JSON in a text stays valid and keeps its spaces and large numbers', () => {
  const text = `{ "n": 12345678901234567890123, "a": ["x ${KEY}"],\n "k": 1.50 }`;
  const after = secrets.redactText(text).text;
  assert.equal(after, text.replace(KEY, '[redacted:openai-key]'));
  JSON.parse(after);
});

test('what escapes of JSON hide is found, at every depth, also in JSON that was cut off', () => {
  const hidden = KEY.replace('sk-', '\\u0073\\u006b\\u002d');
  for (const text of [
    `{"a":"${hidden}"}`,
    JSON.stringify({ inner: `{"a":"${hidden}"}` }),
    `{"a":"${hidden}", "cut`,
    `"postgres:\\/\\/app:s3cret@db"`,
  ]) {
    const after = secrets.redactText(text).text;
    assert.match(after, /\[redacted:(?:openai-key|connection-password)\]/);
    assert.ok(!after.includes('a1B2c3D4e5F6') && !after.includes('s3cret'), after);
  }
});

test('a member or attribute whose name says that it is secret loses its value', () => {
  assert.equal(
    secrets.redactText('{"client_secret":"plain words"}').text,
    '{"client_secret":"[redacted:named-secret]"}',
  );
  assert.deepEqual(
    { ...secrets.redactAttributes({ 'db.password': 'letmein', 'gen_ai.usage.total_tokens': '1234' }) },
    {
      'db.password': '[redacted:named-secret]',
      'gen_ai.usage.total_tokens': '1234',
    },
  );
  assert.deepEqual(secrets.redactJson({ headers: { Authorization: ['Basic x7'] } }), {
    headers: { Authorization: ['[redacted:named-secret]'] },
  });
});

test('a password that is a number is one, a count of tokens is none', () => {
  assert.equal(
    secrets.redactText('{"password":12345678,"token":1234}').text,
    '{"password":"[redacted:named-secret]","token":1234}',
  );
  assert.equal(secrets.redactText('pwd: "Tr0ub4dor&3"').text, 'pwd: "[redacted:assigned-secret]"');
});

test('a token in pieces of a list is found, and one of lines too', () => {
  assert.deepEqual(secrets.redactJson([`my ${KEY.slice(0, 9)}`, KEY.slice(9), ' ok']), [
    'my [redacted:openai-key]',
    '',
    ' ok',
  ]);
  const pem = ['-----BEGIN PRIVATE KEY-----', 'MIIEvQIBADANBgkqhkiG9w0B', '-----END PRIVATE KEY-----'];
  assert.ok(!JSON.stringify(secrets.redactJson(pem)).includes('MIIE'));
});

test('findings that overlap go together, under the name of the longest', () => {
  const text = `postgres://ada@example.org:${KEY}@db.example.org/x`;
  const after = all.redactText(text).text;
  assert.ok(!after.includes('ada') && !after.includes('a1B2'), after);
  const jwt = `Authorization: Bearer eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl`;
  assert.match(secrets.redactText(jwt).text, /^Authorization: (?:Bearer )?\[redacted:(?:jwt|authorization)\]$/);
});

test('pictures in a text are not read as text', () => {
  const url = `data:image/png;base64,${'AKIAIOSFODNN7EXAMPLE'.repeat(8)}`;
  assert.equal(all.redactText(url).text, url);
});

test('hash joins equal values however they are written, and depends on the key', () => {
  const a = compileRedaction(withAction('iban', 'hash'), { hashKey: new Uint8Array(32).fill(1) });
  const b = compileRedaction(withAction('iban', 'hash'), { hashKey: new Uint8Array(32).fill(2) });
  const spaced = a.redactText('DE89 3704 0044 0532 0130 00').text;
  assert.match(spaced, /^\[hash:iban:[0-9a-f]{16}\]$/);
  assert.equal(a.redactText('DE89370400440532013000').text, spaced);
  assert.notEqual(b.redactText('DE89370400440532013000').text, spaced);
});

test('drop takes the whole attribute; inside JSON the whole text', () => {
  const dropping = compileRedaction(withAction('email', 'drop'));
  assert.deepEqual({ ...dropping.redactAttributes({ a: 'to ada@example.org', b: 'x' }) }, { b: 'x' });
  assert.equal(dropping.redactText('{"a":"to ada@example.org","b":1}').text, '{"a":"[redacted:email]","b":1}');
});

test('numbers that are cards are taken out, counts stay', () => {
  assert.deepEqual(all.redactJson({ card: 4111111111111111, tokens: 123456789 }), {
    card: '[redacted:card]',
    tokens: 123456789,
  });
  assert.equal(all.redactText('{"card":4111111111111111}').text, '{"card":"[redacted:card]"}');
});

const REQUEST = {
  resourceSpans: [
    {
      resource: { attributes: [{ key: 'service.name', value: { stringValue: `svc ${KEY}` } }] },
      scopeSpans: [
        {
          scope: { name: `lib ${KEY}`, attributes: [{ key: 's', value: { stringValue: KEY } }] },
          spans: [
            {
              traceId: '0af7651916cd43dd8448eb211c80319c',
              spanId: 'b7ad6b7169203331',
              traceState: `v=${KEY}`,
              name: `chat ${KEY}`,
              startTimeUnixNano: '1700000000000000000',
              endTimeUnixNano: '1700000001000000000',
              status: { code: 2, message: `failed with ${KEY}` },
              attributes: [
                {
                  key: 'gen_ai.input.messages',
                  value: {
                    stringValue: JSON.stringify([{ role: 'user', parts: [{ type: 'text', content: `my ${KEY}` }] }]),
                  },
                },
                { key: `key ${KEY}`, value: { stringValue: 'x' } },
                { key: 'user.id', value: { stringValue: `user ${KEY}` } },
                { key: 'gen_ai.usage.input_tokens', value: { stringValue: `n ${KEY}` } },
                {
                  key: 'list',
                  value: {
                    arrayValue: {
                      values: [
                        { stringValue: KEY },
                        { kvlistValue: { values: [{ key: 'k', value: { stringValue: KEY } }] } },
                      ],
                    },
                  },
                },
                { key: 'metadata', value: { stringValue: JSON.stringify({ a: KEY }) } },
                { key: 'tag.tags', value: { arrayValue: { values: [{ stringValue: KEY }] } } },
              ],
              events: [
                {
                  name: `e ${KEY}`,
                  timeUnixNano: '1700000000000000000',
                  attributes: [{ key: 'exception.message', value: { stringValue: KEY } }],
                },
              ],
              links: [
                {
                  traceId: '0af7651916cd43dd8448eb211c80319c',
                  spanId: 'b7ad6b7169203332',
                  traceState: `v=${KEY}`,
                  attributes: [{ key: 'l', value: { stringValue: KEY } }],
                },
              ],
            },
          ],
        },
      ],
    },
  ],
};

test('nothing of a span keeps a secret: names, keys, events, links, resource, scope, fields, messages', () => {
  const { spans } = decodeTracesJson(new TextEncoder().encode(JSON.stringify(REQUEST)));
  const [span] = secrets.redactSpans(spans);
  assert.ok(span !== undefined && span !== spans[0]);
  const { rawResource: _resource, rawScope: _scope, ...context } = span.context;
  const { raw: _raw, ...fields } = span;
  const kept = JSON.stringify(
    { ...fields, context, messages: span.messages, mapped: span.mappedFrom },
    (_key, value: unknown) => (typeof value === 'bigint' ? String(value) : value),
  );
  assert.ok(!kept.includes('a1B2c3D4'), kept);
  assert.equal(span.userId, 'user [redacted:openai-key]');
  assert.equal(span.serviceName, 'svc [redacted:openai-key]');
  assert.deepEqual(span.attributes['lumatrace.redaction.rules'], ['openai-key']);
  assert.equal(span.attributes['lumatrace.redaction.version'], DEFAULT_REDACTION.version);
  assert.equal(secrets.redactSpans([span])[0], span, 'a second time changes nothing');
});

function rulesOf(attributes: object): unknown {
  return (attributes as Record<string, unknown>)['lumatrace.redaction.rules'];
}

test('what a span or record shares counts once, and is noted on each that shares it', () => {
  const resource = { attributes: [{ key: 'host.secret', value: { stringValue: 'hunter22' } }] };
  const scope = { name: `lib ${KEY}` };
  const told = new Map<string, number>();
  const redaction = compileRedaction(DEFAULT_REDACTION, {
    onHit: (ruleId, count) => void told.set(ruleId, (told.get(ruleId) ?? 0) + count),
  });
  const times = { startTimeUnixNano: '1', endTimeUnixNano: '2' };
  const spans = ['b7ad6b7169203331', 'b7ad6b7169203332'].map((spanId, i) => ({
    traceId: '0af7651916cd43dd8448eb211c80319c',
    spanId,
    ...times,
    attributes: i === 0 ? [] : [{ key: 'x', value: { stringValue: 'AKIAIOSFODNN7EXAMPLE' } }],
  }));
  const decoded = decodeTracesJson(JSON.stringify({ resourceSpans: [{ resource, scopeSpans: [{ scope, spans }] }] }));
  const redacted = redaction.redactSpans(decoded.spans);
  assert.deepEqual(
    redacted.map(({ attributes }) => rulesOf(attributes)),
    [
      ['named-secret', 'openai-key'],
      ['aws-key-id', 'named-secret', 'openai-key'],
    ],
  );
  assert.equal(redacted[0]!.attributes['lumatrace.redaction.version'], DEFAULT_REDACTION.version);
  assert.deepEqual(Object.fromEntries(told), { 'named-secret': 1, 'openai-key': 1, 'aws-key-id': 1 });
  assert.deepEqual(redaction.redactSpans(redacted), redacted, 'a second time changes nothing');

  const { records } = decodeLogsJson(
    JSON.stringify({ resourceLogs: [{ resource, scopeLogs: [{ scope, logRecords: [{ timeUnixNano: '1' }] }] }] }),
  );
  assert.deepEqual(rulesOf(redaction.redactLogs(records)[0]!.attributes), ['named-secret', 'openai-key']);
});

test('a span without anything to take out is handed on as it is', () => {
  const text = JSON.stringify(REQUEST).replaceAll(KEY, 'harmless');
  const { spans } = decodeTracesJson(new TextEncoder().encode(text));
  assert.equal(secrets.redactSpans(spans)[0], spans[0]);
});

test('rules of a tenant run where their keys say', () => {
  const redaction = compileRedaction(own('CASE-[0-9]{4}', { keys: 'gen_ai.*' }));
  assert.deepEqual(
    { ...redaction.redactAttributes({ 'gen_ai.prompt': 'see CASE-1234', other: 'see CASE-1234' }) },
    {
      'gen_ai.prompt': 'see [redacted:case-number]',
      other: 'see CASE-1234',
    },
  );
  assert.equal(compileRedaction(own('(?i)case-\\d+')).redactText('cAsE-77').text, '[redacted:case-number]');
});

test('patterns that are no RE2, too large, or match nothing are refused with a reason', () => {
  for (const pattern of [
    '(',
    '(a)\\1',
    '(?=a)',
    'a*',
    'x{1000}{1000}',
    '(((a{100}){100}){100})',
    'x'.repeat(1_001),
    '',
  ]) {
    assert.throws(() => compileRedaction(own(pattern)), RedactionRuleError, pattern);
  }
  const heavy = Array.from({ length: 3 }, (_, i) => ({
    ...own('(?:[a-z]{9} ){40}[0-9]').rules.at(-1)!,
    id: `heavy-${i}`,
  }));
  compileRedaction({ ...DEFAULT_REDACTION, rules: heavy.slice(0, 2) });
  assert.throws(() => compileRedaction({ ...DEFAULT_REDACTION, rules: heavy }), /all enabled rules together/);
  assert.throws(() => compileRedaction(own('a', { id: 'Bad Id' })), RedactionRuleError);
});

test('a rule of a tenant and a built-in one under the same id both run, each where its keys say', () => {
  const rule = own('CASE-\\d+', { id: 'openai-key' }).rules.at(-1)!;
  const text = `CASE-77 ${KEY}`;
  const both = '[redacted:openai-key] [redacted:openai-key]';
  for (const rules of [[rule], [...DEFAULT_REDACTION.rules, rule], [rule, ...DEFAULT_REDACTION.rules]]) {
    assert.equal(compileRedaction({ ...DEFAULT_REDACTION, rules }).redactText(text).text, both);
  }
  const [builtin] = DEFAULT_REDACTION.rules.filter(({ id }) => id === 'openai-key');
  const keyed = [
    { ...rule, keys: 'a.*' },
    { ...builtin!, keys: 'b.*' },
  ];
  const redaction = compileRedaction({ ...DEFAULT_REDACTION, rules: keyed });
  assert.deepEqual(
    { ...redaction.redactAttributes({ 'a.x': text, 'b.x': text }) },
    { 'a.x': `[redacted:openai-key] ${KEY}`, 'b.x': 'CASE-77 [redacted:openai-key]' },
  );
  assert.throws(() => compileRedaction({ ...DEFAULT_REDACTION, rules: [rule, rule] }), /stands there twice/);
  assert.throws(() => compileRedaction({ ...DEFAULT_REDACTION, rules: [builtin!, builtin!] }), /stands there twice/);
});

test('patterns that are slow have three seconds of a request; what they did not look at goes whole', () => {
  const rules = Array.from({ length: 50 }, (_, i) => ({ ...own(`(?i)case${i}-\\d+`).rules.at(-1)!, id: `slow-${i}` }));
  const redaction = compileRedaction({ ...DEFAULT_REDACTION, rules });
  const text = `${'the parcel waited 1-2 '.repeat(600_000)} case7-1 the end`;
  const startMs = performance.now();
  const after = redaction.redactText(text).text;
  assert.ok(performance.now() - startMs < 60_000);
  assert.ok(!after.includes('case7-1'));
  assert.equal(redaction.redactText('see case7-1').text, 'see [redacted:slow-7]', 'the next request has its own time');
});

test('a pattern finds what lies across two windows', () => {
  const text = `${'x'.repeat(131_070)}CASE-1234${'y'.repeat(200_000)}`;
  assert.equal(
    compileRedaction(own('CASE-[0-9]{4}')).redactText(text).text,
    text.replace('CASE-1234', '[redacted:case-number]'),
  );
});

test('hits are told to the caller', () => {
  const hits = new Map<string, number>();
  const redaction = compileRedaction(everything, { onHit: (id, count) => hits.set(id, (hits.get(id) ?? 0) + count) });
  redaction.redactAttributes({ a: 'ada@example.org bob@example.org', b: KEY });
  assert.deepEqual(
    [...hits],
    [
      ['email', 2],
      ['openai-key', 1],
    ],
  );
});

const CANARIES = [
  KEY,
  'ada.lovelace@example.org',
  '4111 1111 1111 1111',
  'DE89 3704 0044 0532 0130 00',
  'AKIAIOSFODNN7EXAMPLE',
  'eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl',
  '536-22-8726',
  'postgres://app:s3cretWord@db',
];
const noise = fc.oneof(
  fc.string({ unit: 'grapheme', maxLength: 30 }),
  fc.constantFrom(...'"\\{}[]:,@+-/ \n', '[redacted:', '[hash:', '4111', '\\u0073'),
);

test('redacting again changes nothing, and the length stays bounded, whatever the text', () => {
  fc.assert(
    fc.property(fc.array(fc.oneof(noise, fc.constantFrom(...CANARIES)), { maxLength: 12 }), (pieces) => {
      const text = clean(pieces.join(''));
      const once = all.redactText(text).text;
      assert.equal(all.redactText(once).text, once);
      assert.ok(once.length <= text.length * 5 + 40);
    }),
    { numRuns: 2_000 },
  );
});

test('no canary between words survives, in plain text, in JSON and in JSON in JSON', () => {
  const words = fc.stringMatching(/^[a-z ]{0,20}$/);
  fc.assert(
    fc.property(
      words,
      fc.constantFrom(...CANARIES),
      words,
      fc.integer({ min: 0, max: 2 }),
      (before, canary, after, depth) => {
        let text = `${before} ${canary} ${after}`;
        for (let i = 0; i < depth; i++) text = JSON.stringify({ content: text });
        const redacted = all.redactText(text).text;
        assert.ok(!redacted.includes(canary.slice(-8)) || canary.startsWith('postgres'), redacted);
        assert.ok(!redacted.includes('s3cretWord'));
        if (depth > 0) JSON.parse(redacted);
      },
    ),
    { numRuns: 500 },
  );
});

/** Milliseconds of the processor for so many characters of the seed. */
function timeOf(seed: string, length: number): number {
  const text = seed.repeat(Math.ceil(length / seed.length)).slice(0, length);
  const start = process.cpuUsage();
  all.redactText(text);
  const { user, system } = process.cpuUsage(start);
  return (user + system) / 1_000;
}

test('a megabyte of what looks almost like a finding takes time in proportion to its length', () => {
  const seeds = [
    'a',
    '1',
    '1 ',
    '4 ',
    '4111 ',
    'a@',
    'a.',
    '@a.',
    '+1',
    '+',
    '0 ',
    '://a:',
    ':',
    'eyJa',
    'eyJaaaaaaaaaaa.',
    'sk-',
    'sk-a',
    '-----BEGIN PRIVATE KEY-----',
    '-----BEGIN ',
    'secret ',
    'aws',
    'password:',
    'bearer ',
    '"',
    '\\',
    '\\u0073',
    '[',
    '{"a":',
    'DE89',
    'ab12 ',
    '1.',
    '1:',
    ':1',
    '[redacted:email]',
    'data:image/png;base64,',
    'ssn ',
    '\\/',
    '٣',
    'é@',
  ];
  for (const seed of seeds) {
    const small = Math.max(20, timeOf(seed, 125_000), timeOf(seed, 125_000));
    const large = timeOf(seed, 1_000_000);
    // eight times the length: quadratic would be 64 times the time
    assert.ok(large < small * 30, `${JSON.stringify(seed)}: ${small} ms, then ${large} ms`);
  }
});
