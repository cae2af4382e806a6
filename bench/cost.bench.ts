// Whether our prices are right: every model of the bundled table, every kind of usage and every side of a change,
// against the package it comes from (floats), a second calculation in rationals, and its Python package (decimals).
import { spawnSync } from 'node:child_process';
import { calcPrice, waitForUpdate, type ModelPrice, type Provider } from '@pydantic/genai-prices';
import { isPriced, priceOf, type Call } from '../packages/telemetry/src/cost.ts';
import type { Usage } from '../packages/telemetry/src/span.ts';
import table from '../packages/telemetry/src/prices/genai-prices.json' with { type: 'json' };
import type { DatedPriceJson, ModelPriceJson, PriceTableJson } from '../packages/telemetry/src/prices/table.ts';
import {
  exactPico,
  momentsOf,
  nameOf,
  rawPricesAt,
  usageOf,
  vectorsOf,
  type Cells,
} from '../packages/telemetry/test/exact-price.ts';
import { progress, publish } from './report.ts';

interface Case {
  provider: string;
  model: string;
  vector: string;
  cells: Cells;
  at: Date;
  /** `batch`, `flex`, …; undefined for the standard prices. */
  tier?: string;
  /** Raw prices behind it. */
  prices: ModelPrice;
}

const PYTHON = `
import json, sys
from datetime import datetime
from decimal import Decimal, ROUND_HALF_EVEN, getcontext
from importlib.metadata import version
data = json.load(sys.stdin)
from genai_prices.types import Usage, _providers_from_raw
getcontext().prec = 60
providers = {p.id: p for p in _providers_from_raw(data['table'])}
picos = []
for case in data['cases']:
    provider = providers[case['provider']]
    model = provider.find_model(case['model'], all_providers=list(providers.values()))
    if model is None:
        picos.append(None)
        continue
    price = model.calc_price(
        Usage(**case['usage']), provider,
        genai_request_timestamp=datetime.fromisoformat(case['at'].replace('Z', '+00:00')),
        price_context=case['context'],
    ).total_price
    pico = (price * Decimal(10) ** 12).quantize(Decimal(1), rounding=ROUND_HALF_EVEN)
    picos.append(str(pico))
json.dump({'version': version('genai-prices'), 'picos': picos}, sys.stdout)
`;

const FIELDS: Readonly<Record<string, keyof Usage>> = {
  input_tokens: 'inputTokens',
  output_tokens: 'outputTokens',
  cache_read_tokens: 'cacheReadTokens',
  cache_write_tokens: 'cacheCreationTokens',
  output_reasoning_tokens: 'reasoningTokens',
  input_audio_tokens: 'inputAudioTokens',
  output_audio_tokens: 'outputAudioTokens',
  input_image_tokens: 'inputImageTokens',
  input_video_tokens: 'inputVideoTokens',
};

const RELATIVE_LIMIT = 1e-9;
const MAX_SHOWN = 20;

const providers = (await waitForUpdate()) as Provider[];
const now = new Date();
const started = performance.now();
const standard = providers.flatMap((provider) =>
  provider.models.flatMap((model) => {
    const name = nameOf(provider, model);
    return momentsOf(model, now).flatMap((at) => {
      const prices = rawPricesAt(model, at);
      return vectorsOf(prices).map(([vector, cells]): Case => ({
        provider: provider.id,
        model: name,
        vector,
        cells,
        at,
        prices,
      }));
    });
  }),
);
const tiers = variantCases();
const models = new Set(standard.map(({ provider, model }) => `${provider}/${model}`));
progress(`${models.size} models, ${standard.length} calls, ${tiers.length} of service tiers`);

const shown: string[] = [];
const counts = { reference: 0, exact: 0, python: 0, pricedByNeither: 0 };
for (const each of standard)
  compare(
    each,
    calcPrice(usageOf(each.cells), each.model, { providerId: each.provider, timestamp: each.at })?.total_price,
  );
for (const each of tiers) compare(each, undefined);
const seconds = (performance.now() - started) / 1_000;
const python = comparePython([...standard, ...tiers]);
for (const line of shown) progress(line);

publish(
  'cost',
  {
    modelsCompared: models.size,
    mismatches: counts.reference + counts.exact + counts.python,
    mismatchesReference: counts.reference,
    mismatchesExact: counts.exact,
    mismatchesPython: python.version === null ? null : counts.python,
    callsCompared: standard.length + tiers.length,
    callsOfServiceTiers: tiers.length,
    pricedByNeither: counts.pricedByNeither,
    reference: `@pydantic/genai-prices ${table.version}`,
    second: 'rationals over the raw table',
    python: python.version,
    ...(python.reason === undefined ? {} : { pythonReason: python.reason }),
    seconds: Number(seconds.toFixed(1)),
  },
  [
    'For every model: plain, cache read, cache write, reasoning, audio, pictures and video, either side of each tier, and',
    'every further unit that it prices; now and either side of every dated change. `mismatchesReference`: more than 1e-9',
    'relative from calcPrice. `mismatchesExact`: any pico-dollar of difference from the rationals; `mismatchesPython`: any',
    'from the Python package’s engine in decimals over the same table (`pip install genai-prices`; null where it is not installed).',
    '`pricedByNeither`: calls of which nothing has a price (tokens of a model sold by the hour): no cost here, 0 in the package.',
  ],
);

