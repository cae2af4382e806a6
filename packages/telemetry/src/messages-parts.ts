// The parts of a message: what each vendor and framework calls a text, a thought, a call, an answer, a picture, a file.
import { isObject, jsonOrText } from './messages-json.ts';
import type { JsonObject } from './messages-json.ts';
import type { Json } from './span.ts';

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
/** A tool that the provider runs itself, such as a web search. */
export interface ServerToolCallPart {
  type: 'server_tool_call';
  id?: string;
  name: string;
  arguments?: Json;
}
export interface ServerToolCallResponsePart {
  type: 'server_tool_call_response';
  id?: string;
  response: Json;
}
interface Media {
  modality?: string;
  mime_type?: string;
  /** What is said in it. */
  transcript?: string;
}
/** Data in place, base64. */
export interface BlobPart extends Media {
  type: 'blob';
  content: string;
}
export interface FilePart extends Media {
  type: 'file';
  file_id: string;
}
export interface UriPart extends Media {
  type: 'uri';
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
  | TextPart
  | ReasoningPart
  | ToolCallPart
  | ToolCallResponsePart
  | ServerToolCallPart
  | ServerToolCallResponsePart
  | BlobPart
  | FilePart
  | UriPart
  | GenericPart;

/** Parts of one message, messages of one span: more are cut. */
export const MAX_MESSAGES = 10_000;

/** Parts from a text, one part, or a list of texts and parts. */
export function partsOf(value: Json | undefined): Part[] {
  if (value === undefined || value === null || value === '') return [];
  if (Array.isArray(value)) return value.slice(0, MAX_MESSAGES).flatMap(partOf);
  return partOf(value);
}

/** One part; none from nothing. What no one knows is generic, with all its members. */
export function partOf(value: Json): Part[] {
  if (value === null || value === '') return [];
  if (typeof value === 'string') return [{ type: 'text', content: value }];
  if (!isObject(value)) return [jsonText(value)];
  const type = typeOf(value);
  const part = PARTS.get(type)?.(value) ?? { type: 'generic', name: type, value };
  return (part.type === 'text' || part.type === 'reasoning') && part.content === '' ? [] : [part];
}

/** Whether an object is a part of a type that the table knows. */
export function isKnownPart(value: JsonObject): boolean {
  return PARTS.has(typeOf(value));
}

function typeOf(part: JsonObject): string {
  return typeof part.type === 'string' ? part.type : untypedPart(part);
}

/** Gemini, Bedrock and Genkit name no type: the one member that is there tells it. */
const UNTYPED = [
  'text',
  'inline_data',
  'inlineData',
  'file_data',
  'fileData',
  'function_call',
  'functionCall',
  'function_response',
  'functionResponse',
  'toolUse',
  'toolResult',
  'reasoningContent',
  'toolRequest',
  'toolResponse',
  'media',
  'message_content',
] as const;

/** Members that may stand beside it without changing what the part is. */
const BESIDE = new Set([
  'thought',
  'thoughtSignature',
  'thought_signature',
  'signature',
  'metadata',
  'custom',
  'cache_control',
  'videoMetadata',
  'annotations',
  'id',
  // OpenInference's Anthropic parts carry their call beside an empty content
  'tool_call',
]);

export function untypedPart(part: JsonObject): string {
  const members = Object.keys(part);
  for (const type of UNTYPED) {
    if (part[type] === undefined) continue;
    return members.every((member) => member === type || BESIDE.has(member) || part[member] === null) ? type : '';
  }
  if (typeof part.toolName === 'string') return 'tool-call';
  return typeof part.content === 'string' && members.every((member) => member === 'content') ? 'text' : '';
}

type ReadPart = (part: JsonObject) => Part | undefined;

const text: ReadPart = (part) => {
  const content = part.content ?? part.text ?? part.refusal;
  if (typeof content !== 'string') return undefined;
  return { type: part.thought === true ? 'reasoning' : 'text', content };
};

const reasoning: ReadPart = (part) => {
  const content = part.content ?? part.thinking ?? part.text ?? part.reasoning ?? summaryOf(part.summary);
  return typeof content === 'string' ? { type: 'reasoning', content } : undefined;
};

/** The Responses API sends thoughts as a list of summaries. */
function summaryOf(summary: Json | undefined): string | undefined {
  if (!Array.isArray(summary)) return undefined;
  const texts = summary.flatMap((item) => (isObject(item) && typeof item.text === 'string' ? [item.text] : []));
  return texts.length === 0 ? undefined : texts.join('\n');
}

const bedrockReasoning: ReadPart = (part) => {
  const inner = isObject(part.reasoningContent) ? part.reasoningContent.reasoningText : undefined;
  return isObject(inner) ? reasoning({ content: inner.text ?? null }) : undefined;
};

const toolCall: ReadPart = (part) => toolCallOf(part);

/** A call in the shape of the conventions, OpenAI (`function.arguments`), Anthropic (`input`), Vercel (`toolName`, `args`). */
export function toolCallOf(call: JsonObject): ToolCallPart {
  const inner = isObject(call.tool_call) ? call.tool_call : call;
  const fn = isObject(inner.function) ? inner.function : inner;
  const args = fn.arguments ?? fn.input ?? fn.args ?? fn.parameters;
  return {
    type: 'tool_call',
    ...idOf(inner),
    name: textOr(fn.name ?? fn.toolName, ''),
    ...optionalArguments(args),
  };
}

function optionalArguments(args: Json | undefined): { arguments?: Json } {
  if (args === undefined || args === null) return {};
  return { arguments: typeof args === 'string' ? jsonOrText(unquoted(args)) : args };
}

/** Arguments that were written as JSON twice: JSON text of JSON text. */
function unquoted(text: string): string {
  if (!text.startsWith('"{')) return text;
  try {
    return String(JSON.parse(text));
  } catch {
    return text;
  }
}

const toolCallResponse: ReadPart = (part) => ({
  type: 'tool_call_response',
  ...idOf(part),
  response: responseOf(part.response ?? part.result ?? part.content ?? part.output ?? null),
});

/** Tools that the provider runs: OpenAI's items name the tool in their type, Anthropic's in `name`. */
const serverToolCall: ReadPart = (part) => {
  const details = isObject(part.server_tool_call) ? withoutType(part.server_tool_call) : undefined;
  const args = details ?? part.input ?? part.action ?? part.arguments ?? part.queries ?? part.code;
  const name = textOr(part.name, typeof part.type === 'string' ? part.type.replace(/_call$/, '') : '');
  return { type: 'server_tool_call', ...idOf(part), name, ...optionalArguments(args) };
};

const serverToolCallResponse: ReadPart = (part) => {
  const details = isObject(part.server_tool_call_response) ? withoutType(part.server_tool_call_response) : undefined;
  return {
    type: 'server_tool_call_response',
    ...idOf(part),
    response: details ?? responseOf(part.content ?? part.output ?? part.response ?? null),
  };
};

function withoutType({ type: _type, ...details }: JsonObject): JsonObject {
  return details;
}

/** A part whose content lies one member deeper: Gemini's and Genkit's calls, OpenInference's `message_content`. */
function inside(members: readonly string[], read: (inner: JsonObject) => Part | undefined): ReadPart {
  return (part) => {
    const inner = members.map((member) => part[member]).find(isObject);
    return inner === undefined ? undefined : read(inner);
  };
}

const geminiCall = inside(['function_call', 'functionCall'], toolCallOf);

const geminiResponse = inside(['function_response', 'functionResponse'], (answer) => ({
  type: 'tool_call_response',
  ...idOf(answer),
  response: answer.response ?? null,
}));

const openInferenceContent: ReadPart = (part) => {
  const content = part.message_content;
  if (isObject(part.tool_call)) return toolCallOf(part.tool_call);
  if (!isObject(content)) return undefined;
  for (const medium of ['image', 'audio', 'video', 'document'] as const) {
    const url = urlIn(content[medium], medium);
    if (url !== undefined) return mediaAt(url, medium, mediaOf(content));
  }
  return partOf(content)[0];
};

/** `{image: {image: {url}}}` as indexed keys spell it, or `{image: {url}}`. */
function urlIn(value: Json | undefined, medium: string): string | undefined {
  const holder = isObject(value) && isObject(value[medium]) ? value[medium] : value;
  if (!isObject(holder)) return undefined;
  const url = holder.url ?? holder[`${medium}.url`];
  return typeof url === 'string' ? url : undefined;
}

const blob: ReadPart = (part) => {
  const content = part.content ?? part.data;
  return typeof content === 'string' ? { type: 'blob', ...mediaOf(part), content } : undefined;
};

/** By id (OpenAI, the conventions), or in place or by address (Vercel). */
const file: ReadPart = (part) => {
  const inner = isObject(part.file) ? part.file : part;
  const fileId = inner.file_id ?? inner.fileId;
  if (typeof fileId === 'string') return { type: 'file', ...mediaOf(part), file_id: fileId };
  const data = inner.file_data ?? inner.data ?? inner.url ?? inner.image;
  const at = isObject(data) ? (data.data ?? data.url) : data;
  if (typeof at !== 'string') return undefined;
  const media = mediaOf(part);
  const modality = media.modality ?? modalityOf(media.mime_type) ?? (part.type === 'image' ? 'image' : 'document');
  return IS_ADDRESS.test(at) ? mediaAt(at, modality, media) : { type: 'blob', ...media, modality, content: at };
};

const IS_ADDRESS = /^(?:https?:|data:|gs:|s3:)/i;

function modalityOf(mimeType: string | undefined): string | undefined {
  const family = mimeType?.slice(0, mimeType.indexOf('/'));
  return family === 'image' || family === 'audio' || family === 'video' ? family : undefined;
}

const uri: ReadPart = (part) => {
  const at = part.uri ?? part.file_uri ?? part.fileUri;
  return typeof at === 'string' ? { type: 'uri', ...mediaOf(part), uri: at } : undefined;
};

const imageUrl: ReadPart = (part) => {
  const url = isObject(part.image_url) ? part.image_url.url : part.image_url;
  return typeof url === 'string' ? mediaAt(url, 'image', {}) : file({ ...part, modality: 'image' });
};

const inputAudio: ReadPart = (part) => {
  const audio = part.input_audio;
  if (!isObject(audio) || typeof audio.data !== 'string') return undefined;
  const format = typeof audio.format === 'string' ? { mime_type: `audio/${audio.format}` } : {};
  return { type: 'blob', modality: 'audio', ...format, content: audio.data };
};

/** Anthropic's image and document (`source`), Vercel's image. */
const sourced: ReadPart = (part) => {
  const source = part.source;
  const modality = part.type === 'image' ? 'image' : 'document';
  if (!isObject(source)) return file(part);
  if (typeof source.url === 'string') return mediaAt(source.url, modality, {});
  if (typeof source.data !== 'string') return undefined;
  return { type: 'blob', modality, ...optionalText('mime_type', source.media_type), content: source.data };
};

/** Genkit's media. */
const media = inside(['media'], (inner) => {
  if (typeof inner.url !== 'string') return undefined;
  const mimeType = optionalText('mime_type', inner.contentType);
  return mediaAt(inner.url, modalityOf(mimeType.mime_type) ?? 'image', mimeType);
});

/** Type that a part carries → how it is read. Names: GenAI conventions, then OpenAI, Anthropic, Gemini, Bedrock, Vercel, Genkit. */
const PARTS: ReadonlyMap<string, ReadPart> = new Map<string, ReadPart>([
  ['text', text],
  ['reasoning', reasoning],
  ['tool_call', toolCall],
  ['tool_call_response', toolCallResponse],
  ['server_tool_call', serverToolCall],
  ['server_tool_call_response', serverToolCallResponse],
  ['blob', blob],
  ['file', file],
  ['uri', uri],
  ['input_text', text],
  ['output_text', text],
  ['summary_text', reasoning],
  ['refusal', text],
  ['image_url', imageUrl],
  ['input_image', imageUrl],
  ['input_audio', inputAudio],
  ['input_file', file],
  ['function_call', (part) => (isObject(part.function_call) ? geminiCall(part) : toolCallOf(part))],
  ['function_call_output', toolCallResponse],
  ['web_search_call', serverToolCall],
  ['file_search_call', serverToolCall],
  ['code_interpreter_call', serverToolCall],
  ['image_generation_call', serverToolCall],
  ['mcp_call', serverToolCall],
  ['tool_use', toolCall],
  ['tool_result', toolCallResponse],
  ['server_tool_use', serverToolCall],
  ['web_search_tool_result', serverToolCallResponse],
  ['code_execution_tool_result', serverToolCallResponse],
  ['thinking', reasoning],
  ['image', sourced],
  ['document', sourced],
  ['inline_data', inside(['inline_data'], blob)],
  ['inlineData', inside(['inlineData'], blob)],
  ['file_data', inside(['file_data'], uri)],
  ['fileData', inside(['fileData'], uri)],
  ['functionCall', geminiCall],
  ['function_response', geminiResponse],
  ['functionResponse', geminiResponse],
  ['toolUse', inside(['toolUse'], toolCallOf)],
  ['toolResult', inside(['toolResult'], toolCallResponse)],
  ['reasoningContent', bedrockReasoning],
  ['function', toolCall],
  ['tool-call', toolCall],
  ['tool-result', toolCallResponse],
  ['tool_call_request', toolCall],
  ['toolRequest', inside(['toolRequest'], toolCallOf)],
  ['toolResponse', inside(['toolResponse'], toolCallResponse)],
  ['media', media],
  ['message_content', openInferenceContent],
]);

/** The answer of a tool: its text when it is only text, else as it was sent. */
export function responseOf(value: Json): Json {
  if (isObject(value) && typeof value.type === 'string' && value.value !== undefined) return responseOf(value.value);
  const parts = Array.isArray(value) ? partsOf(value) : [];
  if (parts.length > 0 && parts.every((part) => part.type === 'text'))
    return parts.map((part) => part.content).join('\n');
  return typeof value === 'string' ? jsonOrText(value) : value;
}

export function jsonText(value: Json): TextPart {
  return { type: 'text', content: JSON.stringify(value) };
}

const DATA_URL = /^data:([a-z0-9.+-]+\/[a-z0-9.+-]+)?(?:;[a-z0-9=.+-]+){0,4};base64,/i;

function mediaAt(url: string, modality: string, known: Media): Part {
  const data = DATA_URL.exec(url.slice(0, 200));
  if (data === null) return { type: 'uri', modality, ...known, uri: url };
  return {
    type: 'blob',
    modality,
    ...known,
    ...optionalText('mime_type', data[1]),
    content: url.slice(data[0].length),
  };
}

function mediaOf(part: JsonObject): Media {
  return {
    ...optionalText('modality', part.modality),
    ...optionalText('mime_type', part.mime_type ?? part.mimeType ?? part.mediaType),
    ...optionalText('transcript', part.transcript),
  };
}

function optionalText<K extends string>(key: K, value: Json | undefined): { [key in K]?: string } {
  return typeof value === 'string' && value !== '' ? ({ [key]: value } as { [key in K]?: string }) : {};
}

/** The id that ties a call to its answer, under the name that each API gives it. */
export function idOf(part: JsonObject): { id?: string } {
  const id =
    part.tool_call_id ?? part.tool_use_id ?? part.toolUseId ?? part.toolCallId ?? part.call_id ?? part.ref ?? part.id;
  return optionalText('id', id);
}

export function textOr(value: Json | undefined, fallback: string): string {
  return typeof value === 'string' && value !== '' ? value : fallback;
}
