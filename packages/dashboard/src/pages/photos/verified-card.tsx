// One checked picture: the verdict first, in words and with its probability; then how it came about.
import { CircleCheck, CircleX, Info, ShieldAlert, ShieldCheck, ShieldX, type LucideIcon } from 'lucide-react';
import { useState, type FormEvent } from 'react';
import type { Finding, Verdict } from '../../api/photos.ts';
import { Button } from '../../elements/button.tsx';
import { CopyButton } from '../../elements/copy.tsx';
import { TextField } from '../../elements/field.tsx';
import { ProblemNotice } from '../../elements/notice.tsx';
import { duration } from '../../format/time.ts';
import { ChangeMap } from './change-map.tsx';
import { BY_WATERMARK, type CheckTask, type Wanted } from './checked-list.ts';
import { CredentialsStory } from './credentials.tsx';
import { Thumb } from './thumb.tsx';
import { TaskTitle } from './task-title.tsx';
import { chanceOf, changeSeen, spoken, timelineOf, type Tone } from './verdict.ts';
import { WithPowers } from './with-powers.tsx';

interface CardProps {
  task: CheckTask;
  onPhoto: (photo: Wanted) => void;
  onRetry: () => void;
  onRemove: () => void;
}

export function VerifiedCard({ task, onPhoto, onRetry, onRemove }: CardProps) {
  const { file, input, state } = task;
  return (
    <>
      {state.name === 'done' && <Headline verdict={state.result.verdict} />}
      <div className="flex flex-col gap-4 p-4 sm:flex-row">
        <Thumb image={file} alt={`The picture ${file.name}`} className="h-36 w-full shrink-0 rounded-sm sm:w-52" />
        <div className="flex min-w-0 flex-1 flex-col gap-2">
          <TaskTitle file={file} isWorking={state.name === 'working'} onRemove={onRemove} />
          {state.name === 'waiting' && input === '' && <AskForPhoto onPhoto={onPhoto} />}
          {state.name === 'waiting' && input !== '' && <p className="text-ink-3">Waits for its turn.</p>}
          {state.name === 'working' && (
            <>
              <p className="text-ink-2">Checking credentials, watermark and registration.</p>
              <progress aria-label={`Verifying ${file.name}`} className="h-1.5 w-full accent-accent" />
            </>
          )}
          {state.name === 'cancelled' && (
            <p className="flex items-center gap-2 text-ink-2">
              Cancelled before there was an answer. <Button onClick={onRetry}>Check it after all</Button>
            </p>
          )}
          {state.name === 'refused' && <p className="text-error">{state.why}</p>}
          {state.name === 'failed' && (
            <>
              <ProblemNotice error={state.error} retry={onRetry} />
              <AskForPhoto photoId={input === BY_WATERMARK ? '' : input} onPhoto={onPhoto} />
            </>
          )}
          {state.name === 'done' && (
            <Facts verdict={state.result.verdict} photoId={state.result.photoId} ms={state.ms} />
          )}
        </div>
      </div>
      {state.name === 'done' && (state.result.verdict.changedRegions ?? []).length > 0 && (
        <ChangeMap image={file} regions={state.result.verdict.changedRegions ?? []} />
      )}
      {state.name === 'done' && <Timeline verdict={state.result.verdict} />}
      {state.name === 'done' && state.result.verdict.credentials !== null && (
        <details className="border-t px-4 py-3">
          <summary className="cursor-pointer text-xs font-medium text-ink-3">What the file’s credentials tell</summary>
          <div className="pt-3">
            <CredentialsStory credentials={state.result.verdict.credentials} />
          </div>
        </details>
      )}
    </>
  );
}

function AskForPhoto({ photoId = '', onPhoto }: { photoId?: string; onPhoto: (photo: Wanted) => void }) {
  const [typed, setTyped] = useState(photoId);
  const submit = (event: FormEvent): void => {
    event.preventDefault();
    if (typed.trim() !== '') onPhoto(typed.trim());
  };
  return (
    <form className="flex flex-wrap items-end gap-2" onSubmit={submit}>
      <div className="min-w-64 flex-1">
        <TextField
          label="Which photo should it be?"
          placeholder="photo id"
          hint="From the list of photos, or from the name that the protected file was saved under."
          value={typed}
          className="h-8 w-full rounded-md border border-line-control bg-surface px-2.5 font-mono text-xs"
          onChange={(event) => setTyped(event.target.value)}
        />
      </div>
      <Button type="submit" look="primary" className="mb-5" disabled={typed.trim() === ''}>
        Verify
      </Button>
      <Button className="mb-5" onClick={() => onPhoto(BY_WATERMARK)}>
        Find it by its watermark
      </Button>
    </form>
  );
}

