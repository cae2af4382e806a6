// What a trace and its spans look like to those who ask: the shapes of the public contract.
import {
  NOT_BILLED_REASONS,
  previewOf,
  usdOf,
  type Json,
  type Message,
  type NotBilledReason,
  type Part,
  type Span,
} from '@lumatrace/telemetry';
import type { TenantKey } from '../keys/tenant-key.ts';
import { spanIdText, statusName, type StoredComponent, type StoredPrice } from '../storage/content-block.ts';
import type { OutlinedSpan, SpanRow } from '../storage/postgres/spans.ts';
import type { ListedTrace } from '../storage/postgres/trace-list.ts';
import type { SealedSummary } from '../storage/postgres/traces.ts';
import { traceAad } from '../storage/sealed.ts';

type Status = 'ok' | 'error' | 'unset';

/** What a trace and a span have in common. Amounts are exact decimals of US dollars. */
export interface Item {
  trace_id: string;
  span_id: string;
  parent_span_id: string | null;
  name: string;
  service_name: string;
  model: string | null;
  provider: string | null;
  prompt: string | null;
  response: string | null;
  /** null when any billable span is unpriced. */
  cost_usd: string | null;
  cost_priced_usd: string;
  latency_ms: number;
  prompt_tokens: number;
  completion_tokens: number;
  status: Status;
  tags: string[];
  metadata: { [key: string]: Json } | null;
  timestamp: string;
  user_id: string | null;
  session_id: string | null;
  span_count: number;
  environment: string | null;
  endpoint: string | null;
  /** Nanoseconds since 1970 as decimal text. */
  start_ns: string;
  end_ns: string;
}

export interface TraceItem extends Item {
  error_count: number;
  billable_count: number;
  unpriced_count: number;
  /**
   * In a list filtered by model or service: what of the cost is theirs, which adds up to the same group of the charts;
   * null when one of their calls is unpriced, `matching_cost_priced_usd` being the sum of the others.
   */
  matching_cost_usd?: string | null;
  matching_cost_priced_usd?: string;
}

export interface SpanItem extends Item {
  kind: string;
  operation: string | null;
  request_model: string | null;
  status_message: string | null;
  error_type: string | null;
  billable: boolean;
  /** Of a span that looks like a call and is not billed: which span is billed for it, and why. */
  repeats: { span_id: string; reason: NotBilledReason } | null;
  usage: Record<string, number>;
  cost_components: Array<Omit<StoredComponent, 'costPico'> & { costUsd: string }> | null;
  price_version: string | null;
  /** `override_id`: the override of the tenant that set the price. */
  priced_as: { provider: string; model: string; override_id?: string } | null;
  unpriced_reason: string | null;
  client_cost_usd: string | null;
  photo_id: string | null;
  messages: {
    input: Message[];
    output: Message[];
    systemInstructions: Part[];
    toolDefinitions: Json[];
  } | null;
  attributes: { [key: string]: Json } | null;
  events: Array<{ name: string; time: string; time_ns: string; attributes: { [key: string]: Json } }> | null;
  links: Array<{ trace_id: string; span_id: string; attributes: { [key: string]: Json } }> | null;
  mapped_from: Record<string, string> | null;
  resource: { [key: string]: Json } | null;
  scope: { name: string; version: string } | null;
  issues: string[];
  dropped: { attributes: number; events: number; links: number };
}

export function traceItem(trace: ListedTrace, key: TenantKey): TraceItem {
  const { lead, call } = sealedSummary(trace, key);
  const startNs = BigInt(trace.startNs);
  const priced = usdOf(BigInt(trace.costPico));
  return {
    trace_id: trace.traceId,
    span_id: spanIdText(BigInt(trace.spanId)),
    parent_span_id: trace.parentSpanId === null ? null : spanIdText(BigInt(trace.parentSpanId)),
    name: trace.name,
    service_name: trace.service,
    model: trace.model,
    provider: trace.provider,
    prompt: lead.preview.prompt ?? call?.preview.prompt ?? null,
    response: lead.preview.response ?? call?.preview.response ?? null,
    cost_usd: trace.unpricedCount > 0 ? null : priced,
    cost_priced_usd: priced,
    latency_ms: Number(BigInt(trace.endNs) - startNs) / 1e6,
    prompt_tokens: Number(trace.inputTokens),
    completion_tokens: Number(trace.outputTokens),
    status: statusName(trace.status),
    tags: trace.tags,
    metadata: lead.metadata,
    timestamp: isoOf(startNs),
    user_id: trace.userId,
    session_id: trace.sessionId,
    span_count: trace.spanCount,
    environment: trace.environment,
    endpoint: trace.endpoint,
    start_ns: trace.startNs,
    end_ns: trace.endNs,
    error_count: trace.errorCount,
    billable_count: trace.billableCount,
    unpriced_count: trace.unpricedCount,
  };
}

function sealedSummary({ traceId, sealed }: ListedTrace, key: TenantKey): SealedSummary {
  return JSON.parse(key.open('preview', traceAad(traceId), sealed).toString('utf8')) as SealedSummary;
}

/** A span as the waterfall shows it; what is null, zero or false is left out, since there are thousands. */
export interface OutlineSpan {
  span_id: string;
  parent_span_id?: string;
  name: string;
  service_name: string;
  start_ns: string;
  end_ns: string;
  operation?: string;
  model?: string;
  status?: Status;
  prompt_tokens?: number;
  completion_tokens?: number;
  billable?: true;
  /** Of billable spans: null = unpriced. */
  cost_usd?: string | null;
}

