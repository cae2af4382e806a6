// Searches bytes for thousands of needles at once, in every spelling in which a dump could hold them.

/** What is looked for: text, or bytes such as a key. */
export interface Needle {
  bytes: Buffer;
  place: string;
}

const PREFIX_BYTES = 4;
/** A spelling shorter than this would be found by accident. */
const SHORTEST = 8;

/** As it is, in hexadecimal of both cases, in both base64 at each of three places in a longer text, in UTF-16, escaped. */
export function spellings(needle: Buffer): Buffer[] {
  const hex = needle.toString('hex');
  const texts = [hex, hex.toUpperCase(), ...[0, 1, 2].flatMap((before) => base64At(needle, before))];
  const utf16 = Buffer.alloc(needle.length * 2);
  for (const [i, byte] of needle.entries()) utf16[2 * i] = byte;
  return [needle, utf16, Buffer.from(utf16).swap16(), ...texts.map((text) => Buffer.from(text))];
}

/** The characters that depend on the needle alone when `before` bytes stand before it. */
function base64At(needle: Buffer, before: number): string[] {
  const text = Buffer.concat([Buffer.alloc(before), needle])
    .toString('base64')
    .replace(/=+$/, '');
  const first = Math.ceil((before * 8) / 6);
  const last = Math.floor(((before + needle.length) * 8) / 6);
  const own = text.slice(first, last);
  return [own, own.replaceAll('+', '-').replaceAll('/', '_')];
}

/** One pass over the haystack: the places of the needles that stand in it, each once. */
export function found(needles: readonly Needle[], haystack: Buffer): Set<string> {
  const byPrefix = new Map<number, { spelling: Buffer; place: string }[]>();
  for (const { bytes, place } of needles) {
    for (const spelling of spellings(bytes)) {
      if (spelling.length < SHORTEST) throw new TypeError(`Expected a longer needle for ${place}`);
      const prefix = spelling.readUInt32BE(0);
      const known = byPrefix.get(prefix);
      if (known === undefined) byPrefix.set(prefix, [{ spelling, place }]);
      else known.push({ spelling, place });
    }
  }
  const places = new Set<string>();
  // the four bytes at each offset, rolled forward
  let window = haystack.length < PREFIX_BYTES ? 0 : haystack.readUInt32BE(0);
  for (let at = 0; at + PREFIX_BYTES <= haystack.length; at++) {
    for (const { spelling, place } of byPrefix.get(window) ?? []) {
      if (spelling.compare(haystack, at, at + spelling.length) === 0) places.add(place);
    }
    window = ((window << 8) | (haystack[at + PREFIX_BYTES] ?? 0)) >>> 0;
  }
  return places;
}
