// A small EXIF editor: takes the GPS directory out of a TIFF block without moving a byte of the rest.
// Offsets inside maker notes are absolute, so nothing may shift: what is removed is overwritten with zeros.

const GPS_POINTER = 0x8825;
const EXIF_POINTER = 0x8769;
const MAX_ENTRIES = 1024;
const MAX_DIRECTORIES = 8;

// TIFF 6.0 field types by number: bytes per value
const TYPE_BYTES: readonly number[] = [0, 1, 1, 2, 4, 8, 1, 1, 2, 4, 8, 4, 8];

/**
 * A copy of the TIFF block (what follows `Exif\0\0`) without its GPS directory: the pointer entry goes, and the
 * directory with its values is zeroed. The length stays. Null when the block is too damaged to tell whether GPS is
 * in it: the caller must then drop it whole.
 */
export function withoutGps(tiff: Uint8Array): Uint8Array | null {
  const copy = Uint8Array.from(tiff);
  const view = new DataView(copy.buffer);
  if (copy.length < 8) return null;
  const order = view.getUint16(0);
  if (order !== 0x4949 && order !== 0x4d4d) return null;
  const little = order === 0x4949;
  const block = { copy, view, little, seen: new Set<number>() };
  for (let directory = view.getUint32(4, little); directory !== 0;) {
    const next = cleanDirectory(block, directory);
    if (next === null) return null;
    directory = next;
  }
  return copy;
}

/** Whether IFD0 or a later directory of the chain points to a GPS directory. */
export function hasGps(tiff: Uint8Array): boolean {
  const cleaned = withoutGps(tiff);
  return cleaned === null || cleaned.some((value, index) => value !== tiff[index]);
}

interface Block {
  copy: Uint8Array;
  view: DataView;
  little: boolean;
  /** Offsets of the directories so far: one that comes again is a loop. */
  seen: Set<number>;
}

/** Removes GPS from one directory and answers the offset of the next (0: the last); null when it is damaged. */
function cleanDirectory(block: Block, offset: number): number | null {
  const { copy, view, little, seen } = block;
  if (offset + 2 > copy.length || seen.has(offset) || seen.size === MAX_DIRECTORIES) return null;
  seen.add(offset);
  const count = view.getUint16(offset, little);
  const end = offset + 2 + 12 * count;
  if (count > MAX_ENTRIES || end > copy.length) return null;
  // some writers leave out the link to the next directory at the very end of the block: then there is none
  const linkBytes = Math.min(4, copy.length - end);
  const next = linkBytes === 4 ? view.getUint32(end, little) : 0;
  let kept = 0;
  for (let index = 0; index < count; index++) {
    const at = offset + 2 + 12 * index;
    const tag = view.getUint16(at, little);
    const value = view.getUint32(at + 8, little);
    if (tag === GPS_POINTER) {
      if (!eraseDirectory(block, value)) return null;
      continue;
    }
    // a GPS pointer below the Exif directory is against the specification, and phones have written it
    if (tag === EXIF_POINTER && cleanDirectory(block, value) === null) return null;
    copy.copyWithin(offset + 2 + 12 * kept++, at, at + 12);
  }
  if (kept === count) return next;
  view.setUint16(offset, kept, little);
  const keptEnd = offset + 2 + 12 * kept;
  copy.copyWithin(keptEnd, end, end + linkBytes);
  copy.fill(0, keptEnd + linkBytes, end + linkBytes);
  return next;
}

function eraseDirectory({ copy, view, little }: Block, offset: number): boolean {
  if (offset + 2 > copy.length) return false;
  const count = view.getUint16(offset, little);
  const end = Math.min(copy.length, offset + 2 + 12 * count + 4);
  if (count > MAX_ENTRIES || offset + 2 + 12 * count > copy.length) return false;
  for (let at = offset + 2, index = 0; index < count; index++, at += 12) {
    const bytes = (TYPE_BYTES[view.getUint16(at + 2, little)] ?? 1) * view.getUint32(at + 4, little);
    const value = view.getUint32(at + 8, little);
    if (bytes > 4 && value + bytes <= copy.length && value >= 8) copy.fill(0, value, value + bytes);
  }
  copy.fill(0, offset, end);
  return true;
}
