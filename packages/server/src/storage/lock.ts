// One process per data folder. The kernel holds the lock, so it ends with the process, whatever ended that.
import { readFileSync, writeFileSync } from 'node:fs';
import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';

/** What the holder tells about itself, for the sentence that a second start prints. */
export interface Holder {
  pid: number;
  url?: string;
}

export interface FolderLock {
  /** Tells those who come second where this one is reached. */
  tell(holder: Holder): void;
  release(): Promise<void>;
}

const LOCKED = 5; // SQLITE_BUSY

/**
 * Takes the lock of a folder, or returns who has it. A file with a pid would need guesses about dead holders and pids
 * given out again; SQLite's lock is a POSIX record lock, which the kernel frees when its process is gone. Two starts at
 * once cannot both get it, and there is nothing stale to take over.
 */
export async function lockFolder(folder: string): Promise<FolderLock | Holder> {
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const file = join(folder, 'lock');
  const info = join(folder, 'up.json');
  const lock = new DatabaseSync(file);
  try {
    lock.exec('begin exclusive');
  } catch (error) {
    lock.close();
    if ((error as { errcode?: number }).errcode === LOCKED) return readHolder(info);
    throw error;
  }
  const tell = (holder: Holder): void => writeFileSync(info, JSON.stringify(holder), { mode: 0o600 });
  tell({ pid: process.pid });
  return {
    tell,
    async release() {
      await rm(info, { force: true });
      lock.close();
    },
  };
}

/** Told apart by what only a lock has. */
export function isHeld(outcome: FolderLock | Holder): outcome is Holder {
  return !('release' in outcome);
}

/** Who holds the folder, as far as it told; the file outlives a killed holder, so ask the lock first. */
export function readHolder(info: string): Holder {
  try {
    const told = JSON.parse(readFileSync(info, 'utf8')) as Partial<Holder>;
    return { pid: Number(told.pid) || 0, ...(typeof told.url === 'string' ? { url: told.url } : {}) };
  } catch {
    return { pid: 0 };
  }
}
