// Traffic with known figures, sent as any OpenTelemetry exporter would: OTLP/JSON to /v1/traces.
import { randomBytes } from 'node:crypto';

type AttributeMap = Record<string, string | number | boolean | string[]>;

interface SpanDraft {
  traceId: string;
  spanId: string;
  parentSpanId?: string;
  name: string;
  startMs: number;
  endMs: number;
  attributes?: AttributeMap;
  error?: string;
}

const hexId = (bytes: number): string => randomBytes(bytes).toString('hex');
const MODELS = ['gpt-4o', 'gpt-4o-mini', 'claude-sonnet-4-5'] as const;
const QUESTIONS = [
  'Why did order 10442 fail at the payment step?',
  'Summarise the refund policy for an order older than 30 days',
  'Which invoices are overdue this month?',
] as const;

export interface Sender {
  otlpUrl: string;
  apiKey: string;
}

/** Posts spans of one service; throws with the server's answer when it refuses any. */
export async function sendSpans(
  { otlpUrl, apiKey }: Sender,
  service: string,
  spans: readonly SpanDraft[],
): Promise<void> {
  const body = {
    resourceSpans: [
      {
        resource: {
          attributes: attributesOf({ 'service.name': service, 'deployment.environment.name': 'production' }),
        },
        scopeSpans: [{ scope: { name: 'browser-test', version: '1' }, spans: spans.map(spanOf) }],
      },
    ],
  };
  const response = await fetch(`${otlpUrl}/v1/traces`, {
    method: 'POST',
    headers: { authorization: `Bearer ${apiKey}`, 'content-type': 'application/json' },
    body: JSON.stringify(body),
  });
  const answer = await response.text();
  if (!response.ok || answer.includes('rejectedSpans')) throw new Error(`${response.status} ${answer}`);
}

function spanOf({ traceId, spanId, parentSpanId, name, startMs, endMs, attributes, error }: SpanDraft) {
  return {
    traceId,
    spanId,
    ...(parentSpanId === undefined ? {} : { parentSpanId }),
    name,
    kind: 1,
    startTimeUnixNano: `${Math.round(startMs)}000000`,
    endTimeUnixNano: `${Math.round(endMs)}000000`,
    attributes: attributesOf(attributes ?? {}),
    ...(error === undefined ? { status: { code: 1 } } : { status: { code: 2, message: error } }),
  };
}

function attributesOf(map: AttributeMap) {
  return Object.entries(map).map(([key, value]) => ({ key, value: valueOf(value) }));
}

function valueOf(value: AttributeMap[string]) {
  if (typeof value === 'boolean') return { boolValue: value };
  if (typeof value === 'number') return { intValue: String(value) };
  if (typeof value === 'string') return { stringValue: value };
  return { arrayValue: { values: value.map((item) => ({ stringValue: item })) } };
}

interface Call {
  model: string;
  question: string;
  answer: string;
  inputTokens: number;
  outputTokens: number;
}

function chat({ model, question, answer, inputTokens, outputTokens }: Call): AttributeMap {
  return {
    'gen_ai.operation.name': 'chat',
    'gen_ai.provider.name': model.startsWith('claude') ? 'anthropic' : 'openai',
    'gen_ai.request.model': model,
    'gen_ai.usage.input_tokens': inputTokens,
    'gen_ai.usage.output_tokens': outputTokens,
    'gen_ai.input.messages': JSON.stringify([{ role: 'user', parts: [{ type: 'text', content: question }] }]),
    'gen_ai.output.messages': JSON.stringify([
      { role: 'assistant', parts: [{ type: 'text', content: answer }], finish_reason: 'stop' },
    ]),
  };
}

/** One call of gpt-4o with 1,000 tokens in and 500 out: exactly $0.0075. Returns its trace id. */
export async function sendKnownCall(sender: Sender): Promise<string> {
  const traceId = hexId(16);
  const startMs = Date.now() - 2_000;
  const call = {
    model: 'gpt-4o',
    question: QUESTIONS[0],
    answer: 'The issuer declined the card.',
    inputTokens: 1_000,
    outputTokens: 500,
  };
  await sendSpans(sender, 'checkout-assistant', [
    {
      traceId,
      spanId: hexId(8),
      name: 'chat gpt-4o',
      startMs,
      endMs: startMs + 850,
      attributes: { ...chat(call), 'user.id': 'known-user' },
    },
  ]);
  return traceId;
}

