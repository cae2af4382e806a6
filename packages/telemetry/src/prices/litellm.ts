// LiteLLM's model_prices_and_context_window.json (MIT, BerriAI/litellm) as a second source of prices: what it prices by
// token becomes a table of ours, everything else of it is left out rather than approximated.
import { decimalOf } from '../decimal.ts';
import type { ModelJson, ModelPriceJson, PriceJson, PriceVariantJson, ProviderJson } from './table.ts';

/** One entry of the file; numbers are the text that they were written in. */
export type LiteLlmEntry = Readonly<Record<string, unknown>>;

/** Dollars for one token → price key for a million. */
const TOKEN_PRICES = new Map([
  ['input_cost_per_token', 'input_mtok'],
  ['output_cost_per_token', 'output_mtok'],
  ['cache_read_input_token_cost', 'cache_read_mtok'],
  ['cache_creation_input_token_cost', 'cache_write_mtok'],
  ['cache_creation_input_token_cost_above_1hr', 'cache_write_1h_mtok'],
  ['output_cost_per_reasoning_token', 'output_reasoning_mtok'],
  ['input_cost_per_audio_token', 'input_audio_mtok'],
  ['output_cost_per_audio_token', 'output_audio_mtok'],
  ['input_cost_per_image_token', 'input_image_mtok'],
  ['output_cost_per_image_token', 'output_image_mtok'],
  ['cache_read_input_audio_token_cost', 'cache_audio_read_mtok'],
  ['cache_creation_input_audio_token_cost', 'cache_audio_write_mtok'],
  ['cache_read_input_image_token_cost', 'cache_image_read_mtok'],
]);
const PRICE = /^(.+?)(?:_above_(\d{1,5})k_tokens)?(?:_(flex|priority|batches))?$/;
/** Prices by other measures: a call of such a model costs more than its tokens. */
const BY_OTHER_MEASURE =
  /^(?:input|output)_cost_per_(?:image|second|character|pixel|video|audio_per_second|request|query)|^tiered_pricing$/;
const VARIANTS: Readonly<Record<string, Record<string, string>>> = {
  flex: { service_tier: 'flex' },
  priority: { service_tier: 'priority' },
  batches: { processing: 'batch' },
};

/** LiteLLM's provider → ours, where they differ. */
const PROVIDERS: readonly (readonly [RegExp, string])[] = [
  [/^bedrock/, 'aws'],
  [/^(?:vertex_ai|gemini)/, 'google'],
  [/^azure/, 'azure'],
  [/^cohere/, 'cohere'],
  [/^xai$/, 'x-ai'],
  [/^together_ai$/, 'together'],
  [/^fireworks_ai/, 'fireworks'],
  [/^text-completion-openai$/, 'openai'],
  [/^codestral$/, 'mistral'],
];
/** Matches no address. */
const NO_ADDRESS = '(?!)';
const NO_MODEL = 'sample_spec';

export function isLiteLlm(entries: Readonly<Record<string, unknown>>): boolean {
  return Object.values(entries)
    .slice(0, 20)
    .some((entry) => typeof entry === 'object' && entry !== null && 'litellm_provider' in entry);
}

/** Providers of the file; what is known of them beside prices (address, matchers) comes from `known`. */
export function providersOfLiteLlm(
  entries: Readonly<Record<string, unknown>>,
  known: readonly ProviderJson[],
): ProviderJson[] {
  const models = new Map<string, Map<string, ModelJson>>();
  for (const [key, value] of Object.entries(entries)) {
    if (key === NO_MODEL || typeof value !== 'object' || value === null) continue;
    const entry = value as LiteLlmEntry;
    const seller = entry['litellm_provider'];
    if (typeof seller !== 'string' || seller === '') continue;
    const model = modelOf(key, seller, entry);
    if (model === undefined) continue;
    const id = PROVIDERS.find(([names]) => names.test(seller))?.[1] ?? seller;
    const own = models.get(id) ?? new Map<string, ModelJson>();
    models.set(id, own);
    // one house under two names (Gemini's API and Vertex): the first that names a model counts
    if (!own.has(model.id)) own.set(model.id, model);
  }
  return [...models].map(([id, own]) => {
    const { name = id, api = NO_ADDRESS, match, modelMatch } = known.find((provider) => provider.id === id) ?? {};
    return { id, name, api, ...(match && { match }), ...(modelMatch && { modelMatch }), models: [...own.values()] };
  });
}

function modelOf(key: string, seller: string, entry: LiteLlmEntry): ModelJson | undefined {
  if (Object.entries(entry).some(([name, value]) => BY_OTHER_MEASURE.test(name) && !isZero(value))) return undefined;
  const standard = pricesOf(entry, undefined);
  const { input_mtok: input, output_mtok: output } = standard;
  // nothing for both is how the file writes "not known"
  if (input === undefined || (isZero(input) && (output === undefined || isZero(output)))) return undefined;
  const id = key.startsWith(`${seller}/`) ? key.slice(seller.length + 1) : key;
  const variants = Object.entries(VARIANTS).flatMap(([suffix, when]): PriceVariantJson[] => {
    const prices = pricesOf(entry, suffix);
    return Object.keys(prices).length === 0 ? [] : [{ when, prices }];
  });
  return {
    id,
    match: id === key ? { equals: key } : { or: [{ equals: id }, { equals: key }] },
    prices: standard,
    ...(variants.length > 0 && { variants }),
  };
}

function pricesOf(entry: LiteLlmEntry, variant: string | undefined): ModelPriceJson {
  const found = new Map<string, { base?: string; tiers: [number, string][] }>();
  for (const [name, value] of Object.entries(entry)) {
    const [, base = '', above, suffix] = TOKEN_PRICES.has(name) ? [name, name] : (PRICE.exec(name) ?? []);
    const key = TOKEN_PRICES.get(base);
    const price = perMillion(value);
    if (key === undefined || suffix !== variant || price === undefined) continue;
    const own = found.get(key) ?? { tiers: [] };
    found.set(key, own);
    if (above === undefined) own.base = price;
    else own.tiers.push([Number(above) * 1_000, price]);
  }
  const complete = [...found].flatMap(([key, { base, tiers }]): [string, PriceJson][] => {
    if (base === undefined) return [];
    return [[key, tiers.length === 0 ? base : { base, tiers: tiers.sort(([a], [b]) => a - b) }]];
  });
  return Object.fromEntries(complete);
}

/** `2.5e-06` dollars a token → `2.5` a million, digit for digit. */
function perMillion(value: unknown): string | undefined {
  const usd = typeof value === 'string' ? decimalOf(value) : undefined;
  if (usd === undefined || usd.startsWith('-')) return undefined;
  const text = decimalOf(`${usd}e6`);
  return text === undefined || (text.split('.')[1]?.length ?? 0) <= PLACES
    ? text
    : decimalOf(Number(text).toFixed(PLACES));
}

const PLACES = 12;

function isZero(value: unknown): boolean {
  return value === null || (typeof value !== 'object' && Number(value) === 0);
}
