// The tree against the known vectors of Certificate Transparency and against the recursive text of RFC 6962.
import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { test } from 'node:test';
import fc from 'fast-check';
import { foldKept, isKept, rangesOf } from './kept.ts';
import {
  consistencyPlan,
  EMPTY_ROOT,
  fold,
  grow,
  inclusionPlan,
  isConsistent,
  leafHash,
  nodeHash,
  rootFromInclusion,
  rootPlan,
  type Cover,
  type Hash,
} from './tree.ts';

// google/certificate-transparency, merkletree/merkle_tree_test.cc: eight leaves and the root after each
const LEAVES = ['', '00', '10', '2021', '3031', '40414243', '5051525354555657', '606162636465666768696a6b6c6d6e6f'].map(
  (hex) => Buffer.from(hex, 'hex'),
);
const ROOTS = [
  '6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d',
  'fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125',
  'aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77',
  'd37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7',
  '4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4',
  '76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef',
  'ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c',
  '5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328',
];
const INCLUSION: Array<[index: number, size: number, proof: string[]]> = [
  [0, 1, []],
  [
    0,
    8,
    [
      '96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7',
      '5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e',
      '6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4',
    ],
  ],
  [
    5,
    8,
    [
      'bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b',
      'ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0',
      'd37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7',
    ],
  ],
  [2, 3, ['fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125']],
  [
    1,
    5,
    [
      '6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d',
      '5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e',
      'bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b',
    ],
  ],
];
const CONSISTENCY: Array<[first: number, second: number, proof: string[]]> = [
  [1, 1, []],
  [
    1,
    8,
    [
      '96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7',
      '5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e',
      '6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4',
    ],
  ],
  [
    6,
    8,
    [
      '0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a',
      'ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0',
      'd37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7',
    ],
  ],
  [
    2,
    5,
    [
      '5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e',
      'bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b',
    ],
  ],
];

const hex = (hash: Hash): string => Buffer.from(hash).toString('hex');

/** Keeps what the log keeps, and answers plans from it alone. */
class Kept {
  readonly leaves: Hash[] = [];
  readonly #kept = new Map<string, Hash>();
  #edge: Hash[] = [];

