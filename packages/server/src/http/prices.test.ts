// Prices over HTTP, on a real PostgreSQL: who may, which version, and what is refused.
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { createPrices, type Prices } from '../prices/prices.ts';
import { createRecost, type Recost } from '../prices/recost.ts';
import { openHouse } from '../test/house.ts';
import { priceRoutes } from './prices.ts';

/** The rooms need the database, which opens with the house: until then only their names are known. */
let rooms: { prices: Prices; recost: Recost };
const prices: Prices = {
  bookOf: (tenantId) => rooms.prices.bookOf(tenantId),
  read: (tenantId) => rooms.prices.read(tenantId),
  write: (...change) => rooms.prices.write(...change),
  bookWith: (...asked) => rooms.prices.bookWith(...asked),
};
const recost: Recost = {
  dryRun: (...asked) => rooms.recost.dryRun(...asked),
  start: (...asked) => rooms.recost.start(...asked),
  list: (tenantId) => rooms.recost.list(tenantId),
  read: (...asked) => rooms.recost.read(...asked),
  cancel: (...asked) => rooms.recost.cancel(...asked),
  work: (...asked) => rooms.recost.work(...asked),
};
const house = await openHouse({ routes: () => priceRoutes({ prices, recost }) });
after(() => house.close());
const { database } = house.db;
const book = createPrices({ database });
rooms = {
  prices: book,
  recost: createRecost({
    database,
    bookOf: (tenantId) => book.bookOf(tenantId),
    enqueue: async () => {},
    priceAgain: async () => ({
      traces: 0,
      spans: 0,
      changed: 0,
      unpricedBefore: 0,
      unpricedAfter: 0,
      oldPico: 0n,
      newPico: 0n,
      models: new Map(),
      last: null,
    }),
  }),
};

const owner = { authorization: `Bearer ${house.firstRun.apiKey}` };
const HOUSE_PRICE = { id: 'house', model: { starts_with: 'house-' }, prices: { input_mtok: '1', output_mtok: '4' } };

async function ask<Answer = Record<string, unknown>>(
  method: string,
  path: string,
  body?: unknown,
  headers: Record<string, string> = owner,
): Promise<{ status: number; etag: string | null; body: Answer }> {
  const response = await house.ask(method, path, { headers, ...(body !== undefined && { body }) });
  return { status: response.status, etag: response.headers.get('etag'), body: (await response.json()) as Answer };
}

async function keyWith(scopes: string[]): Promise<Record<string, string>> {
  const { body } = await ask<{ apiKey: string }>('POST', '/api/keys', { name: 'k', scopes });
  return { authorization: `Bearer ${body.apiKey}` };
}

test('prices are read with traces:read and changed with prices:write', async () => {
  const reader = await keyWith(['traces:read']);
  assert.equal((await ask('GET', '/api/prices', undefined, reader)).status, 200);
  const change = { overridesVersion: 0, overrides: [] };
  assert.equal((await ask('PUT', '/api/prices', change, reader)).status, 403);
  const dates = { from: '2026-11-01', to: '2026-11-02' };
  assert.equal((await ask('POST', '/api/prices/recost', dates, reader)).status, 403);
  const sender = await keyWith(['traces:write']);
  assert.equal((await ask('GET', '/api/prices', undefined, sender)).status, 403);
});

test('a change names the version that was read, in the body or as If-Match', async () => {
  const { etag, body } = await ask<{ overridesVersion: number }>('GET', '/api/prices');
  assert.equal(etag, `"${body.overridesVersion}"`);
  const written = await ask<{ version: string }>(
    'PUT',
    '/api/prices',
    { overrides: [HOUSE_PRICE] },
    { ...owner, 'if-match': etag ?? '' },
  );
  assert.deepEqual([written.status, written.etag], [200, '"1"']);
  assert.equal(written.body.version, '@pydantic/genai-prices 0.1.8 + overrides 1');
  assert.equal((await ask('PUT', '/api/prices', { overrides: [] })).status, 400);
  const stale = await ask<{ code: string }>('PUT', '/api/prices', { overrides: [] }, { ...owner, 'if-match': '"0"' });
  assert.deepEqual([stale.status, stale.body.code], [409, 'CONFLICT']);
  assert.equal((await ask('PUT', '/api/prices', { overridesVersion: 1, overrides: [HOUSE_PRICE] })).etag, '"2"');
});

