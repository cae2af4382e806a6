// What a call costs: exact integer pico-dollars from a price table, each token counted once. What is unknown is unpriced.
import { hasInvalidUsage } from './conventions.ts';
import bundledTable from './prices/genai-prices.json' with { type: 'json' };
import { OverrideRules, type PriceOverride } from './prices/overrides.ts';
import { applies, billOf, compileRates, ratesAt, type CostComponent, type Counts, type Rates } from './prices/rates.ts';
import { Sellers, type Found, type Model } from './prices/sellers.ts';
import type { PriceTableJson, ProviderJson } from './prices/table.ts';
import type { Span, Usage } from './span.ts';

export { decimalOf, picoOf, usdOf } from './decimal.ts';
export type { CostComponent } from './prices/rates.ts';
export type { PriceOverride } from './prices/overrides.ts';

/** One call to price. `usage` may be a {@link Span} itself. */
export interface Call {
  /** As the client named it: `openai`, `aws.bedrock`, `mistral_ai`, … */
  provider?: string | undefined;
  model?: string | undefined;
  /** When the call was made, milliseconds since 1970: prices are dated. */
  atMs: number;
  usage: Usage;
  /** Further counts by their names in the table of units: `audio_seconds`, `web_searches`, `output_image_tokens`, … */
  counts?: Counts | undefined;
  serviceTier?: string | undefined;
  /** Host of the API. Where it is a known provider's it outranks `provider`: clients of OpenAI's API speak to many hosts. */
  serverAddress?: string | undefined;
}

export interface Priced {
  costPico: bigint;
  components: CostComponent[];
  /** Name and version of the price table, and of the overrides where there are any. */
  priceVersion: string;
  /** The seller and its model in the table; for an override what the call named. */
  providerId: string;
  modelId: string;
  /** The override that set the price, if one did. */
  overrideId?: string;
}

export type UnpricedReason =
  | 'no_model'
  | 'no_usage'
  | 'unknown_provider'
  | 'unknown_model'
  | 'unknown_service_tier'
  | 'no_price'
  | 'ambiguous_usage'
  | 'too_many_models';

export interface Unpriced {
  unpriced: UnpricedReason;
}

/** Field of {@link Usage} → unit of the price table. */
const COUNTED: readonly (readonly [field: keyof Usage, usageKey: string])[] = [
  ['inputTokens', 'input_tokens'],
  ['outputTokens', 'output_tokens'],
  ['cacheReadTokens', 'cache_read_tokens'],
  ['cacheCreationTokens', 'cache_write_tokens'],
  ['reasoningTokens', 'output_reasoning_tokens'],
  ['inputTextTokens', 'input_text_tokens'],
  ['inputImageTokens', 'input_image_tokens'],
  ['inputAudioTokens', 'input_audio_tokens'],
  ['inputVideoTokens', 'input_video_tokens'],
  ['outputTextTokens', 'output_text_tokens'],
  ['outputAudioTokens', 'output_audio_tokens'],
];

/** Tiers that cost what the table says. Others need a variant in the table or an override. */
const STANDARD_TIERS = new Set(['default', 'standard', 'auto', 'standard_only', 'on_demand']);

/** What a service tier is called among the conditions of the table's variants, where that is not `service_tier`. */
const TIER_CONDITIONS = new Map<string, readonly [condition: string, value: string]>([
  ['batch', ['processing', 'batch']],
]);

/** Groq bills at least ten seconds of a recording (console.groq.com/docs/speech-to-text; genai-prices does the same). */
const LEAST_SECONDS = new Map([
  ['groq/whisper-large-v3', 10],
  ['groq/whisper-large-v3-turbo', 10],
]);
const SECONDS_KEYS = ['audio_seconds', 'input_audio_seconds'] as const;

const MAX_REMEMBERED = 4_096;
/** Longer questions have no answer in a table; they are not remembered. */
const MAX_REMEMBERED_LENGTH = 768;

/** A compiled price table, with a tenant's overrides in front of it. Look-ups are remembered, at most 4,096 of them. */
export class PriceBook {
  /** For example `@pydantic/genai-prices 0.1.8`, or `@pydantic/genai-prices 0.1.8 + overrides 3`. */
  readonly version: string;
  readonly #tableVersion: string;
  readonly #sellers: Sellers;
  readonly #overrides: OverrideRules | undefined;
  readonly #found = new Map<string, Found | 'unknown_provider' | 'unknown_model'>();
  readonly #variants = new WeakMap<Rates, Map<Rates, Rates>>();

  /** Throws TypeError for a table that cannot be compiled. */
  constructor(table: PriceTableJson | PriceBook, overrides?: { version: string; list: readonly PriceOverride[] }) {
    if (table instanceof PriceBook) {
      this.#tableVersion = table.#tableVersion;
      this.#sellers = table.#sellers;
    } else {
      this.#tableVersion = `${table.source} ${table.version}`;
      this.#sellers = new Sellers(table.providers);
    }
    this.#overrides = overrides && new OverrideRules(overrides);
    this.version =
      overrides === undefined || overrides.list.length === 0
        ? this.#tableVersion
        : `${this.#tableVersion} + overrides ${overrides.version}`;
  }

  /** The same table with a tenant's overrides in front; compiled tables are shared. */
  with(overrides: { version: string; list: readonly PriceOverride[] }): PriceBook {
    return new PriceBook(this, overrides);
  }

  get modelCount(): number {
    return this.#sellers.modelCount;
  }

