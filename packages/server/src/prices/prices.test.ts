// The tenant's prices from the rule to the charts: overrides, tables of operators, and pricing stored spans again.
import assert from 'node:assert/strict';
import { createHash, randomUUID } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { usdOf, type PriceOverride } from '@lumatrace/telemetry';
import type { Egress } from '../egress/egress.ts';
import { testRoom, NOW_MS, type OtlpSpan } from '../ingest/fixtures/room.ts';
import { recostBatch } from '../ingest/recost.ts';
import { insertTable, readInstalledTable } from '../storage/postgres/prices.ts';
import { DIMENSIONS, TIERS } from '../storage/postgres/rollups.ts';
import { createPrices, quote } from './prices.ts';
import { createRecost } from './recost.ts';
import { installTable } from './table.ts';

const clock = { nowMs: NOW_MS };
const room = await testRoom({ priceBookOf: (tenantId) => prices.bookOf(tenantId) });
const { database } = room.db;
const prices = createPrices({ database, nowMs: () => clock.nowMs });
const queued: { tenantId: string; recostId: string }[] = [];
const recost = createRecost({
  database,
  bookOf: (tenantId) => prices.bookOf(tenantId),
  async priceAgain(tenantId, range, position, terms) {
    const key = await room.tenantKeys.forTenant(tenantId);
    return recostBatch(database, tenantId, range, position, { key, ...terms });
  },
  enqueue: async (payload) => void queued.push(payload),
});
const folder = await mkdtemp(join(tmpdir(), 'lumatrace-prices-'));
after(async () => {
  await room.close();
  await rm(folder, { recursive: true });
});

const NOW_NS = BigInt(NOW_MS) * 1_000_000n;
const EVERYTHING = { fromNs: 0n, untilNs: NOW_NS + 1n };
const HOUSE: PriceOverride = {
  id: 'house',
  model: { starts_with: 'house-' },
  prices: { input_mtok: '1', output_mtok: '4' },
};

function call(trace: number, model: string, attributes: Record<string, string | number> = {}): OtlpSpan {
  return {
    traceId: trace.toString(16).padStart(32, '0'),
    spanId: '00000000000000aa',
    name: 'chat',
    startNs: NOW_NS - 60_000_000_000n - BigInt(trace),
    endNs: NOW_NS - 50_000_000_000n,
    attributes: {
      'gen_ai.operation.name': 'chat',
      'gen_ai.provider.name': 'openai',
      'gen_ai.request.model': model,
      'gen_ai.usage.input_tokens': 1_000,
      'gen_ai.usage.output_tokens': 500,
      ...attributes,
    },
  };
}

const someone = (tenantId: string) => ({ tenantId, subject: 'account:test' });

async function setOverrides(tenantId: string, overrides: PriceOverride[]): Promise<void> {
  const { overridesVersion } = await prices.read(tenantId);
  await prices.write(someone(tenantId), randomUUID(), { overridesVersion, overrides });
}

/** Sums of rows, of summaries and of the chart's cells. */
async function sums(tenantId: string): Promise<Record<string, string | null>[]> {
  return database.inTenant(tenantId, async (sql) => {
    const rows = await sql.query<Record<string, string | null>>(
      `select coalesce(sum(cost_pico), 0)::text as cost, count(*) filter (where cost_pico is null)::text as unpriced
       from spans where billable`,
    );
    const summaries = await sql.query<Record<string, string | null>>(
      'select sum(cost_pico)::text as cost, sum(unpriced_count)::text as unpriced from traces',
    );
    const cells = await sql.query<Record<string, string | null>>(
      'select sum(cost_pico)::text as cost, sum(unpriced)::text as unpriced from rollups where dimension = $1 and tier = $2',
      [DIMENSIONS.spans, TIERS.minute],
    );
    return [rows.rows[0] ?? {}, summaries.rows[0] ?? {}, cells.rows[0] ?? {}];
  });
}

async function costUsd(tenantId: string): Promise<string> {
  const [rows, ...others] = await sums(tenantId);
  for (const other of others) assert.deepEqual(other, rows);
  return usdOf(BigInt(rows?.['cost'] ?? 0));
}

