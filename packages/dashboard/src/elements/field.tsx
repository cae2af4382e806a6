// Form fields: a visible label, a hint, and a problem that is tied to its input.
import { useId, type InputHTMLAttributes, type ReactNode, type SelectHTMLAttributes } from 'react';

export const INPUT =
  'h-8 w-full rounded-md border border-line-control bg-surface px-2.5 text-sm text-ink placeholder:text-ink-3 disabled:opacity-50';

interface FieldProps {
  label: string;
  hint?: ReactNode;
  problem?: string | undefined;
}

export function TextField({ label, hint, problem, ...rest }: FieldProps & InputHTMLAttributes<HTMLInputElement>) {
  const id = useId();
  return (
    <Framed id={id} label={label} hint={hint} problem={problem}>
      <input
        id={id}
        className={INPUT}
        aria-invalid={problem !== undefined}
        aria-describedby={hint || problem ? `${id}-note` : undefined}
        {...rest}
      />
    </Framed>
  );
}

export function SelectField({ label, hint, problem, ...rest }: FieldProps & SelectHTMLAttributes<HTMLSelectElement>) {
  const id = useId();
  return (
    <Framed id={id} label={label} hint={hint} problem={problem}>
      <select id={id} className={INPUT} aria-describedby={hint || problem ? `${id}-note` : undefined} {...rest} />
    </Framed>
  );
}

function Framed({ id, label, hint, problem, children }: FieldProps & { id: string; children: ReactNode }) {
  return (
    <div className="flex flex-col gap-1">
      <label htmlFor={id} className="text-xs font-medium text-ink-2">
        {label}
      </label>
      {children}
      {(problem ?? hint) && (
        <p id={`${id}-note`} className={`text-xs ${problem ? 'text-error' : 'text-ink-3'}`}>
          {problem ?? hint}
        </p>
      )}
    </div>
  );
}
