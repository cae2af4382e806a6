// Suites of others: checkouts under LUMATRACE_SUITES, named after their repositories (docs/guides/suites.md). Never copied here.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

export interface Suite {
  name: string;
  cases: number;
  /** With the answer that the suite's own documents ask for. */
  asExpected: number;
  /** Otherwise answered, each for a reason that is written down; does not count as expected. */
  explained: number;
  /** Why it was not run; then all counts are 0. */
  notRun?: string;
  /** What was not as expected, and what was seen. */
  others?: string[];
}

const ROOT = process.env['LUMATRACE_SUITES'];

/** The first of the folders that is there, or why there is none. */
export function folderOf(...names: readonly string[]): string | { notRun: string } {
  if (ROOT === undefined) return { notRun: 'LUMATRACE_SUITES is not set' };
  const found = names.map((name) => join(ROOT, name)).find((path) => existsSync(path));
  return found ?? { notRun: `there is no ${names[0]} under LUMATRACE_SUITES` };
}

export function notRun(name: string, reason: string): Suite {
  return { name, cases: 0, asExpected: 0, explained: 0, notRun: reason };
}

export interface CaseFile {
  name: string;
  bytes: Uint8Array<ArrayBuffer>;
}

const MAX_BYTES = 64 * 1024 * 1024;

/** Files below a folder, in a settled order. */
export function* filesIn(folder: string, wanted: (path: string) => boolean): Generator<CaseFile> {
  const entries = readdirSync(folder, { recursive: true, withFileTypes: true });
  const paths = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
  for (const path of paths.filter(wanted).sort()) {
    const bytes = new Uint8Array(readFileSync(path));
    if (bytes.length <= MAX_BYTES) yield { name: path.slice(folder.length + 1), bytes };
  }
}

export type Verdict = 'expected' | 'explained' | string;

/** Runs one suite: `judge` answers "expected", "explained", or what was seen instead. */
export async function runSuite(
  name: string,
  cases: Iterable<CaseFile>,
  judge: (file: CaseFile) => Promise<Verdict>,
): Promise<Suite> {
  const suite: Suite & { others: string[] } = { name, cases: 0, asExpected: 0, explained: 0, others: [] };
  for (const file of cases) {
    suite.cases++;
    const verdict = await judge(file);
    if (verdict === 'expected') suite.asExpected++;
    else if (verdict === 'explained') suite.explained++;
    else suite.others.push(`${file.name}: ${verdict}`);
  }
  return suite;
}
