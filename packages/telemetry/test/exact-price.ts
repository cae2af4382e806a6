// A second, independent price of a call, for checking cost.ts: rationals over the raw table of @pydantic/genai-prices,
// from disjoint cells upwards (each cell at its most specific price), where cost.ts goes from totals downwards.
import { calcPrice, type MatchLogic, type ModelPrice, type Provider } from '@pydantic/genai-prices';

export type RawModel = Provider['models'][number];

/** Disjoint cells of one call: no token is in two of them. Names are usage keys of the table. */
export type Cells = Readonly<Record<string, number>>;

/** Cell → usage keys that may price it, the most specific first. */
const PRICED_BY: Readonly<Record<string, readonly string[]>> = {
  input: ['input_mtok'],
  cache_read: ['cache_read_mtok', 'input_mtok'],
  cache_write: ['cache_write_mtok', 'input_mtok'],
  cache_write_1h: ['cache_write_1h_mtok', 'cache_write_mtok', 'input_mtok'],
  input_audio: ['input_audio_mtok', 'input_mtok'],
  input_image: ['input_image_mtok', 'input_mtok'],
  input_video: ['input_video_mtok', 'input_mtok'],
  output: ['output_mtok'],
  reasoning: ['output_reasoning_mtok', 'output_mtok'],
  output_audio: ['output_audio_mtok', 'output_mtok'],
  output_image: ['output_image_mtok', 'output_mtok'],
  output_video: ['output_video_mtok', 'output_mtok'],
  output_citation: ['output_citation_mtok', 'output_mtok'],
  web_searches: ['web_searches_kcount'],
  storage_searches: ['storage_searches_kcount'],
  input_text_messages: ['input_text_messages_kcount'],
  input_audio_seconds: ['input_audio_hours', 'audio_hours'],
  input_annotated_document_pages: ['input_annotated_document_kpages', 'input_document_kpages'],
  input_document_pages: ['input_document_kpages'],
  input_characters: ['input_mchars'],
};

/** Cell → the totals that include it. */
const COUNTED_IN: Readonly<Record<string, readonly string[]>> = {
  input: ['input_tokens'],
  cache_read: ['input_tokens', 'cache_read_tokens'],
  cache_write: ['input_tokens', 'cache_write_tokens'],
  cache_write_1h: ['input_tokens', 'cache_write_tokens', 'cache_write_1h_tokens'],
  input_audio: ['input_tokens', 'input_audio_tokens'],
  input_image: ['input_tokens', 'input_image_tokens'],
  input_video: ['input_tokens', 'input_video_tokens'],
  output: ['output_tokens'],
  reasoning: ['output_tokens', 'output_reasoning_tokens'],
  output_audio: ['output_tokens', 'output_audio_tokens'],
  output_image: ['output_tokens', 'output_image_tokens'],
  output_video: ['output_tokens', 'output_video_tokens'],
  output_citation: ['output_tokens', 'output_citation_tokens'],
  web_searches: ['web_searches'],
  storage_searches: ['storage_searches'],
  input_text_messages: ['input_text_messages'],
  input_audio_seconds: ['audio_seconds', 'input_audio_seconds'],
  input_annotated_document_pages: ['input_document_pages', 'input_annotated_document_pages'],
  input_document_pages: ['input_document_pages'],
  input_characters: ['input_characters'],
};

const PER: readonly (readonly [RegExp, bigint])[] = [
  [/_mtok$|_mchars$/, 1_000_000n],
  [/_kcount$|_kpages$/, 1_000n],
  [/_hours$/, 3_600n],
];

/** What an emitter would report of the cells: totals that include their parts. */
export function usageOf(cells: Cells): Record<string, number> {
  const usage: Record<string, number> = {};
  for (const [cell, count] of Object.entries(cells)) {
    for (const key of COUNTED_IN[cell] ?? []) usage[key] = (usage[key] ?? 0) + count;
  }
  return usage;
}

/** Pico-dollars, rounded half to even once; undefined when nothing of the call has a price. */
export function exactPico(prices: ModelPrice, cells: Cells): bigint | undefined {
  const totalInput = usageOf(cells)['input_tokens'] ?? 0;
  let numerator = 0n;
  let denominator = 1n;
  let isPriced = prices['requests_kcount'] !== undefined;
  const add = (key: string, quantity: number): void => {
    const [top, bottom] = fraction(priceFor(prices[key], totalInput));
    const per = PER.find(([keys]) => keys.test(key))?.[1];
    if (per === undefined) throw new Error(`Expected a unit that is known here but received ${key}`);
    const below = bottom * per;
    numerator = numerator * below + top * BigInt(quantity) * denominator;
    denominator *= below;
  };
  for (const [cell, quantity] of Object.entries(cells)) {
    const key = PRICED_BY[cell]?.find((candidate) => prices[candidate] !== undefined);
    if (key === undefined) continue;
    isPriced = true;
    add(key, quantity);
  }
  if (prices['requests_kcount'] !== undefined) add('requests_kcount', 1);
  return isPriced ? halfEven(numerator * 1_000_000_000_000n, denominator) : undefined;
}

