// Many checked files as rows: which group each belongs to, one line of why, and the report of all of them as JSON or CSV.
import type { Verdict } from '../../api/photos.ts';
import { changeSeen, spoken } from './verdict.ts';
import type { Task } from './tasks.ts';

/** What verify answered, and about which photo. */
export interface Checked {
  photoId: string;
  verdict: Verdict;
}

/** A file to check: the photo it should be, '' while nobody said, or found by the watermark first. */
export type Wanted = string;
export const BY_WATERMARK: Wanted = 'by watermark';

export type CheckTask = Task<Checked, Wanted>;

export const GROUPS = ['authentic', 'derived', 'not-authentic', 'unchecked'] as const;
export type Group = (typeof GROUPS)[number];

export const GROUP_NAMES: Readonly<Record<Group, string>> = {
  authentic: 'Authentic',
  derived: 'Comes from the photo',
  'not-authentic': 'Not authentic',
  unchecked: 'Not checked',
};

const BY_TONE = { ok: 'authentic', warn: 'derived', error: 'not-authentic' } as const;

/** Nothing without a verdict is ever counted with those that have one. */
export function groupOf({ state }: Pick<CheckTask, 'state'>): Group {
  return state.name === 'done' ? BY_TONE[spoken(state.result.verdict).tone] : 'unchecked';
}

/** One line of why. */
export function reasonOf({ state, input }: Pick<CheckTask, 'state' | 'input'>): string {
  switch (state.name) {
    case 'waiting':
      return input === '' ? 'Which photo should it be?' : 'Waits for its turn.';
    case 'working':
      return 'Is being checked.';
    case 'cancelled':
      return 'Cancelled before there was an answer.';
    case 'refused':
      return state.why;
    case 'failed':
      return state.error.message;
    case 'done': {
      const { verdict } = state.result;
      return verdict.authentic ? changeSeen(verdict) : spoken(verdict).explanation;
    }
  }
}

export function countGroups(tasks: readonly Pick<CheckTask, 'state'>[]): Record<Group, number> {
  const counts: Record<Group, number> = { authentic: 0, derived: 0, 'not-authentic': 0, unchecked: 0 };
  for (const task of tasks) counts[groupOf(task)]++;
  return counts;
}

/** Every file with its whole answer, in the order in which they were given. */
export function jsonReport(tasks: readonly CheckTask[], madeAt: Date): string {
  const files = inOrder(tasks).map((task) => ({
    file: task.file.name,
    bytes: task.file.size,
    group: groupOf(task),
    reason: reasonOf(task),
    ...(task.state.name === 'done'
      ? {
          photoId: task.state.result.photoId,
          checkedInMs: Math.round(task.state.ms),
          verdict: task.state.result.verdict,
        }
      : { photoId: null, checkedInMs: null, verdict: null }),
  }));
  return JSON.stringify({ madeAt: madeAt.toISOString(), counts: countGroups(tasks), files }, null, 2);
}

const COLUMNS =
  'file,bytes,group,authentic,c2paStatus,watermarkStatus,confidenceScore,tamperClass,changedRegions,photoId,checkedInMs,reason';

/** One line per file after RFC 4180. */
export function csvReport(tasks: readonly CheckTask[]): string {
  const lines = inOrder(tasks).map((task) => {
    const done = task.state.name === 'done' ? task.state : undefined;
    const verdict = done?.result.verdict;
    return [
      task.file.name,
      task.file.size,
      groupOf(task),
      verdict?.authentic,
      verdict?.c2paStatus,
      verdict?.watermarkStatus,
      verdict?.confidenceScore,
      verdict?.tamperClass,
      verdict?.changedRegions?.length,
      done?.result.photoId,
      done && Math.round(done.ms),
      reasonOf(task),
    ]
      .map(cell)
      .join(',');
  });
  return [COLUMNS, ...lines, ''].join('\r\n');
}

const inOrder = (tasks: readonly CheckTask[]): CheckTask[] => tasks.toReversed();

/** A name that a spreadsheet would run as a formula gets an apostrophe (OWASP, "CSV Injection"). */
function cell(value: string | number | boolean | null | undefined): string {
  if (value === null || value === undefined) return '';
  if (typeof value !== 'string') return String(value);
  const harmless = /^[=+\-@\t\r]/.test(value) ? `'${value}` : value;
  return /[",\r\n]/.test(harmless) ? `"${harmless.replaceAll('"', '""')}"` : harmless;
}
