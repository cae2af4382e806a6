// Who is asking: the one shape in which every credential arrives at a route, whatever it was (key, token, session).

/** Every scope of the contract; a route names the one it needs. */
export const SCOPES = [
  'traces:write',
  'traces:read',
  'photos:register',
  'photos:protect',
  'photos:verify',
  'replay:run',
  'alerts:write',
  'prices:write',
  'keys:admin',
  'trust:read',
  'trust:admin',
  'audit:read',
] as const;
export type Scope = (typeof SCOPES)[number];

export const ROLES = ['owner', 'admin', 'analyst', 'viewer', 'auditor', 'security'] as const;
export type Role = (typeof ROLES)[number];

export interface Principal {
  kind: 'apiKey' | 'machine' | 'person';
  tenantId: string;
  /** Stable id for the audit line: `key:<uuid>`, `service-account:<uuid>` or `account:<uuid>`. */
  subject: string;
  scopes: ReadonlySet<Scope>;
  /** Persons only. */
  accountId?: string;
  role?: Role;
  /** A person whose password must change first may reach only /auth/me, /auth/change-password and /auth/logout. */
  mustChangePassword?: boolean;
  /** Persons only: lower-case hex of the session's hash, for logout and session lists. */
  sessionId?: string;
  /** Persons only: when the session ends whatever happens. */
  sessionExpiresAt?: Date;
  /**
   * Persons only: the identity provider of this tenant that vouched for them. Its tenant decides what it says, so such a
   * session is good in this tenant alone: it neither switches, nor makes tenants, nor changes how the person logs in.
   */
  providerId?: string;
  /** Machines only: issuer and id of the token, for logout. */
  token?: { iss: string; jti: string; expiresAtSeconds: number };
}
