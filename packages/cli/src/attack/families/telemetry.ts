// OTLP that is none: real requests of instrumentations with bytes changed, cut and mixed, over HTTP and gRPC.
import { globSync, readFileSync } from 'node:fs';
import { connect, constants, createServer, type ClientHttp2Session } from 'node:http2';
import type { AddressInfo } from 'node:net';
import { fileURLToPath } from 'node:url';
import { reply, type Family } from '../family.ts';
import type { Random } from '../random.ts';
import type { Scene } from '../scene.ts';
import type { Shot } from '../shot.ts';

const FIXTURES = fileURLToPath(new URL('../../../../../fixtures/otlp/', import.meta.url));
const MUTANTS = 9_000;
const GRPC_MUTANTS = 2_500;
const MAX_SEED_BYTES = 60_000;

const SIGNALS = ['traces', 'logs', 'metrics'] as const;
type Signal = (typeof SIGNALS)[number];

interface Seed {
  signal: Signal;
  bytes: Buffer;
}

/** What real instrumentations have sent; two dozen files of each signal are variety enough. */
function seeds(random: Random): Seed[] {
  const files = globSync('emitters/**/*.pb', { cwd: FIXTURES }).sort();
  const of = (signal: Signal): string[] =>
    files.filter((file) =>
      signal === 'traces' ? !/\.(logs|metrics)\.pb$/.test(file) : file.endsWith(`.${signal}.pb`),
    );
  return SIGNALS.flatMap((signal) =>
    random
      .shuffled(of(signal))
      .slice(0, 24)
      .map((file) => ({ signal, bytes: readFileSync(FIXTURES + file) }))
      .filter(({ bytes }) => bytes.length <= MAX_SEED_BYTES),
  );
}

/** Lengths, wire types and field numbers at their ends: what a decoder trips over. */
const EDGES = [
  Buffer.from([0x00]),
  Buffer.from([0x07]),
  Buffer.from([0x0a, 0xff, 0xff, 0xff, 0xff, 0x0f]),
  Buffer.from([0x0a, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01]),
  Buffer.from([0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80]),
  Buffer.from([0x0b, 0x0b, 0x0b, 0x0b]),
  Buffer.from([0x0c]),
  Buffer.from([0xf8, 0xff, 0xff, 0xff, 0xff, 0x01]),
  Buffer.from([0x0a, 0x00]),
  Buffer.concat(Array.from({ length: 5_000 }, () => Buffer.from([0x0a, 0x7f]))),
  Buffer.alloc(10_000, 0x0a),
];

function mutated(random: Random, seed: Buffer, other: Buffer): Buffer {
  const bytes = Buffer.from(seed);
  const at = random.below(bytes.length);
  switch (random.below(7)) {
    case 0:
      return bytes.subarray(0, at);
    case 1:
      return Buffer.concat([bytes.subarray(0, at), random.bytes(1 + random.below(8)), bytes.subarray(at)]);
    case 2:
      return Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + 1 + random.below(16))]);
    case 3:
      return Buffer.concat([bytes.subarray(0, at), other.subarray(random.below(other.length))]);
    case 4:
      return Buffer.concat([bytes.subarray(0, at), random.pick(EDGES), bytes.subarray(at)]);
    case 5:
      bytes.fill(random.pick([0x00, 0x7f, 0x80, 0xff]), at, Math.min(bytes.length, at + 1 + random.below(10)));
      return bytes;
    default:
      for (let i = 0; i <= random.below(6); i++) bytes[random.below(bytes.length)] = random.below(256);
      return bytes;
  }
}

/** Every mutant, and each edge alone. */
function mutants(scene: Scene, count: number): Seed[] {
  const all = seeds(scene.random);
  const { random } = scene;
  const changed = Array.from({ length: Math.min(count, scene.stage.most * 3) }, (): Seed => {
    const { signal, bytes } = random.pick(all);
    return { signal, bytes: mutated(random, bytes, random.pick(all).bytes) };
  });
  return [...SIGNALS.flatMap((signal) => EDGES.map((bytes) => ({ signal, bytes }))), ...changed];
}

function exported({ signal, bytes }: Seed, headers: Record<string, string>): Shot {
  return {
    method: 'POST',
    at: 'otlp',
    path: `/v1/${signal}`,
    headers: { ...headers, 'content-type': 'application/x-protobuf' },
    body: bytes,
  };
}

