// One random change of a file: bits, bytes, runs that are cut, doubled, moved, emptied, or taken from another file.

type Random = () => number;

const CHANGES: readonly ((bytes: Uint8Array, random: Random, other: Uint8Array) => Uint8Array)[] = [
  (bytes, random) => edited(bytes, (copy) => (copy[at(random, copy.length)]! ^= 1 << at(random, 8))),
  (bytes, random) => edited(bytes, (copy) => (copy[at(random, copy.length)] = at(random, 256))),
  (bytes, random) => edited(bytes, (copy) => copy.fill(at(random, 2) * 255, ...run(random, copy.length, 64))),
  (bytes, random) => {
    const [from, to] = run(random, bytes.length, 256);
    return joined(bytes.subarray(0, from), bytes.subarray(to));
  },
  (bytes, random) => {
    const [from, to] = run(random, bytes.length, 256);
    return joined(bytes.subarray(0, to), bytes.subarray(from));
  },
  (bytes, random) => {
    const [from, to] = run(random, bytes.length, 256);
    const into = at(random, bytes.length);
    return joined(bytes.subarray(0, into), bytes.subarray(from, to), bytes.subarray(into));
  },
  (bytes, random) => bytes.slice(0, at(random, bytes.length)),
  (bytes, random, other) => {
    const [from, to] = run(random, Math.min(bytes.length, other.length), 4_096);
    return edited(bytes, (copy) => copy.set(other.subarray(from, to), from));
  },
  (bytes, random) => joined(bytes, bytes.subarray(...run(random, bytes.length, 64))),
  // four bytes that may be a length
  (bytes, random) => {
    const from = at(random, bytes.length - 4);
    return edited(bytes, (copy) => new DataView(copy.buffer).setUint32(from, LENGTHS[at(random, LENGTHS.length)]!));
  },
];

const LENGTHS = [0, 1, 7, 8, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff];

const at = (random: Random, length: number): number => Math.floor(random() * length);

function run(random: Random, length: number, longest: number): [number, number] {
  const from = at(random, length);
  return [from, Math.min(length, from + 1 + at(random, longest))];
}

function edited(bytes: Uint8Array, change: (copy: Uint8Array<ArrayBuffer>) => unknown): Uint8Array {
  const copy = new Uint8Array(bytes);
  change(copy);
  return copy;
}

function joined(...parts: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let offset = 0;
  for (const part of parts) {
    whole.set(part, offset);
    offset += part.length;
  }
  return whole;
}

/** One to three changes; never the same bytes as before. */
export function mutated(bytes: Uint8Array, random: Random, other: Uint8Array): Uint8Array<ArrayBuffer> {
  for (;;) {
    let result: Uint8Array = bytes;
    for (let i = at(random, 3); i >= 0 && result.length > 8; i--)
      result = CHANGES[at(random, CHANGES.length)]!(result, random, other);
    if (Buffer.compare(result, bytes) !== 0) return new Uint8Array(result);
  }
}

/** Bytes that only a manifest store has, looked for without reading the file: a description box of a store, or its URN. */
export function hasMarker(bytes: Uint8Array): boolean {
  const haystack = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return ['jumdc2pa', 'urn:c2pa:', 'c2pa.claim', 'c2pa.signature'].some((trace) =>
    haystack.includes(trace, 0, 'latin1'),
  );
}
