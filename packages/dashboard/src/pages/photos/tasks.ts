// A list of files that go up, a few at a time; each keeps its own state, and leaving the page cancels what is under way.
import { useEffect, useReducer, useRef, useState } from 'react';
import { ApiError } from '../../api/client.ts';
import { refusalOf } from './drop-zone.tsx';

export type TaskState<Result> =
  | { name: 'waiting' }
  | { name: 'working' }
  | { name: 'cancelled' }
  | { name: 'refused'; why: string }
  | { name: 'failed'; error: Error }
  | { name: 'done'; result: Result; ms: number };

export interface Task<Result, Input> {
  id: number;
  file: File;
  input: Input;
  state: TaskState<Result>;
  /** How often the server asked to come back later. */
  sentBack: number;
}

type Action<Result, Input> =
  | { do: 'add'; tasks: Task<Result, Input>[] }
  | { do: 'set'; id: number; state: TaskState<Result> }
  | { do: 'put back'; id: number }
  | { do: 'input'; ids: ReadonlySet<number>; input: Input }
  | { do: 'cancel' }
  | { do: 'remove'; id: number }
  | { do: 'clear' };

function reduce<Result, Input>(tasks: Task<Result, Input>[], action: Action<Result, Input>): Task<Result, Input>[] {
  switch (action.do) {
    case 'add':
      return [...action.tasks, ...tasks];
    case 'set':
      return tasks.map((task) => (task.id === action.id ? { ...task, state: action.state } : task));
    case 'put back':
      return tasks.map((task) =>
        task.id === action.id ? { ...task, state: { name: 'waiting' }, sentBack: task.sentBack + 1 } : task,
      );
    case 'input':
      return tasks.map((task) =>
        action.ids.has(task.id) ? { ...task, input: action.input, state: { name: 'waiting' } } : task,
      );
    case 'cancel':
      return tasks.map((task) =>
        task.state.name === 'working' || task.state.name === 'waiting'
          ? { ...task, state: { name: 'cancelled' } }
          : task,
      );
    case 'remove':
      return tasks.filter(({ id }) => id !== action.id);
    case 'clear':
      return [];
  }
}

let nextId = 1;

/** More files at once than this are not taken: every one is a row, and its file stays open to the page. */
export const MAX_TASKS = 500;
/** Longest wait that an answer may ask for, and how often one file is sent again because of it. */
const MAX_WAIT_S = 120;
const MAX_SENT_BACK = 10;

/** Seconds to wait before the next file goes; undefined when the failure is not about the pace. */
export function waitAskedFor(error: unknown, sentBack: number): number | undefined {
  if (!(error instanceof ApiError) || sentBack >= MAX_SENT_BACK) return undefined;
  if (error.status !== 429 && !(error.status === 503 && error.retryAfterS !== undefined)) return undefined;
  return Math.min(MAX_WAIT_S, Math.max(1, error.retryAfterS ?? 5));
}

interface Work<Result, Input> {
  /** Whether this task has all it needs. */
  isReady(input: Input): boolean;
  run(file: File, input: Input, signal: AbortSignal): Promise<Result>;
  /** Files under way at the same time; one unless given. */
  parallel?: number;
}

export function useTasks<Result, Input>(work: Work<Result, Input>) {
  const [tasks, dispatch] = useReducer(reduce<Result, Input>, []);
  /** When the server lets us go on, in epoch milliseconds; null: at once. */
  const [pausedUntilMs, setPausedUntilMs] = useState<number | null>(null);
  const running = useRef(new Map<number, AbortController>());
  const latest = useRef(work);
  useEffect(() => {
    latest.current = work;
  });
  useEffect(() => {
    if (pausedUntilMs === null) return;
    const timer = window.setTimeout(() => setPausedUntilMs(null), Math.max(0, pausedUntilMs - Date.now()));
    return () => window.clearTimeout(timer);
  }, [pausedUntilMs]);
  const working = tasks.filter(({ state }) => state.name === 'working').length;
  // added last stands first in the list, and goes last
  const next = tasks.findLast(({ state, input }) => state.name === 'waiting' && work.isReady(input));
  useEffect(() => {
    if (working >= (latest.current.parallel ?? 1) || next === undefined || pausedUntilMs !== null) return;
    const { id, file, input, sentBack } = next;
    const controller = new AbortController();
    running.current.set(id, controller);
    const startedMs = performance.now();
    dispatch({ do: 'set', id, state: { name: 'working' } });
    const end = (action: Action<Result, Input>): void => {
      if (running.current.get(id) === controller) running.current.delete(id);
      if (!controller.signal.aborted) dispatch(action);
    };
    latest.current.run(file, input, controller.signal).then(
      (result) => end({ do: 'set', id, state: { name: 'done', result, ms: performance.now() - startedMs } }),
      (error: unknown) => {
        const waitS = waitAskedFor(error, sentBack);
        if (waitS !== undefined && !controller.signal.aborted) {
          setPausedUntilMs(Date.now() + waitS * 1_000);
          end({ do: 'put back', id });
          return;
        }
        end({
          do: 'set',
          id,
          state: { name: 'failed', error: error instanceof Error ? error : new Error(String(error)) },
        });
      },
    );
  }, [working, next, pausedUntilMs]);
  const abortAll = (): void => {
    for (const controller of running.current.values()) controller.abort();
    running.current.clear();
  };
  useEffect(() => {
    const controllers = running.current;
    return () => {
      for (const controller of controllers.values()) controller.abort();
    };
  }, []);
  return {
    tasks,
    pausedUntilMs,
    /** Answers how many files were left out because the list is full. */
    add: (files: File[], inputOf: (file: File) => Input): number => {
      const taken = files.slice(0, Math.max(0, MAX_TASKS - tasks.length));
      dispatch({
        do: 'add',
        tasks: taken
          .map((file): Task<Result, Input> => {
            const why = refusalOf(file);
            return {
              id: nextId++,
              file,
              input: inputOf(file),
              state: why === undefined ? { name: 'waiting' } : { name: 'refused', why },
              sentBack: 0,
            };
          })
          .reverse(),
      });
      return files.length - taken.length;
    },
    setInput: (ids: readonly number[], input: Input): void => dispatch({ do: 'input', ids: new Set(ids), input }),
    retry: (id: number): void => dispatch({ do: 'set', id, state: { name: 'waiting' } }),
    remove: (id: number): void => dispatch({ do: 'remove', id }),
    cancel: (): void => {
      abortAll();
      setPausedUntilMs(null);
      dispatch({ do: 'cancel' });
    },
    clear: (): void => {
      abortAll();
      dispatch({ do: 'clear' });
    },
  };
}
