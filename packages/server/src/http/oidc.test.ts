// Single sign-on against a real provider in a process of its own, and against one that lies in every way we could think of.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { exportJWK, generateKeyPair, SignJWT, UnsecuredJWT, type JWTPayload } from 'jose';
import { openHouse, PUBLIC_URL } from '../test/house.ts';

type Headers = Record<string, string>;

/** A provider of our own that says what it is told to; a stand-in for a hostile one. */
interface Liar {
  issuer: string;
  /** Claims of the next ID token over the right ones, and how it is made. */
  claims: JWTPayload;
  sign: (claims: JWTPayload) => Promise<string>;
  honest: Liar['sign'];
  discovery: Record<string, unknown>;
  answer: ((path: string, response: ServerResponse) => boolean) | undefined;
  tokenCalls: number;
  nonce: string;
}

const keys = await generateKeyPair('RS256', { extractable: true });
const others = await generateKeyPair('RS256', { extractable: true });
const jwk = { ...(await exportJWK(keys.publicKey)), kid: 'k1', use: 'sig', alg: 'RS256' };

const honest = (claims: JWTPayload): Promise<string> =>
  new SignJWT(claims).setProtectedHeader({ alg: 'RS256', kid: 'k1' }).sign(keys.privateKey);

async function openLiar(): Promise<{ liar: Liar; close(): void }> {
  const liar: Liar = {
    issuer: '',
    claims: {},
    sign: honest,
    honest,
    discovery: {},
    answer: undefined,
    tokenCalls: 0,
    nonce: '',
  };
  const server = createServer((request, response) => void respond(liar, request, response));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  liar.issuer = `http://localhost:${(server.address() as AddressInfo).port}`;
  return { liar, close: () => server.closeAllConnections() ?? server.close() };
}

async function respond(liar: Liar, { url = '' }: IncomingMessage, response: ServerResponse): Promise<void> {
  if (liar.answer?.(url, response) === true) return;
  const json = (body: unknown): void => {
    response.setHeader('content-type', 'application/json');
    response.end(JSON.stringify(body));
  };
  const at = (path: string): string => `${liar.issuer}${path}`;
  if (url === '/.well-known/openid-configuration')
    return json({
      issuer: liar.issuer,
      authorization_endpoint: at('/authorize'),
      token_endpoint: at('/token'),
      jwks_uri: at('/jwks'),
      response_types_supported: ['code'],
      subject_types_supported: ['public'],
      id_token_signing_alg_values_supported: ['RS256'],
      authorization_response_iss_parameter_supported: true,
      ...liar.discovery,
    });
  if (url === '/jwks') return json({ keys: [jwk] });
  if (url === '/token') {
    liar.tokenCalls++;
    const now = Math.floor(Date.now() / 1_000);
    const right = { iss: liar.issuer, aud: 'lumatrace', sub: 'mallory', iat: now, exp: now + 300, nonce: liar.nonce };
    const claims = Object.fromEntries(
      Object.entries({ ...right, ...liar.claims }).filter(([, one]) => one !== undefined),
    );
    return json({ access_token: 'x', token_type: 'Bearer', id_token: await liar.sign(claims) });
  }
  response.statusCode = 404;
  response.end();
}

async function freePort(): Promise<number> {
  const server = createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  return port;
}

const realPort = await freePort();
const opened = await openLiar();
const { liar } = opened;
const house = await openHouse({ oidcAllow: [`localhost:${realPort}`, new URL(liar.issuer).host] });
const { ask, db } = house;
const owner = await house.adminSession();
const tenantId = house.firstRun.tenant.id;
const SETTINGS = { clientId: 'lumatrace', clientSecret: 'a secret that is long enough' };

async function add(settings: object): Promise<string> {
  const response = await ask('POST', '/api/oidc-providers', { headers: owner, body: { ...SETTINGS, ...settings } });
  assert.equal(response.status, 201, await response.clone().text());
  return ((await response.json()) as { providerId: string }).providerId;
}

