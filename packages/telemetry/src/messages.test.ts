// Shapes that senders really use, and the one model that they become.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { contentOf } from './conventions-content.ts';
import type { ContentEvent } from './conventions-content.ts';
import { messagesOf, partsOf, previewOf } from './messages.ts';
import type { Message, Part, SpanMessages } from './messages.ts';
import type { Attributes, Json } from './span.ts';

const KEYS = {
  input: 'gen_ai.input.messages',
  output: 'gen_ai.output.messages',
  systemInstructions: 'gen_ai.system_instructions',
} as const;

/** What a span with this content under the current keys, and with these events, says. */
function messagesFrom(content: { [F in keyof typeof KEYS]?: Json }, events: readonly ContentEvent[]): SpanMessages {
  const attributes: Attributes = {};
  for (const field of ['input', 'output', 'systemInstructions'] as const)
    if (content[field] !== undefined) attributes[KEYS[field]] = content[field];
  return contentOf({ attributes, events, scopeName: '', operation: 'chat' });
}

const HI: Message[] = [{ role: 'user', parts: [{ type: 'text', content: 'hi' }] }];

const SHAPES: readonly [what: string, sent: Json, read: Message[]][] = [
  ['plain text', 'hi', HI],
  ['the conventions, as JSON text', '[{"role":"user","parts":[{"type":"text","content":"hi"}]}]', HI],
  ['the conventions, structured', [{ role: 'user', parts: [{ type: 'text', content: 'hi' }] }], HI],
  ['chat messages', [{ role: 'user', content: 'hi' }], HI],
  ['one chat message', { role: 'user', content: 'hi' }, HI],
  ['one message per JSON text in a list', ['hi'], HI],
  ['parts of an OpenAI message', [{ role: 'user', content: [{ type: 'text', text: 'hi' }] }], HI],
  ['a request around its messages', { model: 'm', messages: [{ role: 'user', content: 'hi' }] }, HI],
  [
    'input items of the Responses API',
    [{ type: 'message', role: 'user', content: [{ type: 'input_text', text: 'hi' }] }],
    HI,
  ],
  ['parts without a message', [{ type: 'text', content: 'hi' }], HI],
  ['Gemini contents', [{ role: 'user', parts: [{ text: 'hi' }] }], HI],
  ['other words for a role', [{ role: 'human', content: 'hi' }], HI],
  ['JSON that is cut off stays text', '[{"role":', [{ role: 'user', parts: [{ type: 'text', content: '[{"role":' }] }]],
  ['a number stays text', '42', [{ role: 'user', parts: [{ type: 'text', content: '42' }] }]],
  ['nothing', null, []],
  ['an empty list', '[]', []],
];

for (const [what, sent, read] of SHAPES) {
  test(`messages are read from ${what}`, () => {
    assert.deepEqual(messagesOf(sent, 'user'), read);
  });
}

test('answers are read from the choices of a chat completion', () => {
  const completion = { choices: [{ index: 0, finish_reason: 'stop', message: { role: 'assistant', content: 'yes' } }] };
  assert.deepEqual(messagesOf(JSON.stringify(completion), 'assistant'), [
    { role: 'assistant', parts: [{ type: 'text', content: 'yes' }], finish_reason: 'stop' },
  ]);
});

test('Gemini candidates hold their content as an object', () => {
  const answer = { candidates: [{ finishReason: 'STOP', content: { role: 'model', parts: [{ text: 'yes' }] } }] };
  assert.deepEqual(messagesOf(answer, 'assistant'), [
    { role: 'assistant', parts: [{ type: 'text', content: 'yes' }], finish_reason: 'STOP' },
  ]);
});

test('tool calls and their answers are read from OpenAI, Anthropic and Gemini', () => {
  const call: Part = { type: 'tool_call', id: 'c1', name: 'f', arguments: { a: 1 } };
  const openAi = {
    role: 'assistant',
    content: null,
    tool_calls: [{ id: 'c1', type: 'function', function: { name: 'f', arguments: '{"a":1}' } }],
  };
  const anthropic = { role: 'assistant', content: [{ type: 'tool_use', id: 'c1', name: 'f', input: { a: 1 } }] };
  const gemini = { role: 'model', parts: [{ functionCall: { id: 'c1', name: 'f', args: { a: 1 } } }] };
  for (const message of [openAi, anthropic, gemini])
    assert.deepEqual(messagesOf([message], 'user')[0], { role: 'assistant', parts: [call] });
  const answer: Part = { type: 'tool_call_response', id: 'c1', response: { ok: true } };
  assert.deepEqual(messagesOf([{ role: 'tool', tool_call_id: 'c1', content: '{"ok":true}' }], 'user')[0]!.parts, [
    answer,
  ]);
  const result = {
    role: 'user',
    content: [{ type: 'tool_result', tool_use_id: 'c1', content: [{ type: 'text', text: 'done' }] }],
  };
  assert.deepEqual(messagesOf([result], 'user')[0]!.parts, [
    { type: 'tool_call_response', id: 'c1', response: 'done' },
  ]);
});

