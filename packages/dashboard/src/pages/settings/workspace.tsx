// The workspace (tenant): its name, how long traces are kept, and the limits that hold for it.
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { useState, type FormEvent, type ReactNode } from 'react';
import { saveSettings, settingsQuery, type TenantSettings } from '../../api/settings.ts';
import { Button } from '../../elements/button.tsx';
import { CopyButton } from '../../elements/copy.tsx';
import { SelectField, TextField } from '../../elements/field.tsx';
import { ProblemNotice } from '../../elements/notice.tsx';
import { Card } from '../../elements/page.tsx';
import { SkeletonRows } from '../../elements/skeleton.tsx';
import { NewWorkspace } from '../../shell/new-workspace.tsx';
import { Workspaces } from '../../shell/workspaces.tsx';
import { count, plural } from '../../format/number.ts';

/** Days that a row may be kept: the retention classes of the store. */
const RETENTION_DAYS = [1, 7, 30, 90, 365] as const;

export function WorkspaceSection() {
  const settings = useQuery(settingsQuery);
  if (settings.error) return <ProblemNotice error={settings.error} retry={() => void settings.refetch()} />;
  if (settings.data === undefined) return <SkeletonRows rows={4} />;
  return <WorkspaceForm key={settings.data.tenantId} settings={settings.data} />;
}

function WorkspaceForm({ settings }: { settings: TenantSettings }) {
  const [name, setName] = useState(settings.name);
  const [days, setDays] = useState(settings.retentionDays);
  const queryClient = useQueryClient();
  const saving = useMutation({
    mutationFn: () => saveSettings({ name, retentionDays: days }),
    onSuccess: (saved) => queryClient.setQueryData(settingsQuery.queryKey, { ...settings, ...saved }),
  });
  const changed = name !== settings.name || days !== settings.retentionDays;
  const submit = (event: FormEvent): void => {
    event.preventDefault();
    saving.mutate();
  };
  return (
    <>
      <Card title="Workspace">
        <form className="flex max-w-md flex-col gap-4" onSubmit={submit}>
          <TextField label="Name" required value={name} onChange={(event) => setName(event.target.value)} />
          <SelectField
            label="Traces are kept for"
            value={days}
            hint="Holds for spans that arrive from now on. Charts outlive their rows by 90 days."
            onChange={(event) => setDays(Number(event.target.value))}
          >
            {RETENTION_DAYS.map((each) => (
              <option key={each} value={each}>
                {plural(each, 'day')}
              </option>
            ))}
          </SelectField>
          {saving.error && <ProblemNotice error={saving.error} />}
          <Button type="submit" look="primary" className="self-start" disabled={!changed || saving.isPending}>
            {saving.isSuccess && !changed ? 'Saved' : 'Save'}
          </Button>
        </form>
      </Card>
      <YourWorkspaces />
      <Card title="Limits" note="above them requests are refused with 429 and told when to come back">
        <dl className="grid max-w-md grid-cols-[1fr_auto] gap-y-2">
          <Line name="New traces a day">{count(settings.tracesPerDay)}</Line>
          <Line name="Requests an hour on /api/v1">{count(settings.requestsPerHour)}</Line>
          <Line name="Image, at most">25 MiB and 16 megapixels</Line>
          <Line name="Workspace id">
            <code className="font-mono text-xs">{settings.tenantId}</code>
            <CopyButton text={settings.tenantId} label="Copy workspace id" className="!h-6 !w-6" />
          </Line>
        </dl>
      </Card>
    </>
  );
}

/** As in the menu of the account, which a phone has no room for. */
function YourWorkspaces() {
  const [making, setMaking] = useState(false);
  return (
    <Card title="Your workspaces" note="keys, people, traces and photos of one are not seen in another">
      <Workspaces
        itemClass="flex h-8 w-full max-w-md items-center gap-2 rounded-sm px-2 text-left text-sm hover:bg-hover"
        close={() => undefined}
        onNew={() => setMaking(true)}
      />
      {making && <NewWorkspace onClose={() => setMaking(false)} />}
    </Card>
  );
}

function Line({ name, children }: { name: string; children: ReactNode }) {
  return (
    <>
      <dt className="text-ink-2">{name}</dt>
      <dd className="flex items-center justify-end">{children}</dd>
    </>
  );
}