const realId = await add({
  name: 'Corp',
  issuer: `http://localhost:${realPort}`,
  roleByGroup: [
    { group: 'analysts', role: 'analyst' },
    { group: 'staff', role: 'viewer' },
  ],
  isListed: true,
});
const provider = spawn(
  process.execPath,
  [
    fileURLToPath(new URL('../access/fixtures/identity-provider.ts', import.meta.url)),
    String(realPort),
    `${PUBLIC_URL}/auth/oidc/${realId}/callback`,
  ],
  { stdio: ['ignore', 'pipe', 'inherit'] },
);
await once(provider.stdout, 'data');
const liarId = await add({ name: 'Liar', issuer: liar.issuer, defaultRole: 'viewer' });
after(async () => {
  provider.kill();
  opened.close();
  await house.close();
});

const cookiesOf = (response: Response): Headers => ({
  cookie: response.headers
    .getSetCookie()
    .map((one) => one.split(';')[0])
    .filter((one) => one?.endsWith('=') === false)
    .join('; '),
});
const sessionOf = (response: Response): Headers => ({ ...cookiesOf(response), origin: PUBLIC_URL });
const locationOf = (response: Response): string => response.headers.get('location') ?? '';

async function begin(providerId: string, returnTo?: string): Promise<{ to: URL; cookies: Headers }> {
  const query = returnTo === undefined ? '' : `?returnTo=${encodeURIComponent(returnTo)}`;
  const response = await ask('GET', `/auth/oidc/${providerId}/login${query}`);
  assert.equal(response.status, 303);
  return { to: new URL(locationOf(response), PUBLIC_URL), cookies: cookiesOf(response) };
}

/** A person at the real provider: logs in there and agrees. @returns where the provider sends the browser back to */
async function atProvider(start: URL, login: string): Promise<URL> {
  const jar = new Map<string, string>();
  let url = start;
  for (let hops = 0; hops < 12; hops++) {
    if (url.origin === PUBLIC_URL) return url;
    const isForm = url.pathname.startsWith('/interaction/');
    const cookie = [...jar].map(([name, value]) => `${name}=${value}`).join('; ');
    const prompt = isForm ? await promptOf(url, cookie) : '';
    const response = await fetch(url, {
      redirect: 'manual',
      headers: { cookie },
      ...(isForm ? { method: 'POST', body: new URLSearchParams({ prompt, login, password: 'any' }) } : {}),
    });
    for (const pair of response.headers.getSetCookie()) {
      const [name = '', value = ''] = (pair.split(';')[0] ?? '').split('=');
      jar.set(name, value);
    }
    assert.ok(response.status >= 300 && response.status < 400, `${response.status} of ${url.pathname}`);
    url = new URL(locationOf(response), url);
  }
  throw new Error('The provider leads round and round.');
}

async function promptOf(url: URL, cookie: string): Promise<string> {
  const page = await (await fetch(url, { headers: { cookie } })).text();
  return /name="prompt" value="(\w+)"/.exec(page)?.[1] ?? '';
}

const comeBack = (to: URL, headers: Headers): Promise<Response> => ask('GET', to.pathname + to.search, { headers });

async function enter(login: string): Promise<Response> {
  const { to, cookies } = await begin(realId, '/traces?range=24h');
  return comeBack(await atProvider(to, login), cookies);
}

const userOf = async (headers: Headers): Promise<Record<string, string>> =>
  ((await (await ask('GET', '/auth/me', { headers })).json()) as { user: Record<string, string> }).user;

async function membersNow(): Promise<Array<{ id: string; email: string; role: string; isManaged: boolean }>> {
  const response = await ask('GET', '/api/members', { headers: owner });
  return ((await response.json()) as { data: Awaited<ReturnType<typeof membersNow>> }).data;
}

