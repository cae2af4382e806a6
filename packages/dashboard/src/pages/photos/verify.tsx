// Verify by drag and drop: a few pictures as cards, many as a workbench of rows.
import { useSearch } from '@tanstack/react-router';
import { useState } from 'react';
import { identifyImage, photoIdInName, verifyImage } from '../../api/photos.ts';
import { Page } from '../../elements/page.tsx';
import { plural } from '../../format/number.ts';
import { BY_WATERMARK, type Checked, type Wanted } from './checked-list.ts';
import { DropZone } from './drop-zone.tsx';
import { PhotoTabs } from './photo-tabs.tsx';
import { useTasks } from './tasks.ts';
import { VerifiedCard } from './verified-card.tsx';
import { Workbench } from './workbench.tsx';

/** Up to here every picture is a card of its own. */
const MAX_CARDS = 3;
/** The server looks at a few pictures at a time; more would only wait there, each with its bytes. */
const PARALLEL = 3;

async function check(file: File, wanted: Wanted, signal: AbortSignal): Promise<Checked> {
  const photoId = wanted === BY_WATERMARK ? await photoByWatermark(file, signal) : wanted;
  return { photoId, verdict: await verifyImage(file, photoId, signal) };
}

async function photoByWatermark(file: File, signal: AbortSignal): Promise<string> {
  const { matches } = await identifyImage(file, signal);
  const found = matches.find(({ kind }) => kind === 'watermark');
  if (found === undefined)
    throw new Error(
      'No watermark of a photo of this workspace was read in it, so there is nothing to check it against.',
    );
  return found.photoId;
}

export function VerifyPage() {
  const { photo = '' } = useSearch({ from: '/shell/photos/verify' });
  const [leftOut, setLeftOut] = useState(0);
  const queue = useTasks<Checked, Wanted>({ isReady: (wanted) => wanted !== '', run: check, parallel: PARALLEL });
  const { tasks, add, setInput, retry, remove } = queue;
  const take = (files: File[]): void => setLeftOut(add(files, (file) => photo || (photoIdInName(file.name) ?? '')));
  const isWorkbench = tasks.length > MAX_CARDS;
  return (
    <Page title="Verify" actions={<PhotoTabs />} fills={isWorkbench}>
      <div className={isWorkbench ? 'p-4 pb-0' : 'mx-auto mb-4 max-w-3xl'}>
        <DropZone
          title="Drop the pictures in question here, or choose them"
          small={tasks.length > 0}
          folders
          onFiles={take}
        >
          Each is checked in memory against one registered photo, and not kept.
        </DropZone>
        {leftOut > 0 && (
          <p role="status" className="mt-2 text-warn">
            The list is full: {plural(leftOut, 'file was', 'files were')} left out. Clear it, then drop them again.
          </p>
        )}
      </div>
      {isWorkbench ? (
        <Workbench queue={queue} />
      ) : (
        <ul aria-label="Pictures" aria-live="polite" className="mx-auto flex max-w-3xl flex-col gap-4">
          {tasks.map((task) => (
            <li key={task.id} className="overflow-hidden rounded-md border bg-surface">
              <VerifiedCard
                task={task}
                onPhoto={(wanted) => setInput([task.id], wanted)}
                onRetry={() => retry(task.id)}
                onRemove={() => remove(task.id)}
              />
            </li>
          ))}
        </ul>
      )}
    </Page>
  );
}
