// What an installation remembers for its doctor, as small files in the data folder: when it was last backed up, and which starts
// were refused. Notes are written where they can be; a note that cannot be written stops nothing.
import { readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

export interface BackupNote {
  at: Date;
  rows: number;
}

export interface RefusedStart {
  at: Date;
  /** Of the checks that failed. */
  ids: readonly string[];
}

const BACKUP_FILE = 'last-backup.json';
const REFUSED_FILE = 'refused-starts.jsonl';
/** The newest are kept: a supervisor may try again every second. */
const MOST_REFUSED = 100;
const OWNER_ONLY = 0o600;

export async function noteBackup(dataDir: string, { at, rows }: BackupNote): Promise<void> {
  await replace(join(dataDir, BACKUP_FILE), `${JSON.stringify({ at: at.toISOString(), rows })}\n`);
}

export async function lastBackup(dataDir: string): Promise<BackupNote | undefined> {
  const [note] = await linesOf(join(dataDir, BACKUP_FILE));
  const at = dateOf(note?.['at']);
  return at === undefined ? undefined : { at, rows: Number(note?.['rows']) };
}

export async function noteRefusedStart(dataDir: string, { at, ids }: RefusedStart): Promise<void> {
  const file = join(dataDir, REFUSED_FILE);
  const before = (await linesOf(file)).slice(1 - MOST_REFUSED);
  const lines = [...before, { at: at.toISOString(), ids }].map((line) => JSON.stringify(line));
  await replace(file, `${lines.join('\n')}\n`);
}

/** The oldest first. */
export async function refusedStarts(dataDir: string): Promise<RefusedStart[]> {
  return (await linesOf(join(dataDir, REFUSED_FILE))).flatMap((line) => {
    const at = dateOf(line['at']);
    const ids = Array.isArray(line['ids']) ? line['ids'].map(String) : [];
    return at === undefined ? [] : [{ at, ids }];
  });
}

async function linesOf(file: string): Promise<Array<Record<string, unknown>>> {
  const text = await readFile(file, 'utf8').catch(() => '');
  return text.split('\n').flatMap((line) => {
    try {
      const value: unknown = JSON.parse(line);
      return typeof value === 'object' && value !== null ? [value as Record<string, unknown>] : [];
    } catch {
      return [];
    }
  });
}

function dateOf(text: unknown): Date | undefined {
  const date = new Date(String(text));
  return Number.isNaN(date.getTime()) ? undefined : date;
}

async function replace(file: string, text: string): Promise<void> {
  const unfinished = `${file}.${process.pid}.part`;
  await writeFile(unfinished, text, { mode: OWNER_ONLY })
    .then(() => rename(unfinished, file))
    .catch(() => undefined);
}
