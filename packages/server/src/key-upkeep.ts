// Secrets of the installation that get new versions: when somebody asks for one, and by their age. Each with its audit line.
import { audit } from './access/audit.ts';
import { DataFolderRefused } from './data-folder.ts';
import type { InstallationKeys, RotatedKeyName } from './keys/installation-keys.ts';
import { sealOpenManifests, sealOpenRows } from './keys/sealing.ts';
import type { Database } from './storage/database.ts';
import { listKeyInventory } from './storage/postgres/key-store.ts';
import { installedTenant } from './storage/postgres/tenants.ts';

const DAY_MS = 86_400_000;
/** Of those whose old versions can go unnoticed; a new one of the watermark's lines makes the oldest pictures harder to find. */
export const ROTATED_AFTER_MS: Readonly<Partial<Record<RotatedKeyName, number>>> = {
  people: 60 * DAY_MS,
  'api-key-pepper': 60 * DAY_MS,
  session: 60 * DAY_MS,
  cursor: 60 * DAY_MS,
};

/** Returns the version. The audit chain of the database must be kept. @throws DataFolderRefused */
export function rotateSecret(keys: InstallationKeys, name: RotatedKeyName): Promise<number> {
  return keys.rotate(name, async (sql, version) => {
    const tenantId = await installedTenant(sql);
    if (tenantId === undefined) throw new DataFolderRefused('There is no installation in this database yet.');
    await sql.query(`select set_config('app.tenant', $1, true)`, [tenantId]);
    await audit(sql, {
      tenantId,
      actor: 'system',
      requestId: 'keys-rotate',
      action: 'key.rotate',
      object: `${name}:${version}`,
      outcome: 'done',
    });
  });
}

/** Every night: new versions for what is too old, and rows under an older version sealed again. Returns what was rotated. */
export async function keepSecrets(
  database: Database,
  keys: InstallationKeys,
  nowMs: () => number = Date.now,
): Promise<RotatedKeyName[]> {
  const rotated: RotatedKeyName[] = [];
  const inventory = await database.inSystem(listKeyInventory);
  for (const [name, afterMs] of Object.entries(ROTATED_AFTER_MS) as [RotatedKeyName, number][]) {
    const newest = Math.max(
      ...inventory.filter((row) => row.name === name).map(({ createdAt }) => createdAt.getTime()),
    );
    // none yet is none to rotate
    if (newest === -Infinity || nowMs() - newest < afterMs) continue;
    await rotateSecret(keys, name);
    rotated.push(name);
  }
  await sealOpenRows(database);
  await sealOpenManifests(database);
  return rotated;
}
