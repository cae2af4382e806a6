// Sends what waits: one request at a time, encoded in slices so that no event loop stands still, repeated only where the
// protocol allows it, and given up after a few attempts. Nothing here throws.
import { gzip } from 'node:zlib';
import { promisify } from 'node:util';
import type { Attributes } from '@opentelemetry/api';
import type { SpanBuffer } from './buffer.ts';
import type { KeySource } from './key.ts';
import { nameOf, type Notices } from './notices.ts';
import { scoresJson, spanJson, spansBegin, SPANS_END, type Redactor, type ScoreRecord } from './otlp.ts';
import type { Settings } from './options.ts';
import type { Answer, Connection } from './request.ts';

const toGzip = promisify(gzip);
/** OTLP/HTTP, "Retryable Response Codes". */
const RETRYABLE = new Set([429, 502, 503, 504]);
const MAX_ATTEMPTS = 5;
const FIRST_BACKOFF_MS = 500;
const MAX_BACKOFF_MS = 30_000;
/** A server that asks for more is asked again after this. */
const MAX_RETRY_AFTER_MS = 300_000;
/** Longest stretch of encoding between two turns of the event loop. */
const SLICE_MS = 4;
const GZIP_FROM_BYTES = 1_024;
const MAX_SCORES = 1_024;
const SCORES_PER_REQUEST = 256;
/** Waiting bytes that start a request before the interval is over. */
const EARLY_FLUSH_SHARE = 0.25;

export interface SenderParts {
  settings: Settings;
  buffer: SpanBuffer;
  connection: Connection;
  key: KeySource;
  notices: Notices;
  redactor: () => Redactor;
  resource: Attributes;
  scope: { name: string; version?: string | undefined };
}

/** What became of a request: sent, refused for good, or given up. */
type Outcome = 'sent' | 'refused' | 'lost';

export class Sender {
  readonly #parts: SenderParts;
  #scores: ScoreRecord[] = [];
  #timer: NodeJS.Timeout | undefined;
  #running: Promise<void> | undefined;
  #isHurried = false;
  #wake: (() => void) | undefined;
  #isClosed = false;

  constructor(parts: SenderParts) {
    this.#parts = parts;
  }

