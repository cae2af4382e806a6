// A price table from a file, checked whole before anything uses it: our own shape, data.json of pydantic/genai-prices, or
// LiteLLM's model_prices_and_context_window.json.
import { decimalOf } from '../decimal.ts';
import { isLiteLlm, providersOfLiteLlm } from './litellm.ts';
import { Sellers } from './sellers.ts';
import type {
  DatedPriceJson,
  MatchJson,
  ModelJson,
  ModelPriceJson,
  PriceJson,
  PriceTableJson,
  PriceVariantJson,
  ProviderJson,
} from './table.ts';

/** Why a file is no price table that can be used. */
export class PriceTableError extends Error {
  override readonly name = 'PriceTableError';
  readonly code = 'VALIDATION_FAILED';
}

export const MAX_TABLE_BYTES = 16 * 1024 * 1024;
const MAX_PROVIDERS = 1_000;
const MAX_MODELS = 50_000;
const MAX_PATTERN = 500;
const PLACES = 12;

type Raw = { [key: string]: unknown };

/**
 * `sha256` is of the file; `known` tells the addresses and names of providers to a file that has prices only. Numbers keep every digit that the file writes. Throws {@link PriceTableError} that names the
 * place for anything that is missing, of the wrong kind, or would not compile.
 */
export function readPriceTable(text: string, sha256: string, known: readonly ProviderJson[] = []): PriceTableJson {
  if (text.length > MAX_TABLE_BYTES) throw new PriceTableError('Expected a price table of at most 16 MiB');
  const json = parseExact(text);
  const table = tableOf(json, sha256, known);
  const providers = listOf(table['providers'], 'providers', MAX_PROVIDERS).map((provider, i) =>
    providerOf(objectOf(provider, `providers[${i}]`), `providers[${i}]`),
  );
  const models = providers.reduce((sum, { models: own }) => sum + own.length, 0);
  if (models === 0 || models > MAX_MODELS)
    throw new PriceTableError(`Expected 1 to ${MAX_MODELS} models but received ${models}`);
  const read: PriceTableJson = {
    source: textOf(table['source'], 'source', 100),
    version: textOf(table['version'], 'version', 100),
    licence: textOf(table['licence'] ?? 'not told', 'licence', 300),
    sha256,
    sha256Of: 'the file',
    providers,
  };
  try {
    if (new Sellers(read.providers).modelCount !== models) throw new PriceTableError('Expected every model once');
  } catch (error) {
    throw new PriceTableError((error as Error).message, { cause: error });
  }
  return read;
}

/** Our shape, whatever the file is: a list is data.json of genai-prices, an object of models LiteLLM's. */
function tableOf(json: unknown, sha256: string, known: readonly ProviderJson[]): Raw {
  const version = sha256.slice(0, 12);
  if (Array.isArray(json)) {
    const licence = 'MIT (pydantic/genai-prices)';
    return { source: 'genai-prices data.json', version, licence, providers: json };
  }
  const raw = objectOf(json, 'the file');
  if (!isLiteLlm(raw)) return raw;
  const licence = 'MIT (BerriAI/litellm)';
  return { source: 'LiteLLM model prices', version, licence, providers: providersOfLiteLlm(raw, known) };
}

/** Numbers as the text that they were written in, so that no price passes through a float. */
function parseExact(text: string): unknown {
  try {
    return JSON.parse(text, asWritten as (key: string, value: unknown) => unknown) as unknown;
  } catch (error) {
    throw new PriceTableError('Expected JSON', { cause: error });
  }
}

/** The third parameter (JSON.parse source text access, ECMAScript 2026) is not in the library's types yet. */
function asWritten(_key: string, value: unknown, context?: { source?: string }): unknown {
  return typeof value === 'number' && context?.source !== undefined ? context.source : value;
}

function providerOf(raw: Raw, at: string): ProviderJson {
  const id = textOf(raw['id'], `${at}.id`, 100);
  const match = raw['match'] ?? raw['provider_match'];
  const modelMatch = raw['modelMatch'] ?? raw['model_match'];
  const fallback = raw['fallback'] ?? raw['fallback_model_providers'];
  return {
    id,
    name: textOf(raw['name'] ?? id, `${at}.name`, 200),
    api: textOf(raw['api'] ?? raw['api_pattern'], `${at}.api_pattern`, MAX_PATTERN),
    ...(isSet(match) && { match: matchOf(match, `${id}.provider_match`) }),
    ...(isSet(modelMatch) && { modelMatch: matchOf(modelMatch, `${id}.model_match`) }),
    ...(isSet(fallback) && {
      fallback: listOf(fallback, `${id}.fallback_model_providers`, MAX_PROVIDERS).map((name) => textOf(name, id, 100)),
    }),
    models: listOf(raw['models'], `${id}.models`, MAX_MODELS).map((model, i) =>
      modelOf(objectOf(model, `${id}.models[${i}]`), `${id}.models[${i}]`),
    ),
  };
}