test('somebody logs in by a real provider: an account, its role by group, and where they wanted to go', async () => {
  const response = await enter('ann');
  assert.deepEqual([response.status, locationOf(response)], [303, '/traces?range=24h'], String(house.failures.at(-1)));
  const user = await userOf(sessionOf(response));
  assert.deepEqual([user['email'], user['name'], user['role']], ['ann@corp.example', 'Ann', 'analyst']);
  const again = await userOf(sessionOf(await enter('ann')));
  assert.equal(again['id'], user['id']);
  const byHand = await ask('PATCH', `/api/members/${user['id']}`, { headers: owner, body: { role: 'owner' } });
  assert.equal(byHand.status, 409, 'the groups decide');
  assert.equal((await membersNow()).filter(({ isManaged }) => isManaged).length, 1);
  // two first logins at once
  const both = await Promise.all([enter('bob'), enter('bob')]);
  const ids = await Promise.all(both.map(async (one) => (await userOf(sessionOf(one)))['id']));
  assert.ok(ids[0] !== undefined && ids[0] === ids[1]);
});

test('somebody in none of the groups is not let in, and a group that went takes the role', async () => {
  assert.equal(locationOf(await enter('eve')), '/login?sso=no-role');
  const session = sessionOf(await enter('ann'));
  const patch = (body: object): Promise<Response> =>
    ask('PATCH', `/api/oidc-providers/${realId}`, { headers: owner, body });
  assert.equal((await patch({ roleByGroup: [{ group: 'analysts', role: 'auditor' }] })).status, 204);
  await enter('ann');
  assert.equal((await userOf(session))['role'], 'auditor', 'holds for the session that was there');
  await patch({ roleByGroup: [] });
  assert.equal(locationOf(await enter('ann')), '/login?sso=no-role');
  assert.equal((await ask('GET', '/auth/me', { headers: session })).status, 401);
  await patch({ roleByGroup: [{ group: 'staff', role: 'viewer' }] });
  assert.equal((await enter('ann')).status, 303);
});

test('a session by a provider is good in its tenant alone, and cannot change how somebody logs in', async () => {
  const session = sessionOf(await enter('ann'));
  const said = async (method: string, path: string, body?: object): Promise<number> =>
    (await ask(method, path, { headers: session, ...(body === undefined ? {} : { body }) })).status;
  assert.equal(await said('POST', '/auth/switch', { tenantId }), 403);
  assert.equal(await said('POST', '/auth/change-password', { currentPassword: 'x', newPassword: 'y'.repeat(20) }), 403);
  assert.equal(await said('POST', '/auth/invitations/join', { token: 'A'.repeat(43) }), 403);
  assert.equal(await said('POST', '/auth/passkeys/options', { password: 'x' }), 403);
  assert.equal(await said('GET', '/auth/passkeys'), 403);
  const login = await ask('POST', '/auth/login', { body: { email: 'ann@corp.example', password: 'x'.repeat(20) } });
  assert.equal(login.status, 401);
});

test('a removed member is not let in again by the provider, until an owner says so', async () => {
  const session = sessionOf(await enter('ann'));
  const { id } = await userOf(session);
  assert.equal((await ask('DELETE', `/api/members/${id}`, { headers: owner })).status, 204);
  assert.equal((await ask('GET', '/auth/me', { headers: session })).status, 401);
  assert.equal(locationOf(await enter('ann')), '/login?sso=removed');
  const readmit = { headers: owner, body: { accountId: id } };
  assert.equal((await ask('POST', `/api/oidc-providers/${liarId}/readmissions`, readmit)).status, 404);
  assert.equal((await ask('POST', `/api/oidc-providers/${realId}/readmissions`, readmit)).status, 204);
  assert.equal((await userOf(sessionOf(await enter('ann'))))['id'], id);
});

/** Through the liar, who answers at once. `change` is made to the address that the browser comes back with. */
async function lied(change: (to: URL) => void = () => undefined, cookies?: Headers): Promise<Response> {
  const started = await begin(liarId);
  liar.nonce = started.to.searchParams.get('nonce') ?? '';
  const back = new URL(`${PUBLIC_URL}/auth/oidc/${liarId}/callback`);
  back.searchParams.set('code', 'c');
  back.searchParams.set('state', started.to.searchParams.get('state') ?? '');
  back.searchParams.set('iss', liar.issuer);
  change(back);
  return comeBack(back, cookies ?? started.cookies);
}

