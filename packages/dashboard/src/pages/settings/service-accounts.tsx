// Service accounts: names and passwords that machines exchange for short tokens.
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { Plus } from 'lucide-react';
import { useState } from 'react';
import {
  createServiceAccount,
  disableServiceAccount,
  rotateServiceAccount,
  serviceAccountsQuery,
  type ServiceAccount,
} from '../../api/settings.ts';
import { Button } from '../../elements/button.tsx';
import { CopyBlock } from '../../elements/copy.tsx';
import { ConfirmByName, Dialog } from '../../elements/dialog.tsx';
import { useNow } from '../../elements/figures.tsx';
import { ProblemNotice } from '../../elements/notice.tsx';
import { Card } from '../../elements/page.tsx';
import { SkeletonRows } from '../../elements/skeleton.tsx';
import { Table } from '../../elements/table.tsx';
import { Expiry, LastUsed, Scopes } from './credential-cells.tsx';
import { CredentialForm } from './credential-form.tsx';
import { Rotate } from './rotate.tsx';

const titleOf = ({ name }: ServiceAccount): string => name ?? 'First service account';

export function ServiceAccounts() {
  const accounts = useQuery(serviceAccountsQuery);
  const queryClient = useQueryClient();
  const [creating, setCreating] = useState(false);
  const [rotated, setRotated] = useState<ServiceAccount>();
  const [doomed, setDoomed] = useState<ServiceAccount>();
  const readAgain = (): Promise<void> => queryClient.invalidateQueries({ queryKey: serviceAccountsQuery.queryKey });
  return (
    <Card
      title="Service accounts"
      note="a name and a password against a token of 15 minutes"
      flush
      actions={
        <Button icon={<Plus size={14} aria-hidden />} onClick={() => setCreating(true)}>
          New service account
        </Button>
      }
    >
      {accounts.error && (
        <div className="p-4">
          <ProblemNotice error={accounts.error} retry={() => void accounts.refetch()} />
        </div>
      )}
      {accounts.isPending && !accounts.error && <SkeletonRows rows={2} />}
      {accounts.data && <AccountTable accounts={accounts.data} onRotate={setRotated} onDisable={setDoomed} />}
      <Dialog title="New service account" open={creating} onClose={() => setCreating(false)} wide>
        <Create onCreated={readAgain} />
      </Dialog>
      {rotated && (
        <Rotate
          name={titleOf(rotated)}
          what="password"
          note="The name stays. Tokens that the old password got run out within 15 minutes."
          rotate={async (hours) => {
            const { password, previousUntil } = await rotateServiceAccount(rotated.serviceAccountId, hours);
            await readAgain();
            return { secret: password, previousEndsAt: previousUntil };
          }}
          onClose={() => setRotated(undefined)}
        />
      )}
      {doomed && <Disable account={doomed} onDone={readAgain} onClose={() => setDoomed(undefined)} />}
    </Card>
  );
}

interface AccountTableProps {
  accounts: ServiceAccount[];
  onRotate(account: ServiceAccount): void;
  onDisable(account: ServiceAccount): void;
}

function AccountTable({ accounts, onRotate, onDisable }: AccountTableProps) {
  const now = useNow();
  if (accounts.length === 0) return <p className="p-4 text-ink-3">No service account yet.</p>;
  return (
    <Table
      label="Service accounts"
      head={['Name', 'Scopes', 'Last used', 'Expires', '']}
      rows={accounts.map((account) => ({
        id: account.serviceAccountId,
        cells: [
          <span key="name" className="flex flex-col py-1">
            <span className="font-medium">{titleOf(account)}</span>
            <code className="font-mono text-xs text-ink-2">{account.username}</code>
          </span>,
          <Scopes key="scopes" scopes={account.scopes} />,
          <LastUsed key="used" at={account.lastUsedAt} />,
          <Expiry key="expires" expiresAt={account.expiresAt} now={now} />,
          account.disabledAt === null ? (
            <span key="act" className="flex items-center gap-1">
              {(account.expiresAt === null || Date.parse(account.expiresAt) > now) && (
                <Button look="quiet" aria-label={`Rotate ${titleOf(account)}`} onClick={() => onRotate(account)}>
                  Rotate
                </Button>
              )}
              <Button look="quiet" aria-label={`Disable ${titleOf(account)}`} onClick={() => onDisable(account)}>
                Disable
              </Button>
            </span>
          ) : (
            <span key="act" className="text-ink-3">
              disabled
            </span>
          ),
        ],
      }))}
    />
  );
}

function Create({ onCreated }: { onCreated(): Promise<void> }) {
  const creating = useMutation({ mutationFn: createServiceAccount, onSuccess: onCreated });
  if (creating.data === undefined)
    return (
      <CredentialForm
        action="Create account"
        scopes={['traces:write']}
        choosesScopes
        busy={creating.isPending}
        error={creating.error}
        onSubmit={(wanted) => creating.mutate(wanted)}
      />
    );
  return (
    <div className="flex flex-col gap-3">
      <p>
        <strong className="font-semibold">{titleOf(creating.data)}</strong> is ready. Copy the password now: it is not
        shown again.
      </p>
      <CopyBlock label="User name" text={creating.data.username} />
      <CopyBlock label="Password" text={creating.data.password} />
    </div>
  );
}

interface DisableProps {
  account: ServiceAccount;
  onDone(): Promise<void>;
  onClose(): void;
}

function Disable({ account, onDone, onClose }: DisableProps) {
  const disabling = useMutation({
    mutationFn: () => disableServiceAccount(account.serviceAccountId),
    onSuccess: async () => {
      await onDone();
      onClose();
    },
  });
  return (
    <ConfirmByName
      title="Disable this service account"
      open
      name={titleOf(account)}
      action="Disable the account"
      consequence="It gets no token any more, and those that it has stop within 5 seconds. This cannot be undone."
      busy={disabling.isPending}
      error={disabling.error}
      onConfirm={() => disabling.mutate()}
      onClose={onClose}
    />
  );
}
