// What a new key or service account is called, how long it lives and what it may.
import { KeyRound } from 'lucide-react';
import { useState, type FormEvent } from 'react';
import { SCOPES, type NewKey } from '../../api/settings.ts';
import { Button } from '../../elements/button.tsx';
import { SelectField, TextField } from '../../elements/field.tsx';
import { ProblemNotice } from '../../elements/notice.tsx';

const DAY_MS = 86_400_000;
const EXPIRIES = [
  ['30', 'in 30 days'],
  ['90', 'in 90 days'],
  ['365', 'in a year'],
  ['', 'never'],
] as const;

interface CredentialFormProps {
  /** On the button. */
  action: string;
  name?: string;
  /** Scopes that are ticked at first. */
  scopes: readonly string[];
  /** Shows the list of scopes; otherwise the given ones are used as they are. */
  choosesScopes: boolean;
  busy: boolean;
  error: Error | null;
  onSubmit(wanted: NewKey): void;
}

export function CredentialForm({
  action,
  name = '',
  scopes,
  choosesScopes,
  busy,
  error,
  onSubmit,
}: CredentialFormProps) {
  const [typed, setTyped] = useState(name);
  const [days, setDays] = useState('90');
  const [chosen, setChosen] = useState(() => new Set(scopes));
  const submit = (event: FormEvent): void => {
    event.preventDefault();
    const expiresAt = days === '' ? {} : { expiresAt: new Date(Date.now() + Number(days) * DAY_MS).toISOString() };
    onSubmit({ name: typed.trim(), scopes: [...chosen], ...expiresAt });
  };
  const toggle = (scope: string): void => {
    const next = new Set(chosen);
    if (!next.delete(scope)) next.add(scope);
    setChosen(next);
  };
  return (
    <form className="flex flex-col gap-3" onSubmit={submit}>
      <div className="flex flex-wrap items-end gap-3">
        <div className="min-w-48 flex-1">
          <TextField
            label="Name"
            value={typed}
            required
            maxLength={100}
            onChange={(event) => setTyped(event.target.value)}
          />
        </div>
        <div className="w-36">
          <SelectField label="Expires" value={days} onChange={(event) => setDays(event.target.value)}>
            {EXPIRIES.map(([value, text]) => (
              <option key={value} value={value}>
                {text}
              </option>
            ))}
          </SelectField>
        </div>
        <Button
          type="submit"
          look="primary"
          icon={<KeyRound size={14} aria-hidden />}
          disabled={busy || chosen.size === 0 || typed.trim() === ''}
        >
          {action}
        </Button>
      </div>
      {choosesScopes ? (
        <fieldset>
          <legend className="mb-1 text-xs font-medium text-ink-2">It may</legend>
          <div className="grid gap-x-4 sm:grid-cols-2">
            {SCOPES.map(([scope, meaning]) => (
              <label key={scope} className="flex min-h-7 cursor-pointer items-center gap-2">
                <input
                  type="checkbox"
                  className="accent-accent"
                  checked={chosen.has(scope)}
                  onChange={() => toggle(scope)}
                />
                <span>{meaning}</span>
                <code className="ml-auto font-mono text-2xs text-ink-3">{scope}</code>
              </label>
            ))}
          </div>
        </fieldset>
      ) : (
        <p className="text-xs text-ink-3">
          It may only{' '}
          {[...chosen].map((scope) => SCOPES.find(([name]) => name === scope)?.[1].toLowerCase()).join(', ')}.
        </p>
      )}
      {error && <ProblemNotice error={error} />}
    </form>
  );
}
