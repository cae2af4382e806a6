// docs/guides/emitters.md, worked out from the recorded requests: `node emitters/guide.ts --write` refreshes it, and
// guide.test.ts fails when it no longer says what the fixtures say.
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { decodeTracesProtobuf } from '../packages/telemetry/src/otlp/decode.ts';
import { decodeTracesJson } from '../packages/telemetry/src/otlp/json.ts';
import { decodeLogsJson, decodeLogsProtobuf } from '../packages/telemetry/src/otlp/logs.ts';
import type { Span } from '../packages/telemetry/src/span.ts';
import { OMISSIONS, omits } from './omissions.ts';
import type { Truth } from './run.ts';

const FIXTURES = fileURLToPath(new URL('../fixtures/otlp/emitters/', import.meta.url));
export const GUIDE = fileURLToPath(new URL('../docs/guides/emitters.md', import.meta.url));

/** Clients that trace themselves, whatever instruments them. */
const SELF_TRACING = /^com[.]anthropic[.]sdk[.]/;

interface Request {
  truth: Truth;
  spans: Span[];
  /** Bodies and attributes of log records as text. */
  logs: string;
}

interface Row {
  name: string;
  truths: Truth[];
  transport: string;
  content: string;
  openai: string;
  anthropic: string;
  spansPerCall: string;
  shown: string;
}

/** The whole guide. */
export function guide(): string {
  const rows = readdirSync(FIXTURES).sort().map(rowOf);
  return `${HEAD}
${tableOf(rows)}
${LEGEND}
${OMISSIONS.map(omissionLine).join('\n')}
${FOOT}`;
}

function rowOf(name: string): Row {
  const requests = readdirSync(`${FIXTURES}${name}`)
    .filter((file) => file.endsWith('.truth.json'))
    .sort()
    .map((file) => requestOf(`${FIXTURES}${name}/`, file));
  const truths = requests.map(({ truth }) => truth);
  const of = (caseName: string): Request[] => requests.filter(({ truth }) => truth.case === caseName);
  return {
    name,
    truths,
    transport: transportOf(truths),
    content: contentOf(of('openai-plain')),
    openai: cachedOf(of('openai-cached')),
    anthropic: cachedOf(of('anthropic-cached')),
    spansPerCall: spansPerCallOf(of('openai-plain'), of('anthropic-plain')),
    shown: shownOf(name, [...new Set(truths.map((truth) => truth.case))]),
  };
}

function requestOf(folder: string, file: string): Request {
  const truth = JSON.parse(readFileSync(folder + file, 'utf8')) as Truth;
  const isJson = truth.contentType.includes('json');
  const body = readFileSync(folder + file.replace(/[.]truth[.]json$/, isJson ? '.json' : '.pb'));
  const spans = truth.signal === 'traces' ? (isJson ? decodeTracesJson(body) : decodeTracesProtobuf(body)).spans : [];
  const records = truth.signal === 'logs' ? (isJson ? decodeLogsJson(body) : decodeLogsProtobuf(body)).records : [];
  return { truth, spans, logs: JSON.stringify(records.map((record) => [record.body, record.attributes])) };
}

function transportOf(truths: readonly Truth[]): string {
  const names: readonly [RegExp, string][] = [
    [/grpc/, 'gRPC'],
    [/json/, 'JSON'],
    [/protobuf/, 'protobuf'],
  ];
  const { contentType = '', contentEncoding = '', path = '' } = truths[0] ?? {};
  const name = names.find(([pattern]) => pattern.test(contentType))?.[1] ?? contentType;
  const where = path.startsWith('/api/public/') ? ', Langfuse’s path' : '';
  return `${name}${contentEncoding === 'identity' ? '' : `, ${contentEncoding}`}${where}`;
}

function contentOf(requests: readonly Request[]): string {
  const prompt = requests[0]?.truth.calls[0]?.prompt;
  if (prompt === undefined) return '–';
  const places = [
    [
      'attributes',
      requests.some(({ spans }) => spans.some((span) => JSON.stringify(span.attributes).includes(prompt))),
    ],
    ['span events', requests.some(({ spans }) => spans.some((span) => JSON.stringify(span.events).includes(prompt)))],
    ['log records', requests.some(({ logs }) => logs.includes(prompt))],
  ] as const;
  const found = places.filter(([, is]) => is).map(([place]) => place);
  return found.length === 0 ? 'not sent' : found.join(', ');
}

/** How the spans of the emitter itself count a call of which a part came from the cache. */
function cachedOf(requests: readonly Request[]): string {
  const call = requests[0]?.truth.calls[0];
  if (call === undefined) return '–';
  const read = call.cache_read_tokens ?? 0;
  const apart = call.input_tokens - read - (call.cache_creation_tokens ?? 0);
  const own = requests.flatMap(({ spans }) => spans).filter((span) => !SELF_TRACING.test(span.context.scopeName));
  const text = JSON.stringify(own.map((span) => span.attributes));
  const says = (count: number): boolean => new RegExp(`(?<![\\\\d.])${count}(?![\\\\d.])`).test(text);
  const cache = says(read) ? 'sent' : 'not sent';
  if (says(call.input_tokens)) return `input includes it, cache ${cache}`;
  return says(apart) ? `input without it, cache ${cache}` : 'no usage';
}

