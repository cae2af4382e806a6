// What every bench shares: who measured, order statistics, and the committed table.
import { execFileSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { cpus, totalmem } from 'node:os';

/** One bench's answer: figures by name, printed as the last line of stdout and committed as a table. */
export interface Report {
  name: string;
  machine: string;
  commit: string;
  date: string;
  [figure: string]: unknown;
}

export function machine(): string {
  const processors = cpus();
  const memoryGiB = Math.round(totalmem() / 2 ** 30);
  return `${processors.length} × ${processors[0]?.model.trim() ?? 'unknown'}, ${memoryGiB} GiB, Node ${process.versions.node}`;
}

export function commit(): string {
  try {
    const hash = execFileSync('git', ['rev-parse', '--short=12', 'HEAD'], { encoding: 'utf8' }).trim();
    const dirty = execFileSync('git', ['status', '--porcelain', '-uno'], { encoding: 'utf8' }).trim() !== '';
    return dirty ? `${hash}+changes` : hash;
  } catch {
    return 'unknown';
  }
}

/** The q-quantile (0…1) by the nearest-rank method; NaN for no values. */
export function quantile(values: readonly number[], q: number): number {
  if (values.length === 0) return NaN;
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.max(0, Math.ceil(q * sorted.length) - 1))] as number;
}

export function round(value: number, digits = 1): number {
  return Number(value.toFixed(digits));
}

export function progress(text: string): void {
  process.stderr.write(`${text}\n`);
}

/** Prints the object last on stdout and writes `bench/results/NAME.md`. */
export function publish(name: string, figures: Record<string, unknown>, notes: readonly string[] = []): void {
  const report: Report = {
    name,
    machine: machine(),
    commit: commit(),
    date: new Date().toISOString().slice(0, 10),
    ...figures,
  };
  const results = new URL('./results/', import.meta.url);
  mkdirSync(results, { recursive: true });
  const rows = Object.entries(report).map(([key, value]) => `| ${key} | ${cell(value)} |`);
  const text = [`# bench ${name}`, '', '| figure | value |', '|---|---|', ...rows, '', ...notes, ''].join('\n');
  writeFileSync(new URL(`${name}.md`, results), text);
  process.stdout.write(`${JSON.stringify(report)}\n`);
}

function cell(value: unknown): string {
  return typeof value === 'object' ? `\`${JSON.stringify(value)}\`` : String(value);
}
