// The basic example: one question to a model, in a session, with a score. See ../README.md for how to run it.
import { initLumina, instrument, score, shutdown, trace, withSession, withUser } from '@lumatrace/sdk';
import OpenAI from 'openai';

initLumina({ service_name: 'example-plain', environment: 'development' });
const openai = instrument(new OpenAI());

async function answer(question: string): Promise<string> {
  const completion = await openai.chat.completions.create({
    model: 'gpt-4o',
    messages: [
      { role: 'system', content: 'Answer in one sentence.' },
      { role: 'user', content: question },
    ],
  });
  return completion.choices[0]?.message.content ?? '';
}

await withUser('user-7', () =>
  withSession('session-42', () =>
    trace('answer a question', async (span) => {
      const text = await answer('What is the capital of France?');
      score({ name: 'mentions_paris', value: text.includes('Paris') });
      console.log(text);
      console.log(`trace ${span.spanContext().traceId}`);
    }),
  ),
);
await shutdown();
