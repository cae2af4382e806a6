// Requests about photos: a body in memory, an answer in memory, both bounded; repeated where repeating is harmless and the
// server or the network asks for it. Every request here is safe to repeat: it reads, or it carries an Idempotency-Key.
import { context, ROOT_CONTEXT } from '@opentelemetry/api';
import { suppressTracing } from '@opentelemetry/core';
import { request as httpRequest, type IncomingMessage } from 'node:http';
import { request as httpsRequest } from 'node:https';
import type { KeySource } from './key.ts';
import { PhotoError, problemOf } from './photo-error.ts';
import { retryAfter } from './request.ts';

/** A protected picture may be larger than what came: PNG is written anew. */
const MAX_ANSWER_BYTES = 128 * 1024 * 1024;
const RETRYABLE = new Set([429, 502, 503, 504]);
const FIRST_BACKOFF_MS = 250;
const UNTRACED = suppressTracing(ROOT_CONTEXT);

export interface PhotoRequest {
  method: 'GET' | 'POST' | 'PUT' | 'DELETE';
  /** With its query. */
  path: string;
  headers?: Record<string, string>;
  body?: Uint8Array;
  signal?: AbortSignal | undefined;
}

export interface PhotoAnswer {
  headers: IncomingMessage['headers'];
  body: Buffer;
}

export interface Limits {
  /** Of one attempt. */
  timeoutMs: number;
  maxAttempts: number;
  /** Of all waits between attempts together. */
  maxWaitMs: number;
}

/**
 * The answer with a status of 2xx.
 * @throws PhotoError for every other one that stays after the attempts that `limits` allow
 */
export async function ask(
  endpoint: string,
  key: KeySource,
  limits: Limits,
  request: PhotoRequest,
): Promise<PhotoAnswer> {
  let waitedMs = 0;
  let hasRenewed = false;
  for (let attempt = 1; ; attempt++) {
    const error = await once(endpoint, key, limits.timeoutMs, request);
    if (!(error instanceof PhotoError)) return error;
    if (error.status === 401 && key.canRenew && !hasRenewed) {
      hasRenewed = true;
      key.forget();
      continue;
    }
    if (attempt >= limits.maxAttempts || !isWorthAsking(error)) throw error;
    const waitMs = error.retryAfterMs ?? backoffMs(attempt);
    if (waitedMs + waitMs > limits.maxWaitMs) throw error;
    waitedMs += waitMs;
    await pause(waitMs, request.signal);
  }
}

// 409 with Retry-After: the first request with this key still runs
function isWorthAsking({ code, status, retryAfterMs }: PhotoError): boolean {
  if (status === undefined) return code === 'NO_ANSWER';
  return RETRYABLE.has(status) || (status === 409 && retryAfterMs !== undefined);
}

async function once(
  endpoint: string,
  key: KeySource,
  timeoutMs: number,
  { method, path, headers, body, signal }: PhotoRequest,
): Promise<PhotoAnswer | PhotoError> {
  if (isAborted(signal)) return aborted(signal);
  const token = await key.current().catch((cause: unknown) => {
    throw new PhotoError('AUTH_MISSING', 'The API key could not be had from its provider.', { cause });
  });
  const sent = {
    ...headers,
    accept: 'application/json, image/*',
    ...(body === undefined ? {} : { 'content-length': `${body.length}` }),
    ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
  };
  try {
    const { status, ...answer } = await exchange(method, endpoint + path, sent, body, timeoutMs, signal);
    if (status >= 200 && status < 300) return answer;
    const requestId = answer.headers['x-request-id'];
    const retryAfterMs = retryAfter(answer.headers['retry-after']);
    return problemOf(status, answer.body, {
      ...(typeof requestId === 'string' ? { requestId } : {}),
      ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
    });
  } catch (cause) {
    if (isAborted(signal)) return aborted(signal);
    if (cause instanceof PhotoError) return cause;
    const why = cause instanceof Error ? cause.message : 'no reason was given';
    return new PhotoError('NO_ANSWER', `${endpoint} gave no answer: ${why}.`, { cause });
  }
}

interface Exchanged extends PhotoAnswer {
  status: number;
}

function exchange(
  method: string,
  url: string,
  headers: Record<string, string>,
  body: Uint8Array | undefined,
  timeoutMs: number,
  signal: AbortSignal | undefined,
): Promise<Exchanged> {
  return context.with(
    UNTRACED,
    () =>
      new Promise<Exchanged>((resolve, reject) => {
        const start = url.startsWith('https:') ? httpsRequest : httpRequest;
        const outgoing = start(url, { method, headers });
        const stop = (): void => void outgoing.destroy(new Error('the caller took it back'));
        const timer = setTimeout(() => outgoing.destroy(new Error('not in time')), timeoutMs);
        signal?.addEventListener('abort', stop, { once: true });
        const settle = (): void => {
          clearTimeout(timer);
          signal?.removeEventListener('abort', stop);
        };
        outgoing.once('error', (error) => {
          settle();
          reject(error);
        });
        outgoing.once('response', (incoming) => {
          void readAnswer(incoming).then(resolve, reject).finally(settle);
        });
        outgoing.end(body);
      }),
  );
}

async function readAnswer(incoming: IncomingMessage): Promise<Exchanged> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of incoming as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > MAX_ANSWER_BYTES) throw new PhotoError('BAD_ANSWER', 'The answer is larger than a picture can be.');
    chunks.push(chunk);
  }
  return { status: incoming.statusCode ?? 0, headers: incoming.headers, body: Buffer.concat(chunks) };
}

// asked anew each time: a signal changes while others are waited for
const isAborted = (signal: AbortSignal | undefined): boolean => signal?.aborted === true;

function aborted(signal: AbortSignal | undefined): PhotoError {
  return new PhotoError('ABORTED', 'The call was taken back by its signal.', { cause: signal?.reason });
}

/** Doubling, half of it drawn, so that many programs do not come back at once. */
function backoffMs(attempt: number): number {
  const full = FIRST_BACKOFF_MS * 2 ** (attempt - 1);
  return full / 2 + (full / 2) * Math.random();
}

function pause(ms: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    const stop = (): void => {
      clearTimeout(timer);
      reject(aborted(signal));
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener('abort', stop);
      resolve();
    }, ms);
    if (isAborted(signal)) stop();
    else signal?.addEventListener('abort', stop, { once: true });
  });
}
