// The official OpenAI client, wrapped so that each call is one span with the GenAI attributes of the conventions.
import { SpanKind, type Attributes } from '@opentelemetry/api';
import OpenAI from 'openai';
import type { Step } from './tracing.ts';

type Messages = OpenAI.Chat.Completions.ChatCompletionMessageParam[];
type Tools = OpenAI.Chat.Completions.ChatCompletionFunctionTool[];

export interface ChatOptions {
  model: string;
  messages: Messages;
  tools?: Tools;
  temperature?: number;
  /** Asks the stand-in for a failure by name. */
  failure?: string | undefined;
}

export class ModelClient {
  readonly #client: OpenAI;
  readonly #serverAddress: string;

  constructor(baseUrl: string) {
    // The stand-in asks for no key; the client wants one to be there.
    this.#client = new OpenAI({ baseURL: baseUrl, apiKey: 'stand-in', maxRetries: 0, timeout: 10_000 });
    this.#serverAddress = new URL(baseUrl).hostname;
  }

  chat(step: Step, options: ChatOptions): Promise<OpenAI.Chat.Completions.ChatCompletionMessage> {
    const { model, messages, tools, temperature = 0.2 } = options;
    const attributes: Attributes = {
      'gen_ai.operation.name': 'chat',
      'gen_ai.provider.name': 'openai',
      'gen_ai.request.model': model,
      'gen_ai.request.temperature': temperature,
      'gen_ai.request.max_tokens': 800,
      'gen_ai.input.messages': JSON.stringify(messages.map(asSemanticMessage)),
      'server.address': this.#serverAddress,
    };
    if (tools !== undefined) attributes['gen_ai.tool.definitions'] = JSON.stringify(tools);
    return step.child(
      `chat ${model}`,
      attributes,
      async (call) => {
        const { data, response } = await this.#client.chat.completions
          .create(
            { model, messages, temperature, max_tokens: 800, ...(tools === undefined ? {} : { tools }) },
            options.failure === undefined ? {} : { headers: { 'x-stand-in-failure': options.failure } },
          )
          .withResponse()
          .catch((error: unknown) => {
            call.spend(900);
            throw error;
          });
        call.spend(Number(response.headers.get('openai-processing-ms')));
        const choice = data.choices[0];
        if (choice === undefined) throw new Error('The model gave no choice.');
        call.span.setAttributes({
          'gen_ai.response.id': data.id,
          'gen_ai.response.model': data.model,
          'gen_ai.response.finish_reasons': [choice.finish_reason],
          'gen_ai.usage.input_tokens': data.usage?.prompt_tokens ?? 0,
          'gen_ai.usage.output_tokens': data.usage?.completion_tokens ?? 0,
          'gen_ai.usage.cache_read.input_tokens': data.usage?.prompt_tokens_details?.cached_tokens ?? 0,
          'gen_ai.usage.reasoning.output_tokens': data.usage?.completion_tokens_details?.reasoning_tokens ?? 0,
          'gen_ai.output.messages': JSON.stringify([
            { ...asSemanticMessage(choice.message), finish_reason: choice.finish_reason },
          ]),
        });
        return choice.message;
      },
      SpanKind.CLIENT,
    );
  }

  embed(step: Step, model: string, input: string[]): Promise<number[][]> {
    const attributes: Attributes = {
      'gen_ai.operation.name': 'embeddings',
      'gen_ai.provider.name': 'openai',
      'gen_ai.request.model': model,
      'server.address': this.#serverAddress,
    };
    return step.child(
      `embeddings ${model}`,
      attributes,
      async (call) => {
        const { data, response } = await this.#client.embeddings
          .create({ model, input, encoding_format: 'float' })
          .withResponse();
        call.spend(Number(response.headers.get('openai-processing-ms')));
        call.span.setAttributes({
          'gen_ai.response.model': data.model,
          'gen_ai.usage.input_tokens': data.usage.prompt_tokens,
        });
        return data.data.map((each) => each.embedding);
      },
      SpanKind.CLIENT,
    );
  }
}

/** The message model of the conventions: a role and parts. */
function asSemanticMessage(
  message: Messages[number] | OpenAI.Chat.Completions.ChatCompletionMessage,
): Record<string, unknown> {
  const text = typeof message.content === 'string' ? message.content : '';
  if (message.role === 'tool') {
    return { role: 'tool', parts: [{ type: 'tool_call_response', id: message.tool_call_id, response: text }] };
  }
  const calls = message.role === 'assistant' ? (message.tool_calls ?? []) : [];
  const parts: unknown[] = text === '' ? [] : [{ type: 'text', content: text }];
  for (const call of calls) {
    if (call.type !== 'function') continue;
    parts.push({
      type: 'tool_call',
      id: call.id,
      name: call.function.name,
      arguments: JSON.parse(call.function.arguments) as unknown,
    });
  }
  return { role: message.role, parts };
}
