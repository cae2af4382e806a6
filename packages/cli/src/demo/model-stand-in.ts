// A stand-in for a model provider, named as one: it speaks the OpenAI API on loopback (chat completions with tools,
// embeddings, models, errors) and composes answers from the text it was given. There is no model behind it, and what
// it says of latency (`openai-processing-ms`) is drawn, not measured.
import { createHash } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

const MAX_BODY_BYTES = 4 * 1024 * 1024;
const CHARACTERS_PER_TOKEN = 4;
// As OpenAI documents for prompt caching: prefixes of 1,024 tokens and more, in steps of 128.
const CACHE_FROM_TOKENS = 1024;
const CACHE_STEP_TOKENS = 128;
const EMBEDDING_DIMENSIONS = 64;

/** Time to first token and tokens per second, roughly as users of these models see them; only their order matters. */
const PACE: Record<string, { firstTokenMs: number; tokensPerSecond: number; reasons?: boolean }> = {
  'gpt-4o': { firstTokenMs: 480, tokensPerSecond: 90 },
  'gpt-4o-mini': { firstTokenMs: 330, tokensPerSecond: 130 },
  'gpt-4.1': { firstTokenMs: 560, tokensPerSecond: 85 },
  'o4-mini': { firstTokenMs: 2_300, tokensPerSecond: 120, reasons: true },
};
const DEFAULT_PACE = { firstTokenMs: 420, tokensPerSecond: 60 };

interface ChatMessage {
  role: string;
  content?: string | null;
  tool_calls?: { id: string; function: { name: string; arguments: string } }[];
  tool_call_id?: string;
}
interface ChatRequest {
  model: string;
  messages: ChatMessage[];
  tools?: { function: { name: string } }[];
}
interface EmbeddingRequest {
  model: string;
  input: string | string[];
}

export interface ModelStandIn {
  /** To be used as `baseURL` of an OpenAI client. */
  baseUrl: string;
  close(): Promise<void>;
}

/** Starts the stand-in on a free loopback port. */
export async function startModelStandIn(): Promise<ModelStandIn> {
  const seenPrefixes = new Set<string>();
  const server = createServer((request, response) => {
    void answer(request, response, seenPrefixes).catch((error: unknown) =>
      send(response, 500, { error: { message: String(error), type: 'server_error' } }),
    );
  });
  await new Promise<void>((resolve, reject) => server.once('error', reject).listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return { baseUrl: `http://127.0.0.1:${port}/v1`, close: () => closed(server) };
}

function closed(server: Server): Promise<void> {
  server.closeAllConnections();
  return new Promise((resolve) => server.close(() => resolve()));
}

async function answer(request: IncomingMessage, response: ServerResponse, seen: Set<string>): Promise<void> {
  // A caller may ask for a failure by name, since a demonstration needs failures that come when they should.
  const failure = FAILURES[String(request.headers['x-stand-in-failure'] ?? '')];
  if (failure !== undefined) return send(response, failure.status, { error: failure });
  if (request.method === 'POST' && request.url === '/v1/chat/completions') {
    const body = (await readJson(request)) as ChatRequest;
    const { completion, latencyMs } = complete(body, seen);
    return send(response, 200, completion, { 'openai-processing-ms': String(latencyMs) });
  }
  if (request.method === 'POST' && request.url === '/v1/embeddings') {
    const body = (await readJson(request)) as EmbeddingRequest;
    return send(response, 200, embeddings(body), { 'openai-processing-ms': String(40 + (hash(body.model) % 60)) });
  }
  send(response, 404, {
    error: { message: `Unknown request URL: ${request.method} ${request.url}`, type: 'invalid_request_error' },
  });
}

const FAILURES: Record<string, { status: number; message: string; type: string; code: string }> = {
  rate_limit: {
    status: 429,
    message: 'Rate limit reached for requests',
    type: 'requests',
    code: 'rate_limit_exceeded',
  },
  overloaded: { status: 503, message: 'The engine is currently overloaded', type: 'server_error', code: 'overloaded' },
  content_filter: {
    status: 400,
    message: 'The response was filtered',
    type: 'invalid_request_error',
    code: 'content_filter',
  },
};

async function readJson(request: IncomingMessage): Promise<unknown> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > MAX_BODY_BYTES) throw new Error('The body is too large.');
    chunks.push(chunk);
  }
  return JSON.parse(Buffer.concat(chunks).toString('utf8'));
}

function send(response: ServerResponse, status: number, body: unknown, headers: Record<string, string> = {}): void {
  response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(body));
}

