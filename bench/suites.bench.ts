// What others test C2PA readers and picture decoders with, and files of ours that were changed at random.
// LUMATRACE_SUITES names a folder of checkouts (docs/guides/suites.md); suites that are not there are printed as not run.
// `--mutations N` changes so many files (default 100,000), a hundredth of them over HTTP as well.
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { parseArgs } from 'node:util';
import { Worker } from 'node:worker_threads';
import sharp from 'sharp';
import { makeChain } from '../packages/provenance/src/c2pa/chain.fixture.ts';
import { signRequest } from '../packages/provenance/src/c2pa/requests.fixture.ts';
import { signImage } from '../packages/provenance/src/c2pa/sign.ts';
import { verifyC2pa } from '../packages/provenance/src/c2pa/verify.ts';
import type { ImageFormat } from '../packages/provenance/src/image.ts';
import { startInstance } from '../packages/server/src/test/instance.ts';
import { progress, publish } from './report.ts';
import { c2paAttacks, c2paRs, publicTestfiles } from './suites/credentials.ts';
import type { Suite } from './suites/folders.ts';
import { resolutionHarness } from './suites/harness.ts';
import { hasMarker, mutated } from './suites/mutate.ts';
import { pngSuite, seedCorpora } from './suites/pictures.ts';
import { predicates } from './suites/predicates.ts';
import type { MutationCounts, MutationJob } from './suites/worker.ts';
import { randomFrom } from './watermark/raster.ts';

const { values: options } = parseArgs({ options: { mutations: { type: 'string' } } });
const MUTATIONS = Number(options.mutations ?? 100_000);
/** A thread is replaced after so many: the library's memory never shrinks. */
const PER_THREAD = 1_000;
const MAX_ORIGINAL_BYTES = 100_000;

const small = await photograph('jpeg', 320);
const chain = await makeChain();
const signedSmall = (await signImage(signRequest(chain, small, 'jpeg'))).bytes;
const suites: Suite[] = [];
for (const run of [
  publicTestfiles,
  c2paRs,
  () => c2paAttacks(small),
  pngSuite,
  seedCorpora,
  () => predicates(signedSmall, chain),
]) {
  const done = await run();
  for (const suite of Array.isArray(done) ? done : [done]) {
    suites.push(suite);
    tell(suite);
  }
}
const originals = await validOriginals();
const controlsPassed = await controls();
progress(`${controlsPassed} of ${originals.length} originals are VALID`);
const counts = await mutateAll();
const instance = await startInstance();
const overHttp = await mutateOverHttp(instance.url, instance.firstRun.apiKey);
const harness = await resolutionHarness(instance.url, instance.firstRun.apiKey);
tell(harness);
suites.push(harness);
await instance.stop();

publish(
  'suites',
  {
    suites: suites.map(({ name, cases, asExpected, explained, notRun: reason, others }) => ({
      name,
      cases,
      asExpected,
      explained,
      notRun: reason ?? null,
      ...(others !== undefined && others.length > 0 ? { others } : {}),
    })),
    controlsPassed,
    mutations: counts.mutations + overHttp.mutations,
    mutationsOverHttp: overHttp.mutations,
    crashes: counts.crashes + overHttp.crashes,
    falseAuthentic: counts.falseAuthentic + overHttp.falseAuthentic,
    falseMissing: counts.falseMissing + overHttp.falseMissing,
    wrong: [...counts.wrong, ...overHttp.wrong].slice(0, 20),
  },
  [
    'Suites are checkouts under LUMATRACE_SUITES (docs/guides/suites.md). `asExpected` follows each suite’s own documents;',
    '`explained` is another answer with its reason beside the code, and does not count. Mutations change valid files of at most',
    '100 kB in one to three places; crashes count traps of the library and answers of 500 and more.',
  ],
);
if (controlsPassed !== originals.length || counts.crashes + counts.falseAuthentic + counts.falseMissing > 0)
  process.exitCode = 1;

function tell({ name, cases, asExpected, explained, notRun: reason, others = [] }: Suite): void {
  progress(
    reason === undefined
      ? `${name}: ${asExpected} of ${cases} as expected, ${explained} explained`
      : `${name}: not run: ${reason}`,
  );
  for (const other of others.slice(0, 10)) progress(`  ${other}`);
}

async function photograph(format: ImageFormat, side: number): Promise<Uint8Array<ArrayBuffer>> {
  const file = new URL('../fixtures/photos/sunset.jpg', import.meta.url);
  const picture = sharp(readFileSync(file)).resize(side);
  const encoded =
    format === 'png' ? picture.png({ palette: true }) : format === 'webp' ? picture.webp() : picture.jpeg();
  return new Uint8Array(await encoded.toBuffer());
}

