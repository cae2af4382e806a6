// Routes of redaction: the rules in force, a new version of them, what they found, and a try before saving.
import {
  MAX_PATTERN_CHARACTERS,
  MAX_TENANT_RULES,
  REDACTION_DETECTORS,
  type Json,
  type RedactionRule,
} from '@lumatrace/telemetry';
import { z } from 'zod';
import type { Explore } from '../explore/explore.ts';
import type { RedactionRoom, ShownRules } from '../redaction/redaction.ts';
import { Problem } from './errors.ts';
import { json, route, type Route } from './route.ts';

const MAX_TRY_CHARACTERS = 200_000;
const MAX_HIT_DAYS = 400;

const RULE = z.object({
  id: z.string().min(1).max(40),
  name: z.string().max(200),
  source: z.enum(['builtin', 'tenant']),
  detector: z.string().max(40).optional(),
  pattern: z.string().max(MAX_PATTERN_CHARACTERS).optional().describe('RE2 syntax; of a rule of the tenant.'),
  action: z.enum(['mask', 'hash', 'drop']),
  enabled: z.boolean(),
  keys: z.string().max(200).optional().describe('Glob of the attribute keys that it is for; absent: every text.'),
});
const SET = z.object({
  personalData: z.boolean().describe('Whether the enabled rules for personal data run; those for secrets always do.'),
  rules: z.array(RULE).max(REDACTION_DETECTORS.length + MAX_TENANT_RULES),
});
const SHOWN = SET.extend({
  version: z.string(),
  changedAt: z.iso.datetime().nullable(),
  changedBy: z.string().nullable(),
  detectors: z.array(
    z.object({ id: z.string(), name: z.string(), kind: z.enum(['secret', 'personal']), example: z.string() }),
  ),
});
const HIT = z.object({ ruleId: z.string(), count: z.number() });

export interface RedactionRoutesOptions {
  redaction: Pick<RedactionRoom, 'rules' | 'change' | 'hits' | 'try'>;
  explore: Pick<Explore, 'trace'>;
}

export function redactionRoutes({ redaction, explore }: RedactionRoutesOptions): Route[] {
  return [
    route({
      method: 'GET',
      path: '/api/redaction',
      summary: 'The rules of redaction in force, for dashboards and SDKs .',
      tag: 'settings',
      policy: { kind: 'scope', scope: 'traces:read', or: ['traces:write', 'keys:admin'] },
      limit: 'api',
      answers: { 200: { description: 'The rules.', schema: SHOWN } },
      async handle({ principal }) {
        return json(answer(await redaction.rules(principal.tenantId)));
      },
    }),
    route({
      method: 'PUT',
      path: '/api/redaction',
      summary:
        'Replace the rules; the new version holds everywhere within five seconds, for what arrives from then on.',
      tag: 'settings',
      policy: { kind: 'scope', scope: 'keys:admin' },
      limit: 'api',
      body: SET.extend({
        version: z
          .string()
          .max(40)
          .optional()
          .describe('The version that was changed; refused when it is not in force.'),
      }),
      answers: { 200: { description: 'The rules as they are now.', schema: SHOWN } },
      async handle({ principal, requestId, body }) {
        const { version, personalData, rules } = body;
        const change = { version, personalData, rules: rules.map(ruleOf) };
        return json(answer(await redaction.change(principal, requestId, change)));
      },
    }),
    route({
      method: 'GET',
      path: '/api/redaction/hits',
      summary: 'How often each rule found something, per UTC day of arrival; at most a few seconds late.',
      tag: 'settings',
      policy: { kind: 'scope', scope: 'traces:read' },
      limit: 'api',
      query: z.object({ days: z.coerce.number().int().min(1).max(MAX_HIT_DAYS).default(7) }),
      answers: {
        200: {
          description: 'Counts, oldest day first.',
          schema: z.object({ data: z.array(z.object({ day: z.iso.date(), ruleId: z.string(), hits: z.number() })) }),
        },
      },
      async handle({ principal, query }) {
        return json({ data: await redaction.hits(principal.tenantId, query.days) });
      },
    }),
    route({
      method: 'POST',
      path: '/api/redaction/try',
      summary: 'What rules do to a text or to a stored span; without rules those in force. Nothing is stored.',
      tag: 'settings',
      policy: { kind: 'scope', scope: 'traces:read' },
      limit: 'api',
      maxBodyBytes: 1_048_576,
      body: z.object({
        rules: SET.optional(),
        text: z.string().max(MAX_TRY_CHARACTERS).optional(),
        traceId: z
          .string()
          .regex(/^[0-9a-fA-F]{32}$/, 'Expected 32 hexadecimal digits')
          .toLowerCase()
          .optional(),
        spanId: z.string().max(16).optional().describe('Absent: the first span of the trace.'),
      }),
      answers: {
        200: {
          description: 'Before and after, and what each rule found.',
          schema: z.object({ before: z.json(), after: z.json(), hits: z.array(HIT) }),
        },
      },
      async handle({ principal, body }) {
        const { rules, text, traceId, spanId } = body;
        const set = rules && { personalData: rules.personalData, rules: rules.rules.map(ruleOf) };
        const content = text ?? (await contentOf(explore, principal.tenantId, traceId, spanId));
        return json(await redaction.try(principal.tenantId, set, content));
      },
    }),
  ];
}

/** Without the members that are absent: `undefined` is no value. */
function ruleOf({ detector, pattern, keys, ...rule }: z.output<typeof RULE>): RedactionRule {
  return {
    ...rule,
    ...(detector === undefined ? {} : { detector }),
    ...(pattern === undefined ? {} : { pattern }),
    ...(keys === undefined || keys === '' ? {} : { keys }),
  };
}

function answer(rules: ShownRules) {
  return { ...rules, detectors: REDACTION_DETECTORS };
}

async function contentOf(
  explore: Pick<Explore, 'trace'>,
  tenantId: string,
  traceId: string | undefined,
  spanId: string | undefined,
): Promise<Json> {
  if (traceId === undefined) throw new Problem('VALIDATION_FAILED', 'Expected a text or a traceId.');
  const trace = await explore.trace(tenantId, traceId);
  const span = trace?.spans.find((each) => spanId === undefined || each.span_id === spanId);
  if (span === undefined) throw new Problem('NOT_FOUND', 'There is no such span.');
  const { name, attributes, events } = span;
  return JSON.parse(JSON.stringify({ name, attributes, events })) as Json;
}
