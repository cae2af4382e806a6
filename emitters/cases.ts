// The calls that every emitter makes, as data: what is asked, what the model stand-in answers, and the true usage.
// A case is a conversation of one or more turns with one API of one provider. Python reads the same table as JSON
// from the stand-in (`GET /cases.json`), so that an emitter in any language asks exactly these questions.

/** Which API a case speaks. One name per request shape. */
export type Api = 'openai.chat' | 'openai.responses' | 'openai.embeddings' | 'anthropic.messages' | 'google.generate';

/** A call of a tool as the model asks for it. */
export interface ToolCall {
  id: string;
  name: string;
  arguments: Record<string, string>;
}

/** True token counts of one call, as OpenTelemetry counts them: subsets are included in their totals. */
export interface TrueUsage {
  input_tokens: number;
  output_tokens: number;
  cache_read_tokens?: number;
  cache_creation_tokens?: number;
  reasoning_tokens?: number;
}

/** What the stand-in answers in one turn. */
export interface Turn {
  answer: string;
  /** The model's visible thoughts (Anthropic thinking, OpenAI reasoning summary). */
  thinking?: string;
  tool_calls?: ToolCall[];
  usage: TrueUsage;
}

export interface Tool {
  name: string;
  description: string;
  parameters: Record<string, unknown>;
}

export interface Case {
  api: Api;
  provider: 'openai' | 'anthropic' | 'gcp.gemini';
  /** As requested. */
  model: string;
  /** As answered: providers resolve an alias to a dated model. */
  responseModel: string;
  system?: string;
  user: string;
  /** A picture beside the question: a data URI. */
  image?: string;
  tool?: Tool;
  /** What the tool answered, when the conversation goes on after a tool call. */
  toolResult?: string;
  /** The answer is JSON of this schema. */
  schema?: Record<string, unknown>;
  stream?: boolean;
  /** Reasoning is asked for (OpenAI `reasoning_effort`, Anthropic `thinking`). */
  reasoning?: boolean;
  /** The first `user` and `system` text are marked for Anthropic's prompt cache. */
  cached?: boolean;
  /** The stand-in fails with this HTTP status instead of answering. */
  failure?: 429 | 500;
  turns: Turn[];
}

const WEATHER: Tool = {
  name: 'get_weather',
  description: 'Today’s weather of a city',
  parameters: {
    type: 'object',
    properties: { city: { type: 'string', description: 'Name of the city' } },
    required: ['city'],
    additionalProperties: false,
  },
};

// A red square of 8 × 8 pixels.
const RED_SQUARE =
  'data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAgAAAAICAIAAABLbSncAAAAEUlEQVR4nGP4z8CAFWEXHbQSACj/P8Fu7N9hAAAAAElFTkSuQmCC';

// Stands for a long text: what counts is the usage that the stand-in reports, not the length that is sent.
const MANUAL =
  'Answer from the manual of the coffee machine. Chapter 4: descale it every three months with citric acid.';

const GPT = { provider: 'openai', model: 'gpt-4o-mini', responseModel: 'gpt-4o-mini-2024-07-18' } as const;
const O4 = { provider: 'openai', model: 'o4-mini', responseModel: 'o4-mini-2025-04-16' } as const;
const CLAUDE = {
  provider: 'anthropic',
  model: 'claude-sonnet-4-5',
  responseModel: 'claude-sonnet-4-5-20250929',
} as const;
const GEMINI = { provider: 'gcp.gemini', model: 'gemini-2.5-flash', responseModel: 'gemini-2.5-flash' } as const;

const CAPITAL = { user: 'What is the capital of Peru? One word.', answer: 'Lima.' };
const DESCALE = { user: 'How often do I descale it?', answer: 'Every three months, with citric acid.' };
const RIDDLE = { user: 'How many letters r are in strawberry?', answer: 'There are three.' };
const COUNTING = 'Straw has one r, berry has two: three together.';
const PICTURE = { user: 'Which colour is this square?', answer: 'It is red.' };
const LIMA = { user: 'How is the weather in Lima?', answer: 'Lima has 19 °C and light drizzle.' };
const LIMA_RESULT = '{"temperature":19,"sky":"drizzle"}';
const POEM = { user: 'Say good morning in French.', answer: 'Bonjour, tout le monde !' };
const PIRATE = 'You answer like a pirate.';

