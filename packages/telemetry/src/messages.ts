// One model of prompts and answers: the messages of the GenAI conventions (role, parts), read from every older shape too.
// Where the content of a span lies is the table's business (conventions-content.ts); here are the shapes it may have.
import { isObject, listOf, parsed } from './messages-json.ts';
import type { JsonObject } from './messages-json.ts';
import {
  idOf,
  isKnownPart,
  jsonText,
  MAX_MESSAGES,
  partOf,
  partsOf,
  responseOf,
  textOr,
  toolCallOf,
  untypedPart,
} from './messages-parts.ts';
import type { Part, ToolCallPart } from './messages-parts.ts';
import type { AttributeValue, Json } from './span.ts';
import { ellipsize } from './text.ts';

export { partsOf } from './messages-parts.ts';
export type * from './messages-parts.ts';

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

/** {@link Messages}, with where each field came from: `KEY`, `KEY/path`, `PREFIX.*`, `event:NAME/KEY`, `log:NAME/KEY`. */
export interface SpanMessages extends Messages {
  from: { [F in keyof Messages]?: string };
}

const MAX_PREVIEW_CODE_POINTS = 300;

export function noMessages(): SpanMessages {
  return { input: [], output: [], systemInstructions: [], toolDefinitions: [], from: {} };
}

/**
 * Messages from JSON text or a structured value, in any of the shapes that senders use: the conventions' own
 * `[{role, parts}]`, `[{role, content}]` of chat APIs with text or part arrays, a single message, a whole request or
 * answer around them (`{messages: […]}`, `{choices: [{message}]}`), texts, or plain text, which becomes one message of
 * `defaultRole`. JSON that is none of these (an answer in JSON mode) is plain text too, all of it.
 */
export function messagesOf(value: AttributeValue | undefined, defaultRole: string): Message[] {
  const json = parsed(value);
  if (typeof value === 'string' && !holdsMessages(json)) return messageListOf(value, defaultRole);
  return messageListOf(json, defaultRole).slice(0, MAX_MESSAGES);
}

/** One message of one text, whatever the text looks like. */
export function textMessage(role: string, content: AttributeValue | undefined): Message[] {
  if (content === undefined || content === null || content === '') return [];
  return [{ role, parts: [typeof content === 'string' ? { type: 'text', content } : jsonText(content)] }];
}

/** A whole request: its conversation, and beside it instructions and tools when they are members of their own. */
export function requestOf(value: AttributeValue): Partial<Messages> {
  const json = parsed(value);
  if (!isObject(json) || isMessage(json)) return { input: messagesOf(value, 'user') };
  const conversation = CONVERSATIONS.flatMap((member) => conversationIn(json, member));
  if (conversation.length === 0) return { input: messagesOf(value, 'user') };
  const settings = [json, ...['config', 'params'].map((member) => json[member]).filter(isObject)];
  return {
    input: conversation.slice(0, MAX_MESSAGES),
    systemInstructions: firstParts(settings, ['system', 'instructions', 'system_instruction', 'systemInstruction']),
    toolDefinitions: settings.flatMap(({ tools, functions }) => listOf(tools ?? functions)),
  };
}

/** Members of a request that hold its conversation. */
const CONVERSATIONS = ['prompt', 'input', 'messages', 'contents'] as const;
/** Beside these members `prompt` and `input` are a request's; alone in other JSON they are the user's own words. */
const REQUEST_MEMBERS = new Set([...CONVERSATIONS, 'system', 'instructions', 'tools', 'config', 'params']);

function conversationIn(request: JsonObject, member: (typeof CONVERSATIONS)[number]): Message[] {
  const value = request[member];
  if (value === undefined || value === null || value === '') return [];
  if (Array.isArray(value) && value.flat(2).some(isMessage)) return messageListOf(value, 'user');
  const isRequest = request.model !== undefined || Object.keys(request).every((key) => REQUEST_MEMBERS.has(key));
  return isRequest ? messagesOf(value, 'user') : [];
}

