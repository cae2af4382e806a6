// OpenInference for Node: Arize's instrumentations of the OpenAI and Anthropic clients with the standard exporter.
'use strict';
const { requireHere, runCases, inOneTrace, converseWithOpenAi, converseWithAnthropic } = require('./conversation.cjs');

const api = requireHere('@opentelemetry/api');
const { NodeTracerProvider, BatchSpanProcessor } = requireHere('@opentelemetry/sdk-trace-node');
const { OTLPTraceExporter } = requireHere('@opentelemetry/exporter-trace-otlp-proto');
const { resourceFromAttributes } = requireHere('@opentelemetry/resources');
const { OpenAIInstrumentation } = requireHere('@arizeai/openinference-instrumentation-openai');
const { AnthropicInstrumentation } = requireHere('@arizeai/openinference-instrumentation-anthropic');

const provider = new NodeTracerProvider({
  resource: resourceFromAttributes({ 'service.name': 'weather-app' }),
  spanProcessors: [new BatchSpanProcessor(new OTLPTraceExporter())],
});
provider.register();
const { OpenAI } = requireHere('openai');
const Anthropic = requireHere('@anthropic-ai/sdk');
// Given by hand, as its documentation advises for ES modules: it works whatever loaded the client.
for (const [instrumentation, module] of [
  [new OpenAIInstrumentation({ tracerProvider: provider }), OpenAI],
  [new AnthropicInstrumentation({ tracerProvider: provider }), Anthropic.default ?? Anthropic],
]) {
  instrumentation.setTracerProvider(provider);
  instrumentation.manuallyInstrument(module);
}

runCases(
  (_name, scripted, url) => {
    const options = { apiKey: 'sk-stand-in', maxRetries: 0 };
    return inOneTrace(api, scripted, () =>
      scripted.provider === 'openai'
        ? converseWithOpenAi(new OpenAI({ ...options, baseURL: `${url}/v1` }), scripted)
        : converseWithAnthropic(new Anthropic.default({ ...options, baseURL: url }), scripted),
    );
  },
  () => provider.forceFlush(),
).then(() => provider.shutdown());
