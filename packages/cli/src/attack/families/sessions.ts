// Sessions: guessed, planted before the login, kept after the logout; and what the cookie allows a thief.
import type { Family } from '../family.ts';
import { cookieOf } from '../parties.ts';
import { wasServed, type Scene } from '../scene.ts';
import type { Answer, Shot } from '../shot.ts';

const COOKIE = 'lumatrace_session';
const GUESSES = 1_500;
const PATHS = ['/auth/me', '/api/settings', '/api/members'];

export const sessions: Family = {
  name: 'sessions',
  about: 'guessed, fixed, ended and misplaced sessions, and the flags of the cookie',
  needsForeign: true,
  holes: [
    {
      name: 'the cookie can be read by scripts',
      async open(_, { forward }) {
        const answer = await forward();
        const cookie = [answer.headers['set-cookie'] ?? ''].flat()[0] ?? '';
        const headers = {
          ...answer.headers,
          ...(cookie === '' ? {} : { 'set-cookie': cookie.replace('; HttpOnly', '') }),
        };
        return { ...answer, headers };
      },
    },
    {
      name: 'a logout only clears the browser',
      open: ({ url, headers }, { forward }) =>
        url === '/auth/logout' ? forward({ url: '/auth/me', method: 'GET', headers }) : forward(),
    },
    {
      name: 'the session that was there before the login is kept',
      async open({ url, headers }, { forward }) {
        const answer = await forward();
        const given = headers['cookie'];
        if (url !== '/auth/login' || given === undefined) return answer;
        return { ...answer, headers: { ...answer.headers, 'set-cookie': `${given}; Path=/; HttpOnly; SameSite=Lax` } };
      },
    },
  ],
  async run(scene) {
    await tryLogin(scene);
    await tryEnded(scene, 'POST', '/auth/logout');
    await tryEnded(scene, 'POST', '/auth/refresh');
    const cookie = await scene.freshSession();
    await scene.volley([...guesses(scene, cookie), ...misplaced(cookie)], (answer) =>
      wasServed(answer) ? 'a session that was not opened, or stands in the wrong place, was taken' : undefined,
    );
  },
};

/** Fixation, and the attributes of the cookie that comes. */
async function tryLogin(scene: Scene): Promise<void> {
  const [owner] = scene.stage.own.people;
  const { email = '', password = '' } = owner ?? {};
  for (const planted of ['A'.repeat(43), scene.random.bytes(32).toString('base64url'), 'x']) {
    const shot: Shot = {
      method: 'POST',
      path: '/auth/login',
      headers: { 'content-type': 'application/json', cookie: `${COOKIE}=${planted}` },
      body: JSON.stringify({ email, password }),
    };
    await scene.fire(
      shot,
      (answer) =>
        flaws(answer) ?? (cookieOf(answer).endsWith(`=${planted}`) ? 'the planted session was kept' : undefined),
    );
    for (const path of PATHS) {
      await scene.fire({ method: 'GET', path, headers: { cookie: `${COOKIE}=${planted}` } }, (answer) =>
        wasServed(answer) ? 'the planted session was opened' : undefined,
      );
    }
  }
}

function flaws({ status, headers }: Answer): string | undefined {
  if (status !== 200) return undefined;
  const [cookie = ''] = headers['set-cookie'] ?? [];
  const attributes = cookie.split(';').map((attribute) => attribute.trim().toLowerCase());
  const missing = ['httponly', 'samesite=lax', 'path=/'].filter((attribute) => !attributes.includes(attribute));
  if (missing.length > 0) return `the cookie has no ${missing.join(', ')}`;
  return attributes.some((attribute) => attribute.startsWith('domain=')) ? 'the cookie goes to other hosts' : undefined;
}

async function tryEnded(scene: Scene, method: string, path: string): Promise<void> {
  const cookie = await scene.freshSession('viewer');
  await scene.ask({ method, path, headers: { cookie } });
  for (const used of PATHS.slice(0, 2)) {
    await scene.fire({ method: 'GET', path: used, headers: { cookie } }, (answer) =>
      wasServed(answer) ? `a session was taken after ${path}` : undefined,
    );
  }
}

function guesses(scene: Scene, cookie: string): Shot[] {
  const value = cookie.slice(cookie.indexOf('=') + 1);
  const near = Array.from(value).map(
    (character, i) => value.slice(0, i) + (character === 'A' ? 'B' : 'A') + value.slice(i + 1),
  );
  const random = Array.from({ length: GUESSES }, () => scene.random.bytes(32).toString('base64url'));
  const odd = [
    '',
    'null',
    '0',
    '1',
    '../..',
    'A'.repeat(10_000),
    `${value}=`,
    `${value} x`,
    value.slice(0, -1),
    value.toLowerCase(),
  ];
  return [...near, ...random, ...odd].flatMap((text) =>
    PATHS.map((path) => ({ method: 'GET', path, headers: { cookie: `${COOKIE}=${text}` } })),
  );
}

/** A real session where none may stand, or beside another. */
function misplaced(cookie: string): Shot[] {
  const value = cookie.slice(cookie.indexOf('=') + 1);
  const places: Record<string, string>[] = [
    { authorization: `Bearer ${value}` },
    { 'x-api-key': value },
    { 'x-session': value },
    { cookie: `${COOKIE}=x; ${cookie}` },
    { cookie: `${cookie}; ${COOKIE}=x` },
    { cookie: `${COOKIE.toUpperCase()}=${value}` },
    { cookie: `__Host-${COOKIE}=${value}` },
    { cookie: `x${COOKIE}=${value}` },
  ];
  return PATHS.flatMap((path) => [
    ...places.map((headers) => ({ method: 'GET', path, headers })),
    { method: 'GET', path: `${path}?${COOKIE}=${value}` },
    { method: 'GET', path: `${path};${COOKIE}=${value}` },
  ]);
}
