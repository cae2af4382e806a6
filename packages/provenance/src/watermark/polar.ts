// The code of the 64-bit id: CRC-24, then a polar code of 512 symbols, read back by a list decoder.
// E. Arıkan 2009 (the code), I. Tal and A. Vardy 2015 (list decoding), P. Trifonov 2012 (Gaussian approximation).

export const CODE_LENGTH = 512;
export const ID_BITS = 64;
const CRC_BITS = 24;
const INFORMATION = ID_BITS + CRC_BITS;
const LEVELS = Math.log2(CODE_LENGTH);
export const MAX_LIST = 64;
/** Es/N0 for which the frozen positions are chosen; the choice is flat within ±1.5 dB. */
const DESIGN_SNR_DB = -5.5;

/**
 * gCRC24C of 3GPP TS 38.212 section 5.1 (0xB2B117, the one made for polar codes), started with ones. Not CRC-24 of
 * RFC 9580: its generator divides by x + 1, which makes the parity of id and checksum, and so symbol 0, the same for all.
 */
export function crc24(bytes: Uint8Array): number {
  let crc = 0xffffff;
  for (const byte of bytes) {
    crc ^= byte << 16;
    for (let bit = 0; bit < 8; bit++) crc = crc & 0x800000 ? (crc << 1) ^ 0x1b2b117 : crc << 1;
  }
  return crc & 0xffffff;
}

function idBytes(id: bigint): Uint8Array {
  if (id < 0n || id >= 1n << 64n) throw new RangeError('An id has 64 bits');
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setBigUint64(0, id);
  return bytes;
}

/** Positions that carry information, ascending: the most reliable ones. */
const INFORMATION_AT = reliablePositions();
const IS_FROZEN = Uint8Array.from({ length: CODE_LENGTH }, () => 1);
for (const position of INFORMATION_AT) IS_FROZEN[position] = 0;

function reliablePositions(): Uint16Array {
  let means = [4 * 10 ** (DESIGN_SNR_DB / 10)];
  for (let level = 0; level < LEVELS; level++) {
    means = means.flatMap((mean) => [inverseSpread(1 - (1 - spread(mean)) ** 2), 2 * mean]);
  }
  const order = means.map((mean, position) => ({ mean, position })).sort((a, b) => b.mean - a.mean);
  return Uint16Array.from(order.slice(0, INFORMATION).map(({ position }) => position)).sort();
}

/** φ of the Gaussian approximation (S.-Y. Chung 2001). */
function spread(mean: number): number {
  if (mean <= 0) return 1;
  if (mean < 10) return Math.min(1, Math.exp(-0.4527 * mean ** 0.86 + 0.0218));
  return Math.sqrt(Math.PI / mean) * Math.exp(-mean / 4) * (1 - 10 / (7 * mean));
}

function inverseSpread(value: number): number {
  let [low, high] = [0, 1e4];
  for (let i = 0; i < 100; i++) {
    const middle = (low + high) / 2;
    if (spread(middle) > value) low = middle;
    else high = middle;
  }
  return (low + high) / 2;
}

/** 512 symbols of ±1 (+1 is the bit 0). @throws RangeError when the id does not fit into 64 bits */
export function encodeId(id: bigint): Int8Array {
  const bytes = idBytes(id);
  const crc = crc24(bytes);
  const bits = new Uint8Array(CODE_LENGTH);
  for (let i = 0; i < ID_BITS; i++)
    bits[INFORMATION_AT[i] as number] = ((bytes[i >> 3] as number) >> (7 - (i & 7))) & 1;
  for (let i = 0; i < CRC_BITS; i++) bits[INFORMATION_AT[ID_BITS + i] as number] = (crc >> (CRC_BITS - 1 - i)) & 1;
  polarTransform(bits);
  return Int8Array.from(bits, (bit) => 1 - 2 * bit);
}

/** x = u·F^⊗9, in place. */
function polarTransform(bits: Uint8Array): void {
  for (let half = 1; half < CODE_LENGTH; half <<= 1) {
    for (let block = 0; block < CODE_LENGTH; block += 2 * half) {
      for (let i = block; i < block + half; i++) bits[i] = (bits[i] as number) ^ (bits[i + half] as number);
    }
  }
}

/** One path of the list. Layer λ of 1…9 holds 2^(9−λ) values at 2^(9−λ)−1; layer 0 is the received word. */
class Path {
  readonly llr = new Float32Array(CODE_LENGTH);
  readonly sums = new Uint8Array(CODE_LENGTH);
  readonly bits = new Uint8Array(CODE_LENGTH);
  metric = 0;

  copyFrom(other: Path): void {
    this.llr.set(other.llr);
    this.sums.set(other.sums);
    this.bits.set(other.bits);
    this.metric = other.metric;
  }
}

const pool: Path[] = [];

export interface Decoded {
  id: bigint;
  /** ±1, as `encodeId` gives it. */
  codeword: Int8Array;
}

