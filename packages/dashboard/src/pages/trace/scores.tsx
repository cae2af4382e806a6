// What a span or a whole trace was found to be worth: figure, word and explanation, and who said so.
import type { Score } from '../../api/trace.ts';
import { compact } from '../../format/number.ts';
import { exactMoment } from '../../format/time.ts';

const SOURCES: Record<Score['source'], string> = {
  sdk: 'sent by the application',
  api: 'given by a person or a program',
  evaluator: 'given by an evaluator',
};

/** Figure and word of one score; "no value" where it has neither. */
function verdictOf({ value, label }: Score): string {
  const parts = [value === null ? '' : compact(value), label ?? ''].filter((part) => part !== '');
  return parts.length === 0 ? 'no value' : parts.join(', ');
}

function originOf({ value, source, timestamp }: Score): string {
  const exact = value === null ? '' : `${value} exactly, `;
  return `${exact}${SOURCES[source]}, ${exactMoment(timestamp)}`;
}

/** The scores of the chosen span, each with its explanation. */
export function SpanScores({ scores }: { scores: readonly Score[] }) {
  if (scores.length === 0) return null;
  return (
    <ul aria-label="Scores" className="flex flex-col gap-1">
      {scores.map((score) => (
        <li key={score.score_id} className="rounded-md border px-2.5 py-1.5" title={originOf(score)}>
          <p className="flex items-baseline justify-between gap-3">
            <span className="min-w-0 truncate text-ink-2">{score.name}</span>
            <span className="shrink-0 font-medium tabular-nums">{verdictOf(score)}</span>
          </p>
          {score.explanation && <p className="text-xs break-words text-ink-2">{score.explanation}</p>}
        </li>
      ))}
    </ul>
  );
}

const MOST_SHOWN = 4;

/** The scores of a trace in one line; one that belongs to a span leads there. */
export function TraceScores({ scores, onSpan }: { scores: readonly Score[]; onSpan(spanId: string): void }) {
  const shown = scores.slice(0, MOST_SHOWN);
  return (
    <span className="flex flex-wrap items-center gap-x-3">
      {shown.map((score) => {
        const { span_id: spanId } = score;
        const text = (
          <>
            <span className="font-normal text-ink-2">{score.name}</span> {verdictOf(score)}
          </>
        );
        const title = [score.explanation, originOf(score)].filter(Boolean).join('\n');
        if (spanId === null) {
          return (
            <span key={score.score_id} title={title}>
              {text}
            </span>
          );
        }
        return (
          <button
            key={score.score_id}
            type="button"
            title={title}
            className="hover:text-accent hover:underline"
            onClick={() => onSpan(spanId)}
          >
            {text}
          </button>
        );
      })}
      {scores.length > shown.length && (
        <span className="text-xs text-ink-3">and {scores.length - shown.length} more</span>
      )}
    </span>
  );
}
