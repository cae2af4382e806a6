// One model of prompts and answers: the messages of the GenAI conventions (role, parts), read from every older shape too.
import { clean, ellipsize } from './text.ts';
import type { AttributeValue, Attributes, Json } from './span.ts';

type JsonObject = { [key: string]: Json };

export interface TextPart {
  type: 'text';
  content: string;
}
export interface ReasoningPart {
  type: 'reasoning';
  content: string;
}
export interface ToolCallPart {
  type: 'tool_call';
  id?: string;
  name: string;
  /** The parsed arguments; text when they were no JSON. */
  arguments?: Json;
}
export interface ToolCallResponsePart {
  type: 'tool_call_response';
  id?: string;
  response: Json;
}
/** Data in place, base64. */
export interface BlobPart {
  type: 'blob';
  modality?: string;
  mime_type?: string;
  content: string;
}
export interface FilePart {
  type: 'file';
  modality?: string;
  mime_type?: string;
  file_id: string;
}
export interface UriPart {
  type: 'uri';
  modality?: string;
  mime_type?: string;
  uri: string;
}
/** Anything else, with its own members beside `type`. */
export interface GenericPart {
  type: 'generic';
  /** The type that the sender gave, empty when there was none. */
  name: string;
  value: Json;
}
export type Part =
  TextPart | ReasoningPart | ToolCallPart | ToolCallResponsePart | BlobPart | FilePart | UriPart | GenericPart;

export interface Message {
  /** `system`, `user`, `assistant`, `tool`, or what the sender said. */
  role: string;
  parts: Part[];
  name?: string;
  finish_reason?: string;
}

/** The content of one span. Member names inside are those of the GenAI conventions, so it is ready for JSON. */
export interface Messages {
  input: Message[];
  output: Message[];
  systemInstructions: Part[];
  toolDefinitions: Json[];
}

/** {@link Messages} of a span, with the span events that filled a field: field → `event:NAME`. */
export interface SpanMessages extends Messages {
  fromEvents: Record<string, string>;
}

/** Content as attributes carry it: JSON text or structured values. */
export interface Content {
  input?: AttributeValue | undefined;
  output?: AttributeValue | undefined;
  systemInstructions?: AttributeValue | undefined;
  toolDefinitions?: AttributeValue | undefined;
}

interface ContentEvent {
  readonly name: string;
  readonly attributes: Attributes;
}

/** Deeper JSON than this stays text: what is parsed here can be written again without exhausting a stack. */
const MAX_JSON_DEPTH = 64;
const MAX_MESSAGES = 10_000;
const MAX_PREVIEW_CODE_POINTS = 300;

/** The messages of one span: from its attributes, and where they are silent from its events. Never throws. */
export function messagesFrom(content: Content, events: readonly ContentEvent[]): SpanMessages {
  const messages: SpanMessages = {
    input: messagesOf(content.input, 'user'),
    output: messagesOf(content.output, 'assistant'),
    systemInstructions: partsOf(parsed(content.systemInstructions)),
    toolDefinitions: listOf(parsed(content.toolDefinitions)),
    fromEvents: {},
  };
  if (events.length > 0) readEvents(events, messages);
  return messages;
}

/**
 * Messages from JSON text or a structured value, in any of the shapes that senders use: the conventions' own
 * `[{role, parts}]`, `[{role, content}]` of chat APIs with text or part arrays, a single message, `{messages: […]}`,
 * `{choices: [{message}]}`, texts, or plain text, which becomes one message of `defaultRole`. JSON that
 * is none of these (an answer in JSON mode) is plain text too.
 */
export function messagesOf(value: AttributeValue | undefined, defaultRole: string): Message[] {
  const json = parsed(value);
  if (typeof value === 'string' && !holdsMessages(json)) return messageListOf(value, defaultRole);
  return messageListOf(json, defaultRole).slice(0, MAX_MESSAGES);
}

