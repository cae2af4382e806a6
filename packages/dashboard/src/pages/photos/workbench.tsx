// The workbench of many checked pictures: counts that filter, rows that open beside the list, and the report of all.
import { useNavigate, useSearch } from '@tanstack/react-router';
import { Download, X } from 'lucide-react';
import { useEffect, useState } from 'react';
import { Button, IconButton } from '../../elements/button.tsx';
import { Choice } from '../../elements/choice.tsx';
import { useNarrow } from '../../elements/use-narrow.ts';
import { count, plural } from '../../format/number.ts';
import { duration } from '../../format/time.ts';
import {
  BY_WATERMARK,
  countGroups,
  csvReport,
  GROUP_NAMES,
  groupOf,
  GROUPS,
  jsonReport,
  type Checked,
  type CheckTask,
  type Wanted,
} from './checked-list.ts';
import { CheckedRows } from './checked-rows.tsx';
import { saveBlob } from './thumb.tsx';
import type { useTasks } from './tasks.ts';
import { VerifiedCard } from './verified-card.tsx';

type Queue = ReturnType<typeof useTasks<Checked, Wanted>>;

export function Workbench({ queue }: { queue: Queue }) {
  const { tasks, setInput, retry, remove } = queue;
  const { verdict } = useSearch({ from: '/shell/photos/verify' });
  const [openId, setOpenId] = useState<number>();
  const narrow = useNarrow();
  // in the order in which they are checked
  const shown = tasks.filter((task) => verdict === undefined || groupOf(task) === verdict).toReversed();
  const open = tasks.find(({ id }) => id === openId);
  return (
    <>
      <Bar queue={queue} />
      <div className="flex min-h-0 flex-1 border-t">
        {!(narrow && open) && <CheckedRows tasks={shown} open={openId} onOpen={setOpenId} />}
        {open && (
          <aside
            aria-label="Opened picture"
            className="scroll-quiet min-w-0 overflow-y-auto border-l bg-surface max-md:w-full max-md:border-0 md:w-[520px] md:shrink-0"
            tabIndex={-1}
          >
            <p className="flex items-center justify-end border-b px-2 py-1">
              <IconButton label="Close" onClick={() => setOpenId(undefined)}>
                <X size={16} />
              </IconButton>
            </p>
            <VerifiedCard
              key={open.id}
              task={open}
              onPhoto={(wanted) => setInput([open.id], wanted)}
              onRetry={() => retry(open.id)}
              onRemove={() => remove(open.id)}
            />
          </aside>
        )}
      </div>
    </>
  );
}

function Bar({ queue }: { queue: Queue }) {
  const { tasks, pausedUntilMs, setInput, cancel, clear } = queue;
  const { verdict } = useSearch({ from: '/shell/photos/verify' });
  const navigate = useNavigate({ from: '/photos/verify' });
  const counts = countGroups(tasks);
  const isOpen = tasks.some(
    ({ state, input }) => state.name === 'working' || (state.name === 'waiting' && input !== ''),
  );
  const nameless = tasks.filter(({ state, input }) => state.name === 'waiting' && input === '');
  return (
    <div className="flex flex-wrap items-center gap-2 px-4 py-2">
      <Choice
        label="Show"
        value={verdict ?? 'all'}
        options={[
          ['all', `All ${count(tasks.length)}`],
          ...GROUPS.map((group) => [group, `${GROUP_NAMES[group]} ${count(counts[group])}`] as const),
        ]}
        onChange={(next) =>
          void navigate({
            search: ({ photo }) => ({ ...(photo && { photo }), ...(next !== 'all' && { verdict: next }) }),
          })
        }
      />
      {nameless.length > 0 && (
        <Button
          onClick={() =>
            setInput(
              nameless.map(({ id }) => id),
              BY_WATERMARK,
            )
          }
        >
          Find {plural(nameless.length, 'photo')} by watermark
        </Button>
      )}
      <span className="flex-1" />
      {isOpen && <Progress tasks={tasks} pausedUntilMs={pausedUntilMs} />}
      {isOpen ? (
        <Button onClick={cancel}>Cancel</Button>
      ) : (
        <Button look="quiet" onClick={clear}>
          Clear the list
        </Button>
      )}
      <Reports tasks={tasks} />
    </div>
  );
}

const save = (text: string, type: string, name: string): void => saveBlob(new Blob([text], { type }), name);

function Reports({ tasks }: { tasks: readonly CheckTask[] }) {
  return (
    <>
      <Button
        icon={<Download size={14} aria-hidden />}
        onClick={() => save(jsonReport(tasks, new Date()), 'application/json', 'verification.json')}
      >
        JSON
      </Button>
      <Button
        icon={<Download size={14} aria-hidden />}
        onClick={() => save(csvReport(tasks), 'text/csv;charset=utf-8', 'verification.csv')}
      >
        CSV
      </Button>
    </>
  );
}

const isEnded = ({ state }: CheckTask): boolean => state.name !== 'working' && state.name !== 'waiting';

/** Count and time left, by the pace so far; or how long the server asked us to wait. */
function Progress({ tasks, pausedUntilMs }: { tasks: readonly CheckTask[]; pausedUntilMs: number | null }) {
  const [startedMs] = useState(() => Date.now());
  const [nowMs, setNowMs] = useState(startedMs);
  useEffect(() => {
    const timer = window.setInterval(() => setNowMs(Date.now()), 1_000);
    return () => window.clearInterval(timer);
  }, []);
  const [before] = useState(() => tasks.filter(isEnded).length);
  const ended = tasks.filter(isEnded).length;
  const ready = tasks.filter(({ state, input }) => state.name !== 'waiting' || input !== '').length;
  const since = ended - before;
  const leftMs = since === 0 ? undefined : ((nowMs - startedMs) / since) * (ready - ended);
  return (
    <span className="flex items-center gap-2 text-xs text-ink-2" role="status">
      <progress aria-label="Pictures checked" className="h-1.5 w-24 accent-accent" value={ended} max={ready} />
      {ended} of {ready}
      {pausedUntilMs !== null &&
        `, the server asks to wait ${Math.max(0, Math.ceil((pausedUntilMs - nowMs) / 1_000))} s`}
      {pausedUntilMs === null && leftMs !== undefined && leftMs > 0 && `, about ${duration(leftMs)} left`}
    </span>
  );
}
