// Trees, self time and critical path of literal traces, and of broken and very large ones.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { criticalPathOf, treeOf } from './trace.ts';
import type { TraceNode, TraceSpan } from './trace.ts';

function span(spanId: string, parentSpanId: string | undefined, startNs: number, endNs: number): TraceSpan {
  return { spanId, parentSpanId, startNs: BigInt(startNs), endNs: BigInt(endNs) };
}

function outline(nodes: readonly TraceNode<TraceSpan>[]): string[] {
  return nodes.map(({ span, depth }) => `${'-'.repeat(depth)}${span.spanId}`);
}

function pathOf(spans: TraceSpan[]): string[] {
  return criticalPathOf(treeOf(spans).roots[0]!).map(
    ({ span, startNs, endNs }) => `${span.spanId} ${startNs}-${endNs}`,
  );
}

test('children stand under their parents by start, whatever the order of arrival', () => {
  const { nodes, startNs, endNs } = treeOf([
    span('b', 'a', 5, 9),
    span('d', 'b', 6, 7),
    span('a', undefined, 0, 10),
    span('c', 'a', 2, 12),
  ]);
  assert.deepEqual(outline(nodes), ['a', '-c', '-b', '--d']);
  assert.equal(startNs, 0n);
  assert.equal(endNs, 12n);
});

test('a span whose parent is missing stands as a root after the real ones', () => {
  const { roots, missingParents } = treeOf([
    span('x', 'gone', 0, 1),
    span('y', 'gone', 2, 3),
    span('a', undefined, 5, 6),
  ]);
  assert.deepEqual(
    roots.map(({ span, orphan }) => [span.spanId, orphan]),
    [
      ['a', false],
      ['x', true],
      ['y', true],
    ],
  );
  assert.deepEqual(missingParents, ['gone']);
});

test('a circle of parents is cut at its earliest span and nothing is lost', () => {
  const { nodes } = treeOf([span('a', 'c', 3, 9), span('b', 'a', 1, 9), span('c', 'b', 2, 9), span('leaf', 'c', 4, 5)]);
  assert.deepEqual(outline(nodes), ['b', '-c', '--a', '--leaf']);
  assert.deepEqual(outline(treeOf([span('self', 'self', 0, 1)]).nodes), ['self']);
});

test('of spans with the same id the later one counts', () => {
  const { nodes, duplicates } = treeOf([span('a', undefined, 0, 1), span('a', undefined, 0, 7)]);
  assert.equal(duplicates, 1);
  assert.equal(nodes.length, 1);
  assert.equal(nodes[0]!.span.endNs, 7n);
});

test('an empty trace is an empty tree', () => {
  assert.deepEqual(treeOf([]), { roots: [], nodes: [], startNs: 0n, endNs: 0n, missingParents: [], duplicates: 0 });
});

test('self time is what no child covers, overlaps counted once and clipped to the parent', () => {
  const { nodes } = treeOf([
    span('a', undefined, 0, 100),
    span('b', 'a', 10, 40),
    span('c', 'a', 30, 60),
    span('d', 'a', 35, 38),
    span('e', 'a', 90, 150),
    span('f', 'a', -20, 5),
  ]);
  // children cover 0-5, 10-60 and 90-100
  assert.equal(nodes[0]!.selfNs, 35n);
});

test('ten thousand spans, flat or as one chain, are arranged without recursion', () => {
  const chain = Array.from({ length: 10_000 }, (_, i) => span(`${i}`, i === 0 ? undefined : `${i - 1}`, i, 20_000 - i));
  const { nodes, roots } = treeOf(chain);
  assert.equal(nodes.at(-1)!.depth, 9_999);
  assert.equal(criticalPathOf(roots[0]!).length, 19_999);
  const flat = Array.from({ length: 10_000 }, (_, i) => span(`${i}`, i === 0 ? undefined : '0', i, i + 1));
  assert.equal(treeOf(flat).roots[0]!.children.length, 9_999);
});

test('the critical path follows the child that ended last, back to the start', () => {
  assert.deepEqual(
    pathOf([span('a', undefined, 0, 100), span('b', 'a', 10, 50), span('c', 'a', 20, 80), span('d', 'c', 30, 70)]),
    ['a 0-20', 'c 20-30', 'd 30-70', 'c 70-80', 'a 80-100'],
  );
  assert.deepEqual(pathOf([span('a', undefined, 0, 100), span('b', 'a', 10, 40), span('c', 'a', 50, 90)]), [
    'a 0-10',
    'b 10-40',
    'a 40-50',
    'c 50-90',
    'a 90-100',
  ]);
});

test('a child that runs beyond its parent counts until the parent ends', () => {
  assert.deepEqual(pathOf([span('a', undefined, 0, 100), span('b', 'a', 60, 500), span('c', 'b', 80, 400)]), [
    'a 0-60',
    'b 60-80',
    'c 80-100',
  ]);
});

test('for any spans nothing is lost and the path fills its root exactly', () => {
  const arbitrary = fc.array(
    fc.record({ parent: fc.integer({ min: -2, max: 30 }), start: fc.nat(100), length: fc.nat(100) }),
    { minLength: 1, maxLength: 30 },
  );
  fc.assert(
    fc.property(arbitrary, (specs) => {
      const spans = specs.map(({ parent, start, length }, i) =>
        span(`${i}`, parent < 0 ? undefined : `${parent}`, start, start + length),
      );
      const { nodes, roots } = treeOf(spans);
      assert.equal(nodes.length, spans.length);
      for (const { selfNs } of nodes) assert.ok(selfNs >= 0n);
      for (const root of roots) {
        const path = criticalPathOf(root);
        let at = root.span.startNs;
        for (const section of path) {
          assert.equal(section.startNs, at);
          assert.ok(section.endNs > section.startNs);
          at = section.endNs;
        }
        assert.equal(at, root.span.endNs);
      }
    }),
    { numRuns: 500 },
  );
});
