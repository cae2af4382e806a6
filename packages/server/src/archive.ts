// The commands `backup` and `restore`: which database, which key, which file; the work is in storage/backup.
import { createReadStream, createWriteStream } from 'node:fs';
import { link, open, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createZstdCompress, createZstdDecompress } from 'node:zlib';
import { UsageError, type Config, type Invocation } from './config.ts';
import { checkKek, DataFolderRefused, kekPath, readKek, settleKek, takeDataFolder, writeKek } from './data-folder.ts';
import type { KekDoor } from './data-folder.ts';
import { noteBackup } from './notes.ts';
import { makeQueue } from './jobs/jobs.ts';
import { kekDoors } from './kek-door.ts';
import { decrypted, encrypted } from './storage/backup/container.ts';
import { dumped } from './storage/backup/dump.ts';
import { load, type Restored } from './storage/backup/load.ts';
import { decodeEntries, type BackupEnd } from './storage/backup/records.ts';
import { existingCluster } from './storage/embedded/cluster.ts';
import { isHeld, lockFolder } from './storage/lock.ts';
import { migrate, readMigrations, requireDatabase } from './storage/migrate.ts';
import { joinStorage, openStorage, type Storage } from './storage/open.ts';

const OWNER_ONLY = 0o600;
/** Standard input or output. */
const STREAM = '-';

/** The command `backup FILE`; prints, and returns its exit code. */
export async function backupCommand({ config, words: [file = STREAM] }: Invocation): Promise<number> {
  const { tables, rows } = await backup(config, file);
  await noteBackup(config.dataDir, { at: new Date(), rows });
  const where = file === STREAM ? 'to standard output' : file;
  process.stderr.write(
    `Wrote ${where}: ${rows} rows of ${tables} tables, encrypted. The key that opens it is not in it: ` +
      `keep a copy of ${kekPath(config.dataDir, config.kekFile)} elsewhere.\n`,
  );
  return 0;
}

/** The command `restore FILE`; prints, and returns its exit code. */
export async function restoreCommand({ config, words: [file = STREAM], givenKek }: Invocation): Promise<number> {
  const { createdAt, tables } = await restore(config, file, givenKek);
  for (const { name, rows } of tables) process.stdout.write(`${String(rows).padStart(12)}  ${name}\n`);
  const rows = tables.reduce((sum, table) => sum + table.rows, 0);
  process.stdout.write(
    `Restored ${rows} rows of ${tables.length} tables from the backup of ${createdAt}, each counted.\n`,
  );
  return 0;
}

/** Writes everything to a file that appears whole or not at all. Returns what it holds. */
export async function backup(config: Config, file: string): Promise<BackupEnd> {
  const keyFile = kekPath(config.dataDir, config.kekFile);
  const { door } = kekDoors(config);
  if ((await readKek(keyFile, door)) === undefined)
    throw new DataFolderRefused(`There is no key ${keyFile}: nothing was ever kept here.`);
  const { storage, close } = await storageToRead(config);
  try {
    const kek = (await settleKek(storage.database, keyFile, door)).inUse.bytes;
    let written: BackupEnd | undefined;
    const rows = dumped(storage.database.ownerPool, (end) => (written = end));
    await writeWhole(file, (sink) =>
      pipeline(
        rows,
        createZstdCompress(),
        (compressed: AsyncIterable<Uint8Array>) => encrypted(kek, compressed),
        sink,
        {
          end: sink !== process.stdout,
        },
      ),
    );
    if (written === undefined) throw new Error('The backup ended early.');
    return written;
  } finally {
    await close();
  }
}

export interface ReadStorage {
  storage: Storage;
  /** Somebody may use the database meanwhile; of one elsewhere that is never known. */
  isServing: boolean;
  /** A LumaTrace runs on this data folder. */
  isRunningHere: boolean;
  close(): Promise<void>;
}

/** The database as it is: that of a running `up`, of an operator, or one that is started for this and serves nobody. */
export async function storageToRead(config: Config): Promise<ReadStorage> {
  const { dataDir, databaseUrl, databaseDirectUrl } = config;
  if (databaseUrl !== undefined) {
    const storage = await openStorage({ dataDir, databaseUrl, databaseDirectUrl });
    const lock = await lockFolder(dataDir).catch(() => undefined);
    if (lock !== undefined && !isHeld(lock)) await lock.release();
    return {
      storage,
      isServing: true,
      isRunningHere: lock !== undefined && isHeld(lock),
      close: () => storage.close(),
    };
  }
  const folder = await existingCluster(dataDir);
  if (folder === undefined) throw new DataFolderRefused(`There is no database in ${dataDir}.`);
  const lock = await lockFolder(dataDir);
  if (isHeld(lock)) {
    const storage = await joinStorage(folder);
    if (storage === undefined)
      throw new DataFolderRefused('LumaTrace is starting or stopping here: try again in a moment.');
    return { storage, isServing: true, isRunningHere: true, close: () => storage.close() };
  }
  const storage = await openStorage({ dataDir }).catch(async (error: unknown) => {
    await lock.release();
    throw error;
  });
  return {
    storage,
    isServing: false,
    isRunningHere: false,
    async close() {
      await storage.close();
      await lock.release();
    },
  };
}

