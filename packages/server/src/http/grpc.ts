// OTLP/gRPC: the three Export calls, through the same admission, quota and rooms as OTLP/HTTP. Bytes go to our own decoder;
// grpc-js carries them. Source: opentelemetry-proto docs/specification.md, "OTLP/gRPC".
import { randomUUID } from 'node:crypto';
import { createServer, type AddressInfo, type Server as Listener, type Socket } from 'node:net';
import {
  logVerbosity,
  Metadata,
  Server,
  ServerCredentials,
  ServerInterceptingCall,
  setLogVerbosity,
  status as GRPC,
  type sendUnaryData,
  type ServerInterceptor,
  type ServerUnaryCall,
  type ServiceDefinition,
  type StatusObject,
} from '@grpc/grpc-js';
import type { Logger } from 'pino';
import { encodeExportResponse, encodeStatus, RPC_CODE } from '@lumatrace/telemetry';
import type { Access } from '../access/access.ts';
import type { Principal } from '../access/principal.ts';
import type { KeyPair } from '../tls/tls.ts';
import { BoundedConnections } from './connections.ts';
import { asProblem, Problem } from './errors.ts';
import type { Metrics } from './metrics.ts';
import { RPC_CODES } from './otlp.ts';
import { BytesInFlight, MAX_OTLP_BYTES } from './otlp-body.ts';
import { otlpSignals, type OtlpRooms, type OtlpSignal } from './otlp-signals.ts';

export interface GrpcOptions extends OtlpRooms {
  access: {
    credentials: Pick<Access['credentials'], 'authenticate'>;
    /** Absent where nothing is audited: tests of the transport. */
    auditDenial?: Access['auditDenial'];
  };
  log: Logger;
  /** Where calls are counted. */
  registry: Metrics;
  /** Shared with the other ways in. */
  bytesInFlight?: BytesInFlight;
  /** A call whose message has not come by then is ended. */
  messageTimeoutMs?: number;
  /** At once, on all addresses together. */
  maxConnections?: number;
  /** PEM: the port speaks TLS 1.3 and nothing else. Absent: plain HTTP/2. */
  tls?: KeyPair;
}

export interface Grpc {
  /** Listens and resolves with the port that was taken. Rejects with the code of the system (EADDRINUSE, …). */
  listen(address: { host: string; port: number }): Promise<{ host: string; port: number }>;
  /** Serves another certificate to connections from now on; only where `tls` was given. */
  replaceCertificate(pair: KeyPair): void;
  /** Stops accepting, waits for the calls that run, at most so long, then cuts them. */
  stop(graceMs?: number): Promise<void>;
}

/** 64 MiB over a slow line take a minute; grpc-js does not say how much of a message is there. */
const MESSAGE_TIMEOUT_MS = 120_000;
const STOP_GRACE_MS = 10_000;
const LAST_BYTES_MS = 1_000;
/** Export calls at once on one connection; an exporter has one or two. */
const MAX_STREAMS = 64;
const KEEPALIVE_MS = 60_000;
const KEEPALIVE_TIMEOUT_MS = 20_000;
const IDLE_MS = 600_000;
/** An exporter holds one; the longest idle makes room for another. */
const MAX_CONNECTIONS = 2_000;
/** What one connection may make the HTTP/2 layer hold, in megabytes: two largest messages. */
const MAX_SESSION_MEGABYTES = 160;

const LIMITS = {
  'grpc.max_receive_message_length': MAX_OTLP_BYTES,
  'grpc.max_concurrent_streams': MAX_STREAMS,
  'grpc.keepalive_time_ms': KEEPALIVE_MS,
  'grpc.keepalive_timeout_ms': KEEPALIVE_TIMEOUT_MS,
  'grpc.max_connection_idle_ms': IDLE_MS,
  'grpc-node.max_session_memory': MAX_SESSION_MEGABYTES,
};

type Export = ServerUnaryCall<Buffer, Uint8Array>;

// What goes wrong is said by us, once.
setLogVerbosity(logVerbosity.NONE);

