// The only way out: every outgoing request of the server goes through here. Addresses are judged when the socket is
// about to connect, on what the name resolved to at that moment, so that no second answer of a name server counts.
import { lookup as dnsLookup, type LookupAddress } from 'node:dns';
import { request as httpRequest, type IncomingMessage, type RequestOptions } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { isIP, type LookupFunction } from 'node:net';
import { isPublicAddress } from './addresses.ts';

/** The request was not made, or its answer not taken; the message holds nothing of what came back. */
export class EgressError extends Error {
  readonly code: 'EGRESS_FORBIDDEN' | 'EGRESS_TIMEOUT' | 'EGRESS_TOO_LARGE' | 'EGRESS_FAILED' | 'EGRESS_REDIRECTED';
  constructor(code: EgressError['code'], message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

export interface EgressPolicy {
  /** `host:port` as written in a URL: private, loopback and plain-HTTP targets that the operator allows. */
  readonly allow: readonly string[];
  /** In place of the system's resolver; for tests of what a hostile name server does. */
  readonly resolve?: (hostname: string) => Promise<readonly LookupAddress[]>;
}

export interface EgressRequest {
  readonly url: string;
  readonly method?: 'GET' | 'POST' | 'PUT';
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Uint8Array | string;
  /** From the first byte to the last. */
  readonly timeoutMs?: number;
  readonly maxBytes?: number;
  /** Plain HTTP is refused unless what comes back proves itself, or the target is allowed. */
  readonly isPlainAllowed?: boolean;
  /** PEM of authorities to believe instead of the system's. */
  readonly ca?: string;
  /**
   * How many redirects of a GET are followed, none without it. Each hop is judged as the first was, and resolved anew; all
   * hops share `timeoutMs`. https never leads to http, and another origin gets no header that could be a credential.
   */
  readonly maxRedirects?: number;
}

export interface EgressResponse {
  readonly status: number;
  readonly headers: Readonly<IncomingMessage['headers']>;
  readonly body: Buffer;
}

export type Egress = (request: EgressRequest) => Promise<EgressResponse>;

const DEFAULT_TIMEOUT_MS = 10_000;
const DEFAULT_MAX_BYTES = 1_048_576;
const MAX_HEADER_BYTES = 16_384;
const REDIRECTS: ReadonlySet<number> = new Set([301, 302, 303, 307, 308]);
/** What another origin may get too; every other header could be a credential under a name of its own. */
const HARMLESS_HEADERS: ReadonlySet<string> = new Set(['accept', 'accept-language', 'user-agent']);

/** @returns a function that makes one request, and follows redirects only where it is asked to. It throws EgressError. */
export function createEgress(policy: EgressPolicy): Egress {
  const allowed = new Set(policy.allow.map((target) => target.toLowerCase()));
  const resolve = policy.resolve ?? resolveBySystem;
  const hop = async (url: URL, request: EgressRequest, signal: AbortSignal): Promise<EgressResponse | URL> => {
    const isAllowed = allowed.has(targetOf(url));
    if (url.protocol === 'http:' && !isAllowed && request.isPlainAllowed !== true)
      throw new EgressError('EGRESS_FORBIDDEN', 'Plain HTTP is not allowed for this request.');
    const lookup = guardedLookup(resolve, isAllowed);
    // a literal address is never looked up, so it is judged here
    const literal = url.hostname.replace(/^\[|\]$/g, '');
    if (isIP(literal) !== 0) requirePublic(literal, isAllowed);
    return send(url, request, { lookup, signal });
  };
  return async (asked) => {
    const signal = AbortSignal.timeout(asked.timeoutMs ?? DEFAULT_TIMEOUT_MS);
    let url = parsed(asked.url);
    let request = asked;
    for (let left = redirectsOf(asked); ; left--) {
      const answer = await hop(url, request, signal);
      if (!(answer instanceof URL)) return answer;
      if (left === 0)
        throw new EgressError('EGRESS_REDIRECTED', 'The answer leads elsewhere, and that is not followed.');
      request = forNextHop(request, url, answer);
      url = answer;
    }
  };
}

/** Only a GET can go elsewhere: a body may hold secrets, and an effect may not happen twice. */
function redirectsOf({ method = 'GET', maxRedirects = 0 }: EgressRequest): number {
  return method === 'GET' ? maxRedirects : 0;
}

function forNextHop(request: EgressRequest, from: URL, to: URL): EgressRequest {
  if (from.protocol === 'https:' && to.protocol === 'http:')
    throw new EgressError('EGRESS_FORBIDDEN', 'The answer leads from https to http.');
  if (from.origin === to.origin) return request;
  const headers = Object.entries(request.headers ?? {}).filter(([name]) => HARMLESS_HEADERS.has(name.toLowerCase()));
  return { ...request, headers: Object.fromEntries(headers) };
}

function parsed(text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || !['https:', 'http:'].includes(url.protocol) || url.username !== '' || url.password !== '')
    throw new EgressError('EGRESS_FORBIDDEN', 'Expected an http or https address without credentials.');
  return url;
}

function targetOf({ hostname, port, protocol }: URL): string {
  return `${hostname.toLowerCase()}:${port === '' ? (protocol === 'https:' ? 443 : 80) : port}`;
}

function requirePublic(address: string, isAllowed: boolean): void {
  if (!isAllowed && !isPublicAddress(address))
    throw new EgressError('EGRESS_FORBIDDEN', 'The address lies outside of the public internet.');
}

function guardedLookup(resolve: NonNullable<EgressPolicy['resolve']>, isAllowed: boolean): LookupFunction {
  return (hostname, options, callback) => {
    resolve(hostname)
      .then((addresses) => {
        // one forbidden address among several is enough: the next try might take it
        for (const { address } of addresses) requirePublic(address, isAllowed);
        const [first] = addresses;
        if (first === undefined) throw new EgressError('EGRESS_FAILED', 'The name does not resolve.');
        if (options.all === true) callback(null, [...addresses]);
        else callback(null, first.address, first.family);
      })
      .catch((error: unknown) => callback(error as NodeJS.ErrnoException, '', 0));
  };
}

function resolveBySystem(hostname: string): Promise<LookupAddress[]> {
  return new Promise((done, fail) => {
    dnsLookup(hostname, { all: true }, (error, addresses) => {
      if (error) fail(new EgressError('EGRESS_FAILED', 'The name does not resolve.', { cause: error }));
      else done(addresses);
    });
  });
}

/** @returns the answer, or where it leads */
function send(
  url: URL,
  request: EgressRequest,
  { lookup, signal }: { lookup: LookupFunction; signal: AbortSignal },
): Promise<EgressResponse | URL> {
  const { method = 'GET', headers = {}, body, ca } = request;
  const options: RequestOptions = { method, headers, lookup, signal, agent: false, maxHeaderSize: MAX_HEADER_BYTES };
  return new Promise((done, fail) => {
    const failing = (cause: unknown): void => fail(asEgressError(cause, signal));
    const take = (response: IncomingMessage): void => {
      receive(response, url, request.maxBytes ?? DEFAULT_MAX_BYTES).then(done, failing);
    };
    const outgoing =
      url.protocol === 'https:'
        ? httpsRequest(url, { ...options, ...(ca === undefined ? {} : { ca }) }, take)
        : httpRequest(url, options, take);
    outgoing.on('error', failing);
    outgoing.end(body);
  });
}

async function receive(response: IncomingMessage, from: URL, maxBytes: number): Promise<EgressResponse | URL> {
  const status = response.statusCode ?? 0;
  if (status >= 300 && status < 400) {
    response.destroy();
    const { location } = response.headers;
    if (REDIRECTS.has(status) && location !== undefined && URL.canParse(location, from.href))
      return parsed(new URL(location, from).href);
    throw new EgressError('EGRESS_REDIRECTED', 'The answer leads elsewhere, and that is not followed.');
  }
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of response as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > maxBytes) {
      response.destroy();
      throw new EgressError('EGRESS_TOO_LARGE', `The answer is longer than ${maxBytes} bytes.`);
    }
    chunks.push(chunk);
  }
  return { status, headers: response.headers, body: Buffer.concat(chunks) };
}

function asEgressError(cause: unknown, signal: AbortSignal): EgressError {
  if (cause instanceof EgressError) return cause;
  if (signal.aborted) return new EgressError('EGRESS_TIMEOUT', 'The answer did not come in time.', { cause });
  return new EgressError('EGRESS_FAILED', 'The request failed.', { cause });
}
