// The prices of one model, compiled, and the bill that they make of one call: every unit counted once, exactly.
import { decimalOf, divideHalfEven, picoOf } from '../decimal.ts';
import type { DatedPriceJson, ModelPriceJson, PriceJson } from './table.ts';
import { includes, overlapOf, unitOfPrice, UNITS, type Unit } from './units.ts';

/** Usage key (`input_tokens`, `audio_seconds`, …) → how many. A part is included in its whole, never beside it. */
export type Counts = ReadonlyMap<string, number>;

/** One line of the bill. Lines are disjoint: `input_tokens` here are only those that no other line counts. */
export interface CostComponent {
  unit: string;
  quantity: number;
  /** Decimal dollars for `per` units, the tier of this call applied. */
  usd: string;
  per: number;
  /** Rounded half to even on its own; the total is the rounded exact sum. */
  costPico: bigint;
}

export interface Bill {
  costPico: bigint;
  components: CostComponent[];
}

/** Why a call with known prices has no cost. */
export type NoBill = 'no_usage' | 'no_price' | 'ambiguous_usage';

export interface Rate {
  readonly usd: string;
  /** Pico-dollars for `per` units. */
  readonly pico: bigint;
}

interface TieredRate {
  readonly base: Rate;
  /** Ascending by start. */
  readonly tiers: readonly { readonly start: number; readonly rate: Rate }[];
}

interface PricedUnit {
  readonly unit: Unit;
  readonly price: TieredRate;
  /** Positions in `units` of the priced parts of this unit. */
  readonly parts: readonly number[];
  /** Usage keys of every part, priced or not. */
  readonly partKeys: readonly string[];
  readonly line: string;
  readonly isRequests: boolean;
  readonly perBig: bigint;
  /** Of the common denominator of the sum. */
  readonly factor: bigint;
}

/** What a model costs; units with more dimensions, which are parts of others, come first. */
export interface Rates {
  readonly json: ModelPriceJson;
  readonly units: readonly PricedUnit[];
  /** Positions in `units` as the lines of a bill follow each other. */
  readonly order: readonly number[];
  /** Pairs of priced units that can hold at once, by usage key, with the unit of both and whether that is priced. */
  readonly overlaps: readonly (readonly [a: string, b: string, both: string, isPriced: boolean])[];
}

export interface DatedRates {
  readonly fromMs: number | undefined;
  readonly between: readonly [startMs: number, endMs: number] | undefined;
  readonly rates: Rates;
}

const PICO_PER_USD_PLACES = 12;
const DAY_MS = 86_400_000;
/** A common multiple of every `per`: 10^9 and 3600. */
const SUM_SCALE = 9_000_000_000n;
const MILLION = 1_000_000;
const MILLION_BIG = 1_000_000n;
const REQUESTS = 'requests';

/** Names that the lines of a bill have had from the first; all others are called as their unit. */
const LINE_NAMES = new Map([
  ['cache_write_tokens', 'cache_creation_tokens'],
  ['output_reasoning_tokens', 'reasoning_tokens'],
]);
/** Within a bill the whole comes before its parts, input before output, as people read it. */
const LINE_ORDER = new Map(
  [
    'input_tokens',
    'cache_read_tokens',
    'cache_write_tokens',
    'input_audio_tokens',
    'input_image_tokens',
    'input_video_tokens',
    'output_tokens',
    'output_reasoning_tokens',
    'output_audio_tokens',
  ].map((key, position) => [key, position]),
);

/**
 * The exact price of `counts`. What a seller does not price costs nothing there (an embedding's output), but a call of
 * which nothing is priced has no price. More parts than whole leave nothing of the whole, never less.
 */
export function billOf(rates: Rates, counts: Counts): Bill | NoBill {
  const quantities = disjoint(rates, counts);
  if (typeof quantities === 'string') return quantities;
  const inputTokens = counts.get('input_tokens') ?? 0;
  const components: CostComponent[] = [];
  // price × quantity over the common denominator, rounded once; what a fraction of a quantity adds is kept in millionths
  let sum = 0n;
  let millionths = 0n;
  let isPriced = false;
  for (const position of rates.order) {
    const { unit, price, line, isRequests, perBig, factor } = rates.units[position] as PricedUnit;
    const quantity = isRequests ? 1 : (quantities[position] as number);
    isPriced ||= isRequests || counts.has(unit.usageKey);
    if (quantity === 0) continue;
    const { usd, pico } = rateFor(price, inputTokens);
    let costPico: bigint;
    if (Number.isSafeInteger(quantity)) {
      const product = pico * BigInt(quantity);
      sum += product * factor;
      costPico = divideHalfEven(product, perBig);
    } else {
      const product = pico * BigInt(Math.round(quantity * MILLION));
      millionths += product * factor;
      costPico = divideHalfEven(product, perBig * MILLION_BIG);
    }
    components.push({ unit: line, quantity, usd, per: unit.per, costPico });
  }
  if (!isPriced) return 'no_price';
  const costPico =
    millionths === 0n
      ? divideHalfEven(sum, SUM_SCALE)
      : divideHalfEven(sum * MILLION_BIG + millionths, SUM_SCALE * MILLION_BIG);
  return { costPico, components };
}

