// Many pictures, several at once. One that fails is named and does not stop the others.
import { mkdir, rename, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { extractManifest } from '@lumatrace/provenance/c2pa/embed.ts';
import { plain } from '@lumatrace/provenance/c2pa/report.ts';
import { NoInstallation, Refused, type Installation } from '../installation.ts';
import { readPicture } from '../picture-file.ts';
import { fetchReceipt } from '../receipt.ts';
import type { Journal } from './journal.ts';
import { protectOne, sha256, type ProtectRequest } from './one.ts';
import type { Task } from './plan.ts';

export interface Run {
  installation: Installation;
  request: ProtectRequest;
  tasks: readonly Task[];
  journal: Journal;
  jobs: number;
  withSidecar: boolean;
  withReceipt: boolean;
}

/** Protects all; answers the exit code. */
export async function protectAll(run: Run): Promise<number> {
  const progress = new Progress(run.tasks.length);
  const waiting = [...run.tasks];
  const worker = async (): Promise<void> => {
    for (let task = waiting.shift(); task !== undefined; task = waiting.shift()) {
      try {
        progress.done(task, await protectTask(run, task));
      } catch (error) {
        // nothing of the others can go better
        if (isHopeless(error)) {
          waiting.length = 0;
          throw error;
        }
        progress.failed(task, error);
      }
    }
  };
  await Promise.all(Array.from({ length: run.jobs }, worker));
  return progress.end();
}

/** The installation does not answer, or does not know the key. */
const isHopeless = (error: unknown): boolean =>
  error instanceof NoInstallation || (error instanceof Refused && (error.status === 401 || error.status === 403));

type Outcome = { photoId: string; isNew: boolean };

async function protectTask(run: Run, task: Task): Promise<Outcome> {
  const { installation, request, journal, withSidecar, withReceipt } = run;
  const { target } = task;
  const picture = await readPicture(task.source);
  const contentHash = sha256(picture.bytes);
  const requestHash = sha256(
    JSON.stringify([installation.url, withSidecar, request, ...(withReceipt ? ['receipt'] : [])]),
  );
  const known = await journal.photoOf({ contentHash, requestHash, target: journal.nameOf(target) });
  if (known !== null) return { photoId: known, isNew: false };
  const key = sha256(`${contentHash} ${JSON.stringify(request)} ${journal.keyOf(target)}`);
  const { photoId, image } = await protectOne(installation, picture, request, key);
  await mkdir(dirname(target), { recursive: true });
  await writeWhole(target, image);
  if (withSidecar) {
    const manifest = extractManifest(image, picture.header.format);
    if (manifest !== null) await writeWhole(`${target}.c2pa`, manifest.store);
  }
  if (withReceipt) {
    const receipt = await fetchReceipt(installation, photoId);
    await writeWhole(`${target}.receipt.json`, Buffer.from(`${JSON.stringify(receipt, null, 2)}\n`));
  }
  await journal.add({ contentHash, requestHash, target: journal.nameOf(target), outputHash: sha256(image), photoId });
  return { photoId, isNew: true };
}

/** Never half a file under its name. */
async function writeWhole(target: string, bytes: Uint8Array): Promise<void> {
  const unfinished = `${target}.${process.pid}.part`;
  await writeFile(unfinished, bytes);
  await rename(unfinished, target);
}

const BAR = 24;

/** On a terminal a bar that stays in its line, elsewhere a line for every picture. */
class Progress {
  readonly #total: number;
  readonly #isTerminal = process.stderr.isTTY;
  #protected = 0;
  #before = 0;
  #failed = 0;

  constructor(total: number) {
    this.#total = total;
  }

  done({ source, target }: Task, { photoId, isNew }: Outcome): void {
    if (isNew) this.#protected++;
    else this.#before++;
    if (!this.#isTerminal)
      process.stderr.write(`${isNew ? 'protected' : 'done before'} ${source} → ${target} ${photoId}\n`);
    this.#draw();
  }

  failed({ source }: Task, error: unknown): void {
    this.#failed++;
    const clear = this.#isTerminal ? '\r\u001b[K' : '';
    process.stderr.write(
      `${clear}not protected: ${source}: ${plain(error instanceof Error ? error.message : String(error))}\n`,
    );
    this.#draw();
  }

  end(): number {
    if (this.#isTerminal) process.stderr.write('\n');
    process.stdout.write(`${this.#protected} protected, ${this.#before} done before, ${this.#failed} not protected\n`);
    return this.#failed === 0 ? 0 : 1;
  }

  #draw(): void {
    if (!this.#isTerminal) return;
    const seen = this.#protected + this.#before + this.#failed;
    const filled = Math.round((BAR * seen) / this.#total);
    const failed = this.#failed === 0 ? '' : `, ${this.#failed} failed`;
    process.stderr.write(`\r[${'#'.repeat(filled)}${'-'.repeat(BAR - filled)}] ${seen} of ${this.#total}${failed}`);
  }
}
