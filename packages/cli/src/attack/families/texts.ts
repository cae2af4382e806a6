// Texts where a route takes text: JSON that is none, strings that break programs, statements that end the one they stand in.
import { reply, type Family } from '../family.ts';
import { bodyWith, exampleOf, pathWith, queryWith, textPlaces, type RouteFacts } from '../routes.ts';
import { wasServed, type Scene } from '../scene.ts';
import type { Answer, Shot } from '../shot.ts';

const ID = '7d444840-9dc0-41d1-b245-5ffdce74fad2';
const JSON_TYPE = { 'content-type': 'application/json' };
/** Each of these ends the session or costs a password's time; they have families of their own. */
const NOT_HERE = new Set(['/auth/login', '/api/v1/auth/login', '/auth/change-password']);

function jsonRoutes(scene: Scene): RouteFacts[] {
  return scene.stage.routes.filter(({ body, path }) => body !== undefined && !NOT_HERE.has(path));
}

export const json: Family = {
  name: 'json',
  about: 'JSON that is none, and JSON that asks too much, on every route that takes JSON',
  holes: [
    {
      name: 'a lenient parser takes what is no JSON',
      async open({ body, method }, { forward }) {
        if (method === 'GET') return forward();
        try {
          JSON.parse(body.toString('utf8'));
          return await forward();
        } catch {
          return reply(200, {});
        }
      },
    },
    {
      name: 'the parser overflows its stack',
      open: ({ body }, { forward }) => (body.includes('[[[[[[[[') ? reply(500, 'RangeError') : forward()),
    },
    {
      name: '__proto__ is merged',
      open: ({ body }, { forward }) => (body.includes('__proto__') ? reply(200, { polluted: true }) : forward()),
    },
  ],
  async run(scene) {
    const { json: texts } = scene.stage.corpora;
    const shotsOf = (bytes: Uint8Array): Shot[] => [
      ...jsonRoutes(scene).map((route) => ({
        method: route.method,
        path: pathWith(route, ID),
        headers: { ...scene.ownKey, ...JSON_TYPE },
        body: bytes,
      })),
      ...['/v1/traces', '/v1/logs', '/v1/metrics'].map((path): Shot => ({
        method: 'POST',
        path,
        at: 'otlp',
        headers: { ...scene.ownKey, ...JSON_TYPE },
        body: bytes,
      })),
    ];
    const none = texts.filter(({ kind }) => kind === 'n');
    const other = texts.filter(({ kind }) => kind !== 'n');
    await scene.volley(
      none.flatMap(({ bytes }) => shotsOf(bytes)),
      (answer) => (wasServed(answer) ? 'what is no JSON was taken' : undefined),
    );
    await scene.volley(other.flatMap(({ bytes }) => shotsOf(bytes)));
    const demanding = DEMANDING.flatMap((text) => shotsOf(Buffer.from(text)));
    await scene.volley(demanding, ({ text }) => (text.includes('polluted') ? 'a prototype was polluted' : undefined));
    await scene.volley(
      jsonRoutes(scene).flatMap((route) => duplicated(route, scene.ownKey)),
      (answer) => (wasServed(answer) ? 'a member that comes twice was taken' : undefined),
    );
  },
};

const DEMANDING = [
  '{"__proto__":{"polluted":true}}',
  '{"constructor":{"prototype":{"polluted":true}}}',
  '{"resourceSpans":{"__proto__":[]}}',
  '['.repeat(100_000) + ']'.repeat(100_000),
  '{"a":'.repeat(50_000) + '1' + '}'.repeat(50_000),
  `{"a":[${'[],'.repeat(100_000)}[]]}`,
  `{${Array.from({ length: 20_000 }, (_, i) => `"k${i}":1`).join(',')}}`,
  `{"a":${'9'.repeat(100_000)}}`,
  `{"a":1e${'9'.repeat(1_000)}}`,
  `{"a":"${String.raw`\u0000`.repeat(10_000)}"}`,
  `{"a":"${String.raw`\ud800`.repeat(10_000)}"}`,
  `{"${'k'.repeat(500_000)}":1}`,
  `{"resourceSpans":[${'{},'.repeat(50_000)}{}]}`,
];

