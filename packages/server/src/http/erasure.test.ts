// Erasing a tenant over HTTP: only its owner, only with its name; afterwards no way in is left and the certificate is read.
import assert from 'node:assert/strict';
import { createPublicKey, randomUUID } from 'node:crypto';
import { after, test } from 'node:test';
import { checkpointKey } from '../access/audit-checkpoint.ts';
import { createErasures } from '../access/erasure.ts';
import { readCertificate } from '../access/erasure-certificate.ts';
import type { Role } from '../access/principal.ts';
import { openHouse } from '../test/house.ts';
import { erasureRoutes } from './erasure.ts';

const signingKey = checkpointKey(Buffer.alloc(32, 9));
// the routes are given before the house has its database
let erasures = createErasures({ database: {} as never, signingKey, forget: () => {} });
const house = await openHouse({
  routes: () =>
    erasureRoutes({
      erasures: {
        begin: (...given) => erasures.begin(...given),
        find: (...given) => erasures.find(...given),
        work: (...given) => erasures.work(...given),
      },
    }),
});
const { database } = house.db;
erasures = createErasures({ database, signingKey, forget: () => {}, settledMs: 0 });
after(() => house.close());
const { tenant, apiKey } = house.firstRun;
const path = `/api/tenants/${tenant.id}`;
const session = await house.adminSession();

const become = (role: Role): Promise<unknown> =>
  database.inTenant(tenant.id, (sql) => sql.query('update memberships set role = $1', [role]));
const erase = (headers: Record<string, string>, name = tenant.name, at = path): Promise<Response> =>
  house.ask('DELETE', at, { headers, body: { name } });

test('not with a key, not by an admin or a viewer, not another tenant, not under another name', async () => {
  assert.equal((await erase({ authorization: `Bearer ${apiKey}` })).status, 403);
  for (const role of ['admin', 'analyst', 'viewer', 'auditor', 'security'] as const) {
    await become(role);
    assert.equal((await erase(session)).status, 403, role);
  }
  await become('owner');
  assert.equal((await erase(session, tenant.name, `/api/tenants/${randomUUID()}`)).status, 404);
  assert.equal((await erase(session, `${tenant.name} `)).status, 400);
  assert.equal((await house.ask('GET', '/api/settings', { headers: session })).status, 200);
});

test('the owner erases; every way in is shut; whoever has the id reads the certificate', async () => {
  const answer = await erase(session);
  assert.equal(answer.status, 202);
  const begun = (await answer.json()) as { erasureId: string; state: string; certificate: string | null };
  assert.deepEqual([begun.state, begun.certificate], ['erasing', null]);
  for (const headers of [session, { authorization: `Bearer ${apiKey}` }]) {
    let status = 0;
    // a key that was used a moment ago is remembered for five seconds
    for (let look = 0; look < 70 && status !== 401; look++) {
      ({ status } = await house.ask('GET', '/api/settings', { headers }));
      if (status !== 401) await new Promise((resolve) => setTimeout(resolve, 100));
      house.clock.nowMs += 100;
    }
    assert.equal(status, 401);
  }
  const login = { email: house.firstRun.admin.email, password: 'correct horse battery staple' };
  assert.equal((await house.ask('POST', '/auth/login', { body: login })).status, 401);
  const { serviceAccount } = house.firstRun;
  assert.equal((await house.ask('POST', '/api/v1/auth/login', { body: serviceAccount })).status, 401);
  await erasures.work(new AbortController().signal);
  const read = await house.ask('GET', `/api/erasures/${begun.erasureId}`);
  const erased = (await read.json()) as { state: string; certificate: string };
  assert.equal(erased.state, 'erased');
  assert.equal(readCertificate(createPublicKey(signingKey), erased.certificate)?.tenantId, tenant.id);
  assert.equal((await house.ask('GET', `/api/erasures/${randomUUID()}`)).status, 404);
  assert.equal((await house.ask('GET', '/api/erasures/nonsense')).status, 404);
});
