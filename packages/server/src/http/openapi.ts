// The OpenAPI 3.1 description, made from what the routes declare and check: it cannot say anything else.
import { z } from 'zod';
import { PROBLEMS } from './errors.ts';
import { route, type Answer, type Route } from './route.ts';

type Schema = Record<string, unknown>;

export interface OpenApiOptions {
  version: string;
  /** Where the API is served. */
  url: string;
}

const PROBLEM_SCHEMA: Schema = {
  type: 'object',
  description: 'RFC 9457 problem details with a stable code.',
  required: ['type', 'title', 'status', 'detail', 'code', 'message', 'action', 'traceId'],
  properties: {
    type: { type: 'string', format: 'uri' },
    title: { type: 'string' },
    status: { type: 'integer', minimum: 400, maximum: 599 },
    detail: { type: 'string' },
    code: { type: 'string', enum: Object.keys(PROBLEMS) },
    message: { type: 'string', description: 'What happened, in a sentence.' },
    action: { type: 'string', description: 'What to do about it.' },
    traceId: { type: 'string', description: 'The x-request-id, to find the request in the log.' },
  },
};

const SECURITY_SCHEMES = {
  bearer: {
    type: 'http',
    scheme: 'bearer',
    description: 'An API key (`lumina_live_…`, `lumina_test_…`) or a token of POST /api/v1/auth/login.',
  },
  apiKeyHeader: { type: 'apiKey', in: 'header', name: 'X-API-Key', description: 'An API key.' },
  basic: { type: 'http', scheme: 'basic', description: 'Any user, and an API key as the password.' },
  session: {
    type: 'apiKey',
    in: 'cookie',
    name: 'lumatrace_session',
    description: 'Set by POST /auth/login; over https it is `__Host-lumatrace_session`.',
  },
} as const;
const ANY_CREDENTIAL = Object.keys(SECURITY_SCHEMES).map((name) => ({ [name]: [] }));

const PROBLEM_RESPONSES: Readonly<Record<number, string>> = {
  400: 'The request is not valid.',
  401: 'Credentials are missing, not valid, or expired.',
  403: 'The credentials may not do this.',
  404: 'There is no such thing here.',
  413: 'The body is too large.',
  415: 'The media type is not supported.',
  429: 'Too many requests; Retry-After says how long to wait.',
  500: 'Something went wrong on our side.',
  503: 'A part of the service does not answer.',
};

/** The route of `/openapi.json`; describes itself too. */
export function openApiRoute(routes: readonly Route[], options: OpenApiOptions): Route {
  let text: string | undefined;
  const own: Route = route({
    method: 'GET',
    path: '/openapi.json',
    summary: 'This description.',
    tag: 'operations',
    policy: { kind: 'public', because: 'it describes the public contract and holds no data' },
    limit: 'none',
    answers: { 200: { description: 'OpenAPI 3.1.', schema: z.record(z.string(), z.unknown()) } },
    handle: () => {
      text ??= JSON.stringify(openApi([...routes, own], options));
      return Promise.resolve(
        new Response(text, {
          headers: { 'content-type': 'application/json; charset=utf-8', 'cache-control': 'no-cache' },
        }),
      );
    },
  });
  return own;
}

/** The whole document as plain JSON. */
export function openApi(routes: readonly Route[], { version, url }: OpenApiOptions): Schema {
  const paths: Record<string, Record<string, Schema>> = {};
  for (const declared of routes) {
    paths[declared.path] = { ...paths[declared.path], [declared.method.toLowerCase()]: operation(declared) };
  }
  return {
    openapi: '3.1.0',
    info: {
      title: 'LumaTrace',
      version,
      summary: 'See what your AI does. Prove what it makes. Show that you keep your word.',
      license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
    },
    servers: [{ url }],
    tags: [...new Set(routes.map(({ tag }) => tag))].sort().map((name) => ({ name })),
    paths,
    components: {
      schemas: { Problem: PROBLEM_SCHEMA },
      responses: Object.fromEntries(
        Object.entries(PROBLEM_RESPONSES).map(([status, description]) => [
          `Problem${status}`,
          {
            description,
            content: { 'application/problem+json': { schema: { $ref: '#/components/schemas/Problem' } } },
          },
        ]),
      ),
      securitySchemes: SECURITY_SCHEMES,
    },
  };
}

