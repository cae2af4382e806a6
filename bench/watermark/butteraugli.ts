// How far apart two pictures look to the butteraugli of Debian: below 1 is not seen, about 2 is where it is, by its authors.
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { rowsFolder } from './corpus.ts';
import { toSharp, type Raster } from './raster.ts';

/** Fetched and unpacked, not installed. @throws Error when it cannot be had */
export function butteraugliProgram(): string {
  const folder = join(rowsFolder(), 'butteraugli');
  const program = join(folder, 'usr', 'bin', 'butteraugli');
  if (existsSync(program)) return program;
  const debs = join(rowsFolder(), 'debs');
  mkdirSync(debs, { recursive: true });
  execFileSync('apt-get', ['download', 'butteraugli'], { cwd: debs, stdio: 'ignore' });
  const deb = readdirSync(debs).find((file) => file.startsWith('butteraugli_')) as string;
  execFileSync('dpkg-deb', ['-x', join(debs, deb), folder]);
  return program;
}

/** Its distance; the largest over the picture. */
export async function butteraugli(program: string, one: Raster, other: Raster): Promise<number> {
  const folder = mkdtempSync(join(tmpdir(), 'lumatrace-butteraugli-'));
  try {
    const paths = [join(folder, 'one.png'), join(folder, 'other.png')] as const;
    await toSharp(one).png({ compressionLevel: 1 }).toFile(paths[0]);
    await toSharp(other).png({ compressionLevel: 1 }).toFile(paths[1]);
    return Number(execFileSync(program, [...paths], { encoding: 'utf8' }));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
