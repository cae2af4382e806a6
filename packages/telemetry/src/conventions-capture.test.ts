// The answer to "why is my prompt empty?" fits the emitter that sent the span.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { captureOf, CAPTURES, whyNoPrompt } from './conventions-capture.ts';

const SCOPES: readonly [scope: string, setting: RegExp][] = [
  ['@opentelemetry/instrumentation-openai', /CAPTURE_MESSAGE_CONTENT=true/],
  ['opentelemetry.instrumentation.openai_v2', /CAPTURE_MESSAGE_CONTENT=true/],
  ['opentelemetry.instrumentation.openai.v1', /TRACELOOP_TRACE_CONTENT/],
  ['@traceloop/instrumentation-anthropic', /TRACELOOP_TRACE_CONTENT/],
  ['@arizeai/openinference-instrumentation-openai', /OPENINFERENCE_HIDE_INPUTS/],
  ['openinference.instrumentation.langchain', /OPENINFERENCE_HIDE_INPUTS/],
  ['ai', /recordInputs/],
  ['gen_ai', /recordInputs/],
  ['langfuse-sdk', /LANGFUSE/],
  ['pydantic-ai', /include_content/],
  ['my-own-tracer', /CAPTURE_MESSAGE_CONTENT/],
  ['airline', /CAPTURE_MESSAGE_CONTENT/],
];

for (const [scope, setting] of SCOPES) {
  test(`spans of ${scope} are told their own setting`, () => assert.match(captureOf(scope).setting ?? '', setting));
}

test('a client that never sends text has no setting, and says where the text is', () => {
  const capture = captureOf('com.anthropic.sdk.python');
  assert.equal(capture.setting, undefined);
  assert.match(capture.note ?? '', /never carry text/);
});

test('each scope stands in the table once', () => {
  const scopes = CAPTURES.map(({ scope }) => scope);
  assert.deepEqual(scopes, [...new Set(scopes)]);
});

test('the explanation names the keys that were looked for, and those that were there but empty', () => {
  const why = whyNoPrompt({
    scopeName: 'ai',
    operation: 'chat',
    attributes: { 'ai.prompt.messages': '', 'ai.model.id': 'm' },
    dropped: 3,
  });
  assert.ok(why.lookedFor.includes('gen_ai.input.messages') && why.lookedFor.includes('llm.input_messages.*'));
  assert.ok(!why.lookedFor.includes('events'), 'keys of other scopes are no part of it');
  assert.deepEqual(why.empty, ['ai.prompt.messages']);
  assert.equal(why.dropped, 3);
});
