// A stand-in for model providers, named as one: it speaks the APIs of OpenAI (chat completions, responses, embeddings),
// Anthropic (messages) and Google (generateContent) on loopback, plain and as server-sent events, and answers from
// cases.ts. The first part of the path names the case: `http://127.0.0.1:PORT/CASE/v1` is a client's base URL.
// Shapes follow the providers' public API references; each counts usage in its own way, as the real one does.
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { CASES, type Case, type ToolCall, type Turn } from './cases.ts';

const MAX_BODY_BYTES = 1024 * 1024;
const CREATED_SECONDS = 1_790_000_000;
const EMBEDDING = [0.25, -0.5, 0.125, 0.75];
/** Answers are streamed in pieces of so many characters. */
const PIECE_CHARACTERS = 9;

/** One call that was answered: the truth that emitters are measured against. */
export interface AnsweredCall {
  caseName: string;
  turn: number;
}

export interface ModelStandIn {
  /** `http://127.0.0.1:PORT`; append the case's name, then `/v1` for OpenAI. */
  url: string;
  /** Every successfully answered call, in order. */
  calls: readonly AnsweredCall[];
  close(): Promise<void>;
}

type JsonObject = Record<string, unknown>;

/** A turn with the id of this answer: no two calls of a conversation share one, as with a real provider. */
interface Answer extends Turn {
  id: string;
}

/** What one API answers: a body, or the events of a stream (`event` is absent where the API sends data lines alone). */
interface Protocol {
  path: RegExp;
  body(scripted: Case, turn: Answer): JsonObject;
  events(scripted: Case, turn: Answer, request: JsonObject): StreamEvent[];
  error(status: number): JsonObject;
}
interface StreamEvent {
  event?: string;
  data: JsonObject | '[DONE]';
}

/** Starts the stand-in on a free loopback port. */
export async function startModelStandIn(): Promise<ModelStandIn> {
  const calls: AnsweredCall[] = [];
  const server = createServer((request, response) => {
    answer(request, response, calls).catch((error: unknown) =>
      sendJson(response, 500, { error: { message: String(error), type: 'server_error' } }),
    );
  });
  await new Promise<void>((resolve, reject) => server.once('error', reject).listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    calls,
    close: () =>
      new Promise((resolve) => {
        server.closeAllConnections();
        server.close(() => resolve());
      }),
  };
}

async function answer(request: IncomingMessage, response: ServerResponse, calls: AnsweredCall[]): Promise<void> {
  const url = new URL(request.url ?? '/', 'http://stand-in');
  if (url.pathname === '/cases.json') return sendJson(response, 200, CASES);
  const [, caseName = '', rest = ''] = /^\/([^/]+)(\/.*)$/.exec(url.pathname) ?? [];
  const scripted = Object.hasOwn(CASES, caseName) ? CASES[caseName] : undefined;
  const protocol = PROTOCOLS.find(({ path }) => path.test(rest));
  if (scripted === undefined || protocol === undefined) {
    return sendJson(response, 404, {
      error: { message: `No case and API at ${url.pathname}`, type: 'not_found_error' },
    });
  }
  const body = await readJson(request);
  if (scripted.failure !== undefined) return sendJson(response, scripted.failure, protocol.error(scripted.failure));
  const index = turnOf(body);
  const script = scripted.turns[index];
  if (script === undefined) {
    return sendJson(response, 400, {
      error: { message: `${caseName} has no turn ${index}`, type: 'invalid_request_error' },
    });
  }
  const turn = { ...script, id: `${caseName}-${index + 1}` };
  calls.push({ caseName, turn: index });
  const streams = body['stream'] === true || rest.includes(':streamGenerateContent');
  if (streams) return sendEvents(response, protocol.events(scripted, turn, body));
  sendJson(response, 200, protocol.body(scripted, turn));
}

/** The number of tool results in the request: each one moves the conversation to its next turn. */
function turnOf(body: JsonObject): number {
  const text = JSON.stringify(body['messages'] ?? body['input'] ?? body['contents'] ?? []);
  return (
    text.match(/"role":"tool"|"type":"function_call_output"|"type":"tool_result"|"functionResponse":/g)?.length ?? 0
  );
}

async function readJson(request: IncomingMessage): Promise<JsonObject> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > MAX_BODY_BYTES) throw new Error('The body is too large.');
    chunks.push(chunk);
  }
  return bytes === 0 ? {} : (JSON.parse(Buffer.concat(chunks).toString('utf8')) as JsonObject);
}

