// The command `keys`: what there is, without material, or a new version of the installation's watermark lines.
import { storageToRead } from './archive.ts';
import { UsageError, type Invocation } from './config.ts';
import { checkKek, DataFolderRefused, kekPath, readKek } from './data-folder.ts';
import { createInstallationKeys, SETTLED_MS } from './keys/installation-keys.ts';
import { kekFromBytes } from './keys/kek.ts';
import { listKeyInventory } from './storage/postgres/key-store.ts';

/** Prints, and returns the exit code. @throws UsageError, DataFolderRefused */
export async function keysCommand({ config, words: [action = ''] }: Invocation): Promise<number> {
  if (action !== 'list' && action !== 'rotate') throw new UsageError('Expected "keys list" or "keys rotate".');
  const { storage, close } = await storageToRead(config);
  try {
    const { database } = storage;
    if (action === 'list') {
      for (const { name, version, createdAt } of await database.inSystem(listKeyInventory)) {
        say(`${name.padEnd(18)} ${version.padStart(4)}  ${createdAt.toISOString()}`);
      }
      return 0;
    }
    const file = kekPath(config.dataDir, config.kekFile);
    const bytes = await readKek(file);
    if (bytes === undefined) throw new DataFolderRefused(`The key ${file} is missing.`);
    await checkKek(database, bytes, file);
    const version = await createInstallationKeys({ database, kek: kekFromBytes(bytes) }).rotate('watermark-sync');
    say(
      `watermark-sync ${version}: pictures are marked with it in ${SETTLED_MS / 1_000} s; older versions still read.`,
    );
    return 0;
  } finally {
    await close();
  }
}

const say = (line: string): void => void process.stdout.write(`${line}\n`);
