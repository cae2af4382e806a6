// How well the watermark is found, on photographs that no constant was tuned on; how quiet it is where there is none; how
// long it takes. `--unmarked N` sets how many pictures without a mark are searched, `--full` searches 20,000; rows of earlier
// runs count while the sources of the detector are the same.
import { createHash } from 'node:crypto';
import { appendFileSync, existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { Worker } from 'node:worker_threads';
import { decode, decodeLuma, encode } from '../packages/provenance/src/codec/codec.ts';
import { readMetadata } from '../packages/provenance/src/codec/metadata.ts';
import { readImageHeader } from '../packages/provenance/src/image.ts';
import { detect } from '../packages/provenance/src/watermark/find.ts';
import { lookedAtSize } from '../packages/provenance/src/watermark/frame.ts';
import { foldedUpright, nullOverKeys } from '../packages/provenance/src/watermark/null.fixture.ts';
import type { PayloadKey } from '../packages/provenance/src/watermark/keys.ts';
import { markPixels } from '../packages/provenance/src/watermark/strength.ts';
import { cameraLikeJpeg } from './camera.ts';
import { progress, publish, quantile, round } from './report.ts';
import { BEYOND, CORE, EXTREME, SMALL } from './watermark/attacks.ts';
import { corpus, rowsFolder, type Photo } from './watermark/corpus.ts';
import { lower95 } from './watermark/measures.ts';
import { butteraugli, butteraugliProgram } from './watermark/butteraugli.ts';
import { measurePeers, PEER_ATTACKS, PEER_PHOTOS, type PeerResult } from './watermark/peers.ts';
import { cropTo, fromBytes, toSharp } from './watermark/raster.ts';
import { idOf, load, lookAt, markedPhoto, PAYLOAD, REMOVALS, SYNC, type Row, type Task } from './watermark/worker.ts';

const { values: options } = parseArgs({ options: { unmarked: { type: 'string' }, full: { type: 'boolean' } } });
const FULL = 20_000;
const UNMARKED = options.full ? FULL : Number(options.unmarked ?? 5_000);
const NULL_KEYS = 420;
const NULL_PICTURES = 24;
const FOREIGN_PICTURES = 12;
const TIMED = 12;

/** About the values' own mean. */
const varianceOf = (values: readonly number[]): number => {
  const middle = mean(values);
  return values.reduce((sum, value) => sum + (value - middle) ** 2, 0) / (values.length - 1);
};
const mean = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0) / values.length;

const SOURCES = new URL('../packages/provenance/src/watermark/', import.meta.url);
const detectorSha256 = hashOf(isDetector);
/** Of marking too, and of the attacks: what the table depends on. */
const tableSha256 = hashOf(() => true, readFileSync(new URL('./watermark/attacks.ts', import.meta.url)));
const photos = corpus('heldout');
progress(`${photos.length} held-out photographs, detector ${detectorSha256.slice(0, 12)}`);

const rows = keptRows(`table-${tableSha256.slice(0, 16)}.jsonl`);
const unmarkedRows = keptRows(`unmarked-${detectorSha256.slice(0, 16)}.jsonl`);
const timed = await timings();
await runAll(photoTasks(photos), rows);
await runAll(removalTasks(photos), rows);
await runPerceptual(photos, rows);
const peers = await measurePeers(peerPhotos(photos), (path) => load(path, 'full'));
const distribution = await nullDistribution([...photos, ...corpus('tuning')]);
const foreign = await foreignDistribution(photos);
await runAll(unmarkedTasks([...photos, ...corpus('tuning')]), unmarkedRows);
report();

/** Marking decides nothing about pictures without a mark; the map of missing parts is asked after the search. */
function isDetector(file: string): boolean {
  return !['strength.ts', 'mask.ts', 'place.ts'].includes(file);
}

/** Sources and the compiled module; tests and documents do not decide what is found. */
function hashOf(isCounted: (file: string) => boolean, more: Uint8Array = new Uint8Array()): string {
  const hash = createHash('sha256');
  const files = readdirSync(SOURCES).filter((file) => /^[a-z0-9]+\.(ts|wasm)$/.test(file) && file !== 'presence.ts');
  for (const file of files.filter(isCounted).sort()) hash.update(file).update(readFileSync(new URL(file, SOURCES)));
  return hash.update(more).digest('hex');
}

interface Kept {
  rows: Row[];
  add(row: Row): void;
}

