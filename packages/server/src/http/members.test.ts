// Several tenants for one person, invitations, roles given and taken: over the frame, with what happens twice and at once.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, test } from 'node:test';
import pg from 'pg';
import type { Role } from '../access/principal.ts';
import { openHouse } from '../test/house.ts';

const house = await openHouse({ retentionDays: 30 });
after(() => house.close());
const { ask, db, firstRun } = house;
const PASSWORD = 'seven quiet herons at dusk';

type Headers = Record<string, string>;

const cookieOf = (response: Response): Headers => ({
  cookie: (response.headers.getSetCookie()[0] ?? '').split(';')[0] ?? '',
  origin: 'http://localhost:3000',
});
const bodyOf = async (response: Response): Promise<Record<string, unknown>> =>
  (await response.json()) as Record<string, unknown>;

async function said(response: Response): Promise<string> {
  return response.status < 400
    ? String(response.status)
    : `${response.status} ${String((await bodyOf(response))['code'])}`;
}

async function login(email: string, password = PASSWORD): Promise<Headers> {
  const response = await ask('POST', '/auth/login', { body: { email, password } });
  assert.equal(response.status, 200, await response.clone().text());
  return cookieOf(response);
}

const me = async (headers: Headers): Promise<Record<string, string>> =>
  (await bodyOf(await ask('GET', '/auth/me', { headers })))['user'] as Record<string, string>;

async function invite(by: Headers, email: string, role: Role): Promise<{ token: string; invitationId: string }> {
  const response = await ask('POST', '/api/invitations', { headers: by, body: { email, role } });
  assert.equal(response.status, 201, await response.clone().text());
  const { url, invitationId } = await bodyOf(response);
  return { token: new URL(String(url)).hash.slice(1), invitationId: String(invitationId) };
}

const accept = (token: string, name = 'Somebody'): Promise<Response> =>
  ask('POST', '/auth/invitations/accept', { body: { token, name, password: PASSWORD } });

async function newPerson(by: Headers, role: Role): Promise<{ headers: Headers; email: string; id: string }> {
  const email = `${role}-${randomUUID()}@example.com`;
  const response = await accept((await invite(by, email, role)).token);
  assert.equal(response.status, 200, await response.clone().text());
  const headers = cookieOf(response);
  return { headers, email, id: (await me(headers))['id'] as string };
}

async function newTenant(by: Headers, name: string): Promise<{ tenantId: string; headers: Headers }> {
  const response = await ask('POST', '/auth/tenants', { headers: by, body: { name } });
  assert.equal(response.status, 201, await response.clone().text());
  const tenantId = String((await bodyOf(response))['tenantId']);
  return { tenantId, headers: await switchTo(by, tenantId) };
}

async function switchTo(headers: Headers, tenantId: string): Promise<Headers> {
  const response = await ask('POST', '/auth/switch', { headers, body: { tenantId } });
  assert.equal(response.status, 204, await response.clone().text());
  return cookieOf(response);
}

const owner = await house.adminSession();
const first = firstRun.tenant.id;

async function actionsOf(tenantId: string, action: string): Promise<number> {
  const { rows } = await db.database.inTenant(tenantId, (sql) =>
    sql.query<{ count: number }>('select count(*)::int as count from audit where action = $1', [action]),
  );
  return rows[0]?.count ?? 0;
}

test('an invitation makes an account, once, for the invited address and role', async () => {
  const { token } = await invite(owner, 'Ann@Example.com', 'analyst');
  const looked = await bodyOf(await ask('POST', '/auth/invitations/look', { body: { token } }));
  assert.deepEqual([looked['tenantName'], looked['email'], looked['role']], ['Default', 'ann@example.com', 'analyst']);
  const answers = await Promise.all([accept(token, 'Ann'), accept(token, 'Ann'), accept(token, 'Ann')]);
  assert.deepEqual(answers.map(({ status }) => status).sort(), [200, 404, 404]);
  const right = answers.find(({ status }) => status === 200) as Response;
  const { id: _, ...user } = await me(cookieOf(right));
  assert.deepEqual(user, { email: 'ann@example.com', name: 'Ann', role: 'analyst', tenantId: first });
  assert.equal(await said(await ask('POST', '/auth/invitations/look', { body: { token } })), '404 NOT_FOUND');
  assert.deepEqual(await me(await login('ANN@example.com')), { ...(await me(cookieOf(right))) });
});

