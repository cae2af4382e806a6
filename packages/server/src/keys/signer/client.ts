// The main program's side of the signer process: starts it, keeps it running, and asks it. No private key passes here
// in the clear: keys come back sealed, and only signatures are ever read.
import { spawn, type ChildProcess } from 'node:child_process';
import { createPublicKey, createSecretKey, randomBytes, type JsonWebKey, type KeyObject } from 'node:crypto';
import { once } from 'node:events';
import { chmod, mkdir, mkdtemp, rm } from 'node:fs/promises';
import { createConnection, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Signer, SigningAlgorithm } from '@lumatrace/provenance/signer.ts';
import {
  encodeFrame,
  FrameReader,
  type KeyAlgorithm,
  type Request,
  type Response,
  type StartLine,
} from './protocol.ts';

/** The signer refused, or could not be reached in time. */
export class SignerError extends Error {
  /** UNAVAILABLE: try again later. The others: this request is wrong and will stay so. */
  readonly code: 'UNAVAILABLE' | 'UNKNOWN_KEY' | 'KEY_REFUSED' | 'KEY_MODE' | 'KEY_MISMATCH' | 'BAD_REQUEST';
  constructor(code: SignerError['code'], message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'SignerError';
    this.code = code;
  }
}

export interface SignerProcessOptions {
  /** 32 bytes: `wrappingKeyFrom(kek)`. Copied into a KeyObject; the caller may wipe its own. */
  readonly wrappingKey: Uint8Array;
  /** Of other versions of the KEK: they open, and seal nothing. */
  readonly otherWrappingKeys?: readonly Uint8Array[];
  /** Where the socket should lie; it is made with mode 0700. A path too long for a socket moves to the system's temporary folder. */
  readonly directory: string;
  /** Told when the process ended without being asked, and when it is back. */
  readonly onRestart?: (event: { readonly restarts: number; readonly reason: string }) => void;
  readonly timeoutMs?: number;
}

export interface GeneratedKey {
  readonly publicKey: KeyObject;
  readonly publicKeySpki: Buffer;
  /** Only this installation's signer can open it. */
  readonly wrappedPrivate: Buffer;
}

/** The longest path of a Unix socket on Linux; macOS has 103. */
const MAX_SOCKET_PATH_BYTES = process.platform === 'darwin' ? 103 : 107;
const MAX_PENDING = 1_024;
const DEFAULT_TIMEOUT_MS = 10_000;
const GENERATE_TIMEOUT_MS = 60_000; // two RSA primes of 1536 bits on a busy machine
const READY_TIMEOUT_MS = 15_000;
const STOP_TIMEOUT_MS = 2_000;
const MAX_ATTEMPTS = 3;
const MAX_BACKOFF_MS = 5_000;
const CHILD = fileURLToPath(new URL('./child.ts', import.meta.url));
// a signer holds a few keys: V8's defaults would reserve far more
const CHILD_FLAGS = ['--max-old-space-size=32', '--max-semi-space-size=1', '--disable-warning=ExperimentalWarning'];

type Body = Request extends infer R ? (R extends Request ? Omit<R, 'id'> : never) : never;
type Success = Extract<Response, { ok: true }>;

interface Pending {
  readonly body: Body;
  readonly resolve: (response: Success) => void;
  readonly reject: (error: SignerError) => void;
  readonly timer: NodeJS.Timeout;
  attempts: number;
}

interface Running {
  readonly child: ChildProcess;
  readonly socket: Socket;
}

export class SignerProcess {
  readonly #options: SignerProcessOptions;
  #wrappingKeys: readonly KeyObject[];
  readonly #pending = new Map<number, Pending>();
  readonly #loaded = new Map<string, Buffer>();
  readonly #opened = new Map<string, string>();
  #socketPath = '';
  #temporaryDirectory: string | null = null;
  #running: Running | null = null;
  #starting: Promise<void> | null = null;
  #nextId = 1;
  #restarts = 0;
  #failuresInARow = 0;
  #closed = false;

