// Wraps every key of the installation again under the version of the KEK that is in use. Nothing that a key encrypts is
// touched, so that it takes seconds whatever is stored; what is under that version already stays as it is.
import type { Sql } from '../storage/database.ts';
import { listWrapped, lockWrapped, updateWrapped, type WrappedRow } from '../storage/postgres/wrapped.ts';
import { wrappedVersion, type Kek } from './kek.ts';
import { WRAPPED_COLUMNS, type WrappedColumn } from './wrapped-columns.ts';

const BATCH = 500;

export interface RewrapKeys {
  /** Unwraps under every version that is still used, wraps under the one in use. */
  kek: Kek;
  /** Of the signer: it holds the wrapping keys of the same versions. */
  rewrap(wrappedPrivate: Uint8Array): Promise<Buffer>;
}

/** As the owner, whole or not at all. Returns the number of keys that were wrapped again. @throws KeyError, SignerError */
export async function rewrapAll(sql: Sql, keys: RewrapKeys): Promise<number> {
  await lockWrapped(sql, WRAPPED_COLUMNS);
  let rewrapped = 0;
  for (const place of WRAPPED_COLUMNS) rewrapped += await rewrapColumn(sql, place, keys);
  return rewrapped;
}

async function rewrapColumn(sql: Sql, place: WrappedColumn, keys: RewrapKeys): Promise<number> {
  let rewrapped = 0;
  let after: Record<string, string> | undefined;
  for (;;) {
    const rows = await listWrapped(sql, place, after, BATCH);
    for (const row of rows) {
      const wrapped = await again(place, row, keys);
      if (wrapped.equals(row.wrapped)) continue;
      await updateWrapped(sql, place, { key: row.key, wrapped });
      rewrapped++;
    }
    if (rows.length < BATCH) return rewrapped;
    after = rows.at(-1)?.key;
  }
}

async function again(
  { use }: WrappedColumn,
  { key, wrapped }: WrappedRow,
  { kek, rewrap }: RewrapKeys,
): Promise<Buffer> {
  if (use === undefined) return rewrap(wrapped);
  if (wrappedVersion(wrapped) === kek.version) return wrapped;
  const plain = kek.unwrap(use(key), wrapped);
  const made = kek.wrap(use(key), plain);
  plain.fill(0);
  return made;
}
