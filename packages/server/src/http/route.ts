// What a route declares. A route without a policy does not compile, and one that slips through stops the start.
import type { IncomingMessage } from 'node:http';
import type { z } from 'zod';
import type { Principal, Role, Scope } from '../access/principal.ts';
import type { Problem } from './errors.ts';

/** Who may call: anyone (with the reason why), any logged-in person (of some roles alone), or whoever holds the scope (or one of the others named). */
export type Policy =
  | { kind: 'public'; because: string }
  | { kind: 'person'; roles?: readonly Role[] }
  | { kind: 'authenticated' }
  | ScopePolicy;

export interface ScopePolicy {
  kind: 'scope';
  scope: Scope;
  or?: readonly Scope[];
}

/** The scopes of which one is enough. */
export function enoughScopes({ scope, or = [] }: ScopePolicy): readonly Scope[] {
  return [scope, ...or];
}

/** Whether the role is one of those that the policy names; without any named every person may. */
export function isRoleIn({ roles }: { roles?: readonly Role[] }, role: Role | undefined): boolean {
  return roles === undefined || (role !== undefined && roles.includes(role));
}

/** The one rule of who may: the frame refuses by it, and the table of roles is drawn by it. */
export function isScopeHeld(policy: ScopePolicy, held: ReadonlySet<Scope>): boolean {
  return enoughScopes(policy).some((scope) => held.has(scope));
}

/**
 * Which counter a request falls under: `v1` per tenant and hour with X-RateLimit headers; `person` per person for
 * session cookies; `login` per source and name; `public` per source; `none` for OTLP (its own quota), health and JWKS.
 */
export type Limit = 'v1' | 'api' | 'login' | 'public' | 'none';

export interface Answer {
  description: string;
  /** JSON answers; absent for bytes. */
  schema?: z.ZodType;
  contentType?: string;
}

/** Parsed input of a handler. `principal` is present unless the policy is public and nobody was recognised. */
export interface RouteContext<Query, Params, Body> {
  request: Request;
  /** The raw Node request, for routes that read their body as a stream of bytes (OTLP, multipart). */
  incoming: IncomingMessage;
  requestId: string;
  /** Address of the peer, after trusted proxies. */
  source: string;
  query: Query;
  params: Params;
  body: Body;
  principal: Principal;
  signal: AbortSignal;
}

export interface Route<
  Query extends z.ZodType = z.ZodType,
  Params extends z.ZodType = z.ZodType,
  Body extends z.ZodType = z.ZodType,
> {
  method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  /** OpenAPI style: `/api/traces/{traceId}`. */
  path: string;
  summary: string;
  tag: string;
  policy: Policy;
  limit: Limit;
  query?: Query;
  params?: Params;
  /** JSON body; refused unless application/json. Leave out and set `rawBody` to read `incoming` yourself. */
  body?: Body;
  rawBody?: { contentTypes: readonly string[]; description: string };
  maxBodyBytes?: number;
  answers: Record<number, Answer>;
  /** How this route answers a refusal, the frame's own included (401, 403, 408, 413): OTLP says google.rpc.Status. */
  onProblem?(problem: Problem, request: Request, requestId: string): Response;
  handle(context: RouteContext<z.output<Query>, z.output<Params>, z.output<Body>>): Promise<Response>;
}

/** Types the handler from the schemas; returns the route unchanged. */
export function route<Query extends z.ZodType, Params extends z.ZodType, Body extends z.ZodType>(
  declared: Route<Query, Params, Body>,
): Route {
  return declared as unknown as Route;
}

/** A JSON answer. bigint is refused by JSON.stringify on purpose: exact numbers leave as decimal strings. */
export function json(body: unknown, status = 200, headers: Record<string, string> = {}): Response {
  return new Response(JSON.stringify(body), {
    status,
    headers: { 'content-type': 'application/json; charset=utf-8', ...headers },
  });
}
