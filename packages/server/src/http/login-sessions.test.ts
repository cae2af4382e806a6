// Where a person is logged in, and the end of it for every process at once.
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { createSessions } from '../access/sessions.ts';
import { cookieOf, openHouse } from '../test/house.ts';

const house = await openHouse({ limits: { loginFailuresPerNameAndSource: 5, loginFailuresPerSource: 1_000 } });
after(() => house.close());
const { ask, firstRun } = house;

const FIREFOX = 'Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0';
const PASSWORD = 'a much longer passphrase';

interface Listed {
  id: string;
  device: string | null;
  isCurrent: boolean;
}

async function listed(headers: Record<string, string>): Promise<Listed[]> {
  const response = await ask('GET', '/api/login-sessions', { headers });
  assert.equal(response.status, 200);
  return ((await response.json()) as { data: Listed[] }).data;
}

async function loggedIn(userAgent: string): Promise<{ cookie: string }> {
  const headers = { 'user-agent': userAgent };
  const response = await ask('POST', '/auth/login', {
    headers,
    body: { email: firstRun.admin.email, password: PASSWORD },
  });
  assert.equal(response.status, 200);
  return { cookie: cookieOf(response) };
}

const statusOf = async (headers: Record<string, string>): Promise<number> =>
  (await ask('GET', '/auth/me', { headers })).status;

test('sessions are listed with their devices, ended one by one and all but this one', async () => {
  const first = await ask('POST', '/auth/login', {
    body: { email: firstRun.admin.email, password: firstRun.admin.password },
  });
  const body = { currentPassword: firstRun.admin.password, newPassword: PASSWORD };
  await ask('POST', '/auth/change-password', { headers: { cookie: cookieOf(first) }, body });
  const here = await loggedIn(FIREFOX);
  const there = await loggedIn('curl/8.5.0');
  const elsewhere = await loggedIn('something new/1.0');
  const sessions = await listed(here);
  assert.deepEqual(sessions.map(({ device, isCurrent }) => `${device} ${isCurrent}`).sort(), [
    'Firefox on Linux true',
    'curl false',
    'null false',
    'null false',
  ]);
  assert.equal(JSON.stringify(sessions).includes(there.cookie), false);

  const curl = sessions.find(({ device }) => device === 'curl');
  assert.equal(await statusOf(there), 200);
  const path = `/api/login-sessions/${curl?.id}`;
  assert.equal((await ask('DELETE', path, { headers: here })).status, 204);
  assert.equal(await statusOf(there), 401);
  assert.equal((await ask('DELETE', path, { headers: here })).status, 404, 'it has ended');

  const others = await ask('DELETE', '/api/login-sessions', { headers: here });
  assert.deepEqual(await others.json(), { ended: 2 });
  assert.equal(await statusOf(elsewhere), 401);
  assert.equal(await statusOf(here), 200);
  assert.equal((await listed(here)).length, 1);
});

/** What a session cookie holds. */
const secretOf = ({ cookie }: { cookie: string }): string => cookie.slice(cookie.indexOf('=') + 1).split(';')[0] ?? '';

test('a session that was ended is refused by another reader of the database at once', async () => {
  const here = await loggedIn(FIREFOX);
  const there = await loggedIn('curl/8.5.0');
  const another = createSessions({ database: house.db.database, secrets: house.installationKeys, nowMs: Date.now });
  const secret = secretOf(there);
  assert.equal((await another.authenticate(secret)).user.email, firstRun.admin.email);
  const [session] = (await listed(here)).filter(({ device }) => device === 'curl');
  await ask('DELETE', `/api/login-sessions/${session?.id}`, { headers: here });
  await assert.rejects(another.authenticate(secret), { code: 'AUTH_INVALID' });
});

test('a session that is ended while it is exchanged does not come back as a new one', async () => {
  const sessions = createSessions({ database: house.db.database, secrets: house.installationKeys, nowMs: Date.now });
  const here = await loggedIn(FIREFOX);
  await ask('DELETE', '/api/login-sessions', { headers: here });
  const { principal } = await sessions.authenticate(secretOf(here));
  for (let round = 0; round < 12; round++) {
    const there = await sessions.authenticate(secretOf(await loggedIn('curl/8.5.0')));
    const [refreshed] = await Promise.allSettled([
      house.access.people.refresh(there.principal, 'refresh'),
      house.access.sessions.revokeOthers(principal, 'end'),
    ]);
    if (refreshed.status === 'rejected') assert.equal((refreshed.reason as { code: string }).code, 'AUTH_INVALID');
    assert.equal((await listed(here)).length, 1, `round ${round}: ${refreshed.status}`);
  }
  const late = await sessions.authenticate(secretOf(await loggedIn('curl/8.5.0')));
  await house.access.sessions.revokeOthers(principal, 'end');
  await assert.rejects(house.access.people.refresh(late.principal, 'late'), { code: 'AUTH_INVALID' });
  assert.equal((await listed(here)).length, 1);
});

test('keys have no sessions, and an id that is nobody’s is not found', async () => {
  const key = { authorization: `Bearer ${firstRun.apiKey}` };
  assert.equal((await ask('GET', '/api/login-sessions', { headers: key })).status, 403);
  const here = await loggedIn(FIREFOX);
  for (const id of ['0'.repeat(32), '..%2F..', "'%20or%201=1"])
    assert.equal((await ask('DELETE', `/api/login-sessions/${id}`, { headers: here })).status, 404, id);
});

test('ending sessions leaves a line in the audit log', async () => {
  const { rows } = await house.db.database.inTenant(firstRun.tenant.id, (sql) =>
    sql.query<{ detail: { sessions: number } }>(
      `select detail from audit where action = 'session.revoke' order by position`,
    ),
  );
  assert.deepEqual(
    rows.slice(0, 3).map(({ detail }) => detail.sessions),
    [1, 2, 1],
  );
});
