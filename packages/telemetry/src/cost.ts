// What a call costs: exact integer pico-dollars from a price table, each token counted once. What is unknown is unpriced.
import { hasInvalidUsage } from './conventions.ts';
import { decimalOf, divideHalfEven, picoOf } from './decimal.ts';
import bundledTable from './prices/genai-prices.json' with { type: 'json' };
import { matcherOf } from './prices/match.ts';
import type { Matches } from './prices/match.ts';
import type {
  DatedPriceJson,
  ModelJson,
  ModelPriceJson,
  PriceJson,
  PriceTableJson,
  ProviderJson,
} from './prices/table.ts';
import type { Span, Usage } from './span.ts';

export { decimalOf, picoOf, usdOf } from './decimal.ts';

/** One call to price. `usage` may be a {@link Span} itself. */
export interface Call {
  /** As the client named it: `openai`, `aws.bedrock`, `mistral_ai`, … */
  provider?: string | undefined;
  model?: string | undefined;
  /** When the call was made, milliseconds since 1970: prices are dated. */
  atMs: number;
  usage: Usage;
  serviceTier?: string | undefined;
  /** Host of the API. Where it is a known provider's it outranks `provider`: clients of OpenAI's API speak to many hosts. */
  serverAddress?: string | undefined;
}

export type PricedUnit =
  | 'input_tokens'
  | 'cache_read_tokens'
  | 'cache_creation_tokens'
  | 'input_audio_tokens'
  | 'input_image_tokens'
  | 'input_video_tokens'
  | 'output_tokens'
  | 'reasoning_tokens'
  | 'output_audio_tokens'
  | 'requests';

/** One line of the bill. Lines are disjoint: `input_tokens` here are only those that no other line counts. */
export interface CostComponent {
  unit: PricedUnit;
  quantity: number;
  /** Decimal dollars for `per` units, the tier of this call applied. */
  usd: string;
  per: number;
  /** Rounded half to even on its own; the total is the rounded exact sum. */
  costPico: bigint;
}

export interface Priced {
  costPico: bigint;
  components: CostComponent[];
  /** Name and version of the price table. */
  priceVersion: string;
  providerId: string;
  modelId: string;
}

export type UnpricedReason =
  | 'no_model'
  | 'no_usage'
  | 'unknown_provider'
  | 'unknown_model'
  | 'unknown_service_tier'
  | 'no_price'
  | 'ambiguous_usage';

export interface Unpriced {
  unpriced: UnpricedReason;
}

/** How each line is priced: its key in the table, the count of it, and the line that includes it. */
interface Line {
  readonly unit: PricedUnit;
  readonly priceKey: string;
  readonly per: number;
  readonly count: (usage: Usage) => number | undefined;
}

const INPUT: Line = {
  unit: 'input_tokens',
  priceKey: 'input_mtok',
  per: 1_000_000,
  count: (usage) => usage.inputTokens,
};
const OUTPUT: Line = {
  unit: 'output_tokens',
  priceKey: 'output_mtok',
  per: 1_000_000,
  count: (usage) => usage.outputTokens,
};

/** Parts of the input that may have a price of their own; where they have none they cost what input costs. */
const INPUT_SUBSETS: readonly Line[] = [
  { unit: 'cache_read_tokens', priceKey: 'cache_read_mtok', per: 1_000_000, count: (usage) => usage.cacheReadTokens },
  {
    unit: 'cache_creation_tokens',
    priceKey: 'cache_write_mtok',
    per: 1_000_000,
    count: (usage) => usage.cacheCreationTokens,
  },
  {
    unit: 'input_audio_tokens',
    priceKey: 'input_audio_mtok',
    per: 1_000_000,
    count: (usage) => usage.inputAudioTokens,
  },
  {
    unit: 'input_image_tokens',
    priceKey: 'input_image_mtok',
    per: 1_000_000,
    count: (usage) => usage.inputImageTokens,
  },
  {
    unit: 'input_video_tokens',
    priceKey: 'input_video_mtok',
    per: 1_000_000,
    count: (usage) => usage.inputVideoTokens,
  },
];
const OUTPUT_SUBSETS: readonly Line[] = [
  {
    unit: 'reasoning_tokens',
    priceKey: 'output_reasoning_mtok',
    per: 1_000_000,
    count: (usage) => usage.reasoningTokens,
  },
  {
    unit: 'output_audio_tokens',
    priceKey: 'output_audio_mtok',
    per: 1_000_000,
    count: (usage) => usage.outputAudioTokens,
  },
];
const REQUEST: Line = { unit: 'requests', priceKey: 'requests_kcount', per: 1_000, count: () => 1 };

