// Which spans of a trace are billed when several describe one call: wrappers that repeat usage, manual spans around
// instrumented clients, SDKs that trace themselves. A pure function of the set of spans: their order never matters.

/** What billing needs of a span. Ids are 64 bits as a signed integer; counts as in `Usage`, null where not told. */
export interface BillingSpan {
  spanId: bigint;
  parentSpanId: bigint | null;
  startNs: bigint;
  endNs: bigint;
  /** Whether the span alone looks like one paid call. */
  isCall: boolean;
  name: string;
  operation: string | null;
  model: string | null;
  /** Something equal for equal ids of the provider's response, null without one. */
  response: bigint | string | null;
  inputTokens: number | null;
  outputTokens: number | null;
  cacheReadTokens: number | null;
  cacheCreationTokens: number | null;
  reasoningTokens: number | null;
}

/**
 * Why a span is not billed though it looks like a call:
 * `same_response`: another span carries the same response id.
 * `same_usage`: a span inside it (or around it, with more detail) reports the same tokens of the same model.
 * `sum_of_calls`: its tokens are the sum of the calls inside it, one of them of its model.
 * `wrapper`: a library's outer span around its own inner ones.
 * `told_inside`: it reports no tokens, a call of the same model inside it does.
 * `told_outside`: it reports no tokens, the span around it does.
 */
export const NOT_BILLED_REASONS = [
  'same_response',
  'same_usage',
  'sum_of_calls',
  'wrapper',
  'told_inside',
  'told_outside',
] as const;
export type NotBilledReason = (typeof NOT_BILLED_REASONS)[number];

export interface NotBilled {
  /** The billed span that stands for the call; of several the first. */
  by: bigint;
  reason: NotBilledReason;
}

/** The Vercel AI SDK's outer span of an operation; its inner ones are called `NAME.doGenerate`, `NAME.doStream`, `NAME.doEmbed`. */
const OUTER_NAMES = /^ai\.(?:generateText|streamText|generateObject|streamObject|embed|embedMany)$/;

/** Of names and models in one trace; half a second at most. An agent over ten calls takes ten. */
const MAX_COMPARISONS = 500_000;
/** Longer names are compared as they stand. */
const MAX_MODEL_LENGTH = 256;

interface Node {
  readonly span: BillingSpan;
  readonly children: Node[];
  /** Position before and after the subtree in a walk of the tree: containment tells ancestors in one comparison. */
  enter: number;
  leave: number;
  depth: number;
}

/** The calls of a subtree that are billed so far; each list by start. */
interface Calls {
  /** By tokens in and out. */
  readonly told: Map<string, Node[]>;
  readonly untold: Node[];
  count: number;
  inputTokens: number;
  outputTokens: number;
}

/**
 * The spans that look like calls and are not billed. Conservative: two calls side by side with equal tokens are both
 * billed, and what contains another call is left out only where its tokens are those of the calls inside.
 */
export function notBilled(spans: readonly BillingSpan[]): Map<bigint, NotBilled> {
  const found = new Map<bigint, NotBilled>();
  if (spans.reduce((calls, { isCall }) => calls + Number(isCall), 0) < 2) return found;
  const ordered = [...spans].sort(inOrder);
  const nodes = treeOf(ordered);
  leaveOutSameResponses(nodes, found);
  leaveOutRepetitions(nodes, found);
  return settled(found);
}

function inOrder(a: BillingSpan, b: BillingSpan): number {
  if (a.startNs !== b.startNs) return a.startNs < b.startNs ? -1 : 1;
  return a.spanId < b.spanId ? -1 : a.spanId > b.spanId ? 1 : 0;
}

/** What is left to compare in a trace: beyond it spans count as calls of their own, so that no trace holds up the rest. */
interface Work {
  comparisons: number;
}

/** Takes one comparison, where there is one. */
function isLeft(work: Work): boolean {
  return work.comparisons-- > 0;
}

