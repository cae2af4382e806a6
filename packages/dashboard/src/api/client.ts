// The one place that speaks HTTP: same origin only, JSON in and out, refusals as ApiError.

/** RFC 9457 with the contract's members, plus what the browser itself may say when no answer came. */
interface ProblemBody {
  code?: string;
  message?: string;
  detail?: string;
  action?: string;
  traceId?: string;
}

/** A refused or failed request: what happened, what to do, and the id to report. */
export class ApiError extends Error {
  readonly code: string;
  readonly status: number;
  readonly action: string;
  readonly requestId: string | undefined;
  /** Seconds from Retry-After. */
  readonly retryAfterS: number | undefined;

  constructor(status: number, body: ProblemBody, headers: Headers) {
    super(body.message ?? body.detail ?? `The server answered ${status}.`);
    this.name = 'ApiError';
    this.status = status;
    this.code = body.code ?? `HTTP_${status}`;
    this.action = body.action ?? 'Try again after a moment.';
    this.requestId = headers.get('x-request-id') ?? body.traceId;
    const retryAfterS = Number(headers.get('retry-after') ?? Number.NaN);
    this.retryAfterS = Number.isFinite(retryAfterS) ? retryAfterS : undefined;
  }

  /** The session is gone: only logging in again helps. */
  get isLoggedOut(): boolean {
    return this.status === 401;
  }
}

export type QueryValue = string | number | boolean | undefined;

export interface RequestOptions {
  method?: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  query?: Record<string, QueryValue>;
  json?: unknown;
  form?: FormData;
  headers?: Record<string, string>;
  signal?: AbortSignal | undefined;
}

/** A JSON answer of the documented shape; rejects with an ApiError. 204 answers undefined. */
export async function fetchJson<Answer>(path: string, options: RequestOptions = {}): Promise<Answer> {
  const response = await send(path, options);
  if (response.status === 204) return undefined as Answer;
  return (await response.json()) as Answer;
}

/** An answer of bytes with its headers. */
export function fetchBytes(path: string, options: RequestOptions = {}): Promise<Response> {
  return send(path, options);
}

async function send(path: string, options: RequestOptions): Promise<Response> {
  const headers: Record<string, string> = { accept: 'application/json', ...options.headers };
  if (options.json !== undefined) headers['content-type'] = 'application/json';
  const init: RequestInit = { method: options.method ?? 'GET', headers, credentials: 'same-origin' };
  if (options.signal !== undefined) init.signal = options.signal;
  if (options.form !== undefined) init.body = options.form;
  if (options.json !== undefined) init.body = JSON.stringify(options.json);
  const response = await fetch(addressOf(path, options.query), init).catch((error: unknown) => {
    if (error instanceof DOMException && error.name === 'AbortError') throw error;
    throw new ApiError(0, { ...NO_ANSWER }, new Headers());
  });
  if (!response.ok) throw await refusalOf(response);
  return response;
}

const NO_ANSWER = {
  code: 'NO_ANSWER',
  message: 'The server did not answer.',
  action: 'Check that LumaTrace is running and that you are online.',
} as const;

async function refusalOf(response: Response): Promise<ApiError> {
  const body: unknown = await response.json().catch(() => ({}));
  return new ApiError(response.status, typeof body === 'object' && body !== null ? body : {}, response.headers);
}

function addressOf(path: string, query: Record<string, QueryValue> = {}): string {
  const given = Object.entries(query).filter(([, value]) => value !== undefined);
  if (given.length === 0) return path;
  return `${path}?${new URLSearchParams(given.map(([key, value]) => [key, String(value)]))}`;
}
