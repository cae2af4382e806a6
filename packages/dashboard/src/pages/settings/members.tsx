// Who may log in: roles, removal, the end of their sessions; and invitations.
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { changeRole, endMemberSessions, membersQuery, removeMember, ROLES, type Member } from '../../api/people.ts';
import { sessionQuery } from '../../api/session.ts';
import { Button } from '../../elements/button.tsx';
import { Dialog } from '../../elements/dialog.tsx';
import { INPUT } from '../../elements/field.tsx';
import { Moment } from '../../elements/figures.tsx';
import { ProblemNotice } from '../../elements/notice.tsx';
import { Card } from '../../elements/page.tsx';
import { SkeletonRows } from '../../elements/skeleton.tsx';
import { Table } from '../../elements/table.tsx';
import { plural } from '../../format/number.ts';
import { InvitationsCard } from './invitations.tsx';

const nameOf = ({ name, email }: Member): string => name || email;

export function MembersSection() {
  const members = useQuery(membersQuery);
  const { data: session } = useQuery(sessionQuery);
  const client = useQueryClient();
  const [asked, setAsked] = useState<Member>();
  const onSettled = (): Promise<void> => client.invalidateQueries({ queryKey: membersQuery.queryKey });
  const role = useMutation({ mutationFn: changeRole, onSettled });
  const ends = useMutation({ mutationFn: endMemberSessions });
  const removal = useMutation({
    mutationFn: removeMember,
    onSuccess: () => setAsked(undefined),
    onSettled,
  });
  const error = members.error ?? role.error ?? ends.error;
  const me = session?.user;
  const manages = me?.role === 'owner' || me?.role === 'admin';
  const mayChange = (member: Member): boolean => manages && (me?.role === 'owner' || member.role !== 'owner');
  return (
    <>
      <Card title="Members" note="people who log in; end users of your application are not listed here" flush>
        {error && (
          <div className="p-4">
            <ProblemNotice error={error} retry={() => void members.refetch()} />
          </div>
        )}
        {ends.data && (
          <p role="status" className="px-4 pt-3 text-ink-2">
            {plural(ends.data.ended, 'session')} ended.
          </p>
        )}
        {members.isPending && !members.error && <SkeletonRows rows={2} />}
        {members.data && (
          <Table
            label="Members"
            head={['Name', 'E-mail', 'Role', 'Last login', ...(manages ? [''] : [])]}
            rows={members.data.map((member) => ({
              id: member.id,
              cells: [
                <span key="name" className="font-medium">
                  {nameOf(member)}
                  {member.id === me?.id && <span className="font-normal text-ink-3"> (you)</span>}
                </span>,
                member.email,
                mayChange(member) && !member.isManaged ? (
                  <select
                    key="role"
                    aria-label={`Role of ${nameOf(member)}`}
                    className={`${INPUT} !w-28`}
                    value={member.role}
                    disabled={role.isPending}
                    onChange={(event) => role.mutate({ id: member.id, role: event.target.value })}
                  >
                    {ROLES.filter(([name]) => name !== 'owner' || me?.role === 'owner').map(([name, meaning]) => (
                      <option key={name} value={name} title={meaning}>
                        {name}
                      </option>
                    ))}
                  </select>
                ) : (
                  <span key="role">
                    {member.role}
                    {member.isManaged && <span className="text-ink-3"> by single sign-on</span>}
                  </span>
                ),
                member.lastLoginAt ? (
                  <Moment key="login" iso={member.lastLoginAt} />
                ) : (
                  <span key="login" className="text-ink-3">
                    not known
                  </span>
                ),
                ...(manages
                  ? [
                      mayChange(member) && member.id !== me?.id ? (
                        <span key="actions" className="flex justify-end gap-1">
                          <Button
                            look="quiet"
                            aria-label={`End the sessions of ${nameOf(member)}`}
                            disabled={ends.isPending}
                            onClick={() => ends.mutate(member.id)}
                          >
                            End sessions
                          </Button>
                          <Button
                            look="quiet"
                            aria-label={`Remove ${nameOf(member)}`}
                            onClick={() => {
                              removal.reset();
                              setAsked(member);
                            }}
                          >
                            Remove
                          </Button>
                        </span>
                      ) : null,
                    ]
                  : []),
              ],
            }))}
          />
        )}
      </Card>
      {manages && <InvitationsCard isOwner={me?.role === 'owner'} />}
      <Dialog
        title={asked === undefined ? '' : `Remove ${nameOf(asked)}?`}
        open={asked !== undefined}
        onClose={() => setAsked(undefined)}
      >
        <div className="flex flex-col gap-3">
          <p className="text-ink-2">
            Their sessions in this workspace end at once. What they made stays, and so do API keys that they created:
            revoke those that only they know.
          </p>
          {removal.error && <ProblemNotice error={removal.error} />}
          <div className="flex justify-end gap-2">
            <Button onClick={() => setAsked(undefined)}>Cancel</Button>
            <Button look="danger" disabled={removal.isPending} onClick={() => asked && removal.mutate(asked.id)}>
              Remove
            </Button>
          </div>
        </div>
      </Dialog>
    </>
  );
}
