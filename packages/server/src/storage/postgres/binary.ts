// PostgreSQL's binary array format, written by hand: pg sends Buffer values as binary parameters, and arrays as text
// literals are the largest single cost of ingest in Node and in the server (quoting here, parsing there).
// Source: PostgreSQL 18, src/backend/utils/adt/arrayfuncs.c (array_recv), numeric.c (numeric_recv), date.c (date_recv).

/** Type numbers of src/include/catalog/pg_type.dat. */
const OID = { bool: 16, bytea: 17, int8: 20, int2: 21, int4: 23, text: 25, date: 1082, numeric: 1700, uuid: 2950 };

const HEADER_BYTES = 20;
const LENGTH_BYTES = 4;
/** PostgreSQL counts days from 2000-01-01. */
const DAYS_1970_TO_2000 = 10_957;
const NUMERIC_BASE = 10_000n;
const NUMERIC_NEGATIVE = 0x4000;

/** `$1::int8[]` of integers up to 2^63. */
export function bigints(values: readonly (bigint | null)[]): Buffer {
  const bytes = open(OID.int8, values.length, values.length * (LENGTH_BYTES + 8));
  let at = HEADER_BYTES;
  for (const value of values) {
    if (value === null) at = bytes.writeInt32BE(-1, at);
    else {
      at = bytes.writeInt32BE(8, at);
      at = bytes.writeBigInt64BE(value, at);
    }
  }
  return bytes.subarray(0, at);
}

/** `$1::int8[]` of safe integers. */
export function integers(values: readonly (number | null | undefined)[]): Buffer {
  const bytes = open(OID.int8, values.length, values.length * (LENGTH_BYTES + 8));
  let at = HEADER_BYTES;
  for (const value of values) {
    if (value === null || value === undefined) at = bytes.writeInt32BE(-1, at);
    else {
      at = bytes.writeInt32BE(8, at);
      at = bytes.writeInt32BE(Math.floor(value / 2 ** 32), at);
      at = bytes.writeUInt32BE(value >>> 0, at);
    }
  }
  return bytes.subarray(0, at);
}

/** `$1::int4[]`. */
export function ints(values: readonly number[]): Buffer {
  const bytes = open(OID.int4, values.length, values.length * (LENGTH_BYTES + 4));
  let at = HEADER_BYTES;
  for (const value of values) {
    at = bytes.writeInt32BE(4, at);
    at = bytes.writeInt32BE(value, at);
  }
  return bytes;
}

/** `$1::int2[]`. */
export function smallints(values: readonly number[]): Buffer {
  const bytes = open(OID.int2, values.length, values.length * (LENGTH_BYTES + 2));
  let at = HEADER_BYTES;
  for (const value of values) {
    at = bytes.writeInt32BE(2, at);
    at = bytes.writeInt16BE(value, at);
  }
  return bytes;
}

/** `$1::bool[]`. */
export function booleans(values: readonly boolean[]): Buffer {
  const bytes = open(OID.bool, values.length, values.length * (LENGTH_BYTES + 1));
  let at = HEADER_BYTES;
  for (const value of values) {
    at = bytes.writeInt32BE(1, at);
    at = bytes.writeUInt8(value ? 1 : 0, at);
  }
  return bytes;
}

/** `$1::date[]` of days since 1970-01-01. */
export function dates(days: readonly number[]): Buffer {
  const bytes = open(OID.date, days.length, days.length * (LENGTH_BYTES + 4));
  let at = HEADER_BYTES;
  for (const day of days) {
    at = bytes.writeInt32BE(4, at);
    at = bytes.writeInt32BE(day - DAYS_1970_TO_2000, at);
  }
  return bytes;
}

/** `$1::uuid[]` of 32 hex digits each, without dashes. */
export function uuids(values: readonly string[]): Buffer {
  const bytes = open(OID.uuid, values.length, values.length * (LENGTH_BYTES + 16));
  let at = HEADER_BYTES;
  for (const value of values) {
    at = bytes.writeInt32BE(16, at);
    at += bytes.write(value, at, 16, 'hex');
  }
  return bytes;
}

