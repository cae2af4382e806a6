// What a list shows of a trace, summed from its spans. Merging in any order gives the same summary, so late and
// out-of-order spans need no second look at the others.
import { previewOf, type Json, type Preview, type Span } from '@lumatrace/telemetry';
import type { TenantKey } from '../keys/tenant-key.ts';
import type { SealedSummary, TraceRow, TraceState } from '../storage/postgres/traces.ts';
import { traceAad } from '../storage/sealed.ts';
import { looksLikeCall } from './billing.ts';
import type { Recorded } from './record.ts';

/** Where a span stands among those of its trace: the preferred kind, then what says something, the earliest, the smaller id. */
interface Rank {
  /** A root among spans; a call that is no embedding among calls. */
  isPreferred: boolean;
  /** A call that carries content: a client library's own span, without any, does not stand in for it. */
  says?: boolean;
  startNs: bigint;
  spanId: bigint;
}

/** The span that names the trace: its root, or the earliest span until a root comes. */
interface Lead extends Rank {
  parentSpanId: bigint | null;
  name: string;
  service: string;
  environment: string | null;
  endpoint: string | null;
  status: number;
  model: string | null;
  provider: string | null;
  metadata: { [key: string]: Json } | null;
  preview: Preview;
}

/** The first call of a model, standing in where the lead has no model, prompt or answer; embeddings come after the rest. */
interface ModelCall extends Rank {
  model: string | null;
  provider: string | null;
  preview: Preview;
}

/** A label of the first span that has one. */
interface Labelled extends Rank {
  label: string;
}

export interface Summary {
  traceId: string;
  retentionClass: number;
  startNs: bigint;
  endNs: bigint;
  spanCount: number;
  /** Spans that look like calls, billed or described by another. */
  callCount: number;
  billableCount: number;
  unpricedCount: number;
  errorCount: number;
  costPico: bigint;
  inputTokens: number;
  outputTokens: number;
  services: Set<string>;
  models: Set<string>;
  tags: Set<string>;
  /** Of billable spans without a price; '' stands for a span without such a name. */
  unpricedModels: Set<string>;
  unpricedServices: Set<string>;
  days: Set<number>;
  lead: Lead;
  call: ModelCall | null;
  user: Labelled | null;
  session: Labelled | null;
}

const MODEL_OPERATIONS = new Set(['chat', 'generate_content', 'text_completion', 'embeddings']);
const EMBEDDINGS = 'embeddings';
const ERROR = 2;
/** Distinct names kept per trace for its filters, the alphabetically first. */
const MAX_NAMES = 64;
const MAX_TAGS = 128;
/** Metadata beyond this is on the span only. */
const MAX_METADATA_LENGTH = 65_536;

/** The summary of some spans of one trace; at least one. */
export function summaryOf(spans: readonly Recorded[]): Summary {
  const first = spans[0];
  if (first === undefined) throw new TypeError('Expected at least one span to summarise');
  let lead = first;
  let call: Recorded | undefined;
  let user: Recorded | undefined;
  let session: Recorded | undefined;
  const summary = emptySummary(first.row.traceId, first.row.startNs);
  for (const each of spans) {
    addTo(summary, each);
    if (leads(rankOf(each), rankOf(lead))) lead = each;
    if (isModelCall(each) && (call === undefined || leads(callRankOf(each), callRankOf(call)))) call = each;
    if (each.row.userId !== null && (user === undefined || leads(rankOf(each), rankOf(user)))) user = each;
    if (each.row.sessionId !== null && (session === undefined || leads(rankOf(each), rankOf(session)))) session = each;
  }
  const leadPreview = preview(lead.span);
  return {
    ...summary,
    lead: leadOf(lead, leadPreview),
    call: call === undefined ? null : callOf(call, call === lead ? leadPreview : preview(call.span)),
    user: user === undefined ? null : { ...rankOf(user), label: user.row.userId as string },
    session: session === undefined ? null : { ...rankOf(session), label: session.row.sessionId as string },
  };
}

type Sums = Omit<Summary, 'lead' | 'call' | 'user' | 'session'>;

