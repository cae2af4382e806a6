// Routes of prices: the table and the tenant's overrides, what a call would cost, and pricing stored spans again.
import { usdOf, type PriceOverride, type Usage } from '@lumatrace/telemetry';
import { z } from 'zod';
import { quote, type Prices, type PricesShown } from '../prices/prices.ts';
import type { DryRun, PriceChange, Recost } from '../prices/recost.ts';
import { Problem } from './errors.ts';
import { json, route, type Policy, type Route } from './route.ts';
import { instantOf, NO_INSTANT } from './telemetry.ts';

export interface PriceRoutesOptions {
  prices: Prices;
  recost: Recost;
  nowMs?: () => number;
}

const TAG = 'prices';
const READ: Policy = { kind: 'scope', scope: 'traces:read' };
const WRITE: Policy = { kind: 'scope', scope: 'prices:write' };
const MAX_COUNT = 1_000_000_000_000;
const MAX_BODY_BYTES = 1024 * 1024;

const usd = z.string().regex(/^\d{1,12}(?:\.\d{1,12})?$/, 'Expected a decimal of US dollars such as "2.50"');
const price = z.union([
  usd,
  z.object({ base: usd, tiers: z.array(z.tuple([z.number().int().min(0).max(MAX_COUNT), usd])).max(10) }).strict(),
]);
const pattern = z.string().trim().min(1).max(200);
const modelRule = z.union([
  z.object({ equals: pattern }).strict(),
  z.object({ starts_with: pattern }).strict(),
  z.object({ ends_with: pattern }).strict(),
  z.object({ contains: pattern }).strict(),
  z.object({ regex: pattern }).strict(),
]);
const override = z
  .object({
    id: z.string().regex(/^[\w-]{1,64}$/),
    model: modelRule.describe('Compared with the model that answered, without regard to case; regex: RE2 syntax'),
    provider: z.string().trim().min(1).max(200).optional().describe('As spans name it; every provider when left out'),
    serviceTier: z
      .string()
      .trim()
      .min(1)
      .max(200)
      .optional()
      .describe('batch, flex, priority, …; * for every tier; left out: calls of no special tier'),
    from: z.string().max(40).optional().describe('ISO 8601 with zone, or a day (00:00 UTC); inclusive'),
    until: z.string().max(40).optional().describe('Exclusive'),
    prices: z
      .record(z.string().max(60), price)
      .refine((prices) => Object.keys(prices).length <= 60, 'Expected at most 60 prices')
      .describe(
        'US dollars by unit, keys as in genai-prices: input_mtok, output_mtok, cache_read_mtok, requests_kcount, …',
      ),
    note: z.string().max(500).optional(),
  })
  .strict();
const overrides = z.array(override).max(500);

const shown = z.object({
  version: z.string().describe('Name of the table and of the overrides, as each span carries it'),
  sha256: z.string().describe('Of the price table'),
  table: z.object({
    source: z.string(),
    version: z.string(),
    sha256: z.string(),
    models: z.number().int(),
    installedAt: z.string().nullable().describe('null: the table of the release'),
    installedBy: z.string().nullable(),
  }),
  overridesVersion: z.number().int(),
  overrides: z.array(override),
  changedAt: z.string().nullable(),
  changedBy: z.string().nullable(),
});

const count = z.number().min(0).max(MAX_COUNT).optional();
const call = z.object({
  provider: z.string().max(200).optional(),
  model: z.string().min(1).max(256),
  serviceTier: z.string().max(200).optional(),
  serverAddress: z.string().max(255).optional(),
  at: z.string().max(40).optional().describe('When the call is made; now when left out'),
  inputTokens: count.describe('Cached ones included'),
  outputTokens: count.describe('Reasoning included'),
  cacheReadTokens: count,
  cacheCreationTokens: count,
  reasoningTokens: count,
  inputAudioTokens: count,
  outputAudioTokens: count,
  inputImageTokens: count,
  counts: z
    .record(z.string().max(60), z.number().min(0).max(MAX_COUNT))
    .optional()
    .describe('Further counts by unit: output_image_tokens, audio_seconds, web_searches, …'),
  overrides: overrides.optional().describe('Not saved: try them before they are'),
});

