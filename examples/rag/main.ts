// Retrieval: documents are embedded once, the question finds the nearest, the model answers from them as a stream.
import { initLumina, instrument, score, shutdown, trace, withSession } from '@lumatrace/sdk';
import OpenAI from 'openai';

const DOCUMENTS = [
  'Refunds are paid within fourteen days of the return.',
  'Paris is the capital of France and its largest city.',
  'The warehouse in Rotterdam ships on weekdays.',
];
const EMBEDDING_MODEL = 'text-embedding-3-small';

initLumina({ service_name: 'example-rag', environment: 'development' });
const openai = instrument(new OpenAI());

async function embed(texts: string[]): Promise<number[][]> {
  const { data } = await openai.embeddings.create({ model: EMBEDDING_MODEL, input: texts });
  return data.map(({ embedding }) => embedding);
}

function similarity(a: number[], b: number[]): number {
  const dot = a.reduce((sum, value, i) => sum + value * (b[i] ?? 0), 0);
  return dot / (Math.hypot(...a) * Math.hypot(...b) || 1);
}

/** The two documents that are nearest to the question. */
function retrieve(question: string, vectors: number[][]): Promise<{ id: number; content: string; score: number }[]> {
  return trace(
    'retrieve documents',
    async () => {
      const [wanted = []] = await embed([question]);
      const found = DOCUMENTS.map((content, id) => ({ id, content, score: similarity(wanted, vectors[id] ?? []) }));
      return found.sort((a, b) => b.score - a.score).slice(0, 2);
    },
    { kind: 'retrieval', input: question },
  );
}

async function answer(question: string, sources: readonly string[]): Promise<string> {
  const stream = await openai.chat.completions.create({
    model: 'gpt-4o',
    stream: true,
    // without it the API reports no usage of a stream, and its cost stays unknown
    stream_options: { include_usage: true },
    messages: [
      { role: 'system', content: `Answer from these sources:\n${sources.join('\n')}` },
      { role: 'user', content: question },
    ],
  });
  let text = '';
  for await (const chunk of stream) text += chunk.choices[0]?.delta.content ?? '';
  return text;
}

await withSession('rag-session', () =>
  trace(
    'answer from documents',
    async (span) => {
      const question = 'What is the capital of France?';
      const vectors = await embed(DOCUMENTS);
      const sources = await retrieve(question, vectors);
      const text = await answer(
        question,
        sources.map(({ content }) => content),
      );
      score({ name: 'grounded', value: sources.some(({ content }) => content.includes('Paris')), label: 'rule' });
      console.log(text);
      console.log(`trace ${span.spanContext().traceId}`);
      return text;
    },
    { kind: 'workflow', tags: ['rag'] },
  ),
);
await shutdown();
