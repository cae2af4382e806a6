// A running program beside a rotation of the KEK: it reads with the new key before anything is wrapped under it, goes over to
// it when the database has, and wraps again what it wrote under the old one in between.
import { stat } from 'node:fs/promises';
import { listKekVersions, readKek, settleKek, type KekDoor, type KekVersions } from './data-folder.ts';
import { KEK_WATCH_MS } from './kek-rotation.ts';
import type { KekRing } from './keys/kek.ts';
import { rewrapAll } from './keys/rewrap.ts';
import type { SignerProcess } from './keys/signer/client.ts';
import { wrappingKeyFrom } from './keys/signer/protocol.ts';
import type { Database } from './storage/database.ts';

export interface WatchedKek {
  database: Database;
  file: string;
  door: KekDoor;
  /** What `ring` and `signer` hold now. */
  versions: KekVersions;
  ring: KekRing;
  signer: Pick<SignerProcess, 'replaceWrappingKeys' | 'rewrap'>;
  onChange(version: number, rewrapped: number): void;
  onError(error: unknown): void;
  everyMs?: number;
  /** For a key that an engine opens: how often it is asked again, and how long it may be silent. */
  lease?: { askEveryMs: number; silentForMs: number };
}

/** An engine that was told to open the key no more is obeyed within a minute; one that is away, after five. */
export const TRANSIT_LEASE = { askEveryMs: 60_000, silentForMs: 300_000 };

export interface KekWatch {
  stop(): Promise<void>;
}

/** First wraps again what an interrupted rotation or an old process left under an earlier version. @throws KeyError, SignerError */
export async function watchKek(watched: WatchedKek): Promise<KekWatch> {
  const { file, ring, signer, onChange, onError, everyMs = KEK_WATCH_MS } = watched;
  let held = watched.versions;
  let seen = await marks(file);
  if (held.others.some(({ version }) => version < held.inUse.version)) await sweep(watched);

  const look = async (): Promise<void> => {
    const now = await marks(file);
    if (now === seen) return;
    const found = await settleKek(watched.database, file, watched.door);
    if (textOf(found) !== textOf(held)) {
      ring.give(found.inUse, found.others);
      await signer.replaceWrappingKeys(
        wrappingKeyFrom(found.inUse.bytes),
        found.others.map(({ bytes }) => wrappingKeyFrom(bytes)),
      );
      const isRotated = found.inUse.version !== held.inUse.version;
      held = found;
      if (isRotated) onChange(found.inUse.version, await sweep(watched));
    }
    seen = now;
  };

  const stops = [every(everyMs, look, onError)];
  if (watched.lease !== undefined) {
    const renewed = leased(watched, watched.lease, () => held);
    stops.push(every(watched.lease.askEveryMs, renewed, onError));
  }
  return {
    async stop() {
      await Promise.all(stops.map((stop) => stop()));
    },
  };
}

/** The key is held in memory on terms: it is taken away when its engine refuses to open it, or is silent for too long. */
function leased(
  { file, door, ring, onError }: WatchedKek,
  { silentForMs }: { silentForMs: number },
  held: () => KekVersions,
): () => Promise<void> {
  let openedAtMs = performance.now();
  let isTaken = false;
  return async () => {
    try {
      await readKek(file, door);
      openedAtMs = performance.now();
      if (isTaken) ring.give(held().inUse, held().others);
      isTaken = false;
    } catch (error) {
      const isRefusal = (error as { isRefusal?: boolean }).isRefusal === true;
      if (isRefusal || performance.now() - openedAtMs >= silentForMs) {
        ring.takeAway();
        isTaken = true;
      }
      onError(error);
    }
  };
}

/** One at a time. Returns what stops it and waits for the last. */
function every(ms: number, work: () => Promise<void>, onError: (error: unknown) => void): () => Promise<void> {
  let running: Promise<void> | undefined;
  const timer = setInterval(() => {
    running ??= work()
      .catch(onError)
      .finally(() => (running = undefined));
  }, ms);
  timer.unref();
  return async () => {
    clearInterval(timer);
    await running;
  };
}

function sweep({ database, ring, signer }: WatchedKek): Promise<number> {
  return database.inSystem((sql) => rewrapAll(sql, { kek: ring, rewrap: (wrapped) => signer.rewrap(wrapped) }));
}

/** Changes whenever the key is another one, or another version lies beside it. */
async function marks(file: string): Promise<string> {
  const found = await stat(file).catch(() => undefined);
  return `${found?.ino} ${found?.mtimeMs} ${(await listKekVersions(file)).join()}`;
}

const textOf = ({ inUse, others }: KekVersions): string =>
  [inUse, ...others].map(({ version, bytes }) => `${version}:${bytes.toString('hex')}`).join();
