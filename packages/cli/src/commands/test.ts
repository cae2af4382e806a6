// `test`: everything that CI runs, in the order in which a failure is cheapest to see.
import { spawn } from 'node:child_process';
import { existsSync, globSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { Command } from '../command.ts';

const ROOT = fileURLToPath(new URL('../../../../', import.meta.url));

/** What the machine must have besides npm packages: a file that shows it, and the Debian package that brings it. */
const SYSTEM_NEEDS = [
  { package: 'chromium', because: 'browser tests', paths: ['/usr/bin/chromium', '/usr/bin/google-chrome'] },
  {
    package: 'fonts-liberation',
    because: 'text in screenshots',
    paths: ['/usr/share/fonts/truetype/liberation', '/usr/share/fonts/truetype/liberation2'],
  },
  {
    package: 'pgbouncer',
    because: 'tenants behind a pooler',
    paths: ['/usr/sbin/pgbouncer', '/usr/bin/pgbouncer', '/usr/local/bin/pgbouncer'],
  },
  { package: 'strace', because: 'the proof that no picture is written to a file', paths: ['/usr/bin/strace'] },
] as const;

const TESTS = ['rooms.test.ts', 'bench/**/*.test.ts', 'emitters/*.test.ts', 'packages/*/{src,test}/**/*.test.ts'];
// Minutes each: run by --all only.
const LONG_TESTS = ['emitters/*.long.ts', 'packages/*/{src,test}/**/*.long.ts'];
const TEST_TIMEOUT_MS = 600_000;

export const command: Command = {
  summary: 'run everything that CI runs',
  help: `
Usage: ./lumatrace test [--all] [FILE…]

Checks types, lint and format, then runs every test on a real PostgreSQL and in a real browser (15 minutes at most on
two cores). As root it installs the Debian packages that it needs; otherwise it names them and ends.

  --all    the long tests too (60 minutes at most): among them the emitters of others, whose packages
           it installs from npm and, with Python 3.11 or newer, from PyPI
  FILE…    only these test files, without the static checks`,
  options: { all: { type: 'boolean' } },
  async run(values, positionals) {
    if (!(await systemIsReady())) return 3;
    if (positionals.length > 0) return (await runTests(positionals)) ? 0 : 1;
    for (const [title, ...argv] of STATIC_CHECKS) {
      process.stdout.write(`${title}\n`);
      if (!(await succeeds(argv))) {
        process.stderr.write(`lumatrace test: ${title} failed.\n`);
        return 1;
      }
    }
    const patterns = values['all'] === true ? [...TESTS, ...LONG_TESTS] : TESTS;
    const files = patterns.flatMap((pattern) => globSync(pattern, { cwd: ROOT })).filter(isOurs);
    return (await runTests(files.sort())) ? 0 : 1;
  },
};

const BIN = `${ROOT}node_modules/.bin/`;
const STATIC_CHECKS = [
  ['types', `${BIN}tsc`, '-p', 'tsconfig.json'],
  ['types of the dashboard', `${BIN}tsc`, '-p', 'packages/dashboard/tsconfig.json'],
  ['lint', `${BIN}oxlint`, '--deny-warnings'],
  ['format', `${BIN}prettier`, '--check', '--log-level', 'warn', '.'],
] as const;

function isOurs(file: string): boolean {
  return !file.includes('node_modules');
}

async function runTests(files: readonly string[]): Promise<boolean> {
  process.stdout.write(`tests: ${files.length} files\n`);
  return succeeds([
    process.execPath,
    '--test',
    '--test-concurrency=2',
    `--test-timeout=${TEST_TIMEOUT_MS}`,
    '--test-reporter=spec',
    ...files,
  ]);
}

// Root gets what is missing; anybody else is told, since a test that is skipped silently proves nothing.
async function systemIsReady(): Promise<boolean> {
  const missing = SYSTEM_NEEDS.filter((need) => !need.paths.some((path) => existsSync(path)));
  if (missing.length === 0) return true;
  const packages = missing.map((need) => need.package);
  if (process.getuid?.() !== 0 || !existsSync('/usr/bin/apt-get')) {
    const reasons = missing.map((need) => `${need.package} (${need.because})`).join(', ');
    process.stderr.write(
      `lumatrace test: this machine lacks ${reasons}. Ask root for:\n\n  apt-get update && apt-get install -y --no-install-recommends ${packages.join(' ')}\n`,
    );
    return false;
  }
  process.stdout.write(`installing ${packages.join(', ')}\n`);
  return (
    (await succeeds(['apt-get', 'update', '-qq'])) &&
    (await succeeds(['apt-get', 'install', '-y', '-qq', '--no-install-recommends', ...packages]))
  );
}

function succeeds(argv: readonly string[]): Promise<boolean> {
  const [program, ...args] = argv;
  return new Promise((resolve, reject) => {
    const child = spawn(program as string, args, {
      cwd: ROOT,
      stdio: ['ignore', 'inherit', 'inherit'],
      env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' },
    });
    child.once('error', reject);
    child.once('exit', (code) => resolve(code === 0));
  });
}