function compare(each: Case, theirs: number | undefined): void {
  const ours = priceOf(callOf(each));
  const exact = exactPico(each.prices, each.cells);
  if (!isPriced(ours)) {
    if (exact === undefined && (theirs ?? 0) === 0) counts.pricedByNeither++;
    else report('exact', each, `unpriced here (${ours.unpriced}), ${exact} there`);
    return;
  }
  if (exact !== ours.costPico) report('exact', each, `${ours.costPico} here, ${exact} there`);
  if (each.tier !== undefined) return;
  const reference = (theirs ?? NaN) * 1e12;
  // half a pico-dollar is our last place
  const difference = Math.abs(Number(ours.costPico) - reference) - 0.5;
  if (!(difference <= reference * RELATIVE_LIMIT))
    report('reference', each, `${ours.costPico} here, ${reference} there`);
}

function report(
  kind: 'reference' | 'exact' | 'python',
  { provider, model, vector, at, tier }: Case,
  what: string,
): void {
  counts[kind]++;
  if (shown.length < MAX_SHOWN)
    shown.push(`${kind}: ${provider} ${model} ${tier ?? ''} ${vector} at ${at.toISOString()}: ${what}`);
}

/** As a span tells it: what the conventions have a field for in its field, the rest by the name of its unit. */
function callOf({ provider, model, cells, at, tier }: Case): Call {
  const usage: Usage = {};
  const counts = new Map<string, number>();
  for (const [key, count] of Object.entries(usageOf(cells))) {
    const field = FIELDS[key];
    if (field === undefined) counts.set(key, count);
    else usage[field] = count;
  }
  return { provider, model, atMs: at.getTime(), usage, counts, serviceTier: tier };
}

/** Prices of service tiers and batches, which the npm package has not: ours against the rationals and Python. */
function variantCases(): Case[] {
  return (table as PriceTableJson).providers.flatMap((provider) =>
    provider.models.flatMap((model) => {
      const seller = providers.find(({ id }) => id === provider.id);
      const raw = seller?.models.find(({ id }) => id === model.id);
      if (seller === undefined || raw === undefined) return [];
      const standardPrices = rawPricesAt(raw, now);
      const seen = new Set<string>();
      return (model.variants ?? []).flatMap(({ when, from, prices }): Case[] => {
        const tier = when['service_tier'] ?? when['processing'];
        if (tier === undefined || tier === 'default' || Object.keys(when).length !== 1) return [];
        // of several for one tier the first that is valid now counts
        if (seen.has(tier) || (from !== undefined && from > now.toISOString())) return [];
        seen.add(tier);
        const own = Object.entries(prices).map(([key, price]) => [
          key,
          typeof price === 'string'
            ? price
            : { base: price.base, tiers: price.tiers.map(([start, usd]) => ({ start, price: usd })) },
        ]);
        const merged = { ...standardPrices, ...Object.fromEntries(own) } as ModelPrice;
        return vectorsOf(merged).map(([vector, cells]) => ({
          provider: provider.id,
          model: nameOf(seller, raw),
          vector,
          cells,
          at: now,
          tier,
          prices: merged,
        }));
      });
    }),
  );
}

/** The engine of the Python package over the same table, in one child process. */
function comparePython(cases: readonly Case[]): { version: string | null; reason?: string } {
  const interpreter = process.env['PYTHON'] ?? 'python3';
  const input = JSON.stringify({
    table: (table as PriceTableJson).providers.map(pythonProvider),
    cases: cases.map(({ provider, model, cells, at, tier }) => ({
      provider,
      model,
      at: at.toISOString(),
      usage: usageOf(cells),
      context: tier === undefined ? null : tier === 'batch' ? { processing: tier } : { service_tier: tier },
    })),
  });
  const run = spawnSync(interpreter, ['-W', 'ignore', '-c', PYTHON], {
    input,
    encoding: 'utf8',
    maxBuffer: 64 * 1024 * 1024,
  });
  if (run.status !== 0) {
    const said = run.stderr?.trim().split('\n').at(-1) ?? '';
    const reason = said === '' ? (run.error?.message ?? 'it failed') : said;
    return { version: null, reason };
  }
  const answer = JSON.parse(run.stdout) as { version: string; picos: (string | null)[] };
  for (const [i, each] of cases.entries()) {
    const ours = priceOf(callOf(each));
    const theirs = answer.picos[i] ?? null;
    if (!isPriced(ours) ? theirs !== '0' && theirs !== null : String(ours.costPico) !== theirs)
      report('python', each, `${isPriced(ours) ? ours.costPico : ours.unpriced} here, ${theirs} there`);
  }
  return { version: `genai-prices ${answer.version}` };
}

type TableProvider = PriceTableJson['providers'][number];

/** The table as the Python package reads it. */
function pythonProvider({ id, name, api, match, modelMatch, fallback, models: own }: TableProvider): object {
  return {
    id,
    name,
    api_pattern: api,
    ...(match && { provider_match: match }),
    ...(modelMatch && { model_match: modelMatch }),
    ...(fallback && { fallback_model_providers: fallback }),
    models: own.map((model) => ({
      id: model.id,
      match: model.match,
      prices: Array.isArray(model.prices) ? model.prices.map(pythonDated) : pythonPrices(model.prices),
      ...(model.variants && {
        price_variants: model.variants.map((variant) => ({ when: variant.when, ...pythonDated(variant) })),
      }),
    })),
  };
}

function pythonDated({ from, between, prices }: DatedPriceJson): object {
  if (from !== undefined) return { constraint: { start_date: from }, prices: pythonPrices(prices) };
  if (between === undefined) return { prices: pythonPrices(prices) };
  return { constraint: { start_time: between[0], end_time: between[1] }, prices: pythonPrices(prices) };
}

function pythonPrices(prices: ModelPriceJson): object {
  const entries = Object.entries(prices).map(([key, price]) => [
    key,
    typeof price === 'string'
      ? price
      : { base: price.base, tiers: price.tiers.map(([start, usd]) => ({ start, price: usd })) },
  ]);
  return Object.fromEntries(entries) as object;
}