/** An agent with a retrieval, two calls and a tool that fails. Returns its trace id. */
export async function sendAgent(sender: Sender): Promise<string> {
  const traceId = hexId(16);
  const [root, tool] = [hexId(8), hexId(8)];
  const startMs = Date.now() - 30_000;
  const at = (from: number, to: number): { startMs: number; endMs: number } => ({
    startMs: startMs + from,
    endMs: startMs + to,
  });
  const call = {
    model: 'gpt-4o',
    question: QUESTIONS[0],
    answer: 'I will look at the order first.',
    inputTokens: 1_200,
    outputTokens: 80,
  };
  await sendSpans(sender, 'support-agent', [
    {
      traceId,
      spanId: root,
      name: 'support agent',
      ...at(0, 6_400),
      attributes: {
        'gen_ai.operation.name': 'invoke_agent',
        'user.id': 'user-7',
        'session.id': 's-1a2b',
        'tag.tags': ['prod', 'eu'],
      },
    },
    {
      traceId,
      spanId: hexId(8),
      parentSpanId: root,
      name: 'retrieve documents',
      ...at(40, 620),
      attributes: { 'gen_ai.operation.name': 'retrieval' },
    },
    { traceId, spanId: hexId(8), parentSpanId: root, name: 'chat gpt-4o', ...at(640, 2_500), attributes: chat(call) },
    {
      traceId,
      spanId: tool,
      parentSpanId: root,
      name: 'execute_tool get_order',
      ...at(2_520, 3_300),
      attributes: {
        'gen_ai.operation.name': 'execute_tool',
        'gen_ai.tool.name': 'get_order',
        'error.type': 'PaymentDeclined',
      },
      error: 'the issuer declined the card',
    },
    { traceId, spanId: hexId(8), parentSpanId: tool, name: 'GET /orders/10442', ...at(2_540, 3_250) },
    {
      traceId,
      spanId: hexId(8),
      parentSpanId: root,
      name: 'chat gpt-4o',
      ...at(3_320, 6_350),
      attributes: chat({ ...call, inputTokens: 1_500, outputTokens: 240 }),
    },
  ]);
  return traceId;
}

/** Calls spread over the last days, some failed, some of a model that nobody knows a price for. */
export async function sendDays(sender: Sender, traces: number, days: number): Promise<void> {
  const services = ['checkout-assistant', 'docs-search', 'support-agent'];
  for (const [place, service] of services.entries()) {
    const spans = Array.from({ length: Math.ceil(traces / services.length) }, (_, index): SpanDraft => {
      const model = index % 23 === 0 ? 'in-house-llm-7b' : (MODELS[(index + place) % MODELS.length] ?? MODELS[0]);
      const ageMs = ((index + 1) / Math.ceil(traces / services.length)) * days * 86_400_000;
      const startMs = Date.now() - ageMs - 5_000;
      const question = QUESTIONS[index % QUESTIONS.length] ?? QUESTIONS[0];
      const call = {
        model,
        question,
        answer: 'Here is what I found.',
        inputTokens: 200 + ((index * 97) % 3_000),
        outputTokens: 20 + ((index * 31) % 600),
      };
      return {
        traceId: hexId(16),
        spanId: hexId(8),
        name: `chat ${model}`,
        startMs,
        endMs: startMs + 300 + ((index * 131) % 4_000),
        attributes: { ...chat(call), 'user.id': `user-${index % 17}`, 'tag.tags': [index % 2 ? 'prod' : 'staging'] },
        ...(index % 19 === 3 ? { error: 'rate limited by the provider' } : {}),
      };
    });
    for (let at = 0; at < spans.length; at += 500) await sendSpans(sender, service, spans.slice(at, at + 500));
  }
}

/** One trace of many spans, three levels deep. Returns its trace id. */
export async function sendLargeTrace(sender: Sender, size: number): Promise<string> {
  const traceId = hexId(16);
  const startMs = Date.now() - 120_000;
  const root = hexId(8);
  const steps = Array.from({ length: Math.floor(size / 100) }, () => hexId(8));
  const spans = Array.from({ length: size }, (_, index): SpanDraft => {
    if (index === 0) return { traceId, spanId: root, name: 'nightly batch', startMs, endMs: startMs + size * 5 };
    const step = steps[index - 1];
    const begin = startMs + index * 5;
    if (step !== undefined)
      return { traceId, spanId: step, parentSpanId: root, name: `step ${index}`, startMs: begin, endMs: begin + 400 };
    const parentSpanId = steps[index % steps.length] ?? root;
    return { traceId, spanId: hexId(8), parentSpanId, name: `item ${index}`, startMs: begin, endMs: begin + 4 };
  });
  for (let at = 0; at < spans.length; at += 1_000) await sendSpans(sender, 'batch', spans.slice(at, at + 1_000));
  return traceId;
}
