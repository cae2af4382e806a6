// The person's workspaces, and the way from one to another.
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { useNavigate } from '@tanstack/react-router';
import { Check, Plus } from 'lucide-react';
import { ownTenantsQuery, switchTenant } from '../api/people.ts';
import { sessionQuery } from '../api/session.ts';
import { ProblemNotice } from '../elements/notice.tsx';
import { tellOtherTabs } from './other-tabs.ts';

/** Nothing that was read in one workspace is shown in another. */
export function useSwitch(): (tenantId: string) => Promise<void> {
  const client = useQueryClient();
  const navigate = useNavigate();
  return async (tenantId) => {
    await switchTenant(tenantId);
    client.clear();
    tellOtherTabs();
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
