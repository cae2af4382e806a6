// What can be counted and priced: every unit with its price key and its place among the others. The registry of
// genai-prices (MIT, data_units.py of its Python package 0.2.3), written as the product of its dimensions.

/** A unit is a part of every unit whose dimensions are a subset of its own: `cache_read_tokens` is a part of `input_tokens`. */
export interface Unit {
  /** How usage names it. */
  readonly usageKey: string;
  /** How prices name it. */
  readonly priceKey: string;
  /** The price is for so many of them. */
  readonly per: number;
  readonly dimensions: ReadonlyMap<string, string>;
}

const MODALITIES = ['', 'text', 'audio', 'image', 'video'] as const;
const CACHE_LIVES = ['', '5m', '1h'] as const;
const PER_MILLION = 1_000_000;

/** Units that are no tokens: name, price key, per, dimensions. */
const OTHERS: readonly (readonly [string, string, number, string])[] = [
  ['input_characters', 'input_mchars', PER_MILLION, 'family:characters direction:input'],
  ['input_text_messages', 'input_text_messages_kcount', 1_000, 'family:messages direction:input modality:text'],
  ['audio_seconds', 'audio_hours', 3_600, 'family:durations modality:audio'],
  ['input_audio_seconds', 'input_audio_hours', 3_600, 'family:durations direction:input modality:audio'],
  ['output_audio_seconds', 'output_audio_hours', 3_600, 'family:durations direction:output modality:audio'],
  ['input_pixels', 'input_gpixels', 1_000_000_000, 'family:pixels direction:input'],
  ['input_document_pages', 'input_document_kpages', 1_000, 'family:document_pages direction:input'],
  [
    'input_annotated_document_pages',
    'input_annotated_document_kpages',
    1_000,
    'family:document_pages direction:input page:annotated',
  ],
  ['rerank_searches', 'rerank_searches_kcount', 1_000, 'family:rerank'],
  ['web_searches', 'web_searches_kcount', 1_000, 'family:tool_calls tool:web_search'],
  ['social_searches', 'social_searches_kcount', 1_000, 'family:tool_calls tool:social_search'],
  ['storage_searches', 'storage_searches_kcount', 1_000, 'family:tool_calls tool:storage_search'],
  ['code_executions', 'code_executions_kcount', 1_000, 'family:tool_calls tool:code_execution'],
  ['requests', 'requests_kcount', 1_000, 'family:requests'],
];

export const UNITS: readonly Unit[] = [
  ...MODALITIES.flatMap(tokenUnits),
  ...OTHERS.map(([usageKey, priceKey, per, dimensions]) => ({
    usageKey,
    priceKey,
    per,
    dimensions: new Map(dimensions.split(' ').map((pair) => pair.split(':') as [string, string])),
  })),
];

const BY_PRICE_KEY = new Map(UNITS.map((unit) => [unit.priceKey, unit]));
const BY_DIMENSIONS = new Map(UNITS.map((unit) => [placeOf(unit.dimensions), unit]));

export function unitOfPrice(priceKey: string): Unit | undefined {
  return BY_PRICE_KEY.get(priceKey);
}

/** Whether every `part` is counted in `whole` too; a unit is a part of itself. */
export function includes(whole: Unit, part: Unit): boolean {
  for (const [dimension, value] of whole.dimensions) if (part.dimensions.get(dimension) !== value) return false;
  return true;
}

/** What is in both, where both can hold at once: cached audio for cached tokens and audio tokens. */
export function overlapOf(a: Unit, b: Unit): Unit | undefined {
  const both = new Map(a.dimensions);
  for (const [dimension, value] of b.dimensions) {
    if ((both.get(dimension) ?? value) !== value) return undefined;
    both.set(dimension, value);
  }
  return BY_DIMENSIONS.get(placeOf(both));
}

function tokenUnits(modality: string): Unit[] {
  const of = modality === '' ? '' : `${modality}_`;
  const unit = (name: string, dimensions: Record<string, string>): Unit => ({
    usageKey: `${name}_tokens`,
    priceKey: `${name}_mtok`,
    per: PER_MILLION,
    dimensions: new Map(
      Object.entries({ family: 'tokens', ...dimensions, modality }).filter(([, value]) => value !== ''),
    ),
  });
  return [
    unit(`input_${of}`.replace(/_$/, ''), { direction: 'input' }),
    unit(`output_${of}`.replace(/_$/, ''), { direction: 'output' }),
    unit(`cache_${of}read`, { direction: 'input', type: 'cache_read' }),
    ...CACHE_LIVES.map((life) =>
      unit(life === '' ? `cache_${of}write` : `cache_${of}write_${life}`, {
        direction: 'input',
        type: 'cache_write',
        life,
      }),
    ),
    unit(`input_${of}tool`, { direction: 'input', type: 'tool' }),
    unit(`output_${of}reasoning`, { direction: 'output', type: 'reasoning' }),
    unit(`output_${of}citation`, { direction: 'output', type: 'citation' }),
  ];
}

function placeOf(dimensions: ReadonlyMap<string, string>): string {
  return [...dimensions]
    .map(([dimension, value]) => `${dimension}:${value}`)
    .sort()
    .join(' ');
}