  append(leaves: readonly Hash[]): void {
    const { edge, completed } = grow(this.leaves.length, this.#edge, leaves);
    this.leaves.push(...leaves);
    this.#edge = edge;
    for (const subtree of completed)
      if (isKept(subtree)) this.#kept.set(`${subtree.level} ${subtree.index}`, subtree.hash);
  }

  get root(): Hash {
    return fold(this.#edge);
  }

  answer(plan: readonly Cover[]): Hash[] {
    return plan.map((cover) =>
      fold(
        rangesOf([cover]).map(({ level, from, count }) => {
          const indexes = Array.from({ length: count }, (_, i) => from + i);
          return foldKept(
            indexes.map((i) => {
              const hash = level === 0 ? this.leaves[i] : this.#kept.get(`${level} ${i}`);
              assert.ok(hash, `level ${level}, index ${i} is kept`);
              return hash;
            }),
          );
        }),
      ),
    );
  }
}

// RFC 6962 §2.1, word by word
function mth(leaves: readonly Hash[]): Hash {
  if (leaves.length === 0) return createHash('sha256').digest();
  if (leaves.length === 1) return leaves[0] as Hash;
  const k = 2 ** Math.floor(Math.log2(leaves.length - 1));
  return nodeHash(mth(leaves.slice(0, k)), mth(leaves.slice(k)));
}
function path(m: number, leaves: readonly Hash[]): Hash[] {
  if (leaves.length <= 1) return [];
  const k = 2 ** Math.floor(Math.log2(leaves.length - 1));
  return m < k
    ? [...path(m, leaves.slice(0, k)), mth(leaves.slice(k))]
    : [...path(m - k, leaves.slice(k)), mth(leaves.slice(0, k))];
}
function subproof(m: number, leaves: readonly Hash[], isOld: boolean): Hash[] {
  if (m === leaves.length) return isOld ? [] : [mth(leaves)];
  const k = 2 ** Math.floor(Math.log2(leaves.length - 1));
  return m <= k
    ? [...subproof(m, leaves.slice(0, k), isOld), mth(leaves.slice(k))]
    : [...subproof(m - k, leaves.slice(k), false), mth(leaves.slice(0, k))];
}

test('the roots, inclusion and consistency proofs of Certificate Transparency', () => {
  assert.equal(hex(EMPTY_ROOT), 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855');
  const kept = new Kept();
  LEAVES.forEach((leaf, i) => {
    kept.append([leafHash(leaf)]);
    assert.equal(hex(kept.root), ROOTS[i]);
  });
  for (const [index, size, proof] of INCLUSION)
    assert.deepEqual(kept.answer(inclusionPlan(index, size)).map(hex), proof, `${index} of ${size}`);
  for (const [first, second, proof] of CONSISTENCY)
    assert.deepEqual(kept.answer(consistencyPlan(first, second)).map(hex), proof, `${first} to ${second}`);
});

test('roots and proofs of any size, grown in any batches, are those of the recursive definition, and hold', () => {
  fc.assert(
    fc.property(
      fc.array(fc.integer({ min: 0, max: 70 }), { minLength: 1, maxLength: 6 }),
      fc.nat(),
      fc.nat(),
      (batches, place, edge) => {
        const kept = new Kept();
        for (const count of batches) kept.append(Array.from({ length: count }, () => randomBytes(32)));
        const { leaves } = kept;
        const size = leaves.length;
        assert.deepEqual(hex(kept.root), hex(mth(leaves)));
        assert.deepEqual(hex(fold(kept.answer(rootPlan(size).map((subtree) => [subtree])))), hex(kept.root));
        if (size === 0) return;
        const then = 1 + (edge % size);
        const index = place % then;
        const inclusion = kept.answer(inclusionPlan(index, then));
        assert.deepEqual(inclusion.map(hex), path(index, leaves.slice(0, then)).map(hex));
        const old = mth(leaves.slice(0, then));
        assert.equal(hex(rootFromInclusion(leaves[index] as Hash, index, then, inclusion) ?? EMPTY_ROOT), hex(old));
        const consistency = kept.answer(consistencyPlan(then, size));
        assert.deepEqual(consistency.map(hex), subproof(then, leaves, true).map(hex));
        assert.ok(isConsistent({ size: then, root: old }, { size, root: kept.root }, consistency));
      },
    ),
    { numRuns: 300 },
  );
});

test('no other place, size, length or byte makes an inclusion proof lead to the root', () => {
  const kept = new Kept();
  kept.append(Array.from({ length: 37 }, () => randomBytes(32)));
  for (const index of [0, 5, 31, 32, 36]) {
    const proof = kept.answer(inclusionPlan(index, 37));
    const leaf = kept.leaves[index] as Hash;
    const leads = (i: number, size: number, hashes: readonly Hash[]): boolean =>
      hex(rootFromInclusion(leaf, i, size, hashes) ?? EMPTY_ROOT) === hex(kept.root);
    assert.ok(leads(index, 37, proof));
    for (let other = 0; other < 37; other++) if (other !== index) assert.ok(!leads(other, 37, proof), `as ${other}`);
    assert.ok(!leads(index, 37, proof.slice(1)));
    assert.ok(!leads(index, 37, [...proof, randomBytes(32)]));
    proof.forEach((hash, i) => {
      for (let byte = 0; byte < 32; byte++) {
        const changed = Buffer.from(hash);
        changed[byte] = (changed[byte] as number) ^ 1;
        assert.ok(!leads(index, 37, proof.with(i, changed)), `hash ${i}, byte ${byte}`);
      }
    });
  }
});

test('two logs that agree on some leaves and differ in one are told apart', () => {
  const common = Array.from({ length: 20 }, () => randomBytes(32));
  const [one, other] = [new Kept(), new Kept()];
  one.append([...common, randomBytes(32)]);
  const root = one.root;
  other.append([...common, randomBytes(32), ...common]);
  const proof = other.answer(consistencyPlan(21, 41));
  assert.ok(!isConsistent({ size: 21, root }, { size: 41, root: other.root }, proof));
  assert.ok(
    isConsistent(
      { size: 20, root: mth(common) },
      { size: 41, root: other.root },
      other.answer(consistencyPlan(20, 41)),
    ),
  );
  for (let i = 0; i < proof.length; i++)
    assert.ok(
      !isConsistent(
        { size: 21, root: mth(other.leaves.slice(0, 21)) },
        { size: 41, root: other.root },
        proof.with(i, randomBytes(32)),
      ),
    );
});

test('places outside the tree are refused', () => {
  for (const [index, size] of [
    [0, 0],
    [3, 3],
    [-1, 4],
    [0.5, 4],
    [0, 2 ** 60],
  ] as const)
    assert.throws(() => inclusionPlan(index, size), { code: 'OUT_OF_RANGE' });
  for (const [first, size] of [
    [0, 3],
    [4, 3],
    [1.5, 3],
  ] as const)
    assert.throws(() => consistencyPlan(first, size), { code: 'OUT_OF_RANGE' });
});
