// Every emitter as data: which packages in which version, how it is started, which cases it can run, and over which
// transports it sends. A row here is all that it takes to add one whose program is there.
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { CASES, type Api } from './cases.ts';

export const HERE = fileURLToPath(new URL('.', import.meta.url));

export interface Emitter {
  /** Name of the folder of its fixtures. */
  name: string;
  /** The emitter without its version. */
  family: string;
  /** The package that makes the spans, by which versions are told apart. */
  package: string;
  version: string;
  language: 'javascript' | 'python';
  /** Folder under emitters/ whose packages it takes. */
  folder: string;
  /** File in programs/. */
  program: string;
  cases: readonly string[];
  /** One process per case instead of one for all. */
  processPerCase?: boolean;
  /** `{http}` and `{grpc}` become the collector's addresses, `{key}` the key for the server behind it. */
  env: Readonly<Record<string, string>>;
  /** Set when this row repeats another over a different transport: fewer cases are enough. */
  transport?: string;
}

function casesOf(...apis: Api[]): string[] {
  return Object.entries(CASES)
    .filter(([, { api }]) => apis.includes(api))
    .map(([name]) => name);
}

function without(names: readonly string[], ...left: string[]): string[] {
  return names.filter((name) => !left.includes(name));
}

const CHAT = casesOf('openai.chat', 'openai.embeddings');
const RESPONSES = casesOf('openai.responses');
const ANTHROPIC = casesOf('anthropic.messages');
const GOOGLE = casesOf('google.generate');
const FEW = ['openai-plain', 'openai-tools'];

/** Keeps host, user, process and path of the machine out of what is sent, by the SDK's own settings. */
const ANONYMOUS_NODE = {
  OTEL_NODE_RESOURCE_DETECTORS: 'env',
  OTEL_SERVICE_NAME: 'weather-app',
  OTEL_EXPORTER_OTLP_ENDPOINT: '{http}',
  OTEL_EXPORTER_OTLP_HEADERS: 'authorization=Bearer {key}',
};

const OTEL_NODE = {
  ...ANONYMOUS_NODE,
  OTEL_TRACES_EXPORTER: 'otlp',
  OTEL_LOGS_EXPORTER: 'otlp',
  OTEL_METRICS_EXPORTER: 'otlp',
  OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT: 'true',
};

type Row = Omit<Emitter, 'name' | 'version' | 'language' | 'folder'> & { name?: string; version: string };

function javascript(row: Row): Emitter {
  const name = row.name ?? `${row.family}-${row.version}`;
  return { ...row, name, language: 'javascript', folder: `js/${row.family}-${row.version}` };
}

const OTEL_OPENAI = {
  family: 'otel-openai',
  package: '@opentelemetry/instrumentation-openai',
  program: 'otel-openai.cjs',
  processPerCase: true,
} as const;

const OTEL_PROTOCOLS = [
  { suffix: '', protocol: 'http/protobuf', compression: 'none', few: false },
  { suffix: '-json-gzip', protocol: 'http/json', compression: 'gzip', few: true },
  { suffix: '-grpc', protocol: 'grpc', compression: 'none', few: true },
] as const;

function otelOpenai(version: string, cases: readonly string[]): Emitter[] {
  return OTEL_PROTOCOLS.map(({ suffix, protocol, compression, few }) =>
    javascript({
      ...OTEL_OPENAI,
      version,
      name: `otel-openai-${version}${suffix}`,
      cases: few ? FEW : cases,
      ...(few ? { transport: `${protocol} ${compression}` } : {}),
      env: {
        ...OTEL_NODE,
        OTEL_EXPORTER_OTLP_PROTOCOL: protocol,
        OTEL_EXPORTER_OTLP_COMPRESSION: compression,
        ...(protocol === 'grpc' ? { OTEL_EXPORTER_OTLP_ENDPOINT: '{grpc}' } : {}),
      },
    }),
  );
}

function openllmetry(version: string, cases: readonly string[]): Emitter {
  return javascript({
    family: 'openllmetry',
    package: '@traceloop/node-server-sdk',
    version,
    program: 'openllmetry.cjs',
    cases,
    // TRACELOOP_TELEMETRY is the SDK's own usage statistics: nothing of a test leaves the machine.
    env: { ...ANONYMOUS_NODE, TRACELOOP_BASE_URL: '{http}', TRACELOOP_API_KEY: '{key}', TRACELOOP_TELEMETRY: 'false' },
  });
}

