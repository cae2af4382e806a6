// JSON inside text: parsed where it is an object or a list, left alone where it is cut off, too deep or only a word.
import type { AttributeValue, Json } from './span.ts';
import { clean } from './text.ts';

export type JsonObject = { [key: string]: Json };

/** Deeper JSON than this stays text: what is parsed here can be written again without exhausting a stack. */
const MAX_JSON_DEPTH = 64;

export function isObject(value: Json | undefined): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** JSON text is parsed, other text and structured values stay as they are. */
export function parsed(value: AttributeValue | undefined): Json | undefined {
  return typeof value === 'string' ? jsonOrText(value) : value;
}

/** JSON text of an object or array, parsed; other text (a prompt of `42` or `true`), and what nests too deep, as it is. */
export function jsonOrText(text: string): Json {
  const first = /^\s*([[{])/.exec(text);
  if (first === null) return text;
  try {
    const value = JSON.parse(text) as Json;
    const escaped = text.includes('\\u');
    return isDeeper(value, MAX_JSON_DEPTH) ? text : escaped ? cleaned(value) : value;
  } catch {
    return text;
  }
}

function isDeeper(value: Json, depth: number): boolean {
  if (typeof value !== 'object' || value === null) return false;
  if (depth === 0) return true;
  if (Array.isArray(value)) return value.some((item) => isDeeper(item, depth - 1));
  for (const key in value) if (isDeeper(value[key]!, depth - 1)) return true;
  return false;
}

/** Escapes bring NUL and lone surrogates back that the attribute's text no longer had. */
function cleaned(value: Json): Json {
  if (typeof value === 'string') return clean(value);
  if (typeof value !== 'object' || value === null) return value;
  if (Array.isArray(value)) return value.map(cleaned);
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [clean(key), cleaned(item)]));
}

/** A list as it is, one value as a list of it, nothing as an empty list. */
export function listOf(value: Json | undefined): Json[] {
  if (value === undefined || value === null || value === '') return [];
  return Array.isArray(value) ? value : [value];
}

const MAX_PATH_LENGTH = 12;
/** Messages of one conversation, parts of one message: no emitter counts further. */
const MAX_INDEX = 100_000;

/**
 * The list that indexed keys spell out: `P.0.role`, `P.0.content`, `P.1.…` → `[{role, content}, …]`, in the order of the
 * indices, whatever gaps they have. Numbers inside a path make lists too. A key that goes deeper than 12 members keeps
 * its rest as one member.
 */
export function listFromKeys(
  attributes: { [key: string]: AttributeValue },
  keys: readonly string[],
  prefix: string,
): Json[] {
  const root: Branch = new Map();
  for (const key of keys) {
    const path = pathOf(key.slice(prefix.length));
    let branch = root;
    for (let i = 0; i < path.length - 1; i++) {
      const next = branch.get(path[i]!);
      const child: Branch = next instanceof Map ? next : new Map();
      if (next !== child) branch.set(path[i]!, child);
      branch = child;
    }
    const last = path.at(-1)!;
    if (!(branch.get(last) instanceof Map)) branch.set(last, attributes[key] ?? null);
  }
  const list = jsonOfBranch(root);
  return Array.isArray(list) ? list : [];
}

function pathOf(key: string): string[] {
  const path = key.split('.');
  if (path.length <= MAX_PATH_LENGTH) return path;
  return [...path.slice(0, MAX_PATH_LENGTH - 1), path.slice(MAX_PATH_LENGTH - 1).join('.')];
}

interface Branch extends Map<string, Branch | Json> {}
const INDEX = /^\d{1,6}$/;

function jsonOfBranch(branch: Branch): Json {
  const entries = [...branch].map(([key, value]) => [key, value instanceof Map ? jsonOfBranch(value) : value] as const);
  if (entries.some(([key]) => !INDEX.test(key) || Number(key) > MAX_INDEX)) return Object.fromEntries(entries);
  return entries.sort(([a], [b]) => Number(a) - Number(b)).map(([, value]) => value);
}
