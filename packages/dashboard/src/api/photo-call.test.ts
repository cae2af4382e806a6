// Which span is shown as the model call behind a photo.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { callBehind } from './photo-call.ts';
import type { OutlineSpan } from './trace.ts';

const span = (span_id: string, more: Partial<OutlineSpan> = {}): OutlineSpan => ({
  span_id,
  name: span_id,
  service_name: 's',
  start_ns: '0',
  end_ns: '1',
  ...more,
});
const SPANS = [
  span('root'),
  span('step', { parent_span_id: 'root', model: 'm' }),
  span('inner', { parent_span_id: 'step' }),
  span('call', { parent_span_id: 'inner', model: 'm', billable: true }),
  span('other', { parent_span_id: 'root', model: 'n', billable: true }),
];

test('a span that is billed is the call itself', () => {
  assert.equal(callBehind(SPANS, 'other')?.span_id, 'other');
});

test('a step around the call gives the billed call below it, and none beside it', () => {
  assert.equal(callBehind(SPANS, 'step')?.span_id, 'call');
});

test('a step without a billed call is shown itself; a span that did not come is none', () => {
  assert.equal(callBehind([span('root'), span('alone', { parent_span_id: 'root' })], 'alone')?.span_id, 'alone');
  assert.equal(callBehind(SPANS, 'never sent'), undefined);
  assert.equal(callBehind(SPANS, null), undefined);
});

test('spans that name each other as parents end the search', () => {
  const circle = [span('a', { parent_span_id: 'b' }), span('b', { parent_span_id: 'a' })];
  assert.equal(callBehind(circle, 'a')?.span_id, 'a');
});