function keptRows(name: string): Kept {
  const path = join(rowsFolder(), name);
  const lines = existsSync(path) ? readFileSync(path, 'utf8').split('\n').filter(Boolean) : [];
  const kept = lines.map((line) => JSON.parse(line) as Row);
  return {
    rows: kept,
    add(row) {
      kept.push(row);
      appendFileSync(path, `${JSON.stringify(row)}\n`);
    },
  };
}

function photoTasks(of: readonly Photo[]): Task[] {
  return (['full', 'small'] as const).flatMap((size) =>
    of.filter(({ path }) => !isDone(path, size)).map(({ path }): Task => ({ kind: 'photo', path, size })),
  );
}

function isDone(path: string, size: 'full' | 'small'): boolean {
  const attacks = Object.keys(size === 'small' ? SMALL : { ...CORE, ...EXTREME, ...BEYOND });
  return attacks.every((name) => attackRows(size).some((row) => row.path === path && row.attack === name));
}

function removalTasks(of: readonly Photo[]): Task[] {
  const done = removalRows();
  return of
    .filter(({ path }) =>
      Object.keys(REMOVALS).some((way) => !done.some((row) => row.path === path && row.way === way)),
    )
    .map(({ path }): Task => ({ kind: 'removal', path }));
}

function removalRows() {
  return rows.rows.filter((row) => row.kind === 'removal');
}

function unmarkedTasks(of: readonly Photo[]): Task[] {
  const done = new Set(unmarkedRows.rows.map((row) => (row.kind === 'unmarked' ? row.index : -1)));
  return Array.from({ length: UNMARKED }, (_, index) => index)
    .filter((index) => !done.has(index))
    .map((index): Task => ({ kind: 'unmarked', index, path: (of[index % of.length] as Photo).path }));
}

/** How different marked photographs look, one at a time. */
async function runPerceptual(of: readonly Photo[], kept: Kept): Promise<void> {
  const done = new Set(kept.rows.flatMap((row) => (row.kind === 'perceptual' ? [row.path] : [])));
  const program = butteraugliProgram();
  for (const { path } of of.filter((photo) => !done.has(photo.path))) {
    const original = await load(path, 'full');
    const jpeg = await fromBytes(await toSharp(original).jpeg({ quality: 90, chromaSubsampling: '4:4:4' }).toBuffer());
    kept.add({
      kind: 'perceptual',
      path,
      butteraugli: await butteraugli(program, original, await markedPhoto(path)),
      jpeg90: await butteraugli(program, original, jpeg),
    });
  }
}

/** Every fifth: all packages are among them. */
function peerPhotos(of: readonly Photo[]): Photo[] {
  return of.filter((_, i) => i % 5 === 0).slice(0, PEER_PHOTOS);
}

/** Ours on the photographs and attacks of the peers. */
function besidePeers(): PeerResult {
  const paths = new Set(peerPhotos(photos).map(({ path }) => path));
  const attacks = Object.fromEntries(
    PEER_ATTACKS.map((name) => {
      const of = attackRows('full').filter((row) => row.attack === name && paths.has(row.path));
      return [name, round(of.filter(({ ok }) => ok).length / of.length, 4)];
    }),
  );
  const marked = rows.rows.filter(
    (row): row is MarkedRow => row.kind === 'marked' && row.size === 'full' && paths.has(row.path),
  );
  return {
    name: 'LumaTrace',
    photos: paths.size,
    psnrMean: round(mean(marked.map(({ psnr }) => psnr)), 2),
    ssimMean: round(mean(marked.map(({ ssim }) => ssim)), 4),
    attacks,
    rate: round(mean(Object.values(attacks)), 4),
    notes: 'With a key, read blindly at any size; a false id is bounded below 1e-9.',
  };
}

/** All tasks over as many threads as there are processors. */
async function runAll(tasks: Task[], kept: Kept): Promise<void> {
  const total = tasks.length;
  let done = 0;
  const threads = Array.from({ length: Math.min(total, availableParallelism()) }, async () => {
    const worker = new Worker(new URL('./watermark/worker.ts', import.meta.url), { workerData: 'bench watermark' });
    try {
      for (let task = tasks.shift(); task !== undefined; task = tasks.shift()) {
        await runOne(worker, task, kept);
        done++;
        if (done % (task.kind === 'photo' ? 4 : 250) === 0) progress(`${done} of ${total} (${task.kind})`);
      }
    } finally {
      await worker.terminate();
    }
  });
  await Promise.all(threads);
}