test('no row holds the link or the address, and no log line does', async () => {
  const { token, invitationId } = await invite(owner, 'canary-invited@example.com', 'viewer');
  const { rows } = await db.database.inTenant(first, (sql) =>
    sql.query<{ all: string }>(
      'select i::text || encode(email_sealed, $2) as all from invitations i where invitation_id = $1',
      [invitationId, 'escape'],
    ),
  );
  assert.ok(rows.length === 1 && !rows.some(({ all }) => all.includes(token) || all.includes('canary-invited')));
  assert.ok(!house.log().includes(token) && !house.log().includes('canary-invited'));
});

test('a link that is not known, was revoked, replaced or has ended gets one and the same answer', async () => {
  const revoked = await invite(owner, 'bob@example.com', 'viewer');
  assert.equal((await ask('DELETE', `/api/invitations/${revoked.invitationId}`, { headers: owner })).status, 204);
  assert.equal(
    await said(await ask('DELETE', `/api/invitations/${revoked.invitationId}`, { headers: owner })),
    '404 NOT_FOUND',
  );
  const replaced = await invite(owner, 'cleo@example.com', 'viewer');
  const newer = await invite(owner, 'Cleo@example.com', 'viewer');
  const past = await invite(owner, 'dan@example.com', 'viewer');
  const now = house.clock.nowMs;
  const answers: string[] = [];
  for (const token of [revoked.token, replaced.token, 'A'.repeat(43), 'short', `${newer.token}=`]) {
    for (const path of ['look', 'accept'])
      answers.push(
        await said(await ask('POST', `/auth/invitations/${path}`, { body: { token, name: 'x', password: PASSWORD } })),
      );
  }
  house.clock.nowMs = now + 7 * 24 * 3_600_000;
  answers.push(await said(await accept(past.token)));
  house.clock.nowMs = now;
  assert.deepEqual([...new Set(answers)], ['404 NOT_FOUND']);
  assert.equal((await accept(newer.token)).status, 200);
});

test('somebody who has an account joins with it, and with no other', async () => {
  const { headers: other, tenantId } = await newTenant(owner, 'Second');
  const eve = await newPerson(other, 'viewer');
  const back = await switchTo(other, first);
  const { token } = await invite(back, eve.email, 'auditor');
  assert.equal(await said(await accept(token)), '409 CONFLICT');
  assert.equal(
    await said(await ask('POST', '/auth/invitations/join', { headers: back, body: { token } })),
    '403 FORBIDDEN',
  );
  const joined = await ask('POST', '/auth/invitations/join', { headers: eve.headers, body: { token } });
  assert.deepEqual(await bodyOf(joined), { tenantId: first });
  assert.equal(
    await said(await ask('POST', '/auth/invitations/join', { headers: eve.headers, body: { token } })),
    '404 NOT_FOUND',
  );
  const { data } = await bodyOf(await ask('GET', '/auth/tenants', { headers: eve.headers }));
  assert.deepEqual(data, [
    { tenantId: first, name: 'Default', role: 'auditor', isCurrent: false },
    { tenantId, name: 'Second', role: 'viewer', isCurrent: true },
  ]);
  const there = await switchTo(eve.headers, first);
  assert.equal((await me(there))['role'], 'auditor');
  assert.equal(await said(await ask('GET', '/auth/me', { headers: eve.headers })), '401 AUTH_INVALID');
  // the next login leads to where the person was last
  assert.equal((await me(await login(eve.email)))['tenantId'], first);
  Object.assign(owner, back);
});

