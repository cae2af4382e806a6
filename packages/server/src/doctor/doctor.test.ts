// The real program: `doctor` beside a running `up`, and starts that the production profile refuses.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { connect, createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { Database } from '../storage/database.ts';
import { startInstance, type Instance } from '../test/instance.ts';
import { noteRefusedStart, refusedStarts } from '../notes.ts';
import { testDatabase, type TestDatabase } from '../test/harness.ts';
import type { Finding } from './checks.ts';
import { databaseFacts } from './facts.ts';

const MAIN = fileURLToPath(new URL('../main.ts', import.meta.url));
let folder: string;
let instance: Instance;
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'lumatrace-doctor-'));
  instance = await startInstance({ env: { LUMATRACE_PROFILE: 'production' } });
});
after(async () => {
  await instance?.stop();
  if (folder !== undefined) await rm(folder, { recursive: true, force: true, maxRetries: 5 });
});

function lumatrace(
  args: readonly string[],
  env: Record<string, string> = {},
): Promise<{ code: number | null; out: string; err: string }> {
  return new Promise((done) => {
    const child = execFile(
      process.execPath,
      [MAIN, ...args],
      { env: { ...process.env, ...env }, timeout: 30_000 },
      (_, out, err) => done({ code: child.exitCode, out, err }),
    );
  });
}

const ports = ['--port', '0', '--otlp-port', '0', '--grpc-port', '0'];

test('a fresh installation starts in the production profile, and doctor finds nothing failed in it', async () => {
  const secret = 'a-token-that-nobody-may-read-here';
  const { code, out, err } = await lumatrace(['doctor', '--json', '--data', instance.dataDir], {
    LUMATRACE_METRICS_TOKEN: secret,
  });
  assert.equal(code, 0, out + err);
  const { findings, settings } = JSON.parse(out) as { findings: Finding[]; settings: Record<string, string> };
  assert.deepEqual(
    findings.filter(({ state }) => state === 'failed' || state === 'unknown'),
    [],
  );
  assert.equal(settings['LUMATRACE_METRICS_TOKEN'], '(set)');
  assert.ok(!out.includes(secret));
});

test('an open data folder is found, and the exit code says so', async () => {
  await chmod(instance.dataDir, 0o755);
  const { code, out } = await lumatrace(['doctor', '--data', instance.dataDir]);
  await chmod(instance.dataDir, 0o700);
  assert.equal(code, 1);
  assert.match(out, /^failed {3}data-folder .*\n +→ chmod 700 /m);
});

test('the production profile refuses a start before the database is touched, and names every fault', async () => {
  const { code, err } = await lumatrace(['up', '--host', '0.0.0.0', '--data', join(folder, 'a'), ...ports], {
    LUMATRACE_PROFILE: 'production',
    LUMATRACE_METRICS_TOKEN: 'secret',
    DATABASE_URL: 'postgresql://u:postgres@db.invalid/l',
  });
  assert.equal(code, 1, err);
  for (const id of ['plain-http', 'metrics-token', 'database-tls', 'database-password'])
    assert.match(err, new RegExp(`^ {2}${id}: .*`, 'm'));
});

test('a database that loses what it acknowledged, and lets anybody in, is found through real connections', async () => {
  const safe: TestDatabase = await testDatabase();
  const keeping = (value: string): Database =>
    new Database({ app: safe.app, owner: { ...safe.owner, options: `-c synchronous_commit=${value}` } });
  const [forgetful, durable] = [keeping('off'), keeping('on')];
  // the cluster of the tests trusts its socket; over TCP that is pg_hba.conf with "trust"
  const open = createServer((socket) => {
    const behind = connect(join(String(safe.owner.host), '.s.PGSQL.5432'));
    socket.pipe(behind).pipe(socket);
    for (const end of [socket, behind]) end.on('error', () => {});
  });
  await new Promise<void>((done) => open.listen(0, '127.0.0.1', done));
  const { port } = open.address() as AddressInfo;
  const url = `postgresql://${safe.owner.user}:right@127.0.0.1:${port}/${safe.owner.database}`;
  try {
    const facts = await databaseFacts(forgetful, url);
    assert.equal(facts.settings['synchronous_commit'], 'off');
    assert.ok(facts.settings['fsync']);
    assert.equal(facts.takesAnyPassword, true);
    assert.equal(facts.isAppRoleMighty, false);
    assert.ok(Math.abs(facts.skewMs) < 2_000, `${facts.skewMs} ms`);
    const refusing = await databaseFacts(durable, undefined);
    assert.equal(refusing.takesAnyPassword, undefined);
    assert.equal(refusing.settings['synchronous_commit'], 'on');
  } finally {
    open.close();
    await Promise.all([forgetful.close(), durable.close()]);
    await safe.close();
  }
});