function firstParts(holders: readonly JsonObject[], members: readonly string[]): Part[] {
  for (const holder of holders) {
    for (const member of members) {
      const value = holder[member];
      const parts = isObject(value) && Array.isArray(value.parts) ? partsOf(value.parts) : partsOf(value);
      if (parts.length > 0) return parts;
    }
  }
  return [];
}

/** Whether JSON that was sent as text is a conversation; else it is a text of its own, such as an answer in JSON. */
function holdsMessages(json: Json | undefined): boolean {
  if (Array.isArray(json))
    return json.every((item) => typeof item === 'string') || json.some(isMessageOrBatch) || arePartsOnly(json);
  return !isObject(json) || isMessage(json) || WRAPPERS.some((wrapper) => isConversation(json[wrapper]));
}

/** A message, or a list of them: LangChain sends batches of conversations. */
function isMessageOrBatch(item: Json): boolean {
  return Array.isArray(item) ? item.some(isMessage) : isMessage(item);
}

function isConversation(value: Json | undefined): value is Json[] {
  return Array.isArray(value) && (value.length === 0 || value.flat(2).some(isMessage));
}

/** Members of which a message, or a choice around one, has at least one. */
const CONTENT_MEMBERS = [
  'content',
  'parts',
  'contents',
  'text',
  'message',
  'tool_calls',
  'function_call',
  'reasoning_content',
] as const;

/** Members that only a message or a choice has: with one of them, others of its own do not matter. */
const TELLING_MEMBERS = ['role', 'parts', 'tool_calls', 'finish_reason', 'finishReason', 'stop_reason'] as const;

/** Members of messages and choices; with any other, an object without a telling member is somebody's own JSON. */
const KNOWN_MEMBERS: ReadonlySet<string> = new Set([
  ...CONTENT_MEMBERS,
  ...TELLING_MEMBERS,
  'id',
  'index',
  'name',
  'type',
  'logprobs',
  'refusal',
  'tool_call_id',
  'function_call_name',
  'function_call_arguments_json',
  'additional_kwargs',
  'response_metadata',
  'annotations',
  'audio',
  'data',
]);

export function isMessage(value: Json): boolean {
  if (!isObject(value)) return false;
  // nearly every message: told before anything is looked up
  if (typeof value.role === 'string' && (value.parts !== undefined || value.content !== undefined)) return true;
  if (isPart(value) || isSerialized(value)) return true;
  if (typeof value.role === 'string' && Object.keys(value).every((key) => KNOWN_MEMBERS.has(key))) return true;
  if (!CONTENT_MEMBERS.some((member) => value[member] !== undefined)) return false;
  return (
    TELLING_MEMBERS.some((member) => value[member] !== undefined) ||
    Object.keys(value).every((key) => KNOWN_MEMBERS.has(key))
  );
}

/** A part that stands where a message was expected, as items of the Responses API do. */
function isPart(value: JsonObject): boolean {
  if (value.role !== undefined || value.message !== undefined || value.parts !== undefined) return false;
  return isKnownPart(value);
}

/** LangChain's serialised messages: `{lc, type: 'constructor', id: […, 'HumanMessage'], kwargs: {content}}`. */
function isSerialized(value: JsonObject): boolean {
  return isObject(value.kwargs) && Array.isArray(value.id) && String(value.id.at(-1)).includes('Message');
}

/** Whose part it is when no message says so. */
const PART_ROLES = new Map([
  ['reasoning', 'assistant'],
  ['function_call', 'assistant'],
  ['tool_call', 'assistant'],
  ['tool_use', 'assistant'],
  ['tool-call', 'assistant'],
  ['web_search_call', 'assistant'],
  ['file_search_call', 'assistant'],
  ['code_interpreter_call', 'assistant'],
  ['mcp_call', 'assistant'],
  ['function_call_output', 'tool'],
  ['tool_call_response', 'tool'],
  ['tool-result', 'tool'],
]);