/** All spans, children before their parents. A span whose ancestors go in circles stands alone. */
function treeOf(spans: readonly BillingSpan[]): Node[] {
  const byId = new Map<bigint, Node>();
  for (const span of spans) byId.set(span.spanId, { span, children: [], enter: -1, leave: -1, depth: 0 });
  const roots: Node[] = [];
  for (const node of byId.values()) {
    const parent = node.span.parentSpanId === null ? undefined : byId.get(node.span.parentSpanId);
    if (parent === undefined || parent === node) roots.push(node);
    else parent.children.push(node);
  }
  const done: Node[] = [];
  let clock = 0;
  const walk = (root: Node): void => {
    const open = [{ node: root, next: 0 }];
    root.enter = clock++;
    for (let top = open.at(-1); top !== undefined; top = open.at(-1)) {
      const child = top.node.children[top.next++];
      if (child === undefined) {
        top.node.leave = clock++;
        done.push(top.node);
        open.pop();
      } else if (child.enter === -1) {
        child.enter = clock++;
        child.depth = top.node.depth + 1;
        open.push({ node: child, next: 0 });
      }
    }
  };
  for (const root of roots) walk(root);
  for (const node of byId.values()) {
    if (node.enter !== -1) continue;
    node.children.length = 0;
    walk(node);
  }
  return done;
}

function contains(outer: Node, inner: Node): boolean {
  return outer !== inner && outer.enter < inner.enter && inner.leave < outer.leave;
}

/** A response has one id: spans that carry the same one describe one call, wherever they stand. */
function leaveOutSameResponses(nodes: readonly Node[], found: Map<bigint, NotBilled>): void {
  const carriers = nodes.filter(({ span }) => span.isCall && span.response !== null);
  for (const group of Map.groupBy(carriers, ({ span }) => span.response).values()) {
    if (group.length < 2) continue;
    const billed = new Apart();
    for (const node of group.sort(byMerit)) {
      const other = billed.sameMoment(node);
      if (other === undefined) billed.add(node);
      else found.set(node.span.spanId, { by: other.span.spanId, reason: 'same_response' });
    }
  }
}

/**
 * Calls under one response id that are different ones: a stand-in that gives every answer one id must not make all calls
 * one. They are the same where one is inside the other, where they overlap in time, or where their tokens are equal.
 * Those that are here neither contain nor overlap one another, so that a neighbour tells for all.
 */
class Apart {
  readonly #byEnter: Node[] = [];
  readonly #byTime: Node[] = [];
  readonly #byUsage = new Map<string, Node>();

