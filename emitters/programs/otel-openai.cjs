// OpenTelemetry's own instrumentation of OpenAI for Node, with the exporters of its SDK in each protocol.
'use strict';
const { requireHere, runCases, inOneTrace, converseWithOpenAi } = require('./conversation.cjs');

const api = requireHere('@opentelemetry/api');
const { NodeSDK } = requireHere('@opentelemetry/sdk-node');
const { OpenAIInstrumentation } = requireHere('@opentelemetry/instrumentation-openai');

// Exporters, protocol and intervals come from OTEL_* variables, as in any deployment of this SDK.
const sdk = new NodeSDK({ instrumentations: [new OpenAIInstrumentation({ captureMessageContent: true })] });
sdk.start();
const OpenAI = requireHere('openai').OpenAI;

runCases(
  (_name, scripted, url) => {
    const client = new OpenAI({ apiKey: 'sk-stand-in', baseURL: `${url}/v1`, maxRetries: 0 });
    return inOneTrace(api, scripted, () => converseWithOpenAi(client, scripted));
  },
  // Its providers can only be flushed all together by ending them: this program is started once for each case.
  () => sdk.shutdown(),
);
