// The rotation of the keys that sign tokens. A new one is published a day before it signs, so that whoever caches the set has
// it by then; the one before verifies until the last token that it signed has ended, and its private half is destroyed.
import { calculateJwkThumbprint } from 'jose';
import type { Database, Sql } from '../storage/database.ts';
import { insertSigningKey, lockSigningKeys } from '../storage/postgres/key-store.ts';
import {
  activateSigningKey,
  listSigningKeyLives,
  retireSigningKey,
  type SigningKeyLife,
} from '../storage/postgres/signing-key-states.ts';
import { installedTenant } from '../storage/postgres/tenants.ts';
import { audit } from './audit.ts';
import { Refusal } from './refusal.ts';
import type { TokenSigner } from './signing-keys.ts';

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
/** A key signs so long. */
export const TOKEN_KEY_LIFE_MS = 60 * DAY_MS;
/** So long it is published before it signs; a cache of the set lives 5 minutes, one that does not say so for a day. */
export const PUBLISHED_BEFORE_MS = DAY_MS;
/** So long it verifies afterwards: a token's 15 minutes, what clocks differ by, the 5 minutes of a cached set, and reserve. */
export const RETIRING_MS = HOUR_MS;

type Change = 'publish' | 'activate' | 'retire';
export interface TokenKeyChange {
  change: Change;
  kid: string;
}

export interface TokenRotationOptions {
  database: Database;
  signer: Pick<TokenSigner, 'generate'>;
}

const isDue = (lives: readonly SigningKeyLife[]): boolean =>
  lives.some(({ state, activeMs }) => state === 'active' && (activeMs ?? 0) >= TOKEN_KEY_LIFE_MS - PUBLISHED_BEFORE_MS);

const hasNext = (lives: readonly SigningKeyLife[]): boolean => lives.some(({ state }) => state === 'next');

/** What the schedule does every hour; late, twice or at once is once. Returns what changed. The audit chain must be kept. */
export async function keepTokenKeys({ database, signer }: TokenRotationOptions): Promise<TokenKeyChange[]> {
  const published = isDue(await database.inSystem(listSigningKeyLives))
    ? await publishNext({ database, signer }, isDue)
    : [];
  const changed = await database.inSystem(async (sql) => {
    await lockSigningKeys(sql);
    const changes: TokenKeyChange[] = [];
    for (const { kid, state, knownMs, retiringMs } of await listSigningKeyLives(sql)) {
      if (state === 'next' && knownMs >= PUBLISHED_BEFORE_MS) {
        await activateSigningKey(sql, kid);
        changes.push({ change: 'activate', kid });
      } else if (state === 'retiring' && (retiringMs ?? 0) >= RETIRING_MS) {
        await retireSigningKey(sql, kid);
        changes.push({ change: 'retire', kid });
      }
    }
    await tell(sql, changes);
    return changes;
  });
  return [...published, ...changed];
}

/**
 * Publishes the next key now, whatever the age of the one that signs; the schedule activates it a day later.
 * @throws Refusal CONFLICT when one is published already
 */
export async function rotateTokenKey(options: TokenRotationOptions): Promise<TokenKeyChange> {
  const [made] = await publishNext(options, () => true);
  if (made !== undefined) return made;
  throw new Refusal('CONFLICT', 'The next key of tokens is published already: it signs a day after that.');
}

// the pair is drawn before the transaction, since that takes a second or more
async function publishNext(
  { database, signer }: TokenRotationOptions,
  isWanted: (lives: readonly SigningKeyLife[]) => boolean,
): Promise<TokenKeyChange[]> {
  if (hasNext(await database.inSystem(listSigningKeyLives))) return [];
  const { publicJwk, wrappedPrivate } = await signer.generate();
  const kid = await calculateJwkThumbprint(publicJwk, 'sha256');
  return database.inSystem(async (sql) => {
    await lockSigningKeys(sql);
    const lives = await listSigningKeyLives(sql);
    if (hasNext(lives) || !isWanted(lives)) return [];
    const changes: TokenKeyChange[] = [{ change: 'publish', kid }];
    await insertSigningKey(sql, {
      kid,
      alg: 'RS256',
      publicJwk: { ...publicJwk },
      wrappedPrivate: Buffer.from(wrappedPrivate),
      state: 'next',
      activatedAt: null,
    });
    await tell(sql, changes);
    return changes;
  });
}

async function tell(sql: Sql, changes: readonly TokenKeyChange[]): Promise<void> {
  const tenantId = changes.length === 0 ? undefined : await installedTenant(sql);
  if (tenantId === undefined) return;
  await sql.query(`select set_config('app.tenant', $1, true)`, [tenantId]);
  for (const { change, kid } of changes)
    await audit(sql, {
      tenantId,
      actor: 'system',
      requestId: 'keys-rotate',
      action: `token-key.${change}`,
      object: `token-key:${kid}`,
      outcome: 'done',
    });
}