function openinference(version: string, cases: readonly string[]): Emitter {
  return javascript({
    family: 'openinference',
    package: '@arizeai/openinference-instrumentation-openai',
    version,
    program: 'openinference.cjs',
    cases,
    env: { ...ANONYMOUS_NODE, OTEL_EXPORTER_OTLP_COMPRESSION: 'gzip' },
  });
}

function vercelAi(version: string, ...more: string[]): Emitter {
  const cases = [...CHAT, ...RESPONSES, ...ANTHROPIC, ...more];
  return javascript({
    family: 'vercel-ai',
    package: 'ai',
    version,
    program: 'vercel-ai.cjs',
    cases,
    env: ANONYMOUS_NODE,
  });
}

function langfuse(version: string): Emitter {
  return javascript({
    family: 'langfuse',
    package: '@langfuse/otel',
    version,
    program: 'langfuse.cjs',
    cases: [...CHAT, ...RESPONSES, 'anthropic-plain', 'anthropic-cached'],
    env: {
      OTEL_NODE_RESOURCE_DETECTORS: 'env',
      LANGFUSE_BASE_URL: '{http}',
      LANGFUSE_PUBLIC_KEY: 'pk-any-user',
      LANGFUSE_SECRET_KEY: '{key}',
    },
  });
}

/** Names of the packages in each Python environment stay the same; their versions are in its requirements.txt. */
const OTEL_PYTHON = {
  OTEL_SERVICE_NAME: 'weather-app',
  OTEL_EXPORTER_OTLP_ENDPOINT: '{http}',
  OTEL_EXPORTER_OTLP_HEADERS: 'authorization=Bearer%20{key}',
  OTEL_EXPORTER_OTLP_COMPRESSION: 'gzip',
  OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT: 'true',
  PYTHONDONTWRITEBYTECODE: '1',
};

interface PythonRow {
  family: string;
  package: string;
  version: string;
  environment: 'current' | 'older' | 'pydantic';
  program: string;
  cases: readonly string[];
  env?: Record<string, string>;
  name?: string;
}

function python(row: PythonRow): Emitter {
  const { environment, env, ...rest } = row;
  return {
    ...rest,
    name: row.name ?? `${row.family}-${row.version}`,
    language: 'python',
    folder: `python/${environment}`,
    env: { ...OTEL_PYTHON, ...env },
  };
}

const CLIENTS = [...CHAT, ...RESPONSES, ...ANTHROPIC];
const AGENT = without(CLIENTS, 'openai-embeddings', 'openai-stream-tools', 'openai-object');

function pythonOtelOpenai(row: { captured: string; cases: readonly string[]; suffix?: string }): Emitter {
  return python({
    family: 'python-otel-openai',
    package: 'opentelemetry-instrumentation-openai-v2',
    version: '2.4b0',
    name: `python-otel-openai-2.4b0${row.suffix ?? ''}`,
    environment: 'current',
    program: 'otel_openai_v2.py',
    cases: row.cases,
    env: {
      OTEL_SEMCONV_STABILITY_OPT_IN: 'gen_ai_latest_experimental',
      OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT: row.captured,
      OTEL_INSTRUMENTATION_GENAI_EMIT_EVENT: 'true',
    },
  });
}

