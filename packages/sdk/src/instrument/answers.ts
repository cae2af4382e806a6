// What a model answered, read from whole answers and from the pieces of streams: text, tool calls, ids, usage. Usage is told
// as the GenAI conventions count: cached tokens inside input_tokens, reasoning inside output_tokens.
import type { Attributes } from '@opentelemetry/api';
import { jsonOf } from '../context.ts';
import { at, countAt, isRecord, listAt, type Fields } from './fields.ts';
import { chatMessage, outputParts, partsOf, type Message } from './messages.ts';

export interface Answer {
  /** A piece of a stream. */
  add(item: unknown): void;
  /** The whole answer. */
  whole(value: unknown): void;
  /** What was said; empty when content is not captured. */
  content(): Attributes;
  /** Ids, reasons, usage. */
  usage(): Attributes;
}

interface Choice {
  message: Fields;
  calls: Map<number, Fields>;
  reason?: string;
}

interface State {
  messages: Message[];
  facts: Attributes;
  text: string[];
  /** Pieces of a streamed chat completion, by choice. */
  choices: Map<number, Choice>;
  /** Blocks of a streamed Anthropic message, and the message as its events build it. */
  blocks: Map<number, Fields>;
  message: Fields | undefined;
}

export function describeAnswer(capturesContent: boolean): Answer {
  const state: State = { messages: [], facts: {}, text: [], choices: new Map(), blocks: new Map(), message: undefined };
  return {
    add: (item) => addPiece(state, item),
    whole: (value) => readWhole(state, value),
    content() {
      if (!capturesContent) return {};
      const messages = messagesOf(state);
      return messages.length === 0 ? {} : { 'gen_ai.output.messages': jsonOf(messages) };
    },
    usage() {
      finishStreams(state);
      return state.facts;
    },
  };
}

function readWhole(state: State, value: unknown): void {
  if (typeof value === 'string') state.text.push(value);
  if (!isRecord(value)) return;
  if (value['object'] === 'response') return readResponse(state, value);
  if (value['type'] === 'message' && Array.isArray(value['content'])) return readAnthropic(state, value);
  if (Array.isArray(value['choices'])) return readChat(state, value);
  if (Array.isArray(value['data'])) readList(state, value);
}

function readChat(state: State, value: Fields): void {
  const choices = listAt(value, 'choices').filter(isRecord);
  state.messages = choices.map((choice) => {
    const message = isRecord(choice['message']) ? choice['message'] : { role: 'assistant', content: choice['text'] };
    return { ...chatMessage(message), finish_reason: String(choice['finish_reason'] ?? 'stop') };
  });
  setFacts(
    state,
    value,
    choices.map((choice) => choice['finish_reason']),
  );
  chatUsage(state.facts, value['usage']);
}

function readResponse(state: State, value: Fields): void {
  const parts = listAt(value, 'output').filter(isRecord).flatMap(outputParts);
  const reason = at(value, 'incomplete_details', 'reason') ?? value['status'];
  state.messages = [{ role: 'assistant', parts, finish_reason: String(reason ?? 'stop') }];
  setFacts(state, value, [reason]);
  const usage = value['usage'];
  setCount(state.facts, 'input_tokens', countAt(usage, 'input_tokens'));
  setCount(state.facts, 'output_tokens', countAt(usage, 'output_tokens'));
  setCount(state.facts, 'cache_read.input_tokens', countAt(usage, 'input_tokens_details', 'cached_tokens'));
  setCount(state.facts, 'cache_creation.input_tokens', countAt(usage, 'input_tokens_details', 'cache_write_tokens'));
  setCount(state.facts, 'reasoning.output_tokens', countAt(usage, 'output_tokens_details', 'reasoning_tokens'));
  const failure = at(value, 'error', 'code');
  if (typeof failure === 'string') state.facts['error.type'] = failure;
}

function readAnthropic(state: State, value: Fields): void {
  state.messages = [
    { role: 'assistant', parts: partsOf(value['content']), finish_reason: String(value['stop_reason'] ?? 'stop') },
  ];
  setFacts(state, value, [value['stop_reason']]);
  anthropicUsage(state.facts, value['usage']);
}

