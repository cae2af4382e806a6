// A tenant's own prices: which calls each one is for, compiled so that no pattern can take longer than its input.
import { RE2JS } from 're2js';
import { decimalOf } from '../decimal.ts';
import { compileRates, type Rates } from './rates.ts';
import type { ModelPriceJson, TextMatchJson } from './table.ts';

/**
 * Prices that a tenant sets. The first override of the list that applies to a call counts, before the table. It applies
 * when its model rule, its provider, its service tier and its time all do.
 */
export interface PriceOverride {
  /** Stable; shown on the spans that it priced. */
  id: string;
  /** Compared without regard to case with the model that answered (or, if that is not told, was asked). `regex`: RE2 syntax, found anywhere. */
  model: TextMatchJson;
  /** Name of the provider as the span has it, without regard to case; every provider when left out. */
  provider?: string;
  /** Calls of this tier only (`batch`, `flex`, `priority`, …); `*` for every tier; left out: calls of no special tier. */
  serviceTier?: string;
  /** ISO 8601 with time zone, or a day (00:00 UTC): from that moment on, until just before this one. */
  from?: string;
  until?: string;
  prices: ModelPriceJson;
  note?: string;
}

export interface CompiledOverride {
  readonly id: string;
  readonly rates: Rates;
  /** Names are lower-case and trimmed; the standard tier is empty. */
  matches(names: { provider: string; model: string; tier: string }, atMs: number): boolean;
}

export class OverrideError extends Error {
  override readonly name = 'OverrideError';
  /** Which part of the override is wrong: `model`, `prices.input_mtok`, `from`, … */
  readonly field: string;

  constructor(field: string, message: string) {
    super(message);
    this.field = field;
  }
}

export const MAX_OVERRIDES = 500;
const MAX_PATTERN_LENGTH = 200;
const MAX_NAME_LENGTH = 200;
const MAX_MODEL_LENGTH = 256;
const MOMENT = /^\d{4}-\d{2}-\d{2}(?:T\d{2}:\d{2}(?::\d{2}(?:\.\d{1,9})?)?(?:Z|[+-]\d{2}:\d{2}))?$/;
const ID = /^[\w-]{1,64}$/;

/** Throws {@link OverrideError} for one that cannot be used. */
export function compileOverride(override: PriceOverride): CompiledOverride {
  const { id, serviceTier } = override;
  if (!ID.test(id)) throw new OverrideError('id', 'Expected an id of 1 to 64 letters, digits, "_" or "-"');
  const matchesModel = modelMatcher(override.model);
  const provider = optionalName('provider', override.provider);
  const tier = optionalName('serviceTier', serviceTier) ?? '';
  const fromMs = momentMs('from', override.from) ?? -Infinity;
  const untilMs = momentMs('until', override.until) ?? Infinity;
  if (untilMs <= fromMs) throw new OverrideError('until', 'Expected "until" to be later than "from"');
  return {
    id,
    rates: ratesOf(override.prices),
    matches: (names, atMs) =>
      (tier === '*' || names.tier === tier) &&
      (provider === undefined || names.provider === provider) &&
      atMs >= fromMs &&
      atMs < untilMs &&
      names.model.length <= MAX_MODEL_LENGTH &&
      matchesModel(names.model),
  };
}

function modelMatcher(rule: TextMatchJson): (model: string) => boolean {
  const entries = Object.entries(rule) as [string, unknown][];
  const [kind, value] = entries[0] ?? [];
  if (entries.length !== 1 || typeof value !== 'string')
    throw new OverrideError('model', 'Expected one of equals, starts_with, ends_with, contains, regex with a text');
  if (value.trim() === '' || value.length > MAX_PATTERN_LENGTH)
    throw new OverrideError(`model.${kind}`, `Expected 1 to ${MAX_PATTERN_LENGTH} characters`);
  const text = value.trim().toLowerCase();
  switch (kind) {
    case 'equals':
      return (model) => model === text;
    case 'starts_with':
      return (model) => model.startsWith(text);
    case 'ends_with':
      return (model) => model.endsWith(text);
    case 'contains':
      return (model) => model.includes(text);
    case 'regex':
      return regexMatcher(value);
    default:
      throw new OverrideError('model', 'Expected one of equals, starts_with, ends_with, contains, regex');
  }
}

/** Linear in the length of the name whatever the pattern is: RE2 has no backtracking. */
function regexMatcher(pattern: string): (model: string) => boolean {
  try {
    const regex = RE2JS.compile(pattern, RE2JS.CASE_INSENSITIVE);
    return (model) => regex.matcher(model).find();
  } catch (error) {
    throw new OverrideError('model.regex', `Expected a regular expression in RE2 syntax: ${(error as Error).message}`);
  }
}

function optionalName(field: string, name: string | undefined): string | undefined {
  if (name === undefined) return undefined;
  const normal = name.trim().toLowerCase();
  if (normal === '' || normal.length > MAX_NAME_LENGTH)
    throw new OverrideError(field, `Expected 1 to ${MAX_NAME_LENGTH} characters`);
  return normal;
}

function momentMs(field: string, moment: string | undefined): number | undefined {
  if (moment === undefined) return undefined;
  const ms = MOMENT.test(moment) ? Date.parse(moment) : NaN;
  if (Number.isNaN(ms))
    throw new OverrideError(field, `Expected a day or a time with its zone but received "${moment}"`);
  return ms;
}

function ratesOf(prices: ModelPriceJson): Rates {
  if (Object.keys(prices).length === 0) throw new OverrideError('prices', 'Expected at least one price');
  for (const [key, price] of Object.entries(prices)) {
    const base = typeof price === 'string' ? price : price.base;
    if (decimalOf(base) === undefined) throw new OverrideError(`prices.${key}`, `Expected a decimal of US dollars`);
  }
  try {
    return compileRates(prices);
  } catch (error) {
    throw new OverrideError('prices', (error as Error).message);
  }
}
