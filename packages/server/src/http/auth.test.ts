// People and machines log in and out over HTTP, on a real PostgreSQL.
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { cookieOf, openHouse } from '../test/house.ts';

const house = await openHouse({ limits: { loginFailuresPerNameAndSource: 5, loginFailuresPerSource: 1_000 } });
after(() => house.close());
const { ask, firstRun, access, db } = house;

async function codeOf(response: Response): Promise<[number, string]> {
  const body = (await response.json()) as { code: string };
  return [response.status, body.code];
}

const login = (email: string, password: string): Promise<Response> =>
  ask('POST', '/auth/login', { body: { email, password } });

test('the first login answers the user, sets a careful cookie and demands a new password', async () => {
  const response = await login(firstRun.admin.email.toUpperCase(), firstRun.admin.password);
  assert.equal(response.status, 200);
  const body = (await response.json()) as { user: Record<string, string>; mustChangePassword: boolean };
  assert.equal(body.mustChangePassword, true);
  assert.equal(body.user['email'], firstRun.admin.email);
  assert.equal(body.user['role'], 'owner');
  assert.equal(body.user['tenantId'], firstRun.tenant.id);
  const cookie = response.headers.getSetCookie()[0] ?? '';
  assert.match(cookie, /^lumatrace_session=[A-Za-z0-9_-]{43}; Path=\/; HttpOnly; SameSite=Lax; Max-Age=\d+$/);
});

test('until the password is changed every other route of the session is forbidden', async () => {
  const headers = { cookie: cookieOf(await login(firstRun.admin.email, firstRun.admin.password)) };
  assert.equal((await ask('GET', '/auth/me', { headers })).status, 200);
  for (const [method, path] of [
    ['GET', '/api/keys'],
    ['GET', '/api/settings'],
    ['POST', '/auth/refresh'],
  ] as const) {
    assert.deepEqual(await codeOf(await ask(method, path, { headers })), [403, 'FORBIDDEN'], path);
  }
  assert.equal((await ask('POST', '/auth/logout', { headers })).status, 200);
  assert.deepEqual(await codeOf(await ask('GET', '/auth/me', { headers })), [401, 'AUTH_INVALID']);
});

test('weak, short, repeated and wrong passwords are refused, and the change ends the other sessions', async () => {
  const { email, password } = firstRun.admin;
  const other = { cookie: cookieOf(await login(email, password)) };
  const headers = { cookie: cookieOf(await login(email, password)) };
  const change = (currentPassword: string, newPassword: string): Promise<Response> =>
    ask('POST', '/auth/change-password', { headers, body: { currentPassword, newPassword } });
  for (const weak of ['short', password, 'aaaaaaaaaaaaaaaa', 'lumatrace123', 'passwordpassword']) {
    assert.deepEqual(await codeOf(await change(password, weak)), [400, 'VALIDATION_FAILED'], weak);
  }
  assert.deepEqual(await codeOf(await change('wrong', 'a much longer one')), [400, 'VALIDATION_FAILED']);
  const session = await house.adminSession();
  assert.equal((await ask('GET', '/api/settings', { headers: session })).status, 200);
  assert.deepEqual(await codeOf(await ask('GET', '/auth/me', { headers: other })), [401, 'AUTH_INVALID']);
  assert.deepEqual(await codeOf(await ask('GET', '/auth/me', { headers })), [401, 'AUTH_INVALID']);
  assert.deepEqual(await codeOf(await login(email, password)), [401, 'AUTH_INVALID']);
});

test('refreshing exchanges the cookie and keeps the absolute end', async () => {
  const headers = await house.adminSession();
  const refreshed = await ask('POST', '/auth/refresh', { headers });
  assert.equal(refreshed.status, 200);
  const fresh = { cookie: cookieOf(refreshed) };
  assert.notEqual(fresh.cookie, headers['cookie']);
  assert.deepEqual(await codeOf(await ask('GET', '/auth/me', { headers })), [401, 'AUTH_INVALID']);
  assert.equal((await ask('GET', '/auth/me', { headers: fresh })).status, 200);
});

test('a session ends when it is idle for twelve hours, and after seven days whatever happens', async () => {
  const startMs = house.clock.nowMs;
  const idle = await house.adminSession();
  house.clock.nowMs += 12 * 3_600_000 + 1;
  assert.deepEqual(await codeOf(await ask('GET', '/auth/me', { headers: idle })), [401, 'AUTH_EXPIRED']);
  const busy = await house.adminSession();
  for (let hours = 0; hours < 7 * 24 - 8; hours += 8) {
    house.clock.nowMs += 8 * 3_600_000;
    assert.equal((await ask('GET', '/auth/me', { headers: busy })).status, 200, `after ${hours + 8} hours`);
  }
  house.clock.nowMs += 8 * 3_600_000;
  assert.deepEqual(await codeOf(await ask('GET', '/auth/me', { headers: busy })), [401, 'AUTH_EXPIRED']);
  house.clock.nowMs = startMs;
});

