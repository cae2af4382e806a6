// Which addresses a request may name, and from where a browser may write: DNS rebinding and cross-site requests.
import type { IncomingMessage } from 'node:http';
import { BlockList, isIPv6 } from 'node:net';
import { Problem } from './errors.ts';

const LOOPBACK_NAMES = new Set(['localhost', '127.0.0.1', '[::1]']);
const SAFE_METHODS = new Set(['GET', 'HEAD', 'OPTIONS']);

/**
 * A page of an attacker whose name was made to point at 127.0.0.1 is stopped by the name that it must send: over
 * loopback only loopback names and names of our own are answered.
 * @throws Problem FORBIDDEN.
 */
export function refuseForeignHost(
  request: Request,
  incoming: IncomingMessage | undefined,
  ownHosts: ReadonlySet<string>,
): void {
  if (incoming === undefined || !isLoopback(incoming.socket.localAddress)) return;
  // An absolute request target may name another host than the header does; both must be ours.
  const names = [new URL(request.url).hostname, hostnameOf(incoming.headers.host ?? '')];
  if (names.every((name) => LOOPBACK_NAMES.has(name) || ownHosts.has(name))) return;
  throw new Problem('FORBIDDEN', 'This host name is not served here.', {
    action: 'Use localhost, or set LUMATRACE_PUBLIC_URL to the address that people use.',
  });
}

/**
 * Two readers of a request with two Host lines may each believe another one (RFC 9112, section 3.2: answer 400);
 * node:http keeps the first and says nothing.
 * @throws Problem VALIDATION_FAILED.
 */
export function refuseSeveralHosts(incoming: Pick<IncomingMessage, 'rawHeaders'> | undefined): void {
  const { rawHeaders = [] } = incoming ?? {};
  const hosts = rawHeaders.filter((name, i) => i % 2 === 0 && name.toLowerCase() === 'host');
  if (hosts.length <= 1) return;
  throw new Problem('VALIDATION_FAILED', `Expected one Host but received ${hosts.length}.`, {
    headers: { Connection: 'close' },
  });
}

/**
 * Writes with a session must come from our own pages. The rule is that of Go's net/http CrossOriginProtection: what
 * says `Sec-Fetch-Site` is believed; else `Origin` must name our host; a request with neither comes from no browser of
 * this decade, carries a cookie only because its sender put it there, and is let through.
 * @throws Problem FORBIDDEN.
 */
export function refuseForeignOrigin(request: Request): void {
  if (SAFE_METHODS.has(request.method)) return;
  const site = request.headers.get('sec-fetch-site');
  if (site !== null) {
    if (site === 'same-origin') return;
    throw foreign();
  }
  const origin = request.headers.get('origin');
  if (origin === null) return;
  if (!URL.canParse(origin) || new URL(origin).host !== hostOf(request)) throw foreign();
}

export function isSafe(method: string): boolean {
  return SAFE_METHODS.has(method);
}

function foreign(): Problem {
  return new Problem('FORBIDDEN', 'A page of another origin may not write here.', {
    action: 'Send the request from the dashboard, or use an API key in the Authorization header.',
  });
}

/** Through a proxy the scheme may differ from what the browser sees, so hosts are compared, ports included. */
function hostOf(request: Request): string {
  return (request.headers.get('host') ?? new URL(request.url).host).toLowerCase();
}

function hostnameOf(host: string): string {
  return URL.canParse(`http://${host}`) ? new URL(`http://${host}`).hostname : '';
}

/** Of a URL, so in its canonical form. */
export function isLoopbackName(hostname: string): boolean {
  return LOOPBACK_NAMES.has(hostname);
}

export function isLoopback(address: string | undefined): boolean {
  if (address === undefined) return false;
  const plain = address.replace(/^::ffff:/, '');
  return plain === '::1' || plain.startsWith('127.');
}

/** The address of the peer; behind proxies that we trust, the last address that none of them wrote. */
export function sourceOf(incoming: IncomingMessage | undefined, trusted: ProxyList): string {
  const peer = incoming?.socket.remoteAddress?.replace(/^::ffff:/, '') ?? 'unknown';
  if (!trusted.has(peer)) return peer;
  const forwarded = String(incoming?.headers['x-forwarded-for'] ?? '')
    .split(',')
    .map((address) => address.trim())
    .filter((address) => address !== '');
  return forwarded.reverse().find((address) => !trusted.has(address)) ?? peer;
}

export interface ProxyList {
  has(address: string): boolean;
}

/** Addresses and CIDR blocks of proxies whose X-Forwarded-For is believed. @throws TypeError for what is neither. */
export function proxyList(entries: readonly string[]): ProxyList {
  const list = new BlockList();
  for (const entry of entries) {
    const [address = '', prefix] = entry.split('/');
    const family = isIPv6(address) ? 'ipv6' : 'ipv4';
    if (prefix === undefined) list.addAddress(address, family);
    else list.addSubnet(address, Number(prefix), family);
  }
  return { has: (address) => list.check(address, isIPv6(address) ? 'ipv6' : 'ipv4') };
}