export function createGrpc(options: GrpcOptions): Grpc {
  const { log, registry } = options;
  const bytesInFlight = options.bytesInFlight ?? new BytesInFlight();
  const requests = registry.counter('lumatrace_grpc_requests_total', 'Export calls answered, by service and code.');
  const principals = new WeakMap<Metadata, Principal>();

  const connections = new BoundedConnections(options.maxConnections ?? MAX_CONNECTIONS);

  /** Who asks is known before a byte of the message is read. */
  const admission: ServerInterceptor = (_descriptor, call) => {
    let timer: NodeJS.Timeout | undefined;
    const ended = connections.begin(call.getPeer());
    const refuse = (problem: Problem): void => {
      ended();
      call.sendStatus(statusOf(problem));
    };
    return new ServerInterceptingCall(call, {
      start(next) {
        next({
          onReceiveMetadata(metadata, admit) {
            admitted(metadata, options).then(
              (principal) => {
                principals.set(metadata, principal);
                const timeoutMs = options.messageTimeoutMs ?? MESSAGE_TIMEOUT_MS;
                timer = setTimeout(() => refuse(lateMessage()), timeoutMs);
                admit(metadata);
              },
              (error: unknown) => {
                const problem = asProblem(error);
                if (problem.code === 'INTERNAL_ENGINE_ERROR') log.error({ error: String(error) }, 'gRPC');
                requests.add(1, { service: 'any', code: String(RPC_CODES[problem.status] ?? GRPC.INVALID_ARGUMENT) });
                refuse(problem);
              },
            );
          },
          onReceiveMessage(message, take) {
            clearTimeout(timer);
            take(message);
          },
          onCancel() {
            clearTimeout(timer);
            ended();
          },
        });
      },
      sendStatus(status, next) {
        ended();
        next(status);
      },
    });
  };

  async function exported(signal: OtlpSignal, call: Export): Promise<Uint8Array> {
    const principal = principals.get(call.metadata);
    if (principal === undefined) throw new Problem('AUTH_MISSING');
    const held = bytesInFlight.hold();
    try {
      held.take(call.request.length);
      return encodeExportResponse(await signal.take(principal.tenantId, call.request, 'protobuf'));
    } finally {
      held.release();
    }
  }

  function handlerOf(signal: OtlpSignal) {
    return (call: Export, answer: sendUnaryData<Uint8Array>): void => {
      exported(signal, call).then(
        (response) => {
          requests.add(1, { service: signal.service, code: String(GRPC.OK) });
          answer(null, response);
        },
        (error: unknown) => {
          const problem = asProblem(error);
          const status = statusOf(problem);
          requests.add(1, { service: signal.service, code: String(status.code) });
          if (problem.code === 'INTERNAL_ENGINE_ERROR') log.error({ error: String(error) }, 'gRPC');
          answer(status, null);
        },
      );
    };
  }

  const doors = new Set<Door>();
  const tls = options.tls === undefined ? undefined : new Tls13(options.tls);
  const signals = otlpSignals(options);
  return {
    async listen({ host, port }) {
      // one server per address: a second one that cannot listen must not touch the first
      const server = new Server({ ...LIMITS, interceptors: [admission] });
      for (const signal of signals) server.addService(definitionOf(signal), { Export: handlerOf(signal) });
      const injector = server.createConnectionInjector(tls ?? ServerCredentials.createInsecure());
      // grpc-js listens without a bound on connections; the listener is ours for that alone
      const sockets = new Set<Socket>();
      const listener = createServer((socket) => {
        if (!connections.admit(socket)) return;
        sockets.add(socket);
        // one that was reset before it spoke HTTP/2 is nobody's loss
        socket.on('error', () => socket.destroy());
        socket.once('close', () => sockets.delete(socket));
        injector.injectConnection(socket);
      });
      listener.maxConnections = connections.withSlack;
      await new Promise<void>((resolve, reject) => {
        listener.once('error', reject);
        listener.listen({ host, port, ipv6Only: host.includes(':') }, resolve);
      });
      doors.add({ server, listener, sockets });
      return { host, port: (listener.address() as AddressInfo).port };
    },
    replaceCertificate: (pair) => tls?.replace(pair),
    async stop(graceMs = STOP_GRACE_MS) {
      await Promise.all([...doors].map((door) => stop(door, graceMs)));
      doors.clear();
    },
  };
}

