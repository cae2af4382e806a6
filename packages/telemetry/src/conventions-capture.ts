// "Why is my prompt empty?": what was looked for in a span without one, and how its emitter is asked to send the content.
import { CONTENT_ROWS } from './conventions-content.ts';
import type { Attributes } from './span.ts';

/** How one family of emitters is told to send prompts and answers. */
export interface Capture {
  /** Scope names begin so; of several the longest counts. */
  readonly scope: string;
  readonly emitter: string;
  /** What to set, as it is written: an environment variable or a line of code; absent where nothing can be set. */
  readonly setting?: string;
  /** What else must be so. */
  readonly note?: string;
}

const LOG_RECORDS =
  'It sends messages as log records, not on spans: give the application a logs exporter that points at /v1/logs too.';

// Sources: the README of each package, and what the recordings in fixtures/otlp/emitters needed.
export const CAPTURES: readonly Capture[] = [
  {
    scope: '@opentelemetry/instrumentation-openai',
    emitter: 'OpenTelemetry for OpenAI (Node)',
    setting: 'OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT=true',
    note: `Or new OpenAIInstrumentation({ captureMessageContent: true }). ${LOG_RECORDS}`,
  },
  {
    scope: 'opentelemetry.instrumentation.openai_v2',
    emitter: 'OpenTelemetry for OpenAI (Python)',
    setting: 'OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT=true',
    note: LOG_RECORDS,
  },
  {
    scope: 'opentelemetry.instrumentation.google_genai',
    emitter: 'OpenTelemetry for Google GenAI (Python)',
    setting: 'OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT=true',
    note: LOG_RECORDS,
  },
  {
    scope: 'opentelemetry.instrumentation.vertexai_v2',
    emitter: 'OpenTelemetry for Vertex AI (Python)',
    setting: 'OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT=true',
    note: LOG_RECORDS,
  },
  {
    scope: 'opentelemetry.util.genai',
    emitter: 'OpenTelemetry GenAI utilities (Python)',
    setting: 'OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT=SPAN_ONLY',
    note: 'Together with OTEL_SEMCONV_STABILITY_OPT_IN=gen_ai_latest_experimental.',
  },
  {
    scope: '@traceloop/',
    emitter: 'OpenLLMetry (Node)',
    setting: 'TRACELOOP_TRACE_CONTENT=true',
    note: 'Or traceContent: true in initialize(…); it is on unless something turned it off.',
  },
  {
    scope: 'opentelemetry.instrumentation.',
    emitter: 'OpenLLMetry (Python)',
    setting: 'TRACELOOP_TRACE_CONTENT=true',
    note: 'It is on unless something turned it off. Calls with pictures as data lose their prompt in some versions.',
  },
  {
    scope: '@arizeai/openinference-instrumentation-',
    emitter: 'OpenInference (Node)',
    setting: 'OPENINFERENCE_HIDE_INPUTS=false',
    note: 'Also OPENINFERENCE_HIDE_INPUT_MESSAGES and OPENINFERENCE_HIDE_OUTPUTS must not be true.',
  },
  {
    scope: 'openinference.instrumentation.',
    emitter: 'OpenInference (Python)',
    setting: 'OPENINFERENCE_HIDE_INPUTS=false',
    note: 'Also OPENINFERENCE_HIDE_INPUT_MESSAGES and OPENINFERENCE_HIDE_OUTPUTS must not be true.',
  },
  {
    scope: 'ai',
    emitter: 'Vercel AI SDK',
    setting: 'experimental_telemetry: { isEnabled: true, recordInputs: true, recordOutputs: true }',
    note: 'Both are on unless the call turned them off.',
  },
  {
    scope: 'gen_ai',
    emitter: 'Vercel AI SDK 7',
    setting: 'telemetry: { recordInputs: true, recordOutputs: true }',
    note: 'Embeddings never carry their text there.',
  },
  {
    scope: 'langfuse-sdk',
    emitter: 'Langfuse',
    setting: 'LANGFUSE_OBSERVE_DECORATOR_IO_CAPTURE_ENABLED=true',
    note: 'A span that is updated by hand carries what was given to update({ input, output }).',
  },
  {
    scope: 'pydantic-ai',
    emitter: 'Pydantic AI',
    setting: 'InstrumentationSettings(include_content=True)',
    note: 'With event_mode="logs" the messages are log records: export those too, to /v1/logs.',
  },
  {
    scope: 'com.anthropic.sdk.',
    emitter: "Anthropic's own client",
    note: 'Spans that the client makes by itself never carry text. The span around it does when an instrumentation is there: OpenLLMetry, OpenInference, Langfuse or the LumaTrace SDK.',
  },
  {
    scope: 'gcp.vertex.agent',
    emitter: 'Google Agent Development Kit',
    setting: 'ADK_CAPTURE_MESSAGE_CONTENT_IN_SPANS=true',
  },
  { scope: 'azure.ai', emitter: 'Azure AI', setting: 'AZURE_TRACING_GEN_AI_CONTENT_RECORDING_ENABLED=true' },
  {
    scope: 'Experimental.Microsoft.Extensions.AI',
    emitter: 'Microsoft.Extensions.AI',
    setting: 'UseOpenTelemetry(configure: c => c.EnableSensitiveData = true)',
  },
  {
    scope: 'Microsoft.SemanticKernel',
    emitter: 'Semantic Kernel',
    setting: 'SEMANTICKERNEL_EXPERIMENTAL_GENAI_ENABLE_OTEL_DIAGNOSTICS_SENSITIVE=true',
  },
];

const ANY_EMITTER: Omit<Capture, 'scope'> = {
  emitter: 'this emitter',
  setting: 'OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT=true',
  note: 'Most instrumentations that follow OpenTelemetry know this variable; prompts are left out until it is set.',
};

/** How the emitter of a scope is asked for content. */
export function captureOf(scopeName: string): Omit<Capture, 'scope'> {
  const fitting = CAPTURES.filter(({ scope }) =>
    /^\w+$/.test(scope) ? scope === scopeName : scopeName.startsWith(scope),
  );
  return fitting.sort((a, b) => b.scope.length - a.scope.length)[0] ?? ANY_EMITTER;
}

export interface NoPrompt {
  capture: Omit<Capture, 'scope'>;
  /** Every key that would have been read as the prompt of such a span, the preferred first. */
  lookedFor: string[];
  /** Keys of those that are there, and hold nothing that can be shown. */
  empty: string[];
  /** The client, or a limit on the way, left attributes out: the prompt may be among them. */
  dropped: number;
}

/** Why a span shows no prompt. `dropped` is how many of its attributes were left out before or when it came. */
export function whyNoPrompt(span: {
  readonly scopeName: string;
  readonly operation: string | null;
  readonly attributes: Attributes;
  readonly dropped: number;
}): NoPrompt {
  const rows = CONTENT_ROWS.filter(
    ({ field, operation, scope }) =>
      field === 'input' &&
      (operation === undefined || operation === span.operation) &&
      (scope === undefined || span.scopeName.startsWith(scope)),
  );
  const lookedFor = [...new Set(rows.map(({ key }) => key))];
  return {
    capture: captureOf(span.scopeName),
    lookedFor,
    empty: lookedFor.filter((key) => Object.hasOwn(span.attributes, key)),
    dropped: span.dropped,
  };
}
