// Where prompts and answers lie: the second half of the conventions table. Each row is a key (or a family of indexed keys,
// or an event) with the field that it fills and the reader of its shape; the order of the rows is the precedence.
import { listFromKeys, isObject, jsonOrText, listOf, parsed } from './messages-json.ts';
import type { JsonObject } from './messages-json.ts';
import { isMessage, messagesOf, noMessages, requestOf, textMessage } from './messages.ts';
import type { Message, Messages, SpanMessages } from './messages.ts';
import { MAX_MESSAGES, partsOf, responseOf } from './messages-parts.ts';
import type { Part } from './messages-parts.ts';
import type { Attributes, AttributeValue, Json } from './span.ts';

export interface ContentEvent {
  readonly name: string;
  readonly attributes: Attributes;
}

/** What a reader may look at: all that was sent, and the operation that the fields table made of it. */
export interface ContentSource {
  readonly attributes: Attributes;
  readonly events: readonly ContentEvent[];
  readonly scopeName: string;
  readonly operation: string | undefined;
  readonly finishReasons?: readonly string[] | undefined;
  /** The keys among the attributes that {@link isContentKey} knows, when they are at hand: saves looking at all. */
  readonly contentKeys?: readonly string[] | undefined;
}

type ContentField = keyof Messages;
/** Reads a value; for a family of keys the value is the list that the keys spell out. */
type Read = (value: Json, source: ContentSource, key: string) => Partial<Messages>;

export interface ContentRow {
  readonly field: ContentField;
  /** `KEY`, or `PREFIX.*` for a family of indexed keys: `PREFIX.0.…`. */
  readonly key: string;
  readonly read: Read;
  /** Only spans of this operation. */
  readonly operation?: string;
  /** Only spans of a scope that begins so: the key is too common a word elsewhere. */
  readonly scope?: string;
  readonly rank: number;
}

// Readers: value → what it holds. The field of the row must come out of it; the others are taken where nothing better is.

const conversation: Read = (value) => ({ input: messagesOf(value, 'user') });
/** OpenLLMetry for the Responses API writes the list of input items as JSON into the text of one message. */
const nestedConversation: Read = (value) => {
  const [message, ...others] = messagesOf(value, 'user');
  const [part, ...more] = message?.parts ?? [];
  if (part?.type !== 'text' || others.length + more.length > 0 || !part.content.startsWith('[')) return {};
  const items = jsonOrText(part.content);
  return Array.isArray(items) && items.every(isMessage) ? { input: messagesOf(items, 'user') } : {};
};
const answer: Read = (value) => ({ output: messagesOf(value, 'assistant') });
const request: Read = requestOf;
const words: Read = (value) => ({ input: textMessage('user', value) });
const instructions: Read = (value) => ({ systemInstructions: partsOf(parsed(value)) });
/** Instructions and tools beside a conversation that other keys already gave: members of the request's parameters. */
const beside: (field: 'systemInstructions' | 'toolDefinitions') => Read = (field) => (value) => {
  const json = parsed(value);
  if (!isObject(json)) return {};
  if (field === 'toolDefinitions') return { toolDefinitions: listOf(json.tools ?? json.functions).map(toolDefinition) };
  return { systemInstructions: partsOf(json.system ?? json.instructions ?? json.system_instruction) };
};
const tools: Read = (value) => ({ toolDefinitions: listOf(parsed(value)).map(toolDefinition) });

/** A tool as JSON text inside a list (Vercel), or wrapped by OpenInference's `tool.json_schema`. */
function toolDefinition(value: Json): Json {
  const json = typeof value === 'string' ? jsonOrText(value) : value;
  const schema = isObject(json) && isObject(json.tool) ? json.tool.json_schema : undefined;
  return typeof schema === 'string' ? jsonOrText(schema) : (schema ?? json);
}

const toolInput: Read = (value, { attributes }) => {
  const name = labelAmong(attributes, TOOL_NAMES) ?? '';
  const id = labelAmong(attributes, TOOL_CALL_IDS);
  const call: Part = { type: 'tool_call', ...(id === undefined ? {} : { id }), name, arguments: parsed(value) ?? null };
  return { input: [{ role: 'assistant', parts: [call] }] };
};