const MEDIA: readonly [Json, Part][] = [
  [
    { type: 'image_url', image_url: { url: 'https://x.example/a.png' } },
    { type: 'uri', modality: 'image', uri: 'https://x.example/a.png' },
  ],
  [
    { type: 'image_url', image_url: { url: 'data:image/png;base64,AAAA' } },
    { type: 'blob', modality: 'image', mime_type: 'image/png', content: 'AAAA' },
  ],
  [
    { type: 'input_audio', input_audio: { data: 'BBBB', format: 'wav' } },
    { type: 'blob', modality: 'audio', mime_type: 'audio/wav', content: 'BBBB' },
  ],
  [
    { type: 'image', source: { type: 'base64', media_type: 'image/jpeg', data: 'CCCC' } },
    { type: 'blob', modality: 'image', mime_type: 'image/jpeg', content: 'CCCC' },
  ],
  [
    { inline_data: { mime_type: 'image/webp', data: 'DDDD' } },
    { type: 'blob', mime_type: 'image/webp', content: 'DDDD' },
  ],
  [
    { type: 'thinking', thinking: 'hm' },
    { type: 'reasoning', content: 'hm' },
  ],
  [
    { type: 'file', file_id: 'f1', mime_type: 'application/pdf' },
    { type: 'file', mime_type: 'application/pdf', file_id: 'f1' },
  ],
  [
    { type: 'uri', modality: 'video', uri: 'gs://x' },
    { type: 'uri', modality: 'video', uri: 'gs://x' },
  ],
  [
    { type: 'hologram', depth: 3 },
    { type: 'generic', name: 'hologram', value: { type: 'hologram', depth: 3 } },
  ],
];

for (const [sent, read] of MEDIA) {
  test(`a part ${JSON.stringify(sent).slice(0, 60)} is read as ${read.type}`, () => {
    assert.deepEqual(partsOf(sent), [read]);
  });
}

test('attributes outrank events; events fill what attributes leave empty', () => {
  const events = [
    { name: 'gen_ai.user.message', attributes: { content: 'from event' } as Attributes },
    { name: 'gen_ai.choice', attributes: { message: '{"content":"answer"}', finish_reason: 'stop' } as Attributes },
  ];
  const messages = messagesFrom({ input: 'from attribute' }, events);
  assert.equal(previewOf(messages).prompt, 'from attribute');
  assert.equal(previewOf(messages).response, 'answer');
  assert.deepEqual(messages.from, { input: 'gen_ai.input.messages', output: 'event:gen_ai.choice' });
});

test('the details event of the current conventions fills all content', () => {
  const attributes = {
    'gen_ai.input.messages': '[{"role":"user","parts":[{"type":"text","content":"q"}]}]',
    'gen_ai.output.messages': '[{"role":"assistant","parts":[{"type":"text","content":"a"}]}]',
    'gen_ai.system_instructions': '[{"type":"text","content":"s"}]',
  } as Attributes;
  const messages = messagesFrom({}, [{ name: 'gen_ai.client.inference.operation.details', attributes }]);
  assert.deepEqual(previewOf(messages), { prompt: 'q', response: 'a' });
  assert.deepEqual(messages.systemInstructions, [{ type: 'text', content: 's' }]);
});

test('the preview is the last message of the user and the answer', () => {
  const input = messagesOf(
    [
      { role: 'system', content: 's' },
      { role: 'user', content: 'first' },
      { role: 'assistant', content: 'a' },
      { role: 'user', content: 'last' },
      { role: 'tool', tool_call_id: 'x', content: 'data' },
    ],
    'user',
  );
  assert.deepEqual(previewOf({ input, output: messagesOf('fine', 'assistant') }), { prompt: 'last', response: 'fine' });
  assert.deepEqual(previewOf({ input: [], output: [] }), { prompt: null, response: null });
});

test('answers of tools in the name of the user are not the prompt', () => {
  const input = messagesOf(
    [
      { role: 'user', content: 'Weather in Lima?' },
      { role: 'assistant', content: [{ type: 'tool_use', id: 't', name: 'weather', input: {} }] },
      { role: 'user', content: [{ type: 'tool_result', tool_use_id: 't', content: '{"sky":"drizzle"}' }] },
    ],
    'user',
  );
  assert.equal(previewOf({ input, output: [] }).prompt, 'Weather in Lima?');
  assert.equal(previewOf({ input: input.slice(2), output: [] }).prompt, '{"sky":"drizzle"}');
});

test('an answer that only calls a tool shows the call', () => {
  const output = messagesOf([{ tool_calls: [{ function: { name: 'f', arguments: '{"a":1}' } }] }], 'assistant');
  assert.equal(previewOf({ input: [], output }).response, 'f({"a":1})');
});

test('a preview has at most 300 characters and cuts none in half', () => {
  const { prompt } = previewOf({ input: messagesOf('🙂'.repeat(400), 'user'), output: [] });
  assert.equal([...prompt!].length, 300);
  assert.ok(prompt!.isWellFormed());
  assert.ok(prompt!.endsWith('🙂…'));
  const exact = '🙂'.repeat(300);
  assert.equal(previewOf({ input: messagesOf(exact, 'user'), output: [] }).prompt, exact);
});

