// A process that seals again, slowly, until it is killed or has nothing to do: URL of the application, URL of the owner, KEK in hex.
import { Database } from '../storage/database.ts';
import { kekFromBytes } from './kek.ts';
import { createTenantKeys } from './tenant-keys.ts';
import { createTenantRotation } from './tenant-rotation.ts';

const [app = '', owner = '', hex = ''] = process.argv.slice(2);
const database = new Database({ app: { connectionString: app }, owner: { connectionString: owner } });
const kek = kekFromBytes(Buffer.from(hex, 'hex'));
const rotation = createTenantRotation({
  database,
  tenantKeys: createTenantKeys({ database, kek }),
  kek,
  settledMs: 0,
  quietMs: 0,
  graceMs: 0,
  restFactor: 30,
  record: () => Promise.resolve(),
  alert: () => Promise.resolve(),
  onError: (error) => {
    throw error;
  },
});
process.stdout.write('working\n');
await rotation.work(new AbortController().signal);
await database.close();
