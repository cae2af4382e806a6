// SQL of a tenant's identity providers. The client secret is sealed here on its way in and opened on its way out.
import type { Sql } from '../database.ts';
import { oidcSecretAad } from '../sealed.ts';
import { sealsOf } from '../seals.ts';

export interface OidcProviderRow {
  tenantId: string;
  providerId: string;
  name: string;
  issuer: string;
  clientId: string;
  /** Null: a public client. */
  clientSecret: string | null;
  groupsClaim: string;
  roleByGroup: Array<{ group: string; role: string }>;
  /** Of people in none of the groups; null: they are not let in. */
  defaultRole: string | null;
  isListed: boolean;
  createdAt: Date;
  createdBy: string;
  disabledAt: Date | null;
}

/** In the tenant's transaction. */
export async function insertOidcProvider(sql: Sql, provider: Omit<OidcProviderRow, 'disabledAt'>): Promise<void> {
  const { tenantId, providerId, clientSecret } = provider;
  const seal = await sealsOf(sql).tenant(tenantId);
  await sql.query(
    `
      insert into oidc_providers
        (tenant_id, provider_id, name, issuer, client_id, client_secret_sealed, groups_claim, role_by_group,
         default_role, is_listed, created_at, created_by)
      values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
    `,
    [
      tenantId,
      providerId,
      provider.name,
      provider.issuer,
      provider.clientId,
      clientSecret === null ? null : seal.seal('column', oidcSecretAad(providerId), Buffer.from(clientSecret, 'utf8')),
      provider.groupsClaim,
      JSON.stringify(provider.roleByGroup),
      provider.defaultRole,
      provider.isListed,
      provider.createdAt,
      provider.createdBy,
    ],
  );
}

const PROVIDER = `
  select
    tenant_id as "tenantId",
    provider_id as "providerId",
    name,
    issuer,
    client_id as "clientId",
    client_secret_sealed as "sealed",
    groups_claim as "groupsClaim",
    role_by_group as "roleByGroup",
    default_role as "defaultRole",
    is_listed as "isListed",
    created_at as "createdAt",
    created_by as "createdBy",
    disabled_at as "disabledAt"
  from oidc_providers
`;

type SealedProvider = Omit<OidcProviderRow, 'clientSecret'> & { sealed: Buffer | null };

async function opened(sql: Sql, { sealed, ...row }: SealedProvider): Promise<OidcProviderRow> {
  if (sealed === null) return { ...row, clientSecret: null };
  const seal = await sealsOf(sql).tenant(row.tenantId);
  const clientSecret = seal.open('column', oidcSecretAad(row.providerId), sealed).toString('utf8');
  return { ...row, clientSecret };
}

/** In the tenant's transaction: the oldest first. */
export async function listOidcProviders(sql: Sql, tenantId: string): Promise<OidcProviderRow[]> {
  const { rows } = await sql.query<SealedProvider>(
    `${PROVIDER} where tenant_id = $1 order by created_at, provider_id limit 100`,
    [tenantId],
  );
  return Promise.all(rows.map((row) => opened(sql, row)));
}

/** In a look-up transaction for exactly this id. */
export async function findOidcProvider(sql: Sql, providerId: string): Promise<OidcProviderRow | undefined> {
  const { rows } = await sql.query<SealedProvider>(`${PROVIDER} where provider_id = $1`, [providerId]);
  return rows[0] && opened(sql, rows[0]);
}

/** In the tenant's transaction: whether it is there and on, which stays so until the commit. */
export async function isOidcProviderOn(sql: Sql, tenantId: string, providerId: string): Promise<boolean> {
  const { rowCount } = await sql.query(
    'select 1 from oidc_providers where tenant_id = $1 and provider_id = $2 and disabled_at is null for share',
    [tenantId, providerId],
  );
  return rowCount === 1;
}

/** In the look-up transaction that asks for those that are listed: at most 50. */
export async function listListedOidcProviders(sql: Sql): Promise<Array<{ providerId: string; name: string }>> {
  const { rows } = await sql.query<{ providerId: string; name: string }>(`
    select provider_id as "providerId", name
    from oidc_providers
    order by lower(name), provider_id
    limit 50
  `);
  return rows;
}

