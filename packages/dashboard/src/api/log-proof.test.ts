// Inclusion proofs checked in the browser, against trees that are hashed here by their definition (RFC 9162, 2.1).
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import { inclusionOf, type Receipt } from './log-proof.ts';

const sha256 = (...parts: (Buffer | Uint8Array)[]): Buffer =>
  createHash('sha256').update(Buffer.concat(parts)).digest();
const leafOf = (entry: string): Buffer => sha256(Uint8Array.of(0), Buffer.from(entry));
const split = (count: number): number => 2 ** Math.floor(Math.log2(count - 1));

function rootOf(entries: readonly string[]): Buffer {
  if (entries.length === 1) return leafOf(entries[0] ?? '');
  const left = split(entries.length);
  return sha256(Uint8Array.of(1), rootOf(entries.slice(0, left)), rootOf(entries.slice(left)));
}

function pathOf(at: number, entries: readonly string[]): Buffer[] {
  if (entries.length === 1) return [];
  const left = split(entries.length);
  return at < left
    ? [...pathOf(at, entries.slice(0, left)), rootOf(entries.slice(left))]
    : [...pathOf(at - left, entries.slice(left)), rootOf(entries.slice(0, left))];
}

function receiptOf(leafIndex: number, entries: readonly string[]): Receipt {
  const entry = entries[leafIndex] ?? '';
  const checkpoint = `log\n${entries.length}\n${rootOf(entries).toString('base64')}\n\n— log x\n`;
  const proof = pathOf(leafIndex, entries).map((hash) => hash.toString('base64'));
  return { origin: 'log', leafHash: leafOf(entry).toString('hex'), entry, leafIndex, checkpoint, proof };
}

test('every leaf of every tree up to nineteen leaves is included', async () => {
  for (let size = 1; size <= 19; size++) {
    const entries = Array.from({ length: size }, (_, at) => `entry ${at}`);
    for (let at = 0; at < size; at++)
      assert.deepEqual(await inclusionOf(receiptOf(at, entries)), { name: 'included', treeSize: size });
  }
});

test('another entry, place, neighbour, size or root is refused, and a receipt without proof waits', async () => {
  const entries = Array.from({ length: 11 }, (_, at) => `entry ${at}`);
  const right = receiptOf(6, entries);
  const other = receiptOf(6, [...entries, 'more']);
  const { checkpoint = '', proof = [] } = right;
  const wrong: Receipt[] = [
    { ...right, entry: 'entry 5' },
    { ...right, leafIndex: 7 },
    { ...right, leafIndex: 11 },
    { ...right, proof: proof.slice(1) },
    { ...right, proof: [...proof, proof[0] ?? ''] },
    { ...right, proof: proof.with(1, '?') },
    { ...right, checkpoint: checkpoint.replace('\n11\n', '\nmany\n') },
    { ...right, checkpoint: other.checkpoint ?? '' },
  ];
  for (const receipt of wrong) assert.deepEqual(await inclusionOf(receipt), { name: 'refused' });
  const { proof: _, ...early } = right;
  assert.deepEqual(await inclusionOf(early), { name: 'waits' });
});