/** Whether JSON that was sent as text is a conversation; else it is a text of its own, such as an answer in JSON. */
function holdsMessages(json: Json | undefined): boolean {
  if (Array.isArray(json))
    return json.every((item) => typeof item === 'string') || json.some(isMessage) || arePartsOnly(json);
  return !isObject(json) || isMessage(json) || WRAPPERS.some((wrapper) => Array.isArray(json[wrapper]));
}

/** Members of which a message, or a choice around one, has at least one. */
const MESSAGE_MEMBERS = [
  'role',
  'content',
  'parts',
  'text',
  'message',
  'tool_calls',
  'function_call',
  'reasoning_content',
  'finish_reason',
  'finishReason',
  'stop_reason',
] as const;

function isMessage(value: Json): boolean {
  return isObject(value) && (isPart(value) || MESSAGE_MEMBERS.some((member) => value[member] !== undefined));
}

/** A part that stands where a message was expected, as items of the Responses API do. */
function isPart(value: JsonObject): boolean {
  if (value.role !== undefined || value.message !== undefined || value.parts !== undefined) return false;
  return PARTS.has(typeof value.type === 'string' ? value.type : untypedPart(value));
}

/** Whose part it is when no message says so. */
const PART_ROLES = new Map([
  ['reasoning', 'assistant'],
  ['function_call', 'assistant'],
  ['tool_call', 'assistant'],
  ['tool_use', 'assistant'],
  ['function_call_output', 'tool'],
  ['tool_call_response', 'tool'],
]);

function messageListOf(value: Json | undefined, defaultRole: string): Message[] {
  if (value === undefined || value === null || value === '') return [];
  if (Array.isArray(value))
    return arePartsOnly(value)
      ? [messageOf({ parts: value }, defaultRole)]
      : value.map((item) => messageOf(item, defaultRole));
  if (!isObject(value)) return [messageOf(value, defaultRole)];
  for (const wrapper of WRAPPERS) {
    const inner = value[wrapper];
    if (Array.isArray(inner)) return inner.map((item) => messageOf(item, defaultRole));
  }
  return [messageOf(value, defaultRole)];
}

/** Members that hold the list of messages when a whole request or answer was sent as content. */
const WRAPPERS = ['messages', 'choices', 'contents', 'candidates'] as const;

/** A list of parts that stands where a list of messages was expected: every item has a type, none a role. */
function arePartsOnly(list: Json[]): boolean {
  return (
    list.length > 0 &&
    list.every(
      (item) =>
        isObject(item) &&
        typeof item.type === 'string' &&
        item.type !== 'message' &&
        item.role === undefined &&
        item.message === undefined,
    )
  );
}

function messageOf(value: Json, defaultRole: string): Message {
  if (!isObject(value)) return { role: defaultRole, parts: partsOf(value) };
  if (!isMessage(value)) return { role: defaultRole, parts: [jsonText(value)] };
  const inner = value.message ?? (isObject(value.content) && value.parts === undefined ? value.content : undefined);
  if (isObject(inner) && INNER_MEMBERS.some((member) => inner[member] !== undefined)) {
    return messageOf({ ...value, content: null, message: null, ...inner }, defaultRole);
  }
  const role = textOr(value.role, defaultRole);
  const partRole = typeof value.type === 'string' ? PART_ROLES.get(value.type) : undefined;
  if (partRole !== undefined && isPart(value)) return { role: partRole, parts: partOf(value) };
  const message: Message = { role: ROLES.get(role) ?? role, parts: messageParts(value, role) };
  const finishReason = value.finish_reason ?? value.finishReason ?? value.stop_reason;
  if (typeof value.name === 'string' && value.name !== '') message.name = value.name;
  if (typeof finishReason === 'string' && finishReason !== '') message.finish_reason = finishReason;
  return message;
}

/** Members that tell a message inside a choice from content that is an object. */
const INNER_MEMBERS = ['role', 'content', 'parts', 'tool_calls', 'function_call'] as const;

/** Other words for the roles of the conventions. */
const ROLES = new Map([
  ['human', 'user'],
  ['ai', 'assistant'],
  ['model', 'assistant'],
  ['function', 'tool'],
  ['developer', 'system'],
]);

