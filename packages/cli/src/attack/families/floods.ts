// Too much of the allowed: logins, requests beyond the limit, patterns that take for ever.
import { randomBytes } from 'node:crypto';
import { reply, type Family } from '../family.ts';
import { wasServed, type Scene } from '../scene.ts';
import type { Answer, Shot } from '../shot.ts';
import { quantile } from '../tally.ts';

const JSON_TYPE = { 'content-type': 'application/json' };

/** Headers that say where a request comes from; only a trusted proxy may, and there is none. */
const SOURCES = [
  'x-forwarded-for',
  'x-real-ip',
  'forwarded',
  'client-ip',
  'cf-connecting-ip',
  'true-client-ip',
  'x-client-ip',
  'x-cluster-client-ip',
];

export const limits: Family = {
  name: 'limits',
  about: 'more requests than the tenant may send, by every way around the limit',
  needsForeign: true,
  holes: [
    {
      name: 'the limit is counted per forwarded address',
      open: ({ headers }, { forward, scene }) =>
        headers['x-forwarded-for'] === undefined ? forward() : forward({ headers: { ...headers, ...scene.ownKey } }),
    },
    {
      name: 'another spelling of the path is not counted',
      open: ({ url, headers }, { forward, scene }) =>
        url.startsWith('/api/v1/photos?') ? forward({ headers: { ...headers, ...scene.ownKey } }) : forward(),
    },
  ],
  async run(scene) {
    const { limited } = scene.stage;
    if (limited === undefined) throw new TypeError('Expected a tenant with a limit');
    const headers = { authorization: `Bearer ${limited.apiKey}` };
    const burst = Array.from({ length: limited.requestsPerHour * 4 }, (_, i): Shot => ({
      method: 'GET',
      path: `/api/v1/photos?limit=${i + 1}`,
      headers,
    }));
    const answers = await Promise.all(burst.map((shot) => scene.ask(shot)));
    const served = answers.filter(wasServed).length;
    answers.forEach((answer, i) => scene.tally.countShot(burst[i] as Shot, answer));
    scene.verdict(
      served > limited.requestsPerHour ? `a burst of ${burst.length} got ${served} answers` : undefined,
      'GET /api/v1/photos',
    );
    const spoofed = SOURCES.flatMap((name) =>
      Array.from({ length: 15 }, (): Shot => ({
        method: 'GET',
        path: '/api/v1/photos',
        headers: { ...headers, [name]: name === 'forwarded' ? `for=${address()}` : address() },
      })),
    );
    const spelled = [
      '/api/v1/photos?',
      '/api/v1/photos/',
      '//api/v1/photos',
      '/api//v1/photos',
      '/api/v1/./photos',
      '/API/v1/photos',
      '/api/v1/photos%20',
      '/api/v1/%70hotos',
      '/api/v1/photos;x',
      '/api/v1/photos#',
      '/api/v1/x/../photos',
    ];
    const otherwise = spelled.flatMap((path) =>
      [path, `${path}?limit=2`].map((target): Shot => ({ method: 'GET', path: target, headers })),
    );
    const carriers: Record<string, string>[] = [
      { 'x-api-key': limited.apiKey },
      { authorization: `Basic ${Buffer.from(`a:${limited.apiKey}`).toString('base64')}` },
      { authorization: `bearer ${limited.apiKey}` },
    ];
    const carried = carriers.flatMap((own) =>
      ['GET', 'HEAD'].map((method): Shot => ({ method, path: '/api/v1/photos', headers: own })),
    );
    const sourced = Array.from({ length: 40 }, (_, i): Shot => ({
      method: 'GET',
      path: '/api/v1/photos',
      headers,
      from: `127.0.3.${i + 1}`,
    }));
    await scene.volley([...spoofed, ...otherwise, ...carried, ...sourced], (answer) =>
      wasServed(answer) && isOfTheApi(answer) ? 'a request beyond the limit was served' : undefined,
    );
  },
};

/** Unknown addresses are answered with the dashboard's page. */
function isOfTheApi({ headers }: Answer): boolean {
  return String(headers['content-type']).includes('json');
}

function address(): string {
  return Array.from(randomBytes(4)).join('.');
}

