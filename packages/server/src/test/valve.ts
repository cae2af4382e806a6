// A TCP relay before a service of ours that can take it away in the ways in which services go away.
import { connect, createServer, type NetConnectOpts, type Server, type Socket } from 'node:net';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

/** open: relays. refused: nobody listens. reset: taken in and cut. silent: taken in, never answered. slow: late. */
export type ValveState = 'open' | 'refused' | 'reset' | 'silent' | 'slow';

export interface Valve {
  port: number;
  /** Holds for the connections that there are and for new ones. Resolves when it holds. */
  turn(state: ValveState): Promise<void>;
  close(): Promise<void>;
}

export interface ValveOptions {
  to: NetConnectOpts;
  /** In state `slow`, how late each piece comes through. */
  slowMs: number;
}

export async function openValve({ to, slowMs }: ValveOptions): Promise<Valve> {
  let state: ValveState = 'open';
  const sockets = new Set<Socket>();
  const keep = (socket: Socket): void => {
    sockets.add(socket);
    socket.on('error', () => {});
    socket.once('close', () => sockets.delete(socket));
  };
  // what comes while silent is dropped: the other side never hears of it
  const relay = (from: Socket, into: Socket): void => {
    let last: Promise<unknown> = Promise.resolve();
    from.on('data', (bytes) => {
      if (state === 'silent') return;
      const lateMs = state === 'slow' ? slowMs : 0;
      last = last.then(() => (lateMs > 0 ? sleep(lateMs) : undefined)).then(() => into.writable && into.write(bytes));
    });
    from.once('close', () => into.destroy());
  };
  const server = createServer((near) => {
    keep(near);
    if (state === 'reset') return cut(near);
    const far = connect(to);
    keep(far);
    relay(near, far);
    relay(far, near);
  });
  await listen(server, 0);
  const { port } = server.address() as AddressInfo;
  return {
    port,
    async turn(next) {
      const wasListening = server.listening;
      state = next;
      if (next === 'refused' || next === 'reset') for (const socket of sockets) cut(socket);
      if (next === 'refused' && wasListening) await new Promise((resolve) => server.close(resolve));
      if (next !== 'refused' && !wasListening) await listen(server, port);
      // a connection that lost bytes in between would never be in step again
      if (next === 'open') for (const socket of sockets) socket.destroy();
    },
    async close() {
      for (const socket of sockets) socket.destroy();
      if (server.listening) await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** With RST where the socket is of TCP. */
function cut(socket: Socket): void {
  if (socket.remotePort === undefined) socket.destroy();
  else socket.resetAndDestroy();
}

function listen(server: Server, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, '127.0.0.1', () => {
      server.off('error', reject);
      resolve();
    });
  });
}
