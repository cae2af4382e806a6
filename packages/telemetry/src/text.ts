// Text that every store and screen can take: no U+0000, no lone surrogates, cut between characters.

/** The text with each U+0000 (PostgreSQL refuses it) and each lone surrogate replaced by U+FFFD. */
export function clean(text: string): string {
  const wellFormed = text.isWellFormed() ? text : text.toWellFormed();
  return wellFormed.includes('\0') ? wellFormed.replaceAll('\0', '\uFFFD') : wellFormed;
}

/** At most `maxUnits` UTF-16 units of a well-formed text, not cutting a surrogate pair. */
export function clip(text: string, maxUnits: number): string {
  if (text.length <= maxUnits) return text;
  const last = text.charCodeAt(maxUnits - 1);
  const cutsPair = last >= 0xd800 && last <= 0xdbff;
  return text.slice(0, cutsPair ? maxUnits - 1 : maxUnits);
}

/** What a word that was left out leaves where no other word stands. */
const NOTHING_BUT_A_WORD = '…';
/** So far back, groups of digits before the cut go too. */
const MAX_GROUPED = 64;
const GROUPS_OF_DIGITS = /(?:(?<=\s)[\d()+./-]+\s*)+$/;

/**
 * Like {@link clip}, of a text that is still to be redacted: half a secret is one that no rule finds, so the word that
 * the cut would tear goes whole, however long, and so do the groups of digits before it (cards and accounts are
 * written in groups). A text that is one long word becomes an ellipsis.
 */
export function clipAtWord(text: string, maxUnits: number): string {
  if (text.length <= maxUnits) return text;
  let end = maxUnits;
  // back to white space; nowhere when the cut falls between words
  if (!isSpace(text, end)) while (end > 0 && !isSpace(text, end - 1)) end--;
  const groups = GROUPS_OF_DIGITS.exec(text.slice(Math.max(0, end - MAX_GROUPED), end));
  const kept = text.slice(0, end - (groups?.[0].length ?? 0)).trimEnd();
  return kept === '' ? NOTHING_BUT_A_WORD : kept;
}

function isSpace(text: string, at: number): boolean {
  return /\s/.test(text[at]!);
}

/** At most `maxCodePoints` code points; the last one is an ellipsis where something was cut. */
export function ellipsize(text: string, maxCodePoints: number): string {
  if (text.length <= maxCodePoints) return text;
  let units = 0;
  let unitsBeforeLast = 0;
  for (let points = 0; points < maxCodePoints; points++) {
    if (units >= text.length) return text;
    unitsBeforeLast = units;
    units += text.codePointAt(units)! > 0xffff ? 2 : 1;
  }
  return units >= text.length ? text : `${text.slice(0, unitsBeforeLast)}…`;
}
