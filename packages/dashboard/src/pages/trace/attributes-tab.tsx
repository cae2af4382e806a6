// Everything that was sent, with a search, and which attribute became which field.
import { useState } from 'react';
import type { SpanItem } from '../../api/trace.ts';
import { CopyButton } from '../../elements/copy.tsx';
import { INPUT } from '../../elements/field.tsx';
import { JsonView } from '../../elements/json-view.tsx';
import { fieldsReadFrom, originsElsewhere, originsOf, originText, type Origin } from './origins.ts';

const MOST_AT_ONCE = 200;

export function AttributesTab({ span }: { span: SpanItem }) {
  const [wanted, setWanted] = useState('');
  const [all, setAll] = useState(false);
  const origins = originsOf(span.mapped_from ?? {});
  const found = Object.entries(span.attributes ?? {}).filter(([key, value]) => holds(key, value, wanted.toLowerCase()));
  const shown = all ? found : found.slice(0, MOST_AT_ONCE);
  return (
    <div className="flex flex-col gap-3">
      <input
        type="search"
        aria-label="Search the attributes"
        placeholder="Search keys and values"
        className={INPUT}
        value={wanted}
        onChange={(event) => setWanted(event.target.value)}
      />
      {found.length === 0 && (
        <p className="text-ink-3">{wanted === '' ? 'No attributes were sent.' : 'Nothing matches.'}</p>
      )}
      <dl className="flex flex-col divide-y divide-line">
        {shown.map(([key, value]) => (
          <div key={key} className="group py-1.5">
            <dt className="relative flex flex-wrap items-center gap-x-2 gap-y-1 pr-7">
              <code className="min-w-0 max-w-full truncate font-mono text-xs text-ink-2" title={key}>
                {key}
              </code>
              <Fields origins={fieldsReadFrom(key, origins)} />
              <span className="absolute -top-1 right-0 h-6 opacity-0 group-focus-within:opacity-100 group-hover:opacity-100">
                <CopyButton
                  text={typeof value === 'string' ? value : JSON.stringify(value)}
                  label={`Copy ${key}`}
                  className="!h-6 !w-6"
                />
              </span>
            </dt>
            <dd className="-ml-4">
              <JsonView value={value} />
            </dd>
          </div>
        ))}
      </dl>
      {shown.length < found.length && (
        <button type="button" className="self-start text-accent hover:underline" onClick={() => setAll(true)}>
          {found.length - shown.length} more
        </button>
      )}
      <Others title="Resource" value={span.resource} />
      <Others title="Scope" value={span.scope} />
      <Elsewhere origins={originsElsewhere(origins, span.attributes ?? {})} />
    </div>
  );
}

function holds(key: string, value: unknown, wanted: string): boolean {
  if (wanted === '') return true;
  return `${key} ${typeof value === 'string' ? value : JSON.stringify(value)}`.toLowerCase().includes(wanted);
}

const MOST_FIELDS = 4;

/** What the attribute became: a few by name, all of them in the hint. */
function Fields({ origins }: { origins: readonly Origin[] }) {
  if (origins.length === 0) return null;
  const hint = origins.map((origin) => `${origin.field} was read from ${originText(origin)}`).join('\n');
  return (
    <span className="flex min-w-0 flex-wrap gap-1" title={hint}>
      {origins.slice(0, MOST_FIELDS).map(({ field, path }) => (
        <span
          key={`${field}/${path}`}
          className="rounded-sm bg-accent-wash px-1 text-2xs whitespace-nowrap text-accent"
        >
          → {field}
        </span>
      ))}
      {origins.length > MOST_FIELDS && (
        <span className="text-2xs text-ink-3">and {origins.length - MOST_FIELDS} more</span>
      )}
    </span>
  );
}

/** Fields that came from the resource, an event or a log record rather than from an attribute of the span. */
function Elsewhere({ origins }: { origins: readonly Origin[] }) {
  if (origins.length === 0) return null;
  return (
    <section>
      <h3 className="mb-1 text-xs font-medium text-ink-3">Read from elsewhere</h3>
      <ul className="flex flex-col gap-0.5 font-mono text-xs text-ink-2">
        {origins.map((origin) => (
          <li key={`${origin.field} ${originText(origin)}`} className="break-words">
            {originText(origin)} <span className="text-accent">→ {origin.field}</span>
          </li>
        ))}
      </ul>
    </section>
  );
}

/** What the span shares with others of its process and its instrumentation. */
function Others({ title, value }: { title: string; value: object | null }) {
  if (value === null || Object.keys(value).length === 0) return null;
  return (
    <section>
      <h3 className="mb-1 text-xs font-medium text-ink-3">{title}</h3>
      <JsonView value={value} />
    </section>
  );
}
