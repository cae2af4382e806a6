// A process that writes entries and sequences without pause until it is killed: `node sequencer.fixture.ts CONFIG`, the JSON of
// {app, owner, tenantId}. Prints each receipt's leaf hash after its commit.
import type pg from 'pg';
import { randomUUID } from 'node:crypto';
import { Database } from '../storage/database.ts';
import { openLog } from './log.ts';
import { signerHere } from './signer.fixture.ts';

interface Given {
  app: pg.PoolConfig;
  owner: pg.PoolConfig;
  tenantId: string;
}

const { app, owner, tenantId } = JSON.parse(process.argv[2] ?? '') as Given;
const database = new Database({ app, owner });
const log = await openLog({ database, signer: signerHere() });

async function write(): Promise<never> {
  for (;;) {
    const said = { tenantId, action: 'photo.protect', object: `photo:${randomUUID()}`, sha256: {} };
    const { leafHash } = await database.inTenant(tenantId, (sql) => log.append(sql, said));
    process.stdout.write(`${leafHash}\n`);
  }
}

async function sequence(): Promise<never> {
  for (;;) await log.sequence();
}

await Promise.race([write(), write(), sequence()]);
