// LumaTrace's launcher, second half: installs once, builds the dashboard when its sources changed, runs the command.
// `./lumatrace` starts it under Node 24; it uses Node alone, since nothing is installed when it first runs.
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { createWriteStream, existsSync } from 'node:fs';
import { readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';
import { isHeld, lockFolder } from './packages/server/src/storage/lock.ts';

const ROOT = import.meta.dirname;
const RUNTIME = join(ROOT, '.runtime');
const INSTALLED = join(ROOT, 'node_modules', '.lumatrace-installed');
const DASHBOARD = join(ROOT, 'packages', 'dashboard');
const BUILT = join(DASHBOARD, 'dist', '.built-from');
/** What the dashboard is built from; telemetry runs in the browser too. */
const DASHBOARD_SOURCES = ['packages/dashboard', 'packages/telemetry/src', 'package-lock.json'];
const NOT_SOURCES = new Set(['node_modules', 'test', 'dist']);
const WAIT_FOR_OTHERS_MS = 15 * 60_000;
const LOG_LINES_SHOWN = 60;
/**
 * A step on a leash: when this process is gone, however it went, the pipe that it held closes and the step is killed. Left
 * alone, npm would go on writing beside the next start's.
 */
const LEASH = `
  exec 3<&0
  "$@" & step=$!
  { cat <&3 >/dev/null; kill -9 $step; } >/dev/null 2>&1 & leash=$!
  wait $step; code=$?
  kill $leash
  exit $code`;
const NOT_FOUND = 127;

/** command → the program that serves it; every other word belongs to the command line client. */
const SERVER = 'packages/server/src/main.ts';
const PROGRAMS = new Map([
  ['up', SERVER],
  ['backup', SERVER],
  ['doctor', SERVER],
  ['keys', SERVER],
  ['tenants', SERVER],
  ['prices', SERVER],
  ['restore', SERVER],
]);
const CLIENT = 'packages/cli/src/main.ts';
/** Commands that show or test the dashboard. */
const NEED_DASHBOARD = new Set(['up', 'test', 'demo', 'bench']);

/** A step of the preparation failed. Exit code 2: something is missing here; 3: it could not be done this time. */
class NotPrepared extends Error {
  readonly exitCode: number;
  constructor(message: string, exitCode: number, options?: ErrorOptions) {
    super(message, options);
    this.exitCode = exitCode;
  }
}

const [command = 'help'] = process.argv.slice(2);
try {
  await prepare(command);
} catch (error) {
  if (!(error instanceof NotPrepared)) throw error;
  process.stderr.write(`lumatrace: ${error.message}\n`);
  process.exit(error.exitCode);
}
// what a command starts in its turn finds the same Node
process.env['PATH'] = pathWithOurNode();
const program = join(ROOT, PROGRAMS.get(command) ?? CLIENT);
process.argv.splice(1, 1, program);
await import(pathToFileURL(program).href);

/** Installs and builds what is missing. Starts at the same time take turns; what was cut off is done again. */
async function prepare(forCommand: string): Promise<void> {
  const asksOnly = process.argv.includes('--help');
  const isReady = async (): Promise<boolean> =>
    (await isInstalled()) && (asksOnly || !NEED_DASHBOARD.has(forCommand) || (await isBuilt()));
  if (await isReady()) return;
  const release = await takeTurn();
  try {
    if (!(await isInstalled())) await install();
    if (!(await isReady())) await build();
  } finally {
    await release();
  }
}

async function takeTurn(): Promise<() => Promise<void>> {
  const deadline = performance.now() + WAIT_FOR_OTHERS_MS;
  for (let told = false; ; told = true) {
    const lock = await lockFolder(RUNTIME).catch((cause: unknown) => {
      const remedy = 'let its owner run this once, or clone into a folder of yours';
      throw new NotPrepared(`cannot write to ${RUNTIME}: ${remedy}`, 2, { cause });
    });
    if (!isHeld(lock)) return () => lock.release();
    if (!told) process.stderr.write('Another lumatrace installs here; waiting for it ...\n');
    if (performance.now() > deadline) throw new NotPrepared('the other installation does not end', 3);
    await sleep(200);
  }
}

async function installationDigest(): Promise<string> {
  return digestOf([await readFile(join(ROOT, 'package-lock.json')), `${process.platform}-${process.arch}`]);
}

async function isInstalled(): Promise<boolean> {
  const [stamp, digest] = await Promise.all([readFile(INSTALLED, 'utf8').catch(() => ''), installationDigest()]);
  if (stamp === digest) return true;
  if (!(await matchesLockFile())) return false;
  await writeFile(INSTALLED, digest).catch(() => undefined);
  return true;
}

interface LockFile {
  packages: Record<string, { version?: string; integrity?: string; link?: boolean; optional?: boolean }>;
}

/**
 * Whether somebody ran npm by hand and has everything. npm writes this second lock file last, so an installation that
 * was cut off does not match.
 */
async function matchesLockFile(): Promise<boolean> {
  const [wanted, present] = await Promise.all([
    readLockFile(join(ROOT, 'package-lock.json')),
    readLockFile(join(ROOT, 'node_modules', '.package-lock.json')),
  ]);
  if (wanted === undefined || present === undefined) return false;
  return Object.entries(wanted.packages).every(([path, entry]) => {
    if (!path.includes('node_modules/') || entry.link === true) return true;
    const found = present.packages[path];
    if (found === undefined) return entry.optional === true;
    return found.version === entry.version && found.integrity === entry.integrity;
  });
}

async function readLockFile(path: string): Promise<LockFile | undefined> {
  try {
    return JSON.parse(await readFile(path, 'utf8')) as LockFile;
  } catch {
    return undefined;
  }
}

/** npm ci with install scripts off: no package of ours needs one. npm empties node_modules first, the stamp with it. */
async function install(): Promise<void> {
  process.stderr.write('Installing packages (once per version) ...\n');
  const digest = await installationDigest();
  const flags = ['--ignore-scripts', '--include=dev', '--include=optional', '--no-audit', '--no-fund'];
  const despiteNpmrc = ['--engine-strict=false', '--global=false', '--dry-run=false', '--update-notifier=false'];
  await run('npm', ['ci', ...flags, ...despiteNpmrc, '--prefix', ROOT], 'the packages could not be installed');
  await writeFile(INSTALLED, digest);
}

async function isBuilt(): Promise<boolean> {
  const [stamp, digest] = await Promise.all([readFile(BUILT, 'utf8').catch(() => ''), dashboardDigest()]);
  return stamp === digest;
}

async function dashboardDigest(): Promise<string> {
  const files = (await Promise.all(DASHBOARD_SOURCES.map((path) => filesUnder(join(ROOT, path))))).flat().sort();
  const parts = await Promise.all(files.map(async (path) => [path.slice(ROOT.length), await readFile(path)] as const));
  return digestOf(parts.flat());
}

async function filesUnder(path: string): Promise<string[]> {
  const entries = await readdir(path, { withFileTypes: true }).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOTDIR') return undefined;
    throw error;
  });
  if (entries === undefined) return [path];
  const kept = entries.filter(({ name }) => !NOT_SOURCES.has(name) && !name.startsWith('dist'));
  const nested = await Promise.all(
    kept.map((entry) => (entry.isDirectory() ? filesUnder(join(path, entry.name)) : [join(path, entry.name)])),
  );
  return nested.flat();
}

