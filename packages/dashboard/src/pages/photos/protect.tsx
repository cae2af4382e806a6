// Protect by drag and drop: each picture comes back marked and signed, to be saved.
import { useQueryClient } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import { Download, ShieldCheck } from 'lucide-react';
import { useState } from 'react';
import { protectedName, protectImage, photosQuery, type Disclosure, type ProtectedImage } from '../../api/photos.ts';
import { Button } from '../../elements/button.tsx';
import { ShortId } from '../../elements/copy.tsx';
import { ProblemNotice } from '../../elements/notice.tsx';
import { Page } from '../../elements/page.tsx';
import { bytes } from '../../format/number.ts';
import { duration } from '../../format/time.ts';
import { DisclosureFields, missingFact } from './disclosure.tsx';
import { DropZone } from './drop-zone.tsx';
import { PhotoTabs } from './photo-tabs.tsx';
import { useTasks, type Task } from './tasks.ts';
import { saveBlob, Thumb } from './thumb.tsx';
import { TaskTitle } from './task-title.tsx';

const NOTHING_SAID: Disclosure = { profile: '', aiProvider: '', aiSystem: '', aiSystemVersion: '' };

export function ProtectPage() {
  const [disclosure, setDisclosure] = useState(NOTHING_SAID);
  const missing = missingFact(disclosure);
  const queryClient = useQueryClient();
  const { tasks, add, retry, remove } = useTasks<ProtectedImage, Disclosure>({
    isReady: () => true,
    run: async (file, said, signal) => {
      const done = await protectImage(file, signal, said);
      void queryClient.invalidateQueries({ queryKey: photosQuery.queryKey });
      return done;
    },
  });
  return (
    <Page title="Protect" actions={<PhotoTabs />}>
      <div className="mx-auto flex max-w-3xl flex-col gap-4">
        <DisclosureFields value={disclosure} onChange={setDisclosure} />
        {missing === undefined ? (
          <DropZone title="Drop pictures here, or choose them" onFiles={(files) => add(files, () => disclosure)}>
            JPEG, PNG or WebP, up to 25 MiB and 16 megapixels each. They are marked in memory and not kept.
          </DropZone>
        ) : (
          <p role="status" className="rounded-md border border-dashed bg-surface px-4 py-10 text-center text-ink-2">
            {missing} Then pictures can be dropped here.
          </p>
        )}
        <ul aria-label="Pictures" aria-live="polite" className="flex flex-col gap-2">
          {tasks.map((task) => (
            <li key={task.id} className="rounded-md border bg-surface p-3">
              <ProtectedCard task={task} onRetry={() => retry(task.id)} onRemove={() => remove(task.id)} />
            </li>
          ))}
        </ul>
      </div>
    </Page>
  );
}

interface CardProps {
  task: Task<ProtectedImage, Disclosure>;
  onRetry: () => void;
  onRemove: () => void;
}

function ProtectedCard({ task, onRetry, onRemove }: CardProps) {
  const { file, state } = task;
  return (
    <div className="flex flex-col gap-3 sm:flex-row">
      <Thumb image={file} alt={`The picture ${file.name}`} className="h-20 w-28 shrink-0 rounded-sm" />
      <div className="flex min-w-0 flex-1 flex-col gap-1.5">
        <TaskTitle file={file} isWorking={state.name === 'working'} onRemove={onRemove} />
        {state.name === 'waiting' && <p className="text-ink-3">Waits for its turn.</p>}
        {state.name === 'working' && (
          <>
            <p className="text-ink-2">Marking, signing, and checking the result.</p>
            <progress aria-label={`Protecting ${file.name}`} className="h-1.5 w-full accent-accent" />
          </>
        )}
        {state.name === 'refused' && <p className="text-error">{state.why}</p>}
        {state.name === 'failed' && <ProblemNotice error={state.error} retry={onRetry} />}
        {state.name === 'done' && <Done file={file} done={state.result} ms={state.ms} />}
      </div>
    </div>
  );
}

function Done({ file, done, ms }: { file: File; done: ProtectedImage; ms: number }) {
  return (
    <>
      <p className="flex flex-wrap items-center gap-x-2 text-ink-2">
        <ShieldCheck size={14} className="text-ok" aria-hidden />
        Protected in {duration(ms)}, {bytes(done.image.size)}. Photo <ShortId id={done.photoId} label="photo id" />
      </p>
      <p className="flex flex-wrap items-center gap-2">
        <Button
          look="primary"
          icon={<Download size={14} aria-hidden />}
          onClick={() => saveBlob(done.image, protectedName(file.name, done.photoId))}
        >
          Save the protected picture
        </Button>
        <Link
          to="/photos/$photoId"
          params={{ photoId: done.photoId }}
          className="inline-flex h-8 items-center rounded-md px-2 font-medium text-accent hover:bg-hover"
        >
          Open the photo
        </Link>
      </p>
    </>
  );
}
