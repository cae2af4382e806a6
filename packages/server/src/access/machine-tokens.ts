// Tokens of machines: JWTs of 15 minutes (RFC 7519, RFC 8725), accepted in one spelling only, revoked by (iss, jti).
import { randomUUID } from 'node:crypto';
import { errors, jwtVerify } from 'jose';
import type { Database } from '../storage/database.ts';
import { revokeToken, tokenStanding } from '../storage/postgres/service-accounts.ts';
import { audit } from './audit.ts';
import type { Principal } from './principal.ts';
import { Refusal } from './refusal.ts';
import { Remembered } from './remembered.ts';
import { scopesOf } from './roles.ts';
import type { SigningKeys } from './signing-keys.ts';

export const TOKEN_LIFE_SECONDS = 900;
/** The one place where two clocks may differ. */
const CLOCK_SKEW_SECONDS = 30;
/** A revocation or a disabled account is noticed after this long by another process; here at once. */
const MAX_AGE_MS = 3_000;
const MAX_REMEMBERED = 10_000;
const MAX_TOKEN_CHARACTERS = 4_096;
const HEADER_TYPE = 'at+jwt';
const CLAIM_TYPE = 'access';
const SUBJECT = /^service-account:([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})$/;
const UUID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
const HEADER_MEMBERS = ['alg', 'kid', 'typ'];

export interface MachineTokens {
  /** Good for 15 minutes, or until the account's own end. */
  issue(account: {
    tenantId: string;
    serviceAccountId: string;
    scopes: readonly string[];
    expiresAt: Date | null;
  }): Promise<{ token: string; expiresInSeconds: number }>;
  /** @throws Refusal AUTH_INVALID (one constant text), AUTH_EXPIRED; UNAVAILABLE when revocation cannot be asked. */
  authenticate(token: string): Promise<Principal>;
  /** The token stops at once here, within seconds elsewhere. Twice is once. */
  revoke(principal: Principal, requestId: string): Promise<void>;
}

export interface MachineTokensOptions {
  database: Database;
  signingKeys: SigningKeys;
  issuer: string;
  audience: string;
  nowMs: () => number;
}

