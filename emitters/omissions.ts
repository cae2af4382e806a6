// What emitters leave out, as findings with reasons: fixtures/otlp/omissions.json, which the tests of the dialects and
// the live test read alike. Nobody can show what was not sent; what is not listed here must be shown.
import { readFileSync } from 'node:fs';

export type Omitted =
  'provider' | 'usage' | 'cache' | 'reasoning' | 'content' | 'system' | 'answer' | 'tool calls' | 'link' | 'span';

export interface Omission {
  /** Patterns of the emitter's name and of the case; without `case` every one. */
  emitter: string;
  case?: string;
  omits: readonly Omitted[];
  because: string;
}

export const OMISSIONS = JSON.parse(
  readFileSync(new URL('../fixtures/otlp/omissions.json', import.meta.url), 'utf8'),
) as readonly Omission[];

/** The findings about one case of one emitter. */
export function omissionsOf(emitterName: string, caseName: string): readonly Omission[] {
  return OMISSIONS.filter(
    (entry) => new RegExp(entry.emitter).test(emitterName) && new RegExp(entry.case ?? '').test(caseName),
  );
}

export function omits(emitterName: string, caseName: string, what: Omitted): boolean {
  return omissionsOf(emitterName, caseName).some((entry) => entry.omits.includes(what));
}
