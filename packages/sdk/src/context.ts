// Who a call is for: session, user, tags and metadata travel in OpenTelemetry's context and are put on every span that
// starts inside, also on spans of the user's own instrumentations that pass our processor.
import { context, createContextKey, trace, type Context, type Span } from '@opentelemetry/api';

export interface Association {
  session_id?: string;
  user_id?: string;
  tags?: readonly string[];
  metadata?: Readonly<Record<string, unknown>>;
}

const ASSOCIATION = createContextKey('lumatrace association');

/** Runs `fn` with the association added to what already holds; answers what `fn` answers. */
export function withAssociation<T>(association: Association, fn: () => T): T {
  const active = context.active();
  return context.with(active.setValue(ASSOCIATION, { ...associationOf(active), ...defined(association) }), fn);
}

export function withSession<T>(sessionId: string, fn: () => T): T {
  return withAssociation({ session_id: sessionId }, fn);
}

export function withUser<T>(userId: string, fn: () => T): T {
  return withAssociation({ user_id: userId }, fn);
}

export function associationOf(from: Context): Association | undefined {
  return from.getValue(ASSOCIATION) as Association | undefined;
}

/** Writes the association of `from` on a span that starts. */
export function associate(span: Span, from: Context): void {
  const association = associationOf(from);
  if (association === undefined) return;
  if (association.session_id !== undefined) span.setAttribute('session.id', association.session_id);
  if (association.user_id !== undefined) span.setAttribute('user.id', association.user_id);
  if (association.tags !== undefined) span.setAttribute('lumina.tags', [...association.tags]);
  if (association.metadata !== undefined) span.setAttribute('lumina.metadata', textOf(association.metadata));
}

/** Ids of the span in which the caller runs; undefined outside of every span. */
export function activeSpan(): { traceId: string; spanId: string } | undefined {
  return trace.getActiveSpan()?.spanContext();
}

/** Longer contents are written again with their long texts cut: a picture in base64 is not what a trace is for. */
const MAX_CONTENT_CHARACTERS = 2 * 1024 * 1024;
const CUT_CHARACTERS = 4_096;

/** A text as it is; of anything else JSON, also of what has cycles or big numbers in it. */
export function textOf(value: unknown): string {
  return typeof value === 'string' ? cut(value, MAX_CONTENT_CHARACTERS) : jsonOf(value);
}

/** JSON, always valid, at most a few MiB long. */
export function jsonOf(value: unknown): string {
  try {
    const text = JSON.stringify(value, writable) ?? '';
    if (text.length <= MAX_CONTENT_CHARACTERS) return text;
    const short = JSON.stringify(value, (key, item) => cut(writable(key, item), CUT_CHARACTERS));
    return short.length <= MAX_CONTENT_CHARACTERS ? short : '"[too large to be kept]"';
  } catch {
    return '"[cannot be written as JSON]"';
  }
}

function writable(_: string, item: unknown): unknown {
  return typeof item === 'bigint' ? String(item) : item;
}

function cut<T>(value: T, most: number): T | string {
  if (typeof value !== 'string' || value.length <= most) return value;
  return `${value.slice(0, most)}… [${value.length - most} characters left out]`;
}

function defined(association: Association): Association {
  return Object.fromEntries(Object.entries(association).filter(([, value]) => value !== undefined));
}