export function createMachineTokens(options: MachineTokensOptions): MachineTokens {
  const { database, signingKeys, issuer, audience, nowMs } = options;
  const standing = new Remembered<{ isAccountLive: boolean; isRevoked: boolean }>({
    maxAgeMs: MAX_AGE_MS,
    maxEntries: MAX_REMEMBERED,
    nowMs,
  });
  const nowSeconds = (): number => Math.floor(nowMs() / 1_000);

  async function verifiedClaims(token: string): Promise<Record<string, unknown>> {
    const header = canonicalHeader(token);
    const { verifying } = await signingKeys.current();
    // A kid is only ever a name in this map: nothing is fetched, opened or queried by it.
    const trusted = verifying.get(header.kid);
    if (trusted === undefined || trusted.alg !== header.alg) throw invalid();
    try {
      const { payload } = await jwtVerify(token, trusted.key, {
        algorithms: [trusted.alg],
        issuer,
        typ: HEADER_TYPE,
        clockTolerance: CLOCK_SKEW_SECONDS,
        currentDate: new Date(nowMs()),
        requiredClaims: ['iss', 'aud', 'sub', 'exp', 'nbf', 'iat', 'typ', 'tid', 'scope', 'jti'],
      });
      return payload;
    } catch (error) {
      if (error instanceof errors.JWTExpired) throw new Refusal('AUTH_EXPIRED', 'The token has expired.');
      throw invalid();
    }
  }

  return {
    async issue({ tenantId, serviceAccountId, scopes, expiresAt }) {
      const { active } = await signingKeys.current();
      const iat = nowSeconds();
      const leftSeconds = expiresAt === null ? TOKEN_LIFE_SECONDS : Math.floor(expiresAt.getTime() / 1_000) - iat;
      const expiresInSeconds = Math.min(TOKEN_LIFE_SECONDS, leftSeconds);
      const tbs = [
        { alg: active.alg, kid: active.kid, typ: HEADER_TYPE },
        {
          iss: issuer,
          aud: audience,
          sub: `service-account:${serviceAccountId}`,
          exp: iat + expiresInSeconds,
          nbf: iat,
          iat,
          typ: CLAIM_TYPE,
          tid: tenantId,
          scope: [...scopesOf(scopes)].join(' '),
          jti: randomUUID(),
        },
      ]
        .map((part) => Buffer.from(JSON.stringify(part), 'utf8').toString('base64url'))
        .join('.');
      const signature = await signingKeys.sign(active.kid, Buffer.from(tbs, 'ascii'));
      return { token: `${tbs}.${Buffer.from(signature).toString('base64url')}`, expiresInSeconds };
    },

    async authenticate(token) {
      const claims = await verifiedClaims(token);
      const { aud, exp, iat, typ, tid, scope, jti, sub } = claims;
      const serviceAccountId = typeof sub === 'string' ? SUBJECT.exec(sub)?.[1] : undefined;
      if (
        aud !== audience ||
        typ !== CLAIM_TYPE ||
        serviceAccountId === undefined ||
        typeof tid !== 'string' ||
        !UUID.test(tid) ||
        typeof jti !== 'string' ||
        !UUID.test(jti) ||
        typeof scope !== 'string' ||
        typeof exp !== 'number' ||
        typeof iat !== 'number' ||
        iat > nowSeconds() + CLOCK_SKEW_SECONDS ||
        exp - iat > TOKEN_LIFE_SECONDS
      ) {
        throw invalid();
      }
      const asked = { tenantId: tid, serviceAccountId, iss: issuer, jti };
      const { isAccountLive, isRevoked } = await standing.recall(standingKey(asked), () =>
        database.inTenant(tid, (sql) => tokenStanding(sql, { ...asked, now: new Date(nowMs()) })),
      );
      if (isRevoked || !isAccountLive) throw invalid();
      return {
        kind: 'machine',
        tenantId: tid,
        subject: `service-account:${serviceAccountId}`,
        scopes: scopesOf(scope.split(' ')),
        token: { iss: issuer, jti, expiresAtSeconds: exp },
      };
    },

    async revoke(principal, requestId) {
      const { tenantId, subject, token } = principal;
      if (token === undefined)
        throw new Refusal('VALIDATION_FAILED', 'Expected a token but received another credential.');
      await database.inTenant(tenantId, async (sql) => {
        await revokeToken(sql, {
          tenantId,
          iss: token.iss,
          jti: token.jti,
          // Kept until nobody would accept the token any more, skew included.
          expiresAt: new Date((token.expiresAtSeconds + CLOCK_SKEW_SECONDS) * 1_000),
          forgetBefore: new Date(nowMs()),
        });
        await audit(sql, {
          tenantId,
          actor: subject,
          action: 'token.revoke',
          object: `token:${token.jti}`,
          outcome: 'done',
          requestId,
        });
      });
      standing.forget(standingKey({ tenantId, serviceAccountId: subject.slice('service-account:'.length), ...token }));
    },
  };
}

/** One text for every reason: an attacker learns nothing from which check refused. */
function invalid(): Refusal {
  return new Refusal('AUTH_INVALID', 'The token is not valid.');
}

function standingKey(token: { tenantId: string; serviceAccountId: string; iss: string; jti: string }): string {
  return [token.tenantId, token.serviceAccountId, token.iss, token.jti].join(' ');
}

/**
 * The header of a token in its one canonical spelling. Base64url decoders forgive padding, blanks and spare bits, so
 * one token has many texts; only the text that encoding would give is taken (measured: jose accepts five others).
 */
function canonicalHeader(token: string): { alg: string; kid: string } {
  if (token.length > MAX_TOKEN_CHARACTERS) throw invalid();
  const parts = token.split('.');
  if (parts.length !== 3 || !parts.every(isCanonicalBase64Url)) throw invalid();
  const header = parsedObject(Buffer.from(parts[0] ?? '', 'base64url').toString('utf8'));
  // Exactly what we write: no jwk, jku, x5u, x5c, crit, b64, nor anything that a later version might obey.
  if (header === undefined || Object.keys(header).some((member) => !HEADER_MEMBERS.includes(member))) throw invalid();
  const { alg, kid, typ } = header;
  if (typeof alg !== 'string' || typeof kid !== 'string' || typ !== HEADER_TYPE) throw invalid();
  return { alg, kid };
}

function isCanonicalBase64Url(text: string): boolean {
  return text !== '' && Buffer.from(text, 'base64url').toString('base64url') === text;
}

function parsedObject(text: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null && !Array.isArray(value)
      ? (value as Record<string, unknown>)
      : undefined;
  } catch {
    return undefined;
  }
}
