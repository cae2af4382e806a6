// What an entry costs the transaction that writes it: transactions with an audit line alone and with an entry beside it,
// alternating. `node packages/server/src/transparency/append.bench.ts`
import { randomUUID } from 'node:crypto';
import { audit } from '../access/audit.ts';
import { insertTenant } from '../storage/postgres/tenants.ts';
import { testDatabase } from '../test/harness.ts';
import { writeEntry } from './entry.ts';
import { openLog } from './log.ts';
import { signerHere } from './signer.fixture.ts';

const ROUNDS = 2_000;
const db = await testDatabase();
const { database } = db;
try {
  const tenantId = randomUUID();
  await database.inTenant(tenantId, (sql) => insertTenant(sql, { tenantId, name: 'Bench' }));
  const log = await openLog({ database, signer: signerHere() });
  const line = {
    tenantId,
    actor: 'key:bench',
    action: 'bench',
    object: 'bench',
    outcome: 'done',
    requestId: 'bench',
  } as const;
  const said = {
    tenantId,
    action: 'photo.protect',
    object: `photo:${randomUUID()}`,
    sha256: { output: 'ab'.repeat(32) },
  };
  const timed = async (withEntry: boolean): Promise<number> => {
    const startMs = performance.now();
    await database.inTenant(tenantId, async (sql) => {
      await audit(sql, line);
      if (withEntry) await writeEntry(sql, said);
    });
    return performance.now() - startMs;
  };
  const [without, beside]: [number[], number[]] = [[], []];
  for (let i = 0; i < ROUNDS; i++) {
    without.push(await timed(false));
    beside.push(await timed(true));
  }
  const at = (times: number[], share: number): string =>
    `${times.toSorted((a, b) => a - b)[Math.floor(share * (ROUNDS - 1))]?.toFixed(2)} ms`;
  for (const [name, times] of [
    ['audit line', without],
    ['audit line and entry', beside],
  ] as const)
    console.log(`${name}: p50 ${at(times, 0.5)}, p95 ${at(times, 0.95)}`);
  const startMs = performance.now();
  const came = await log.sequence();
  console.log(`sequencing ${came} entries: ${(performance.now() - startMs).toFixed(0)} ms`);
} finally {
  await db.close();
}