/** Wrong passwords that one name may get from one source in 15 minutes. */
const FAILURES = 10;
const BURST = 60;
/** Between the medians of known and unknown names; the answer is held back 250 ms on purpose. */
const TOLD_APART_MS = 40;

export const logins: Family = {
  name: 'logins',
  about: 'guessed passwords, one by one and all at once, and whether a name is told to exist',
  needsForeign: true,
  holes: [
    {
      name: 'a forwarded address starts the count anew',
      open: ({ headers, url }, { forward }) =>
        url.endsWith('/auth/login') && headers['x-forwarded-for'] !== undefined
          ? reply(401, { code: 'AUTH_INVALID' })
          : forward(),
    },
    {
      name: 'nothing is counted',
      open: ({ url }, { forward }) => (url.endsWith('/auth/login') ? reply(401, { code: 'AUTH_INVALID' }) : forward()),
    },
    {
      name: 'unknown names are told',
      open: ({ body }, { forward }) =>
        body.includes('nobody-') ? reply(401, { message: 'no such account' }) : forward(),
    },
  ],
  async run(scene) {
    const people = scene.stage.foreign?.people ?? [];
    const net = `127.${10 + scene.random.below(200)}.${scene.random.below(250)}`;
    await toldApart(
      scene,
      people.slice(1, 3).map(({ email }) => email),
      `${net}.1`,
    );
    await countRefused(scene, burstOf(scene, people[3]?.email ?? '', `${net}.2`), 'a burst from one source');
    await countRefused(scene, spoofedOf(scene, people[4]?.email ?? '', `${net}.3`), 'forwarded addresses');
    await countRefused(scene, spelledOf(scene, people[5]?.email ?? '', `${net}.4`), 'other spellings of the name');
    const machine = scene.stage.machine?.username ?? 'service-x';
    const shots = Array.from({ length: BURST }, () =>
      login('/api/v1/auth/login', { username: machine, password: guess(scene) }, `${net}.5`),
    );
    await countRefused(scene, shots, 'a service account');
  },
};

function guess(scene: Scene): string {
  return scene.random.bytes(12).toString('base64url');
}

function login(path: string, body: object, from: string, headers: Record<string, string> = {}): Shot {
  return { method: 'POST', path, headers: { ...JSON_TYPE, ...headers }, body: JSON.stringify(body), from };
}

function burstOf(scene: Scene, email: string, from: string): Shot[] {
  return Array.from({ length: BURST }, () => login('/auth/login', { email, password: guess(scene) }, from));
}

function spoofedOf(scene: Scene, email: string, from: string): Shot[] {
  return SOURCES.flatMap((name) =>
    Array.from({ length: 5 }, () =>
      login('/auth/login', { email, password: guess(scene) }, from, {
        [name]: Array.from(scene.random.bytes(4)).join('.'),
      }),
    ),
  );
}

function spelledOf(scene: Scene, email: string, from: string): Shot[] {
  const spellings = [
    email,
    email.toUpperCase(),
    ` ${email}`,
    `${email} `,
    email.replace('@', '@').normalize('NFD'),
    `${email}\n`,
    `\t${email}`,
  ];
  return Array.from({ length: 6 }, () => spellings)
    .flat()
    .map((name) => login('/auth/login', { email: name, password: guess(scene) }, from));
}

/** All at once: of one name from one source so many may be looked at, and not one more. */
async function countRefused(scene: Scene, shots: readonly Shot[], what: string): Promise<void> {
  const answers = await Promise.all(shots.map((shot) => scene.fire(shot, undefined, { mayBeUnavailable: true })));
  const looked = answers.filter(({ status }) => status === 401 || status === 200).length;
  scene.verdict(
    looked > FAILURES ? `${what}: ${looked} passwords were looked at` : undefined,
    `POST ${shots[0]?.path ?? ''}`,
  );
}

