// Ten thousand requests about pictures, one instance: does memory grow, and is each answered? `node bench/soak.bench.ts 500`
// asks fewer. Pictures are small, so that it takes minutes: what leaks per request leaks with them too.
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import sharp from 'sharp';
import { startInstance, type Instance } from '../packages/server/src/test/instance.ts';
import { processTree } from '../packages/server/src/test/processes.ts';
import { progress, publish, quantile, round } from './report.ts';

const REQUESTS = Number(process.argv[2] ?? 10_000);
const CLIENTS = 4;
const SAMPLE_EVERY = Math.max(1, Math.round(REQUESTS / 100));
const PHOTO = new URL('../fixtures/photos/fig-bowl.jpg', import.meta.url);

const bare = new Uint8Array(await sharp(readFileSync(PHOTO)).resize(512).jpeg({ quality: 90 }).toBuffer());
const contentHash = createHash('sha256').update(bare).digest('hex');

const instance = await startInstance({ env: { LUMATRACE_REQUESTS_PER_HOUR: '1000000' } });
try {
  const rssMb: number[] = [];
  const ms: number[] = [];
  const failures = new Map<string, number>();
  const started = performance.now();
  let asked = 0;
  const client = async (): Promise<void> => {
    let last: { id: string; bytes: Uint8Array<ArrayBuffer> } | null = null;
    while (asked < REQUESTS) {
      if (++asked % SAMPLE_EVERY === 0) rssMb.push(rssMbOf(instance.process.pid as number));
      if (asked % (SAMPLE_EVERY * 10) === 0) progress(`${asked} of ${REQUESTS}: ${round(rssMb.at(-1) ?? NaN)} MB`);
      const begun = performance.now();
      try {
        // what was protected is verified next, and every such pair is protected anew
        if (last === null) last = await protect(instance);
        else {
          await verify(instance, last);
          last = null;
        }
        ms.push(performance.now() - begun);
      } catch (error) {
        last = null;
        failures.set(String(error), (failures.get(String(error)) ?? 0) + 1);
      }
    }
  };
  await Promise.all(Array.from({ length: CLIENTS }, client));
  const tenth = Math.max(1, Math.floor(rssMb.length / 10));
  const early = quantile(rssMb.slice(tenth, 3 * tenth), 0.5);
  const late = quantile(rssMb.slice(-2 * tenth), 0.5);
  publish(
    'soak',
    {
      requests: REQUESTS,
      answered: ms.length,
      failed: REQUESTS - ms.length,
      minutes: round((performance.now() - started) / 60_000),
      p50Ms: round(quantile(ms, 0.5)),
      p95Ms: round(quantile(ms, 0.95)),
      rssEarlyMb: round(early),
      rssLateMb: round(late),
      rssGrowthMb: round(late - early),
      rssPeakMb: round(Math.max(...rssMb)),
    },
    [
      'Four clients protect a picture of 512 pixels and verify it, by turns. Early is the median resident memory of all',
      'processes but PostgreSQL in the second and third tenth of the requests, late that of the last two tenths.',
      ...[...failures].map(([what, times]) => `${times} × ${what}`),
    ],
  );
} finally {
  await instance.stop();
}

async function protect({ url, firstRun }: Instance): Promise<{ id: string; bytes: Uint8Array<ArrayBuffer> }> {
  const form = new FormData();
  form.set('image', new Blob([bare]), 'small.jpg');
  form.set('request', JSON.stringify({ contentHash, deviceModel: 'bench' }));
  const headers = { authorization: `Bearer ${firstRun.apiKey}` };
  const response = await fetch(`${url}/api/v1/photos/protect`, { method: 'POST', body: form, headers });
  if (!response.ok) throw new Error(`protect ${response.status}: ${(await response.text()).slice(0, 120)}`);
  return { id: response.headers.get('x-photo-id') ?? '', bytes: new Uint8Array(await response.arrayBuffer()) };
}

async function verify(
  { url, firstRun }: Instance,
  { id, bytes }: { id: string; bytes: Uint8Array<ArrayBuffer> },
): Promise<void> {
  const form = new FormData();
  form.set('image', new Blob([bytes]), 'small.jpg');
  form.set('photoId', id);
  const headers = { authorization: `Bearer ${firstRun.apiKey}` };
  const response = await fetch(`${url}/api/v1/photos/verify`, { method: 'POST', body: form, headers });
  const { authentic } = (await response.json()) as { authentic?: boolean };
  if (authentic !== true) throw new Error(`verify ${response.status}: not authentic`);
}

function rssMbOf(root: number): number {
  let kb = 0;
  for (const { pid, name } of processTree(root)) {
    if (/postgres/i.test(name)) continue;
    try {
      kb += Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0);
    } catch {
      // it ended meanwhile
    }
  }
  return kb / 1_024;
}
