// The database is taken away: nobody is let in, everybody is told UNAVAILABLE, what was acknowledged is there afterwards.
import { randomBytes, randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { reply, type Family } from '../family.ts';
import { traceOf } from '../parties.ts';
import { exampleOf, pathWith, queryWith, type RouteFacts } from '../routes.ts';
import { wasServed, type Pooled, type Scene } from '../scene.ts';
import type { Answer, Shot } from '../shot.ts';

/** What the server remembers of keys, tokens and tenants is this old at most. */
const REMEMBERED_MS = 5_500;
/** Its 503 says which part is down, by its contract without a code. */
const SAYS_SO = new Set(['/health/ready']);
const RECOVERY_MS = 30_000;
const STATES = ['refused', 'reset', 'silent'] as const;
const SENDERS = 4;
const LOADED_MS = 2_000;
/** One after the other for each sender, while the database comes and goes. */
const SPAN_PAUSE_MS = 20;

export const outage: Family = {
  name: 'outage',
  about: 'the database is gone, cuts connections, falls silent or is slow; the counters of requests are gone',
  needsPooler: true,
  holes: [
    {
      name: 'who cannot be looked up is let in',
      open: async (_, { forward }) => {
        const answer = await forward();
        return answer.status === 503 ? reply(200, {}) : answer;
      },
    },
    {
      name: 'the driver’s error comes through',
      open: async (_, { forward }) => {
        const answer = await forward();
        return answer.status === 503 ? reply(500, { error: 'connect ECONNREFUSED' }) : answer;
      },
    },
    {
      name: 'spans are acknowledged and kept nowhere',
      open: (passing, { forward }) => (passing.url.startsWith('/v1/traces') ? reply(200, {}) : forward()),
    },
  ],
  async run(scene) {
    const { pooled } = scene.stage;
    if (pooled === undefined) throw new TypeError('Expected an instance whose database can be taken away');
    const load = new AbortController();
    const acknowledged = new Set<string>();
    const sending = Promise.all(Array.from({ length: SENDERS }, () => sendSpans(scene, load.signal, acknowledged)));
    try {
      for (const state of STATES) await without(scene, pooled, state);
      await whileSlow(scene, pooled);
      await withoutCounters(scene, pooled);
    } finally {
      load.abort();
      await pooled.turn('open');
      await sending;
    }
    await areKept(scene, acknowledged);
    if (pooled.hasEnded()) scene.failed('the server ended while its database was away', 'outage');
  },
};

async function without(scene: Scene, pooled: Pooled, state: (typeof STATES)[number]): Promise<void> {
  // what is acknowledged right before is what could be lost
  await sleep(LOADED_MS);
  await pooled.turn(state);
  await sleep(REMEMBERED_MS);
  const isSilent = state === 'silent';
  // each of them waits for its five seconds
  const all = scene.stage.routes.filter(({ path }) => !SAYS_SO.has(path));
  const routes = isSilent ? scene.random.shuffled(all).slice(0, 60) : all;
  const shots = scene.some(routes).flatMap((route) => attempts(scene, route, isSilent));
  const closed = new Set(shots.filter(({ isClosed }) => isClosed).map(({ shot }) => shot));
  await scene.volley(
    shots.map(({ shot }) => shot),
    (answer, shot) => openness(answer, closed.has(shot)),
    { mayBeUnavailable: true },
  );
  await pooled.turn('open');
  await recovers(scene, state);
}

/** Nobody can be known without the database: whatever is not public is answered 4xx or 503, and nothing is served. */
function openness(answer: Answer, isClosed: boolean): string | undefined {
  if (!isClosed) return undefined;
  if (wasServed(answer)) return 'somebody who could not be looked up was served';
  const isTold = answer.status === 503 || (answer.status >= 400 && answer.status < 500);
  return isTold ? undefined : `an answer of status ${answer.status} without a database`;
}

function attempts(scene: Scene, route: RouteFacts, isSilent: boolean): { shot: Shot; isClosed: boolean }[] {
  const { own, machine } = scene.stage;
  const credentials: Record<string, string>[] = [
    scene.ownKey,
    { cookie: own.cookies['owner'] ?? '' },
    { authorization: `Bearer lt_live_${randomBytes(32).toString('base64url')}` },
    { authorization: `Basic ${Buffer.from(`${machine?.username}:${machine?.password}`).toString('base64')}` },
    {},
  ];
  const hasBody = ['POST', 'PUT', 'PATCH'].includes(route.method);
  return credentials.slice(0, isSilent ? 2 : credentials.length).map((headers) => ({
    isClosed: !route.isPublic,
    shot: {
      method: route.method,
      path: pathWith(route, randomUUID()) + queryWith(route),
      headers: { ...headers, ...(hasBody ? { 'content-type': route.mediaTypes[0] ?? 'application/json' } : {}) },
      ...(hasBody ? { body: JSON.stringify(exampleOf(route.body ?? {})) } : {}),
      at: route.path.startsWith('/v1/') ? 'otlp' : 'http',
    },
  }));
}

async function recovers(scene: Scene, state: string): Promise<void> {
  const startedMs = performance.now();
  for (;;) {
    const answer = await scene.ask({ method: 'GET', path: '/api/keys', headers: scene.ownKey });
    const tookMs = performance.now() - startedMs;
    if (answer.status === 200) {
      scene.tally.more['slowestRecoveryMs'] = Math.max(scene.tally.more['slowestRecoveryMs'] ?? 0, Math.round(tookMs));
      return scene.verdict(undefined, `recovery after ${state}`);
    }
    if (tookMs > RECOVERY_MS)
      return scene.failed(`not served again ${RECOVERY_MS / 1_000} s after`, state, answer.status);
    await sleep(50);
  }
}

/** Late is not gone: answers come late, or as UNAVAILABLE, and never wrong. */
async function whileSlow(scene: Scene, pooled: Pooled): Promise<void> {
  await pooled.turn('slow');
  const shots = ['/api/keys', '/api/settings', '/api/v1/photos'].flatMap((path) =>
    [scene.ownKey, { authorization: `Bearer lt_live_${randomBytes(32).toString('base64url')}` }].map(
      (headers): Shot => ({ method: 'GET', path, headers }),
    ),
  );
  await scene.volley(
    shots,
    (answer, { headers }) =>
      wasServed(answer) && headers?.['authorization'] !== scene.ownKey['authorization']
        ? 'a key that nobody has was served'
        : undefined,
    { mayBeUnavailable: true, mayHangUp: true },
  );
  await pooled.turn('open');
  await recovers(scene, 'slow');
}

/** Where requests cannot be counted none is let through: neither a login nor a call of the API. */
async function withoutCounters(scene: Scene, pooled: Pooled): Promise<void> {
  await pooled.takeCounters(true);
  try {
    const [person] = scene.stage.own.people;
    const counted: Shot[] = [
      { method: 'GET', path: '/api/v1/photos', headers: scene.ownKey },
      { method: 'GET', path: '/api/keys', headers: { cookie: scene.stage.own.cookies['owner'] ?? '' } },
      {
        method: 'POST',
        path: '/auth/login',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ email: person?.email, password: person?.password }),
      },
    ];
    for (const shot of counted) {
      await scene.fire(
        shot,
        (answer) => (answer.status === 503 ? undefined : `an answer of status ${answer.status} without counters`),
        { mayBeUnavailable: true },
      );
    }
  } finally {
    await pooled.takeCounters(false);
  }
}

async function sendSpans(scene: Scene, signal: AbortSignal, acknowledged: Set<string>): Promise<void> {
  while (!signal.aborted) {
    const trace = traceOf('outage');
    const answer = await scene.ask({
      method: 'POST',
      at: 'otlp',
      path: '/v1/traces',
      headers: { ...scene.ownKey, 'content-type': 'application/json' },
      body: JSON.stringify(trace.body),
    });
    if (answer.status === 200 && acknowledged.size < 5_000) acknowledged.add(trace.traceId);
    await sleep(SPAN_PAUSE_MS);
  }
}

/** Asked past any hole but the family's own: by the ids of what was acknowledged. */
async function areKept(scene: Scene, acknowledged: ReadonlySet<string>): Promise<void> {
  scene.tally.more['acknowledged'] = acknowledged.size;
  let lost = 0;
  for (const traceId of acknowledged) {
    const path = `/api/traces/${traceId}`;
    const answer = await scene.ask({ method: 'GET', path, headers: scene.ownKey });
    if (answer.status !== 200) lost++;
    scene.verdict(answer.status === 200 ? undefined : 'an acknowledged trace is gone', `GET ${path}`, answer.status);
  }
  scene.tally.more['lostAcknowledged'] = lost;
}
