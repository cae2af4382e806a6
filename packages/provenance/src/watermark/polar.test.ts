import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { describe, it } from 'node:test';
import { CODE_LENGTH, crc24, decodeId, encodeId, MAX_LIST } from './polar.ts';

/** Repeatable noise: standard normal values from a hash of the seed (Box and Muller 1958). */
function normals(seed: string, count: number): Float64Array {
  const values = new Float64Array(count);
  let block = Buffer.alloc(0);
  for (let i = 0, at = 0; i < count; i++, at += 8) {
    if (at >= block.length) {
      block = createHash('sha512').update(`${seed} ${i}`).digest();
      at = 0;
    }
    const radius = Math.sqrt(-2 * Math.log((block.readUInt32LE(at) + 1) / 2 ** 32));
    values[i] = radius * Math.cos((2 * Math.PI * block.readUInt32LE(at + 4)) / 2 ** 32);
  }
  return values;
}

const idOf = (seed: string): bigint => createHash('sha256').update(seed).digest().readBigUInt64BE();

/** What a receiver gets whose coherent z is `z`: a codeword of strength 1 and noise of √512 / z, as likelihood ratios. */
function received(codeword: Int8Array, z: number, seed: string): Float32Array {
  const deviation = Math.sqrt(CODE_LENGTH) / z;
  const noise = normals(seed, CODE_LENGTH);
  return Float32Array.from(codeword, (x, i) => (2 * (x + deviation * (noise[i] as number))) / deviation ** 2);
}

/** The definition, written down once more: (u₁ ⊕ u₂)F, u₂F for the two halves. */
function recursiveTransform(bits: number[]): number[] {
  if (bits.length === 1) return bits;
  const half = bits.length / 2;
  const [first, second] = [bits.slice(0, half), bits.slice(half)];
  return [...recursiveTransform(first.map((bit, i) => bit ^ (second[i] as number))), ...recursiveTransform(second)];
}

const bitsOf = (codeword: Int8Array): number[] => Array.from(codeword, (x) => (1 - x) / 2);

describe('the code of an id', () => {
  it('has a checksum that is the remainder by gCRC24C of 3GPP TS 38.212', () => {
    const generator = [24, 23, 21, 20, 17, 15, 13, 12, 8, 4, 2, 1, 0].reduce(
      (sum, power) => sum | (1n << BigInt(power)),
      0n,
    );
    for (const text of ['', 'a', '123456789', '\0\0\0\0\0\0\0\0', 'LumaTrace']) {
      const bytes = Buffer.from(text);
      // long division of the message, its first 24 bits inverted, times x²⁴
      let rest = BigInt(`0x${bytes.toString('hex')}000000`) ^ (0xffffffn << BigInt(8 * bytes.length));
      for (let power = 8 * bytes.length + 23; power >= 24; power--) {
        if (rest & (1n << BigInt(power))) rest ^= generator << BigInt(power - 24);
      }
      assert.equal(crc24(bytes), Number(rest), text);
    }
  });

  it('leaves no symbol the same for all ids, and no two symbols the same', () => {
    const ids = Array.from({ length: 64 }, (_, bit) => encodeId(1n << BigInt(bit)));
    const zero = encodeId(0n);
    const columns = Array.from({ length: CODE_LENGTH }, (_, j) =>
      ids.map((word) => (word[j] === zero[j] ? 0 : 1)).join(''),
    );
    assert.ok(columns.every((column) => column.includes('1')));
    assert.equal(new Set(columns).size, CODE_LENGTH);
  });

  it('is a polar code: its inverse transform holds the id and its checksum at 88 places, zeros at all others', () => {
    // F is its own inverse
    const words = Array.from({ length: 200 }, (_, i) => idOf(`word ${i}`)).map((id) => ({
      id,
      u: recursiveTransform(bitsOf(encodeId(id))),
    }));
    const used = Array.from({ length: CODE_LENGTH }, (_, i) => i).filter((i) => words.some(({ u }) => u[i] === 1));
    assert.equal(used.length, 88);
    for (const { id, u } of words) {
      const bits = used.map((i) => u[i] as number).join('');
      assert.equal(BigInt(`0b${bits.slice(0, 64)}`), id);
      const bytes = Buffer.alloc(8);
      bytes.writeBigUInt64BE(id);
      assert.equal(Number.parseInt(bits.slice(64), 2), crc24(bytes));
    }
    // a code's least distance is the least weight of its rows: two codewords differ in 32 places or more
    assert.ok(used.every((i) => i.toString(2).replaceAll('0', '').length >= 5));
  });

  it('keeps its places: a picture that was marked years ago must still be read', () => {
    const all = [0n, 1n, 0x0123456789abcdefn, 2n ** 64n - 1n].map((id) => bitsOf(encodeId(id)).join('')).join('\n');
    assert.equal(
      createHash('sha256').update(all).digest('hex'),
      'b9edd55f787a4319019efcdc4026cee91b762540b6f36c9f10cda86db9099149',
    );
  });

  it('refuses what is not 64 bits', () => {
    assert.throws(() => encodeId(-1n), RangeError);
    assert.throws(() => encodeId(2n ** 64n), RangeError);
  });
});

