// Other watermarks beside ours: unmodified packages from PyPI, on the same photographs, through the same attacks.
import { execFile, spawn, type ChildProcessWithoutNullStreams } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface, type Interface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { progress, round } from '../report.ts';
import { CORE } from './attacks.ts';
import { rowsFolder, type Photo } from './corpus.ts';
import { ssim } from './measures.ts';
import { fromBytes, psnr, toSharp, type Raster } from './raster.ts';

const PACKAGES = ['numpy==2.4.6', 'PyWavelets==1.9.0', 'opencv-python-headless==5.0.0.93', 'blind-watermark==0.4.4'];
/** Its dependency PyTorch serves a method that is not tried here. */
const WITHOUT_DEPENDENCIES = 'invisible-watermark==0.2.0';
const NAMES = ['imwatermark dwtDct', 'imwatermark dwtDctSvd', 'blind_watermark'] as const;
/** Changes that keep the picture in its place, or can be undone by bringing it back to its size. */
export const PEER_ATTACKS = [
  'none',
  'jpeg90',
  'jpeg70',
  'jpeg50',
  'webp50',
  'resize0.5',
  'social1080q75',
  'blur1',
  'noise5',
  'bright+40',
  'rot1',
  'crop50%area',
] as const;
export const PEER_PHOTOS = 8;
const BITS = 64;
const INSTALL_LIMIT_MS = 6 * 60_000;
const TRUSTMARK_WEIGHTS = 'https://cc-assets.netlify.app/watermarking/trustmark-models/decoder_Q.ckpt';

export type PeerResult =
  | {
      name: string;
      photos: number;
      psnrMean: number;
      ssimMean: number;
      /** Shares of photographs whose 64 bits came out exactly. */
      attacks: Record<string, number>;
      rate: number;
      notes: string;
    }
  | { name: string; notRun: string };

const run = promisify(execFile);
const SCRIPT = fileURLToPath(new URL('./peers.py', import.meta.url));

/** Every peer's figures; kept until the peers, the attacks or the photographs change. */
export async function measurePeers(
  photos: readonly Photo[],
  load: (path: string) => Promise<Raster>,
): Promise<PeerResult[]> {
  const of = photos.slice(0, PEER_PHOTOS);
  const kept = join(rowsFolder(), `peers-${hashOf(of).slice(0, 16)}.json`);
  if (existsSync(kept)) return JSON.parse(readFileSync(kept, 'utf8')) as PeerResult[];
  let python: string;
  try {
    python = await install();
  } catch (error) {
    const notRun = `could not be installed: ${String(error).slice(0, 200)}`;
    return [...NAMES.map((name) => ({ name, notRun })), await trustMark()];
  }
  const results: PeerResult[] = [];
  for (const name of NAMES) results.push(await measure(python, name, of, load));
  results.push(await trustMark());
  writeFileSync(kept, JSON.stringify(results));
  return results;
}

function hashOf(photos: readonly Photo[]): string {
  const hash = createHash('sha256');
  for (const file of [
    SCRIPT,
    fileURLToPath(import.meta.url),
    fileURLToPath(new URL('./attacks.ts', import.meta.url)),
  ]) {
    hash.update(readFileSync(file));
  }
  for (const { sha256 } of photos) hash.update(sha256);
  return hash.digest('hex');
}

async function install(): Promise<string> {
  const folder = join(rowsFolder(), 'peers');
  const python = join(folder, 'bin', 'python');
  if (existsSync(join(folder, 'ready'))) return python;
  progress(`installing ${[...PACKAGES, WITHOUT_DEPENDENCIES].join(', ')} into ${folder}`);
  await run('python3', ['-m', 'venv', folder], { timeout: INSTALL_LIMIT_MS });
  await run(python, ['-m', 'pip', 'install', '--quiet', ...PACKAGES], { timeout: INSTALL_LIMIT_MS });
  await run(python, ['-m', 'pip', 'install', '--quiet', '--no-deps', WITHOUT_DEPENDENCIES], {
    timeout: INSTALL_LIMIT_MS,
  });
  await writeFile(join(folder, 'ready'), '');
  return python;
}