const toolOutput: Read = (value, { attributes }) => {
  const id = labelAmong(attributes, TOOL_CALL_IDS);
  const response = responseOf(typeof value === 'string' ? jsonOrText(value) : value);
  return {
    output: [{ role: 'tool', parts: [{ type: 'tool_call_response', ...(id === undefined ? {} : { id }), response }] }],
  };
};

const TOOL_NAMES = [
  'gen_ai.tool.name',
  'tool.name',
  'ai.toolCall.name',
  'lk.function_tool.name',
  'traceloop.entity.name',
];
const TOOL_CALL_IDS = ['gen_ai.tool.call.id', 'tool.id', 'ai.toolCall.id', 'lk.function_tool.id'];

function labelAmong(attributes: Attributes, keys: readonly string[]): string | undefined {
  const key = keys.find((key) => typeof attributes[key] === 'string' && attributes[key] !== '');
  return key === undefined ? undefined : String(attributes[key]);
}

/** Documents that a search found, each a generic part named `document` with id, score and content. */
const documents: Read = (value) => ({ output: documentMessage('tool', value) });
const documentsIn: Read = (value, { attributes }) => ({
  input: [...textMessage('user', attributes['reranker.query']), ...documentMessage('tool', value)],
});

function documentMessage(role: string, value: Json): Message[] {
  const list = listOf(parsed(value)).slice(0, MAX_MESSAGES);
  const parts = list.map((item): Part => {
    const document = isObject(item) && isObject(item.document) ? item.document : item;
    return { type: 'generic', name: 'document', value: document };
  });
  return parts.length === 0 ? [] : [{ role, parts }];
}

/** Texts that were embedded; the vectors stay attributes. */
const embedded: Read = (value) => {
  const texts = listOf(parsed(value)).flatMap((item) => {
    const text = isObject(item) && isObject(item.embedding) ? item.embedding.text : item;
    return typeof text === 'string' ? [jsonWord(text)] : [];
  });
  const parts = texts.slice(0, MAX_MESSAGES).map((content): Part => ({ type: 'text', content }));
  return { input: parts.length === 0 ? [] : [{ role: 'user', parts }] };
};

/** Langfuse's SDK 3 for Python writes a streamed text as JSON of it. */
function ofJsonWord(read: Read): Read {
  return (value, ...rest) => read(typeof value === 'string' ? jsonWord(value) : value, ...rest);
}

/** Vercel writes a text as JSON of it. */
function jsonWord(text: string): string {
  if (!text.startsWith('"')) return text;
  try {
    return String(JSON.parse(text));
  } catch {
    return text;
  }
}

/** OpenInference's text completions: `llm.prompts.0.prompt.text`, `llm.choices.0.completion.text`. */
function completionTexts(member: string, field: 'input' | 'output', role: string): Read {
  return (value) => ({
    [field]: listOf(parsed(value)).flatMap((item) => {
      const inner = isObject(item) && isObject(item[member]) ? item[member].text : item;
      return textMessage(role, inner ?? null);
    }),
  });
}

/** An answer in several keys of one span: text, thoughts, calls and files make one message. */
function composed(keys: {
  readonly text: readonly string[];
  readonly reasoning?: string;
  readonly calls: readonly string[];
  readonly files?: string;
  readonly finishReason?: string;
}): Read {
  return (_value, { attributes }) => {
    const parts: Part[] = [];
    const thought = keys.reasoning === undefined ? undefined : attributes[keys.reasoning];
    if (typeof thought === 'string' && thought !== '') parts.push({ type: 'reasoning', content: thought });
    const said = labelAmong(attributes, keys.text);
    if (said !== undefined) parts.push({ type: 'text', content: said });
    for (const key of keys.calls) parts.push(...partsOf(parsed(attributes[key]) ?? null).filter(isNoText));
    if (keys.files !== undefined) parts.push(...partsOf(parsed(attributes[keys.files]) ?? null).filter(isNoText));
    if (parts.length === 0) return {};
    const message: Message = { role: 'assistant', parts };
    const reason = keys.finishReason === undefined ? undefined : attributes[keys.finishReason];
    if (typeof reason === 'string' && reason !== '') message.finish_reason = reason;
    return { output: [message] };
  };
}

