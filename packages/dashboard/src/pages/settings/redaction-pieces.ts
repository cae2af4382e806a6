// Before and after side by side: which pieces of a text were taken out, and which marks stand in their place.

export interface Piece {
  text: string;
  /** Of what the rule took out, or of its mark; undefined: the same on both sides. */
  ruleId: string | undefined;
}

const MARK = /\[(?:redacted:([a-z0-9-]{1,40})|hash:([a-z0-9-]{1,40}):[0-9a-f]{16})\]/g;

/**
 * Both texts in pieces. What lies between two marks stands on both sides: so what is left over before is what was taken
 * out. Where that does not add up (a whole attribute was dropped) `before` is one piece.
 */
export function piecesOf(before: string, after: string): { before: Piece[]; after: Piece[] } {
  const afterPieces: Piece[] = [];
  let done = 0;
  for (const match of after.matchAll(MARK)) {
    if (before.includes(match[0])) continue;
    add(afterPieces, after.slice(done, match.index), undefined);
    add(afterPieces, match[0], match[1] ?? match[2]);
    done = match.index + match[0].length;
  }
  add(afterPieces, after.slice(done), undefined);
  return { before: removedPieces(before, afterPieces), after: afterPieces };
}

function removedPieces(before: string, after: readonly Piece[]): Piece[] {
  const pieces: Piece[] = [];
  let at = 0;
  let ruleId: string | undefined;
  for (const [i, piece] of after.entries()) {
    if (piece.ruleId !== undefined) {
      ruleId = piece.ruleId;
      continue;
    }
    const isLast = i === after.length - 1;
    const found = isLast ? before.length - piece.text.length : before.indexOf(piece.text, at);
    if (found < at || (isLast && !before.endsWith(piece.text)) || (ruleId === undefined && found > at)) {
      return [{ text: before, ruleId: undefined }];
    }
    add(pieces, before.slice(at, found), ruleId);
    add(pieces, piece.text, undefined);
    at = found + piece.text.length;
    ruleId = undefined;
  }
  add(pieces, before.slice(at), ruleId);
  return pieces;
}

function add(pieces: Piece[], text: string, ruleId: string | undefined): void {
  if (text !== '') pieces.push({ text, ruleId });
}