test('an override prices the spans that arrive after it, and names its version on them', async () => {
  const tenantId = await room.newTenant();
  await room.send(tenantId, [call(1, 'house-7b')]);
  assert.equal(await costUsd(tenantId), '0');
  await setOverrides(tenantId, [HOUSE]);
  await room.send(tenantId, [call(2, 'House-7B')]);
  // 1,000 × 1 + 500 × 4 per million
  assert.equal(await costUsd(tenantId), '0.003');
  const { rows } = await database.inTenant(tenantId, (sql) =>
    sql.query<{ version: string }>('select price_version as version from spans where cost_pico is not null'),
  );
  assert.deepEqual(rows, [{ version: '@pydantic/genai-prices 0.1.8 + overrides 1' }]);
});

function rule(id: string, model: PriceOverride['model'], more: Partial<PriceOverride> = {}): PriceOverride {
  return { id, model, prices: { input_mtok: '1', output_mtok: '1' }, ...more };
}

test('the first override that applies counts, then the table; each condition must hold', async () => {
  const tenantId = await room.newTenant();
  const list = [
    rule('old', { equals: 'gpt-4o' }, { until: '2026-11-01' }),
    rule('batch', { contains: '4o' }, { serviceTier: 'batch' }),
    rule('azure', { ends_with: '4o' }, { provider: 'azure' }),
    rule('dated', { regex: '^gpt-4o-\\d{4}-\\d{2}-\\d{2}$' }),
    rule('any', { starts_with: 'gpt-4o-mini' }, { serviceTier: '*' }),
  ];
  await setOverrides(tenantId, list);
  const book = await prices.bookOf(tenantId);
  const usage = { inputTokens: 1_000, outputTokens: 500 };
  const asked = (call: { model: string; provider?: string; serviceTier?: string; atMs?: number }) =>
    quote(book, { atMs: NOW_MS, provider: 'openai', usage, ...call }, list);
  assert.equal(asked({ model: 'gpt-4o' }).overrideId, null);
  assert.equal(asked({ model: 'gpt-4o', atMs: Date.UTC(2026, 9, 31, 23) }).overrideId, 'old');
  assert.equal(asked({ model: 'gpt-4o', serviceTier: 'batch' }).overrideId, 'batch');
  assert.equal(asked({ model: 'gpt-4o', provider: 'Azure' }).overrideId, 'azure');
  assert.equal(asked({ model: 'gpt-4o-2024-08-06' }).overrideId, 'dated');
  assert.equal(asked({ model: 'gpt-4o-mini', serviceTier: 'flex' }).overrideId, 'any');
  assert.match(asked({ model: 'gpt-4o-2024-08-06' }).why, /Override 4 applies.*matches "\^gpt-4o/);
  assert.match(asked({ model: 'gpt-4o' }).why, /the table knows the model as gpt-4o of openai/);
  assert.match(asked({ model: 'nobody-knows' }).why, /unknown model/);
});

test('of two changes from the same version the second is refused, and each change has its audit line', async () => {
  const tenantId = await room.newTenant();
  const write = (overridesVersion: number) =>
    prices.write(someone(tenantId), randomUUID(), { overridesVersion, overrides: [HOUSE] });
  const [first, second] = await Promise.allSettled([write(0), write(0)]);
  const outcomes = [first, second].map(({ status }) => status).sort();
  assert.deepEqual(outcomes, ['fulfilled', 'rejected']);
  await assert.rejects(write(7), { code: 'CONFLICT' });
  const { rows } = await database.inTenant(tenantId, (sql) => sql.query('select action, object from audit'));
  assert.deepEqual(rows, [{ action: 'prices.write', object: 'prices:1' }]);
});

test('a book is compiled again only when its overrides or the table change', async () => {
  const tenantId = await room.newTenant();
  await setOverrides(tenantId, [HOUSE]);
  const first = await prices.bookOf(tenantId);
  clock.nowMs += 10_000;
  assert.equal(await prices.bookOf(tenantId), first);
  await setOverrides(tenantId, [{ ...HOUSE, id: 'other' }]);
  assert.notEqual(await prices.bookOf(tenantId), first);
});

test('overrides that cannot be used are refused with the place', async () => {
  const tenantId = await room.newTenant();
  const wrong: [Partial<PriceOverride>, RegExp][] = [
    [{ model: { regex: '(unclosed' } }, /overrides\[0\]\.model\.regex/],
    [{ model: { regex: '(a)\\1' } }, /RE2/],
    [{ prices: {} }, /overrides\[0\]\.prices/],
    [{ prices: { input_mtok: 'free' } }, /overrides\[0\]\.prices\.input_mtok/],
    [{ prices: { input_gallons: '1' } }, /input_gallons/],
    [{ from: 'yesterday' }, /overrides\[0\]\.from/],
    [{ from: '2026-11-02', until: '2026-11-01' }, /later than/],
    [{ prices: { output_mtok: '1' } }, /overrides\[0\]\.prices\.input_mtok/],
    [{ from: '2026-02-31' }, /overrides\[0\]\.from/],
    [{ until: '2026-02-29T10:00Z' }, /overrides\[0\]\.until/],
    [{ model: { regex: '(?:a{0,30}b?){0,30}Ndq$' } }, /overrides\[0\]\.model\.regex: Expected at most 1000 steps/],
  ];
  for (const [change, message] of wrong) {
    const overrides = [{ ...HOUSE, ...change }];
    await assert.rejects(
      prices.write(someone(tenantId), randomUUID(), { overridesVersion: 0, overrides }),
      (error: Error & { code: string }) => error.code === 'VALIDATION_FAILED' && message.test(error.message),
    );
  }
  await assert.rejects(
    prices.write(someone(tenantId), randomUUID(), { overridesVersion: 0, overrides: [HOUSE, HOUSE] }),
    /there twice/,
  );
  const patterns = Array.from({ length: 60 }, (_, i) => ({
    ...HOUSE,
    id: `r${i}`,
    model: { regex: `^m${i}-[a-z]{9}$` },
  }));
  await assert.rejects(
    prices.write(someone(tenantId), randomUUID(), { overridesVersion: 0, overrides: patterns }),
    /overrides\[\d\d\]\.model\.regex: Expected at most 1000 steps of all patterns together/,
  );
  await assert.rejects(prices.bookWith(tenantId, patterns), /of all patterns together/);
});

test('one tenant’s overrides are nobody else’s', async () => {
  const [mine, theirs] = [await room.newTenant(), await room.newTenant()];
  await setOverrides(mine, [HOUSE]);
  assert.deepEqual((await prices.read(theirs)).overrides, []);
  await room.send(theirs, [call(1, 'house-7b')]);
  assert.equal(await costUsd(theirs), '0');
});

test('a dry run tells the difference and changes nothing; the run changes rows, blocks, summaries and charts', async () => {
  const tenantId = await room.newTenant();
  // more than a batch, so that a run takes several
  await room.send(
    tenantId,
    Array.from({ length: 150 }, (_, i) => call(i + 1, i % 3 === 0 ? 'house-7b' : 'gpt-4o')),
  );
  assert.equal(await costUsd(tenantId), '0.75');
  await setOverrides(tenantId, [HOUSE, { ...HOUSE, id: 'deal', model: { equals: 'gpt-4o' } }]);
  const before = await sums(tenantId);
  const dry = await recost.dryRun(tenantId, EVERYTHING);
  assert.deepEqual(await sums(tenantId), before);
  assert.ok(dry.isComplete);
  assert.deepEqual(
    [dry.traces, dry.spans, dry.changed, dry.unpricedBefore, dry.unpricedAfter, usdOf(dry.oldPico), usdOf(dry.newPico)],
    [150, 150, 150, 50, 0, '0.75', '0.45'],
  );
  assert.deepEqual(
    dry.models.map(({ model, changed, oldPico, newPico }) => [model, changed, usdOf(oldPico), usdOf(newPico)]),
    [
      ['gpt-4o', 100, '0.75', '0.3'],
      ['house-7b', 50, '0', '0.15'],
    ],
  );

  const started = await recost.start(someone(tenantId), randomUUID(), EVERYTHING);
  assert.deepEqual(queued.at(-1), { tenantId, recostId: started.recostId });
  await assert.rejects(recost.start(someone(tenantId), randomUUID(), EVERYTHING), { code: 'CONFLICT' });
  await recost.work(tenantId, started.recostId, new AbortController().signal);
  const done = await recost.read(tenantId, started.recostId);
  assert.deepEqual(
    [done.state, done.tracesDone, Number(done.spansChanged), usdOf(BigInt(done.oldPico)), usdOf(BigInt(done.newPico))],
    ['completed', 150, 150, '0.75', '0.45'],
  );
  assert.equal(await costUsd(tenantId), '0.45');

  // once more changes nothing
  const again = await recost.dryRun(tenantId, EVERYTHING);
  assert.deepEqual([again.changed, usdOf(again.oldPico), usdOf(again.newPico)], [0, '0.45', '0.45']);
  await recost.work(tenantId, started.recostId, new AbortController().signal);
  assert.equal(await costUsd(tenantId), '0.45');
});

test('a run that was stopped goes on where it was, and a cancelled one stays where it is', async () => {
  const tenantId = await room.newTenant();
  await room.send(
    tenantId,
    Array.from({ length: 250 }, (_, i) => call(i + 1, 'house-7b')),
  );
  await setOverrides(tenantId, [HOUSE]);
  const { recostId } = await recost.start(someone(tenantId), randomUUID(), EVERYTHING);
  // stopped after the first batch
  const stop = new AbortController();
  const stopping = createRecost({
    database,
    bookOf: (id) => prices.bookOf(id),
    enqueue: async () => {},
    async priceAgain(id, range, position, terms) {
      const key = await room.tenantKeys.forTenant(id);
      const batch = await recostBatch(database, id, range, position, { key, ...terms });
      stop.abort();
      return batch;
    },
  });
  await assert.rejects(stopping.work(tenantId, recostId, stop.signal), { name: 'AbortError' });
  assert.equal((await recost.read(tenantId, recostId)).tracesDone, 100);
  assert.equal(await costUsd(tenantId), '0.3');
  await recost.work(tenantId, recostId, new AbortController().signal);
  assert.deepEqual([(await recost.read(tenantId, recostId)).tracesDone, await costUsd(tenantId)], [250, '0.75']);

  const next = await recost.start(someone(tenantId), randomUUID(), EVERYTHING);
  assert.equal((await recost.cancel(someone(tenantId), randomUUID(), next.recostId)).state, 'cancelled');
  await recost.work(tenantId, next.recostId, new AbortController().signal);
  assert.equal((await recost.read(tenantId, next.recostId)).tracesDone, 0);
});

test('a run that ends by a fault says so, and the next may start', async () => {
  const tenantId = await room.newTenant();
  await room.send(tenantId, [call(1, 'house-7b')]);
  const { recostId } = await recost.start(someone(tenantId), randomUUID(), EVERYTHING);
  const broken = createRecost({
    database,
    bookOf: (id) => prices.bookOf(id),
    enqueue: async () => {},
    priceAgain: () => Promise.reject(new Error('no such key')),
  });
  await assert.rejects(broken.work(tenantId, recostId, new AbortController().signal), /no such key/);
  const { state, error } = await recost.read(tenantId, recostId);
  assert.deepEqual([state, error], ['failed', 'It ended by a fault; what it had priced stays.']);
  const next = await recost.start(someone(tenantId), randomUUID(), EVERYTHING);
  await recost.work(tenantId, next.recostId, new AbortController().signal);
  assert.equal((await recost.read(tenantId, next.recostId)).state, 'completed');
});

/** data.json as genai-prices writes it. */
const UPSTREAM = [
  {
    id: 'openai',
    name: 'OpenAI',
    api_pattern: 'https://api\\.openai\\.com',
    model_match: { starts_with: 'gpt-' },
    models: [
      {
        id: 'gpt-4o',
        match: { starts_with: 'gpt-4o' },
        prices: [
          { prices: { input_mtok: 2.5, output_mtok: { base: 10, tiers: [{ start: 1_000, price: 0.1 }] } } },
          { constraint: { start_date: '2026-11-01' }, prices: { input_mtok: 2.123456789012, output_mtok: 10 } },
        ],
      },
    ],
  },
];

async function fileOf(content: unknown): Promise<{ from: string; sha256: string; by: string }> {
  const text = typeof content === 'string' ? content : JSON.stringify(content);
  const from = join(folder, `${randomUUID()}.json`);
  await writeFile(from, text);
  return { from, sha256: createHash('sha256').update(text).digest('hex'), by: 'test' };
}

test('a table that is wrong is refused whole, and the one in use stays', async () => {
  const source = await fileOf(UPSTREAM);
  const refused: [() => Promise<unknown>, RegExp][] = [
    [() => installTable(database, { ...source, sha256: '0'.repeat(64) }), /Expected a file with the SHA-256/],
    [() => installTable(database, { ...source, sha256: 'abc' }), /64 hexadecimal/],
    [
      () => installTable(database, { from: 'https://prices.example/data.json', by: 'test' }),
      /SHA-256 beside the address/,
    ],
    [() => installTable(database, { from: join(folder, 'none.json'), by: 'test' }), /ENOENT/],
    [async () => installTable(database, await fileOf('{')), /Expected JSON/],
    [async () => installTable(database, await fileOf([])), /models/],
    [
      async () =>
        installTable(database, await fileOf([{ ...UPSTREAM[0], models: [{ id: 'x', match: { like: 'x' } }] }])),
      /rule/,
    ],
    [
      async () =>
        installTable(
          database,
          await fileOf([{ ...UPSTREAM[0], models: [{ id: 'x', match: { equals: 'x' }, prices: { input_mtok: -1 } }] }]),
        ),
      /price/,
    ],
    [
      async () =>
        installTable(
          database,
          await fileOf([{ ...UPSTREAM[0], models: [{ id: 'x', match: { regex: '(' }, prices: { input_mtok: 1 } }] }]),
        ),
      /regular expression/i,
    ],
  ];
  for (const [attempt, message] of refused) {
    await assert.rejects(
      attempt(),
      (error: Error & { code: string }) => error.code === 'VALIDATION_FAILED' && message.test(error.message),
    );
  }
  clock.nowMs += 60_000;
  assert.equal((await prices.read(await room.newTenant())).table.installedAt, null);
});

test('a table from a file prices every tenant, in exact decimals, and is named', async () => {
  const source = await fileOf(UPSTREAM);
  assert.equal((await installTable(database, source)).isNew, true);
  assert.equal((await installTable(database, source)).isNew, false);
  clock.nowMs += 60_000;
  const tenantId = await room.newTenant();
  const { table } = await prices.read(tenantId);
  assert.deepEqual(
    [table.source, table.sha256, table.models, table.installedBy],
    ['genai-prices data.json', source.sha256, 1, 'test'],
  );
  await room.send(tenantId, [call(1, 'gpt-4o')]);
  // 1,000 × 2.123456789012 + 500 × 10 per million
  assert.equal(await costUsd(tenantId), '0.007123456789');
});

test('the role of requests reads the table and cannot install one', async () => {
  const tenantId = await room.newTenant();
  const row = { source: 'x', version: '1', sha256: '0'.repeat(64), models: 0, compressed: new Uint8Array(), by: 'x' };
  const denied = { code: '42501' };
  await assert.rejects(
    database.inTenant(tenantId, (sql) => insertTable(sql, row)),
    denied,
  );
  await assert.rejects(
    database.inLookup('prices', (sql) => insertTable(sql, row)),
    denied,
  );
  assert.ok(await database.inLookup('prices', readInstalledTable));
});

/** What leads outside, answering this to everything. */
function answering(text: string): Egress {
  return async () => ({ status: 200, headers: {}, body: Buffer.from(text) });
}

test('a table is fetched from a pinned address', async () => {
  const content = JSON.stringify([{ ...UPSTREAM[0], name: 'Another' }]);
  const sha256 = createHash('sha256').update(content).digest('hex');
  const source = { from: 'https://prices.example/data.json', sha256, by: 'test' };
  assert.equal((await installTable(database, source, { egress: answering(content) })).isNew, true);
  await assert.rejects(installTable(database, source, { egress: answering(`${content} `) }), /SHA-256/);
  const inside = { ...source, from: 'https://169.254.169.254/data.json' };
  await assert.rejects(installTable(database, inside), /outside of the public internet/);
});
