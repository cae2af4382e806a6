// JSON of strangers: what is read as everybody reads it, and what is refused.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { parseJson } from './json-body.ts';

const parse = (text: string): unknown => parseJson(Buffer.from(text, 'utf8'));
const refuses = (text: string | Uint8Array, sentence: RegExp): void => {
  assert.throws(() => (typeof text === 'string' ? parse(text) : parseJson(text)), {
    code: 'VALIDATION_FAILED',
    message: sentence,
  });
};

test('every value that JSON.stringify writes comes back', () => {
  fc.assert(
    fc.property(fc.jsonValue({ maxDepth: 5, noUnicodeString: false }), (value) => {
      const text = JSON.stringify(value);
      const isRefused = /\\u0000|\\ud[89a-f]|"__proto__"|(?<![\d.e-])\d{16,}|-\d{16,}/i.test(text);
      if (!isRefused) assert.deepEqual(parse(text), JSON.parse(text));
    }),
    { numRuns: 2_000 },
  );
});

test('strings with escapes, numbers of every form and blanks are read', () => {
  const text =
    ' {"a" : ["\\"", "\\\\", "\\u00e9", "\\ud83d\\ude00", "{[:"],\n\t"b":{"a":-1.5e-3,"c":1E5,"d":0},"\\u0061b":null} ';
  assert.deepEqual(parse(text), {
    a: ['"', '\\', 'é', '😀', '{[:'],
    b: { a: -1.5e-3, c: 1e5, d: 0 },
    ab: null,
  });
  assert.equal(parse('9007199254740991'), Number.MAX_SAFE_INTEGER);
});

test('what is not JSON, or not UTF-8, is refused without quoting it', () => {
  for (const text of ['', '{', '[1,]', "{'a':1}", '{"a":1}x', 'NaN', '01', '"\u0001"', '\ufeff{}', 'undefined']) {
    refuses(text, /^Expected JSON but received something else\.$/);
  }
  refuses(Uint8Array.of(0x22, 0xff, 0x22), /in UTF-8/);
  // a surrogate half written in UTF-8 (CESU-8)
  refuses(Uint8Array.of(0x22, 0xed, 0xa0, 0x80, 0x22), /in UTF-8/);
});

const nested = (depth: number): string => '['.repeat(depth) + ']'.repeat(depth);

test('nesting is allowed to 64 and refused beyond, a hundred thousand deep too', () => {
  assert.ok(Array.isArray(parse(nested(64))));
  refuses(nested(65), /at most 64 deep/);
  refuses(nested(100_000), /at most 64 deep/);
  refuses('{"a":'.repeat(65) + '1' + '}'.repeat(65), /at most 64 deep/);
});

test('a member named twice is refused, also when one of them is spelled with escapes', () => {
  refuses('{"a":1,"a":1}', /named once/);
  refuses('{"a":1,"\\u0061":2}', /named once/);
  refuses('{"x":[{"a":{"b":1,"b":2}}]}', /named once/);
  assert.deepEqual(parse('{"a":{"a":{"a":"a"}},"b":["a","a"]}'), { a: { a: { a: 'a' } }, b: ['a', 'a'] });
});

test('prototypes stay clean', () => {
  refuses('{"__proto__":{"polluted":true}}', /"__proto__"/);
  refuses('{"a":{"\\u005f_proto__":1}}', /"__proto__"/);
  const value = parse('{"constructor":{"prototype":{"polluted":true}},"toString":1}') as object;
  assert.ok(Object.hasOwn(value, 'constructor'));
  assert.equal(({} as { polluted?: boolean }).polluted, undefined);
  assert.equal(parse('"__proto__"'), '__proto__');
});

test('NUL and halves of surrogate pairs are refused in values and names', () => {
  for (const text of ['"\\u0000"', '{"\\u0000":1}', '["a\\u0000b"]']) refuses(text, /NUL/);
  for (const text of ['"\\ud800"', '"\\udc00x"', '{"\\ud83d":1}', '"\\ude00\\ud83d"']) refuses(text, /surrogates/);
});

test('numbers that would change on the way are refused', () => {
  for (const text of ['9007199254740992', '-9007199254740992', '[1,123456789012345678901234567890]']) {
    refuses(text, /integers/);
  }
  refuses('1e400', /finite/);
  refuses('{"a":-1e999}', /finite/);
});

test('a megabyte of punctuation is looked at in a moment', () => {
  const text = JSON.stringify(Array.from({ length: 100_000 }, (_, i) => ({ [`k${i}`]: 'v"\\' })));
  const startedMs = performance.now();
  parse(text);
  assert.ok(performance.now() - startedMs < 2_000);
});