/** Spans that each look like the whole call, as recorded: what would be billed if nobody looked closer. */
function spansPerCallOf(...cases: readonly Request[][]): string {
  const counts = cases
    .filter((requests) => requests.length > 0)
    .map(
      (requests) =>
        new Set(requests.flatMap(({ spans }) => spans.filter(looksBilled).map(({ spanId }) => spanId))).size,
    );
  return [...new Set(counts)].join(' or ') || '–';
}

function looksBilled(span: Span): boolean {
  return span.billable || span.inputTokens !== undefined;
}

function shownOf(name: string, cases: readonly string[]): string {
  const lacks = (what: Parameters<typeof omits>[2], among = cases): boolean =>
    among.some((caseName) => omits(name, caseName, what));
  const cached = cases.filter((caseName) => caseName.includes('cached'));
  const limits = [
    lacks('cache', cached) && 'cost without the cache’s discount',
    lacks('usage') && `no true tokens: ${listOf(name, cases, 'usage')}`,
    lacks('content') && `no prompt: ${listOf(name, cases, 'content')}`,
    lacks('answer') && `no answer: ${listOf(name, cases, 'answer')}`,
    lacks('link') && `two calls for one: ${listOf(name, cases, 'link')}`,
  ].filter((limit) => limit !== false);
  return limits.length === 0 ? 'everything' : limits.join('; ');
}

function listOf(name: string, cases: readonly string[], what: Parameters<typeof omits>[2]): string {
  return cases.filter((caseName) => omits(name, caseName, what)).join(', ');
}

function line(values: readonly string[]): string {
  return `| ${values.join(' | ')} |`;
}

function tableOf(rows: readonly Row[]): string {
  const head = [
    'emitter',
    'package',
    'cases',
    'sent as',
    'content in',
    'OpenAI, cached',
    'Anthropic, cached',
    'spans that look like one call',
    'shown',
  ];
  const cells = rows.map((row) => {
    const { package: name, version } = row.truths[0]!;
    const cases = new Set(row.truths.map((truth) => truth.case)).size;
    const { transport, content, openai, anthropic, spansPerCall, shown } = row;
    return [row.name, `${name} ${version}`, String(cases), transport, content, openai, anthropic, spansPerCall, shown];
  });
  return [line(head), line(head.map(() => '---')), ...cells.map(line)].join('\n');
}

function omissionLine({ emitter, case: caseName, omits, because }: (typeof OMISSIONS)[number]): string {
  const where = caseName === undefined ? '' : ` in \`${caseName}\``;
  return `- \`${emitter}\`${where} (${omits.join(', ')}): ${because}.`;
}

const HEAD = `# Emitters: what each sends, and what Lumina shows

Written by \`node emitters/guide.ts --write\` from the recorded requests in \`fixtures/otlp/emitters\`: what the unmodified
packages sent for calls whose prompt, answer and usage are known. How fields are read is in [dialects.md](dialects.md).
`;

const LEGEND = `
- **shown**: "everything" means prompt, answer, system prompt, tool calls, model, the true tokens and the exact cost of every
  recorded case, each call billed once. Otherwise what is missing, since it was not sent; the cost is then that of the tokens
  that were told.
- **cached**: whether the input tokens of a call include what was read from or written to a cache. Both ways are read as one:
  \`prompt_tokens\` always includes them.
- **spans that look like one call**: wrappers repeat the usage of the span inside, and Anthropic's own clients trace
  themselves since 2026 beside any instrumentation. Lumina bills one of them and says which. In Python beside OpenLLMetry and
  LangChain the client's span may open a trace of its own: it is left unbilled when it comes in the same export request and
  carries the same response id, which a batching exporter sees to; with an exporter that sends each span alone, both count.

## What they leave out

Patterns of emitters and cases, with what nobody can show because it was not sent.
`;

const FOOT = `
## Point an emitter here

| emitter                                      | address                                                                                              | key                                                       |
| -------------------------------------------- | ---------------------------------------------------------------------------------------------------- | --------------------------------------------------------- |
| OpenTelemetry, OpenInference, AI SDK, others | \`OTEL_EXPORTER_OTLP_ENDPOINT=http://localhost:4318\` (gRPC: \`http://localhost:4317\`)                  | \`OTEL_EXPORTER_OTLP_HEADERS=authorization=Bearer%20KEY\`   |
| OpenLLMetry for Node                         | \`TRACELOOP_BASE_URL=http://localhost:4318\`                                                           | \`TRACELOOP_API_KEY=KEY\`                                   |
| Langfuse                                     | \`LANGFUSE_BASE_URL=http://localhost:3000\`                                                            | \`LANGFUSE_PUBLIC_KEY\` anything, \`LANGFUSE_SECRET_KEY=KEY\` |

To see it happen with your own eyes: \`node emitters/capture.ts NAME\` records one emitter again, and
\`node --test emitters/emitters.long.ts\` runs all of them against a started server.
`;

if (process.argv.includes('--write')) writeFileSync(GUIDE, guide());
