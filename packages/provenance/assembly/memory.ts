// Where everything lies, in bytes. The other side asks for these addresses: they stand here alone.

/**
 * A row of a plane is longer than the square by so many values: rows whose distance is a power of two would all fall into
 * the same few sets of the cache.
 */
export const ROW_GAP: i32 = 16;
export const LANES: i32 = 4;

/** Tables of size n begin n entries into their region, so that all powers of two fit one behind the other. */
export const REVERSED: usize = 1024; // u16, sizes to 1024
export const TWIDDLES: usize = 8192; // pairs of f32, e^(−2πik/n)
export const LINE: usize = 32768; // 1024 vectors, real parts
/** From a vector's real to its imaginary part; 64 bytes off the power of two. */
export const IM: usize = 16448;

/** A picture of at most 1024×1024, or the real parts of a complex square. */
export const PLANE: usize = 131072;
/** Half a spectrum: 513 rows and three of padding. */
export const HALF_RE: usize = PLANE + 1024 * 1040 * 4;
export const HALF_IM: usize = HALF_RE + 516 * 1040 * 4;

// the search
/** The keyed lines: u, v in cycles per period, 40 f32 each. */
export const LINE_U: usize = HALF_IM + 516 * 1040 * 4;
export const LINE_V: usize = LINE_U + 256;
/** What is read at the lines: 40 f64 each. */
export const READ_RE: usize = LINE_V + 256;
export const READ_IM: usize = READ_RE + 512;
/** Per line of a scan: where its values begin, u32. */
export const STARTS: usize = READ_IM + 512;
/** One score an angle, and the tables of a polar plane: cos and sin an angle, radius a row. */
export const SCORES: usize = STARTS + 256;
export const COSINES: usize = SCORES + 8192;
export const SINES: usize = COSINES + 4096;
export const RADII: usize = SINES + 4096;
/** A plane of half a spectrum that a scan looks up. */
export const POWER: usize = RADII + 8192;
/** Whitened bins of the picture or block that is looked at. */
export const BINS_RE: usize = POWER + 513 * 1040 * 4;
export const BINS_IM: usize = BINS_RE + 513 * 1040 * 4;
/** The same by angle and logarithm of radius; each row twice, since angles wrap at π. */
export const POLAR: usize = BINS_IM + 513 * 1040 * 4;

// folding
/** At most 1101 rows of 1600 values lie before. */
export const PIXELS: usize = POLAR + 1101 * 1600 * 4;
export const SUM: usize = PIXELS + 1024 * 1024 * 4;
export const COUNT: usize = SUM + 512 * 512 * 4;

// the analysis
/** Two planes of a picture or half a spectrum without gaps between rows, and one f64 (or pair of f32) a column. */
export const ACROSS: usize = COUNT + 512 * 512 * 4;
export const SQUARES: usize = ACROSS + 1024 * 1024 * 4;
export const POWERS: usize = SQUARES + 1024 * 1024 * 4;
export const SUMS: usize = POWERS + 513 * 1024 * 4;
