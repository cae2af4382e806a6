// A tenant's rules: versions, who may collide, what the audit says, when they hold, what is counted, and that no other
// tenant sees or feels any of it.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, test } from 'node:test';
import { DEFAULT_REDACTION, RedactionRuleError, type RedactionRule } from '@lumatrace/telemetry';
import type { Principal } from '../access/principal.ts';
import { testRoom } from '../ingest/fixtures/room.ts';
import { insertRules } from '../storage/postgres/redaction.ts';
import { createRedaction } from './redaction.ts';

const clock = { nowMs: Date.UTC(2026, 10, 23, 12) };
const house = await testRoom();
const { database } = house.db;
const options = { database, tenantKeys: house.tenantKeys, nowMs: () => clock.nowMs };
const room = createRedaction(options);
after(async () => {
  await room.close();
  await house.close();
});

const KEY = 'sk-proj-a1B2c3D4e5F6g7H8i9J0k1L2';
const OWN: RedactionRule = {
  id: 'case-number',
  name: 'Case',
  source: 'tenant',
  pattern: 'CASE-[0-9]+',
  action: 'mask',
  enabled: true,
};
const by = (tenantId: string): Principal => ({
  kind: 'person',
  tenantId,
  subject: `account:${randomUUID()}`,
  scopes: new Set(['keys:admin']),
});
const change = (tenantId: string, rules: RedactionRule[], more: object = {}) =>
  room.change(by(tenantId), 'request-1', { personalData: false, rules, ...more });

test('a tenant that said nothing has the rules of the release', async () => {
  const tenantId = await house.newTenant();
  const rules = await room.rules(tenantId);
  assert.equal(rules.version, DEFAULT_REDACTION.version);
  assert.equal(rules.changedAt, null);
  assert.equal((await room.redactorOf(tenantId)).redactText(KEY).text, '[redacted:openai-key]');
});

test('a change is a new version with an audit line that quotes no pattern; a change of an older one is refused', async () => {
  const tenantId = await house.newTenant();
  const first = await change(tenantId, [...DEFAULT_REDACTION.rules, OWN], { version: DEFAULT_REDACTION.version });
  assert.equal(first.version, '1');
  await assert.rejects(change(tenantId, [], { version: DEFAULT_REDACTION.version }), { code: 'CONFLICT' });
  assert.equal((await change(tenantId, [OWN], { version: '1' })).version, '2');
  const { rows } = await database.inTenant(tenantId, (sql) =>
    sql.query<{ action: string; object: string; detail: object }>(
      `select action, object, detail from audit where tenant_id = $1 and action = 'redaction.change' order by seq`,
      [tenantId],
    ),
  );
  assert.deepEqual(
    rows.map(({ object }) => object),
    ['redaction:1', 'redaction:2'],
  );
  assert.deepEqual(rows[0]?.detail, { personalData: false, added: ['case-number'], removed: [], changed: [] });
  assert.ok(!JSON.stringify(rows).includes('CASE-'));
});

test('a built-in rule that a set leaves out runs all the same', async () => {
  const tenantId = await house.newTenant();
  await change(tenantId, [OWN]);
  const redactor = await room.redactorOf(tenantId);
  assert.equal(redactor.redactText(`${KEY} CASE-1`).text, '[redacted:openai-key] [redacted:case-number]');
  assert.ok((await room.rules(tenantId)).rules.length > 30);
});

test('rules that cannot run are refused and change nothing', async () => {
  const tenantId = await house.newTenant();
  await assert.rejects(change(tenantId, [{ ...OWN, pattern: '(?=x)' }]), RedactionRuleError);
  await assert.rejects(change(tenantId, [{ ...OWN, pattern: 'a*' }]), { code: 'VALIDATION_FAILED' });
  const taken = [{ ...OWN, id: 'email' }];
  await assert.rejects(change(tenantId, taken), { code: 'VALIDATION_FAILED', ruleId: 'email' });
  await assert.rejects(room.try(tenantId, { personalData: false, rules: taken }, 'CASE-1'), RedactionRuleError);
  assert.equal((await room.rules(tenantId)).version, DEFAULT_REDACTION.version);
});

test('rules from before a release that took an id, or gave one up, go on running', async () => {
  const tenantId = await house.newTenant();
  const gone: RedactionRule = { id: 'gone', name: 'Gone', source: 'builtin', action: 'mask', enabled: true };
  await database.inTenant(tenantId, (sql) =>
    insertRules(sql, tenantId, {
      version: 1,
      rules: { personalData: false, rules: [{ ...OWN, id: 'openai-key' }, gone] },
      changedBy: 'account:before',
    }),
  );
  const redactor = await room.redactorOf(tenantId);
  assert.equal(redactor.redactText(`CASE-1 ${KEY}`).text, '[redacted:openai-key] [redacted:openai-key]');
  const { rules } = await room.rules(tenantId);
  assert.deepEqual(
    rules.filter(({ id }) => id === 'openai-key' || id === 'gone').map(({ source }) => source),
    ['tenant', 'builtin'],
  );
  await assert.rejects(change(tenantId, rules), { ruleId: 'openai-key' });
});

