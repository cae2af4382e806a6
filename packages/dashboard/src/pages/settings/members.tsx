// Who may log in.
import { useQuery } from '@tanstack/react-query';
import { membersQuery } from '../../api/settings.ts';
import { Moment } from '../../elements/figures.tsx';
import { ProblemNotice } from '../../elements/notice.tsx';
import { Card } from '../../elements/page.tsx';
import { SkeletonRows } from '../../elements/skeleton.tsx';
import { Table } from '../../elements/table.tsx';

export function MembersSection() {
  const members = useQuery(membersQuery);
  return (
    <Card title="Members" note="people who log in; end users of your application are not listed here" flush>
      {members.error && (
        <div className="p-4">
          <ProblemNotice error={members.error} retry={() => void members.refetch()} />
        </div>
      )}
      {members.isPending && !members.error && <SkeletonRows rows={2} />}
      {members.data && (
        <Table
          label="Members"
          head={['Name', 'E-mail', 'Role', 'Last login']}
          rows={members.data.map((member) => ({
            id: member.id,
            cells: [
              <span key="name" className="font-medium">
                {member.name || member.email}
              </span>,
              member.email,
              member.role,
              member.lastLoginAt ? (
                <Moment key="login" iso={member.lastLoginAt} />
              ) : (
                <span key="login" className="text-ink-3">
                  not known
                </span>
              ),
            ],
          }))}
        />
      )}
    </Card>
  );
}
