// Routes of telemetry out: parse the question, ask explore, answer.
import { z } from 'zod';
import { NOT_BILLED_REASONS, picoOf } from '@lumatrace/telemetry';
import { COST_GROUPS, LATENCY_GROUPS, type Explore, type TraceFilter } from '../explore/explore.ts';
import { Problem } from './errors.ts';
import { json, route, type Answer, type Policy, type Route } from './route.ts';

export interface TelemetryOptions {
  explore: Explore;
  nowMs?: () => number;
}

const READ: Policy = { kind: 'scope', scope: 'traces:read' };
const TAG = 'telemetry out';
const DEFAULT_LIMIT = 50;
const MAX_LIMIT = 500;
const MAX_OFFSET = 100_000;
const MAX_TEXT = 200;
const DAY_MS = 86_400_000;
const DEFAULT_RANGE_MS = 7 * DAY_MS;
/** Nothing is kept longer; a wider range would only count empty steps. */
const MAX_RANGE_NS = 3_660n * 86_400_000_000_000n;
const TIME_RANGES_MS = {
  '1h': 3_600_000,
  '6h': 21_600_000,
  '24h': DAY_MS,
  '7d': 7 * DAY_MS,
  '30d': 30 * DAY_MS,
} as const;

const DATE = /^(\d{4}-\d{2}-\d{2})(?:[T ](\d{2}:\d{2})(:\d{2})?(?:\.(\d{1,9}))?(Z|[+-]\d{2}:?\d{2})?)?$/i;

/** What 64 bits of nanoseconds hold (1677-09-21 to 2262-04-11), with room for the longest range around it. */
const FIRST_INSTANT_MS = Date.UTC(1678, 0, 1);
const LAST_INSTANT_MS = Date.UTC(2262, 0, 1);

const instant = z
  .string()
  .max(40)
  .transform((text, context) => {
    const ns = instantOf(text);
    if (ns !== undefined) return ns;
    context.addIssue({ code: 'custom', message: NO_INSTANT });
    return z.NEVER;
  })
  .describe('ISO 8601; a date alone is 00:00 UTC');

/** What is said where {@link instantOf} finds none. */
export const NO_INSTANT = 'Expected a date (2026-11-23) or an ISO 8601 time from 1678 to 2262';

/**
 * ISO 8601 → nanoseconds since 1970; a date alone is 00:00 UTC, and so is a time without an offset. Undefined for what
 * is no such text, for days that there are not, and for times that a column of 64 bits does not hold.
 */
export function instantOf(text: string): bigint | undefined {
  const match = DATE.exec(text.trim());
  if (match === null) return undefined;
  const [, date = '', minute = '00:00', second = ':00', fraction = '', offset = 'Z'] = match;
  const ms = Date.parse(`${date}T${minute}${second}${offset.toUpperCase()}`);
  // the 30th of February is taken for March by some parsers: a date must come back as it was written
  const isReal = !Number.isNaN(ms) && new Date(`${date}T00:00:00Z`).toISOString().startsWith(date);
  const isHeld = ms >= FIRST_INSTANT_MS && ms <= LAST_INSTANT_MS;
  return isReal && isHeld ? BigInt(ms) * 1_000_000n + BigInt(fraction.padEnd(9, '0')) : undefined;
}

const dollars = z
  .string()
  .max(60)
  .transform((text, context) => {
    const pico = picoOf(text);
    if (pico !== undefined && pico >= 0n) return pico;
    context.addIssue({ code: 'custom', message: 'Expected an amount of dollars such as 0.01' });
    return z.NEVER;
  })
  .describe('US dollars, exact decimal');

const milliseconds = z
  .string()
  .regex(/^\d{1,12}(\.\d{1,6})?$/, 'Expected milliseconds')
  .transform((text) => {
    const [whole = '0', fraction = ''] = text.split('.');
    return BigInt(whole) * 1_000_000n + BigInt(fraction.padEnd(6, '0'));
  })
  .describe('Milliseconds');

const label = z.string().min(1).max(MAX_TEXT);
const wholeNumber = (least: number, most: number) =>
  z
    .string()
    .regex(/^\d{1,9}$/, 'Expected a whole number')
    .transform(Number)
    .pipe(z.number().min(least).max(most));

const STATUS_NUMBERS = { unset: 0, ok: 1, error: 2 } as const;
const statusName = z.enum(['ok', 'error', 'unset']);