const change = {
  spans: z.number().int(),
  changed: z.number().int(),
  unpricedBefore: z.number().int(),
  unpricedAfter: z.number().int(),
  oldUsd: z.string(),
  newUsd: z.string(),
  differenceUsd: z.string(),
};
const dryRun = z.object({
  dryRun: z.literal(true),
  ...change,
  traces: z.number().int(),
  tracesTotal: z.number().int(),
  isComplete: z.boolean().describe('false: the range was too long for one answer; the sums are of its first traces'),
  priceVersion: z.string(),
  models: z.array(z.object({ provider: z.string().nullable(), model: z.string().nullable(), ...change })),
});
const run = z.object({
  recostId: z.uuid(),
  state: z.enum(['queued', 'running', 'completed', 'cancelled', 'failed']),
  from: z.string(),
  to: z.string(),
  priceVersion: z.string(),
  tracesTotal: z.number().int(),
  tracesDone: z.number().int(),
  ...change,
  error: z.string().nullable(),
  createdBy: z.string(),
  createdAt: z.string(),
  updatedAt: z.string(),
});

export function priceRoutes({ prices, recost, nowMs = Date.now }: PriceRoutesOptions): Route[] {
  return [
    route({
      method: 'GET',
      path: '/api/prices',
      summary: 'The price table in use and the tenant’s overrides, in the order of precedence.',
      tag: TAG,
      policy: READ,
      limit: 'api',
      answers: { 200: { description: 'The prices; the ETag is the version of the overrides.', schema: shown } },
      async handle({ principal }) {
        return shownAnswer(await prices.read(principal.tenantId));
      },
    }),
    route({
      method: 'PUT',
      path: '/api/prices',
      summary: 'Put overrides in place of those of a version. Spans that arrive from now on are priced by them.',
      tag: TAG,
      policy: WRITE,
      limit: 'api',
      maxBodyBytes: MAX_BODY_BYTES,
      body: z.object({
        overridesVersion: z
          .number()
          .int()
          .min(0)
          .optional()
          .describe('The version that was read; or send it as If-Match'),
        overrides,
      }),
      answers: { 200: { description: 'The prices as they are now.', schema: shown } },
      async handle({ principal, requestId, request, body }) {
        const overridesVersion = body.overridesVersion ?? matchedVersion(request.headers.get('if-match'));
        if (overridesVersion === undefined) {
          throw new Problem(
            'VALIDATION_FAILED',
            'Expected overridesVersion, or If-Match, with the version that was read.',
          );
        }
        const change = { overridesVersion, overrides: body.overrides as PriceOverride[] };
        return shownAnswer(await prices.write(principal, requestId, change));
      },
    }),
    route({
      method: 'POST',
      path: '/api/prices/quote',
      summary: 'What a call would cost and by which rule; with overrides that are not saved, too.',
      tag: TAG,
      policy: READ,
      limit: 'api',
      maxBodyBytes: MAX_BODY_BYTES,
      body: call,
      answers: {
        200: {
          description: 'The bill, or why there is none.',
          schema: z.object({
            costUsd: z.string().nullable(),
            components: z.array(
              z.object({
                unit: z.string(),
                quantity: z.number(),
                usd: z.string(),
                per: z.number(),
                costUsd: z.string(),
              }),
            ),
            priceVersion: z.string(),
            why: z.string(),
            unpricedReason: z.string().nullable(),
            provider: z.string().nullable(),
            model: z.string().nullable(),
            overrideId: z.string().nullable(),
          }),
        },
      },
      async handle({ principal, body }) {
        const { provider, model, serviceTier, serverAddress, at, counts, overrides: draft, ...usage } = body;
        const atNs = at === undefined ? BigInt(nowMs()) * 1_000_000n : instantOf(at);
        if (atNs === undefined) throw new Problem('VALIDATION_FAILED', `"at" in the body: ${NO_INSTANT}.`);
        const book = await prices.bookWith(principal.tenantId, draft as PriceOverride[] | undefined);
        const rules = (draft as PriceOverride[] | undefined) ?? (await prices.read(principal.tenantId)).overrides;
        const quoted = quote(
          book,
          {
            provider,
            model,
            serviceTier,
            serverAddress,
            atMs: Number(atNs / 1_000_000n),
            usage: usage as Usage,
            counts: counts === undefined ? undefined : new Map(Object.entries(counts)),
          },
          rules,
        );
        const { costPico, components, providerId, modelId, ...rest } = quoted;
        return json({
          ...rest,
          costUsd: costPico === null ? null : usdOf(costPico),
          components: components.map(({ costPico: pico, ...line }) => ({ ...line, costUsd: usdOf(pico) })),
          provider: providerId,
          model: modelId,
        });
      },
    }),
    route({
      method: 'GET',
      path: '/api/prices/recost',
      summary: 'The last runs that priced stored spans again, newest first.',
      tag: TAG,
      policy: READ,
      limit: 'api',
      answers: { 200: { description: 'The runs.', schema: z.object({ data: z.array(run) }) } },
      async handle({ principal }) {
        return json({ data: (await recost.list(principal.tenantId)).map(runAnswer) });
      },
    }),
    route({
      method: 'POST',
      path: '/api/prices/recost',
      summary:
        'Price the spans of the traces that began in a range again; dryRun tells the difference and changes nothing.',
      tag: TAG,
      policy: WRITE,
      limit: 'api',
      body: z.object({
        from: z.string().max(40).describe('Inclusive, ISO 8601'),
        to: z.string().max(40).describe('Exclusive'),
        dryRun: z.boolean().default(true),
      }),
      answers: {
        200: { description: 'What would change (dryRun).', schema: dryRun },
        202: { description: 'The run that was started.', schema: run },
      },
      async handle({ principal, requestId, body }) {
        const [fromNs, untilNs] = [instantOf(body.from), instantOf(body.to)];
        if (fromNs === undefined) throw new Problem('VALIDATION_FAILED', `"from" in the body: ${NO_INSTANT}.`);
        if (untilNs === undefined) throw new Problem('VALIDATION_FAILED', `"to" in the body: ${NO_INSTANT}.`);
        if (untilNs <= fromNs) throw new Problem('VALIDATION_FAILED', 'Expected "from" before "to".');
        const range = { fromNs, untilNs };
        if (body.dryRun) return json(dryRunAnswer(await recost.dryRun(principal.tenantId, range)));
        return json(runAnswer(await recost.start(principal, requestId, range)), 202);
      },
    }),
    route({
      method: 'GET',
      path: '/api/prices/recost/{recostId}',
      summary: 'How far a run is.',
      tag: TAG,
      policy: READ,
      limit: 'api',
      params: z.object({ recostId: z.uuid() }),
      answers: { 200: { description: 'The run.', schema: run } },
      async handle({ principal, params }) {
        return json(runAnswer(await recost.read(principal.tenantId, params.recostId)));
      },
    }),
    route({
      method: 'DELETE',
      path: '/api/prices/recost/{recostId}',
      summary: 'Cancel a run; what it has priced already stays as it is.',
      tag: TAG,
      policy: WRITE,
      limit: 'api',
      params: z.object({ recostId: z.uuid() }),
      answers: { 200: { description: 'The run as it is now.', schema: run } },
      async handle({ principal, requestId, params }) {
        return json(runAnswer(await recost.cancel(principal, requestId, params.recostId)));
      },
    }),
  ];
}

