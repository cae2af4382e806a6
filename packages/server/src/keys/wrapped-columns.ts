// Every column that holds a key wrapped by the KEK, or by the signer's key that comes from it. The one list: a rotation of
// the KEK wraps all of them again, and a test finds a column that is not here.

export interface WrappedColumn {
  table: string;
  column: string;
  /** Columns of the primary key → type. */
  key: Readonly<Record<string, string>>;
  /** Who wraps: this program with the KEK itself, or the signer process, where alone private keys are open. */
  by: 'kek' | 'signer';
  /** What the KEK binds the key to, from the primary key as PostgreSQL writes it. */
  use?(key: Readonly<Record<string, string>>): string;
}

export const WRAPPED_COLUMNS: readonly WrappedColumn[] = [
  {
    table: 'tenant_keys',
    column: 'wrapped',
    key: { tenant_id: 'uuid', version: 'integer' },
    by: 'kek',
    use: ({ tenant_id: tenantId, version }) => `tdek|${tenantId}|${version}`,
  },
  {
    table: 'installation_keys',
    column: 'wrapped',
    key: { name: 'text', version: 'integer' },
    by: 'kek',
    use: ({ name, version }) => `installation|${name}|${version}`,
  },
  { table: 'signing_keys', column: 'wrapped_private', key: { kid: 'text' }, by: 'signer' },
  { table: 'photo_keys', column: 'wrapped_private', key: { kid: 'text' }, by: 'signer' },
  { table: 'log_key', column: 'wrapped_private', key: { only_one: 'boolean' }, by: 'signer' },
];
