// What unmodified emitters really sent for calls whose true usage, prompt and answer are known: every recorded request
// below fixtures/otlp/emitters must read as its truth says.
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { notBilled } from './billing.ts';
import type { BillingSpan } from './billing.ts';
import { joinMessages, messagesFromLog } from './conventions-content.ts';
import { USAGE_RULES } from './conventions-usage.ts';
import { isObject } from './messages-json.ts';
import type { Message, Part, SpanMessages } from './messages.ts';
import { decodeTracesProtobuf } from './otlp/decode.ts';
import { decodeTracesJson } from './otlp/json.ts';
import { decodeLogsJson, decodeLogsProtobuf } from './otlp/logs.ts';
import type { Json, Span } from './span.ts';

const EMITTERS = join(import.meta.dirname, '../../../fixtures/otlp/emitters');

interface TrueCall {
  model: string;
  response_model?: string;
  provider: string;
  input_tokens: number;
  output_tokens: number;
  cache_read_tokens?: number;
  cache_creation_tokens?: number;
  reasoning_tokens?: number;
  prompt: string;
  answer: string;
  system?: string;
  tool_calls?: { id?: string; name: string; arguments: Json }[];
}

interface Truth {
  emitter: string;
  version: string;
  case: string;
  signal: 'traces' | 'logs' | 'metrics';
  contentType: string;
  calls: TrueCall[];
}

interface Recording {
  name: string;
  truth: Truth;
  spans: Span[];
  logs: { spanId: string | undefined; content: SpanMessages }[];
}

function recordings(): Recording[] {
  if (!existsSync(EMITTERS)) return [];
  return readdirSync(EMITTERS).sort().flatMap(recordingsOf);
}

/** The requests of one case, in the order in which they were sent, make one recording. */
function recordingsOf(folder: string): Recording[] {
  const files = readdirSync(join(EMITTERS, folder)).sort();
  const truths = files.filter((file) => file.endsWith('.truth.json')).map((file) => requestOf(folder, file, files));
  return [...Map.groupBy(truths, ({ truth }) => truth.case)].map(([name, requests]) => ({
    name: `${folder}/${name}`,
    truth: requests[0]!.truth,
    spans: lastOfEach(requests.flatMap(({ truth, bytes }) => (truth.signal === 'traces' ? spansOf(truth, bytes) : []))),
    logs: requests.flatMap(({ truth, bytes }) => (truth.signal === 'logs' ? logsOf(truth, bytes) : [])),
  }));
}

function requestOf(folder: string, file: string, files: readonly string[]): { truth: Truth; bytes: Buffer } {
  const stem = file.slice(0, -'.truth.json'.length);
  const body = files.find((name) => name === `${stem}.pb` || name === `${stem}.json`);
  assert.ok(body, `${folder}/${file} has its request beside it`);
  const truth = JSON.parse(readFileSync(join(EMITTERS, folder, file), 'utf8')) as Truth;
  return { truth, bytes: readFileSync(join(EMITTERS, folder, body)) };
}

/** The same span again replaces the earlier one, as it does where spans are stored. */
function lastOfEach(spans: readonly Span[]): Span[] {
  return [...new Map(spans.map((span) => [span.spanId, span])).values()];
}

const isJson = ({ contentType }: Truth): boolean => contentType.includes('json');

function spansOf(truth: Truth, bytes: Buffer): Span[] {
  const decoded = isJson(truth) ? decodeTracesJson(bytes) : decodeTracesProtobuf(bytes);
  assert.equal(decoded.rejected.count, 0, `${truth.emitter} ${truth.case}: ${decoded.rejected.messages.join()}`);
  return decoded.spans;
}

function logsOf(truth: Truth, bytes: Buffer): Recording['logs'] {
  const { records } = isJson(truth) ? decodeLogsJson(bytes) : decodeLogsProtobuf(bytes);
  return records.flatMap((record) => {
    const content = messagesFromLog(record);
    return content === undefined ? [] : [{ spanId: record.spanId, content }];
  });
}