async function validOriginals(): Promise<MutationJob['originals']> {
  const made = [];
  for (const format of ['jpeg', 'png', 'webp'] as const) {
    for (const side of [160, 300]) {
      const bytes = (await signImage(signRequest(chain, await photograph(format, side), format))).bytes;
      if (bytes.length > MAX_ORIGINAL_BYTES) throw new Error(`A ${format} of ${side} px has ${bytes.length} bytes`);
      made.push({ format, bytes });
    }
  }
  return made;
}

async function controls(): Promise<number> {
  let passed = 0;
  for (const { bytes, format } of originals) {
    if ((await verifyC2pa({ bytes, format, trust: chain.trust })).status === 'VALID') passed++;
  }
  return passed;
}

async function mutateAll(): Promise<MutationCounts> {
  const total: MutationCounts = { mutations: 0, crashes: 0, falseAuthentic: 0, falseMissing: 0, wrong: [] };
  const starts = Array.from({ length: Math.ceil(MUTATIONS / PER_THREAD) }, (_, i) => i * PER_THREAD);
  const threads = Array.from({ length: availableParallelism() }, async () => {
    for (let from = starts.shift(); from !== undefined; from = starts.shift()) {
      const job: MutationJob = { originals, trust: chain.trust, from, to: Math.min(MUTATIONS, from + PER_THREAD) };
      add(total, await inThread(job));
      if (total.mutations % 10_000 < PER_THREAD) progress(`${total.mutations} of ${MUTATIONS} mutations`);
    }
  });
  await Promise.all(threads);
  return total;
}

/** A thread that ends by itself is a crash of all that it had still to do. */
function inThread(job: MutationJob): Promise<MutationCounts> {
  const worker = new Worker(new URL('./suites/worker.ts', import.meta.url), { workerData: 'bench suites' });
  return new Promise<MutationCounts>((resolve) => {
    const broken = (why: string): void =>
      resolve({
        mutations: job.to - job.from,
        crashes: 1,
        falseAuthentic: 0,
        falseMissing: 0,
        wrong: [`${job.from}: ${why}`],
      });
    worker.on('message', resolve);
    worker.on('error', (error) => broken(String(error)));
    worker.on('exit', (code) => broken(`the thread ended with ${code}`));
    worker.postMessage(job, []);
  }).finally(() => void worker.terminate());
}

function add(total: MutationCounts, more: MutationCounts): void {
  total.mutations += more.mutations;
  total.crashes += more.crashes;
  total.falseAuthentic += more.falseAuthentic;
  total.falseMissing += more.falseMissing;
  total.wrong.push(...more.wrong);
}

/** Of a photo that was protected over HTTP: each change is held against it, also over HTTP. */
async function mutateOverHttp(url: string, apiKey: string): Promise<MutationCounts> {
  const counts: MutationCounts = { mutations: 0, crashes: 0, falseAuthentic: 0, falseMissing: 0, wrong: [] };
  const headers = { authorization: `Bearer ${apiKey}` };
  const original = await photograph('jpeg', 480);
  const protecting = new FormData();
  protecting.set('image', new Blob([original]), 'image');
  const contentHash = createHash('sha256').update(original).digest('hex');
  protecting.set('request', JSON.stringify({ contentHash, deviceModel: 'bench suites' }));
  const made = await fetch(`${url}/api/v1/photos/protect`, { method: 'POST', headers, body: protecting });
  if (!made.ok) throw new Error(`protect answered ${made.status}: ${await made.text()}`);
  const photoId = made.headers.get('x-photo-id') ?? '';
  const image = new Uint8Array(await made.arrayBuffer());
  for (let index = 0; index < Math.ceil(MUTATIONS / 100); index++) {
    const bytes = mutated(image, randomFrom(1e6 + index), original);
    const form = new FormData();
    form.set('image', new Blob([bytes]), 'image');
    form.set('photoId', photoId);
    const response = await fetch(`${url}/api/v1/photos/verify`, { method: 'POST', headers, body: form });
    const text = await response.text();
    counts.mutations++;
    if (response.status >= 500) {
      counts.crashes++;
      counts.wrong.push(`crash ${index}: ${response.status} ${text.slice(0, 200)}`);
    }
    if (!response.ok) continue;
    const { authentic, c2paStatus } = JSON.parse(text) as { authentic: boolean; c2paStatus: string };
    if (authentic || c2paStatus === 'VALID') counts.falseAuthentic++;
    if (c2paStatus === 'MISSING' && hasMarker(bytes)) counts.falseMissing++;
  }
  return counts;
}
