// How fast a tenant is sealed again, and what its spans wait meanwhile: node packages/server/src/keys/reencryption.bench.ts
import { randomBytes } from 'node:crypto';
import { NOW_MS, testRoom } from '../ingest/fixtures/room.ts';
import { kekFromBytes } from './kek.ts';
import { hurriedRotation } from './tenant-rotation.fixture.ts';

const REQUESTS = 200;
const SPANS = 50;
const kek = kekFromBytes(randomBytes(32));
const room = await testRoom({ kek });
const { database } = room.db;
const endNs = BigInt(NOW_MS) * 1_000_000n;
const tenantId = await room.newTenant({ tracesPerDay: 1_000_000 });

function spansOf(count: number): Parameters<typeof room.send>[1] {
  return Array.from({ length: count }, () => ({
    traceId: randomBytes(16).toString('hex'),
    spanId: randomBytes(8).toString('hex'),
    startNs: endNs - 1_000_000n,
    endNs,
    attributes: { 'gen_ai.operation.name': 'chat', 'gen_ai.prompt': randomBytes(1_000).toString('base64') },
  }));
}

/** Milliseconds of one request, at p50 and p95. */
async function ingestMs(until: () => boolean): Promise<{ requests: number; p50: number; p95: number }> {
  const took: number[] = [];
  while (!until() && took.length < REQUESTS) {
    const began = performance.now();
    await room.send(tenantId, spansOf(SPANS));
    took.push(performance.now() - began);
  }
  took.sort((a, b) => a - b);
  const at = (share: number): number => Math.round(took[Math.floor(took.length * share)] ?? 0);
  return { requests: took.length, p50: at(0.5), p95: at(0.95) };
}

const alone = await ingestMs(() => false);
await hurriedRotation({ database, kek }).rotate(tenantId);
room.tenantKeys.forget(tenantId);
const began = performance.now();
let isDone = false;
const working = hurriedRotation({ database, kek });
const [beside] = await Promise.all([
  ingestMs(() => isDone),
  working.work(new AbortController().signal).finally(() => (isDone = true)),
]);
const seconds = (performance.now() - began) / 1_000;
const rows = (await working.progress(tenantId)).reduce((sum, { rowsSealed }) => sum + rowsSealed, 0);
process.stdout.write(`${JSON.stringify({ alone, beside, rows, rowsPerSecond: Math.round(rows / seconds) })}\n`);
await room.close();
