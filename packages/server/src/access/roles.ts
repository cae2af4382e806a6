// What a role may do: the one table that drives persons' rights, here and in the answers of the API.
import { SCOPES, type Principal, type Role, type Scope } from './principal.ts';
import { Refusal } from './refusal.ts';

/**
 * owner and admin hold every scope; analyst works with telemetry and photos; viewer reads; auditor reads evidence and
 * the audit log; security runs the Trust Center. Rights are additive, there are no denials.
 */
export const ROLE_SCOPES: Readonly<Record<Role, ReadonlySet<Scope>>> = {
  owner: new Set(SCOPES),
  admin: new Set(SCOPES),
  analyst: new Set<Scope>([
    'traces:read',
    'photos:register',
    'photos:protect',
    'photos:verify',
    'replay:run',
    'alerts:write',
    'prices:write',
    'trust:read',
  ]),
  viewer: new Set<Scope>(['traces:read', 'photos:verify', 'trust:read']),
  auditor: new Set<Scope>(['traces:read', 'trust:read', 'audit:read']),
  security: new Set<Scope>(['traces:read', 'photos:verify', 'trust:read', 'trust:admin', 'audit:read']),
};

const KNOWN = new Set<string>(SCOPES);

export function isScope(text: string): text is Scope {
  return KNOWN.has(text);
}

/** Scopes read from a row or a token; unknown ones (of a newer or older version) give nothing. */
export function scopesOf(texts: readonly string[]): ReadonlySet<Scope> {
  return new Set(texts.filter(isScope));
}

/** Nobody hands on what they do not hold. @throws Refusal FORBIDDEN */
export function refuseForeignScopes(by: Principal, scopes: readonly Scope[]): void {
  const foreign = scopes.filter((scope) => !by.scopes.has(scope));
  if (foreign.length === 0) return;
  throw new Refusal(
    'FORBIDDEN',
    `Credentials cannot be given scopes that their maker does not hold: ${foreign.join(', ')}.`,
  );
}