/** Of each priced unit what none of its priced parts counts. */
function disjoint(rates: Rates, counts: Counts): number[] | NoBill {
  for (const [a, b, both, isPriced] of rates.overlaps) {
    if ((counts.get(a) ?? 0) === 0 || (counts.get(b) ?? 0) === 0) continue;
    // how many are in both is not told, or nobody says what they cost: the call cannot be priced exactly
    const shared = counts.get(both);
    if (shared === undefined || (shared > 0 && !isPriced)) return 'ambiguous_usage';
  }
  const rest: number[] = [];
  for (const { unit, parts, partKeys } of rates.units) {
    const whole = counts.get(unit.usageKey);
    if (whole === undefined && partKeys.some((key) => (counts.get(key) ?? 0) > 0)) return 'ambiguous_usage';
    let quantity = whole ?? 0;
    for (const part of parts) quantity -= rest[part] as number;
    rest.push(Math.max(0, quantity));
  }
  return rest;
}

function rateFor({ base, tiers }: TieredRate, inputTokens: number): Rate {
  let rate = base;
  for (const tier of tiers) if (inputTokens > tier.start) rate = tier.rate;
  return rate;
}

/** Of dated prices the last that applies, else the first. */
export function ratesAt(dated: readonly DatedRates[], atMs: number): Rates {
  for (let i = dated.length - 1; i >= 0; i--)
    if (applies(dated[i] as DatedRates, atMs)) return (dated[i] as DatedRates).rates;
  return (dated[0] as DatedRates).rates;
}

export function applies({ fromMs, between }: Omit<DatedRates, 'rates'>, atMs: number): boolean {
  if (fromMs !== undefined) return atMs >= fromMs;
  if (between === undefined) return true;
  const timeOfDay = ((atMs % DAY_MS) + DAY_MS) % DAY_MS;
  const [start, end] = between;
  return end < start ? timeOfDay >= start || timeOfDay < end : timeOfDay >= start && timeOfDay < end;
}

export function compileDated({ from, between, prices }: DatedPriceJson): DatedRates {
  return { ...compileConstraint({ from, between }), rates: compileRates(prices) };
}

export function compileConstraint({
  from,
  between,
}: {
  from?: string | undefined;
  between?: [string, string] | undefined;
}): Omit<DatedRates, 'rates'> {
  return {
    fromMs: from === undefined ? undefined : dayMs(from),
    between: between && [timeOfDayMs(between[0]), timeOfDayMs(between[1])],
  };
}

function dayMs(day: string): number {
  const ms = Date.parse(`${day}T00:00:00Z`);
  if (Number.isNaN(ms)) throw new TypeError(`Expected a day for a price but received ${day}`);
  return ms;
}

function timeOfDayMs(time: string): number {
  const ms = Date.parse(`1970-01-01T${time}`);
  if (Number.isNaN(ms)) throw new TypeError(`Expected a time of day for a price but received ${time}`);
  return (ms + DAY_MS) % DAY_MS;
}

function rankOf(priced: PricedUnit | undefined): number {
  return LINE_ORDER.get(priced?.unit.usageKey ?? '') ?? LINE_ORDER.size;
}

/** Throws TypeError for an unknown price key or a price that is no decimal of at most twelve places. */
export function compileRates(json: ModelPriceJson): Rates {
  const priced = Object.entries(json).map(([priceKey, price]) => {
    const unit = unitOfPrice(priceKey);
    if (unit === undefined) throw new TypeError(`Expected the key of a price but received ${priceKey}`);
    return { unit, price: compileTiers(price) };
  });
  priced.sort(
    (a, b) => b.unit.dimensions.size - a.unit.dimensions.size || (a.unit.usageKey < b.unit.usageKey ? -1 : 1),
  );
  const units = priced.map(({ unit, price }, position) => ({
    unit,
    price,
    parts: priced.flatMap((other, i) => (i < position && includes(unit, other.unit) ? [i] : [])),
    partKeys: UNITS.filter((other) => other !== unit && includes(unit, other)).map(({ usageKey }) => usageKey),
    line: LINE_NAMES.get(unit.usageKey) ?? unit.usageKey,
    isRequests: unit.usageKey === REQUESTS,
    perBig: BigInt(unit.per),
    factor: SUM_SCALE / BigInt(unit.per),
  }));
  const order = units.map((_, i) => i).sort((a, b) => rankOf(units[a]) - rankOf(units[b]));
  const keys = new Set(priced.map(({ unit }) => unit.usageKey));
  const overlaps = priced.flatMap(({ unit: a }, i) =>
    priced.slice(i + 1).flatMap(({ unit: b }) => {
      const both = includes(a, b) || includes(b, a) ? undefined : overlapOf(a, b);
      return both === undefined ? [] : [[a.usageKey, b.usageKey, both.usageKey, keys.has(both.usageKey)] as const];
    }),
  );
  return { json, units, order, overlaps };
}

function compileTiers(price: PriceJson): TieredRate {
  if (typeof price === 'string') return { base: rateOf(price), tiers: [] };
  const tiers = price.tiers.map(([start, usd]) => {
    if (!Number.isSafeInteger(start) || start < 0)
      throw new TypeError(`Expected the start of a tier but received ${start}`);
    return { start, rate: rateOf(usd) };
  });
  return { base: rateOf(price.base), tiers: tiers.sort((a, b) => a.start - b.start) };
}

function rateOf(price: string): Rate {
  const usd = decimalOf(price);
  const pico = picoOf(price);
  const places = usd?.split('.')[1]?.length ?? 0;
  if (usd === undefined || pico === undefined || pico < 0n || places > PICO_PER_USD_PLACES) {
    throw new TypeError(`Expected a price of at most ${PICO_PER_USD_PLACES} decimal places but received ${price}`);
  }
  return { usd, pico };
}
