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
 * `same_usage`: a span inside it (or around it, with more detail) reports the same tokens.
 * `sum_of_calls`: its tokens are the sum of the calls inside it.
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

interface Node {
  readonly span: BillingSpan;
  readonly children: Node[];
  /** Position before and after the subtree in a walk of the tree: containment tells ancestors in one comparison. */
  enter: number;
  leave: number;
  depth: number;
}

/** The calls of a subtree that are billed so far. */
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
    group.sort(byMerit);
    const billed: Node[] = [];
    for (const node of group) {
      const other = billed.find((candidate) => isSameMoment(candidate, node));
      if (other === undefined) billed.push(node);
      else found.set(node.span.spanId, { by: other.span.spanId, reason: 'same_response' });
    }
  }
}

/** A stand-in that gives every answer one id must not make all calls one: they follow each other and differ. */
function isSameMoment(a: Node, b: Node): boolean {
  if (contains(a, b) || contains(b, a)) return true;
  if (a.span.startNs < b.span.endNs && b.span.startNs < a.span.endNs) return true;
  return isTold(a.span) && isTold(b.span) && usageKey(a.span) === usageKey(b.span);
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
  for (const node of nodes) {
    const calls = node.children.reduce<Calls | undefined>((sum, child) => {
      const own = callsOf.get(child);
      callsOf.delete(child);
      return own === undefined ? sum : sum === undefined ? own : joined(sum, own);
    }, undefined);
    const isOpen = node.span.isCall && !found.has(node.span.spanId);
    const judged = calls ?? { told: new Map(), untold: [], count: 0, inputTokens: 0, outputTokens: 0 };
    if (isOpen) judge(node, judged, found);
    if (judged.count > 0) callsOf.set(node, judged);
  }
}

/** Decides about a call around `calls` and takes it into them, or leaves it out. */
function judge(node: Node, calls: Calls, found: Map<bigint, NotBilled>): void {
  const { span } = node;
  const leaveOut = (by: Node, reason: NotBilledReason): void => {
    found.set(span.spanId, { by: by.span.spanId, reason });
  };
  if (calls.count === 0) return take(node, calls);
  const inner = OUTER_NAMES.test(span.name) ? firstCalled(calls, `${span.name}.do`) : undefined;
  if (inner !== undefined) return leaveOut(inner, 'wrapper');
  if (!isTold(span)) {
    const teller = firstOfModel(calls, span.model);
    return teller === undefined ? take(node, calls) : leaveOut(teller, 'told_inside');
  }
  const same = calls.told.get(usageKey(span))?.[0];
  if (same !== undefined && hasTokens(span)) {
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
  if (isSum) return leaveOut(firstTold(calls), 'sum_of_calls');
  if (calls.told.size === 0) {
    for (const silent of calls.untold.filter((other) => isSameModel(other.span.model, span.model))) {
      found.set(silent.span.spanId, { by: span.spanId, reason: 'told_outside' });
      release(silent, calls);
    }
  }
  take(node, calls);
}

function hasTokens({ inputTokens, outputTokens }: BillingSpan): boolean {
  return (inputTokens ?? 0) + (outputTokens ?? 0) > 0;
}

function take(node: Node, calls: Calls): void {
  calls.count++;
  if (!isTold(node.span)) {
    calls.untold.push(node);
    return;
  }
  const key = usageKey(node.span);
  const known = calls.told.get(key);
  if (known === undefined) calls.told.set(key, [node]);
  else known.push(node);
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
    const all = [...(into.told.get(key) ?? []), ...nodes];
    into.told.set(
      key,
      all.sort((one, other) => inOrder(one.span, other.span)),
    );
  }
  into.untold.push(...from.untold);
  into.untold.sort((one, other) => inOrder(one.span, other.span));
  into.count += from.count;
  into.inputTokens += from.inputTokens;
  into.outputTokens += from.outputTokens;
  return into;
}

function firstOf(nodes: Iterable<Node>): Node | undefined {
  let first: Node | undefined;
  for (const node of nodes) if (first === undefined || inOrder(node.span, first.span) < 0) first = node;
  return first;
}

function firstTold(calls: Calls): Node {
  return firstOf([...calls.told.values()].flat()) as Node;
}

function firstCalled(calls: Calls, prefix: string): Node | undefined {
  const all = [...[...calls.told.values()].flat(), ...calls.untold];
  return firstOf(all.filter(({ span }) => span.name.startsWith(prefix)));
}

function firstOfModel(calls: Calls, model: string | null): Node | undefined {
  return firstOf([...calls.told.values()].flat().filter(({ span }) => isSameModel(span.model, model)));
}

const MAKER_PREFIX =
  /^(?:.*\/)?(?:(?:[a-z]{2,6}(?:-gov)?\.)?(?:anthropic|amazon|meta|mistral|cohere|ai21|deepseek|openai)\.)?/;
/** What a more exact name of the same model adds: a date, a version, `latest`. */
const EDITION = /^[-@:.](?:latest|preview|v?\d[\w.:-]*)$/;

/** Whether two names can mean one model: `gpt-4o` and `openai/gpt-4o-2024-08-06` do, `gpt-4o` and `gpt-4o-mini` do not. */
export function isSameModel(a: string | null, b: string | null): boolean {
  if (a === null || b === null) return true;
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