const honestly = { email: 'mallory@liar.example', email_verified: true };

test('the liar is believed while it tells the truth', async () => {
  liar.claims = honestly;
  const response = await lied();
  assert.equal(locationOf(response), '/', String((house.failures.at(-1) as Error | undefined)?.cause));
  assert.equal((await userOf(sessionOf(response)))['email'], honestly.email);
});

const now = Math.floor(Date.now() / 1_000);
const none = async (claims: JWTPayload): Promise<string> => new UnsecuredJWT(claims).encode();
const hmac =
  (secret: string): Liar['sign'] =>
  (claims) =>
    new SignJWT(claims).setProtectedHeader({ alg: 'HS256', kid: 'k1' }).sign(new TextEncoder().encode(secret));
const publicPem = JSON.stringify(jwk);
const LIES: ReadonlyArray<readonly [string, Partial<Pick<Liar, 'claims' | 'sign'>>, ((to: URL) => void)?]> = [
  ['a wrong nonce', { claims: { nonce: 'another' } }],
  ['no nonce', { claims: { nonce: undefined } }],
  ['another issuer', { claims: { iss: 'https://accounts.example' } }],
  ['another audience', { claims: { aud: 'another-client' } }],
  ['several audiences and another authorised party', { claims: { aud: ['lumatrace', 'other'], azp: 'other' } }],
  ['an ended token', { claims: { iat: now - 900, exp: now - 600 } }],
  ['a token without an end', { claims: { exp: undefined } }],
  ['a token without a subject', { claims: { sub: undefined } }],
  ['a subject of ten thousand characters', { claims: { sub: 'x'.repeat(10_000) } }],
  ['an unsigned token', { sign: none }],
  ['a token signed with the client secret', { sign: hmac(SETTINGS.clientSecret) }],
  ['a token signed with the public key as a secret', { sign: hmac(publicPem) }],
  [
    'a token signed by a key that is not published',
    { sign: (claims) => new SignJWT(claims).setProtectedHeader({ alg: 'RS256', kid: 'k1' }).sign(others.privateKey) },
  ],
  [
    'a key that comes with the token',
    {
      sign: async (claims) =>
        new SignJWT(claims)
          .setProtectedHeader({ alg: 'RS256', jwk: await exportJWK(others.publicKey) })
          .sign(others.privateKey),
    },
  ],
  ['a signature that was cut off', { sign: async (claims) => (await liar.honest(claims)).replace(/[^.]+$/, '') }],
  ['another provider’s name in the answer', {}, (to) => to.searchParams.set('iss', `http://localhost:${realPort}`)],
  ['no provider’s name in the answer', {}, (to) => to.searchParams.delete('iss')],
  ['another state', {}, (to) => to.searchParams.set('state', 'another')],
  ['no state', {}, (to) => to.searchParams.delete('state')],
  ['two states', {}, (to) => to.searchParams.append('state', 'another')],
  ['no code', {}, (to) => to.searchParams.delete('code')],
  [
    'an error in place of a code',
    {},
    (to) => (to.searchParams.delete('code'), to.searchParams.set('error', 'access_denied')),
  ],
];

for (const [name, lie, change] of LIES) {
  test(`refused: ${name}`, async () => {
    liar.claims = { ...honestly, ...lie.claims };
    liar.sign = lie.sign ?? liar.honest;
    const response = await lied(change);
    liar.sign = liar.honest;
    assert.deepEqual([response.status, locationOf(response)], [303, '/login?sso=provider']);
    assert.ok(!response.headers.getSetCookie().some((one) => one.startsWith('lumatrace_session')));
  });
}

