// OpenLLMetry for Node: Traceloop's SDK with its instrumentations of OpenAI and Anthropic.
'use strict';
const { requireHere, runCases, converseWithOpenAi, converseWithAnthropic } = require('./conversation.cjs');

const traceloop = requireHere('@traceloop/node-server-sdk');
// Its application name would be the package's; base URL and key come from TRACELOOP_* variables.
traceloop.initialize({ appName: 'weather-app', traceloopSyncEnabled: false, silenceInitializationMessage: true });
const { OpenAI } = requireHere('openai');
const Anthropic = requireHere('@anthropic-ai/sdk').default;

function converse(_name, scripted, url) {
  if (scripted.provider === 'openai') {
    const client = new OpenAI({ apiKey: 'sk-stand-in', baseURL: `${url}/v1`, maxRetries: 0 });
    return converseWithOpenAi(client, scripted);
  }
  return converseWithAnthropic(new Anthropic({ apiKey: 'sk-stand-in', baseURL: url, maxRetries: 0 }), scripted);
}

runCases(
  (name, scripted, url) => {
    if (scripted.toolResult === undefined) return converse(name, scripted, url);
    // A conversation of several calls is a workflow here: the SDK's own way to make them one trace.
    return traceloop.withWorkflow({ name: 'answer_question' }, () => converse(name, scripted, url));
  },
  () => traceloop.forceFlush(),
);