test('the production profile refuses a database that loses what it acknowledged', async () => {
  const dataDir = join(folder, 'forgetful');
  await mkdir(dataDir, { mode: 0o700 });
  await writeFile(join(dataDir, 'postgres.conf'), 'full_page_writes = off\n');
  const { code, err } = await lumatrace(['up', '--data', dataDir, ...ports], { LUMATRACE_PROFILE: 'production' });
  assert.equal(code, 1, err);
  assert.match(err, /^ {2}database-durability: full_page_writes: off\..*postgres\.conf/m);
});

test('a backup and a refused start are remembered, and told by doctor', async () => {
  const found = async (id: string): Promise<Finding | undefined> => {
    const { out } = await lumatrace(['doctor', '--json', '--data', instance.dataDir]);
    return (JSON.parse(out) as { findings: Finding[] }).findings.find((one) => one.id === id);
  };
  assert.equal((await found('backup'))?.state, 'warning');
  assert.equal((await found('refused-starts'))?.state, 'ok');
  const file = join(folder, 'backup');
  const { code, err } = await lumatrace(['backup', file, '--data', instance.dataDir]);
  assert.equal(code, 0, err);
  assert.match((await found('backup'))?.says ?? '', /0 days ago/);
  assert.match((await found('certificates'))?.says ?? '', /^The first to end/);
  for (let n = 0; n < 2; n++) await noteRefusedStart(instance.dataDir, { at: new Date(), ids: ['plain-http'] });
  assert.match((await found('refused-starts'))?.says ?? '', /^2 starts .* for plain-http\.$/);
});

test('the production profile refuses secrets that others can read, and writes down that it refused', async () => {
  const dataDir = join(folder, 'open-secret');
  const secret = join(folder, 'webhook-secret');
  await mkdir(dataDir, { mode: 0o700 });
  await writeFile(secret, `whsec_${'A'.repeat(44)}`, { mode: 0o644 });
  const { code, err } = await lumatrace(['up', '--data', dataDir, ...ports], {
    LUMATRACE_PROFILE: 'production',
    LUMATRACE_ALERT_URL: 'https://alerts.example/',
    LUMATRACE_WEBHOOK_SECRET_FILE: secret,
  });
  assert.equal(code, 1, err);
  assert.match(err, /^ {2}secret-files: .*open to everybody \(mode 644\)\. chmod 400 /m);
  const [refused, ...more] = await refusedStarts(dataDir);
  assert.deepEqual([refused?.ids, more.length], [['secret-files'], 0]);
});

test('the newest hundred refused starts are kept, and a damaged file stops nothing', async () => {
  const dataDir = join(folder, 'many');
  await mkdir(dataDir, { mode: 0o700 });
  for (let n = 0; n < 120; n++) await noteRefusedStart(dataDir, { at: new Date(n * 1_000), ids: [String(n)] });
  const kept = await refusedStarts(dataDir);
  assert.deepEqual([kept.length, kept[0]?.ids, kept.at(-1)?.ids], [100, ['20'], ['119']]);
  await writeFile(join(dataDir, 'refused-starts.jsonl'), '{"at":"never"}\n{');
  assert.deepEqual(await refusedStarts(dataDir), []);
  await noteRefusedStart(join(folder, 'nowhere'), { at: new Date(), ids: [] });
});
