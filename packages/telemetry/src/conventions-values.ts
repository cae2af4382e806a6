// How one attribute value becomes one field: bounded, and with a sentence for whoever sent what cannot be used.
import { decimalOf } from './decimal.ts';
import { jsonOrText } from './messages-json.ts';
import { MAX_LABEL_LENGTH } from './span.ts';
import type { AttributeValue, Json, SpanFields } from './span.ts';
import { clip } from './text.ts';

/** A parser answers undefined for what it cannot use, after noting why in `issues`; other keys may still fill the field. */
export type Parse<T> = (value: AttributeValue, key: string, issues: string[]) => T | undefined;

/** Parsers for a field of the span. */
export type ParseField<F extends keyof SpanFields> = Parse<NonNullable<SpanFields[F]>>;

/** No call comes near it, and a million such spans still add up inside a 64-bit integer. */
const MAX_TOKENS = 1_000_000_000_000;
const MAX_TAGS = 64;
const MAX_TAG_LENGTH = 100;
const MAX_LIST_LENGTH = 128;
/** Metadata beyond this stays an attribute only. */
const MAX_METADATA_LENGTH = 65_536;
/** Parameters of a call hold its tools too; longer JSON is not opened for the numbers beside them. */
const MAX_JSON_LENGTH = 1_048_576;
const MAX_SHOWN_LENGTH = 40;

/** The value for a sentence of `issues`: short, on one line. */
function shown(value: AttributeValue): string {
  const text = typeof value === 'string' ? JSON.stringify(clip(value, MAX_SHOWN_LENGTH)) : JSON.stringify(value);
  return clip(text, MAX_SHOWN_LENGTH);
}

function refuse(expected: string, value: AttributeValue, key: string, issues: string[]): undefined {
  issues.push(`Expected ${expected} for ${key} but received ${shown(value)}; the field was left empty`);
  return undefined;
}

export const label: Parse<string> = (value, key, issues) => {
  if (typeof value === 'number' || typeof value === 'boolean') return String(value);
  if (typeof value !== 'string') return refuse('text', value, key, issues);
  if (value.length <= MAX_LABEL_LENGTH) return value === '' ? undefined : value;
  issues.push(`${key} was cut to ${MAX_LABEL_LENGTH} characters; the attribute keeps all ${value.length}`);
  return clip(value, MAX_LABEL_LENGTH);
};

/** A label whose words differ between dialects: words of the table become ours, others stay, `undefined` means none. */
export function word(words: ReadonlyMap<string, string | undefined>): Parse<string> {
  return (value, key, issues) => {
    const text = label(value, key, issues);
    return text !== undefined && words.has(text) ? words.get(text) : text;
  };
}

/** Like {@link word}, and a word that the table does not know means nothing here. */
export function knownWord(words: ReadonlyMap<string, string | undefined>): Parse<string> {
  return (value) => (typeof value === 'string' ? words.get(value) : undefined);
}

export const count: Parse<number> = (value, key, issues) => {
  const number = typeof value === 'string' && /^-?\d{1,20}$/.test(value) ? Number(value) : value;
  if (typeof number === 'number' && Number.isInteger(number) && number >= 0 && number <= MAX_TOKENS) return number;
  return refuse(`a count from 0 to ${MAX_TOKENS}`, value, key, issues);
};

/** Words for "no limit", where a number was expected: no number, and nothing odd. */
const UNLIMITED = new Set<AttributeValue>(['Infinity', 'inf', 'None', 'null', 'NaN']);

export const number: Parse<number> = (value, key, issues) => {
  if (UNLIMITED.has(value)) return undefined;
  const parsed = typeof value === 'string' && value.trim() !== '' ? Number(value) : value;
  if (typeof parsed === 'number' && Number.isFinite(parsed)) return parsed;
  return refuse('a finite number', value, key, issues);
};

/** A duration in milliseconds as seconds. */
export const milliseconds: Parse<number> = (value, key, issues) => {
  const ms = number(value, key, issues);
  return ms === undefined ? undefined : ms / 1000;
};

