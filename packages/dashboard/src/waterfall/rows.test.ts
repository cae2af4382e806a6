// The waterfall's rows on hand-made traces whose shape is known.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { OutlineSpan } from '../api/trace.ts';
import { ancestorsOf, axisTicks, kindOf, visibleRows, waterfallOf } from './rows.ts';

const EPOCH_NS = 1_700_000_000_000_000_000n;

function span(
  id: string,
  parent: string | null,
  startMs: number,
  endMs: number,
  more: Partial<OutlineSpan> = {},
): OutlineSpan {
  return {
    span_id: id,
    ...(parent === null ? {} : { parent_span_id: parent }),
    name: id,
    service_name: 's',
    start_ns: String(EPOCH_NS + BigInt(startMs * 1_000_000)),
    end_ns: String(EPOCH_NS + BigInt(endMs * 1_000_000)),
    ...more,
  };
}

const TRACE = [
  span('child-b', 'root', 60, 100, { status: 'error' }),
  span('root', null, 0, 100),
  span('child-a', 'root', 0, 50),
  span('leaf', 'child-a', 10, 30),
  span('lost', 'never-sent', 20, 40),
];

test('rows stand depth first, children by start, spans without a sent parent at the end', () => {
  const { rows, missingParents } = waterfallOf(TRACE);
  assert.deepEqual(
    rows.map(({ span: { span_id }, depth, below }) => [span_id, depth, below]),
    [
      ['root', 0, 3],
      ['child-a', 1, 1],
      ['leaf', 2, 0],
      ['child-b', 1, 0],
      ['lost', 0, 0],
    ],
  );
  assert.equal(rows[4]?.orphan, true);
  assert.equal(missingParents, 1);
});

test('bars are shares of the trace, self time leaves out the children, errors are found', () => {
  const { rows, lengthMs, errors } = waterfallOf(TRACE);
  assert.equal(lengthMs, 100);
  assert.deepEqual(rows[3]?.bar, { from: 0.6, to: 1 });
  assert.equal(rows[0]?.selfMs, 10);
  assert.equal(rows[1]?.selfMs, 30);
  assert.deepEqual(errors, [3]);
});

test('the critical path is marked on the spans that were waited for and covers the root once', () => {
  const { rows } = waterfallOf(TRACE);
  const lengthOf = (at: number): number => (rows[at]?.critical ?? []).reduce((sum, { from, to }) => sum + to - from, 0);
  assert.deepEqual(rows[3]?.critical, [{ from: 0.6, to: 1 }]);
  assert.ok(Math.abs([0, 1, 2, 3].reduce((sum, at) => sum + lengthOf(at), 0) - 1) < 1e-9);
  assert.deepEqual(rows[4]?.critical, []);
});

test('a folded span hides all below it and nothing else', () => {
  const { rows } = waterfallOf(TRACE);
  const names = (folded: string[]): (string | undefined)[] =>
    visibleRows(rows, new Set(folded)).map((at) => rows[at]?.span.span_id);
  assert.deepEqual(names(['child-a']), ['root', 'child-a', 'child-b', 'lost']);
  assert.deepEqual(names(['root']), ['root', 'lost']);
  assert.deepEqual(ancestorsOf(rows, 2), ['child-a', 'root']);
});

test('an empty trace, one without length and a chain of 10,000 spans are drawn', () => {
  assert.deepEqual(waterfallOf([]).rows, []);
  assert.deepEqual(waterfallOf([span('a', null, 5, 5)]).rows[0]?.bar, { from: 0, to: 1 });
  const chain = Array.from({ length: 10_000 }, (_, at) => span(`s${at}`, at === 0 ? null : `s${at - 1}`, at, 10_000));
  const { rows } = waterfallOf(chain);
  assert.equal(rows[0]?.below, 9_999);
  assert.equal(visibleRows(rows, new Set(['s5'])).length, 6);
});

test('the kind comes from the operation, else from whether a model was asked', () => {
  assert.equal(kindOf({ operation: 'execute_tool', model: null }), 'tool');
  assert.equal(kindOf({ operation: 'embeddings', model: 'text-embedding-3-small' }), 'embedding');
  assert.equal(kindOf({ operation: null, model: 'gpt-4o' }), 'llm');
  assert.equal(kindOf({ operation: null, model: null }), 'other');
});

test('axis marks are round and few', () => {
  assert.deepEqual(axisTicks(100, 5), [0, 20, 40, 60, 80, 100]);
  assert.deepEqual(axisTicks(1_234, 4), [0, 500, 1_000]);
  assert.deepEqual(axisTicks(0, 5), [0]);
});
