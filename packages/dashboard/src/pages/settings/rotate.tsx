// A key, or the password of a service account, in place of another, which works on until applications have the new one.
import { useMutation } from '@tanstack/react-query';
import { useState, type FormEvent } from 'react';
import { Button } from '../../elements/button.tsx';
import { CopyBlock } from '../../elements/copy.tsx';
import { Dialog } from '../../elements/dialog.tsx';
import { SelectField } from '../../elements/field.tsx';
import { Moment } from '../../elements/figures.tsx';
import { ProblemNotice } from '../../elements/notice.tsx';

const OVERLAPS = [
  [0, 'ends now'],
  [1, 'works on for an hour'],
  [24, 'works on for a day'],
  [168, 'works on for a week'],
  [720, 'works on for 30 days'],
] as const;

interface RotateProps {
  name: string;
  /** What is rotated, such as "key". */
  what: string;
  /** Said of the new one before it is made. */
  note: string;
  rotate(overlapHours: number): Promise<{ secret: string; previousEndsAt: string | null }>;
  onClose(): void;
}

export function Rotate({ name, what, note, rotate, onClose }: RotateProps) {
  const [hours, setHours] = useState(24);
  const rotating = useMutation({ mutationFn: () => rotate(hours) });
  const submit = (event: FormEvent): void => {
    event.preventDefault();
    rotating.mutate();
  };
  return (
    <Dialog title={`Rotate ${name}`} open onClose={onClose} wide>
      {rotating.data ? (
        <div className="flex flex-col gap-2">
          <p>
            The new {what} is ready. Copy it now: it is not shown again.{' '}
            {rotating.data.previousEndsAt === null ? (
              'The old one has ended.'
            ) : (
              <>
                The old one ends <Moment iso={rotating.data.previousEndsAt} />.
              </>
            )}
          </p>
          <CopyBlock label={`New ${what}`} text={rotating.data.secret} />
        </div>
      ) : (
        <form className="flex flex-col gap-3" onSubmit={submit}>
          <p className="text-ink-2">{note}</p>
          <SelectField
            label={`The old ${what}`}
            value={hours}
            onChange={(event) => setHours(Number(event.target.value))}
          >
            {OVERLAPS.map(([value, text]) => (
              <option key={value} value={value}>
                {text}
              </option>
            ))}
          </SelectField>
          {rotating.error && <ProblemNotice error={rotating.error} />}
          <div className="flex justify-end gap-2">
            <Button onClick={onClose}>Cancel</Button>
            <Button type="submit" look="primary" disabled={rotating.isPending}>
              Make the new {what}
            </Button>
          </div>
        </form>
      )}
    </Dialog>
  );
}
