// Routes of metrics out: which there are, and one over time.
import { z } from 'zod';
import type { MetricReader } from '../explore/metrics.ts';
import { json, route, type Answer, type Policy, type Route } from './route.ts';
import { rangeOf, rangeShape } from './telemetry.ts';

export interface MetricRoutesOptions {
  metricReader: MetricReader;
  nowMs?: () => number;
}

const READ: Policy = { kind: 'scope', scope: 'traces:read' };
const TAG = 'telemetry out';
const REFUSED: Record<number, Answer> = {
  400: { description: 'A parameter is not valid.' },
  401: { description: 'No or unknown credentials.' },
  403: { description: 'The credentials lack traces:read.' },
};

const figure = z.number().nullable().optional();

export function metricRoutes({ metricReader, nowMs = Date.now }: MetricRoutesOptions): Route[] {
  return [
    route({
      method: 'GET',
      path: '/api/metrics',
      summary: 'The GenAI metrics that were sent',
      tag: TAG,
      policy: READ,
      limit: 'api',
      answers: {
        200: {
          description: 'By name; at most 1,000. Metrics of other names are taken but not kept.',
          schema: z.object({
            data: z.array(
              z.object({
                name: z.string(),
                unit: z.string(),
                description: z.string(),
                kind: z.string(),
                temporality: z.string(),
                series: z.number().int().describe('Different sets of attributes and sources'),
                services: z.array(z.string()),
                attributeKeys: z.array(z.string()).describe('What groupBy may name'),
                firstDay: z.string(),
                lastDay: z.string(),
              }),
            ),
          }),
        },
        ...REFUSED,
      },
      async handle({ principal }) {
        return json({ data: await metricReader.list(principal.tenantId) });
      },
    }),
    route({
      method: 'GET',
      path: '/api/metrics/{name}',
      summary: 'One GenAI metric over time, by group',
      tag: TAG,
      policy: READ,
      limit: 'api',
      params: z.object({ name: z.string().min(1).max(200) }),
      query: z.strictObject({
        ...rangeShape,
        groupBy: z
          .string()
          .min(1)
          .max(200)
          .optional()
          .describe('An attribute such as gen_ai.token.type, or service, or environment'),
        interval: z
          .union([z.literal('auto'), z.string().regex(/^\d{1,10}$/, 'Expected auto or milliseconds')])
          .optional()
          .describe('auto, or milliseconds in whole minutes'),
      }),
      answers: {
        200: {
          description:
            'Sums: what was added in each step. Gauges: the mean, least and most measured. Histograms: count, sum, mean, and ' +
            'percentiles interpolated inside the buckets that were sent. Cumulative series are differenced, across restarts too.',
          schema: z.object({
            name: z.string(),
            unit: z.string(),
            description: z.string(),
            kind: z.string(),
            intervalMs: z.number().int(),
            startDate: z.string(),
            endDate: z.string(),
            groupBy: z.string().nullable(),
            omittedSeries: z.number().int().describe('Groups beyond the 50 largest, left out'),
            series: z.array(
              z.object({
                groupKey: z.string().nullable().describe('null: without this attribute'),
                count: z.number(),
                sum: z.number(),
                points: z.array(
                  z.object({
                    t: z.string().describe('Start of the step; steps without points are left out'),
                    value: z.number().optional(),
                    count: z.number(),
                    sum: z.number().optional(),
                    avg: z.number().optional(),
                    min: figure,
                    max: figure,
                    p50: figure,
                    p95: figure,
                    p99: figure,
                  }),
                ),
              }),
            ),
          }),
        },
        ...REFUSED,
        404: { description: 'There is no such metric here.' },
      },
      async handle({ principal, params, query }) {
        const { groupBy, interval = 'auto' } = query;
        const intervalMs = interval === 'auto' ? interval : Number(interval);
        const range = rangeOf(query, nowMs());
        return json(await metricReader.read(principal.tenantId, params.name, { ...range, groupBy, intervalMs }));
      },
    }),
  ];
}
