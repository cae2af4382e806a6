// The Set-Cookie line of the server's own cookies (RFC 6265bis).

export interface CookieOptions {
  path: string;
  /** 0 removes it. */
  maxAgeSeconds: number;
  isTls: boolean;
}

/** Lax: links from elsewhere arrive with it, writes from elsewhere do not carry it. No script reads it. */
export function setCookie(name: string, value: string, { path, maxAgeSeconds, isTls }: CookieOptions): string {
  const attributes = [`Path=${path}`, 'HttpOnly', 'SameSite=Lax', `Max-Age=${maxAgeSeconds}`];
  return [`${name}=${value}`, ...attributes, ...(isTls ? ['Secure'] : [])].join('; ');
}