const listQuery = z.strictObject({
  service: label.optional().describe('A service that any span of the trace has'),
  model: label.optional().describe('A model that any span of the trace has'),
  rootService: label.optional().describe('The service of the root alone'),
  environment: label.optional(),
  endpoint: label.optional(),
  tags: z.string().max(2_000).optional().describe('Comma-separated; the trace has all of them'),
  startDate: instant.optional().describe('Inclusive'),
  endDate: instant.optional().describe('Exclusive'),
  minCost: dollars.optional().describe('What is priced costs at least so many dollars'),
  maxCost: dollars.optional().describe('At most so many dollars; traces with unpriced calls are left out'),
  minLatency: milliseconds.optional(),
  maxLatency: milliseconds.optional(),
  status: statusName.optional(),
  user: label.optional(),
  session: label.optional(),
  q: z
    .string()
    .max(MAX_TEXT)
    .optional()
    .describe(
      'Text in the name, the user or the session, or the beginning of a trace id. Prompts and answers are not searched yet.',
    ),
  limit: wholeNumber(1, MAX_LIMIT).optional().describe(`${DEFAULT_LIMIT} unless told`),
  cursor: z.string().min(1).max(200).optional().describe('nextCursor of the page before, with the same filters'),
  offset: wholeNumber(0, MAX_OFFSET).optional(),
});

function filterOf(query: z.output<typeof listQuery>): TraceFilter {
  const tags = (query.tags ?? '').split(',').map((tag) => tag.trim());
  return {
    fromNs: query.startDate ?? null,
    untilNs: query.endDate ?? null,
    service: query.service ?? null,
    model: query.model ?? null,
    rootService: query.rootService ?? null,
    tags: tags.filter((tag) => tag !== ''),
    minCostPico: query.minCost ?? null,
    maxCostPico: query.maxCost ?? null,
    minLatencyNs: query.minLatency ?? null,
    maxLatencyNs: query.maxLatency ?? null,
    status: query.status === undefined ? null : STATUS_NUMBERS[query.status],
    user: query.user ?? null,
    session: query.session ?? null,
    environment: query.environment ?? null,
    endpoint: query.endpoint ?? null,
    q: query.q === undefined || query.q.trim() === '' ? null : query.q.trim(),
  };
}

const cost = z.string().describe('Exact decimal of US dollars');
const jsonObject = z.record(z.string(), z.unknown());
const itemShape = {
  trace_id: z.string().describe('32 hexadecimal digits'),
  span_id: z.string().describe('16 hexadecimal digits; of a trace: its root'),
  parent_span_id: z.string().nullable(),
  name: z.string(),
  service_name: z.string(),
  model: z.string().nullable(),
  provider: z.string().nullable(),
  prompt: z.string().nullable().describe('The last user message, at most 300 characters'),
  response: z.string().nullable().describe('The answer, at most 300 characters'),
  cost_usd: cost.nullable().describe('Exact decimal of US dollars; null when a billable span has no price'),
  cost_priced_usd: cost.describe('Sum of the spans that have a price'),
  latency_ms: z.number().describe('Last end − first start'),
  prompt_tokens: z.number().int(),
  completion_tokens: z.number().int(),
  status: statusName.describe('Of a trace: error when any span failed, else its root’s'),
  tags: z.array(z.string()),
  metadata: jsonObject.nullable(),
  timestamp: z.string().describe('Start, ISO 8601 UTC'),
  user_id: z.string().nullable(),
  session_id: z.string().nullable(),
  span_count: z.number().int(),
  environment: z.string().nullable(),
  endpoint: z.string().nullable(),
  start_ns: z.string().describe('Nanoseconds since 1970'),
  end_ns: z.string(),
};
const traceShape = {
  ...itemShape,
  error_count: z.number().int(),
  billable_count: z.number().int(),
  unpriced_count: z.number().int(),
  matching_cost_usd: cost
    .nullable()
    .optional()
    .describe('In a list filtered by model or service: the cost of their calls alone; null when one is unpriced'),
  matching_cost_priced_usd: cost.optional(),
};
const traceItem = z.object(traceShape);
const scoreItem = z.object({
  score_id: z.string(),
  trace_id: z.string(),
  span_id: z.string().nullable().describe('null: of the trace as a whole'),
  name: z.string(),
  value: z.number().nullable(),
  label: z.string().nullable(),
  explanation: z.string().nullable(),
  source: z.enum(['sdk', 'api', 'evaluator']),
  timestamp: z.string(),
  metadata: jsonObject,
});
const eventItem = z.object({
  name: z.string(),
  time: z.string(),
  time_ns: z.string(),
  attributes: jsonObject,
  log: z
    .object({
      severity_number: z.number().int(),
      severity_text: z.string(),
      body: z.unknown(),
      service_name: z.string(),
    })
    .optional()
    .describe('Present when the event came as a log record'),
});
const messages = z.object({
  input: z.array(jsonObject),
  output: z.array(jsonObject),
  systemInstructions: z.array(jsonObject),
  toolDefinitions: z.array(z.unknown()),
});
const spanItem = z.object({
  ...itemShape,
  kind: z.string(),
  operation: z.string().nullable(),
  request_model: z.string().nullable(),
  status_message: z.string().nullable(),
  error_type: z.string().nullable(),
  billable: z.boolean(),
  repeats: z
    .object({ span_id: z.string(), reason: z.enum(NOT_BILLED_REASONS) })
    .nullable()
    .describe('Of a span that looks like a call and is not billed: which span is billed for it, and why'),
  usage: z.record(z.string(), z.number()),
  cost_components: z
    .array(z.object({ unit: z.string(), quantity: z.number(), usd: z.string(), per: z.number(), costUsd: z.string() }))
    .nullable(),
  price_version: z.string().nullable(),
  priced_as: z
    .object({
      provider: z.string(),
      model: z.string(),
      override_id: z.string().optional().describe('The override of the tenant that set the price'),
    })
    .nullable(),
  unpriced_reason: z.string().nullable(),
  client_cost_usd: z.string().nullable(),
  photo_id: z.string().nullable(),
  messages: messages.nullable(),
  attributes: jsonObject.nullable(),
  events: z.array(eventItem).nullable(),
  scores: z.array(scoreItem),
  links: z.array(z.object({ trace_id: z.string(), span_id: z.string(), attributes: jsonObject })).nullable(),
  mapped_from: z.record(z.string(), z.string()).nullable().describe('Field → the attribute key that it came from'),
  resource: jsonObject.nullable(),
  scope: z.object({ name: z.string(), version: z.string() }).nullable(),
  issues: z.array(z.string()).describe('What was odd about the span, and what was done about it'),
  dropped: z.object({ attributes: z.number(), events: z.number(), links: z.number() }),
});

