// From a raw request to what its route declared: query, path, body; each refused with the name of what was wrong.
import type { z } from 'zod';
import { Problem } from './errors.ts';
import { parseJson } from './json-body.ts';
import type { Route } from './route.ts';

const DEFAULT_MAX_BODY_BYTES = 1_048_576;
const MAX_QUERY_CHARACTERS = 8_192;

/** @throws Problem VALIDATION_FAILED naming the parameter. */
export function queryOf(route: Route, request: Request): unknown {
  const { search, searchParams } = new URL(request.url);
  if (search.length > MAX_QUERY_CHARACTERS) throw new Problem('VALIDATION_FAILED', 'The query is too long.');
  if (route.query === undefined) return {};
  const given: Record<string, string | string[]> = Object.create(null) as Record<string, string | string[]>;
  for (const name of new Set(searchParams.keys())) {
    const values = searchParams.getAll(name);
    if (values.some((value) => value.includes('\0'))) {
      throw new Problem('VALIDATION_FAILED', `Expected "${name}" in the query without NUL.`);
    }
    // A parameter that comes twice is given as a list, which only a route that declared a list accepts.
    given[name] = values.length === 1 ? (values[0] ?? '') : values;
  }
  return checked(route.query, given, 'query');
}

/** A path parameter that cannot be right names nothing: NOT_FOUND, the same as one that is not ours. */
export function paramsOf(route: Route, params: Record<string, string>): unknown {
  if (Object.values(params).some((value) => value.includes('\0'))) throw new Problem('NOT_FOUND');
  if (route.params === undefined) return params;
  const parsed = route.params.safeParse(params);
  if (!parsed.success) throw new Problem('NOT_FOUND');
  return parsed.data;
}

/**
 * The JSON body of a route that declares one; undefined for every other route. @throws Problem UNSUPPORTED_MEDIA_TYPE,
 * PAYLOAD_TOO_LARGE, VALIDATION_FAILED (status 408 when the body does not come).
 */
export async function bodyOf(route: Route, request: Request, timeoutMs: number): Promise<unknown> {
  if (route.body === undefined) return undefined;
  refuseOtherMedia(request);
  const bytes = await readBody(request, route.maxBodyBytes ?? DEFAULT_MAX_BODY_BYTES, timeoutMs);
  return checked(route.body, parseJson(bytes), 'body');
}

/** For routes that read the stream themselves: the declared type and length are looked at before any work. */
export function refuseRawBody(route: Route, request: Request): void {
  if (route.rawBody === undefined) return;
  const { contentTypes } = route.rawBody;
  if (!contentTypes.includes(mediaType(request))) {
    throw new Problem('UNSUPPORTED_MEDIA_TYPE', `Expected content of type ${contentTypes.join(' or ')}.`);
  }
  if (route.maxBodyBytes !== undefined) refuseLongBody(request, route.maxBodyBytes);
}

function mediaType(request: Request): string {
  return (request.headers.get('content-type') ?? '').split(';')[0]?.trim().toLowerCase() ?? '';
}

function refuseOtherMedia(request: Request): void {
  const [, charset = 'utf-8'] = /;\s*charset="?([^";\s]+)/i.exec(request.headers.get('content-type') ?? '') ?? [];
  if (mediaType(request) !== 'application/json' || charset.toLowerCase() !== 'utf-8') {
    throw new Problem('UNSUPPORTED_MEDIA_TYPE', 'Expected content of type application/json in UTF-8.');
  }
  const encoding = request.headers.get('content-encoding') ?? 'identity';
  if (encoding.toLowerCase() !== 'identity') {
    throw new Problem('UNSUPPORTED_MEDIA_TYPE', 'Expected a body without content encoding.');
  }
}

function refuseLongBody(request: Request, maxBytes: number): void {
  if (Number(request.headers.get('content-length') ?? 0) > maxBytes) throw tooLarge(maxBytes);
}

function tooLarge(maxBytes: number): Problem {
  return new Problem('PAYLOAD_TOO_LARGE', `Expected a body of at most ${maxBytes} bytes.`, {
    headers: { Connection: 'close' },
  });
}

/** The body, bounded in bytes and in time. @throws Problem PAYLOAD_TOO_LARGE; VALIDATION_FAILED with status 408 */
export async function readBody(request: Request, maxBytes: number, timeoutMs: number): Promise<Uint8Array> {
  refuseLongBody(request, maxBytes);
  if (request.body === null) return new Uint8Array();
  const reader = (request.body as ReadableStream<Uint8Array>).getReader();
  const late = new Problem('VALIDATION_FAILED', 'The body did not come in time.', {
    status: 408,
    headers: { Connection: 'close' },
  });
  // A cancelled stream ends like a complete one: only this flag tells them apart. (A clock read after the timer does
  // not: timers fire up to a millisecond early.)
  let isLate = false;
  const timer = setTimeout(() => {
    isLate = true;
    void reader.cancel(late).catch(() => {});
  }, timeoutMs);
  const chunks: Uint8Array[] = [];
  let length = 0;
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (isLate) throw late;
      if (done) return Buffer.concat(chunks, length);
      length += value.length;
      if (length > maxBytes) throw tooLarge(maxBytes);
      chunks.push(value);
    }
  } catch (error) {
    if (error instanceof Problem) throw error;
    throw new Problem('VALIDATION_FAILED', 'The body ended too early.', { cause: error });
  } finally {
    clearTimeout(timer);
  }
}

function checked(schema: z.ZodType, value: unknown, where: 'query' | 'body'): unknown {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  const field =
    issue === undefined || issue.path.length === 0 ? `The ${where}` : `"${issue.path.join('.')}" in the ${where}`;
  throw new Problem('VALIDATION_FAILED', `${field}: ${issue?.message ?? 'not valid'}.`, { cause: parsed.error });
}
