// What is asked of a model, as attributes of the GenAI conventions: one table of parameters, one reader per API.
import type { Attributes, AttributeValue } from '@opentelemetry/api';
import { jsonOf, textOf } from '../context.ts';
import { isRecord, type Fields } from './fields.ts';
import { chatMessages, partsOf, responseInput } from './messages.ts';

/** Parameter of a request → attribute. Of two for one attribute the first that is there counts. */
const PARAMETERS: readonly (readonly [parameter: string, key: string])[] = [
  ['model', 'gen_ai.request.model'],
  ['temperature', 'gen_ai.request.temperature'],
  ['top_p', 'gen_ai.request.top_p'],
  ['top_k', 'gen_ai.request.top_k'],
  ['max_completion_tokens', 'gen_ai.request.max_tokens'],
  ['max_output_tokens', 'gen_ai.request.max_tokens'],
  ['max_tokens', 'gen_ai.request.max_tokens'],
  ['frequency_penalty', 'gen_ai.request.frequency_penalty'],
  ['presence_penalty', 'gen_ai.request.presence_penalty'],
  ['seed', 'gen_ai.request.seed'],
  ['stop_sequences', 'gen_ai.request.stop_sequences'],
  ['stop', 'gen_ai.request.stop_sequences'],
  ['stream', 'gen_ai.request.stream'],
  ['service_tier', 'openai.request.service_tier'],
  ['reasoning_effort', 'gen_ai.request.reasoning.level'],
  ['encoding_format', 'gen_ai.request.encoding_formats'],
];
const LISTS = new Set(['gen_ai.request.stop_sequences', 'gen_ai.request.encoding_formats']);

export function parametersOf(request: Fields): Attributes {
  const attributes: Attributes = {};
  for (const [parameter, key] of PARAMETERS) {
    const value = request[parameter];
    if (attributes[key] !== undefined || value === undefined || value === null) continue;
    if (LISTS.has(key)) attributes[key] = (Array.isArray(value) ? value : [value]).map(String);
    else if (isScalar(value)) attributes[key] = value;
  }
  const choices = request['n'];
  if (typeof choices === 'number' && choices !== 1) attributes['gen_ai.request.choice.count'] = choices;
  return attributes;
}

function isScalar(value: unknown): value is AttributeValue & (string | number | boolean) {
  return typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean';
}

export type ReadContent = (request: Fields) => Attributes;

export const chatContent: ReadContent = (request) => ({
  'gen_ai.input.messages': jsonOf(chatMessages(request['messages'])),
  ...tools(request),
});

export const anthropicContent: ReadContent = (request) => ({
  ...system(request['system']),
  'gen_ai.input.messages': jsonOf(chatMessages(request['messages'])),
  ...tools(request),
});

export const responsesContent: ReadContent = (request) => ({
  ...system(request['instructions']),
  'gen_ai.input.messages': jsonOf(responseInput(request['input'])),
  ...tools(request),
  ...(typeof request['conversation'] === 'string' ? { 'gen_ai.conversation.id': request['conversation'] } : {}),
});

/** Texts to embed, a prompt to paint or to complete: one user message. */
export const promptContent: ReadContent = (request) => {
  const given = request['input'] ?? request['prompt'];
  const texts = Array.isArray(given) && typeof given[0] === 'string' ? given : [given];
  const parts = texts.map((text: unknown) => ({ type: 'text', content: textOf(text) }));
  return { 'gen_ai.input.messages': jsonOf([{ role: 'user', parts }]) };
};

function system(given: unknown): Attributes {
  const parts = partsOf(given);
  return parts.length === 0 ? {} : { 'gen_ai.system_instructions': jsonOf(parts) };
}

function tools({ tools: given }: Fields): Attributes {
  if (!Array.isArray(given) || given.length === 0) return {};
  return { 'gen_ai.tool.definitions': jsonOf(given.filter(isRecord).map(definition)) };
}

/** OpenAI nests the function, Anthropic calls its schema `input_schema`. */
function definition(tool: Fields): Fields {
  const fn = isRecord(tool['function']) ? tool['function'] : tool;
  const parameters = fn['parameters'] ?? fn['input_schema'];
  if (fn['name'] === undefined) return tool;
  return { type: 'function', name: fn['name'], description: fn['description'], parameters };
}