const traceParams = z.object({
  traceId: z
    .string()
    .transform((id) => id.replaceAll('-', '').toLowerCase())
    .pipe(z.string().regex(/^[0-9a-f]{32}$/)),
});

const spanParams = traceParams.extend({
  spanId: z
    .string()
    .transform((id) => id.toLowerCase())
    .pipe(z.string().regex(/^[0-9a-f]{16}$/)),
});

const outlineSpan = z.object({
  span_id: z.string(),
  parent_span_id: z.string().optional(),
  name: z.string(),
  service_name: z.string(),
  start_ns: z.string(),
  end_ns: z.string(),
  operation: z.string().optional(),
  model: z.string().optional(),
  status: statusName.optional(),
  prompt_tokens: z.number().int().optional(),
  completion_tokens: z.number().int().optional(),
  billable: z.literal(true).optional(),
  cost_usd: cost.nullable().optional().describe('Of billable spans; null: unpriced'),
});

/** Of an object without other members: a filter that is not there would be answered with the sum of everything. */
export const rangeShape = {
  startDate: instant.optional().describe('Inclusive; 7 days before the end unless told'),
  endDate: instant.optional().describe('Exclusive; now unless told'),
  timeRange: z.enum(['1h', '6h', '24h', '7d', '30d']).optional().describe('The last so long, instead of dates'),
};

export type RangeQuery = {
  startDate?: bigint | undefined;
  endDate?: bigint | undefined;
  timeRange?: keyof typeof TIME_RANGES_MS | undefined;
};

export function rangeOf(
  { startDate, endDate, timeRange }: RangeQuery,
  nowMs: number,
): { fromNs: bigint; untilNs: bigint } {
  // what began in this very millisecond is in the range
  const untilNs = endDate ?? BigInt(Math.floor(nowMs) + 1) * 1_000_000n;
  const lengthMs = timeRange === undefined ? DEFAULT_RANGE_MS : TIME_RANGES_MS[timeRange];
  const fromNs = startDate ?? untilNs - BigInt(lengthMs) * 1_000_000n;
  if (fromNs >= untilNs) throw new Problem('VALIDATION_FAILED', 'Expected a startDate before the endDate.');
  if (untilNs - fromNs > MAX_RANGE_NS) throw new Problem('VALIDATION_FAILED', 'Expected a range of at most ten years.');
  return { fromNs, untilNs };
}

