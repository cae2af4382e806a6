// Installs what the emitters need, once: npm packages from the lock file, and one virtual environment of Python per
// folder of python/ from its pinned requirements. Nothing is skipped: what is missing is named in the error.
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, lstatSync, readFileSync, unlinkSync, writeFileSync } from 'node:fs';
import { promisify } from 'node:util';
import { HERE } from './emitters.ts';

const INSTALL_TIMEOUT_MS = 540_000;
const PYTHONS = ['python3.11', 'python3.12', 'python3.13', 'python3'];
export const PYTHON_ENVIRONMENTS = ['current', 'older', 'pydantic'] as const;

const run = promisify(execFile);
const options = { cwd: HERE, timeout: INSTALL_TIMEOUT_MS, maxBuffer: 16 * 1024 * 1024 };

/** `npm ci` without install scripts, unless the installed tree already is that of the lock file. */
export async function installPackages(): Promise<void> {
  if (isCurrent(`${HERE}node_modules/.installed`, `${HERE}package-lock.json`)) return;
  await run('npm', ['ci', '--ignore-scripts'], options);
  remember(`${HERE}node_modules/.installed`, `${HERE}package-lock.json`);
}

/** A virtual environment with exactly the pinned versions. */
export async function installEnvironment(name: (typeof PYTHON_ENVIRONMENTS)[number]): Promise<void> {
  const folder = `${HERE}python/${name}/`;
  const [marker, requirements] = [`${folder}venv/.installed`, `${folder}requirements.txt`];
  if (isCurrent(marker, requirements)) return;
  if (existsSync(`${folder}venv`) && lstatSync(`${folder}venv`).isSymbolicLink()) unlinkSync(`${folder}venv`);
  const python = await findPython();
  await run(python, ['-m', 'venv', '--clear', `${folder}venv`], options).catch((cause: unknown) => {
    throw new Error(`${python} cannot make a virtual environment. Install python3-venv.`, { cause });
  });
  await run(`${folder}venv/bin/pip`, ['install', '--quiet', '--no-input', '--requirement', requirements], options);
  remember(marker, requirements);
}

/** The name of a Python of at least 3.11. */
async function findPython(): Promise<string> {
  const isNewEnough = 'import sys; sys.exit(sys.version_info < (3, 11))';
  for (const python of PYTHONS) {
    const found = await run(python, ['-c', isNewEnough]).then(
      () => true,
      () => false,
    );
    if (found) return python;
  }
  throw new Error('The emitters of Python need Python 3.11 or newer. Install python3.11 and python3.11-venv.');
}

function isCurrent(marker: string, source: string): boolean {
  return existsSync(marker) && readFileSync(marker, 'utf8') === digest(source);
}

function remember(marker: string, source: string): void {
  writeFileSync(marker, digest(source));
}

function digest(file: string): string {
  return createHash('sha256').update(readFileSync(file)).digest('hex');
}
