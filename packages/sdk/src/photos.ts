// Photos by the API: register, protect, verify, identify, list, publish. Calls throw PhotoError; nothing is swallowed here,
// since a program that must mark its pictures has to know when one is not marked.
import { createHash, randomUUID } from 'node:crypto';
import { KeySource } from './key.ts';
import { settingsFrom, type ApiKey } from './options.ts';
import { bytesOf, formOf, type ImageInput } from './photo-body.ts';
import { PhotoError } from './photo-error.ts';
import { ask, type Limits, type PhotoAnswer, type PhotoRequest } from './photo-request.ts';
import { verifyReceipt } from './photo-receipt.ts';
import type {
  CallOptions,
  Identification,
  ListOptions,
  LogProof,
  LogReceipt,
  PhotoDetail,
  PhotoPage,
  PhotoSummary,
  ProtectedImage,
  ProtectOptions,
  Publication,
  ReceiptOptions,
  ReceiptVerification,
  Registered,
  RegisterOptions,
  Verification,
} from './photo-types.ts';
import { lastSettings } from './runtime.ts';

export interface PhotosOptions {
  /** Default: those of `initLumina`, else `LUMATRACE_ENDPOINT` or `http://localhost:3000`. */
  endpoint?: string;
  /** Default: that of `initLumina`, else `LUMATRACE_API_KEY`. */
  api_key?: ApiKey;
  /** Of one attempt; default 60,000. */
  timeout_ms?: number;
  /** Default 4. */
  max_attempts?: number;
  /** Longest time between attempts of one call, all together; default 60,000. */
  max_wait_ms?: number;
}

const DEVICE = '@lumatrace/sdk';
const PAGE = 100;

/** Calls against one installation, under one key. */
export class Photos {
  readonly #options: PhotosOptions;
  readonly #limits: Limits;
  #key: { from: ApiKey | undefined; source: KeySource } | undefined;

