// From a request's headers to who is asking: one credential, in one of the places where credentials may stand.
import { containsApiKey, looksLikeApiKey } from './api-key-text.ts';
import type { ApiKeys } from './api-keys.ts';
import type { MachineTokens } from './machine-tokens.ts';
import type { Principal } from './principal.ts';
import { Refusal } from './refusal.ts';
import type { Sessions } from './sessions.ts';

const SESSION_COOKIE = 'lumatrace_session';

/**
 * Over https the name carries `__Host-`: browsers then take the cookie from this very host over https alone, so that
 * neither a sibling domain nor plain HTTP can plant one. Over plain HTTP they would refuse it (RFC 6265bis, section 4.1.3.2).
 */
export function sessionCookieName(isTls: boolean): string {
  return isTls ? `__Host-${SESSION_COOKIE}` : SESSION_COOKIE;
}

/** What carries a credential in a request: headers, and the address, where none may stand. */
export interface Carrier {
  header(name: string): string | undefined;
  url: string;
}

export interface Credentials {
  /**
   * Who is asking. @throws Refusal AUTH_MISSING, AUTH_INVALID (also for several different credentials and for a key in
   * the address), AUTH_EXPIRED; UNAVAILABLE when it cannot be known now.
   */
  authenticate(carrier: Carrier): Promise<Principal>;
}

export interface CredentialsOptions {
  apiKeys: ApiKeys;
  tokens: MachineTokens;
  sessions: Sessions;
  /** The one name of the session cookie; one under the other name is no credential. */
  cookieName?: string;
}

type Found = { kind: 'key' | 'token' | 'session'; text: string };

export function createCredentials({
  apiKeys,
  tokens,
  sessions,
  cookieName = SESSION_COOKIE,
}: CredentialsOptions): Credentials {
  return {
    async authenticate(carrier) {
      refuseKeyInAddress(carrier.url);
      const found = findCredential(carrier, cookieName);
      if (found === undefined) throw new Refusal('AUTH_MISSING', 'Expected an API key, a token or a session.');
      switch (found.kind) {
        case 'key':
          return apiKeys.authenticate(found.text);
        case 'token':
          return tokens.authenticate(found.text);
        case 'session':
          return (await sessions.authenticate(found.text)).principal;
      }
    },
  };
}

/** Addresses end up in logs, histories and referrers: a key that stood in one is not secret any more. */
function refuseKeyInAddress(url: string): void {
  if (!containsApiKey(url) && !(url.includes('%') && containsApiKey(decoded(url)))) return;
  throw new Refusal('AUTH_INVALID', 'An API key may not stand in the address.', {
    action: 'Revoke this key, since addresses are logged, and send a new one in the Authorization header.',
  });
}

function decoded(url: string): string {
  try {
    return decodeURIComponent(url);
  } catch {
    return url;
  }
}

// A header wins over a cookie: browsers attach cookies by themselves, headers are always meant.
function findCredential(carrier: Carrier, cookieName: string): Found | undefined {
  const fromHeaders = [authorization(carrier.header('authorization')), apiKeyHeader(carrier.header('x-api-key'))];
  const [first, second] = fromHeaders.filter((found) => found !== undefined);
  if (first !== undefined && second !== undefined && first.text !== second.text) {
    throw new Refusal('AUTH_INVALID', 'Expected one credential but received two different ones.');
  }
  if (first !== undefined) return first;
  const cookie = cookieValue(carrier.header('cookie'), cookieName);
  return cookie === undefined ? undefined : { kind: 'session', text: cookie };
}

function apiKeyHeader(value: string | undefined): Found | undefined {
  return value === undefined ? undefined : { kind: 'key', text: value };
}

function authorization(value: string | undefined): Found | undefined {
  if (value === undefined) return undefined;
  const [, scheme, text] = /^(\S+) +(\S+)$/.exec(value) ?? [];
  if (scheme === undefined || text === undefined) throw unknownScheme();
  switch (scheme.toLowerCase()) {
    case 'bearer':
      return { kind: looksLikeApiKey(text) ? 'key' : 'token', text };
    case 'basic':
      return { kind: 'key', text: passwordOf(text) };
    default:
      throw unknownScheme();
  }
}

function unknownScheme(): Refusal {
  return new Refusal('AUTH_INVALID', 'Expected "Authorization: Bearer …" or "Authorization: Basic …".');
}

/** RFC 7617: everything after the first colon; the user before it may be anything (Langfuse sends its public key). */
function passwordOf(base64: string): string {
  const pair = Buffer.from(base64, 'base64').toString('utf8');
  return pair.slice(pair.indexOf(':') + 1);
}

/** The only cookie of that name; two of them are an attempt to shadow one with another. */
export function cookieValue(header: string | undefined, name: string): string | undefined {
  if (header === undefined) return undefined;
  const values = header
    .split(';')
    .map((pair) => pair.trim())
    .filter((pair) => pair.startsWith(`${name}=`))
    .map((pair) => pair.slice(name.length + 1));
  if (values.length > 1) throw new Refusal('AUTH_INVALID', 'Expected one such cookie but received several.');
  return values[0] === '' ? undefined : values[0];
}
