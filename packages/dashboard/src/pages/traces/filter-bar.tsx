// The filter bar: terms as chips, a text field that suggests, `/` to reach it.
import { useQuery } from '@tanstack/react-query';
import { ListFilter, X } from 'lucide-react';
import { useEffect, useId, useRef, useState, type KeyboardEvent } from 'react';
import { facetsQuery } from '../../api/telemetry.ts';
import { parseFilter, splitTerms, withTerm, withoutTerm } from '../../filters/filter.ts';
import { isTyping } from '../../elements/typing.ts';
import type { Interval } from '../../filters/range.ts';
import { compact } from '../../format/number.ts';
import { suggestionsFor } from './suggestions.ts';

interface FilterBarProps {
  filter: string;
  interval: Interval;
  onChange(filter: string): void;
}

export function FilterBar({ filter, interval, onChange }: FilterBarProps) {
  const [draft, setDraft] = useState('');
  const [at, setAt] = useState(-1);
  const [open, setOpen] = useState(false);
  const input = useRef<HTMLInputElement>(null);
  const listId = useId();
  const { data: facets } = useQuery({ ...facetsQuery(interval), enabled: open });
  const suggestions = open ? suggestionsFor(draft, facets) : [];
  useSlash(input);
  const add = (text: string): void => {
    onChange(splitTerms(text).reduce(withTerm, filter));
    setDraft('');
    setAt(-1);
  };
  const choose = (index: number): void => {
    const suggestion = suggestions[index];
    if (suggestion === undefined) return;
    if (suggestion.complete) add(suggestion.text);
    else setDraft(suggestion.text);
    setAt(-1);
    input.current?.focus();
  };
  const listen = (event: KeyboardEvent): void => {
    if (event.key === 'ArrowDown') setAt(Math.min(at + 1, suggestions.length - 1));
    else if (event.key === 'ArrowUp') setAt(Math.max(at - 1, -1));
    else if (event.key === 'Enter' && at >= 0) choose(at);
    else if (event.key === 'Enter' && draft.trim() !== '') add(draft);
    else if (event.key === 'Backspace' && draft === '' && filter !== '') {
      const terms = splitTerms(filter);
      setDraft(terms.at(-1) ?? '');
      onChange(withoutTerm(filter, terms.length - 1));
    } else if (event.key === 'Escape') {
      if (draft === '') input.current?.blur();
      setDraft('');
      setAt(-1);
    } else return;
    event.preventDefault();
  };
  return (
    <div className="relative min-w-0 flex-1 basis-80">
      <div className="flex min-h-8 w-full flex-wrap items-center gap-1 rounded-md border border-line-control bg-surface px-2 py-0.5 focus-within:outline-2 focus-within:outline-accent">
        <ListFilter size={14} className="shrink-0 text-ink-3" aria-hidden />
        {parseFilter(filter).terms.map((term, index) => (
          <span
            key={term.text}
            title={term.problem}
            className={`inline-flex h-6 max-w-full items-center rounded-sm pl-1.5 text-xs ${term.problem ? 'bg-warn-wash text-warn' : 'bg-accent-wash text-accent'}`}
          >
            <span className="truncate font-mono">{term.text}</span>
            {term.problem && <span className="sr-only">{term.problem}</span>}
            <button
              type="button"
              aria-label={`Remove ${term.text}`}
              className="flex h-6 w-6 items-center justify-center rounded-sm hover:bg-hover"
              onClick={() => onChange(withoutTerm(filter, index))}
            >
              <X size={12} />
            </button>
          </span>
        ))}
        <input
          ref={input}
          role="combobox"
          aria-label="Filter"
          aria-expanded={suggestions.length > 0}
          aria-controls={listId}
          aria-autocomplete="list"
          aria-activedescendant={at >= 0 ? `${listId}-${at}` : undefined}
          value={draft}
          placeholder={filter === '' ? 'Filter: model:gpt-4o cost>0.01 error, or any text   (/)' : ''}
          className="h-6 min-w-24 flex-1 bg-transparent outline-none placeholder:text-ink-3"
          onChange={(event) => {
            setDraft(event.target.value);
            setAt(-1);
          }}
          onFocus={() => setOpen(true)}
          onBlur={() => setOpen(false)}
          onKeyDown={listen}
        />
      </div>
      <FilterProblem filter={filter} />
      <ul
        id={listId}
        role="listbox"
        aria-label="Suggestions"
        hidden={suggestions.length === 0}
        className="scroll-quiet absolute top-full left-0 z-30 mt-1 max-h-80 w-80 max-w-full overflow-y-auto rounded-md border bg-raised p-1 shadow-lg"
      >
        {suggestions.map((suggestion, index) => (
          <li
            key={suggestion.text}
            id={`${listId}-${index}`}
            role="option"
            aria-selected={index === at}
            className={`flex h-8 cursor-pointer items-center gap-2 rounded-sm px-2 ${index === at ? 'bg-selected' : 'hover:bg-hover'}`}
            onPointerDown={(event) => {
              event.preventDefault();
              choose(index);
            }}
          >
            <span className="min-w-0 flex-1 truncate font-mono text-xs">{suggestion.text}</span>
            <span className="text-xs text-ink-3">
              {suggestion.count === undefined ? suggestion.hint : compact(suggestion.count)}
            </span>
          </li>
        ))}
      </ul>
    </div>
  );
}

function FilterProblem({ filter }: { filter: string }) {
  const wrong = parseFilter(filter).terms.find(({ problem }) => problem !== undefined);
  if (wrong === undefined) return null;
  return (
    <p role="status" className="mt-1 text-xs text-warn">
      <span className="font-mono">{wrong.text}</span> is left out: {wrong.problem}
    </p>
  );
}

/** `/` puts the cursor here, unless one is typing already. */
function useSlash(input: { readonly current: HTMLInputElement | null }): void {
  useEffect(() => {
    const listen = (event: globalThis.KeyboardEvent): void => {
      if (event.key !== '/' || isTyping(event.target)) return;
      event.preventDefault();
      input.current?.focus();
    };
    window.addEventListener('keydown', listen);
    return () => window.removeEventListener('keydown', listen);
  }, [input]);
}