function emptySummary(traceId: string, startNs: bigint): Sums {
  return {
    traceId,
    retentionClass: 0,
    startNs,
    endNs: startNs,
    spanCount: 0,
    callCount: 0,
    billableCount: 0,
    unpricedCount: 0,
    errorCount: 0,
    costPico: 0n,
    inputTokens: 0,
    outputTokens: 0,
    services: new Set(),
    models: new Set(),
    tags: new Set(),
    unpricedModels: new Set(),
    unpricedServices: new Set(),
    days: new Set(),
  };
}

function addTo(summary: Sums, { span, row }: Recorded): void {
  summary.spanCount++;
  if (row.startNs < summary.startNs) summary.startNs = row.startNs;
  if (row.endNs > summary.endNs) summary.endNs = row.endNs;
  if (row.retentionClass > summary.retentionClass) summary.retentionClass = row.retentionClass;
  if (row.status === ERROR) summary.errorCount++;
  summary.services.add(row.service);
  if (row.model !== null) summary.models.add(row.model);
  if (span.tags !== undefined) for (const tag of span.tags) summary.tags.add(tag);
  summary.days.add(row.day);
  if (looksLikeCall(row)) summary.callCount++;
  if (!row.billable) return;
  summary.billableCount++;
  if (row.costPico === null) {
    summary.unpricedCount++;
    summary.unpricedModels.add(row.model ?? '');
    summary.unpricedServices.add(row.service);
  } else summary.costPico += row.costPico;
  summary.inputTokens += row.inputTokens ?? 0;
  summary.outputTokens += row.outputTokens ?? 0;
}

function rankOf({ row }: Recorded): Rank {
  return { isPreferred: row.parentSpanId === null, startNs: row.startNs, spanId: row.spanId };
}

function leads(a: Rank, b: Rank): boolean {
  if (a.isPreferred !== b.isPreferred) return a.isPreferred;
  const says = a.says === true;
  return says === (b.says === true) ? precedes(a, b) : says;
}

function precedes(a: Rank, b: Rank): boolean {
  return a.startNs === b.startNs ? a.spanId < b.spanId : a.startNs < b.startNs;
}

function isModelCall({ row }: Recorded): boolean {
  return looksLikeCall(row) || (row.operation !== null && MODEL_OPERATIONS.has(row.operation));
}

function callRankOf({ row, span }: Recorded): Rank {
  const says = span.contentKeys.length > 0 || span.events.length > 0;
  return { isPreferred: row.operation !== EMBEDDINGS, says, startNs: row.startNs, spanId: row.spanId };
}

function preview(span: Span): Preview {
  return previewOf(span.messages);
}

function leadOf(lead: Recorded, leadPreview: Preview): Lead {
  const { parentSpanId, name, service, environment, endpoint, status, model, provider } = lead.row;
  return {
    ...rankOf(lead),
    parentSpanId,
    name,
    service,
    environment,
    endpoint,
    status,
    model,
    provider,
    metadata: boundedMetadata(lead.span),
    preview: leadPreview,
  };
}

function boundedMetadata({ metadata }: Span): { [key: string]: Json } | null {
  if (metadata === undefined) return null;
  return JSON.stringify(metadata).length <= MAX_METADATA_LENGTH ? metadata : null;
}

function callOf(call: Recorded, callPreview: Preview): ModelCall {
  const { model, provider } = call.row;
  return { ...callRankOf(call), model, provider, preview: callPreview };
}

/** The summary of the spans of both, which must have none in common. */
export function merged(a: Summary, b: Summary): Summary {
  return {
    traceId: a.traceId,
    retentionClass: Math.max(a.retentionClass, b.retentionClass),
    startNs: a.startNs < b.startNs ? a.startNs : b.startNs,
    endNs: a.endNs > b.endNs ? a.endNs : b.endNs,
    spanCount: a.spanCount + b.spanCount,
    callCount: a.callCount + b.callCount,
    billableCount: a.billableCount + b.billableCount,
    unpricedCount: a.unpricedCount + b.unpricedCount,
    errorCount: a.errorCount + b.errorCount,
    costPico: a.costPico + b.costPico,
    inputTokens: a.inputTokens + b.inputTokens,
    outputTokens: a.outputTokens + b.outputTokens,
    services: a.services.union(b.services),
    models: a.models.union(b.models),
    tags: a.tags.union(b.tags),
    unpricedModels: a.unpricedModels.union(b.unpricedModels),
    unpricedServices: a.unpricedServices.union(b.unpricedServices),
    days: a.days.union(b.days),
    lead: leads(b.lead, a.lead) ? b.lead : a.lead,
    call: first(a.call, b.call),
    user: first(a.user, b.user),
    session: first(a.session, b.session),
  };
}

