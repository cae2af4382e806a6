// The folder of everything that is kept: whose it is, who has it, and the key that encrypts all other keys.
import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto';
import { link, mkdir, open, readdir, readFile, rename, rm, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
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

/** How a key stands in its file: as it is, or sealed by an engine elsewhere that alone can open it. */
export interface KekDoor {
  /** What is written for 32 bytes: one line. */
  lock(bytes: Uint8Array): Promise<string>;
  /** Reverses it. @throws DataFolderRefused for a line of another kind, and what the engine says */
  unlock(line: string, file: string): Promise<Buffer>;
}

/** What a line begins with that an engine has sealed. */
export const SEALED_BY_ENGINE = 'transit:';

/** 64 hexadecimal digits: whoever reads the file has the key. */
export const PLAIN_DOOR: KekDoor = {
  lock: (bytes) => Promise.resolve(Buffer.from(bytes).toString('hex')),
  async unlock(line, file) {
    if (KEK_TEXT.test(line)) return Buffer.from(line, 'hex');
    throw new DataFolderRefused(
      line.startsWith(SEALED_BY_ENGINE)
        ? `The key ${file} is sealed by a transit engine: set LUMATRACE_KEK=transit and where that is, or move the key back with "keys rotate kek".`
        : `Expected ${KEK_BYTES * 2} hexadecimal digits in the key ${file} but found something else.`,
    );
  },
};

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
export async function openKek(
  file: string,
  hasData: () => Promise<boolean>,
  door: KekDoor = PLAIN_DOOR,
): Promise<OpenedKek> {
  const present = await readKek(file, door);
  if (present !== undefined) return { bytes: present, file, isNew: false };
  if (await hasData()) {
    throw new DataFolderRefused(
      `The key ${file} is missing, and the data here was encrypted under it. Put your copy of it back (mode 0400), ` +
        'or name it with LUMATRACE_KEK_FILE. Without it the data cannot be read by anybody.',
    );
  }
  const bytes = randomBytes(KEK_BYTES);
  await writeKek(file, bytes, door);
  return { bytes, file, isNew: true };
}

/** The key in a file; undefined when there is no file. */
export async function readKek(file: string, door: KekDoor = PLAIN_DOOR): Promise<Buffer | undefined> {
  const text = await readFile(file, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined;
    throw new DataFolderRefused(`The key ${file} cannot be read: ${error.message}`, { cause: error });
  });
  return text === undefined ? undefined : door.unlock(text.trim(), file);
}

/** Writes a key that is not there yet: whole and on disk, or not at all; never over another one. */
export async function writeKek(file: string, bytes: Uint8Array, door: KekDoor = PLAIN_DOOR): Promise<void> {
  const line = await door.lock(bytes);
  const unfinished = `${file}.${randomBytes(8).toString('hex')}.new`;
  const handle = await open(unfinished, 'wx', READ_ONLY_FILE);
  try {
    await handle.writeFile(`${line}\n`);
    await handle.sync();
  } finally {
    await handle.close();
  }
  // a link fails where a name exists, a rename would replace it
  await link(unfinished, file).finally(() => rm(unfinished, { force: true }));
  await syncFolderOf(file);
}