const isNoText = ({ type }: Part): boolean => type !== 'text';

// Vercel: without `type`, calls of v4 are told by their members.
const vercelAnswer = composed({
  text: ['ai.response.text', 'ai.result.text', 'ai.response.object', 'ai.result.object'],
  reasoning: 'ai.response.reasoning',
  calls: ['ai.response.toolCalls', 'ai.result.toolCalls'],
  files: 'ai.response.files',
  finishReason: 'ai.response.finishReason',
});
const liveKitAnswer = composed({
  text: ['lk.pii.response.text', 'lk.response.text'],
  calls: ['lk.pii.response.function_calls', 'lk.response.function_calls'],
});

/** A conversation with its answer at the end: what the assistant said last is the output. */
const wholeConversation: Read = (value) => {
  const messages = messagesOf(value, 'user');
  const end = messages.findLastIndex(({ role }) => role !== 'assistant') + 1;
  return { input: messages.slice(0, end), output: messages.slice(end) };
};

/** Events as JSON in one attribute, as Pydantic AI wrote them before its version 2 of the format. */
const eventList: Read = (value) => {
  const read = noMessages();
  for (const item of listOf(parsed(value)).slice(0, MAX_MESSAGES)) {
    if (!isObject(item) || typeof item['event.name'] !== 'string') continue;
    readEvent({ name: item['event.name'], attributes: item }, '', read);
  }
  return { input: read.input, output: read.output, systemInstructions: read.systemInstructions };
};

/** One group of rows: keys with one reader, the preferred first. */
interface Group {
  readonly field: ContentField;
  readonly read: Read;
  readonly keys: readonly string[];
  readonly operation?: string;
  readonly scope?: string;
}

// Sources: semantic-conventions-genai 1.42; OpenLLMetry 0.x (indexed keys, traceloop.*); OpenInference semantic-conventions
// 2.12; Vercel AI SDK 3 to 7 (ai.*); Langfuse SDK 5 (langfuse.*); Pydantic AI, Google ADK (gcp.vertex.agent.*), Genkit,
// MLflow, LiveKit agents (lk.*, since 1.3 lk.pii.*), the Lumina SDK (llm.request). Span events stand where `EVENTS` stands:
// after what an instrumentation of a model wrote, before what a framework kept of its own functions' arguments.
const SPECIFIC: readonly Group[] = [
  {
    field: 'input',
    read: nestedConversation,
    keys: ['gen_ai.input.messages'],
    scope: '@traceloop/instrumentation-openai',
  },
  { field: 'input', read: conversation, keys: ['gen_ai.input.messages', 'gen_ai.prompt.*', 'gen_ai.prompt'] },
  { field: 'output', read: answer, keys: ['gen_ai.output.messages', 'gen_ai.completion.*', 'gen_ai.completion'] },
  { field: 'input', read: conversation, keys: ['llm.input_messages.*', 'llm.input_messages'] },
  { field: 'output', read: answer, keys: ['llm.output_messages.*', 'llm.output_messages'] },
  { field: 'input', read: completionTexts('prompt', 'input', 'user'), keys: ['llm.prompts.*', 'llm.prompts'] },
  { field: 'output', read: completionTexts('completion', 'output', 'assistant'), keys: ['llm.choices.*'] },
  { field: 'input', read: request, keys: ['ai.prompt.messages', 'ai.prompt'] },
  {
    field: 'output',
    read: vercelAnswer,
    keys: [
      'ai.response.text',
      'ai.response.object',
      'ai.response.toolCalls',
      'ai.response.reasoning',
      'ai.response.files',
      'ai.result.text',
      'ai.result.object',
      'ai.result.toolCalls',
    ],
  },
  { field: 'input', read: toolInput, keys: ['gen_ai.tool.call.arguments', 'ai.toolCall.args'] },
  { field: 'output', read: toolOutput, keys: ['gen_ai.tool.call.result', 'ai.toolCall.result'] },
  { field: 'input', read: embedded, keys: ['embedding.embeddings.*', 'embedding.text', 'ai.values', 'ai.value'] },
  { field: 'input', read: documentsIn, keys: ['reranker.input_documents.*', 'ai.documents'] },
  {
    field: 'input',
    read: words,
    keys: ['gen_ai.retrieval.query.text', 'gen_ai.retrieval.query', 'reranker.query'],
  },
  {
    field: 'output',
    read: documents,
    keys: ['retrieval.documents.*', 'gen_ai.retrieval.documents', 'reranker.output_documents.*', 'ai.ranking'],
  },
  { field: 'input', read: wholeConversation, keys: ['pydantic_ai.all_messages', 'all_messages_events'] },
  { field: 'input', read: eventList, keys: ['events'], scope: 'pydantic-ai' },
  { field: 'output', read: answer, keys: ['final_result'], scope: 'pydantic-ai' },
  { field: 'input', read: toolInput, keys: ['tool_arguments'], scope: 'pydantic-ai' },
  { field: 'output', read: toolOutput, keys: ['tool_response'], scope: 'pydantic-ai' },
  {
    field: 'systemInstructions',
    read: instructions,
    keys: ['gen_ai.system_instructions', 'lk.pii.instructions', 'lk.instructions'],
  },
  {
    field: 'toolDefinitions',
    read: tools,
    keys: ['gen_ai.tool.definitions', 'llm.tools.*', 'llm.request.functions.*', 'ai.prompt.tools', 'lk.function_tools'],
  },
];