function runOne(worker: Worker, task: Task, kept: Kept): Promise<void> {
  return new Promise((resolve, reject) => {
    const end = (error?: Error): void => {
      worker.off('message', take).off('error', end);
      if (error) reject(error);
      else resolve();
    };
    const take = (message: Row | 'done'): void => {
      if (message === 'done') end();
      else kept.add(message);
    };
    worker.on('message', take).on('error', end);
    worker.postMessage(task, []);
  });
}

interface Timed {
  embedMs: number[];
  detectFastMs: number[];
  detectFullMs: number[];
}

/** A camera's 12 megapixels on one thread: decode to encode, and file to answer on a picture without a mark. */
async function timings(): Promise<Timed> {
  const image = await cameraLikeJpeg();
  const header = readImageHeader(image);
  const times: Timed = { embedMs: [], detectFastMs: [], detectFullMs: [] };
  for (let i = -2; i < TIMED; i++) {
    const started = performance.now();
    const pixels = await decode(image, header);
    await markPixels(pixels, { sync: SYNC, payload: PAYLOAD }, 7n, header);
    const marked = await encode(pixels, header, readMetadata(image, header.format, { keepGps: false }));
    const embedded = performance.now();
    await look(marked, 'fast');
    const found = performance.now();
    await look(image, 'full');
    const searched = performance.now();
    if (i < 0) continue;
    times.embedMs.push(embedded - started);
    times.detectFastMs.push(found - embedded);
    times.detectFullMs.push(searched - found);
  }
  return times;
}

async function look(bytes: Uint8Array, depth: 'fast' | 'full'): Promise<void> {
  const received = readImageHeader(bytes);
  const { width, height } = lookedAtSize(received);
  const luma = await decodeLuma(bytes, width, height);
  const { blind } = detect(luma, { syncs: [SYNC], payloads: [PAYLOAD], received, depth });
  if ((blind?.id === 7n) !== (depth === 'fast')) throw new Error(`The ${depth} search answered wrongly`);
}

/** z of the known-photo test for keys that marked nothing, over keys and over pictures. */
async function nullDistribution(of: readonly Photo[]) {
  const pictures = [];
  for (const { path } of of.slice(0, NULL_PICTURES)) {
    const whole = await fromBytes(readFileSync(path));
    const [width, height] = [whole.width >> 1, whole.height >> 1];
    pictures.push(foldedUpright(await lookAt(cropTo(whole, width >> 1, height >> 1, width, height))));
  }
  return nullOverKeys(pictures, SYNC, nullKeys(), idOf('null'));
}

/** The same on photographs that somebody else marked: their keys must not be mistaken for each other. */
async function foreignDistribution(of: readonly Photo[]) {
  const pictures = [];
  for (const { path } of of.slice(0, FOREIGN_PICTURES))
    pictures.push(foldedUpright(await lookAt(await markedPhoto(path))));
  return nullOverKeys(pictures, SYNC, nullKeys(), idOf('foreign'));
}

function nullKeys(): PayloadKey[] {
  return Array.from({ length: NULL_KEYS }, (_, i) => ({
    tenantId: 'null',
    version: i + 1,
    secret: createHash('sha256').update(`null ${i}`).digest(),
  }));
}

type AttackRow = Extract<Row, { kind: 'attack' }>;
type MarkedRow = Extract<Row, { kind: 'marked' }>;

function attackRows(size: 'full' | 'small'): AttackRow[] {
  return rows.rows.filter((row): row is AttackRow => row.kind === 'attack' && row.size === size);
}

function tableOf(size: 'full' | 'small', names: readonly string[]) {
  const of = attackRows(size);
  return Object.fromEntries(
    names.map((name) => {
      const mine = of.filter(({ attack }) => attack === name);
      const ok = mine.filter((row) => row.ok).length;
      return [name, { n: mine.length, ok: round(ok / mine.length, 4), lower95: round(lower95(ok, mine.length), 4) }];
    }),
  );
}

function rateOf(size: 'full' | 'small', names: readonly string[]): { rate: number; lower: number } {
  const of = attackRows(size).filter(({ attack }) => names.includes(attack));
  const ok = of.filter((row) => row.ok).length;
  return { rate: round(ok / of.length, 4), lower: round(lower95(ok, of.length), 4) };
}

