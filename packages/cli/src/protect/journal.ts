// What is done already, kept in the folder that is written to, one line a picture: a run that was cut off goes on.
import { appendFile, mkdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';

export interface Done {
  /** SHA-256 of the picture and of how it was to be protected. */
  contentHash: string;
  requestHash: string;
  target: string;
  /** Size of what was written: another one means that the file was changed or cut. */
  bytes: number;
  photoId: string;
}

const NAME = '.lumatrace-protected.jsonl';

export class Journal {
  readonly #file: string;
  readonly #done: Map<string, Done>;

  private constructor(file: string, done: Map<string, Done>) {
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
    return new Journal(file, done);
  }

  /** The photo's id when this picture was written there with these options and still lies there. */
  async photoOf({ contentHash, requestHash, target }: Omit<Done, 'bytes' | 'photoId'>): Promise<string | null> {
    const entry = this.#done.get(target);
    if (entry?.contentHash !== contentHash || entry.requestHash !== requestHash) return null;
    const size = await stat(target).then(
      (found) => found.size,
      () => -1,
    );
    return size === entry.bytes ? entry.photoId : null;
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
