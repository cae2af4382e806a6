// Protobuf wire format, as much of it as OTLP needs: a cursor over bytes that every read keeps inside its bounds.
// Source: protobuf.dev/programming-guides/encoding. After mapbox/pbf in spirit: no objects per field, no generated code.
import { clean } from '../text.ts';

/** The request is no valid OTLP message: truncated, garbled, or of the wrong shape. Answered with 400, never retried. */
export class OtlpDecodeError extends Error {
  override readonly name = 'OtlpDecodeError';
  readonly code = 'VALIDATION_FAILED';
  /** Where the reader stood: byte offset (protobuf) or path (JSON). */
  readonly at: string;

  constructor(message: string, at: string, options?: ErrorOptions) {
    super(`${message} at ${at}`, options);
    this.at = at;
  }
}

export const VARINT = 0;
export const FIXED64 = 1;
export const BYTES = 2;
const START_GROUP = 3;
const END_GROUP = 4;
export const FIXED32 = 5;

/** Groups are long gone from proto3; a stranger's may still nest, so that skipping them is bounded. */
const MAX_GROUP_DEPTH = 32;
/** Longest text that is looked for among those seen before; chosen by decode.bench.ts: attribute keys and labels fit. */
const MAX_KNOWN_LENGTH = 48;
const KNOWN_SLOTS = 4_096;

/** No id is longer; enough of a wrong one to say so. */
const MAX_HEX_BYTES = 64;

const UTF8 = new TextDecoder('utf-8', { ignoreBOM: true });

/** Two hex digits of each byte. */
const HEX = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, '0'));

export class Reader {
  readonly bytes: Uint8Array;
  pos = 0;
  readonly #view: DataView;

  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  fail(message: string): never {
    throw new OtlpDecodeError(message, `byte ${this.pos}`);
  }

  /** The next tag: field number × 8 + wire type. */
  tag(end: number): number {
    const tag = this.#length(end);
    if (tag < 8) this.fail('Expected a field number of at least 1 but received 0');
    return tag;
  }

  /** A varint that must fit 32 bits after dropping higher ones, as protobuf truncates. */
  uint32(end: number): number {
    const bytes = this.bytes;
    let pos = this.pos;
    let value = 0;
    // up to ten groups of seven bits, the low one first
    for (let shift = 0; shift < 70; shift += 7) {
      if (pos >= end) this.fail('Expected the rest of a varint but the message ends');
      const byte = bytes[pos++]!;
      if (shift < 32) value |= (byte & 0x7f) << shift;
      if (byte < 0x80) {
        this.pos = pos;
        return value >>> 0;
      }
    }
    return this.fail('Expected a varint of at most 10 bytes but received a longer one');
  }

