import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { operatorChain } from './fixtures/chain.ts';
import { AnchorsRefused, checkAnchors, watchAnchors } from './trust-anchors.ts';

test('a file of roots is read again when it changes; one that became wrong leaves the roots before in use', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'lumatrace-anchors-'));
  const file = join(folder, 'anchors.pem');
  const [first, second] = [(await operatorChain()).rootPem, (await operatorChain()).rootPem];
  const told: string[] = [];
  const anchors = watchAnchors(file, ({ message }) => told.push(message));
  try {
    await assert.rejects(anchors(), AnchorsRefused);
    await writeFile(file, `# list of today\n${first}\n`);
    assert.equal(await anchors(), first.trim());
    await writeFile(file, `${first}\n${second}\n`);
    assert.equal((await anchors()).match(/BEGIN/g)?.length, 2);
    await writeFile(file, 'nothing');
    assert.equal((await anchors()).match(/BEGIN/g)?.length, 2);
    await anchors();
    assert.equal(told.length, 1, 'told once');
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});

test('nothing but certificates of authorities is taken', async () => {
  const { leafPem, rootPem, keyPem } = await operatorChain();
  const broken = rootPem.replace(/[A-Za-z]{8}/, 'AAAAAAAA');
  for (const wrong of ['', leafPem, `${rootPem}${keyPem}`, `${rootPem}-----BEGIN CERTIFICATE-----`, broken])
    assert.throws(() => checkAnchors(wrong, 'the list'), AnchorsRefused);
  assert.throws(() => checkAnchors(rootPem.repeat(3), 'the list', 2), AnchorsRefused);
});
