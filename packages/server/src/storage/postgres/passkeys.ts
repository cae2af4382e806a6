// SQL of passkeys: public halves of a person's own, and the challenges that were used.
import type { Sql } from '../database.ts';

export interface PasskeyRow {
  accountId: string;
  /** base64url */
  credentialId: string;
  /** COSE */
  publicKey: Buffer;
  counter: number;
  transports: string[];
  isBackedUp: boolean;
  name: string;
  createdAt: Date;
  lastUsedAt: Date | null;
}

const COLUMNS = `
  account_id as "accountId",
  credential_id as "credentialId",
  public_key as "publicKey",
  counter::float8 as counter,
  transports,
  is_backed_up as "isBackedUp",
  name,
  created_at as "createdAt",
  last_used_at as "lastUsedAt"
`;

/** Acting as the account: the newest first. */
export async function listPasskeys(sql: Sql, accountId: string): Promise<PasskeyRow[]> {
  const { rows } = await sql.query<PasskeyRow>(
    `
      select ${COLUMNS}
      from passkeys
      where account_id = $1
      order by created_at desc, credential_id
      limit 100
    `,
    [accountId],
  );
  return rows;
}

/** Acting as the account. */
export async function findPasskey(sql: Sql, accountId: string, credentialId: string): Promise<PasskeyRow | undefined> {
  const { rows } = await sql.query<PasskeyRow>(
    `
      select ${COLUMNS}
      from passkeys
      where account_id = $1 and credential_id = $2
    `,
    [accountId, credentialId],
  );
  return rows[0];
}

/** Acting as the account. @returns whether it is new */
export async function insertPasskey(sql: Sql, passkey: Omit<PasskeyRow, 'lastUsedAt'>): Promise<boolean> {
  const { rowCount } = await sql.query(
    `
      insert into passkeys
        (account_id, credential_id, public_key, counter, transports, is_backed_up, name, created_at)
      values ($1, $2, $3, $4, $5, $6, $7, $8)
      on conflict do nothing
    `,
    [
      passkey.accountId,
      passkey.credentialId,
      passkey.publicKey,
      passkey.counter,
      passkey.transports,
      passkey.isBackedUp,
      passkey.name,
      passkey.createdAt,
    ],
  );
  return rowCount === 1;
}

/** Acting as the account. @returns its name; undefined: there was none */
export async function deletePasskey(sql: Sql, accountId: string, credentialId: string): Promise<string | undefined> {
  const { rows } = await sql.query<{ name: string }>(
    'delete from passkeys where account_id = $1 and credential_id = $2 returning name',
    [accountId, credentialId],
  );
  return rows[0]?.name;
}

/** Acting as the account. @returns whether it is still there with the counter that was looked at */
export async function usePasskey(
  sql: Sql,
  used: {
    accountId: string;
    credentialId: string;
    seenCounter: number;
    counter: number;
    isBackedUp: boolean;
    at: Date;
  },
): Promise<boolean> {
  const { rowCount } = await sql.query(
    `
      update passkeys
      set counter = $4, is_backed_up = $5, last_used_at = $6
      where account_id = $1 and credential_id = $2 and counter = $3
    `,
    [used.accountId, used.credentialId, used.seenCounter, used.counter, used.isBackedUp, used.at],
  );
  return rowCount === 1;
}

/** Acting as the account; forgets those that have ended. @returns whether it was not used before */
export async function useChallenge(
  sql: Sql,
  used: { accountId: string; challengeHash: string; endsAt: Date; now: Date },
): Promise<boolean> {
  await sql.query('delete from used_challenges where account_id = $1 and ends_at < $2', [used.accountId, used.now]);
  const { rowCount } = await sql.query(
    `
      insert into used_challenges (account_id, challenge_hash, ends_at)
      values ($1, $2, $3)
      on conflict do nothing
    `,
    [used.accountId, used.challengeHash, used.endsAt],
  );
  return rowCount === 1;
}
