// A bound on the connections of a listener that idle ones cannot fill: when there are too many, the one that has waited
// longest without a request makes room. A new caller is refused only when every connection is in the middle of a request.
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';

interface Connection {
  socket: Socket;
  /** Requests that are not answered yet; headers that are still coming are none. */
  running: number;
}

/** Beside the bound, for those that are being closed. */
const SLACK = 100;

/** Connections by their peer, `address:port`: what is above a socket (TLS, HTTP/2) has the peer of the one below it. */
export class BoundedConnections {
  /** The longest idle first: whoever was answered is put last again. */
  readonly #connections = new Map<string, Connection>();
  readonly #most: number;

  constructor(most: number) {
    this.#most = most;
  }

  /** What a listener takes at once, with those that are being closed. */
  get withSlack(): number {
    return this.#most + SLACK;
  }

  /** @returns false for a caller for whom there is no room; its socket is destroyed */
  admit(socket: Socket): boolean {
    const connections = this.#connections;
    if (connections.size >= this.#most && !this.#makeRoom()) {
      socket.destroy();
      return false;
    }
    const peer = peerOf(socket);
    const connection = { socket, running: 0 };
    connections.set(peer, connection);
    socket.once('close', () => {
      if (connections.get(peer) === connection) connections.delete(peer);
    });
    return true;
  }

  /** A request of this peer begins. @returns what is called at its end, once */
  begin(peer: string): () => void {
    const connections = this.#connections;
    const connection = connections.get(peer);
    if (connection === undefined) return () => {};
    connection.running++;
    let hasEnded = false;
    return () => {
      if (hasEnded) return;
      hasEnded = true;
      connection.running--;
      if (connections.get(peer) !== connection) return;
      connections.delete(peer);
      connections.set(peer, connection);
    };
  }

  /** Looks at few: the busy ones among the oldest are as many as requests run at once. @returns whether one was closed */
  #makeRoom(): boolean {
    for (const [peer, { socket, running }] of this.#connections) {
      if (running > 0) continue;
      this.#connections.delete(peer);
      socket.destroy();
      return true;
    }
    return false;
  }
}

/** Of plain and TLS servers. */
export function boundConnections(server: Server, most: number): void {
  const connections = new BoundedConnections(most);
  server.maxConnections = connections.withSlack;
  server.on('connection', (socket: Socket) => void connections.admit(socket));
  server.on('request', ({ socket }: IncomingMessage, response: ServerResponse) => {
    response.once('close', connections.begin(peerOf(socket)));
  });
}

const peerOf = ({ remoteAddress, remotePort }: Socket): string => `${remoteAddress}:${remotePort}`;
