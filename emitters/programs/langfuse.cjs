// Langfuse's SDK for Node: its wrapper of the OpenAI client, and an observation made by hand around a plain client.
'use strict';
const { requireHere, runCases, converseWithOpenAi, converseWithAnthropic } = require('./conversation.cjs');

const { NodeTracerProvider } = requireHere('@opentelemetry/sdk-trace-node');
const { resourceFromAttributes } = requireHere('@opentelemetry/resources');
const { LangfuseSpanProcessor } = requireHere('@langfuse/otel');
const { observeOpenAI } = requireHere('@langfuse/openai');
const { startActiveObservation } = requireHere('@langfuse/tracing');
const { OpenAI } = requireHere('openai');

// Address and keys come from LANGFUSE_* variables.
const processor = new LangfuseSpanProcessor();
const provider = new NodeTracerProvider({
  resource: resourceFromAttributes({ 'service.name': 'weather-app' }),
  spanProcessors: [processor],
});
provider.register();

function converse(name, scripted, url) {
  const client = new OpenAI({ apiKey: 'sk-stand-in', baseURL: `${url}/v1`, maxRetries: 0 });
  const settings = { generationName: name, sessionId: 'session-3', userId: 'user-7', tags: ['weather'] };
  return converseWithOpenAi(observeOpenAI(client, settings), scripted);
}

runCases(
  (name, scripted, url) => {
    if (scripted.provider === 'anthropic') return observeByHand(scripted, url);
    if (scripted.toolResult === undefined) return converse(name, scripted, url);
    return startActiveObservation('answer question', async (span) => {
      span.update({ input: scripted.user });
      await converse(name, scripted, url);
      span.update({ output: scripted.turns.at(-1).answer });
    });
  },
  () => processor.forceFlush(),
).then(() => provider.shutdown());

/** A generation as Langfuse's documentation shows for a provider without a wrapper: usage types add up. */
function observeByHand(scripted, url) {
  const Anthropic = requireHere('@anthropic-ai/sdk').default;
  const client = new Anthropic({ apiKey: 'sk-stand-in', baseURL: url, maxRetries: 0 });
  return startActiveObservation(
    'answer',
    async (generation) => {
      const input = [{ role: 'user', content: scripted.user }];
      generation.update({ model: scripted.model, input, modelParameters: { max_tokens: 2048 } });
      const message = await converseWithAnthropic(client, scripted);
      const { input_tokens, output_tokens, cache_read_input_tokens, cache_creation_input_tokens } = message.usage;
      generation.update({
        output: { role: 'assistant', content: message.content[0].text },
        usageDetails: {
          input: input_tokens,
          output: output_tokens,
          cache_read_input_tokens,
          cache_creation_input_tokens,
        },
      });
    },
    { asType: 'generation' },
  );
}
