// The rows behind Idempotency-Key: claim, keep, finish, give back. All times are the database's own clock.
import type { Sql } from '../database.ts';

/** One key of one tenant on one route. */
export interface IdempotencyKey {
  tenantId: string;
  route: string;
  key: string;
}

/** What was answered; `body` is there for small JSON answers, `outputSha256` and `photoId` where an image was. */
export interface RecordedAnswer {
  status: number;
  headers: Record<string, string>;
  body: Uint8Array | null;
  outputSha256: Uint8Array | null;
  photoId: string | null;
}

/** The row as somebody finds it who could not claim it. */
export interface ForeignClaim {
  bodySha256: Uint8Array;
  state: 'running' | 'done';
  answer: RecordedAnswer | null;
}

/** How long a claim holds without a sign of life: after kill -9 the next one may go on. */
export const LEASE_SECONDS = 15;
const KEPT_HOURS = 24;
const EXPIRED_PER_CLAIM = 20;

/**
 * Takes the key for `owner`: when nobody has it, when its 24 hours are over, or when its owner stopped giving signs of
 * life and the body is the same. True when it is ours now; it then stays ours until `finish`, `release` or the lease ends.
 */
export async function claimKey(sql: Sql, at: IdempotencyKey, owner: string, bodySha256: Uint8Array): Promise<boolean> {
  const { rowCount } = await sql.query(
    `insert into idempotency as held (tenant_id, route, key, body_sha256, owner, lease_until, expires_at)
     values ($1, $2, $3, $4, $5, clock_timestamp() + make_interval(secs => $6), clock_timestamp() + make_interval(hours => $7))
     on conflict (tenant_id, route, key) do update
       set body_sha256 = excluded.body_sha256,
           owner = excluded.owner,
           lease_until = excluded.lease_until,
           expires_at = excluded.expires_at,
           created_at = excluded.created_at,
           state = 'running', status = null, headers = null, body = null, output_sha256 = null, photo_id = null
       where held.expires_at <= clock_timestamp()
          or (held.state = 'running' and held.lease_until <= clock_timestamp()
              and held.body_sha256 = excluded.body_sha256)`,
    [at.tenantId, at.route, at.key, bodySha256, owner, LEASE_SECONDS, KEPT_HOURS],
  );
  return rowCount === 1;
}

interface ClaimRow {
  body_sha256: Buffer;
  state: 'running' | 'done';
  status: number | null;
  headers: Record<string, string> | null;
  body: Buffer | null;
  output_sha256: Buffer | null;
  photo_id: string | null;
}

/** Who has the key, or what was answered under it; null when it is free. */
export async function readKey(sql: Sql, at: IdempotencyKey): Promise<ForeignClaim | null> {
  const { rows } = await sql.query<ClaimRow>(
    `select body_sha256, state, status, headers, body, output_sha256, photo_id
       from idempotency
      where tenant_id = $1 and route = $2 and key = $3 and expires_at > clock_timestamp()`,
    [at.tenantId, at.route, at.key],
  );
  const row = rows[0];
  if (!row) return null;
  return { bodySha256: row.body_sha256, state: row.state, answer: answerOf(row) };
}

function answerOf(row: ClaimRow): RecordedAnswer | null {
  if (row.state !== 'done' || row.status === null) return null;
  return {
    status: row.status,
    headers: row.headers ?? {},
    body: row.body,
    outputSha256: row.output_sha256,
    photoId: row.photo_id,
  };
}

/** Prolongs the lease; false when the key is no longer ours. */
export async function keepKey(sql: Sql, at: IdempotencyKey, owner: string): Promise<boolean> {
  const { rowCount } = await sql.query(
    `update idempotency
        set lease_until = clock_timestamp() + make_interval(secs => $5)
      where tenant_id = $1 and route = $2 and key = $3 and owner = $4 and state = 'running'`,
    [at.tenantId, at.route, at.key, owner, LEASE_SECONDS],
  );
  return rowCount === 1;
}

/**
 * Records the answer in the transaction of its effect; false when the key was taken over meanwhile: then the caller
 * must roll back, or there would be two effects.
 */
export async function finishKey(sql: Sql, at: IdempotencyKey, owner: string, answer: RecordedAnswer): Promise<boolean> {
  const { rowCount } = await sql.query(
    `update idempotency
        set state = 'done', status = $5, headers = $6, body = $7, output_sha256 = $8, photo_id = $9
      where tenant_id = $1 and route = $2 and key = $3 and owner = $4 and state = 'running'`,
    [
      at.tenantId,
      at.route,
      at.key,
      owner,
      answer.status,
      JSON.stringify(answer.headers),
      answer.body,
      answer.outputSha256,
      answer.photoId,
    ],
  );
  return rowCount === 1;
}

/** Gives the key back after a failure, so that the next attempt runs anew; nothing when it is no longer ours. */
export async function releaseKey(sql: Sql, at: IdempotencyKey, owner: string): Promise<void> {
  await sql.query(
    `delete from idempotency
      where tenant_id = $1 and route = $2 and key = $3 and owner = $4 and state = 'running'`,
    [at.tenantId, at.route, at.key, owner],
  );
}

/** Removes keys of one tenant whose 24 hours are over, at most `limit`; answers how many. */
export async function removeExpiredKeys(sql: Sql, tenantId: string, limit = EXPIRED_PER_CLAIM): Promise<number> {
  const { rowCount } = await sql.query(
    `delete from idempotency
      where (tenant_id, route, key) in (
        select tenant_id, route, key
          from idempotency
         where tenant_id = $1 and expires_at <= clock_timestamp()
         order by expires_at
         limit $2
           for update skip locked)`,
    [tenantId, limit],
  );
  return rowCount;
}

/** Every tenant of the installation; in a system transaction. */
export async function everyTenant(sql: Sql): Promise<string[]> {
  const { rows } = await sql.query<{ tenant_id: string }>('select tenant_id from tenants order by tenant_id');
  return rows.map(({ tenant_id: tenantId }) => tenantId);
}
