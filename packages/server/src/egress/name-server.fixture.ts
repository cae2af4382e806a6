// A name server on loopback that says what a test tells it to, for one question after the other; RFC 1035, section 4.1.
import { createSocket } from 'node:dgram';
import { Resolver } from 'node:dns/promises';

export interface NameServer {
  /** What the next questions are answered with, in turn; 127.0.0.1 when nothing is left. */
  next(...addresses: string[]): void;
  queries(): number;
  resolve(name: string): Promise<{ address: string; family: number }[]>;
  close(): void;
}

export async function startNameServer(): Promise<NameServer> {
  const socket = createSocket('udp4');
  const answers: string[] = [];
  let queries = 0;
  socket.on('message', (query, { port, address }) => {
    queries++;
    socket.send(answerTo(query, answers.shift() ?? '127.0.0.1'), port, address);
  });
  await new Promise<void>((done) => socket.bind(0, '127.0.0.1', done));
  const resolver = new Resolver({ timeout: 1_000, tries: 1 });
  resolver.setServers([`127.0.0.1:${socket.address().port}`]);
  return {
    next: (...addresses) => void answers.splice(0, answers.length, ...addresses),
    queries: () => queries,
    resolve: async (name) => (await resolver.resolve4(name)).map((address) => ({ address, family: 4 })),
    close: () => void socket.close(),
  };
}

/** The question back with one A record that nobody may keep (TTL 0). */
function answerTo(query: Buffer, address: string): Buffer {
  const head = Buffer.from(query.subarray(0, 12));
  head.writeUInt16BE(0x81_80, 2);
  head.writeUInt16BE(1, 6);
  head.fill(0, 8, 12);
  // one label after the other, then type and class
  let end = 12;
  while (query[end] !== 0) end += (query[end] ?? 0) + 1;
  const record = Buffer.from([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4, ...address.split('.').map(Number)]);
  return Buffer.concat([head, query.subarray(12, end + 5), record]);
}