function messageListOf(value: Json | undefined, defaultRole: string): Message[] {
  if (value === undefined || value === null || value === '') return [];
  if (Array.isArray(value)) {
    if (arePartsOnly(value)) return [messageOf({ parts: value }, defaultRole)];
    // LangChain batches: a list of conversations
    const list = value.some(Array.isArray) ? value.flat(1) : value;
    return list.map((item) => messageOf(item, defaultRole));
  }
  if (!isObject(value) || isMessage(value)) return [messageOf(value, defaultRole)];
  for (const wrapper of WRAPPERS) {
    const inner = value[wrapper];
    if (isConversation(inner)) return inner.flat(2).map((item) => messageOf(item, defaultRole));
  }
  return [messageOf(value, defaultRole)];
}

/** Members that hold the list of messages when a whole request or answer was sent as content. */
const WRAPPERS = ['messages', 'choices', 'contents', 'candidates', 'output', 'generations'] as const;

/** A list of parts that stands where a list of messages was expected: every item has a type, none a role. */
function arePartsOnly(list: Json[]): boolean {
  return (
    list.length > 0 &&
    list.every(
      (item) =>
        isObject(item) &&
        typeof item.type === 'string' &&
        item.type !== 'message' &&
        !ROLES.has(item.type) &&
        item.role === undefined &&
        item.message === undefined &&
        !isSerialized(item),
    )
  );
}

function messageOf(value: Json, defaultRole: string): Message {
  if (!isObject(value)) return { role: defaultRole, parts: partsOf(value) };
  if (!isMessage(value)) return { role: defaultRole, parts: [jsonText(value)] };
  if (isSerialized(value) && isObject(value.kwargs)) return messageOf(deserialized(value, value.kwargs), defaultRole);
  const inner = value.message ?? (isObject(value.content) && value.parts === undefined ? value.content : undefined);
  if (isObject(inner) && (isSerialized(inner) || INNER_MEMBERS.some((member) => inner[member] !== undefined))) {
    const flat = isSerialized(inner) && isObject(inner.kwargs) ? deserialized(inner, inner.kwargs) : inner;
    return messageOf({ ...value, text: null, content: null, message: null, ...flat }, defaultRole);
  }
  const role = textOr(value.role, typeof value.type === 'string' && ROLES.has(value.type) ? value.type : defaultRole);
  const partRole = typeof value.type === 'string' ? PART_ROLES.get(value.type) : undefined;
  if (partRole !== undefined && isPart(value)) return { role: partRole, parts: partOf(value) };
  const message: Message = { role: ROLES.get(role) ?? role, parts: messageParts(value, role) };
  const finishReason = value.finish_reason ?? value.finishReason ?? value.stop_reason;
  if (typeof value.name === 'string' && value.name !== '') message.name = value.name;
  if (typeof finishReason === 'string' && finishReason !== '') message.finish_reason = finishReason;
  return message;
}

/** LangChain's class names tell the role: `HumanMessage`, `AIMessageChunk`, `SystemMessage`, `ToolMessage`. */
function deserialized({ id }: JsonObject, kwargs: JsonObject): JsonObject {
  const className = Array.isArray(id) ? String(id.at(-1)) : '';
  const { type: _type, id: _id, ...members } = kwargs;
  return { ...members, role: className.replace(/Message(?:Chunk)?$/, '').toLowerCase() };
}

/** Members that tell a message inside a choice from content that is an object. */
const INNER_MEMBERS = ['role', 'content', 'contents', 'parts', 'tool_calls', 'function_call'] as const;

/** Other words for the roles of the conventions. */
const ROLES = new Map([
  ['human', 'user'],
  ['ai', 'assistant'],
  ['model', 'assistant'],
  ['function', 'tool'],
  ['developer', 'system'],
  ['thinking', 'assistant'],
]);

