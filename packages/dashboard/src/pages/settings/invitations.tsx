// Inviting somebody: the link is shown once, to be sent by whatever way reaches them.
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { useState, type FormEvent } from 'react';
import { invitationsQuery, invite, revokeInvitation, ROLES } from '../../api/people.ts';
import { Button } from '../../elements/button.tsx';
import { CopyBlock } from '../../elements/copy.tsx';
import { SelectField, TextField } from '../../elements/field.tsx';
import { Moment } from '../../elements/figures.tsx';
import { ProblemNotice } from '../../elements/notice.tsx';
import { Card } from '../../elements/page.tsx';
import { Table } from '../../elements/table.tsx';

export function InvitationsCard({ isOwner }: { isOwner: boolean }) {
  const invitations = useQuery(invitationsQuery);
  const client = useQueryClient();
  const [email, setEmail] = useState('');
  const [role, setRole] = useState('viewer');
  const onSettled = (): Promise<void> => client.invalidateQueries({ queryKey: invitationsQuery.queryKey });
  const inviting = useMutation({ mutationFn: invite, onSuccess: () => setEmail(''), onSettled });
  const revoking = useMutation({ mutationFn: revokeInvitation, onSettled });
  const submit = (event: FormEvent): void => {
    event.preventDefault();
    inviting.mutate({ email: email.trim(), role });
  };
  const error = inviting.error ?? revoking.error ?? invitations.error;
  return (
    <Card title="Invite somebody" note="you get a link to send them; it is good for a week, once, for this address">
      <div className="flex flex-col gap-3">
        <form className="flex flex-wrap items-end gap-3" onSubmit={submit}>
          <div className="min-w-48 flex-1">
            <TextField
              label="E-mail"
              type="email"
              required
              maxLength={254}
              autoComplete="off"
              value={email}
              onChange={(event) => setEmail(event.target.value)}
            />
          </div>
          <div className="w-72 max-w-full">
            <SelectField label="Role" value={role} onChange={(event) => setRole(event.target.value)}>
              {ROLES.filter(([name]) => name !== 'owner' || isOwner).map(([name, meaning]) => (
                <option key={name} value={name}>
                  {name}: {meaning}
                </option>
              ))}
            </SelectField>
          </div>
          <Button type="submit" look="primary" disabled={inviting.isPending || email.trim() === ''}>
            Make the link
          </Button>
        </form>
        {error && <ProblemNotice error={error} />}
        {inviting.data && (
          <div className="flex flex-col gap-2">
            <p>
              Send this link to <strong className="font-semibold">{inviting.data.email}</strong>. Copy it now: it is not
              shown again.
            </p>
            <CopyBlock label="invitation" text={inviting.data.url} />
          </div>
        )}
        {invitations.data !== undefined && invitations.data.length > 0 && (
          <div className="-mx-4 -mb-4 border-t">
            <Table
              label="Open invitations"
              head={['Invited', 'Role', 'Good until', '']}
              rows={invitations.data.map((invitation) => ({
                id: invitation.invitationId,
                cells: [
                  invitation.email,
                  invitation.role,
                  <Moment key="until" iso={invitation.expiresAt} />,
                  <Button
                    key="revoke"
                    look="quiet"
                    aria-label={`Take back the invitation of ${invitation.email}`}
                    disabled={revoking.isPending}
                    onClick={() => revoking.mutate(invitation.invitationId)}
                  >
                    Take back
                  </Button>,
                ],
              }))}
            />
          </div>
        )}
      </div>
    </Card>
  );
}