test('refused: an answer in another browser, for another provider, after ten minutes', async () => {
  liar.claims = honestly;
  assert.equal(locationOf(await lied(undefined, { cookie: '' })), '/login?sso=expired');
  const elsewhere = await begin(realId);
  assert.equal(locationOf(await lied(undefined, elsewhere.cookies)), '/login?sso=expired');
  const mine = await begin(liarId);
  const calls = liar.tokenCalls;
  assert.equal(locationOf(await lied((to) => to.searchParams.set('state', 'x'), mine.cookies)), '/login?sso=provider');
  assert.equal(liar.tokenCalls, calls, 'no code was sent anywhere');
  const { clock } = house;
  clock.nowMs += 10 * 60_000 + 1;
  const late = new URL(`${PUBLIC_URL}/auth/oidc/${liarId}/callback?code=c&state=${mine.to.searchParams.get('state')}`);
  assert.equal(locationOf(await comeBack(late, mine.cookies)), '/login?sso=expired');
});

test('refused: a code that was used before, by the real provider', async () => {
  const { to, cookies } = await begin(realId);
  const back = await atProvider(to, 'ann');
  assert.equal((await comeBack(back, cookies)).headers.getSetCookie().length, 2);
  assert.equal(locationOf(await comeBack(back, cookies)), '/login?sso=provider');
});

test('an address that was not verified ties nobody, one that was ties a member of this tenant', async () => {
  const email = 'admin@lumatrace.local';
  const adminId = (await userOf(owner))['id'];
  liar.claims = { sub: 'pretender', email, email_verified: false };
  const made = await userOf(sessionOf(await lied()));
  assert.notEqual(made['id'], adminId);
  assert.equal(made['role'], 'viewer');
  liar.claims = { sub: 'pretender-2', email, email_verified: 'true' };
  assert.equal(locationOf(await lied()), '/login?sso=address-taken');
  const { rows } = await db.database.inTenant(tenantId, (sql) =>
    sql.query<{ text: string }>('select i::text as text from oidc_identities i'),
  );
  assert.ok(rows.length > 0 && rows.every(({ text }) => !text.includes('pretender') && !text.includes('mallory')));
});

test('a tenant’s provider passes nobody off as a person of another tenant', async () => {
  const response = await ask('POST', '/auth/tenants', { headers: owner, body: { name: 'Attacker' } });
  const { tenantId: other } = (await response.json()) as { tenantId: string };
  const moved = await ask('POST', '/auth/switch', { headers: owner, body: { tenantId: other } });
  const there = sessionOf(moved);
  const foreign = await ask('POST', '/api/oidc-providers', {
    headers: there,
    body: { ...SETTINGS, name: 'Evil', issuer: liar.issuer, defaultRole: 'admin' },
  });
  const { providerId } = (await foreign.json()) as { providerId: string };
  const started = await begin(providerId);
  liar.nonce = started.to.searchParams.get('nonce') ?? '';
  liar.claims = { sub: 'thief', email: 'ann@corp.example', email_verified: true };
  const back = new URL(`${PUBLIC_URL}/auth/oidc/${providerId}/callback?code=c`);
  back.searchParams.set('state', started.to.searchParams.get('state') ?? '');
  back.searchParams.set('iss', liar.issuer);
  const user = await userOf(sessionOf(await comeBack(back, started.cookies)));
  assert.deepEqual([user['tenantId'], user['role']], [other, 'admin']);
  // neither seen nor changed from the other tenant
  const home = await ask('POST', '/auth/switch', { headers: there, body: { tenantId } });
  Object.assign(owner, sessionOf(home));
  const anns = (await membersNow()).filter(({ email }) => email === 'ann@corp.example');
  assert.ok(anns.length === 1 && anns[0]?.id !== user['id']);
  assert.equal(
    (await ask('PATCH', `/api/oidc-providers/${providerId}`, { headers: owner, body: { name: 'x' } })).status,
    404,
  );
  assert.equal((await ask('DELETE', `/api/oidc-providers/${providerId}`, { headers: owner })).status, 404);
});

