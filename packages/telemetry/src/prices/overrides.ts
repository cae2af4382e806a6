// A tenant's own prices: which calls each one is for. Patterns are RE2, all of them together have a size, and each model's
// name is looked at once: what one tenant writes never holds up the spans of another.
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

/** Lower-case and trimmed; the standard tier is empty. */
export interface CallNames {
  provider: string;
  model: string;
  tier: string;
}

export interface CompiledOverride {
  readonly id: string;
  readonly rates: Rates;
  /** Instructions of its pattern; 0 without one. */
  readonly program: number;
  /** Whether the model is one of its own. */
  fits(model: string): boolean;
  /** Whether its other conditions hold. */
  applies(names: CallNames, atMs: number): boolean;
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
/**
 * Instructions of RE2's programs, of all patterns of a tenant together: a character of a model's name takes at most so
 * many steps. Measured with re2js 2.10 on names of 200 characters: 12 instructions (`^gpt-4o.*$`) 0.02 ms, 866 of nested
 * repetitions 3.7 ms.
 */
export const MAX_OVERRIDES_PROGRAM = 1_000;
/** Longer names are no model's: no override is for them. */
export const MAX_MODEL_LENGTH = 200;
const MAX_PATTERN_LENGTH = 200;
const MAX_NAME_LENGTH = 200;
/** Models whose rules are remembered; real traffic has a few dozen. */
const MAX_REMEMBERED = 1_000;
/** Looking at names never seen before takes at most so long of each window: a twentieth of the time. */
const LOOKING_MS = 500;
const WINDOW_MS = 10_000;
const MOMENT = /^\d{4}-\d{2}-\d{2}(?:T\d{2}:\d{2}(?::\d{2}(?:\.\d{1,9})?)?(?:Z|[+-]\d{2}:\d{2}))?$/;
const ID = /^[\w-]{1,64}$/;

/** Throws {@link OverrideError} for one that cannot be used. */
export function compileOverride(override: PriceOverride): CompiledOverride {
  const { id, serviceTier } = override;
  if (!ID.test(id)) throw new OverrideError('id', 'Expected an id of 1 to 64 letters, digits, "_" or "-"');
  const { fits, program = 0 } = modelRule(override.model);
  const provider = optionalName('provider', override.provider);
  const tier = optionalName('serviceTier', serviceTier) ?? '';
  const fromMs = momentMs('from', override.from) ?? -Infinity;
  const untilMs = momentMs('until', override.until) ?? Infinity;
  if (untilMs <= fromMs) throw new OverrideError('until', 'Expected "until" to be later than "from"');
  return {
    id,
    rates: ratesOf(override.prices),
    program,
    fits,
    applies: (names, atMs) =>
      (tier === '*' || names.tier === tier) &&
      (provider === undefined || names.provider === provider) &&
      atMs >= fromMs &&
      atMs < untilMs,
  };
}

/**
 * Compiles an override that a tenant wants to keep or to try. Refuses more than {@link compileOverride}, which takes what
 * is kept already. @throws OverrideError
 */
export function compileNewOverride(override: PriceOverride): CompiledOverride {
  const compiled = compileOverride(override);
  for (const field of ['from', 'until'] as const) refuseNoDay(field, override[field]);
  if ('output_mtok' in override.prices && !('input_mtok' in override.prices)) {
    throw new OverrideError(
      'prices.input_mtok',
      'Expected a price of input beside that of output; "0" where it is free',
    );
  }
  return compiled;
}

/** Date.parse takes the 30th of February for a day of March: a day must come back as it was written. */
function refuseNoDay(field: string, moment: string | undefined): void {
  if (moment === undefined) return;
  const day = moment.slice(0, 10);
  if (new Date(`${day}T00:00:00Z`).toISOString().startsWith(day)) return;
  throw new OverrideError(field, `Expected a day that there is but received "${moment}"`);
}

/** A tenant's overrides in their order. What fits a model is found once and remembered, for at most 1,000 models. */
export class OverrideRules {
  readonly version: string;
  readonly #list: readonly CompiledOverride[];
  readonly #nowMs: () => number;
  readonly #fitting = new Map<string, readonly CompiledOverride[]>();
  #windowMs = -Infinity;
  #lookedMs = 0;

  /** Throws {@link OverrideError}. Whoever keeps overrides holds their patterns to {@link MAX_OVERRIDES_PROGRAM}. */
  constructor(
    { version, list }: { version: string; list: readonly PriceOverride[] },
    nowMs: () => number = () => performance.now(),
  ) {
    this.version = version;
    this.#list = list.map(compileOverride);
    this.#nowMs = nowMs;
  }

  /** The first that applies. `too_many_models`: so many new names came that the patterns were not tried on this one. */
  find(names: CallNames, atMs: number): CompiledOverride | 'too_many_models' | undefined {
    if (names.model.length > MAX_MODEL_LENGTH) return undefined;
    const fitting = this.#fitting.get(names.model) ?? this.#look(names.model);
    return fitting === undefined ? 'too_many_models' : fitting.find((override) => override.applies(names, atMs));
  }

  #look(model: string): readonly CompiledOverride[] | undefined {
    let atMs = this.#nowMs();
    if (atMs - this.#windowMs >= WINDOW_MS) {
      this.#windowMs = atMs;
      this.#lookedMs = 0;
    }
    const fitting: CompiledOverride[] = [];
    for (const override of this.#list) {
      if (override.program > 0 && this.#lookedMs >= LOOKING_MS) return undefined;
      if (override.fits(model)) fitting.push(override);
      if (override.program === 0) continue;
      const nowMs = this.#nowMs();
      this.#lookedMs += nowMs - atMs;
      atMs = nowMs;
    }
    // forgetting all at once keeps the memory bounded without a queue
    if (this.#fitting.size >= MAX_REMEMBERED) this.#fitting.clear();
    this.#fitting.set(model, fitting);
    return fitting;
  }
}

function modelRule(rule: TextMatchJson): { fits: (model: string) => boolean; program?: number } {
  const entries = Object.entries(rule) as [string, unknown][];
  const [kind, value] = entries[0] ?? [];
  if (entries.length !== 1 || typeof value !== 'string')
    throw new OverrideError('model', 'Expected one of equals, starts_with, ends_with, contains, regex with a text');
  if (value.trim() === '' || value.length > MAX_PATTERN_LENGTH)
    throw new OverrideError(`model.${kind}`, `Expected 1 to ${MAX_PATTERN_LENGTH} characters`);
  const text = value.trim().toLowerCase();
  switch (kind) {
    case 'equals':
      return { fits: (model) => model === text };
    case 'starts_with':
      return { fits: (model) => model.startsWith(text) };
    case 'ends_with':
      return { fits: (model) => model.endsWith(text) };
    case 'contains':
      return { fits: (model) => model.includes(text) };
    case 'regex':
      return patternRule(value);
    default:
      throw new OverrideError('model', 'Expected one of equals, starts_with, ends_with, contains, regex');
  }
}

/** Linear in the length of the name whatever the pattern is: RE2 has no backtracking. */
function patternRule(pattern: string): { fits: (model: string) => boolean; program: number } {
  try {
    const regex = RE2JS.compile(pattern, RE2JS.CASE_INSENSITIVE);
    return { fits: (model) => regex.matcher(model).find(), program: regex.programSize() };
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
