// The public detector: what a picture says about itself, for anybody who sees it. No login, and nothing is kept.
import { useEffect, useState } from 'react';
import type { SaidGenerator } from '@lumatrace/provenance/c2pa/disclosure.ts';
import { detectImage, type Detected } from '../api/photos.ts';
import { readOnDevice } from '../device/reader.ts';
import { Button } from '../elements/button.tsx';
import { ProblemNotice } from '../elements/notice.tsx';
import { probability } from '../format/number.ts';
import { Mark } from '../shell/mark.tsx';
import { DropZone } from './photos/drop-zone.tsx';
import { useTasks, type Task } from './photos/tasks.ts';
import { Thumb } from './photos/thumb.tsx';
import { TaskTitle } from './photos/task-title.tsx';
import { WithPowers } from './photos/with-powers.tsx';

type Place = 'server' | 'device';
/** Null where only the credentials were read, on this device. */
type Found = Omit<Detected, 'watermark' | 'findings'> & { watermark: Detected['watermark'] | null };

async function look(file: File, place: Place, signal: AbortSignal): Promise<Found> {
  if (place === 'server') return detectImage(file, signal);
  const { credentials, isGenerated } = await readOnDevice(file, signal);
  return { credentials, isGenerated, watermark: null, candidates: [] };
}

export function DetectPage() {
  const [place, setPlace] = useState<Place>('server');
  useEffect(() => {
    document.title = 'Where does this picture come from? · LumaTrace';
  }, []);
  const { tasks, add, retry, remove, setInput } = useTasks<Found, Place>({ isReady: () => true, run: look });
  return (
    <main className="mx-auto flex min-h-dvh max-w-3xl flex-col gap-4 p-4 sm:py-8">
      <header className="flex items-center gap-2.5">
        <Mark size={28} />
        <h1 className="text-lg font-semibold tracking-tight">Where does this picture come from?</h1>
      </header>
      <PlaceChoice place={place} onChoose={setPlace} />
      <DropZone
        title="Drop a picture here, or choose it"
        small={tasks.length > 0}
        onFiles={(files) => add(files, () => place)}
      >
        {place === 'server'
          ? 'Its credentials and its watermark are read in memory. It is not kept, and nothing is told about people.'
          : 'Its credentials are read in this browser. The picture is not sent.'}
      </DropZone>
      <ul aria-label="Pictures" aria-live="polite" className="flex flex-col gap-4">
        {tasks.map((task) => (
          <li key={task.id} className="overflow-hidden rounded-md border bg-surface p-4">
            <Card
              task={task}
              onRetry={() => retry(task.id)}
              onRemove={() => remove(task.id)}
              onSend={() => setInput([task.id], 'server')}
            />
          </li>
        ))}
      </ul>
    </main>
  );
}

const PLACES: readonly { place: Place; name: string; says: string }[] = [
  { place: 'server', name: 'Send it', says: 'credentials, watermark and look-alikes' },
  { place: 'device', name: 'Check on this device', says: 'credentials only; the picture stays here' },
];

function PlaceChoice({ place, onChoose }: { place: Place; onChoose: (place: Place) => void }) {
  return (
    <fieldset className="flex flex-wrap gap-x-6 gap-y-2">
      <legend className="sr-only">Where it is looked at</legend>
      {PLACES.map((one) => (
        <label key={one.place} className="flex items-baseline gap-2">
          <input
            type="radio"
            name="place"
            className="accent-accent"
            checked={place === one.place}
            onChange={() => onChoose(one.place)}
          />
          <span>
            {one.name} <span className="text-xs text-ink-3">{one.says}</span>
          </span>
        </label>
      ))}
    </fieldset>
  );
}

interface CardProps {
  task: Task<Found, Place>;
  onSend: () => void;
  onRetry: () => void;
  onRemove: () => void;
}