function modelOf(raw: Raw, at: string): ModelJson {
  const id = textOf(raw['id'], `${at}.id`, 300);
  const place = `${at} (${id})`;
  const variants = raw['variants'] ?? raw['price_variants'];
  const prices = raw['prices'];
  return {
    id,
    match: matchOf(raw['match'], `${place}.match`),
    prices: Array.isArray(prices)
      ? prices.map((dated) => datedOf(objectOf(dated, place), place))
      : pricesOf(objectOf(prices, `${place}.prices`), place),
    ...(isSet(variants) && {
      variants: listOf(variants, `${place}.price_variants`, 100).map((variant) =>
        variantOf(objectOf(variant, place), place),
      ),
    }),
  };
}

function variantOf(raw: Raw, at: string): PriceVariantJson {
  const when = Object.entries(objectOf(raw['when'], `${at}.when`)).map(([key, value]) => [
    key,
    textOf(value, `${at}.when`, 100),
  ]);
  return { when: Object.fromEntries(when) as Record<string, string>, ...datedOf(raw, at) };
}

function datedOf(raw: Raw, at: string): DatedPriceJson {
  const constraint = isSet(raw['constraint']) ? objectOf(raw['constraint'], `${at}.constraint`) : raw;
  const from = constraint['from'] ?? constraint['start_date'];
  const between = constraint['between'] ?? betweenOf(constraint);
  const prices = pricesOf(objectOf(raw['prices'], `${at}.prices`), at);
  if (isSet(from)) return { from: textOf(from, `${at}.start_date`, 10), prices };
  if (!isSet(between)) return { prices };
  const [start, end] = listOf(between, at, 2).map((time) => textOf(time, `${at}.start_time`, 30));
  if (start === undefined || end === undefined) throw new PriceTableError(`Expected two times of the day in ${at}`);
  return { between: [start, end], prices };
}

function betweenOf({ start_time: start, end_time: end }: Raw): unknown {
  return isSet(start) && isSet(end) ? [start, end] : undefined;
}

function pricesOf(raw: Raw, at: string): ModelPriceJson {
  const entries = Object.entries(raw).filter(([, price]) => isSet(price));
  return Object.fromEntries(entries.map(([key, price]) => [key, priceOf(price, `${at}.${key}`)]));
}

function priceOf(raw: unknown, at: string): PriceJson {
  if (typeof raw === 'string') return decimal(raw, at);
  const { base, tiers } = objectOf(raw, at);
  return {
    base: decimal(base, at),
    tiers: listOf(tiers, `${at}.tiers`, 20).map((tier) => {
      const [start, price] = Array.isArray(tier)
        ? (tier as unknown[])
        : [objectOf(tier, at)['start'], objectOf(tier, at)['price']];
      return [Number(typeof start === 'number' ? start : textOf(start, `${at}.start`, 20)), decimal(price, at)];
    }),
  };
}

/** At most twelve places: more are artefacts of a float. */
function decimal(raw: unknown, at: string): string {
  const text = decimalOf(textOf(raw, at, 60));
  if (text === undefined || text.startsWith('-'))
    throw new PriceTableError(`Expected a price at ${at} but received ${String(raw)}`);
  if ((text.split('.')[1]?.length ?? 0) <= PLACES) return text;
  return decimalOf(Number(text).toFixed(PLACES)) as string;
}

function matchOf(raw: unknown, at: string): MatchJson {
  const [[kind, value] = ['', undefined], ...more] = Object.entries(objectOf(raw, at));
  if (more.length > 0) throw new PriceTableError(`Expected one rule at ${at}`);
  if (kind === 'or' || kind === 'and') {
    const rules = listOf(value, at, 1_000).map((rule) => matchOf(rule, at));
    return kind === 'or' ? { or: rules } : { and: rules };
  }
  const text = textOf(value, `${at}.${kind}`, MAX_PATTERN);
  switch (kind) {
    case 'equals':
      return { equals: text };
    case 'starts_with':
      return { starts_with: text };
    case 'ends_with':
      return { ends_with: text };
    case 'contains':
      return { contains: text };
    case 'regex':
      return { regex: text };
    default:
      throw new PriceTableError(`Expected a rule at ${at} but received "${kind.slice(0, 40)}"`);
  }
}

function isSet(value: unknown): boolean {
  return value !== undefined && value !== null;
}

function objectOf(value: unknown, at: string): Raw {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Raw;
  throw new PriceTableError(`Expected an object at ${at}`);
}

function listOf(value: unknown, at: string, most: number): unknown[] {
  if (Array.isArray(value) && value.length <= most) return value as unknown[];
  throw new PriceTableError(`Expected a list of at most ${most} at ${at}`);
}

function textOf(value: unknown, at: string, most: number): string {
  if (typeof value === 'string' && value !== '' && value.length <= most) return value;
  throw new PriceTableError(`Expected a text of at most ${most} characters at ${at}`);
}
