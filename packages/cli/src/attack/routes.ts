// The routes of the instance as it describes them itself: every family that goes over all of them reads them here.

/** A JSON schema, as far as an attacker cares. */
export interface Schema {
  type?: string | string[];
  properties?: Record<string, Schema>;
  required?: string[];
  items?: Schema;
  enum?: unknown[];
  const?: unknown;
  anyOf?: Schema[];
  oneOf?: Schema[];
  format?: string;
  pattern?: string;
  minimum?: number;
  minLength?: number;
  default?: unknown;
}

export interface RouteFacts {
  method: string;
  path: string;
  /** Names of the parameters in the path. */
  pathParameters: string[];
  queryParameters: { name: string; schema: Schema; isRequired: boolean }[];
  /** Media types of the body; empty without one. */
  mediaTypes: string[];
  /** Of a JSON body. */
  body?: Schema;
  isPublic: boolean;
  /** Only for a person with a session. */
  isForPersons: boolean;
  /** Each of them is enough; empty when none is needed. */
  scopes: string[];
}

interface Operation {
  description?: string;
  parameters?: { name: string; in: string; required?: boolean; schema?: Schema }[];
  requestBody?: { content: Record<string, { schema?: Schema }> };
  security?: Record<string, unknown>[];
}

/** @throws TypeError when it is no OpenAPI document with routes. */
export function routesOf(document: unknown): RouteFacts[] {
  const { paths } = document as { paths?: Record<string, Record<string, Operation>> };
  if (paths === undefined || Object.keys(paths).length === 0) throw new TypeError('Expected an OpenAPI document');
  return Object.entries(paths).flatMap(([path, operations]) =>
    Object.entries(operations).map(([method, operation]) => factsOf(method.toUpperCase(), path, operation)),
  );
}

function factsOf(method: string, path: string, operation: Operation): RouteFacts {
  const { parameters = [], requestBody, security = [], description = '' } = operation;
  const content = requestBody?.content ?? {};
  const needs = /Needs the scope (`[^.]+`)\./.exec(description)?.[1] ?? '';
  const isJson = Object.keys(content).length === 1 && content['application/json'] !== undefined;
  const body = isJson ? content['application/json']?.schema : undefined;
  return {
    method,
    path,
    pathParameters: parameters.filter((parameter) => parameter.in === 'path').map(({ name }) => name),
    queryParameters: parameters
      .filter((parameter) => parameter.in === 'query')
      .map(({ name, schema = {}, required = false }) => ({ name, schema, isRequired: required })),
    mediaTypes: Object.keys(content),
    ...(body === undefined ? {} : { body }),
    isPublic: security.length === 0,
    isForPersons: security.length === 1 && security[0]?.['session'] !== undefined,
    scopes: [...needs.matchAll(/`([^`]+)`/g)].map((match) => match[1] ?? ''),
  };
}

/** The path with an id in place of each parameter. */
export function pathWith({ path }: RouteFacts, value: string | ((name: string) => string)): string {
  return path.replaceAll(/\{([^}]+)\}/g, (_, name: string) => (typeof value === 'string' ? value : value(name)));
}

/** Values that a route cannot do without, so that what is tried in one place is not refused for another. */
export function queryWith(route: RouteFacts, extra: Record<string, string> = {}): string {
  const needed = route.queryParameters
    .filter(({ isRequired }) => isRequired)
    .map(({ name, schema }) => [name, String(exampleOf(schema, name))] as const);
  const query = new URLSearchParams({ ...Object.fromEntries(needed), ...extra }).toString();
  return query === '' ? '' : `?${query}`;
}

/** A small value that the schema allows. */
export function exampleOf(schema: Schema, name = ''): unknown {
  if (schema.const !== undefined) return schema.const;
  if (schema.enum !== undefined) return schema.enum[0];
  const either = schema.anyOf ?? schema.oneOf;
  if (either !== undefined) return exampleOf(either[0] ?? {}, name);
  switch (Array.isArray(schema.type) ? schema.type[0] : schema.type) {
    case 'object':
      return Object.fromEntries(
        Object.entries(schema.properties ?? {})
          .filter(([key]) => schema.required?.includes(key) === true)
          .map(([key, value]) => [key, exampleOf(value, key)]),
      );
    case 'array':
      return [exampleOf(schema.items ?? {}, name)];
    case 'integer':
    case 'number':
      return Math.max(1, schema.minimum ?? 1);
    case 'boolean':
      return true;
    default:
      return exampleText(schema, name);
  }
}

function exampleText({ format, pattern, minLength = 1 }: Schema, name: string): string {
  if (format === 'uuid') return '7d444840-9dc0-41d1-b245-5ffdce74fad2';
  if (format === 'date-time' || /^(from|to|at|startDate|endDate|timestamp)$/.test(name)) return '2026-01-01T00:00:00Z';
  if (format === 'date') return '2026-01-01';
  if (format === 'email') return 'nobody@attack.test';
  if (format === 'uri') return 'https://attack.test/';
  if (pattern?.includes('{64}') === true) return 'ab'.repeat(32);
  if (pattern?.includes('{32}') === true) return 'ab'.repeat(16);
  return 'x'.repeat(Math.max(1, minLength));
}

/** Where in a JSON body a text may stand, as paths of keys. */
export function textPlaces(schema: Schema, at: readonly (string | number)[] = []): (string | number)[][] {
  const either = schema.anyOf ?? schema.oneOf;
  if (either !== undefined) return either.flatMap((one) => textPlaces(one, at)).slice(0, 3);
  const type = Array.isArray(schema.type) ? schema.type[0] : schema.type;
  if (type === 'object' && at.length < 6) {
    return Object.entries(schema.properties ?? {}).flatMap(([key, value]) => textPlaces(value, [...at, key]));
  }
  if (type === 'array' && at.length < 6) return textPlaces(schema.items ?? {}, [...at, 0]);
  return [[...at]];
}

/** The body with a value put in one place. */
export function bodyWith(schema: Schema, place: readonly (string | number)[], value: unknown): unknown {
  const [key, ...rest] = place;
  if (key === undefined) return value;
  const base = exampleOf(schema);
  if (typeof key === 'number') return [bodyWith(schema.items ?? {}, rest, value)];
  const inner = schema.properties?.[key] ?? (schema.anyOf ?? schema.oneOf)?.[0]?.properties?.[key] ?? {};
  const whole = typeof base === 'object' && base !== null && !Array.isArray(base) ? base : {};
  return { ...whole, [key]: bodyWith(inner, rest, value) };
}
