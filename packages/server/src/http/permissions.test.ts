// Every role against every guarded route of the server, asked through the frame with a real session of that role.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { after, before, test } from 'node:test';
import { pino } from 'pino';
import { ROLES, type Role } from '../access/principal.ts';
import { openHouse, PUBLIC_URL } from '../test/house.ts';
import { c2paRoutes } from './c2pa.ts';
import { certificateRoutes } from './certificates.ts';
import { detectRoutes } from './detect.ts';
import { keyInventoryRoutes } from './key-inventory.ts';
import { createMetrics } from './metrics.ts';
import { langfuseRoutes } from './otlp-langfuse.ts';
import { metricRoutes } from './otlp-metrics.ts';
import { otlpRoutes } from './otlp.ts';
import { permissionRows, ROLES_GUIDE_FILE, rolesGuide } from './permissions.ts';
import { photoRoutes } from './photos.ts';
import { priceRoutes } from './prices.ts';
import { redactionRoutes } from './redaction.ts';
import type { Route } from './route.ts';
import { createHttp } from './server.ts';
import { telemetryRoutes } from './telemetry.ts';
import { transparencyRoutes } from './transparency.ts';
import { trustAnchorRoutes } from './trust-anchors.ts';
import { erasureRoutes } from './erasure.ts';
import { tenantKeyRoutes } from './tenant-keys.ts';
import { watermarkKeyRoutes } from './watermark-keys.ts';

/** A room that is never entered: only the declarations of the routes are wanted, their handlers are replaced. */
const shut = new Proxy(() => undefined, { get: () => shut }) as never;

/** Answers of a handler that was reached; no route answers it otherwise, so reached and refused cannot be confused. */
const REACHED = 299;

const house = await openHouse({
  routes: () => [
    ...otlpRoutes(shut),
    ...langfuseRoutes(shut),
    ...telemetryRoutes(shut),
    ...metricRoutes(shut),
    ...priceRoutes(shut),
    ...redactionRoutes(shut),
    ...photoRoutes(shut),
    ...transparencyRoutes(shut),
    ...tenantKeyRoutes(shut),
    ...erasureRoutes(shut),
    ...watermarkKeyRoutes(shut),
    ...c2paRoutes(shut),
    ...detectRoutes(shut),
    ...trustAnchorRoutes(shut),
    ...certificateRoutes(shut),
    ...keyInventoryRoutes(shut),
  ],
});
const quiet = house.routes.map(({ query: _query, params: _params, body: _body, rawBody: _raw, ...route }): Route => ({
  ...route,
  limit: 'none',
  handle: () => Promise.resolve(new Response(null, { status: REACHED })),
}));
const http = await createHttp({
  routes: quiet,
  access: house.access,
  metrics: createMetrics(),
  log: pino({ level: 'silent' }),
  publicUrl: PUBLIC_URL,
});
let session: Record<string, string> = {};
before(async () => {
  session = await house.adminSession();
});
after(async () => {
  await http.stop(0);
  await house.close();
});

const become = (role: Role): Promise<unknown> =>
  house.db.database.inTenant(house.firstRun.tenant.id, (sql) => sql.query(`update memberships set role = $1`, [role]));

/** yes, no, or what else came. */
async function cellOf(action: string): Promise<string> {
  const [method = '', path = ''] = action.split(' ');
  const url = `${PUBLIC_URL}${path.replaceAll(/\{[^}]+\}/g, randomUUID())}`;
  const response = await http.fetch(new Request(url, { method, headers: session }));
  const text = await response.text();
  if (response.status === REACHED) return 'yes';
  return response.status === 403 ? '–' : `${response.status} ${text}`;
}

/** The cells of the published guide, as a reader sees them: `role action` → yes or –. */
function cellsOf(guide: string): ReadonlyMap<string, string> {
  const rows = [...guide.matchAll(/^\| `([A-Z]+ \/[^`]*)` \| (.+) \|$/gm)];
  return new Map(
    rows.flatMap(([, action = '', rest = '']) => {
      const cells = rest.split(' | ').slice(1);
      return ROLES.map((role, index): [string, string] => [`${role} ${action}`, cells[index] ?? 'missing']);
    }),
  );
}

test('the guide of roles says what the routes declare', async () => {
  const guide = rolesGuide(house.routes);
  if (process.env['UPDATE_ROLES_GUIDE'] === '1') await writeFile(ROLES_GUIDE_FILE, guide);
  assert.equal(await readFile(ROLES_GUIDE_FILE, 'utf8'), guide, 'run this file with UPDATE_ROLES_GUIDE=1');
});

test('every cell of the published guide is what the server does', async () => {
  const cells = cellsOf(await readFile(ROLES_GUIDE_FILE, 'utf8'));
  const actions = permissionRows(house.routes).map(({ action }) => action);
  assert.equal(cells.size, actions.length * ROLES.length);
  const mismatches: string[] = [];
  for (const role of ROLES) {
    await become(role);
    for (const action of actions) {
      const asked = await cellOf(action);
      const told = cells.get(`${role} ${action}`);
      if (asked !== told) mismatches.push(`${role} ${action}: told ${String(told)}, asked ${asked}`);
    }
  }
  await become('owner');
  assert.deepEqual(mismatches, []);
  assert.ok(new Set(cells.values()).size === 2, 'there are cells of both kinds');
});

test('every factory of routes that main.ts serves is in the matrix', async () => {
  const served = (await readFile(new URL('../main.ts', import.meta.url), 'utf8')).matchAll(/\.\.\.(\w+Routes)\(/g);
  const here = await readFile(new URL(import.meta.url), 'utf8');
  const inHouse = await readFile(new URL('../test/house.ts', import.meta.url), 'utf8');
  const missing = [...served].map(([, name = '']) => name).filter((name) => !(here + inHouse).includes(`...${name}(`));
  assert.deepEqual(missing, ['docsRoutes'], 'the pages of the description are public');
});
