// What a count includes: the third part of the conventions table. Our counts follow the conventions (input with cache reads
// and writes, output with reasoning); which emitters count otherwise is decided here, by scope, version and arithmetic.
import { objectIn } from './conventions-values.ts';
import type { Parse } from './conventions-values.ts';
import type { AttributeValue, Span, Usage } from './span.ts';

type Count = keyof Usage;

// Langfuse: `usage_details` is an object of counts whose members are disjoint and add up, except the total.
// Source: langfuse.com/docs/observability/features/token-and-cost-tracking and what its SDKs send.

type Side = 'input' | 'output';

interface DetailRule {
  readonly member: RegExp;
  readonly side: Side;
  readonly count?: Count;
}

/** The first rule that fits a member's name says what it counts; a name that fits none is a unit of its own, not tokens. */
const DETAILS: readonly DetailRule[] = [
  { member: /cache_?(?:creation|write)|cacheWrite|cacheCreation/, side: 'input', count: 'cacheCreationTokens' },
  { member: /cached|cache_?read|cacheRead/, side: 'input', count: 'cacheReadTokens' },
  { member: /reasoning|thoughts/i, side: 'output', count: 'reasoningTokens' },
  { member: /^(?:input|prompt).*audio/, side: 'input', count: 'inputAudioTokens' },
  { member: /^(?:output|completion).*audio/, side: 'output', count: 'outputAudioTokens' },
  { member: /^(?:input|prompt)/, side: 'input' },
  { member: /^(?:output|completion)/, side: 'output' },
];

/** Members that hold a side's own count; beside OpenAI's nested `…_details` they are the whole side. */
const BASES: { readonly [S in Side]: readonly string[] } = {
  input: ['input', 'input_tokens', 'prompt_tokens', 'inputTokens', 'promptTokens'],
  output: ['output', 'output_tokens', 'completion_tokens', 'outputTokens', 'completionTokens'],
};
const NESTED = ['prompt_tokens_details', 'input_tokens_details', 'completion_tokens_details', 'output_tokens_details'];

interface Details {
  base: { [S in Side]: number | undefined };
  sum: { [S in Side]: number };
  counts: { [C in Count]?: number };
  total: number | undefined;
  isNested: boolean;
}

function detailsOf(value: AttributeValue): Details | undefined {
  const object = objectIn(value);
  if (object === undefined) return undefined;
  const nested = NESTED.map((member) => object[member]).filter((item) => objectIn(item ?? null) !== undefined);
  const members = [object, ...nested.map((item) => objectIn(item ?? null)!)].flatMap((item, i) =>
    Object.entries(item).map(([member, count]) => ({ member, count, isNested: i > 0 })),
  );
  const details: Details = {
    base: { input: firstCount(object, BASES.input), output: firstCount(object, BASES.output) },
    sum: { input: 0, output: 0 },
    counts: {},
    total: firstCount(object, ['total', 'total_tokens', 'totalTokens']),
    isNested: nested.length > 0,
  };
  for (const { member, count, isNested } of members) {
    const rule = isCount(count) ? DETAILS.find(({ member: name }) => name.test(member)) : undefined;
    if (rule === undefined || !isCount(count)) continue;
    if (!isNested) details.sum[rule.side] += count;
    if (rule.count !== undefined) details.counts[rule.count] = (details.counts[rule.count] ?? 0) + count;
  }
  return details;
}

function firstCount(object: { [member: string]: AttributeValue }, members: readonly string[]): number | undefined {
  return members.map((member) => object[member]).find(isCount);
}

const MAX_COUNT = 1_000_000_000_000;

function isCount(value: AttributeValue | undefined): value is number {
  return typeof value === 'number' && Number.isInteger(value) && value >= 0 && value <= MAX_COUNT;
}

/** Whether the base already holds the other members: raw usage of OpenAI was handed over, or the total says so. */
function baseIsWhole({ base, sum, total, isNested }: Details): boolean {
  if (isNested) return true;
  if (total === undefined || total === sum.input + sum.output) return false;
  return total === (base.input ?? 0) + (base.output ?? 0);
}

