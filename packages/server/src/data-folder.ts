// The folder of everything that is kept: whose it is, who has it, and the key that encrypts all other keys.
import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto';
import { link, mkdir, open, readFile, rm, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { Database } from './storage/database.ts';
import { isHeld, lockFolder, type FolderLock } from './storage/lock.ts';

/** A folder, a key or a combination of them that cannot be used; the sentence says what to do. */
export class DataFolderRefused extends Error {
  readonly code = 'CONFLICT';
}

const OWNER_ONLY_FOLDER = 0o700;
const READ_ONLY_FILE = 0o400;
const KEK_BYTES = 32;
const KEK_TEXT = /^[0-9a-f]{64}$/i;

/** Makes the folder where it is missing and takes its lock. @throws DataFolderRefused when another process has it. */
export async function takeDataFolder(dataDir: string): Promise<FolderLock> {
  await mkdir(dataDir, { recursive: true, mode: OWNER_ONLY_FOLDER });
  await refuseForeignOwner(dataDir);
  const lock = await lockFolder(dataDir);
  if (!isHeld(lock)) return lock;
  const who = lock.pid === 0 ? 'another process' : `process ${lock.pid}`;
  const where = lock.url === undefined ? 'is starting or working on' : `serves ${lock.url} from`;
  throw new DataFolderRefused(`LumaTrace already runs: ${who} ${where} ${dataDir}.`);
}

async function refuseForeignOwner(dataDir: string): Promise<void> {
  const { uid } = await stat(dataDir);
  const self = process.geteuid?.() ?? uid;
  if (uid === self) return;
  throw new DataFolderRefused(
    `${dataDir} belongs to the user with id ${uid}, and this is ${self}: run as its owner, or give another folder with --data.`,
  );
}

export interface OpenedKek {
  /** 32 bytes. */
  bytes: Buffer;
  file: string;
  isNew: boolean;
}

export function kekPath(dataDir: string, given: string | undefined): string {
  return given ?? join(dataDir, 'kek');
}

/**
 * Reads the key-encryption key, or makes it when nothing was encrypted yet.
 * @throws DataFolderRefused when it is missing beside data that needs it, or is no key.
 */
export async function openKek(file: string, hasData: () => Promise<boolean>): Promise<OpenedKek> {
  const present = await readKek(file);
  if (present !== undefined) return { bytes: present, file, isNew: false };
  if (await hasData()) {
    throw new DataFolderRefused(
      `The key ${file} is missing, and the data here was encrypted under it. Put your copy of it back (mode 0400), ` +
        'or name it with LUMATRACE_KEK_FILE. Without it the data cannot be read by anybody.',
    );
  }
  const bytes = randomBytes(KEK_BYTES);
  await writeKek(file, bytes);
  return { bytes, file, isNew: true };
}

/** The key in a file; undefined when there is no file. */
export async function readKek(file: string): Promise<Buffer | undefined> {
  const text = await readFile(file, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined;
    throw new DataFolderRefused(`The key ${file} cannot be read: ${error.message}`, { cause: error });
  });
  if (text === undefined) return undefined;
  if (KEK_TEXT.test(text.trim())) return Buffer.from(text.trim(), 'hex');
  throw new DataFolderRefused(
    `Expected ${KEK_BYTES * 2} hexadecimal digits in the key ${file} but found something else.`,
  );
}

/** Writes a key that is not there yet: whole and on disk, or not at all; never over another one. */
export async function writeKek(file: string, bytes: Uint8Array): Promise<void> {
  const unfinished = `${file}.${process.pid}.new`;
  await rm(unfinished, { force: true });
  const handle = await open(unfinished, 'wx', READ_ONLY_FILE);
  try {
    await handle.writeFile(`${Buffer.from(bytes).toString('hex')}\n`);
    await handle.sync();
  } finally {
    await handle.close();
  }
  // a link fails where a name exists, a rename would replace it
  await link(unfinished, file).finally(() => rm(unfinished, { force: true }));
  const folder = await open(dirname(file), 'r');
  await folder.sync().finally(() => folder.close());
}

const CHECK_LABEL = 'lumatrace kek check v1';

/** What the database keeps to tell a wrong key: an HMAC under it of a fixed text, 32 bytes. */
export function kekCheckValue(kek: Uint8Array): Buffer {
  return createHmac('sha256', kek).update(CHECK_LABEL).digest();
}

/** Whether the database holds data under some key. Also answers for a database before its first migration. */
export async function isKeyed(database: Database): Promise<boolean> {
  return database.inSystem(async (sql) => {
    const table = await sql.query<{ there: boolean }>(`select to_regclass('public.kek_check') is not null as there`);
    if (table.rows[0]?.there !== true) return false;
    const { rowCount } = await sql.query('select from kek_check limit 1');
    return rowCount !== 0;
  });
}

/** Binds a fresh database to the key, or compares. @throws DataFolderRefused for another key. */
export async function checkKek(database: Database, kek: Uint8Array, file: string): Promise<void> {
  const mine = kekCheckValue(kek);
  const { rows } = await database.inSystem(async (sql) => {
    await sql.query('insert into kek_check (version, value) values (1, $1) on conflict do nothing', [mine]);
    return sql.query<{ value: Buffer }>('select value from kek_check where version = 1');
  });
  const recorded = rows[0]?.value;
  if (recorded?.length === mine.length && timingSafeEqual(recorded, mine)) return;
  throw new DataFolderRefused(
    `The key ${file} is not the one that this database was encrypted under. Put the right one in its place.`,
  );
}