function Card({ task: { file, state }, onRetry, onRemove, onSend }: CardProps) {
  return (
    <div className="flex flex-col gap-4 sm:flex-row">
      <Thumb image={file} alt={`The picture ${file.name}`} className="h-36 w-full shrink-0 rounded-sm sm:w-52" />
      <div className="flex min-w-0 flex-1 flex-col gap-2">
        <TaskTitle file={file} isWorking={state.name === 'working'} onRemove={onRemove} />
        {state.name === 'waiting' && <p className="text-ink-3">Waits for its turn.</p>}
        {state.name === 'working' && (
          <progress aria-label={`Looking at ${file.name}`} className="h-1.5 w-full accent-accent" />
        )}
        {state.name === 'refused' && <p className="text-error">{state.why}</p>}
        {state.name === 'failed' && <ProblemNotice error={state.error} retry={onRetry} />}
        {state.name === 'done' && <Answer found={state.result} onSend={onSend} />}
      </div>
    </div>
  );
}

/** System, version and provider in one line. */
function modelOf(madeBy: SaidGenerator | null): string | null {
  if (madeBy === null) return null;
  const { system, version, provider } = madeBy;
  return [version === null ? system : `${system} ${version}`, ...(provider === null ? [] : [provider])].join(', ');
}

const STATUS: Record<Detected['credentials']['status'], string> = {
  VALID: 'Signed, unchanged, and the signer is trusted here.',
  INVALID: 'Signed, but not to be trusted: the signer is unknown here, or the signature is not in force.',
  TAMPERED: 'Damaged, or the picture was changed after it was signed.',
  MISSING: 'None. They may have been removed when the picture was saved or shared.',
};

function Answer({ found, onSend }: { found: Found; onSend: () => void }) {
  const { credentials, watermark, candidates } = found;
  const madeBy = credentials.madeBy ?? watermark?.madeBy ?? null;
  return (
    <>
      <p role="status" className="text-md font-semibold">
        {headlineOf(found)}
      </p>
      <dl className="grid grid-cols-[auto_1fr] gap-x-4 gap-y-1">
        <dt className="text-ink-3">Credentials</dt>
        <dd>{STATUS[credentials.status]}</dd>
        <Fact name="Made with" value={credentials.generator} />
        <Fact name="Model" value={modelOf(madeBy)} />
        <Fact name="Made at" value={madeBy?.createdAt ?? null} />
        <Fact name="Signed by" value={credentials.signer} />
        <Fact name="Signed at" value={credentials.signedAt} />
        <Fact name="Source" value={credentials.digitalSourceType?.split('/').at(-1) ?? null} />
        <dt className="text-ink-3">Watermark</dt>
        <dd>
          {watermark === null ? (
            <>
              Not looked for on this device, nor was it looked up among published pictures.{' '}
              <Button look="quiet" onClick={onSend}>
                Send the picture for that
              </Button>
            </>
          ) : watermark.log10p === null ? (
            'None of a published picture was found.'
          ) : (
            <>
              That of a published picture. Without a mark this answer comes with a probability below{' '}
              <WithPowers text={probability(watermark.log10p)} />.
            </>
          )}
        </dd>
        {watermark?.manifestId && (
          <>
            <dt className="text-ink-3">Manifest</dt>
            <dd>
              <a
                className="text-accent underline"
                href={`/c2pa/manifests/${encodeURIComponent(watermark.manifestId)}`}
                download="manifest.c2pa"
              >
                The credentials that belong to it
              </a>
            </dd>
          </>
        )}
        {candidates.length > 0 && (
          <>
            <dt className="text-ink-3">Looks like</dt>
            <dd>
              {candidates.length === 1 ? 'A published picture' : `${candidates.length} published pictures`}, by a
              fingerprint, which proves nothing.
            </dd>
          </>
        )}
      </dl>
    </>
  );
}

function Fact({ name, value }: { name: string; value: string | null }) {
  if (value === null) return null;
  return (
    <>
      <dt className="text-ink-3">{name}</dt>
      <dd className="break-words">{value}</dd>
    </>
  );
}

function headlineOf({ isGenerated, credentials, watermark }: Found): string {
  if (isGenerated === true) return 'Made by a model, says its signer.';
  if (credentials.status === 'VALID') return 'Its signed credentials are intact.';
  if (watermark !== null && watermark.log10p !== null)
    return 'It was made from a published picture; its own credentials do not vouch for it.';
  if (credentials.status === 'MISSING')
    return watermark === null
      ? 'No credentials in this file. Its watermark was not looked for.'
      : 'Nothing in this picture says where it comes from.';
  return 'Its credentials cannot be believed.';
}