  private constructor(options: SignerProcessOptions) {
    this.#options = options;
    this.#wrappingKeys = [options.wrappingKey, ...(options.otherWrappingKeys ?? [])].map((key) => createSecretKey(key));
  }

  /** Starts the process and waits until it listens. @throws SignerError UNAVAILABLE */
  static async start(options: SignerProcessOptions): Promise<SignerProcess> {
    const signer = new SignerProcess(options);
    await signer.#prepareDirectory();
    await signer.#ensureRunning();
    return signer;
  }

  /** For health checks and tests; null while it is being restarted. */
  get pid(): number | null {
    return this.#running?.child.pid ?? null;
  }

  get socketPath(): string {
    return this.#socketPath;
  }

  /** A new key pair, not loaded yet. */
  async generate(alg: KeyAlgorithm): Promise<GeneratedKey> {
    const { spki, wrapped } = await this.#ask({ op: 'generate', alg }, GENERATE_TIMEOUT_MS);
    if (spki === undefined || wrapped === undefined) throw unavailable('Expected a key pair from the signer');
    const publicKeySpki = Buffer.from(spki, 'base64');
    const publicKey = createPublicKey({ key: publicKeySpki, type: 'spki', format: 'der' });
    return { publicKey, publicKeySpki, wrappedPrivate: Buffer.from(wrapped, 'base64') };
  }