const PYTHON: readonly Emitter[] = [
  pythonOtelOpenai({ captured: 'SPAN_AND_EVENT', cases: CHAT }),
  // Content in `gen_ai.client.inference.operation.details` alone, beside a span without any.
  pythonOtelOpenai({ captured: 'EVENT_ONLY', cases: FEW, suffix: '-events' }),
  python({
    family: 'python-openllmetry',
    package: 'opentelemetry-instrumentation-openai',
    version: '0.62.4',
    environment: 'current',
    program: 'openllmetry_clients.py',
    cases: CLIENTS,
  }),
  python({
    family: 'python-openinference',
    package: 'openinference-instrumentation-openai',
    version: '0.1.66',
    environment: 'current',
    program: 'openinference_clients.py',
    cases: CLIENTS,
  }),
  python({
    family: 'python-openinference-langchain',
    package: 'openinference-instrumentation-langchain',
    version: '0.1.80',
    environment: 'current',
    program: 'openinference_langchain.py',
    cases: without(CLIENTS, 'openai-embeddings', 'openai-object'),
  }),
  python({
    family: 'python-openinference-llama-index',
    package: 'openinference-instrumentation-llama-index',
    version: '4.6.1',
    environment: 'current',
    program: 'openinference_llama_index.py',
    cases: ['openai-plain', 'openai-system', 'openai-cached', 'openai-reasoning', 'openai-stream', 'openai-error'],
  }),
  python({
    family: 'python-langfuse',
    package: 'langfuse',
    version: '5.0.4',
    environment: 'current',
    program: 'langfuse_openai.py',
    cases: [...CHAT, ...RESPONSES, 'anthropic-plain', 'anthropic-cached'],
    env: { LANGFUSE_BASE_URL: '{http}', LANGFUSE_PUBLIC_KEY: 'pk-any-user', LANGFUSE_SECRET_KEY: '{key}' },
  }),
  python({
    family: 'python-otel-openai',
    package: 'opentelemetry-instrumentation-openai-v2',
    version: '2.0b0',
    environment: 'older',
    program: 'otel_openai_v2.py',
    cases: without(CHAT, 'openai-embeddings'),
  }),
  python({
    family: 'python-openllmetry',
    package: 'opentelemetry-instrumentation-openai',
    version: '0.40.5',
    environment: 'older',
    program: 'openllmetry_clients.py',
    cases: [...CHAT, ...ANTHROPIC],
  }),
  python({
    family: 'python-openinference',
    package: 'openinference-instrumentation-openai',
    version: '0.1.30',
    environment: 'older',
    program: 'openinference_clients.py',
    cases: CLIENTS,
  }),
  python({
    family: 'python-langfuse',
    package: 'langfuse',
    version: '3.0.8',
    environment: 'older',
    program: 'langfuse_openai.py',
    cases: CHAT,
    env: { LANGFUSE_HOST: '{http}', LANGFUSE_PUBLIC_KEY: 'pk-any-user', LANGFUSE_SECRET_KEY: '{key}' },
  }),
  python({
    family: 'python-pydantic-ai',
    package: 'pydantic-ai-slim',
    version: '2.66.0',
    environment: 'pydantic',
    program: 'pydantic_ai_agent.py',
    cases: AGENT,
  }),
  python({
    family: 'python-logfire',
    package: 'logfire',
    version: '5.2.0',
    environment: 'pydantic',
    program: 'logfire_clients.py',
    cases: CLIENTS,
    // Its names of the host would be sent otherwise.
    env: { OTEL_RESOURCE_ATTRIBUTES: 'host.name=weather-host,host.id=0,os.version=0' },
  }),
];

export const EMITTERS: readonly Emitter[] = [
  ...otelOpenai('0.22.0', [...CHAT, ...RESPONSES]),
  ...otelOpenai('0.3.0', CHAT),
  openllmetry('0.27.0', [...CHAT, ...RESPONSES, ...ANTHROPIC]),
  openllmetry('0.22.8', [...CHAT, ...ANTHROPIC]),
  openllmetry('0.12.1', [...CHAT, ...ANTHROPIC]),
  openinference('4.2.7', [...CHAT, ...RESPONSES, ...ANTHROPIC]),
  openinference('2.0.3', [...CHAT, ...ANTHROPIC]),
  vercelAi('4.3.19'),
  vercelAi('5.0.277'),
  vercelAi('6.0.326', ...GOOGLE),
  vercelAi('7.0.173', ...GOOGLE),
  javascript({
    family: 'openinference-vercel',
    package: '@arizeai/openinference-vercel',
    version: '2.8.1',
    program: 'vercel-ai.cjs',
    cases: [...CHAT, ...RESPONSES],
    env: { ...ANONYMOUS_NODE, OPENINFERENCE: '1' },
  }),
  langfuse('5.11.1'),
  langfuse('4.0.0'),
  ...PYTHON,
];

/** The exact version of a package as it is installed for an emitter. */
export function installedVersion(emitter: Emitter): string {
  const manifest = JSON.parse(readFileSync(`${HERE}${emitter.folder}/package.json`, 'utf8')) as {
    dependencies: Record<string, string>;
  };
  return manifest.dependencies[emitter.package] ?? emitter.version;
}

export { without, casesOf, CHAT, RESPONSES, ANTHROPIC };
