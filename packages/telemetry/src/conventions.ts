// What attribute keys mean: one table of every dialect, its precedence and its parsers. A new dialect is new rows, not code.
import { MAX_LABEL_LENGTH } from './span.ts';
import type { AttributeValue, Json, Span, SpanFields } from './span.ts';
import { decimalOf } from './decimal.ts';
import { jsonOrText } from './messages.ts';
import { clip } from './text.ts';

type Field = keyof SpanFields;

/** A parser answers undefined for what it cannot use, after noting why in `issues`; other keys may still fill the field. */
type Parse<T> = (value: AttributeValue, key: string, issues: string[]) => T | undefined;

interface Row<F extends Field> {
  readonly field: F;
  readonly key: string;
  readonly parse: Parse<NonNullable<SpanFields[F]>>;
  /** Position in the table: of two keys for one field the smaller rank wins, whatever their order in the span. */
  readonly rank: number;
}

/** One row of the table. */
export type Convention = Row<Field>;

/** No call comes near it, and a million such spans still add up inside a 64-bit integer. */
const MAX_TOKENS = 1_000_000_000_000;
const MAX_TAGS = 64;
const MAX_TAG_LENGTH = 100;
const MAX_LIST_LENGTH = 128;
/** Metadata beyond this stays an attribute only. */
const MAX_METADATA_LENGTH = 65_536;
const MAX_SHOWN_LENGTH = 40;

/** The value for a sentence of `issues`: short, on one line. */
function shown(value: AttributeValue): string {
  const text = typeof value === 'string' ? JSON.stringify(clip(value, MAX_SHOWN_LENGTH)) : JSON.stringify(value);
  return clip(text, MAX_SHOWN_LENGTH);
}

function refuse(expected: string, value: AttributeValue, key: string, issues: string[]): undefined {
  issues.push(`Expected ${expected} for ${key} but received ${shown(value)}; the field was left empty`);
  return undefined;
}

const label: Parse<string> = (value, key, issues) => {
  if (typeof value === 'number' || typeof value === 'boolean') return String(value);
  if (typeof value !== 'string') return refuse('text', value, key, issues);
  if (value.length <= MAX_LABEL_LENGTH) return value === '' ? undefined : value;
  issues.push(`${key} was cut to ${MAX_LABEL_LENGTH} characters; the attribute keeps all ${value.length}`);
  return clip(value, MAX_LABEL_LENGTH);
};

const count: Parse<number> = (value, key, issues) => {
  const number = typeof value === 'string' && /^-?\d{1,20}$/.test(value) ? Number(value) : value;
  if (typeof number === 'number' && Number.isInteger(number) && number >= 0 && number <= MAX_TOKENS) return number;
  return refuse(`a count from 0 to ${MAX_TOKENS}`, value, key, issues);
};

const number: Parse<number> = (value, key, issues) => {
  const parsed = typeof value === 'string' && value.trim() !== '' ? Number(value) : value;
  if (typeof parsed === 'number' && Number.isFinite(parsed)) return parsed;
  return refuse('a finite number', value, key, issues);
};

const flag: Parse<boolean> = (value, key, issues) => {
  if (typeof value === 'boolean') return value;
  if (value === 'true' || value === 'false') return value === 'true';
  return refuse('true or false', value, key, issues);
};

/** An array of texts, the same as JSON text, or one text. */
const labels: Parse<string[]> = (value, key, issues) => {
  const list = Array.isArray(value) ? value : jsonArray(value);
  if (list === undefined)
    return typeof value === 'string' ? [clip(value, MAX_LABEL_LENGTH)] : refuse('a list of texts', value, key, issues);
  const texts = list.filter((item) => typeof item === 'string').slice(0, MAX_LIST_LENGTH);
  return texts.map((text) => clip(text, MAX_LABEL_LENGTH));
};

/** A list of texts, JSON text of one, or texts between commas; trimmed, without repetitions. */
const tags: Parse<string[]> = (value, key, issues) => {
  const list = Array.isArray(value)
    ? value
    : (jsonArray(value) ?? (typeof value === 'string' ? value.split(',', MAX_TAGS * 4) : undefined));
  if (list === undefined) return refuse('a list of tags', value, key, issues);
  const unique = new Set<string>();
  for (const item of list) {
    const tag = typeof item === 'string' || typeof item === 'number' ? clip(String(item).trim(), MAX_TAG_LENGTH) : '';
    if (tag !== '' && unique.size < MAX_TAGS) unique.add(tag);
  }
  return [...unique];
};

