// Watches a result without touching it: the caller gets the very object back, promises settle once, iterators are consumed
// by whoever consumes them, lazy thenables stay lazy.
import { context, type Context } from '@opentelemetry/api';

export interface Watch {
  /** Where the pieces of a generator run. */
  context: Context;
  /** One piece of a stream. */
  onItem(item: unknown): void;
  /** The value, when it is no stream. */
  onValue(value: unknown): void;
  onError(error: unknown): void;
  /** A stream is over; `isComplete` false: its consumer left early. */
  onEnd(isComplete: boolean): void;
}

/** Calls `fn` and watches what comes of it. Throws and answers exactly what `fn` does. */
export function watchCall<T>(fn: () => T, watch: Watch): T {
  let result: T;
  try {
    result = context.with(watch.context, fn);
  } catch (error) {
    watch.onError(error);
    throw error;
  }
  watchResult(result, watch);
  return result;
}

/** Promises, streams and plain values, told apart by what they can do. */
export function watchResult(value: unknown, watch: Watch): void {
  try {
    if (isThenable(value)) watchThenable(value, watch);
    else watchSettled(value, watch);
  } catch {
    // a proxy or a getter of the user's that throws when it is looked at
    watch.onEnd(true);
  }
}

/** A value that came, or came out of a promise. */
function watchSettled(value: unknown, watch: Watch): void {
  try {
    if (!watchStream(value, watch)) watch.onValue(value);
  } catch {
    watch.onEnd(true);
  }
}

interface Thenable {
  then: (onValue?: (value: unknown) => unknown, onError?: (error: unknown) => unknown) => unknown;
}

/** `APIPromise` of the official clients: lazy, with the raw response beside the parsed one. */
export interface ApiPromise {
  responsePromise: Promise<unknown>;
  parseResponse: (...given: unknown[]) => Promise<unknown>;
  _thenUnwrap?: (transform: Transform) => ApiPromise;
  asResponse?: () => Promise<unknown>;
}

type Transform = (value: unknown, ...given: unknown[]) => unknown;

function isThenable(value: unknown): value is Thenable {
  return isObject(value) && typeof value['then'] === 'function';
}

export function isApiPromise(value: unknown): value is ApiPromise {
  return isObject(value) && value['responsePromise'] instanceof Promise && typeof value['parseResponse'] === 'function';
}

function watchThenable(value: Thenable, watch: Watch): void {
  if (isApiPromise(value)) return watchApiPromise(value, watch);
  if (value instanceof Promise && value.then === Promise.prototype.then) {
    value.then(
      (settled) => watchSettled(settled, watch),
      (error) => watch.onError(error),
    );
    return;
  }
  watchLazily(value, watch);
}

/** A query builder starts when somebody asks for its `then`: ours would start it a second time. */
function watchLazily(value: Thenable, watch: Watch): void {
  const original = value.then;
  let isTold = false;
  const once = (tell: () => void): void => {
    if (isTold) return;
    isTold = true;
    tell();
  };
  const then: Thenable['then'] = (onValue, onError) =>
    original.call(
      value,
      (settled) => {
        once(() => watchSettled(settled, watch));
        return onValue === undefined || onValue === null ? settled : onValue(settled);
      },
      (error) => {
        once(() => watch.onError(error));
        if (onError === undefined || onError === null) throw error;
        return onError(error);
      },
    );
  if (!define(value, 'then', then)) watch.onValue(undefined);
}

/** After so long a response that nobody parsed is taken as it came: its span ends without content. */
const UNPARSED_MS = 60_000;

/**
 * The body is read by the caller alone: when it parses, we see the value; when it takes the raw response, we see that
 * there was one. The rejection stays as unhandled as it was.
 */
export function watchApiPromise(promise: ApiPromise, watch: Watch): void {
  let isParsed = false;
  let isOver = false;
  const end = (): void => {
    if (isParsed || isOver) return;
    isOver = true;
    watch.onValue(undefined);
  };
  const parse = promise.parseResponse;
  promise.parseResponse = async (...given) => {
    const isFirst = !isParsed && !isOver;
    isParsed = true;
    if (!isFirst) return parse.apply(promise, given);
    try {
      const value = await parse.apply(promise, given);
      watchSettled(value, watch);
      return value;
    } catch (error) {
      watch.onError(error);
      throw error;
    }
  };
  const unwrap = promise._thenUnwrap;
  if (unwrap !== undefined) {
    // parse() and the stream helpers of the clients go this way, in some versions past our parseResponse
    promise._thenUnwrap = (transform) => {
      const derived = unwrap.call(promise, (value, ...given) => {
        const isFirst = !isParsed && !isOver;
        isParsed = true;
        if (isFirst) watchSettled(value, watch);
        return transform(value, ...given);
      });
      tellFailure(derived, watch);
      // the derived promise may stand on the original response, and then nobody hears of ours
      promise.responsePromise.catch(() => undefined);
      return derived;
    };
  }
  promise.responsePromise = promise.responsePromise.then(
    (response) => {
      setTimeout(end, UNPARSED_MS).unref();
      return response;
    },
    (error: unknown) => {
      isOver = true;
      watch.onError(error);
      throw error;
    },
  );
  const asResponse = promise.asResponse;
  if (asResponse === undefined) return;
  promise.asResponse = () => {
    const response = asResponse.call(promise);
    void response.then(
      () => setImmediate(end),
      () => undefined,
    );
    return response;
  };
}

