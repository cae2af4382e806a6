// What every answer tells a browser about itself.

/** Nothing may be loaded or framed from an answer that is data. */
const DATA_POLICY = "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'";

/**
 * Pages: our own scripts from files only. Styles may be inline, since charts and pop-ups place themselves with style
 * attributes; pictures may be made in the page (protect and verify show previews).
 */
const PAGE = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self' 'unsafe-inline'",
  "img-src 'self' data: blob:",
  "font-src 'self'",
  "connect-src 'self'",
  "manifest-src 'self'",
  "worker-src 'self'",
  "form-action 'self'",
  "frame-ancestors 'none'",
  "base-uri 'none'",
  "object-src 'none'",
] as const;

/** The documentation page: Swagger UI writes markup of its own making, so it cannot have the stricter policy. */
export const DOCS_POLICY = PAGE.join('; ');

/** The dashboard: text never becomes markup or a script address, since no policy may make trusted values of it. */
export const PAGE_POLICY = [...PAGE, "require-trusted-types-for 'script'", "trusted-types 'none'"].join('; ');

/** The public detector: one named policy makes one address a script, that of the worker below. */
export const DETECT_POLICY = [...PAGE, "require-trusted-types-for 'script'", 'trusted-types device-reader'].join('; ');

/** The worker that reads strangers' files runs WebAssembly, and can neither load nor send anything. */
export const DEVICE_READER_POLICY = [
  "default-src 'none'",
  "script-src 'wasm-unsafe-eval'",
  "require-trusted-types-for 'script'",
  "trusted-types 'none'",
].join('; ');

const ALWAYS = {
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'no-referrer',
  'x-frame-options': 'DENY',
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-resource-policy': 'same-origin',
  'permissions-policy': 'camera=(), geolocation=(), microphone=(), payment=(), usb=()',
} as const;
const TWO_YEARS_SECONDS = 63_072_000;

/** Sets what is not set yet; HSTS only where the public address is https, since it would lock out a plain localhost. */
export function setSecurityHeaders(headers: Headers, isTls: boolean): void {
  for (const [name, value] of Object.entries(ALWAYS)) setDefault(headers, name, value);
  setDefault(headers, 'content-security-policy', DATA_POLICY);
  setDefault(headers, 'cache-control', 'no-store');
  if (isTls) setDefault(headers, 'strict-transport-security', `max-age=${TWO_YEARS_SECONDS}; includeSubDomains`);
}

function setDefault(headers: Headers, name: string, value: string): void {
  if (!headers.has(name)) headers.set(name, value);
}