const GENERAL: readonly Group[] = [
  { field: 'systemInstructions', read: instructions, keys: ['langfuse.observation.metadata.instructions'] },
  {
    field: 'systemInstructions',
    read: beside('systemInstructions'),
    keys: ['llm.invocation_parameters', 'input.value'],
  },
  { field: 'toolDefinitions', read: beside('toolDefinitions'), keys: ['llm.invocation_parameters', 'input.value'] },
  { field: 'input', read: toolInput, keys: ['langfuse.observation.input'], operation: 'execute_tool' },
  { field: 'output', read: toolOutput, keys: ['langfuse.observation.output'], operation: 'execute_tool' },
  { field: 'input', read: ofJsonWord(request), keys: ['langfuse.observation.input'] },
  { field: 'output', read: ofJsonWord(answer), keys: ['langfuse.observation.output'] },
  { field: 'input', read: toolInput, keys: ['gcp.vertex.agent.tool_call_args'], operation: 'execute_tool' },
  { field: 'output', read: toolOutput, keys: ['gcp.vertex.agent.tool_response'], operation: 'execute_tool' },
  { field: 'input', read: request, keys: ['gcp.vertex.agent.llm_request'] },
  { field: 'output', read: answer, keys: ['gcp.vertex.agent.llm_response'] },
  { field: 'input', read: request, keys: ['genkit:input'] },
  { field: 'output', read: answer, keys: ['genkit:output'] },
  { field: 'input', read: toolInput, keys: ['mlflow.spanInputs'], operation: 'execute_tool' },
  { field: 'output', read: toolOutput, keys: ['mlflow.spanOutputs'], operation: 'execute_tool' },
  { field: 'input', read: request, keys: ['mlflow.spanInputs'] },
  { field: 'output', read: answer, keys: ['mlflow.spanOutputs'] },
  { field: 'input', read: toolInput, keys: ['lk.pii.function_tool.arguments', 'lk.function_tool.arguments'] },
  { field: 'output', read: toolOutput, keys: ['lk.pii.function_tool.output', 'lk.function_tool.output'] },
  { field: 'input', read: request, keys: ['lk.pii.chat_ctx', 'lk.chat_ctx'] },
  {
    field: 'input',
    read: words,
    keys: [
      'lk.pii.user_input',
      'lk.user_input',
      'lk.pii.user_transcript',
      'lk.user_transcript',
      'lk.pii.input_text',
      'lk.input_text',
    ],
  },
  {
    field: 'output',
    read: liveKitAnswer,
    keys: ['lk.pii.response.text', 'lk.response.text', 'lk.pii.response.function_calls', 'lk.response.function_calls'],
  },
  { field: 'input', read: request, keys: ['llm.request'] },
  { field: 'output', read: answer, keys: ['llm.response'] },
  { field: 'input', read: toolInput, keys: ['input.value', 'traceloop.entity.input'], operation: 'execute_tool' },
  { field: 'output', read: toolOutput, keys: ['output.value', 'traceloop.entity.output'], operation: 'execute_tool' },
  { field: 'input', read: request, keys: ['input.value', 'traceloop.entity.input', 'langfuse.trace.input'] },
  { field: 'output', read: answer, keys: ['output.value', 'traceloop.entity.output', 'langfuse.trace.output'] },
  { field: 'input', read: request, keys: ['prompt'], scope: 'logfire' },
  { field: 'input', read: request, keys: ['input'], scope: 'pipecat' },
  { field: 'output', read: answer, keys: ['output'], scope: 'pipecat' },
];

