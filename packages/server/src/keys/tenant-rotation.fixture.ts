// A rotation that waits for nobody: versions settle at once and nothing rests. Its keys are read anew, as in a process of its own.
import type { Database } from '../storage/database.ts';
import type { Kek } from './kek.ts';
import { createTenantKeys } from './tenant-keys.ts';
import { createTenantRotation, type TenantRotation, type TenantRotationOptions } from './tenant-rotation.ts';

type Needed = { database: Database; kek: Kek } & Partial<TenantRotationOptions>;

/** What goes wrong is thrown, and so ends the process or the test. */
export function hurriedRotation({ database, kek, ...more }: Needed): TenantRotation {
  return createTenantRotation({
    database,
    tenantKeys: createTenantKeys({ database, kek }),
    kek,
    settledMs: 0,
    quietMs: 0,
    graceMs: 0,
    record: () => Promise.resolve(),
    alert: () => Promise.resolve(),
    onError: (error) => {
      throw error;
    },
    ...more,
  });
}
