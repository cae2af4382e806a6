// One trace from its spans: the tree, time spent by each span itself, and the chain of spans that made the trace as long as it is.

/** What the tree needs of a span; every {@link Span} fits, and so does a row of a store. */
export interface TraceSpan {
  readonly spanId: string;
  readonly parentSpanId?: string | undefined;
  readonly startNs: bigint;
  readonly endNs: bigint;
}

/** One span in its place. Children are ordered by start, then by id. */
export interface TraceNode<S extends TraceSpan> {
  readonly span: S;
  parent: TraceNode<S> | undefined;
  readonly children: TraceNode<S>[];
  /** Distance from its root. */
  depth: number;
  /** Time in which none of its children ran. */
  selfNs: bigint;
  /** Its parent is named but not here, or naming it would close a circle: it stands as a root. */
  orphan: boolean;
}

export interface TraceTree<S extends TraceSpan> {
  /** Spans without a parent first, then orphans; each by start. */
  readonly roots: readonly TraceNode<S>[];
  /** All nodes, depth first, as a waterfall lists them. */
  readonly nodes: readonly TraceNode<S>[];
  readonly startNs: bigint;
  /** The last end of all spans. */
  readonly endNs: bigint;
  /** Parents that are named but missing, each once. */
  readonly missingParents: readonly string[];
  /** Spans left out because a later one of the list has the same id. */
  readonly duplicates: number;
}

/**
 * Arranges the spans of one trace. Of spans with the same id the last of the list counts; a circle of parents is cut at its
 * earliest span; nothing recurses, so a chain of any length is fine.
 */
export function treeOf<S extends TraceSpan>(spans: readonly S[]): TraceTree<S> {
  const byId = new Map<string, TraceNode<S>>();
  for (const span of spans) {
    byId.set(span.spanId, { span, parent: undefined, children: [], depth: 0, selfNs: 0n, orphan: false });
  }
  const sorted = [...byId.values()].sort(byStart);
  const missing = new Set<string>();
  for (const node of sorted) linkToParent(node, byId, missing);
  cutCircles(sorted);
  for (const node of sorted) node.parent?.children.push(node);
  const roots = sorted.filter(({ parent }) => parent === undefined).sort(rootsFirst);
  const nodes = depthFirst(roots);
  for (const node of nodes) node.selfNs = selfTimeOf(node);
  return {
    roots,
    nodes,
    startNs: sorted[0]?.span.startNs ?? 0n,
    endNs: nodes.reduce((end, { span }) => (span.endNs > end ? span.endNs : end), 0n),
    missingParents: [...missing],
    duplicates: spans.length - byId.size,
  };
}

function byStart<S extends TraceSpan>(a: TraceNode<S>, b: TraceNode<S>): number {
  if (a.span.startNs !== b.span.startNs) return a.span.startNs < b.span.startNs ? -1 : 1;
  return a.span.spanId < b.span.spanId ? -1 : 1;
}

function rootsFirst<S extends TraceSpan>(a: TraceNode<S>, b: TraceNode<S>): number {
  return Number(a.orphan) - Number(b.orphan) || byStart(a, b);
}

function linkToParent<S extends TraceSpan>(
  node: TraceNode<S>,
  byId: Map<string, TraceNode<S>>,
  missing: Set<string>,
): void {
  const parentId = node.span.parentSpanId;
  if (parentId === undefined || parentId === '') return;
  node.parent = byId.get(parentId);
  if (node.parent !== undefined) return;
  node.orphan = true;
  missing.add(parentId);
}

/** Walks up from every span once; where a walk meets itself, the earliest span of that circle becomes a root. */
function cutCircles<S extends TraceSpan>(sorted: readonly TraceNode<S>[]): void {
  const walkOf = new Map<TraceNode<S>, number>();
  for (const [walk, start] of sorted.entries()) {
    let node: TraceNode<S> | undefined = start;
    while (node !== undefined && !walkOf.has(node)) {
      walkOf.set(node, walk);
      node = node.parent;
    }
    if (node !== undefined && walkOf.get(node) === walk) cutAt(earliestOfCircle(node));
  }
}

function cutAt<S extends TraceSpan>(node: TraceNode<S>): void {
  node.parent = undefined;
  node.orphan = true;
}