const metadata: Parse<{ [key: string]: Json }> = (value, key, issues) => {
  const object = typeof value === 'string' && value.length <= MAX_METADATA_LENGTH ? parseJson(value) : value;
  if (typeof object === 'object' && object !== null && !Array.isArray(object)) return object;
  return refuse('a JSON object', value, key, issues);
};

const dollars: Parse<string> = (value, key, issues) => {
  const decimal = typeof value === 'number' || typeof value === 'string' ? decimalOf(value) : undefined;
  if (decimal === undefined || decimal.startsWith('-'))
    return refuse('a cost in dollars that is not negative', value, key, issues);
  return decimal;
};

const content: Parse<NonNullable<AttributeValue>> = (value) => (value === null || value === '' ? undefined : value);

function jsonArray(value: AttributeValue): Json[] | undefined {
  if (typeof value !== 'string' || !value.startsWith('[') || value.length > MAX_METADATA_LENGTH) return undefined;
  const parsed = parseJson(value);
  return Array.isArray(parsed) ? parsed : undefined;
}

function parseJson(text: string): Json | undefined {
  const json = jsonOrText(text);
  return typeof json === 'string' ? undefined : json;
}

/** Keys of one field, the preferred one first. */
type Group = { [F in Field]: readonly [F, Parse<NonNullable<SpanFields[F]>>, ...string[]] }[Field];

// Sources: open-telemetry/semantic-conventions-genai 1.42 (first key of most rows), open-telemetry/semantic-conventions
// 1.27 to 1.36 (gen_ai.system, gen_ai.prompt, …), the Lumina SDK (lumina.*), OpenInference (session.id, tag.tags, metadata).
// The order of keys inside a row is the precedence.
const GROUPS: readonly Group[] = [
  ['operation', label, 'gen_ai.operation.name'],
  ['provider', label, 'gen_ai.provider.name', 'gen_ai.system'],
  ['requestModel', label, 'gen_ai.request.model'],
  ['responseModel', label, 'gen_ai.response.model'],
  ['responseId', label, 'gen_ai.response.id'],
  ['finishReasons', labels, 'gen_ai.response.finish_reasons', 'gen_ai.response.finish_reason'],
  ['maxTokens', number, 'gen_ai.request.max_tokens'],
  ['temperature', number, 'gen_ai.request.temperature'],
  ['topP', number, 'gen_ai.request.top_p'],
  ['topK', number, 'gen_ai.request.top_k'],
  ['seed', number, 'gen_ai.request.seed', 'gen_ai.openai.request.seed'],
  ['stopSequences', labels, 'gen_ai.request.stop_sequences'],
  ['frequencyPenalty', number, 'gen_ai.request.frequency_penalty'],
  ['presencePenalty', number, 'gen_ai.request.presence_penalty'],
  ['choiceCount', number, 'gen_ai.request.choice.count'],
  ['stream', flag, 'gen_ai.request.stream'],
  ['outputType', label, 'gen_ai.output.type', 'gen_ai.openai.request.response_format'],
  ['timeToFirstChunkS', number, 'gen_ai.response.time_to_first_chunk'],
  [
    'serviceTier',
    label,
    'openai.response.service_tier',
    'gen_ai.openai.response.service_tier',
    'openai.request.service_tier',
    'gen_ai.openai.request.service_tier',
  ],
  ['errorType', label, 'error.type'],
  ['serverAddress', label, 'server.address'],
  ['endpoint', label, 'lumina.endpoint', 'http.route'],
  ['environment', label, 'lumina.environment'],
  ['userId', label, 'enduser.id', 'user.id', 'lumina.user_id', 'lumina.customer_id'],
  ['sessionId', label, 'session.id', 'gen_ai.conversation.id', 'lumina.session_id'],
  ['agentId', label, 'gen_ai.agent.id'],
  ['agentName', label, 'gen_ai.agent.name'],
  ['agentVersion', label, 'gen_ai.agent.version'],
  ['workflowName', label, 'gen_ai.workflow.name'],
  ['toolName', label, 'gen_ai.tool.name'],
  ['toolType', label, 'gen_ai.tool.type'],
  ['toolCallId', label, 'gen_ai.tool.call.id'],
  ['dataSourceId', label, 'gen_ai.data_source.id'],
  ['promptName', label, 'gen_ai.prompt.name'],
  ['promptVersion', label, 'gen_ai.prompt.version'],
  ['tags', tags, 'lumina.tags', 'tag.tags'],
  ['metadata', metadata, 'lumina.metadata', 'metadata'],
  ['clientCostUsd', dollars, 'lumina.cost_usd'],
  ['photoId', label, 'lumatrace.photo_id'],
  ['input', content, 'gen_ai.input.messages', 'gen_ai.prompt'],
  ['output', content, 'gen_ai.output.messages', 'gen_ai.completion'],
  ['systemInstructions', content, 'gen_ai.system_instructions'],
  ['toolDefinitions', content, 'gen_ai.tool.definitions'],
  ['toolCallArguments', content, 'gen_ai.tool.call.arguments'],
  ['toolCallResult', content, 'gen_ai.tool.call.result'],
  ['inputTokens', count, 'gen_ai.usage.input_tokens', 'gen_ai.usage.prompt_tokens'],
  ['outputTokens', count, 'gen_ai.usage.output_tokens', 'gen_ai.usage.completion_tokens'],
  ['totalTokens', count, 'gen_ai.usage.total_tokens'],
  ['cacheReadTokens', count, 'gen_ai.usage.cache_read.input_tokens'],
  ['cacheCreationTokens', count, 'gen_ai.usage.cache_creation.input_tokens'],
  ['reasoningTokens', count, 'gen_ai.usage.reasoning.output_tokens'],
  ['inputTextTokens', count, 'gen_ai.usage.text.input_tokens'],
  ['inputImageTokens', count, 'gen_ai.usage.image.input_tokens'],
  ['inputAudioTokens', count, 'gen_ai.usage.audio.input_tokens'],
  ['inputVideoTokens', count, 'gen_ai.usage.video.input_tokens'],
  ['outputTextTokens', count, 'gen_ai.usage.text.output_tokens'],
  ['outputAudioTokens', count, 'gen_ai.usage.audio.output_tokens'],
];

