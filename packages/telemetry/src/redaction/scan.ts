// Finding and replacing in one text: which rules match where, what wins when they overlap, and what stays in the place.
import type { Detector } from './detector.ts';

export type Action = 'mask' | 'hash' | 'drop';

/** A rule ready to run. */
export interface ActiveRule {
  id: string;
  action: Action;
  /** Undefined for a rule of the tenant, which runs `find`. */
  detector: Detector | undefined;
  /** Places of a tenant's pattern. */
  find: ((text: string) => Iterable<readonly [number, number]>) | undefined;
  /** Instructions of the tenant's pattern. */
  program: number;
  /** Whether the rule looks at attributes of this key; undefined: at everything. */
  hasKey: ((key: string) => boolean) | undefined;
}

export interface Found {
  start: number;
  end: number;
  rule: ActiveRule;
}

/** Words stand up to so far before a number that means something only beside them. */
const CONTEXT_CHARACTERS = 60;
/** Beyond so many findings of one rule in one text it is no text: all behind them goes with the last one. */
const MAX_FOUND = 20_000;

/** Everything that the rules find, unordered. Candidates that a check refuses are no findings. */
export function findAll(text: string, rules: readonly ActiveRule[]): Found[] {
  const found: Found[] = [];
  for (const rule of rules) {
    const { detector } = rule;
    if (detector === undefined) {
      collectPlaces(text, rule.find?.(text) ?? [], rule, found);
      continue;
    }
    if (!detector.trigger.test(text)) continue;
    if (detector.find !== undefined) collectPlaces(text, detector.find(text), rule, found);
    if (detector.pattern !== undefined) collect(text, detector.pattern, rule, found);
    if (detector.contextual !== undefined) collectBeside(text, detector.contextual, rule, found);
  }
  return found;
}

function collectPlaces(
  text: string,
  places: Iterable<readonly [number, number]>,
  rule: ActiveRule,
  found: Found[],
): void {
  let count = 0;
  for (const [start, end] of places) {
    if (end <= start) continue;
    if (++count > MAX_FOUND) return void found.push({ start, end: text.length, rule });
    found.push({ start, end, rule });
  }
}

function collect(
  text: string,
  pattern: RegExp,
  rule: ActiveRule,
  found: Found[],
  isBeside?: (at: number) => boolean,
): void {
  const { check, cut } = rule.detector!;
  pattern.lastIndex = 0;
  let count = 0;
  for (let match = pattern.exec(text); match !== null; match = pattern.exec(text)) {
    const value = match.groups?.value ?? match[0];
    // The value stands at the end of what was matched, before at most an @.
    const start = match.index + (value === match[0] ? 0 : match[0].lastIndexOf(value));
    const length = cut === undefined ? value.length : cut(value);
    if (length === undefined || check?.(value, match) === false || isBeside?.(start) === false) {
      // A refused candidate may hide another that begins inside it: after an IBAN's country, for one.
      if (cut !== undefined) pattern.lastIndex = match.index + 2;
      continue;
    }
    if (++count > MAX_FOUND) return void found.push({ start, end: text.length, rule });
    found.push({ start, end: start + length, rule });
    if (cut !== undefined) pattern.lastIndex = start + length;
  }
}

function collectBeside(
  text: string,
  { words, pattern }: { words: RegExp; pattern: RegExp },
  rule: ActiveRule,
  found: Found[],
): void {
  collect(text, pattern, rule, found, (at) => words.test(text.slice(Math.max(0, at - CONTEXT_CHARACTERS), at)));
}

/**
 * Findings that touch become one place under the rule of the longest; a drop anywhere in it drops. Sorted, disjoint.
 */
export function settle(found: Found[]): Found[] {
  found.sort((a, b) => a.start - b.start || b.end - a.end);
  const places: Found[] = [];
  let longest = 0;
  for (const { start, end, rule } of found) {
    const last = places.at(-1);
    if (last === undefined || start >= last.end) {
      places.push({ start, end, rule });
      longest = end - start;
      continue;
    }
    if (last.rule.action !== 'drop' && (rule.action === 'drop' || end - start > longest)) {
      last.rule = rule;
      longest = end - start;
    }
    last.end = Math.max(last.end, end);
  }
  return places;
}