/**
 * The id whose checksum holds, of the most likely of `list` paths; null when none has a valid checksum.
 * @param llr 512 log-likelihood ratios, positive for +1
 * @param list 1…64 paths: 16 take 0.8 ms, 64 take 3 ms
 * @throws TypeError for another number of ratios
 */
export function decodeId(llr: Float32Array, list = 16): Decoded | null {
  if (llr.length !== CODE_LENGTH) throw new TypeError(`Expected ${CODE_LENGTH} ratios but received ${llr.length}`);
  const size = Math.min(MAX_LIST, Math.max(1, list));
  while (pool.length < size) pool.push(new Path());
  let alive = [pool[0] as Path];
  const free = pool.slice(1, size);
  (alive[0] as Path).metric = 0;
  for (let phase = 0; phase < CODE_LENGTH; phase++) {
    for (const path of alive) refresh(path, llr, phase);
    if (IS_FROZEN[phase] === 1) {
      for (const path of alive) {
        const value = path.llr[0] as number;
        if (value < 0) path.metric -= value;
        decide(path, phase, 0);
      }
      continue;
    }
    alive = branch(alive, free, phase, size);
  }
  alive.sort((a, b) => a.metric - b.metric);
  for (const { bits } of alive) {
    const id = checkedId(bits);
    if (id !== null) return { id, codeword: encodeId(id) };
  }
  return null;
}

/** Both values of an information bit for every path, of which the `size` cheapest live on. */
function branch(alive: Path[], free: Path[], phase: number, size: number): Path[] {
  const choices: { path: Path; bit: number; metric: number }[] = [];
  for (const path of alive) {
    const value = path.llr[0] as number;
    choices.push({ path, bit: 0, metric: path.metric + (value < 0 ? -value : 0) });
    choices.push({ path, bit: 1, metric: path.metric + (value < 0 ? 0 : value) });
  }
  choices.sort((a, b) => a.metric - b.metric);
  choices.length = Math.min(choices.length, size);
  const kept = new Set(choices.map(({ path }) => path));
  for (const path of alive) if (!kept.has(path)) free.push(path);
  const used = new Set<Path>();
  const next: { path: Path; bit: number; metric: number }[] = [];
  for (const { path, bit, metric } of choices) {
    if (!used.has(path)) {
      used.add(path);
      next.push({ path, bit, metric });
      continue;
    }
    const clone = free.pop() as Path;
    clone.copyFrom(path);
    next.push({ path: clone, bit, metric });
  }
  for (const { path, bit, metric } of next) {
    path.metric = metric;
    decide(path, phase, bit);
  }
  return next.map(({ path }) => path);
}

/** Brings llr[0], the ratio of the bit at `phase`, up to date. */
function refresh(path: Path, received: Float32Array, phase: number): void {
  // layers above the lowest set bit of the phase are still right
  const first = phase === 0 ? 1 : LEVELS - trailingZeros(phase);
  for (let layer = first; layer <= LEVELS; layer++) {
    const size = 1 << (LEVELS - layer);
    const from = layer === 1 ? received : path.llr;
    const at = layer === 1 ? 0 : 2 * size - 1;
    const to = size - 1;
    const isRight = ((phase >> (LEVELS - layer)) & 1) === 1;
    for (let i = 0; i < size; i++) {
      const a = from[at + i] as number;
      const b = from[at + size + i] as number;
      if (isRight) path.llr[to + i] = (path.sums[to + i] as number) === 1 ? b - a : b + a;
      else {
        const least = Math.min(Math.abs(a), Math.abs(b));
        path.llr[to + i] = a < 0 === b < 0 ? least : -least;
      }
    }
  }
}

const carried = new Uint8Array(CODE_LENGTH);

/** Notes a bit, and the partial sums of every block that it completes. */
function decide(path: Path, phase: number, bit: number): void {
  path.bits[phase] = bit;
  carried[0] = bit;
  for (let layer = LEVELS; layer > 0; layer--) {
    const size = 1 << (LEVELS - layer);
    const at = size - 1;
    if (((phase >> (LEVELS - layer)) & 1) === 0) {
      for (let i = 0; i < size; i++) path.sums[at + i] = carried[i] as number;
      return;
    }
    for (let i = 0; i < size; i++) {
      carried[size + i] = carried[i] as number;
      carried[i] = (path.sums[at + i] as number) ^ (carried[i] as number);
    }
  }
}

const trailingZeros = (value: number): number => 31 - Math.clz32(value & -value);

function checkedId(bits: Uint8Array): bigint | null {
  let id = 0n;
  for (let i = 0; i < ID_BITS; i++) id = (id << 1n) | BigInt(bits[INFORMATION_AT[i] as number] as number);
  let crc = 0;
  for (let i = 0; i < CRC_BITS; i++) crc = (crc << 1) | (bits[INFORMATION_AT[ID_BITS + i] as number] as number);
  return crc24(idBytes(id)) === crc ? id : null;
}
