// Routes of the audit log: search it, export it as JSON lines, ask whether it holds.
import { z } from 'zod';
import type { Access } from '../access/access.ts';
import type { AuditLine } from '../access/audit.ts';
import type { Principal } from '../access/principal.ts';
import { PROOF_FORMAT } from '../access/audit-proof.ts';
import type { Watch } from '../isolation/watch.ts';
import { Problem } from './errors.ts';
import { momentOf } from './moment.ts';
import { json, route, type Route } from './route.ts';

const AUDIT_READ = { kind: 'scope', scope: 'audit:read' } as const;
const OUTCOMES = ['done', 'denied', 'failed'] as const satisfies ReadonlyArray<AuditLine['outcome']>;
const MAX_PAGE = 200;
const INSTANT = z.iso.datetime({ offset: true });
const TEXT = z.string().min(1).max(300);
const HEX = z.string().length(64);
const PLACE = z.coerce.number().int().min(1).max(Number.MAX_SAFE_INTEGER);
const LINE = z.object({
  position: z.number(),
  at: z.iso.datetime(),
  actor: z.string(),
  action: z.string(),
  object: z.string(),
  outcome: z.string(),
  requestId: z.string().nullable(),
  detail: z.unknown(),
  hash: HEX,
});

const ALERT = z.object({
  id: z.uuid(),
  kind: z.string(),
  about: z.string(),
  at: z.iso.datetime(),
  detail: z.record(z.string(), z.unknown()),
});

export interface AuditRoutesOptions {
  access: Pick<Access, 'auditLog' | 'auditAction'>;
  /** Absent where nothing is watched: tests of other routes. */
  watch?: Pick<Watch, 'recent'>;
}