test('a switch leads to own tenants only, and one cookie is exchanged once', async () => {
  const gil = await newPerson(owner, 'viewer');
  assert.equal(
    await said(await ask('POST', '/auth/switch', { headers: gil.headers, body: { tenantId: randomUUID() } })),
    '404 NOT_FOUND',
  );
  assert.equal((await me(gil.headers))['tenantId'], first, 'the session is still there');
  const answers = await Promise.all(
    Array.from({ length: 6 }, () => ask('POST', '/auth/switch', { headers: gil.headers, body: { tenantId: first } })),
  );
  const statuses = answers.map(({ status }) => status).sort();
  assert.deepEqual(statuses, [204, 401, 401, 401, 401, 401]);
});

test('the first and every further tenant keep as long as the operator said', async () => {
  const a = await newTenant(await house.adminSession(), 'Thirty');
  for (const headers of [owner, a.headers]) {
    const settings = await bodyOf(await ask('GET', '/api/settings', { headers }));
    assert.equal(settings['retentionDays'], 30);
  }
});

test('only owners make tenants, and what is in one is not seen from another', async () => {
  const ada = await newPerson(owner, 'admin');
  assert.equal(
    await said(await ask('POST', '/auth/tenants', { headers: ada.headers, body: { name: 'x' } })),
    '403 FORBIDDEN',
  );
  const { headers, tenantId } = await newTenant(owner, 'Third');
  assert.equal((await me(headers))['role'], 'owner');
  const { data } = await bodyOf(await ask('GET', '/api/members', { headers }));
  assert.equal((data as unknown[]).length, 1);
  assert.equal(await said(await ask('DELETE', `/api/members/${ada.id}`, { headers })), '404 NOT_FOUND');
  assert.equal(
    await said(await ask('PATCH', `/api/members/${ada.id}`, { headers, body: { role: 'viewer' } })),
    '404 NOT_FOUND',
  );
  assert.equal(await actionsOf(tenantId, 'tenant.create'), 1);
  Object.assign(owner, await switchTo(headers, first));
});

test('a role holds from the next request on, and nobody reaches above themselves', async () => {
  const [ada, vic] = [await newPerson(owner, 'admin'), await newPerson(owner, 'viewer')];
  const role = (by: Headers, id: string, to: string): Promise<Response> =>
    ask('PATCH', `/api/members/${id}`, { headers: by, body: { role: to } });
  assert.equal(await said(await ask('GET', '/api/keys', { headers: vic.headers })), '403 FORBIDDEN');
  assert.equal(await said(await role(ada.headers, vic.id, 'admin')), '204');
  assert.equal((await ask('GET', '/api/keys', { headers: vic.headers })).status, 200);
  assert.equal(await said(await role(ada.headers, vic.id, 'owner')), '403 FORBIDDEN');
  const { id: ownerId } = await me(owner);
  assert.equal(await said(await role(ada.headers, ownerId as string, 'viewer')), '403 FORBIDDEN');
  assert.equal(await said(await ask('DELETE', `/api/members/${ownerId}`, { headers: ada.headers })), '403 FORBIDDEN');
  assert.equal(
    await said(await ask('DELETE', `/api/members/${ownerId}/sessions`, { headers: ada.headers })),
    '403 FORBIDDEN',
  );
  assert.equal(
    await said(
      await ask('POST', '/api/invitations', { headers: ada.headers, body: { email: 'o@example.com', role: 'owner' } }),
    ),
    '403 FORBIDDEN',
  );
  assert.equal(await said(await role(owner, vic.id, 'viewer')), '204');
  assert.equal(await said(await role(vic.headers, vic.id, 'owner')), '403 FORBIDDEN');
  assert.equal(
    await said(
      await ask('POST', '/api/invitations', { headers: vic.headers, body: { email: 'o@example.com', role: 'viewer' } }),
    ),
    '403 FORBIDDEN',
  );
  // a key decides about nobody, whatever its scopes
  const key = { authorization: `Bearer ${firstRun.apiKey}` };
  assert.equal(await said(await role(key, vic.id, 'admin')), '403 FORBIDDEN');
});

