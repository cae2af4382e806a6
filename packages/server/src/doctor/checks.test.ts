// A safe installation passes; each planted fault fails its own check, alone, and says how to mend it.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { examine, type Facts, type State } from './checks.ts';

const kek = {
  path: '/data/kek',
  mode: 0o100400,
  isOurs: true,
  bytes: Uint8Array.from({ length: 32 }, (_, i) => i * 7),
};
const database = {
  settings: { fsync: 'on', full_page_writes: 'on', synchronous_commit: 'on', server_version_num: '170004' },
  isAppRoleMighty: false,
  skewMs: 3,
  skewErrorMs: 1,
  takesAnyPassword: false,
  certificates: [{ name: 'that signs photographs', endsAt: new Date('2027-01-20T00:00:00Z') }],
};
const SAFE: Facts = {
  nodeVersion: 'v24.21.0',
  now: new Date('2026-12-01T00:00:00Z'),
  isTls: false,
  hasTrustedProxies: false,
  databaseUrls: ['postgresql://lumatrace:9w8e7f@db.example/lumatrace?sslmode=verify-full'],
  hasSecurityContact: true,
  unknownVariables: [],
  dataDir: { path: '/data', mode: 0o40700, isOurs: true },
  kek,
  hasFirstRunFile: false,
  coreLimit: 0,
  certificates: [{ name: 'of the listeners', endsAt: new Date('2027-11-01T00:00:00Z') }],
  secretFiles: [{ path: '/etc/lumatrace/secret', mode: 0o100400, isOurs: true }],
  lastBackupAt: new Date('2026-11-30T00:00:00Z'),
  disk: { freeBytes: 50 * 2 ** 30, totalBytes: 100 * 2 ** 30 },
  refusedStarts: [{ at: new Date('2026-11-01T00:00:00Z'), ids: ['plain-http'] }],
  database,
};
const url = (rest: string): Partial<Facts> => ({ databaseUrls: [`postgresql://${rest}`] });
const settings = (change: Record<string, string>): Partial<Facts> => ({
  database: { ...database, settings: { ...database.settings, ...change } },
});