function sideOf(side: Side): Parse<number> {
  return (value, key, issues) => {
    const details = detailsOf(value);
    if (details === undefined) return undefined;
    const isWhole = baseIsWhole(details);
    const base = details.base[side];
    if (isWhole && side === 'input' && details.sum.input !== base && !details.isNested) {
      issues.push(`${key} does not add up; its total says that input already holds the cached tokens`);
    }
    const sum = isWhole ? (base ?? 0) : details.sum[side];
    return base === undefined && sum === 0 ? undefined : Math.min(sum, MAX_COUNT);
  };
}

export const inputOf: Parse<number> = sideOf('input');
export const outputOf: Parse<number> = sideOf('output');

/** One of the counts that `usage_details` breaks its sides into. */
export function partOfUsage(count: Count): Parse<number> {
  return (value) => detailsOf(value)?.counts[count];
}

/** Which counts the emitter leaves out of its input or output tokens. */
export interface UsageRule {
  /** Name of the instrumentation scope. */
  readonly scope: string;
  /** From this version on, and before that one; absent: every version. */
  readonly from?: string;
  readonly before?: string;
  /** Only for providers that begin so. */
  readonly provider?: string;
  readonly inputWithout?: readonly ('cacheReadTokens' | 'cacheCreationTokens')[];
  readonly outputWithout?: readonly 'reasoningTokens'[];
  /** What proves it: a fixture (path below fixtures/otlp/emitters) or the public thread that reports it. */
  readonly evidence: string;
}

const CACHE = ['cacheReadTokens', 'cacheCreationTokens'] as const;

/** Emitters that pass on Anthropic's `input_tokens`, which counts only what neither came from nor went to the cache. */
export const USAGE_RULES: readonly UsageRule[] = [
  {
    scope: '@traceloop/instrumentation-anthropic',
    inputWithout: CACHE,
    evidence: 'openllmetry-0.27.0/anthropic-cached',
  },
  {
    scope: '@arizeai/openinference-instrumentation-anthropic',
    before: '0.2.0',
    inputWithout: CACHE,
    evidence: 'openinference-2.0.3/anthropic-cached',
  },
  {
    // AI SDK 4 and 5; 6 says beside it what was not cached, which comes before this rule
    scope: 'ai',
    provider: 'anthropic',
    inputWithout: CACHE,
    evidence: 'vercel-ai-4.3.19/anthropic-cached',
  },
  {
    scope: 'opentelemetry.instrumentation.bedrock',
    inputWithout: CACHE,
    evidence: 'https://github.com/traceloop/openllmetry/issues/4449',
  },
  {
    scope: 'genkit-tracer',
    provider: 'anthropic',
    inputWithout: CACHE,
    evidence: 'https://github.com/genkit-ai/genkit/issues/5412',
  },
  {
    scope: 'logfire.anthropic',
    before: '4.32.0',
    inputWithout: CACHE,
    evidence: 'https://github.com/pydantic/logfire/pull/1812',
  },
];

const BY_SCOPE: ReadonlyMap<string, readonly UsageRule[]> = Map.groupBy(USAGE_RULES, ({ scope }) => scope);

function ruleOf(span: Span): UsageRule | undefined {
  const { scopeName, scopeVersion } = span.context;
  return BY_SCOPE.get(scopeName)?.find(
    ({ from, before, provider }) =>
      (from === undefined || compareVersions(scopeVersion, from) >= 0) &&
      (before === undefined || compareVersions(scopeVersion, before) < 0) &&
      (provider === undefined || (span.provider ?? '').startsWith(provider)),
  );
}

/** Negative, zero or positive, by the numbers of `1.2.3`; what follows them does not count. An unknown version is the oldest. */
export function compareVersions(a: string, b: string): number {
  const [left, right] = [a, b].map((version) =>
    (/^v?(\d+(?:\.\d+)*)/.exec(version)?.[1] ?? '0').split('.').map(Number),
  );
  for (let i = 0; i < Math.max(left!.length, right!.length); i++) {
    const difference = (left![i] ?? 0) - (right![i] ?? 0);
    if (difference !== 0) return difference;
  }
  return 0;
}