function messageParts(message: JsonObject, role: string): Part[] {
  const said = message.parts ?? message.content ?? message.contents ?? message.text ?? textOrNone(message.message);
  const read = isContentObject(said) ? [jsonText(said)] : partsOf(contentFrom(said));
  // OpenLLMetry for Python up to 0.5x sends thoughts as a message of their own.
  const parts =
    role === 'thinking' ? read.flatMap((part) => (part.type === 'text' ? reasoningOf(part.content) : part)) : read;
  const calls = callsOf(message);
  const callParts = calls.length === 0 ? [] : newCalls(parts, calls.map(toolCallOf));
  const reasoning = typeof message.reasoning_content === 'string' ? reasoningOf(message.reasoning_content) : [];
  const answersCall = role === 'tool' || role === 'function' || typeof message.tool_call_id === 'string';
  const isToolAnswer = answersCall && !parts.some((part) => part.type === 'tool_call_response');
  if (!isToolAnswer) return reasoning.length + callParts.length === 0 ? parts : [...reasoning, ...parts, ...callParts];
  const answer = responseOf(message.parts ?? message.content ?? message.contents ?? null);
  return [{ type: 'tool_call_response', ...idOf(message), response: answer }];
}

/** Calls beside the content: OpenAI's list, its older single call, and how OpenInference spells that. */
function callsOf(message: JsonObject): JsonObject[] {
  if (Array.isArray(message.tool_calls)) return message.tool_calls.filter(isObject);
  if (isObject(message.function_call)) return [message.function_call];
  if (typeof message.function_call_name !== 'string') return [];
  return [{ name: message.function_call_name, arguments: message.function_call_arguments_json ?? null }];
}

/** LangChain repeats the calls of an Anthropic answer beside its parts. */
function newCalls(parts: readonly Part[], calls: readonly ToolCallPart[]): readonly ToolCallPart[] {
  const known = new Set(parts.flatMap((part) => (part.type === 'tool_call' && part.id !== undefined ? [part.id] : [])));
  return calls.filter(({ id }) => id === undefined || !known.has(id));
}

/** Text that is JSON of parts (OpenLLMetry writes them so) is parsed; other text stays text, JSON of the user's own too. */
function contentFrom(value: Json | undefined): Json | undefined {
  if (typeof value !== 'string' || !value.startsWith('[')) return value;
  const json = parsed(value);
  return Array.isArray(json) && json.some((item) => isObject(item) && isPart(item)) ? json : value;
}

/** An object of the sender's own as content, no part that anyone knows. */
function isContentObject(value: Json | undefined): value is JsonObject {
  return isObject(value) && typeof value.type !== 'string' && untypedPart(value) === '';
}

function reasoningOf(content: string): Part[] {
  return content === '' ? [] : [{ type: 'reasoning', content }];
}

function textOrNone(value: Json | undefined): string | undefined {
  return typeof value === 'string' ? value : undefined;
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
  const asked = input.filter(({ role }) => role === 'user');
  const prompt =
    asked.findLast(hasText) ??
    asked.findLast((message) => summaryOf(message) !== '') ??
    input.findLast(hasText) ??
    input.at(-1);
  const answer = output.find((message) => summaryOf(message) !== '');
  return { prompt: previewText(prompt), response: previewText(answer) };
}

/** Anthropic and Pydantic AI put the answers of tools into messages of the user: they are not what was asked. */
function hasText({ parts }: Message): boolean {
  return parts.some((part) => part.type === 'text' && part.content.trim() !== '');
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
  if (part.type === 'tool_call' || part.type === 'server_tool_call')
    return `${part.name}(${part.arguments === undefined ? '' : asText(part.arguments)})`;
  if (part.type === 'tool_call_response' || part.type === 'server_tool_call_response') return asText(part.response);
  if (part.type === 'generic' && isObject(part.value) && typeof part.value.content === 'string')
    return part.value.content;
  if (part.type === 'blob' || part.type === 'file' || part.type === 'uri') return `[${part.modality ?? part.type}]`;
  return '';
}

function asText(value: Json): string {
  return typeof value === 'string' ? value : JSON.stringify(value);
}