test('a provider that does not answer as it should is refused, within bounds', async () => {
  const cases: ReadonlyArray<readonly [string, (response: ServerResponse) => void]> = [
    ['500', (response) => ((response.statusCode = 500), response.end('{}'))],
    ['no JSON', (response) => response.end('<html>')],
    [
      'too long',
      (response) => (
        response.setHeader('content-type', 'application/json'),
        response.end(`{"x":"${'x'.repeat(300_000)}"}`)
      ),
    ],
    [
      'elsewhere',
      (response) => (
        (response.statusCode = 302),
        response.setHeader('location', 'http://169.254.169.254/'),
        response.end()
      ),
    ],
    ['never', () => undefined],
  ];
  for (const [name, answer] of cases) {
    liar.answer = (path, response) => path.includes('well-known') && (answer(response), true);
    const id = await add({ name, issuer: liar.issuer, clientId: `client-${name}` });
    const startedAt = performance.now();
    assert.equal((await begin(id)).to.search, '?sso=provider', name);
    assert.ok(performance.now() - startedAt < 8_000, name);
    assert.equal((await ask('DELETE', `/api/oidc-providers/${id}`, { headers: owner })).status, 204);
  }
  liar.answer = undefined;
  liar.discovery = { issuer: 'https://accounts.example' };
  const id = await add({ name: 'Other', issuer: liar.issuer, clientId: 'client-other' });
  assert.equal((await begin(id)).to.search, '?sso=provider');
  liar.discovery = {};
  for (const issuer of ['http://10.0.0.1/', 'https://169.254.169.254/', 'http://localhost:1/', 'http://example.com/']) {
    const inside = await add({ name: 'Inside', issuer });
    assert.equal((await begin(inside)).to.search, '?sso=provider', issuer);
    await ask('DELETE', `/api/oidc-providers/${inside}`, { headers: owner });
  }
});

const look = async (issuer: string): Promise<Record<string, unknown>> => {
  const response = await ask('POST', '/api/oidc-providers/check', { headers: owner, body: { issuer } });
  assert.equal(response.status, 200, await response.clone().text());
  return (await response.json()) as Record<string, unknown>;
};

test('a look at a provider tells what it found, and nothing of what is no discovery document of that issuer', async () => {
  const { keys, algorithms, ...real } = await look(`http://localhost:${realPort}`);
  assert.deepEqual(real, {
    finding: 'works',
    authorizationEndpoint: `http://localhost:${realPort}/auth`,
    usesIss: true,
  });
  assert.ok(Number(keys) > 0 && (algorithms as string[]).includes('RS256'));
  const honestly = liar.answer;
  const finding = async (): Promise<unknown> => {
    const found = await look(liar.issuer);
    assert.ok(found['finding'] === 'works' || Object.keys(found).length === 1, JSON.stringify(found));
    return found['finding'];
  };
  assert.equal(await finding(), 'works');
  for (const [discovery, expected] of [
    [{ issuer: 'https://elsewhere.example' }, 'other-issuer'],
    [{ response_types_supported: ['token'] }, 'no-code'],
    [{ authorization_endpoint: 'javascript:alert(1)' }, 'no-code'],
    [{ id_token_signing_alg_values_supported: ['none', 'HS256'] }, 'no-signature'],
    [{ jwks_uri: `${liar.issuer}/nothing` }, 'no-keys'],
    [{ jwks_uri: 'http://169.254.169.254/latest/meta-data' }, 'forbidden'],
  ] as const) {
    liar.discovery = discovery;
    assert.equal(await finding(), expected);
  }
  liar.discovery = {};
  for (const [answer, expected] of [
    [(_: string, to: ServerResponse) => (to.end('canary of an intranet'), true), 'no-discovery'],
    [(_: string, to: ServerResponse) => (to.end('x'.repeat(1_000_000)), true), 'unreachable'],
    [(_: string, to: ServerResponse) => (to.destroy(), true), 'unreachable'],
  ] as const) {
    liar.answer = answer;
    assert.equal(await finding(), expected);
  }
  liar.answer = honestly;
  assert.deepEqual(await look('http://169.254.169.254'), { finding: 'forbidden' });
  assert.deepEqual(await look('http://127.0.0.1:1'), { finding: 'forbidden' });
  assert.deepEqual(await look('https://nobody.invalid'), { finding: 'unreachable' });
});