/** Makes the counts mean what {@link Usage} says, whatever the emitter meant by them, and says so in `issues`. */
export function completeUsage(span: Span): void {
  if (span.cacheReadTokens !== undefined || span.cacheCreationTokens !== undefined) completeInput(span);
  if (span.reasoningTokens !== undefined) completeOutput(span);
  if (span.totalTokens !== undefined) completeFromTotal(span);
}

function completeInput(span: Span): void {
  const cached = (span.cacheReadTokens ?? 0) + (span.cacheCreationTokens ?? 0);
  const { inputTokens, uncachedInputTokens, outputTokens, totalTokens } = span;
  if (cached === 0) return;
  if (uncachedInputTokens !== undefined) {
    const whole = uncachedInputTokens + cached;
    if (inputTokens === undefined || inputTokens < whole) setInput(span, whole, 'the provider counted them apart');
    return;
  }
  if (inputTokens === undefined) return;
  const rule = ruleOf(span);
  if (rule?.inputWithout !== undefined) {
    const left = rule.inputWithout.reduce((sum, count) => sum + (span[count] ?? 0), 0);
    setInput(span, inputTokens + left, `${rule.scope} leaves them out`);
  } else if (cached > inputTokens) setInput(span, inputTokens + cached, 'they are more than the input that was sent');
  else if (totalTokens !== undefined && totalTokens === inputTokens + cached + (outputTokens ?? 0)) {
    setInput(span, inputTokens + cached, 'the total counts them apart');
  }
}

function setInput(span: Span, inputTokens: number, why: string): void {
  const added = inputTokens - (span.inputTokens ?? 0);
  if (added === 0) return;
  span.inputTokens = inputTokens;
  for (const count of CACHE) addOrigin(span, count, 'inputTokens');
  span.issues.push(`${added} cached tokens were added to the input: ${why}`);
}

function completeOutput(span: Span): void {
  const { inputTokens, outputTokens, reasoningTokens = 0, totalTokens } = span;
  if (outputTokens === undefined || reasoningTokens === 0) return;
  const rule = ruleOf(span);
  const isApart =
    rule?.outputWithout !== undefined ||
    reasoningTokens > outputTokens ||
    (totalTokens !== undefined && totalTokens === (inputTokens ?? 0) + outputTokens + reasoningTokens);
  if (!isApart) return;
  span.outputTokens = outputTokens + reasoningTokens;
  addOrigin(span, 'reasoningTokens', 'outputTokens');
  span.issues.push(`${reasoningTokens} reasoning tokens were added to the output: the emitter counts them apart`);
}

/** With the total and one side known the other follows exactly. */
function completeFromTotal(span: Span): void {
  const { totalTokens = 0, inputTokens, outputTokens } = span;
  if (inputTokens !== undefined && outputTokens === undefined && totalTokens >= inputTokens) {
    span.outputTokens = totalTokens - inputTokens;
    addOrigin(span, 'totalTokens', 'outputTokens');
  } else if (outputTokens !== undefined && inputTokens === undefined && totalTokens >= outputTokens) {
    span.inputTokens = totalTokens - outputTokens;
    addOrigin(span, 'totalTokens', 'inputTokens');
  }
}

/** A count that follows from another names the key of that one too. */
function addOrigin(span: Span, from: Count, field: 'inputTokens' | 'outputTokens'): void {
  const row = span.origins.find((origin) => origin.field === from);
  if (row !== undefined && span[from] !== 0) span.origins.push({ ...row, field });
}

/**
 * Scopes that describe a streamed call twice: by a span that ends before the answer came, without usage, and by a later
 * one with usage and answer. The first is not a call of unknown price. Evidence: python-logfire-5.2.0/openai-stream.
 */
const STREAMS_TOLD_LATER: ReadonlySet<string> = new Set(['logfire.openai', 'logfire.anthropic']);

export function isToldLater(span: Span): boolean {
  return STREAMS_TOLD_LATER.has(span.context.scopeName) && span.attributes['gen_ai.output.messages'] === undefined;
}