/** The prices of a moment: of a list the last that applies, else the first. */
export function rawPricesAt(model: RawModel, at: Date): ModelPrice {
  if (!Array.isArray(model.prices)) return model.prices;
  const active = model.prices.filter(({ constraint }) => {
    if (constraint === undefined) return true;
    if ('start_date' in constraint) return at.toISOString().slice(0, 10) >= constraint.start_date;
    const time = at.toISOString().slice(11, 19);
    const [start, end] = [constraint.start_time.slice(0, 8), constraint.end_time.slice(0, 8)];
    return start <= end ? time >= start && time < end : time >= start || time < end;
  });
  const chosen = active.at(-1) ?? model.prices[0];
  if (chosen === undefined) throw new Error(`Expected prices for ${model.id}`);
  return chosen.prices;
}

function priceFor(price: ModelPrice[string], totalInput: number): number | string {
  if (price === undefined) throw new Error('Expected a price');
  if (typeof price !== 'object') return price;
  const reached = price.tiers.filter(({ start }) => totalInput > start).sort((a, b) => b.start - a.start)[0];
  return reached?.price ?? price.base;
}

/** A double as the decimal that everyone prints, as a fraction. */
function fraction(value: number | string): [bigint, bigint] {
  const [mantissa = '', exponent = '0'] = String(value).split('e');
  const [whole = '', decimals = ''] = mantissa.split('.');
  const shift = Number(exponent) - decimals.length;
  const digits = BigInt(whole + decimals);
  return shift >= 0 ? [digits * 10n ** BigInt(shift), 1n] : [digits, 10n ** BigInt(-shift)];
}

function halfEven(numerator: bigint, denominator: bigint): bigint {
  const floor = numerator / denominator;
  const rest = 2n * (numerator - floor * denominator);
  if (rest === denominator) return floor % 2n === 0n ? floor : floor + 1n;
  return rest > denominator ? floor + 1n : floor;
}

/** Six kinds of usage, and for each tier of the model its start and one token more; every other unit that it prices. */
export function vectorsOf(prices: ModelPrice): readonly (readonly [name: string, Cells])[] {
  const starts = new Set(
    Object.values(prices)
      .flatMap((price) => (typeof price === 'object' ? price.tiers : []))
      .map(({ start }) => start),
  );
  if (starts.size === 0) starts.add(200_000);
  return [
    ['plain', { input: 1_000, output: 500 }],
    ['cache read', { input: 617, cache_read: 383, output: 41 }],
    ['cache write', { input: 301, cache_read: 97, cache_write: 1_602, output: 53 }],
    ['reasoning', { input: 1_009, output: 307, reasoning: 1_693 }],
    ['audio', { input: 701, input_audio: 299, output: 211, output_audio: 289 }],
    ['picture and video', { input: 11, input_image: 1_290, input_video: 2_580, output: 7, output_image: 1_120 }],
    ...[...starts].flatMap((start): [string, Cells][] => [
      [`tier ${start}`, { input: start - 1_000, cache_read: 1_000, output: 777 }],
      [`tier ${start} + 1`, { input: start - 999, cache_read: 1_000, output: 777 }],
    ]),
    ...otherUnits(prices),
  ];
}

function otherUnits(prices: ModelPrice): [string, Cells][] {
  const priced = Object.keys(COUNTED_IN).filter(
    (cell) =>
      !COUNTED_IN[cell]?.some((key) => key.endsWith('_tokens')) && prices[PRICED_BY[cell]?.[0] ?? ''] !== undefined,
  );
  const further = priced.map((cell): [string, Cells] => [cell, { input: 1_000, output: 500, [cell]: 97 }]);
  if (prices['cache_write_1h_mtok'] !== undefined)
    further.push(['cache write for an hour', { input: 301, cache_write: 40, cache_write_1h: 1_602, output: 53 }]);
  if (prices['output_citation_mtok'] !== undefined)
    further.push(['citations', { input: 300, output: 100, output_citation: 55 }]);
  return further;
}

/** Now, and either side of every moment at which a price of the model changes. */
export function momentsOf(model: RawModel, now: Date): Date[] {
  const changes = Array.isArray(model.prices) ? model.prices.map(({ constraint }) => constraint) : [];
  const edges = changes.flatMap((constraint) => {
    if (constraint === undefined) return [];
    const day = now.toISOString().slice(0, 10);
    const texts =
      'start_date' in constraint
        ? [`${constraint.start_date}T00:00:00Z`]
        : [constraint.start_time, constraint.end_time].map((time) => `${day}T${time.slice(0, 8)}Z`);
    return texts.flatMap((text) => [new Date(Date.parse(text) - 1_000), new Date(text)]);
  });
  return [now, ...edges];
}

/** A name by which a model is called: its id, or where that is only a label of the table, a text of its match. */
export function nameOf(provider: Provider, model: RawModel): string {
  const found = [model.id, ...literalsOf(model.match)].find(
    (name) => calcPrice({ input_tokens: 1 }, name, { providerId: provider.id })?.model.id === model.id,
  );
  return found ?? model.id;
}

function literalsOf(match: MatchLogic): string[] {
  if ('or' in match) return match.or.flatMap(literalsOf);
  if ('and' in match) return match.and.flatMap(literalsOf);
  return 'regex' in match ? [] : Object.values(match);
}
