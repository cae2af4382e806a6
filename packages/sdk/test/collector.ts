// A place to send to, in tests: keeps what comes and answers as it is told.
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { gunzipSync } from 'node:zlib';

export interface Received {
  path: string;
  headers: IncomingMessage['headers'];
  body: string;
  atMs: number;
}

export interface SentSpan {
  traceId: string;
  spanId: string;
  parentSpanId?: string;
  name: string;
  attributes: Record<string, unknown>;
  status: { code: number; message?: string };
  events: { name: string; attributes: Record<string, unknown> }[];
}

interface WireValue {
  stringValue?: string;
  intValue?: string;
  doubleValue?: number;
  boolValue?: boolean;
  arrayValue?: { values: WireValue[] };
}
interface WireAttribute {
  key: string;
  value: WireValue;
}
interface WireSpan extends Omit<SentSpan, 'attributes' | 'events'> {
  attributes: WireAttribute[];
  events: { name: string; attributes: WireAttribute[] }[];
}

export class Collector {
  readonly received: Received[] = [];
  /** Answers to come, first first; then `{status: 200, body: '{}'}`. 0: the connection is cut. */
  readonly answers: { status: number; headers?: Record<string, string>; body?: string }[] = [];
  /** Paths with answers of their own. */
  readonly fixed = new Map<string, { status: number; body: string }>([['/api/redaction', { status: 404, body: '{}' }]]);
  readonly #server = createServer((request, response) => void this.#take(request, response));
  url = '';

  async start(): Promise<this> {
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve));
    this.url = `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
    return this;
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
  }

  at(path: string): Received[] {
    return this.received.filter((each) => each.path === path);
  }

  spans(): SentSpan[] {
    return this.at('/v1/traces').flatMap(({ body }) => {
      const { resourceSpans } = JSON.parse(body) as { resourceSpans: { scopeSpans: { spans: WireSpan[] }[] }[] };
      return resourceSpans.flatMap(({ scopeSpans }) => scopeSpans.flatMap(({ spans }) => spans.map(readable)));
    });
  }

  span(name: string): SentSpan {
    const found = this.spans().filter((span) => span.name === name);
    if (found.length !== 1) {
      throw new Error(
        `Expected one span ${name} but received ${JSON.stringify(this.spans().map((span) => span.name))}`,
      );
    }
    return found[0] as SentSpan;
  }

  async #take(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk);
    const raw = Buffer.concat(chunks);
    const body = (request.headers['content-encoding'] === 'gzip' ? gunzipSync(raw) : raw).toString('utf8');
    const path = request.url ?? '';
    this.received.push({ path, headers: request.headers, body, atMs: performance.now() });
    const answer = this.fixed.get(path) ?? this.answers.shift() ?? { status: 200 };
    if (answer.status === 0) return void request.socket.destroy();
    const headers = 'headers' in answer ? answer.headers : {};
    response.writeHead(answer.status, { 'content-type': 'application/json', ...headers }).end(answer.body ?? '{}');
  }
}

function readable(span: WireSpan): SentSpan {
  const events = span.events.map(({ name, attributes }) => ({ name, attributes: plain(attributes) }));
  return { ...span, attributes: plain(span.attributes), events };
}

function plain(attributes: WireAttribute[]): Record<string, unknown> {
  return Object.fromEntries(attributes.map(({ key, value }) => [key, plainValue(value)]));
}

function plainValue(value: WireValue): unknown {
  if (value.arrayValue !== undefined) return value.arrayValue.values.map(plainValue);
  return value.intValue !== undefined ? Number(value.intValue) : Object.values(value)[0];
}
