// The rows of the workbench: virtual, so that five hundred pictures draw as few thumbnails as fit the window.
import { useEffect, useRef, type KeyboardEvent } from 'react';
import { useRows } from '../../elements/use-rows.ts';
import { duration } from '../../format/time.ts';
import { GROUP_NAMES, groupOf, reasonOf, type CheckTask, type Group } from './checked-list.ts';
import { Thumb } from './thumb.tsx';

const LOOKS: Record<Group, string> = {
  authentic: 'text-ok',
  derived: 'text-warn',
  'not-authentic': 'text-error',
  unchecked: 'text-ink-3',
};
const TRACKS = '32px minmax(110px,1.2fr) 140px 110px minmax(160px,2fr) 56px';
const LEAST_PX = 690;
const COLUMNS = ['Picture', 'File', 'Verdict', 'Change', 'Why', 'Time'];
const STEPS = new Map([
  ['ArrowDown', 1],
  ['j', 1],
  ['ArrowUp', -1],
  ['k', -1],
]);

interface CheckedRowsProps {
  tasks: readonly CheckTask[];
  open: number | undefined;
  onOpen(id: number | undefined): void;
}

export function CheckedRows({ tasks, open, onOpen }: CheckedRowsProps) {
  const scroller = useRef<HTMLDivElement>(null);
  const rows = useRows(tasks.length, scroller);
  const at = tasks.findIndex(({ id }) => id === open);
  useEffect(() => {
    if (at >= 0) rows.scrollToIndex(at, { align: 'auto' });
  }, [at, rows]);
  const listen = (event: KeyboardEvent): void => {
    if (event.key === 'Escape') onOpen(undefined);
    const step = STEPS.get(event.key);
    if (step === undefined || tasks.length === 0) return;
    event.preventDefault();
    onOpen(tasks[Math.min(Math.max(at + step, 0), tasks.length - 1)]?.id);
  };
  return (
    <div
      ref={scroller}
      role="grid"
      aria-label="Pictures"
      aria-rowcount={tasks.length + 1}
      aria-activedescendant={at >= 0 ? `picture-${open}` : undefined}
      tabIndex={0}
      onKeyDown={listen}
      className="scroll-quiet min-w-0 flex-1 overflow-auto bg-surface -outline-offset-2"
    >
      <div
        role="row"
        aria-rowindex={1}
        className="sticky top-0 z-10 grid h-8 items-center gap-x-3 border-b bg-surface px-4 text-xs font-medium text-ink-3"
        style={{ gridTemplateColumns: TRACKS, minWidth: LEAST_PX }}
      >
        {COLUMNS.map((title, column) => (
          <span key={title} role="columnheader" className={column === 5 ? 'text-right' : ''}>
            {column === 0 ? <span className="sr-only">{title}</span> : title}
          </span>
        ))}
      </div>
      <div role="rowgroup" className="relative" style={{ height: rows.getTotalSize(), minWidth: LEAST_PX }}>
        {rows.getVirtualItems().map(({ index, start }) => {
          const task = tasks[index];
          return task === undefined ? null : (
            <Row key={task.id} task={task} index={index} top={start} isOpen={task.id === open} onOpen={onOpen} />
          );
        })}
      </div>
    </div>
  );
}

interface RowProps {
  task: CheckTask;
  index: number;
  top: number;
  isOpen: boolean;
  onOpen(id: number): void;
}

function Row({ task, index, top, isOpen, onOpen }: RowProps) {
  const { file, state } = task;
  const group = groupOf(task);
  const verdict = state.name === 'done' ? state.result.verdict : undefined;
  const reason = reasonOf(task);
  return (
    <div
      id={`picture-${task.id}`}
      role="row"
      aria-rowindex={index + 2}
      aria-selected={isOpen}
      onClick={() => onOpen(task.id)}
      className={`absolute inset-x-0 grid h-8 cursor-pointer items-center gap-x-3 border-b px-4 ${isOpen ? 'bg-selected' : 'hover:bg-hover'}`}
      style={{ gridTemplateColumns: TRACKS, transform: `translateY(${top}px)` }}
    >
      <span role="gridcell">
        <Thumb image={file} alt="" className="h-6 w-8 rounded-xs" />
      </span>
      <span role="gridcell" className="truncate" title={file.name}>
        {file.name}
      </span>
      <span role="gridcell" className={`truncate font-medium ${LOOKS[group]}`}>
        {state.name === 'working' ? 'Checking…' : GROUP_NAMES[group]}
      </span>
      <code role="gridcell" className="truncate font-mono text-xs text-ink-2" title={verdict?.tamperClass ?? ''}>
        {verdict?.tamperClass ?? '–'}
      </code>
      <span role="gridcell" className="truncate text-ink-2" title={reason}>
        {reason}
      </span>
      <span role="gridcell" className="text-right text-xs text-ink-3">
        {state.name === 'done' ? duration(state.ms) : ''}
      </span>
    </div>
  );
}