test('another process takes a new version within five seconds', async () => {
  const tenantId = await house.newTenant();
  const other = createRedaction(options);
  try {
    assert.equal((await other.redactorOf(tenantId)).redactText('CASE-1').text, 'CASE-1');
    await change(tenantId, [OWN]);
    clock.nowMs += 5_000;
    assert.equal((await other.redactorOf(tenantId)).redactText('CASE-1').text, '[redacted:case-number]');
    assert.equal((await other.redactorOf(tenantId)).version, '1');
  } finally {
    await other.close();
  }
});

test('hits are counted by day and rule, for the tenant alone', async () => {
  const [tenantId, stranger] = [await house.newTenant(), await house.newTenant()];
  const counting = createRedaction(options);
  const redactor = await counting.redactorOf(tenantId);
  redactor.redactAttributes({ a: `${KEY} and ${KEY}`, b: 'nothing' });
  await counting.close();
  const again = createRedaction(options);
  (await again.redactorOf(tenantId)).redactAttributes({ a: KEY });
  await again.close();
  const day = new Date(clock.nowMs).toISOString().slice(0, 10);
  assert.deepEqual(await room.hits(tenantId, 7), [{ day, ruleId: 'openai-key', hits: 3 }]);
  assert.deepEqual(await room.hits(stranger, 7), []);
});

test('a try uses rules that are not saved, stores nothing and counts nothing', async () => {
  const tenantId = await house.newTenant();
  const content = {
    name: 'CASE-1',
    attributes: { 'gen_ai.prompt': 'CASE-2', other: 'CASE-3' },
    events: [{ name: 'e', attributes: { a: KEY } }],
  };
  const rules = { personalData: false, rules: [{ ...OWN, keys: 'gen_ai.*' }] };
  const tried = await room.try(tenantId, rules, content);
  assert.deepEqual(tried.after, {
    name: 'CASE-1',
    attributes: { 'gen_ai.prompt': '[redacted:case-number]', other: 'CASE-3' },
    events: [{ name: 'e', attributes: { a: '[redacted:openai-key]' } }],
  });
  assert.deepEqual(
    tried.hits.sort((a, b) => a.ruleId.localeCompare(b.ruleId)),
    [
      { ruleId: 'case-number', count: 1 },
      { ruleId: 'openai-key', count: 1 },
    ],
  );
  assert.equal((await room.rules(tenantId)).version, DEFAULT_REDACTION.version);
  assert.deepEqual(await room.hits(tenantId, 7), []);
});

test('equal values are hashed alike for one tenant and unlike for two', async () => {
  const [a, b] = [await house.newTenant(), await house.newTenant()];
  const rules = { personalData: false, rules: [{ ...OWN, action: 'hash' as const }] };
  const hashOf = async (tenantId: string) => (await room.try(tenantId, rules, 'CASE-7')).after;
  assert.match(String(await hashOf(a)), /^\[hash:case-number:[0-9a-f]{16}\]$/);
  assert.equal(await hashOf(a), await hashOf(a));
  assert.notEqual(await hashOf(a), await hashOf(b));
});

test('a try tells nobody whether a guess is what a stored hash stands for', async () => {
  const tenantId = await house.newTenant();
  const rules = [{ ...OWN, action: 'hash' as const }];
  await change(tenantId, rules);
  const stored = (await room.redactorOf(tenantId)).redactText('CASE-7').text;
  assert.match(stored, /^\[hash:case-number:/);
  assert.notEqual((await room.try(tenantId, undefined, 'CASE-7')).after, stored);
  assert.notEqual((await room.try(tenantId, { personalData: false, rules }, 'CASE-7')).after, stored);
});

test('no tenant reads or writes the rules and counts of another', async () => {
  const [a, b] = [await house.newTenant(), await house.newTenant()];
  await change(a, [OWN]);
  const seen = await database.inTenant(b, (sql) => sql.query('select from redaction_rules where tenant_id = $1', [a]));
  assert.equal(seen.rowCount, 0);
  const write = database.inTenant(b, (sql) =>
    sql.query(`insert into redaction_hits (tenant_id, day, rule_id, hits) values ($1, current_date, 'email', 1)`, [a]),
  );
  await assert.rejects(write, /row-level security/);
  const rewrite = database.inTenant(a, (sql) =>
    sql.query(`update redaction_rules set rules = '{}' where tenant_id = $1`, [a]),
  );
  await assert.rejects(rewrite, /permission denied/);
});
