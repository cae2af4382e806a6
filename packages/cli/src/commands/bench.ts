// `bench`: runs the side-by-side benchmarks of bench/, one after another, each in a process of its own.
import { spawn } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { UsageError, type Command } from '../command.ts';

const BENCH_FOLDER = fileURLToPath(new URL('../../../../bench/', import.meta.url));

export const command: Command = {
  summary: 'measure side by side and write bench/results/',
  help: `
Usage: ./lumatrace bench [NAME] [--json] [--data DIR] [--sizes 1,10] [--minutes N]

Runs one benchmark, or all of them. Each starts what it needs on free ports with temporary data, stops it, prints
progress to stderr and one JSON object last on stdout, and writes its table to bench/results/NAME.md.

  --json         accepted for scripts; the JSON object is always the last line on stdout
  --data DIR     explore: keep the filled instances there, and take them from there the next time
  --sizes 1,10   explore: millions of spans
  --minutes N    ingest: watch the memory for so long; goes on for N minutes more
  --unmarked N   watermark: pictures without a mark to search (5000); rows of earlier runs count
  --full         watermark: 20,000 of them
  --mutations N  suites: files that are changed at random (100000)`,
  options: {
    json: { type: 'boolean' },
    data: { type: 'string' },
    sizes: { type: 'string' },
    minutes: { type: 'string' },
    unmarked: { type: 'string' },
    full: { type: 'boolean' },
    mutations: { type: 'string' },
  },
  async run(values, positionals) {
    const names = benchNames();
    const [wanted, ...more] = positionals;
    if (more.length > 0) throw new UsageError('Expected one name at most.');
    if (wanted !== undefined && !names.includes(wanted)) {
      throw new UsageError(`Expected one of ${names.join(', ')} but received "${wanted}".`);
    }
    const given = FORWARDED.flatMap((name) => {
      const value = values[name];
      if (value === true) return [`--${name}`];
      return typeof value === 'string' ? [`--${name}`, value] : [];
    });
    if (given.length > 0 && wanted === undefined) throw new UsageError('Expected the name of one bench with options.');
    for (const name of wanted === undefined ? names : [wanted]) {
      const code = await runBench(name, given);
      if (code !== 0) return 3;
    }
    return 0;
  },
};

/** Options that a bench reads itself. */
const FORWARDED = ['data', 'sizes', 'minutes', 'unmarked', 'full', 'mutations'] as const;

// A bench is a file `bench/NAME.bench.ts`; the rest of the folder is what they share.
function benchNames(): string[] {
  return readdirSync(BENCH_FOLDER)
    .filter((file) => file.endsWith('.bench.ts'))
    .map((file) => file.slice(0, -'.bench.ts'.length))
    .sort();
}

function runBench(name: string, given: readonly string[]): Promise<number> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [`${BENCH_FOLDER}${name}.bench.ts`, ...given], { stdio: 'inherit' });
    child.once('error', reject);
    child.once('exit', (code) => resolve(code ?? 1));
  });
}