const FAULTS: readonly (readonly [string, State, Partial<Facts>])[] = [
  ['plain-http', 'failed', { host: '0.0.0.0' }],
  ['plain-http', 'failed', { host: '::' }],
  ['plain-http', 'failed', { host: '127.0.0.1.example.com' }],
  ['plain-http', 'failed', { host: '10.0.0.5', publicUrl: 'https://traces.example' }],
  ['plain-http', 'warning', { host: '10.0.0.5', publicUrl: 'https://traces.example', hasTrustedProxies: true }],
  ['database-tls', 'failed', url('u:9w8e7f@db.example/l')],
  ['database-tls', 'failed', url('u:9w8e7f@db.example/l?sslmode=prefer')],
  ['database-tls', 'failed', url('u:9w8e7f@db.example/l?sslmode=require')],
  ['database-tls', 'failed', url('u:9w8e7f@db.example/l?sslmode=verify-ca')],
  ['database-tls', 'failed', url('u:9w8e7f@localhost/l?host=db.example')],
  ['database-password', 'failed', url('u:postgres@localhost/l')],
  ['database-password', 'failed', url('u:ChangeMe@localhost/l')],
  ['database-password', 'failed', url('traces:traces@localhost/l')],
  ['database-password', 'failed', url('u:%70assword@localhost/l')],
  ['database-authentication', 'failed', { database: { ...database, takesAnyPassword: true } }],
  ['database-durability', 'failed', settings({ fsync: 'off' })],
  ['database-durability', 'failed', settings({ full_page_writes: 'off' })],
  ['database-durability', 'failed', settings({ synchronous_commit: 'off' })],
  ['database-role', 'failed', { database: { ...database, isAppRoleMighty: true } }],
  ['clock', 'failed', { database: { ...database, skewMs: -2_500 } }],
  ['clock', 'ok', { database: { ...database, skewMs: 2_500, skewErrorMs: 600 } }],
  ['node', 'failed', { nodeVersion: 'v20.19.0' }],
  ['node', 'failed', { nodeVersion: 'v25.1.0' }],
  ['node', 'unknown', { nodeVersion: 'v99.0.0' }],
  ['postgresql', 'failed', settings({ server_version_num: '140019' })],
  ['data-folder', 'failed', { dataDir: { path: '/data', mode: 0o40755, isOurs: true } }],
  ['data-folder', 'failed', { dataDir: { path: '/data', mode: 0o40700, isOurs: false } }],
  ['kek-file', 'failed', { kek: { ...kek, mode: 0o100440 } }],
  ['kek-strength', 'failed', { kek: { ...kek, bytes: new Uint8Array(32) } }],
  ['kek-strength', 'failed', { kek: { ...kek, bytes: Buffer.from('0123456789abcdef'.repeat(4), 'hex') } }],
  ['secret-files', 'failed', { secretFiles: [{ path: '/etc/lumatrace/secret', mode: 0o100644, isOurs: true }] }],
  ['secret-files', 'ok', { secretFiles: [{ path: '/etc/lumatrace/secret', mode: 0o100440, isOurs: false }] }],
  [
    'certificates',
    'warning',
    { certificates: [{ name: 'of the listeners', endsAt: new Date('2026-12-10T00:00:00Z') }] },
  ],
  [
    'certificates',
    'warning',
    { certificates: [{ name: 'of the listeners', endsAt: new Date('2026-11-10T00:00:00Z') }] },
  ],
  [
    'certificates',
    'warning',
    {
      database: {
        ...database,
        certificates: [{ name: 'that signs time stamps', endsAt: new Date('2026-12-14T00:00:00Z') }],
      },
    },
  ],
  ['backup', 'warning', { lastBackupAt: undefined }],
  ['backup', 'warning', { lastBackupAt: new Date('2026-11-20T00:00:00Z') }],
  ['disk', 'failed', { disk: { freeBytes: 100 * 2 ** 20, totalBytes: 100 * 2 ** 30 } }],
  ['disk', 'warning', { disk: { freeBytes: 2 ** 30, totalBytes: 100 * 2 ** 30 } }],
  ['disk', 'warning', { disk: { freeBytes: 4 * 2 ** 30, totalBytes: 100 * 2 ** 30 } }],
  ['refused-starts', 'warning', { refusedStarts: [{ at: new Date('2026-11-30T00:00:00Z'), ids: ['plain-http'] }] }],
  ['metrics-token', 'failed', { metricsToken: 'secret' }],
  ['first-run-file', 'warning', { hasFirstRunFile: true }],
  ['core-dumps', 'warning', { coreLimit: Number.POSITIVE_INFINITY }],
  ['security-contact', 'warning', { hasSecurityContact: false }],
  ['variables', 'warning', { unknownVariables: ['LUMATRACE_PROT'] }],
];

test('a safe installation passes every check', () => {
  assert.deepEqual(
    examine(SAFE).filter(({ state }) => state !== 'ok'),
    [],
  );
});

for (const [id, state, fault] of FAULTS)
  test(`${id} is ${state} for ${JSON.stringify(Object.values(fault)[0])}`, () => {
    const found = examine({ ...SAFE, ...fault }).filter((one) => one.state !== 'ok');
    assert.deepEqual(
      found.map((one) => [one.id, one.state]),
      state === 'ok' ? [] : [[id, state]],
    );
    if (state === 'failed' || state === 'warning') assert.match(found[0]?.mend ?? '', /\w{3}/);
    assert.doesNotMatch(JSON.stringify(found), /9w8e7f/);
  });

test('every kind of fault that refuses a start has one planted', () => {
  const planted = new Set(FAULTS.map(([id]) => id));
  assert.deepEqual(
    examine(SAFE).filter(({ id }) => !planted.has(id)),
    [],
  );
});

test('what could not be looked at is unknown, never ok', () => {
  const { database: _, kek: __, dataDir: ___, coreLimit: ____, disk: _____, ...rest } = SAFE;
  const unknown = examine(rest).filter(({ state }) => state === 'unknown');
  assert.deepEqual(
    unknown.map(({ id }) => id),
    [
      'database-authentication',
      'database-durability',
      'database-role',
      'clock',
      'postgresql',
      'data-folder',
      'kek-file',
      'kek-strength',
      'certificates',
      'disk',
      'core-dumps',
    ],
  );
});