export function auditRoutes({ access, watch }: AuditRoutesOptions): Route[] {
  const { auditLog } = access;
  const note = (principal: Principal, action: string, requestId: string): Promise<void> =>
    access.auditAction(principal, action, `tenant:${principal.tenantId}`, requestId);
  return [
    route({
      method: 'GET',
      path: '/api/v1/audit',
      summary: 'The audit log of the tenant, newest first.',
      tag: 'audit',
      policy: AUDIT_READ,
      limit: 'v1',
      query: z.object({
        actor: TEXT.optional(),
        action: TEXT.optional(),
        object: TEXT.optional(),
        outcome: z.enum(OUTCOMES).optional(),
        requestId: TEXT.optional(),
        from: INSTANT.optional().describe('At this time or later.'),
        to: INSTANT.optional().describe('Before this time.'),
        before: PLACE.optional().describe('The nextBefore of the page before.'),
        limit: z.coerce.number().int().min(1).max(MAX_PAGE).default(50),
      }),
      answers: {
        200: {
          description: 'A page; nextBefore is null on the last one.',
          schema: z.object({ data: z.array(LINE), nextBefore: z.number().nullable() }),
        },
      },
      async handle({ principal, query }) {
        const { before = null, limit, from, to, ...equal } = query;
        const filter = { ...equal, from: inUtc('from', from), to: inUtc('to', to) };
        const { lines, nextBefore } = await auditLog.search(principal.tenantId, filter, { before, limit });
        return json({ data: lines.map(({ tenantId: _tenantId, mac: _mac, ...line }) => line), nextBefore });
      },
    }),
    route({
      method: 'GET',
      path: '/api/v1/audit/export',
      summary:
        'The whole audit log as JSON lines, with signed checkpoints; `./lumatrace audit verify` checks the file.',
      tag: 'audit',
      policy: AUDIT_READ,
      limit: 'v1',
      answers: {
        200: { description: 'A header, every line, checkpoints, an end.', contentType: 'application/x-ndjson' },
      },
      async handle({ principal, requestId, signal }) {
        await note(principal, 'audit.export', requestId);
        const lines = auditLog.export(principal.tenantId);
        return new Response(streamOf(lines, signal), {
          headers: {
            'content-type': 'application/x-ndjson',
            'content-disposition': 'attachment; filename="audit.jsonl"',
          },
        });
      },
    }),
    route({
      method: 'GET',
      path: '/api/v1/audit/verification',
      summary: 'Read the whole chain against its keys and checkpoints, and say whether it holds.',
      tag: 'audit',
      policy: AUDIT_READ,
      limit: 'v1',
      answers: {
        200: {
          description: 'The finding is null when the chain holds; else it names the first place that does not.',
          schema: z.object({
            lines: z.number(),
            checkpoints: z.number(),
            finding: z.object({ fault: z.string(), position: z.number(), because: z.string() }).nullable(),
          }),
        },
      },
      async handle({ principal }) {
        const { lines, checkpoints, finding } = await auditLog.verify(principal.tenantId);
        return json({ lines, checkpoints, finding: finding ?? null });
      },
    }),
    route({
      method: 'GET',
      path: '/api/v1/audit/lines/{position}/proof',
      summary:
        'Prove one line of the log to somebody who may see no other; `./lumatrace audit verify-line` checks it offline.',
      tag: 'audit',
      policy: AUDIT_READ,
      limit: 'v1',
      params: z.object({ position: z.string() }),
      answers: {
        200: {
          description: 'The line, the hash before it, a signed checkpoint and the path to its Merkle root (RFC 6962).',
          schema: z.object({
            format: z.literal(PROOF_FORMAT),
            publicKey: z.string(),
            line: LINE.extend({ tenantId: z.uuid() }),
            before: HEX,
            checkpoint: z.string(),
            proof: z.array(z.string()).max(64),
          }),
        },
        404: { description: 'There is no such line.' },
      },
      async handle({ principal, params }) {
        const position = PLACE.safeParse(params.position);
        const proof = position.success ? await auditLog.prove(principal.tenantId, position.data) : undefined;
        if (proof === undefined) throw new Problem('NOT_FOUND', 'There is no such line, or its chain does not hold.');
        return json(proof);
      },
    }),
    route({
      method: 'GET',
      path: '/api/v1/audit/alerts',
      summary: 'What the program noticed: bursts of failures, gaps in the log, holes in the isolation; newest first.',
      tag: 'audit',
      policy: AUDIT_READ,
      limit: 'api',
      answers: {
        200: {
          description:
            'At most 100. Those about the installation as a whole are shown to the tenant that the first start made.',
          schema: z.object({ data: z.array(ALERT) }),
        },
      },
      async handle({ principal }) {
        const alerts = (await watch?.recent(principal.tenantId)) ?? [];
        return json({
          data: alerts.map(({ id, kind, about, at, detail }) => ({ id, kind, about, at: at.toISOString(), detail })),
        });
      },
    }),
    route({
      method: 'GET',
      path: '/api/v1/audit/checkpoints',
      summary: 'The signed checkpoints of the log, one note after the other: keep them elsewhere.',
      tag: 'audit',
      policy: AUDIT_READ,
      limit: 'v1',
      answers: {
        200: { description: 'Notes of C2SP tlog-checkpoint, oldest first.', contentType: 'text/plain' },
      },
      async handle({ principal }) {
        const { notes } = await auditLog.checkpoints(principal.tenantId);
        return new Response(notes.join('\n'), {
          headers: {
            'content-type': 'text/plain; charset=utf-8',
            'content-disposition': 'attachment; filename="audit.checkpoints"',
          },
        });
      },
    }),
  ];
}

/** Reads ahead no further than the reader does; ends the reading when the reader goes. */
function inUtc(name: string, text: string | undefined): string | undefined {
  return text === undefined ? undefined : momentOf(name, text).toISOString();
}

function streamOf(lines: AsyncGenerator<string>, signal: AbortSignal): ReadableStream<Uint8Array> {
  const encoder = new TextEncoder();
  return new ReadableStream({
    async pull(controller) {
      const { done, value } = signal.aborted ? { done: true, value: undefined } : await lines.next();
      if (done === true || value === undefined) controller.close();
      else controller.enqueue(encoder.encode(value));
    },
    async cancel() {
      await lines.return(undefined);
    },
  });
}