function earliestOfCircle<S extends TraceSpan>(start: TraceNode<S>): TraceNode<S> {
  let earliest = start;
  for (let node = start.parent; node !== undefined && node !== start; node = node.parent) {
    if (byStart(node, earliest) < 0) earliest = node;
  }
  return earliest;
}

function depthFirst<S extends TraceSpan>(roots: readonly TraceNode<S>[]): TraceNode<S>[] {
  const nodes: TraceNode<S>[] = [];
  const stack = [...roots].reverse();
  for (let node = stack.pop(); node !== undefined; node = stack.pop()) {
    nodes.push(node);
    for (let i = node.children.length - 1; i >= 0; i--) {
      const child = node.children[i]!;
      child.depth = node.depth + 1;
      stack.push(child);
    }
  }
  return nodes;
}

/** The span's duration without the union of its children's times inside it. */
function selfTimeOf<S extends TraceSpan>({ span, children }: TraceNode<S>): bigint {
  let covered = 0n;
  let coveredUntil = span.startNs;
  // children come by start, so one sweep merges those that overlap
  for (const { span: child } of children) {
    const from = child.startNs > coveredUntil ? child.startNs : coveredUntil;
    const until = child.endNs < span.endNs ? child.endNs : span.endNs;
    if (until <= from) continue;
    covered += until - from;
    coveredUntil = until;
  }
  return span.endNs - span.startNs - covered;
}

/** A stretch of the critical path in which this span itself was what the trace waited for. */
export interface CriticalSection<S extends TraceSpan> {
  span: S;
  startNs: bigint;
  endNs: bigint;
}

/**
 * The critical path below one root, in the order of time: shorten any other stretch and the root ends no earlier. From the
 * end backwards, the child that ended last was waited for; before its start the next one counts. Children are clipped
 * to their parent (after Jaeger's critical path view, Eaton et al. 2022). Sections are disjoint and add up to the root's duration.
 */
export function criticalPathOf<S extends TraceSpan>(root: TraceNode<S>): CriticalSection<S>[] {
  const sections: CriticalSection<S>[] = [];
  const stack: Walk<S>[] = [walkInto(root, root.span.startNs, root.span.endNs)];
  for (let walk = stack.at(-1); walk !== undefined; walk = stack.at(-1)) {
    const child = nextChild(walk);
    const from = child === undefined ? walk.startNs : latest(walk.startNs, child.span.startNs);
    const until = child === undefined ? walk.startNs : earliest(walk.untilNs, child.span.endNs);
    if (walk.untilNs > until) sections.push({ span: walk.node.span, startNs: until, endNs: walk.untilNs });
    if (child === undefined) {
      stack.pop();
      continue;
    }
    walk.untilNs = from;
    stack.push(walkInto(child, from, until));
  }
  return sections.reverse();
}

interface Walk<S extends TraceSpan> {
  node: TraceNode<S>;
  startNs: bigint;
  /** Where the walk began: a child that runs beyond it is clipped. */
  limitNs: bigint;
  /** Everything after it is explained. */
  untilNs: bigint;
  /** Children, the last to end first. */
  byEnd: TraceNode<S>[];
  next: number;
}

function walkInto<S extends TraceSpan>(node: TraceNode<S>, startNs: bigint, untilNs: bigint): Walk<S> {
  const byEnd = [...node.children].sort((a, b) =>
    a.span.endNs === b.span.endNs ? 0 : a.span.endNs > b.span.endNs ? -1 : 1,
  );
  return { node, startNs, limitNs: untilNs, untilNs, byEnd, next: 0 };
}

/** The child that ended last before what is explained already; one that overlaps it ran beside the path. */
function nextChild<S extends TraceSpan>(walk: Walk<S>): TraceNode<S> | undefined {
  const { byEnd } = walk;
  while (walk.next < byEnd.length) {
    const child = byEnd[walk.next++]!;
    const { startNs, endNs } = child.span;
    const isWaitedFor = walk.untilNs === walk.limitNs || endNs <= walk.untilNs;
    if (isWaitedFor && startNs < walk.untilNs && endNs > walk.startNs) return child;
  }
  return undefined;
}

function latest(a: bigint, b: bigint): bigint {
  return a > b ? a : b;
}

function earliest(a: bigint, b: bigint): bigint {
  return a < b ? a : b;
}
