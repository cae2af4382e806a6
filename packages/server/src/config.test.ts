// Configuration: defaults, precedence, faults that are all named, secrets that are not, and a guide that is current.
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { test } from 'node:test';
import {
  guide,
  GUIDE_FILE,
  helpText,
  readConfig,
  readInvocation,
  shownConfig,
  unknownVariables,
  UsageError,
} from './config.ts';

test('the defaults are those of the contract', () => {
  const config = readConfig({});
  assert.equal(config.port, 3000);
  assert.equal(config.otlpPort, 4318);
  assert.equal(config.grpcPort, 4317);
  assert.equal(config.retentionDays, 7);
  assert.equal(config.tracesPerDay, 50_000);
  assert.equal(config.requestsPerHour, 5_000);
  assert.equal(config.host, undefined);
  assert.equal(config.databaseUrl, undefined);
  assert.deepEqual(config.egressAllow, []);
});

test('an empty variable counts as unset', () => {
  assert.equal(readConfig({ DATABASE_URL: '', LUMATRACE_PORT: ' ' }).port, 3000);
});

test('every fault is named at once, and the value of a secret is in no message', () => {
  const faulty = {
    LUMATRACE_PORT: '70000',
    LUMATRACE_RETENTION_DAYS: '8',
    LUMATRACE_EGRESS_ALLOW: 'localhost',
    LUMATRACE_LOG_LEVEL: 'loud',
    DATABASE_URL: 'mysql://root:hunter2@db/x',
  };
  assert.throws(
    () => readConfig(faulty),
    (error: unknown) => {
      assert.ok(error instanceof UsageError);
      for (const name of Object.keys(faulty)) assert.ok(error.message.includes(`${name}: Expected`), name);
      assert.ok(!error.message.includes('hunter2'));
      return true;
    },
  );
});

test('numbers are plain decimal digits', () => {
  for (const text of ['-1', '1e3', '0x10', '3000.5', '٣', '99999999999999999999']) {
    assert.throws(() => readConfig({ LUMATRACE_PORT: text }), UsageError, text);
  }
});

test('flags win over the environment, the environment over the defaults', () => {
  const environment = { LUMATRACE_PORT: '4000', LUMATRACE_OTLP_PORT: '4001' };
  const { config, demo } = readInvocation(['up', '--port', '5000', '--demo'], environment);
  assert.deepEqual([config.port, config.otlpPort, config.grpcPort, demo], [5000, 4001, 4317, true]);
});

test('the default data folder lies beside the launcher, a given one in the working folder', () => {
  assert.equal(readInvocation(['up'], {}).config.dataDir, resolve(import.meta.dirname, '../../../.data'));
  assert.equal(readInvocation(['up', '--data', 'd'], {}).config.dataDir, resolve('d'));
  assert.equal(readInvocation(['up'], { LUMATRACE_DATA: 'd' }).config.dataDir, resolve('d'));
});

test('wrong use is refused with the usage', () => {
  const wrong = [
    ['sideways'],
    [],
    ['up', '--prot', '1'],
    ['up', 'word'],
    ['up', '--port'],
    ['backup'],
    ['restore', 'a', 'b'],
  ];
  for (const args of wrong) assert.throws(() => readInvocation(args, {}), UsageError, args.join(' '));
});

test('help is answered even when the environment is wrong', () => {
  const { help } = readInvocation(['up', '--help', '--port', '1'], { LUMATRACE_PORT: 'x' });
  assert.equal(help, helpText('up'));
  for (const flag of ['--host', '--port', '--otlp-port', '--grpc-port', '--data', '--demo']) {
    assert.ok(help?.includes(flag), flag);
  }
});

test('a variable that looks like ours and is not is pointed out', () => {
  assert.deepEqual(unknownVariables({ LUMATRACE_PROT: '1', LUMATRACE_PORT: '1', PATH: '/' }), ['LUMATRACE_PROT']);
});

test('what is shown says of a secret only that it is set', () => {
  const shown = shownConfig({ DATABASE_URL: 'postgresql://u:hunter2@h/d', LUMATRACE_PORT: '4000' });
  assert.equal(shown['DATABASE_URL'], '(set)');
  assert.equal(shown['DATABASE_DIRECT_URL'], '');
  assert.equal(shown['LUMATRACE_PORT'], '4000');
  assert.equal(shown['LUMATRACE_OTLP_PORT'], '4318');
});

test('the guide is made from the tables', async () => {
  assert.equal(await readFile(GUIDE_FILE, 'utf8'), guide(), 'run: node packages/server/src/config.ts --write');
});

function proxiesOf(text: string): readonly string[] {
  return readConfig({ LUMATRACE_TRUSTED_PROXIES: text }).trustedProxies;
}

test('proxies that are trusted are addresses or blocks, and nothing else', () => {
  assert.deepEqual(proxiesOf('10.0.0.0/8, ::1,fd00::/8'), ['10.0.0.0/8', '::1', 'fd00::/8']);
  for (const wrong of ['proxy.example', '10.0.0.0/33', '10.0.0.0/', '10.0.0.1/8/8', '*', '::/129', '10.0.0.0/-1'])
    assert.throws(
      () => proxiesOf(`127.0.0.1,${wrong}`),
      /LUMATRACE_TRUSTED_PROXIES: Expected addresses or blocks/,
      wrong,
    );
});
