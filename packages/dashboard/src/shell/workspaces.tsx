// The person's workspaces: from one to another, and a new one.
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { useNavigate } from '@tanstack/react-router';
import { Check, Plus } from 'lucide-react';
import { useState, type FormEvent } from 'react';
import { createTenant, ownTenantsQuery, switchTenant } from '../api/people.ts';
import { sessionQuery } from '../api/session.ts';
import { Button } from '../elements/button.tsx';
import { Dialog } from '../elements/dialog.tsx';
import { TextField } from '../elements/field.tsx';
import { ProblemNotice } from '../elements/notice.tsx';

/** Nothing that was read in one workspace is shown in another. */
function useSwitch(): (tenantId: string) => Promise<void> {
  const client = useQueryClient();
  const navigate = useNavigate();
  return async (tenantId) => {
    await switchTenant(tenantId);
    client.clear();
    await navigate({ to: '/' });
  };
}

interface WorkspacesProps {
  itemClass: string;
  onNew(): void;
  close(): void;
}

export function Workspaces({ itemClass, onNew, close }: WorkspacesProps) {
  const tenants = useQuery(ownTenantsQuery);
  const { data: session } = useQuery(sessionQuery);
  const enter = useSwitch();
  const switching = useMutation({ mutationFn: enter, onSuccess: close });
  return (
    <div role="group" aria-label="Workspace" className="max-h-60 overflow-y-auto py-1">
      {(tenants.error ?? switching.error) && <ProblemNotice error={(tenants.error ?? switching.error) as Error} />}
      {tenants.data?.map(({ tenantId, name, role, isCurrent }) => (
        <button
          key={tenantId}
          type="button"
          aria-pressed={isCurrent}
          disabled={switching.isPending}
          className={itemClass}
          onClick={() => (isCurrent ? close() : switching.mutate(tenantId))}
        >
          <span className="min-w-0 flex-1 truncate">{name}</span>
          {isCurrent ? <Check size={14} aria-hidden /> : <span className="text-xs text-ink-3">{role}</span>}
        </button>
      ))}
      {session?.user.role === 'owner' && (
        <button type="button" className={itemClass} onClick={onNew}>
          <Plus size={14} aria-hidden /> New workspace
        </button>
      )}
    </div>
  );
}

export function NewWorkspace({ open, onClose }: { open: boolean; onClose(): void }) {
  const [name, setName] = useState('');
  const enter = useSwitch();
  const making = useMutation({
    mutationFn: async () => enter((await createTenant(name.trim())).tenantId),
    onSuccess: () => {
      setName('');
      onClose();
    },
  });
  const submit = (event: FormEvent): void => {
    event.preventDefault();
    making.mutate();
  };
  return (
    <Dialog title="New workspace" open={open} onClose={onClose}>
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