/**
 * Tokens that are in two subsets at once have a price of their own, but the conventions do not say how many they are:
 * with both counts above zero the call cannot be priced exactly.
 */
const OVERLAPS: readonly (readonly [priceKey: string, Line, Line])[] = [
  ['cache_audio_read_mtok', INPUT_SUBSETS[0]!, INPUT_SUBSETS[2]!],
  ['cache_image_read_mtok', INPUT_SUBSETS[0]!, INPUT_SUBSETS[3]!],
];

/** Tiers that cost what the table says. Others (priority, flex, batch, …) have other prices, which the table lacks. */
const STANDARD_TIERS = new Set(['default', 'standard', 'auto', 'standard_only', 'on_demand']);

/** `gen_ai.provider.name` (and older `gen_ai.system`) → provider of the table, where its own matchers would miss it. */
const PROVIDER_ALIASES = new Map([
  ['azure.ai.openai', 'azure'],
  ['azure.ai.inference', 'azure'],
  ['az.ai.openai', 'azure'],
  ['az.ai.inference', 'azure'],
  ['azure_openai', 'azure'],
  ['gcp.gen_ai', 'google'],
  ['x_ai', 'x-ai'],
]);

/** Names of a library or gateway, not of who answers: the model alone tells the provider. */
const NOT_PROVIDERS = new Set([
  '',
  '_other',
  'other',
  'unknown',
  'langchain',
  'langgraph',
  'autogen',
  'crewai',
  'haystack',
  'pydantic_ai',
  'semantic_kernel',
  'spring_ai',
  'llamaindex',
  'llama_index',
  'litellm',
  'vercel',
]);

/** Names that one seller alone gives, which the table's own look for a model's maker misses. */
const MODEL_SELLERS: readonly (readonly [names: RegExp, providerId: string])[] = [
  [/^(?:text-embedding-(?:3-|ada-)|chatgpt-)/, 'openai'],
  // amazon.nova-pro-v1:0, us.anthropic.claude-…: Bedrock's ids name the maker before a dot
  [/^(?:[a-z]{2,6}(?:-gov)?\.)?(?:anthropic|amazon|meta|mistral|cohere|ai21|deepseek)\.[a-z]/, 'aws'],
];

/** Resource names of Google's APIs: the model is their last part. */
const RESOURCE_PATH = /^(?:[^/]+\/){0,8}models\/(?=[^/]+$)/;

const PICO_PER_USD_PLACES = 12;
const MAX_REMEMBERED = 4_096;
const MAX_NAME_LENGTH = 256;
const DAY_MS = 86_400_000;

interface Rate {
  readonly usd: string;
  /** Pico-dollars for `per` units. */
  readonly pico: bigint;
}

interface TieredRate {
  readonly base: Rate;
  /** Ascending by start. */
  readonly tiers: readonly { readonly start: number; readonly rate: Rate }[];
}

type Rates = ReadonlyMap<string, TieredRate>;

interface DatedRates {
  readonly fromMs: number | undefined;
  readonly between: readonly [startMs: number, endMs: number] | undefined;
  readonly rates: Rates;
}

interface Model {
  readonly id: string;
  readonly matches: Matches;
  readonly dated: readonly DatedRates[];
}

interface Provider {
  readonly id: string;
  readonly matches: Matches | undefined;
  readonly matchesModel: Matches | undefined;
  readonly api: RegExp;
  readonly fallback: readonly string[];
  readonly models: readonly Model[];
}

interface Found {
  readonly provider: Provider;
  readonly model: Model;
}

/** A compiled price table. Look-ups are remembered, at most 4,096 of them. */
export class PriceBook {
  /** For example `@pydantic/genai-prices 0.1.8`. */
  readonly version: string;
  readonly #providers: readonly Provider[];
  readonly #found = new Map<string, Found | UnpricedReason>();

  constructor(table: PriceTableJson) {
    this.version = `${table.source} ${table.version}`;
    this.#providers = table.providers.map(compileProvider);
  }

