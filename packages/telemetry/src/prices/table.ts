// The shape of a price table file. Prices are decimal text of US dollars per unit of their key (mtok: a million tokens).

export type MatchJson =
  | { or: MatchJson[] }
  | { and: MatchJson[] }
  | { equals: string }
  | { starts_with: string }
  | { ends_with: string }
  | { contains: string }
  | { regex: string };

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

export interface ModelJson {
  id: string;
  match: MatchJson;
  /** In a list the last entry that applies counts, else the first. */
  prices: ModelPriceJson | DatedPriceJson[];
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
  providers: ProviderJson[];
}