/** What some emitters do not send at all: no reader can show it. Each entry is a finding about the emitter. */
interface Omission {
  /** Patterns of the fixture's folder and of its case; without `case` every one. */
  readonly emitter: string;
  readonly case?: string;
  readonly omits: readonly Omitted[];
  readonly because: string;
}
type Omitted =
  'provider' | 'usage' | 'cache' | 'reasoning' | 'content' | 'system' | 'answer' | 'tool calls' | 'link' | 'span';

const OMISSIONS = JSON.parse(readFileSync(join(EMITTERS, '../omissions.json'), 'utf8')) as readonly Omission[];

function omits(recording: Recording, what: Omitted): boolean {
  const [folder = '', name = ''] = recording.name.split('/');
  return OMISSIONS.some(
    (entry) =>
      new RegExp(entry.emitter).test(folder) && new RegExp(entry.case ?? '').test(name) && entry.omits.includes(what),
  );
}

/** One billed call with the spans that describe the same one: an SDK that traces itself has the counts, a wrapper the words. */
interface Described {
  billed: Span;
  others: Span[];
}

function billedCalls(recording: Recording): Described[] {
  // Python's Anthropic client traces itself in a trace of its own: one call may lie in two traces
  const spans = recording.spans.filter(
    (span) => !omits(recording, 'link') || !span.context.scopeName.startsWith('com.anthropic'),
  );
  const left = notBilled(spans.map(billingSpanOf));
  return spans
    .filter((span) => span.billable && !left.has(BigInt(`0x${span.spanId}`)))
    .sort((a, b) => (a.startNs < b.startNs ? -1 : 1))
    .map((billed) => ({
      billed,
      others: spans.filter((span) => left.get(BigInt(`0x${span.spanId}`))?.by === BigInt(`0x${billed.spanId}`)),
    }));
}

function billingSpanOf(span: Span): BillingSpan {
  return {
    spanId: BigInt(`0x${span.spanId}`),
    parentSpanId: span.parentSpanId === undefined ? null : BigInt(`0x${span.parentSpanId}`),
    startNs: span.startNs,
    endNs: span.endNs,
    isCall: span.billable,
    name: span.name,
    operation: span.operation ?? null,
    model: span.model ?? null,
    response: span.responseId ?? null,
    inputTokens: span.inputTokens ?? null,
    outputTokens: span.outputTokens ?? null,
    cacheReadTokens: span.cacheReadTokens ?? null,
    cacheCreationTokens: span.cacheCreationTokens ?? null,
    reasoningTokens: span.reasoningTokens ?? null,
  };
}

/** What was said, by the span that has it. */
function contentOfCall(recording: Recording, { billed, others }: Described): SpanMessages {
  const contents = [billed, ...others].map((span) => {
    const logs = recording.logs.filter(({ spanId }) => spanId === span.spanId).map(({ content }) => content);
    return joinMessages(span.messages, logs);
  });
  return contents.find(({ input }) => input.length > 0) ?? contents[0]!;
}

function textOf(messages: readonly Message[]): string {
  return messages
    .flatMap(({ parts }) => parts.flatMap((part) => (part.type === 'text' ? [part.content] : [])))
    .join('');
}

function callsOf(messages: readonly Message[]): Part[] {
  return messages.flatMap(({ parts }) => parts.filter(({ type }) => type === 'tool_call'));
}

const RECORDINGS = recordings();

test('every emitter of the table is among the recordings', () => {
  for (const emitter of ['otel-openai', 'openllmetry', 'openinference', 'vercel-ai', 'langfuse', 'python-'])
    assert.ok(
      RECORDINGS.some(({ name }) => name.startsWith(emitter)),
      emitter,
    );
});

