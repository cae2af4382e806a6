// One hostile request and its answer, sent so that nothing on our side makes it tidier than it is.
import { Agent, request as httpRequest, type IncomingHttpHeaders, type IncomingMessage } from 'node:http';
import { connect } from 'node:net';
import type { Duplex } from 'node:stream';

export interface Shot {
  method: string;
  /** Sent as it stands: neither resolved nor encoded. */
  path: string;
  headers?: Record<string, string | string[]>;
  body?: string | Uint8Array;
  /** Where it goes; the door for people and the API unless said otherwise. */
  at?: 'http' | 'otlp';
  /** Address of this machine that it comes from, such as 127.0.0.9. */
  from?: string;
}

export interface Answer {
  /** 0 when the connection ended without one. */
  status: number;
  headers: IncomingHttpHeaders;
  body: Buffer;
  text: string;
  ms: number;
}

const LIMIT_MS = 30_000;
const MAX_ANSWER_BYTES = 64 * 1024 * 1024;
const agents = new Map<string, Agent>();

/** Never throws: a connection that was cut, or an answer that did not come in 30 s, is an answer of status 0. */
export function send(origin: string, shot: Shot): Promise<Answer> {
  const { hostname, port } = new URL(origin);
  const startedMs = performance.now();
  const nothing = (why: string): Answer => ({
    status: 0,
    headers: {},
    body: Buffer.alloc(0),
    text: why,
    ms: performance.now() - startedMs,
  });
  return new Promise((resolve) => {
    try {
      const outgoing = httpRequest(
        {
          hostname: hostname === 'localhost' ? '127.0.0.1' : hostname,
          port,
          method: shot.method,
          path: shot.path,
          headers: headersOf(shot, new URL(origin).host),
          agent: agentFor(shot.from),
          timeout: LIMIT_MS,
          ...(shot.from === undefined ? {} : { localAddress: shot.from }),
        },
        (incoming) => {
          const chunks: Buffer[] = [];
          let length = 0;
          incoming.on('data', (chunk: Buffer) => {
            length += chunk.length;
            if (length <= MAX_ANSWER_BYTES) chunks.push(chunk);
          });
          const done = (): void => {
            const body = Buffer.concat(chunks);
            const ms = performance.now() - startedMs;
            resolve({
              status: incoming.statusCode ?? 0,
              headers: incoming.headers,
              body,
              text: body.toString('utf8'),
              ms,
            });
          };
          incoming.once('end', done);
          incoming.once('error', done);
        },
      );
      // CONNECT and Upgrade hand over the socket: the status is all that is wanted
      const handedOver = (incoming: IncomingMessage, socket: Duplex): void => {
        socket.destroy();
        const body = Buffer.alloc(0);
        const { statusCode = 0, headers } = incoming;
        resolve({ status: statusCode, headers, body, text: '', ms: performance.now() - startedMs });
      };
      outgoing.once('connect', handedOver);
      outgoing.once('upgrade', handedOver);
      outgoing.once('timeout', () => outgoing.destroy(new Error('no answer in 30 s')));
      outgoing.once('error', (error) => resolve(nothing(error.message)));
      outgoing.end(shot.body);
    } catch (error) {
      // Node itself refuses to send some forms; the raw socket is for those
      resolve({ ...nothing(`not sent: ${(error as Error).message}`), status: NOT_SENT });
    }
  });
}

/** The request never left this machine. */
export const NOT_SENT = -1;

function headersOf({ headers, body, method }: Shot, host: string): Record<string, string | string[]> {
  const own: Record<string, string | string[]> = { host, ...headers };
  const names = new Set(Object.keys(own).map((name) => name.toLowerCase()));
  const hasBody = body !== undefined || ['POST', 'PUT', 'PATCH'].includes(method);
  if (hasBody && !names.has('content-length') && !names.has('transfer-encoding')) {
    own['content-length'] = String(Buffer.byteLength(body ?? ''));
  }
  return own;
}

function agentFor(from = ''): Agent {
  const known = agents.get(from);
  if (known !== undefined) return known;
  const made = new Agent({ keepAlive: true, maxSockets: 32, maxFreeSockets: 8 });
  agents.set(from, made);
  return made;
}

/** Ends the connections that are kept open. */
export function hangUp(): void {
  for (const agent of agents.values()) agent.destroy();
  agents.clear();
}

export interface RawAnswer {
  text: string;
  /** Whether the other side ended the connection within the limit. */
  closed: boolean;
  ms: number;
}

/** Writes bytes to a socket, the pieces `pauseMs` apart, and gives what came back until the end or the limit. */
export function sendRaw(
  port: number,
  pieces: readonly (string | Uint8Array)[],
  { limitMs = 1_500, pauseMs = 30 }: { limitMs?: number; pauseMs?: number } = {},
): Promise<RawAnswer> {
  return new Promise((resolve) => {
    const startedMs = performance.now();
    const chunks: Buffer[] = [];
    const socket = connect({ port, host: '127.0.0.1' });
    const finish = (closed: boolean): void => {
      clearTimeout(timer);
      socket.destroy();
      resolve({ text: Buffer.concat(chunks).toString('latin1'), closed, ms: performance.now() - startedMs });
    };
    const timer = setTimeout(() => finish(false), limitMs);
    socket.on('data', (chunk: Buffer) => chunks.push(chunk));
    socket.once('close', () => finish(true));
    socket.once('error', () => {});
    socket.once('connect', () => {
      pieces.forEach((piece, i) => setTimeout(() => socket.writable && socket.write(piece), i * pauseMs));
    });
  });
}
