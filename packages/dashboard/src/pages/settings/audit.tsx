// Who did what: the audit log, searched, checked and downloaded; above it what the program noticed. The address is the search.
import { useInfiniteQuery, useQuery } from '@tanstack/react-query';
import { useNavigate, useSearch } from '@tanstack/react-router';
import { CircleAlert, CircleCheck, Download, RotateCw } from 'lucide-react';
import { useState, type FormEvent } from 'react';
import {
  alertsQuery,
  AUDIT_CHECKPOINTS,
  AUDIT_EXPORT,
  auditQuery,
  auditStateQuery,
  factsOf,
  proofOf,
  readsAudit,
  sentenceOf,
  type AuditFilter,
  type AuditLine,
} from '../../api/audit.ts';
import { sessionQuery } from '../../api/session.ts';
import { membersQuery } from '../../api/people.ts';
import { keysQuery } from '../../api/settings.ts';
import { Button, buttonLook } from '../../elements/button.tsx';
import { Dialog } from '../../elements/dialog.tsx';
import { SelectField, TextField } from '../../elements/field.tsx';
import { Moment } from '../../elements/figures.tsx';
import { Empty, ProblemNotice } from '../../elements/notice.tsx';
import { Card } from '../../elements/page.tsx';
import { SkeletonRows } from '../../elements/skeleton.tsx';
import { Table } from '../../elements/table.tsx';
import { count } from '../../format/number.ts';
import { exactMoment } from '../../format/time.ts';

const EVERYTHING: AuditFilter = { actor: '', action: '', object: '', outcome: '', from: '', to: '' };

export function AuditSection() {
  const given = useSearch({ from: '/shell/settings/$section' });
  const navigate = useNavigate({ from: '/settings/$section' });
  const filter = { ...EVERYTHING, ...given };
  const search = (next: AuditFilter): void => {
    const kept = Object.fromEntries(Object.entries(next).filter(([, value]) => value !== ''));
    void navigate({ search: kept });
  };
  const { data: session } = useQuery(sessionQuery);
  // whoever may not read it is told so once, by the log
  const isReader = readsAudit(session?.user.role);
  return (
    <>
      {isReader && <Alerts />}
      {isReader && <State />}
      <Log filter={filter} search={search} />
    </>
  );
}

function Alerts() {
  const { data: alerts = [], error, refetch } = useQuery(alertsQuery);
  if (error) return <ProblemNotice error={error} retry={() => void refetch()} />;
  if (alerts.length === 0) return null;
  return (
    <Card title="Security alerts" note="each kind and subject once an hour" flush>
      <Table
        label="Security alerts"
        head={['When', 'What', 'About', '']}
        rows={alerts.slice(0, 10).map((alert) => ({
          id: alert.id,
          cells: [
            <Moment key="at" iso={alert.at} />,
            sentenceOf(alert),
            <Subject key="about" text={alert.about} />,
            <span key="facts" className="text-ink-2">
              {factsOf(alert)}
            </span>,
          ],
        }))}
      />
    </Card>
  );
}

/** Whether the chain holds, with what speaks for it. */
function State() {
  const state = useQuery(auditStateQuery);
  const { data, error, isFetching } = state;
  return (
    <Card
      title="Does it hold?"
      actions={
        <>
          <a className={buttonLook('quiet')} href={AUDIT_CHECKPOINTS} download="audit.checkpoints">
            <Download size={14} /> Checkpoints
          </a>
          <Button icon={<RotateCw size={14} />} disabled={isFetching} onClick={() => void state.refetch()}>
            {isFetching ? 'Reading …' : 'Check again'}
          </Button>
        </>
      }
    >
      {error && <ProblemNotice error={error} retry={() => void state.refetch()} />}
      {!error && data === undefined && <p className="text-ink-3">Every line is being read.</p>}
      {data?.finding === null && (
        <p className="flex items-start gap-2">
          <CircleCheck size={16} className="mt-0.5 shrink-0 text-ok" aria-hidden />
          <span>
            All {count(data.lines)} lines are as they were written, and agree with {count(data.checkpoints)} signed{' '}
            {data.checkpoints === 1 ? 'checkpoint' : 'checkpoints'}. <CheckedAt ms={state.dataUpdatedAt} />
          </span>
        </p>
      )}
      {data?.finding && (
        <p className="flex items-start gap-2" role="alert">
          <CircleAlert size={16} className="mt-0.5 shrink-0 text-error" aria-hidden />
          <span>
            The log does not hold at line {count(data.finding.position)}: {data.finding.because}{' '}
            <CheckedAt ms={state.dataUpdatedAt} />
          </span>
        </p>
      )}
    </Card>
  );
}

