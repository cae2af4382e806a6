// An agent: the model asks for a tool, the tool runs, the model answers. At most so many turns.
import { initLumina, instrument, score, shutdown, trace, withSession, withUser } from '@lumatrace/sdk';
import OpenAI from 'openai';

const MAX_TURNS = 5;
type Messages = OpenAI.Chat.Completions.ChatCompletionMessageParam[];

initLumina({ service_name: 'example-agent', environment: 'development' });
const openai = instrument(new OpenAI());

const TOOLS: Record<string, (input: { city?: string }) => Promise<unknown>> = {
  look_up_city: async ({ city }) => ({ city, country: 'France', isCapital: true }),
};
const DEFINITIONS: OpenAI.Chat.Completions.ChatCompletionTool[] = [
  {
    type: 'function',
    function: {
      name: 'look_up_city',
      description: 'Facts of a city',
      parameters: { type: 'object', properties: { city: { type: 'string' } }, required: ['city'] },
    },
  },
];

async function callTool(name: string, text: string): Promise<string> {
  const input = JSON.parse(text) as { city?: string };
  const result = await trace(name, async () => TOOLS[name]?.(input), { kind: 'tool', input });
  return JSON.stringify(result ?? { error: `There is no tool ${name}` });
}

async function run(question: string): Promise<string> {
  const messages: Messages = [{ role: 'user', content: question }];
  for (let turn = 0; turn < MAX_TURNS; turn++) {
    const completion = await openai.chat.completions.create({ model: 'gpt-4o', messages, tools: DEFINITIONS });
    const message = completion.choices[0]?.message;
    if (message?.tool_calls === undefined) return message?.content ?? '';
    messages.push(message);
    for (const call of message.tool_calls) {
      if (call.type !== 'function') continue;
      const content = await callTool(call.function.name, call.function.arguments);
      messages.push({ role: 'tool', tool_call_id: call.id, content });
    }
  }
  throw new Error('The agent did not come to an end.');
}

await withUser('user-7', () =>
  withSession('agent-session', () =>
    trace(
      'city agent',
      async (span) => {
        const question = 'What is the capital of France?';
        const text = await run(question);
        score({ name: 'task_done', value: 1, label: 'done', explanation: 'answered within the turns' });
        console.log(text);
        console.log(`trace ${span.spanContext().traceId}`);
        return text;
      },
      { kind: 'agent', input: 'What is the capital of France?' },
    ),
  ),
);
await shutdown();