  /** The price of one call, or why there is none. Never a guess: an unknown model, tier or overlap has no price. */
  price(call: Call): Priced | Unpriced {
    const { usage, serviceTier } = call;
    if (call.model === undefined || call.model === '') return { unpriced: 'no_model' };
    // an answer without a question is half a bill; a question alone (embeddings) is a whole one
    if (usage.inputTokens === undefined) return { unpriced: 'no_usage' };
    if (serviceTier !== undefined && !STANDARD_TIERS.has(serviceTier.toLowerCase()))
      return { unpriced: 'unknown_service_tier' };
    const found = this.#find(call.provider ?? '', call.model, call.serverAddress ?? '');
    if (typeof found === 'string') return { unpriced: found };
    const rates = ratesAt(found.model.dated, call.atMs);
    const bill = billOf(rates, usage);
    if (typeof bill === 'string') return { unpriced: bill };
    return { ...bill, priceVersion: this.version, providerId: found.provider.id, modelId: found.model.id };
  }

  #find(provider: string, model: string, host: string): Found | UnpricedReason {
    const key = `${provider}\n${model}\n${host}`;
    const known = this.#found.get(key);
    if (known !== undefined) return known;
    const found = this.#search(normal(provider), normal(model), host.toLowerCase());
    // forgetting all at once keeps the memory bounded without a queue; real traffic has a few dozen models
    if (this.#found.size >= MAX_REMEMBERED) this.#found.clear();
    this.#found.set(key, found);
    return found;
  }

  #search(provider: string, model: string, host: string): Found | UnpricedReason {
    if (provider.length > MAX_NAME_LENGTH || model.length > MAX_NAME_LENGTH || host.length > MAX_NAME_LENGTH)
      return 'unknown_model';
    const seller = this.#providerOf(provider, model, host);
    if (seller === undefined) return NOT_PROVIDERS.has(provider) ? 'unknown_model' : 'unknown_provider';
    const found =
      this.#modelOf(seller, model) ??
      this.#modelOf(seller, withDashedDate(model)) ??
      this.#modelOf(seller, model.replace(RESOURCE_PATH, ''));
    return found === undefined ? 'unknown_model' : { provider: seller, model: found };
  }

  #providerOf(name: string, model: string, host: string): Provider | undefined {
    const url = `https://${host}/`;
    const byHost = host === '' ? undefined : this.#providers.find(({ api }) => api.test(url));
    if (byHost !== undefined) return byHost;
    const sellerId = MODEL_SELLERS.find(([names]) => names.test(model))?.[1];
    // Anthropic's client speaks to Bedrock under its own name
    const isUnnamed = NOT_PROVIDERS.has(name) || (name === 'anthropic' && sellerId === 'aws');
    if (sellerId !== undefined && isUnnamed) return this.#providers.find(({ id }) => id === sellerId);
    if (NOT_PROVIDERS.has(name)) return this.#providers.find(({ matchesModel }) => matchesModel?.(model));
    const id = PROVIDER_ALIASES.get(name) ?? name;
    return (
      this.#providers.find((provider) => provider.id === id) ?? this.#providers.find(({ matches }) => matches?.(id))
    );
  }

  #modelOf(provider: Provider, name: string): Model | undefined {
    const own = provider.models.find(({ matches }) => matches(name));
    if (own !== undefined) return own;
    for (const id of provider.fallback) {
      const found = this.#providers.find((other) => other.id === id)?.models.find(({ matches }) => matches(name));
      if (found !== undefined) return found;
    }
    return undefined;
  }
}

let bundled: PriceBook | undefined;