  /** A varint that really fits 32 bits. */
  #length(end: number): number {
    const first = this.bytes[this.pos]!;
    if (first < 0x80 && this.pos < end) {
      this.pos++;
      return first;
    }
    const start = this.pos;
    const value = this.uint32(end);
    if (this.pos - start > 5 || (this.pos - start === 5 && this.bytes[this.pos - 1]! > 0x0f)) {
      this.fail('Expected a length or tag of at most 32 bits but received a larger one');
    }
    return value;
  }

  /** A signed 64-bit varint: a number when it is safe, else its decimal text. */
  int64(end: number): number | string {
    const bytes = this.bytes;
    let pos = this.pos;
    let low = 0;
    let high = 0;
    // low 28 bits, then the rest
    for (let shift = 0; shift < 70; shift += 7) {
      if (pos >= end) this.fail('Expected the rest of a varint but the message ends');
      const byte = bytes[pos++]!;
      const bits = byte & 0x7f;
      if (shift < 28) low |= bits << shift;
      else if (shift === 28) {
        low |= bits << 28;
        high = bits >>> 4;
      } else if (shift < 67) high |= bits << (shift - 32);
      if (byte < 0x80) {
        this.pos = pos;
        return integerOf(low >>> 0, high | 0);
      }
    }
    return this.fail('Expected a varint of at most 10 bytes but received a longer one');
  }

  /** The end of a length-delimited field, checked against the end of its parent. */
  end(parentEnd: number): number {
    const length = this.#length(parentEnd);
    const end = this.pos + length;
    if (end > parentEnd) this.fail(`Expected ${length} bytes but the message ends after ${parentEnd - this.pos}`);
    return end;
  }

  fixed64(end: number): bigint {
    if (this.pos + 8 > end) this.fail('Expected 8 bytes of a fixed64 but the message ends');
    const value = this.#view.getBigUint64(this.pos, true);
    this.pos += 8;
    return value;
  }

  fixed32(end: number): number {
    if (this.pos + 4 > end) this.fail('Expected 4 bytes of a fixed32 but the message ends');
    const value = this.#view.getUint32(this.pos, true);
    this.pos += 4;
    return value;
  }

  double(end: number): number {
    if (this.pos + 8 > end) this.fail('Expected 8 bytes of a double but the message ends');
    const value = this.#view.getFloat64(this.pos, true);
    this.pos += 8;
    return value;
  }

  /** Text up to `end`; malformed UTF-8 and NUL become U+FFFD. Short ASCII texts seen before are not built again. */
  text(end: number): string {
    const pos = this.pos;
    const length = end - pos;
    this.pos = end;
    if (length === 0) return '';
    if (length > MAX_KNOWN_LENGTH) return clean(UTF8.decode(this.bytes.subarray(pos, end)));
    return this.#knownText(pos, length);
  }

  #knownText(pos: number, length: number): string {
    const bytes = this.bytes;
    let hash = length;
    // multiplicative hash of the bytes (FNV-1a's step)
    for (let i = pos; i < pos + length; i++) hash = Math.imul(hash ^ bytes[i]!, 0x01000193);
    const slot = (hash ^ (hash >>> 15)) & (KNOWN_SLOTS - 1);
    const known = KNOWN[slot]!;
    if (known.length === length && equalsAscii(known, bytes, pos)) return known;
    const text = clean(UTF8.decode(bytes.subarray(pos, pos + length)));
    KNOWN[slot] = text;
    return text;
  }

  /** Lower-case hex of the bytes up to `end`, of the first 64 where there are more. */
  hex(end: number): string {
    const last = Math.min(end, this.pos + MAX_HEX_BYTES);
    let text = '';
    for (let i = this.pos; i < last; i++) text += HEX[this.bytes[i]!]!;
    this.pos = end;
    return text;
  }

  skip(wireType: number, end: number, depth = 0): void {
    if (wireType === VARINT) this.uint32(end);
    else if (wireType === FIXED64) this.#advance(8, end);
    else if (wireType === BYTES) this.pos = this.end(end);
    else if (wireType === FIXED32) this.#advance(4, end);
    else if (wireType === START_GROUP && depth < MAX_GROUP_DEPTH) this.#skipGroup(end, depth + 1);
    else this.fail(`Expected a known wire type but received ${wireType}`);
  }

  #advance(length: number, end: number): void {
    if (this.pos + length > end) this.fail(`Expected ${length} bytes but the message ends`);
    this.pos += length;
  }

  #skipGroup(end: number, depth: number): void {
    for (;;) {
      const tag = this.tag(end);
      if ((tag & 7) === END_GROUP) return;
      this.skip(tag & 7, end, depth);
    }
  }
}

/** Texts of at most 48 ASCII bytes by hash: bounded, each slot keeps the last one. Attribute keys stay, ids pass through. */
const KNOWN: string[] = Array.from({ length: KNOWN_SLOTS }, () => '');

function equalsAscii(text: string, bytes: Uint8Array, pos: number): boolean {
  for (let i = 0; i < text.length; i++) {
    const byte = bytes[pos + i]!;
    if (byte !== text.charCodeAt(i) || byte >= 0x80) return false;
  }
  return true;
}

/** The integer with these 32-bit halves (high one signed). */
function integerOf(low: number, high: number): number | string {
  const value = high * 4_294_967_296 + low;
  if (Number.isSafeInteger(value)) return value;
  return ((BigInt(high) << 32n) | BigInt(low)).toString();
}