  /** The price of one call, or why there is none. Never a guess: an unknown model, tier or overlap has no price. */
  price(call: Call): Priced | Unpriced {
    if (call.model === undefined || call.model === '') return { unpriced: 'no_model' };
    const counts = countsOf(call);
    // an answer without a question is half a bill; a question alone (embeddings) is a whole one
    if (!counts.has('input_tokens') && (call.counts?.size ?? 0) === 0) return { unpriced: 'no_usage' };
    const names = { provider: normal(call.provider ?? ''), model: normal(call.model), tier: tierOf(call.serviceTier) };
    const override = this.#overrides?.find(names, call.atMs);
    if (typeof override === 'string') return { unpriced: override };
    if (override !== undefined) return this.#bill(override.rates, counts, { ...override, ...names });
    const found = this.#find(call.provider ?? '', call.model, call.serverAddress ?? '');
    if (typeof found === 'string') return { unpriced: found };
    const rates = this.#ratesOf(found.model, names.tier, call.atMs);
    if (rates === undefined) return { unpriced: 'unknown_service_tier' };
    const line = { provider: found.provider.id, model: found.model.id };
    return this.#bill(rates, withLeastSeconds(counts, line), line);
  }

  #bill(rates: Rates, counts: Counts, from: { id?: string; provider: string; model: string }): Priced | Unpriced {
    const bill = billOf(rates, counts);
    if (typeof bill === 'string') return { unpriced: bill };
    const priced = { ...bill, priceVersion: this.version, providerId: from.provider, modelId: from.model };
    return from.id === undefined ? priced : { ...priced, overrideId: from.id };
  }

  /** The standard prices of the time, with the first active variant of the tier in front of each; undefined: no such tier. */
  #ratesOf(model: Model, tier: string, atMs: number): Rates | undefined {
    const standard = ratesAt(model.dated, atMs);
    if (tier === '') return standard;
    const [condition, value] = TIER_CONDITIONS.get(tier) ?? (['service_tier', tier] as const);
    const active = model.variants.filter(
      (variant) =>
        variant.when.every(([key, wanted]) => key === condition && wanted === value) && applies(variant, atMs),
    );
    const first = active[0];
    if (first === undefined) return undefined;
    const known = this.#variants.get(standard) ?? new Map<Rates, Rates>();
    this.#variants.set(standard, known);
    const merged = known.get(first.rates);
    if (merged !== undefined) return merged;
    const json = Object.assign({}, standard.json, ...active.map(({ rates }) => rates.json).reverse()) as Rates['json'];
    const rates = compileRates(json);
    known.set(first.rates, rates);
    return rates;
  }

  #find(provider: string, model: string, host: string): Found | 'unknown_provider' | 'unknown_model' {
    if (provider.length + model.length + host.length > MAX_REMEMBERED_LENGTH) return 'unknown_model';
    const key = `${provider}\n${model}\n${host}`;
    const known = this.#found.get(key);
    if (known !== undefined) return known;
    const found = this.#sellers.find(normal(provider), normal(model), host.toLowerCase());
    // forgetting all at once keeps the memory bounded without a queue; real traffic has a few dozen models
    if (this.#found.size >= MAX_REMEMBERED) this.#found.clear();
    this.#found.set(key, found);
    return found;
  }
}

let bundled: PriceBook | undefined;

/** The price book that comes with this package, compiled at its first use. */
export function bundledPrices(): PriceBook {
  return (bundled ??= new PriceBook(bundledTable as PriceTableJson));
}

/** Names, addresses and matchers of the bundled table's providers, for tables that have prices only. */
export function bundledProviders(): readonly ProviderJson[] {
  return (bundledTable as PriceTableJson).providers;
}

/** Where the bundled table comes from. */
export function bundledTableInfo(): Pick<PriceTableJson, 'source' | 'version' | 'sha256'> {
  const { source, version, sha256 } = bundledTable;
  return { source, version, sha256 };
}

export function priceOf(call: Call, book: PriceBook = bundledPrices()): Priced | Unpriced {
  return book.price(call);
}

/** The price of a billable span at its start; null for a span that is not billable. */
export function priceOfSpan(span: Span, book: PriceBook = bundledPrices()): Priced | Unpriced | null {
  if (!span.billable) return null;
  if (hasInvalidUsage(span)) return { unpriced: 'no_usage' };
  const { provider, model, serviceTier, serverAddress } = span;
  return book.price({
    provider,
    model,
    serviceTier,
    serverAddress,
    usage: span,
    atMs: Number(span.startNs / 1_000_000n),
  });
}

export function isPriced(price: Priced | Unpriced): price is Priced {
  return 'costPico' in price;
}

function normal(name: string): string {
  return name.trim().toLowerCase();
}

/** Empty for every way to say "as usual". */
function tierOf(serviceTier: string | undefined): string {
  const tier = serviceTier === undefined ? '' : normal(serviceTier);
  return STANDARD_TIERS.has(tier) ? '' : tier;
}

function countsOf({ usage, counts: further }: Call): Counts {
  const counts = new Map(further);
  for (const [field, usageKey] of COUNTED) {
    const count = usage[field];
    if (count !== undefined) counts.set(usageKey, count);
  }
  return counts;
}

function withLeastSeconds(counts: Counts, { provider, model }: { provider: string; model: string }): Counts {
  const least = LEAST_SECONDS.get(`${provider}/${model}`);
  const seconds = counts.get('audio_seconds') || counts.get('input_audio_seconds');
  if (least === undefined || seconds === undefined) return counts;
  return new Map([...counts, ...SECONDS_KEYS.map((key) => [key, seconds > 0 ? Math.max(seconds, least) : 0] as const)]);
}
