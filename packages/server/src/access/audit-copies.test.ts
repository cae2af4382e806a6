// Checkpoints that are kept elsewhere: they grow with ours, survive a place that is away, and speak against a log put back.
import assert from 'node:assert/strict';
import { chmod, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { createAuditCopies, LATE_MS } from './audit-copies.ts';

const folder = await mkdtemp(join(tmpdir(), 'lumatrace-copies-'));
after(() => rm(folder, { recursive: true, force: true }));

const TENANTS = ['11111111-1111-4111-8111-111111111111', '22222222-2222-4222-8222-222222222222'];
const [first = '', second = ''] = TENANTS;
const note = (n: number): string => `origin\n${n}\nroot\n\n\u2014 origin signature${n}\n`;

interface Scene {
  own: string;
  away: string;
  alerts: Array<{ kind: string; about: string }>;
  sent: Array<{ type: string; data: { checkpoints: Array<{ tenantId: string; note: string }> } }>;
  clock: { nowMs: number };
  receiver: { isDown: boolean };
  copy(): Promise<void>;
  write(tenantId: string, ...numbers: number[]): Promise<void>;
}

async function sceneWith(kinds: { folder?: boolean; webhook?: boolean }): Promise<Scene> {
  const [own, away] = [await mkdtemp(join(folder, 'own-')), join(await mkdtemp(join(folder, 'away-')), 'copies')];
  const scene = {
    own,
    away,
    alerts: [],
    sent: [],
    clock: { nowMs: 0 },
    receiver: { isDown: false },
  } as unknown as Scene;
  const file = (tenantId: string): string => join(own, `${tenantId}.checkpoints`);
  const copies = createAuditCopies({
    directory: own,
    auditLog: {
      async checkpoints(tenantId) {
        const text = await readFile(file(tenantId), 'utf8').catch(() => '');
        return { notes: text === '' ? [] : text.split(/(?<=signature\d+\n)\n/), publicKey: 'PEM' };
      },
    },
    tenants: () => Promise.resolve(TENANTS),
    ...(kinds.folder === true && { folder: away }),
    ...(kinds.webhook === true && {
      webhook: {
        place: 'example.com',
        send(_id: string, type: string, data: object) {
          if (scene.receiver.isDown) return Promise.reject(Object.assign(new Error('x'), { code: 'EGRESS_FAILED' }));
          scene.sent.push({ type, data } as Scene['sent'][number]);
          return Promise.resolve();
        },
      },
    }),
    alert: (row) => Promise.resolve(void scene.alerts.push(row)),
    nowMs: () => scene.clock.nowMs,
  });
  return Object.assign(scene, {
    copy: () => copies.copy(),
    write: (tenantId: string, ...numbers: number[]) => writeFile(file(tenantId), numbers.map(note).join('\n')),
  });
}

test('a folder gets every checkpoint and the key, and grows with ours', async () => {
  const { away, copy, write, alerts } = await sceneWith({ folder: true });
  await copy();
  await write(first, 1);
  await copy();
  await write(first, 1, 5, 9);
  await write(second, 3);
  await copy();
  await copy();
  assert.equal(await readFile(join(away, `${first}.checkpoints`), 'utf8'), [1, 5, 9].map(note).join('\n'));
  assert.equal(await readFile(join(away, `${second}.checkpoints`), 'utf8'), note(3));
  assert.equal(await readFile(join(away, 'public-key.pem'), 'utf8'), 'PEM');
  assert.deepEqual(alerts, []);
});

test('a log that was put back, cut or written anew is told, and the copy stays as it is', async () => {
  for (const after of [[1], [1, 5], [1, 6, 9, 12], []]) {
    const { away, copy, write, alerts } = await sceneWith({ folder: true });
    await write(first, 1, 5, 9);
    await copy();
    await write(first, ...after);
    await copy();
    assert.deepEqual(
      alerts.map(({ kind, about }) => [kind, about]),
      [['audit.gap', `copy:${first}`]],
      String(after),
    );
    assert.equal(await readFile(join(away, `${first}.checkpoints`), 'utf8'), [1, 5, 9].map(note).join('\n'));
  }
});

test('the webhook gets the newest checkpoint of each tenant that grew, once', async () => {
  const { copy, write, sent } = await sceneWith({ webhook: true });
  await write(first, 1);
  await write(second, 4);
  await copy();
  await copy();
  await write(first, 1, 5, 9);
  await copy();
  assert.deepEqual(
    sent.map(({ data }) => data.checkpoints),
    [
      [
        { tenantId: first, note: note(1) },
        { tenantId: second, note: note(4) },
      ],
      [{ tenantId: first, note: note(9) }],
    ],
  );
});

test('a place that is away is asked ever less often, becomes an alert, and gets what it missed when it is back', async () => {
  const { clock, copy, write, sent, alerts, receiver } = await sceneWith({ webhook: true });
  await write(first, 1);
  receiver.isDown = true;
  for (; clock.nowMs < LATE_MS - 60_000; clock.nowMs += 5_000) await copy();
  assert.deepEqual(alerts, []);
  for (; clock.nowMs < 3 * LATE_MS; clock.nowMs += 5_000) await copy();
  assert.deepEqual([...new Set(alerts.map(({ kind, about }) => `${kind} ${about}`))], ['audit.copy place:example.com']);
  assert.ok(alerts.length <= 4, `told ${alerts.length} times`);
  receiver.isDown = false;
  await write(first, 1, 2, 3);
  clock.nowMs += 16 * 60_000;
  await copy();
  assert.deepEqual(sent.at(-1)?.data.checkpoints, [{ tenantId: first, note: note(3) }]);
});

test('a place that hangs is told after ten minutes, and asked once', async () => {
  const [alerts, clock] = [[] as string[], { nowMs: 0 }];
  let asked = 0;
  const hanging = createAuditCopies({
    directory: folder,
    auditLog: { checkpoints: () => Promise.resolve({ notes: [note(1)], publicKey: 'PEM' }) },
    tenants: () => Promise.resolve([first]),
    webhook: { place: 'example.com', send: () => new Promise<void>(() => void asked++) },
    alert: ({ about, detail }) => Promise.resolve(void alerts.push(`${about} ${String(detail['because'])}`)),
    nowMs: () => clock.nowMs,
  });
  void hanging.copy();
  await setImmediate();
  for (; clock.nowMs <= LATE_MS; clock.nowMs += 60_000) await hanging.copy();
  assert.deepEqual([asked, alerts], [1, ['place:example.com it hangs']]);
});

test('a folder that cannot be written does not stop the webhook', async () => {
  const { away, copy, write, sent, clock, alerts } = await sceneWith({ folder: true, webhook: true });
  await writeFile(away, 'a file where the folder should be');
  await chmod(away, 0o400);
  await write(first, 1);
  await copy();
  assert.equal(sent.length, 1);
  for (; clock.nowMs < 2 * LATE_MS; clock.nowMs += 60_000) await copy();
  assert.equal(alerts[0]?.about, 'place:folder');
});