function CheckedAt({ ms }: { ms: number }) {
  return (
    <span className="text-ink-3">
      Read <Moment iso={new Date(ms).toISOString()} />.
    </span>
  );
}

function Log({ filter, search }: { filter: AuditFilter; search: (filter: AuditFilter) => void }) {
  const log = useInfiniteQuery(auditQuery(filter));
  const [open, setOpen] = useState<AuditLine>();
  const lines = log.data?.pages.flatMap(({ data }) => data) ?? [];
  return (
    <Card title="Audit log" note="each line is chained to the one before" flush>
      {/* the fields hold what the address says, also after going back */}
      <Search key={JSON.stringify(filter)} filter={filter} search={search} />
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
          rows={lines.map((line) => ({
            id: String(line.position),
            onOpen: () => setOpen(line),
            cells: [
              <span key="at">
                <Moment iso={line.at} />
                <span className="sr-only">, line {line.position}</span>
              </span>,
              <Subject key="who" text={line.actor} />,
              line.action,
              <Subject key="on" text={line.object} />,
              <span key="outcome" className={line.outcome === 'done' ? '' : 'font-medium text-error'}>
                {line.outcome}
              </span>,
            ],
          }))}
        />
      )}
      {log.hasNextPage && (
        <div className="p-4">
          <Button disabled={log.isFetchingNextPage} onClick={() => void log.fetchNextPage()}>
            {log.isFetchingNextPage ? 'Loading …' : 'Older lines'}
          </Button>
        </div>
      )}
      {open && <LineDialog line={open} onClose={() => setOpen(undefined)} search={search} />}
    </Card>
  );
}

const SHOWN_OF_ID = 8;
/** Who may list people and keys; others read ids. */
const LISTERS: ReadonlySet<string> = new Set(['owner', 'admin']);

/** `account:<id>` → the person's name, `key:<id>` → the key's. */
function useNames(): ReadonlyMap<string, string> {
  const { data: session } = useQuery(sessionQuery);
  const enabled = LISTERS.has(session?.user.role ?? '');
  const { data: members = [] } = useQuery({ ...membersQuery, enabled });
  const { data: keys = [] } = useQuery({ ...keysQuery, enabled });
  return new Map([
    ...members.map(({ id, name, email }) => [`account:${id}`, name || email] as const),
    ...keys.map(({ keyId, name }) => [`key:${keyId}`, name] as const),
  ]);
}

/** The name where it is known; else `key:0b9f…`: the kind, and as much of the id as tells it apart; the whole on hover. */
function Subject({ text }: { text: string }) {
  const name = useNames().get(text);
  if (name !== undefined)
    return (
      <span title={text}>
        <span className="text-ink-3">{text.slice(0, text.indexOf(':'))}</span> {name}
      </span>
    );
  const short = text.replace(/([0-9a-f]{8})-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/g, '$1…');
  return (
    <span title={text} className={short === text ? '' : 'font-mono text-xs'}>
      {short.length > 5 * SHOWN_OF_ID ? `${short.slice(0, 5 * SHOWN_OF_ID)}…` : short}
    </span>
  );
}

