// What is done already, kept in the folder that is written to, one line a picture: a run that was cut off goes on.
import { appendFile, mkdir, readFile } from 'node:fs/promises';
import { join, relative, resolve } from 'node:path';
import { sha256 } from './one.ts';

export interface Done {
  /** SHA-256 of the picture, and of where and how it was to be protected. */
  contentHash: string;
  requestHash: string;
  /** Below the folder. */
  target: string;
  /** SHA-256 of what was written: a file that was changed or cut is written again. */
  outputHash: string;
  photoId: string;
}

const NAME = '.lumatrace-protected.jsonl';

export class Journal {
  readonly #folder: string;
  readonly #file: string;
  readonly #done: Map<string, Done>;

  private constructor(folder: string, file: string, done: Map<string, Done>) {
    this.#folder = resolve(folder);
    this.#file = file;
    this.#done = done;
  }

  static async open(folder: string): Promise<Journal> {
    await mkdir(folder, { recursive: true });
    const file = join(folder, NAME);
    const text = await readFile(file, 'utf8').catch(() => '');
    const done = new Map<string, Done>();
    for (const line of text.split('\n')) {
      // the last line of a run that was cut off may be half a line
      const entry = parsed(line);
      if (entry !== null) done.set(entry.target, entry);
    }
    return new Journal(folder, file, done);
  }

  /** The photo's id when this picture was written there with these options and still lies there. */
  async photoOf({ contentHash, requestHash, target }: Omit<Done, 'outputHash' | 'photoId'>): Promise<string | null> {
    const entry = this.#done.get(target);
    if (entry?.contentHash !== contentHash || entry.requestHash !== requestHash) return null;
    const written = await readFile(join(this.#folder, target)).catch(() => null);
    return written !== null && sha256(written) === entry.outputHash ? entry.photoId : null;
  }

  /** The same for a folder however it was written on the command line. */
  nameOf(target: string): string {
    return relative(this.#folder, resolve(target));
  }

  keyOf(target: string): string {
    return resolve(target);
  }

  async add(entry: Done): Promise<void> {
    this.#done.set(entry.target, entry);
    await appendFile(this.#file, `${JSON.stringify(entry)}\n`);
  }
}

function parsed(line: string): Done | null {
  try {
    const entry = JSON.parse(line) as Partial<Done>;
    return typeof entry.target === 'string' ? (entry as Done) : null;
  } catch {
    return null;
  }
}