test('a rule about what counts include is proven by a recording, or names the thread that reports it', () => {
  for (const { scope, evidence } of USAGE_RULES) {
    if (evidence.startsWith('https://')) continue;
    const recording = RECORDINGS.find(({ name }) => name === evidence);
    assert.ok(
      recording?.spans.some(({ context }) => context.scopeName === scope),
      `${evidence} holds spans of ${scope}`,
    );
  }
});

for (const recording of RECORDINGS) {
  if (omits(recording, 'span')) continue;
  test(`${recording.name} reads as what was really said and used`, () => {
    const calls = billedCalls(recording);
    assert.equal(calls.length, recording.truth.calls.length, describe(recording));
    recording.truth.calls.forEach((call, i) => checkCall(recording, call, calls[i]!));
  });
}

function describe({ spans }: Recording): string {
  return spans
    .map(({ name, operation, billable, usage }) => JSON.stringify({ name, operation, billable, usage }))
    .join('\n');
}

function checkCall(recording: Recording, call: TrueCall, described: Described): void {
  const spans = [described.billed, ...described.others];
  if (!omits(recording, 'provider'))
    assert.ok(
      spans.some(({ provider }) => provider === call.provider),
      'provider',
    );
  assert.ok([call.model, call.response_model].includes(described.billed.model), `model ${described.billed.model}`);
  checkUsage(recording, call, described.billed);
  const messages = contentOfCall(recording, described);
  if (omits(recording, 'content')) return;
  checkPrompt(recording, call, messages);
  checkAnswer(recording, call, messages);
  assert.ok(messages.from.input, 'the prompt knows where it came from');
  if (messages.output.length > 0) assert.ok(messages.from.output, 'the answer knows where it came from');
}

function checkUsage(recording: Recording, call: TrueCall, span: Span): void {
  const { inputTokens, outputTokens, cacheReadTokens, cacheCreationTokens, reasoningTokens } = span;
  if (omits(recording, 'usage')) return;
  assert.ok(span.mappedFrom.inputTokens, 'the count knows where it came from');
  assert.equal(inputTokens, call.input_tokens, `input tokens; ${span.issues.join('; ')}`);
  assert.equal(outputTokens ?? 0, call.output_tokens, 'output tokens');
  if (!omits(recording, 'cache')) {
    assert.equal(cacheReadTokens ?? 0, call.cache_read_tokens ?? 0, 'cache reads');
    assert.equal(cacheCreationTokens ?? 0, call.cache_creation_tokens ?? 0, 'cache creation');
  }
  if (!omits(recording, 'reasoning'))
    assert.equal(reasoningTokens ?? 0, call.reasoning_tokens ?? 0, 'reasoning tokens');
}

function checkPrompt(recording: Recording, call: TrueCall, messages: SpanMessages): void {
  const said = textOf(messages.input.filter(({ role }) => role === 'user'));
  assert.ok(said.includes(call.prompt), `prompt ${JSON.stringify(call.prompt)} in ${JSON.stringify(messages.input)}`);
  if (call.system === undefined || omits(recording, 'system')) return;
  const system = textOf([
    ...messages.input.filter(({ role }) => role === 'system'),
    { role: 'system', parts: messages.systemInstructions },
  ]);
  assert.ok(system.includes(call.system), `system in ${JSON.stringify(messages)}`);
}

function checkAnswer(recording: Recording, call: TrueCall, messages: SpanMessages): void {
  if (omits(recording, 'answer')) return;
  if (call.answer !== '') assert.equal(textOf(messages.output).trim(), call.answer.trim());
  if (omits(recording, 'tool calls')) return;
  const calls = callsOf(messages.output);
  for (const { name, arguments: args } of call.tool_calls ?? []) {
    const found = calls.find((part) => part.type === 'tool_call' && part.name === name);
    assert.ok(
      found !== undefined && found.type === 'tool_call',
      `call of ${name} in ${JSON.stringify(messages.output)}`,
    );
    // Attributes have no prototype: compared as the JSON that they are.
    if (isObject(args)) assert.deepEqual(JSON.parse(JSON.stringify(found.arguments)), args);
  }
}
