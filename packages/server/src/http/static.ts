// The built dashboard: hashed files for ever, the page for every client route, compressed neighbours where they exist.
import { createHash } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { extname, join, sep } from 'node:path';
import { Problem } from './errors.ts';
import { DETECT_POLICY, DEVICE_READER_POLICY, PAGE_POLICY } from './security-headers.ts';

/** Paths that belong to the API: unknown ones below them are answered as problems, never with the page. */
const API_PREFIXES = [
  '/api',
  '/auth',
  '/v1',
  '/replay',
  '/c2pa',
  '/.well-known',
  '/health',
  '/metrics',
  '/oauth',
  '/docs',
  '/openapi.json',
  '/mcp',
];

const MEDIA_TYPES: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.json': 'application/json; charset=utf-8',
  '.svg': 'image/svg+xml',
  '.png': 'image/png',
  '.jpg': 'image/jpeg',
  '.webp': 'image/webp',
  '.ico': 'image/x-icon',
  '.wasm': 'application/wasm',
  '.woff2': 'font/woff2',
  '.webmanifest': 'application/manifest+json',
  '.txt': 'text/plain; charset=utf-8',
};

/** Preferred first. */
const ENCODINGS = [
  ['br', '.br'],
  ['gzip', '.gz'],
] as const;

export interface StaticFiles {
  /** @throws Problem NOT_FOUND. */
  answer(request: Request): Promise<Response>;
}

/** The files that `folder` holds now; what is added later is not seen. A folder that is not there serves nothing. */
export async function staticFiles(folder: string | undefined): Promise<StaticFiles> {
  const names = folder === undefined ? [] : await readdir(folder, { recursive: true }).catch(() => []);
  const files = new Set(names.map((name) => `/${name.split(sep).join('/')}`));
  return {
    async answer(request) {
      const path = new URL(request.url).pathname;
      if (!['GET', 'HEAD'].includes(request.method) || isApi(path)) throw notFound();
      if (folder === undefined || !files.has('/index.html')) throw notFound('The dashboard is not built.');
      const name = fileFor(path, files);
      const [encoding, suffix] = ENCODINGS.find(
        ([encoding, suffix]) => accepts(request, encoding) && files.has(name + suffix),
      ) ?? [undefined, ''];
      const bytes = await readFile(join(folder, `${name}${suffix}`));
      const etag = `"${createHash('sha256').update(bytes).digest('base64url').slice(0, 22)}"`;
      const headers = new Headers({
        'content-type': MEDIA_TYPES[extname(name)] ?? 'application/octet-stream',
        'cache-control': name.startsWith('/assets/') ? 'public, max-age=31536000, immutable' : 'no-cache',
        vary: 'accept-encoding',
        etag,
      });
      const policy = policyOf(path, name);
      if (policy !== undefined) headers.set('content-security-policy', policy);
      if (encoding !== undefined) headers.set('content-encoding', encoding);
      if (request.headers.get('if-none-match') === etag) return new Response(null, { status: 304, headers });
      return new Response(bytes, { headers });
    },
  };
}

function fileFor(path: string, files: ReadonlySet<string>): string {
  if (path !== '/' && files.has(path) && extname(path) !== '') return path;
  // A client route has no extension; a missing file does, and gets no page in its place.
  if (extname(path) !== '') throw notFound();
  return '/index.html';
}

/** Undefined for what is only loaded by a page: it gets the policy of data. */
function policyOf(path: string, name: string): string | undefined {
  if (name.startsWith('/assets/device-reader-')) return DEVICE_READER_POLICY;
  if (name.endsWith('.html')) return path === '/detect' ? DETECT_POLICY : PAGE_POLICY;
  return undefined;
}

function isApi(path: string): boolean {
  return API_PREFIXES.some((prefix) => path === prefix || path.startsWith(`${prefix}/`));
}

function accepts(request: Request, encoding: string): boolean {
  const accepted = (request.headers.get('accept-encoding') ?? '').split(',').map((entry) => entry.trim().split(';'));
  return accepted.some(([name, weight]) => name === encoding && weight?.trim() !== 'q=0');
}

function notFound(message?: string): Problem {
  return new Problem('NOT_FOUND', message);
}
