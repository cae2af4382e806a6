// Whether callers notice that others sit on the listener: 10,000 idle sockets, bodies and headers that dribble, and headers without
// end, from a process of its own; without and with them, in turns, the same requests are timed, half of them on new connections.
import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { Agent, request } from 'node:http';
import { connect, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { startInstance, type Instance } from '../packages/server/src/test/instance.ts';
import { pssBytes } from '../packages/server/src/test/processes.ts';
import { progress, publish, quantile, round } from './report.ts';

const IDLE_SOCKETS = 10_000;
const DRIBBLING = 500;
const MEASURE_MS = 4_000;
const ROUNDS = 4;
const SETTLE_MS = 1_500;
/** Requests begin at a fixed rate: a caller who waits for answers would time a slow server less often. */
const REQUESTS_PER_SECOND = 50;
const MIB = 2 ** 20;
const AT_ONCE = 100;
const FLOOD_EVERY_MS = 20;

const PHASES = ['idle', 'slow-bodies', 'slow-headers', 'header-floods', 'all'] as const;
type Phase = (typeof PHASES)[number];

if (process.argv[2] === '--attack') await attack(Number(process.argv[3]), process.argv[4] as Phase);
else await measure();

async function measure(): Promise<void> {
  const instance = await startInstance({ env: { LUMATRACE_REQUESTS_PER_HOUR: '1000000' } });
  try {
    await timed(instance, MEASURE_MS);
    const rows: Record<string, object> = {};
    // one alone when it is named: node bench/floods.bench.ts all
    for (const phase of PHASES.filter((each) => process.argv[2] === undefined || process.argv[2] === each)) {
      rows[phase] = await compared(instance, phase);
      progress(`${phase}: ${JSON.stringify(rows[phase])}`);
    }
    publish('floods', { idleSockets: IDLE_SOCKETS, dribbling: DRIBBLING, rounds: ROUNDS, ...rows });
  } finally {
    await instance.stop();
  }
}

/** In turns, so that whatever else the machine does falls on both. */
async function compared(instance: Instance, phase: Phase): Promise<object> {
  const [alone, attacked]: [Times[], Times[]] = [[], []];
  let memoryMb = 0;
  for (let round_ = 0; round_ < ROUNDS; round_++) {
    alone.push(await timed(instance, MEASURE_MS));
    const attacker = await startAttack(instance, phase);
    await sleep(SETTLE_MS);
    attacked.push(await timed(instance, MEASURE_MS));
    memoryMb = round(pssBytes(instance.process.pid as number) / MIB, 0);
    const ended = once(attacker, 'exit');
    attacker.kill('SIGKILL');
    await ended;
    await sleep(SETTLE_MS);
  }
  const [before, during] = [summed(alone), summed(attacked)];
  return { before, during, timesP95: round(during.p95Ms / before.p95Ms, 2), memoryMb };
}

/** The quickest round of each: what neighbours do on the machine only adds. */
function summed(rounds: readonly Times[]): Times {
  const total = (pick: (times: Times) => number): number => rounds.reduce((sum, times) => sum + pick(times), 0);
  const least = (pick: (times: Times) => number): number => Math.min(...rounds.map(pick));
  return {
    requests: total(({ requests }) => requests),
    failed: total(({ failed }) => failed),
    p50Ms: least(({ p50Ms }) => p50Ms),
    p95Ms: least(({ p95Ms }) => p95Ms),
    p99Ms: least(({ p99Ms }) => p99Ms),
  };
}

interface Times {
  requests: number;
  failed: number;
  p50Ms: number;
  p95Ms: number;
  p99Ms: number;
}

async function timed(instance: Instance, forMs: number): Promise<Times> {
  const agent = new Agent({ keepAlive: true, maxSockets: 16 });
  const [ms, running]: [number[], Promise<void>[]] = [[], []];
  let failed = 0;
  const startedMs = performance.now();
  for (let n = 0; performance.now() - startedMs < forMs; n++) {
    const dueMs = startedMs + (n * 1_000) / REQUESTS_PER_SECOND;
    await sleep(Math.max(0, dueMs - performance.now()));
    const one = once200(instance, n % 2 === 0 ? agent : undefined).then(
      () => void ms.push(performance.now() - dueMs),
      () => void failed++,
    );
    running.push(one);
  }
  await Promise.all(running);
  agent.destroy();
  const at = (q: number): number => round(quantile(ms, q), 2);
  return { requests: ms.length, failed, p50Ms: at(0.5), p95Ms: at(0.95), p99Ms: at(0.99) };
}

/** A request with credentials that reads the database. A socket that was kept and then closed by the other side is tried once more. */
async function once200(instance: Instance, agent: Agent | undefined): Promise<void> {
  const headers = { authorization: `Bearer ${instance.firstRun.apiKey}` };
  const ask = (): Promise<void> =>
    new Promise((done, fail) => {
      const options = { headers, agent: agent ?? false, family: 4 };
      const outgoing = request(`${instance.url}/api/v1/audit?limit=1`, options, (response) => {
        response.resume().on('end', () => (response.statusCode === 200 ? done() : fail(new Error('refused'))));
      });
      outgoing.on('error', (error) => fail(Object.assign(error, { isStale: outgoing.reusedSocket })));
      outgoing.end();
    });
  await ask().catch((error: { isStale?: boolean }) =>
    error.isStale === true ? ask() : Promise.reject(error as Error),
  );
}

/** Resolves when its sockets are open. */
async function startAttack({ ports }: Instance, phase: Phase): Promise<ChildProcess> {
  const child = fork(fileURLToPath(import.meta.url), ['--attack', String(ports.http), phase]);
  const ended = once(child, 'exit').then(() => Promise.reject(new Error(`The attacker of ${phase} ended.`)));
  await Promise.race([once(child, 'message'), ended]);
  ended.catch(() => undefined);
  return child;
}

async function attack(port: number, phase: Phase): Promise<void> {
  const has = (one: Phase): boolean => phase === one || phase === 'all';
  if (has('idle')) await many(IDLE_SOCKETS, () => open(port));
  const line = 'POST /auth/login HTTP/1.1\r\nHost: localhost\r\n';
  if (has('slow-bodies'))
    await many(DRIBBLING, () =>
      dribble(port, `${line}Content-Type: application/json\r\nContent-Length: 8000\r\n\r\n`, ' '),
    );
  if (has('slow-headers')) await many(DRIBBLING, () => dribble(port, line, 'a: b\r\n'));
  // as fast as refusals come: each sends 64 kB of headers and begins again
  if (has('header-floods')) await many(20, () => flood(port, `${line}${`a: ${'b'.repeat(1_000)}\r\n`.repeat(64)}`));
  process.send?.('ready');
}

async function many(n: number, start: () => Promise<unknown>): Promise<void> {
  for (let i = 0; i < n; i += AT_ONCE) await Promise.all(Array.from({ length: Math.min(AT_ONCE, n - i) }, start));
}

async function open(port: number): Promise<Socket> {
  const socket = connect(port, '127.0.0.1');
  socket.on('error', () => {}).resume();
  await once(socket, 'connect').catch(() => undefined);
  return socket;
}

/** A byte or a line a second; begins again when it is cut off. */
async function dribble(port: number, head: string, drop: string): Promise<void> {
  const socket = await open(port);
  socket.write(head);
  const timer = setInterval(() => socket.write(drop), 1_000);
  socket.once('close', () => {
    clearInterval(timer);
    setTimeout(() => void dribble(port, head, drop), 100);
  });
}

async function flood(port: number, head: string): Promise<void> {
  const socket = await open(port);
  socket.end(head);
  socket.once('close', () => setTimeout(() => void flood(port, head), FLOOD_EVERY_MS));
}
