// Recorded requests of unmodified emitters in which one call lies in two traces.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { decodeTracesProtobuf } from '@lumatrace/telemetry';
import { recorded, type Recorded } from './record.ts';
import { leaveOutSelfTraced } from './self-traced.ts';

const EMITTERS = new URL('../../../../fixtures/otlp/emitters/', import.meta.url);

function recordsOf(fixture: string): Recorded[] {
  const { spans } = decodeTracesProtobuf(readFileSync(new URL(fixture, EMITTERS)));
  return spans.map((span) => recorded(span, 0n, 7));
}

for (const emitter of ['python-openllmetry-0.62.4', 'python-openinference-langchain-0.1.80']) {
  test(`a call of ${emitter} that lies in two traces is billed in the one of the instrumentation`, () => {
    const records = recordsOf(`${emitter}/anthropic-plain.pb`);
    assert.equal(new Set(records.map(({ row }) => row.traceId)).size, 2);
    leaveOutSelfTraced(records);
    const billed = records.filter(({ row }) => row.billable);
    assert.equal(billed.length, 1);
    assert.doesNotMatch(billed[0]!.span.context.scopeName, /anthropic\.sdk/);
    const left = records.find(({ row }) => !row.billable)!;
    assert.match(left.span.issues.at(-1)!, new RegExp(billed[0]!.row.traceId));
  });
}

test('a client that traces itself alone is billed, and so is one inside the trace of its call', () => {
  const all = recordsOf('python-openllmetry-0.62.4/anthropic-plain.pb');
  const alone = all.filter(({ span }) => span.context.scopeName.includes('anthropic.sdk'));
  leaveOutSelfTraced(alone);
  assert.ok(alone.every(({ row }) => row.billable));
  const together = recordsOf('python-openllmetry-0.62.4/anthropic-tools.pb');
  const before = together.filter(({ row }) => row.billable).length;
  leaveOutSelfTraced(together);
  assert.equal(together.filter(({ row }) => row.billable).length, before);
});