function matchedVersion(ifMatch: string | null): number | undefined {
  const version = /^(?:W\/)?"(\d{1,9})"$/.exec(ifMatch?.trim() ?? '')?.[1];
  return version === undefined ? undefined : Number(version);
}

function shownAnswer({ priceVersion, table, changedAt, ...rest }: PricesShown): Response {
  const body = {
    version: priceVersion,
    sha256: table.sha256,
    table: { ...table, installedAt: table.installedAt?.toISOString() ?? null },
    ...rest,
    changedAt: changedAt?.toISOString() ?? null,
  };
  return json(body, 200, { etag: `"${rest.overridesVersion}"` });
}

function changeAnswer({ spans, changed, unpricedBefore, unpricedAfter, oldPico, newPico }: PriceChange): object {
  return {
    spans,
    changed,
    unpricedBefore,
    unpricedAfter,
    oldUsd: usdOf(oldPico),
    newUsd: usdOf(newPico),
    differenceUsd: usdOf(newPico - oldPico),
  };
}

function dryRunAnswer({ traces, tracesTotal, isComplete, priceVersion, models, ...sums }: DryRun): object {
  return {
    dryRun: true,
    ...changeAnswer(sums),
    traces,
    tracesTotal,
    isComplete,
    priceVersion,
    models: models.map(({ provider, model, ...own }) => ({ provider, model, ...changeAnswer(own) })),
  };
}

type Run = Awaited<ReturnType<Recost['read']>>;

function runAnswer(row: Run): object {
  return {
    recostId: row.recostId,
    state: row.state,
    from: isoOf(row.fromNs),
    to: isoOf(row.untilNs),
    priceVersion: row.priceVersion,
    tracesTotal: row.tracesTotal,
    tracesDone: row.tracesDone,
    ...changeAnswer({
      spans: Number(row.spansSeen),
      changed: Number(row.spansChanged),
      unpricedBefore: Number(row.unpricedBefore),
      unpricedAfter: Number(row.unpricedAfter),
      oldPico: BigInt(row.oldPico),
      newPico: BigInt(row.newPico),
    }),
    error: row.error,
    createdBy: row.createdBy,
    createdAt: row.createdAt.toISOString(),
    updatedAt: row.updatedAt.toISOString(),
  };
}

function isoOf(ns: string): string {
  return new Date(Number(BigInt(ns) / 1_000_000n)).toISOString();
}
