// What the calls of cases.ts cost, worked out apart from the product: the providers' public price lists of the models
// that the cases name, in exact integers.
import type { TrueUsage } from './cases.ts';

/** Pico-dollars a token: a list price of $0.15 per million tokens is 150,000. */
interface Tariff {
  input: bigint;
  cacheRead: bigint;
  /** Written to a cache that lives five minutes. */
  cacheCreation: bigint;
  output: bigint;
}

const PICO_PER_DOLLAR = 1_000_000_000_000n;

// openai.com/api/pricing, docs.claude.com/en/docs/about-claude/pricing, ai.google.dev/gemini-api/docs/pricing.
const TARIFFS = new Map<string, Tariff>([
  ['gpt-4o-mini', { input: 150_000n, cacheRead: 75_000n, cacheCreation: 150_000n, output: 600_000n }],
  ['o4-mini', { input: 1_100_000n, cacheRead: 275_000n, cacheCreation: 1_100_000n, output: 4_400_000n }],
  ['text-embedding-3-small', { input: 20_000n, cacheRead: 20_000n, cacheCreation: 20_000n, output: 0n }],
  ['claude-sonnet-4-5', { input: 3_000_000n, cacheRead: 300_000n, cacheCreation: 3_750_000n, output: 15_000_000n }],
  ['gemini-2.5-flash', { input: 300_000n, cacheRead: 30_000n, cacheCreation: 300_000n, output: 2_500_000n }],
]);

/** The cost of one call in pico-dollars. Throws TypeError for a model that no case names. */
export function costPico(model: string, usage: TrueUsage): bigint {
  const tariff = TARIFFS.get(model);
  if (tariff === undefined) throw new TypeError(`Expected a model of the cases but received ${model}`);
  const read = usage.cache_read_tokens ?? 0;
  const created = usage.cache_creation_tokens ?? 0;
  return (
    BigInt(usage.input_tokens - read - created) * tariff.input +
    BigInt(read) * tariff.cacheRead +
    BigInt(created) * tariff.cacheCreation +
    BigInt(usage.output_tokens) * tariff.output
  );
}

/** Pico-dollars as an exact decimal of dollars without trailing zeros: `0.000435`. */
export function dollars(pico: bigint): string {
  const fraction = String(pico % PICO_PER_DOLLAR)
    .padStart(12, '0')
    .replace(/0+$/, '');
  return `${pico / PICO_PER_DOLLAR}${fraction === '' ? '' : `.${fraction}`}`;
}

/** An exact decimal of dollars as pico-dollars. Throws RangeError for anything finer. */
export function pico(decimal: string): bigint {
  const [, whole = '0', fraction = ''] = /^(\d+)(?:\.(\d{1,12}))?$/.exec(decimal) ?? [];
  if (!/^\d+(?:\.\d{1,12})?$/.test(decimal)) throw new RangeError(`Expected exact dollars but received ${decimal}`);
  return BigInt(whole) * PICO_PER_DOLLAR + BigInt(fraction.padEnd(12, '0'));
}
