// An identity provider: where it is, how we are known there, and what groups mean here.
import { useMutation } from '@tanstack/react-query';
import { ArrowUp, Plus, X } from 'lucide-react';
import { useState, type FormEvent } from 'react';
import {
  addProvider,
  changeProvider,
  findingInWords,
  lookAtProvider,
  type OidcProvider,
  type RoleRule,
} from '../../api/oidc-providers.ts';
import { ROLES } from '../../api/people.ts';
import { Button, IconButton } from '../../elements/button.tsx';
import { CopyBlock } from '../../elements/copy.tsx';
import { INPUT, SelectField, TextField } from '../../elements/field.tsx';
import { ProblemNotice } from '../../elements/notice.tsx';

/** Nobody becomes an owner by a group. */
const GIVEN = ROLES.map(([name]) => name).filter((name) => name !== 'owner');
const NOBODY = '';

interface ProviderFormProps {
  /** Absent: a new one. */
  provider: OidcProvider | undefined;
  onSaved(): Promise<void>;
  onClose(): void;
}

interface Row extends RoleRule {
  key: number;
}

export function ProviderForm({ provider, onSaved, onClose }: ProviderFormProps) {
  const [issuer, setIssuer] = useState(provider?.issuer ?? '');
  const [rows, setRows] = useState<Row[]>(() => (provider?.roleByGroup ?? []).map((rule, key) => ({ ...rule, key })));
  const looking = useMutation({ mutationFn: lookAtProvider });
  const saving = useMutation({
    mutationFn: async (form: FormData) => {
      const text = (name: string): string => String(form.get(name) ?? '').trim();
      const settings = {
        name: text('name'),
        groupsClaim: text('groupsClaim'),
        roleByGroup: rows.map(({ group, role }) => ({ group: group.trim(), role })),
        defaultRole: text('defaultRole') === NOBODY ? null : text('defaultRole'),
        isListed: form.has('isListed'),
      };
      const secret = String(form.get('clientSecret') ?? '');
      if (provider === undefined) {
        const clientSecret = secret === '' ? null : secret;
        return addProvider({ ...settings, issuer: issuer.trim(), clientId: text('clientId'), clientSecret });
      }
      await changeProvider(provider.providerId, { ...settings, ...(secret === '' ? {} : { clientSecret: secret }) });
      return undefined;
    },
    onSuccess: async (made) => {
      await onSaved();
      if (made === undefined) onClose();
    },
  });
  const submit = (event: FormEvent<HTMLFormElement>): void => {
    event.preventDefault();
    saving.mutate(new FormData(event.currentTarget));
  };
  if (saving.data !== undefined)
    return (
      <div className="flex flex-col gap-3">
        <p>Added. Register this redirect URI at the provider, and it can be used:</p>
        <CopyBlock label="Redirect URI" text={saving.data.redirectUri} />
        <div className="flex justify-end">
          <Button look="primary" onClick={onClose}>
            Done
          </Button>
        </div>
      </div>
    );
  return (
    <form className="flex flex-col gap-4" onSubmit={submit}>
      <TextField label="Name" name="name" defaultValue={provider?.name} required maxLength={100} />
      <div className="flex flex-col gap-2">
        <TextField
          label="Issuer"
          type="url"
          value={issuer}
          disabled={provider !== undefined}
          required
          maxLength={500}
          placeholder="https://id.example.com"
          onChange={(event) => {
            setIssuer(event.target.value);
            looking.reset();
          }}
        />
        <div className="flex flex-wrap items-center gap-2">
          <Button disabled={issuer.trim() === '' || looking.isPending} onClick={() => looking.mutate(issuer.trim())}>
            {looking.isPending ? 'Asking it' : 'Check'}
          </Button>
          {looking.data && (
            <p role="status" className={looking.data.finding === 'works' ? 'text-ok' : 'text-error'}>
              {findingInWords(looking.data)}
            </p>
          )}
        </div>
        {looking.error && <ProblemNotice error={looking.error} />}
      </div>
      <div className="grid gap-3 sm:grid-cols-2">
        <TextField
          label="Client ID"
          name="clientId"
          defaultValue={provider?.clientId}
          disabled={provider !== undefined}
          required
          maxLength={400}
        />
        <TextField
          label="Client secret"
          name="clientSecret"
          type="password"
          autoComplete="off"
          maxLength={1_000}
          hint={provider?.hasClientSecret === true ? 'Left empty it stays as it is.' : 'Empty for a public client.'}
        />
      </div>
      <Rules rows={rows} onChange={setRows} />
      <div className="grid gap-3 sm:grid-cols-2">
        <TextField
          label="Claim of the groups"
          name="groupsClaim"
          defaultValue={provider?.groupsClaim ?? 'groups'}
          required
          maxLength={200}
        />
        <SelectField label="Everybody else" name="defaultRole" defaultValue={provider?.defaultRole ?? NOBODY}>
          <option value={NOBODY}>is not let in</option>
          {GIVEN.map((role) => (
            <option key={role} value={role}>
              {role}
            </option>
          ))}
        </SelectField>
      </div>
      <label className="flex items-center gap-2">
        <input type="checkbox" name="isListed" className="accent-accent" defaultChecked={provider?.isListed ?? false} />
        Shown to everybody on the login page
      </label>
      {saving.error && <ProblemNotice error={saving.error} />}
      <div className="flex justify-end gap-2">
        <Button onClick={onClose}>Cancel</Button>
        <Button type="submit" look="primary" disabled={saving.isPending}>
          {provider === undefined ? 'Add' : 'Save'}
        </Button>
      </div>
    </form>
  );
}

function Rules({ rows, onChange }: { rows: Row[]; onChange(rows: Row[]): void }) {
  const change = (key: number, rule: Partial<RoleRule>): void =>
    onChange(rows.map((row) => (row.key === key ? { ...row, ...rule } : row)));
  const raise = (index: number): void => {
    const moved = rows[index];
    if (moved !== undefined) onChange(rows.toSpliced(index, 1).toSpliced(index - 1, 0, moved));
  };
  const add = (): void =>
    onChange([...rows, { key: Math.max(-1, ...rows.map(({ key }) => key)) + 1, group: '', role: 'viewer' }]);
  return (
    <fieldset className="flex flex-col gap-2">
      <legend className="mb-1 text-xs font-medium text-ink-2">Groups and roles; the first that holds decides</legend>
      {rows.map((row, index) => (
        <div key={row.key} className="flex items-center gap-2">
          <input
            aria-label={`Group ${index + 1}`}
            className={INPUT}
            value={row.group}
            required
            maxLength={256}
            onChange={(event) => change(row.key, { group: event.target.value })}
          />
          <select
            aria-label={`Role of group ${index + 1}`}
            className={`${INPUT} !w-28`}
            value={row.role}
            onChange={(event) => change(row.key, { role: event.target.value })}
          >
            {GIVEN.map((role) => (
              <option key={role}>{role}</option>
            ))}
          </select>
          <IconButton label={`Move group ${index + 1} up`} disabled={index === 0} onClick={() => raise(index)}>
            <ArrowUp size={14} />
          </IconButton>
          <IconButton
            label={`Take group ${index + 1} away`}
            onClick={() => onChange(rows.filter(({ key }) => key !== row.key))}
          >
            <X size={14} />
          </IconButton>
        </div>
      ))}
      <div>
        <Button icon={<Plus size={14} aria-hidden />} onClick={add}>
          Add a group
        </Button>
      </div>
    </fieldset>
  );
}
