// Messages of the OpenAI and Anthropic APIs as the GenAI conventions write them: a role and parts (gen_ai-input-messages.json
// and gen_ai-output-messages.json of the semantic conventions). Unknown parts go through as they are.
import { at, isRecord, type Fields } from './fields.ts';

export interface Message {
  role: string;
  parts: unknown[];
  name?: unknown;
  finish_reason?: string;
}

type ReadPart = (part: Fields) => unknown;

/** Type of a part in either API → the part of the conventions. */
const PARTS = new Map<unknown, ReadPart>([
  ['text', ({ text }) => ({ type: 'text', content: text })],
  ['input_text', ({ text }) => ({ type: 'text', content: text })],
  ['output_text', ({ text }) => ({ type: 'text', content: text })],
  ['refusal', ({ refusal }) => ({ type: 'text', content: refusal })],
  ['thinking', ({ thinking }) => ({ type: 'reasoning', content: thinking })],
  ['image_url', (part) => media('image', at(part, 'image_url', 'url'))],
  ['input_image', (part) => media('image', part['image_url'] ?? part['file_id'])],
  [
    'input_audio',
    (part) => blob('audio', `audio/${String(at(part, 'input_audio', 'format'))}`, at(part, 'input_audio', 'data')),
  ],
  ['image', (part) => anthropicSource('image', part)],
  ['document', (part) => anthropicSource('document', part)],
  ['tool_use', ({ id, name, input }) => ({ type: 'tool_call', id, name, arguments: input })],
  ['tool_result', (part) => ({ type: 'tool_call_response', id: part['tool_use_id'], response: part['content'] ?? '' })],
  [
    'function_call',
    (part) => ({ type: 'tool_call', id: part['call_id'], name: part['name'], arguments: parsed(part['arguments']) }),
  ],
  ['function_call_output', (part) => ({ type: 'tool_call_response', id: part['call_id'], response: part['output'] })],
  ['server_tool_use', ({ id, name, input }) => ({ type: 'server_tool_call', id, name, server_tool_call: input })],
]);

export function partsOf(content: unknown): unknown[] {
  if (typeof content === 'string') return content === '' ? [] : [{ type: 'text', content }];
  if (!Array.isArray(content)) return [];
  return content.map((part: unknown) => (isRecord(part) ? (PARTS.get(part['type'])?.(part) ?? part) : textPart(part)));
}

function textPart(value: unknown): unknown {
  return { type: 'text', content: String(value) };
}

/** Messages of chat completions and of Anthropic's messages. */
export function chatMessages(messages: unknown): Message[] {
  if (!Array.isArray(messages)) return [];
  return messages.filter(isRecord).map(chatMessage);
}

export function chatMessage(message: Fields): Message {
  const role = String(message['role'] ?? 'assistant');
  const named = message['name'] === undefined ? {} : { name: message['name'] };
  if (role === 'tool') {
    const response = message['content'];
    return { role, parts: [{ type: 'tool_call_response', id: message['tool_call_id'], response }], ...named };
  }
  const parts = [
    ...reasoningParts(message['reasoning_content'] ?? message['reasoning']),
    ...partsOf(message['content']),
    ...partsOf(isSilent(message) ? message['refusal'] : undefined),
    ...toolCalls(message['tool_calls']),
  ];
  const audio = at(message, 'audio', 'transcript');
  if (typeof audio === 'string') parts.push({ type: 'text', content: audio });
  return { role, parts, ...named };
}

function isSilent(message: Fields): boolean {
  return message['content'] === null || message['content'] === undefined || message['content'] === '';
}

function reasoningParts(text: unknown): unknown[] {
  return typeof text === 'string' && text !== '' ? [{ type: 'reasoning', content: text }] : [];
}

function toolCalls(calls: unknown): unknown[] {
  if (!Array.isArray(calls)) return [];
  return calls.filter(isRecord).map((call) => ({
    type: 'tool_call',
    id: call['id'],
    name: at(call, 'function', 'name') ?? at(call, 'custom', 'name'),
    arguments: parsed(at(call, 'function', 'arguments') ?? at(call, 'custom', 'input')),
  }));
}

/** Input of the Responses API: a text or items, of which messages are one kind. */
export function responseInput(input: unknown): Message[] {
  if (typeof input === 'string') return [{ role: 'user', parts: partsOf(input) }];
  if (!Array.isArray(input)) return [];
  return input.filter(isRecord).map((item) => {
    if (item['role'] !== undefined) return { role: String(item['role']), parts: partsOf(item['content']) };
    const isAnswer = item['type'] === 'function_call_output';
    return { role: isAnswer ? 'tool' : 'assistant', parts: outputParts(item) };
  });
}

/** One item that the Responses API put out. */
export function outputParts(item: Fields): unknown[] {
  if (item['type'] === 'message') return partsOf(item['content']);
  if (item['type'] === 'reasoning') {
    const texts = Array.isArray(item['summary']) ? item['summary'].map((part: unknown) => at(part, 'text')) : [];
    return reasoningParts(texts.filter((text) => typeof text === 'string').join('\n'));
  }
  return partsOf([item]);
}

/** JSON that a model wrote: text where it is none. */
export function parsed(text: unknown): unknown {
  if (typeof text !== 'string') return text;
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

function media(modality: string, url: unknown): unknown {
  const data = typeof url === 'string' ? /^data:([^;,]+);base64,/.exec(url) : null;
  if (data !== null) return blob(modality, data[1] ?? '', (url as string).slice(data[0].length));
  return { type: 'uri', modality, uri: url };
}

function blob(modality: string, mimeType: string, content: unknown): unknown {
  return { type: 'blob', modality, mime_type: mimeType, content };
}

function anthropicSource(modality: string, part: Fields): unknown {
  const source = part['source'];
  if (at(source, 'type') === 'base64') return blob(modality, String(at(source, 'media_type')), at(source, 'data'));
  if (at(source, 'type') === 'url') return { type: 'uri', modality, uri: at(source, 'url') };
  if (at(source, 'type') === 'text') return { type: 'text', content: at(source, 'data') };
  return part;
}