/** The first text of a body twice: whoever checks one and uses the other is deceived. */
function duplicated(route: RouteFacts, credentials: Record<string, string>): Shot[] {
  const example = exampleOf(route.body ?? {});
  const [name] = Object.keys(typeof example === 'object' && example !== null ? example : {});
  if (name === undefined || Array.isArray(example)) return [];
  const text = JSON.stringify(example);
  const value = JSON.stringify((example as Record<string, unknown>)[name]);
  const spellings = [name, name.replace(/^./, (letter) => `\\u${letter.charCodeAt(0).toString(16).padStart(4, '0')}`)];
  return spellings.map((again) => ({
    method: route.method,
    path: pathWith(route, ID),
    headers: { ...credentials, ...JSON_TYPE },
    body: `${text.slice(0, -1)},"${again}":${value}}`,
  }));
}

/** Every text in every place: parameters of paths and queries, members of bodies. */
function everywhere(scene: Scene, texts: readonly string[]): Shot[] {
  const { routes } = scene.stage;
  const headers = scene.ownKey;
  const inPaths = routes
    .filter(({ pathParameters, isForPersons }) => pathParameters.length > 0 && !isForPersons)
    .flatMap((route) =>
      texts.map((text) => ({ method: route.method, path: pathWith(route, encoded(text)) + queryWith(route), headers })),
    );
  const inQueries = routes.flatMap((route) =>
    route.queryParameters.flatMap(({ name }) =>
      texts.map((text) => ({
        method: route.method,
        path: `${pathWith(route, ID)}?${required(route, name)}${name}=${encoded(text)}`,
        headers,
      })),
    ),
  );
  const inBodies = jsonRoutes(scene).flatMap((route) =>
    textPlaces(route.body ?? {}).flatMap((place) =>
      texts.map((text) => ({
        method: route.method,
        path: pathWith(route, ID),
        headers: { ...headers, ...JSON_TYPE },
        body: JSON.stringify(bodyWith(route.body ?? {}, place, text)),
      })),
    ),
  );
  return [...inPaths, ...inQueries, ...inBodies].filter(({ path }) => path.length < MAX_PATH);
}

/** What lies beyond is refused by its length; that has a family of its own. */
const MAX_PATH = 12_000;

function encoded(text: string): string {
  return encodeURIComponent(text.toWellFormed());
}

function required(route: RouteFacts, but: string): string {
  return route.queryParameters
    .filter(({ isRequired, name }) => isRequired && name !== but)
    .map(({ name, schema }) => `${name}=${encoded(String(exampleOf(schema, name)))}&`)
    .join('');
}

/** Moments that one of parser, database and answer may not read: offsets, year 0, years of five digits, many digits. */
const MOMENTS = [
  '0283-04-29T23:38:56.1+21:25', '2026-01-01T00:00:00-23:59', '0000-01-01T00:00:00Z', '0001-01-01T00:00:00+14:00',
  '9999-12-31T23:59:59-01:00', '+010000-01-01T00:00:00Z', '-000001-01-01T00:00:00Z', '2026-01-01T00:00:00.1234567890123Z',
  '2026-02-29T00:00:00Z', '2026-12-31T23:59:60Z', '2026-01-01T24:00:00Z', '1677-09-21', '2262-04-12', '0000-00-00',
  'infinity', '-infinity', 'epoch', 'now', 'today', '4714-11-24 BC',
]; // prettier-ignore

export const strings: Family = {
  name: 'strings',
  about: 'naughty strings in every parameter and every member',
  holes: [
    {
      name: 'what is not found is shown as a page',
      async open({ url }, { forward }) {
        const answer = await forward();
        const path = decodeURIComponent(url.split('?')[0] ?? '');
        if (answer.status !== 404) return answer;
        return { status: 404, headers: { 'content-type': 'text/html' }, body: `<h1>Nothing at ${path}</h1>` };
      },
    },
    {
      name: 'a NUL reaches the database',
      open: ({ url, body }, { forward }) =>
        url.includes('%00') || body.includes('\\u0000')
          ? reply(500, 'invalid byte sequence for encoding "UTF8": 0x00')
          : forward(),
    },
  ],
  async run(scene) {
    const texts = [...scene.stage.corpora.strings, '\u0000', 'a\u0000b', '\ud800', '\uffff', ...MOMENTS];
    await scene.volley(everywhere(scene, texts), reflection);
  },
};

