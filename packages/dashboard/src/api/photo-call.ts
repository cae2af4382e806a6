// From a photo to the model call that made it, and from a trace to its photos.
import { queryOptions } from '@tanstack/react-query';
import { fetchJson } from './client.ts';
import type { Photo } from './photos.ts';
import type { Page } from './telemetry.ts';
import type { OutlineSpan } from './trace.ts';

/** More pictures than one trace makes; the list says when there are others. */
const MAX_PHOTOS = 100;

export function tracePhotosQuery(traceId: string) {
  return queryOptions({
    queryKey: ['trace', traceId, 'photos'],
    queryFn: ({ signal }) =>
      fetchJson<Page<Photo>>('/api/v1/photos', { query: { traceId, limit: MAX_PHOTOS }, signal }),
    staleTime: 30_000,
    // who may not read photos is refused again the second time
    retry: false,
  });
}

/** The span itself where it is billed, else the first billed one below it: a step around a call has no usage of its own. */
export function callBehind(spans: readonly OutlineSpan[], spanId: string | null): OutlineSpan | undefined {
  const named = spans.find(({ span_id }) => span_id === spanId);
  if (named === undefined || named.billable === true) return named;
  const children = Map.groupBy(spans, ({ parent_span_id }) => parent_span_id ?? '');
  const seen = new Set([named.span_id]);
  const waiting = [named];
  for (let span = waiting.shift(); span !== undefined; span = waiting.shift()) {
    if (span.billable === true) return span;
    for (const child of children.get(span.span_id) ?? []) {
      if (seen.has(child.span_id)) continue;
      seen.add(child.span_id);
      waiting.push(child);
    }
  }
  return named;
}
