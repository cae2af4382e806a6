// SQL of the keys behind photographs: few rows, written once, read by the owner only.
import type { Sql } from '../database.ts';

export type PhotoKeyPurpose = 'root' | 'issuing-ca' | 'leaf' | 'registration' | 'time-stamping';

export interface PhotoKeyRow {
  kid: string;
  purpose: PhotoKeyPurpose;
  certificatePem: string | null;
  publicSpki: Buffer;
  wrappedPrivate: Buffer | null;
  createdAt: Date;
  expiresAt: Date | null;
  revokedAt: Date | null;
}

// Any constant of our own: one process makes keys, the others wait and read them.
const PHOTO_KEYS_LOCK = 7_340_119;

/** As the owner: held until the transaction ends. */
export async function lockPhotoKeys(sql: Sql): Promise<void> {
  await sql.query('select pg_advisory_xact_lock($1)', [PHOTO_KEYS_LOCK]);
}

/** As the owner: all keys, the newest first. */
export async function listPhotoKeys(sql: Sql): Promise<PhotoKeyRow[]> {
  const { rows } = await sql.query<PhotoKeyRow>(`
    select
      kid,
      purpose,
      certificate_pem as "certificatePem",
      public_spki as "publicSpki",
      wrapped_private as "wrappedPrivate",
      created_at as "createdAt",
      expires_at as "expiresAt",
      revoked_at as "revokedAt"
    from photo_keys
    order by created_at desc, kid
  `);
  return rows;
}

/** The newest of a purpose that was not revoked, from rows with the newest first. */
export function newestPhotoKey(rows: readonly PhotoKeyRow[], purpose: PhotoKeyPurpose): PhotoKeyRow | undefined {
  return rows.find((row) => row.purpose === purpose && row.revokedAt === null);
}

/** As the owner. */
export async function insertPhotoKey(sql: Sql, key: Omit<PhotoKeyRow, 'revokedAt'>): Promise<void> {
  await sql.query(
    `
      insert into photo_keys (kid, purpose, certificate_pem, public_spki, wrapped_private, created_at, expires_at)
      values ($1, $2, $3, $4, $5, $6, $7)
    `,
    [key.kid, key.purpose, key.certificatePem, key.publicSpki, key.wrappedPrivate, key.createdAt, key.expiresAt],
  );
}

/** As the owner, with the lock: the earliest moment of all revocations of this key stands. Undefined without such a key. */
export async function revokePhotoKey(
  sql: Sql,
  { kid, at, reason }: { kid: string; at: Date; reason: string | null },
): Promise<{ kid: string; purpose: PhotoKeyPurpose; revokedAt: Date } | undefined> {
  const { rows } = await sql.query<{ kid: string; purpose: PhotoKeyPurpose; revokedAt: Date }>(
    `
      update photo_keys
      set revoked_at = least(revoked_at, $2), revoke_reason = coalesce($3, revoke_reason)
      where kid = $1
      returning kid, purpose, revoked_at as "revokedAt"
    `,
    [kid, at, reason],
  );
  return rows[0];
}
