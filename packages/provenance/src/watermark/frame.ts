// The canonical frame: the original's coordinates, scaled alike in x and y so that the long side is at most 1024.
// The scale is exact; only the grid on which values are computed is whole.

export interface FrameSize {
  width: number;
  height: number;
}

export const CANONICAL_LONG_SIDE = 1_024;
/** Below this a picture holds too little to carry 64 bits, and we say so. */
export const MIN_LONG_SIDE = 256;
export const MIN_SHORT_SIDE = 128;

/** Canonical pixels per original pixel, 1 at most. */
export function canonicalScale({ width, height }: FrameSize): number {
  return Math.min(1, CANONICAL_LONG_SIDE / Math.max(width, height));
}

/** The size at which a received picture is looked at: as `canonicalGrid`, rounded, since its own scale is not known. */
export function lookedAtSize(size: FrameSize): FrameSize {
  const scale = canonicalScale(size);
  return { width: Math.max(1, Math.round(size.width * scale)), height: Math.max(1, Math.round(size.height * scale)) };
}

/** The whole grid that covers the canonical frame. */
export function canonicalGrid(size: FrameSize): FrameSize {
  const scale = canonicalScale(size);
  // 1e-9: 3000 · (1024 / 3000) may be a hair above 1024
  return { width: Math.ceil(size.width * scale - 1e-9), height: Math.ceil(size.height * scale - 1e-9) };
}
