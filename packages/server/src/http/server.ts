// The frame around every route: who asks, from where, how often, how much; then one route; then one shape of answer.
import { randomUUID } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { createServer as createTlsServer, Server as TlsServer } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import { getRequestListener } from '@hono/node-server';
import { Hono, type Context } from 'hono';
import type { Logger } from 'pino';
import type { Access } from '../access/access.ts';
import { standingHeaders } from '../access/limits.ts';
import { SCOPES, type Principal } from '../access/principal.ts';
import { conformsToDeclaration } from './conformity.ts';
import { boundConnections } from './connections.ts';
import { asProblem, Problem, problemResponse } from './errors.ts';
import { createMetrics, type Metrics } from './metrics.ts';
import {
  isLoopbackName,
  isSafe,
  proxyList,
  refuseForeignHost,
  refuseForeignOrigin,
  refuseSeveralHosts,
  sourceOf,
} from './origin.ts';
import { bodyOf, paramsOf, queryOf, refuseRawBody } from './request.ts';
import { enoughScopes, isRoleIn, isScopeHeld, type Route, type RouteContext } from './route.ts';
import { setSecurityHeaders } from './security-headers.ts';
import { staticFiles } from './static.ts';

export interface HttpOptions {
  routes: readonly Route[];
  access: Pick<Access, 'credentials' | 'limits' | 'auditDenial'>;
  log: Logger;
  metrics?: Metrics;
  /** The address people use: its host is answered over loopback, and https here turns HSTS on. */
  publicUrl?: string;
  /** Addresses or CIDR blocks of proxies whose X-Forwarded-For is believed; none by default. */
  trustedProxies?: readonly string[];
  /** PEM: the listeners speak TLS 1.3 and nothing else. Absent: plain HTTP. */
  tls?: { cert: string; key: string };
  /** packages/dashboard/dist. */
  dashboardDir?: string;
  /** Most connections of one listener; a further one takes the place of the longest idle, if there is one. */
  maxConnections?: number;
  /** A JSON body that has not come by then is answered with 408. */
  bodyTimeoutMs?: number;
  /** Tests: every JSON answer is compared with what its route declares, and a difference is answered with 500. */
  checkAnswers?: boolean;
}

export interface Http {
  /** One request; `incoming` is absent in tests that speak Request and Response. */
  fetch(request: Request, env?: { incoming: IncomingMessage }): Promise<Response>;
  /** Listens and resolves with the port that was taken; several times for several addresses or ports. */
  listen(address: { host: string; port: number }): Promise<{ host: string; port: number }>;
  /** Serves another certificate to connections from now on; only where `tls` was given. */
  replaceCertificate(pair: { cert: string; key: string }): void;
  /** Stops accepting, waits for the requests that run, at most so long, then cuts them. */
  stop(graceMs?: number): Promise<void>;
}

const TLS = { minVersion: 'TLSv1.3', handshakeTimeout: 10_000 } as const;
const BODY_TIMEOUT_MS = 20_000;
const HEADERS_TIMEOUT_MS = 15_000;
/** 25 MB over a slow line take minutes; routes with smaller bodies have limits of their own. */
const REQUEST_TIMEOUT_MS = 300_000;
/** An idle socket costs some 10 kB; the usual limit of open files is higher. */
const MAX_CONNECTIONS = 10_000;
const KEEP_ALIVE_MS = 65_000;
const CONNECTIONS_CHECK_MS = 5_000;
const STOP_GRACE_MS = 10_000;
const IDLE_CHECK_MS = 50;
const REQUEST_ID = /^[A-Za-z0-9._-]{1,128}$/;
/** Paths that a person who must change the password first may reach. */
const BEFORE_PASSWORD_CHANGE = new Set(['/auth/me', '/auth/change-password', '/auth/logout']);
const SECONDS_BOUNDS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];

type Environment = { Bindings: { incoming?: IncomingMessage } };

/** What is learned about a request while it is answered, for its headers, its log line and its metrics. */
interface Exchange {
  requestId: string;
  startedMs: number;
  route?: Route;
  principal?: Principal;
  headers: Record<string, string>;
}