const EVENTS_RANK = 1_000;
const FAMILY = '.*';

function ranked(groups: readonly Group[], from: number): ContentRow[] {
  const rows = groups.flatMap(({ keys, ...group }) => keys.map((key) => ({ ...group, key })));
  return rows.map((row, i) => ({ ...row, rank: from + i }));
}

/** All rows, the preferred first; those from {@link EVENTS_RANK} on come after the span's events. */
export const CONTENT_ROWS: readonly ContentRow[] = [...ranked(SPECIFIC, 0), ...ranked(GENERAL, EVENTS_RANK)];

const BY_KEY = Map.groupBy(
  CONTENT_ROWS.filter(({ key }) => !key.endsWith(FAMILY)),
  ({ key }) => key,
);
/** First character of a key → the families that begin with it. */
const FAMILIES = Map.groupBy(
  CONTENT_ROWS.filter(({ key }) => key.endsWith(FAMILY)).map((row) => ({ row, prefix: row.key.slice(0, -1) })),
  ({ prefix }) => prefix.charCodeAt(0),
);

function familyOf(key: string): ContentRow | undefined {
  const families = FAMILIES.get(key.charCodeAt(0));
  if (families === undefined) return undefined;
  for (const { row, prefix } of families) {
    const digit = key.charCodeAt(prefix.length) - 0x30;
    if (digit >= 0 && digit <= 9 && key.startsWith(prefix)) return row;
  }
  return undefined;
}

/** Whether a key carries content: such keys are kept where a limit cuts others. */
export function isContentKey(key: string): boolean {
  return BY_KEY.has(key) || familyOf(key) !== undefined;
}

/** Everything that was said in one span, from its attributes and events. Never throws. */
export function contentOf(source: ContentSource): SpanMessages {
  const content = noMessages();
  const families = new Map<ContentRow, string[]>();
  const rows = presentRows(source, families);
  let eventsRead = source.events.length === 0;
  for (const row of rows) {
    if (!eventsRead && row.rank >= EVENTS_RANK) {
      take(content, contentOfEvents(source.events, 'event:'));
      eventsRead = true;
    }
    if (content[row.field].length > 0 || !applies(row, source)) continue;
    readRow(row, families.get(row), source, content);
  }
  if (!eventsRead) take(content, contentOfEvents(source.events, 'event:'));
  addFinishReasons(content.output, source.finishReasons ?? []);
  leaveOutRepeatedInstructions(content);
  return content;
}

/** Instructions that the conversation begins with are not shown twice. */
function leaveOutRepeatedInstructions(content: SpanMessages): void {
  const first = content.input[0];
  if (content.systemInstructions.length === 0 || first?.role !== 'system') return;
  if (JSON.stringify(first.parts) !== JSON.stringify(content.systemInstructions)) return;
  content.systemInstructions = [];
  delete content.from.systemInstructions;
}

/** One reason per answer, where the span gives them beside the answers. */
function addFinishReasons(output: readonly Message[], reasons: readonly string[]): void {
  if (output.length !== reasons.length) return;
  output.forEach((message, i) => {
    if (message.role === 'assistant' && reasons[i] !== '') message.finish_reason ??= reasons[i]!;
  });
}