async function measure(
  python: string,
  name: (typeof NAMES)[number],
  photos: readonly Photo[],
  load: (path: string) => Promise<Raster>,
): Promise<PeerResult> {
  const folder = await mkdtemp(join(tmpdir(), 'lumatrace-peers-'));
  const child = spawn(python, [SCRIPT], { stdio: ['pipe', 'pipe', 'inherit'] });
  const peer = new Peer(child, name, folder);
  const ok: Record<string, number> = Object.fromEntries(PEER_ATTACKS.map((attack) => [attack, 0]));
  const distances = { psnr: 0, ssim: 0 };
  try {
    for (const { path } of photos) {
      const original = await load(path);
      const bits = bitsOf(path);
      const marked = await peer.embed(original, bits);
      distances.psnr += psnr(original, marked) / photos.length;
      distances.ssim += ssim(original, marked) / photos.length;
      for (const attack of PEER_ATTACKS) {
        const attacked = await (CORE[attack] as (picture: Raster) => Promise<Raster>)(marked);
        if ((await peer.extract(await backToSize(attacked, original))) === bits) ok[attack] = (ok[attack] ?? 0) + 1;
      }
      progress(`${name}: ${path.split('/').at(-1)}`);
    }
  } finally {
    child.kill();
    await rm(folder, { recursive: true, force: true });
  }
  const attacks = Object.fromEntries(
    PEER_ATTACKS.map((attack) => [attack, round((ok[attack] ?? 0) / photos.length, 4)]),
  );
  const rate = Object.values(attacks).reduce((sum, value) => sum + value, 0) / PEER_ATTACKS.length;
  return {
    name,
    photos: photos.length,
    psnrMean: round(distances.psnr),
    ssimMean: round(distances.ssim, 4),
    attacks,
    rate: round(rate, 4),
    notes:
      'Without a key; every picture gives 64 bits, so there is no false id to count. Brought back to its original size before it was read.',
  };
}

/** Peers read at the size at which they wrote, as their documents say. */
async function backToSize(picture: Raster, { width, height }: Raster): Promise<Raster> {
  if (picture.width === width && picture.height === height) return picture;
  return fromBytes(await toSharp(picture).resize(width, height, { fit: 'fill' }).png().toBuffer());
}

const bitsOf = (path: string): string =>
  createHash('sha256').update(path).digest().readBigUInt64BE().toString(2).padStart(BITS, '0');

class Peer {
  readonly #child: ChildProcessWithoutNullStreams;
  readonly #lines: AsyncIterator<string>;
  readonly #reader: Interface;
  readonly #name: string;
  readonly #folder: string;

  constructor(child: ReturnType<typeof spawn>, name: string, folder: string) {
    this.#child = child as ChildProcessWithoutNullStreams;
    this.#reader = createInterface({ input: this.#child.stdout });
    this.#lines = this.#reader[Symbol.asyncIterator]();
    this.#name = name;
    this.#folder = folder;
  }

  async embed(original: Raster, bits: string): Promise<Raster> {
    const [image, out] = [join(this.#folder, 'in.png'), join(this.#folder, 'out.png')];
    await toSharp(original).png({ compressionLevel: 1 }).toFile(image);
    const { error } = await this.#ask({ do: 'embed', image, out, bits });
    if (error !== undefined) throw new Error(`${this.#name}: ${error}`);
    return fromBytes(readFileSync(out));
  }

  /** Null when the peer breaks on the picture. */
  async extract(picture: Raster): Promise<string | null> {
    const image = join(this.#folder, 'in.png');
    await toSharp(picture).png({ compressionLevel: 1 }).toFile(image);
    return (await this.#ask({ do: 'extract', image, length: BITS })).bits ?? null;
  }

  async #ask(job: object): Promise<{ bits?: string; error?: string }> {
    this.#child.stdin.write(`${JSON.stringify({ peer: this.#name, ...job })}\n`);
    const { value, done } = await this.#lines.next();
    if (done === true) throw new Error(`${this.#name} ended with ${this.#child.exitCode}`);
    return JSON.parse(value) as { bits?: string; error?: string };
  }
}

/** Its weights are fetched by its package at the first use; PyTorch alone is 200 times as large as all others together. */
async function trustMark(): Promise<PeerResult> {
  const name = 'TrustMark';
  try {
    const { ok, status } = await fetch(TRUSTMARK_WEIGHTS, { method: 'HEAD', signal: AbortSignal.timeout(10_000) });
    const why = ok ? 'its weights can be reached, but PyTorch is not installed here' : `its weights answer ${status}`;
    return { name, notRun: why };
  } catch (error) {
    return { name, notRun: `its weights at ${new URL(TRUSTMARK_WEIGHTS).host} cannot be reached: ${String(error)}` };
  }
}