/** What is absent stays as it is. */
export interface OidcProviderChange {
  name?: string | undefined;
  clientSecret?: string | undefined;
  groupsClaim?: string | undefined;
  roleByGroup?: Array<{ group: string; role: string }> | undefined;
  /** Null: people in none of the groups are not let in. */
  defaultRole?: string | null | undefined;
  isListed?: boolean | undefined;
  isDisabled?: boolean | undefined;
}

/** In the tenant's transaction. @returns whether there is one */
export async function updateOidcProvider(
  sql: Sql,
  { tenantId, providerId, at }: { tenantId: string; providerId: string; at: Date },
  change: OidcProviderChange,
): Promise<boolean> {
  const seal = change.clientSecret === undefined ? undefined : await sealsOf(sql).tenant(tenantId);
  const sealed = seal?.seal('column', oidcSecretAad(providerId), Buffer.from(change.clientSecret ?? '', 'utf8'));
  const { rowCount } = await sql.query(
    `
      update oidc_providers
      set
        name = coalesce($3, name),
        client_secret_sealed = coalesce($4, client_secret_sealed),
        groups_claim = coalesce($5, groups_claim),
        role_by_group = coalesce($6, role_by_group),
        default_role = case when $7 then $8 else default_role end,
        is_listed = coalesce($9, is_listed),
        disabled_at = case when $10::boolean is null then disabled_at when $10 then coalesce(disabled_at, $11) end
      where tenant_id = $1 and provider_id = $2
    `,
    [
      tenantId,
      providerId,
      change.name ?? null,
      sealed ?? null,
      change.groupsClaim ?? null,
      change.roleByGroup === undefined ? null : JSON.stringify(change.roleByGroup),
      change.defaultRole !== undefined,
      change.defaultRole ?? null,
      change.isListed ?? null,
      change.isDisabled ?? null,
      at,
    ],
  );
  return rowCount === 1;
}

/** In the tenant's transaction. @returns whether there was one */
export async function deleteOidcProvider(sql: Sql, tenantId: string, providerId: string): Promise<boolean> {
  const { rowCount } = await sql.query('delete from oidc_providers where tenant_id = $1 and provider_id = $2', [
    tenantId,
    providerId,
  ]);
  return rowCount === 1;
}

/** In the tenant's transaction: the account that stands for a subject, or that stands for any of the provider's. */
export async function findOidcIdentity(
  sql: Sql,
  of: { tenantId: string; providerId: string } & ({ subjectIndexes: readonly string[] } | { accountId: string }),
): Promise<string | undefined> {
  const isSubject = 'subjectIndexes' in of;
  const { rows } = await sql.query<{ accountId: string }>(
    `
      select account_id as "accountId"
      from oidc_identities
      where tenant_id = $1 and provider_id = $2 and ${isSubject ? 'subject_index = any($3)' : 'account_id = $3'}
      limit 1
    `,
    [of.tenantId, of.providerId, isSubject ? of.subjectIndexes : of.accountId],
  );
  return rows[0]?.accountId;
}

/** In the tenant's transaction; with the first of the indexes. */
export async function insertOidcIdentity(
  sql: Sql,
  of: { tenantId: string; providerId: string; subjectIndexes: readonly string[]; accountId: string; at: Date },
): Promise<void> {
  await sql.query(
    `
      insert into oidc_identities (tenant_id, provider_id, subject_index, account_id, created_at, last_login_at)
      values ($1, $2, $3, $4, $5, $5)
    `,
    [of.tenantId, of.providerId, of.subjectIndexes[0], of.accountId, of.at],
  );
}

/** In the tenant's transaction; from now on it is found by the first of the indexes. */
export async function touchOidcIdentity(
  sql: Sql,
  of: { tenantId: string; providerId: string; subjectIndexes: readonly string[]; at: Date },
): Promise<void> {
  await sql.query(
    `
      update oidc_identities
      set last_login_at = $4, subject_index = $5
      where tenant_id = $1 and provider_id = $2 and subject_index = any($3)
    `,
    [of.tenantId, of.providerId, of.subjectIndexes, of.at, of.subjectIndexes[0]],
  );
}
