// What attribute keys mean: one table of every dialect, its precedence and its parsers. A new dialect is new rows, not code.
// Where prompts and answers lie is the table's second half, conventions-content.ts; which counts include which, its third,
// conventions-usage.ts.
import { CONTENT_ROWS, isContentKey } from './conventions-content.ts';
import { inputOf, outputOf, partOfUsage } from './conventions-usage.ts';
import {
  count,
  dollars,
  flag,
  knownWord,
  label,
  labels,
  metadata,
  milliseconds,
  moment,
  number,
  tags,
  valueAt,
  word,
} from './conventions-values.ts';
import type { Parse, ParseField } from './conventions-values.ts';
import { MAX_LABEL_LENGTH, USAGE_FIELDS } from './span.ts';
import type { AttributeValue, Json, Span, SpanFields } from './span.ts';
import { clip } from './text.ts';

type Field = keyof SpanFields;

interface Row<F extends Field> {
  readonly field: F;
  /** As `mapped_from` names it: `KEY`, `KEY/path.inside` for a member of JSON, `PREFIX.*` for a family of keys. */
  readonly key: string;
  /** Members to follow inside the value, where it is JSON. */
  readonly path: readonly string[] | undefined;
  readonly parse: ParseField<F>;
  /** Position in the table: of two keys for one field the smaller rank wins, whatever their order in the span. */
  readonly rank: number;
}

/** One row of the table. */
export type Convention = Row<Field>;

/** An id inside an answer is a response's only in the form that the APIs give it: an answer in JSON has ids of its own. */
const responseId: Parse<string> = (value) =>
  typeof value === 'string' && /^(?:chatcmpl|cmpl|msg|resp|gen)[-_][\w-]{1,180}$/.test(value) ? value : undefined;

