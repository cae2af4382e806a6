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