test('where somebody goes afterwards is a path of ours', async () => {
  liar.claims = honestly;
  for (const returnTo of [
    '//evil.example',
    '/\\evil.example',
    'https://evil.example',
    'javascript:alert(1)',
    '/a\r\nb',
    '/\t/evil.example',
  ]) {
    const started = await begin(liarId, returnTo);
    liar.nonce = started.to.searchParams.get('nonce') ?? '';
    const back = new URL(`${PUBLIC_URL}/auth/oidc/${liarId}/callback?code=c`);
    back.searchParams.set('state', started.to.searchParams.get('state') ?? '');
    back.searchParams.set('iss', liar.issuer);
    assert.equal(locationOf(await comeBack(back, started.cookies)), '/', returnTo);
  }
});

test('the request that the browser carries asks for code, PKCE, state and nonce, and tells no secret', async () => {
  const { to, cookies } = await begin(realId);
  const query = Object.fromEntries(to.searchParams);
  assert.deepEqual(
    [query['response_type'], query['code_challenge_method'], query['redirect_uri'], query['scope']],
    ['code', 'S256', `${PUBLIC_URL}/auth/oidc/${realId}/callback`, 'openid email profile groups'],
  );
  for (const name of ['state', 'nonce', 'code_challenge']) assert.ok((query[name]?.length ?? 0) >= 43, name);
  assert.ok(!cookies['cookie']?.includes(query['nonce'] ?? ''));
  assert.ok(!house.log().includes(SETTINGS.clientSecret));
  const list = await (await ask('GET', '/api/oidc-providers', { headers: owner })).text();
  assert.ok(!list.includes(SETTINGS.clientSecret) && list.includes('"hasClientSecret":true'));
  const { data } = (await (await ask('GET', '/auth/oidc/providers')).json()) as { data: unknown };
  assert.deepEqual(data, [{ providerId: realId, name: 'Corp' }]);
});

for (const [site, isLedAway] of [
  ['cross-site', false],
  ['same-site', false],
  ['same-origin', true],
  ['none', true],
] as const)
  test(`a login that a page begins (${site}) ${isLedAway ? 'leads to the provider' : 'needs a press of the button first'}`, async () => {
    const response = await ask('GET', `/auth/oidc/${realId}/login`, { headers: { 'sec-fetch-site': site } });
    const to = new URL(response.headers.get('location') ?? '', PUBLIC_URL);
    assert.deepEqual([to.origin !== PUBLIC_URL, response.headers.getSetCookie().length === 1], [isLedAway, isLedAway]);
    if (!isLedAway) assert.equal(to.search, `?provider=${realId}`);
  });

test('a provider that is disabled or removed takes its sessions along', async () => {
  const first = sessionOf(await enter('ann'));
  await ask('PATCH', `/api/oidc-providers/${realId}`, { headers: owner, body: { isDisabled: true } });
  assert.equal((await ask('GET', '/auth/me', { headers: first })).status, 401);
  assert.equal((await begin(realId)).to.search, '?sso=unknown-provider');
  await ask('PATCH', `/api/oidc-providers/${realId}`, { headers: owner, body: { isDisabled: false } });
  const second = sessionOf(await enter('ann'));
  assert.equal((await ask('GET', '/auth/me', { headers: second })).status, 200);
  assert.equal((await ask('DELETE', `/api/oidc-providers/${realId}`, { headers: owner })).status, 204);
  assert.equal((await ask('GET', '/auth/me', { headers: second })).status, 401);
});
