// Attackers of others: found where they are installed, or installed for root and from PyPI; run on a leash.
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const TOOL_NAMES = ['schemathesis', 'sqlmap', 'slowhttptest'] as const;
export type ToolName = (typeof TOOL_NAMES)[number];

export interface Tools {
  /** Paths of the programs that can be run. */
  paths: Partial<Record<ToolName, string>>;
  /** Why the others cannot. */
  because: Partial<Record<ToolName, string>>;
}

export interface Ran {
  code: number | null;
  /** Both streams, the last two million characters. */
  output: string;
  /** It was ended because its time was over. */
  isLate: boolean;
}

const SCHEMATHESIS = 'schemathesis==4.32.5';
const VENV = fileURLToPath(new URL('../../../../.runtime/attack/schemathesis-4.32.5', import.meta.url));
const INSTALL_LIMIT_MS = 300_000;
const MAX_OUTPUT = 2_000_000;
const FOLDERS = ['/usr/bin', '/usr/sbin', '/usr/local/bin'];
/** Debian packages; PgBouncer is no attacker, but a family cannot do without it. */
const DEBIAN = ['sqlmap', 'slowhttptest', 'pgbouncer'];

/** Installs what is missing and can be installed; never throws for what cannot. */
export async function readyTools(say: (line: string) => void): Promise<Tools> {
  const tools: Tools = { paths: {}, because: {} };
  const missing = DEBIAN.filter((name) => programAt(name) === undefined);
  const apt = missing.length === 0 ? undefined : await installDebian(missing, say);
  for (const name of ['sqlmap', 'slowhttptest'] as const) {
    const path = programAt(name);
    if (path === undefined)
      tools.because[name] = `${name} is not installed: ${apt ?? 'the package brought no program'}`;
    else tools.paths[name] = path;
  }
  const failure = existsSync(join(VENV, 'bin', 'st')) ? undefined : await installSchemathesis(say);
  if (failure === undefined) tools.paths.schemathesis = join(VENV, 'bin', 'st');
  else tools.because.schemathesis = failure;
  return tools;
}

function programAt(name: string): string | undefined {
  return FOLDERS.map((folder) => join(folder, name)).find((path) => existsSync(path));
}

/** @returns why it could not be done. */
async function installDebian(names: readonly string[], say: (line: string) => void): Promise<string | undefined> {
  const order = `apt-get install -y --no-install-recommends ${names.join(' ')}`;
  if (process.getuid?.() !== 0 || !existsSync('/usr/bin/apt-get')) return `ask root for: ${order}`;
  say(`installing ${names.join(', ')}`);
  const env = { DEBIAN_FRONTEND: 'noninteractive' };
  const limits = { limitMs: INSTALL_LIMIT_MS, env };
  await runTool('/usr/bin/apt-get', ['update', '-qq'], limits);
  const { code } = await runTool('/usr/bin/apt-get', order.split(' ').slice(1), limits);
  return code === 0 ? undefined : `"${order}" ended with ${code}`;
}

async function installSchemathesis(say: (line: string) => void): Promise<string | undefined> {
  const python = ['python3', 'python3.13', 'python3.12', 'python3.11']
    .flatMap((name) => (process.env['PATH'] ?? '').split(':').map((folder) => join(folder, name)))
    .find((path) => existsSync(path));
  if (python === undefined) return 'Python 3 is not installed';
  say(`installing ${SCHEMATHESIS} from PyPI`);
  const steps: [string, string[]][] = [
    [python, ['-m', 'venv', VENV]],
    [join(VENV, 'bin', 'pip'), ['install', '-q', SCHEMATHESIS]],
  ];
  for (const [program, args] of steps) {
    const { code } = await runTool(program, args, { limitMs: INSTALL_LIMIT_MS });
    if (code === 0) continue;
    await rm(VENV, { recursive: true, force: true });
    return `${SCHEMATHESIS} could not be installed: "${args.join(' ')}" ended with ${code}`;
  }
  return undefined;
}

export interface RunLimits {
  limitMs: number;
  env?: Record<string, string>;
  /** Ends the program when aborted. */
  signal?: AbortSignal;
}

/** Runs a program in a folder of its own, which is its home too and is removed. Never throws. */
export async function runTool(program: string, args: readonly string[], limits: RunLimits): Promise<Ran> {
  const home = await mkdtemp(join(tmpdir(), 'lumatrace-tool-'));
  try {
    return await run(program, args, home, limits);
  } finally {
    await rm(home, { recursive: true, force: true });
  }
}

function run(program: string, args: readonly string[], home: string, limits: RunLimits): Promise<Ran> {
  return new Promise((resolve) => {
    const child = spawn(program, args, {
      cwd: home,
      env: { ...process.env, HOME: home, NO_COLOR: '1', ...limits.env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let output = '';
    let isLate = false;
    const end = (): void => void child.kill('SIGKILL');
    const timer = setTimeout(() => {
      isLate = true;
      end();
    }, limits.limitMs);
    limits.signal?.addEventListener('abort', end, { once: true });
    const done = (code: number | null): void => {
      clearTimeout(timer);
      resolve({ code, output, isLate });
    };
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', (text: string) => (output = (output + text).slice(-MAX_OUTPUT)));
    }
    child.once('error', (error) => {
      output += error.message;
      done(null);
    });
    child.once('close', done);
  });
}