/** @throws Error, in one sentence, when a route is declared wrongly: the start stops. */
export async function createHttp(options: HttpOptions): Promise<Http> {
  const { access, log } = options;
  const routes = namesFirst(options.routes);
  refuseWrongDeclarations(routes);
  const metrics = options.metrics ?? createMetrics();
  const requests = metrics.counter('lumatrace_http_requests_total', 'Requests answered, by method, route and status.');
  const seconds = metrics.histogram(
    'lumatrace_http_request_duration_seconds',
    'Time from the request to its answer, by method and route.',
    SECONDS_BOUNDS,
  );
  const files = await staticFiles(options.dashboardDir);
  const proxies = proxyList(options.trustedProxies ?? []);
  const publicUrl = options.publicUrl === undefined ? undefined : new URL(options.publicUrl);
  const ownHosts = new Set(publicUrl === undefined ? [] : [publicUrl.hostname]);
  // browsers keep HSTS for all ports of a name: on localhost it would lock other programs out
  const sendsHsts = publicUrl?.protocol === 'https:' && !isLoopbackName(publicUrl.hostname);
  const exchanges = new WeakMap<Request, Exchange>();

  async function answer(route: Route, context: Context<Environment>): Promise<Response> {
    const request = context.req.raw;
    const incoming = context.env?.incoming;
    const exchange = exchanges.get(request);
    if (exchange === undefined) throw new TypeError('Expected a request that came through fetch.');
    exchange.route = route;
    try {
      return await admitted(route, exchange, { request, incoming, params: context.req.param() });
    } catch (error) {
      const problem = asProblem(error);
      if (problem.code === 'INTERNAL_ENGINE_ERROR') logFailure(log, exchange, problem);
      await auditDenial(problem, request, exchange);
      return refusal(route, problem, request, exchange.requestId);
    }
  }

  async function admitted(
    route: Route,
    exchange: Exchange,
    {
      request,
      incoming,
      params,
    }: { request: Request; incoming: IncomingMessage | undefined; params: Record<string, string> },
  ): Promise<Response> {
    const { requestId } = exchange;
    const principal = await principalOf(route, request, exchange);
    const isBrowserWrite = principal === undefined || principal.kind === 'person';
    if (isBrowserWrite) refuseForeignOrigin(request);
    if (principal !== undefined) await count(route, principal, exchange);
    else if (route.limit === 'public') await countSource(sourceOf(incoming, proxies), exchange);
    refuseRawBody(route, request);
    // A route that reads its body as a stream says so and is only ever reached through a listener; see RouteContext.
    const declared: RouteContext<unknown, unknown, unknown> = {
      request,
      incoming: incoming as IncomingMessage,
      requestId,
      source: sourceOf(incoming, proxies),
      query: queryOf(route, request),
      params: paramsOf(route, params),
      body: await bodyOf(route, request, options.bodyTimeoutMs ?? BODY_TIMEOUT_MS),
      principal: principal as Principal,
      signal: request.signal,
    };
    const response = await route.handle(declared);
    if (options.checkAnswers === true) await conformsToDeclaration(route, response);
    return response;
  }

  async function principalOf(route: Route, request: Request, exchange: Exchange): Promise<Principal | undefined> {
    if (route.policy.kind === 'public') return undefined;
    const principal = await access.credentials.authenticate({
      header: (name) => request.headers.get(name) ?? undefined,
      url: request.url,
    });
    exchange.principal = principal;
    refuseByPolicy(route, principal);
    return principal;
  }

  async function count(route: Route, principal: Principal, exchange: Exchange): Promise<void> {
    if (route.limit !== 'v1' && route.limit !== 'api') return;
    const standing =
      route.limit === 'v1' ? await access.limits.countRequest(principal) : await access.limits.countPerson(principal);
    if (standing !== undefined) Object.assign(exchange.headers, standingHeaders(standing));
  }

  async function countSource(source: string, exchange: Exchange): Promise<void> {
    Object.assign(exchange.headers, standingHeaders(await access.limits.countSource(source)));
  }

  async function auditDenial(
    problem: Problem,
    request: Request,
    { principal, route, requestId }: Exchange,
  ): Promise<void> {
    const isDenial = problem.code === 'FORBIDDEN' || problem.code === 'TENANT_RESTRICTED';
    if (!isDenial || principal === undefined || isSafe(request.method)) return;
    // The refusal stands whether or not it could be written down.
    await access
      .auditDenial(principal, `${request.method} ${route?.path ?? 'unknown'}`, requestId)
      .catch((error: unknown) => log.error({ requestId, error: describe(error) }, 'a denied write was not audited'));
  }

  const app = new Hono<Environment>();
  for (const route of routes) app.on(route.method, honoPath(route.path), (context) => answer(route, context));
  for (const [path, methods] of methodsByPath(routes)) {
    const allow = methods.join(', ');
    app.all(honoPath(path), ({ req }) => {
      if (req.method === 'OPTIONS') return new Response(null, { status: 204, headers: { allow } });
      throw new Problem('VALIDATION_FAILED', `Expected ${allow} here but received ${req.method}.`, {
        status: 405,
        headers: { Allow: allow },
      });
    });
  }
  app.notFound(({ req }) => files.answer(req.raw));
  app.onError((error, { req }) => {
    const exchange = exchanges.get(req.raw);
    const problem = asProblem(error);
    if (problem.code === 'INTERNAL_ENGINE_ERROR' && exchange !== undefined) logFailure(log, exchange, problem);
    return problemResponse(problem, exchange?.requestId ?? randomUUID());
  });

  async function handled(request: Request, env: { incoming?: IncomingMessage }): Promise<Response> {
    const exchange: Exchange = { requestId: requestIdOf(request), startedMs: performance.now(), headers: {} };
    exchanges.set(request, exchange);
    const response = await hosted(request, env, exchange);
    response.headers.set('x-request-id', exchange.requestId);
    for (const [name, value] of Object.entries(exchange.headers)) response.headers.set(name, value);
    setSecurityHeaders(response.headers, sendsHsts);
    finish(request, response, exchange);
    return response;
  }

  async function hosted(request: Request, env: { incoming?: IncomingMessage }, exchange: Exchange): Promise<Response> {
    try {
      refuseSeveralHosts(env.incoming);
      refuseForeignHost(request, env.incoming, ownHosts);
      return await app.fetch(request, env);
    } catch (error) {
      return problemResponse(asProblem(error), exchange.requestId);
    }
  }

  function finish(request: Request, response: Response, { requestId, startedMs, route, principal }: Exchange): void {
    const elapsedMs = performance.now() - startedMs;
    const name = route?.path ?? 'other';
    const method = route?.method ?? (isSafe(request.method) ? 'GET' : 'other');
    requests.add(1, { method, route: name, status: String(response.status) });
    seconds.observe(elapsedMs / 1_000, { method, route: name });
    const level = route?.limit === 'none' && response.status < 400 ? 'debug' : 'info';
    log[level](
      {
        requestId,
        method: request.method,
        route: name,
        status: response.status,
        elapsedMs: Math.round(elapsedMs * 10) / 10,
        tenantId: principal?.tenantId,
        subject: principal?.subject,
      },
      'request',
    );
  }

  const servers = new Set<Server>();
  let { tls } = options;
  const listener = getRequestListener((request, env) => handled(request, env as { incoming: IncomingMessage }), {
    overrideGlobalObjects: false,
    errorHandler: (error) => unreadable(error),
  });
  return {
    fetch: (request, env) => handled(request, env ?? {}),
    listen: ({ host, port }) =>
      listen(listener, servers, { host, port, tls, maxConnections: options.maxConnections ?? MAX_CONNECTIONS }),
    replaceCertificate(pair) {
      tls = pair;
      for (const server of servers) if (server instanceof TlsServer) server.setSecureContext({ ...pair, ...TLS });
    },
    stop: (graceMs = STOP_GRACE_MS) => stop(servers, graceMs),
  };
}