describe('reading an id', () => {
  it('gives back every id from its clean word, at every strength', () => {
    for (const id of [0n, 1n, 2n ** 63n, 2n ** 64n - 1n, ...Array.from({ length: 50 }, (_, i) => idOf(`clean ${i}`))]) {
      for (const strength of [1e-3, 1, 1e3]) {
        const codeword = encodeId(id);
        const decoded = decodeId(
          Float32Array.from(codeword, (x) => x * strength),
          4,
        );
        assert.equal(decoded?.id, id);
        assert.deepEqual(decoded?.codeword, codeword);
      }
    }
  });

  it('reads nearly all at a coherent z of 15.1, most at 13.4, none in noise, and never a wrong one', () => {
    const count = 300;
    const failures = (z: number): number => {
      let failed = 0;
      for (let i = 0; i < count; i++) {
        const id = idOf(`${z} ${i}`);
        const decoded = decodeId(received(encodeId(id), z, `noise ${z} ${i}`));
        if (decoded === null) failed++;
        else assert.equal(decoded.id, id);
      }
      return failed / count;
    };
    // 3,000 words each: 0.4 %, 2.3 %, 8.4 % (docs/decisions/watermark-code.md)
    assert.ok(failures(15.1) <= 0.015);
    assert.ok(failures(14.2) <= 0.06);
    assert.ok(failures(13.4) <= 0.15);
    assert.ok(failures(6) > 0.99);
  });

  it('finds no id in 3,000 words of noise', () => {
    for (let i = 0; i < 3_000; i++) {
      assert.equal(
        decodeId(
          Float32Array.from(normals(`null ${i}`, CODE_LENGTH), (x) => 2 * x),
          8,
        ),
        null,
      );
    }
  });

  it('reads more with a longer list', () => {
    const words = Array.from({ length: 200 }, (_, i) => received(encodeId(idOf(`list ${i}`)), 13, `list noise ${i}`));
    const read = (list: number): number => words.filter((word) => decodeId(word, list) !== null).length;
    const [short, long] = [read(1), read(MAX_LIST)];
    assert.ok(long > short + 20, `${short} with one path, ${long} with ${MAX_LIST}`);
  });

  it('does not remember the word before', () => {
    const word = received(encodeId(42n), 16, 'before');
    const first = decodeId(word);
    for (let i = 0; i < 20; i++) decodeId(received(encodeId(idOf(`other ${i}`)), 10, `other ${i}`), 1 + i * 3);
    assert.deepEqual(decodeId(word), first);
  });

  it('finds nothing where there is nothing to read', () => {
    assert.equal(decodeId(new Float32Array(CODE_LENGTH).fill(Number.NaN)), null);
    // all ratios zero say nothing: an id must not come of it
    assert.equal(decodeId(new Float32Array(CODE_LENGTH)), null);
    assert.equal(decodeId(new Float32Array(CODE_LENGTH).fill(Infinity)), null);
    assert.throws(() => decodeId(new Float32Array(CODE_LENGTH - 1)), TypeError);
  });

  it('takes random ids as they come', () => {
    for (let i = 0; i < 20; i++) {
      const id = randomBytes(8).readBigUInt64BE();
      assert.equal(decodeId(received(encodeId(id), 22, `random ${i}`))?.id, id);
    }
  });
});