export function outlineSpan(row: OutlinedSpan): OutlineSpan {
  const span: OutlineSpan = {
    span_id: spanIdText(BigInt(row.spanId)),
    name: row.name,
    service_name: row.service,
    start_ns: row.startNs,
    end_ns: row.endNs,
  };
  if (row.parentSpanId !== null) span.parent_span_id = spanIdText(BigInt(row.parentSpanId));
  if (row.operation !== null) span.operation = row.operation;
  if (row.model !== null) span.model = row.model;
  if (row.status !== 0) span.status = statusName(row.status);
  if (row.inputTokens !== null && row.inputTokens !== '0') span.prompt_tokens = Number(row.inputTokens);
  if (row.outputTokens !== null && row.outputTokens !== '0') span.completion_tokens = Number(row.outputTokens);
  if (row.billable) {
    span.billable = true;
    span.cost_usd = row.costPico === null ? null : usdOf(BigInt(row.costPico));
  }
  return span;
}

/** `content` is undefined when the block of the span is gone; the row is shown all the same. */
export function spanItem(row: SpanRow, content: { span: Span; price: StoredPrice | undefined } | undefined): SpanItem {
  const { span, price } = content ?? { span: undefined, price: undefined };
  const preview = span === undefined ? { prompt: null, response: null } : previewOf(span.messages);
  return {
    trace_id: row.traceId,
    span_id: spanIdText(row.spanId),
    parent_span_id: row.parentSpanId === null ? null : spanIdText(row.parentSpanId),
    name: row.name,
    service_name: row.service,
    model: row.model,
    provider: row.provider,
    ...preview,
    cost_usd: row.billable && row.costPico === null ? null : usdOf(billedPico(row)),
    cost_priced_usd: usdOf(billedPico(row)),
    latency_ms: Number(row.endNs - row.startNs) / 1e6,
    prompt_tokens: row.inputTokens ?? 0,
    completion_tokens: row.outputTokens ?? 0,
    status: statusName(row.status),
    tags: span?.tags ?? [],
    metadata: span?.metadata ?? null,
    timestamp: isoOf(row.startNs),
    user_id: row.userId,
    session_id: row.sessionId,
    span_count: 1,
    environment: row.environment,
    endpoint: row.endpoint,
    start_ns: String(row.startNs),
    end_ns: String(row.endNs),
    kind: span?.kind ?? 'unspecified',
    operation: row.operation,
    request_model: span?.requestModel ?? null,
    status_message: span === undefined || span.statusMessage === '' ? null : span.statusMessage,
    error_type: row.errorType,
    billable: row.billable,
    repeats: repeatsOf(row),
    usage: usageOf(span),
    ...billOf(row, price),
    client_cost_usd: row.clientCostPico === null ? null : usdOf(row.clientCostPico),
    photo_id: span?.photoId ?? null,
    ...contentOf(span),
  };
}

/** A span that is not billed may have a price of its own: what it would cost alone. */
function billedPico({ billable, costPico }: SpanRow): bigint {
  return billable ? (costPico ?? 0n) : 0n;
}

function repeatsOf({ repeatsSpanId, repeatsReason }: SpanRow): SpanItem['repeats'] {
  const reason = NOT_BILLED_REASONS[repeatsReason ?? 0];
  return repeatsSpanId === null || reason === undefined ? null : { span_id: spanIdText(repeatsSpanId), reason };
}

function usageOf(span: Span | undefined): Record<string, number> {
  const counts = Object.entries(span?.usage ?? {}).filter(([, count]) => count !== undefined);
  return Object.fromEntries(counts) as Record<string, number>;
}

type Bill = Pick<SpanItem, 'cost_components' | 'price_version' | 'priced_as' | 'unpriced_reason'>;

function billOf({ priceVersion }: SpanRow, price: StoredPrice | undefined): Bill {
  if (price === undefined || 'unpriced' in price) {
    return {
      cost_components: null,
      price_version: priceVersion,
      priced_as: null,
      unpriced_reason: price?.unpriced ?? null,
    };
  }
  const lines = price.components.map(({ costPico, ...line }) => ({ ...line, costUsd: usdOf(BigInt(costPico)) }));
  return {
    cost_components: lines,
    price_version: priceVersion,
    priced_as: {
      provider: price.providerId,
      model: price.modelId,
      ...(price.overrideId !== undefined && { override_id: price.overrideId }),
    },
    unpriced_reason: null,
  };
}

type Said = Pick<
  SpanItem,
  'messages' | 'attributes' | 'events' | 'links' | 'mapped_from' | 'resource' | 'scope' | 'issues' | 'dropped'
>;

const NOTHING_SAID: Said = {
  messages: null,
  attributes: null,
  events: null,
  links: null,
  mapped_from: null,
  resource: null,
  scope: null,
  issues: [],
  dropped: { attributes: 0, events: 0, links: 0 },
};

function contentOf(span: Span | undefined): Said {
  if (span === undefined) return NOTHING_SAID;
  const { input, output, systemInstructions, toolDefinitions } = span.messages;
  return {
    messages: { input, output, systemInstructions, toolDefinitions },
    attributes: span.attributes,
    events: span.events.map(({ name, timeNs, attributes }) => ({
      name,
      time: isoOf(timeNs),
      time_ns: String(timeNs),
      attributes,
    })),
    links: span.links.map(({ traceId, spanId, attributes }) => ({ trace_id: traceId, span_id: spanId, attributes })),
    mapped_from: span.mappedFrom,
    resource: span.context.resourceAttributes,
    scope: { name: span.context.scopeName, version: span.context.scopeVersion },
    issues: span.issues,
    dropped: { attributes: span.droppedAttributes, events: span.droppedEvents, links: span.droppedLinks },
  };
}

/** Milliseconds are what a date of JavaScript holds; the nanoseconds are beside it. */
function isoOf(ns: bigint): string {
  return new Date(Number(ns / 1_000_000n)).toISOString();
}
