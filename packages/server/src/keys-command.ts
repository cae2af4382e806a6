// The command `keys`: what there is, without material, a new version of the watermark's lines, or a certificate revoked.
import { audit, keepAuditChain } from './access/audit.ts';
import { storageToRead } from './archive.ts';
import { UsageError, type Config, type Invocation } from './config.ts';
import { checkKek, DataFolderRefused, kekPath, readKek } from './data-folder.ts';
import { createInstallationKeys, SETTLED_MS, type InstallationKeys } from './keys/installation-keys.ts';
import { kekFromBytes } from './keys/kek.ts';
import { createRevocations } from './keys/revocation.ts';
import type { Database } from './storage/database.ts';
import { listInstallationInventory } from './storage/postgres/key-inventory.ts';
import { listKeyInventory } from './storage/postgres/key-store.ts';
import { certificateRevoked, writeEntry } from './transparency/entry.ts';

/** Prints, and returns the exit code. @throws UsageError, DataFolderRefused, RevocationRefused */
export async function keysCommand(invocation: Invocation): Promise<number> {
  const { config } = invocation;
  const [action = '', kid] = invocation.words;
  if (!['list', 'rotate', 'revoke'].includes(action) || (action === 'revoke') !== (kid !== undefined))
    throw new UsageError('Expected "keys list", "keys rotate" or "keys revoke KID".');
  const at = momentOf(invocation);
  const { storage, close } = await storageToRead(config);
  try {
    const { database } = storage;
    if (action === 'list') await list(database);
    else if (action === 'rotate') await rotate(await openKeys(config, database));
    else await revoke(await openKeys(config, database), database, { kid: kid as string, at, ...reasonOf(invocation) });
    return 0;
  } finally {
    await close();
  }
}

async function list(database: Database): Promise<void> {
  for (const { name, version, createdAt } of await database.inSystem(listKeyInventory))
    say(`${name.padEnd(18)} ${version.padStart(4)}  ${createdAt.toISOString()}`);
  for (const { kind, id, createdAt, endsAt, revokedAt } of await database.inSystem(listInstallationInventory)) {
    if (kind === 'secret') continue;
    const ends = endsAt === null ? '' : `  ends ${endsAt.toISOString()}`;
    const revoked = revokedAt === null ? '' : `  revoked ${revokedAt.toISOString()}`;
    say(`${kind.padEnd(18)} ${id}  ${createdAt.toISOString()}${ends}${revoked}`);
  }
}

async function rotate(keys: InstallationKeys): Promise<void> {
  const version = await keys.rotate('watermark-sync');
  say(`watermark-sync ${version}: pictures are marked with it in ${SETTLED_MS / 1_000} s; older versions still read.`);
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

async function openKeys(config: Config, database: Database): Promise<InstallationKeys> {
  const file = kekPath(config.dataDir, config.kekFile);
  const bytes = await readKek(file);
  if (bytes === undefined) throw new DataFolderRefused(`The key ${file} is missing.`);
  await checkKek(database, bytes, file);
  return createInstallationKeys({ database, kek: kekFromBytes(bytes) });
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