/** Hears of a parse that fails behind `_thenUnwrap`; a failure that was told before is told once. */
function tellFailure(derived: ApiPromise, watch: Watch): void {
  const parse = derived.parseResponse;
  derived.parseResponse = async (...given) => {
    try {
      return await parse.apply(derived, given);
    } catch (error) {
      watch.onError(error);
      throw error;
    }
  };
}

interface Iterating {
  next: (...given: unknown[]) => unknown;
  return?: (value?: unknown) => unknown;
  throw?: (error?: unknown) => unknown;
}

/** Watches streams and generators in place; false when the value is neither. */
function watchStream(value: unknown, watch: Watch): boolean {
  if (!isObject(value)) return false;
  if (isNodeStream(value)) {
    value.once('close', () => (value.errored ? watch.onError(value.errored) : watch.onEnd(true)));
    return true;
  }
  // Stream of the official clients: tee() and toReadableStream() read from `iterator` too
  if (typeof value['iterator'] === 'function' && isAsyncIterable(value)) {
    const begin = value['iterator'] as () => unknown;
    const signal = (value['controller'] as AbortController | undefined)?.signal;
    signal?.addEventListener('abort', () => watch.onEnd(false), { once: true });
    return define(value, 'iterator', () => watchIterator(begin.call(value) as Iterating, watch));
  }
  if (isGenerator(value)) {
    watchIterator(value, watch);
    return true;
  }
  if (!isAsyncIterable(value) || isWebStream(value)) return false;
  const begin = value[Symbol.asyncIterator];
  return define(value, Symbol.asyncIterator, () => watchIterator(begin.call(value) as Iterating, watch));
}

/** Replaces the three methods on the iterator itself; each piece runs in the watch's context. */
function watchIterator<I extends Iterating>(iterator: I, watch: Watch): I {
  const bound = (method: ((...given: unknown[]) => unknown) | undefined, isLeaving: boolean) =>
    method &&
    ((...given: unknown[]): unknown => {
      let step: unknown;
      try {
        step = context.with(watch.context, () => method.apply(iterator, given));
      } catch (error) {
        watch.onError(error);
        throw error;
      }
      if (step instanceof Promise) {
        return step.then(
          (result) => seen(result, isLeaving, watch),
          (error: unknown) => {
            watch.onError(error);
            throw error;
          },
        );
      }
      return seen(step, isLeaving, watch);
    });
  define(iterator, 'next', bound(iterator.next, false));
  if (iterator.return !== undefined) define(iterator, 'return', bound(iterator.return, true));
  if (iterator.throw !== undefined) define(iterator, 'throw', bound(iterator.throw, true));
  return iterator;
}

function seen(result: unknown, isLeaving: boolean, watch: Watch): unknown {
  const { done, value } = result as IteratorResult<unknown>;
  if (done === true || isLeaving) watch.onEnd(!isLeaving);
  else watch.onItem(value);
  return result;
}

function define(target: object, key: PropertyKey, value: unknown): boolean {
  return Reflect.defineProperty(target, key, { value, writable: true, configurable: true, enumerable: false });
}

type Fields = Record<PropertyKey, unknown>;

function isObject(value: unknown): value is Fields {
  return (typeof value === 'object' && value !== null) || typeof value === 'function';
}

function isAsyncIterable(value: Fields): value is Fields & { [Symbol.asyncIterator]: () => unknown } {
  return typeof value[Symbol.asyncIterator] === 'function';
}

function isGenerator(value: Fields): value is Fields & Iterating {
  const isIterable = isAsyncIterable(value) || typeof value[Symbol.iterator] === 'function';
  return isIterable && typeof value['next'] === 'function';
}

interface NodeStream {
  once(event: 'close', listener: () => void): unknown;
  errored?: Error | null;
}

function isNodeStream(value: unknown): value is NodeStream {
  return isObject(value) && typeof value['pipe'] === 'function' && typeof value['once'] === 'function';
}

function isWebStream(value: Fields): boolean {
  return typeof value['getReader'] === 'function';
}
