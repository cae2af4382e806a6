// Where a field of a span was read, for people: `mapped_from` as the server writes it, taken apart.

/** One place: an attribute key, a family of indexed keys, a span event or a log record. */
export interface Origin {
  field: string;
  kind: 'attribute' | 'event' | 'log';
  /** The attribute key, the prefix of a family, or the name of the event. */
  key: string;
  isFamily: boolean;
  /** Members inside the value, or the attribute of the event; empty when the value itself is meant. */
  path: string;
}

/** Every place that some field came from; a field read from several places has several. */
export function originsOf(mapped: Readonly<Record<string, string>>): Origin[] {
  return Object.entries(mapped).flatMap(([field, from]) => from.split(' + ').map((text) => originOf(field, text)));
}

function originOf(field: string, text: string): Origin {
  const [, prefix = ''] = /^(event:|log:)/.exec(text) ?? [];
  const [key = '', ...path] = text.slice(prefix.length).split('/');
  const isFamily = key.endsWith('.*');
  return {
    field,
    kind: prefix === 'event:' ? 'event' : prefix === 'log:' ? 'log' : 'attribute',
    key: isFamily ? key.slice(0, -1) : key,
    isFamily,
    path: path.join('/'),
  };
}

/** The fields that an attribute filled. */
export function fieldsReadFrom(key: string, origins: readonly Origin[]): Origin[] {
  return origins.filter(
    (origin) => origin.kind === 'attribute' && (origin.isFamily ? key.startsWith(origin.key) : key === origin.key),
  );
}

/** Origins that are no attribute of the span: events, log records, and what the resource said. */
export function originsElsewhere(origins: readonly Origin[], attributes: Readonly<Record<string, unknown>>): Origin[] {
  const keys = Object.keys(attributes);
  return origins.filter(
    (origin) =>
      origin.kind !== 'attribute' ||
      !(origin.isFamily ? keys.some((key) => key.startsWith(origin.key)) : Object.hasOwn(attributes, origin.key)),
  );
}

/** `span event gen_ai.choice`, `gen_ai.prompt.*`, `langfuse.observation.usage_details, total`. */
export function originText({ kind, key, isFamily, path }: Origin): string {
  const place = kind === 'event' ? `span event ${key}` : kind === 'log' ? `log record ${key}` : key;
  return `${place}${isFamily ? '*' : ''}${path === '' ? '' : `, ${path}`}`;
}
