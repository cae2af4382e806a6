// What the filter bar suggests for what was typed so far: keys first, then the values that really occur.
import type { Facets, FacetValue } from '../../api/telemetry.ts';
import { FILTER_KEYS, fieldTerm } from '../../filters/filter.ts';

export interface Suggestion {
  text: string;
  /** A whole term; otherwise the beginning of one. */
  complete: boolean;
  hint?: string;
  count?: number;
}

const FACETS: ReadonlyMap<string, keyof Facets> = new Map([
  ['model', 'models'],
  ['service', 'services'],
  ['tag', 'tags'],
  ['user', 'users'],
  ['status', 'statuses'],
]);
const MOST = 12;

export function suggestionsFor(draft: string, facets: Facets | undefined): Suggestion[] {
  const [, field, begun] = /^([a-z]+):"?(.*)$/s.exec(draft) ?? [];
  const facet = FACETS.get(field ?? '');
  if (field !== undefined && facet !== undefined) return values(field, facets?.[facet] ?? [], begun ?? '');
  const keys = FILTER_KEYS.filter(({ text }) => text.startsWith(draft)).map(({ text, hint }): Suggestion => {
    return { text, hint, complete: !/[:>]$/.test(text) };
  });
  return draft === '' ? keys : [...keys, ...anyValues(draft, facets)].slice(0, MOST);
}

function values(field: string, facet: FacetValue[], begun: string): Suggestion[] {
  const wanted = begun.toLowerCase();
  return facet
    .filter(({ value }) => value.toLowerCase().includes(wanted))
    .slice(0, MOST)
    .map(({ value, count }) => ({ text: fieldTerm(field, value), complete: true, count }));
}

function anyValues(draft: string, facets: Facets | undefined): Suggestion[] {
  if (facets === undefined) return [];
  return [...FACETS].flatMap(([field, facet]) => values(field, facets[facet] ?? [], draft));
}