async function syncFolderOf(file: string): Promise<void> {
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

/** Whether the key lies in its file as it is. False also for a file that is not there. */
export async function isPlainKek(file: string): Promise<boolean> {
  return KEK_TEXT.test((await readFile(file, 'utf8').catch(() => '')).trim());
}

/** One version of the key in clear. */
export interface KekVersion {
  version: number;
  /** 32 bytes. */
  bytes: Buffer;
}

/** The versions of the key that are here. */
export interface KekVersions {
  /** What the database is encrypted under. */
  inUse: KekVersion;
  /** Earlier ones, and the one that a rotation is about to bring into use: they unwrap, and wrap nothing. */
  others: readonly KekVersion[];
}

/**
 * Beside the key: an earlier version, which backups of its time need, or the one that a rotation is about to bring into use.
 * Each version has a name of its own, so that no two rotations ever replace each other's.
 */
export const versionOfKek = (file: string, version: number): string => `${file}.v${version}`;

/** Of the versions beside the key so many are read, the newest. */
const MAX_BESIDE = 9;

/**
 * Finds out which key file is the one in use, and ends a rotation that was cut off after the database had been changed.
 * A fresh database is bound to the key. @throws DataFolderRefused when the key is not here, or is not the one
 */
export async function settleKek(database: Database, file: string, door: KekDoor = PLAIN_DOOR): Promise<KekVersions> {
  const present = await readKek(file, door);
  if (present === undefined) throw new DataFolderRefused(`The key ${file} is missing.`);
  const recorded = await recordedVersions(database, present);
  const inUse = Math.max(...recorded.keys());
  const beside = await readBeside(file, door);
  const known = [present, ...beside.map(({ bytes }) => bytes)].flatMap((bytes) => {
    const version = versionRecorded(recorded, bytes);
    return version === undefined ? [] : [{ version, bytes }];
  });
  const current = known.find(({ version }) => version === inUse);
  if (current === undefined) throw wrongKek(file);
  if (!current.bytes.equals(present)) await bringIntoUse(file, inUse, versionRecorded(recorded, present));
  const others = new Map(known.filter(({ version }) => version !== inUse).map((one) => [one.version, one]));
  const staged = beside.find(({ version, bytes }) => version === inUse + 1 && !versionRecorded(recorded, bytes));
  return { inUse: current, others: [...others.values(), ...(staged === undefined ? [] : [staged])] };
}

/**
 * Gives a version the name of the key; the one before keeps lying beside it. Twice, at once or cut off in the middle is
 * once: a version that lies there no more has its name already.
 */
export async function bringIntoUse(file: string, version: number, before: number | undefined): Promise<void> {
  if (before !== undefined) await keepBeside(file, versionOfKek(file, before));
  await rename(versionOfKek(file, version), file).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOENT') throw error;
  });
  await syncFolderOf(file);
}

/** A link to the key in use; what lies there of a rotation that came too late is of no use to anybody. */
async function keepBeside(file: string, beside: string): Promise<void> {
  const [mine, there] = await Promise.all([file, beside].map((name) => readFile(name, 'utf8').catch(() => undefined)));
  if (there !== undefined && there !== mine) await rm(beside, { force: true });
  await link(file, beside).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'EEXIST') throw error;
  });
}

/** Check value by version; the first version is recorded for a database that has none. */
async function recordedVersions(database: Database, first: Uint8Array): Promise<Map<number, Buffer>> {
  const { rows } = await database.inSystem(async (sql) => {
    await sql.query(
      'insert into kek_check (version, value) select 1, $1 where not exists (select from kek_check) on conflict do nothing',
      [kekCheckValue(first)],
    );
    return sql.query<{ version: number; value: Buffer }>('select version, value from kek_check');
  });
  return new Map(rows.map(({ version, value }) => [version, value]));
}

function versionRecorded(recorded: ReadonlyMap<number, Buffer>, bytes: Uint8Array): number | undefined {
  const mine = kekCheckValue(bytes);
  return [...recorded].find(([, value]) => value.length === mine.length && timingSafeEqual(value, mine))?.[0];
}

async function readBeside(file: string, door: KekDoor): Promise<KekVersion[]> {
  const versions = (await listKekVersions(file)).slice(0, MAX_BESIDE);
  const read = await Promise.all(
    versions.map(async (version) => {
      // one that does not open here keeps nobody from the one in use
      const bytes = await readKek(versionOfKek(file, version), door).catch(() => undefined);
      return bytes === undefined ? [] : [{ version, bytes }];
    }),
  );
  return read.flat();
}

/** The versions that have a file beside the key, the newest first. */
export async function listKekVersions(file: string): Promise<number[]> {
  const prefix = `${basename(file)}.v`;
  return (await readdir(dirname(file)).catch(() => []))
    .filter((name) => name.startsWith(prefix) && /^\d{1,9}$/.test(name.slice(prefix.length)))
    .map((name) => Number(name.slice(prefix.length)))
    .toSorted((a, b) => b - a);
}

function wrongKek(file: string): DataFolderRefused {
  return new DataFolderRefused(
    `The key ${file} is not the one that this database was encrypted under. Put the right one in its place.`,
  );
}

/** Binds a fresh database to the key, or compares. Returns its version. @throws DataFolderRefused for another key. */
export async function checkKek(database: Database, kek: Uint8Array, file: string): Promise<number> {
  const recorded = await recordedVersions(database, kek);
  const inUse = Math.max(...recorded.keys());
  if (versionRecorded(recorded, kek) === inUse) return inUse;
  throw wrongKek(file);
}
