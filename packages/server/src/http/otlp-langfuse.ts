// What Langfuse's clients ask for beside OTLP (their spans arrive at /api/public/otel/v1/traces, see otlp.ts): a sign of
// life, the project behind a key, leave to upload media, and scores. Credentials are ours: any user, the key as password.
// Source: the public API of Langfuse (fern definition in langfuse/langfuse), as @langfuse/otel and the clients call it.
import { z } from 'zod';
import type { LogRecord, SpanContext } from '@lumatrace/telemetry';
import type { LogIngest } from '../ingest/logs.ts';
import { asProblem } from './errors.ts';
import { json, route, type Answer, type Policy, type Route } from './route.ts';

export interface LangfuseOptions {
  logs: Pick<LogIngest, 'accept'>;
  /** Name and retention of the tenant. */
  tenant(tenantId: string): Promise<{ name: string; retentionDays: number }>;
  version: string;
  nowMs?: () => number;
}

const TAG = "telemetry in, Langfuse's clients";
const WRITE: Policy = { kind: 'scope', scope: 'traces:write' };
const MAX_EVENTS = 1_000;
const MAX_BATCH_BYTES = 4 * 1024 * 1024;
const REFUSED: Record<number, Answer> = {
  400: { description: 'The body is not valid.' },
  401: { description: 'No or unknown credentials.' },
  403: { description: 'The credentials lack traces:write.' },
};

const NO_SCORE = 'Expected a valid score-create event; spans come over OTLP.';
const NOT_KEPT = 'Expected a timestamp within the retention of the tenant and at most 24 hours ahead.';

const scoreBody = z.object({
  traceId: z.string().regex(/^[0-9a-fA-F]{32}$/),
  observationId: z
    .string()
    .regex(/^[0-9a-fA-F]{16}$/)
    .nullish(),
  name: z.string().min(1).max(200),
  value: z.union([z.number(), z.string(), z.boolean()]).nullish(),
  comment: z.string().max(10_000).nullish(),
  metadata: z.unknown().optional(),
});
type ScoreBody = z.output<typeof scoreBody>;

const batchEvent = z.object({
  id: z.string().max(200),
  type: z.string().max(100),
  timestamp: z.string().max(60).optional(),
  body: z.unknown(),
});

