// The command `tenants`: who is there, erasing one, and the certificate of it, which is checked without the installation.
import { createPublicKey, type KeyObject } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { keepAuditChain } from './access/audit.ts';
import { checkpointKey } from './access/audit-checkpoint.ts';
import { createErasures, type Erasure, type Erasures } from './access/erasure.ts';
import { readCertificate } from './access/erasure-certificate.ts';
import { storageToRead } from './archive.ts';
import { UsageError, type Config, type Invocation } from './config.ts';
import { DataFolderRefused, kekPath, settleKek } from './data-folder.ts';
import { kekDoors } from './kek-door.ts';
import { createInstallationKeys } from './keys/installation-keys.ts';
import { KekRing } from './keys/kek.ts';
import type { Database } from './storage/database.ts';
import { listTenants } from './storage/postgres/tenants.ts';

const ACTIONS = new Map([
  ['list', 0],
  ['erase', 1],
  ['certificate', 1],
  ['verify', 1],
]);
const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
const MAX_FILE = 100_000;

/** Prints, and returns the exit code. @throws UsageError, DataFolderRefused, Refusal */
export async function tenantsCommand(invocation: Invocation): Promise<number> {
  const [action = '', object = ''] = invocation.words;
  if (ACTIONS.get(action) !== (object === '' ? 0 : 1))
    throw new UsageError('Expected "tenants list", "erase ID", "certificate ID" or "verify FILE".');
  const { config } = invocation;
  if (action === 'verify')
    return verify(object, invocation.key ?? join(config.dataDir, 'audit-checkpoints/public-key.pem'));
  if (action !== 'list' && !UUID.test(object))
    throw new UsageError(`Expected the id of a tenant but received "${object}".`);
  if (action === 'erase' && invocation.name === undefined)
    throw new UsageError(
      'Expected --name with the name of the tenant, as "tenants list" shows it: there is no way back.',
    );
  const { storage, isServing, close } = await storageToRead(config);
  try {
    if (action === 'list') return await list(storage.database);
    const erasures = await openErasures(config, storage.database, isServing);
    if (action === 'erase') return await erase(erasures, object, invocation.name ?? '', isServing);
    return await certificate(erasures, object);
  } finally {
    await close();
  }
}

async function list(database: Database): Promise<number> {
  for (const { tenantId, name, createdAt } of await database.inSystem(listTenants))
    say(`${tenantId}  ${createdAt.toISOString()}  ${name}`);
  return 0;
}

async function erase(erasures: Erasures, tenantId: string, name: string, isServing: boolean): Promise<number> {
  const begun = await erasures.begin(tenantId, { actor: 'system', requestId: 'tenants-erase', name });
  tell(`Every key of ${tenantId} is destroyed: nothing of it opens any more.`);
  if (isServing) {
    tell('Its rows are removed within minutes by the LumaTrace that runs; then:');
    tell(`./lumatrace tenants certificate ${tenantId} > ${tenantId}.erased`);
    return 0;
  }
  // nobody else writes: what is left goes now
  await erasures.work(new AbortController().signal);
  return printed((await erasures.find({ tenantId })) ?? begun);
}

async function certificate(erasures: Erasures, tenantId: string): Promise<number> {
  const erasure = await erasures.find({ tenantId });
  if (erasure === undefined) throw new DataFolderRefused('This tenant was not erased here.');
  return printed(erasure);
}

function printed({ tenantId, certificate: note, removed }: Erasure): number {
  if (note === null) {
    tell(`The rows of ${tenantId} are being removed: ${JSON.stringify(removed)}`);
    return 1;
  }
  process.stdout.write(note);
  return 0;
}

async function verify(file: string, keyFile: string): Promise<number> {
  const [note, key] = [await readText(file), publicKeyFrom(await readText(keyFile), keyFile)];
  const facts = readCertificate(key, note);
  if (facts === undefined) {
    say(`${file} is no certificate under ${keyFile}: another key, or changed.`);
    return 1;
  }
  say(`The certificate holds: tenant ${facts.tenantId}, keys destroyed ${facts.keysDestroyedAt}.`);
  say(JSON.stringify(facts, undefined, 2));
  return 0;
}

async function readText(file: string): Promise<string> {
  const text = await readFile(file, 'utf8').catch((error: NodeJS.ErrnoException) => {
    throw new DataFolderRefused(`${file} cannot be read: ${error.code ?? String(error)}.`);
  });
  if (text.length > MAX_FILE) throw new DataFolderRefused(`${file} is too long for what it should be.`);
  return text;
}

function publicKeyFrom(pem: string, file: string): KeyObject {
  try {
    const key = createPublicKey(pem);
    if (key.asymmetricKeyType === 'ed25519') return key;
  } catch {
    // said below
  }
  throw new DataFolderRefused(`${file} holds no Ed25519 public key in PEM.`);
}

async function openErasures(config: Config, database: Database, isServing: boolean): Promise<Erasures> {
  const { inUse, others } = await settleKek(database, kekPath(config.dataDir, config.kekFile), kekDoors(config).door);
  const keys = createInstallationKeys({ database, kek: new KekRing(inUse, others) });
  keepAuditChain(database, (await keys.secret('audit-chain')).secret);
  return createErasures({
    database,
    signingKey: checkpointKey((await keys.secret('audit-checkpoint')).secret),
    forget: () => {},
    ...(isServing ? {} : { settledMs: 0 }),
  });
}

const say = (line: string): void => void process.stdout.write(`${line}\n`);
const tell = (line: string): void => void process.stderr.write(`lumatrace: ${line}\n`);