/** ISO 8601 as milliseconds since 1970; Langfuse writes it as JSON text of a text. */
export const moment: Parse<number> = (value, key, issues) => {
  const text = typeof value === 'string' ? value.replaceAll('"', '') : '';
  const ms = text.length <= MAX_SHOWN_LENGTH ? Date.parse(text) : Number.NaN;
  return Number.isFinite(ms) ? ms : refuse('a date and time', value, key, issues);
};

export const flag: Parse<boolean> = (value, key, issues) => {
  if (typeof value === 'boolean') return value;
  if (value === 'true' || value === 'false') return value === 'true';
  return refuse('true or false', value, key, issues);
};

/** An array of texts, the same as JSON text, or one text. */
export const labels: Parse<string[]> = (value, key, issues) => {
  const list = Array.isArray(value) ? value : jsonArray(value);
  if (list === undefined)
    return typeof value === 'string' ? [clip(value, MAX_LABEL_LENGTH)] : refuse('a list of texts', value, key, issues);
  const texts = list.filter((item) => typeof item === 'string').slice(0, MAX_LIST_LENGTH);
  return texts.map((text) => clip(text, MAX_LABEL_LENGTH));
};

/** A list of texts, JSON text of one, or texts between commas; trimmed, without repetitions. */
export const tags: Parse<string[]> = (value, key, issues) => {
  const list = Array.isArray(value)
    ? value
    : (jsonArray(value) ?? (typeof value === 'string' ? value.split(',', MAX_TAGS * 4) : undefined));
  if (list === undefined) return refuse('a list of tags', value, key, issues);
  const unique = new Set<string>();
  for (const item of list) {
    const tag = typeof item === 'string' || typeof item === 'number' ? clip(String(item).trim(), MAX_TAG_LENGTH) : '';
    if (tag !== '' && unique.size < MAX_TAGS) unique.add(tag);
  }
  return [...unique];
};

export const metadata: Parse<{ [key: string]: Json }> = (value, key, issues) => {
  const object = typeof value === 'string' && value.length <= MAX_METADATA_LENGTH ? jsonOf(value) : value;
  if (typeof object === 'object' && object !== null && !Array.isArray(object)) return object;
  return refuse('a JSON object', value, key, issues);
};

export const dollars: Parse<string> = (value, key, issues) => {
  const decimal = typeof value === 'number' || typeof value === 'string' ? decimalOf(value) : undefined;
  if (decimal === undefined || decimal.startsWith('-'))
    return refuse('a cost in dollars that is not negative', value, key, issues);
  return decimal;
};

function jsonArray(value: AttributeValue): Json[] | undefined {
  if (typeof value !== 'string' || !value.startsWith('[') || value.length > MAX_METADATA_LENGTH) return undefined;
  const parsed = jsonOf(value);
  return Array.isArray(parsed) ? parsed : undefined;
}

function jsonOf(text: string): Json | undefined {
  const json = jsonOrText(text);
  return typeof json === 'string' ? undefined : json;
}

let lastText = '';
let lastJson: Json | undefined;

/** The object inside an attribute; several rows ask for the same one in turn, so the last is remembered. */
export function objectIn(value: AttributeValue): { [key: string]: Json } | undefined {
  if (typeof value === 'string') {
    if (value.length > MAX_JSON_LENGTH) return undefined;
    if (value !== lastText) {
      lastText = value;
      lastJson = jsonOf(value);
    }
    value = lastJson ?? null;
  }
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? value : undefined;
}

/** The value at a path of members; undefined where one is missing or null. */
export function valueAt(value: AttributeValue, path: readonly string[]): AttributeValue | undefined {
  let at: AttributeValue | undefined = objectIn(value);
  for (const member of path) {
    if (typeof at !== 'object' || at === null || Array.isArray(at) || !Object.hasOwn(at, member)) return undefined;
    at = at[member];
  }
  return at === null ? undefined : at;
}
