// Scores and series are kept as long as the tenant keeps spans, and not longer.
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { attributesOf, NOW_MS, testRoom } from './fixtures/room.ts';
import { upkeepSignals } from './signals-upkeep.ts';

const room = await testRoom();
after(() => room.close());

const DAY_MS = 86_400_000;
const timeUnixNano = String(BigInt(NOW_MS) * 1_000_000n);

test('scores and series go when their retention has passed, and not before', async () => {
  const tenantId = await room.newTenant({ retentionClass: 7 });
  const attributes = attributesOf({ 'gen_ai.evaluation.name': 'tone', 'gen_ai.evaluation.score.value': 1 });
  const record = { timeUnixNano, traceId: 'ab'.repeat(16), eventName: 'gen_ai.evaluation.result', attributes };
  await room.sendLogs(tenantId, { resourceLogs: [{ scopeLogs: [{ logRecords: [record] }] }] });
  const metric = { name: 'gen_ai.x', gauge: { dataPoints: [{ timeUnixNano, asInt: '1' }] } };
  await room.sendMetrics(tenantId, { resourceMetrics: [{ scopeMetrics: [{ metrics: [metric] }] }] });

  const kept = async (): Promise<number[]> => {
    const counts: number[] = [];
    for (const table of ['scores', 'metric_series']) {
      const { rows } = await room.db.database.inTenant(tenantId, (sql) => sql.query(`select from ${table}`));
      counts.push(rows.length);
    }
    return counts;
  };
  assert.equal(await upkeepSignals(room.db.database, NOW_MS + 7 * DAY_MS), 0);
  assert.deepEqual(await kept(), [1, 1]);
  assert.equal(await upkeepSignals(room.db.database, NOW_MS + 9 * DAY_MS), 2);
  assert.deepEqual(await kept(), [0, 0]);
});
