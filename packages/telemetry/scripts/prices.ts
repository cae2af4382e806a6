// Writes src/prices/genai-prices.json: the price table inside @pydantic/genai-prices, its prices as exact decimal text.
// Run by hand after the package was raised: node packages/telemetry/scripts/prices.ts VARIANTS.json, where variants.py
// wrote VARIANTS.json: prices of service tiers and batches, which only the Python package carries.
import { createHash } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { waitForUpdate } from '@pydantic/genai-prices';
import type { ConditionalPrice, MatchLogic, ModelPrice, Provider } from '@pydantic/genai-prices';
import { decimalOf } from '../src/decimal.ts';
import type {
  DatedPriceJson,
  MatchJson,
  ModelPriceJson,
  PriceJson,
  PriceTableJson,
  PriceVariantJson,
} from '../src/prices/table.ts';

/** Beyond this many places the table holds float artefacts (0.18000000000000002) or a rounded third (0.08333333333333334). */
const PLACES = 12;

const output = join(import.meta.dirname, '../src/prices/genai-prices.json');
const entry = createRequire(import.meta.url).resolve('@pydantic/genai-prices');
const manifest = JSON.parse(readFileSync(join(dirname(entry), '../package.json'), 'utf8')) as {
  name: string;
  version: string;
  license?: string;
};
const [variantsFile] = process.argv.slice(2);
if (variantsFile === undefined) throw new Error('Expected the file that variants.py wrote');
const { models: variants, ...variantsOf } = JSON.parse(readFileSync(variantsFile, 'utf8')) as NonNullable<
  PriceTableJson['variantsOf']
> & { models: Record<string, PriceVariantJson[]> };
const providers = await waitForUpdate();
if (providers === null) throw new Error('Expected the bundled table of @pydantic/genai-prices but received null');

const table: PriceTableJson = {
  source: manifest.name,
  version: manifest.version,
  licence: 'MIT, Copyright (c) Pydantic Services Inc. 2025 to present (LICENSE of the package)',
  sha256: createHash('sha256')
    .update(readFileSync(join(dirname(entry), 'index.js')))
    .digest('hex'),
  sha256Of: 'dist/index.js of the npm package',
  variantsOf,
  providers: providers.map(providerOf),
};
writeFileSync(output, `${JSON.stringify(table, null, 0).replaceAll('{"id":', '\n{"id":')}\n`);
const models = providers.reduce((sum, provider) => sum + provider.models.length, 0);
console.log(`${table.source} ${table.version}: ${providers.length} providers, ${models} models → ${output}`);

function providerOf(provider: Provider): PriceTableJson['providers'][number] {
  return {
    id: provider.id,
    name: provider.name,
    api: provider.api_pattern,
    ...(provider.provider_match && { match: provider.provider_match as MatchJson }),
    ...(provider.model_match && { modelMatch: provider.model_match as MatchJson }),
    ...(provider.fallback_model_providers && { fallback: provider.fallback_model_providers }),
    models: provider.models.map((model) => ({
      id: model.id,
      match: model.match satisfies MatchLogic as MatchJson,
      prices: Array.isArray(model.prices) ? model.prices.map(datedOf) : pricesOf(model.prices),
      ...(variants[`${provider.id}/${model.id}`] && { variants: variants[`${provider.id}/${model.id}`] }),
    })),
  };
}

function datedOf({ constraint, prices }: ConditionalPrice): DatedPriceJson {
  if (constraint === undefined) return { prices: pricesOf(prices) };
  if (constraint.type === 'start_date') return { from: constraint.start_date, prices: pricesOf(prices) };
  return { between: [constraint.start_time, constraint.end_time], prices: pricesOf(prices) };
}

function pricesOf(prices: ModelPrice): ModelPriceJson {
  return Object.fromEntries(
    Object.entries(prices).flatMap(([key, price]) => (price === undefined ? [] : [[key, priceOf(price)]])),
  );
}

function priceOf(price: NonNullable<ModelPrice[string]>): PriceJson {
  if (typeof price === 'number') return decimal(price);
  return { base: decimal(price.base), tiers: price.tiers.map(({ start, price }) => [start, decimal(price)]) };
}

function decimal(price: number): string {
  const text = decimalOf(price);
  if (text === undefined) throw new Error(`Expected a price but received ${price}`);
  return (text.split('.')[1]?.length ?? 0) <= PLACES ? text : decimalOf(price.toFixed(PLACES))!;
}
