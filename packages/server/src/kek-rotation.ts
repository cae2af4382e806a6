// A new version of the key above all keys: made beside the old one, every key wrapped again in one transaction, then given
// its name. Killed between any two of these, the next start finds one of the two in use and reads everything.
import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { audit } from './access/audit.ts';
import {
  bringIntoUse,
  DataFolderRefused,
  kekCheckValue,
  readKek,
  settleKek,
  versionOfKek,
  writeKek,
  type KekDoor,
  type KekVersions,
} from './data-folder.ts';
import { KekRing } from './keys/kek.ts';
import { rewrapAll } from './keys/rewrap.ts';
import { SignerProcess } from './keys/signer/client.ts';
import { wrappingKeyFrom } from './keys/signer/protocol.ts';
import type { Database } from './storage/database.ts';
import { installedTenant } from './storage/postgres/tenants.ts';

/** A running LumaTrace looks at its key files so often. */
export const KEK_WATCH_MS = 5_000;
/** By then every process that runs beside the files unwraps with what lies there. */
export const KEK_SETTLED_MS = 3 * KEK_WATCH_MS;

const KEK_BYTES = 32;

export interface KekRotation {
  database: Database;
  file: string;
  /** Opens what is there. */
  door: KekDoor;
  /** Writes the new version; another one moves the key into an engine or out of it. */
  newDoor: KekDoor;
  /** Where the signer's socket may lie. */
  runDir: string;
  /** How long those who use the files and the database meanwhile are given to read what lies there: KEK_SETTLED_MS, or 0. */
  settleMs: number;
  /** Told after each step; for tests. */
  onStep?: (step: 'made' | 'settled' | 'rewrapped' | 'committed') => void | Promise<void>;
}

export interface RotatedKek {
  version: number;
  rewrapped: number;
  /** Where the version before lies now. */
  before: number;
}

/** @throws DataFolderRefused, SignerError, KeyError; nothing has changed then, or a repetition ends it. */
export async function rotateKek(rotation: KekRotation): Promise<RotatedKek> {
  const { database, file, door, newDoor, settleMs, onStep = () => undefined } = rotation;
  const versions = await settleKek(database, file, door);
  const version = versions.inUse.version + 1;
  const next = await stagedKek(versionOfKek(file, version), newDoor);
  await onStep('made');
  if (settleMs > 0) await sleep(settleMs);
  await onStep('settled');
  const rewrapped = await rewrapUnder(rotation, versions, { version, bytes: next });
  await onStep('committed');
  await bringIntoUse(file, version, versions.inUse.version);
  return { version, rewrapped, before: versions.inUse.version };
}

/** The next key: that of a rotation that was cut off or runs at this moment, else a new one. As it will be read. */
async function stagedKek(file: string, door: KekDoor): Promise<Buffer> {
  await writeKek(file, randomBytes(KEK_BYTES), door).catch((error: NodeJS.ErrnoException) => {
    if (['EACCES', 'EPERM', 'EROFS'].includes(error.code ?? ''))
      throw new DataFolderRefused(
        `A new key cannot be written beside the one in use: ${file} (${error.code}). Rotate where its folder can be written, or let LUMATRACE_KEK_FILE name a copy in such a folder.`,
        { cause: error },
      );
    if (error.code !== 'EEXIST') throw error;
  });
  const staged = await readKek(file, door);
  if (staged === undefined) throw rotatedMeanwhile();
  return staged;
}

const rotatedMeanwhile = (): DataFolderRefused =>
  new DataFolderRefused('The key was rotated by somebody else at this moment: look with "keys list".');

async function rewrapUnder(
  { database, runDir, onStep = () => undefined }: KekRotation,
  { inUse, others }: KekVersions,
  next: { version: number; bytes: Buffer },
): Promise<number> {
  const older = [inUse, ...others.filter(({ version }) => version < next.version)];
  const kek = new KekRing(next, older);
  const signer = await SignerProcess.start({
    wrappingKey: wrappingKeyFrom(next.bytes),
    otherWrappingKeys: older.map(({ bytes }) => wrappingKeyFrom(bytes)),
    directory: runDir,
  });
  try {
    return await database.inSystem(async (sql) => {
      await sql.query('lock table kek_check in exclusive mode');
      const { rows } = await sql.query<{ version: number }>('select max(version) as version from kek_check');
      if (rows[0]?.version !== inUse.version) throw rotatedMeanwhile();
      const rewrapped = await rewrapAll(sql, { kek, rewrap: (wrapped) => signer.rewrap(wrapped) });
      await sql.query('insert into kek_check (version, value) values ($1, $2)', [
        next.version,
        kekCheckValue(next.bytes),
      ]);
      const tenantId = await installedTenant(sql);
      if (tenantId !== undefined) {
        await sql.query(`select set_config('app.tenant', $1, true)`, [tenantId]);
        await audit(sql, {
          tenantId,
          actor: 'system',
          action: 'kek.rotate',
          object: `kek:${next.version}`,
          outcome: 'done',
          requestId: 'keys-rotate',
          detail: { before: inUse.version, rewrapped },
        });
      }
      await onStep('rewrapped');
      return rewrapped;
    });
  } finally {
    await signer.close();
  }
}
