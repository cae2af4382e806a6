// A stand-in for the APIs of OpenAI and Anthropic, named as one: it answers from loopback with fixed texts and usage whose
// numbers are known to the tests. There is no model behind it.
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

export const ANSWER = 'Paris is the capital of France.';
export const THOUGHT = 'The user asks for a capital.';
/** Usage as OpenAI counts: cached tokens are part of the prompt, reasoning is part of the completion. */
export const OPENAI_USAGE = { prompt: 1_200, cached: 1_024, completion: 90, reasoning: 64 };
/** Usage as Anthropic counts: the three inputs are disjoint. */
export const ANTHROPIC_USAGE = { input: 20, cacheRead: 1_000, cacheCreation: 300, output: 45 };

/** Answers differ in their id, as those of a provider do. */
let answers = 0;

type Body = Record<string, unknown>;

export interface ModelStandIn {
  /** For `baseURL` of an OpenAI client. */
  openAiUrl: string;
  /** For `baseURL` of an Anthropic client. */
  anthropicUrl: string;
  stop(): Promise<void>;
}

/** @param picture what its images API gives; a word in base64, which is no picture, otherwise */
export async function startModelStandIn(picture: Uint8Array = Buffer.from('hello')): Promise<ModelStandIn> {
  const image = Buffer.from(picture).toString('base64');
  const server = createServer((request, response) => void answer(request, response, image));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const stop = async (): Promise<void> => {
    server.closeAllConnections();
    await new Promise<void>((resolve) => server.close(() => resolve()));
  };
  return { openAiUrl: `${url}/v1`, anthropicUrl: url, stop };
}

const ROUTES: Record<string, (body: Body, response: ServerResponse, image: string) => void> = {
  '/v1/chat/completions': chat,
  '/v1/responses': responses,
  '/v1/embeddings': embeddings,
  '/v1/images/generations': (body, response, image) => {
    const usage = {
      input_tokens: 12,
      output_tokens: 272,
      total_tokens: 284,
      input_tokens_details: { text_tokens: 12, image_tokens: 0 },
    };
    send(response, { created: 1, data: [{ b64_json: image }], model: body['model'], usage });
  },
  '/v1/messages': messages,
};

async function answer(request: IncomingMessage, response: ServerResponse, image: string): Promise<void> {
  const chunks: Buffer[] = [];
  for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk);
  const body = JSON.parse(Buffer.concat(chunks).toString('utf8') || '{}') as Body;
  if (body['model'] === 'overloaded') {
    response.writeHead(503, { 'content-type': 'application/json' });
    response.end('{"error":{"message":"The engine is overloaded","type":"server_error"}}');
    return;
  }
  const route = ROUTES[(request.url ?? '').split('?')[0] ?? ''];
  if (route === undefined) {
    response.writeHead(404, { 'content-type': 'application/json' }).end('{"error":{"message":"Unknown URL"}}');
    return;
  }
  route(body, response, image);
}

function send(response: ServerResponse, body: unknown): void {
  response.writeHead(200, { 'content-type': 'application/json', 'x-request-id': 'req_1' }).end(JSON.stringify(body));
}

/** Server-sent events, `named`: with an event line, as Anthropic and the Responses API send them. */
function stream(response: ServerResponse, events: readonly Body[], ending = ''): void {
  response.writeHead(200, { 'content-type': 'text/event-stream' });
  for (const event of events) {
    const name = typeof event['type'] === 'string' ? `event: ${event['type']}\n` : '';
    response.write(`${name}data: ${JSON.stringify(event)}\n\n`);
  }
  response.end(ending);
}

const chatUsage = {
  prompt_tokens: OPENAI_USAGE.prompt,
  completion_tokens: OPENAI_USAGE.completion,
  total_tokens: OPENAI_USAGE.prompt + OPENAI_USAGE.completion,
  prompt_tokens_details: { cached_tokens: OPENAI_USAGE.cached },
  completion_tokens_details: { reasoning_tokens: OPENAI_USAGE.reasoning },
};

