// Compiles these sources: `node packages/provenance/assembly/build.ts` writes ../src/watermark/native.wasm.
import { writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

// 64 KiB each; the last region of memory.ts ends below
const PAGES = '640';

/** The module, from source. @throws Error with the compiler's words */
export async function compile(): Promise<Uint8Array> {
  const { main } = await import('assemblyscript/asc');
  const folder = fileURLToPath(new URL('.', import.meta.url));
  let binary: Uint8Array | null = null;
  const { error, stderr } = await main(
    // no runtime: nothing is allocated, all addresses are fixed
    ['index.ts', '-o', 'native.wasm', '-O3', '--noAssert', '--runtime', 'stub', '--enable', 'simd'].concat([
      '--initialMemory',
      PAGES,
      '--maximumMemory',
      PAGES,
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
  writeFileSync(new URL('../src/watermark/native.wasm', import.meta.url), await compile());
}
