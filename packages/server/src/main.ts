// The composition root: the one file that knows every room. `up` builds them in order, `backup` and `restore` the few they need.
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { pino, destination, type Logger } from 'pino';
import { readInvocation, unknownVariables, UsageError, type Config, type Invocation } from './config.ts';
import { checkKek, isKeyed, kekPath, openKek, takeDataFolder, type OpenedKek } from './data-folder.ts';
import { Lifecycle, type Part } from './lifecycle.ts';
import { existingCluster } from './storage/embedded/cluster.ts';
import type { FolderLock } from './storage/lock.ts';
import { migrate, readMigrations } from './storage/migrate.ts';
import { openStorage, type Storage } from './storage/open.ts';

const STOP_GRACE_MS = 10_000;
const LOOPBACK = ['127.0.0.1', '::1'] as const;
/** This machine does not have the address: no IPv6, or not on loopback. */
const NO_SUCH_ADDRESS = new Set(['EADDRNOTAVAIL', 'EAFNOSUPPORT', 'EINVAL']);

const say = (line: string): void => void process.stdout.write(`${line}\n`);
const complain = (line: string): void => void process.stderr.write(`lumatrace: ${line}\n`);

async function main(): Promise<number> {
  try {
    const invocation = readInvocation(process.argv.slice(2), process.env);
    if (invocation.help !== undefined) {
      process.stdout.write(invocation.help);
      return 0;
    }
    for (const name of unknownVariables(process.env)) complain(`${name} is no variable of ours and has no effect.`);
    return await COMMANDS[invocation.command](invocation);
  } catch (error) {
    if (error instanceof UsageError) {
      complain(error.message);
      return 2;
    }
    throw error;
  }
}

const COMMANDS: Record<Invocation['command'], (invocation: Invocation) => Promise<number>> = {
  up: ({ config }) => up(config),
};

/** What the parts share, filled in as they start; each part reads only what an earlier one made. */
interface House {
  config: Config;
  log: Logger;
  lifecycle: Lifecycle;
  lock: FolderLock;
  storage: Storage;
  kek: OpenedKek;
  port: number;
}

async function up(config: Config): Promise<number> {
  const log = pino({ level: config.logLevel, base: null }, destination({ dest: 2, sync: true }));
  const house = { config, log } as House;
  const lifecycle = new Lifecycle(PARTS.map((part) => part(house)), complain);
  house.lifecycle = lifecycle;
  return lifecycle.run(() => {
    house.lock.tell({ pid: process.pid, url: urlOf(house) });
    if (house.kek.isNew) {
      say(`The key of all data is ${house.kek.file}: keep a copy of it elsewhere, neither data nor backups open without it.`);
    }
    say(`LumaTrace is ready on ${urlOf(house)}`);
  });
}

/** In the order of starting; stopped in reverse. */
const PARTS: ReadonlyArray<(house: House) => Part> = [dataFolder, database, listeners];

function dataFolder(house: House): Part {
  return {
    name: 'the data folder',
    start: async () => void (house.lock = await takeDataFolder(house.config.dataDir)),
    stop: () => house.lock.release(),
  };
}

function database(house: House): Part {
  const { config, log } = house;
  return {
    name: 'the database',
    async start() {
      const { dataDir, databaseUrl, databaseDirectUrl } = config;
      const file = kekPath(dataDir, config.kekFile);
      const isEmbedded = databaseUrl === undefined;
      // before the cluster: a start that is killed in between leaves a key and no data, not data and no key
      if (isEmbedded) house.kek = await openKek(file, async () => (await existingCluster(dataDir)) !== undefined);
      const storage = await openStorage({
        dataDir,
        databaseUrl,
        databaseDirectUrl,
        maxConnections: config.databaseConnections,
        log: (line) => log.info({ from: 'postgresql' }, line),
        onLost(error) {
          complain(error.message);
          house.lifecycle.end(1);
        },
      });
      try {
        if (storage.cluster?.mode === 'dropped') say(`PostgreSQL keeps its files in ${storage.cluster.folder}.`);
        if (!isEmbedded) house.kek = await openKek(file, () => isKeyed(storage.database));
        await migrate(storage.database.ownerPool, await readMigrations(), { takesRole: storage.takesRole });
        await checkKek(storage.database, house.kek.bytes, house.kek.file);
      } catch (error) {
        await storage.close();
        throw error;
      }
      house.storage = storage;
    },
    stop: () => house.storage.close(),
  };
}

function listeners(house: House): Part {
  const open: Server[] = [];
  const stop = async (): Promise<void> => void (await Promise.all(open.map((server) => closed(server))));
  return {
    name: 'the listeners',
    async start() {
      const { host, port } = house.config;
      house.port = port;
      try {
        for (const address of host === undefined ? LOOPBACK : [host]) {
          const server = createServer((request, response) => {
            void health(house, request.url ?? '').then((status) => response.writeHead(status).end());
          });
          const isSpare = host === undefined && address !== LOOPBACK[0];
          const taken = await listening(server, address, house.port, isSpare);
          if (taken === undefined) continue;
          open.push(server);
          house.port = taken;
        }
      } catch (error) {
        await stop();
        throw error;
      }
    },
    stop,
  };
}

async function health({ storage }: House, path: string): Promise<number> {
  if (path === '/health/live') return 200;
  if (path !== '/health/ready') return 404;
  return storage.database.ping().then(
    () => 200,
    () => 503,
  );
}

/** The port that was taken; undefined when the machine has no such address and it is not needed. */
async function listening(server: Server, host: string, port: number, isSpare: boolean): Promise<number | undefined> {
  try {
    await new Promise<void>((resolve, reject) => server.once('error', reject).listen({ host, port }, resolve));
    return (server.address() as AddressInfo).port;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (isSpare && NO_SUCH_ADDRESS.has(code ?? '')) return undefined;
    throw cannotListen(code ?? String(error), host, port, error);
  }
}

/** Why a port cannot be had, and what to do. */
function cannotListen(code: string, host: string, port: number, cause: unknown): Error {
  const sentences: Record<string, string> = {
    EADDRINUSE: `Port ${port} on ${host} is taken by another program: end that, or choose another port with --port.`,
    EACCES: `Port ${port} may not be opened by this user: choose one above 1023 with --port.`,
    EADDRNOTAVAIL: `${host} is no address of this machine: give one of its addresses with --host.`,
  };
  return new Error(sentences[code] ?? `Cannot listen on ${host} port ${port}: ${code}.`, { cause });
}

async function closed(server: Server): Promise<void> {
  const cut = setTimeout(() => server.closeAllConnections(), STOP_GRACE_MS);
  await new Promise<void>((resolve) => server.close(() => resolve()));
  clearTimeout(cut);
}

function urlOf({ config, port }: House): string {
  const isAny = config.host === undefined || config.host === '0.0.0.0' || config.host === '::';
  const host = isAny ? 'localhost' : config.host?.includes(':') ? `[${config.host}]` : config.host;
  return `http://${host}:${port}`;
}

process.exit(await main());