  /** Something waits: send when enough does, or when the interval is over. */
  notify(): void {
    if (this.#isClosed || this.#running !== undefined) return;
    const { buffer, settings } = this.#parts;
    const isEnough =
      buffer.length >= settings.batchSize || buffer.waitingBytes >= settings.maxBufferBytes * EARLY_FLUSH_SHARE;
    if (isEnough) this.#schedule(0);
    else if (this.#timer === undefined) this.#schedule(settings.flushIntervalMs);
  }

  addScore(score: ScoreRecord): void {
    const { notices } = this.#parts;
    if (this.#isClosed || this.#scores.length >= MAX_SCORES) {
      notices.counts.scores_dropped++;
      notices.once('scores-dropped', 'scores are dropped and counted from now on: too many wait.');
      return;
    }
    this.#scores.push(score);
    this.notify();
  }

  get isIdle(): boolean {
    return this.#running === undefined && this.#parts.buffer.length === 0 && this.#scores.length === 0;
  }

  /** Resolves when all that waited was sent or given up; never rejects. Hurried: no waiting between attempts. */
  async flush(isHurried = false): Promise<void> {
    if (isHurried) this.#hurry();
    const deadlineMs = performance.now() + this.#parts.settings.timeoutMs;
    while (!this.isIdle && performance.now() < deadlineMs) await Promise.race([this.#run(), this.#until(deadlineMs)]);
    this.#isHurried = false;
  }

  /** Gives up what waits after a last flush. */
  async close(): Promise<void> {
    await this.flush(true);
    this.#isClosed = true;
    clearTimeout(this.#timer);
    this.#parts.buffer.clear('the SDK was shut down');
    this.#parts.connection.close();
  }

  #hurry(): void {
    this.#isHurried = true;
    this.#wake?.();
  }

  #until(deadlineMs: number): Promise<void> {
    return new Promise((resolve) => {
      setTimeout(resolve, Math.max(1, deadlineMs - performance.now())).unref();
    });
  }

  #schedule(delayMs: number): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => void this.#run(), delayMs);
    this.#timer.unref();
  }

  #run(): Promise<void> {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#running ??= this.#sendAll().finally(() => {
      this.#running = undefined;
      if (!this.isIdle) this.notify();
    });
    return this.#running;
  }

  async #sendAll(): Promise<void> {
    const { buffer } = this.#parts;
    while (buffer.length > 0) await this.#sendSpans();
    while (this.#scores.length > 0) await this.#sendScores();
  }

  async #sendSpans(): Promise<void> {
    const { buffer, settings, notices } = this.#parts;
    const batch = buffer.take(settings.batchSize);
    try {
      const body = await this.#encode(batch.spans);
      const outcome = await this.#deliver('/v1/traces', body);
      if (outcome === 'sent') notices.counts.spans_sent += batch.spans.length;
      else
        buffer.drop(batch.spans.length, outcome === 'lost' ? 'the server is not reached' : 'the server refused them');
    } catch (error) {
      notices.counts.internal_errors++;
      buffer.drop(batch.spans.length, nameOf(error));
    } finally {
      buffer.release(batch);
    }
  }

  /** A span that cannot be encoded or redacted is dropped alone, and never sent as it is. */
  async #encode(spans: Parameters<typeof spanJson>[0][]): Promise<string> {
    const { buffer, notices, redactor, resource, scope } = this.#parts;
    const active = redactor();
    const texts: string[] = [];
    let sliceStartMs = performance.now();
    // in slices of a few milliseconds
    for (const span of spans) {
      const text = notices.guard(() => spanJson(span, active));
      if (text === undefined) buffer.drop(1, 'they cannot be encoded');
      else texts.push(text);
      if (performance.now() - sliceStartMs < SLICE_MS) continue;
      await new Promise((resolve) => setImmediate(resolve));
      sliceStartMs = performance.now();
    }
    return spansBegin(resource, scope) + texts.join(',') + SPANS_END;
  }

  async #sendScores(): Promise<void> {
    const { notices, redactor, resource, scope } = this.#parts;
    const scores = this.#scores.splice(0, SCORES_PER_REQUEST);
    try {
      const outcome = await this.#deliver('/v1/logs', scoresJson(scores, resource, scope, redactor()));
      if (outcome === 'sent') notices.counts.scores_sent += scores.length;
      else notices.counts.scores_dropped += scores.length;
    } catch (error) {
      notices.counts.scores_dropped += scores.length;
      notices.once('scores-dropped', `scores are dropped and counted from now on: ${nameOf(error)}.`);
    }
  }

  async #deliver(path: string, text: string): Promise<Outcome> {
    const { notices, key } = this.#parts;
    const body = Buffer.from(text);
    const isLarge = body.length >= GZIP_FROM_BYTES;
    const bytes = isLarge ? await toGzip(body, { level: 1 }) : body;
    let hasRenewed = false;
    for (let attempt = 1; ; attempt++) {
      const answer = await this.#attempt(path, bytes, isLarge);
      if (answer !== undefined && answer.status >= 200 && answer.status < 300) return this.#accepted(answer);
      if (answer?.status === 401 && key.canRenew && !hasRenewed) {
        hasRenewed = true;
        key.forget();
        continue;
      }
      if (answer !== undefined && !RETRYABLE.has(answer.status)) {
        notices.once(`refused-${path}-${answer.status}`, `${path} answered ${answer.status}${hintOf(answer.status)}`);
        return 'refused';
      }
      if (attempt >= MAX_ATTEMPTS || this.#isHurried) return 'lost';
      notices.counts.requests_retried++;
      await this.#pause(Math.min(answer?.retryAfterMs ?? backoffMs(attempt), MAX_RETRY_AFTER_MS));
    }
  }

  #accepted(answer: Answer): Outcome {
    const rejected = /"rejected(?:Spans|LogRecords)":\s*"?([1-9]\d*)/.exec(answer.body)?.[1];
    if (rejected !== undefined)
      this.#parts.notices.once('partly', `the server rejected ${rejected} of a request: ${answer.body.slice(0, 300)}`);
    return 'sent';
  }

  /** undefined: no answer. */
  async #attempt(path: string, body: Uint8Array, isGzip: boolean): Promise<Answer | undefined> {
    const { connection, key, notices, settings } = this.#parts;
    try {
      const headers: Record<string, string> = {
        'content-type': 'application/json',
        'content-length': `${body.length}`,
      };
      if (isGzip) headers['content-encoding'] = 'gzip';
      const token = await key.current();
      if (token !== undefined) headers['authorization'] = `Bearer ${token}`;
      return await connection.send('POST', settings.endpoint + path, headers, body);
    } catch (error) {
      notices.once('unreachable', `${settings.endpoint} is not reached: ${nameOf(error)}. Your program goes on.`);
      return undefined;
    }
  }

  /** Ends early when somebody is in a hurry; a waiting attempt does not keep the process alive. */
  #pause(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(done, ms);
      timer.unref();
      const wake = (): void => done();
      this.#wake = wake;
      function done(): void {
        clearTimeout(timer);
        resolve();
      }
    });
  }
}

/** Doubling, half of it drawn, so that many processes do not come back at once. */
function backoffMs(attempt: number): number {
  const full = Math.min(FIRST_BACKOFF_MS * 2 ** (attempt - 1), MAX_BACKOFF_MS);
  return full / 2 + (full / 2) * Math.random();
}

const HINTS = new Map([
  [401, ': the API key is missing or not valid.'],
  [403, ': the API key lacks the scope traces:write.'],
  [404, ': the endpoint is no LumaTrace, or an older one.'],
  [413, ': a request is too large.'],
]);

function hintOf(status: number): string {
  return HINTS.get(status) ?? '.';
}