  sameMoment(node: Node): Node | undefined {
    const at = firstPlace(this.#byEnter, ({ enter }) => enter > node.enter);
    const [before, after] = [this.#byEnter[at - 1], this.#byEnter[at]];
    if (before !== undefined && contains(before, node)) return before;
    if (after !== undefined && contains(node, after)) return after;
    // the last that begins before the end of this one is the last to end, too
    const { startNs, endNs } = node.span;
    const last = this.#byTime[firstPlace(this.#byTime, ({ span }) => span.startNs >= endNs) - 1];
    if (last !== undefined && startNs < last.span.endNs) return last;
    return isTold(node.span) ? this.#byUsage.get(usageKey(node.span)) : undefined;
  }

  add(node: Node): void {
    const { startNs, endNs } = node.span;
    insert(this.#byEnter, node, ({ enter }) => enter > node.enter);
    insert(
      this.#byTime,
      node,
      ({ span }) => span.startNs > startNs || (span.startNs === startNs && span.endNs > endNs),
    );
    if (isTold(node.span)) this.#byUsage.set(usageKey(node.span), node);
  }
}

/** Where `isBeyond` begins to hold in an ordered list. */
function firstPlace(nodes: readonly Node[], isBeyond: (node: Node) => boolean): number {
  let low = 0;
  let high = nodes.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (isBeyond(nodes[middle] as Node)) high = middle;
    else low = middle + 1;
  }
  return low;
}

function insert(nodes: Node[], node: Node, isBeyond: (node: Node) => boolean): void {
  nodes.splice(firstPlace(nodes, isBeyond), 0, node);
}

function insertInOrder(nodes: Node[], node: Node): void {
  insert(nodes, node, (other) => inOrder(other.span, node.span) > 0);
}

/** Who stands for a call: the span that tells most about its tokens, then the one nearest to the wire. */
function byMerit(a: Node, b: Node): number {
  return (
    Number(isTold(b.span)) - Number(isTold(a.span)) ||
    detailOf(b.span) - detailOf(a.span) ||
    b.depth - a.depth ||
    (b.span.outputTokens ?? 0) - (a.span.outputTokens ?? 0) ||
    inOrder(a.span, b.span)
  );
}

function isTold(span: BillingSpan): boolean {
  return span.inputTokens !== null || span.outputTokens !== null;
}

/** How many of the counts that change a price it tells. */
function detailOf({ cacheReadTokens, cacheCreationTokens, reasoningTokens }: BillingSpan): number {
  return [cacheReadTokens, cacheCreationTokens, reasoningTokens].filter((count) => count !== null).length;
}

function usageKey({ inputTokens, outputTokens, operation }: BillingSpan): string {
  return `${inputTokens ?? 0} ${outputTokens ?? 0} ${operation === 'embeddings' ? 'embeddings' : ''}`;
}

/** From the innermost outwards: a call around calls is one of its own only if its tokens are not theirs. */
function leaveOutRepetitions(nodes: readonly Node[], found: Map<bigint, NotBilled>): void {
  const callsOf = new Map<Node, Calls>();
  const work: Work = { comparisons: MAX_COMPARISONS };
  for (const node of nodes) {
    const calls = node.children.reduce<Calls | undefined>((sum, child) => {
      const own = callsOf.get(child);
      callsOf.delete(child);
      return own === undefined ? sum : sum === undefined ? own : joined(sum, own);
    }, undefined);
    const isOpen = node.span.isCall && !found.has(node.span.spanId);
    const judged = calls ?? { told: new Map(), untold: [], count: 0, inputTokens: 0, outputTokens: 0 };
    if (isOpen) judge(node, judged, { found, work });
    if (judged.count > 0) callsOf.set(node, judged);
  }
}

/** Decides about a call around `calls` and takes it into them, or leaves it out. */
function judge(node: Node, calls: Calls, { found, work }: { found: Map<bigint, NotBilled>; work: Work }): void {
  const { span } = node;
  const leaveOut = (by: Node, reason: NotBilledReason): void => {
    found.set(span.spanId, { by: by.span.spanId, reason });
  };
  if (calls.count === 0 || work.comparisons <= 0) return take(node, calls);
  const inner = OUTER_NAMES.test(span.name) ? firstCalled(calls, `${span.name}.do`, work) : undefined;
  if (inner !== undefined) return leaveOut(inner, 'wrapper');
  if (!isTold(span)) {
    const teller = firstOfModel(calls, span.model, work);
    return teller === undefined ? take(node, calls) : leaveOut(teller, 'told_inside');
  }
  const same = hasTokens(span)
    ? calls.told.get(usageKey(span))?.find((other) => isLeft(work) && !areTwoCalls(span, other.span))
    : undefined;
  if (same !== undefined) {
    if (detailOf(span) <= detailOf(same.span)) return leaveOut(same, 'same_usage');
    // the outer span knows what of it was cached: it stands for the call
    found.set(same.span.spanId, { by: span.spanId, reason: 'same_usage' });
    release(same, calls);
    return take(node, calls);
  }
  const isSum =
    calls.count - calls.untold.length > 1 &&
    hasTokens(span) &&
    calls.inputTokens === (span.inputTokens ?? 0) &&
    calls.outputTokens === (span.outputTokens ?? 0);
  if (isSum && !hasCallOfItsOwn(span, calls, work)) return leaveOut(firstTold(calls) as Node, 'sum_of_calls');
  if (calls.told.size === 0) {
    for (const silent of calls.untold.filter((other) => isSameModel(other.span.model, span.model))) {
      found.set(silent.span.spanId, { by: span.spanId, reason: 'told_outside' });
      release(silent, calls);
    }
  }
  take(node, calls);
}

/** Two answers, or two models, are two calls, however equal their tokens are. */
function areTwoCalls(a: BillingSpan, b: BillingSpan): boolean {
  const areTwoAnswers = a.response !== null && b.response !== null && a.response !== b.response;
  return areTwoAnswers || !isSameModel(a.model, b.model);
}

/** Of a span with the tokens of all the calls inside it: whether an answer of its own, or a model that none of them has, says otherwise. */
function hasCallOfItsOwn({ response, model }: BillingSpan, calls: Calls, work: Work): boolean {
  let isOfTheirs = false;
  for (const nodes of calls.told.values()) {
    for (const { span: inner } of nodes) {
      if (!isLeft(work)) return true;
      if (response !== null && inner.response !== null && inner.response !== response) return true;
      isOfTheirs ||= isSameModel(inner.model, model);
    }
  }
  return !isOfTheirs;
}

function hasTokens({ inputTokens, outputTokens }: BillingSpan): boolean {
  return (inputTokens ?? 0) + (outputTokens ?? 0) > 0;
}

function take(node: Node, calls: Calls): void {
  calls.count++;
  if (!isTold(node.span)) {
    insertInOrder(calls.untold, node);
    return;
  }
  const key = usageKey(node.span);
  const known = calls.told.get(key);
  if (known === undefined) calls.told.set(key, [node]);
  else insertInOrder(known, node);
  calls.inputTokens += node.span.inputTokens ?? 0;
  calls.outputTokens += node.span.outputTokens ?? 0;
}

function release(node: Node, calls: Calls): void {
  calls.count--;
  if (!isTold(node.span)) {
    calls.untold.splice(calls.untold.indexOf(node), 1);
    return;
  }
  const key = usageKey(node.span);
  const rest = (calls.told.get(key) ?? []).filter((other) => other !== node);
  if (rest.length === 0) calls.told.delete(key);
  else calls.told.set(key, rest);
  calls.inputTokens -= node.span.inputTokens ?? 0;
  calls.outputTokens -= node.span.outputTokens ?? 0;
}

/** The smaller goes into the larger: every call moves at most log n times. */
function joined(a: Calls, b: Calls): Calls {
  const [into, from] = a.count >= b.count ? [a, b] : [b, a];
  for (const [key, nodes] of from.told) {
    const known = into.told.get(key);
    if (known === undefined) into.told.set(key, nodes);
    else for (const node of nodes) insertInOrder(known, node);
  }
  for (const node of from.untold) insertInOrder(into.untold, node);
  into.count += from.count;
  into.inputTokens += from.inputTokens;
  into.outputTokens += from.outputTokens;
  return into;
}

/** The earliest of the told calls that is wanted; none once there were too many to compare. */
function firstTold(calls: Calls, work?: Work, isWanted: (span: BillingSpan) => boolean = () => true): Node | undefined {
  let first: Node | undefined;
  for (const nodes of calls.told.values()) {
    const own = nodes.find(({ span }) => (work === undefined || isLeft(work)) && isWanted(span));
    if (own !== undefined && (first === undefined || inOrder(own.span, first.span) < 0)) first = own;
  }
  return first;
}

function firstCalled(calls: Calls, prefix: string, work: Work): Node | undefined {
  const told = firstTold(calls, work, ({ name }) => name.startsWith(prefix));
  const untold = calls.untold.find(({ span }) => isLeft(work) && span.name.startsWith(prefix));
  if (told === undefined || untold === undefined) return told ?? untold;
  return inOrder(told.span, untold.span) < 0 ? told : untold;
}

function firstOfModel(calls: Calls, model: string | null, work: Work): Node | undefined {
  return firstTold(calls, work, (span) => isSameModel(span.model, model));
}

const MAKER_PREFIX =
  /^(?:.*\/)?(?:(?:[a-z]{2,6}(?:-gov)?\.)?(?:anthropic|amazon|meta|mistral|cohere|ai21|deepseek|openai)\.)?/;
/** What a more exact name of the same model adds: a date, a version, `latest`. */
const EDITION = /^[-@:.](?:latest|preview|v?\d[\w.:-]*)$/;

/** Whether two names can mean one model: `gpt-4o` and `openai/gpt-4o-2024-08-06` do, `gpt-4o` and `gpt-4o-mini` do not. */
export function isSameModel(a: string | null, b: string | null): boolean {
  if (a === null || b === null || a === b) return true;
  if (a.length > MAX_MODEL_LENGTH || b.length > MAX_MODEL_LENGTH) return false;
  const [one, other] = [a, b].map((name) => name.trim().toLowerCase().replace(MAKER_PREFIX, '')) as [string, string];
  if (one === other) return true;
  const [short, long] = one.length < other.length ? [one, other] : [other, one];
  return short !== '' && long.startsWith(short) && EDITION.test(long.slice(short.length));
}

/** Each repetition points to a span that is billed, not to another repetition. */
function settled(found: Map<bigint, NotBilled>): Map<bigint, NotBilled> {
  for (const [spanId, { reason }] of found) {
    const seen = new Set([spanId]);
    let by = found.get(spanId)?.by as bigint;
    for (let next = found.get(by); next !== undefined && !seen.has(by); next = found.get(by)) {
      seen.add(by);
      by = next.by;
    }
    found.set(spanId, { by, reason });
  }
  return found;
}
