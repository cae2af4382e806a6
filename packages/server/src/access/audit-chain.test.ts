// What a chain tells: every kind of tampering, at a thousand places each, with and without the key.
import assert from 'node:assert/strict';
import { randomBytes, randomUUID } from 'node:crypto';
import { test } from 'node:test';
import { chainKey, ChainCheck, firstHead, jcs, sealLine, type ChainHead, type SealedLine } from './audit-chain.ts';

const LINES = 150;
const TRIALS = 1_000;
const secret = randomBytes(32);
const [mine, other] = [randomUUID(), randomUUID()] as const;

function chainOf(tenantId: string, lines: number): SealedLine[] {
  const key = chainKey(secret, tenantId);
  let head = firstHead(tenantId).hash;
  return Array.from({ length: lines }, (_, i) => {
    const line = {
      tenantId,
      position: i + 1,
      at: new Date(1_700_000_000_000 + i * 1_000).toISOString(),
      actor: `key:${randomUUID()}`,
      action: i % 3 === 0 ? 'key.create' : 'photo.protect',
      object: `photo:${randomUUID()}`,
      outcome: 'done',
      requestId: i % 2 === 0 ? randomUUID() : null,
      detail: { n: i, of: ['a', { b: 1.5 }] },
    };
    const { hash, mac } = sealLine(key, head, line);
    head = hash.toString('hex');
    return { ...line, hash: head, mac: mac.toString('hex') };
  });
}

const lines = chainOf(mine, LINES);
const foreign = chainOf(other, LINES);
const headOf = (chain: readonly SealedLine[]): ChainHead => {
  const last = chain.at(-1);
  assert.ok(last);
  return { position: last.position, hash: last.hash };
};

function check(tampered: readonly SealedLine[], options: ConstructorParameters<typeof ChainCheck>[1] = {}) {
  const chain = new ChainCheck(mine, options);
  for (const line of tampered) if (!chain.add(line)) break;
  return chain.finish();
}

const keyed = { key: chainKey(secret, mine), checkpoints: [headOf(lines)] };
const pick = (n: number): number => Math.floor(Math.random() * n);
const without = (at: number): SealedLine[] => lines.filter((_, i) => i !== at);
const at = (chain: readonly SealedLine[], i: number): SealedLine => {
  const line = chain[i];
  assert.ok(line);
  return line;
};
const FIELDS = ['at', 'actor', 'action', 'object', 'outcome', 'requestId', 'detail', 'hash', 'mac'] as const;

/** What a thief with the database, but without the keys, can do; each keeps everything else consistent where it can. */
const KINDS: Readonly<Record<string, (i: number) => SealedLine[]>> = {
  edit(i) {
    const field = FIELDS[pick(FIELDS.length)] ?? 'actor';
    const value = field === 'detail' ? { n: -1 } : field === 'hash' || field === 'mac' ? randomHex() : 'changed';
    return lines.map((line, n) => (n === i ? { ...line, [field]: value } : line));
  },
  delete: (i) => without(i).map((line, n) => ({ ...line, position: n + 1 })),
  insert: (i) => [...lines.slice(0, i), { ...at(lines, i), object: 'photo:planted' }, ...lines.slice(i)],
  reorder(i) {
    const j = (i + 1 + pick(LINES - 1)) % LINES;
    const swapped = lines.map((line, n) => (n === i ? at(lines, j) : n === j ? at(lines, i) : line));
    return swapped.map((line, n) => ({ ...line, position: n + 1 }));
  },
  truncate: (i) => lines.slice(0, i),
  splice(i) {
    const moved = Math.random() < 0.5 ? at(foreign, i) : at(lines, (i + 1 + pick(LINES - 1)) % LINES);
    return lines.map((line, n) => (n === i ? { ...moved, tenantId: mine, position: n + 1 } : line));
  },
};
const randomHex = (): string => randomBytes(32).toString('hex');

test('a chain as it was written holds, with and without its key', () => {
  assert.equal(check(lines), undefined);
  assert.equal(check(lines, keyed), undefined);
  assert.equal(check([]), undefined);
});

for (const [kind, tamper] of Object.entries(KINDS)) {
  test(`${kind} at ${TRIALS} random places is found, with the key and by whoever holds only a checkpoint`, () => {
    for (let trial = 0; trial < TRIALS; trial++) {
      const i = pick(LINES);
      const tampered = tamper(i);
      const found = check(tampered, keyed);
      assert.ok(found, `${kind} at ${i}`);
      assert.ok(found.position <= i + 2 || kind === 'reorder', `${kind} at ${i} was named at ${found.position}`);
      const isMacAlone = kind === 'edit' && jcs(withoutMacs(tampered)) === jcs(withoutMacs(lines));
      if (!isMacAlone) assert.ok(check(tampered, { checkpoints: [headOf(lines)] }), `${kind} at ${i}, no key`);
    }
  });
}

const withoutMacs = (chain: readonly SealedLine[]): unknown => chain.map((line) => ({ ...line, mac: '' }));

test('a chain written anew from any line on, with another key, is found by the key and by the checkpoint', () => {
  for (let trial = 0; trial < TRIALS; trial++) {
    const from = pick(LINES);
    const thief = randomBytes(32);
    let head = from === 0 ? firstHead(mine).hash : at(lines, from - 1).hash;
    const forged = lines.map((line, n) => {
      if (n < from) return line;
      const changed = n === from ? { ...line, object: 'photo:forged' } : line;
      const { hash, mac } = sealLine(thief, head, changed);
      head = hash.toString('hex');
      return { ...changed, hash: head, mac: mac.toString('hex') };
    });
    assert.equal(check(forged, { key: keyed.key })?.fault, 'mac');
    assert.equal(check(forged, { checkpoints: [headOf(lines)] })?.fault, 'checkpoint');
    assert.equal(check(forged), undefined, 'without key and checkpoint nobody can tell');
  }
});

test('a cut end is found by a checkpoint only', () => {
  assert.equal(check(lines.slice(0, 10), { key: keyed.key }), undefined);
  assert.equal(check(lines.slice(0, 10), keyed)?.fault, 'truncated');
});