const TABLE = GROUPS.flatMap(([field, parse, ...keys]) =>
  keys.map((key) => ({ field, parse, key }) as Omit<Convention, 'rank'>),
);

/** Attribute key → its row. */
export const CONVENTIONS: ReadonlyMap<string, Convention> = new Map(
  TABLE.map((row, rank) => [row.key, { ...row, rank }] as const),
);

/** Reads one attribute into the field of its row, unless a key of higher precedence filled it. The same key again replaces. */
export function recognise<F extends Field>(span: Span, row: Row<F>, value: AttributeValue): void {
  const origin = span[row.field] === undefined ? -1 : originOf(span, row.field);
  if (origin >= 0 && span.origins[origin]!.rank < row.rank) return;
  const parsed = row.parse(value, row.key, span.issues);
  if (parsed === undefined) return;
  const fields: SpanFields = span;
  fields[row.field] = parsed;
  if (origin < 0) span.origins.push(row as unknown as Convention);
  else span.origins[origin] = row as unknown as Convention;
}

function originOf(span: Span, field: Field): number {
  const origins = span.origins;
  for (let i = 0; i < origins.length; i++) if (origins[i]!.field === field) return i;
  return -1;
}

const COUNT_ROWS = [...CONVENTIONS.values()].filter(
  ({ field, parse }) => (parse as unknown) === count && field !== 'totalTokens',
);

/** Whether a token count was sent that no one can read (negative, absurd, no number) and nothing else told it. */
export function hasInvalidUsage(span: Span): boolean {
  if (span.issues.length === 0) return false;
  return COUNT_ROWS.some(({ field, key }) => span[field] === undefined && span.attributes[key] !== undefined);
}

type ContentField = 'input' | 'output' | 'systemInstructions' | 'toolDefinitions';

const CONTENT_ROWS = [...CONVENTIONS.values()].filter(
  ({ field }) =>
    field === 'input' || field === 'output' || field === 'systemInstructions' || field === 'toolDefinitions',
) as Row<ContentField>[];

/** The content among stored attributes, by the same rows as at arrival: what `messagesFrom` needs to read it again. */
export function contentOf(attributes: Record<string, AttributeValue>): { [F in ContentField]?: AttributeValue } {
  const found: { [F in ContentField]?: AttributeValue } = {};
  for (const row of CONTENT_ROWS) {
    const value = attributes[row.key];
    if (value !== undefined && found[row.field] === undefined)
      found[row.field] = content(value, row.key, []) ?? undefined;
  }
  return found;
}

/** What the resource says about all its spans, the preferred key first. */
export const RESOURCE_KEYS = {
  serviceName: ['service.name'],
  serviceVersion: ['service.version'],
  environment: ['deployment.environment.name', 'deployment.environment', 'lumina.environment'],
} as const;

/** The label of a resource: the first of the keys that holds text. */
export function resourceLabel(attributes: Record<string, AttributeValue>, keys: readonly string[]): string | undefined {
  for (const key of keys) {
    const value = attributes[key];
    if (typeof value === 'string' && value !== '') return clip(value, MAX_LABEL_LENGTH);
  }
  return undefined;
}