const FEW_KEYS = 8;

function presentRows(source: ContentSource, families: Map<ContentRow, string[]>): ContentRow[] {
  const rows: ContentRow[] = [];
  const { contentKeys, attributes } = source;
  // the same key a thousand times is one key; of a few it does not matter
  const keys = contentKeys !== undefined && contentKeys.length > FEW_KEYS ? new Set(contentKeys) : contentKeys;
  if (keys !== undefined) for (const key of keys) addRows(key, rows, families);
  else for (const key in attributes) addRows(key, rows, families);
  return rows.length > 1 ? rows.sort((a, b) => a.rank - b.rank) : rows;
}

function addRows(key: string, rows: ContentRow[], families: Map<ContentRow, string[]>): void {
  const exact = BY_KEY.get(key);
  if (exact !== undefined) {
    for (const row of exact) rows.push(row);
    return;
  }
  const family = familyOf(key);
  if (family === undefined) return;
  const keys = families.get(family);
  if (keys !== undefined) {
    keys.push(key);
    return;
  }
  families.set(family, [key]);
  rows.push(family);
}

function applies(row: ContentRow, { scopeName, operation }: ContentSource): boolean {
  if (row.operation !== undefined && row.operation !== operation) return false;
  return row.scope === undefined || scopeName.startsWith(row.scope);
}

function readRow(row: ContentRow, keys: string[] | undefined, source: ContentSource, content: SpanMessages): void {
  const value =
    keys === undefined ? source.attributes[row.key] : listFromKeys(source.attributes, keys, row.key.slice(0, -1));
  if (value === undefined || value === null || value === '') return;
  const read = row.read(value, source, row.key);
  if ((read[row.field]?.length ?? 0) === 0 || isSilent(read, row.field)) return;
  for (const field of FIELDS) fill(content, field, read[field], row.key);
}

const FIELDS = ['input', 'output', 'systemInstructions', 'toolDefinitions'] as const satisfies readonly ContentField[];

/** Messages without any part say nothing: another key may. */
function isSilent(read: Partial<Messages>, field: ContentField): boolean {
  return (field === 'input' || field === 'output') && !(read[field] ?? []).some(({ parts }) => parts.length > 0);
}

/** Fills what is still empty. */
function take(content: SpanMessages, more: SpanMessages): void {
  for (const field of FIELDS) fill(content, field, more[field], more.from[field] ?? '');
}

function fill<F extends ContentField>(
  content: SpanMessages,
  field: F,
  value: Messages[F] | undefined,
  from: string,
): void {
  if (value === undefined || value.length === 0 || content[field].length > 0) return;
  const messages: Messages = content;
  messages[field] = value;
  content.from[field] = from;
}

interface EventRow {
  readonly field: ContentField;
  readonly role: string;
  /** Attributes that may hold the whole message or its text; the first one present is read. Without one, the event's members are. */
  readonly keys: readonly string[];
  readonly whole?: boolean;
}

const MESSAGE_KEYS = ['gen_ai.event.content', 'message'] as const;

// Sources: semantic-conventions 1.27 (gen_ai.content.*), 1.28-1.36 (gen_ai.*.message, gen_ai.choice), semantic-conventions-genai
// (gen_ai.client.inference.operation.details). On span events the body is attributes; as log records it is the body.
const EVENTS: ReadonlyMap<string, readonly EventRow[]> = new Map<string, readonly EventRow[]>([
  ['gen_ai.system.message', [{ field: 'input', role: 'system', keys: MESSAGE_KEYS }]],
  ['gen_ai.user.message', [{ field: 'input', role: 'user', keys: MESSAGE_KEYS }]],
  ['gen_ai.assistant.message', [{ field: 'input', role: 'assistant', keys: MESSAGE_KEYS }]],
  ['gen_ai.tool.message', [{ field: 'input', role: 'tool', keys: MESSAGE_KEYS }]],
  ['gen_ai.choice', [{ field: 'output', role: 'assistant', keys: ['gen_ai.event.content'] }]],
  ['gen_ai.content.prompt', [{ field: 'input', role: 'user', keys: ['gen_ai.prompt'], whole: true }]],
  ['gen_ai.content.completion', [{ field: 'output', role: 'assistant', keys: ['gen_ai.completion'], whole: true }]],
  [
    'gen_ai.client.inference.operation.details',
    [
      { field: 'input', role: 'user', keys: ['gen_ai.input.messages'], whole: true },
      { field: 'output', role: 'assistant', keys: ['gen_ai.output.messages'], whole: true },
      { field: 'systemInstructions', role: 'system', keys: ['gen_ai.system_instructions'], whole: true },
      { field: 'toolDefinitions', role: '', keys: ['gen_ai.tool.definitions'], whole: true },
    ],
  ],
]);

