// Talking to identity providers: OpenID Connect Core 1.0, authorization code flow with PKCE (RFC 7636), by openid-client.
// Every request goes through the egress guard; every ID token's signature is checked, also where TLS would do (3.1.3.7).
import * as oidc from 'openid-client';
import { EgressError, type Egress } from '../egress/egress.ts';
import { Remembered } from './remembered.ts';

const TIMEOUT_MS = 5_000;
const MAX_BYTES = 262_144;
/** Discovery documents and keys of a provider are read again after this long. */
const MAX_AGE_MS = 10 * 60_000;
const MAX_REMEMBERED = 500;
const MAX_GROUPS = 200;
const MAX_TEXT = 256;
const MAX_URL = 500;

/** What of a provider is needed to speak to it. */
export interface OidcParty {
  issuer: string;
  clientId: string;
  /** Null: a public client, which PKCE alone protects. */
  clientSecret: string | null;
  groupsClaim: string;
}

/** What must come back with the answer; kept by the browser, sealed. */
export interface PendingLogin {
  state: string;
  nonce: string;
  verifier: string;
}

/** Whom the provider vouches for, after every check. */
export interface OidcSubject {
  sub: string;
  email: string | undefined;
  /** The provider said `true`, the boolean. */
  isEmailVerified: boolean;
  name: string | undefined;
  groups: readonly string[];
}

/** The provider could not be asked, or what it said does not hold. The message is for the operator, never for a page. */
export class OidcError extends Error {
  override readonly name = 'OidcError';
}

/** What a look at a provider found. Nothing of an answer is told unless it is the discovery document of that issuer. */
export type OidcLook =
  | { finding: 'forbidden' | 'unreachable' | 'no-discovery' | 'other-issuer' | 'no-code' | 'no-signature' | 'no-keys' }
  | { finding: 'works'; authorizationEndpoint: string; algorithms: string[]; keys: number; usesIss: boolean };

export interface OidcClient {
  /** Asks for the discovery document and the keys, anew each time. */
  look(issuer: string): Promise<OidcLook>;
  /** Where the browser goes. @throws OidcError */
  begin(party: OidcParty, redirectUri: string): Promise<PendingLogin & { url: string }>;
  /** @param answer the address that the browser came back to. @throws OidcError for whatever does not hold */
  finish(party: OidcParty, answer: URL, pending: PendingLogin): Promise<OidcSubject>;
}