export function langfuseRoutes({ logs, tenant, version, nowMs = Date.now }: LangfuseOptions): Route[] {
  return [
    route({
      method: 'GET',
      path: '/api/public/health',
      summary: 'Sign of life',
      tag: TAG,
      policy: { kind: 'public', because: 'clients ask before they have a key; it says nothing but that we answer' },
      limit: 'none',
      answers: { 200: { description: 'OK.', schema: z.object({ status: z.literal('OK'), version: z.string() }) } },
      handle: () => Promise.resolve(json({ status: 'OK', version })),
    }),
    route({
      method: 'GET',
      path: '/api/public/projects',
      summary: 'The tenant behind the key, as their check of credentials reads it',
      tag: TAG,
      policy: WRITE,
      limit: 'none',
      answers: {
        200: {
          description: 'One project: the tenant.',
          schema: z.object({
            data: z.array(
              z.object({
                id: z.string(),
                name: z.string(),
                organization: z.object({ id: z.string(), name: z.string() }),
                metadata: z.object({}),
                retentionDays: z.number().int(),
              }),
            ),
          }),
        },
        ...REFUSED,
      },
      async handle({ principal: { tenantId } }) {
        const { name, retentionDays } = await tenant(tenantId);
        const project = { id: tenantId, name, organization: { id: tenantId, name }, metadata: {}, retentionDays };
        return json({ data: [project] });
      },
    }),
    route({
      method: 'POST',
      path: '/api/public/media',
      summary: 'Leave to upload media: never given, because none is kept',
      tag: TAG,
      policy: WRITE,
      limit: 'none',
      body: z.object({ sha256Hash: z.string().min(22).max(64) }),
      answers: {
        200: {
          description:
            'uploadUrl is null, which tells the client that there is nothing to upload. The reference to the medium stays ' +
            'in the span; the medium itself is not kept.',
          schema: z.object({ mediaId: z.string(), uploadUrl: z.null() }),
        },
        ...REFUSED,
      },
      handle({ body }) {
        // their clients compare it with what they made of the hash themselves
        const mediaId = body.sha256Hash.replaceAll('+', '-').replaceAll('/', '_').slice(0, 22);
        return Promise.resolve(json({ mediaId, uploadUrl: null }));
      },
    }),
    route({
      method: 'POST',
      path: '/api/public/ingestion',
      summary: 'Scores in batches; other events are refused one by one',
      tag: TAG,
      policy: WRITE,
      limit: 'none',
      body: z.object({ batch: z.array(batchEvent).max(MAX_EVENTS) }),
      maxBodyBytes: MAX_BATCH_BYTES,
      answers: {
        207: {
          description: 'What became of each event. Spans come over OTLP; events of their older API are not taken.',
          schema: z.object({
            successes: z.array(z.object({ id: z.string(), status: z.number().int() })),
            errors: z.array(z.object({ id: z.string(), status: z.number().int(), message: z.string() })),
          }),
        },
        ...REFUSED,
      },
      async handle({ principal, body }) {
        const nowNs = BigInt(Math.floor(nowMs())) * 1_000_000n;
        const scored = body.batch.map((event) => ({ event, score: scoreOf(event) }));
        const valid = scored.flatMap(({ event, score }) => (score === undefined ? [] : [{ event, score }]));
        const records = valid.map(({ event, score }) => recordOf(score, event.timestamp, nowNs));
        const decoded = { records, rejected: { count: 0, messages: [] }, recordCount: records.length };
        const { outside } = await logs
          .accept(principal.tenantId, decoded, JSON.stringify(body).length)
          .catch((error: unknown) => {
            throw asProblem(error);
          });
        const late = new Set(outside.map((place) => valid[place]!.event));
        const refusals = scored.flatMap(({ event, score }) => {
          const message = score === undefined ? NO_SCORE : late.has(event) ? NOT_KEPT : undefined;
          return message === undefined ? [] : [{ id: event.id, status: 400, message }];
        });
        const taken = valid.filter(({ event }) => !late.has(event));
        return json({ successes: taken.map(({ event }) => ({ id: event.id, status: 201 })), errors: refusals }, 207);
      },
    }),
  ];
}

function scoreOf({ type, body }: z.output<typeof batchEvent>): ScoreBody | undefined {
  if (type !== 'score-create') return undefined;
  const parsed = scoreBody.safeParse(body);
  return parsed.success ? parsed.data : undefined;
}

const CONTEXT: SpanContext = {
  serviceName: 'langfuse',
  serviceVersion: undefined,
  environment: undefined,
  scopeName: 'langfuse-sdk',
  scopeVersion: '',
  schemaUrl: '',
  resourceAttributes: {},
  scopeAttributes: {},
  rawResource: '',
  rawScope: '',
};

/** The score as the evaluation result that it is, so that quota, redaction and repetition are those of log records. */
function recordOf(score: ScoreBody, timestamp: string | undefined, nowNs: bigint): LogRecord {
  const ms = timestamp === undefined ? Number.NaN : Date.parse(timestamp);
  const { name, value, comment, metadata } = score;
  return {
    context: CONTEXT,
    timeNs: Number.isNaN(ms) ? nowNs : BigInt(ms) * 1_000_000n,
    observedNs: nowNs,
    severityNumber: 0,
    severityText: '',
    eventName: 'gen_ai.evaluation.result',
    body: null,
    attributes: {
      'gen_ai.evaluation.name': name,
      ...(typeof value === 'number' || typeof value === 'boolean'
        ? { 'gen_ai.evaluation.score.value': Number(value) }
        : {}),
      ...(typeof value === 'string' ? { 'gen_ai.evaluation.score.label': value } : {}),
      ...(typeof comment === 'string' ? { 'gen_ai.evaluation.explanation': comment } : {}),
      ...(metadata === undefined || metadata === null ? {} : { metadata: JSON.stringify(metadata) }),
    },
    traceId: score.traceId.toLowerCase(),
    spanId: score.observationId?.toLowerCase(),
    droppedAttributes: 0,
    raw: JSON.stringify({ score, timestamp }),
  };
}
