// Settings → Redaction: which rules run and what they do, rules of one's own, what they found, and a playground that uses
// what is not saved yet.
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { Plus } from 'lucide-react';
import { useState } from 'react';
import {
  redactionHitsQuery,
  redactionQuery,
  saveRedaction,
  type Redaction,
  type RedactionAction,
  type RedactionRule,
  type RedactionSet,
} from '../../api/redaction.ts';
import { Button } from '../../elements/button.tsx';
import { INPUT } from '../../elements/field.tsx';
import { Moment } from '../../elements/figures.tsx';
import { ProblemNotice } from '../../elements/notice.tsx';
import { Card } from '../../elements/page.tsx';
import { SkeletonRows } from '../../elements/skeleton.tsx';
import { Table } from '../../elements/table.tsx';
import { count } from '../../format/number.ts';
import { Playground } from './redaction-playground.tsx';
import { RuleEditor } from './redaction-rule.tsx';

const ACTIONS: readonly (readonly [RedactionAction, string])[] = [
  ['mask', 'Mask'],
  ['hash', 'Hash'],
  ['drop', 'Drop'],
];

export function RedactionSection() {
  const redaction = useQuery(redactionQuery);
  if (redaction.error) return <ProblemNotice error={redaction.error} retry={() => void redaction.refetch()} />;
  if (redaction.data === undefined) return <SkeletonRows rows={8} />;
  return <RedactionForm key={redaction.data.version} redaction={redaction.data} />;
}

function RedactionForm({ redaction }: { redaction: Redaction }) {
  const saved: RedactionSet = { personalData: redaction.personalData, rules: redaction.rules };
  const [draft, setDraft] = useState(saved);
  const [editing, setEditing] = useState<RedactionRule | 'new'>();
  const queryClient = useQueryClient();
  const saving = useMutation({
    mutationFn: () => saveRedaction({ ...draft, version: redaction.version }),
    onSuccess: (now) => queryClient.setQueryData(redactionQuery.queryKey, now),
  });
  const isChanged = JSON.stringify(draft) !== JSON.stringify(saved);
  const change = (id: string, changed: Partial<RedactionRule>): void =>
    setDraft({ ...draft, rules: draft.rules.map((rule) => (rule.id === id ? { ...rule, ...changed } : rule)) });
  const put = (rule: RedactionRule, before: string | undefined): void => {
    const others = draft.rules.filter(({ id }) => id !== (before ?? rule.id));
    setDraft({ ...draft, rules: [...others, rule] });
    setEditing(undefined);
  };
  const kindOf = (id: string): string => redaction.detectors.find((detector) => detector.id === id)?.kind ?? 'own';
  const rulesOf = (kind: string): RedactionRule[] => draft.rules.filter(({ id }) => kindOf(id) === kind);
  const rows = { redaction, change };
  return (
    <>
      <Summary redaction={redaction} />
      <Playground set={draft} isChanged={isChanged} />
      <Card title="Secrets" note="taken out before anything is stored, unless a rule is turned off" flush>
        <RuleTable label="Rules for secrets" rules={rulesOf('secret')} {...rows} />
      </Card>
      <Card title="Personal data" flush>
        <label className="flex items-center gap-2 border-b border-line px-4 py-3 font-medium">
          <input
            type="checkbox"
            role="switch"
            className="h-4 w-4 accent-accent"
            checked={draft.personalData}
            onChange={(event) => setDraft({ ...draft, personalData: event.target.checked })}
          />
          Redact personal data
          <span className="font-normal text-ink-3">
            {draft.personalData ? 'the rules below run' : 'the rules below wait until this is on'}
          </span>
        </label>
        <RuleTable label="Rules for personal data" rules={rulesOf('personal')} {...rows} />
      </Card>
      <Card
        title="Own rules"
        note="patterns in RE2 syntax, which run in linear time"
        flush
        actions={
          <Button icon={<Plus size={14} aria-hidden />} onClick={() => setEditing('new')}>
            New rule
          </Button>
        }
      >
        {rulesOf('own').length === 0 ? (
          <p className="p-4 text-ink-3">None yet. A rule finds what only you know: case numbers, names of projects.</p>
        ) : (
          <RuleTable label="Own rules" rules={rulesOf('own')} {...rows} onEdit={setEditing} />
        )}
      </Card>
      {saving.error && <ProblemNotice error={saving.error} />}
      <div className="sticky -bottom-10 z-10 -mb-6 flex items-center gap-2 border-t border-line bg-canvas py-3">
        <Button look="primary" disabled={!isChanged || saving.isPending} onClick={() => saving.mutate()}>
          Save the rules
        </Button>
        <Button look="quiet" disabled={!isChanged} onClick={() => setDraft(saved)}>
          Discard
        </Button>
        <span className="text-sm text-ink-3" role="status">
          {isChanged ? 'Not saved yet' : `Version ${redaction.version} is in force`}
        </span>
      </div>
      {editing !== undefined && (
        <RuleEditor
          rule={editing === 'new' ? undefined : editing}
          set={draft}
          onDone={put}
          onRemove={(id) => {
            setDraft({ ...draft, rules: draft.rules.filter((rule) => rule.id !== id) });
            setEditing(undefined);
          }}
          onClose={() => setEditing(undefined)}
        />
      )}
    </>
  );
}

