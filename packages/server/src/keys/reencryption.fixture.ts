// A process that seals again, slowly, until it is killed or has nothing to do: URL of the application, URL of the owner, KEK in hex.
import { Database } from '../storage/database.ts';
import { kekFromBytes } from './kek.ts';
import { hurriedRotation } from './tenant-rotation.fixture.ts';

const [app = '', owner = '', hex = ''] = process.argv.slice(2);
const database = new Database({ app: { connectionString: app }, owner: { connectionString: owner } });
const kek = kekFromBytes(Buffer.from(hex, 'hex'));
const rotation = hurriedRotation({ database, kek, restFactor: 30 });
process.stdout.write('working\n');
await rotation.work(new AbortController().signal);
await database.close();