function complete(request: ChatRequest, seen: Set<string>): { completion: object; latencyMs: number } {
  const pace = PACE[request.model] ?? DEFAULT_PACE;
  const message = reply(request);
  const promptText = request.messages.map((each) => each.content ?? '').join('\n');
  const completionText = message.content ?? JSON.stringify(message.tool_calls);
  const reasoningTokens = pace.reasons === true ? 192 + (hash(promptText) % 9) * 64 : 0;
  const usage = {
    prompt_tokens: tokensOf(promptText),
    completion_tokens: tokensOf(completionText) + reasoningTokens,
    total_tokens: 0,
    prompt_tokens_details: { cached_tokens: cachedTokens(request, seen) },
    completion_tokens_details: { reasoning_tokens: reasoningTokens },
  };
  usage.total_tokens = usage.prompt_tokens + usage.completion_tokens;
  const spread = 0.75 + (hash(completionText) % 100) / 130;
  const latencyMs = Math.round((pace.firstTokenMs + (usage.completion_tokens / pace.tokensPerSecond) * 1_000) * spread);
  const completion = {
    id: `chatcmpl-${createHash('sha256').update(promptText).digest('hex').slice(0, 24)}`,
    object: 'chat.completion',
    created: Math.floor(Date.now() / 1_000),
    model: request.model,
    choices: [{ index: 0, message, finish_reason: message.tool_calls === undefined ? 'stop' : 'tool_calls' }],
    usage,
  };
  return { completion, latencyMs };
}

/** Calls each tool once, in order; then answers from the tools' results or from the context in the prompt. */
function reply(request: ChatRequest): ChatMessage {
  const results = request.messages.filter((message) => message.role === 'tool');
  const nextTool = request.tools?.[results.length]?.function.name;
  const question = request.messages.findLast((message) => message.role === 'user')?.content ?? '';
  if (nextTool !== undefined) {
    const id = `call_${hash(question + nextTool).toString(36)}`;
    const call = { id, type: 'function', function: { name: nextTool, arguments: JSON.stringify({ query: question }) } };
    return { role: 'assistant', content: null, tool_calls: [call] };
  }
  const sources = results.length > 0 ? results : request.messages.filter((message) => message.role === 'system');
  return { role: 'assistant', content: bestSentences(sources.map((each) => each.content ?? '').join('\n'), question) };
}

function bestSentences(context: string, question: string): string {
  const wanted = new Set(words(question));
  const sentences = context.split(/(?<=[.!?])\s+|\n+/).filter((sentence) => sentence.trim().length > 20);
  const scored = sentences.map((text, index) => ({
    text: text.trim(),
    index,
    score: words(text).filter((word) => wanted.has(word)).length,
  }));
  const best = scored.sort((a, b) => b.score - a.score || a.index - b.index).slice(0, 3);
  const chosen = best.filter(({ score }) => score > 0).sort((a, b) => a.index - b.index);
  if (chosen.length === 0) return 'I could not find that in the documents that I was given.';
  return chosen.map(({ text }) => text).join(' ');
}

function embeddings(request: EmbeddingRequest): object {
  const inputs = typeof request.input === 'string' ? [request.input] : request.input;
  const tokens = inputs.reduce((sum, text) => sum + tokensOf(text), 0);
  return {
    object: 'list',
    model: request.model,
    data: inputs.map((text, index) => ({ object: 'embedding', index, embedding: embed(text) })),
    usage: { prompt_tokens: tokens, total_tokens: tokens },
  };
}

// Feature hashing of the words (Weinberger et al. 2009): enough for a retrieval that really ranks by content.
function embed(text: string): number[] {
  const vector = Array.from({ length: EMBEDDING_DIMENSIONS }, () => 0);
  for (const word of words(text)) {
    const bucket = hash(word) % EMBEDDING_DIMENSIONS;
    vector[bucket] = (vector[bucket] ?? 0) + (hash(`${word}±`) % 2 === 0 ? 1 : -1);
  }
  const length = Math.hypot(...vector) || 1;
  return vector.map((value) => value / length);
}

function cachedTokens(request: ChatRequest, seen: Set<string>): number {
  const prefix = request.messages[0]?.content ?? '';
  const tokens = tokensOf(prefix);
  if (tokens < CACHE_FROM_TOKENS) return 0;
  const key = `${request.model}\n${prefix}`;
  if (seen.has(key)) return Math.floor(tokens / CACHE_STEP_TOKENS) * CACHE_STEP_TOKENS;
  seen.add(key);
  return 0;
}

function tokensOf(text: string): number {
  return Math.max(1, Math.ceil(text.length / CHARACTERS_PER_TOKEN));
}

function words(text: string): string[] {
  return text.toLowerCase().match(/[\p{L}\p{N}]{4,}/gu) ?? [];
}

function hash(text: string): number {
  return createHash('sha256').update(text).digest().readUInt32BE(0);
}
