// OAuth 2.0 for machines: the client credentials grant (RFC 6749 §4.4) and where to find it (RFC 8414).
import { z } from 'zod';
import type { Access } from '../access/access.ts';
import { SCOPES } from '../access/principal.ts';
import { Refusal } from '../access/refusal.ts';
import { isScope } from '../access/roles.ts';
import { Problem } from './errors.ts';
import { readBody } from './request.ts';
import { json, route, type Route } from './route.ts';

const MAX_BODY_BYTES = 8_192;
const BODY_TIMEOUT_MS = 20_000;
const FORM = 'application/x-www-form-urlencoded';
// RFC 6749 §5.1: nobody on the way may keep an answer with a token
const NOT_KEPT = { 'cache-control': 'no-store', pragma: 'no-cache' };

const granted = z.object({
  access_token: z.string(),
  token_type: z.literal('Bearer'),
  expires_in: z.number().int().describe('seconds'),
  scope: z.string(),
});
const metadata = z.object({
  issuer: z.string(),
  token_endpoint: z.string(),
  jwks_uri: z.string(),
  grant_types_supported: z.array(z.string()),
  response_types_supported: z.array(z.string()),
  token_endpoint_auth_methods_supported: z.array(z.string()),
  scopes_supported: z.array(z.string()),
});

/** What RFC 6749 §5.2 lets a token endpoint say. */
type OAuthCode =
  | 'invalid_request'
  | 'invalid_client'
  | 'unsupported_grant_type'
  | 'invalid_scope'
  | 'temporarily_unavailable'
  | 'server_error';

class OAuthError extends Problem {
  readonly oauth: OAuthCode;
  constructor(oauth: OAuthCode, message: string) {
    super(oauth === 'invalid_client' ? 'AUTH_INVALID' : 'VALIDATION_FAILED', message);
    this.oauth = oauth;
  }
}

export interface OAuthRoutesOptions {
  access: Pick<Access, 'machines'>;
  /** As in the tokens: such as `https://lumatrace.example`. */
  issuer: string;
}

export function oauthRoutes({ access, issuer }: OAuthRoutesOptions): Route[] {
  return [
    route({
      method: 'POST',
      path: '/oauth/token',
      summary: 'Client credentials of OAuth 2.0: the name and password of a service account against a token.',
      tag: 'machines',
      policy: { kind: 'public', because: 'whoever logs in has no credentials yet' },
      limit: 'login',
      rawBody: {
        contentTypes: [FORM],
        description:
          'grant_type=client_credentials, optionally scope; client_id and client_secret here or by HTTP Basic',
      },
      answers: {
        200: { description: 'A token (JWT, RS256) of the scopes asked for; it cannot be refreshed.', schema: granted },
        400: { description: 'invalid_request, unsupported_grant_type or invalid_scope.' },
        401: { description: 'invalid_client.' },
        413: { description: 'The body is too large.' },
        415: { description: 'The body is no form.' },
        429: { description: 'Too many failures; Retry-After says when to come back.' },
        503: { description: 'temporarily_unavailable.' },
      },
      onProblem: refused,
      async handle({ request, source, requestId }) {
        const bytes = await readBody(request, MAX_BODY_BYTES, BODY_TIMEOUT_MS);
        const form = formOf(Buffer.from(bytes).toString('utf8'));
        const { username, password } = clientOf(request.headers.get('authorization'), form);
        const grant = form.get('grant_type');
        if (grant === undefined) throw new OAuthError('invalid_request', 'Expected grant_type.');
        if (grant !== 'client_credentials')
          throw new OAuthError('unsupported_grant_type', 'Expected grant_type=client_credentials.');
        const asked = scopesOf(form.get('scope'));
        const { token, expiresInSeconds, scopes } = await access.machines
          .login({ username, password, ...(asked === undefined ? {} : { scopes: asked }) }, source, requestId)
          .catch(asScopeRefused);
        const answer = {
          access_token: token,
          token_type: 'Bearer',
          expires_in: expiresInSeconds,
          scope: scopes.join(' '),
        };
        return json(answer, 200, NOT_KEPT);
      },
    }),
    route({
      method: 'GET',
      path: '/.well-known/oauth-authorization-server',
      summary: 'Where tokens come from (RFC 8414).',
      tag: 'machines',
      policy: { kind: 'public', because: 'clients find the token endpoint by it' },
      limit: 'public',
      answers: { 200: { description: 'The metadata.', schema: metadata } },
      async handle() {
        return json({
          issuer,
          token_endpoint: `${issuer}/oauth/token`,
          jwks_uri: `${issuer}/.well-known/jwks.json`,
          grant_types_supported: ['client_credentials'],
          response_types_supported: [],
          token_endpoint_auth_methods_supported: ['client_secret_basic', 'client_secret_post'],
          scopes_supported: [...SCOPES],
        });
      },
    }),
  ];
}