export const TONES: Record<Tone, { icon: LucideIcon; look: string }> = {
  ok: { icon: ShieldCheck, look: 'bg-ok-wash text-ok' },
  warn: { icon: ShieldAlert, look: 'bg-warn-wash text-warn' },
  error: { icon: ShieldX, look: 'bg-error-wash text-error' },
};

function Headline({ verdict }: { verdict: Verdict }) {
  const { tone, headline, explanation } = spoken(verdict);
  const { icon: Icon, look } = TONES[tone];
  return (
    <div role="status" className={`flex items-start gap-3 border-b px-4 py-3 ${look}`}>
      <Icon size={22} aria-hidden className="shrink-0" />
      <div className="min-w-0">
        <p className="text-md font-semibold">{headline}</p>
        <p className="text-ink">{explanation}</p>
      </div>
    </div>
  );
}

function Facts({ verdict, photoId, ms }: { verdict: Verdict; photoId: string; ms: number }) {
  const chance = chanceOf(verdict);
  return (
    <>
      {chance && (
        <p>
          <WithPowers text={chance} />
        </p>
      )}
      <p className="text-ink-2">{changeSeen(verdict)}</p>
      <dl className="grid grid-cols-[auto_1fr] gap-x-4 gap-y-1 text-xs">
        <dt className="text-ink-3">Credentials</dt>
        <dd className="font-mono">{verdict.c2paStatus}</dd>
        <dt className="text-ink-3">Watermark</dt>
        <dd className="font-mono">{verdict.watermarkStatus}</dd>
        <dt className="text-ink-3">Photo</dt>
        <dd className="truncate font-mono">{photoId}</dd>
        <dt className="text-ink-3">Checked in</dt>
        <dd>{duration(ms)}</dd>
      </dl>
    </>
  );
}

function Timeline({ verdict }: { verdict: Verdict }) {
  return (
    <section className="border-t px-4 py-3">
      <h2 className="mb-2 flex items-center justify-between text-xs font-medium text-ink-3">
        How the verdict came about
        <CopyButton text={JSON.stringify(verdict, null, 2)} label="Copy the answer as JSON" className="!h-6 !w-6" />
      </h2>
      <ol className="flex flex-col gap-3">
        {timelineOf(verdict.findings).map(({ title, findings }) => (
          <li key={title} className="grid gap-x-4 gap-y-1 sm:grid-cols-[132px_1fr]">
            <span className="font-medium text-ink-2">{title}</span>
            <ul className="flex min-w-0 flex-col gap-1.5">
              {findings.map((finding, index) => (
                <FindingLine key={index} finding={finding} />
              ))}
            </ul>
          </li>
        ))}
      </ol>
    </section>
  );
}

const SEVERITIES: Record<Finding['severity'], { icon: LucideIcon; look: string; word: string }> = {
  success: { icon: CircleCheck, look: 'text-ok', word: 'for it' },
  info: { icon: Info, look: 'text-ink-3', word: 'noted' },
  failure: { icon: CircleX, look: 'text-error', word: 'against it' },
};

const MAX_SHOWN = 40;

function FindingLine({ finding }: { finding: Finding }) {
  const { icon: Icon, look, word } = SEVERITIES[finding.severity];
  // long values (paths into the manifest) are in the JSON that the button above copies
  const evidence = Object.entries(finding.evidence ?? {}).filter(([, value]) => String(value).length <= MAX_SHOWN);
  return (
    <li className="flex gap-2">
      <Icon size={14} className={`mt-[3px] shrink-0 ${look}`} aria-label={word} />
      <div className="min-w-0">
        <p>{finding.message}</p>
        <p className="text-xs break-words text-ink-3">
          <code className="font-mono">{finding.code}</code>
          {evidence.map(([name, value]) => (
            <span key={name}>
              {' · '}
              {name} {typeof value === 'number' ? Number(value.toPrecision(4)) : String(value)}
            </span>
          ))}
        </p>
      </div>
    </li>
  );
}