function sendJson(response: ServerResponse, status: number, body: object): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
}

function sendEvents(response: ServerResponse, events: StreamEvent[]): void {
  response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-cache' });
  for (const { event, data } of events) {
    if (event !== undefined) response.write(`event: ${event}\n`);
    response.write(`data: ${data === '[DONE]' ? data : JSON.stringify(data)}\n\n`);
  }
  response.end();
}

function pieces(text: string): string[] {
  return text.match(new RegExp(`[^]{1,${PIECE_CHARACTERS}}`, 'gu')) ?? [];
}

// OpenAI: `prompt_tokens` and `input_tokens` include cached tokens, `completion_tokens` and `output_tokens` reasoning.

const chat: Protocol = {
  path: /^\/v1\/chat\/completions$/,
  body: (scripted, turn) => ({
    ...chatHead(scripted, turn, 'chat.completion'),
    choices: [
      {
        index: 0,
        message: {
          role: 'assistant',
          content: turn.tool_calls === undefined ? turn.answer : null,
          refusal: null,
          ...(turn.tool_calls === undefined ? {} : { tool_calls: turn.tool_calls.map((call) => chatToolCall(call)) }),
        },
        logprobs: null,
        finish_reason: chatFinish(turn),
      },
    ],
    usage: chatUsage(turn),
    service_tier: 'default',
  }),
  events(scripted, turn, request) {
    const head = chatHead(scripted, turn, 'chat.completion.chunk');
    const chunk = (delta: JsonObject, finish: string | null = null): StreamEvent => ({
      data: { ...head, choices: [{ index: 0, delta, logprobs: null, finish_reason: finish }] },
    });
    const calls = (turn.tool_calls ?? []).flatMap((call, index) => {
      const { function: called, ...rest } = chatToolCall(call);
      const first = { index, ...rest, function: { name: called.name, arguments: '' } };
      const parts = pieces(called.arguments).map((text) =>
        chunk({ tool_calls: [{ index, function: { arguments: text } }] }),
      );
      return [chunk({ tool_calls: [first] }), ...parts];
    });
    const options = request['stream_options'] as { include_usage?: boolean } | undefined;
    const usage = { data: { ...head, choices: [], usage: chatUsage(turn) } };
    return [
      chunk({ role: 'assistant', content: turn.tool_calls === undefined ? '' : null }),
      ...pieces(turn.answer).map((content) => chunk({ content })),
      ...calls,
      chunk({}, chatFinish(turn)),
      ...(options?.include_usage === true ? [usage] : []),
      { data: '[DONE]' },
    ];
  },
  error: openaiError,
};

function chatHead(scripted: Case, turn: Answer, object: string): JsonObject {
  return {
    id: `chatcmpl-${turn.id}`,
    object,
    created: CREATED_SECONDS,
    model: scripted.responseModel,
    system_fingerprint: 'fp_standin',
  };
}

function chatToolCall(call: ToolCall): { id: string; type: 'function'; function: { name: string; arguments: string } } {
  return { id: call.id, type: 'function', function: { name: call.name, arguments: JSON.stringify(call.arguments) } };
}

function chatFinish(turn: Turn): string {
  return turn.tool_calls === undefined ? 'stop' : 'tool_calls';
}

function chatUsage({ usage }: Turn): JsonObject {
  return {
    prompt_tokens: usage.input_tokens,
    completion_tokens: usage.output_tokens,
    total_tokens: usage.input_tokens + usage.output_tokens,
    prompt_tokens_details: { cached_tokens: usage.cache_read_tokens ?? 0, audio_tokens: 0 },
    completion_tokens_details: {
      reasoning_tokens: usage.reasoning_tokens ?? 0,
      audio_tokens: 0,
      accepted_prediction_tokens: 0,
      rejected_prediction_tokens: 0,
    },
  };
}

function openaiError(status: number): JsonObject {
  const [message, type, code] =
    status === 429
      ? ['Rate limit reached for requests', 'requests', 'rate_limit_exceeded']
      : ['The server had an error', 'server_error', null];
  return { error: { message, type, param: null, code } };
}