  /** Opens a key in the signer under a name; it stays loaded over restarts. Loading the same twice changes nothing. */
  async load(kid: string, wrappedPrivate: Uint8Array): Promise<void> {
    const wrapped = Buffer.from(wrappedPrivate);
    if (this.#loaded.get(kid)?.equals(wrapped) === true) return;
    await this.#ask({ op: 'load', kid, wrapped: wrapped.toString('base64') });
    this.#loaded.set(kid, wrapped);
  }

  /** The same private key sealed under the wrapping key in use; the same bytes when it is. @throws SignerError KEY_REFUSED */
  async rewrap(wrappedPrivate: Uint8Array): Promise<Buffer> {
    const { wrapped } = await this.#ask({ op: 'rewrap', wrapped: Buffer.from(wrappedPrivate).toString('base64') });
    if (wrapped === undefined) throw unavailable('Expected a sealed key from the signer');
    return Buffer.from(wrapped, 'base64');
  }

  /** Goes on with other wrapping keys: the process is started again, and what is asked meanwhile waits for it. */
  async replaceWrappingKeys(first: Uint8Array, others: readonly Uint8Array[]): Promise<void> {
    this.#wrappingKeys = [first, ...others].map((key) => createSecretKey(key));
    await this.#starting?.catch(() => undefined);
    const running = this.#running;
    this.#running = null;
    if (running !== null) await stop(running);
    await this.#ensureRunning();
  }

  /**
   * Opens a key file (PEM, mode 0400) in the signer, again after restarts; `kid` is the SHA-256 of its public key. The file is read there alone.
   * @returns its public key, SubjectPublicKeyInfo. @throws SignerError KEY_MODE, KEY_MISMATCH, KEY_REFUSED
   */
  async open(kid: string, path: string): Promise<Buffer> {
    const { spki } = await this.#ask({ op: 'open', kid, path });
    if (spki === undefined) throw unavailable('Expected a public key from the signer');
    this.#opened.set(kid, path);
    return Buffer.from(spki, 'base64');
  }

  /** Signs in the way that the key was generated for. @throws SignerError */
  async sign(kid: string, tbs: Uint8Array): Promise<Buffer> {
    const { signature } = await this.#ask({ op: 'sign', kid, tbs: Buffer.from(tbs).toString('base64') });
    if (signature === undefined) throw unavailable('Expected a signature from the signer');
    return Buffer.from(signature, 'base64');
  }

  /** The provenance room's door to a loaded key. */
  signer(kid: string, alg: SigningAlgorithm, certificateChainDer: readonly Uint8Array[]): Signer {
    return { alg, certificateChainDer, sign: (tbs) => this.sign(kid, tbs) };
  }

  /** Ends the process; waiting requests are refused. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#refuseAll(unavailable('The signer is being closed'));
    await this.#starting?.catch(() => undefined);
    const running = this.#running;
    this.#running = null;
    if (running !== null) await stop(running);
    await rm(this.#temporaryDirectory ?? this.#socketPath, { recursive: true, force: true });
  }

  async #prepareDirectory(): Promise<void> {
    const name = `signer-${process.pid}-${randomBytes(4).toString('hex')}.sock`;
    const wanted = join(this.#options.directory, name);
    if (Buffer.byteLength(wanted) <= MAX_SOCKET_PATH_BYTES) {
      await mkdir(this.#options.directory, { recursive: true, mode: 0o700 });
      await chmod(this.#options.directory, 0o700);
      this.#socketPath = wanted;
      return;
    }
    this.#temporaryDirectory = await mkdtemp(join(tmpdir(), 'lumatrace-')); // mode 0700
    this.#socketPath = join(this.#temporaryDirectory, 's.sock');
  }

  #ask(body: Body, timeoutMs = this.#options.timeoutMs ?? DEFAULT_TIMEOUT_MS): Promise<Success> {
    if (this.#closed) return Promise.reject(unavailable('The signer is closed'));
    if (this.#pending.size >= MAX_PENDING) return Promise.reject(unavailable('Too many requests wait for the signer'));
    return new Promise((resolve, reject) => {
      const id = this.#nextId++;
      const timer = setTimeout(
        () => this.#settle(id)?.reject(unavailable('The signer did not answer in time')),
        timeoutMs,
      );
      this.#pending.set(id, { body, resolve, reject, timer, attempts: 0 });
      if (this.#running !== null) this.#send(id);
      else void this.#ensureRunning().catch(() => undefined);
    });
  }

  // signing and generating twice does no harm: what a crash interrupted is asked again
  #send(id: number): void {
    const pending = this.#pending.get(id);
    if (pending === undefined || this.#running === null) return;
    if (++pending.attempts > MAX_ATTEMPTS)
      return this.#settle(id)?.reject(unavailable('The signer ended on this request again and again'));
    try {
      this.#running.socket.write(encodeFrame({ id, ...pending.body }));
    } catch (cause) {
      this.#settle(id)?.reject(new SignerError('BAD_REQUEST', 'The request is too large for the signer', { cause }));
    }
  }

  #settle(id: number): Pending | undefined {
    const pending = this.#pending.get(id);
    if (pending === undefined) return undefined;
    clearTimeout(pending.timer);
    this.#pending.delete(id);
    return pending;
  }

  #refuseAll(error: SignerError): void {
    for (const id of this.#pending.keys()) this.#settle(id)?.reject(error);
  }

  async #ensureRunning(): Promise<void> {
    if (this.#running !== null || this.#closed) return;
    this.#starting ??= this.#start().finally(() => (this.#starting = null));
    return this.#starting;
  }

  async #start(): Promise<void> {
    const backoffMs = this.#failuresInARow === 0 ? 0 : Math.min(MAX_BACKOFF_MS, 50 * 2 ** this.#failuresInARow);
    if (backoffMs > 0) await new Promise((resolve) => setTimeout(resolve, backoffMs));
    if (this.#closed) return;
    try {
      const running = await this.#spawn();
      this.#failuresInARow = 0;
      this.#running = running;
      running.child.once('exit', (code, signal) => this.#ended(running, `ended with ${signal ?? code}`));
      running.socket.once('close', () => this.#ended(running, 'closed its connection'));
      if (this.#closed) return void (await stop(running));
      for (const id of this.#pending.keys()) this.#send(id);
    } catch (cause) {
      this.#failuresInARow++;
      const error = new SignerError('UNAVAILABLE', 'The signer could not be started', { cause });
      if (this.#failuresInARow >= MAX_ATTEMPTS) this.#refuseAll(error);
      throw error;
    }
  }

  async #spawn(): Promise<Running> {
    await rm(this.#socketPath, { force: true });
    const token = randomBytes(32).toString('base64');
    // no environment: nothing of it concerns a signer, and NODE_OPTIONS could load code into it
    const child = spawn(process.execPath, [...CHILD_FLAGS, CHILD], { env: {}, stdio: ['pipe', 'pipe', 'inherit'] });
    try {
      const start: StartLine = {
        socketPath: this.#socketPath,
        wrappingKeys: this.#wrappingKeys.map((key) => key.export().toString('base64')),
        token,
      };
      child.stdin.on('error', () => undefined);
      child.stdin.write(`${JSON.stringify(start)}\n`);
      await ready(child);
      const socket = await this.#connect(token);
      // neither the process nor the connection keeps the program alive: the timers of waiting requests do
      child.unref();
      socket.unref();
      for (const stream of [child.stdin, child.stdout]) if ('unref' in stream) (stream as Socket).unref();
      return { child, socket };
    } catch (error) {
      child.kill('SIGKILL');
      throw error;
    }
  }

  async #connect(token: string): Promise<Socket> {
    const socket = createConnection(this.#socketPath);
    await once(socket, 'connect');
    const reader = new FrameReader();
    socket.on('error', () => socket.destroy());
    socket.on('data', (bytes: Buffer) => {
      try {
        for (const message of reader.push(bytes)) this.#answered(message as Response);
      } catch {
        socket.destroy();
      }
    });
    socket.write(encodeFrame({ id: 0, op: 'hello', token }));
    for (const [kid, wrapped] of this.#loaded)
      socket.write(encodeFrame({ id: 0, op: 'load', kid, wrapped: wrapped.toString('base64') }));
    for (const [kid, path] of this.#opened) socket.write(encodeFrame({ id: 0, op: 'open', kid, path }));
    return socket;
  }

  #answered(response: Response): void {
    const pending = this.#settle(response.id);
    if (pending === undefined) return;
    if (response.ok) pending.resolve(response);
    else pending.reject(new SignerError(response.code, response.message));
  }

  #ended(running: Running, reason: string): void {
    if (this.#running !== running) return;
    this.#running = null;
    running.socket.destroy();
    running.child.kill('SIGKILL');
    if (this.#closed) return;
    this.#options.onRestart?.({ restarts: ++this.#restarts, reason });
    void this.#ensureRunning().catch(() => undefined);
  }
}

/** New keys of tokens from this process, with their public halves as JWK. */
export function tokenKeysOf(signer: Pick<SignerProcess, 'generate'>): {
  generate(): Promise<{ publicJwk: JsonWebKey; wrappedPrivate: Buffer }>;
} {
  return {
    async generate() {
      const { publicKey, wrappedPrivate } = await signer.generate('rs256');
      return { publicJwk: publicKey.export({ format: 'jwk' }), wrappedPrivate };
    },
  };
}

const unavailable = (message: string): SignerError => new SignerError('UNAVAILABLE', message);

function ready(child: ChildProcess): Promise<void> {
  return new Promise((resolve, reject) => {
    const fail = (reason: string): void => settle(() => reject(new Error(`The signer ${reason}`)));
    const timer = setTimeout(() => fail('did not become ready in time'), READY_TIMEOUT_MS);
    const onExit = (code: number | null): void => fail(`ended with ${code} before it was ready`);
    const onError = (error: Error): void => fail(`could not be started: ${error.message}`);
    const onData = (): void => settle(resolve);
    const settle = (done: () => void): void => {
      clearTimeout(timer);
      child.off('exit', onExit).off('error', onError);
      child.on('error', () => undefined);
      child.stdout?.off('data', onData);
      done();
    };
    child.on('exit', onExit).on('error', onError);
    child.stdout?.on('data', onData);
  });
}

// closing its standard input asks it to end
async function stop({ child, socket }: Running): Promise<void> {
  socket.destroy();
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exited = once(child, 'exit');
  child.ref();
  child.stdin?.end();
  const timer = setTimeout(() => child.kill('SIGKILL'), STOP_TIMEOUT_MS);
  await exited;
  clearTimeout(timer);
}
