// JSON of strangers (RFC 8259, in the strictness of I-JSON, RFC 7493): what two readers could understand differently
// is refused, and nothing that PostgreSQL or JavaScript would trip over gets past here.
import { Problem } from './errors.ts';

const MAX_DEPTH = 64;
const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/**
 * The value of a JSON text. @throws Problem VALIDATION_FAILED for bytes that are not UTF-8 or not JSON, nesting deeper
 * than 64, a member named twice or named `__proto__`, an integer beyond 2^53, NUL, or half of a surrogate pair.
 */
export function parseJson(bytes: Uint8Array): unknown {
  const text = decoded(bytes);
  const value = parsed(text);
  // The text is valid from here on, so that what follows only has to count and compare.
  inspect(text);
  return value;
}

function decoded(bytes: Uint8Array): string {
  try {
    return utf8.decode(bytes);
  } catch (error) {
    throw new Problem('VALIDATION_FAILED', 'Expected JSON in UTF-8 but received other bytes.', { cause: error });
  }
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch (error) {
    // The engine's own message quotes the input, which may hold a password.
    throw new Problem('VALIDATION_FAILED', 'Expected JSON but received something else.', { cause: error });
  }
}

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const NUMBER = /-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/y;

// One pass over valid JSON. The stack holds the names seen in each open object, or null for an open array.
function inspect(text: string): void {
  const open: Array<Set<string> | null> = [];
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code === QUOTE) {
      const end = endOfString(text, at);
      const string = stringAt(text, at, end);
      if (isName(text, end)) addName(open.at(-1) ?? null, string);
      at = end - 1;
    } else if (code === 0x7b || code === 0x5b) {
      open.push(code === 0x7b ? new Set() : null);
      if (open.length > MAX_DEPTH) throw refused(`nested at most ${MAX_DEPTH} deep`);
    } else if (code === 0x7d || code === 0x5d) {
      open.pop();
    } else if (code === 0x2d || (code >= 0x30 && code <= 0x39)) {
      NUMBER.lastIndex = at;
      const number = NUMBER.exec(text)?.[0] ?? '';
      checkNumber(number);
      at += number.length - 1;
    }
  }
}

function endOfString(text: string, start: number): number {
  let at = start + 1;
  while (text.charCodeAt(at) !== QUOTE) at += text.charCodeAt(at) === BACKSLASH ? 2 : 1;
  return at + 1;
}

function stringAt(text: string, start: number, end: number): string {
  const raw = text.slice(start, end);
  const string = raw.includes('\\') ? (JSON.parse(raw) as string) : raw.slice(1, -1);
  if (string.includes('\0')) throw refused('without NUL in text');
  if (!string.isWellFormed()) throw refused('without lone surrogates in text');
  return string;
}

/** A string followed by a colon is the name of a member. */
function isName(text: string, end: number): boolean {
  let at = end;
  while (at < text.length && ' \t\n\r'.includes(text.charAt(at))) at++;
  return text.charAt(at) === ':';
}

function addName(names: Set<string> | null, name: string): void {
  if (name === '__proto__') throw refused('without a member named "__proto__"');
  if (names?.has(name) === true) throw refused('with each member named once');
  names?.add(name);
}

function checkNumber(number: string): void {
  if (/^-?\d+$/.test(number)) {
    if (!Number.isSafeInteger(Number(number))) throw refused('with integers within ±(2^53 − 1)');
  } else if (!Number.isFinite(Number(number))) {
    throw refused('with finite numbers');
  }
}

function refused(expectation: string): Problem {
  return new Problem('VALIDATION_FAILED', `Expected JSON ${expectation}.`);
}
