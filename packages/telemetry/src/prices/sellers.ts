// Which provider and model of a price table a call names: aliases of the conventions, gateways, resource names, dates.
import { matcherOf, type Matches } from './match.ts';
import { compileConstraint, compileDated, compileRates, type DatedRates, type Rates } from './rates.ts';
import type { ModelJson, PriceVariantJson, ProviderJson } from './table.ts';

export interface Variant extends Omit<DatedRates, 'rates'> {
  readonly when: readonly (readonly [condition: string, value: string])[];
  readonly rates: Rates;
}

export interface Model {
  readonly id: string;
  readonly matches: Matches;
  readonly dated: readonly DatedRates[];
  readonly variants: readonly Variant[];
}

export interface Provider {
  readonly id: string;
  readonly name: string;
  readonly matches: Matches | undefined;
  readonly matchesModel: Matches | undefined;
  readonly api: RegExp;
  readonly fallback: readonly string[];
  readonly models: readonly Model[];
}

export interface Found {
  readonly provider: Provider;
  readonly model: Model;
}

/** `gen_ai.provider.name` (and older `gen_ai.system`, LiteLLM's prefixes) → provider of the table, where its own matchers would miss it. */
const PROVIDER_ALIASES = new Map([
  ['azure.ai.openai', 'azure'],
  ['azure.ai.inference', 'azure'],
  ['az.ai.openai', 'azure'],
  ['az.ai.inference', 'azure'],
  ['azure_openai', 'azure'],
  ['azure_ai', 'azure'],
  ['bedrock', 'aws'],
  ['bedrock_converse', 'aws'],
  ['sagemaker', 'aws'],
  ['gcp.gen_ai', 'google'],
  ['gemini', 'google'],
  ['x_ai', 'x-ai'],
  ['together_ai', 'together'],
  ['fireworks_ai', 'fireworks'],
  ['openai.chat', 'openai'],
  ['openai.responses', 'openai'],
  ['openai.completion', 'openai'],
  ['openai.embedding', 'openai'],
  ['anthropic.messages', 'anthropic'],
  ['google.generative-ai', 'google'],
  ['google.vertex.chat', 'google'],
  ['amazon-bedrock', 'aws'],
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
  // ft:gpt-4o-mini-2024-07-18:acme::abc: only OpenAI names fine-tuned models so
  [/^ft:(?:gpt-|babbage-|davinci-)/, 'openai'],
  [/^arn:aws[a-z-]*:bedrock:/, 'aws'],
  // amazon.nova-pro-v1:0, us.anthropic.claude-…: Bedrock's ids name the maker before a dot
  [/^(?:[a-z]{2,6}(?:-gov)?\.)?(?:anthropic|amazon|meta|mistral|cohere|ai21|deepseek|openai)\.[a-z]/, 'aws'],
];

/** Resource names of Google's APIs: the model is their last part. */
const RESOURCE_PATH = /^(?:[^/]+\/){0,8}models\/(?=[^/]+$)/;
/** Amazon resource names that end in a model: foundation-model/ID and inference-profile/ID (its own ids, not a user's profile). */
const MODEL_ARN = /^arn:aws[a-z-]*:bedrock:[a-z0-9-]*:\d*:(?:foundation-model|inference-profile)\/(?=[^/]+$)/;
/** `openai/gpt-4o`, as gateways write it. */
const GATEWAY_PREFIX = /^([a-z0-9_.-]{1,40})\/(.+)$/;

const MAX_NAME_LENGTH = 256;
const COMPACT_DATE = /(-)(20\d{2})(0[1-9]|1[0-2])(0[1-9]|[12]\d|3[01])(?=-|:|$)/g;

export class Sellers {
  readonly #providers: readonly Provider[];

  constructor(providers: readonly ProviderJson[]) {
    this.#providers = providers.map(compileProvider);
  }

  get modelCount(): number {
    return this.#providers.reduce((sum, { models }) => sum + models.length, 0);
  }

  /** Names are lower-case and trimmed. */
  find(provider: string, model: string, host: string): Found | 'unknown_provider' | 'unknown_model' {
    if (provider.length > MAX_NAME_LENGTH || model.length > MAX_NAME_LENGTH || host.length > MAX_NAME_LENGTH)
      return 'unknown_model';
    const [, prefix, unprefixed] = GATEWAY_PREFIX.exec(model) ?? [];
    const named = prefix === undefined ? undefined : this.named(prefix);
    const seller = this.#sellerOf(provider, model, host) ?? (NOT_PROVIDERS.has(provider) ? named : undefined);
    if (seller === undefined) return NOT_PROVIDERS.has(provider) ? 'unknown_model' : 'unknown_provider';
    for (const name of spellingsOf(model)) {
      const found = this.#modelOf(seller, name);
      if (found !== undefined) return { provider: seller, model: found };
    }
    // a prefix is left out only where it names the seller itself: openai/gpt-4o of somebody else is somebody else's price
    const inner = NOT_PROVIDERS.has(provider) ? named : named === seller ? seller : undefined;
    if (inner === undefined || unprefixed === undefined) return 'unknown_model';
    for (const name of spellingsOf(unprefixed)) {
      const found = this.#modelOf(inner, name);
      if (found !== undefined) return { provider: inner, model: found };
    }
    return 'unknown_model';
  }

  /** The provider that goes by a name, lower-case. */
  named(name: string): Provider | undefined {
    if (NOT_PROVIDERS.has(name)) return undefined;
    const id = PROVIDER_ALIASES.get(name) ?? name;
    return (
      this.#providers.find((provider) => provider.id === id) ?? this.#providers.find(({ matches }) => matches?.(id))
    );
  }

  #sellerOf(name: string, model: string, host: string): Provider | undefined {
    const url = `https://${host}/`;
    const byHost = host === '' ? undefined : this.#providers.find(({ api }) => api.test(url));
    if (byHost !== undefined) return byHost;
    const sellerId = MODEL_SELLERS.find(([names]) => names.test(model))?.[1];
    // Anthropic's client speaks to Bedrock under its own name
    const isUnnamed = NOT_PROVIDERS.has(name) || (name === 'anthropic' && sellerId === 'aws');
    if (sellerId !== undefined && isUnnamed) return this.#providers.find(({ id }) => id === sellerId);
    if (!NOT_PROVIDERS.has(name)) return this.named(name);
    if (GATEWAY_PREFIX.test(model) && !RESOURCE_PATH.test(model)) return undefined;
    return this.#providers.find(({ matchesModel }) => matchesModel?.(model));
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

function spellingsOf(model: string): Set<string> {
  const bare = model.replace(MODEL_ARN, '').replace(RESOURCE_PATH, '');
  return new Set([model, withDashedDate(model), bare, withDashedDate(bare)]);
}

/** `gpt-4o-20240806` → `gpt-4o-2024-08-06`, as the table spells dates of some models. */
function withDashedDate(model: string): string {
  return model.replace(COMPACT_DATE, (text, dash: string, year: string, month: string, day: string) => {
    const date = new Date(Date.UTC(Number(year), Number(month) - 1, Number(day)));
    return date.getUTCDate() === Number(day) ? `${dash}${year}-${month}-${day}` : text;
  });
}

function compileProvider(json: ProviderJson): Provider {
  return {
    id: json.id,
    name: json.name,
    matches: json.match && matcherOf(json.match),
    matchesModel: json.modelMatch && matcherOf(json.modelMatch),
    api: new RegExp(`^(?:${json.api})`),
    fallback: json.fallback ?? [],
    models: json.models.map(compileModel),
  };
}

function compileModel(json: ModelJson): Model {
  const dated = Array.isArray(json.prices) ? json.prices : [{ prices: json.prices }];
  if (dated.length === 0) throw new TypeError(`Expected prices for ${json.id} but received an empty list`);
  return {
    id: json.id,
    matches: matcherOf(json.match),
    dated: dated.map(compileDated),
    variants: (json.variants ?? []).map(compileVariant),
  };
}

function compileVariant({ when, from, between, prices }: PriceVariantJson): Variant {
  return { when: Object.entries(when), ...compileConstraint({ from, between }), rates: compileRates(prices) };
}
