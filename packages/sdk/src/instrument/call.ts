// Tells a span around a call that the call inside has a span of its own: usage and cost are told by one of them.
import { createContextKey, type Context } from '@opentelemetry/api';

export interface CallMark {
  isSeen: boolean;
  outer: CallMark | undefined;
}

const MARK = createContextKey('lumatrace call');

export function newCall(): CallMark {
  return { isSeen: false, outer: undefined };
}

export function withCallMark(inside: Context, mark: CallMark): Context {
  mark.outer = inside.getValue(MARK) as CallMark | undefined;
  return inside.setValue(MARK, mark);
}

export function sawInstrumentedCall(mark: CallMark): boolean {
  return mark.isSeen;
}

/** An instrumented client calls a model here: every span around it that waits for a call hears of it. */
export function markCall(inside: Context): void {
  for (let mark = inside.getValue(MARK) as CallMark | undefined; mark !== undefined; mark = mark.outer)
    mark.isSeen = true;
}