/** What listens on one address. */
interface Door {
  server: Server;
  listener: Listener;
  sockets: ReadonlySet<Socket>;
}

/** `createSsl` of grpc-js takes neither a lowest version nor another certificate later; the class below it takes both. */
class Tls13 extends ServerCredentials {
  constructor(pair: KeyPair) {
    super({}, contextOf(pair));
  }

  replace(pair: KeyPair): void {
    this.updateSecureContextOptions(contextOf(pair));
  }

  override _equals(other: ServerCredentials): boolean {
    return other === this;
  }
}

const contextOf = ({ cert, key }: KeyPair) => ({ cert, key, minVersion: 'TLSv1.3' as const });

const asSent = (bytes: Buffer): Buffer => bytes;

/** One method, Export, whose messages stay bytes. */
function definitionOf({ service }: OtlpSignal): ServiceDefinition {
  return {
    Export: {
      path: `/${service}/Export`,
      requestStream: false,
      responseStream: false,
      requestSerialize: asSent,
      requestDeserialize: asSent,
      responseSerialize: (bytes: Uint8Array) => Buffer.from(bytes),
      responseDeserialize: asSent,
    },
  };
}

async function admitted(metadata: Metadata, { access, log }: Pick<GrpcOptions, 'access' | 'log'>): Promise<Principal> {
  const principal = await access.credentials.authenticate({
    // sessions belong to browsers, which do not speak gRPC
    header: (name) => (name === 'cookie' ? undefined : headerOf(metadata, name)),
    url: '',
  });
  if (principal.scopes.has('traces:write')) return principal;
  // The refusal stands whether or not it could be written down.
  await access
    .auditDenial?.(principal, 'gRPC Export', requestIdOf(metadata))
    .catch((error: unknown) => log.error({ error: String(error) }, 'a denied write was not audited'));
  throw new Problem('FORBIDDEN', 'These credentials do not hold the scope traces:write.');
}

const REQUEST_ID = /^[A-Za-z0-9._-]{1,128}$/;

function requestIdOf(metadata: Metadata): string {
  const [sent] = metadata.get('x-request-id');
  return typeof sent === 'string' && REQUEST_ID.test(sent) ? sent : randomUUID();
}

/** Metadata keys are lower case; of a repeated one the first counts, unless they differ. */
function headerOf(metadata: Metadata, name: string): string | undefined {
  const values = new Set(metadata.get(name).map(String));
  if (values.size > 1) throw new Problem('AUTH_INVALID', 'Expected one credential but received several.');
  return [...values][0];
}

function lateMessage(): Problem {
  return new Problem('VALIDATION_FAILED', 'The message did not come in time.', { status: 408 });
}

/** With RetryInfo where HTTP says Retry-After: without it a client must not try RESOURCE_EXHAUSTED again. */
function statusOf(problem: Problem): StatusObject {
  const code = RPC_CODES[problem.status] ?? RPC_CODE.invalidArgument;
  const message = `${problem.code}: ${problem.message}`;
  const metadata = new Metadata();
  const retryAfter = Number(problem.headers['Retry-After']);
  if (retryAfter > 0) {
    metadata.set('grpc-status-details-bin', Buffer.from(encodeStatus({ code, message }, retryAfter)));
  }
  // a header holds visible ASCII; grpc-js encodes the rest
  return { code, details: message, metadata };
}

async function stop({ server, listener, sockets }: Door, graceMs: number): Promise<void> {
  listener.close();
  await new Promise<void>((resolve) => {
    const cut = setTimeout(() => server.forceShutdown(), graceMs);
    server.tryShutdown(() => {
      clearTimeout(cut);
      resolve();
    });
  });
  // what was answered last may still be on its way; those that never finished a handshake are left
  const cut = setTimeout(() => sockets.forEach((socket) => socket.destroy()), LAST_BYTES_MS);
  cut.unref();
}