function messageParts(message: JsonObject, role: string): Part[] {
  const said = message.parts ?? message.content ?? message.text ?? textOrNone(message.message);
  const parts = isContentObject(said) ? [jsonText(said)] : partsOf(said);
  const calls = Array.isArray(message.tool_calls) ? message.tool_calls : [message.function_call ?? null];
  const callParts = calls.filter(isObject).map(toolCallOf);
  const reasoning = typeof message.reasoning_content === 'string' ? reasoningOf(message.reasoning_content) : [];
  const isToolAnswer =
    (role === 'tool' || role === 'function') && !parts.some((part) => part.type === 'tool_call_response');
  if (!isToolAnswer) return [...reasoning, ...parts, ...callParts];
  const id = optionalId(message.tool_call_id ?? message.id);
  return [{ type: 'tool_call_response', ...id, response: responseOf(message.parts ?? message.content ?? null) }];
}

/** An object of the sender's own as content, no part that anyone knows. */
function isContentObject(value: Json | undefined): value is JsonObject {
  return isObject(value) && typeof value.type !== 'string' && untypedPart(value) === '';
}

function jsonText(value: Json): TextPart {
  return { type: 'text', content: JSON.stringify(value) };
}

function reasoningOf(content: string): Part[] {
  return content === '' ? [] : [{ type: 'reasoning', content }];
}

/** The answer of a tool: its text when it is only text, else as it was sent. */
function responseOf(value: Json): Json {
  const parts = Array.isArray(value) ? partsOf(value) : [];
  if (parts.length > 0 && parts.every((part) => part.type === 'text'))
    return parts.map((part) => part.content).join('\n');
  return typeof value === 'string' ? jsonOrText(value) : value;
}

/** Parts from a text, one part, or a list of texts and parts. */
export function partsOf(value: Json | undefined): Part[] {
  if (value === undefined || value === null || value === '') return [];
  if (Array.isArray(value)) return value.slice(0, MAX_MESSAGES).flatMap(partOf);
  return partOf(value);
}

function partOf(value: Json): Part[] {
  if (value === null || value === '') return [];
  if (typeof value === 'string') return [{ type: 'text', content: value }];
  if (!isObject(value)) return [{ type: 'text', content: JSON.stringify(value) }];
  const type = typeof value.type === 'string' ? value.type : untypedPart(value);
  const part = PARTS.get(type)?.(value);
  return [part ?? { type: 'generic', name: type, value }];
}

/** Gemini names no type: the member that is there tells it. */
function untypedPart(part: JsonObject): string {
  for (const member of [
    'text',
    'inline_data',
    'inlineData',
    'function_call',
    'functionCall',
    'function_response',
    'functionResponse',
  ]) {
    if (part[member] !== undefined) return member;
  }
  return typeof part.content === 'string' ? 'text' : '';
}

type ReadPart = (part: JsonObject) => Part | undefined;

const text: ReadPart = (part) => {
  const content = part.content ?? part.text ?? part.refusal;
  return typeof content === 'string' ? { type: 'text', content } : undefined;
};

const reasoning: ReadPart = (part) => {
  const content = part.content ?? part.thinking ?? part.text ?? part.reasoning;
  return typeof content === 'string' ? { type: 'reasoning', content } : undefined;
};

const toolCall: ReadPart = (part) => toolCallOf(part);

const toolCallResponse: ReadPart = (part) => ({
  type: 'tool_call_response',
  ...optionalId(part.id ?? part.tool_use_id ?? part.tool_call_id ?? part.call_id),
  response: responseOf(part.response ?? part.result ?? part.content ?? part.output ?? null),
});

const geminiCall: ReadPart = (part) => {
  const call = part.function_call ?? part.functionCall;
  return isObject(call) ? toolCallOf({ ...call, arguments: call.args ?? null }) : undefined;
};