export const otlp: Family = {
  name: 'otlp',
  about: 'changed, cut and mixed OTLP over HTTP, and OTLP without or with too little rights',
  holes: [
    {
      name: 'a length beyond the end breaks the server',
      open: ({ body }, { forward }) =>
        body.includes(Buffer.from([0x0a, 0xff, 0xff, 0xff, 0xff])) ? reply(500, 'RangeError') : forward(),
    },
    {
      name: 'nobody is asked who sends',
      open: ({ headers }, { forward, scene }) => forward({ headers: { ...headers, ...scene.ownKey } }),
    },
  ],
  async run(scene) {
    const unknown: Record<string, string>[] = [
      {},
      { authorization: 'Bearer x' },
      { authorization: 'Basic eDp5' },
      { 'x-api-key': 'lumina_live_x' },
    ];
    await scene.volley(
      seeds(scene.random).flatMap((seed) => unknown.map((headers) => exported(seed, headers))),
      ({ status }) => (status === 401 ? undefined : 'spans of nobody were taken'),
    );
    await scene.volley(mutants(scene, MUTANTS).map((seed) => exported(seed, scene.ownKey)));
  },
};

const SERVICES: Readonly<Record<Signal, string>> = {
  traces: '/opentelemetry.proto.collector.trace.v1.TraceService/Export',
  logs: '/opentelemetry.proto.collector.logs.v1.LogsService/Export',
  metrics: '/opentelemetry.proto.collector.metrics.v1.MetricsService/Export',
};

interface Call {
  path: string;
  headers: Record<string, string>;
  /** As it goes on the wire, its prefix of five bytes included. */
  frame: Buffer;
}

interface Outcome {
  /** gRPC's code; undefined when the stream ended without one. */
  code: number | undefined;
  text: string;
  ms: number;
}

const OK = 0;
/** UNKNOWN and INTERNAL: what a server says that did not expect it. */
const BROKEN = new Set([2, 13]);
/** What gRPC itself prescribes INTERNAL for, before the server sees the call (grpc/doc/compression.md, PROTOCOL-HTTP2.md). */
const PRESCRIBED = /^(?:Failed to decompress message|Invalid grpc-timeout value)/;
const CALL_LIMIT_MS = 15_000;

export const grpc: Family = {
  name: 'grpc',
  about: 'changed messages, wrong frames and wrong credentials over gRPC',
  needsGrpc: true,
  holes: [
    { name: 'every call is taken', serve: () => grpcServer(0) },
    { name: 'a broken message breaks the server', serve: () => grpcServer(13) },
  ],
  async run(scene) {
    const calls = scene.some(grpcCalls(scene));
    let session = open(scene);
    for (let i = 0; i < calls.length; i += CALLS_AT_ONCE) {
      if (session.closed || session.destroyed) session = open(scene);
      const some = calls.slice(i, i + CALLS_AT_ONCE);
      const outcomes = await Promise.all(some.map(({ call }) => ask(session, call)));
      outcomes.forEach((outcome, j) => judge(scene, some[j] as Attack, outcome));
    }
    session.destroy();
  },
};

const CALLS_AT_ONCE = 8;

interface Attack {
  call: Call;
  /** Nobody who is known sends it: it must be refused. */
  isForbidden: boolean;
}