/** The committed long run of this very detector: written when there are enough rows, read otherwise. */
function fullRun(searched: readonly Row[]): { searches: number; falseIds: number } {
  const file = new URL('./results/watermark/full.json', import.meta.url);
  if (searched.length >= FULL) {
    const falseIds = searched.filter((row) => row.kind === 'unmarked' && row.id !== null).length;
    const run = { detectorSha256, searches: searched.length, falseIds };
    writeFileSync(file, `${JSON.stringify(run, null, 2)}\n`);
    return run;
  }
  const none = { searches: 0, falseIds: 0 };
  if (!existsSync(file)) return none;
  const kept = JSON.parse(readFileSync(file, 'utf8')) as typeof none & { detectorSha256: string };
  return kept.detectorSha256 === detectorSha256 ? kept : none;
}

function report(): void {
  const marked = (size: string): MarkedRow[] =>
    rows.rows.filter((row): row is MarkedRow => row.kind === 'marked' && row.size === size);
  const [full, small] = [marked('full'), marked('small')];
  const core = rateOf('full', Object.keys(CORE));
  const searched = unmarkedRows.rows.filter((row) => row.kind === 'unmarked');
  const wrong = rows.rows.filter((row) => (row.kind === 'attack' || row.kind === 'removal') && row.wrong).length;
  const overPictures = distribution.pByKey;
  const byKey = overPictures.map((_, key) => distribution.z.map((values) => values[key] as number));
  const looks = rows.rows.filter((row) => row.kind === 'perceptual');
  publish(
    'watermark',
    {
      photographs: full.length,
      psnrMean: round(mean(full.map(({ psnr }) => psnr)), 2),
      psnrMin: round(Math.min(...full.map(({ psnr }) => psnr)), 2),
      ssimMean: round(mean(full.map(({ ssim }) => ssim)), 4),
      ssimMin: round(Math.min(...full.map(({ ssim }) => ssim)), 4),
      butteraugliMean: round(mean(looks.map(({ butteraugli }) => butteraugli)), 2),
      butteraugliMax: round(Math.max(...looks.map(({ butteraugli }) => butteraugli)), 2),
      butteraugliOfJpeg90Mean: round(mean(looks.map(({ jpeg90 }) => jpeg90)), 2),
      worstPatchPsnrMin: round(Math.min(...full.map(({ worst }) => worst)), 2),
      attacks: tableOf('full', Object.keys({ ...CORE, ...EXTREME })),
      coreRate: core.rate,
      coreLower95: core.lower,
      extremeRate: rateOf('full', Object.keys(EXTREME)).rate,
      beyond: tableOf('full', Object.keys(BEYOND)),
      small: tableOf('small', Object.keys(SMALL)),
      smallPsnrMean: round(mean(small.map(({ psnr }) => psnr)), 2),
      falseIds: wrong + searched.filter((row) => row.kind === 'unmarked' && row.id !== null).length,
      unmarkedTried: searched.length,
      unmarkedFull: fullRun(searched).searches,
      nullMean: round(distribution.all.mean, 4),
      nullSd: round(distribution.all.sd, 4),
      nullN: distribution.all.n,
      ksP: round(distribution.all.ksP, 4),
      nullMeanImages: round(mean(byKey.map((values) => mean(values))), 4),
      nullSdImages: round(Math.sqrt(mean(byKey.map(varianceOf))), 4),
      // the least of all keys, made to count for all of them
      ksPImages: round(Math.min(1, overPictures.length * Math.min(...overPictures)), 4),
      foreign: {
        n: foreign.all.n,
        mean: round(foreign.all.mean, 4),
        sd: round(foreign.all.sd, 4),
        ksP: round(foreign.all.ksP, 4),
      },
      selfEstimation: Object.fromEntries(
        Object.keys(REMOVALS).map((way) => {
          const of = removalRows().filter((row) => row.way === way);
          return [way, { n: of.length, blind: round(of.filter(({ ok }) => ok).length / of.length, 4) }];
        }),
      ),
      embedP95Ms: round(quantile(timed.embedMs, 0.95)),
      detectFastP95Ms: round(quantile(timed.detectFastMs, 0.95)),
      detectFullP95Ms: round(quantile(timed.detectFullMs, 0.95)),
      peers: [besidePeers(), ...peers],
      detectorSha256,
      tableSha256,
    },
    [
      'Held-out photographs of Debian and npm packages (bench/watermark/photos.json), brought to a long side of 1920 at most; rates',
      'are shares of photographs whose 64-bit id was read blindly, with one-sided Clopper-Pearson bounds. `detectFull` is the whole',
      'search on a picture without a mark. `butteraugliOfJpeg90Mean` is the same photographs, unmarked, saved as JPEG of quality 90.',
      'Peers are unmodified packages on the same photographs through the same attacks.',
    ],
  );
}