function first<R extends Rank>(a: R | null, b: R | null): R | null {
  if (a === null || b === null) return a ?? b;
  return leads(b, a) ? b : a;
}

/** The row, with everything that was said sealed. */
export function traceRow(summary: Summary, key: TenantKey): TraceRow {
  const {
    lead,
    call,
    user,
    session,
    services,
    models,
    tags,
    unpricedModels,
    unpricedServices,
    days,
    callCount,
    ...sums
  } = summary;
  const kept = {
    lead: { ...written(lead), parentSpanId: lead.parentSpanId === null ? null : String(lead.parentSpanId) },
    call: written(call),
    user: written(user),
    session: written(session),
    calls: callCount,
  };
  return {
    ...sums,
    status: summary.errorCount > 0 ? ERROR : lead.status,
    spanId: lead.spanId,
    parentSpanId: lead.parentSpanId,
    name: lead.name,
    service: lead.service,
    environment: lead.environment,
    endpoint: lead.endpoint ?? lead.name,
    model: lead.model ?? call?.model ?? null,
    provider: lead.provider ?? call?.provider ?? null,
    userId: user?.label ?? null,
    sessionId: session?.label ?? null,
    services: sorted(services, MAX_NAMES),
    models: sorted(models, MAX_NAMES),
    tags: sorted(tags, MAX_TAGS),
    unpricedModels: sorted(unpricedModels, MAX_NAMES),
    unpricedServices: sorted(unpricedServices, MAX_NAMES),
    days: [...days].sort((a, b) => a - b),
    sealed: key.seal('preview', traceAad(summary.traceId), Buffer.from(JSON.stringify(kept), 'utf8')),
  };
}

/** What is sealed beside the row; {@link SealedSummary} is the part of it that readers know. */
type Kept = Pick<Summary, 'lead' | 'call' | 'user' | 'session'> & SealedSummary & { calls?: number };

function sorted(names: Set<string>, most: number): string[] {
  return [...names].sort().slice(0, most);
}

/** Ranks as JSON can hold them, without a replacer that JSON.stringify would call for every member. */
function written<R extends Rank>(ranked: R | null): object | null {
  if (ranked === null) return null;
  return { ...ranked, startNs: String(ranked.startNs), spanId: String(ranked.spanId) };
}

/** The summary that a locked row holds. */
export function summaryFrom(state: TraceState, key: TenantKey): Summary {
  const { sealed, services, models, tags, unpricedModels, unpricedServices, days, ...rest } = state;
  const {
    status: _status,
    service: _service,
    environment: _environment,
    endpoint: _endpoint,
    userId: _userId,
    ...sums
  } = rest;
  const kept = JSON.parse(key.open('preview', traceAad(state.traceId), sealed).toString('utf8')) as Kept;
  return {
    ...sums,
    // before repetitions were told apart every call was billed
    callCount: kept.calls ?? sums.billableCount,
    services: new Set(services),
    models: new Set(models),
    tags: new Set(tags),
    unpricedModels: new Set(unpricedModels),
    unpricedServices: new Set(unpricedServices),
    days: new Set(days),
    lead: {
      ...ranked(kept.lead),
      parentSpanId: kept.lead.parentSpanId === null ? null : BigInt(kept.lead.parentSpanId),
    },
    call: kept.call && ranked(kept.call),
    user: kept.user && ranked(kept.user),
    session: kept.session && ranked(kept.session),
  };
}

function ranked<R extends Rank>(kept: R): R {
  return { ...kept, startNs: BigInt(kept.startNs), spanId: BigInt(kept.spanId) };
}