/** Calls the first tool once; then answers. */
function wantsTool(body: Body): string | undefined {
  const tools = body['tools'] as Body[] | undefined;
  const asked = JSON.stringify(body['messages'] ?? body['input']);
  if (tools?.[0] === undefined || /"role":"tool"|tool_result|function_call_output/.test(asked)) return undefined;
  const fn = (tools[0]['function'] ?? tools[0]) as Body;
  return String(fn['name']);
}

const ARGUMENTS = '{"city":"Paris"}';

function chat(body: Body, response: ServerResponse): void {
  const tool = wantsTool(body);
  const common = { id: `chatcmpl-${++answers}`, created: 1, model: body['model'], service_tier: 'default' };
  if (body['stream'] !== true) {
    const call = { id: 'call_1', type: 'function', function: { name: tool, arguments: ARGUMENTS } };
    const message = tool === undefined ? { content: ANSWER } : { content: null, tool_calls: [call] };
    const finish_reason = tool === undefined ? 'stop' : 'tool_calls';
    const choices = [{ index: 0, message: { role: 'assistant', refusal: null, ...message }, finish_reason }];
    return send(response, { ...common, object: 'chat.completion', choices, usage: chatUsage });
  }
  const chunk = (delta: Body, finish_reason: string | null = null): Body => ({
    ...common,
    object: 'chat.completion.chunk',
    choices: [{ index: 0, delta, finish_reason }],
  });
  const pieces = tool === undefined ? textPieces().map((content) => ({ content })) : toolPieces(tool);
  const events = [
    chunk({ role: 'assistant', content: '' }),
    ...pieces.map((piece) => chunk(piece)),
    chunk({}, tool === undefined ? 'stop' : 'tool_calls'),
  ];
  const wantsUsage = (body['stream_options'] as Body | undefined)?.['include_usage'] === true;
  if (wantsUsage) events.push({ ...common, object: 'chat.completion.chunk', choices: [], usage: chatUsage });
  stream(response, events, 'data: [DONE]\n\n');
}

function textPieces(): string[] {
  return ANSWER.split(/(?<= )/);
}

function toolPieces(name: string): Body[] {
  return [
    { tool_calls: [{ index: 0, id: 'call_1', type: 'function', function: { name, arguments: '' } }] },
    { tool_calls: [{ index: 0, function: { arguments: ARGUMENTS.slice(0, 6) } }] },
    { tool_calls: [{ index: 0, function: { arguments: ARGUMENTS.slice(6) } }] },
  ];
}

function responses(body: Body, response: ServerResponse): void {
  const tool = wantsTool(body);
  const text = { type: 'output_text', text: ANSWER, annotations: [] };
  const message = { type: 'message', id: 'msg_1', role: 'assistant', status: 'completed', content: [text] };
  const call = {
    type: 'function_call',
    id: 'fc_1',
    call_id: 'call_1',
    name: tool,
    arguments: ARGUMENTS,
    status: 'completed',
  };
  const reasoning = { type: 'reasoning', id: 'rs_1', summary: [{ type: 'summary_text', text: THOUGHT }] };
  const usage = {
    input_tokens: OPENAI_USAGE.prompt,
    output_tokens: OPENAI_USAGE.completion,
    total_tokens: OPENAI_USAGE.prompt + OPENAI_USAGE.completion,
    input_tokens_details: { cached_tokens: OPENAI_USAGE.cached },
    output_tokens_details: { reasoning_tokens: OPENAI_USAGE.reasoning },
  };
  const output = [reasoning, tool === undefined ? message : call];
  const begun = {
    id: `resp_${++answers}`,
    object: 'response',
    created_at: 1,
    model: body['model'],
    status: 'in_progress',
    output: [],
  };
  const whole = { ...begun, status: 'completed', output, usage, tools: [], error: null, incomplete_details: null };
  if (body['stream'] !== true) return send(response, whole);
  const place = { item_id: 'msg_1', output_index: 0, content_index: 0 };
  const events = [
    { type: 'response.created', response: begun },
    { type: 'response.output_item.added', output_index: 0, item: { ...message, status: 'in_progress', content: [] } },
    { type: 'response.content_part.added', ...place, part: { ...text, text: '' } },
    ...textPieces().map((delta) => ({ type: 'response.output_text.delta', ...place, delta, logprobs: [] })),
    { type: 'response.output_text.done', ...place, text: ANSWER, logprobs: [] },
    { type: 'response.content_part.done', ...place, part: text },
    { type: 'response.output_item.done', output_index: 0, item: message },
    { type: 'response.completed', response: whole },
  ];
  stream(
    response,
    events.map((event, sequence_number) => ({ ...event, sequence_number })),
  );
}

