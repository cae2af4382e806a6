// Routes of running an installation: health, metrics, and the first steps of a new one.
import { timingSafeEqual } from 'node:crypto';
import { z } from 'zod';
import type { Access } from '../access/access.ts';
import { Problem } from './errors.ts';
import type { Metrics } from './metrics.ts';
import { isLoopback } from './origin.ts';
import { json, route, type Route, type RouteContext } from './route.ts';

export interface OperationsRoutesOptions {
  access: Pick<Access, 'firstRun'>;
  metrics: Metrics;
  /** Each resolves when its part answers. */
  checks: Readonly<Record<string, () => Promise<unknown>>>;
  otlpUrl: string;
  /** Whether the tenant has received a span. */
  hasSpans: (tenantId: string) => Promise<boolean>;
  /** LUMATRACE_METRICS_TOKEN: lets a scraper that is not on this machine in. */
  metricsToken?: string;
}

const CHECK_TIMEOUT_MS = 2_000;
const healthIsPublic = { kind: 'public', because: 'load balancers ask without credentials; it holds no data' } as const;
const PROMETHEUS = 'text/plain; version=0.0.4; charset=utf-8';

export function operationsRoutes(options: OperationsRoutesOptions): Route[] {
  const { access, metrics, checks, otlpUrl, hasSpans, metricsToken } = options;
  const { firstRun } = access;
  return [
    route({
      method: 'GET',
      path: '/api/v1/health',
      summary: 'Whether the service is up.',
      tag: 'operations',
      policy: healthIsPublic,
      limit: 'none',
      answers: {
        200: { description: 'Up.', schema: z.object({ status: z.literal('UP'), timestamp: z.iso.datetime() }) },
      },
      handle: () => Promise.resolve(json({ status: 'UP', timestamp: new Date().toISOString() })),
    }),
    route({
      method: 'GET',
      path: '/health/live',
      summary: 'Whether the process answers.',
      tag: 'operations',
      policy: healthIsPublic,
      limit: 'none',
      answers: { 200: { description: 'Alive.', schema: z.object({ status: z.literal('UP') }) } },
      handle: () => Promise.resolve(json({ status: 'UP' })),
    }),
    route({
      method: 'GET',
      path: '/health/ready',
      summary: 'Whether the parts that requests need answer.',
      tag: 'operations',
      policy: healthIsPublic,
      limit: 'none',
      answers: {
        200: { description: 'Ready.', schema: readiness('UP') },
        503: { description: 'A part does not answer.', schema: readiness('DOWN') },
      },
      async handle() {
        const results = await Promise.all(
          Object.entries(checks).map(async ([name, check]) => [name, await answers(check)] as const),
        );
        const isReady = results.every(([, state]) => state === 'UP');
        const body = { status: isReady ? 'UP' : 'DOWN', checks: Object.fromEntries(results) };
        return json(body, isReady ? 200 : 503);
      },
    }),
    route({
      method: 'GET',
      path: '/metrics',
      summary: 'Metrics in the Prometheus text format; from this machine, or with the metrics token.',
      tag: 'operations',
      policy: {
        kind: 'public',
        because: 'scrapers hold no tenant credentials: the route itself admits loopback or the metrics token only',
      },
      limit: 'none',
      answers: {
        200: { description: 'The metrics.', contentType: 'text/plain' },
        401: { description: 'Asked from another machine without the token.' },
      },
      handle(context) {
        refuseStrangers(context, metricsToken);
        return Promise.resolve(new Response(metrics.text(), { headers: { 'content-type': PROMETHEUS } }));
      },
    }),
    route({
      method: 'GET',
      path: '/api/onboarding',
      summary: 'How far the installation has come.',
      tag: 'settings',
      policy: { kind: 'authenticated' },
      limit: 'api',
      answers: {
        200: {
          description: 'The first steps.',
          schema: z.object({ hasSpans: z.boolean(), otlpUrl: z.string(), firstRunFile: z.string().nullable() }),
        },
      },
      async handle({ principal }) {
        // Where the file lies on the server is for those who may delete it.
        const file = principal.scopes.has('keys:admin') ? await firstRun.file() : undefined;
        return json({ hasSpans: await hasSpans(principal.tenantId), otlpUrl, firstRunFile: file ?? null });
      },
    }),
    route({
      method: 'DELETE',
      path: '/api/onboarding/first-run-file',
      summary: 'Delete the file with the first credentials.',
      tag: 'settings',
      policy: { kind: 'scope', scope: 'keys:admin' },
      limit: 'api',
      answers: { 204: { description: 'The file is gone.' } },
      async handle({ principal, requestId }) {
        await firstRun.deleteFile(principal, requestId);
        return new Response(null, { status: 204 });
      },
    }),
  ];
}

function readiness<Status extends string>(status: Status) {
  return z.object({ status: z.literal(status), checks: z.record(z.string(), z.enum(['UP', 'DOWN'])) });
}

async function answers(check: () => Promise<unknown>): Promise<'UP' | 'DOWN'> {
  const { promise: late, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => reject(new Error('no answer in time')), CHECK_TIMEOUT_MS);
  return Promise.race([check(), late])
    .then(
      () => 'UP' as const,
      () => 'DOWN' as const,
    )
    .finally(() => clearTimeout(timer));
}

// A proxy on this machine would make every request look local: what was forwarded is not.
function refuseStrangers(
  { request, incoming }: RouteContext<unknown, unknown, unknown>,
  token: string | undefined,
): void {
  const { headers } = request;
  const isForwarded = ['x-forwarded-for', 'forwarded', 'x-real-ip'].some((name) => headers.has(name));
  const peer = (incoming as typeof incoming | undefined)?.socket.remoteAddress;
  if (isLoopback(peer) && !isForwarded) return;
  const sent = headers.get('authorization');
  if (sent === null) throw new Problem('AUTH_MISSING', 'Metrics are given to this machine, or for the metrics token.');
  if (token === undefined || !isSame(sent, `Bearer ${token}`)) throw new Problem('AUTH_INVALID');
}

function isSame(a: string, b: string): boolean {
  const [left, right] = [Buffer.from(a), Buffer.from(b)];
  return left.length === right.length && timingSafeEqual(left, right);
}
