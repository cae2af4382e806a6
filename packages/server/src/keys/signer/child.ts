// The signer process: the only place where private signing keys are open. It reads its wrapping key on standard input,
// answers on a Unix socket, writes nothing to disk, and ends when its standard input closes.
import {
  constants,
  createHash,
  createPrivateKey,
  createPublicKey,
  createSecretKey,
  generateKeyPair,
  sign,
  timingSafeEqual,
  type KeyObject,
  type SignKeyObjectInput,
} from 'node:crypto';
import { chmodSync, closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { createServer, type Socket } from 'node:net';
import { promisify } from 'node:util';
import {
  encodeFrame,
  FrameReader,
  KEY_ALGORITHMS,
  ProtocolError,
  unwrapPrivateKey,
  wrapPrivateKey,
  type KeyAlgorithm,
  type RefusalCode,
  type Request,
  type Response,
  type StartLine,
} from './protocol.ts';

interface OpenKey {
  readonly alg: KeyAlgorithm;
  readonly key: KeyObject;
  readonly wrappedSha256: string;
}

const MAX_KEYS = 1_000;
const MAX_CONNECTIONS = 64;
const MAX_START_LINE_BYTES = 4_096;
const KID = /^[\w.:~-]{1,128}$/;

const SCHEMES: Readonly<Record<KeyAlgorithm, { digest: string | null; options: Omit<SignKeyObjectInput, 'key'> }>> = {
  rs256: { digest: 'sha256', options: { padding: constants.RSA_PKCS1_PADDING } },
  ps256: { digest: 'sha256', options: { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: 32 } },
  es256: { digest: 'sha256', options: { dsaEncoding: 'ieee-p1363' } },
  'es256-der': { digest: 'sha256', options: { dsaEncoding: 'der' } },
  ed25519: { digest: null, options: {} },
};

const signAsync = promisify(
  (digest: string | null, tbs: Buffer, key: SignKeyObjectInput, done: (error: Error | null, bytes: Buffer) => void) =>
    sign(digest, tbs, key, done),
);
const generateAsync = promisify(generateKeyPair);

const RSA_BITS = 3072;

async function generatePair(alg: KeyAlgorithm): Promise<{ publicKey: KeyObject; privateKey: KeyObject }> {
  if (alg === 'rs256' || alg === 'ps256') return generateAsync('rsa', { modulusLength: RSA_BITS });
  if (alg === 'ed25519') return generateAsync('ed25519', {});
  return generateAsync('ec', { namedCurve: 'P-256' });
}

class Refusal extends Error {
  readonly code: RefusalCode;
  constructor(code: RefusalCode, message: string) {
    super(message);
    this.code = code;
  }
}

class KeyRing {
  readonly #keys = new Map<string, OpenKey>();
  readonly #wrappingKeys: readonly [KeyObject, ...KeyObject[]];

  /** The first seals, all of them open. */
  constructor(wrappingKeys: readonly [KeyObject, ...KeyObject[]]) {
    this.#wrappingKeys = wrappingKeys;
  }

  async generate(alg: KeyAlgorithm): Promise<{ spki: Buffer; wrapped: Buffer }> {
    const { publicKey, privateKey } = await generatePair(alg);
    const pkcs8 = privateKey.export({ type: 'pkcs8', format: 'der' });
    const wrapped = wrapPrivateKey(this.#wrappingKeys[0], alg, pkcs8);
    pkcs8.fill(0);
    return { spki: publicKey.export({ type: 'spki', format: 'der' }), wrapped };
  }

  load(kid: string, wrapped: Buffer): void {
    if (!KID.test(kid)) throw new Refusal('BAD_REQUEST', 'Expected a plain key id');
    const wrappedSha256 = createHash('sha256').update(wrapped).digest('hex');
    const known = this.#keys.get(kid);
    if (known !== undefined && known.wrappedSha256 === wrappedSha256) return;
    if (known === undefined && this.#keys.size >= MAX_KEYS)
      throw new Refusal('KEY_REFUSED', `Expected at most ${MAX_KEYS} keys`);
    const { alg, pkcs8 } = this.#unwrap(wrapped);
    const key = createPrivateKey({ key: pkcs8, type: 'pkcs8', format: 'der' });
    pkcs8.fill(0);
    // sealed anew under another wrapping key it is still the same
    if (known !== undefined && (known.alg !== alg || !known.key.equals(key)))
      throw new Refusal('KEY_REFUSED', `Another key is loaded as ${kid}`);
    this.#keys.set(kid, { alg, key, wrappedSha256 });
  }

  /** Answers the same bytes when they are under the first wrapping key already. */
  rewrap(wrapped: Buffer): Buffer {
    const { alg, pkcs8, place } = this.#unwrap(wrapped);
    const again = place === 0 ? wrapped : wrapPrivateKey(this.#wrappingKeys[0], alg, pkcs8);
    pkcs8.fill(0);
    return again;
  }

  #unwrap(wrapped: Buffer): { alg: KeyAlgorithm; pkcs8: Buffer; place: number } {
    let refusal: unknown;
    for (const [place, wrappingKey] of this.#wrappingKeys.entries()) {
      try {
        return { ...unwrapPrivateKey(wrappingKey, wrapped), place };
      } catch (error) {
        if (!(error instanceof ProtocolError)) throw error;
        refusal ??= new Refusal('KEY_REFUSED', error.message);
      }
    }
    throw refusal;
  }

  /** The id is the SHA-256 of the public key: a file that was replaced meanwhile never signs for another certificate. */
  open(kid: string, path: string): Buffer {
    const key = readKeyFile(path);
    const alg = algorithmOf(key);
    const spki = createPublicKey(key).export({ type: 'spki', format: 'der' });
    if (createHash('sha256').update(spki).digest('base64url') !== kid)
      throw new Refusal(
        'KEY_MISMATCH',
        `Expected the private key of the leaf certificate in ${path} but it is another one.`,
      );
    if (this.#keys.size >= MAX_KEYS) throw new Refusal('KEY_REFUSED', `Expected at most ${MAX_KEYS} keys`);
    if (!this.#keys.has(kid)) this.#keys.set(kid, { alg, key, wrappedSha256: FROM_FILE });
    return spki;
  }

  async sign(kid: string, tbs: Buffer): Promise<Buffer> {
    const open = this.#keys.get(kid);
    if (open === undefined) throw new Refusal('UNKNOWN_KEY', 'No key of this id is loaded');
    const { digest, options } = SCHEMES[open.alg];
    return signAsync(digest, tbs, { key: open.key, ...options });
  }
}

const FROM_FILE = 'file';
const MAX_KEY_FILE_BYTES = 16_384;
const OWNER_READS = 0o400;

function readKeyFile(path: string): KeyObject {
  let file: number;
  try {
    file = openSync(path, 'r');
  } catch {
    throw new Refusal('KEY_REFUSED', `The key file ${path} cannot be opened.`);
  }
  const pem = Buffer.alloc(MAX_KEY_FILE_BYTES);
  try {
    const { mode, size } = fstatSync(file);
    if ((mode & 0o777) !== OWNER_READS)
      throw new Refusal(
        'KEY_MODE',
        `Expected mode 0400 on ${path} but it is 0${(mode & 0o777).toString(8)}: chmod 0400.`,
      );
    if (size > MAX_KEY_FILE_BYTES)
      throw new Refusal('KEY_REFUSED', `Expected at most ${MAX_KEY_FILE_BYTES} bytes in ${path}.`);
    const length = readSync(file, pem, 0, MAX_KEY_FILE_BYTES, 0);
    return createPrivateKey(pem.subarray(0, length));
  } catch (error) {
    if (error instanceof Refusal) throw error;
    throw new Refusal('KEY_REFUSED', `Expected one private key in PEM without a passphrase in ${path}.`);
  } finally {
    closeSync(file);
    pem.fill(0);
  }
}

function algorithmOf({ asymmetricKeyType: type, asymmetricKeyDetails: details = {} }: KeyObject): KeyAlgorithm {
  if (type === 'ec' && details.namedCurve === 'prime256v1') return 'es256';
  if (type === 'ed25519') return 'ed25519';
  if (type === 'rsa' && (details.modulusLength ?? 0) >= RSA_BITS) return 'ps256';
  throw new Refusal('KEY_REFUSED', `Expected a key on P-256, Ed25519, or RSA of at least ${RSA_BITS} bits.`);
}

async function answer(ring: KeyRing, request: Request): Promise<Response> {
  const { id } = request;
  try {
    switch (request.op) {
      case 'generate': {
        const { spki, wrapped } = await ring.generate(request.alg);
        return { id, ok: true, spki: spki.toString('base64'), wrapped: wrapped.toString('base64') };
      }
      case 'load':
        ring.load(request.kid, Buffer.from(request.wrapped, 'base64'));
        return { id, ok: true };
      case 'rewrap':
        return { id, ok: true, wrapped: ring.rewrap(Buffer.from(request.wrapped, 'base64')).toString('base64') };
      case 'open':
        return { id, ok: true, spki: ring.open(request.kid, request.path).toString('base64') };
      case 'sign': {
        const signature = await ring.sign(request.kid, Buffer.from(request.tbs, 'base64'));
        return { id, ok: true, signature: signature.toString('base64') };
      }
      case 'hello':
        return { id, ok: true };
    }
  } catch (error) {
    const code = error instanceof Refusal ? error.code : 'BAD_REQUEST';
    return { id, ok: false, code, message: error instanceof Error ? error.message : 'The request failed' };
  }
}

// every field by its type, before anything is done with it; throws ProtocolError
function asRequest(message: unknown): Request {
  if (typeof message !== 'object' || message === null) throw new ProtocolError('Expected an object in a frame');
  const { id, op, token, alg, kid, wrapped, tbs, path } = message as Record<string, unknown>;
  if (typeof id !== 'number' || !Number.isSafeInteger(id)) throw new ProtocolError('Expected a number as id');
  if (op === 'hello' && typeof token === 'string') return { id, op, token };
  const algorithm = KEY_ALGORITHMS.find((known) => known === alg);
  if (op === 'generate' && algorithm !== undefined) return { id, op, alg: algorithm };
  if (op === 'load' && typeof kid === 'string' && typeof wrapped === 'string') return { id, op, kid, wrapped };
  if (op === 'rewrap' && typeof wrapped === 'string') return { id, op, wrapped };
  if (op === 'open' && typeof kid === 'string' && typeof path === 'string') return { id, op, kid, path };
  if (op === 'sign' && typeof kid === 'string' && typeof tbs === 'string') return { id, op, kid, tbs };
  throw new ProtocolError('Expected a known request');
}

function isToken(given: string, expected: string): boolean {
  const [a, b] = [given, expected].map((text) => createHash('sha256').update(text).digest());
  return a !== undefined && b !== undefined && timingSafeEqual(a, b);
}

// a bad frame, or none with the right token first, ends the connection without an answer
function serve(socket: Socket, ring: KeyRing, token: string): void {
  const reader = new FrameReader();
  let greeted = false;
  socket.on('error', () => socket.destroy());
  socket.on('data', (bytes: Buffer) => {
    try {
      for (const request of reader.push(bytes).map(asRequest)) {
        if (!greeted && (request.op !== 'hello' || !isToken(request.token, token)))
          throw new ProtocolError('Expected the token first');
        greeted = true;
        void answer(ring, request).then((response) => socket.writable && socket.write(encodeFrame(response)));
      }
    } catch {
      socket.destroy();
    }
  });
}

function start({ socketPath, wrappingKeys, token }: StartLine): void {
  const [first, ...older] = wrappingKeys.map((key) => createSecretKey(Buffer.from(key, 'base64')));
  if (first === undefined) throw new TypeError('Expected at least one wrapping key');
  const ring = new KeyRing([first, ...older]);
  process.umask(0o177);
  const server = createServer((socket) => serve(socket, ring, token));
  server.maxConnections = MAX_CONNECTIONS;
  server.listen(socketPath, () => {
    chmodSync(socketPath, 0o600);
    process.stdout.write('ready\n');
  });
  server.on('error', (error) => {
    process.stderr.write(`signer: ${error.message}\n`);
    process.exit(1);
  });
}

let line = '';
let started = false;
process.stdin.setEncoding('utf8');
process.stdin.on('data', (text: string) => {
  if (started) return;
  line += text;
  if (line.length > MAX_START_LINE_BYTES) process.exit(2);
  if (!line.includes('\n')) return;
  started = true;
  start(JSON.parse(line) as StartLine);
  line = '';
});
process.stdin.on('end', () => process.exit(0));
process.stdin.on('error', () => process.exit(0));
// the terminal's Ctrl-C reaches the whole group: the parent decides when signing ends
process.on('SIGINT', () => undefined);
process.on('SIGTERM', () => undefined);
