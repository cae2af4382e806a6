// What Merkle checkpoints tell: every kind of tampering at a thousand places by the root alone, an exported file against
// a checkpoint kept elsewhere, and the proof of one line.
import assert from 'node:assert/strict';
import { createHash, createPublicKey, randomBytes, randomUUID } from 'node:crypto';
import { test } from 'node:test';
import {
  chainKey,
  ChainCheck,
  firstHead,
  firstShrunk,
  sealLine,
  type ChainedLine,
  type SealedLine,
} from './audit-chain.ts';
import { checkpointKey, publicPem, readCheckpoint, splitNotes, writeCheckpoint } from './audit-checkpoint.ts';
import { EXPORT_FORMAT, verifyExport } from './audit-export.ts';
import { PROOF_FORMAT, verifyLine, type LineProof } from './audit-proof.ts';
import { ChainHashes, emptyRoot, TreeEdge } from './audit-tree.ts';

const LINES = 40;
const TRIALS = 1_000;
const FILE_TRIALS = 25;
const tenantId = randomUUID();
const key = checkpointKey(randomBytes(32));
const trusted = publicPem(key);

function chained(lines: readonly ChainedLine[], secret = randomBytes(32)): SealedLine[] {
  let head = firstHead(tenantId).hash;
  return lines.map((line, i) => {
    const placed = { ...line, tenantId, position: i + 1 };
    const { hash, mac } = sealLine(chainKey(secret, tenantId), head, placed);
    head = hash.toString('hex');
    return { ...placed, hash: head, mac: mac.toString('hex') };
  });
}

const newLine = (i: number): ChainedLine => ({
  tenantId,
  position: i + 1,
  at: new Date(1_700_000_000_000 + i * 1_000).toISOString(),
  actor: `key:${randomUUID()}`,
  action: 'photo.protect',
  object: `photo:${randomUUID()}`,
  outcome: 'done',
  requestId: null,
  detail: { n: i },
});
const lines = chained(Array.from({ length: LINES }, (_, i) => newLine(i)));

function hashesOf(chain: readonly SealedLine[]): ChainHashes {
  const hashes = new ChainHashes();
  for (const { hash } of chain) hashes.push(hash);
  return hashes;
}

function checkpointAt(chain: readonly SealedLine[], position: number) {
  const root = hashesOf(chain).rootsAt([position]).get(position);
  assert.ok(root);
  const hash = position === 0 ? firstHead(tenantId).hash : (chain[position - 1]?.hash ?? '');
  return { tenantId, position, hash, root };
}

const pick = (n: number): number => Math.floor(Math.random() * n);
const whole = checkpointAt(lines, LINES);

/** Each is computed anew from the first line on, so that the hash chain itself holds: the root alone can tell. */
const KINDS: Readonly<Record<string, (i: number) => ChainedLine[]>> = {
  edit: (i) => lines.map((line, n) => (n === i ? { ...line, actor: 'key:nobody' } : line)),
  delete: (i) => lines.filter((_, n) => n !== i),
  insert: (i) => [...lines.slice(0, i), newLine(i), ...lines.slice(i)],
  reorder(i) {
    const j = (i + 1 + pick(LINES - 1)) % LINES;
    return lines.map((line, n) => (n === i ? lines[j] : n === j ? lines[i] : line) as SealedLine);
  },
  truncate: (i) => lines.slice(0, i),
  splice: (i) => lines.map((line, n) => (n === i ? (lines[(i + 1 + pick(LINES - 1)) % LINES] as SealedLine) : line)),
};

