// One HTTP request of the SDK: node:http without the user's agents, bounded in time and size, outside of every trace.
import { context, ROOT_CONTEXT } from '@opentelemetry/api';
import { suppressTracing } from '@opentelemetry/core';
import { Agent as HttpAgent, request as httpRequest, type IncomingMessage } from 'node:http';
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https';

const MAX_ANSWER_BYTES = 1024 * 1024;
const UNTRACED = suppressTracing(ROOT_CONTEXT);

export interface Answer {
  status: number;
  /** Milliseconds that `Retry-After` asks for. */
  retryAfterMs: number | undefined;
  body: string;
}

/** The connections of one SDK instance. */
export class Connection {
  readonly #http = new HttpAgent({ keepAlive: true, maxSockets: 2, maxFreeSockets: 1 });
  readonly #https = new HttpsAgent({ keepAlive: true, maxSockets: 2, maxFreeSockets: 1 });
  readonly #timeoutMs: number;

  constructor(timeoutMs: number) {
    this.#timeoutMs = timeoutMs;
  }

  /** Rejects when there was no whole answer in time. A status of any kind is an answer. */
  send(method: 'GET' | 'POST', url: string, headers: Record<string, string>, body?: Uint8Array): Promise<Answer> {
    return context.with(
      UNTRACED,
      () =>
        new Promise<Answer>((resolve, reject) => {
          const isHttps = url.startsWith('https:');
          const options = { method, headers, agent: isHttps ? this.#https : this.#http };
          const outgoing = isHttps ? httpsRequest(url, options) : httpRequest(url, options);
          const timer = setTimeout(() => outgoing.destroy(new Error('no answer in time')), this.#timeoutMs);
          timer.unref();
          const settle = (): void => clearTimeout(timer);
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

  close(): void {
    this.#http.destroy();
    this.#https.destroy();
  }
}

async function readAnswer(incoming: IncomingMessage): Promise<Answer> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of incoming as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > MAX_ANSWER_BYTES) throw new Error('the answer is too large');
    chunks.push(chunk);
  }
  return {
    status: incoming.statusCode ?? 0,
    retryAfterMs: retryAfter(incoming.headers['retry-after']),
    body: Buffer.concat(chunks).toString('utf8'),
  };
}

/** RFC 9110, 10.2.3: seconds or a date. */
export function retryAfter(header: string | undefined, nowMs: number = Date.now()): number | undefined {
  if (header === undefined) return undefined;
  if (/^\d+$/.test(header)) return Number(header) * 1_000;
  const date = Date.parse(header);
  return Number.isNaN(date) ? undefined : Math.max(0, date - nowMs);
}
