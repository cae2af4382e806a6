// Who did what: the audit log, searched and downloaded.
import { useInfiniteQuery } from '@tanstack/react-query';
import { useState, type FormEvent } from 'react';
import { AUDIT_EXPORT, auditQuery, type AuditFilter } from '../../api/audit.ts';
import { Button, buttonLook } from '../../elements/button.tsx';
import { SelectField, TextField } from '../../elements/field.tsx';
import { Moment } from '../../elements/figures.tsx';
import { Empty, ProblemNotice } from '../../elements/notice.tsx';
import { Card } from '../../elements/page.tsx';
import { SkeletonRows } from '../../elements/skeleton.tsx';
import { Table } from '../../elements/table.tsx';

const EVERYTHING: AuditFilter = { actor: '', action: '', object: '', outcome: '' };

export function AuditSection() {
  const [filter, setFilter] = useState(EVERYTHING);
  const log = useInfiniteQuery(auditQuery(filter));
  const lines = log.data?.pages.flatMap(({ data }) => data) ?? [];
  return (
    <Card title="Audit log" note="each line is chained to the one before; the export can be checked offline" flush>
      <Search search={setFilter} />
      {log.error && (
        <div className="p-4">
          <ProblemNotice error={log.error} retry={() => void log.refetch()} />
        </div>
      )}
      {log.isPending && !log.error && <SkeletonRows rows={6} />}
      {log.data && lines.length === 0 && <Empty title="No line meets this search" />}
      {lines.length > 0 && (
        <Table
          label="Audit log"
          head={['When', 'Who', 'Action', 'On', 'Outcome']}
          rows={lines.map(({ position, at, actor, action, object, outcome }) => ({
            id: String(position),
            cells: [<Moment key="at" iso={at} />, actor, action, object, outcome],
          }))}
        />
      )}
      {log.hasNextPage && (
        <div className="p-4">
          <Button disabled={log.isFetchingNextPage} onClick={() => void log.fetchNextPage()}>
            Older lines
          </Button>
        </div>
      )}
    </Card>
  );
}

function Search({ search }: { search: (filter: AuditFilter) => void }) {
  const submit = (event: FormEvent<HTMLFormElement>): void => {
    event.preventDefault();
    const form = new FormData(event.currentTarget);
    const text = (name: keyof AuditFilter): string => {
      const value = form.get(name);
      return typeof value === 'string' ? value.trim() : '';
    };
    search({ actor: text('actor'), action: text('action'), object: text('object'), outcome: text('outcome') });
  };
  return (
    <form onSubmit={submit} className="flex flex-wrap items-end gap-3 border-b p-4">
      <TextField label="Who" name="actor" placeholder="account:…" maxLength={300} />
      <TextField label="Action" name="action" placeholder="key.create" maxLength={300} />
      <TextField label="On" name="object" placeholder="photo:…" maxLength={300} />
      <SelectField label="Outcome" name="outcome">
        <option value="">any</option>
        <option value="done">done</option>
        <option value="denied">denied</option>
        <option value="failed">failed</option>
      </SelectField>
      <Button type="submit">Search</Button>
      <a className={buttonLook('plain')} href={AUDIT_EXPORT} download="audit.jsonl">
        Export
      </a>
    </form>
  );
}