for (const [kind, tamper] of Object.entries(KINDS)) {
  test(`${kind} at ${TRIALS} random places in a chain computed anew has another Merkle root`, () => {
    for (let trial = 0; trial < TRIALS; trial++) {
      const i = pick(LINES);
      const forged = chained(tamper(i));
      assert.notEqual(hashesOf(forged).rootsAt([LINES]).get(LINES), whole.root, `${kind} at ${i}`);
    }
    assert.equal(hashesOf(lines).rootsAt([LINES]).get(LINES), whole.root);
  });

  test(`${kind} in an exported file is found by a checkpoint that was kept elsewhere, and by nothing in the file`, async () => {
    for (let trial = 0; trial < FILE_TRIALS; trial++) {
      const forged = chained(tamper(pick(LINES)));
      const file = exportOf(forged, checkpointKey(randomBytes(32)));
      const kept = [writeCheckpoint(key, whole)];
      await assert.rejects(verifyExport(file, { key: trusted }), { code: 'VALIDATION_FAILED' });
      assert.equal(
        (await verifyExport(file)).finding,
        undefined,
        'whoever signs a file anew is believed without a key',
      );
      // the thief has the signing key too: what was kept elsewhere speaks against him
      const stolen = await verifyExport(exportOf(forged, key), { key: trusted, checkpoints: kept });
      assert.ok(['checkpoint', 'truncated'].includes(stolen.finding?.fault ?? ''), kind);
    }
  });
}

function exportOf(chain: readonly SealedLine[], signer: typeof key, places: readonly number[] = []): string[] {
  const notes = places.map((position) => ({
    type: 'checkpoint',
    note: writeCheckpoint(signer, checkpointAt(chain, position)),
  }));
  return [
    { type: 'audit', format: EXPORT_FORMAT, tenantId, publicKey: publicPem(signer) },
    ...chain.map((line) => ({ type: 'line', ...line })),
    ...notes,
    { type: 'end', note: writeCheckpoint(signer, checkpointAt(chain, chain.length)) },
  ].map((member) => JSON.stringify(member));
}

const sha = (...parts: Uint8Array[]): Buffer => createHash('sha256').update(Buffer.concat(parts)).digest();

test('the root is that of RFC 6962, computed by hand', () => {
  const leaf = (i: number): Buffer => sha(Buffer.of(0), Buffer.from(lines[i]?.hash ?? '', 'hex'));
  const node = (a: Buffer, b: Buffer): Buffer => sha(Buffer.of(1), a, b);
  const three = node(node(leaf(0), leaf(1)), leaf(2));
  assert.equal(checkpointAt(lines, 3).root, three.toString('hex'));
  assert.equal(checkpointAt(lines, 1).root, leaf(0).toString('hex'));
  assert.equal(emptyRoot(), sha().toString('hex'));
  assert.equal(checkpointAt(lines, 0).root, emptyRoot());
});

test('growing line by line, in pieces of any size, and all at once give the same roots', () => {
  const edge = new TreeEdge();
  for (const [i, { hash }] of lines.entries()) {
    edge.add(hash);
    if (Math.random() < 0.5) assert.equal(edge.root(), checkpointAt(lines, i + 1).root);
  }
  const many = new ChainHashes();
  for (let i = 0; i < 2_500; i++) many.push(randomBytes(32).toString('hex'));
  const long = new TreeEdge();
  for (let i = 1; i <= 2_500; i++) long.add(many.at(i) as string);
  assert.equal(long.root(), many.rootsAt([2_500]).get(2_500));
});

test('successive checkpoints agree with the lines and grow; a wrong root, two truths and a log that was put back are found', () => {
  const check = (checkpoints: ReturnType<typeof checkpointAt>[]) => {
    const chain = new ChainCheck(tenantId, { checkpoints });
    for (const line of lines) if (!chain.add(line)) break;
    return chain.finish();
  };
  const good = [1, 2, 31, 32, 33, 40].map((position) => checkpointAt(lines, position));
  assert.equal(check(good), undefined);
  const lying = { ...checkpointAt(lines, 32), root: randomBytes(32).toString('hex') };
  assert.deepEqual([check([lying])?.fault, check([lying])?.position], ['checkpoint', 32]);
  assert.equal(check([...good, lying])?.because, 'Two checkpoints of one place differ.');
  assert.equal(firstShrunk(good), undefined);
  assert.equal(firstShrunk([...good, checkpointAt(lines, 33)])?.position, 33);
});

test('a file whose own checkpoints shrink was put back in between', async () => {
  assert.equal((await verifyExport(exportOf(lines, key, [10, 30]), { key: trusted })).finding, undefined);
  const { finding } = await verifyExport(exportOf(lines, key, [30, 10]), { key: trusted });
  assert.deepEqual([finding?.fault, finding?.position], ['checkpoint', 10]);
});

