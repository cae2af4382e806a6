// CBOR (RFC 8949) as C2PA uses it: written with definite lengths in the shortest form, read with bounds.
// Small on purpose: claims, COSE headers and soft bindings need maps, arrays, text, bytes, tags and simple values.

export type CborValue =
  | number
  | bigint
  | string
  | boolean
  | null
  | undefined
  | Uint8Array
  | readonly CborValue[]
  | CborMap
  | CborTag
  | CborFloat;

/** Keeps the order of its entries; keys are text or integers. */
export type CborMap = ReadonlyMap<string | number, CborValue>;

export class CborTag {
  readonly tag: number;
  readonly value: CborValue;
  constructor(tag: number, value: CborValue) {
    this.tag = tag;
    this.value = value;
  }
}

/** A floating-point number, kept apart so that integers stay integers. */
export class CborFloat {
  readonly value: number;
  constructor(value: number) {
    this.value = value;
  }
}

export class CborError extends Error {
  readonly code = 'CBOR_INVALID';
}

const MAX_DEPTH = 32;
const MAX_ITEMS = 100_000;
const INDEFINITE = 31;
const BREAK = 0xff;
const MAJOR = { uint: 0, nint: 1, bytes: 2, text: 3, array: 4, map: 5, tag: 6, simple: 7 } as const;

const utf8 = new TextEncoder();
const strictUtf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** Encodes in the shortest form with definite lengths; map entries keep their order. */
export function encodeCbor(value: CborValue): Uint8Array<ArrayBuffer> {
  const parts: Uint8Array[] = [];
  write(value, parts);
  return concatBytes(parts);
}

