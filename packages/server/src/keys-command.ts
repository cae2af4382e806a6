// The command `keys`: what there is, without material, a new version of a key, or a certificate revoked.
import { join } from 'node:path';
import { audit, keepAuditChain } from './access/audit.ts';
import { rotateTokenKey } from './access/token-rotation.ts';
import { storageToRead } from './archive.ts';
import { UsageError, type Config, type Invocation } from './config.ts';
import { DataFolderRefused, isPlainKek, kekPath, settleKek, versionOfKek } from './data-folder.ts';
import { kekDoors } from './kek-door.ts';
import { KEK_SETTLED_MS, rotateKek } from './kek-rotation.ts';
import { rotateSecret } from './key-upkeep.ts';
import { createInstallationKeys, type InstallationKeys, type RotatedKeyName } from './keys/installation-keys.ts';
import { KekRing } from './keys/kek.ts';
import { createRevocations } from './keys/revocation.ts';
import { SignerProcess, tokenKeysOf } from './keys/signer/client.ts';
import { wrappingKeyFrom } from './keys/signer/protocol.ts';
import { createTenantKeys } from './keys/tenant-keys.ts';
import { createTenantRotation } from './keys/tenant-rotation.ts';
import type { Database } from './storage/database.ts';
import { listInstallationInventory } from './storage/postgres/key-inventory.ts';
import { listKekVersions, listKeyInventory } from './storage/postgres/key-store.ts';
import { certificateRevoked, writeEntry } from './transparency/entry.ts';

/** Prints, and returns the exit code. @throws UsageError, DataFolderRefused, RevocationRefused */
export async function keysCommand(invocation: Invocation): Promise<number> {
  const { config } = invocation;
  const [action = '', object] = invocation.words;
  const kind = rotatedKind(action, object);
  if (
    !['list', 'rotate', 'revoke'].includes(action) ||
    (action !== 'rotate' && (action === 'revoke') !== (object !== undefined))
  )
    throw new UsageError('Expected "keys list", "keys rotate KIND" or "keys revoke KID".');
  const at = momentOf(invocation);
  const { storage, isServing, isRunningHere, close } = await storageToRead(config);
  try {
    const { database } = storage;
    if (action === 'list') await list(database);
    else if (kind === 'kek') await rotateTheKek(config, database, { isServing, isRunningHere });
    else if (kind === 'tenant-data') await rotateTenants(config, database);
    else if (kind === 'token') await rotateTokens(config, database);
    else if (kind !== undefined) await rotate(await openKeys(config, database), database, kind);
    else
      await revoke(await openKeys(config, database), database, { kid: object as string, at, ...reasonOf(invocation) });
    return 0;
  } finally {
    await close();
  }
}

async function list(database: Database): Promise<void> {
  for (const { version, createdAt } of await database.inSystem(listKekVersions))
    say(`${'kek'.padEnd(18)} ${String(version).padStart(4)}  ${createdAt.toISOString()}`);
  for (const { name, version, createdAt } of await database.inSystem(listKeyInventory))
    say(`${name.padEnd(18)} ${version.padStart(4)}  ${createdAt.toISOString()}`);
  for (const { kind, id, createdAt, endsAt, revokedAt } of await database.inSystem(listInstallationInventory)) {
    if (kind === 'secret') continue;
    const ends = endsAt === null ? '' : `  ends ${endsAt.toISOString()}`;
    const revoked = revokedAt === null ? '' : `  revoked ${revokedAt.toISOString()}`;
    say(`${kind.padEnd(18)} ${id}  ${createdAt.toISOString()}${ends}${revoked}`);
  }
}

/** What can be rotated from here, and what that means for what the versions before made. */
const ROTATIONS = {
  kek: '',
  'watermark-sync': 'pictures are marked with it in a minute; older versions still read',
  people: 'addresses and names are sealed with it from a minute on, those that are there by the next night or start',
  'api-key-pepper': 'hashes of new API keys are made with it in a minute, those that are there when they are used',
  session: 'sessions are opened with it in a minute; those that are open go on',
  cursor: 'lists are paged with it in a minute; pages of the last day go on',
  'tenant-data': '',
  token: '',
} as const satisfies Record<RotatedKeyName | 'kek' | 'tenant-data' | 'token', string>;

type RotatedKind = keyof typeof ROTATIONS;

/** Undefined for an action that rotates nothing. Without a kind it is the one that came first. */
function rotatedKind(action: string, object = 'watermark-sync'): RotatedKind | undefined {
  if (action !== 'rotate') return undefined;
  if (Object.hasOwn(ROTATIONS, object)) return object as RotatedKind;
  throw new UsageError(`Expected "keys rotate" with ${Object.keys(ROTATIONS).join(', ')} but received "${object}".`);
}

async function rotate(keys: InstallationKeys, database: Database, kind: RotatedKeyName): Promise<void> {
  keepAuditChain(database, (await keys.secret('audit-chain')).secret);
  const version = await rotateSecret(keys, kind);
  say(`${kind} ${version}: ${ROTATIONS[kind]}.`);
}

