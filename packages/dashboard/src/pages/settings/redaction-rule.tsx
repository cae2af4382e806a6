// A rule of one's own: name, pattern, keys and action; what the server would refuse is said while typing.
import { useQuery } from '@tanstack/react-query';
import { useState, type FormEvent } from 'react';
import { tryQuery, type RedactionAction, type RedactionRule, type RedactionSet } from '../../api/redaction.ts';
import { Button } from '../../elements/button.tsx';
import { Dialog } from '../../elements/dialog.tsx';
import { SelectField, TextField } from '../../elements/field.tsx';
import { useLater } from './redaction-later.ts';

interface RuleEditorProps {
  /** Undefined: a new one. */
  rule: RedactionRule | undefined;
  set: RedactionSet;
  onDone: (rule: RedactionRule, before: string | undefined) => void;
  onRemove: (id: string) => void;
  onClose: () => void;
}

export function RuleEditor({ rule, set, onDone, onRemove, onClose }: RuleEditorProps) {
  const [name, setName] = useState(rule?.name ?? '');
  const [pattern, setPattern] = useState(rule?.pattern ?? '');
  const [keys, setKeys] = useState(rule?.keys ?? '');
  const [action, setAction] = useState<RedactionAction>(rule?.action ?? 'mask');
  const [sample, setSample] = useState('');
  const id = rule?.id ?? idOf(name, set);
  const edited: RedactionRule = {
    id,
    name: name.trim(),
    source: 'tenant',
    pattern,
    action,
    enabled: rule?.enabled ?? true,
    ...(keys.trim() === '' ? {} : { keys: keys.trim() }),
  };
  const tried = useLater(JSON.stringify({ ...edited, name: 'x', action: 'mask', keys: undefined }));
  const laterSample = useLater(sample);
  const check = useQuery({
    ...tryQuery({ personalData: false, rules: [JSON.parse(tried) as RedactionRule] }, { text: laterSample }),
    enabled: pattern !== '',
  });
  const problem = pattern === '' ? undefined : check.error?.message;
  const found = check.data?.hits.find((hit) => hit.ruleId === id)?.count ?? 0;
  const submit = (event: FormEvent): void => {
    event.preventDefault();
    onDone(edited, rule?.id);
  };
  return (
    <Dialog title={rule === undefined ? 'New rule' : rule.name} open onClose={onClose} wide>
      <form className="flex flex-col gap-4" onSubmit={submit}>
        <TextField
          label="Name"
          required
          maxLength={200}
          value={name}
          onChange={(event) => setName(event.target.value)}
        />
        <TextField
          label="Pattern"
          required
          maxLength={1_000}
          spellCheck={false}
          placeholder="CASE-[0-9]{6}"
          value={pattern}
          problem={problem}
          hint="RE2 syntax: no look-around and no back-references. (?i) at the start ignores case."
          onChange={(event) => setPattern(event.target.value)}
        />
        <TextField
          label="Attribute keys"
          maxLength={200}
          spellCheck={false}
          placeholder="all"
          value={keys}
          hint="For example gen_ai.* or *.customer_id. Without it every text is looked at, names and messages too."
          onChange={(event) => setKeys(event.target.value)}
        />
        <SelectField
          label="What it finds is"
          value={action}
          onChange={(event) => setAction(event.target.value as RedactionAction)}
        >
          <option value="mask">masked: [redacted:{id}]</option>
          <option value="hash">hashed under your key: equal values stay equal</option>
          <option value="drop">dropped with the whole attribute</option>
        </SelectField>
        <TextField
          label="Try it on"
          value={sample}
          spellCheck={false}
          hint={
            sample === '' || pattern === '' || problem
              ? ' '
              : found === 0
                ? 'Finds nothing here.'
                : `Finds it ${found} ×.`
          }
          onChange={(event) => setSample(event.target.value)}
        />
        <div className="flex gap-2">
          <Button
            type="submit"
            look="primary"
            disabled={problem !== undefined || check.data === undefined || name.trim() === ''}
          >
            {rule === undefined ? 'Add the rule' : 'Change the rule'}
          </Button>
          {rule !== undefined && (
            <Button look="danger" onClick={() => onRemove(rule.id)}>
              Remove
            </Button>
          )}
        </div>
      </form>
    </Dialog>
  );
}

/** From the name, as marks show it; with a number when it is taken. */
function idOf(name: string, { rules }: RedactionSet): string {
  const plain =
    name
      .normalize('NFKD')
      .toLowerCase()
      .replaceAll(/[^a-z0-9]+/g, '-')
      .replaceAll(/^-+|-+$/g, '')
      .slice(0, 34) || 'rule';
  const taken = new Set(rules.map(({ id }) => id));
  for (let i = 1; ; i++) {
    const id = i === 1 ? plain : `${plain}-${i}`;
    if (!taken.has(id)) return id;
  }
}