type Listener = ReturnType<typeof getRequestListener>;

async function listen(
  listener: Listener,
  servers: Set<Server>,
  { host, port, tls, maxConnections }: { host: string; port: number; tls: HttpOptions['tls']; maxConnections: number },
): Promise<{ host: string; port: number }> {
  const timeouts = {
    headersTimeout: HEADERS_TIMEOUT_MS,
    requestTimeout: REQUEST_TIMEOUT_MS,
    keepAliveTimeout: KEEP_ALIVE_MS,
    connectionsCheckingInterval: CONNECTIONS_CHECK_MS,
  };
  const take = (incoming: IncomingMessage, outgoing: ServerResponse): void => void listener(incoming, outgoing);
  const server =
    tls === undefined ? createServer(timeouts, take) : createTlsServer({ ...timeouts, ...tls, ...TLS }, take);
  boundConnections(server, maxConnections);
  server.on('clientError', answerBroken);
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen({ host, port, ipv6Only: host.includes(':') }, resolve);
  });
  servers.add(server);
  return { host, port: (server.address() as AddressInfo).port };
}

async function stop(servers: Set<Server>, graceMs: number): Promise<void> {
  const stopping = [...servers].map(async (server) => {
    servers.delete(server);
    const cut = setTimeout(() => server.closeAllConnections(), graceMs);
    // Connections that were busy when the stop began stay open for the next request: end each as it falls idle.
    const idle = setInterval(() => server.closeIdleConnections(), IDLE_CHECK_MS);
    await new Promise<void>((resolve) => server.close(() => resolve()));
    clearTimeout(cut);
    clearInterval(idle);
  });
  await Promise.all(stopping);
}