function grpcCalls(scene: Scene): Attack[] {
  const { random } = scene;
  const credentials = scene.ownKey;
  const changed = mutants(scene, GRPC_MUTANTS).map(({ signal, bytes }) => ({
    path: SERVICES[signal],
    headers: credentials,
    frame: framed(bytes),
  }));
  const [seed] = seeds(random);
  const bytes = seed?.bytes ?? Buffer.alloc(0);
  const path = SERVICES[seed?.signal ?? 'traces'];
  const frames = [
    Buffer.alloc(0),
    Buffer.alloc(4),
    framed(bytes, { length: bytes.length + 10 }),
    framed(bytes, { length: bytes.length - 10 }),
    framed(bytes, { length: 0xffff_ffff }),
    framed(bytes, { compressed: 1 }),
    framed(bytes, { compressed: 255 }),
    Buffer.concat([framed(bytes), framed(bytes)]),
    Buffer.concat([framed(bytes), random.bytes(50)]),
    ...Array.from({ length: 100 }, () => random.bytes(1 + random.below(200))),
  ].map((frame) => ({ path, headers: credentials, frame }));
  const encodings = ['gzip', 'deflate', 'x', 'identity', 'gzip,gzip'].map((encoding) => ({
    path,
    headers: { ...credentials, 'grpc-encoding': encoding },
    frame: framed(bytes, { compressed: 1 }),
  }));
  const paths = [
    '/',
    '/x',
    `${path}x`,
    '/grpc.reflection.v1.ServerReflection/ServerReflectionInfo',
    '/../x',
    path.toLowerCase(),
  ].map((other) => ({ path: other, headers: credentials, frame: framed(bytes) }));
  const timeouts = ['0n', '1n', '-1S', '99999999H', 'x', ''].map((timeout) => ({
    path,
    headers: { ...credentials, 'grpc-timeout': timeout },
    frame: framed(bytes),
  }));
  const known = [...changed, ...frames, ...encodings, ...paths, ...timeouts].map((call) => ({
    call,
    isForbidden: false,
  }));
  const strangers: Record<string, string>[] = [
    {},
    { authorization: '' },
    { authorization: 'Bearer x' },
    { authorization: 'Bearer eyJhbGciOiJub25lIn0.e30.' },
    { authorization: 'Basic eDp5' },
    { 'x-api-key': 'lumina_live_x' },
    { cookie: scene.stage.own.cookies['owner'] === undefined ? 'x=y' : 'lumatrace_session=x' },
    ...scene.stage.corpora.strings
      .slice(0, 200)
      .map((text) => ({ authorization: `Bearer ${text.replaceAll(/[^\x21-\x7e]/g, '')}` })),
  ];
  const forbidden = strangers.flatMap((headers) =>
    Object.values(SERVICES).map((service) => ({
      call: { path: service, headers, frame: framed(bytes) },
      isForbidden: true,
    })),
  );
  return [...known, ...forbidden];
}

function framed(bytes: Buffer, { length = bytes.length, compressed = 0 } = {}): Buffer {
  const prefix = Buffer.alloc(5);
  prefix[0] = compressed;
  prefix.writeUInt32BE(length >>> 0, 1);
  return Buffer.concat([prefix, bytes]);
}

function open(scene: Scene): ClientHttp2Session {
  const session = connect(`http://127.0.0.1:${scene.target.grpcPort}`);
  session.on('error', () => {});
  return session;
}

function ask(session: ClientHttp2Session, { path, headers, frame }: Call): Promise<Outcome> {
  const startedMs = performance.now();
  return new Promise((resolve) => {
    const done = (code: number | undefined, text: string): void => {
      clearTimeout(timer);
      resolve({ code, text, ms: performance.now() - startedMs });
    };
    const timer = setTimeout(() => done(undefined, 'no answer in 15 s'), CALL_LIMIT_MS);
    try {
      const stream = session.request({
        ':method': 'POST',
        ':path': path,
        'content-type': 'application/grpc',
        te: 'trailers',
        ...headers,
      });
      let code: number | undefined;
      let text = '';
      const note = (given: Record<string, unknown>): void => {
        if (given['grpc-status'] === undefined) return;
        code = Number(given['grpc-status']);
        text = String(given['grpc-message'] ?? '');
      };
      stream.on('response', note);
      stream.on('trailers', note);
      stream.on('error', () => {});
      stream.on('data', () => {});
      stream.on('close', () => done(code, text));
      stream.end(frame);
    } catch (error) {
      done(undefined, (error as Error).message);
    }
  });
}

function judge(scene: Scene, { call, isForbidden }: Attack, { code, text, ms }: Outcome): void {
  const name = `gRPC ${call.path} ${call.frame.toString('hex', 0, 40)}`;
  scene.tally.count([call.path, JSON.stringify(call.headers), call.frame], ms);
  if (code !== undefined && BROKEN.has(code) && !PRESCRIBED.test(decodeURIComponent(text)))
    scene.failed(text, name, code);
  else if (isForbidden && code === OK) scene.verdict('a call of nobody was taken', name);
  else scene.verdict(scene.leakIn({ status: 0, headers: {}, body: Buffer.alloc(0), text, ms }), name);
}

/** A server that answers every call alike. */
async function grpcServer(code: number): Promise<{ port: number; close(): void }> {
  const server = createServer();
  const sessions = new Set<{ destroy(): void }>();
  server.on('session', (session) => void sessions.add(session));
  server.on('stream', (stream) => {
    stream.on('error', () => {});
    stream.resume();
    stream.respond(
      { ':status': 200, 'content-type': 'application/grpc', 'grpc-status': String(code) },
      { endStream: true },
    );
    stream.close(constants.NGHTTP2_NO_ERROR);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    port: (server.address() as AddressInfo).port,
    close() {
      server.close();
      for (const session of sessions) session.destroy();
    },
  };
}
