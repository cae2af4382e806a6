// Where you are logged in, and the end of it.
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { endOtherSessions, endSession, loginSessionsQuery, type LoginSession } from '../../api/login-sessions.ts';
import { ownTenantsQuery } from '../../api/people.ts';
import { Button } from '../../elements/button.tsx';
import { Moment } from '../../elements/figures.tsx';
import { ProblemNotice } from '../../elements/notice.tsx';
import { Card } from '../../elements/page.tsx';
import { SkeletonRows } from '../../elements/skeleton.tsx';
import { Table } from '../../elements/table.tsx';
import { useLeave } from '../../shell/leave.ts';
import { Passkeys } from './passkeys.tsx';

const deviceName = ({ device }: LoginSession): string => device ?? 'A browser that did not say what it is';

export function SessionsSection() {
  return (
    <>
      <Passkeys />
      <Sessions />
    </>
  );
}

function Sessions() {
  const sessions = useQuery(loginSessionsQuery);
  const { data: tenants = [] } = useQuery(ownTenantsQuery);
  const leave = useLeave();
  const isInSeveral = new Set(sessions.data?.map(({ tenantId }) => tenantId)).size > 1;
  const workspaceOf = ({ tenantId }: LoginSession): string =>
    tenants.find((tenant) => tenant.tenantId === tenantId)?.name ?? 'another workspace';
  const client = useQueryClient();
  const onSettled = (): Promise<void> => client.invalidateQueries({ queryKey: loginSessionsQuery.queryKey });
  const one = useMutation({ mutationFn: endSession, onSettled });
  const others = useMutation({ mutationFn: endOtherSessions, onSettled });
  const error = sessions.error ?? one.error ?? others.error;
  const hasOthers = (sessions.data?.length ?? 0) > 1;
  return (
    <Card
      title="Sessions"
      note="where you are logged in; a session that you end stops at once"
      flush
      actions={
        hasOthers && (
          <Button onClick={() => others.mutate()} disabled={others.isPending}>
            End all others
          </Button>
        )
      }
    >
      {error && (
        <div className="p-4">
          <ProblemNotice error={error} retry={() => void sessions.refetch()} />
        </div>
      )}
      {sessions.isPending && !sessions.error && <SkeletonRows rows={2} />}
      {sessions.data && (
        <Table
          label="Sessions"
          head={['Where', '', 'Last seen', 'Since', 'Ends']}
          rows={sessions.data.map((session) => ({
            id: session.id,
            cells: [
              <span key="device" className="font-medium">
                {deviceName(session)}
                {isInSeveral && <span className="font-normal text-ink-3"> in {workspaceOf(session)}</span>}
              </span>,
              session.isCurrent ? (
                <span key="end" className="inline-flex items-center gap-2">
                  <Button onClick={() => void leave()}>Log out</Button>
                  <span className="text-ink-3">this one</span>
                </span>
              ) : (
                <Button
                  key="end"
                  aria-label={`End the session of ${deviceName(session)}`}
                  onClick={() => one.mutate(session.id)}
                  disabled={one.isPending}
                >
                  End
                </Button>
              ),
              <Moment key="seen" iso={session.lastSeenAt} />,
              <Moment key="since" iso={session.createdAt} />,
              <Moment key="ends" iso={session.expiresAt} />,
            ],
          }))}
        />
      )}
    </Card>
  );
}
