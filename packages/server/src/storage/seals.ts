// What opens the sealed columns of a database: told once by whoever holds the keys, found by the SQL that reads them.
// The keys themselves stay in their room; here are only the doors through which rows pass.

/** Columns of `accounts` that are sealed. */
export type PersonColumn = 'email' | 'name';

/** Seals what tells who somebody is. Bound to column and row: bytes that were moved do not open. */
export interface PeopleSeal {
  /** Of the key in use. */
  readonly version: number;
  /** AES-256-GCM under the version in use. */
  seal(column: PersonColumn, accountId: string, text: string): Buffer;
  /** Under any version. Throws a KeyError for bytes of another column or row. */
  open(column: PersonColumn, accountId: string, sealed: Uint8Array): string;
  /** What stands for an address where it is looked up: an HMAC under each version, the one in use first. */
  indexes(email: string): readonly [string, ...string[]];
}

export interface Seals {
  people(): Promise<PeopleSeal>;
}

const SEALS = new WeakMap<object, Seals>();

/** From now on sealed columns of this database pass through `seals`. */
export function keepSeals(door: object, seals: Seals): void {
  SEALS.set(door, seals);
}

/** @throws TypeError when nobody told: no row is written in clear for want of a key. */
export function sealsOf({ door }: { door: object }): Seals {
  const seals = SEALS.get(door);
  if (seals === undefined) throw new TypeError('Expected a database whose seals are kept.');
  return seals;
}
