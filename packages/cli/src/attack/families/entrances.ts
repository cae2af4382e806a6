// Other ways in than a password: invitations that are guessed, used twice or offered above one's rights; passkeys and single
// sign-on with answers that nobody gave.
import { randomUUID } from 'node:crypto';
import { reply, type Family } from '../family.ts';
import { wasServed, type Scene } from '../scene.ts';
import { send, type Answer, type Shot } from '../shot.ts';

const JSON_TYPE = { 'content-type': 'application/json' };
const SESSION = 'lumatrace_session=';
const PASSWORD = 'a quiet heron at dusk 7';
const GUESSES = 600;
const REPEATS = 12;
const ROLES = ['owner', 'admin', 'analyst', 'viewer', 'auditor', 'security'];
/** Who may invite, and to what; everybody else to nothing. */
const OFFERS: Readonly<Record<string, readonly string[]>> = { owner: ROLES, admin: ROLES.slice(1) };

const posted = (path: string, body: object, headers: Record<string, string> = {}): Shot => ({
  method: 'POST',
  path,
  headers: { ...JSON_TYPE, ...headers },
  body: JSON.stringify(body),
});

const memberOf = (text: string, name: string): string => {
  try {
    return String((JSON.parse(text) as Record<string, unknown>)[name] ?? '');
  } catch {
    return '';
  }
};

const invites = (url: string): boolean => url === '/api/invitations';
const accepts = (url: string): boolean => url === '/auth/invitations/accept';

export const invitations: Family = {
  name: 'invitations',
  about: 'links that are guessed, near a real one, used twice, revoked or changed, and roles above one’s own',
  needsForeign: true,
  holes: [
    {
      name: 'whoever may invite may invite to everything',
      async open({ url, method }, { forward }) {
        const answer = await forward();
        return method === 'POST' && invites(url) && answer.status === 403
          ? reply(201, { invitationId: '00000000-0000-4000-8000-000000000000', url: 'http://localhost/invitation#x' })
          : answer;
      },
    },
    {
      name: 'a link that is not known is answered as if it were',
      open: ({ url }, { forward }) =>
        url === '/auth/invitations/look' ? reply(200, { tenantName: 'x', email: 'x@x', role: 'owner' }) : forward(),
    },
    {
      name: 'a link that was used opens again',
      async open({ url }, { forward }) {
        const answer = await forward();
        return accepts(url) && answer.status >= 400
          ? reply(200, {}, { 'set-cookie': `${SESSION}x; HttpOnly` })
          : answer;
      },
    },
  ],
  async run(scene) {
    await tryOffers(scene);
    const [used, revoked, open] = [await made(scene), await made(scene), await made(scene)];
    await needed(scene, acceptance(used.token));
    await needed(scene, { method: 'DELETE', path: `/api/invitations/${revoked.id}`, headers: owner(scene) });
    const dead = [used.token, revoked.token, ...guesses(scene, open.token)];
    const shots = dead.flatMap((token, n) => [
      { ...posted('/auth/invitations/look', { token }), from: addressOf(n) },
      { ...acceptance(token), from: addressOf(n) },
      posted('/auth/invitations/join', { token }, { cookie: scene.stage.own.cookies['viewer'] ?? '' }),
    ]);
    await scene.volley(shots, (answer) => (wasServed(answer) ? 'a link that is none was taken' : undefined));
    await tryAtOnce(scene, open.token);
    // what was made here and never used ends with the run
  },
};

const owner = (scene: Scene): Record<string, string> => ({ cookie: scene.stage.own.cookies['owner'] ?? '' });
const addressOf = (n: number): string => `127.0.${10 + (n % 200)}.${1 + (Math.floor(n / 200) % 250)}`;
const acceptance = (token: string, more: object = {}): Shot =>
  posted('/auth/invitations/accept', { token, name: 'Mallory', password: PASSWORD, ...more });
/** Of nobody yet, also when the run is repeated with its seed. */
const newAddress = (): string => `${randomUUID()}@attack.test`;

/** What an attack stands on. @throws TypeError when it is refused */
async function needed(scene: Scene, shot: Shot): Promise<Answer> {
  // past the hole, and from an address whose attempts are not used up
  const from = `127.1.${scene.random.below(250)}.${1 + scene.random.below(250)}`;
  const answer = await send(scene.stage.target.http, { ...shot, from });
  if (wasServed(answer)) return answer;
  throw new TypeError(`Expected ${shot.method} ${shot.path} to work but received ${answer.status}: ${answer.text}`);
}

