// Which files are protected, and where each goes.
import { readdir, stat } from 'node:fs/promises';
import { basename, join, relative, resolve } from 'node:path';
import { CannotAnswer, UsageError } from '../command.ts';

export interface Task {
  source: string;
  target: string;
}

const PICTURE = /\.(jpe?g|png|webp)$/i;
const MAX_FILES = 100_000;

/** Files as named, pictures of folders with their structure, in a settled order. @throws UsageError, CannotAnswer */
export async function plan(names: readonly string[], out: string): Promise<Task[]> {
  const tasks: Task[] = [];
  for (const name of names) {
    const found = await stat(name).catch((cause: unknown) => {
      throw new CannotAnswer(`there is no file or folder ${name}.`, { cause });
    });
    if (!found.isDirectory()) tasks.push({ source: name, target: join(out, basename(name)) });
    else
      for (const source of await picturesIn(name, out))
        tasks.push({ source, target: join(out, relative(name, source)) });
  }
  if (tasks.length > MAX_FILES) throw new UsageError(`Expected at most ${MAX_FILES} files.`);
  const targets = new Map<string, string>();
  for (const { source, target } of tasks) {
    if (resolve(source) === resolve(target))
      throw new UsageError(`${source} would be overwritten: choose another --out.`);
    const other = targets.get(resolve(target));
    if (other !== undefined) throw new UsageError(`${other} and ${source} would become the same file ${target}.`);
    targets.set(resolve(target), source);
  }
  return tasks;
}

/** Symbolic links are not followed; the folder that is written to is left out. */
async function picturesIn(folder: string, out: string): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const written = `${resolve(out)}/`;
  return entries
    .filter((entry) => entry.isFile() && PICTURE.test(entry.name))
    .map((entry) => join(entry.parentPath, entry.name))
    .filter((path) => !resolve(path).startsWith(written))
    .sort();
}
