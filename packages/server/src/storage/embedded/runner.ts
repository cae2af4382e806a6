// As whom the PostgreSQL binaries run. They refuse root, so root starts them in a user namespace, or under another uid.
import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { createHash } from 'node:crypto';
import { chmod, chown, cp, mkdir, readdir, readFile, rename, rm, stat } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import type { Binaries } from './binaries.ts';

const run = promisify(execFile);

/** Parent of the files of clusters that cannot live under their data folder. */
const ELSEWHERE = '/var/lib/lumatrace';
const NOBODY = 65534;

/** Ways to run the server: as we are, as root behind a user namespace that shows root as nobody, or under a dropped uid. */
export type Mode = 'direct' | 'namespace' | 'dropped';

export interface Runner {
  mode: Mode;
  /** Folder that holds the cluster and its socket; differs from the data folder in mode `dropped`. */
  home: string;
  binaries: Binaries;
  /** Starts a binary of the server. Where the system can, it gets `deathSignal` when this process dies. */
  start(program: 'initdb' | 'postgres', args: readonly string[], deathSignal: 'SIGINT' | 'SIGKILL'): ChildProcess;
  /** Gives a path made by us to the user that the server runs as. */
  hand(path: string): Promise<void>;
}

/** Thrown when the server cannot be run in any way here; the sentence says what to change. */
export class CannotRun extends Error {
  readonly code = 'UNAVAILABLE';
}

interface Shell {
  command: string;
  prefix: readonly string[];
  uid?: number;
  gid?: number;
}

/**
 * Chooses how to run for a data folder. A cluster that exists is used where it lies, whatever would be chosen today:
 * a second, empty cluster beside the old one would look like lost data.
 */
export async function chooseRunner(dataDir: string, binaries: Binaries, force?: Mode): Promise<Runner> {
  const here = resolve(dataDir);
  if (process.geteuid?.() !== 0) return runnerOf('direct', here, binaries, {});
  const away = awayFrom(here);
  const namespace = await namespaceShell(binaries);
  const existing = (await exists(join(away, 'postgres'))) ? 'dropped' : undefined;
  const mode = force ?? existing ?? (namespace === undefined ? 'dropped' : 'namespace');
  if (mode === 'namespace') {
    if (namespace === undefined) throw new CannotRun('User namespaces are not available here.');
    return runnerOf('namespace', here, binaries, namespace);
  }
  if (await exists(join(here, 'postgres'))) {
    throw new CannotRun(
      `The database in ${join(here, 'postgres')} was made where root may open user namespaces, which is forbidden here. ` +
        `Allow them (unshare --user), or move it once: mkdir -p ${away} && mv ${join(here, 'postgres')} ${away}/ && chown -R ${NOBODY}:${NOBODY} ${away}`,
    );
  }
  await mkdir(ELSEWHERE, { recursive: true, mode: 0o711 });
  await mkdir(away, { recursive: true, mode: 0o700 });
  await chown(away, NOBODY, NOBODY);
  return runnerOf('dropped', away, await readableBinaries(binaries), { uid: NOBODY, gid: NOBODY });
}

/** Where the files of a data folder's cluster live when they cannot live under it. */
export function awayFrom(dataDir: string): string {
  return join(ELSEWHERE, createHash('sha256').update(resolve(dataDir)).digest('hex').slice(0, 16));
}

async function runnerOf(mode: Mode, home: string, binaries: Binaries, shell: Partial<Shell>): Promise<Runner> {
  const setpriv = await findProgram('setpriv');
  const ids = shell.uid === undefined ? {} : { uid: shell.uid, gid: shell.gid ?? shell.uid };
  return {
    mode,
    home,
    binaries,
    start(program, args, deathSignal) {
      const last = setpriv === undefined ? [] : [setpriv, '--pdeathsig', deathSignal.slice(3), '--'];
      const words = [...(shell.prefix ?? []), ...last, join(binaries.home, 'bin', program), ...args];
      // A session of its own: Ctrl-C in the terminal goes to this process alone, which then stops the server in order.
      return spawn(words[0] as string, words.slice(1), {
        ...ids,
        cwd: '/',
        detached: true,
        env: { PATH: process.env['PATH'], LANG: 'C', LC_ALL: 'C', TZ: 'UTC' },
        stdio: ['ignore', 'ignore', 'pipe'],
      });
    },
    async hand(path) {
      if (shell.uid !== undefined) await chown(path, shell.uid, shell.gid ?? shell.uid);
    },
  };
}

/** `unshare` with root shown as an unprivileged uid that has a passwd entry, when that works here. */
async function namespaceShell(binaries: Binaries): Promise<Shell | undefined> {
  const unshare = await findProgram('unshare');
  const user = await unprivilegedUser();
  if (unshare === undefined || user === undefined) return undefined;
  const prefix = [unshare, '--user', `--map-user=${user.uid}`, `--map-group=${user.gid}`, '--'];
  try {
    await run(prefix[0] as string, [...prefix.slice(1), join(binaries.home, 'bin', 'postgres'), '--version']);
    return { command: unshare, prefix };
  } catch {
    return undefined;
  }
}

/** initdb looks its user up by uid: nobody, else any ordinary account of this system. */
async function unprivilegedUser(): Promise<{ uid: number; gid: number } | undefined> {
  const users = (await readFile('/etc/passwd', 'utf8').catch(() => ''))
    .split('\n')
    .map((line) => line.split(':'))
    .map(([name, , uid, gid]) => ({ name, uid: Number(uid), gid: Number(gid) }))
    .filter(({ uid, gid }) => Number.isInteger(uid) && uid > 0 && Number.isInteger(gid));
  return users.find(({ uid }) => uid === NOBODY) ?? users.find(({ name }) => name === 'nobody') ?? users[0];
}

/** Binaries that the dropped uid can read: as installed, else a copy (a clone in root's home is closed to others). */
async function readableBinaries(binaries: Binaries): Promise<Binaries> {
  if (await runsAs(NOBODY, binaries)) return binaries;
  const home = join(ELSEWHERE, `postgresql-${binaries.packageVersion}`);
  const copy = { ...binaries, home };
  if (!(await exists(home))) {
    const unfinished = `${home}.${process.pid}`;
    await cp(binaries.home, unfinished, { recursive: true, verbatimSymlinks: true });
    await chmod(unfinished, 0o755);
    // two copies at once are equal; the second rename finds a full folder and gives way
    await rename(unfinished, home).catch(() => rm(unfinished, { recursive: true, force: true }));
  }
  if (await runsAs(NOBODY, copy)) return copy;
  throw new CannotRun(
    `The PostgreSQL binaries in ${home} cannot be run as uid ${NOBODY}. Set DATABASE_URL, or run as a user.`,
  );
}

async function runsAs(uid: number, binaries: Binaries): Promise<boolean> {
  return run(join(binaries.home, 'bin', 'postgres'), ['--version'], { uid, gid: uid, cwd: '/' }).then(
    () => true,
    () => false,
  );
}

async function findProgram(name: string): Promise<string | undefined> {
  const folders = [...(process.env['PATH'] ?? '').split(':'), '/usr/bin', '/bin', '/usr/sbin', '/sbin'];
  for (const folder of folders.filter((path) => path.startsWith('/'))) {
    const path = join(folder, name);
    if (
      await stat(path).then(
        (found) => found.isFile() && (found.mode & 0o111) !== 0,
        () => false,
      )
    )
      return path;
  }
  return undefined;
}

async function exists(path: string): Promise<boolean> {
  return readdir(path).then(
    (entries) => entries.length > 0,
    () => false,
  );
}
