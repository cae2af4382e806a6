// Public collections of hostile input, read from checkouts that are named after their repositories; a few of our own where there are none.
import { globSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';

export interface Corpora {
  /** minimaxir/big-list-of-naughty-strings */
  strings: readonly string[];
  /** nst/JSONTestSuite: the text, and whether a parser must take it (y), must not (n), or may (i). */
  json: readonly { name: string; kind: 'y' | 'n' | 'i'; bytes: Buffer }[];
  /** lunapaint/pngsuite and libjpeg-turbo/seed-corpora */
  pictures: readonly { name: string; bytes: Buffer }[];
  /** C2SP/wycheproof: signatures of strangers. */
  signatures: readonly string[];
  /** Which were read from checkouts, and how much of each. */
  from: Record<string, number>;
  /** Names of those that were not there, so that the built-in ones were used. */
  missing: string[];
}

const MAX_FILES = 20_000;
const MAX_PICTURE_BYTES = 2_000_000;

/** Reads what there is below `folder`; undefined means the built-in ones alone. */
export function readCorpora(folder: string | undefined): Corpora {
  const from: Record<string, number> = {};
  const missing: string[] = [];
  const read = <T>(name: string, builtIn: readonly T[], load: (checkout: string) => T[]): readonly T[] => {
    const loaded = folder === undefined || !isFolder(join(folder, name)) ? [] : load(join(folder, name));
    if (loaded.length === 0) missing.push(name);
    else from[name] = loaded.length;
    return loaded.length === 0 ? builtIn : loaded;
  };
  const strings = read('big-list-of-naughty-strings', STRINGS, (checkout) => {
    const all = JSON.parse(readFileSync(join(checkout, 'blns.json'), 'utf8')) as string[];
    return all.filter((text) => typeof text === 'string');
  });
  const json = read('JSONTestSuite', JSON_TEXTS, (checkout) =>
    files(checkout, 'test_parsing/*.json').map((name) => {
      const file = name.slice(name.lastIndexOf('/') + 1);
      return { name: file, kind: file.charAt(0) as 'y' | 'n' | 'i', bytes: readFileSync(join(checkout, name)) };
    }),
  );
  const png = read('pngsuite', [], (checkout) => pictures(checkout, 'png/**/*.png'));
  const seeds = read('seed-corpora', [], (checkout) => pictures(checkout, '**/*'));
  const signatures = read('wycheproof', [], (checkout) => {
    const text = readFileSync(join(checkout, 'testvectors_v1/json_web_signature_test.json'), 'utf8');
    return [...text.matchAll(/"jws"\s*:\s*"([^"]+)"/g)].map((match) => match[1] ?? '');
  });
  return { strings: [...new Set(strings)], json, pictures: [...png, ...seeds], signatures, from, missing };
}

function isFolder(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false;
}

function files(checkout: string, pattern: string): string[] {
  return globSync(pattern, { cwd: checkout }).sort().slice(0, MAX_FILES);
}

function pictures(checkout: string, pattern: string): { name: string; bytes: Buffer }[] {
  return files(checkout, pattern).flatMap((name) => {
    const info = statSync(join(checkout, name));
    if (!info.isFile() || info.size === 0 || info.size > MAX_PICTURE_BYTES) return [];
    return [{ name, bytes: readFileSync(join(checkout, name)) }];
  });
}

const text = (name: string, kind: 'y' | 'n' | 'i', content: string | number[]) => ({
  name,
  kind,
  bytes: Buffer.from(content as string),
});

/** Written for this suite, after the kinds that the collections have. */
const JSON_TEXTS = [
  text('open array', 'n', '['),
  text('trailing comma', 'n', '{"a":1,}'),
  text('single quotes', 'n', "{'a':1}"),
  text('comment', 'n', '{"a":1}//'),
  text('two values', 'n', '{} {}'),
  text('bare word', 'n', 'nul'),
  text('NaN', 'n', '[NaN]'),
  text('leading zero', 'n', '[01]'),
  text('plus', 'n', '[+1]'),
  text('control character', 'n', '["\u0001"]'),
  text('bad escape', 'n', '["\\x41"]'),
  text('invalid UTF-8', 'n', [0x5b, 0x22, 0xff, 0x22, 0x5d]),
  text('deep open', 'n', '['.repeat(100_000)),
  text('deep', 'i', '['.repeat(50_000) + ']'.repeat(50_000)),
  text('huge exponent', 'i', '[1e9999]'),
  text('lone surrogate', 'i', String.raw`["\ud800"]`),
  text('byte order mark', 'i', '\ufeff{}'),
  text('nothing', 'n', ''),
  text('an array', 'y', '[[]]'),
  text('NUL', 'y', String.raw`["\u0000"]`),
] as const;

const STRINGS = [
  '',
  'null',
  'undefined',
  '-1',
  '1e309',
  'NaN',
  '9223372036854775808',
  '__proto__',
  'constructor',
  '\u0000',
  '\ud800',
  '\u202etxt.exe',
  '\ufeff',
  'Ω≈ç√∫˜µ≤≥÷',
  'ﷺ'.repeat(50),
  'Z̮̞̠͙͔ͅḀ̗̞͈̻̗Ḷ͙͎̯̹̞͓G̻O̭̗̮',
  '👩‍👩‍👧‍👦',
  '<script>alert(1)</script>',
  '"><img src=x onerror=alert(1)>',
  "javascript:alert('x')",
  '${7*7}',
  '{{7*7}}',
  '%s%s%n',
  '$(touch /tmp/x)',
  '`id`',
  '../../../../etc/passwd',
  "' or '1'='1",
  '1; drop table accounts',
  '=cmd|calc!A0',
  '\u001b[31mred',
  '\r\nset-cookie: a=b',
  'a'.repeat(10_000),
];
