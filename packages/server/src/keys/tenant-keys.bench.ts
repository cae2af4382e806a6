// How many small previews and large blocks are sealed and opened per second: node packages/server/src/keys/tenant-keys.bench.ts
import { randomBytes } from 'node:crypto';
import type { Aad } from '../storage/sealed.ts';
import { tenantKeyFromBytes } from './tenant-keys.ts';

const aad = (text: string): Aad => text as Aad;
const key = tenantKeyFromBytes('00000000-0000-4000-8000-000000000000', 1, new Map([[1, randomBytes(32)]]));
const RUN_MS = 1_000;

function perSecond(work: () => unknown): number {
  const until = performance.now() + RUN_MS;
  let count = 0;
  // a batch of 100 between looks at the clock
  while (performance.now() < until) {
    for (let i = 0; i < 100; i++) work();
    count += 100;
  }
  return Math.round((count * 1_000) / RUN_MS);
}

for (const bytes of [300, 20_000, 200_000]) {
  const plain = randomBytes(bytes);
  const sealed = key.seal('preview', aad('traces|0'), plain);
  const sealsPerSecond = perSecond(() => key.seal('preview', aad('traces|0'), plain));
  const opensPerSecond = perSecond(() => key.open('preview', aad('traces|0'), sealed));
  process.stdout.write(`${JSON.stringify({ bytes, sealsPerSecond, opensPerSecond })}\n`);
}
