// What is kept long enough goes, what is not stays, and merging changes no sum.
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { dropExpiredPartitions } from '../storage/postgres/partitions.ts';
import { NOW_MS, testRoom } from './fixtures/room.ts';
import { upkeepTelemetry } from './upkeep.ts';

const room = await testRoom();
after(() => room.close());

const DAY_MS = 86_400_000;
const NOW_NS = BigInt(NOW_MS) * 1_000_000n;

async function countsOf(tenantId: string): Promise<Record<string, number>> {
  return room.db.database.inTenant(tenantId, async (sql) => {
    const { rows } = await sql.query<Record<string, number>>(`
      select
        (select count(*)::int from traces) as traces, (select count(*)::int from spans) as spans,
        (select count(*)::int from content_blocks) as blocks, (select count(*)::int from rollups where tier = 0 and dimension = 6) as rollups,
        (select coalesce(sum(spans), 0)::int from rollups where tier = 0 and dimension = 6) as rolled, (select count(*)::int from usage) as usage`);
    return rows[0] as Record<string, number>;
  });
}

test('summaries go with their partitions, rollups 90 days later, usage after 400 days', async () => {
  const tenantId = await room.newTenant({ retentionClass: 7 });
  const longer = await room.newTenant({ retentionClass: 90 });
  for (let i = 0; i < 3; i++) {
    const startNs = NOW_NS - BigInt(i) * 86_400_000_000_000n;
    const span = {
      traceId: (i + 1).toString(16).padStart(32, '0'),
      spanId: 'b7ad6b7169203331',
      startNs,
      endNs: startNs,
    };
    await room.send(tenantId, [span]);
    await room.send(longer, [span]);
  }
  const stages: Array<[days: number, traces: number, rollups: number, usage: number]> = [
    [0, 3, 3, 1],
    [6, 2, 3, 1],
    [7, 1, 3, 1],
    [8, 0, 3, 1],
    [97, 0, 1, 1],
    [98, 0, 0, 1],
    [401, 0, 0, 0],
  ];
  for (const [days, traces, rollups, usage] of stages) {
    const nowMs = NOW_MS + days * DAY_MS;
    await dropExpiredPartitions(room.db.database, nowMs);
    await upkeepTelemetry(room.db.database, nowMs);
    const counts = await countsOf(tenantId);
    assert.deepEqual(
      [counts['traces'], counts['spans'], counts['blocks'], counts['rollups'], counts['usage']],
      [traces, traces, traces, rollups, usage],
      `after ${days} days`,
    );
    if (days === 8) assert.equal((await countsOf(longer))['traces'], 3, 'another class is kept longer');
  }
});

test('deltas of one cell become one row with the same sums', async () => {
  const tenantId = await room.newTenant();
  for (let i = 0; i < 20; i++) {
    const startNs = NOW_NS - 3_600_000_000_000n;
    await room.send(tenantId, [
      {
        traceId: (i + 1).toString(16).padStart(32, '0'),
        spanId: 'b7ad6b7169203331',
        startNs,
        endNs: startNs + 5_000_000n,
      },
    ]);
  }
  const before = await countsOf(tenantId);
  assert.deepEqual([before['rollups'], before['rolled']], [20, 20]);
  await upkeepTelemetry(room.db.database, NOW_MS);
  const merged = await countsOf(tenantId);
  assert.deepEqual([merged['rollups'], merged['rolled']], [1, 20]);
});

test('a tenant that goes on sending has its deltas merged on the way', async () => {
  const tenantId = await room.newTenant();
  const startNs = NOW_NS - 600_000_000_000n;
  for (let i = 0; i < 6; i++) {
    room.clock.nowMs = NOW_MS + i * 30_000;
    await room.send(tenantId, [
      { traceId: (i + 1).toString(16).padStart(32, '0'), spanId: 'b7ad6b7169203331', startNs, endNs: startNs },
    ]);
  }
  await room.ingest.drain();
  room.clock.nowMs = NOW_MS;
  const counts = await countsOf(tenantId);
  assert.ok((counts['rollups'] ?? 6) < 6);
  assert.equal(counts['rolled'], 6);
});