/** A link that works. */
async function made(scene: Scene): Promise<{ id: string; token: string }> {
  const wanted = { email: newAddress(), role: 'viewer' };
  const { text } = await needed(scene, posted('/api/invitations', wanted, owner(scene)));
  return { id: memberOf(text, 'invitationId'), token: memberOf(text, 'url').split('#')[1] ?? '' };
}

/** Every role invites to every role; what should not have been offered is an attack that got through. */
async function tryOffers(scene: Scene): Promise<void> {
  const callers: [string, Record<string, string>][] = [
    ...ROLES.map((role): [string, Record<string, string>] => [role, { cookie: scene.stage.own.cookies[role] ?? '' }]),
    ['an API key', scene.ownKey],
    ['nobody', {}],
  ];
  for (const [caller, headers] of callers)
    for (const role of [...ROLES, 'superuser', 'OWNER', 'owner ', ['owner'], { role: 'owner' }, null]) {
      const isOffered = typeof role === 'string' && (OFFERS[caller] ?? []).includes(role);
      if (isOffered) continue;
      const wanted = { email: newAddress(), role, tenantId: scene.stage.foreign?.tenantId };
      await scene.fire(posted('/api/invitations', wanted, headers), (answer) =>
        wasServed(answer) ? `${caller} invited to ${JSON.stringify(role)}` : undefined,
      );
    }
}

/** Several people at once with one link, each asking for more than it says: one comes in, as what it says, where it says. */
async function tryAtOnce(scene: Scene, token: string): Promise<void> {
  const foreign = scene.stage.foreign?.tenantId ?? '';
  const more = { role: 'owner', tenantId: foreign, email: 'mallory@attack.test', isAdmin: true };
  const answers = await Promise.all(
    Array.from({ length: REPEATS }, (_, n) => scene.fire({ ...acceptance(token, { ...more, n }), from: addressOf(n) })),
  );
  const opened = answers.filter(wasServed);
  scene.verdict(
    opened.length > 1 ? `one link let ${opened.length} people in` : undefined,
    'POST /auth/invitations/accept',
  );
  const [first] = opened;
  if (first === undefined) return;
  const cookie = sessionIn(first);
  const me = await scene.ask({ method: 'GET', path: '/auth/me', headers: { cookie } });
  const isMore = !me.text.includes('"role":"viewer"') || me.text.includes(foreign) || me.text.includes('mallory@');
  scene.verdict(
    isMore ? `whoever came in is more than the link says: ${me.text.slice(0, 200)}` : undefined,
    'GET /auth/me',
  );
}

function guesses(scene: Scene, token: string): string[] {
  const near = Array.from(
    token,
    (character, i) => token.slice(0, i) + (character === 'A' ? 'B' : 'A') + token.slice(i + 1),
  );
  const random = Array.from({ length: GUESSES }, () => scene.random.bytes(32).toString('base64url'));
  return [...near, ...random, token.toLowerCase(), token.slice(1), `${token}A`, 'A'.repeat(43), '_'.repeat(43)];
}

const sessionIn = ({ headers }: Answer): string =>
  [headers['set-cookie'] ?? []]
    .flat()
    .find((cookie) => cookie.startsWith(SESSION))
    ?.split(';')[0] ?? '';

/** Whoever attacks has no session: one that is opened is the find. */
const letIn = (answer: Answer): string | undefined => {
  const cookie = sessionIn(answer);
  if (wasServed(answer) && cookie.length > SESSION.length) return 'a session was opened';
  return cookie.length > SESSION.length ? 'a session was opened on the way elsewhere' : elsewhere(answer);
};

/** A redirect that leaves us, to where the request said. */
function elsewhere({ headers }: Answer): string | undefined {
  const to = headers.location;
  return to !== undefined && /evil\.example/i.test(new URL(to, 'http://localhost').host)
    ? `the browser is led to ${to}`
    : undefined;
}

export const entrances: Family = {
  name: 'entrances',
  about: 'passkeys without an authenticator, and answers of identity providers that were never asked',
  holes: [
    {
      name: 'an assertion is believed without its signature',
      open: ({ url }, { forward }) =>
        url === '/auth/passkeys/login'
          ? reply(200, { user: {} }, { 'set-cookie': `${SESSION}${'A'.repeat(43)}; HttpOnly` })
          : forward(),
    },
    {
      name: 'a callback is believed without its state',
      open: ({ url }, { forward }) =>
        /^\/auth\/oidc\/[^/]+\/callback/.test(url)
          ? reply(303, '', { location: '/', 'set-cookie': `${SESSION}${'A'.repeat(43)}; HttpOnly` })
          : forward(),
    },
    {
      name: 'a login leads where its address says',
      open({ url }, { forward }) {
        const to = /^\/auth\/oidc\/[^/]+\/login\?returnTo=(.*)$/.exec(url)?.[1];
        return to === undefined ? forward() : reply(303, '', { location: decodeURIComponent(to) });
      },
    },
  ],
  async run(scene) {
    const asked = await scene.ask(posted('/auth/passkeys/login/options', {}));
    const cookie = ([asked.headers['set-cookie'] ?? []].flat()[0] ?? '').split(';')[0] ?? '';
    const challenge = /"challenge":"([^"]+)"/.exec(asked.text)?.[1] ?? '';
    const provider = await addedProvider(scene);
    await scene.volley([...assertions(scene, cookie, challenge), ...callbacks(scene, provider)], letIn);
    if (provider !== undefined)
      await scene.ask({ method: 'DELETE', path: `/api/oidc-providers/${provider}`, headers: owner(scene) });
  },
};

