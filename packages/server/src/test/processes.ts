// The process tree of an instance as Linux sees it: who belongs to it, what each is, how much memory is its own.
import { readdirSync, readFileSync } from 'node:fs';

export interface Process {
  pid: number;
  parent: number;
  /** Name of the program, as in /proc/PID/comm. */
  name: string;
  commandLine: string;
}

/** The process itself and everything below it, parents first. */
export function processTree(root: number): Process[] {
  const all = readdirSync('/proc')
    .map(Number)
    .filter((pid) => Number.isInteger(pid) && pid > 1)
    .flatMap(readProcess);
  const children = Map.groupBy(all, (process) => process.parent);
  const found = all.filter((process) => process.pid === root);
  for (let i = 0; i < found.length; i++) found.push(...(children.get((found[i] as Process).pid) ?? []));
  return found;
}

function readProcess(pid: number): Process[] {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // The name stands in parentheses and may hold anything, so fields are counted from the last one.
    const [, parent] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    const commandLine = readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ').trim();
    const name = readFileSync(`/proc/${pid}/comm`, 'utf8').trim();
    return [{ pid, parent: Number(parent), name, commandLine }];
  } catch {
    return []; // It ended between the list and the look.
  }
}

/** Proportional set size in bytes: shared pages are divided among those who share them. */
export function pssBytes(pid: number): number {
  try {
    const match = /^Pss:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8'));
    return Number(match?.[1] ?? 0) * 1024;
  } catch {
    return 0;
  }
}