/** Embeddings, and pictures: their data is not kept, what they cost is. */
function readList(state: State, value: Fields): void {
  setFacts(state, value, []);
  const usage = value['usage'];
  setCount(state.facts, 'input_tokens', countAt(usage, 'prompt_tokens') ?? countAt(usage, 'input_tokens'));
  setCount(state.facts, 'output_tokens', countAt(usage, 'output_tokens'));
  setCount(state.facts, 'text.input_tokens', countAt(usage, 'input_tokens_details', 'text_tokens'));
  setCount(state.facts, 'image.input_tokens', countAt(usage, 'input_tokens_details', 'image_tokens'));
  setCount(state.facts, 'cache_read.input_tokens', countAt(usage, 'input_tokens_details', 'cached_tokens'));
  const embedding = at(listAt(value, 'data')[0], 'embedding');
  if (Array.isArray(embedding)) state.facts['gen_ai.embeddings.dimension.count'] = embedding.length;
  const texts = listAt(value, 'data').map((each) => at(each, 'revised_prompt'));
  const parts = texts.filter((text) => typeof text === 'string').map((content) => ({ type: 'text', content }));
  if (parts.length > 0) state.messages = [{ role: 'assistant', parts, finish_reason: 'stop' }];
}

function setFacts(state: State, value: Fields, reasons: unknown[]): void {
  const { facts } = state;
  if (typeof value['id'] === 'string') facts['gen_ai.response.id'] = value['id'];
  if (typeof value['model'] === 'string') facts['gen_ai.response.model'] = value['model'];
  const told = reasons.filter((reason) => typeof reason === 'string');
  if (told.length > 0) facts['gen_ai.response.finish_reasons'] = told;
  if (typeof value['service_tier'] === 'string') facts['openai.response.service_tier'] = value['service_tier'];
  if (typeof value['system_fingerprint'] === 'string')
    facts['openai.response.system_fingerprint'] = value['system_fingerprint'];
}

function chatUsage(facts: Attributes, usage: unknown): void {
  if (!isRecord(usage)) return;
  setCount(facts, 'input_tokens', countAt(usage, 'prompt_tokens'));
  setCount(facts, 'output_tokens', countAt(usage, 'completion_tokens'));
  setCount(facts, 'cache_read.input_tokens', countAt(usage, 'prompt_tokens_details', 'cached_tokens'));
  setCount(facts, 'cache_creation.input_tokens', countAt(usage, 'prompt_tokens_details', 'cache_write_tokens'));
  setCount(facts, 'audio.input_tokens', countAt(usage, 'prompt_tokens_details', 'audio_tokens') || undefined);
  setCount(facts, 'audio.output_tokens', countAt(usage, 'completion_tokens_details', 'audio_tokens') || undefined);
  setCount(facts, 'reasoning.output_tokens', countAt(usage, 'completion_tokens_details', 'reasoning_tokens'));
}

/** Anthropic's three input counts are disjoint: the conventions' input_tokens is their sum. */
function anthropicUsage(facts: Attributes, usage: unknown): void {
  if (!isRecord(usage)) return;
  const input = countAt(usage, 'input_tokens');
  const read = countAt(usage, 'cache_read_input_tokens');
  const created = countAt(usage, 'cache_creation_input_tokens');
  if (input !== undefined) setCount(facts, 'input_tokens', input + (read ?? 0) + (created ?? 0));
  setCount(facts, 'output_tokens', countAt(usage, 'output_tokens'));
  setCount(facts, 'cache_read.input_tokens', read);
  setCount(facts, 'cache_creation.input_tokens', created);
  if (typeof usage['service_tier'] === 'string') facts['anthropic.response.service_tier'] = usage['service_tier'];
}

function setCount(facts: Attributes, name: string, count: number | undefined): void {
  if (count !== undefined) facts[`gen_ai.usage.${name}`] = count;
}

// ---- streams

function addPiece(state: State, item: unknown): void {
  if (typeof item === 'string') state.text.push(item);
  if (!isRecord(item)) return;
  if (Array.isArray(item['choices'])) return addChatChunk(state, item);
  const type = item['type'];
  if (typeof type !== 'string') return;
  if (type.startsWith('response.')) return addResponseEvent(state, type, item);
  if (type.endsWith('.completed') && isRecord(item['usage'])) return readList(state, { ...item, data: [] });
  ANTHROPIC_EVENTS.get(type)?.(state, item);
}

function newChoice(): Choice {
  return { message: { role: 'assistant', content: '' }, calls: new Map() };
}