function embeddings(body: Body, response: ServerResponse): void {
  const texts = Array.isArray(body['input']) ? (body['input'] as string[]) : [String(body['input'])];
  const floats = texts.map((text) =>
    Float32Array.from({ length: 8 }, (_, i) => text.split(' ').filter((word) => word.length % 8 === i).length),
  );
  const isBase64 = body['encoding_format'] === 'base64';
  const data = floats.map((vector, index) => ({
    object: 'embedding',
    index,
    embedding: isBase64 ? Buffer.from(vector.buffer).toString('base64') : [...vector],
  }));
  send(response, { object: 'list', model: body['model'], data, usage: { prompt_tokens: 14, total_tokens: 14 } });
}

function messages(body: Body, response: ServerResponse): void {
  const tool = wantsTool(body);
  const thinking = { type: 'thinking', thinking: THOUGHT, signature: 'c2ln' };
  const last =
    tool === undefined
      ? { type: 'text', text: ANSWER }
      : { type: 'tool_use', id: 'toolu_1', name: tool, input: { city: 'Paris' } };
  const usage = {
    input_tokens: ANTHROPIC_USAGE.input,
    cache_read_input_tokens: ANTHROPIC_USAGE.cacheRead,
    cache_creation_input_tokens: ANTHROPIC_USAGE.cacheCreation,
    output_tokens: ANTHROPIC_USAGE.output,
    service_tier: 'standard',
  };
  const reason = tool === undefined ? 'end_turn' : 'tool_use';
  const base = {
    id: `msg_${++answers}`,
    type: 'message',
    role: 'assistant',
    model: body['model'],
    stop_sequence: null,
  };
  if (body['stream'] !== true) {
    return send(response, { ...base, content: [thinking, last], stop_reason: reason, usage });
  }
  const pieces: Body[] =
    tool === undefined
      ? textPieces().map((text) => ({ type: 'text_delta', text }))
      : [ARGUMENTS.slice(0, 5), ARGUMENTS.slice(5)].map((partial_json) => ({ type: 'input_json_delta', partial_json }));
  const blank = tool === undefined ? { type: 'text', text: '' } : { ...last, input: {} };
  stream(response, [
    {
      type: 'message_start',
      message: { ...base, content: [], stop_reason: null, usage: { ...usage, output_tokens: 1 } },
    },
    { type: 'content_block_start', index: 0, content_block: { type: 'thinking', thinking: '', signature: '' } },
    { type: 'content_block_delta', index: 0, delta: { type: 'thinking_delta', thinking: THOUGHT } },
    { type: 'content_block_delta', index: 0, delta: { type: 'signature_delta', signature: 'c2ln' } },
    { type: 'content_block_stop', index: 0 },
    { type: 'content_block_start', index: 1, content_block: blank },
    ...pieces.map((delta) => ({ type: 'content_block_delta', index: 1, delta })),
    { type: 'content_block_stop', index: 1 },
    {
      type: 'message_delta',
      delta: { stop_reason: reason, stop_sequence: null },
      usage: { output_tokens: ANTHROPIC_USAGE.output },
    },
    { type: 'message_stop' },
  ]);
}
