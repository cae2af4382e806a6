// Rotates the KEK of a database and kills itself at one step, as a power cut would.
import { randomBytes } from 'node:crypto';
import type pg from 'pg';
import { keepAuditChain } from './access/audit.ts';
import { PLAIN_DOOR } from './data-folder.ts';
import { rotateKek } from './kek-rotation.ts';
import { Database } from './storage/database.ts';

const [file = '', runDir = '', dieAt = '', configs = ''] = process.argv.slice(2);
const database = new Database(JSON.parse(configs) as { app: pg.PoolConfig; owner: pg.PoolConfig });
keepAuditChain(database, randomBytes(32));
const made = await rotateKek({
  database,
  file,
  door: PLAIN_DOOR,
  newDoor: PLAIN_DOOR,
  runDir,
  settleMs: 0,
  onStep: (step) => {
    if (step === dieAt) process.kill(process.pid, 'SIGKILL');
  },
});
process.stdout.write(JSON.stringify(made));
await database.close();