/** What node:http could not read as a request: status by its error code, then the connection ends. */
const BROKEN: Readonly<Record<string, Problem>> = {
  HPE_HEADER_OVERFLOW: new Problem('PAYLOAD_TOO_LARGE', 'The headers are too large.', { status: 431 }),
  ERR_HTTP_REQUEST_TIMEOUT: new Problem('VALIDATION_FAILED', 'The request did not come in time.', { status: 408 }),
};
const UNREADABLE = new Problem('VALIDATION_FAILED', 'The request is not valid HTTP.');

function answerBroken(error: NodeJS.ErrnoException, socket: Socket): void {
  if (error.code === 'ECONNRESET' || !socket.writable) {
    socket.destroy();
    return;
  }
  const problem = BROKEN[error.code ?? ''] ?? UNREADABLE;
  const requestId = randomUUID();
  void problemResponse(problem, requestId)
    .text()
    .then((body) => {
      const head = [
        `HTTP/1.1 ${problem.status} ${problem.code}`,
        'content-type: application/problem+json',
        `content-length: ${Buffer.byteLength(body)}`,
        `x-request-id: ${requestId}`,
        'connection: close',
      ];
      socket.end(`${head.join('\r\n')}\r\n\r\n${body}`);
    });
}

/** A request that could not be made into a Request: a host or a target that is no address. */
function unreadable(error: unknown): Response {
  const problem = new Problem('VALIDATION_FAILED', 'The request does not name an address that can be read.', {
    cause: error,
  });
  const response = problemResponse(problem, randomUUID());
  setSecurityHeaders(response.headers, false);
  return response;
}

function refusal(route: Route, problem: Problem, request: Request, requestId: string): Response {
  return route.onProblem === undefined
    ? problemResponse(problem, requestId)
    : route.onProblem(problem, request, requestId);
}

function refuseByPolicy({ policy, path }: Route, principal: Principal): void {
  if (principal.mustChangePassword === true && !BEFORE_PASSWORD_CHANGE.has(path)) {
    throw new Problem('FORBIDDEN', 'The password must be changed first.', {
      action: 'Send POST /auth/change-password with the current and a new password.',
    });
  }
  if (policy.kind === 'person' && principal.kind !== 'person') {
    throw new Problem('FORBIDDEN', 'Only a person who is logged in may do this.', { action: 'Log in.' });
  }
  if (policy.kind === 'person' && !isRoleIn(policy, principal.role)) {
    throw new Problem('FORBIDDEN', `Only somebody who is ${policy.roles?.join(' or ')} of the tenant may do this.`);
  }
  if (policy.kind === 'scope' && !isScopeHeld(policy, principal.scopes)) {
    const wanted = enoughScopes(policy).join(' or ');
    throw new Problem('FORBIDDEN', `These credentials do not hold the scope ${wanted}.`);
  }
}