test('a note is a C2SP checkpoint: origin, size, root, one extension line, and the key is named after the origin', () => {
  const note = writeCheckpoint(key, checkpointAt(lines, 7));
  const [origin, size, root, extension, empty, signature] = note.split('\n');
  assert.equal(origin, `lumatrace/audit/${tenantId}`);
  assert.deepEqual([size, empty], ['7', '']);
  assert.equal(Buffer.from(root ?? '', 'base64').toString('hex'), checkpointAt(lines, 7).root);
  assert.match(extension ?? '', /^chain [A-Za-z0-9+/]{43}=$/);
  assert.ok(signature?.startsWith(`\u2014 ${origin} `));
  assert.deepEqual(splitNotes(`${note}\n${note}`), [note, note]);
});

test('a note from before the tree is still read, and its chain compared', () => {
  const old = checkpointKey(Buffer.alloc(32, 7));
  // as it was signed by the program before
  const note = [
    'lumatrace/audit/00000000-0000-4000-8000-000000000001',
    '3',
    'ERERERERERERERERERERERERERERERERERERERERERE=',
    '',
    '\u2014 lumatrace-audit j6frNDP4VBjOo10MFmTjVVvMw2oe11M9vBUnopEmSvBxs/vpmWh/MsjYDs+DBGHnf83aBSLVbkvGau7qnA+gnbxbqQI=',
    '',
  ].join('\n');
  const read = readCheckpoint(createPublicKey(old), note);
  assert.deepEqual(read, { tenantId: '00000000-0000-4000-8000-000000000001', position: 3, hash: '11'.repeat(32) });
});

function proofOf(position: number, size: number): LineProof {
  const { mac: _mac, ...line } = lines[position - 1] as SealedLine;
  return {
    format: PROOF_FORMAT,
    publicKey: trusted,
    line,
    before: position === 1 ? firstHead(tenantId).hash : (lines[position - 2]?.hash ?? ''),
    checkpoint: writeCheckpoint(key, checkpointAt(lines, size)),
    proof: hashesOf(lines).inclusion(position, size),
  };
}

test('every line is proven under every third checkpoint, by the public key alone', () => {
  for (let size = 1; size <= LINES; size += 3)
    for (let position = 1; position <= size; position++)
      assert.equal(verifyLine(JSON.stringify(proofOf(position, size)), { key: trusted }).because, undefined);
});

test('a proof of another line, place, tree, key or text is none', () => {
  const good = proofOf(13, 30);
  const refused: Array<[string, Partial<LineProof> | object]> = [
    ['another actor', { line: { ...good.line, actor: 'key:nobody' } }],
    ['another place', { line: { ...good.line, position: 14 } }],
    ['another time', { line: { ...good.line, at: '2030-01-01T00:00:00.000Z' } }],
    ['another line before', { before: 'ab'.repeat(32) }],
    ['another tree', { checkpoint: writeCheckpoint(key, checkpointAt(lines, 40)) }],
    ['one hash less', { proof: good.proof.slice(1) }],
    ['one hash more', { proof: [...good.proof, good.proof[0] ?? ''] }],
    ['hashes in another order', { proof: good.proof.toReversed() }],
    ['short hashes', { proof: good.proof.map(() => 'AA==') }],
    ['no hashes', { proof: [] }],
  ];
  for (const [name, change] of refused) {
    const { because } = verifyLine(JSON.stringify({ ...good, ...change }), { key: trusted });
    assert.ok(because, name);
  }
  const stranger = publicPem(checkpointKey(randomBytes(32)));
  for (const [text, by] of [
    [JSON.stringify(good), stranger],
    [JSON.stringify({ ...good, checkpoint: 'none' }), trusted],
    [JSON.stringify({ ...good, line: { ...good.line, tenantId: randomUUID() } }), trusted],
    [JSON.stringify({ ...good, format: 'lumatrace-audit-line/2' }), trusted],
    [JSON.stringify({ ...good, proof: Array(65).fill('AA==') }), trusted],
    [JSON.stringify({ ...good, line: null }), trusted],
    ['[', trusted],
    ['null', trusted],
  ] as const)
    assert.throws(() => verifyLine(text, { key: by }), { code: 'VALIDATION_FAILED' });
});
