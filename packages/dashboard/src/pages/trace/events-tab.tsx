// What happened during the span, by time.
import type { SpanEvent, SpanItem } from '../../api/trace.ts';
import { JsonView } from '../../elements/json-view.tsx';
import { exactMoment } from '../../format/time.ts';

export function EventsTab({ span }: { span: SpanItem }) {
  const events = span.events ?? [];
  if (events.length === 0) return <p className="text-ink-3">Nothing was noted during this span.</p>;
  return (
    <ol className="flex flex-col gap-3">
      {events.map((event, index) => (
        <li key={index} className="border-l-2 pl-3">
          <p className="flex flex-wrap items-baseline gap-x-3">
            <span className={`font-medium ${event.name === 'exception' ? 'text-error' : ''}`}>{event.name}</span>
            <time className="text-xs text-ink-3" dateTime={event.time}>
              {exactMoment(event.time)}
            </time>
          </p>
          {event.log && <LogBody log={event.log} />}
          {Object.keys(event.attributes ?? {}).length > 0 && (
            <div className="-ml-4">
              <JsonView value={event.attributes} openDepth={1} />
            </div>
          )}
        </li>
      ))}
    </ol>
  );
}

/** What a log record said, with its severity when the name of the event is something else. */
function LogBody({ log }: { log: NonNullable<SpanEvent['log']> }) {
  const { body, severity_text: severity, service_name: service } = log;
  return (
    <>
      <p className="text-xs text-ink-3">
        log record of {service}
        {severity !== '' && `, ${severity}`}
      </p>
      {typeof body === 'string' && <p className="break-words whitespace-pre-wrap">{body}</p>}
      {typeof body === 'object' && body !== null && (
        <div className="-ml-4">
          <JsonView value={body} openDepth={1} />
        </div>
      )}
    </>
  );
}
