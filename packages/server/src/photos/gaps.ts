// Takes out of a manifest store what came in with the image, and puts it back: credentials of others may hold
// thumbnails, and no pixel is kept here. Whoever asks for the answer again brings the image, and so these bytes, again.
import type { ManifestGap } from '../storage/postgres/photos.ts';

// a run shorter than this is not worth a gap, and no thumbnail is that small
const BLOCK_BYTES = 64;
// searches without a match before the rest of an unrecognisable store is left alone
const MAX_MISSES = 2_000;

export interface GappedStore {
  kept: Uint8Array;
  gaps: ManifestGap[];
}

/** The store without every run of bytes that it has in common with `incoming`, in the order of both. */
export function withoutIncoming(store: Uint8Array, incoming: Uint8Array | null): GappedStore {
  const gaps = incoming === null ? [] : commonRuns(Buffer.from(store), incoming);
  const kept: Uint8Array[] = [];
  let at = 0;
  for (const gap of gaps) {
    kept.push(store.subarray(at, gap.at));
    at = gap.at + gap.length;
  }
  kept.push(store.subarray(at));
  return { kept: Buffer.concat(kept), gaps };
}

/** Reverses `withoutIncoming`; null when `incoming` is not the store that the gaps were made from. */
export function withIncoming(
  { kept, gaps }: { kept: Uint8Array; gaps: readonly ManifestGap[] },
  incoming: Uint8Array | null,
): Uint8Array | null {
  const pieces: Uint8Array[] = [];
  let from = 0;
  let at = 0;
  for (const gap of gaps) {
    if (incoming === null || gap.from + gap.length > incoming.length) return null;
    const own = gap.at - at;
    pieces.push(kept.subarray(from, from + own), incoming.subarray(gap.from, gap.from + gap.length));
    from += own;
    at = gap.at + gap.length;
  }
  pieces.push(kept.subarray(from));
  return Buffer.concat(pieces);
}

/** The store in its full length, with zeros where the incoming one was: our own manifest can be read in it. */
export function blankedOut({ kept, gaps }: { kept: Uint8Array; gaps: readonly ManifestGap[] }): Uint8Array {
  const longest = gaps.reduce((most, { from, length }) => Math.max(most, from + length), 0);
  return withIncoming({ kept, gaps }, new Uint8Array(longest)) ?? kept;
}

// greedy and forward: both stores list the earlier manifests in the same order, so a match is where the last one ended
function commonRuns(store: Buffer, incoming: Uint8Array): ManifestGap[] {
  const gaps: ManifestGap[] = [];
  let at = 0;
  let misses = 0;
  for (let from = 0; from + BLOCK_BYTES <= incoming.length && misses < MAX_MISSES;) {
    const found = store.indexOf(incoming.subarray(from, from + BLOCK_BYTES), at);
    if (found === -1) {
      misses++;
      from += BLOCK_BYTES;
      continue;
    }
    const gap = widest(store, incoming, found, from, at);
    gaps.push(gap);
    at = gap.at + gap.length;
    from = gap.from + gap.length;
  }
  return gaps;
}

/** The run around a match, as far as both agree; never before `floor`, where the last gap ended. */
function widest(store: Uint8Array, incoming: Uint8Array, found: number, from: number, floor: number): ManifestGap {
  let before = 0;
  while (found - before > floor && from - before > 0 && store[found - before - 1] === incoming[from - before - 1]) {
    before++;
  }
  let length = BLOCK_BYTES;
  while (
    found + length < store.length &&
    from + length < incoming.length &&
    store[found + length] === incoming[from + length]
  ) {
    length++;
  }
  return { at: found - before, from: from - before, length: length + before };
}
