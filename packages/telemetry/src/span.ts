// The normalised span: what one unit of work was, whoever reported it and in whichever dialect of OpenTelemetry.
// otlp/decode.ts and otlp/json.ts fill it through the table in conventions.ts; everything above them reads only this.
import { contentOf } from './conventions-content.ts';
import { isToldLater } from './conventions-usage.ts';
import type { Convention } from './conventions.ts';
import type { SpanMessages } from './messages.ts';

/** A JSON value. */
export type Json = string | number | boolean | null | Json[] | { [key: string]: Json };

/**
 * One attribute value, ready for JSON (the mapping of OTLP/JSON): integers beyond ±(2^53 − 1) are decimal strings,
 * bytes are padded base64, non-finite doubles are `"NaN"`, `"Infinity"`, `"-Infinity"`, an empty AnyValue is null.
 * Text never holds U+0000 or a lone surrogate: each became U+FFFD.
 */
export type AttributeValue = Json;

/** Attributes by key, without a prototype: any key of a stranger is safe to look up. The last of equal keys wins. */
export type Attributes = { [key: string]: AttributeValue };

export type SpanKind = 'unspecified' | 'internal' | 'server' | 'client' | 'producer' | 'consumer';
export type SpanStatus = 'unset' | 'ok' | 'error';

export interface SpanEvent {
  timeNs: bigint;
  name: string;
  attributes: Attributes;
  droppedAttributes: number;
}

export interface SpanLink {
  /** 32 and 16 lower-case hex digits. */
  traceId: string;
  spanId: string;
  traceState: string;
  attributes: Attributes;
  droppedAttributes: number;
  flags: number;
}

/** What all spans of one scope of one resource share. One object per scope of a request: `===` groups spans. */
export interface SpanContext {
  /** `service.name`; `unknown_service` when the resource does not say (as the OpenTelemetry SDK does). */
  serviceName: string;
  serviceVersion: string | undefined;
  /** `deployment.environment.name`, older `deployment.environment`. */
  environment: string | undefined;
  scopeName: string;
  scopeVersion: string;
  /** Schema URL of the scope, else of the resource, else empty. */
  schemaUrl: string;
  resourceAttributes: Attributes;
  scopeAttributes: Attributes;
  /** Both parts as they came, to be hashed with {@link Span.raw}: protobuf bytes, or JSON text. */
  rawResource: Uint8Array | string;
  rawScope: Uint8Array | string;
}

/** Token counts of one call: safe non-negative integers. A subset is included in its total, never beside it. */
export interface Usage {
  /** All input, cache reads and cache creation included. */
  inputTokens?: number | undefined;
  /** All output, reasoning included. */
  outputTokens?: number | undefined;
  totalTokens?: number | undefined;
  cacheReadTokens?: number | undefined;
  cacheCreationTokens?: number | undefined;
  reasoningTokens?: number | undefined;
  inputTextTokens?: number | undefined;
  inputImageTokens?: number | undefined;
  inputAudioTokens?: number | undefined;
  inputVideoTokens?: number | undefined;
  outputTextTokens?: number | undefined;
  outputAudioTokens?: number | undefined;
}

export const USAGE_FIELDS = [
  'inputTokens',
  'outputTokens',
  'totalTokens',
  'cacheReadTokens',
  'cacheCreationTokens',
  'reasoningTokens',
  'inputTextTokens',
  'inputImageTokens',
  'inputAudioTokens',
  'inputVideoTokens',
  'outputTextTokens',
  'outputAudioTokens',
] as const satisfies readonly (keyof Usage)[];

/** Longest label (name of a model, user, session, …) that a field holds; the attribute itself keeps all of it. */
export const MAX_LABEL_LENGTH = 200;
/** Longest span name and status message. */
export const MAX_NAME_LENGTH = 1_000;

