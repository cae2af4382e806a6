// Nothing of an image stays: a picture of random pixels goes through every story, then every file that the database wrote
// meanwhile (tables, write-ahead log, server log) is searched for pieces of it.
import assert from 'node:assert/strict';
import { createHash, randomBytes, randomInt, randomUUID } from 'node:crypto';
import { readdir, readFile, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import pg from 'pg';
import sharp from 'sharp';
import { clusterFolder } from '../test/harness.ts';
import { testRoom, type TestRoom } from './fixtures/room.ts';
import { identify } from './identify.ts';
import { protect, type ProtectedImage } from './protect.ts';
import { verify } from './verify.ts';

const SIDE = 512;
const WINDOW_BYTES = 24;
const WINDOWS = 8;

let room: TestRoom;
let tenantId: string;

before(async () => {
  room = await testRoom();
  tenantId = await room.newTenant();
});

after(() => room.close());

test('no window of an image, marked or not, and none of its pixels is on disk afterwards', async () => {
  const sinceMs = Date.now() - 1_000;
  const pixels = randomBytes(SIDE * SIDE * 3);
  const raw = { width: SIDE, height: SIDE, channels: 3 as const };
  const source = await sharp(pixels, { raw }).jpeg({ quality: 90 }).toBuffer();
  const made = await everyStory(source);
  const marked = await sharp(made.image).raw().toBuffer();
  const canaries = [source, made.image, pixels, marked].flatMap(windowsOf);
  // a row that must be found, or the search proves nothing
  const control = randomBytes(WINDOW_BYTES);
  await room.database.inTenant(tenantId, (sql) =>
    sql.query('update photos set device_model = $2 where tenant_id = $1', [tenantId, control]),
  );
  const superuser = new pg.Client(room.db.superuser);
  await superuser.connect();
  await superuser.query('checkpoint');
  await superuser.end();
  const files = [...(await filesSince(clusterFolder(), sinceMs)), ...(await ownTemporaryFiles(sinceMs))];
  const found = { canaries: 0, control: 0 };
  for (const file of files) {
    const bytes = await readFile(file).catch(() => Buffer.alloc(0));
    found.canaries += canaries.filter((canary) => bytes.includes(canary)).length;
    found.control += bytes.includes(control) ? 1 : 0;
  }
  assert.ok(found.control > 0, `the search finds what is there, in ${files.length} files`);
  assert.equal(found.canaries, 0);
});

/** Protect, the same again by key, verify as it is and cut short, identify. */
async function everyStory(source: Buffer): Promise<ProtectedImage> {
  const caller = { tenantId, actor: 'key:test', requestId: 'canary' };
  const sha256 = createHash('sha256').update(source).digest();
  const request = { contentHash: sha256.toString('hex'), deviceModel: 'canary' };
  const key = randomUUID();
  const { signal } = new AbortController();
  const upload = (): { bytes: Uint8Array<ArrayBuffer>; sha256: Buffer } => ({ bytes: new Uint8Array(source), sha256 });
  const made = await protect(room, caller, upload(), request, key, signal);
  await protect(room, caller, upload(), request, key, signal);
  for (const bytes of [made.image, made.image.slice(0, made.image.length / 2)]) {
    await verify(room, caller, { bytes: new Uint8Array(bytes) }, made.photoId, signal);
  }
  const viewer = { tenantId, canReadTraces: true };
  await identify(room, viewer, { bytes: new Uint8Array(made.image) }, signal);
  return made;
}

/** Windows from the second half: far from headers, metadata and the manifest, which may well be kept. */
function windowsOf(bytes: Uint8Array): Buffer[] {
  return Array.from({ length: WINDOWS }, () => {
    const at = randomInt(bytes.length >> 1, bytes.length - WINDOW_BYTES - 2);
    // a multiple of three, so that base64 of the whole holds base64 of the window
    const window = Buffer.from(bytes.subarray(at - (at % 3), at - (at % 3) + WINDOW_BYTES));
    return [window, Buffer.from(window.toString('base64')), Buffer.from(window.toString('hex'))];
  }).flat();
}

async function filesSince(folder: string, sinceMs: number): Promise<string[]> {
  const found: string[] = [];
  for (const entry of await readdir(folder, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    const path = join(entry.parentPath, entry.name);
    const modifiedMs = await stat(path).then(
      ({ mtimeMs }) => mtimeMs,
      () => 0,
    );
    if (modifiedMs >= sinceMs) found.push(path);
  }
  return found;
}

/** Files that appeared at the top of the system's temporary folder: image libraries like to spill there. */
async function ownTemporaryFiles(sinceMs: number): Promise<string[]> {
  const found: string[] = [];
  for (const entry of await readdir(tmpdir(), { withFileTypes: true })) {
    const path = join(tmpdir(), entry.name);
    if (entry.isFile() && (await stat(path)).mtimeMs >= sinceMs) found.push(path);
  }
  return found;
}
