// A bound on the connections of one listener that idle ones cannot fill: when there are too many, the one that has waited
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

/** Of plain and TLS servers: a TLS socket has the peer of the one below it. */
export function boundConnections(server: Server, most: number): void {
  /** The longest idle first: whoever was answered is put last again. */
  const connections = new Map<string, Connection>();
  server.maxConnections = most + SLACK;
  server.on('connection', (socket: Socket) => {
    if (connections.size >= most && !makeRoom(connections)) {
      socket.destroy();
      return;
    }
    const peer = peerOf(socket);
    const connection = { socket, running: 0 };
    connections.set(peer, connection);
    socket.once('close', () => {
      if (connections.get(peer) === connection) connections.delete(peer);
    });
  });
  server.on('request', ({ socket }: IncomingMessage, response: ServerResponse) => {
    const peer = peerOf(socket);
    const connection = connections.get(peer);
    if (connection === undefined) return;
    connection.running++;
    response.once('close', () => {
      connection.running--;
      if (connections.get(peer) !== connection) return;
      connections.delete(peer);
      connections.set(peer, connection);
    });
  });
}

/** Looks at few: the busy ones among the oldest are as many as requests run at once. @returns whether one was closed */
function makeRoom(connections: Map<string, Connection>): boolean {
  for (const [peer, { socket, running }] of connections) {
    if (running > 0) continue;
    connections.delete(peer);
    socket.destroy();
    return true;
  }
  return false;
}

const peerOf = ({ remoteAddress, remotePort }: Socket): string => `${remoteAddress} ${remotePort}`;
