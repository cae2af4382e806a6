// What one request may bring: everything beyond is refused or counted, never silently kept or lost.

export interface Limits {
  /** Spans of one request; those beyond are rejected. */
  maxSpans: number;
}

export const DEFAULT_LIMITS: Limits = { maxSpans: 100_000 };

/** Attributes of one span, event, link, scope or resource: the first are kept, the rest counted as dropped. */
export const MAX_ATTRIBUTES = 1_000;
/** Of a span's attributes those that the conventions know: a long conversation in indexed keys has thousands. */
export const MAX_KNOWN_ATTRIBUTES = 50_000;
export const MAX_EVENTS = 1_000;
export const MAX_LINKS = 1_000;
/** Sentences about what was odd in one span; the first are kept. */
export const MAX_ISSUES = 100;
/** Items of one array or map value: the first are kept. Longer embeddings than this do not exist. */
export const MAX_ITEMS = 16_384;
/** Arrays and maps inside each other; a value deeper than this is null. */
export const MAX_DEPTH = 32;
/** Sentences of a partial success. */
export const MAX_REJECTION_MESSAGES = 10;
/** Largest time that a signed 64-bit column holds, in nanoseconds: the year 2262. */
export const MAX_TIME_NS = 0x7fff_ffff_ffff_ffffn;