test('the database holds neither a cookie nor a password nor a key', async () => {
  const { cookie = '' } = await house.adminSession();
  const secrets = [cookie.split('=')[1] ?? '', firstRun.apiKey, firstRun.serviceAccount.password];
  const tables = await db.database.ownerPool.query<{ name: string }>(
    `select relname as name from pg_class where relkind = 'r' and relnamespace = 'public'::regnamespace`,
  );
  const everything = await db.database.inSystem(async (sql) => {
    await sql.query(`select set_config('app.backup', 'on', true)`);
    const rows = [];
    for (const { name } of tables.rows) rows.push(...(await sql.query(`select t::text as row from "${name}" t`)).rows);
    return rows.map((row) => String((row as { row: string }).row)).join('\n');
  });
  assert.ok(everything.includes(firstRun.tenant.id));
  for (const secret of secrets) assert.ok(!everything.includes(secret));
  for (const secret of [...secrets, 'correct horse battery staple']) assert.ok(!house.log().includes(secret));
});

const timed = async (email: string): Promise<{ ms: number; body: string }> => {
  const startedMs = performance.now();
  const response = await login(email, 'not the password');
  const ms = performance.now() - startedMs;
  const { traceId: _, ...body } = (await response.json()) as Record<string, unknown>;
  return { ms, body: JSON.stringify(body) };
};

test('unknown names and wrong passwords give the same answer in the same time', async () => {
  const known = await timed(firstRun.admin.email);
  const unknown = await timed('nobody@example.org');
  assert.equal(known.body, unknown.body);
  assert.ok(known.ms >= 250 && unknown.ms >= 250, `${known.ms} and ${unknown.ms} ms`);
  assert.ok(Math.abs(known.ms - unknown.ms) < 150, `${known.ms} and ${unknown.ms} ms`);
});

test('guessing is stopped per name and source with Retry-After, also with the right password', async () => {
  for (let i = 0; i < 5; i++) assert.equal((await login('victim@example.org', `guess ${i}`)).status, 401);
  const refused = await login('victim@example.org', 'guess');
  assert.ok(Number(refused.headers.get('retry-after')) > 800);
  assert.deepEqual(await codeOf(refused), [429, 'RATE_LIMIT_EXCEEDED']);
});

test('a machine gets a token of fifteen minutes with the claims of the contract', async () => {
  const response = await ask('POST', '/api/v1/auth/login', { body: firstRun.serviceAccount });
  assert.equal(response.status, 200);
  const { token, expires_in } = (await response.json()) as { token: string; expires_in: number };
  assert.equal(expires_in, 900);
  const [header, claims] = token
    .split('.')
    .slice(0, 2)
    .map((part) => JSON.parse(Buffer.from(part, 'base64url').toString()) as Record<string, unknown>);
  const jwks = (await (await ask('GET', '/.well-known/jwks.json')).json()) as { keys: Array<{ kid: string }> };
  assert.equal(header?.['alg'], 'RS256');
  assert.equal(header?.['kid'], jwks.keys[0]?.kid);
  assert.deepEqual(Object.keys(claims ?? {}).sort(), [
    'aud',
    'exp',
    'iat',
    'iss',
    'jti',
    'nbf',
    'scope',
    'sub',
    'tid',
    'typ',
  ]);
  assert.equal(claims?.['tid'], firstRun.tenant.id);
  assert.equal(Number(claims?.['exp']) - Number(claims?.['iat']), 900);
  const headers = { authorization: `Bearer ${token}` };
  const keys = await ask('GET', '/api/keys', { headers });
  assert.equal(keys.status, 200);
  const logout = await ask('POST', '/api/v1/auth/logout', { headers });
  assert.equal(logout.status, 200);
  assert.equal(logout.headers.get('x-ratelimit-limit'), '5000');
  assert.deepEqual(await codeOf(await ask('GET', '/api/keys', { headers })), [401, 'AUTH_INVALID']);
});

test('a wrong service password is refused like an unknown name', async () => {
  for (const username of [firstRun.serviceAccount.username, 'service-unknown']) {
    const response = await ask('POST', '/api/v1/auth/login', { body: { username, password: 'wrong' } });
    assert.deepEqual(await codeOf(response), [401, 'AUTH_INVALID']);
  }
});

test('JWKS publishes public members only, for five minutes', async () => {
  const response = await ask('GET', '/.well-known/jwks.json');
  assert.equal(response.headers.get('cache-control'), 'public, max-age=300');
  const { keys } = (await response.json()) as { keys: Array<Record<string, unknown>> };
  assert.deepEqual(Object.keys(keys[0] ?? {}).sort(), ['alg', 'e', 'kid', 'kty', 'n', 'use']);
});

test('logins, refusals and changes leave audit lines in the tenant', async () => {
  const { rows } = await db.database.inTenant(firstRun.tenant.id, (sql) =>
    sql.query<{ action: string; outcome: string }>('select distinct action, outcome from audit'),
  );
  const lines = new Set(rows.map(({ action, outcome }) => `${action} ${outcome}`));
  for (const line of [
    'installation.create done',
    'login done',
    'login denied',
    'logout done',
    'password.change done',
    'session.refresh done',
    'token.issue done',
    'token.issue denied',
    'token.revoke done',
  ]) {
    assert.ok(lines.has(line), line);
  }
});

test('too many waiting passwords are refused instead of eating the machine', async () => {
  const many = Array.from({ length: 160 }, (_, i) =>
    access.machines.login({ username: `service-${i}`, password: 'x' }, `10.0.0.${i}`, 'test').then(
      () => 'in',
      (error: { code: string }) => error.code,
    ),
  );
  const codes = new Set(await Promise.all(many));
  assert.deepEqual([...codes].sort(), ['AUTH_INVALID', 'UNAVAILABLE']);
});