function addChatChunk(state: State, chunk: Fields): void {
  setFacts(state, chunk, []);
  chatUsage(state.facts, chunk['usage']);
  for (const choice of listAt(chunk, 'choices').filter(isRecord)) {
    const index = countAt(choice, 'index') ?? 0;
    const known = state.choices.get(index) ?? newChoice();
    state.choices.set(index, known);
    const delta = isRecord(choice['delta']) ? choice['delta'] : { content: choice['text'] };
    for (const key of ['content', 'refusal', 'reasoning_content', 'reasoning']) append(known.message, key, delta[key]);
    for (const call of listAt(delta, 'tool_calls').filter(isRecord)) addCall(known.calls, call);
    if (typeof choice['finish_reason'] === 'string') known.reason = choice['finish_reason'];
  }
}

function addCall(calls: Map<number, Fields>, piece: Fields): void {
  const index = countAt(piece, 'index') ?? calls.size;
  const call = calls.get(index) ?? { id: piece['id'], function: { name: '', arguments: '' } };
  calls.set(index, call);
  const fn = call['function'] as Fields;
  append(fn, 'name', at(piece, 'function', 'name'));
  append(fn, 'arguments', at(piece, 'function', 'arguments'));
}

function append(target: Fields, key: string, text: unknown): void {
  if (typeof text === 'string') target[key] = String(target[key] ?? '') + text;
}

const RESPONSE_ENDS = new Set(['response.completed', 'response.incomplete', 'response.failed']);

function addResponseEvent(state: State, type: string, event: Fields): void {
  const response = event['response'];
  if (RESPONSE_ENDS.has(type) && isRecord(response)) {
    state.text = [];
    return readResponse(state, response);
  }
  if (isRecord(response)) setFacts(state, response, []);
  if (type === 'response.output_text.delta' && typeof event['delta'] === 'string') state.text.push(event['delta']);
}

const ANTHROPIC_EVENTS = new Map<string, (state: State, event: Fields) => void>([
  [
    'message_start',
    (state, { message }) => {
      if (isRecord(message)) state.message = { ...message, usage: { ...(message['usage'] as Fields) } };
    },
  ],
  [
    'content_block_start',
    (state, { index, content_block: block }) => {
      if (isRecord(block)) state.blocks.set(Number(index), { ...block, json: '' });
    },
  ],
  [
    'content_block_delta',
    (state, { index, delta }) => {
      const block = state.blocks.get(Number(index));
      if (block === undefined) return;
      append(block, 'text', at(delta, 'text'));
      append(block, 'thinking', at(delta, 'thinking'));
      append(block, 'json', at(delta, 'partial_json'));
    },
  ],
  [
    'message_delta',
    (state, { delta, usage }) => {
      if (state.message === undefined) return;
      Object.assign(state.message, isRecord(delta) ? delta : {});
      // the counts of message_delta are of the whole message; what they leave out stays as it began
      const told = Object.entries(isRecord(usage) ? usage : {}).filter(([, value]) => value !== null);
      Object.assign(state.message['usage'] as Fields, Object.fromEntries(told));
    },
  ],
]);

/** Puts the pieces of a stream together, complete or not. */
function finishStreams(state: State): void {
  if (state.message !== undefined) {
    const content = [...state.blocks.values()].map(({ json, ...block }) =>
      typeof json === 'string' && json !== '' ? { ...block, input: parsedOr(json) } : block,
    );
    readAnthropic(state, { ...state.message, content });
  }
  if (state.choices.size === 0) return;
  const choices = [...state.choices.entries()].sort(([a], [b]) => a - b).map(([, choice]) => choice);
  const reasons = choices.flatMap(({ reason }) => (reason === undefined ? [] : [reason]));
  if (reasons.length > 0) state.facts['gen_ai.response.finish_reasons'] = reasons;
  state.messages = choices.map(({ message, calls, reason }) => ({
    ...chatMessage(calls.size === 0 ? message : { ...message, tool_calls: [...calls.values()] }),
    finish_reason: reason ?? 'interrupted',
  }));
}

function messagesOf(state: State): Message[] {
  finishStreams(state);
  if (state.messages.length > 0) return state.messages;
  const text = state.text.join('');
  return text === '' ? [] : [{ role: 'assistant', parts: partsOf(text), finish_reason: 'stop' }];
}

function parsedOr(json: string): unknown {
  try {
    return JSON.parse(json);
  } catch {
    return json;
  }
}