/** What the rules found in the last seven days, in one sentence, and who changed them last. */
function Summary({ redaction }: { redaction: Redaction }) {
  const totals = useHits();
  const found = [...totals].sort((a, b) => b[1] - a[1]);
  const nameOf = (id: string): string => redaction.rules.find((rule) => rule.id === id)?.name ?? id;
  return (
    <p className="text-ink-2">
      {found.length === 0
        ? 'Nothing was taken out in the last 7 days.'
        : `Taken out in the last 7 days: ${found
            .slice(0, 4)
            .map(([id, hits]) => `${count(hits)} × ${nameOf(id)}`)
            .join(', ')}${found.length > 4 ? ` and ${found.length - 4} more kinds` : ''}.`}{' '}
      {redaction.changedAt === null ? (
        'Nobody changed the rules yet.'
      ) : (
        <>
          The rules were changed <Moment iso={redaction.changedAt} />.
        </>
      )}
    </p>
  );
}

function useHits(): ReadonlyMap<string, number> {
  const hits = useQuery(redactionHitsQuery);
  const totals = new Map<string, number>();
  for (const { ruleId, hits: found } of hits.data ?? []) totals.set(ruleId, (totals.get(ruleId) ?? 0) + found);
  return totals;
}

interface RuleTableProps {
  label: string;
  rules: RedactionRule[];
  redaction: Redaction;
  change: (id: string, changed: Partial<RedactionRule>) => void;
  onEdit?: (rule: RedactionRule) => void;
}

function RuleTable({ label, rules, redaction, change, onEdit }: RuleTableProps) {
  const totals = useHits();
  const exampleOf = (rule: RedactionRule): string =>
    rule.pattern ?? redaction.detectors.find(({ id }) => id === rule.id)?.example ?? '';
  return (
    // what is changed stands first: a phone shows it without scrolling aside
    <Table
      label={label}
      head={['On', 'Rule', 'Does', 'Last 7 days', onEdit === undefined ? 'For example' : 'Pattern']}
      rows={rules.map((rule) => ({
        id: rule.id,
        cells: [
          <input
            key="on"
            type="checkbox"
            role="switch"
            aria-label={rule.name}
            className="block h-4 w-4 accent-accent"
            checked={rule.enabled}
            onChange={(event) => change(rule.id, { enabled: event.target.checked })}
          />,
          <span key="name" className="block max-w-64 min-w-32 py-1 whitespace-normal">
            {onEdit === undefined ? (
              rule.name
            ) : (
              <button type="button" className="text-accent hover:underline" onClick={() => onEdit(rule)}>
                {rule.name}
              </button>
            )}
            {rule.keys !== undefined && <span className="block text-xs text-ink-3">in {rule.keys}</span>}
          </span>,
          <select
            key="action"
            aria-label={`What ${rule.name} does`}
            className={`${INPUT} !h-7 !w-auto`}
            value={rule.action}
            onChange={(event) => change(rule.id, { action: event.target.value as RedactionAction })}
          >
            {ACTIONS.map(([action, text]) => (
              <option key={action} value={action}>
                {text}
              </option>
            ))}
          </select>,
          <span key="hits" className="tabular-nums">
            {count(totals.get(rule.id) ?? 0)}
          </span>,
          <code key="example" className="block max-w-64 truncate font-mono text-xs text-ink-2" title={exampleOf(rule)}>
            {exampleOf(rule)}
          </code>,
        ],
      }))}
    />
  );
}