test('JSON nested without end stays text', () => {
  const deep = `${'['.repeat(20_000)}${']'.repeat(20_000)}`;
  assert.deepEqual(messagesOf(deep, 'user'), [{ role: 'user', parts: [{ type: 'text', content: deep }] }]);
});

test('any JSON at all becomes messages that can be written and previewed', () => {
  const role = fc.constantFrom('user', 'assistant', 'tool', 'x');
  const type = fc.constantFrom(
    'text',
    'tool_call',
    'image_url',
    'image',
    'file',
    'function_call',
    'tool_result',
    'odd',
  );
  const likely = fc.record(
    {
      role,
      type,
      content: fc.jsonValue(),
      parts: fc.jsonValue(),
      text: fc.jsonValue(),
      tool_calls: fc.jsonValue(),
      message: fc.jsonValue(),
    },
    { requiredKeys: [] },
  );
  fc.assert(
    fc.property(fc.oneof(fc.jsonValue(), fc.array(likely, { maxLength: 4 }), likely), (value) => {
      const messages = messagesFrom(
        { input: value as Json, output: JSON.stringify(value), systemInstructions: value as Json },
        [],
      );
      JSON.stringify(messages);
      previewOf(messages);
      for (const { role, parts } of messages.input) assert.ok(typeof role === 'string' && Array.isArray(parts));
    }),
    { numRuns: 1_000 },
  );
});

const ANSWERS: readonly [what: string, sent: Json, parts: Part[]][] = [
  ['an object', '{"name":"Bob","age":3}', [{ type: 'text', content: '{"name":"Bob","age":3}' }]],
  ['a structured object', { name: 'Bob' }, [{ type: 'text', content: '{"name":"Bob"}' }]],
  ['a list of numbers', '[1, 2]', [{ type: 'text', content: '[1, 2]' }]],
  ['a list of records', '[{"name":"Bob"}]', [{ type: 'text', content: '[{"name":"Bob"}]' }]],
  ['content that is an object', { role: 'assistant', content: { a: 1 } }, [{ type: 'text', content: '{"a":1}' }]],
];

for (const [what, sent, parts] of ANSWERS) {
  test(`an answer that is JSON of its own stays text: ${what}`, () => {
    const output = messagesOf(sent, 'assistant');
    assert.deepEqual(output, [{ role: 'assistant', parts }]);
    assert.ok(previewOf({ input: [], output }).response);
  });
}

test('calls and their results between messages of the Responses API are kept, in their roles', () => {
  const items = [
    { role: 'user', content: 'w?' },
    { type: 'reasoning', id: 'r', summary: [] },
    { type: 'function_call', call_id: 'c1', name: 'f', arguments: '{"a":1}' },
    { type: 'function_call_output', call_id: 'c1', output: '7' },
  ];
  assert.deepEqual(messagesOf(JSON.stringify(items), 'user').slice(1), [
    { role: 'assistant', parts: [{ type: 'generic', name: 'reasoning', value: items[1] }] },
    { role: 'assistant', parts: [{ type: 'tool_call', id: 'c1', name: 'f', arguments: { a: 1 } }] },
    { role: 'tool', parts: [{ type: 'tool_call_response', id: 'c1', response: '7' }] },
  ]);
});

test('the call in the older member function_call is read', () => {
  const sent = [{ role: 'assistant', content: null, function_call: { name: 'f', arguments: '{"a":1}' } }];
  assert.deepEqual(messagesOf(sent, 'assistant'), [
    { role: 'assistant', parts: [{ type: 'tool_call', name: 'f', arguments: { a: 1 } }] },
  ]);
});

test('text of an event that happens to be JSON stays text', () => {
  const messages = messagesFrom({}, [
    { name: 'gen_ai.user.message', attributes: { content: '{"question":"hi"}' } as Attributes },
    { name: 'gen_ai.choice', attributes: { content: '[1, 2]', finish_reason: 'stop' } as Attributes },
  ]);
  assert.deepEqual(previewOf(messages), { prompt: '{"question":"hi"}', response: '[1, 2]' });
});

test('a choice may hold its message as plain text, or only calls', () => {
  const text = messagesFrom({}, [{ name: 'gen_ai.choice', attributes: { message: 'plain' } as Attributes }]);
  assert.equal(previewOf(text).response, 'plain');
  const body = '{"index":0,"finish_reason":"tool_calls","message":{"tool_calls":[{"id":"c","function":{"name":"f"}}]}}';
  const calls = messagesFrom({}, [
    { name: 'gen_ai.choice', attributes: { 'gen_ai.event.content': body } as Attributes },
  ]);
  assert.deepEqual(calls.output, [
    { role: 'assistant', parts: [{ type: 'tool_call', id: 'c', name: 'f' }], finish_reason: 'tool_calls' },
  ]);
});

test('an attribute with an empty list leaves the content to the events', () => {
  const events = [{ name: 'gen_ai.user.message', attributes: { content: 'hi' } as Attributes }];
  assert.equal(previewOf(messagesFrom({ input: '[]' }, events)).prompt, 'hi');
});