function operation(declared: Route): Schema {
  const { method, path, summary, tag, policy } = declared;
  const parameters = [...pathParameters(declared), ...queryParameters(declared)];
  const requestBody = requestBodyOf(declared);
  return {
    operationId: operationId(method, path),
    summary,
    ...(policy.kind === 'scope' ? { description: scopesInWords([policy.scope, ...(policy.or ?? [])]) } : {}),
    ...(policy.kind === 'person'
      ? {
          description: `For a person who is logged in${policy.roles === undefined ? '' : `, as ${policy.roles.join(' or ')}`}.`,
        }
      : {}),
    tags: [tag],
    security: securityOf(declared),
    ...(parameters.length === 0 ? {} : { parameters }),
    ...(requestBody === undefined ? {} : { requestBody }),
    responses: responsesOf(declared),
  };
}

function scopesInWords(scopes: readonly string[]): string {
  return `Needs the scope ${scopes.map((scope) => `\`${scope}\``).join(' or ')}.`;
}

function operationId(method: string, path: string): string {
  const words = path.split(/[^A-Za-z0-9]+/).filter((word) => word !== '');
  return [method.toLowerCase(), ...words.map((word) => word.charAt(0).toUpperCase() + word.slice(1))].join('');
}

function securityOf({ policy }: Route): Schema[] {
  if (policy.kind === 'public') return [];
  return policy.kind === 'person' ? [{ session: [] }] : ANY_CREDENTIAL;
}

function pathParameters({ path, params }: Route): Schema[] {
  const { properties } = objectSchema(params);
  return [...path.matchAll(/\{([^}]+)\}/g)].map(([, name = '']) => ({
    name,
    in: 'path',
    required: true,
    schema: properties[name] ?? { type: 'string' },
  }));
}

function queryParameters({ query }: Route): Schema[] {
  const { properties, required } = objectSchema(query);
  return Object.entries(properties).map(([name, schema]) => {
    const { description, ...rest } = schema;
    return {
      name,
      in: 'query',
      required: required.includes(name),
      ...(typeof description === 'string' ? { description } : {}),
      schema: rest,
    };
  });
}

function objectSchema(schema: z.ZodType | undefined): { properties: Record<string, Schema>; required: string[] } {
  if (schema === undefined) return { properties: {}, required: [] };
  const { properties, required } = jsonSchema(schema, 'input');
  return {
    properties: (properties ?? {}) as Record<string, Schema>,
    required: (required ?? []) as string[],
  };
}

function requestBodyOf({ body, rawBody }: Route): Schema | undefined {
  if (body !== undefined) {
    return { required: true, content: { 'application/json': { schema: jsonSchema(body, 'input') } } };
  }
  if (rawBody === undefined) return undefined;
  return {
    required: true,
    description: rawBody.description,
    content: Object.fromEntries(rawBody.contentTypes.map((type) => [type, {}])),
  };
}

function responsesOf(declared: Route): Record<string, Schema> {
  const own = Object.entries(declared.answers).map(([status, answer]) => [status, responseOf(answer, Number(status))]);
  const fromFrame = declared.onProblem === undefined ? problemStatuses(declared) : [];
  const problems = fromFrame
    .filter((status) => !(status in declared.answers))
    .map((status) => [String(status), { $ref: `#/components/responses/Problem${status}` }]);
  return Object.fromEntries([...own, ...problems]) as Record<string, Schema>;
}

/** What the frame itself may answer before the route is asked. */
function problemStatuses({ policy, limit, body, rawBody, query, params, path }: Route): number[] {
  const statuses = [500, 503];
  if (body !== undefined || rawBody !== undefined) statuses.push(400, 413, 415);
  if (query !== undefined) statuses.push(400);
  if (params !== undefined || path.includes('{')) statuses.push(404);
  if (policy.kind !== 'public') statuses.push(401, 403);
  if (limit !== 'none') statuses.push(429);
  return [...new Set(statuses)].sort((a, b) => a - b);
}

function responseOf({ description, schema, contentType }: Answer, status: number): Schema {
  if (schema !== undefined) {
    return { description, content: { [contentType ?? 'application/json']: { schema: jsonSchema(schema, 'output') } } };
  }
  if (contentType !== undefined) return { description, content: { [contentType]: {} } };
  if (status >= 400) {
    return {
      description,
      content: { 'application/problem+json': { schema: { $ref: '#/components/schemas/Problem' } } },
    };
  }
  return { description };
}

function jsonSchema(schema: z.ZodType, io: 'input' | 'output'): Schema {
  const { $schema: _dialect, ...rest } = z.toJSONSchema(schema, {
    target: 'draft-2020-12',
    io,
    unrepresentable: 'any',
    reused: 'inline',
  }) as Schema;
  return rest;
}