async function writeWhole(file: string, writeTo: (sink: Writable) => Promise<void>): Promise<void> {
  if (file === STREAM) return writeTo(process.stdout);
  const unfinished = `${file}.${process.pid}.part`;
  try {
    await writeTo(createWriteStream(unfinished, { flags: 'wx', mode: OWNER_ONLY }));
    await syncFile(unfinished);
    // a link fails where a name exists: an older backup is never replaced
    await link(unfinished, file);
    await syncFile(dirname(file));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    throw new UsageError(`${file} exists already: name another file.`);
  } finally {
    await rm(unfinished, { force: true });
  }
}

async function syncFile(path: string): Promise<void> {
  const handle = await open(path, 'r');
  await handle.sync().finally(() => handle.close());
}

/**
 * Reads a backup into an empty data folder or database. All rows are committed at once: cut off at any moment, the
 * place is as empty as before. `givenKek` is a key file to put into the folder.
 */
export async function restore(config: Config, file: string, givenKek: string | undefined): Promise<Restored> {
  const { dataDir, databaseUrl, databaseDirectUrl } = config;
  const lock = await takeDataFolder(dataDir);
  try {
    const key = await keyToRestore(config, givenKek);
    if (file !== STREAM) await readThrough(file, key.bytes);
    const isNew = databaseUrl === undefined && (await existingCluster(dataDir)) === undefined;
    const storage = await openStorage({ dataDir, databaseUrl, databaseDirectUrl });
    try {
      return await restoreInto(storage, key, file).finally(() => storage.close());
    } catch (error) {
      if (isNew && storage.cluster !== undefined) await rm(storage.cluster.folder, { recursive: true, force: true });
      throw error;
    }
  } finally {
    await lock.release();
  }
}

/** A file is authenticated to its end before anything is made for it; a stream can be read only once. */
async function readThrough(file: string, kek: Uint8Array): Promise<void> {
  for await (const chunk of decrypted(kek, createReadStream(file))) void chunk;
}

interface KeyToRestore {
  bytes: Buffer;
  file: string;
  door: KekDoor;
  /** The folder has no key yet and gets this one, once the backup proved to be made under it. */
  isToWrite: boolean;
}

async function keyToRestore(config: Config, givenKek: string | undefined): Promise<KeyToRestore> {
  const file = kekPath(config.dataDir, config.kekFile);
  const { door, either } = kekDoors(config);
  const present = await readKek(file, door);
  if (givenKek === undefined) {
    if (present !== undefined) return { bytes: present, file, door, isToWrite: false };
    throw new DataFolderRefused(
      `A backup opens only with the key that it was made under, and that is not in it. Put it at ${file}, or name it with --kek FILE.`,
    );
  }
  const given = await readKek(givenKek, either);
  if (given === undefined) throw new UsageError(`There is no key file ${givenKek}.`);
  if (present !== undefined && !present.equals(given)) {
    throw new DataFolderRefused(`There is another key at ${file} already. Restore into an empty data folder.`);
  }
  return { bytes: given, file, door, isToWrite: present === undefined };
}

async function restoreInto(storage: Storage, key: KeyToRestore, file: string): Promise<Restored> {
  const { ownerPool } = storage.database;
  const migrations = await readMigrations();
  const client = await ownerPool.connect();
  await requireDatabase(client, { takesRole: storage.takesRole }).finally(() => client.release());
  await makeQueue(ownerPool);
  const source = file === STREAM ? process.stdin : createReadStream(file);
  const writeKey = async (): Promise<void> => {
    if (key.isToWrite) await writeKek(key.file, key.bytes, key.door);
  };
  let loading: Promise<Restored> | undefined;
  const reading = pipeline(
    source,
    (sealed: AsyncIterable<Uint8Array>) => decrypted(key.bytes, sealed),
    createZstdDecompress(),
    async (plain: AsyncIterable<Uint8Array>) => {
      loading = load(ownerPool, decodeEntries(plain), migrations, writeKey);
      await loading;
    },
  );
  // a file that turns out bad ends the reading first; the loading must have let go of its connection too
  const [, loaded] = await Promise.allSettled([reading, reading.catch(() => undefined).then(() => loading)]);
  await reading;
  if (loaded.status === 'rejected' || loaded.value === undefined) throw new Error('The restore ended early.');
  const restored = loaded.value;
  await migrate(ownerPool, migrations, { takesRole: storage.takesRole });
  await checkKek(storage.database, key.bytes, key.file);
  return restored;
}