test('one owner always stays, also when two step down at once', async () => {
  const { headers } = await newTenant(owner, 'Fourth');
  const { id } = await me(headers);
  const step = (by: Headers, who: string): Promise<Response> =>
    ask('PATCH', `/api/members/${who}`, { headers: by, body: { role: 'viewer' } });
  assert.equal(await said(await step(headers, id as string)), '409 CONFLICT');
  assert.equal(await said(await ask('DELETE', `/api/members/${id}`, { headers })), '409 CONFLICT');
  const second = await newPerson(headers, 'owner');
  const answers = await Promise.all([step(headers, id as string), step(second.headers, second.id)]);
  assert.deepEqual(answers.map(({ status }) => status).sort(), [204, 409]);
  Object.assign(owner, await switchTo(headers, first));
});

test('two owners remove each other at once: one goes, and decides nothing more', async () => {
  const a = await newTenant(await house.adminSession(), 'Duel');
  const b = await newPerson(a.headers, 'owner');
  const mine = (await me(a.headers))['id'] as string;
  const answers = await Promise.all([
    ask('DELETE', `/api/members/${b.id}`, { headers: a.headers }),
    ask('DELETE', `/api/members/${mine}`, { headers: b.headers }),
  ]);
  const codes = await Promise.all(answers.map(said));
  assert.equal(codes.filter((code) => code === '204').length, 1, codes.join());
  // the other one waited for the lock, or came when their session had ended already
  assert.ok(
    codes.some((code) => code === '403 FORBIDDEN' || code === '401 AUTH_INVALID'),
    codes.join(),
  );
});

test('an invitation ends with the right to make it', async () => {
  const a = await newTenant(await house.adminSession(), 'Offers');
  const [demoted, removed, promoted] = await Promise.all([
    newPerson(a.headers, 'admin'),
    newPerson(a.headers, 'admin'),
    newPerson(a.headers, 'admin'),
  ]);
  const links = await Promise.all(
    [demoted, removed, promoted].map(({ headers }) => invite(headers, `${randomUUID()}@example.com`, 'viewer')),
  );
  const to = (role: Role) => ({ headers: a.headers, body: { role } });
  assert.equal((await ask('PATCH', `/api/members/${demoted.id}`, to('viewer'))).status, 204);
  assert.equal((await ask('PATCH', `/api/members/${promoted.id}`, to('owner'))).status, 204);
  assert.equal((await ask('DELETE', `/api/members/${removed.id}`, { headers: a.headers })).status, 204);
  const answers = await Promise.all(links.map(({ token }) => accept(token).then(said)));
  assert.deepEqual(answers, ['404 NOT_FOUND', '404 NOT_FOUND', '200']);
});

test('the 1,001st member is refused, and everybody before is known', async () => {
  const a = await newTenant(await house.adminSession(), 'Crowd');
  const late = await invite(a.headers, 'late@example.com', 'viewer');
  const last = await newPerson(a.headers, 'viewer');
  const superuser = new pg.Client(db.superuser);
  await superuser.connect();
  await superuser.query(`
    with made as (
      insert into accounts (account_id, email_sealed, email_index, name)
      select gen_random_uuid(), a.email_sealed, lpad(n::text, 43, '0'), 'One of many'
      from accounts a, generate_series(1, 998) n where a.account_id = '${last.id}'
      returning account_id
    )
    insert into memberships (tenant_id, account_id, role) select '${a.tenantId}', account_id, 'viewer' from made
  `);
  await superuser.end();
  assert.equal(await said(await accept(late.token)), '409 CONFLICT');
  const more = { headers: a.headers, body: { email: 'more@example.com', role: 'viewer' } };
  assert.equal(await said(await ask('POST', '/api/invitations', more)), '409 CONFLICT');
  assert.equal((await ask('DELETE', `/api/members/${last.id}`, { headers: a.headers })).status, 204);
  assert.equal(await said(await accept(late.token)), '200');
});