const text = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url');
const get = (path: string, headers: Record<string, string> = {}): Shot => ({ method: 'GET', path, headers });

/** One that answers nothing: its address may not be asked. */
async function addedProvider(scene: Scene): Promise<string | undefined> {
  const settings = { name: 'x', issuer: 'http://127.0.0.1:9', clientId: 'x', clientSecret: null, defaultRole: 'admin' };
  const { status, text } = await scene.ask(posted('/api/oidc-providers', settings, owner(scene)));
  return status === 201 ? memberOf(text, 'providerId') : undefined;
}

function assertions(scene: Scene, cookie: string, challenge: string): Shot[] {
  const bytes = (length: number): string => scene.random.bytes(length).toString('base64url');
  const handles = [
    bytes(16),
    Buffer.from(scene.stage.own.tenantId.replaceAll('-', ''), 'hex').toString('base64url'),
    'AA',
    undefined,
  ];
  const clients = [
    { type: 'webauthn.get', challenge, origin: scene.target.http, crossOrigin: false },
    { type: 'webauthn.get', challenge: bytes(32), origin: scene.target.http },
    { type: 'webauthn.create', challenge, origin: 'https://evil.example' },
    { type: 'webauthn.get', challenge, origin: scene.target.http, __proto__: { isAdmin: true } },
  ];
  const cookies = [
    cookie,
    '',
    `${cookie}A`,
    cookie.replace(/.$/, ''),
    `${cookie}; ${cookie}`,
    `lumatrace_passkey=${bytes(80)}`,
  ];
  return clients.flatMap((client, c) =>
    handles.flatMap((userHandle, h) =>
      cookies.flatMap((held, k) =>
        ['', bytes(64), bytes(71), 'A'.repeat(4_000)].map((signature, s): Shot => {
          const id = bytes(32);
          const response = {
            clientDataJSON: text(client),
            authenticatorData: bytes(37),
            signature,
            ...(userHandle === undefined ? {} : { userHandle }),
          };
          const answer = { id, rawId: id, type: 'public-key', clientExtensionResults: {}, response };
          const headers: Record<string, string> = held === '' ? {} : { cookie: held };
          return {
            ...posted('/auth/passkeys/login', { response: answer }, headers),
            from: addressOf(c * 97 + h * 31 + k * 7 + s),
          };
        }),
      ),
    ),
  );
}

function callbacks(scene: Scene, provider: string | undefined): Shot[] {
  const bytes = (length: number): string => scene.random.bytes(length).toString('base64url');
  const ids = [...(provider === undefined ? [] : [provider]), '00000000-0000-4000-8000-000000000000', 'x', '..%2f..'];
  const returns = [
    'https://evil.example/',
    '//evil.example',
    '/\\evil.example',
    '/%5cevil.example',
    'javascript:alert(1)',
    '\t//evil.example',
    '/..//evil.example',
    'https:evil.example',
  ];
  return ids.flatMap((id) => [
    ...returns.map((to) => get(`/auth/oidc/${id}/login?returnTo=${encodeURIComponent(to)}`)),
    ...Array.from({ length: 60 }, (_, n) => {
      const query = new URLSearchParams({
        code: bytes(16),
        state: bytes(32),
        ...(n % 3 === 0 ? { iss: 'http://127.0.0.1:9' } : {}),
      });
      const cookie: Record<string, string> = n % 2 === 0 ? {} : { cookie: `lumatrace_oidc=${bytes(120)}` };
      return get(`/auth/oidc/${id}/callback?${query.toString()}`, cookie);
    }),
    get(`/auth/oidc/${id}/callback`),
    get(`/auth/oidc/${id}/callback?error=access_denied&error_description=%3Cscript%3E&state=x`),
    get(`/auth/oidc/${id}/callback?code=a&code=b&state=x&state=y`),
    get(`/auth/oidc/${id}/callback?id_token=${bytes(200)}&state=x`),
  ]);
}
