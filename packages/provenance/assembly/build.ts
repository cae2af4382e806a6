// Compiles these sources: `node packages/provenance/assembly/build.ts` writes the modules of ../src/watermark.
import { writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

/** Each module with its memory in pages of 64 KiB, enough for its last region: `memory.ts` and `place.ts`. */
export const MODULES = [
  { entry: 'index.ts', file: 'native.wasm', pages: 640 },
  { entry: 'place.ts', file: 'place.wasm', pages: 88 },
] as const;

/** A module, from source. @throws Error with the compiler's words */
export async function compile({ entry, file, pages }: (typeof MODULES)[number]): Promise<Uint8Array> {
  const { main } = await import('assemblyscript/asc');
  const folder = fileURLToPath(new URL('.', import.meta.url));
  let binary: Uint8Array | null = null;
  const { error, stderr } = await main(
    // no runtime: nothing is allocated, all addresses are fixed
    [entry, '-o', file, '-O3', '--noAssert', '--runtime', 'stub', '--enable', 'simd'].concat([
      '--initialMemory',
      String(pages),
      '--maximumMemory',
      String(pages),
      '--baseDir',
      folder,
    ]),
    {
      writeFile: (name, contents) => {
        if (name.endsWith('.wasm')) binary = contents as Uint8Array;
      },
    },
  );
  if (error !== null || binary === null) throw new Error(stderr.toString());
  return binary;
}

if (import.meta.main) {
  for (const module of MODULES) {
    writeFileSync(new URL(`../src/watermark/${module.file}`, import.meta.url), await compile(module));
  }
}
