// A key in place of another, which works on until applications have the new one.
import { useMutation, useQueryClient } from '@tanstack/react-query';
import { useState, type FormEvent } from 'react';
import { keysQuery, rotateKey, type ApiKey } from '../../api/settings.ts';
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

export function RotateKey({ apiKey, onClose }: { apiKey: ApiKey; onClose(): void }) {
  const [hours, setHours] = useState(24);
  const client = useQueryClient();
  const rotating = useMutation({
    mutationFn: () => rotateKey(apiKey.keyId, hours),
    onSuccess: () => client.invalidateQueries({ queryKey: keysQuery.queryKey }),
  });
  const submit = (event: FormEvent): void => {
    event.preventDefault();
    rotating.mutate();
  };
  return (
    <Dialog title={`Rotate ${apiKey.name}`} open onClose={onClose} wide>
      {rotating.data ? (
        <div className="flex flex-col gap-2">
          <p>
            The new key is ready. Copy it now: it is not shown again. The old one ends{' '}
            <Moment iso={rotating.data.previousEndsAt} />.
          </p>
          <CopyBlock label="API key" text={rotating.data.apiKey} />
        </div>
      ) : (
        <form className="flex flex-col gap-3" onSubmit={submit}>
          <p className="text-ink-2">A new key with the same name and scopes takes its place.</p>
          <SelectField label="The old key" value={hours} onChange={(event) => setHours(Number(event.target.value))}>
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
              Make the new key
            </Button>
          </div>
        </form>
      )}
    </Dialog>
  );
}
