// What must be noticed is done to a running LumaTrace: within 60 s each is told to the operator's webhook and shown to the owner,
// and checkpoints of the audit log lie in another folder and at the webhook.
import assert from 'node:assert/strict';
import { createHmac, randomBytes, randomUUID } from 'node:crypto';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { operatedDatabase, type OperatedDatabase } from './harness.ts';
import { startInstance, type Instance } from './instance.ts';

const WITHIN_MS = 60_000;

interface Told {
  type: string;
  id: string;
  atMs: number;
  data: { kind?: string; about?: string; checkpoints?: Array<{ tenantId: string; note: string }> };
}

let folder: string;
let receiver: Server;
let operated: OperatedDatabase;
let instance: Instance;
const secret = randomBytes(32);
const told: Told[] = [];

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'lumatrace-watching-'));
  await writeFile(join(folder, 'secret'), `whsec_${secret.toString('base64')}`, { mode: 0o600 });
  receiver = createServer((request, response) => {
    let body = '';
    request.setEncoding('utf8').on('data', (text: string) => (body += text));
    request.on('end', () => {
      const { 'webhook-id': id = '', 'webhook-timestamp': time, 'webhook-signature': given } = request.headers;
      const expected = createHmac('sha256', secret)
        .update(`${String(id)}.${String(time)}.${body}`)
        .digest('base64');
      const isOurs = given === `v1,${expected}`;
      if (isOurs) told.push({ ...(JSON.parse(body) as Told), id: String(id), atMs: Date.now() });
      response.writeHead(isOurs ? 204 : 500).end();
    });
  });
  await new Promise<void>((done) => receiver.listen(0, '127.0.0.1', done));
  const place = `127.0.0.1:${(receiver.address() as { port: number }).port}`;
  operated = await operatedDatabase();
  instance = await startInstance({
    env: {
      DATABASE_URL: operated.operatorUrl,
      LUMATRACE_ALERT_URL: `http://${place}/alerts`,
      LUMATRACE_AUDIT_COPY_URL: `http://${place}/checkpoints`,
      LUMATRACE_AUDIT_COPY_FOLDER: join(folder, 'copies'),
      LUMATRACE_WEBHOOK_SECRET_FILE: join(folder, 'secret'),
      LUMATRACE_EGRESS_ALLOW: place,
    },
  });
  // at once: the program looks every half minute
  for (const name of ['a', 'b']) assert.ok((await ask('POST', '/api/keys', { name, scopes: ['audit:read'] })).ok);
  await asSuperuser('delete from audit where position = 1');
});
after(async () => {
  await instance?.stop();
  await operated?.close();
  receiver?.close();
  if (folder !== undefined) await rm(folder, { recursive: true, force: true });
});

async function asSuperuser(...statements: string[]): Promise<void> {
  const client = new pg.Client(operated.db.superuser);
  await client.connect();
  try {
    for (const statement of statements) await client.query(statement);
  } finally {
    await client.end();
  }
}

const ask = (method: string, path: string, body?: object): Promise<Response> =>
  fetch(`${instance.url}${path}`, {
    method,
    headers: { authorization: `Bearer ${instance.firstRun.apiKey}`, 'content-type': 'application/json' },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });

async function waitFor<T>(what: string, look: () => T | undefined | Promise<T | undefined>): Promise<T> {
  const untilMs = Date.now() + WITHIN_MS;
  for (let found = await look(); ; found = await look()) {
    if (found !== undefined) return found;
    assert.ok(
      Date.now() < untilMs,
      `${what} within ${WITHIN_MS} ms; told: ${told.map(({ data }) => data.kind).join()}`,
    );
    await sleep(250);
  }
}

async function isToldAndShown(kind: string): Promise<string> {
  const alert = await waitFor(kind, () =>
    told.find(({ type, data }) => type === 'security.alert' && data.kind === kind),
  );
  const shown = await waitFor(`${kind} in the answer`, async () => {
    const { data } = (await (await ask('GET', '/api/v1/audit/alerts')).json()) as { data: Array<{ id: string }> };
    return data.find(({ id }) => alert.id === `alert_${id}`);
  });
  assert.ok(shown);
  return String(alert.data.about);
}

test('a burst of failed logins', async () => {
  for (let n = 0; n < 12; n++) await ask('POST', '/auth/login', { email: `nobody${n}@example.com`, password: 'wrong' });
  assert.match(await isToldAndShown('login.failures'), /^source:/);
});

test('a burst of ids that are not the tenant’s', async () => {
  for (let n = 0; n < 32; n++) await ask('DELETE', `/api/keys/${randomUUID()}`);
  assert.match(await isToldAndShown('foreign.ids'), /^key:/);
});

test('export volume', async () => {
  for (let n = 0; n < 11; n++) await (await ask('GET', '/api/v1/audit/export')).text();
  assert.match(await isToldAndShown('export.requests'), /^key:/);
});

test('checkpoints lie in the other folder and were sent', async () => {
  const { id } = instance.firstRun.tenant;
  const copy = await waitFor('a copy', () =>
    readFile(join(folder, 'copies', `${id}.checkpoints`), 'utf8').catch(() => undefined),
  );
  assert.ok(copy.startsWith(`lumatrace/audit/${id}\n`));
  const sent = await waitFor('a webhook', () => told.find(({ type }) => type === 'audit.checkpoints'));
  assert.equal(sent.data.checkpoints?.[0]?.tenantId, id);
});

test('a gap in the audit chain', async () => {
  assert.equal(await isToldAndShown('audit.gap'), `tenant:${instance.firstRun.tenant.id}`);
});