/** Markup that comes back in an answer that a browser would draw. */
function reflection({ headers, text }: Answer): string | undefined {
  const type = headers['content-type'] ?? '';
  const isPage = type.includes('html') || type.includes('svg') || (type === '' && text !== '');
  const isOurs = text.startsWith('<!doctype html>');
  return isPage && !isOurs ? `an answer of the type "${type}"` : undefined;
}

const SLEEP_SECONDS = 4;
const SLEPT_MS = SLEEP_SECONDS * 1_000 - 200;
/** Ends of statements, comments and functions of PostgreSQL; those that sleep are told by their time. */
const STATEMENTS = [
  "'",
  "''",
  '"',
  '\\',
  '`',
  "' or '1'='1",
  "' or 1=1--",
  "') or ('1'='1",
  "')) or 1=1--",
  '1 or 1=1',
  "' union select null--",
  "' union select null,null,null--",
  "' union all select version()--",
  "'; drop table accounts--",
  "'; create table attack_was_here (i int)--",
  "'; update memberships set role='owner'--",
  "'; reset role; set row_security = off--",
  "'; set app.tenant = ''--",
  "'||(select version())||'",
  "' and 1=cast((select current_user) as int)--",
  "' and extractvalue(1,1)--",
  '$$',
  "$1'",
  "%' and '%'='",
  '_%',
  "x' and ascii(substr(current_database(),1,1))>0--",
  "1' order by 100--",
  "E'\\\\'",
  "U&'\\0027",
  'ʼ or 1=1',
  '＇ or 1=1',
  '%27 or 1=1',
  '%2527 or 1=1',
  '/**/or/**/1=1',
  '1;select(1)',
  "jsonb '{}'",
  "{}'::jsonb",
  '\' collate "C" --',
  "' similar to '(((((((a+)+)+)+)+)+)+'--",
  "' or true order by 1 limit 1 offset 0--",
];
const SLEEPING = [
  `'; select pg_sleep(${SLEEP_SECONDS})--`,
  `' || pg_sleep(${SLEEP_SECONDS})--`,
  `' or (select 1 from pg_sleep(${SLEEP_SECONDS})) is not null--`,
  `1 and (select 1 from pg_sleep(${SLEEP_SECONDS})) is null`,
  `desc, (select pg_sleep(${SLEEP_SECONDS}))`,
  `(select pg_sleep(${SLEEP_SECONDS}))`,
];

export const sql: Family = {
  name: 'sql',
  about: 'SQL in every parameter and every member, told by errors, by time and by what comes back',
  holes: [
    {
      name: 'errors of the database are passed on',
      open: ({ url }, { forward }) =>
        url.includes("'") || url.includes('%27') ? reply(400, { message: 'syntax error at or near "or"' }) : forward(),
    },
    {
      name: 'a parameter is glued into the statement',
      async open({ url, body }, { forward }) {
        if (!/pg_sleep/.test(url + body.toString())) return forward();
        await new Promise((resolve) => setTimeout(resolve, SLEEP_SECONDS * 1_000));
        return forward();
      },
    },
    {
      name: 'a condition that is always true shows everything',
      open: ({ url, headers }, { forward, scene }) => {
        const theirs = { ...headers, authorization: `Bearer ${scene.stage.foreign?.apiKey}` };
        return decodeURIComponent(url).includes("' or") ? forward({ url: '/api/traces', headers: theirs }) : forward();
      },
    },
  ],
  needsForeign: true,
  async run(scene) {
    const word = scene.stage.foreign?.word ?? '';
    const judge = ({ text, ms }: Answer, shot: Shot): string | undefined => {
      if (text.includes(word)) return 'rows of the other tenant came back';
      if (
        /attack_was_here|PostgreSQL \d/.test(text) &&
        !shot.path.includes('attack_was_here') &&
        !String(shot.body).includes('attack_was_here')
      ) {
        return 'a statement of ours was run';
      }
      const sleeps = (shot.path + String(shot.body ?? '')).includes('pg_sleep');
      return sleeps && ms > SLEPT_MS ? `the database slept ${Math.round(ms)} ms` : undefined;
    };
    await scene.volley(everywhere(scene, [...STATEMENTS, ...SLEEPING]), judge);
  },
};