export function concatBytes(parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  let length = 0;
  for (const part of parts) length += part.length;
  const all = new Uint8Array(length);
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

function write(value: CborValue, out: Uint8Array[]): void {
  if (typeof value === 'number' || typeof value === 'bigint') return writeInteger(BigInt(value), out);
  if (typeof value === 'string') return writeString(MAJOR.text, utf8.encode(value), out);
  if (value instanceof Uint8Array) return writeString(MAJOR.bytes, value, out);
  if (value === false || value === true) return void out.push(Uint8Array.of(value ? 0xf5 : 0xf4));
  if (value === null) return void out.push(Uint8Array.of(0xf6));
  if (value === undefined) return void out.push(Uint8Array.of(0xf7));
  if (value instanceof CborTag) {
    out.push(head(MAJOR.tag, BigInt(value.tag)));
    return write(value.value, out);
  }
  if (value instanceof CborFloat) {
    const bytes = new Uint8Array(9);
    bytes[0] = 0xfb;
    new DataView(bytes.buffer).setFloat64(1, value.value);
    return void out.push(bytes);
  }
  if (value instanceof Map) {
    out.push(head(MAJOR.map, BigInt(value.size)));
    for (const [key, entry] of value) {
      write(key, out);
      write(entry, out);
    }
    return;
  }
  const list = value as readonly CborValue[];
  out.push(head(MAJOR.array, BigInt(list.length)));
  for (const entry of list) write(entry, out);
}

function writeInteger(value: bigint, out: Uint8Array[]): void {
  out.push(value >= 0n ? head(MAJOR.uint, value) : head(MAJOR.nint, -1n - value));
}

function writeString(major: number, bytes: Uint8Array, out: Uint8Array[]): void {
  out.push(head(major, BigInt(bytes.length)), bytes);
}

function head(major: number, value: bigint): Uint8Array {
  const first = major << 5;
  if (value < 24n) return Uint8Array.of(first | Number(value));
  const size = value < 0x100n ? 1 : value < 0x1_0000n ? 2 : value < 0x1_0000_0000n ? 4 : 8;
  const bytes = new Uint8Array(1 + size);
  bytes[0] = first | (24 + Math.log2(size));
  let rest = value;
  for (let i = size; i > 0; i--) {
    bytes[i] = Number(rest & 0xffn);
    rest >>= 8n;
  }
  return bytes;
}

/** Decodes one whole item; throws CborError on anything left over, cut, duplicate, too deep or too many. */
export function decodeCbor(bytes: Uint8Array): CborValue {
  const reader = new CborReader(bytes);
  const value = reader.item(0);
  if (reader.at !== bytes.length)
    throw new CborError(`Expected one CBOR item but ${bytes.length - reader.at} bytes follow it`);
  return value;
}

class CborReader {
  at = 0;
  #items = 0;
  readonly #bytes: Uint8Array;
  readonly #view: DataView;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  item(depth: number): CborValue {
    if (depth > MAX_DEPTH) throw new CborError(`Expected CBOR of at most ${MAX_DEPTH} levels`);
    if (++this.#items > MAX_ITEMS) throw new CborError(`Expected CBOR of at most ${MAX_ITEMS} items`);
    const initial = this.#byte();
    const major = initial >> 5;
    const info = initial & 31;
    if (major === MAJOR.simple) return this.#simple(info);
    if (info === INDEFINITE && major >= MAJOR.bytes && major <= MAJOR.map) return this.#indefinite(major, depth);
    const argument = this.#argument(info);
    switch (major) {
      case MAJOR.uint:
        return argument;
      case MAJOR.nint:
        return typeof argument === 'bigint' ? -1n - argument : -1 - argument;
      case MAJOR.bytes:
        return this.#take(argument);
      case MAJOR.text:
        return this.#text(argument);
      case MAJOR.array:
        return this.#array(this.#count(argument, 1), depth);
      case MAJOR.map:
        return this.#map(this.#count(argument, 2), depth);
      default:
        return new CborTag(Number(argument), this.item(depth + 1));
    }
  }

  #byte(): number {
    const byte = this.#bytes[this.at++];
    if (byte === undefined) throw new CborError('Expected more CBOR but the bytes end');
    return byte;
  }

  #argument(info: number): number | bigint {
    if (info < 24) return info;
    if (info > 27) throw new CborError('Expected a CBOR item of definite length');
    const size = 1 << (info - 24);
    this.#need(size);
    const at = this.at;
    this.at += size;
    if (size === 1) return this.#view.getUint8(at);
    if (size === 2) return this.#view.getUint16(at);
    if (size === 4) return this.#view.getUint32(at);
    const wide = this.#view.getBigUint64(at);
    return wide <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(wide) : wide;
  }

  #need(length: number | bigint): void {
    if (length > this.#bytes.length - this.at) throw new CborError('Expected more CBOR but the bytes end');
  }

  // a count that the remaining bytes cannot hold is refused before anything is allocated
  #count(argument: number | bigint, bytesEach: number): number {
    this.#need(BigInt(argument) * BigInt(bytesEach));
    return Number(argument);
  }

  #take(length: number | bigint): Uint8Array {
    this.#need(length);
    const start = this.at;
    this.at += Number(length);
    return this.#bytes.subarray(start, this.at);
  }

  #text(length: number | bigint): string {
    try {
      return strictUtf8.decode(this.#take(length));
    } catch (cause) {
      throw cause instanceof CborError ? cause : new CborError('Expected CBOR text in UTF-8', { cause });
    }
  }

  #array(count: number, depth: number): CborValue[] {
    const list: CborValue[] = [];
    for (let i = 0; i < count; i++) list.push(this.item(depth + 1));
    return list;
  }

  #map(count: number, depth: number): CborMap {
    const map = new Map<string | number, CborValue>();
    for (let i = 0; i < count; i++) this.#entry(map, depth);
    return map;
  }

  #entry(map: Map<string | number, CborValue>, depth: number): void {
    const key = this.item(depth + 1);
    if (typeof key !== 'string' && typeof key !== 'number')
      throw new CborError('Expected text or an integer as CBOR map key');
    if (map.has(key)) throw new CborError(`Expected CBOR map keys once but found ${JSON.stringify(key)} again`);
    map.set(key, this.item(depth + 1));
  }

  // older claim generators stream their claims: items follow until a break
  #indefinite(major: number, depth: number): CborValue {
    const map = new Map<string | number, CborValue>();
    const list: CborValue[] = [];
    while (this.#bytes[this.at] !== BREAK) {
      if (major === MAJOR.map) this.#entry(map, depth);
      else if (major === MAJOR.array) list.push(this.item(depth + 1));
      else list.push(this.#chunk(major, depth));
    }
    this.at++;
    if (major === MAJOR.map) return map;
    if (major === MAJOR.array) return list;
    return major === MAJOR.text ? list.join('') : concatBytes(list as Uint8Array[]);
  }

  // the pieces of a streamed string are strings of its own kind and of definite length
  #chunk(major: number, depth: number): CborValue {
    const initial = this.#bytes[this.at] ?? BREAK;
    if (initial >> 5 !== major || (initial & 31) === INDEFINITE)
      throw new CborError('Expected pieces of its own kind in a CBOR string');
    return this.item(depth + 1);
  }

  #simple(info: number): CborValue {
    if (info === 20 || info === 21) return info === 21;
    if (info === 22) return null;
    if (info === 23) return undefined;
    if (info === 25) return new CborFloat(this.#float(2, (at) => this.#view.getFloat16(at)));
    if (info === 26) return new CborFloat(this.#float(4, (at) => this.#view.getFloat32(at)));
    if (info === 27) return new CborFloat(this.#float(8, (at) => this.#view.getFloat64(at)));
    throw new CborError(`Expected a known CBOR simple value but received ${info}`);
  }

  #float(size: number, read: (at: number) => number): number {
    this.#need(size);
    const value = read(this.at);
    this.at += size;
    return value;
  }
}
