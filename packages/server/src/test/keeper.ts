// Holds the cluster of the tests while anybody uses it. Started by the harness; a second keeper finds the lock and leaves.
import { appendFileSync } from 'node:fs';
import { rm, writeFile, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { startCluster, SUPERUSER } from '../storage/embedded/cluster.ts';
import { provision } from '../storage/embedded/provision.ts';
import { THROW_AWAY_SETTINGS } from '../storage/embedded/settings.ts';
import { isHeld, lockFolder } from '../storage/lock.ts';

const IDLE_LIMIT_MS = 60_000;
const POLL_MS = 2_000;

const folder = process.argv[2];
if (folder === undefined) throw new TypeError('Expected the folder of the test cluster');
const lock = await lockFolder(folder);
if (isHeld(lock)) process.exit(0);

const log = (line: string): void => appendFileSync(join(folder, 'keeper.log'), `${line}\n`);
// what a killed keeper left is of no use to anybody
await rm(join(folder, 'socket'), { force: true });
const cluster = await startCluster({ dataDir: folder, durable: false, settings: THROW_AWAY_SETTINGS, log });
await provision(cluster);
await announce();

let stopping = false;
for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => (stopping = true));

const watch = new pg.Client(cluster.connection(SUPERUSER, 'postgres'));
watch.on('error', () => (stopping = true));
await watch.connect();
let lastUsedMs = performance.now();
while (!stopping) {
  await sleep(POLL_MS);
  if (await isUsed()) lastUsedMs = performance.now();
  if (performance.now() - lastUsedMs < IDLE_LIMIT_MS) continue;
  // no longer offered; whoever read the socket's folder a moment ago is still waited for
  await rm(join(folder, 'socket'), { force: true });
  await sleep(POLL_MS);
  if (!(await isUsed())) break;
  await announce();
}
await rm(join(folder, 'socket'), { force: true });
await watch.end().catch(() => undefined);
await cluster.stop();
await rm(cluster.folder, { recursive: true, force: true });
await lock.release();
process.exit(0);

async function announce(): Promise<void> {
  await writeFile(join(folder as string, 'socket.new'), cluster.socketDir);
  await rename(join(folder as string, 'socket.new'), join(folder as string, 'socket'));
}

async function isUsed(): Promise<boolean> {
  const others = `select from pg_stat_activity where backend_type = 'client backend' and pid <> pg_backend_pid() limit 1`;
  return watch.query(others).then(
    ({ rowCount }) => rowCount !== 0,
    () => {
      stopping = true;
      return false;
    },
  );
}