async function toldApart(scene: Scene, known: readonly string[], from: string): Promise<void> {
  const times: Record<'known' | 'unknown', number[]> = { known: [], unknown: [] };
  const texts = new Set<string>();
  for (let i = 0; i < 4; i++) {
    for (const email of known) {
      for (const [kind, name] of [
        ['known', email],
        ['unknown', `nobody-${guess(scene)}@attack.test`],
      ] as const) {
        const answer = await scene.fire(
          login('/auth/login', { email: name, password: guess(scene) }, from, { 'x-request-id': 'same' }),
        );
        if (answer.status === 429) continue;
        times[kind].push(answer.ms);
        texts.add(`${answer.status} ${answer.text}`);
      }
    }
  }
  const apartMs = Math.abs(quantile(times.known, 0.5) - quantile(times.unknown, 0.5));
  scene.tally.more['namesApartMs'] = Math.round(apartMs * 10) / 10;
  scene.verdict(texts.size > 1 ? 'an unknown name is answered otherwise' : undefined, 'POST /auth/login');
  scene.verdict(
    apartMs > TOLD_APART_MS ? `an unknown name takes ${Math.round(apartMs)} ms more or less` : undefined,
    'POST /auth/login',
  );
}

const PATTERNS = [
  '(a+)+$', '(a|aa)+$', '(a*)*b', '(.*a){20}$', '([a-zA-Z]+)*$', '^(([a-z])+.)+[A-Z]([a-z])+$', '(a|a)*$', '(?:a{1,40}){1,20}$',
  '((a{0,5}){0,5}){0,5}b', '(x+x+)+y', '^(a?){30}a{30}$', '(\\w+\\s?)+$', '.*.*.*.*=.*', '(a+){10}y', '[\\s\\S]*[\\s\\S]*x$', '(?i)(a+)+Z',
]; // prettier-ignore
const REFUSED_PATTERNS = [
  '(?=a)',
  '(?<=a)b',
  '(a)\\1',
  '(?>a+)',
  'a{100000}',
  '('.repeat(2_000),
  '((((a{100}){100}){100}){100})',
  '[',
  '\\',
  '(?P<',
  '*',
  'a**',
  '\\C',
  '\\p{X}',
];
const TOO_LONG_MS = 2_000;
const CHARACTERS = [1_000, 20_000, 60_000];

export const redos: Family = {
  name: 'patterns',
  about: 'patterns of tenants that take for ever, or that no engine should read',
  holes: [
    {
      name: 'patterns run in a backtracking engine',
      async open({ body, url }, { forward }) {
        const answer = await forward();
        if (url !== '/api/redaction/try') return answer;
        const { rules, text } = JSON.parse(body.toString()) as {
          rules: { rules: { pattern: string }[] };
          text: string;
        };
        // as far as it can be waited for: each further character doubles the time
        new RegExp(rules.rules[0]?.pattern === '(a+)+$' ? '(a+)+$' : 'x').test(`${text.slice(0, 29)}!`);
        return answer;
      },
    },
    {
      name: 'a pattern that cannot be read breaks the server',
      open: ({ body }, { forward }) => (body.includes('((((((((') ? reply(500, 'too deep') : forward()),
    },
  ],
  async run(scene) {
    const shots = [...PATTERNS, ...REFUSED_PATTERNS].flatMap((pattern) =>
      CHARACTERS.flatMap((characters) =>
        ['a', 'x', 'a b ', 'é'].map((unit) => trial(scene, pattern, unit.repeat(characters / unit.length))),
      ),
    );
    const random = Array.from({ length: 300 }, () => {
      const pieces = ['(', ')', '*', '+', '?', 'a', '.', '|', '[a-z]', '{2,9}', '\\w', '^', '$', '(?:', 'b', '\\d'];
      const pattern = Array.from({ length: 3 + scene.random.below(20) }, () => scene.random.pick(pieces)).join('');
      return trial(scene, pattern, 'ab1 '.repeat(2_000));
    });
    for (const shot of scene.some([...shots, ...random])) {
      await scene.fire(shot, ({ ms }) => (ms > TOO_LONG_MS ? `a pattern took ${Math.round(ms)} ms` : undefined));
    }
  },
};

function trial(scene: Scene, pattern: string, text: string): Shot {
  const rule = { id: 'own', name: 'Own', source: 'tenant', action: 'mask', enabled: true, pattern };
  return {
    method: 'POST',
    path: '/api/redaction/try',
    headers: { ...scene.ownKey, ...JSON_TYPE },
    body: JSON.stringify({ rules: { personalData: false, rules: [rule] }, text: `${text}!` }),
  };
}
