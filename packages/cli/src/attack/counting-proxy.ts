// Stands between an attacker of others and the server: counts each request and judges each answer as for our own attacks.
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Scene } from './scene.ts';
import type { Shot } from './shot.ts';

const HOP_BY_HOP = new Set([
  'connection',
  'keep-alive',
  'transfer-encoding',
  'content-length',
  'upgrade',
  'expect',
  'host',
]);

export interface CountingProxy {
  url: string;
  /** Requests that came through. */
  passed(): number;
  close(): void;
}

/**
 * `headers` are added to requests that lack them. In a rehearsal answers are counted and not judged, so that only what the
 * attacker itself finds is a find.
 */
export async function countingProxy(scene: Scene, headers: Record<string, string> = {}): Promise<CountingProxy> {
  let passed = 0;
  const pass = async (incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> => {
    const chunks: Buffer[] = [];
    for await (const chunk of incoming) chunks.push(chunk as Buffer);
    const shot = shotOf(incoming, Buffer.concat(chunks), headers);
    passed++;
    const answer = await (scene.isPlanted ? scene.ask(shot) : scene.fire(shot, undefined, { mayHangUp: true }));
    if (answer.status < 200) outgoing.destroy();
    else outgoing.writeHead(answer.status, withoutHops(answer.headers)).end(answer.body);
  };
  const server = createServer((incoming, outgoing) => void pass(incoming, outgoing).catch(() => outgoing.destroy()));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    passed: () => passed,
    close() {
      server.close();
      server.closeAllConnections();
    },
  };
}

function shotOf(incoming: IncomingMessage, body: Buffer, added: Record<string, string>): Shot {
  const { method = 'GET', url = '/' } = incoming;
  const headers = withoutHops(incoming.headers as Record<string, string | string[]>);
  return { method, path: url, headers: { ...added, ...headers }, ...(body.length === 0 ? {} : { body }) };
}

function withoutHops<T>(headers: Record<string, T>): Record<string, T> {
  return Object.fromEntries(Object.entries(headers).filter(([name]) => !HOP_BY_HOP.has(name)));
}
