// JSON inside strings: each text and number of it is looked at in its decoded form and put back in its place, so that
// what was valid stays valid and nothing else changes, not even the spaces.

/** How a place in JSON is redacted; what comes back unchanged (===) is left as it was written. */
export interface JsonRedactor {
  /** `name` is the member's, undefined in lists. Undefined: unchanged. */
  text(value: string, name: string | undefined): string | undefined;
  /** The digits as written. Undefined: unchanged, else the text that takes its place. */
  number(digits: string, name: string | undefined): string | undefined;
}

/** Longer texts are looked at as plain text. */
const MAX_JSON_CHARACTERS = 16 * 1024 * 1024;
const QUOTE = 34;
const BACKSLASH = 92;
const NUMBER = /-?\d[\d.eE+-]*/y;
const AFTER_KEY = /\s*:/y;

/** Whether the text can be JSON that holds texts. */
export function mayBeJson(text: string): boolean {
  if (text.length < 2 || text.length > MAX_JSON_CHARACTERS) return false;
  const first = text.trimStart()[0];
  return first === '{' || first === '[' || first === '"';
}

/** The text with its texts and numbers redacted; undefined when it is no JSON. */
export function redactJsonText(text: string, redactor: JsonRedactor): string | undefined {
  try {
    JSON.parse(text);
  } catch {
    return undefined;
  }
  let out = '';
  let copied = 0;
  let name: string | undefined;
  const put = (start: number, end: number, value: string): void => {
    out += text.slice(copied, start) + JSON.stringify(value);
    copied = end;
  };
  // over the tokens: texts, numbers, and everything else one character at a time
  for (let i = 0; i < text.length;) {
    const code = text.charCodeAt(i);
    if (code === QUOTE) {
      const end = endOfText(text, i);
      const raw = text.slice(i, end);
      const value = raw.includes('\\') ? (JSON.parse(raw) as string) : raw.slice(1, -1);
      AFTER_KEY.lastIndex = end;
      const isKey = AFTER_KEY.test(text);
      const redacted = redactor.text(value, isKey ? undefined : name);
      if (redacted !== undefined) put(i, end, redacted);
      name = isKey ? value : undefined;
      i = isKey ? AFTER_KEY.lastIndex : end;
    } else if (code === 45 || (code >= 48 && code <= 57)) {
      NUMBER.lastIndex = i;
      const digits = NUMBER.exec(text)?.[0] ?? text[i]!;
      const redacted = redactor.number(digits, name);
      if (redacted !== undefined) put(i, i + digits.length, redacted);
      name = undefined;
      i += digits.length;
    } else {
      // the name of a member holds for the members of a list in it
      if (code === 123 || code === 125 || code === 93) name = undefined;
      i++;
    }
  }
  return copied === 0 ? text : out + text.slice(copied);
}

/** Behind the closing quote of the text that opens at `start`. */
function endOfText(text: string, start: number): number {
  let i = start + 1;
  for (let code = text.charCodeAt(i); code !== QUOTE; code = text.charCodeAt(i)) i += code === BACKSLASH ? 2 : 1;
  return i + 1;
}

/** Written escapes: of JSON and of programs, colours of terminals, percent-encoding (also encoded again). */
const ESCAPE =
  // oxlint-disable-next-line no-control-regex -- colours of terminals begin with one
  /(?:\u001b|\\u001[bB]|\\x1[bB]|\\033|\\e)\[[0-9;]{0,20}[A-Za-z]|\\u[0-9a-fA-F]{4}|\\U[0-9a-fA-F]{8}|\\x[0-9a-fA-F]{2}|\\[nrtbfve0/]|%(?:25){0,3}[0-9a-fA-F]{2}/g;

/** Those of ASCII characters stand for them; of the others it matters only that they are no letters. */
function characterOf(escape: string): string {
  const kind = escape[1];
  const isCode = escape[0] === '%' || (escape.length <= 6 && (kind === 'u' || kind === 'x'));
  if (!isCode) return kind === '/' ? '/' : ' ';
  const code = Number.parseInt(escape.slice(escape[0] === '%' ? -2 : 2), 16);
  return code > 32 && code < 127 ? String.fromCharCode(code) : ' ';
}

/** A text with its written escapes resolved, and where each of its characters was; undefined without any. */
export function unescaped(text: string): { text: string; at: (index: number) => number } | undefined {
  if (!text.includes('\\') && !text.includes('%') && !text.includes('\u001b')) return undefined;
  const starts: number[] = [];
  const shifts: number[] = [];
  let out = '';
  let copied = 0;
  let shift = 0;
  for (const { 0: escape, index } of text.matchAll(ESCAPE)) {
    out += text.slice(copied, index);
    out += characterOf(escape);
    copied = index + escape.length;
    shift += escape.length - 1;
    // characters behind this one moved by so many
    starts.push(out.length);
    shifts.push(shift);
  }
  if (starts.length === 0) return undefined;
  out += text.slice(copied);
  const at = (index: number): number => {
    let low = 0;
    let high = starts.length;
    // how many escapes end at or before the index
    while (low < high) {
      const middle = (low + high) >> 1;
      if (starts[middle]! <= index) low = middle + 1;
      else high = middle;
    }
    return low === 0 ? index : index + shifts[low - 1]!;
  };
  return { text: out, at };
}