/** What the conventions table can fill in: one optional field per meaning. Labels hold ≤ 200 UTF-16 units. */
export class SpanFields implements Usage {
  /** `chat`, `embeddings`, `execute_tool`, … */
  operation: string | undefined = undefined;
  provider: string | undefined = undefined;
  requestModel: string | undefined = undefined;
  responseModel: string | undefined = undefined;
  responseId: string | undefined = undefined;
  finishReasons: string[] | undefined = undefined;
  maxTokens: number | undefined = undefined;
  temperature: number | undefined = undefined;
  topP: number | undefined = undefined;
  topK: number | undefined = undefined;
  seed: number | undefined = undefined;
  stopSequences: string[] | undefined = undefined;
  frequencyPenalty: number | undefined = undefined;
  presencePenalty: number | undefined = undefined;
  choiceCount: number | undefined = undefined;
  stream: boolean | undefined = undefined;
  outputType: string | undefined = undefined;
  timeToFirstChunkS: number | undefined = undefined;
  /** When the first chunk came, milliseconds since 1970, where the emitter gives the moment instead. */
  firstChunkAtMs: number | undefined = undefined;
  serviceTier: string | undefined = undefined;
  errorType: string | undefined = undefined;
  /** `error` or `warning`, where the emitter says so beside the status; `error` becomes the status. */
  level: string | undefined = undefined;
  statusText: string | undefined = undefined;
  serverAddress: string | undefined = undefined;
  /** The route of the application that the call served. */
  endpoint: string | undefined = undefined;
  environment: string | undefined = undefined;
  release: string | undefined = undefined;
  userId: string | undefined = undefined;
  sessionId: string | undefined = undefined;
  agentId: string | undefined = undefined;
  agentName: string | undefined = undefined;
  agentDescription: string | undefined = undefined;
  agentVersion: string | undefined = undefined;
  workflowName: string | undefined = undefined;
  /** Place in the graph of agents, where the framework tells it. */
  nodeId: string | undefined = undefined;
  nodeName: string | undefined = undefined;
  nodeParentId: string | undefined = undefined;
  toolName: string | undefined = undefined;
  toolDescription: string | undefined = undefined;
  toolType: string | undefined = undefined;
  toolCallId: string | undefined = undefined;
  dataSourceId: string | undefined = undefined;
  promptName: string | undefined = undefined;
  promptVersion: string | undefined = undefined;
  /** What the emitter calls the span for people to read. */
  title: string | undefined = undefined;
  tags: string[] | undefined = undefined;
  metadata: { [key: string]: Json } | undefined = undefined;
  /** What the client says the call cost: the shortest exact decimal of US dollars. Kept beside our own price. */
  clientCostUsd: string | undefined = undefined;
  /** The photo that this span made. */
  photoId: string | undefined = undefined;
  inputTokens: number | undefined = undefined;
  outputTokens: number | undefined = undefined;
  totalTokens: number | undefined = undefined;
  /** Input that was neither read from nor written to a cache: from it the whole follows where an emitter counts apart. */
  uncachedInputTokens: number | undefined = undefined;
  cacheReadTokens: number | undefined = undefined;
  cacheCreationTokens: number | undefined = undefined;
  reasoningTokens: number | undefined = undefined;
  inputTextTokens: number | undefined = undefined;
  inputImageTokens: number | undefined = undefined;
  inputAudioTokens: number | undefined = undefined;
  inputVideoTokens: number | undefined = undefined;
  outputTextTokens: number | undefined = undefined;
  outputAudioTokens: number | undefined = undefined;
}

const NO_EVENTS: SpanEvent[] = [];
const NO_LINKS: SpanLink[] = [];

/** Work around model calls, which repeats their usage when it reports any: never billed itself. */
const UNBILLED_OPERATIONS = new Set([
  'invoke_agent',
  'invoke_workflow',
  'create_agent',
  'execute_tool',
  'plan',
  'retrieval',
]);
/** Operations that are one call of one model. */
const MODEL_OPERATIONS = new Set(['chat', 'generate_content', 'text_completion', 'embeddings']);

/**
 * One span. `attributes` holds everything that was sent, recognised or not; the fields are its reading.
 * The decoder sets the properties once, readers do not change them; `messages` and the other getters work on demand.
 */