const geminiResponse: ReadPart = (part) => {
  const answer = part.function_response ?? part.functionResponse;
  return isObject(answer)
    ? { type: 'tool_call_response', ...optionalId(answer.id), response: answer.response ?? null }
    : undefined;
};

const blob: ReadPart = (part) => {
  const content = part.content ?? part.data;
  return typeof content === 'string' ? { type: 'blob', ...mediaOf(part), content } : undefined;
};

const file: ReadPart = (part) => {
  const inner = isObject(part.file) ? part.file : part;
  const fileId = inner.file_id ?? inner.fileId;
  return typeof fileId === 'string' ? { type: 'file', ...mediaOf(part), file_id: fileId } : undefined;
};

const uri: ReadPart = (part) =>
  typeof part.uri === 'string' ? { type: 'uri', ...mediaOf(part), uri: part.uri } : undefined;

const imageUrl: ReadPart = (part) => {
  const url = isObject(part.image_url) ? part.image_url.url : part.image_url;
  return typeof url === 'string' ? mediaAt(url, 'image') : file({ ...part, modality: 'image' });
};

const inputAudio: ReadPart = (part) => {
  const audio = part.input_audio;
  if (!isObject(audio) || typeof audio.data !== 'string') return undefined;
  const format = typeof audio.format === 'string' ? { mime_type: `audio/${audio.format}` } : {};
  return { type: 'blob', modality: 'audio', ...format, content: audio.data };
};

/** Anthropic's image and document. */
const sourced: ReadPart = (part) => {
  const source = part.source;
  const modality = part.type === 'image' ? 'image' : 'document';
  if (!isObject(source)) return undefined;
  if (typeof source.url === 'string') return mediaAt(source.url, modality);
  if (typeof source.data !== 'string') return undefined;
  return { type: 'blob', modality, ...optionalText('mime_type', source.media_type), content: source.data };
};

const inlineData: ReadPart = (part) => {
  const data = part.inline_data ?? part.inlineData;
  if (!isObject(data) || typeof data.data !== 'string') return undefined;
  return { type: 'blob', ...optionalText('mime_type', data.mime_type ?? data.mimeType), content: data.data };
};

/** Type that a part carries → how it is read. Names: GenAI conventions, then OpenAI, Anthropic, Gemini. */
const PARTS: ReadonlyMap<string, ReadPart> = new Map([
  ['text', text],
  ['reasoning', reasoning],
  ['tool_call', toolCall],
  ['tool_call_response', toolCallResponse],
  ['blob', blob],
  ['file', file],
  ['uri', uri],
  ['input_text', text],
  ['output_text', text],
  ['refusal', text],
  ['image_url', imageUrl],
  ['input_image', imageUrl],
  ['input_audio', inputAudio],
  ['function_call', (part) => (isObject(part.function_call) ? geminiCall(part) : toolCallOf(part))],
  ['function_call_output', toolCallResponse],
  ['tool_use', toolCall],
  ['tool_result', toolCallResponse],
  ['thinking', reasoning],
  ['image', sourced],
  ['document', sourced],
  ['inline_data', inlineData],
  ['inlineData', inlineData],
  ['functionCall', geminiCall],
  ['function_response', geminiResponse],
  ['functionResponse', geminiResponse],
]);

/** A call in the shape of the conventions, OpenAI (`function.arguments`) or Anthropic (`input`). */
function toolCallOf(call: JsonObject): ToolCallPart {
  const fn = isObject(call.function) ? call.function : call;
  const args = fn.arguments ?? fn.input ?? fn.parameters;
  const part: ToolCallPart = { type: 'tool_call', ...optionalId(call.id ?? call.call_id), name: textOr(fn.name, '') };
  if (args !== undefined && args !== null) part.arguments = typeof args === 'string' ? jsonOrText(args) : args;
  return part;
}

const DATA_URL = /^data:([a-z0-9.+-]+\/[a-z0-9.+-]+)?(?:;[a-z0-9=.+-]+){0,4};base64,/i;

