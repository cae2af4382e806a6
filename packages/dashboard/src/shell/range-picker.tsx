// The time range of a page: a few relative ones, or two exact moments in the reader's zone.
import { useNavigate } from '@tanstack/react-router';
import { CalendarClock, Check } from 'lucide-react';
import { useState, type FormEvent } from 'react';
import { Button, buttonLook } from '../elements/button.tsx';
import { useNow } from '../elements/figures.tsx';
import { TextField } from '../elements/field.tsx';
import { Pop } from '../elements/pop.tsx';
import { DEFAULT_SPAN, SPANS, type RangeSearch, type RangeSpan } from '../filters/range.ts';
import { shortMoment, zoneName } from '../format/time.ts';

/** Sets the range of the page one is on; everything else in the address stays. */
export function useSetRange(): (range: RangeSearch) => void {
  const navigate = useNavigate();
  return (range) =>
    void navigate({
      to: '.',
      search: (before) => ({ ...before, range: undefined, from: undefined, to: undefined, open: undefined, ...range }),
    });
}

export function rangeName(search: RangeSearch): string {
  if (search.from === undefined) return SPANS[search.range ?? DEFAULT_SPAN][0];
  return `${shortMoment(search.from)} – ${search.to === undefined ? 'now' : shortMoment(search.to)}`;
}

export function RangePicker({ search }: { search: RangeSearch }) {
  const setRange = useSetRange();
  const shown = search.from === undefined ? (search.range ?? DEFAULT_SPAN) : undefined;
  return (
    <Pop
      align="end"
      buttonClass={buttonLook('plain')}
      panelClass="w-72 p-2"
      button={
        <>
          <CalendarClock size={14} aria-hidden />
          <span className="sr-only">Time range:</span>
          {rangeName(search)}
        </>
      }
    >
      {(close) => {
        const choose = (range: RangeSearch): void => {
          setRange(range);
          close();
        };
        return (
          <div className="flex flex-col gap-1">
            {(Object.keys(SPANS) as RangeSpan[]).map((span) => (
              <button
                key={span}
                type="button"
                aria-pressed={span === shown}
                onClick={() => choose({ range: span })}
                className="flex h-8 items-center justify-between rounded-sm px-2 text-left hover:bg-hover"
              >
                {SPANS[span][0]}
                {span === shown && <Check size={14} className="text-accent" aria-hidden />}
              </button>
            ))}
            <ExactRange search={search} onChoose={choose} />
          </div>
        );
      }}
    </Pop>
  );
}

function ExactRange({ search, onChoose }: { search: RangeSearch; onChoose: (range: RangeSearch) => void }) {
  const now = useNow();
  const [from, setFrom] = useState(() => localText(search.from ?? new Date(now - 86_400_000).toISOString()));
  const [to, setTo] = useState(() => localText(search.to ?? new Date(now).toISOString()));
  const wrong = from !== '' && to !== '' && from >= to;
  const submit = (event: FormEvent): void => {
    event.preventDefault();
    if (!wrong && from !== '' && to !== '')
      onChoose({ from: new Date(from).toISOString(), to: new Date(to).toISOString() });
  };
  return (
    <form className="mt-1 flex flex-col gap-2 border-t px-2 pt-3 pb-1" onSubmit={submit}>
      <TextField label="From" type="datetime-local" value={from} onChange={(event) => setFrom(event.target.value)} />
      <TextField
        label="To"
        type="datetime-local"
        value={to}
        problem={wrong ? 'The end must lie after the start.' : undefined}
        onChange={(event) => setTo(event.target.value)}
      />
      <div className="flex items-center justify-between gap-2">
        <span className="text-xs text-ink-3">{zoneName(now)}</span>
        <Button type="submit" disabled={wrong}>
          Apply
        </Button>
      </div>
    </form>
  );
}

// the form that <input type="datetime-local"> takes, in the reader's zone
function localText(iso: string): string {
  const date = new Date(iso);
  return new Date(date.getTime() - date.getTimezoneOffset() * 60_000).toISOString().slice(0, 16);
}