  /** @throws TypeError for a limit that is none */
  constructor(options: PhotosOptions = {}) {
    this.#options = options;
    this.#limits = {
      timeoutMs: within('timeout_ms', options.timeout_ms ?? 60_000, 1, 3_600_000),
      maxAttempts: within('max_attempts', options.max_attempts ?? 4, 1, 20),
      maxWaitMs: within('max_wait_ms', options.max_wait_ms ?? 60_000, 0, 3_600_000),
    };
  }

  /** Registers a file by its hash; an image given here is hashed and stays where it is. */
  async register(image: ImageInput | { contentHash: string }, options: RegisterOptions = {}): Promise<Registered> {
    const contentHash = isHash(image) ? image.contentHash : sha256(await bytesOf(image));
    const { idempotencyKey, signal, ...said } = options;
    const body = Buffer.from(JSON.stringify({ contentHash, deviceModel: DEVICE, ...said }));
    const headers = { 'content-type': 'application/json', 'idempotency-key': idempotencyKey ?? randomUUID() };
    return this.#json({ method: 'POST', path: '/api/v1/photos/register', headers, body, signal });
  }

  /** Marks and signs an image; the answer is the whole protected file. */
  async protect(image: ImageInput, options: ProtectOptions = {}): Promise<ProtectedImage> {
    const bytes = await bytesOf(image);
    const contentHash = sha256(bytes);
    const { idempotencyKey, signal, aiCreatedAt, ...said } = options;
    const createdAt = aiCreatedAt === undefined ? {} : { aiCreatedAt: new Date(aiCreatedAt).toISOString() };
    const request = JSON.stringify({ contentHash, deviceModel: DEVICE, ...said, ...createdAt });
    const { headers, body } = await this.#form('protect', bytes, { request }, signal, {
      'idempotency-key': idempotencyKey ?? randomUUID(),
    });
    const photoId = headers['x-photo-id'];
    const mediaType = headers['content-type'];
    if (typeof photoId !== 'string' || mediaType?.startsWith('image/') !== true || body.length === 0)
      throw new PhotoError('BAD_ANSWER', 'The answer is no protected image of LumaTrace.');
    const logReceipt = receiptOf(headers['lumatrace-log-receipt']);
    return { photoId, image: body, mediaType, contentHash, protectedHash: sha256(body), logReceipt };
  }

  /** Whether an image is the protected photo, unchanged. `authentic` alone is the verdict. */
  async verify(image: ImageInput, photoId: string, { signal }: CallOptions = {}): Promise<Verification> {
    return this.#read(await this.#form('verify', await bytesOf(image), { photoId }, signal));
  }

  /** Which photo an image shows, from its pixels alone. */
  async identify(image: ImageInput, { signal }: CallOptions = {}): Promise<Identification> {
    return this.#read(await this.#form('identify', await bytesOf(image), {}, signal));
  }

  async get(photoId: string, { signal }: CallOptions = {}): Promise<PhotoDetail> {
    return this.#json({ method: 'GET', path: pathOf(photoId), signal });
  }

  /** A page, newest first. */
  async list({ limit = PAGE, cursor, traceId, signal }: ListOptions = {}): Promise<PhotoPage> {
    const query = new URLSearchParams({ limit: `${limit}` });
    if (cursor !== undefined) query.set('cursor', cursor);
    if (traceId !== undefined) query.set('traceId', traceId);
    return this.#json({ method: 'GET', path: `/api/v1/photos?${query}`, signal });
  }

  /** All photos, newest first, a page at a time as they are taken. */
  async *all(options: Omit<ListOptions, 'cursor'> = {}): AsyncGenerator<PhotoSummary, void, undefined> {
    let cursor: string | undefined;
    do {
      const { data, pagination } = await this.list({ ...options, ...(cursor === undefined ? {} : { cursor }) });
      yield* data;
      cursor = pagination.nextCursor ?? undefined;
    } while (cursor !== undefined);
  }

  /** What the transparency log holds about a photo, with the proof of each entry a moment after it was written. */
  async logProof(photoId: string, { signal }: CallOptions = {}): Promise<LogProof> {
    return this.#json({ method: 'GET', path: `${pathOf(photoId)}/log-proof`, signal });
  }

  /** Whether the log holds this very file, by its receipt and a key of the log that was kept: makes no request. */
  verifyReceipt(receipt: unknown, options: ReceiptOptions): ReceiptVerification {
    return verifyReceipt(receipt, options);
  }

  /** From then on anybody who holds a copy of the picture finds its credentials. */
  async publish(photoId: string, { signal }: CallOptions = {}): Promise<Publication> {
    return this.#json({ method: 'PUT', path: `${pathOf(photoId)}/publication`, signal });
  }

  /** Takes the publication back. */
  async withdraw(photoId: string, { signal }: CallOptions = {}): Promise<Publication> {
    return this.#json({ method: 'DELETE', path: `${pathOf(photoId)}/publication`, signal });
  }

  #form(
    verb: string,
    image: Uint8Array,
    fields: Record<string, string>,
    signal: AbortSignal | undefined,
    more: Record<string, string> = {},
  ): Promise<PhotoAnswer> {
    const { body, contentType } = formOf(image, fields);
    const headers = { 'content-type': contentType, ...more };
    return this.#ask({ method: 'POST', path: `/api/v1/photos/${verb}`, headers, body, signal });
  }

  async #json<T>(request: PhotoRequest): Promise<T> {
    return this.#read<T>(await this.#ask(request));
  }

  #read<T>({ body }: PhotoAnswer): T {
    try {
      return JSON.parse(body.toString('utf8')) as T;
    } catch (cause) {
      throw new PhotoError('BAD_ANSWER', 'Expected JSON from LumaTrace.', { cause });
    }
  }

  #ask(request: PhotoRequest): Promise<PhotoAnswer> {
    const limits = this.#limits;
    const settings = this.#settings();
    return ask(settings.endpoint, this.#keyOf(settings.apiKey, limits.timeoutMs), limits, request);
  }

  #settings(): { endpoint: string; apiKey: ApiKey | undefined } {
    const { endpoint, api_key } = this.#options;
    const known = lastSettings();
    if (endpoint !== undefined || known === undefined) {
      const found = settingsFrom({
        ...(endpoint === undefined ? {} : { endpoint }),
        on_warning: (message) => {
          throw new TypeError(message);
        },
      });
      // the key of one installation is not sent to another
      return { endpoint: found.endpoint, apiKey: api_key ?? found.apiKey };
    }
    if (!known.hasEndpoint) throw new TypeError('Expected initLumina to be given an http or https URL as endpoint.');
    return { endpoint: known.endpoint, apiKey: api_key ?? known.apiKey };
  }

  #keyOf(from: ApiKey | undefined, timeoutMs: number): KeySource {
    if (this.#key === undefined || this.#key.from !== from)
      this.#key = { from, source: new KeySource(from, timeoutMs) };
    return this.#key.source;
  }
}

/** The installation and key of `initLumina`, else of the environment. */
export const photos: Photos = new Photos();

function within(name: keyof PhotosOptions, value: number, least: number, most: number): number {
  if (typeof value === 'number' && value >= least && value <= most) return value;
  throw new TypeError(`Expected ${name} from ${least} to ${most} but received ${String(value)}.`);
}

/** A receipt that cannot be read does not lose the picture: `logProof` answers it again. */
function receiptOf(header: string | string[] | undefined): LogReceipt | null {
  if (typeof header !== 'string') return null;
  try {
    return JSON.parse(Buffer.from(header, 'base64url').toString('utf8')) as LogReceipt;
  } catch {
    return null;
  }
}

const pathOf = (photoId: string): string => `/api/v1/photos/${encodeURIComponent(photoId)}`;

const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

function isHash(image: ImageInput | { contentHash: string }): image is { contentHash: string } {
  return 'contentHash' in image && typeof image.contentHash === 'string';
}