function mediaAt(url: string, modality: string): Part {
  const data = DATA_URL.exec(url.slice(0, 200));
  if (data === null) return { type: 'uri', modality, uri: url };
  return { type: 'blob', modality, ...optionalText('mime_type', data[1]), content: url.slice(data[0].length) };
}

function mediaOf(part: JsonObject): { modality?: string; mime_type?: string } {
  return { ...optionalText('modality', part.modality), ...optionalText('mime_type', part.mime_type ?? part.mimeType) };
}

function optionalText<K extends string>(key: K, value: Json | undefined): { [key in K]?: string } {
  return typeof value === 'string' && value !== '' ? ({ [key]: value } as { [key in K]?: string }) : {};
}

function optionalId(value: Json | undefined): { id?: string } {
  return optionalText('id', value);
}

function textOr(value: Json | undefined, fallback: string): string {
  return typeof value === 'string' && value !== '' ? value : fallback;
}

function textOrNone(value: Json | undefined): string | undefined {
  return typeof value === 'string' ? value : undefined;
}

function isObject(value: Json | undefined): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** JSON text is parsed, other text and structured values stay as they are. */
function parsed(value: AttributeValue | undefined): Json | undefined {
  return typeof value === 'string' ? jsonOrText(value) : value;
}

/** JSON text of an object or array, parsed; other text (a prompt of `42` or `true`), and what nests too deep, as it is. */
export function jsonOrText(text: string): Json {
  const first = /^\s*([[{])/.exec(text);
  if (first === null) return text;
  try {
    const value = JSON.parse(text) as Json;
    const escaped = text.includes('\\u');
    return isDeeper(value, MAX_JSON_DEPTH) ? text : escaped ? cleaned(value) : value;
  } catch {
    return text;
  }
}

function isDeeper(value: Json, depth: number): boolean {
  if (typeof value !== 'object' || value === null) return false;
  if (depth === 0) return true;
  if (Array.isArray(value)) return value.some((item) => isDeeper(item, depth - 1));
  for (const key in value) if (isDeeper(value[key]!, depth - 1)) return true;
  return false;
}

/** Escapes bring NUL and lone surrogates back that the attribute's text no longer had. */
function cleaned(value: Json): Json {
  if (typeof value === 'string') return clean(value);
  if (typeof value !== 'object' || value === null) return value;
  if (Array.isArray(value)) return value.map(cleaned);
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [clean(key), cleaned(item)]));
}

function listOf(value: Json | undefined): Json[] {
  if (value === undefined || value === null || value === '') return [];
  return Array.isArray(value) ? value : [value];
}

type EventField = 'input' | 'output' | 'systemInstructions';

interface EventRule {
  readonly field: EventField;
  readonly role: string;
  /** Attributes that may hold the whole message or its text; the first one present is read. */
  readonly keys: readonly string[];
}

// Sources: semantic-conventions 1.27 (gen_ai.content.*), 1.28-1.36 (gen_ai.*.message, gen_ai.choice), semantic-conventions-genai
// (gen_ai.client.inference.operation.details). Bodies of log events arrive as attributes on span events.
const EVENT_RULES: ReadonlyMap<string, readonly EventRule[]> = new Map([
  ['gen_ai.system.message', [{ field: 'input', role: 'system', keys: ['gen_ai.event.content', 'message'] }]],
  ['gen_ai.user.message', [{ field: 'input', role: 'user', keys: ['gen_ai.event.content', 'message'] }]],
  ['gen_ai.assistant.message', [{ field: 'input', role: 'assistant', keys: ['gen_ai.event.content', 'message'] }]],
  ['gen_ai.tool.message', [{ field: 'input', role: 'tool', keys: ['gen_ai.event.content', 'message'] }]],
  ['gen_ai.choice', [{ field: 'output', role: 'assistant', keys: ['gen_ai.event.content'] }]],
  ['gen_ai.content.prompt', [{ field: 'input', role: 'user', keys: ['gen_ai.prompt'] }]],
  ['gen_ai.content.completion', [{ field: 'output', role: 'assistant', keys: ['gen_ai.completion'] }]],
  [
    'gen_ai.client.inference.operation.details',
    [
      { field: 'input', role: 'user', keys: ['gen_ai.input.messages'] },
      { field: 'output', role: 'assistant', keys: ['gen_ai.output.messages'] },
      { field: 'systemInstructions', role: 'system', keys: ['gen_ai.system_instructions'] },
    ],
  ],
]);