async function rotateTenants(config: Config, database: Database): Promise<void> {
  const kek = await openRing(config, database);
  const keys = createInstallationKeys({ database, kek });
  keepAuditChain(database, (await keys.secret('audit-chain')).secret);
  const rotation = createTenantRotation({
    database,
    kek,
    tenantKeys: createTenantKeys({ database, kek }),
    record: (sql, { tenantId, action, versions }) =>
      audit(sql, {
        tenantId,
        actor: 'system',
        requestId: 'keys-rotate',
        action,
        object: `tenant-key:${versions.join(',')}`,
        outcome: 'done',
      }),
    alert: () => Promise.resolve(),
    onError: (error, tenantId) => process.stderr.write(`lumatrace: ${tenantId} was not rotated: ${String(error)}\n`),
  });
  const rotated = await rotation.rotateAll();
  say(
    `tenant-data: ${rotated} tenants have a new version, which seals in a minute; a running LumaTrace does the rest.`,
  );
}

async function rotateTokens(config: Config, database: Database): Promise<void> {
  const { inUse, others } = await settleKek(database, kekPath(config.dataDir, config.kekFile), kekDoors(config).door);
  const keys = createInstallationKeys({ database, kek: new KekRing(inUse, others) });
  keepAuditChain(database, (await keys.secret('audit-chain')).secret);
  const signer = await SignerProcess.start({
    wrappingKey: wrappingKeyFrom(inUse.bytes),
    directory: join(config.dataDir, 'run'),
  });
  try {
    const { kid } = await rotateTokenKey({ database, signer: tokenKeysOf(signer) });
    say(`token ${kid}: published now; it signs from tomorrow on, and the one before verifies for an hour more.`);
  } finally {
    await signer.close();
  }
}

async function rotateTheKek(
  config: Config,
  database: Database,
  { isServing, isRunningHere }: { isServing: boolean; isRunningHere: boolean },
): Promise<void> {
  const file = kekPath(config.dataDir, config.kekFile);
  const { door, either, isTransit } = kekDoors(config);
  const isMoved = (await isPlainKek(file)) === isTransit;
  if (isMoved && isRunningHere)
    throw new DataFolderRefused(
      'The key is to be moved, and a LumaTrace that runs cannot follow it: stop it, rotate, and start it with the new configuration.',
    );
  const { inUse, others } = await settleKek(database, file, either);
  const keys = createInstallationKeys({ database, kek: new KekRing(inUse, others) });
  keepAuditChain(database, (await keys.secret('audit-chain')).secret);
  if (isServing) say(`A running LumaTrace is given ${KEK_SETTLED_MS / 1_000} s to read with the new key first.`);
  const { version, before, rewrapped } = await rotateKek({
    database,
    file,
    door: either,
    newDoor: door,
    runDir: join(config.dataDir, 'run'),
    settleMs: isServing ? KEK_SETTLED_MS : 0,
  });
  const where = isTransit ? 'sealed by the transit engine' : 'as it is';
  say(`kek ${version}: ${rewrapped} keys were wrapped again. It lies in ${file} ${where}: keep a copy elsewhere.`);
  say(
    `Backups made until now open with ${versionOfKek(file, before)} alone: keep it with them, and take it away from here.`,
  );
}

async function revoke(
  keys: InstallationKeys,
  database: Database,
  request: { kid: string; at: Date; reason?: string },
): Promise<void> {
  keepAuditChain(database, (await keys.secret('audit-chain')).secret);
  const revocations = createRevocations({ database });
  const tenantId = await revocations.keeper();
  if (tenantId === undefined) throw new DataFolderRefused('There is no installation in this database yet.');
  const { revokedAt } = await revocations.revoke(request, tenantId, async (sql, { kid, purpose, revokedAt: from }) => {
    await audit(sql, {
      tenantId,
      actor: 'system',
      requestId: 'keys-revoke',
      action: 'certificate.revoke',
      object: `certificate:${kid}`,
      outcome: 'done',
      detail: { purpose, from: from.toISOString(), ...(request.reason && { reason: request.reason }) },
    });
    await writeEntry(sql, certificateRevoked(tenantId, kid));
  });
  say(
    `${request.kid} is revoked from ${revokedAt.toISOString()}; a running LumaTrace signs with a new one in a minute.`,
  );
}

async function openRing(config: Config, database: Database): Promise<KekRing> {
  const file = kekPath(config.dataDir, config.kekFile);
  const { inUse, others } = await settleKek(database, file, kekDoors(config).door);
  return new KekRing(inUse, others);
}

async function openKeys(config: Config, database: Database): Promise<InstallationKeys> {
  return createInstallationKeys({ database, kek: await openRing(config, database) });
}

const MOMENT = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}(:\d{2}(\.\d{1,9})?)?(Z|[+-]\d{2}:\d{2})$/;
const MAX_REASON = 200;

function momentOf({ at }: Invocation): Date {
  if (at === undefined) return new Date();
  const moment = new Date(at);
  if (MOMENT.test(at) && !Number.isNaN(moment.getTime())) return moment;
  throw new UsageError(`Expected a moment such as 2026-11-23T12:00:00Z for --at but received "${at}"`);
}

function reasonOf({ reason }: Invocation): { reason?: string } {
  if (reason === undefined) return {};
  if (reason.trim() !== '' && reason.length <= MAX_REASON) return { reason: reason.trim() };
  throw new UsageError(`Expected a reason of 1 to ${MAX_REASON} characters for --reason`);
}

const say = (line: string): void => void process.stdout.write(`${line}\n`);
