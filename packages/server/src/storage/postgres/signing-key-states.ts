// SQL of the life of token signing keys: next -> active -> retiring -> retired. As the owner; ages by the database's clock.
import type { Sql } from '../database.ts';

export interface SigningKeyLife {
  kid: string;
  state: 'next' | 'active' | 'retiring';
  /** Since it was published. */
  knownMs: number;
  /** Since it began to sign, and since it stopped; null before. */
  activeMs: number | null;
  retiringMs: number | null;
}

/** Those that are published, the longest known first. */
export async function listSigningKeyLives(sql: Sql): Promise<SigningKeyLife[]> {
  const { rows } = await sql.query<SigningKeyLife>(`
    select
      kid,
      state,
      (1000 * extract(epoch from clock_timestamp() - created_at))::float8 as "knownMs",
      (1000 * extract(epoch from clock_timestamp() - activated_at))::float8 as "activeMs",
      (1000 * extract(epoch from clock_timestamp() - retired_at))::float8 as "retiringMs"
    from signing_keys
    where state in ('next', 'active', 'retiring')
    order by created_at, kid
  `);
  return rows;
}

/** The next one signs from now on; the one before verifies for a while. */
export async function activateSigningKey(sql: Sql, kid: string): Promise<void> {
  await sql.query(`
    update signing_keys
    set state = 'retiring', retired_at = clock_timestamp()
    where state = 'active'`);
  await sql.query(`update signing_keys set state = 'active', activated_at = clock_timestamp() where kid = $1`, [kid]);
}

/** It verifies nothing any more, and its private half is gone. */
export async function retireSigningKey(sql: Sql, kid: string): Promise<void> {
  await sql.query(`update signing_keys set state = 'retired', wrapped_private = '' where kid = $1`, [kid]);
}
