// Three small applications as a team might run them: a support assistant with retrieval, a research agent with tools,
// and a pipeline that writes product texts. Each call really happens, against the stand-in; only its time is moved.
import { SpanKind } from '@opentelemetry/api';
import { DOCUMENTS, PIPELINE_INSTRUCTIONS, QUESTIONS, RESEARCH_TASKS } from './documents.ts';
import type { ModelClient } from './model.ts';
import type { Step, Telemetry } from './tracing.ts';

const EMBEDDING_MODEL = 'text-embedding-3-small';
const RETRIEVED_DOCUMENTS = 2;

export interface Visit {
  /** Counts up; everything that varies is chosen by it, so that two runs show the same picture. */
  number: number;
  startMs: number;
  customer: string;
  user: string;
}

/** A question about the handbook: embed, retrieve, answer. Every fortieth is refused by the provider. */
export async function askAssistant(telemetry: Telemetry, model: ModelClient, visit: Visit): Promise<void> {
  const question = pick(QUESTIONS, visit.number);
  const chatModel = visit.number % 5 === 0 ? 'gpt-4o' : 'gpt-4o-mini';
  await telemetry.run(
    'POST /assistant/ask',
    visit.startMs,
    requestAttributes(visit, ['assistant', 'rag']),
    async (step) => {
      const context = await retrieve(step, model, question);
      await model.chat(step, {
        model: chatModel,
        messages: [
          { role: 'system', content: `Answer from the handbook only.\n\n${context}` },
          { role: 'user', content: question },
        ],
        failure: visit.number % 40 === 17 ? 'rate_limit' : undefined,
      });
      step.spend(12);
    },
  );
}

async function retrieve(step: Step, model: ModelClient, question: string): Promise<string> {
  return step.child(
    'retrieval handbook',
    { 'gen_ai.operation.name': 'retrieval', 'gen_ai.data_source.id': 'handbook' },
    async (search) => {
      const [asked, ...vectors] = await model.embed(search, EMBEDDING_MODEL, [
        question,
        ...DOCUMENTS.map((each) => each.text),
      ]);
      search.spend(8);
      const ranked = DOCUMENTS.map((document, i) => ({ document, score: dot(asked ?? [], vectors[i] ?? []) }))
        .sort((a, b) => b.score - a.score)
        .slice(0, RETRIEVED_DOCUMENTS);
      search.span.setAttribute(
        'gen_ai.retrieval.documents',
        JSON.stringify(ranked.map(({ document, score }) => ({ id: document.id, score }))),
      );
      return ranked.map(({ document }) => `${document.title}\n${document.text}`).join('\n\n');
    },
  );
}

const TOOLS = ['search_catalogue', 'read_document'] as const;

/** An agent that plans, calls two tools and writes a summary. Some runs end in a failing tool. */
export async function runAgent(telemetry: Telemetry, model: ModelClient, visit: Visit): Promise<void> {
  const task = pick(RESEARCH_TASKS, visit.number);
  const agentModel = visit.number % 4 === 3 ? 'o4-mini' : 'gpt-4.1';
  const fails = visit.number % 9 === 4;
  await telemetry.run('research', visit.startMs, requestAttributes(visit, ['agent']), async (step) => {
    await step.child(
      'invoke_agent researcher',
      { 'gen_ai.operation.name': 'invoke_agent', 'gen_ai.agent.name': 'researcher' },
      async (agent) => {
        const messages: Parameters<ModelClient['chat']>[1]['messages'] = [
          { role: 'system', content: 'Use the tools, then answer in three sentences.' },
          { role: 'user', content: task },
        ];
        for (let turn = 0; turn <= TOOLS.length; turn++) {
          const reply = await model.chat(agent, { model: agentModel, messages, tools: TOOLS.map(toolDefinition) });
          messages.push(reply);
          for (const call of reply.tool_calls ?? []) {
            if (call.type !== 'function') continue;
            const result = await executeTool(
              agent,
              call.id,
              call.function.name,
              call.function.arguments,
              fails && turn === 1,
            );
            messages.push({ role: 'tool', tool_call_id: call.id, content: result });
          }
          if (reply.tool_calls === undefined) break;
        }
      },
    );
  });
}

function executeTool(step: Step, callId: string, name: string, args: string, fails: boolean): Promise<string> {
  return step.child(
    `execute_tool ${name}`,
    {
      'gen_ai.operation.name': 'execute_tool',
      'gen_ai.tool.name': name,
      'gen_ai.tool.type': 'function',
      'gen_ai.tool.call.id': callId,
      'gen_ai.tool.call.arguments': args,
    },
    async (tool) => {
      tool.spend(140 + (callId.length % 5) * 60);
      if (fails) throw new ToolFailure(`${name} did not answer within 2 seconds`);
      const result = DOCUMENTS.slice(0, 3)
        .map((document) => document.text)
        .join(' ');
      tool.span.setAttribute('gen_ai.tool.call.result', result);
      return result;
    },
    SpanKind.INTERNAL,
  );
}

class ToolFailure extends Error {
  readonly code = 'timeout';
}

/** A nightly batch: a long shared instruction (cached by the provider), and a model that has no public price. */
export async function writeProductText(telemetry: Telemetry, model: ModelClient, visit: Visit): Promise<void> {
  const inHouse = visit.number % 6 === 5;
  await telemetry.run('describe-product', visit.startMs, requestAttributes(visit, ['batch']), async (step) => {
    await model.chat(step, {
      model: inHouse ? 'acme-lamp-writer-7b' : 'gpt-4o-mini',
      messages: [
        { role: 'system', content: PIPELINE_INSTRUCTIONS },
        { role: 'user', content: `Describe lamp number ${visit.number} with its warranty and its recycled housing.` },
      ],
    });
  });
}

function requestAttributes(visit: Visit, tags: string[]): Record<string, string | string[]> {
  return {
    'enduser.id': visit.user,
    'session.id': `${visit.user}-${new Date(visit.startMs).toISOString().slice(0, 10)}`,
    'lumina.customer_id': visit.customer,
    'lumina.tags': [...tags, visit.customer],
  };
}

function toolDefinition(name: string): {
  type: 'function';
  function: { name: string; description: string; parameters: Record<string, unknown> };
} {
  return {
    type: 'function',
    function: {
      name,
      description: name === 'search_catalogue' ? 'Finds articles and documents by words.' : 'Reads one document.',
      parameters: { type: 'object', properties: { query: { type: 'string' } }, required: ['query'] },
    },
  };
}

function pick<T>(from: readonly T[], number: number): T {
  return from[number % from.length] as T;
}

function dot(a: readonly number[], b: readonly number[]): number {
  return a.reduce((sum, value, i) => sum + value * (b[i] ?? 0), 0);
}
