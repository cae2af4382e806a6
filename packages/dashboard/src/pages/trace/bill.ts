// The lines of a bill in words: which unit, at which price, in which colour.
import type { CostComponent } from '../../api/trace.ts';
import { exactMoney } from '../../format/money.ts';

export interface BillLine {
  name: string;
  quantity: number;
  price: string;
  usd: string;
  token: string;
}

/** Unit of the price engine → words and colour; lines are disjoint, so "input" is what nothing else counts. */
const UNITS: ReadonlyMap<string, readonly [string, string]> = new Map([
  ['input_tokens', ['input, not cached', 'series-1']],
  ['cache_read_tokens', ['input, read from cache', 'series-3']],
  ['cache_creation_tokens', ['input, written to cache', 'series-7']],
  ['input_audio_tokens', ['input, audio', 'series-4']],
  ['input_image_tokens', ['input, images', 'series-4']],
  ['input_video_tokens', ['input, video', 'series-4']],
  ['output_tokens', ['output', 'series-2']],
  ['reasoning_tokens', ['output, reasoning', 'series-5']],
  ['output_audio_tokens', ['output, audio', 'series-6']],
  ['output_image_tokens', ['output, images', 'series-6']],
  ['output_video_tokens', ['output, video', 'series-6']],
  ['cache_write_1h_tokens', ['input, written to cache for an hour', 'series-7']],
  ['web_searches', ['web searches', 'series-rest']],
  ['audio_seconds', ['seconds of audio', 'series-4']],
  ['requests', ['requests', 'series-rest']],
]);

const PER: ReadonlyMap<number, string> = new Map([
  [1_000_000, '/ 1M'],
  [1_000, '/ 1k'],
  [3_600, '/ hour'],
  [1, 'each'],
]);

export function lineOf({ unit, quantity, usd, per, costUsd }: CostComponent): BillLine {
  const [name, token] = UNITS.get(unit) ?? [unit.replaceAll('_', ' '), 'series-rest'];
  return { name, quantity, price: `${exactMoney(usd)} ${PER.get(per) ?? `/ ${per}`}`, usd: costUsd, token };
}