const responses: Protocol = {
  path: /^\/v1\/responses$/,
  body: (scripted, turn) => ({
    ...responsesHead(scripted, turn),
    status: 'completed',
    output: responsesOutput(turn),
    usage: responsesUsage(turn),
  }),
  events(scripted, turn) {
    const head = responsesHead(scripted, turn);
    const events: JsonObject[] = [
      { type: 'response.created', response: { ...head, status: 'in_progress', output: [], usage: null } },
    ];
    for (const [output_index, item] of responsesOutput(turn).entries()) {
      events.push({ type: 'response.output_item.added', output_index, item: { ...item, status: 'in_progress' } });
      if (item['type'] === 'message') events.push(...responsesText(output_index, String(item['id']), turn.answer));
      events.push({ type: 'response.output_item.done', output_index, item });
    }
    const body = responses.body(scripted, turn);
    events.push({ type: 'response.completed', response: body });
    return events.map((data, sequence_number) => ({ event: String(data['type']), data: { ...data, sequence_number } }));
  },
  error: openaiError,
};

function responsesText(output_index: number, item_id: string, text: string): JsonObject[] {
  const at = { item_id, output_index, content_index: 0 };
  return [
    { type: 'response.content_part.added', ...at, part: { type: 'output_text', text: '', annotations: [] } },
    ...pieces(text).map((delta) => ({ type: 'response.output_text.delta', ...at, delta, logprobs: [] })),
    { type: 'response.output_text.done', ...at, text, logprobs: [] },
    { type: 'response.content_part.done', ...at, part: { type: 'output_text', text, annotations: [] } },
  ];
}

function responsesHead(scripted: Case, turn: Answer): JsonObject {
  return {
    id: `resp_${turn.id}`,
    object: 'response',
    created_at: CREATED_SECONDS,
    error: null,
    incomplete_details: null,
    instructions: scripted.system ?? null,
    max_output_tokens: null,
    model: scripted.responseModel,
    parallel_tool_calls: true,
    previous_response_id: null,
    reasoning: { effort: null, summary: null },
    store: false,
    temperature: 1,
    text: { format: { type: 'text' } },
    tool_choice: 'auto',
    tools: [],
    top_p: 1,
    truncation: 'disabled',
    service_tier: 'default',
    metadata: {},
  };
}

function responsesOutput(turn: Answer): JsonObject[] {
  const output: JsonObject[] = [];
  if (turn.thinking !== undefined) {
    output.push({ type: 'reasoning', id: `rs_${turn.id}`, summary: [{ type: 'summary_text', text: turn.thinking }] });
  }
  for (const call of turn.tool_calls ?? []) {
    output.push({
      type: 'function_call',
      id: `fc_${call.id}`,
      call_id: call.id,
      name: call.name,
      arguments: JSON.stringify(call.arguments),
      status: 'completed',
    });
  }
  if (turn.answer !== '') {
    output.push({
      type: 'message',
      id: `msg_${turn.id}`,
      role: 'assistant',
      status: 'completed',
      content: [{ type: 'output_text', text: turn.answer, annotations: [], logprobs: [] }],
    });
  }
  return output;
}

function responsesUsage({ usage }: Turn): JsonObject {
  return {
    input_tokens: usage.input_tokens,
    input_tokens_details: { cached_tokens: usage.cache_read_tokens ?? 0 },
    output_tokens: usage.output_tokens,
    output_tokens_details: { reasoning_tokens: usage.reasoning_tokens ?? 0 },
    total_tokens: usage.input_tokens + usage.output_tokens,
  };
}

const embeddings: Protocol = {
  path: /^\/v1\/embeddings$/,
  body: (scripted, turn) => ({
    object: 'list',
    model: scripted.responseModel,
    data: [{ object: 'embedding', index: 0, embedding: EMBEDDING }],
    usage: { prompt_tokens: turn.usage.input_tokens, total_tokens: turn.usage.input_tokens },
  }),
  events: () => [],
  error: openaiError,
};

// Anthropic: `input_tokens` excludes what was read from and written to the cache.