function readEvents(events: readonly ContentEvent[], messages: SpanMessages): void {
  // what the attributes filled, before the events add to it
  const has = {
    input: messages.input.length > 0,
    output: messages.output.length > 0,
    systemInstructions: messages.systemInstructions.length > 0,
  };
  for (const event of events) {
    for (const rule of EVENT_RULES.get(event.name) ?? []) {
      if (has[rule.field]) continue;
      readEvent(event, rule, messages);
    }
  }
}

function readEvent(event: ContentEvent, rule: EventRule, messages: SpanMessages): void {
  const key = rule.keys.find((key) => event.attributes[key] !== undefined);
  const value = key === undefined ? bodyOf(event.attributes) : event.attributes[key];
  if (value === undefined) return;
  if (rule.field === 'systemInstructions') messages.systemInstructions.push(...partsOf(parsed(value)));
  else if (messages[rule.field].length < MAX_MESSAGES) messages[rule.field].push(...messagesOf(value, rule.role));
  messages.fromEvents[rule.field] = `event:${event.name}`;
}

/** JSON text of parts is parsed; other text stays text, JSON of the user's own too. */
function contentFrom(value: AttributeValue): Json {
  const json = parsed(value) ?? null;
  const holdsParts = Array.isArray(json)
    ? json.some((item) => isObject(item) && isMessage(item))
    : isObject(json) && isMessage(json);
  return holdsParts ? json : value;
}

/** A message whose members are the attributes of the event; members that hold JSON text are parsed. */
function bodyOf(attributes: Attributes): Json | undefined {
  const body: JsonObject = {};
  for (const member of ['role', 'content', 'tool_calls', 'id', 'name', 'finish_reason', 'message', 'index']) {
    const value = attributes[member];
    if (value !== undefined) body[member] = member === 'content' ? contentFrom(value) : (parsed(value) ?? null);
  }
  return body.content === undefined && body.tool_calls === undefined && body.message === undefined ? undefined : body;
}

/** Prompt and answer for a list: at most 300 characters each, null where there is none. */
export interface Preview {
  /** The last message of the user, else the last of the input. */
  prompt: string | null;
  /** The text of the answer, else the tools that it calls. */
  response: string | null;
}

export function previewOf(messages: Pick<Messages, 'input' | 'output'>): Preview {
  const { input, output } = messages;
  const prompt = input.findLast((message) => message.role === 'user' && summaryOf(message) !== '') ?? input.at(-1);
  const answer = output.find((message) => summaryOf(message) !== '');
  return { prompt: previewText(prompt), response: previewText(answer) };
}

function previewText(message: Message | undefined): string | null {
  const summary = message === undefined ? '' : summaryOf(message);
  return summary === '' ? null : ellipsize(summary, MAX_PREVIEW_CODE_POINTS);
}

/** The text of a message; without text its calls, its answers from tools, or the kind of what it holds. */
function summaryOf(message: Message): string {
  const texts = message.parts.filter((part) => part.type === 'text').map((part) => part.content);
  const text = texts.join('\n').trim();
  return text === '' ? message.parts.map(partSummary).filter(Boolean).join('\n') : text;
}

function partSummary(part: Part): string {
  if (part.type === 'tool_call') return `${part.name}(${part.arguments === undefined ? '' : asText(part.arguments)})`;
  if (part.type === 'tool_call_response') return asText(part.response);
  if (part.type === 'blob' || part.type === 'file' || part.type === 'uri') return `[${part.modality ?? part.type}]`;
  return '';
}

function asText(value: Json): string {
  return typeof value === 'string' ? value : JSON.stringify(value);
}