const POLICIES = new Set(['public', 'person', 'authenticated', 'scope']);
const LIMITS = new Set(['v1', 'api', 'login', 'public', 'none']);

// Types stop most of this at compile time; a route that was cast, or made from a table, is stopped here.
function refuseWrongDeclarations(routes: readonly Route[]): void {
  const seen = new Set<string>();
  for (const route of routes) {
    const name = `${route.method} ${route.path}`;
    const policy: { kind?: string; scope?: string; or?: readonly string[]; because?: string } | undefined =
      route.policy;
    if (policy?.kind === undefined || !POLICIES.has(policy.kind)) {
      throw new Error(`The route ${name} declares no policy: say who may call it.`);
    }
    if (policy.kind === 'public' && (policy.because ?? '').trim() === '') {
      throw new Error(`The route ${name} is public and does not say why.`);
    }
    const scopes = policy.kind === 'scope' ? [policy.scope ?? '', ...(policy.or ?? [])] : [];
    for (const scope of scopes) {
      if ((SCOPES as readonly string[]).includes(scope)) continue;
      throw new Error(`The route ${name} asks for the scope "${scope}", which does not exist.`);
    }
    if (!LIMITS.has(route.limit)) throw new Error(`The route ${name} declares no rate limit.`);
    if (!route.path.startsWith('/')) throw new Error(`The path of the route ${name} does not begin with a slash.`);
    const shape = `${route.method} ${route.path.replaceAll(/\{[^}]+\}/g, '{}')}`;
    if (seen.has(shape)) throw new Error(`The route ${name} is declared twice.`);
    seen.add(shape);
  }
}

/**
 * Paths are matched in the order in which they were given to hono: `/photos/{photoId}` before `/photos/watermark-keys`
 * would answer for it, under the policy of another route. A name goes before a parameter in the same place.
 */
function namesFirst(routes: readonly Route[]): Route[] {
  return routes.toSorted((a, b) => (orderOf(a) < orderOf(b) ? -1 : orderOf(a) > orderOf(b) ? 1 : 0));
}

/** A digit for each part of the path, names before parameters. */
function orderOf({ path }: Route): string {
  return path.replaceAll(/[^/]+/g, (part) => (part.startsWith('{') ? '1' : '0'));
}

function methodsByPath(routes: readonly Route[]): Map<string, string[]> {
  const methods = new Map<string, string[]>();
  for (const { path, method } of routes) {
    methods.set(path, [...(methods.get(path) ?? []), ...(method === 'GET' ? ['GET', 'HEAD'] : [method])]);
  }
  for (const allowed of methods.values()) allowed.push('OPTIONS');
  return methods;
}

/** `/api/traces/{traceId}` → `/api/traces/:traceId`. */
function honoPath(path: string): string {
  return path.replaceAll(/\{([^}]+)\}/g, ':$1');
}

function requestIdOf(request: Request): string {
  const sent = request.headers.get('x-request-id');
  return sent !== null && REQUEST_ID.test(sent) ? sent : randomUUID();
}

function logFailure(log: Logger, { requestId, route }: Exchange, problem: Problem): void {
  log.error({ requestId, route: route?.path, error: describe(problem.cause) }, 'a request failed');
}

// Named members only: errors of PostgreSQL carry the values of the row in others.
function describe(error: unknown): Record<string, unknown> {
  if (!(error instanceof Error)) return { message: String(error) };
  const { name, message, stack } = error;
  const code = (error as { code?: unknown }).code;
  return { name, message, stack, ...(typeof code === 'string' ? { code } : {}) };
}
