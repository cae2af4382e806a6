// What a built-in rule is made of: one row of the tables in secrets.ts and personal.ts.

export interface Detector {
  /** Stable: it stands in markers, settings and counts. */
  id: string;
  name: string;
  kind: 'secret' | 'personal';
  /** A value that it catches, for people; made up or published by the issuer as an example. */
  example: string;
  /** Personal data that is not redacted even when the tenant redacts personal data, until it says so. */
  offByDefault?: boolean;
  /** Cheap and linear; when it does not match, nothing else of the row is tried. */
  trigger: RegExp;
  /** Candidates, with the flag g. Where there is a group `value`, only that is taken out. */
  pattern?: RegExp;
  /** Candidates that count only within 60 characters after one of the words. */
  contextual?: { words: RegExp; pattern: RegExp };
  /** For what no pattern finds: places, in order. */
  find?(text: string): Iterable<readonly [start: number, end: number]>;
  /** Whether a candidate is one; `match` is what the pattern found it in. */
  check?(candidate: string, match: RegExpExecArray): boolean;
  /** Length of the candidate's beginning that is one; undefined: none. */
  cut?(candidate: string): number | undefined;
  /** The form under which equal values are equal, for the keyed hash; by default as it stands. */
  canonical?(value: string): string;
  /** Certain enough to be looked for in pieces of a list put together. */
  isToken?: boolean;
}