const costFigures = {
  totalCost: cost,
  traceCount: z.number().int(),
  unpricedCount: z.number().int().describe('Billable calls without a price: not in the cost'),
  unpricedTraces: z.number().int(),
};
const groupKey = z.string().nullable().describe('null: without such a name');
const latency = z.number().nullable().describe('Milliseconds; null without traces');
const latencyShape = {
  avgLatency: latency,
  p50Latency: latency,
  p95Latency: latency,
  p99Latency: latency,
  count: z.number().int(),
};
const facet = z.array(z.object({ value: z.string(), count: z.number().int() }));

const REFUSED: Record<number, Answer> = {
  400: { description: 'A parameter is not valid.' },
  401: { description: 'No or unknown credentials.' },
  403: { description: 'The credentials lack traces:read.' },
};

export function telemetryRoutes({ explore, nowMs = Date.now }: TelemetryOptions): Route[] {
  return [
    route({
      method: 'GET',
      path: '/api/traces',
      summary: 'List traces, newest first',
      tag: TAG,
      policy: READ,
      limit: 'api',
      query: listQuery,
      answers: {
        200: {
          description:
            'One item per trace. Name, service, model, prompt and answer are the root’s, or those of the earliest span ' +
            'until a root comes; where it has none, the first model call’s. Cost and tokens are sums over billable spans.',
          schema: z.object({
            data: z.array(traceItem),
            pagination: z.object({
              total: z.number().int().optional().describe('On a first page, up to 10,000'),
              limit: z.number().int(),
              offset: z.number().int().optional(),
              nextCursor: z.string().nullable(),
              hasMore: z.boolean(),
            }),
          }),
        },
        ...REFUSED,
      },
      async handle({ principal, query }) {
        const { cursor, limit = DEFAULT_LIMIT, offset } = query;
        const page = {
          limit,
          ...(cursor === undefined ? {} : { cursor }),
          ...(offset === undefined ? {} : { offset }),
        };
        return json(await explore.list(principal.tenantId, filterOf(query), page));
      },
    }),
    route({
      method: 'GET',
      path: '/api/traces/{traceId}',
      summary: 'One trace with all its spans',
      tag: TAG,
      policy: READ,
      limit: 'api',
      params: traceParams,
      answers: {
        200: {
          description: 'The item of the list with its spans, the earliest first, each with what was said.',
          schema: z.object({
            ...traceShape,
            spans: z.array(spanItem),
            scores: z.array(scoreItem).describe('Of the trace and of its spans'),
            spans_truncated: z.boolean().describe('True beyond 50,000 spans'),
            content_truncated: z
              .boolean()
              .describe('True when what the spans say is more than 128 MiB: the rest is read span by span'),
          }),
        },
        ...REFUSED,
        404: { description: 'There is no such trace here.' },
      },
      async handle({ principal, params }) {
        return json(await explore.trace(principal.tenantId, params.traceId));
      },
    }),
    route({
      method: 'GET',
      path: '/api/traces/{traceId}/outline',
      summary: 'One trace and the shape of its spans, without what they said',
      tag: TAG,
      policy: READ,
      limit: 'api',
      params: traceParams,
      answers: {
        200: {
          description: 'For a waterfall of thousands of spans. What is null, zero, unset or false is left out.',
          schema: z.object({
            ...traceShape,
            spans: z.array(outlineSpan),
            scores: z.array(scoreItem).describe('Of the trace and of its spans'),
            spans_truncated: z.boolean().describe('True beyond 50,000 spans'),
          }),
        },
        ...REFUSED,
        404: { description: 'There is no such trace here.' },
      },
      async handle({ principal, params }) {
        return json(await explore.outline(principal.tenantId, params.traceId));
      },
    }),
    route({
      method: 'GET',
      path: '/api/traces/{traceId}/spans/{spanId}',
      summary: 'One span with what it said',
      tag: TAG,
      policy: READ,
      limit: 'api',
      params: spanParams,
      answers: {
        200: { description: 'The span as the trace answers it.', schema: spanItem },
        ...REFUSED,
        404: { description: 'There is no such span here.' },
      },
      async handle({ principal, params }) {
        return json(await explore.span(principal.tenantId, params.traceId, params.spanId));
      },
    }),
    route({
      method: 'GET',
      path: '/api/analytics/cost',
      summary: 'What the traces of a range cost, by group',
      tag: TAG,
      policy: READ,
      limit: 'api',
      query: z.strictObject({
        ...rangeShape,
        groupBy: z
          .enum(COST_GROUPS)
          .optional()
          .describe('service, model and environment of each call; user, endpoint, date and tenant of the trace'),
      }),
      answers: {
        200: {
          description:
            'Exact sums over the billable spans of the traces that began in the range. avgCost is per trace, rounded ' +
            'to 10⁻¹² dollars.',
          schema: z.object({
            ...costFigures,
            avgCost: cost,
            breakdown: z.array(z.object({ groupKey, ...costFigures })),
          }),
        },
        ...REFUSED,
      },
      async handle({ principal, query }) {
        const range = rangeOf(query, nowMs());
        return json(await explore.cost(principal.tenantId, range, query.groupBy ?? 'service'));
      },
    }),
    route({
      method: 'GET',
      path: '/api/analytics/latency',
      summary: 'How long the traces of a range took, by group',
      tag: TAG,
      policy: READ,
      limit: 'api',
      query: z.strictObject({
        ...rangeShape,
        groupBy: z
          .enum(LATENCY_GROUPS as [string, ...string[]])
          .optional()
          .describe('service and endpoint: whole traces; model: calls of models'),
      }),
      answers: {
        200: {
          description:
            'Percentiles, interpolated between neighbours; the overall ones are of traces. Those of the rows up to 5,000 ' +
            'spans, beyond it from sketches, at most 1 % off. Count and average are exact.',
          schema: z.object({
            ...latencyShape,
            breakdown: z.array(z.object({ groupKey, traceCount: z.number().int(), ...latencyShape })),
          }),
        },
        ...REFUSED,
      },
      async handle({ principal, query }) {
        const group = LATENCY_GROUPS.find((each) => each === query.groupBy) ?? 'service';
        return json(await explore.latency(principal.tenantId, rangeOf(query, nowMs()), group));
      },
    }),
    route({
      method: 'GET',
      path: '/api/analytics/series',
      summary: 'A metric over time, by group',
      tag: TAG,
      policy: READ,
      limit: 'api',
      query: z.strictObject({
        ...rangeShape,
        metric: z.enum(['cost', 'tokens', 'traces', 'spans', 'errors', 'latency']),
        groupBy: z.enum(['none', 'service', 'model', 'status']).optional(),
        interval: z
          .union([z.literal('auto'), z.string().regex(/^\d{1,10}$/, 'Expected auto or milliseconds')])
          .optional()
          .describe('auto, or milliseconds in whole minutes'),
      }),
      answers: {
        200: {
          description:
            'Sums per step over the traces that began in it, so that each equals the list of that time: a span counts to ' +
            'the start of its trace, and a trace in each of its services and models. The first and the last step hold ' +
            'what lies in the range. latency: p50, p95 and p99 of model calls from sketches, at most 1 % off; steps ' +
            'without calls are left out.',
          schema: z.object({
            intervalMs: z.number().int(),
            startDate: z.string(),
            endDate: z.string(),
            omittedSeries: z.number().int().describe('Groups beyond the 50 largest, left out'),
            series: z.array(
              z.object({
                groupKey,
                points: z.array(
                  z.object({
                    t: z.string().describe('Start of the step'),
                    value: z.union([cost, z.number()]).optional(),
                    p50: z.number().optional(),
                    p95: z.number().optional(),
                    p99: z.number().optional(),
                    count: z.number().int().optional(),
                  }),
                ),
              }),
            ),
          }),
        },
        ...REFUSED,
      },
      async handle({ principal, query }) {
        const { metric, groupBy = 'none', interval = 'auto' } = query;
        const intervalMs = interval === 'auto' ? interval : Number(interval);
        const range = rangeOf(query, nowMs());
        return json(await explore.series(principal.tenantId, { range, metric, group: groupBy, intervalMs }));
      },
    }),
    route({
      method: 'GET',
      path: '/api/facets',
      summary: 'The values that filters may take in a range',
      tag: TAG,
      policy: READ,
      limit: 'api',
      query: z.strictObject(rangeShape),
      answers: {
        200: {
          description: 'The most frequent values, each with the number of traces that have it.',
          schema: z.object({
            services: facet,
            models: facet,
            environments: facet,
            tags: facet,
            users: facet,
            statuses: facet,
          }),
        },
        ...REFUSED,
      },
      async handle({ principal, query }) {
        return json(await explore.facets(principal.tenantId, rangeOf(query, nowMs())));
      },
    }),
  ];
}
