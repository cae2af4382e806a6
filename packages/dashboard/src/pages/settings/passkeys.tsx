// Passkeys of the person who is logged in: added with the password, removed with a sentence about what that does.
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { Fingerprint } from 'lucide-react';
import { useState, type FormEvent } from 'react';
import { addPasskey, canUsePasskeys, passkeysQuery, removePasskey, type Passkey } from '../../api/passkeys.ts';
import { Button } from '../../elements/button.tsx';
import { ConfirmByName, Dialog } from '../../elements/dialog.tsx';
import { TextField } from '../../elements/field.tsx';
import { Moment, Tag } from '../../elements/figures.tsx';
import { ProblemNotice } from '../../elements/notice.tsx';
import { Card } from '../../elements/page.tsx';
import { SkeletonRows } from '../../elements/skeleton.tsx';
import { Table } from '../../elements/table.tsx';
import { LastUsed } from './credential-cells.tsx';

export function Passkeys() {
  const passkeys = useQuery(passkeysQuery);
  const [adding, setAdding] = useState(false);
  const [doomed, setDoomed] = useState<Passkey>();
  return (
    <Card
      title="Passkeys"
      note="log in by this device or a security key instead of the password"
      flush
      actions={
        canUsePasskeys() && (
          <Button icon={<Fingerprint size={14} aria-hidden />} onClick={() => setAdding(true)}>
            Add a passkey
          </Button>
        )
      }
    >
      {passkeys.error && (
        <div className="p-4">
          <ProblemNotice error={passkeys.error} retry={() => void passkeys.refetch()} />
        </div>
      )}
      {passkeys.isPending && !passkeys.error && <SkeletonRows rows={1} />}
      {passkeys.data?.length === 0 && <p className="p-4 text-ink-3">No passkey yet.</p>}
      {passkeys.data && passkeys.data.length > 0 && (
        <Table
          label="Passkeys"
          head={['Name', 'Last used', 'Added', '']}
          rows={passkeys.data.map((passkey) => ({
            id: passkey.credentialId,
            cells: [
              <span key="name" className="inline-flex items-center gap-2 font-medium">
                {passkey.name}
                {passkey.isBackedUp && <Tag>synchronised</Tag>}
              </span>,
              <LastUsed key="used" at={passkey.lastUsedAt} />,
              <Moment key="added" iso={passkey.createdAt} />,
              <Button key="act" look="quiet" aria-label={`Remove ${passkey.name}`} onClick={() => setDoomed(passkey)}>
                Remove
              </Button>,
            ],
          }))}
        />
      )}
      {adding && <Add onClose={() => setAdding(false)} />}
      {doomed && <Remove passkey={doomed} onClose={() => setDoomed(undefined)} />}
    </Card>
  );
}

function Add({ onClose }: { onClose(): void }) {
  const client = useQueryClient();
  const adding = useMutation({
    mutationFn: addPasskey,
    onSuccess: async () => {
      await client.invalidateQueries({ queryKey: passkeysQuery.queryKey });
      onClose();
    },
  });
  const submit = (event: FormEvent<HTMLFormElement>): void => {
    event.preventDefault();
    const form = new FormData(event.currentTarget);
    adding.mutate({ name: String(form.get('name')).trim(), password: String(form.get('password')) });
  };
  return (
    <Dialog title="Add a passkey" open onClose={onClose}>
      <form className="flex flex-col gap-3" onSubmit={submit}>
        <TextField label="Name" name="name" placeholder="such as: laptop" required maxLength={100} autoFocus />
        <TextField label="Your password" name="password" type="password" autoComplete="current-password" required />
        <p className="text-xs text-ink-3">Then your browser asks where to keep it.</p>
        {adding.error && <ProblemNotice error={adding.error} />}
        <div className="flex justify-end gap-2">
          <Button onClick={onClose}>Cancel</Button>
          <Button type="submit" look="primary" disabled={adding.isPending}>
            {adding.isPending ? 'Waiting for the browser' : 'Go on'}
          </Button>
        </div>
      </form>
    </Dialog>
  );
}

function Remove({ passkey, onClose }: { passkey: Passkey; onClose(): void }) {
  const client = useQueryClient();
  const removing = useMutation({
    mutationFn: () => removePasskey(passkey.credentialId),
    onSuccess: async () => {
      await client.invalidateQueries({ queryKey: passkeysQuery.queryKey });
      onClose();
    },
  });
  return (
    <ConfirmByName
      title="Remove this passkey"
      open
      name={passkey.name}
      action="Remove the passkey"
      consequence="It opens nothing here any more. Sessions that it opened go on: end them below. Your device keeps its own copy until you delete it there."
      busy={removing.isPending}
      error={removing.error}
      onConfirm={() => removing.mutate()}
      onClose={onClose}
    />
  );
}
