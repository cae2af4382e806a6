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