/** @throws OAuthError for a parameter that comes twice (RFC 6749 §3.2) */
function formOf(text: string): ReadonlyMap<string, string> {
  const form = new Map<string, string>();
  for (const [name, value] of new URLSearchParams(text)) {
    if (form.has(name)) throw new OAuthError('invalid_request', 'A parameter came more than once.');
    // §3.2: a parameter without a value counts as left out
    if (value !== '') form.set(name, value);
  }
  return form;
}

/** HTTP Basic or the form, not both (RFC 6749 §2.3). @throws OAuthError */
function clientOf(
  authorization: string | null,
  form: ReadonlyMap<string, string>,
): { username: string; password: string } {
  const secret = form.get('client_secret');
  if (authorization === null) {
    const id = form.get('client_id');
    if (id === undefined || secret === undefined)
      throw new OAuthError('invalid_client', 'Expected client_id and client_secret.');
    return { username: id, password: secret };
  }
  if (secret !== undefined) throw new OAuthError('invalid_request', 'Expected one way of client authentication.');
  const encoded = /^basic +([A-Za-z0-9+/]+={0,2})$/i.exec(authorization)?.[1];
  const [, id, password] = /^([^:]*):(.*)$/s.exec(Buffer.from(encoded ?? '', 'base64').toString('utf8')) ?? [];
  if (id === undefined || password === undefined)
    throw new OAuthError('invalid_client', 'Expected HTTP Basic with client_id and client_secret.');
  const client = { username: formDecoded(id), password: formDecoded(password) };
  if (form.has('client_id') && form.get('client_id') !== client.username)
    throw new OAuthError('invalid_request', 'Expected one client_id.');
  return client;
}

/** §2.3.1: both are form-encoded before they become HTTP Basic. @throws OAuthError */
function formDecoded(text: string): string {
  try {
    return decodeURIComponent(text.replaceAll('+', ' '));
  } catch {
    throw new OAuthError('invalid_client', 'Expected HTTP Basic of form-encoded texts.');
  }
}

/** Undefined asks for all that the account holds. @throws OAuthError */
function scopesOf(text: string | undefined): readonly string[] | undefined {
  if (text === undefined) return undefined;
  const scopes = [...new Set(text.split(' '))];
  if (!scopes.every(isScope)) throw new OAuthError('invalid_scope', 'Expected known scopes, parted by one blank.');
  return scopes;
}

/** Of the room's refusals FORBIDDEN alone is about scopes; the frame's own is about where a request came from. */
function asScopeRefused(error: unknown): never {
  if (error instanceof Refusal && error.code === 'FORBIDDEN') throw new OAuthError('invalid_scope', error.message);
  throw error;
}

const CODES: Readonly<Partial<Record<Problem['code'], OAuthCode>>> = {
  AUTH_INVALID: 'invalid_client',
  AUTH_EXPIRED: 'invalid_client',
  RATE_LIMIT_EXCEEDED: 'temporarily_unavailable',
  UNAVAILABLE: 'temporarily_unavailable',
  INTERNAL_ENGINE_ERROR: 'server_error',
};

function refused(problem: Problem, request: Request, requestId: string): Response {
  const error = problem instanceof OAuthError ? problem.oauth : (CODES[problem.code] ?? 'invalid_request');
  // §5.2: who came by HTTP Basic is answered in its words
  const isBasic = error === 'invalid_client' && request.headers.has('authorization');
  return json({ error, error_description: described(problem.message) }, problem.status, {
    ...problem.headers,
    ...NOT_KEPT,
    'x-request-id': requestId,
    ...(isBasic ? { 'www-authenticate': 'Basic realm="LumaTrace", charset="UTF-8"' } : {}),
  });
}

/** §5.2 allows ASCII without quotes and backslashes. */
const described = (message: string): string => message.replaceAll(/[^\x20\x21\x23-\x5b\x5d-\x7e]/g, "'");