/** The price book that comes with this package, compiled at its first use. */
export function bundledPrices(): PriceBook {
  return (bundled ??= new PriceBook(bundledTable as PriceTableJson));
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

const COMPACT_DATE = /(-)(20\d{2})(0[1-9]|1[0-2])(0[1-9]|[12]\d|3[01])(?=-|:|$)/g;

/** `gpt-4o-20240806` → `gpt-4o-2024-08-06`, as the table spells dates of some models. */
function withDashedDate(model: string): string {
  return model.replace(COMPACT_DATE, '$1$2-$3-$4');
}

function ratesAt(dated: readonly DatedRates[], atMs: number): Rates {
  for (let i = dated.length - 1; i >= 0; i--) if (applies(dated[i]!, atMs)) return dated[i]!.rates;
  return dated[0]!.rates;
}

function applies({ fromMs, between }: DatedRates, atMs: number): boolean {
  if (fromMs !== undefined) return atMs >= fromMs;
  if (between === undefined) return true;
  const timeOfDay = ((atMs % DAY_MS) + DAY_MS) % DAY_MS;
  const [start, end] = between;
  return end < start ? timeOfDay >= start || timeOfDay < end : timeOfDay >= start && timeOfDay < end;
}

interface Bill {
  costPico: bigint;
  components: CostComponent[];
}

function billOf(rates: Rates, usage: Usage): Bill | UnpricedReason {
  const inputTokens = usage.inputTokens ?? 0;
  for (const [key, one, other] of OVERLAPS) {
    if (rates.has(key) && (one.count(usage) ?? 0) > 0 && (other.count(usage) ?? 0) > 0) return 'ambiguous_usage';
  }
  const lines: [Line, number][] = [
    ...disjoint(INPUT, INPUT_SUBSETS, rates, usage),
    ...disjoint(OUTPUT, OUTPUT_SUBSETS, rates, usage),
  ];
  if (!rates.has(INPUT.priceKey) && !rates.has(OUTPUT.priceKey)) return 'no_price';
  if (rates.has(REQUEST.priceKey)) lines.push([REQUEST, 1]);
  const components: CostComponent[] = [];
  // the sum of price × quantity in millionths of a pico-dollar, so that it is rounded once
  let micro = 0n;
  for (const [line, quantity] of lines) {
    if (quantity === 0) continue;
    const tiered = rates.get(line.priceKey);
    if (tiered === undefined) return 'no_price';
    const rate = rateFor(tiered, inputTokens);
    const product = rate.pico * BigInt(quantity);
    micro += line.per === 1_000_000 ? product : product * BigInt(1_000_000 / line.per);
    components.push({
      unit: line.unit,
      quantity,
      usd: rate.usd,
      per: line.per,
      costPico: divideHalfEven(product, BigInt(line.per)),
    });
  }
  return { costPico: divideHalfEven(micro, 1_000_000n), components };
}

/** The priced subsets and what is left of the whole; more subsets than whole leave nothing, never less. */
function disjoint(whole: Line, subsets: readonly Line[], rates: Rates, usage: Usage): [Line, number][] {
  const lines: [Line, number][] = [];
  let rest = whole.count(usage) ?? 0;
  for (const subset of subsets) {
    const quantity = subset.count(usage);
    if (quantity === undefined || quantity === 0 || !rates.has(subset.priceKey)) continue;
    lines.push([subset, quantity]);
    rest -= quantity;
  }
  lines.unshift([whole, Math.max(0, rest)]);
  return lines;
}

function rateFor({ base, tiers }: TieredRate, inputTokens: number): Rate {
  let rate = base;
  for (const tier of tiers) if (inputTokens > tier.start) rate = tier.rate;
  return rate;
}

function compileProvider(json: ProviderJson): Provider {
  return {
    id: json.id,
    matches: json.match && matcherOf(json.match),
    matchesModel: json.modelMatch && matcherOf(json.modelMatch),
    api: new RegExp(`^(?:${json.api})`),
    fallback: json.fallback ?? [],
    models: json.models.map(compileModel),
  };
}

function compileModel(json: ModelJson): Model {
  const dated = Array.isArray(json.prices) ? json.prices : [{ prices: json.prices }];
  return { id: json.id, matches: matcherOf(json.match), dated: dated.map(compileDated) };
}

function compileDated({ from, between, prices }: DatedPriceJson): DatedRates {
  return {
    fromMs: from === undefined ? undefined : Date.parse(`${from}T00:00:00Z`),
    between: between && [timeOfDayMs(between[0]), timeOfDayMs(between[1])],
    rates: compileRates(prices),
  };
}

function timeOfDayMs(time: string): number {
  const ms = Date.parse(`1970-01-01T${time}`);
  if (Number.isNaN(ms)) throw new TypeError(`Expected a time of day for a price but received ${time}`);
  return (ms + DAY_MS) % DAY_MS;
}

function compileRates(prices: ModelPriceJson): Rates {
  return new Map(Object.entries(prices).map(([key, price]) => [key, compileTiers(price)]));
}

function compileTiers(price: PriceJson): TieredRate {
  if (typeof price === 'string') return { base: rateOf(price), tiers: [] };
  const tiers = price.tiers.map(([start, usd]) => ({ start, rate: rateOf(usd) }));
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
