// Writes fixtures/otlp/: what the official OpenTelemetry SDK for JavaScript and its OTLP exporter really send for GenAI spans.
// Run by hand: node packages/telemetry/scripts/fixtures.ts. Ids and times are fixed, so a new run shows what a new SDK changed.
import { once } from 'node:events';
import { mkdirSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { context, SpanKind, SpanStatusCode, trace } from '@opentelemetry/api';
import type { Attributes, Span, Tracer } from '@opentelemetry/api';
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-proto';
import { JsonTraceSerializer } from '@opentelemetry/otlp-transformer';
import { resourceFromAttributes } from '@opentelemetry/resources';
import {
  BatchSpanProcessor,
  InMemorySpanExporter,
  SimpleSpanProcessor,
  TracerProvider,
} from '@opentelemetry/sdk-trace';

const START_MS = Date.UTC(2026, 10, 20, 9, 30);
const folder = join(import.meta.dirname, '../../../fixtures/otlp');

interface Call {
  name: string;
  kind?: SpanKind;
  startMs: number;
  endMs: number;
  attributes: Attributes;
  parent?: Span;
  events?: { name: string; atMs: number; attributes: Attributes }[];
  error?: string;
}

function record(tracer: Tracer, call: Call): Span {
  const parent = call.parent === undefined ? context.active() : trace.setSpan(context.active(), call.parent);
  const { name, kind = SpanKind.CLIENT, attributes } = call;
  const span = tracer.startSpan(name, { kind, attributes, startTime: START_MS + call.startMs }, parent);
  for (const event of call.events ?? []) span.addEvent(event.name, event.attributes, START_MS + event.atMs);
  if (call.error !== undefined) span.setStatus({ code: SpanStatusCode.ERROR, message: call.error });
  span.end(START_MS + call.endMs);
  return span;
}

/** An agent that calls a model, a tool and the model again, in the names of semantic-conventions-genai 1.42. */
function current(tracer: Tracer): void {
  const question = { role: 'user', parts: [{ type: 'text', content: 'Wie wird das Wetter in Zürich? 🌦️' }] };
  const toolCall = { type: 'tool_call', id: 'call_1', name: 'get_weather', arguments: { city: 'Zürich' } };
  const answer = { role: 'assistant', parts: [{ type: 'text', content: 'Bewölkt, 7 °C.' }], finish_reason: 'stop' };
  const agent = record(tracer, {
    name: 'invoke_agent weather',
    kind: SpanKind.INTERNAL,
    startMs: 0,
    endMs: 2_400,
    attributes: {
      'gen_ai.operation.name': 'invoke_agent',
      'gen_ai.provider.name': 'openai',
      'gen_ai.agent.name': 'weather',
      'gen_ai.conversation.id': 'conv-17',
      'gen_ai.usage.input_tokens': 2_300,
      'gen_ai.usage.output_tokens': 64,
      'user.id': 'u-42',
    },
  });
  const common = {
    'gen_ai.operation.name': 'chat',
    'gen_ai.provider.name': 'openai',
    'gen_ai.request.model': 'gpt-4o',
    'gen_ai.response.model': 'gpt-4o-2024-08-06',
    'gen_ai.request.temperature': 0.2,
    'gen_ai.request.max_tokens': 512,
    'server.address': 'api.openai.com',
    'server.port': 443,
    'openai.response.service_tier': 'default',
  };
  record(tracer, {
    name: 'chat gpt-4o',
    parent: agent,
    startMs: 10,
    endMs: 910,
    attributes: {
      ...common,
      'gen_ai.response.id': 'chatcmpl-1',
      'gen_ai.response.finish_reasons': ['tool_calls'],
      'gen_ai.usage.input_tokens': 1_000,
      'gen_ai.usage.output_tokens': 20,
      'gen_ai.system_instructions': JSON.stringify([{ type: 'text', content: 'Answer briefly.' }]),
      'gen_ai.input.messages': JSON.stringify([question]),
      'gen_ai.output.messages': JSON.stringify([{ role: 'assistant', parts: [toolCall], finish_reason: 'tool_call' }]),
      'gen_ai.tool.definitions': JSON.stringify([
        { type: 'function', name: 'get_weather', parameters: { type: 'object' } },
      ]),
    },
  });
  record(tracer, {
    name: 'execute_tool get_weather',
    kind: SpanKind.INTERNAL,
    parent: agent,
    startMs: 920,
    endMs: 1_300,
    attributes: {
      'gen_ai.operation.name': 'execute_tool',
      'gen_ai.tool.name': 'get_weather',
      'gen_ai.tool.type': 'function',
      'gen_ai.tool.call.id': 'call_1',
      'gen_ai.tool.call.arguments': '{"city":"Zürich"}',
      'gen_ai.tool.call.result': '{"sky":"cloudy","celsius":7}',
    },
  });
  record(tracer, {
    name: 'chat gpt-4o',
    parent: agent,
    startMs: 1_310,
    endMs: 2_390,
    attributes: {
      ...common,
      'gen_ai.response.id': 'chatcmpl-2',
      'gen_ai.response.finish_reasons': ['stop'],
      'gen_ai.usage.input_tokens': 1_300,
      'gen_ai.usage.cache_read.input_tokens': 1_000,
      'gen_ai.usage.output_tokens': 44,
      'gen_ai.input.messages': JSON.stringify([
        question,
        { role: 'assistant', parts: [toolCall] },
        {
          role: 'tool',
          parts: [{ type: 'tool_call_response', id: 'call_1', response: { sky: 'cloudy', celsius: 7 } }],
        },
      ]),
      'gen_ai.output.messages': JSON.stringify([answer]),
    },
  });
  record(tracer, {
    name: 'embeddings text-embedding-3-small',
    startMs: 3_000,
    endMs: 3_080,
    attributes: {
      'gen_ai.operation.name': 'embeddings',
      'gen_ai.provider.name': 'openai',
      'gen_ai.request.model': 'text-embedding-3-small',
      'gen_ai.usage.input_tokens': 12,
    },
  });
}

/** The names of semantic-conventions 1.27 to 1.36 and of the Lumina SDK. */
function older(tracer: Tracer): void {
  record(tracer, {
    name: 'chat claude-3-5-haiku-latest',
    startMs: 0,
    endMs: 1_200,
    attributes: {
      'gen_ai.system': 'anthropic',
      'gen_ai.operation.name': 'chat',
      'gen_ai.request.model': 'claude-3-5-haiku-latest',
      'gen_ai.usage.prompt_tokens': 40,
      'gen_ai.usage.completion_tokens': 9,
      'lumina.tags': ['pilot', 'docs'],
      'lumina.cost_usd': 0.000068,
    },
    events: [
      { name: 'gen_ai.system.message', atMs: 1, attributes: { 'gen_ai.system': 'anthropic', content: 'Be kind.' } },
      { name: 'gen_ai.user.message', atMs: 1, attributes: { 'gen_ai.system': 'anthropic', content: 'Say hello.' } },
      {
        name: 'gen_ai.choice',
        atMs: 1_190,
        attributes: {
          'gen_ai.system': 'anthropic',
          index: 0,
          finish_reason: 'stop',
          message: JSON.stringify({ role: 'assistant', content: 'Hello!' }),
        },
      },
    ],
  });
  record(tracer, {
    name: 'text_completion',
    startMs: 1_500,
    endMs: 1_900,
    attributes: {
      'gen_ai.system': 'openai',
      'gen_ai.request.model': 'gpt-3.5-turbo',
      'gen_ai.prompt': JSON.stringify([{ role: 'user', content: 'One word for joy?' }]),
      'gen_ai.completion': JSON.stringify([{ role: 'assistant', content: 'Delight' }]),
      'gen_ai.usage.total_tokens': 31,
      'gen_ai.usage.prompt_tokens': 28,
    },
  });
  record(tracer, {
    name: 'chat gpt-4o-mini',
    startMs: 2_000,
    endMs: 2_050,
    attributes: {
      'gen_ai.system': 'openai',
      'gen_ai.operation.name': 'chat',
      'gen_ai.request.model': 'gpt-4o-mini',
      'error.type': 'RateLimitError',
    },
    events: [
      {
        name: 'gen_ai.content.prompt',
        atMs: 2_001,
        attributes: { 'gen_ai.prompt': '[{"role":"user","content":"Hi"}]' },
      },
      {
        name: 'exception',
        atMs: 2_049,
        attributes: { 'exception.type': 'RateLimitError', 'exception.message': '429' },
      },
    ],
    error: '429 Too Many Requests',
  });
}

/** Ids that count up, so that a new capture differs only where the SDK does. */
function countingIds(): { generateTraceId(): string; generateSpanId(): string } {
  let last = 0;
  return {
    generateTraceId: () => `5bd5${(++last).toString(16).padStart(28, '0')}`,
    generateSpanId: () => `7e1e${(++last).toString(16).padStart(12, '0')}`,
  };
}

async function capture(name: string, scope: string, version: string, emit: (tracer: Tracer) => void): Promise<void> {
  const bodies: Buffer[] = [];
  const server = createServer(async (request, response) => {
    bodies.push(Buffer.concat(await Array.fromAsync(request as AsyncIterable<Buffer>)));
    response.writeHead(200, { 'content-type': 'application/x-protobuf' }).end();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1/traces`;
  const memory = new InMemorySpanExporter();
  const provider = new TracerProvider({
    idGenerator: countingIds(),
    resource: resourceFromAttributes({ 'service.name': 'weather-desk', 'deployment.environment.name': 'production' }),
    spanProcessors: [
      new BatchSpanProcessor({ exporter: new OTLPTraceExporter({ url }) }),
      new SimpleSpanProcessor({ exporter: memory }),
    ],
  });
  emit(provider.getTracer(scope, version));
  await provider.forceFlush();
  const spans = memory.getFinishedSpans();
  const json = JsonTraceSerializer.serializeRequest([...spans]);
  if (json === undefined || bodies.length !== 1) throw new Error(`Expected one request but received ${bodies.length}`);
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, `${name}.pb`), bodies[0]!);
  writeFileSync(join(folder, `${name}.json`), json);
  await provider.shutdown();
  server.close();
  console.log(`${name}: ${spans.length} spans, ${bodies[0]!.length} bytes of protobuf, ${json.length} of JSON`);
}

await capture('current', 'lumatrace.fixtures', '1.42.0', current);
await capture('older', 'lumatrace.fixtures', '1.36.0', older);
