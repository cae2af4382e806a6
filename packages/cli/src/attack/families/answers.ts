// What every answer says about itself, and what answers and the log say that nobody should read.
import { randomBytes } from 'node:crypto';
import { reply, without, type Family } from '../family.ts';
import { exampleOf, pathWith, queryWith } from '../routes.ts';
import type { Scene } from '../scene.ts';
import type { Answer, Shot } from '../shot.ts';

const ID = '7d444840-9dc0-41d1-b245-5ffdce74fad2';
const NEEDED: Readonly<Record<string, RegExp>> = {
  'x-content-type-options': /^nosniff$/,
  'referrer-policy': /^no-referrer$/,
  'x-frame-options': /^DENY$/,
  'content-security-policy': /default-src 'none'.*frame-ancestors 'none'|frame-ancestors 'none'.*default-src 'none'/,
  'cross-origin-resource-policy': /^same-origin$/,
  'cache-control': /no-store|no-cache|max-age/,
  'x-request-id': /^[A-Za-z0-9._-]{1,128}$/,
};
const TELLING = ['server', 'x-powered-by', 'x-aspnet-version', 'via', 'x-runtime', 'x-debug'];

export const protection: Family = {
  name: 'protection',
  about: 'security and cache headers on every answer, refusals included',
  holes: [
    {
      name: 'a refusal has no headers',
      async open(_, { forward }) {
        const answer = await forward();
        if (answer.status !== 404) return answer;
        return { ...answer, headers: without(answer.headers as Record<string, string>, 'x-content-type-options') };
      },
    },
    {
      name: 'answers of a tenant may be kept by caches',
      async open({ headers }, { forward }) {
        const answer = await forward();
        const isMine = headers['authorization'] !== undefined;
        return isMine ? { ...answer, headers: { ...answer.headers, 'cache-control': 'public, max-age=600' } } : answer;
      },
    },
  ],
  async run(scene) {
    const shots = scene.stage.routes.flatMap((route): Shot[] => {
      const path = pathWith(route, ID) + queryWith(route);
      const at = route.path.startsWith('/v1/') ? 'otlp' : 'http';
      const { method, isForPersons } = route;
      const body = method === 'GET' ? {} : { body: JSON.stringify(exampleOf(route.body ?? {})) };
      const json = { 'content-type': 'application/json' };
      return [
        { method, path, at, headers: json, ...body },
        ...(isForPersons ? [] : [{ method, path, at, headers: { ...scene.ownKey, ...json }, ...body } as Shot]),
        { method, path: `${path}${path.includes('?') ? '&' : '?'}unknown=1`, at, headers: scene.ownKey, ...body },
        { method: 'PATCH', path, at, headers: scene.ownKey },
        { method: 'OPTIONS', path, at },
        { method, path: `${path}/unknown`, at, headers: scene.ownKey },
        { method, path, at, headers: { authorization: 'Bearer x' }, ...body },
        { method, path, at, headers: { host: 'attack.test' }, ...body },
      ];
    });
    await scene.volley(shots, (answer, shot) => unprotected(answer, shot, scene));
  },
};

function unprotected({ headers, status }: Answer, { headers: sent = {} }: Shot, scene: Scene): string | undefined {
  const missing = Object.entries(NEEDED).filter(([name, form]) => !form.test(String(headers[name] ?? '')));
  if (missing.length > 0) return `without ${missing.map(([name]) => name).join(', ')}`;
  const told = TELLING.find((name) => headers[name] !== undefined);
  if (told !== undefined) return `tells of itself: ${told}`;
  const isMine = sent['authorization'] === scene.ownKey['authorization'] && status >= 200 && status < 300;
  const mayBeKept = String(headers['cache-control']).includes('public') && !isKeySet(headers);
  return isMine && mayBeKept ? 'the answer of a tenant may be kept by caches' : undefined;
}

/** The key set is the same for everybody, and says that it may be kept for five minutes. */
function isKeySet(headers: Answer['headers']): boolean {
  return String(headers['cache-control']) === 'public, max-age=300';
}

export const leaks: Family = {
  name: 'leaks',
  about: 'secrets that were sent, looked for in answers to others and in the log',
  holes: [
    {
      name: 'the log holds what was sent',
      open({ headers, body }, { forward, write }) {
        write(`${JSON.stringify(headers)} ${body.toString()}`);
        return forward();
      },
    },
    {
      name: 'a refusal repeats the credentials',
      open: ({ headers, url }, { forward }) =>
        headers['authorization']?.includes('canary') === true
          ? reply(401, `no such key: ${headers['authorization']} ${url}`)
          : forward(),
    },
    {
      name: 'an error shows its stack',
      open: ({ url }, { forward }) =>
        url.includes('canary') ? reply(400, new Error('broken').stack ?? '') : forward(),
    },
  ],
  async run(scene) {
    const canary = `canary${randomBytes(12).toString('hex')}`;
    const json = { 'content-type': 'application/json' };
    const routes = scene.stage.routes;
    const shots = routes.flatMap((route): Shot[] => {
      const path = pathWith(route, ID) + queryWith(route);
      const at = route.path.startsWith('/v1/') ? 'otlp' : 'http';
      const { method } = route;
      const base = { method, path, at } as const;
      const body = (text: string): Partial<Shot> => (method === 'GET' ? {} : { body: text });
      return [
        { ...base, headers: { authorization: `Bearer ${canary}1` } },
        { ...base, headers: { authorization: `Bearer lumina_live_${canary.slice(0, 49)}` } },
        { ...base, headers: { authorization: `Basic ${Buffer.from(`a:${canary}2`).toString('base64')}` } },
        { ...base, headers: { 'x-api-key': `${canary}3` } },
        { ...base, headers: { cookie: `lumatrace_session=${canary}4` } },
        {
          ...base,
          headers: { authorization: `Bearer ${Buffer.from(`{"alg":"${canary}5"}`).toString('base64url')}.e30.x` },
        },
        { ...base, headers: { ...scene.ownKey, ...json }, ...body(`{"${canary}6": "${canary}7`) },
        {
          ...base,
          headers: { ...scene.ownKey, ...json },
          ...body(JSON.stringify({ email: `${canary}8@x.y`, password: `${canary}9`, username: canary, name: canary })),
        },
        { ...base, path: `${path}${path.includes('?') ? '&' : '?'}secret=${canary}`, headers: scene.ownKey },
        {
          ...base,
          headers: {
            ...scene.ownKey,
            'content-type': `application/${canary}`,
            'user-agent': canary,
            referer: `https://x/${canary}`,
          },
        },
      ];
    });
    // A refusal may name the member that was wrong; what it must not repeat is a credential.
    await scene.volley(shots, ({ text }, shot) =>
      new RegExp(`${canary}[1-5]|lumina_live_${canary}`).test(text) || (isLogin(shot) && text.includes(`${canary}9`))
        ? 'the answer repeats a credential'
        : undefined,
    );
    const { log } = scene.stage;
    if (log === undefined) return;
    const said = log();
    const kept = [canary, ...scene.stage.secrets].filter((secret) => said.includes(secret));
    scene.tally.more['logBytes'] = said.length;
    scene.verdict(kept.length > 0 ? `the log holds ${kept.length} secrets` : undefined, 'the log');
  },
};

function isLogin({ path }: Shot): boolean {
  return path.endsWith('/login');
}