/** Builds beside the old one and swaps: a server that runs meanwhile keeps a whole dashboard. */
async function build(): Promise<void> {
  process.stderr.write('Building the dashboard (once per version) ...\n');
  const digest = await dashboardDigest();
  const [now, next, last] = ['dist', 'dist.next', 'dist.last'].map((name) => join(DASHBOARD, name)) as [
    string,
    string,
    string,
  ];
  const vite = join(ROOT, 'node_modules', 'vite', 'bin', 'vite.js');
  await run(
    process.execPath,
    [vite, 'build', DASHBOARD, '--outDir', next, '--emptyOutDir', '--logLevel', 'warn'],
    'the dashboard could not be built',
  );
  await writeFile(join(next, '.built-from'), digest);
  await rm(last, { recursive: true, force: true });
  if (existsSync(now)) await rename(now, last);
  await rename(next, now);
  await rm(last, { recursive: true, force: true });
}

function pathWithOurNode(): string {
  return [dirname(process.execPath), ...(process.env['PATH'] ?? '').split(delimiter)].join(delimiter);
}

/** Runs a step quietly; when it fails, the end of what it said is shown. */
async function run(program: string, args: readonly string[], whatFailed: string): Promise<void> {
  const logFile = join(RUNTIME, 'prepare.log');
  const env: NodeJS.ProcessEnv = {
    ...process.env,
    PATH: [dirname(process.execPath), process.env['PATH'] ?? ''].join(delimiter),
  };
  for (const name of ['NODE_ENV', 'NODE_OPTIONS']) delete env[name];
  // npm wants a cache; a service account may have no home to keep it in
  if (!existsSync(homedir())) env['npm_config_cache'] ??= join(RUNTIME, 'npm-cache');
  const child = spawn('sh', ['-c', LEASH, 'sh', program, ...args], { cwd: ROOT, env, stdio: 'pipe' });
  child.stdin.on('error', () => {});
  const log = createWriteStream(logFile);
  child.stdout.pipe(log, { end: false });
  child.stderr.pipe(log, { end: false });
  const code = await new Promise<number | string | null>((resolve) => {
    child.once('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message));
    child.once('close', (exitCode, signal) => resolve(exitCode ?? signal));
  });
  child.stdin.end();
  await new Promise<void>((resolve) => log.end(() => resolve()));
  if (code === 0) return;
  if (code === NOT_FOUND) {
    throw new NotPrepared(
      `${program} is needed and is not on PATH: install Node.js with npm (any version npm itself supports)`,
      2,
    );
  }
  const said = (await readFile(logFile, 'utf8')).trimEnd().split('\n').slice(-LOG_LINES_SHOWN).join('\n');
  throw new NotPrepared(`${whatFailed} (${code}):\n${said}`, 3);
}

function digestOf(parts: ReadonlyArray<Buffer | string>): string {
  const hash = createHash('sha256');
  // each part with its length, so that no two lists give the same bytes
  for (const part of parts) hash.update(`${Buffer.byteLength(part)}:`).update(part);
  return hash.digest('hex');
}