/** The host of an address, where an emitter sends the whole URL. */
const host: Parse<string> = (value, key, issues) => {
  const text = label(value, key, issues);
  return text === undefined ? undefined : (/^[a-z]+:\/\/([^/:?#]+)/i.exec(text)?.[1] ?? text);
};

/** Vercel names a model class, not a provider: `openai.chat`, `anthropic.messages`, `google.generative-ai`. */
const vercelProvider: Parse<string> = (value, key, issues) => {
  const text = label(value, key, issues);
  return text === undefined || !/^[a-z-]+\.[\w.-]+$/i.test(text) || text.startsWith('az.') ? text : providerOf(text);
};

const PROVIDERS: readonly (readonly [prefix: string, provider: string])[] = [
  ['google.vertex', 'gcp.vertex_ai'],
  ['vertex.', 'gcp.vertex_ai'],
  ['google.', 'gcp.gemini'],
  ['amazon-bedrock', 'aws.bedrock'],
  ['azure.', 'azure.ai.openai'],
  ['azure-openai', 'azure.ai.openai'],
];
/** Words after the dot that name an API of a provider, not another provider. */
const APIS = new Set([
  'chat',
  'messages',
  'responses',
  'completion',
  'completions',
  'embedding',
  'textEmbedding',
  'image',
  'speech',
  'transcription',
]);

function providerOf(name: string): string {
  const known = PROVIDERS.find(([prefix]) => name.startsWith(prefix) && name !== prefix);
  const [vendor = '', api = ''] = name.split('.');
  if (known !== undefined && !name.startsWith('azure.ai.')) return known[1];
  return APIS.has(api) ? vendor : name;
}

/** Of words that several dialects use for kinds of work, ours; undefined: the word says nothing about a call of a model. */
const OPENINFERENCE_KINDS = knownWord(
  new Map([
    ['LLM', 'chat'],
    ['EMBEDDING', 'embeddings'],
    ['RETRIEVER', 'retrieval'],
    ['RERANKER', 'rerank'],
    ['TOOL', 'execute_tool'],
    ['AGENT', 'invoke_agent'],
    ['CHAIN', 'invoke_workflow'],
  ]),
);
const TRACELOOP_KINDS = knownWord(
  new Map([
    ['workflow', 'invoke_workflow'],
    ['task', 'invoke_workflow'],
    ['agent', 'invoke_agent'],
    ['tool', 'execute_tool'],
  ]),
);
const REQUEST_TYPES = knownWord(
  new Map([
    ['chat', 'chat'],
    ['completion', 'text_completion'],
    ['embedding', 'embeddings'],
    ['rerank', 'rerank'],
  ]),
);
// The outer span of a function of the AI SDK repeats the usage of the calls inside it: it is a workflow, never billed.
const VERCEL_OPERATIONS = knownWord(
  new Map([
    ...['generateText', 'streamText', 'generateObject', 'streamObject'].flatMap((name): [string, string][] => [
      [`ai.${name}`, 'invoke_workflow'],
      [`ai.${name}.doGenerate`, 'chat'],
      [`ai.${name}.doStream`, 'chat'],
    ]),
    ['ai.embed', 'invoke_workflow'],
    ['ai.embed.doEmbed', 'embeddings'],
    ['ai.embedMany', 'invoke_workflow'],
    ['ai.embedMany.doEmbed', 'embeddings'],
    ['ai.rerank', 'invoke_workflow'],
    ['ai.rerank.doRerank', 'rerank'],
    ['ai.toolCall', 'execute_tool'],
  ]),
);
const LANGFUSE_TYPES = knownWord(
  new Map([
    ['generation', 'chat'],
    ['embedding', 'embeddings'],
    ['retriever', 'retrieval'],
    ['tool', 'execute_tool'],
    ['agent', 'invoke_agent'],
    ['chain', 'invoke_workflow'],
  ]),
);
const MLFLOW_KINDS = knownWord(
  new Map(
    [
      ['LLM', 'chat'],
      ['CHAT_MODEL', 'chat'],
      ['EMBEDDING', 'embeddings'],
      ['RETRIEVER', 'retrieval'],
      ['RERANKER', 'rerank'],
      ['TOOL', 'execute_tool'],
      ['AGENT', 'invoke_agent'],
      ['CHAIN', 'invoke_workflow'],
      ['WORKFLOW', 'invoke_workflow'],
    ].flatMap(([name, operation]): [string, string][] => [
      [name!, operation!],
      [JSON.stringify(name), operation!],
    ]),
  ),
);
const GENKIT_TYPES = knownWord(
  new Map([
    ['model', 'chat'],
    ['embedder', 'embeddings'],
    ['retriever', 'retrieval'],
    ['reranker', 'rerank'],
    ['tool', 'execute_tool'],
    ['flow', 'invoke_workflow'],
  ]),
);
/** Names that instrumentations gave to providers before the conventions named them. */
const SYSTEMS = word(
  new Map([
    ['OpenAI', 'openai'],
    ['Anthropic', 'anthropic'],
    ['Azure', 'azure.ai.openai'],
    ['AWS', 'aws.bedrock'],
    ['Bedrock', 'aws.bedrock'],
    ['Cohere', 'cohere'],
    ['Google', 'gcp.gemini'],
    ['VertexAI', 'gcp.vertex_ai'],
    ['Groq', 'groq'],
    ['Ollama', 'ollama'],
    ['amazon-bedrock', 'aws.bedrock'],
    ['google-vertex', 'gcp.vertex_ai'],
    ['mistral', 'mistral_ai'],
    ['MistralAI', 'mistral_ai'],
  ]),
);
const provider: Parse<string> = (value, key, issues) => {
  const text = vercelProvider(value, key, issues);
  return text === undefined ? undefined : SYSTEMS(text, key, issues);
};
const LEVELS = knownWord(
  new Map([
    ['ERROR', 'error'],
    ['WARNING', 'warning'],
    ['DEFAULT', undefined],
    ['DEBUG', undefined],
  ]),
);

/** Keys of one field, the preferred one first. */
type Group = { [F in Field]: readonly [F, ParseField<F>, ...string[]] }[Field];

// Proof of each row that fixtures/otlp/emitters has seen: dialects.test.ts replays it.
// Sources: open-telemetry/semantic-conventions-genai 1.42 (first key of most rows), open-telemetry/semantic-conventions
// 1.27 to 1.36 (gen_ai.system, gen_ai.prompt, …), OpenLLMetry 0.x (traceloop.*, gen_ai.usage.cache_read_input_tokens, …),
// OpenInference 2.12 (llm.*, tool.*, reranker.*), Vercel AI SDK 3 to 7 (ai.*), Langfuse SDK 5 (langfuse.*), the Lumina SDK
// (lumina.*), MLflow, Pydantic AI (gen_ai.usage.details.*), Genkit, LiveKit (lk.*).
// The order of keys inside a row is the precedence, and a second row of the same field comes after the first.
const GROUPS: readonly Group[] = [
  ['operation', label, 'gen_ai.operation.name'],
  ['operation', VERCEL_OPERATIONS, 'ai.operationId'],
  ['operation', OPENINFERENCE_KINDS, 'openinference.span.kind'],
  ['operation', REQUEST_TYPES, 'llm.request.type'],
  ['operation', LANGFUSE_TYPES, 'langfuse.observation.type'],
  ['operation', MLFLOW_KINDS, 'mlflow.spanType'],
  ['operation', GENKIT_TYPES, 'genkit:metadata:subtype', 'genkit:type'],
  ['operation', TRACELOOP_KINDS, 'traceloop.span.kind'],
  [
    'provider',
    provider,
    'gen_ai.provider.name',
    'gen_ai.system',
    'llm.provider',
    'llm.system',
    'ai.model.provider',
    'mlflow.llm.provider',
    'gen_ai.request.provider',
  ],
  [
    'requestModel',
    label,
    'gen_ai.request.model',
    'llm.request.model_name',
    'ai.model.id',
    'llm.request.model',
    'mlflow.llm.model',
    'embedding.model_name',
    'reranker.model_name',
    'llm.invocation_parameters/model',
  ],
  [
    'responseModel',
    label,
    'gen_ai.response.model',
    'llm.response.model_name',
    'llm.response.model',
    'ai.response.model',
    'langfuse.observation.model.name',
    'llm.model_name',
  ],
  ['responseId', label, 'gen_ai.response.id', 'ai.response.id', 'llm.response.id'],
  ['responseId', responseId, 'output.value/id', 'output.value/llm_output.id'],
  [
    'finishReasons',
    labels,
    'gen_ai.response.finish_reasons',
    'gen_ai.response.finish_reason',
    'anthropic.message.stop_reason',
    'llm.finish_reasons',
    'llm.finish_reason',
    'ai.response.finishReason',
    'llm.response.finish_reason',
    'gen_ai.finishReason',
  ],
  [
    'maxTokens',
    number,
    'gen_ai.request.max_tokens',
    'ai.settings.maxOutputTokens',
    'ai.settings.maxTokens',
    'llm.request.max_tokens',
    'llm.invocation_parameters/max_completion_tokens',
    'llm.invocation_parameters/max_output_tokens',
    'llm.invocation_parameters/max_tokens',
    'langfuse.observation.model.parameters/max_completion_tokens',
    'langfuse.observation.model.parameters/max_tokens',
    'langfuse.observation.model.parameters/maxTokens',
  ],
  [
    'temperature',
    number,
    'gen_ai.request.temperature',
    'ai.settings.temperature',
    'llm.temperature',
    'llm.invocation_parameters/temperature',
    'langfuse.observation.model.parameters/temperature',
  ],
  [
    'topP',
    number,
    'gen_ai.request.top_p',
    'ai.settings.topP',
    'llm.top_p',
    'llm.invocation_parameters/top_p',
    'langfuse.observation.model.parameters/top_p',
  ],
  [
    'topK',
    number,
    'gen_ai.request.top_k',
    'gen_ai.retrieval.top_k',
    'ai.settings.topK',
    'llm.top_k',
    'reranker.top_k',
    'llm.invocation_parameters/top_k',
    'langfuse.observation.model.parameters/top_k',
  ],
  [
    'seed',
    number,
    'gen_ai.request.seed',
    'gen_ai.openai.request.seed',
    'ai.settings.seed',
    'llm.invocation_parameters/seed',
    'langfuse.observation.model.parameters/seed',
  ],
  [
    'stopSequences',
    labels,
    'gen_ai.request.stop_sequences',
    'llm.chat.stop_sequences',
    'llm.invocation_parameters/stop',
    'llm.invocation_parameters/stop_sequences',
  ],
  [
    'frequencyPenalty',
    number,
    'gen_ai.request.frequency_penalty',
    'ai.settings.frequencyPenalty',
    'llm.frequency_penalty',
    'llm.invocation_parameters/frequency_penalty',
    'langfuse.observation.model.parameters/frequency_penalty',
  ],
  [
    'presencePenalty',
    number,
    'gen_ai.request.presence_penalty',
    'ai.settings.presencePenalty',
    'llm.presence_penalty',
    'llm.invocation_parameters/presence_penalty',
    'langfuse.observation.model.parameters/presence_penalty',
  ],
  ['choiceCount', number, 'gen_ai.request.choice.count', 'llm.invocation_parameters/n'],
  [
    'stream',
    flag,
    'gen_ai.request.stream',
    'llm.is_streaming',
    'gen_ai.is_streaming',
    'llm.request.is_streaming',
    'llm.invocation_parameters/stream',
  ],
  ['outputType', label, 'gen_ai.output.type', 'gen_ai.openai.request.response_format', 'ai.settings.output'],
  ['timeToFirstChunkS', number, 'gen_ai.response.time_to_first_chunk', 'lk.response.ttft'],
  ['timeToFirstChunkS', milliseconds, 'ai.response.msToFirstChunk', 'ai.stream.msToFirstChunk'],
  ['firstChunkAtMs', moment, 'langfuse.observation.completion_start_time'],
  [
    'serviceTier',
    label,
    'openai.response.service_tier',
    'gen_ai.openai.response.service_tier',
    'openai.request.service_tier',
    'gen_ai.openai.request.service_tier',
    'anthropic.response.service_tier',
    'ai.response.providerMetadata/openai.serviceTier',
    'ai.response.providerMetadata/anthropic.usage.service_tier',
    'output.value/service_tier',
    'output.value/llm_output.service_tier',
    'llm.invocation_parameters/service_tier',
    'langfuse.observation.model.parameters/service_tier',
  ],
  ['errorType', label, 'error.type', 'gen_ai.error.type'],
  ['level', LEVELS, 'langfuse.observation.level'],
  ['statusText', label, 'langfuse.observation.status_message'],
  ['serverAddress', host, 'server.address', 'gen_ai.openai.api_base', 'openai.api_base'],
  ['endpoint', label, 'lumina.endpoint', 'http.route'],
  ['environment', label, 'lumina.environment', 'langfuse.environment', 'langfuse.trace.environment'],
  ['release', label, 'langfuse.release', 'langfuse.version', 'traceloop.entity.version'],
  [
    'userId',
    label,
    'enduser.id',
    'user.id',
    'langfuse.user.id',
    'lumina.user_id',
    'lumina.customer_id',
    'traceloop.association.properties.user_id',
    'ai.telemetry.metadata.userId',
    'metadata.userId',
    'gcp.vertex.agent.user_id',
    'lk.participant_identity',
  ],
  [
    'sessionId',
    label,
    'session.id',
    'langfuse.session.id',
    'gen_ai.conversation.id',
    'lumina.session_id',
    'traceloop.association.properties.session_id',
    'traceloop.association.properties.chat_id',
    'ai.telemetry.metadata.sessionId',
    'metadata.sessionId',
    'gcp.vertex.agent.session_id',
    'mlflow.trace.session',
  ],
  ['agentId', label, 'gen_ai.agent.id'],
  ['agentName', label, 'gen_ai.agent.name', 'agent.name', 'agent_name', 'lk.agent_name'],
  ['agentDescription', label, 'gen_ai.agent.description'],
  ['agentVersion', label, 'gen_ai.agent.version'],
  [
    'workflowName',
    label,
    'gen_ai.workflow.name',
    'traceloop.workflow.name',
    'langfuse.trace.name',
    'ai.telemetry.functionId',
  ],
  ['nodeId', label, 'graph.node.id'],
  ['nodeName', label, 'graph.node.name', 'traceloop.entity.name'],
  ['nodeParentId', label, 'graph.node.parent_id', 'traceloop.entity.path'],
  ['toolName', label, 'gen_ai.tool.name', 'tool.name', 'ai.toolCall.name', 'lk.function_tool.name'],
  ['toolDescription', label, 'gen_ai.tool.description', 'tool.description'],
  ['toolType', label, 'gen_ai.tool.type'],
  ['toolCallId', label, 'gen_ai.tool.call.id', 'tool.id', 'ai.toolCall.id', 'lk.function_tool.id'],
  ['dataSourceId', label, 'gen_ai.data_source.id'],
  [
    'promptName',
    label,
    'gen_ai.prompt.name',
    'langfuse.observation.prompt.name',
    'traceloop.prompt.key',
    'prompt.id',
    'ai.telemetry.metadata.langfusePrompt/name',
  ],
  [
    'promptVersion',
    label,
    'gen_ai.prompt.version',
    'langfuse.observation.prompt.version',
    'traceloop.prompt.version',
    'llm.prompt_template.version',
    'ai.telemetry.metadata.langfusePrompt/version',
  ],
  ['title', label, 'logfire.msg'],
  [
    'tags',
    tags,
    'lumina.tags',
    'langfuse.trace.tags',
    'langfuse.tags',
    'tag.tags',
    'ai.telemetry.metadata.tags',
    'logfire.tags',
  ],
  [
    'metadata',
    metadata,
    'lumina.metadata',
    'metadata',
    'langfuse.observation.metadata',
    'langfuse.trace.metadata',
    'langfuse.observation.metadata.*',
    'langfuse.trace.metadata.*',
    'ai.telemetry.metadata.*',
    'metadata.*',
    'traceloop.association.properties.*',
  ],
  [
    'clientCostUsd',
    dollars,
    'lumina.cost_usd',
    'langfuse.observation.cost_details/total',
    'llm.cost.total',
    'gen_ai.usage.cost',
    'operation.cost',
    'mlflow.llm.cost/total_cost',
  ],
  ['photoId', label, 'lumatrace.photo_id'],
  [
    'inputTokens',
    count,
    'gen_ai.usage.input_tokens',
    'gen_ai.usage.prompt_tokens',
    'llm.token_count.prompt',
    'ai.usage.inputTokens',
    'ai.usage.promptTokens',
    'llm.usage.prompt_tokens',
    'mlflow.chat.tokenUsage/input_tokens',
    'ai.usage.tokens',
  ],
  ['inputTokens', inputOf, 'langfuse.observation.usage_details'],
  [
    'outputTokens',
    count,
    'gen_ai.usage.output_tokens',
    'gen_ai.usage.completion_tokens',
    'llm.token_count.completion',
    'ai.usage.outputTokens',
    'ai.usage.completionTokens',
    'llm.usage.completion_tokens',
    'mlflow.chat.tokenUsage/output_tokens',
  ],
  ['outputTokens', outputOf, 'langfuse.observation.usage_details'],
  [
    'totalTokens',
    count,
    'gen_ai.usage.total_tokens',
    'llm.usage.total_tokens',
    'llm.token_count.total',
    'ai.usage.totalTokens',
    'mlflow.chat.tokenUsage/total_tokens',
  ],
  [
    'uncachedInputTokens',
    count,
    'ai.usage.inputTokenDetails.noCacheTokens',
    'ai.response.providerMetadata/anthropic.usage.input_tokens',
  ],
  [
    'cacheReadTokens',
    count,
    'gen_ai.usage.cache_read.input_tokens',
    'gen_ai.usage.cache_read_input_tokens',
    'gen_ai.usage.details.cache_read_tokens',
    'gen_ai.usage.details.cache_read_input_tokens',
    'gen_ai.usage.details.cached_tokens',
    'gen_ai.usage.input_tokens.cached',
    'gen_ai.usage.prompt_tokens_details.cached_tokens',
    'llm.token_count.prompt_details.cache_read',
    'llm.token_count.prompt_details.cache_input',
    'llm.usage.cache_read_input_tokens',
    'ai.usage.inputTokenDetails.cacheReadTokens',
    'ai.usage.cachedInputTokens',
    'ai.response.providerMetadata/anthropic.usage.cache_read_input_tokens',
    'ai.response.providerMetadata/anthropic.cacheReadInputTokens',
    'ai.response.providerMetadata/bedrock.usage.cacheReadInputTokens',
    'ai.response.providerMetadata/openai.cachedPromptTokens',
    'mlflow.chat.tokenUsage/cache_read_input_tokens',
    'gen_ai.usage.raw/prompt_tokens_details.cached_tokens',
    'gen_ai.usage.raw/input_tokens_details.cached_tokens',
    'gen_ai.usage.raw/cache_read_input_tokens',
    'output.value/usage.prompt_tokens_details.cached_tokens',
    'output.value/usage.input_tokens_details.cached_tokens',
    'output.value/usage.cache_read_input_tokens',
  ],
  ['cacheReadTokens', partOfUsage('cacheReadTokens'), 'langfuse.observation.usage_details'],
  [
    'cacheCreationTokens',
    count,
    'gen_ai.usage.cache_creation.input_tokens',
    'gen_ai.usage.cache_creation_input_tokens',
    'gen_ai.usage.cache_write.input_tokens',
    'gen_ai.usage.details.cache_write_tokens',
    'gen_ai.usage.details.cache_creation_input_tokens',
    'llm.token_count.prompt_details.cache_write',
    'llm.usage.cache_creation_input_tokens',
    'ai.usage.inputTokenDetails.cacheWriteTokens',
    'ai.response.providerMetadata/anthropic.usage.cache_creation_input_tokens',
    'ai.response.providerMetadata/anthropic.cacheCreationInputTokens',
    'ai.response.providerMetadata/bedrock.usage.cacheWriteInputTokens',
    'mlflow.chat.tokenUsage/cache_creation_input_tokens',
    'gen_ai.usage.raw/cache_creation_input_tokens',
    'output.value/usage.cache_creation_input_tokens',
  ],
  ['cacheCreationTokens', partOfUsage('cacheCreationTokens'), 'langfuse.observation.usage_details'],
  [
    'reasoningTokens',
    count,
    'gen_ai.usage.reasoning.output_tokens',
    'gen_ai.usage.reasoning_tokens',
    'gen_ai.usage.output_tokens.reasoning',
    'gen_ai.usage.details.reasoning_tokens',
    'gen_ai.usage.details.thoughts_tokens',
    'llm.token_count.completion_details.reasoning',
    'llm.usage.reasoning_tokens',
    'ai.usage.outputTokenDetails.reasoningTokens',
    'ai.usage.reasoningTokens',
    'ai.response.providerMetadata/openai.reasoningTokens',
    'gen_ai.usage.raw/completion_tokens_details.reasoning_tokens',
    'gen_ai.usage.raw/output_tokens_details.reasoning_tokens',
    'output.value/usage.completion_tokens_details.reasoning_tokens',
    'output.value/usage.output_tokens_details.reasoning_tokens',
  ],
  ['reasoningTokens', partOfUsage('reasoningTokens'), 'langfuse.observation.usage_details'],
  ['inputTextTokens', count, 'gen_ai.usage.text.input_tokens'],
  ['inputImageTokens', count, 'gen_ai.usage.image.input_tokens'],
  [
    'inputAudioTokens',
    count,
    'gen_ai.usage.audio.input_tokens',
    'gen_ai.usage.details.input_audio_tokens',
    'llm.token_count.prompt_details.audio',
  ],
  ['inputAudioTokens', partOfUsage('inputAudioTokens'), 'langfuse.observation.usage_details'],
  ['inputVideoTokens', count, 'gen_ai.usage.video.input_tokens'],
  ['outputTextTokens', count, 'gen_ai.usage.text.output_tokens'],
  [
    'outputAudioTokens',
    count,
    'gen_ai.usage.audio.output_tokens',
    'gen_ai.usage.details.output_audio_tokens',
    'llm.token_count.completion_details.audio',
  ],
  ['outputAudioTokens', partOfUsage('outputAudioTokens'), 'langfuse.observation.usage_details'],
];

const FAMILY = '.*';
const INSIDE = '/';

/** All rows in the order of the table. */
export const CONVENTIONS: readonly Convention[] = GROUPS.flatMap(([field, parse, ...keys]) =>
  keys.map((key) => ({ field, parse, key }) as Omit<Convention, 'rank' | 'path'>),
).map((row, rank) => ({ ...row, rank, path: row.key.split(INSIDE)[1]?.split('.') }));

/** What the table knows of one attribute key. */
interface Entry {
  /** Its row, and further ones where a key fills several fields. */
  readonly row: Convention | undefined;
  readonly others: readonly Convention[];
  readonly isContent: boolean;
}

const ROWS_BY_KEY = Map.groupBy(
  CONVENTIONS.filter(({ key }) => !key.endsWith(FAMILY)),
  ({ key }) => key.split(INSIDE)[0]!,
);

const BY_KEY: ReadonlyMap<string, Entry> = new Map(
  [...ROWS_BY_KEY.keys(), ...CONTENT_ROWS.map(({ key }) => key)].map((key) => {
    const [row, ...others] = ROWS_BY_KEY.get(key) ?? [];
    return [key, { row, others, isContent: isContentKey(key) }];
  }),
);

/** First character of a key → the families whose keys begin with it. */
const FAMILIES: ReadonlyMap<number, readonly { readonly prefix: string; readonly row: Convention }[]> = Map.groupBy(
  CONVENTIONS.filter(({ key }) => key.endsWith(FAMILY)).map((row) => ({ prefix: row.key.slice(0, -1), row })),
  ({ prefix }) => prefix.charCodeAt(0),
);

function familyOf(key: string): { readonly prefix: string; readonly row: Convention } | undefined {
  return FAMILIES.get(key.charCodeAt(0))?.find(({ prefix }) => key.length > prefix.length && key.startsWith(prefix));
}

/** Whether the table knows the key: such attributes are kept where a limit cuts others. */
export function isKnownKey(key: string): boolean {
  return BY_KEY.has(key) || isContentKey(key) || familyOf(key) !== undefined;
}

/**
 * Reads one attribute into the fields of its rows, where no key of higher precedence filled them, and notes a key that
 * carries content. The same key again replaces.
 */
export function recognise(span: Span, key: string, value: AttributeValue): void {
  const entry = BY_KEY.get(key);
  if (entry === undefined) {
    recogniseFamily(span, key, value);
    return;
  }
  if (entry.isContent) span.contentKeys.push(key);
  if (entry.row === undefined || value === null || value === '') return;
  readRow(span, entry.row, value);
  const { others } = entry;
  for (let i = 0; i < others.length; i++) readRow(span, others[i]!, value);
}

function recogniseFamily(span: Span, key: string, value: AttributeValue): void {
  const family = familyOf(key);
  if (family !== undefined) merge(span, family.row, { [key.slice(family.prefix.length)]: value });
  else if (isContentKey(key)) span.contentKeys.push(key);
}

function readRow(span: Span, row: Convention, value: AttributeValue): void {
  const at = row.path === undefined ? value : valueAt(value, row.path);
  if (at === undefined) return;
  const parsed = row.parse(at, row.key, span.issues);
  if (parsed === undefined) noteUnread(span, row);
  else if (row.field === 'metadata') merge(span, row, parsed as { [key: string]: Json });
  else if (span[row.field] === undefined) {
    (span as SpanFields)[row.field] = parsed as never;
    span.origins.push(row);
  } else readAgain(span, row, parsed);
}

/** A field that has a value gets another: the smaller rank wins, the same key replaces. */
function readAgain(span: Span, row: Convention, parsed: NonNullable<SpanFields[Field]>): void {
  const origin = originOf(span, row.field);
  const before = span.origins[origin];
  if (before !== undefined && before.rank !== row.rank) noteDispute(span, before, row, parsed);
  if (before !== undefined && before.rank < row.rank) return;
  (span as SpanFields)[row.field] = parsed as never;
  if (before === undefined) span.origins.push(row);
  else span.origins[origin] = row;
}

/** A count that is there and cannot be read makes the call unpriced, unless another key tells it. */
function noteUnread(span: Span, { field, parse }: Convention): void {
  if ((parse as unknown) !== count || span.unread?.includes(field)) return;
  (span.unread ??= []).push(field);
}

function originOf(span: Span, field: Field): number {
  const origins = span.origins;
  for (let i = 0; i < origins.length; i++) if (origins[i]!.field === field) return i;
  return -1;
}

/** Fields whose keys must agree when several were sent: a difference is money, or a sign of a double instrumentation. */
const DISPUTABLE: ReadonlySet<Field> = new Set<Field>([...USAGE_FIELDS, 'clientCostUsd']);

function noteDispute(span: Span, before: Convention, row: Convention, value: unknown): void {
  if (!DISPUTABLE.has(row.field) || span[row.field] === value) return;
  const [winner, loser] = before.rank < row.rank ? [before, row] : [row, before];
  const [taken, left] = before.rank < row.rank ? [span[row.field], value] : [value, span[row.field]];
  span.issues.push(
    `${winner.key} says ${String(taken)} and ${loser.key} says ${String(left)}; ${winner.key} was taken`,
  );
}

const MAX_METADATA_MEMBERS = 1_000;

/** Metadata is one object of all its keys; of a member that several give, the preferred key's is kept. */
function merge(span: Span, row: Convention, members: { [key: string]: Json }): void {
  const ranks = (span.metadataRanks ??= new Map<string, number>());
  const object = (span.metadata ??= {});
  for (const [member, value] of Object.entries(members)) {
    const rank = ranks.get(member);
    if (rank === undefined ? ranks.size >= MAX_METADATA_MEMBERS : rank < row.rank) continue;
    ranks.set(member, row.rank);
    // `__proto__` is a name like any other
    Object.defineProperty(object, member, { value, enumerable: true, writable: true, configurable: true });
  }
  if (!span.origins.includes(row)) span.origins.push(row);
}

/** Whether a token count was sent that no one can read (negative, absurd, no number) and nothing else told it. */
export function hasInvalidUsage(span: Span): boolean {
  return span.unread?.some((field) => COUNTS.has(field) && span[field] === undefined) ?? false;
}

const COUNTS: ReadonlySet<Field> = new Set<Field>(USAGE_FIELDS.filter((field) => field !== 'totalTokens'));

/** What the resource says about all its spans, the preferred key first. */
export const RESOURCE_KEYS = {
  serviceName: ['service.name', 'openinference.project.name'],
  serviceVersion: ['service.version'],
  environment: ['deployment.environment.name', 'deployment.environment', 'lumina.environment'],
} as const;

/** The label of a resource: the first of the keys that holds text. */
export function resourceLabel(attributes: Record<string, AttributeValue>, keys: readonly string[]): string | undefined {
  for (const key of keys) {
    const value = attributes[key];
    if (typeof value === 'string' && value !== '') return clip(value, MAX_LABEL_LENGTH);
  }
  return undefined;
}