test('a removed member is out at once, a member leaves, and what they were elsewhere stays', async () => {
  const vic = await newPerson(owner, 'viewer');
  const elsewhere = await login(vic.email);
  assert.equal((await ask('DELETE', `/api/members/${vic.id}`, { headers: owner })).status, 204);
  for (const headers of [vic.headers, elsewhere])
    assert.equal(await said(await ask('GET', '/auth/me', { headers })), '401 AUTH_INVALID');
  assert.equal(await said(await ask('DELETE', `/api/members/${vic.id}`, { headers: owner })), '404 NOT_FOUND');
  assert.equal(
    await said(await ask('POST', '/auth/login', { body: { email: vic.email, password: PASSWORD } })),
    '401 AUTH_INVALID',
  );
  const { token } = await invite(owner, vic.email, 'viewer');
  assert.equal(await said(await accept(token)), '409 CONFLICT');
  const una = await newPerson(owner, 'viewer');
  const wes = await newPerson(owner, 'viewer');
  assert.equal(await said(await ask('DELETE', `/api/members/${wes.id}`, { headers: una.headers })), '403 FORBIDDEN');
  assert.equal((await ask('DELETE', `/api/members/${una.id}`, { headers: una.headers })).status, 204);
  assert.equal(await said(await ask('GET', '/auth/me', { headers: una.headers })), '401 AUTH_INVALID');
});

test('an admin ends the sessions of a member, also of one that is just being exchanged', async () => {
  for (let round = 0; round < 8; round++) {
    const vic = await newPerson(owner, 'viewer');
    const [refreshed, ended] = await Promise.all([
      ask('POST', '/auth/refresh', { headers: vic.headers }),
      ask('DELETE', `/api/members/${vic.id}/sessions`, { headers: owner }),
    ]);
    assert.equal(ended.status, 200);
    const left = refreshed.status === 200 ? cookieOf(refreshed) : vic.headers;
    assert.equal(await said(await ask('GET', '/auth/me', { headers: left })), '401 AUTH_INVALID');
  }
});

test('sessions are seen and ended in every tenant, and a new password ends them all', async () => {
  const { headers: there, tenantId } = await newTenant(owner, 'Fifth');
  const pat = await newPerson(there, 'owner');
  Object.assign(owner, await switchTo(there, first));
  const { token } = await invite(owner, pat.email, 'viewer');
  await ask('POST', '/auth/invitations/join', { headers: pat.headers, body: { token } });
  const here = await login(pat.email);
  const { data } = await bodyOf(await ask('GET', '/api/login-sessions', { headers: here }));
  assert.deepEqual(new Set((data as { tenantId: string }[]).map((row) => row.tenantId)), new Set([tenantId, first]));
  const change = { currentPassword: PASSWORD, newPassword: 'another quiet heron, at dawn' };
  const changed = await ask('POST', '/auth/change-password', { headers: here, body: change });
  assert.equal(changed.status, 200);
  for (const headers of [pat.headers, here])
    assert.equal(await said(await ask('GET', '/auth/me', { headers })), '401 AUTH_INVALID');
  const third = await switchTo(cookieOf(changed), tenantId);
  const again = await login(pat.email, change.newPassword);
  assert.deepEqual(await bodyOf(await ask('DELETE', '/api/login-sessions', { headers: again })), { ended: 1 });
  assert.equal(await said(await ask('GET', '/auth/me', { headers: third })), '401 AUTH_INVALID');
});

test('a password that changes while it is looked at opens no session any more', async () => {
  const pat = await newPerson(owner, 'viewer');
  const outcomes = new Set<string>();
  let current = PASSWORD;
  for (let round = 0; round < 6; round++) {
    const next = `a heron flies past number ${round}`;
    const mine = await login(pat.email, current);
    const [changed, entered] = await Promise.all([
      ask('POST', '/auth/change-password', { headers: mine, body: { currentPassword: current, newPassword: next } }),
      ask('POST', '/auth/login', { body: { email: pat.email, password: current } }),
    ]);
    assert.equal(changed.status, 200);
    if (entered.status === 200)
      assert.equal(await said(await ask('GET', '/auth/me', { headers: cookieOf(entered) })), '401 AUTH_INVALID');
    outcomes.add(String(entered.status));
    current = next;
  }
  assert.ok([...outcomes].every((status) => status === '200' || status === '401'));
});