/** `$1::text[]`. The same text again is copied from its first place. */
export function texts(values: readonly (string | null | undefined)[]): Buffer {
  let size = 0;
  for (const value of values) size += LENGTH_BYTES + (value === null || value === undefined ? 0 : value.length * 3);
  const bytes = open(OID.text, values.length, size);
  const places = new Map<string, number>();
  let at = HEADER_BYTES;
  for (const value of values) {
    if (value === null || value === undefined) {
      at = bytes.writeInt32BE(-1, at);
      continue;
    }
    const place = places.get(value);
    if (place === undefined) {
      const length = bytes.write(value, at + LENGTH_BYTES, 'utf8');
      bytes.writeInt32BE(length, at);
      places.set(value, at);
      at += LENGTH_BYTES + length;
    } else {
      const end = place + LENGTH_BYTES + bytes.readInt32BE(place);
      bytes.copyWithin(at, place, end);
      at += end - place;
    }
  }
  return bytes.subarray(0, at);
}

/** `$1::bytea[]`. */
export function byteas(values: readonly Uint8Array[]): Buffer {
  let size = 0;
  for (const value of values) size += LENGTH_BYTES + value.length;
  const bytes = open(OID.bytea, values.length, size);
  let at = HEADER_BYTES;
  for (const value of values) {
    at = bytes.writeInt32BE(value.length, at);
    bytes.set(value, at);
    at += value.length;
  }
  return bytes;
}

/** `$1::numeric[]` of whole numbers of any size. */
export function numerics(values: readonly bigint[]): Buffer {
  const digits = values.map(numericDigits);
  const size = digits.reduce((sum, each) => sum + LENGTH_BYTES + 8 + 2 * each.length, 0);
  const bytes = open(OID.numeric, values.length, size);
  let at = HEADER_BYTES;
  for (let i = 0; i < values.length; i++) {
    const own = digits[i] as number[];
    at = bytes.writeInt32BE(8 + 2 * own.length, at);
    at = bytes.writeInt16BE(own.length, at);
    at = bytes.writeInt16BE(own.length - 1, at);
    at = bytes.writeUInt16BE((values[i] as bigint) < 0n ? NUMERIC_NEGATIVE : 0, at);
    at = bytes.writeUInt16BE(0, at);
    for (const digit of own) at = bytes.writeInt16BE(digit, at);
  }
  return bytes;
}

/** Base-10,000 digits, the highest first; none for zero. */
function numericDigits(value: bigint): number[] {
  const digits: number[] = [];
  for (let rest = value < 0n ? -value : value; rest > 0n; rest /= NUMERIC_BASE) {
    digits.push(Number(rest % NUMERIC_BASE));
  }
  return digits.reverse();
}

/** Text of an array for a row that is itself an element of an array: `$1::text[]` whose elements are cast once more. */
export function arrayLiteral(values: readonly (string | number)[]): string {
  const elements = values.map((value) =>
    typeof value === 'number' ? String(value) : `"${value.replaceAll('\\', '\\\\').replaceAll('"', '\\"')}"`,
  );
  return `{${elements.join(',')}}`;
}

/** Days since 1970-01-01 → `2026-11-23`. */
export function isoDay(day: number): string {
  return new Date(day * 86_400_000).toISOString().slice(0, 10);
}

/** One dimension, starting at 1; the null flag only promises that nulls may come. */
function open(oid: number, length: number, bodyBytes: number): Buffer {
  const bytes = Buffer.allocUnsafe(HEADER_BYTES + bodyBytes);
  bytes.writeInt32BE(1, 0);
  bytes.writeInt32BE(1, 4);
  bytes.writeInt32BE(oid, 8);
  bytes.writeInt32BE(length, 12);
  bytes.writeInt32BE(1, 16);
  return bytes;
}
