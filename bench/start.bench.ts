// How long a warm `up` takes until it serves, and how much memory the idle installation holds.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { startInstance } from '../packages/server/src/test/instance.ts';
import { processTree, pssBytes } from '../packages/server/src/test/processes.ts';
import { progress, publish, quantile, round } from './report.ts';

const WARM_STARTS = 7;
// Long enough for lazily started workers to have ended again and for V8 to have given memory back.
const IDLE_MS = 30_000;
const MIB = 2 ** 20;

const dataDir = await mkdtemp(join(tmpdir(), 'lumatrace-start-'));
try {
  const first = await startInstance({ dataDir });
  progress(`first start on empty data: ${round(first.readyMs, 0)} ms`);
  await first.stop();
  const readyMs: number[] = [];
  for (let i = 0; i < WARM_STARTS; i++) {
    const instance = await startInstance({ dataDir });
    readyMs.push(instance.readyMs);
    progress(`warm start ${i + 1}: ${round(instance.readyMs, 0)} ms`);
    await instance.stop();
  }
  const idle = await startInstance({ dataDir });
  await sleep(IDLE_MS);
  const byProcess = processTree(idle.process.pid as number).map((process) => ({
    name: process.name,
    pssMb: round(pssBytes(process.pid) / MIB),
  }));
  await idle.stop();
  publish('start', {
    readyMs: round(quantile(readyMs, 0.5), 0),
    readyMaxMs: round(quantile(readyMs, 1), 0),
    firstStartMs: round(first.readyMs, 0),
    idlePssMb: round(byProcess.reduce((sum, { pssMb }) => sum + pssMb, 0)),
    idleProcesses: byProcess,
  });
} finally {
  await rm(dataDir, { recursive: true, force: true });
}
