// What opens the sealed columns of a database: told once by whoever holds the keys, found by the SQL that reads them.
// The keys themselves stay in their room; here are only the doors through which rows pass.

import type { Aad } from './sealed.ts';

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

/** The key of one tenant as SQL needs it. */
export interface TenantSeal {
  seal(purpose: 'column', aad: Aad, plaintext: Uint8Array): Buffer;
  open(purpose: 'column', aad: Aad, sealed: Uint8Array): Buffer;
}

export interface Seals {
  people(): Promise<PeopleSeal>;
  /** Throws for a tenant whose data was erased. */
  tenant(tenantId: string): Promise<TenantSeal>;
}

const SEALS = new WeakMap<object, Seals>();

const untold = (): never => {
  throw new TypeError('Expected a database whose seals are kept.');
};

/** From now on sealed columns of this database pass through `seals`; what is not named stays as it was told before. */
export function keepSeals(door: object, seals: Partial<Seals>): void {
  SEALS.set(door, { people: untold, tenant: untold, ...SEALS.get(door), ...seals });
}

/** @throws TypeError when nobody told: no row is written in clear for want of a key. */
export function sealsOf({ door }: { door: object }): Seals {
  const seals = SEALS.get(door);
  if (seals === undefined) throw new TypeError('Expected a database whose seals are kept.');
  return seals;
}
