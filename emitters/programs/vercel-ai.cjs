// The AI SDK of Vercel with its own telemetry: 4, 5 and 6 ask for it with each call, 7 takes an integration.
// With `OPENINFERENCE=1` its spans pass through the OpenInference processor, which adds that dialect to them.
'use strict';
const { requireHere, runCases } = require('./conversation.cjs');

const ai = requireHere('ai');
const { z } = requireHere('zod');
const { createOpenAI } = requireHere('@ai-sdk/openai');
const { NodeTracerProvider, BatchSpanProcessor } = requireHere('@opentelemetry/sdk-trace-node');
const { resourceFromAttributes } = requireHere('@opentelemetry/resources');

const provider = new NodeTracerProvider({
  resource: resourceFromAttributes({ 'service.name': 'weather-app' }),
  spanProcessors: [spanProcessor()],
});
provider.register();
if (ai.registerTelemetry !== undefined) {
  const { OpenTelemetry } = requireHere('@ai-sdk/otel');
  ai.registerTelemetry(new OpenTelemetry());
}

function spanProcessor() {
  if (process.env.OPENINFERENCE === undefined) {
    const { OTLPTraceExporter } = requireHere('@opentelemetry/exporter-trace-otlp-http');
    return new BatchSpanProcessor(new OTLPTraceExporter());
  }
  const { OTLPTraceExporter } = requireHere('@opentelemetry/exporter-trace-otlp-proto');
  const { OpenInferenceBatchSpanProcessor } = requireHere('@arizeai/openinference-vercel');
  return new OpenInferenceBatchSpanProcessor({ exporter: new OTLPTraceExporter() });
}

/** The settings that every call carries. */
function telemetry(name) {
  const settings = { isEnabled: true, functionId: name, metadata: { userId: 'user-7', sessionId: 'session-3' } };
  if (ai.registerTelemetry === undefined) return { experimental_telemetry: settings };
  return { telemetry: { isEnabled: true, functionId: name } };
}

function modelOf(scripted, url) {
  if (scripted.provider === 'anthropic') {
    const { createAnthropic } = requireHere('@ai-sdk/anthropic');
    return createAnthropic({ apiKey: 'sk-stand-in', baseURL: `${url}/v1` })(scripted.model);
  }
  if (scripted.provider === 'gcp.gemini') {
    const { createGoogleGenerativeAI } = requireHere('@ai-sdk/google');
    return createGoogleGenerativeAI({ apiKey: 'stand-in', baseURL: `${url}/v1beta` })(scripted.model);
  }
  const openai = createOpenAI({ apiKey: 'sk-stand-in', baseURL: `${url}/v1`, compatibility: 'strict' });
  if (scripted.api === 'openai.embeddings') return (openai.embedding ?? openai.textEmbeddingModel)(scripted.model);
  return scripted.api === 'openai.responses' ? openai.responses(scripted.model) : openai.chat(scripted.model);
}

function userMessage(scripted) {
  if (scripted.image === undefined) return { role: 'user', content: scripted.user };
  return {
    role: 'user',
    content: [
      { type: 'text', text: scripted.user },
      { type: 'image', image: scripted.image },
    ],
  };
}

function requestOf(name, scripted, url) {
  const request = {
    model: modelOf(scripted, url),
    messages: [userMessage(scripted)],
    maxRetries: 0,
    ...telemetry(name),
  };
  if (scripted.system !== undefined) request.system = scripted.system;
  if (scripted.cached) {
    // Anthropic's cache marks sit on a message: the system prompt goes there.
    delete request.system;
    const system = { role: 'system', content: scripted.system };
    const cache = { anthropic: { cacheControl: { type: 'ephemeral' } } };
    request.messages.unshift({ ...system, providerOptions: cache });
    request.allowSystemInMessages = true;
  }
  if (scripted.reasoning && scripted.provider === 'anthropic') {
    request.providerOptions = { anthropic: { thinking: { type: 'enabled', budgetTokens: 1024 } } };
  }
  if (scripted.tool !== undefined) Object.assign(request, toolSettings(scripted));
  return request;
}

function toolSettings(scripted) {
  const schema = z.object({ city: z.string() });
  const { name, description } = scripted.tool;
  const execute = scripted.toolResult === undefined ? {} : { execute: () => JSON.parse(scripted.toolResult) };
  const tools = { [name]: ai.tool({ description, parameters: schema, inputSchema: schema, ...execute }) };
  if (scripted.toolResult === undefined) return { tools };
  if (ai.stepCountIs !== undefined) return { tools, stopWhen: ai.stepCountIs(3) };
  return ai.isStepCount === undefined ? { tools, maxSteps: 3 } : { tools, stopWhen: ai.isStepCount(3) };
}

async function converse(name, scripted, url) {
  if (scripted.api === 'openai.embeddings') {
    return ai.embed({ model: modelOf(scripted, url), value: scripted.user, maxRetries: 0, ...telemetry(name) });
  }
  const request = requestOf(name, scripted, url);
  if (scripted.schema !== undefined) {
    const schema = z.object({ city: z.string() });
    // Version 4 would ask for a tool call instead unless it is told.
    return ai.generateObject({ ...request, schema, mode: 'json' });
  }
  if (!scripted.stream) return ai.generateText(request);
  const result = await ai.streamText(request);
  for await (const _part of result.textStream);
  return result;
}

runCases(converse, () => provider.forceFlush()).then(() => provider.shutdown());