function weatherCall(id: string): ToolCall {
  return { id, name: WEATHER.name, arguments: { city: 'Lima' } };
}

/** Every case by its name. Usage is chosen so that no count equals another and each sum tells which parts went in. */
export const CASES: Readonly<Record<string, Case>> = {
  'openai-plain': {
    ...GPT,
    api: 'openai.chat',
    user: CAPITAL.user,
    turns: [{ answer: CAPITAL.answer, usage: { input_tokens: 17, output_tokens: 3 } }],
  },
  'openai-system': {
    ...GPT,
    api: 'openai.chat',
    system: PIRATE,
    user: CAPITAL.user,
    turns: [{ answer: 'Arr, Lima it be!', usage: { input_tokens: 29, output_tokens: 8 } }],
  },
  'openai-cached': {
    ...GPT,
    api: 'openai.chat',
    system: MANUAL,
    user: DESCALE.user,
    turns: [{ answer: DESCALE.answer, usage: { input_tokens: 1789, output_tokens: 11, cache_read_tokens: 1536 } }],
  },
  'openai-reasoning': {
    ...O4,
    api: 'openai.chat',
    user: RIDDLE.user,
    reasoning: true,
    turns: [{ answer: RIDDLE.answer, usage: { input_tokens: 19, output_tokens: 327, reasoning_tokens: 320 } }],
  },
  'openai-tools': {
    ...GPT,
    api: 'openai.chat',
    user: LIMA.user,
    tool: WEATHER,
    toolResult: LIMA_RESULT,
    turns: [
      { answer: '', tool_calls: [weatherCall('call_lima_1')], usage: { input_tokens: 61, output_tokens: 16 } },
      { answer: LIMA.answer, usage: { input_tokens: 97, output_tokens: 13 } },
    ],
  },
  'openai-stream': {
    ...GPT,
    api: 'openai.chat',
    user: POEM.user,
    stream: true,
    turns: [{ answer: POEM.answer, usage: { input_tokens: 14, output_tokens: 7, cache_read_tokens: 0 } }],
  },
  'openai-stream-tools': {
    ...GPT,
    api: 'openai.chat',
    user: LIMA.user,
    tool: WEATHER,
    stream: true,
    turns: [{ answer: '', tool_calls: [weatherCall('call_lima_2')], usage: { input_tokens: 62, output_tokens: 18 } }],
  },
  'openai-image': {
    ...GPT,
    api: 'openai.chat',
    user: PICTURE.user,
    image: RED_SQUARE,
    turns: [{ answer: PICTURE.answer, usage: { input_tokens: 8514, output_tokens: 5 } }],
  },
  'openai-object': {
    ...GPT,
    api: 'openai.chat',
    user: 'Which city is the capital of Peru?',
    schema: {
      type: 'object',
      properties: { city: { type: 'string' } },
      required: ['city'],
      additionalProperties: false,
    },
    turns: [{ answer: '{"city":"Lima"}', usage: { input_tokens: 57, output_tokens: 6 } }],
  },
  'openai-error': { ...GPT, api: 'openai.chat', user: CAPITAL.user, failure: 429, turns: [] },
  'openai-embeddings': {
    provider: 'openai',
    model: 'text-embedding-3-small',
    responseModel: 'text-embedding-3-small',
    api: 'openai.embeddings',
    user: 'A picture of a lighthouse at dusk',
    turns: [{ answer: '', usage: { input_tokens: 9, output_tokens: 0 } }],
  },
  'openai-responses': {
    ...GPT,
    api: 'openai.responses',
    system: PIRATE,
    user: CAPITAL.user,
    turns: [
      { answer: 'Lima be the port, matey.', usage: { input_tokens: 1315, output_tokens: 10, cache_read_tokens: 1280 } },
    ],
  },
  'openai-responses-reasoning': {
    ...O4,
    api: 'openai.responses',
    user: RIDDLE.user,
    reasoning: true,
    turns: [
      {
        answer: RIDDLE.answer,
        thinking: COUNTING,
        usage: { input_tokens: 21, output_tokens: 263, reasoning_tokens: 256 },
      },
    ],
  },
  'openai-responses-tools': {
    ...GPT,
    api: 'openai.responses',
    user: LIMA.user,
    tool: WEATHER,
    toolResult: LIMA_RESULT,
    turns: [
      { answer: '', tool_calls: [weatherCall('call_lima_3')], usage: { input_tokens: 66, output_tokens: 20 } },
      { answer: LIMA.answer, usage: { input_tokens: 101, output_tokens: 15 } },
    ],
  },
  'openai-responses-stream': {
    ...GPT,
    api: 'openai.responses',
    user: POEM.user,
    stream: true,
    turns: [{ answer: POEM.answer, usage: { input_tokens: 23, output_tokens: 9 } }],
  },
  'anthropic-plain': {
    ...CLAUDE,
    api: 'anthropic.messages',
    user: CAPITAL.user,
    turns: [{ answer: CAPITAL.answer, usage: { input_tokens: 18, output_tokens: 6 } }],
  },
  'anthropic-cached': {
    ...CLAUDE,
    api: 'anthropic.messages',
    system: MANUAL,
    user: DESCALE.user,
    cached: true,
    turns: [
      {
        answer: DESCALE.answer,
        usage: { input_tokens: 2271, output_tokens: 12, cache_read_tokens: 1900, cache_creation_tokens: 340 },
      },
    ],
  },
  'anthropic-thinking': {
    ...CLAUDE,
    api: 'anthropic.messages',
    user: RIDDLE.user,
    reasoning: true,
    turns: [{ answer: RIDDLE.answer, thinking: COUNTING, usage: { input_tokens: 47, output_tokens: 88 } }],
  },
  'anthropic-tools': {
    ...CLAUDE,
    api: 'anthropic.messages',
    user: LIMA.user,
    tool: WEATHER,
    toolResult: LIMA_RESULT,
    turns: [
      {
        answer: 'Let me look.',
        tool_calls: [weatherCall('toolu_lima_1')],
        usage: { input_tokens: 401, output_tokens: 58 },
      },
      { answer: LIMA.answer, usage: { input_tokens: 489, output_tokens: 22 } },
    ],
  },
  'anthropic-stream': {
    ...CLAUDE,
    api: 'anthropic.messages',
    system: MANUAL,
    user: DESCALE.user,
    cached: true,
    stream: true,
    turns: [
      {
        answer: DESCALE.answer,
        usage: { input_tokens: 2277, output_tokens: 14, cache_read_tokens: 1904, cache_creation_tokens: 342 },
      },
    ],
  },
  'anthropic-image': {
    ...CLAUDE,
    api: 'anthropic.messages',
    user: PICTURE.user,
    image: RED_SQUARE,
    turns: [{ answer: PICTURE.answer, usage: { input_tokens: 25, output_tokens: 4 } }],
  },
  'anthropic-error': { ...CLAUDE, api: 'anthropic.messages', user: CAPITAL.user, failure: 500, turns: [] },
  'google-plain': {
    ...GEMINI,
    api: 'google.generate',
    user: CAPITAL.user,
    turns: [{ answer: CAPITAL.answer, usage: { input_tokens: 13, output_tokens: 4 } }],
  },
  'google-cached': {
    ...GEMINI,
    api: 'google.generate',
    system: MANUAL,
    user: DESCALE.user,
    turns: [
      {
        answer: DESCALE.answer,
        usage: { input_tokens: 2101, output_tokens: 150, cache_read_tokens: 2048, reasoning_tokens: 137 },
      },
    ],
  },
};