export class Span extends SpanFields {
  readonly context: SpanContext;
  /** 32 and 16 lower-case hex digits, never all zero. */
  traceId = '';
  spanId = '';
  parentSpanId: string | undefined = undefined;
  traceState = '';
  name = '';
  kind: SpanKind = 'unspecified';
  status: SpanStatus = 'unset';
  statusMessage = '';
  /** Nanoseconds since 1970, 0 < startNs ≤ endNs < 2^63. */
  startNs = 0n;
  endNs = 0n;
  flags = 0;
  attributes: Attributes = Object.create(null) as Attributes;
  events: SpanEvent[] = NO_EVENTS;
  links: SpanLink[] = NO_LINKS;
  /** What the client, or this reader at its limits, left out. */
  droppedAttributes = 0;
  droppedEvents = 0;
  droppedLinks = 0;
  /** What was odd about the span and what was done about it, one sentence each. */
  readonly issues: string[] = [];
  /** The row of the table behind each field that is filled; metadata may have several. */
  readonly origins: Convention[] = [];
  /** The attributes that carry content, in the order in which they came; a key that came twice stands twice. */
  readonly contentKeys: string[] = [];
  /** Fields for which a value was sent that no one can read. */
  unread: (keyof SpanFields)[] | undefined = undefined;
  /** Rank of the key behind each member of the metadata. */
  metadataRanks: Map<string, number> | undefined = undefined;
  /**
   * The span exactly as it was sent, for telling a repetition from other content: protobuf bytes (a view of the request,
   * copy it to keep it) or JSON text. The bytes of the resource and scope are in `context`.
   */
  readonly raw: Uint8Array | string;
  #messages: SpanMessages | undefined = undefined;

  constructor(context: SpanContext, raw: Uint8Array | string) {
    super();
    this.context = context;
    this.raw = raw;
  }

  get serviceName(): string {
    return this.context.serviceName;
  }

  /** The model that answered, else the one that was asked. */
  get model(): string | undefined {
    return this.responseModel ?? this.requestModel;
  }

  get durationNs(): bigint {
    return this.endNs - this.startNs;
  }

  /** Milliseconds with the fraction that a double holds. */
  get latencyMs(): number {
    return Number(this.endNs - this.startNs) / 1e6;
  }

  /** Only the counts that were sent. */
  get usage(): Usage {
    const usage: Usage = {};
    for (const field of USAGE_FIELDS) if (this[field] !== undefined) usage[field] = this[field];
    return usage;
  }

  get hasUsage(): boolean {
    return this.inputTokens !== undefined || this.outputTokens !== undefined || this.totalTokens !== undefined;
  }

  /**
   * Whether the span is one paid call of a model: it carries usage and is no wrapper that repeats the usage of the calls
   * inside it. A named model call that succeeded without reporting usage is billable too, with an unknown price: a cost
   * without it would look complete and be too low. A failed call without usage is not billable.
   */
  get billable(): boolean {
    if (this.operation !== undefined && UNBILLED_OPERATIONS.has(this.operation)) return false;
    if (this.hasUsage) return true;
    if (isToldLater(this)) return false;
    return (
      this.operation !== undefined &&
      MODEL_OPERATIONS.has(this.operation) &&
      this.model !== undefined &&
      this.status !== 'error' &&
      this.errorType === undefined
    );
  }

  /** Prompt, answer, instructions and tools in one model, whatever their shape was; parsed at the first look. */
  get messages(): SpanMessages {
    return (this.#messages ??= contentOf({
      attributes: this.attributes,
      events: this.events,
      scopeName: this.context.scopeName,
      operation: this.operation,
      finishReasons: this.finishReasons,
      contentKeys: this.contentKeys,
    }));
  }

  /**
   * Field → where it came from: the attribute key, `KEY/path` for a member of JSON in it, `PREFIX.*` for indexed keys,
   * `event:NAME` for a span event; several are joined by ` + `.
   */
  get mappedFrom(): Record<string, string> {
    const mapped: Record<string, string> = {};
    for (const { field, key } of this.origins) {
      const before = mapped[field];
      mapped[field] = before === undefined ? key : `${before} + ${key}`;
    }
    return Object.assign(mapped, this.messages.from);
  }
}
