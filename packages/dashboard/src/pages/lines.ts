// The text of the connect page: what to set, run or paste, per way of sending.

interface Block {
  label: string;
  text: string;
}

export interface Way {
  name: string;
  note: string;
  blocks(endpoint: string, key: string): Block[];
}

const environment = (endpoint: string, key: string): string =>
  `export OTEL_EXPORTER_OTLP_ENDPOINT=${endpoint}
export OTEL_EXPORTER_OTLP_HEADERS="Authorization=Bearer%20${key}"
export OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf
export OTEL_SERVICE_NAME=my-app`;

const curl = (endpoint: string, key: string): string =>
  `NOW=$(date +%s)
curl -sS ${endpoint}/v1/traces \\
  -H "Authorization: Bearer ${key}" -H "Content-Type: application/json" \\
  -d '{"resourceSpans":[{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"my-app"}}]},
  "scopeSpans":[{"spans":[{"traceId":"'$(openssl rand -hex 16)'","spanId":"'$(openssl rand -hex 8)'","name":"chat gpt-4o","kind":3,
  "startTimeUnixNano":"'$NOW'000000000","endTimeUnixNano":"'$NOW'850000000","attributes":[
  {"key":"gen_ai.operation.name","value":{"stringValue":"chat"}},{"key":"gen_ai.provider.name","value":{"stringValue":"openai"}},
  {"key":"gen_ai.request.model","value":{"stringValue":"gpt-4o"}},
  {"key":"gen_ai.usage.input_tokens","value":{"intValue":"1000"}},{"key":"gen_ai.usage.output_tokens","value":{"intValue":"500"}},
  {"key":"gen_ai.input.messages","value":{"stringValue":"[{\\"role\\":\\"user\\",\\"parts\\":[{\\"type\\":\\"text\\",\\"content\\":\\"Hello\\"}]}]"}}]}]}]}]}'`;

const NODE_CODE = `import { NodeSDK } from '@opentelemetry/sdk-node';
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-proto';
import { trace } from '@opentelemetry/api';

// reads the OTEL_… variables above
const sdk = new NodeSDK({ traceExporter: new OTLPTraceExporter() });
sdk.start();

await trace.getTracer('my-app').startActiveSpan('chat gpt-4o', async (span) => {
  span.setAttributes({
    'gen_ai.operation.name': 'chat',
    'gen_ai.provider.name': 'openai',
    'gen_ai.request.model': 'gpt-4o',
    'gen_ai.usage.input_tokens': 1000,
    'gen_ai.usage.output_tokens': 500,
  });
  span.end();
});
await sdk.shutdown();`;

const PYTHON_CODE = `from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

# reads the OTEL_… variables above
provider = TracerProvider()
provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
trace.set_tracer_provider(provider)

with trace.get_tracer("my-app").start_as_current_span("chat gpt-4o") as span:
    span.set_attribute("gen_ai.operation.name", "chat")
    span.set_attribute("gen_ai.provider.name", "openai")
    span.set_attribute("gen_ai.request.model", "gpt-4o")
    span.set_attribute("gen_ai.usage.input_tokens", 1000)
    span.set_attribute("gen_ai.usage.output_tokens", 500)
provider.shutdown()`;

export const WAYS = [
  {
    name: 'OpenTelemetry',
    note: 'Your application is instrumented already? These four variables send its spans here.',
    blocks: (endpoint, key) => [{ label: 'environment variables', text: environment(endpoint, key) }],
  },
  {
    name: 'curl',
    note: 'One span by hand: a chat with 1,000 tokens in and 500 out. Paste it into a terminal.',
    blocks: (endpoint, key) => [{ label: 'curl command', text: curl(endpoint, key) }],
  },
  {
    name: 'Node',
    note: 'The OpenTelemetry SDK for Node; any GenAI instrumentation can be registered beside it.',
    blocks: (endpoint, key) => [
      {
        label: 'variables and packages',
        text: `${environment(endpoint, key)}
npm install @opentelemetry/api @opentelemetry/sdk-node @opentelemetry/exporter-trace-otlp-proto`,
      },
      { label: 'first-span.mjs', text: NODE_CODE },
    ],
  },
  {
    name: 'Python',
    note: 'The OpenTelemetry SDK for Python; any GenAI instrumentation can be registered beside it.',
    blocks: (endpoint, key) => [
      {
        label: 'variables and packages',
        text: `${environment(endpoint, key)}
pip install opentelemetry-sdk opentelemetry-exporter-otlp-proto-http`,
      },
      { label: 'first_span.py', text: PYTHON_CODE },
    ],
  },
] as const satisfies readonly Way[];

export function linesFor(way: Way, endpoint: string, key: string): Block[] {
  return way.blocks(endpoint.replace(/\/$/, ''), key);
}
