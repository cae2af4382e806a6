// What every JavaScript emitter program has in common: the cases as requests of the official clients, and the order
// run → flush → next. A program is started in the folder of one version of one emitter, takes its packages from there,
// and is told by its environment where the model stand-in and the collector are.
'use strict';
const { createRequire } = require('node:module');
const { join } = require('node:path');

const { MODEL_URL, CONTROL_URL, CASE_NAMES } = process.env;

/** Packages are those of the folder that the program is started in. */
const requireHere = createRequire(join(process.cwd(), 'package.json'));

/**
 * Runs the cases one after the other. `converse(name, scripted, baseUrl)` speaks with the model; `flush` waits until
 * all that is known was exported. A failed call is part of a case; anything else that throws ends the program.
 */
async function runCases(converse, flush) {
  const cases = await (await fetch(`${MODEL_URL}/cases.json`)).json();
  for (const name of CASE_NAMES.split(',')) {
    const scripted = cases[name];
    await control('begin', name);
    try {
      await converse(name, scripted, `${MODEL_URL}/${name}`);
    } catch (error) {
      if (scripted.failure === undefined) throw error;
      // Some instrumentations end their span after the caller has heard of the failure.
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
    await flush();
    await control('end', name);
  }
}

async function control(verb, name) {
  const response = await fetch(`${CONTROL_URL}/${verb}/${name}`, { method: 'POST' });
  if (!response.ok)
    throw new Error(`Expected the collector to take ${verb} ${name} but it answered ${response.status}`);
}

/** A conversation of several calls belongs to one trace, as in an application that traces its own requests. */
function inOneTrace(api, scripted, converse) {
  if (scripted.toolResult === undefined) return converse();
  return api.trace.getTracer('weather-app', '1.0.0').startActiveSpan('answer question', async (span) => {
    try {
      return await converse();
    } finally {
      span.end();
    }
  });
}

/** Any case of OpenAI through the official client. */
async function converseWithOpenAi(client, scripted) {
  if (scripted.api === 'openai.embeddings') {
    return client.embeddings.create({ model: scripted.model, input: scripted.user, encoding_format: 'float' });
  }
  return scripted.api === 'openai.responses' ? converseInResponses(client, scripted) : converseInChat(client, scripted);
}

async function converseInChat(client, scripted) {
  const messages = [];
  if (scripted.system !== undefined) messages.push({ role: 'system', content: scripted.system });
  messages.push({ role: 'user', content: chatContent(scripted) });
  const request = { model: scripted.model, messages };
  if (scripted.reasoning) request.reasoning_effort = 'medium';
  if (scripted.schema !== undefined) {
    const json_schema = { name: 'capital', schema: scripted.schema, strict: true };
    request.response_format = { type: 'json_schema', json_schema };
  }
  if (scripted.tool !== undefined) request.tools = [{ type: 'function', function: scripted.tool }];
  if (scripted.stream) {
    return drain(
      await client.chat.completions.create({ ...request, stream: true, stream_options: { include_usage: true } }),
    );
  }
  const first = await client.chat.completions.create(request);
  if (scripted.toolResult === undefined) return first;
  const message = first.choices[0].message;
  const result = { role: 'tool', tool_call_id: message.tool_calls[0].id, content: scripted.toolResult };
  return client.chat.completions.create({ ...request, messages: [...messages, message, result] });
}

function chatContent(scripted) {
  if (scripted.image === undefined) return scripted.user;
  return [
    { type: 'text', text: scripted.user },
    { type: 'image_url', image_url: { url: scripted.image } },
  ];
}

async function converseInResponses(client, scripted) {
  const input = [{ role: 'user', content: scripted.user }];
  const request = { model: scripted.model, input };
  if (scripted.system !== undefined) request.instructions = scripted.system;
  if (scripted.reasoning) request.reasoning = { effort: 'medium', summary: 'auto' };
  if (scripted.tool !== undefined) request.tools = [{ type: 'function', ...scripted.tool, strict: true }];
  if (scripted.stream) return drain(await client.responses.create({ ...request, stream: true }));
  const first = await client.responses.create(request);
  if (scripted.toolResult === undefined) return first;
  const call = first.output.find((item) => item.type === 'function_call');
  const result = { type: 'function_call_output', call_id: call.call_id, output: scripted.toolResult };
  return client.responses.create({ ...request, input: [...input, call, result] });
}

/** Any case of Anthropic through the official client. */
async function converseWithAnthropic(client, scripted) {
  const messages = [{ role: 'user', content: messageContent(scripted) }];
  const request = { model: scripted.model, max_tokens: 2048, messages };
  if (scripted.system !== undefined) request.system = systemContent(scripted);
  if (scripted.reasoning) request.thinking = { type: 'enabled', budget_tokens: 1024 };
  if (scripted.tool !== undefined) {
    const { name, description, parameters } = scripted.tool;
    request.tools = [{ name, description, input_schema: parameters }];
  }
  if (scripted.stream) return drain(await client.messages.create({ ...request, stream: true }));
  const first = await client.messages.create(request);
  if (scripted.toolResult === undefined) return first;
  const call = first.content.find((block) => block.type === 'tool_use');
  const result = { type: 'tool_result', tool_use_id: call.id, content: scripted.toolResult };
  const turns = [...messages, { role: 'assistant', content: first.content }, { role: 'user', content: [result] }];
  return client.messages.create({ ...request, messages: turns });
}

function systemContent(scripted) {
  return scripted.cached
    ? [{ type: 'text', text: scripted.system, cache_control: { type: 'ephemeral' } }]
    : scripted.system;
}

function messageContent(scripted) {
  if (scripted.image === undefined) return scripted.user;
  const [, media_type, data] = /^data:([^;]+);base64,(.+)$/.exec(scripted.image);
  return [
    { type: 'image', source: { type: 'base64', media_type, data } },
    { type: 'text', text: scripted.user },
  ];
}

async function drain(stream) {
  const parts = [];
  for await (const part of stream) parts.push(part);
  return parts;
}

module.exports = { requireHere, runCases, inOneTrace, converseWithOpenAi, converseWithAnthropic };
