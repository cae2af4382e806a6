// The shape of a price table file. Prices are decimal text of US dollars per unit of their key (mtok: a million tokens).

export type TextMatchJson =
  { equals: string } | { starts_with: string } | { ends_with: string } | { contains: string } | { regex: string };

export type MatchJson = { or: MatchJson[] } | { and: MatchJson[] } | TextMatchJson;

/** One price, or prices by the size of the input: a tier counts for the whole call once the input exceeds its start. */
export type PriceJson = string | { base: string; tiers: [start: number, price: string][] };

/** Price key → price; keys as in genai-prices: `input_mtok`, `cache_read_mtok`, `requests_kcount`, … */
export type ModelPriceJson = { [key: string]: PriceJson };

/** Prices from a day on (00:00 UTC), or between two times of the day (`HH:MM:SSZ`, may pass midnight), or always. */
export interface DatedPriceJson {
  from?: string;
  between?: [start: string, end: string];
  prices: ModelPriceJson;
}

/**
 * Prices of calls of one kind (`{"service_tier": "flex"}`, `{"processing": "batch"}`) in place of the standard ones, key
 * by key; of several that apply the first that prices a key counts.
 */
export interface PriceVariantJson extends DatedPriceJson {
  when: { [condition: string]: string };
}

export interface ModelJson {
  id: string;
  match: MatchJson;
  /** In a list the last entry that applies counts, else the first. */
  prices: ModelPriceJson | DatedPriceJson[];
  variants?: PriceVariantJson[];
}

export interface ProviderJson {
  id: string;
  name: string;
  /** Regular expression of the start of its API's URLs. */
  api: string;
  match?: MatchJson;
  modelMatch?: MatchJson;
  /** Providers whose models it resells at their price. */
  fallback?: string[];
  models: ModelJson[];
}

export interface PriceTableJson {
  source: string;
  version: string;
  licence: string;
  sha256: string;
  sha256Of: string;
  /** Where the variants come from, when that is another release than the prices. */
  variantsOf?: { source: string; version: string; sha256: string; sha256Of: string };
  providers: ProviderJson[];
}