test('what is wrong with a price is named', async () => {
  const { etag } = await ask('GET', '/api/prices');
  const overridesVersion = Number(etag?.replaceAll('"', ''));
  for (const [change, named] of [
    [{ model: { like: 'x' } }, /model/],
    [{ model: { regex: '(' } }, /overrides\[0\]\.model\.regex/],
    [{ prices: { input_mtok: -1 } }, /input_mtok/],
    [{ prices: { input_mtok: '1e9' } }, /input_mtok/],
    [{ prices: { nothing_mtok: '1' } }, /nothing_mtok/],
    [{ until: 'soon' }, /until/],
    [{ colour: 'blue' }, /colour/i],
  ] as const) {
    const { status, body } = await ask<{ code: string; message: string }>('PUT', '/api/prices', {
      overridesVersion,
      overrides: [{ ...HOUSE_PRICE, ...change }],
    });
    assert.deepEqual([status, body.code], [400, 'VALIDATION_FAILED'], JSON.stringify(change));
    assert.match(JSON.stringify(body), named);
  }
});

test('a quote tells the exact cost and the rule, also of prices that are not saved', async () => {
  const call = { model: 'gpt-4o-2024-08-06', provider: 'openai', inputTokens: 1_000, outputTokens: 500 };
  const known = await ask<{ costUsd: string; model: string; why: string }>('POST', '/api/prices/quote', call);
  assert.deepEqual([known.body.costUsd, known.body.model], ['0.0075', 'gpt-4o']);
  const draft = {
    ...call,
    overrides: [{ id: 'deal', model: { equals: 'gpt-4o-2024-08-06' }, prices: { input_mtok: '1' } }],
  };
  const tried = await ask<{ costUsd: string; overrideId: string; why: string }>('POST', '/api/prices/quote', draft);
  assert.deepEqual([tried.body.costUsd, tried.body.overrideId], ['0.001', 'deal']);
  assert.match(tried.body.why, /Override 1 applies.*the model is "gpt-4o-2024-08-06"/);
  const dated = await ask<{ costUsd: string }>('POST', '/api/prices/quote', {
    ...call,
    at: '2026-11-01T12:00:00+01:00',
  });
  assert.equal(dated.body.costUsd, '0.0075');
  const unknown = await ask<{ costUsd: null; unpricedReason: string }>('POST', '/api/prices/quote', {
    ...call,
    model: 'nobody',
  });
  assert.deepEqual([unknown.body.costUsd, unknown.body.unpricedReason], [null, 'unknown_model']);
  const seconds = {
    model: 'whisper-large-v3',
    provider: 'groq',
    counts: { audio_seconds: 3_600, input_audio_seconds: 3_600 },
  };
  assert.equal((await ask<{ costUsd: string }>('POST', '/api/prices/quote', seconds)).body.costUsd, '0.111');
  for (const at of ['noon', '9999-12-31', '2026-02-30']) {
    assert.equal((await ask('POST', '/api/prices/quote', { ...call, at })).status, 400);
  }
  const tooMuch = [{ id: 'x', model: { regex: '(?:a{0,30}b?){0,30}' }, prices: { input_mtok: '1' } }];
  const refused = await ask<{ code: string; message: string }>('POST', '/api/prices/quote', {
    ...call,
    overrides: tooMuch,
  });
  assert.deepEqual([refused.status, refused.body.code], [400, 'VALIDATION_FAILED']);
  assert.match(refused.body.message, /of all patterns together/);
});

test('a run is started, shown, and cancelled once; another tenant’s id is no id', async () => {
  const dates = { from: '2026-11-01', to: '2026-11-02' };
  assert.equal((await ask('POST', '/api/prices/recost', dates)).body['dryRun'], true);
  assert.equal((await ask('POST', '/api/prices/recost', { from: '2026-11-02', to: '2026-11-01' })).status, 400);
  for (const [wrong, named] of [
    [{ from: '0001-01-01' }, /"from" in the body/],
    [{ to: '9999-12-31' }, /"to" in the body/],
    [{ to: '2026-11-31' }, /"to" in the body/],
  ] as const) {
    const { status, body } = await ask<{ message: string }>('POST', '/api/prices/recost', { ...dates, ...wrong });
    assert.equal(status, 400);
    assert.match(body.message, named);
  }
  const all = { from: '1678-01-01', to: '2262-01-01' };
  assert.equal((await ask('POST', '/api/prices/recost', all)).status, 200);
  const started = await ask<{ recostId: string }>('POST', '/api/prices/recost', { ...dates, dryRun: false });
  assert.equal(started.status, 202);
  assert.equal((await ask('POST', '/api/prices/recost', { ...dates, dryRun: false })).status, 409);
  const path = `/api/prices/recost/${started.body.recostId}`;
  assert.equal((await ask('GET', path)).body['state'], 'queued');
  assert.equal((await ask('DELETE', path)).body['state'], 'cancelled');
  assert.equal((await ask('DELETE', path)).body['state'], 'cancelled');
  const listed = await ask<{ data: unknown[] }>('GET', '/api/prices/recost');
  assert.equal(listed.body.data.length, 1);
  assert.equal((await ask('GET', '/api/prices/recost/00000000-0000-4000-8000-000000000000')).status, 404);
});
