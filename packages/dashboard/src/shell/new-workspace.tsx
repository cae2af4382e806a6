// Making a workspace; loaded when somebody wants to.
import { useMutation } from '@tanstack/react-query';
import { useState, type FormEvent } from 'react';
import { createTenant } from '../api/people.ts';
import { Button } from '../elements/button.tsx';
import { Dialog } from '../elements/dialog.tsx';
import { TextField } from '../elements/field.tsx';
import { ProblemNotice } from '../elements/notice.tsx';
import { useSwitch } from './workspaces.tsx';

export function NewWorkspace({ onClose }: { onClose(): void }) {
  const [name, setName] = useState('');
  const enter = useSwitch();
  const making = useMutation({
    mutationFn: async () => enter((await createTenant(name.trim())).tenantId),
    onSuccess: onClose,
  });
  const submit = (event: FormEvent): void => {
    event.preventDefault();
    making.mutate();
  };
  return (
    <Dialog title="New workspace" open onClose={onClose}>
      <form className="flex flex-col gap-3" onSubmit={submit}>
        <p className="text-ink-2">It has keys, people, traces and photos of its own. You will be its owner.</p>
        <TextField
          label="Name"
          required
          maxLength={200}
          autoFocus
          value={name}
          onChange={(event) => setName(event.target.value)}
        />
        {making.error && <ProblemNotice error={making.error} />}
        <div className="flex justify-end gap-2">
          <Button onClick={onClose}>Cancel</Button>
          <Button type="submit" look="primary" disabled={making.isPending || name.trim() === ''}>
            Make it
          </Button>
        </div>
      </form>
    </Dialog>
  );
}
