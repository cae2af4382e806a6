// A list of files that go up one after the other; each keeps its own state, and leaving the page cancels what waits.
import { useEffect, useReducer, useRef } from 'react';
import { refusalOf } from './drop-zone.tsx';

export type TaskState<Result> =
  | { name: 'waiting' }
  | { name: 'working' }
  | { name: 'refused'; why: string }
  | { name: 'failed'; error: Error }
  | { name: 'done'; result: Result; ms: number };

export interface Task<Result, Input> {
  id: number;
  file: File;
  input: Input;
  state: TaskState<Result>;
}

type Action<Result, Input> =
  | { do: 'add'; tasks: Task<Result, Input>[] }
  | { do: 'set'; id: number; state: TaskState<Result> }
  | { do: 'input'; id: number; input: Input }
  | { do: 'remove'; id: number };

function reduce<Result, Input>(tasks: Task<Result, Input>[], action: Action<Result, Input>): Task<Result, Input>[] {
  switch (action.do) {
    case 'add':
      return [...action.tasks, ...tasks];
    case 'set':
      return tasks.map((task) => (task.id === action.id ? { ...task, state: action.state } : task));
    case 'input':
      return tasks.map((task) =>
        task.id === action.id ? { ...task, input: action.input, state: { name: 'waiting' } } : task,
      );
    case 'remove':
      return tasks.filter(({ id }) => id !== action.id);
  }
}

let nextId = 1;

interface Work<Result, Input> {
  /** Whether this task has all it needs. */
  isReady(input: Input): boolean;
  run(file: File, input: Input, signal: AbortSignal): Promise<Result>;
}

export function useTasks<Result, Input>(work: Work<Result, Input>) {
  const [tasks, dispatch] = useReducer(reduce<Result, Input>, []);
  const running = useRef<AbortController>(undefined);
  const latest = useRef(work);
  useEffect(() => {
    latest.current = work;
  });
  const busy = tasks.some(({ state }) => state.name === 'working');
  // added last stands first in the list, and goes last
  const next = tasks.findLast(({ state, input }) => state.name === 'waiting' && work.isReady(input));
  useEffect(() => {
    if (busy || next === undefined) return;
    const { id, file, input } = next;
    const controller = new AbortController();
    running.current = controller;
    const startedMs = performance.now();
    dispatch({ do: 'set', id, state: { name: 'working' } });
    latest.current.run(file, input, controller.signal).then(
      (result) => dispatch({ do: 'set', id, state: { name: 'done', result, ms: performance.now() - startedMs } }),
      (error: unknown) => {
        if (controller.signal.aborted) return;
        dispatch({
          do: 'set',
          id,
          state: { name: 'failed', error: error instanceof Error ? error : new Error(String(error)) },
        });
      },
    );
  }, [busy, next]);
  useEffect(() => () => running.current?.abort(), []);
  return {
    tasks,
    add: (files: File[], inputOf: (file: File) => Input): void =>
      dispatch({
        do: 'add',
        tasks: files
          .map((file): Task<Result, Input> => {
            const why = refusalOf(file);
            return {
              id: nextId++,
              file,
              input: inputOf(file),
              state: why === undefined ? { name: 'waiting' } : { name: 'refused', why },
            };
          })
          .reverse(),
      }),
    setInput: (id: number, input: Input): void => dispatch({ do: 'input', id, input }),
    retry: (id: number): void => dispatch({ do: 'set', id, state: { name: 'waiting' } }),
    remove: (id: number): void => dispatch({ do: 'remove', id }),
  };
}