export function createOidcClient({ egress, nowMs }: { egress: Egress; nowMs: () => number }): OidcClient {
  const remembered = new Remembered<oidc.Configuration>({
    maxAgeMs: MAX_AGE_MS,
    maxEntries: MAX_REMEMBERED,
    nowMs,
  });
  const guarded: oidc.CustomFetch = async (url, { method, headers, body }) => {
    const answer = await egress({
      url,
      method: method === 'POST' ? 'POST' : 'GET',
      headers,
      ...(body === undefined || body === null ? {} : { body: String(body) }),
      timeoutMs: TIMEOUT_MS,
      maxBytes: MAX_BYTES,
    });
    const plain = Object.entries(answer.headers).filter(
      (pair): pair is [string, string] => typeof pair[1] === 'string',
    );
    return new Response(new Uint8Array(answer.body), { status: answer.status, headers: plain });
  };

  function discover({ issuer, clientId, clientSecret }: OidcParty): Promise<oidc.Configuration> {
    const server = new URL(issuer);
    // the egress guard lets plain HTTP through to what the operator named, and nowhere else
    const isPlain = server.protocol === 'http:';
    return oidc.discovery(server, clientId, undefined, authentication(clientSecret), {
      [oidc.customFetch]: guarded,
      timeout: TIMEOUT_MS / 1_000,
      execute: [oidc.enableNonRepudiationChecks, ...(isPlain ? [oidc.allowInsecureRequests] : [])],
    });
  }

  const configurationOf = (party: OidcParty): Promise<oidc.Configuration> =>
    remembered.recall(JSON.stringify([party.issuer, party.clientId, party.clientSecret]), () => discover(party));

  /** Undefined for whatever is no JSON object. @throws EgressError */
  async function objectAt(url: URL): Promise<Record<string, unknown> | undefined> {
    const response = await guarded(url.href, {
      method: 'GET',
      headers: { accept: 'application/json' },
      body: null,
      redirect: 'manual',
    });
    if (response.status !== 200) return undefined;
    const value: unknown = await response.json().catch(() => undefined);
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : undefined;
  }

  async function found(issuer: string): Promise<OidcLook> {
    // as the library does: below the path of the issuer (OpenID Connect Discovery 1.0, section 4)
    const told = await objectAt(new URL(`${issuer.replace(/\/$/, '')}/.well-known/openid-configuration`));
    if (told === undefined) return { finding: 'no-discovery' };
    if (told['issuer'] !== issuer) return { finding: 'other-issuer' };
    const [authorizationEndpoint, jwks] = [urlOf(told['authorization_endpoint']), urlOf(told['jwks_uri'])];
    const hasCode = listOf(told['response_types_supported']).includes('code');
    if (authorizationEndpoint === undefined || !hasCode || urlOf(told['token_endpoint']) === undefined)
      return { finding: 'no-code' };
    const algorithms = listOf(told['id_token_signing_alg_values_supported']).filter((alg) => SIGNATURES.has(alg));
    if (algorithms.length === 0) return { finding: 'no-signature' };
    const keys = jwks === undefined ? undefined : (await objectAt(jwks))?.['keys'];
    if (!Array.isArray(keys) || keys.length === 0) return { finding: 'no-keys' };
    const usesIss = told['authorization_response_iss_parameter_supported'] === true;
    return {
      finding: 'works',
      authorizationEndpoint: authorizationEndpoint.href,
      algorithms,
      keys: keys.length,
      usesIss,
    };
  }

  return {
    async look(issuer) {
      try {
        return await found(issuer);
      } catch (error) {
        if (!(error instanceof EgressError)) throw error;
        return { finding: error.code === 'EGRESS_FORBIDDEN' ? 'forbidden' : 'unreachable' };
      }
    },

    begin: (party, redirectUri) =>
      speaking(async () => {
        const configuration = await configurationOf(party);
        const pending = {
          state: oidc.randomState(),
          nonce: oidc.randomNonce(),
          verifier: oidc.randomPKCECodeVerifier(),
        };
        const offers = configuration.serverMetadata().scopes_supported ?? [];
        const url = oidc.buildAuthorizationUrl(configuration, {
          redirect_uri: redirectUri,
          scope: ['openid', 'email', 'profile', ...(offers.includes('groups') ? ['groups'] : [])].join(' '),
          state: pending.state,
          nonce: pending.nonce,
          code_challenge: await oidc.calculatePKCECodeChallenge(pending.verifier),
          code_challenge_method: 'S256',
        });
        return { ...pending, url: url.href };
      }),

    finish: (party, answer, { state, nonce, verifier }) =>
      speaking(async () => {
        const configuration = await configurationOf(party);
        const tokens = await oidc.authorizationCodeGrant(configuration, answer, {
          expectedState: state,
          expectedNonce: nonce,
          pkceCodeVerifier: verifier,
          idTokenExpected: true,
        });
        const claims: Record<string, unknown> = { ...tokens.claims() };
        const sub = textOf(claims['sub']);
        if (sub === undefined) throw new OidcError('The ID token names no subject of a sane length.');
        const isWhole = claims['email'] !== undefined && claims[party.groupsClaim] !== undefined;
        const canAsk = configuration.serverMetadata().userinfo_endpoint !== undefined;
        // the ID token is signed for us: what it says goes first
        const more = isWhole || !canAsk ? {} : await oidc.fetchUserInfo(configuration, tokens.access_token, sub);
        return subjectOf(sub, { ...more, ...claims }, party.groupsClaim);
      }),
  };
}

/** Asymmetric ones (RFC 7518, RFC 8037): what an ID token may be signed by. */
const SIGNATURES: ReadonlySet<string> = new Set(
  'RS256 RS384 RS512 PS256 PS384 PS512 ES256 ES384 ES512 EdDSA Ed25519'.split(' '),
);

const listOf = (value: unknown): string[] =>
  Array.isArray(value) ? value.filter((one): one is string => typeof one === 'string').slice(0, MAX_GROUPS) : [];

function urlOf(value: unknown): URL | undefined {
  const url = typeof value === 'string' && value.length <= MAX_URL ? URL.parse(value) : null;
  return url !== null && /^https?:$/.test(url.protocol) ? url : undefined;
}

/** As the provider says it takes the secret; the default of OpenID Connect is the header. */
function authentication(secret: string | null): oidc.ClientAuth {
  if (secret === null) return oidc.None();
  const [basic, post] = [oidc.ClientSecretBasic(secret), oidc.ClientSecretPost(secret)];
  return (server, client, body, headers) => {
    const methods = server.token_endpoint_auth_methods_supported ?? ['client_secret_basic'];
    (methods.includes('client_secret_basic') ? basic : post)(server, client, body, headers);
  };
}

async function speaking<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof OidcError) throw error;
    // what failed, not what came: the libraries keep answers and claims in the causes of their errors
    const what = error instanceof Error ? `${error.name}: ${error.message}`.slice(0, MAX_TEXT) : 'unknown';
    throw new OidcError(`The identity provider could not be asked, or its answer does not hold. ${what}`, {
      cause: error,
    });
  }
}

function subjectOf(sub: string, claims: Record<string, unknown>, groupsClaim: string): OidcSubject {
  const groups = claims[groupsClaim];
  const listed = typeof groups === 'string' ? [groups] : Array.isArray(groups) ? groups : [];
  return {
    sub,
    email: textOf(claims['email']),
    isEmailVerified: claims['email_verified'] === true,
    name: textOf(claims['name']) ?? textOf(claims['preferred_username']),
    groups: listed.slice(0, MAX_GROUPS).flatMap((group) => textOf(group) ?? []),
  };
}

const textOf = (value: unknown): string | undefined =>
  typeof value === 'string' && value.length > 0 && value.length <= MAX_TEXT ? value : undefined;
