// The waterfall without React: the outline of the API → rows in order, with bars as shares of the trace's time.
import { criticalPathOf, treeOf, type TraceNode, type TraceSpan, type TraceTree } from '@lumatrace/telemetry/trace.ts';
import type { OutlineSpan } from '../api/trace.ts';

/** A span as a row shows it. */
export interface ShownSpan {
  span_id: string;
  parent_span_id: string | null;
  name: string;
  service_name: string;
  operation: string | null;
  model: string | null;
  status: 'ok' | 'error' | 'unset';
  latency_ms: number;
  /** In and out. */
  tokens: number;
  billable: boolean;
  /** null = unpriced. */
  cost_usd: string | null;
}

interface PlacedSpan extends TraceSpan {
  item: ShownSpan;
}

/** A stretch of time as shares of the whole trace, 0…1. */
export interface Stretch {
  from: number;
  to: number;
}

export interface Row {
  span: ShownSpan;
  depth: number;
  childCount: number;
  /** Spans below it, all levels. */
  below: number;
  bar: Stretch;
  /** Where the whole trace waited for this very span. */
  critical: Stretch[];
  selfMs: number;
  /** From the start of the trace. */
  startMs: number;
  /** The parent it names was not sent. */
  orphan: boolean;
  /** Position of the parent's row, −1 for a root. */
  parent: number;
  kind: Kind;
}

export interface Waterfall {
  rows: Row[];
  lengthMs: number;
  /** Positions of rows with an error, in order. */
  errors: number[];
  missingParents: number;
  rowOf: ReadonlyMap<string, number>;
}

export type Kind = 'llm' | 'embedding' | 'tool' | 'retrieval' | 'agent' | 'other';

/** `gen_ai.operation.name` → kind, as the conventions list them. */
const KINDS: ReadonlyMap<string, Kind> = new Map([
  ['chat', 'llm'],
  ['generate_content', 'llm'],
  ['text_completion', 'llm'],
  ['embeddings', 'embedding'],
  ['retrieval', 'retrieval'],
  ['execute_tool', 'tool'],
  ['create_agent', 'agent'],
  ['invoke_agent', 'agent'],
  ['invoke_workflow', 'agent'],
  ['plan', 'agent'],
]);

export function kindOf({ operation, model }: Pick<ShownSpan, 'operation' | 'model'>): Kind {
  return KINDS.get(operation ?? '') ?? (model === null ? 'other' : 'llm');
}

function placed(span: OutlineSpan): PlacedSpan {
  const startNs = BigInt(span.start_ns);
  const endNs = BigInt(span.end_ns);
  const item: ShownSpan = {
    span_id: span.span_id,
    parent_span_id: span.parent_span_id ?? null,
    name: span.name,
    service_name: span.service_name,
    operation: span.operation ?? null,
    model: span.model ?? null,
    status: span.status ?? 'unset',
    latency_ms: Number(endNs - startNs) / 1e6,
    tokens: (span.prompt_tokens ?? 0) + (span.completion_tokens ?? 0),
    billable: span.billable ?? false,
    cost_usd: span.cost_usd ?? null,
  };
  return { item, spanId: span.span_id, parentSpanId: span.parent_span_id, startNs, endNs };
}

/** All rows of a trace, every branch open. 10,000 spans take some ten milliseconds. */
export function waterfallOf(spans: readonly OutlineSpan[]): Waterfall {
  const tree = treeOf(spans.map(placed));
  const critical = criticalSections(tree);
  const lengthNs = Number(tree.endNs - tree.startNs);
  const share = (ns: bigint): number => (lengthNs === 0 ? 0 : Number(ns - tree.startNs) / lengthNs);
  const positions = new Map(tree.nodes.map((node, at) => [node, at]));
  const rows = tree.nodes.map((node): Row => ({
    span: node.span.item,
    depth: node.depth,
    childCount: node.children.length,
    below: 0,
    bar: { from: share(node.span.startNs), to: lengthNs === 0 ? 1 : share(node.span.endNs) },
    critical: (critical.get(node.span.spanId) ?? []).map(({ startNs, endNs }) => ({
      from: share(startNs),
      to: share(endNs),
    })),
    selfMs: Number(node.selfNs) / 1e6,
    startMs: Number(node.span.startNs - tree.startNs) / 1e6,
    orphan: node.orphan,
    parent: node.parent === undefined ? -1 : (positions.get(node.parent) ?? -1),
    kind: kindOf(node.span.item),
  }));
  countBelow(rows);
  return {
    rows,
    lengthMs: lengthNs / 1e6,
    errors: rows.flatMap(({ span }, at) => (span.status === 'error' ? [at] : [])),
    missingParents: tree.missingParents.length,
    rowOf: new Map(rows.map(({ span }, at) => [span.span_id, at])),
  };
}

type Sections = Map<string, { startNs: bigint; endNs: bigint }[]>;

// the longest root is what the reader waits for: background roots that merely overlap are not marked
function criticalSections(tree: TraceTree<PlacedSpan>): Sections {
  const sections: Sections = new Map();
  const longest = tree.roots.reduce<TraceNode<PlacedSpan> | undefined>(
    (best, root) => (best === undefined || lengthOf(root) > lengthOf(best) ? root : best),
    undefined,
  );
  if (longest === undefined) return sections;
  for (const { span, startNs, endNs } of criticalPathOf(longest)) {
    const known = sections.get(span.spanId);
    if (known === undefined) sections.set(span.spanId, [{ startNs, endNs }]);
    else known.push({ startNs, endNs });
  }
  return sections;
}

function lengthOf({ span }: TraceNode<PlacedSpan>): bigint {
  return span.endNs - span.startNs;
}

// children stand after their parents, so one pass from the end adds each subtree to its parent
function countBelow(rows: Row[]): void {
  for (let at = rows.length - 1; at >= 0; at--) {
    const row = rows[at];
    const parent = row && rows[row.parent];
    if (row && parent) parent.below += row.below + 1;
  }
}

/** Positions of the rows that are seen when these spans are folded. */
export function visibleRows(rows: readonly Row[], folded: ReadonlySet<string>): number[] {
  const visible: number[] = [];
  for (let at = 0; at < rows.length; at++) {
    const row = rows[at];
    if (row === undefined) continue;
    visible.push(at);
    if (folded.has(row.span.span_id)) at += row.below;
  }
  return visible;
}

/** The span ids above a row, so that they can be unfolded to show it. */
export function ancestorsOf(rows: readonly Row[], at: number): string[] {
  const ids: string[] = [];
  for (let row = rows[rows[at]?.parent ?? -1]; row !== undefined; row = rows[row.parent]) ids.push(row.span.span_id);
  return ids;
}

/** Round marks on a time axis, at most `most`: 1, 2 or 5 times a power of ten. */
export function axisTicks(lengthMs: number, most: number): number[] {
  if (!(lengthMs > 0) || most < 1) return [0];
  const raw = lengthMs / most;
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = power * ([1, 2, 5, 10].find((factor) => factor * power >= raw) ?? 10);
  return Array.from({ length: Math.floor(lengthMs / step) + 1 }, (_, index) => Number((index * step).toPrecision(12)));
}
