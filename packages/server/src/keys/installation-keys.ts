// Random secrets of the whole installation (API-key pepper, session key, cursor key), each kept wrapped by the KEK.
import { randomBytes } from 'node:crypto';
import type { Database } from '../storage/database.ts';
import { insertInstallationKey, listInstallationKeys } from '../storage/postgres/key-store.ts';
import type { Kek } from './kek.ts';

/** Each has one use: the pepper of API keys, the HMAC of session cookies, that of list cursors, the watermark's lines. */
export type InstallationKeyName = 'api-key-pepper' | 'session' | 'cursor' | 'watermark-sync';

export interface InstallationKey {
  version: number;
  /** 32 random bytes. */
  secret: Buffer;
}

export interface InstallationKeys {
  /** Made on first use; the same bytes for every process of the installation, whoever came first. */
  secret(name: InstallationKeyName): Promise<InstallationKey>;
  /** All versions, newest first. */
  versions(name: InstallationKeyName): Promise<readonly InstallationKey[]>;
}

const SECRET_BYTES = 32;

/** Reads each secret once per process; a failed read is tried again by the next caller. */
export function createInstallationKeys({ database, kek }: { database: Database; kek: Kek }): InstallationKeys {
  const opened = new Map<InstallationKeyName, Promise<readonly InstallationKey[]>>();
  const versions = (name: InstallationKeyName): Promise<readonly InstallationKey[]> => {
    const known = opened.get(name);
    if (known !== undefined) return known;
    const keys = open(database, kek, name);
    opened.set(name, keys);
    keys.catch(() => opened.delete(name));
    return keys;
  };
  return { versions, secret: async (name) => (await versions(name))[0] as InstallationKey };
}

async function open(database: Database, kek: Kek, name: InstallationKeyName): Promise<readonly InstallationKey[]> {
  const use = (version: number): string => `installation|${name}|${version}`;
  const rows = await database.inSystem(async (sql) => {
    const existing = await listInstallationKeys(sql, name);
    if (existing.length > 0) return existing;
    await insertInstallationKey(sql, { name, version: 1, wrapped: kek.wrap(use(1), randomBytes(SECRET_BYTES)) });
    return listInstallationKeys(sql, name);
  });
  if (rows.length === 0) throw new Error(`The secret "${name}" was written and is not there.`);
  return rows.map(({ version, wrapped }) => ({ version, secret: kek.unwrap(use(version), wrapped) }));
}
