// Where fields were read is told from what the server writes, in each of its forms.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fieldsReadFrom, originsElsewhere, originsOf, originText } from './origins.ts';

const ORIGINS = originsOf({
  provider: 'gen_ai.provider.name',
  inputTokens: 'langfuse.observation.usage_details',
  temperature: 'llm.invocation_parameters/temperature',
  input: 'gen_ai.prompt.*',
  output: 'event:gen_ai.choice/gen_ai.event.content',
  systemInstructions: 'log:gen_ai.system.message + log:gen_ai.user.message',
});

const fields = (key: string): string[] => fieldsReadFrom(key, ORIGINS).map(({ field }) => field);

test('an attribute knows the fields that it filled, by key, by family and by what is inside it', () => {
  assert.deepEqual(fields('gen_ai.provider.name'), ['provider']);
  assert.deepEqual(fields('gen_ai.prompt.0.content'), ['input']);
  assert.deepEqual(fields('llm.invocation_parameters'), ['temperature']);
  assert.deepEqual(fields('gen_ai.prompt'), []);
});

test('events and log records are elsewhere', () => {
  const elsewhere = originsElsewhere(ORIGINS, {
    'gen_ai.provider.name': 'openai',
    'langfuse.observation.usage_details': '{}',
    'llm.invocation_parameters': '{}',
    'gen_ai.prompt.0.content': 'hi',
  });
  assert.deepEqual(elsewhere.map(originText), [
    'span event gen_ai.choice, gen_ai.event.content',
    'log record gen_ai.system.message',
    'log record gen_ai.user.message',
  ]);
});

test('families and paths are written as people read them', () => {
  const texts = ORIGINS.map(originText);
  assert.ok(texts.includes('gen_ai.prompt.*'));
  assert.ok(texts.includes('llm.invocation_parameters, temperature'));
});