function LineDialog({
  line,
  onClose,
  search,
}: {
  line: AuditLine;
  onClose(): void;
  search: (filter: AuditFilter) => void;
}) {
  const only = (name: 'actor' | 'action' | 'object'): void => {
    onClose();
    search({ ...EVERYTHING, [name]: line[name] });
  };
  const facts: ReadonlyArray<readonly [string, string, (() => void)?]> = [
    ['When', exactMoment(line.at)],
    ['Who', line.actor, () => only('actor')],
    ['Action', line.action, () => only('action')],
    ['On', line.object, () => only('object')],
    ['Outcome', line.outcome],
    ['Request', line.requestId ?? 'none'],
    ['Hash', line.hash],
  ];
  return (
    <Dialog title={`Line ${count(line.position)}`} open onClose={onClose} wide>
      <dl className="grid grid-cols-[5rem_1fr] gap-x-3 gap-y-1.5">
        {facts.map(([name, value, narrow]) => (
          <div key={name} className="contents">
            <dt className="text-ink-3">{name}</dt>
            <dd className="min-w-0 break-all">
              {value}{' '}
              {narrow && (
                <button type="button" onClick={narrow} className="text-accent underline">
                  only these
                </button>
              )}
            </dd>
          </div>
        ))}
      </dl>
      <pre className="scroll-quiet mt-3 max-h-60 overflow-auto rounded-md border bg-sunken p-3 font-mono text-xs">
        {JSON.stringify(line.detail, null, 2)}
      </pre>
      <div className="mt-4 flex flex-wrap items-center gap-3">
        <a className={buttonLook('plain')} href={proofOf(line.position)} download={`audit-line-${line.position}.json`}>
          <Download size={14} /> Proof of this line
        </a>
        <span className="text-xs text-ink-3">
          shows this line alone; checked by <code className="font-mono">./lumatrace audit verify-line</code>
        </span>
      </div>
    </Dialog>
  );
}

const NAMES = ['actor', 'action', 'object', 'outcome', 'from', 'to'] as const satisfies ReadonlyArray<
  keyof AuditFilter
>;

function Search({ filter, search }: { filter: AuditFilter; search: (filter: AuditFilter) => void }) {
  const submit = (event: FormEvent<HTMLFormElement>): void => {
    event.preventDefault();
    const form = new FormData(event.currentTarget);
    const asked = NAMES.map((name) => {
      const value = form.get(name);
      return [name, typeof value === 'string' ? value.trim() : ''] as const;
    });
    search(Object.fromEntries(asked) as unknown as AuditFilter);
  };
  const isNarrowed = NAMES.some((name) => filter[name] !== '');
  return (
    <form onSubmit={submit} className="flex flex-wrap items-end gap-3 border-b p-4">
      <TextField label="Who" name="actor" defaultValue={filter.actor} placeholder="account:…" maxLength={300} />
      <TextField label="Action" name="action" defaultValue={filter.action} placeholder="key.create" maxLength={300} />
      <TextField label="On" name="object" defaultValue={filter.object} placeholder="photo:…" maxLength={300} />
      <SelectField label="Outcome" name="outcome" defaultValue={filter.outcome}>
        <option value="">any</option>
        <option value="done">done</option>
        <option value="denied">denied</option>
        <option value="failed">failed</option>
      </SelectField>
      <TextField label="From" name="from" type="date" defaultValue={filter.from} />
      <TextField label="Until" name="to" type="date" defaultValue={filter.to} />
      <Button type="submit" look="primary">
        Search
      </Button>
      {isNarrowed && (
        <Button look="quiet" onClick={() => search(EVERYTHING)}>
          Everything
        </Button>
      )}
      <a className={`${buttonLook('plain')} ml-auto`} href={AUDIT_EXPORT} download="audit.jsonl">
        <Download size={14} /> Export all
      </a>
    </form>
  );
}