const messages: Protocol = {
  path: /^(\/v1)?\/messages$/,
  body: (scripted, turn) => ({
    ...messageHead(scripted, turn),
    content: messageContent(turn),
    stop_reason: messageStop(turn),
    stop_sequence: null,
    usage: messageUsage(turn),
  }),
  events(scripted, turn) {
    const usage = messageUsage(turn);
    const start = { ...messageHead(scripted, turn), content: [], stop_reason: null, stop_sequence: null };
    const events: JsonObject[] = [
      { type: 'message_start', message: { ...start, usage: { ...usage, output_tokens: 1 } } },
      { type: 'ping' },
    ];
    for (const [index, block] of messageContent(turn).entries()) events.push(...messageBlock(index, block));
    events.push({
      type: 'message_delta',
      delta: { stop_reason: messageStop(turn), stop_sequence: null },
      usage: { output_tokens: turn.usage.output_tokens },
    });
    events.push({ type: 'message_stop' });
    return events.map((data) => ({ event: String(data['type']), data }));
  },
  error: (status) => ({
    type: 'error',
    error: { type: status === 429 ? 'rate_limit_error' : 'api_error', message: 'The stand-in was asked to fail' },
    request_id: 'req_standin0001',
  }),
};

function messageHead(scripted: Case, turn: Answer): JsonObject {
  return { id: `msg_${turn.id}`, type: 'message', role: 'assistant', model: scripted.responseModel };
}

function messageStop(turn: Turn): string {
  return turn.tool_calls === undefined ? 'end_turn' : 'tool_use';
}

function messageContent(turn: Turn): JsonObject[] {
  const content: JsonObject[] = [];
  if (turn.thinking !== undefined)
    content.push({ type: 'thinking', thinking: turn.thinking, signature: 'c3RhbmQtaW4=' });
  if (turn.answer !== '') content.push({ type: 'text', text: turn.answer });
  for (const call of turn.tool_calls ?? []) {
    content.push({ type: 'tool_use', id: call.id, name: call.name, input: call.arguments });
  }
  return content;
}

/** How each kind of block begins, and the deltas that fill it. */
function messageBlock(index: number, block: JsonObject): JsonObject[] {
  const deltas: Record<string, { empty: JsonObject; delta: (text: string) => JsonObject; text: string }> = {
    text: { empty: { text: '' }, delta: (text) => ({ type: 'text_delta', text }), text: String(block['text']) },
    thinking: {
      empty: { thinking: '', signature: '' },
      delta: (thinking) => ({ type: 'thinking_delta', thinking }),
      text: String(block['thinking']),
    },
    tool_use: {
      empty: { input: {} },
      delta: (partial_json) => ({ type: 'input_json_delta', partial_json }),
      text: JSON.stringify(block['input']),
    },
  };
  const kind = deltas[String(block['type'])];
  if (kind === undefined) throw new TypeError(`Expected a known block but received ${String(block['type'])}`);
  return [
    { type: 'content_block_start', index, content_block: { ...block, ...kind.empty } },
    ...pieces(kind.text).map((text) => ({ type: 'content_block_delta', index, delta: kind.delta(text) })),
    { type: 'content_block_stop', index },
  ];
}

function messageUsage({ usage }: Turn): JsonObject {
  const read = usage.cache_read_tokens ?? 0;
  const created = usage.cache_creation_tokens ?? 0;
  return {
    input_tokens: usage.input_tokens - read - created,
    cache_creation_input_tokens: created,
    cache_read_input_tokens: read,
    cache_creation: { ephemeral_5m_input_tokens: created, ephemeral_1h_input_tokens: 0 },
    output_tokens: usage.output_tokens,
    service_tier: 'standard',
  };
}

// Google: `promptTokenCount` includes cached content; `candidatesTokenCount` excludes thoughts.

const generate: Protocol = {
  path: /^\/(v1|v1beta)\/models\/[^/]+:(stream)?[gG]enerateContent$/,
  body: (scripted, turn) => ({
    candidates: [{ content: { role: 'model', parts: [{ text: turn.answer }] }, finishReason: 'STOP', index: 0 }],
    usageMetadata: {
      promptTokenCount: turn.usage.input_tokens,
      candidatesTokenCount: turn.usage.output_tokens - (turn.usage.reasoning_tokens ?? 0),
      thoughtsTokenCount: turn.usage.reasoning_tokens ?? 0,
      cachedContentTokenCount: turn.usage.cache_read_tokens ?? 0,
      totalTokenCount: turn.usage.input_tokens + turn.usage.output_tokens,
    },
    modelVersion: scripted.responseModel,
    responseId: turn.id,
  }),
  events: (scripted, turn) => [{ data: generate.body(scripted, turn) }],
  error: (code) => ({ error: { code, message: 'The stand-in was asked to fail', status: 'INTERNAL' } }),
};

const PROTOCOLS: readonly Protocol[] = [chat, responses, embeddings, messages, generate];
