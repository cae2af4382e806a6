// Random secrets of the whole installation (API-key pepper, session key, cursor key), each kept wrapped by the KEK.
import { randomBytes } from 'node:crypto';
import type { Database, Sql } from '../storage/database.ts';
import { insertInstallationKey, listInstallationKeys } from '../storage/postgres/key-store.ts';
import type { Kek } from './kek.ts';

/** Each has one use: the pepper of API keys, the HMAC of session cookies, that of list cursors, the watermark's lines,
 * the macs of audit lines, the seed of the key that signs checkpoints of them, and addresses and names of people. */
export type InstallationKeyName =
  'api-key-pepper' | 'session' | 'cursor' | 'watermark-sync' | 'audit-chain' | 'audit-checkpoint' | 'people';

export interface InstallationKey {
  version: number;
  /** 32 random bytes. */
  secret: Buffer;
}

export interface InstallationKeys {
  /** What is used now; made on first use, the same bytes for every process of the installation, whoever came first. */
  secret(name: InstallationKeyName): Promise<InstallationKey>;
  /** All versions, newest first; one that was just made is read with before anything is made with it. */
  versions(name: InstallationKeyName): Promise<readonly InstallationKey[]>;
  /**
   * What may have made something that is still good: what is in use first, then the others, newest first. With `withinMs` only
   * those that were in use so recently.
   */
  candidates(name: InstallationKeyName, withinMs?: number): Promise<readonly InstallationKey[]>;
  /**
   * Makes a version, which comes into use when every process has read it. Answers its number; twice at once is once.
   * `within` runs in the same transaction, of the owner: what must be told when there is a new version.
   */
  rotate(name: RotatedKeyName, within?: (sql: Sql, version: number) => Promise<void>): Promise<number>;
}

/** For whoever makes with what is in use and takes what earlier versions made. */
export type SecretReader = Pick<InstallationKeys, 'secret' | 'candidates'>;

/** Those whose old versions go on reading what they made. */
export const ROTATED_KEYS = ['watermark-sync', 'people', 'api-key-pepper', 'session', 'cursor'] as const;
export type RotatedKeyName = (typeof ROTATED_KEYS)[number];

const SECRET_BYTES = 32;
/** A process reads them again so often. */
const REFRESH_MS = 20_000;
/** A version is used from this age on: by then every process reads with it. */
export const SETTLED_MS = 3 * REFRESH_MS;

interface Opened {
  /** Newest first, each with its age when it was read. */
  keys: readonly (InstallationKey & { ageMs: number })[];
  atMs: number;
}

interface InstallationKeysOptions {
  database: Database;
  kek: Kek;
  nowMs?: () => number;
}

/** A failed first read is tried again by the next caller; a failed refresh leaves what was read before. */
export function createInstallationKeys({
  database,
  kek,
  nowMs = () => performance.now(),
}: InstallationKeysOptions): InstallationKeys {
  const opened = new Map<InstallationKeyName, { first: Promise<Opened>; refreshing: boolean }>();
  const read = async (name: InstallationKeyName): Promise<Opened> => ({
    keys: await open(database, kek, name),
    atMs: nowMs(),
  });
  const openedOf = async (name: InstallationKeyName): Promise<Opened> => {
    const known = opened.get(name);
    if (known === undefined) {
      const entry = { first: read(name), refreshing: false };
      opened.set(name, entry);
      entry.first.catch(() => opened.delete(name));
      return entry.first;
    }
    const held = await known.first;
    if (nowMs() - held.atMs > REFRESH_MS && !known.refreshing) {
      known.refreshing = true;
      read(name).then(
        (fresh) => opened.set(name, { first: Promise.resolve(fresh), refreshing: false }),
        () => (known.refreshing = false),
      );
    }
    return held;
  };
  const ageOf = ({ keys, atMs }: Opened, index: number): number => (keys[index]?.ageMs ?? 0) + nowMs() - atMs;
  const inUse = (held: Opened): InstallationKey =>
    (held.keys.find((_key, index) => ageOf(held, index) >= SETTLED_MS) ?? held.keys.at(-1)) as InstallationKey;
  return {
    versions: async (name) => (await openedOf(name)).keys.map(withoutAge),
    secret: async (name) => withoutAge(inUse(await openedOf(name))),
    async candidates(name, withinMs = Number.POSITIVE_INFINITY) {
      const held = await openedOf(name);
      const first = inUse(held);
      // a version was in use until the one after it had settled
      const endedMs = (index: number): number => ageOf(held, index - 1) - SETTLED_MS;
      const others = held.keys.filter((key, index) => key !== first && (index === 0 || endedMs(index) < withinMs));
      return [first, ...others].map(withoutAge);
    },
    async rotate(name, within) {
      const newest = (await open(database, kek, name))[0] as InstallationKey;
      const version = newest.version + 1;
      const wrapped = kek.wrap(useOf(name, version), randomBytes(SECRET_BYTES));
      await database.inSystem(async (sql) => {
        if (await insertInstallationKey(sql, { name, version, wrapped })) await within?.(sql, version);
      });
      return version;
    },
  };
}

const withoutAge = ({ version, secret }: InstallationKey): InstallationKey => ({ version, secret });

const useOf = (name: string, version: number): string => `installation|${name}|${version}`;

async function open(
  database: Database,
  kek: Kek,
  name: InstallationKeyName,
): Promise<readonly (InstallationKey & { ageMs: number })[]> {
  const rows = await database.inSystem(async (sql) => {
    const existing = await listInstallationKeys(sql, name);
    if (existing.length > 0) return existing;
    await insertInstallationKey(sql, {
      name,
      version: 1,
      wrapped: kek.wrap(useOf(name, 1), randomBytes(SECRET_BYTES)),
    });
    return listInstallationKeys(sql, name);
  });
  if (rows.length === 0) throw new Error(`The secret "${name}" was written and is not there.`);
  return rows.map(({ version, wrapped, ageMs }) => ({
    version,
    secret: kek.unwrap(useOf(name, version), wrapped),
    ageMs,
  }));
}
