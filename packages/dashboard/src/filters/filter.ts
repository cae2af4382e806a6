// The filter bar's language, `model:gpt-4o cost>0.01 error`, and what it means to GET /api/traces.
import { isDecimal } from '../format/decimal.ts';

/** The contract's filter parameters. */
export interface TraceQuery {
  service?: string;
  model?: string;
  tags?: string;
  user?: string;
  session?: string;
  rootService?: string;
  endpoint?: string;
  environment?: string;
  status?: string;
  minCost?: string;
  maxCost?: string;
  minLatency?: string;
  maxLatency?: string;
  q?: string;
}

/** One term as it was typed; `problem` says in a sentence why it was left out. */
export interface Term {
  text: string;
  problem?: string;
}

export interface Filter {
  terms: Term[];
  query: TraceQuery;
}

type Key = keyof TraceQuery;

/** `key:value` → parameter of the contract. */
const FIELDS: ReadonlyMap<string, Key> = new Map([
  ['service', 'service'],
  ['model', 'model'],
  ['tag', 'tags'],
  ['tags', 'tags'],
  ['user', 'user'],
  ['session', 'session'],
  ['root', 'rootService'],
  ['endpoint', 'endpoint'],
  ['environment', 'environment'],
  ['status', 'status'],
]);

/** Words that stand for a status. */
const STATUSES: ReadonlyMap<string, string> = new Map([
  ['error', 'error'],
  ['errors', 'error'],
  ['ok', 'ok'],
  ['unset', 'unset'],
]);

/** `cost>0.01`, `latency<2s`: the measure, its two parameters, and how its value is read. */
const MEASURES: ReadonlyMap<string, { min: Key; max: Key; read: (text: string) => string | undefined; like: string }> =
  new Map([
    ['cost', { min: 'minCost', max: 'maxCost', read: readDollars, like: 'cost>0.01' }],
    ['latency', { min: 'minLatency', max: 'maxLatency', read: readMs, like: 'latency>2s' }],
  ]);

export const FILTER_KEYS: readonly { text: string; hint: string }[] = [
  { text: 'model:', hint: 'requested or answering model' },
  { text: 'service:', hint: 'service.name' },
  { text: 'tag:', hint: 'several tags: all of them' },
  { text: 'user:', hint: 'end user' },
  { text: 'session:', hint: 'conversation' },
  { text: 'root:', hint: 'service of the root alone' },
  { text: 'endpoint:', hint: 'route or name of the root' },
  { text: 'environment:', hint: 'deployment.environment.name' },
  { text: 'error', hint: 'traces with an error' },
  { text: 'cost>', hint: 'US dollars, e.g. cost>0.01' },
  { text: 'latency>', hint: 'e.g. latency>2s' },
];

const TERM = /(?:[^\s"]|"(?:[^"\\]|\\.)*"?)+/g;
const FIELD_TERM = /^([a-z]+):(.*)$/s;
const MEASURE_TERM = /^([a-z]+)(<=|>=|<|>)(.*)$/s;

/** Reads the whole filter text. Never throws: a term that cannot be used carries its problem and is left out. */
export function parseFilter(text: string): Filter {
  const query: TraceQuery = {};
  const words: string[] = [];
  const terms = splitTerms(text).map((term): Term => {
    const problem = readTerm(term, query, words);
    return problem === undefined ? { text: term } : { text: term, problem };
  });
  if (words.length > 0) query.q = words.join(' ');
  return { terms, query };
}

/** The terms as typed; blanks inside double quotes do not separate. */
export function splitTerms(text: string): string[] {
  return text.match(TERM) ?? [];
}

/** The filter text with one more term, unless it is there already. */
export function withTerm(text: string, term: string): string {
  const terms = splitTerms(text);
  return terms.includes(term) ? text : [...terms, term].join(' ');
}

export function withoutTerm(text: string, at: number): string {
  return splitTerms(text)
    .filter((_, index) => index !== at)
    .join(' ');
}

/** `fieldTerm('user', 'Ann Lee')` → `user:"Ann Lee"`. */
export function fieldTerm(field: string, value: string): string {
  return `${field}:${/[\s"\\]/.test(value) || value === '' ? JSON.stringify(value) : value}`;
}

function readTerm(term: string, query: TraceQuery, words: string[]): string | undefined {
  if (term.startsWith('-') && FIELD_TERM.test(term.slice(1))) return 'A filter can add, not exclude yet.';
  const status = STATUSES.get(term.toLowerCase());
  if (status !== undefined) return put(query, 'status', status);
  const measured = MEASURE_TERM.exec(term);
  if (measured !== null) return readMeasure(measured[1] ?? '', measured[2] ?? '', measured[3] ?? '', query);
  const fielded = FIELD_TERM.exec(term);
  const key = FIELDS.get(fielded?.[1] ?? '');
  if (fielded !== null && key !== undefined) return readField(key, unquote(fielded[2] ?? ''), query);
  words.push(unquote(term));
  return undefined;
}

function readField(key: Key, value: string, query: TraceQuery): string | undefined {
  if (value === '') return 'A value is missing after the colon.';
  if (key === 'status' && STATUSES.get(value) !== value) return 'A status is ok, error or unset.';
  if (key !== 'tags') return put(query, key, value);
  if (value.includes(',')) return 'One tag per term: tag:a tag:b.';
  query.tags = query.tags === undefined ? value : `${query.tags},${value}`;
  return undefined;
}

function readMeasure(name: string, sign: string, value: string, query: TraceQuery): string | undefined {
  const measure = MEASURES.get(name);
  if (measure === undefined) return `Only cost and latency can be compared, not ${name}.`;
  const amount = measure.read(value);
  if (amount === undefined) return `Expected a number, as in ${measure.like}.`;
  return put(query, sign.startsWith('>') ? measure.min : measure.max, amount);
}

function put(query: TraceQuery, key: Key, value: string): string | undefined {
  if (query[key] !== undefined && query[key] !== value) return 'Already given above; only one value is possible.';
  query[key] = value;
  return undefined;
}

function unquote(text: string): string {
  if (!text.startsWith('"')) return text;
  return text.slice(1, text.length > 1 && text.endsWith('"') ? -1 : undefined).replace(/\\(.)/g, '$1');
}

function readDollars(text: string): string | undefined {
  const amount = text.replace(/^\$/, '').replace(/^\./, '0.');
  return isDecimal(amount) && !amount.startsWith('-') ? amount : undefined;
}

const UNITS_MS: ReadonlyMap<string, number> = new Map([
  ['', 1],
  ['ms', 1],
  ['s', 1_000],
  ['m', 60_000],
  ['min', 60_000],
]);

function readMs(text: string): string | undefined {
  const match = /^(\d+(?:\.\d+)?)([a-z]*)$/.exec(text);
  const unitMs = UNITS_MS.get(match?.[2] ?? '?');
  if (match === null || unitMs === undefined) return undefined;
  return String(Number((Number(match[1]) * unitMs).toFixed(3)));
}
