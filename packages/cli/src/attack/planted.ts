// The rehearsal: a proxy before the real server that opens one hole, or a server with the hole, and a family that must find it.
import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Family, Hole, Passing, Reply } from './family.ts';
import { Found, Scene, type Stage, type Target } from './scene.ts';
import { randomFrom, seedOf } from './random.ts';
import { send } from './shot.ts';
import { Tally } from './tally.ts';

const HOP_BY_HOP = new Set(['connection', 'keep-alive', 'transfer-encoding', 'content-length', 'upgrade', 'expect']);

/** Whether the family found the hole. It may try all that it has, however short the run: it ends at the first find. */
export async function findsHole(given: Stage, family: Family, hole: Hole, seed: number): Promise<boolean> {
  const said: string[] = [];
  const real = { ...given, most: Infinity, log: () => said.join('\n') };
  const stage = 'behind' in hole ? hole.behind(real) : real;
  const tally = new Tally();
  const scene = new Scene(stage, stage.target, tally, randomFrom(seedOf(seed, family.name)), true);
  const planted = await plant(hole, scene, (line) => said.push(line));
  const origin = `http://localhost:${planted?.port}`;
  const target: Target = planted === undefined ? stage.target : { http: origin, otlp: origin, grpcPort: planted.port };
  try {
    await family.run(new Scene(stage, target, tally, scene.random, true));
  } catch (error) {
    if (!(error instanceof Found)) throw error;
  } finally {
    planted?.close();
  }
  return tally.hasFound;
}

/** Nothing stands before the server when the hole is behind it. */
function plant(
  hole: Hole,
  scene: Scene,
  write: (line: string) => void,
): Promise<{ port: number; close(): void }> | undefined {
  if ('behind' in hole) return undefined;
  return 'serve' in hole ? hole.serve(scene) : proxyWith(hole, scene, write);
}

type OpenHole = Extract<Hole, { open: unknown }>;

async function proxyWith(
  hole: OpenHole,
  scene: Scene,
  write: (line: string) => void,
): Promise<{ port: number; close(): void }> {
  const server = createServer((incoming, outgoing) => {
    answer(hole, scene, write, incoming)
      .then(({ status, headers, body }) => outgoing.writeHead(status, withoutHops(headers)).end(body))
      // an answer that cannot be written is no find of the family
      .catch(() => outgoing.destroy());
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    port,
    close() {
      server.close();
      server.closeAllConnections();
    },
  };
}

async function answer(
  hole: OpenHole,
  scene: Scene,
  write: (line: string) => void,
  incoming: IncomingMessage,
): Promise<Reply> {
  const chunks: Buffer[] = [];
  for await (const chunk of incoming) chunks.push(chunk as Buffer);
  const passing: Passing = {
    method: incoming.method ?? 'GET',
    url: incoming.url ?? '/',
    headers: withoutHops(incoming.headers as Record<string, string>),
    body: Buffer.concat(chunks),
  };
  const isOtlp = passing.url.startsWith('/v1/');
  const forward = async (changes: Partial<Passing> = {}): Promise<Reply> => {
    const { method, url, headers, body } = { ...passing, ...changes };
    const origin = isOtlp ? scene.stage.target.otlp : scene.stage.target.http;
    const { host: _, ...rest } = headers;
    // the length of a body whose hop headers were taken away is known here
    const sent = await send(origin, {
      method,
      path: url,
      headers: { ...rest, host: new URL(origin).host },
      ...(body.length === 0 ? {} : { body }),
    });
    const status = sent.status < 200 ? 502 : sent.status;
    return { status, headers: sent.headers as Record<string, string>, body: sent.body };
  };
  return hole.open(passing, { forward, scene, write });
}

function withoutHops<T>(headers: Record<string, T>): Record<string, T> {
  return Object.fromEntries(Object.entries(headers).filter(([name]) => !HOP_BY_HOP.has(name.toLowerCase())));
}