function contentOfEvents(events: readonly ContentEvent[], from: string): SpanMessages {
  const content = noMessages();
  for (const event of events) readEvent(event, from, content);
  return content;
}

function readEvent(event: ContentEvent, from: string, content: SpanMessages): void {
  for (const row of EVENTS.get(event.name) ?? []) {
    const key = row.keys.find((key) => event.attributes[key] !== undefined);
    const value = key === undefined ? (row.whole ? undefined : bodyOf(event.attributes)) : event.attributes[key];
    if (value === undefined || content[row.field].length >= MAX_MESSAGES) continue;
    const read = readField(row, value);
    if (read.length === 0) continue;
    (content[row.field] as unknown[]).push(...read);
    noteOrigin(content, row.field, `${from}${event.name}${key === undefined ? '' : `/${key}`}`);
  }
}

function readField({ field, role }: EventRow, value: AttributeValue): readonly (Message | Part | Json)[] {
  if (field === 'systemInstructions') return partsOf(parsed(value));
  if (field === 'toolDefinitions') return listOf(parsed(value));
  return messagesOf(value, role);
}

/** Several events fill one field: each origin once, in order. */
function noteOrigin({ from }: SpanMessages, field: ContentField, origin: string): void {
  const before = from[field];
  if (before === undefined) from[field] = origin;
  else if (!before.split(' + ').includes(origin)) from[field] = `${before} + ${origin}`;
}

/** A message whose members are the attributes of the event; members that hold JSON text of their own are parsed. */
function bodyOf(attributes: Attributes): Json | undefined {
  const body: JsonObject = {};
  for (const member of ['role', 'content', 'tool_calls', 'id', 'name', 'finish_reason', 'message', 'index']) {
    const value = attributes[member];
    if (value !== undefined) body[member] = member === 'content' ? value : (parsed(value) ?? null);
  }
  return body.content === undefined && body.tool_calls === undefined && body.message === undefined ? undefined : body;
}

/** What a log record says of its span: the same events, sent as logs. Undefined when it carries no content. */
export function messagesFromLog(record: {
  readonly eventName: string;
  readonly attributes: Attributes;
  readonly body: Json;
}): SpanMessages | undefined {
  const name = record.eventName || record.attributes['event.name'];
  if (typeof name !== 'string' || !EVENTS.has(name)) return undefined;
  const body = isObject(record.body) ? record.body : record.body === null ? {} : { content: record.body };
  const content = contentOfEvents([{ name, attributes: { ...record.attributes, ...body } }], 'log:');
  return FIELDS.some((field) => content[field].length > 0) ? content : undefined;
}

/** The content of a span with that of its log records, in their order: they fill only what the span itself left empty. */
export function joinMessages(own: SpanMessages, fromLogs: readonly SpanMessages[]): SpanMessages {
  const logs = noMessages();
  for (const log of fromLogs) {
    for (const field of FIELDS) {
      if (log[field].length === 0) continue;
      const room = MAX_MESSAGES - logs[field].length;
      (logs[field] as unknown[]).push(...log[field].slice(0, Math.max(0, room)));
      for (const origin of log.from[field]?.split(' + ') ?? []) noteOrigin(logs, field, origin);
    }
  }
  const joined: SpanMessages = { ...own, from: { ...own.from } };
  take(joined, logs);
  return joined;
}
