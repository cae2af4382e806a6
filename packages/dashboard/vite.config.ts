// Builds the dashboard: hashed assets, no inline script or style in the page, and each text asset also compressed
// ahead of time, since the server sends `.br` and `.gz` neighbours as they are.
import { promisify } from 'node:util';
import { brotliCompress, gzip, constants } from 'node:zlib';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import tailwind from '@tailwindcss/vite';
import react from '@vitejs/plugin-react';
import { defineConfig, type Plugin } from 'vite';

const COMPRESSED = /\.(?:js|css|html|svg|json|wasm)$/;
const toBrotli = promisify(brotliCompress);
const toGzip = promisify(gzip);

/** Writes `file.br` and `file.gz` beside every text file of the build. */
function compressAhead(): Plugin {
  return {
    name: 'compress-ahead',
    apply: 'build',
    async writeBundle({ dir }) {
      if (dir === undefined) return;
      const names = await readdir(dir, { recursive: true });
      for (const name of names.filter((name) => COMPRESSED.test(name))) {
        const path = join(dir, name);
        const bytes = await readFile(path);
        const params = { [constants.BROTLI_PARAM_QUALITY]: 9, [constants.BROTLI_PARAM_SIZE_HINT]: bytes.length };
        await writeFile(`${path}.br`, await toBrotli(bytes, { params }));
        await writeFile(`${path}.gz`, await toGzip(bytes, { level: 9 }));
      }
    },
  };
}

const SERVER = process.env['LUMATRACE_DEV_SERVER'] ?? 'http://localhost:3000';
const SERVER_PATHS = ['/api', '/auth', '/v1', '/openapi.json', '/docs', '/health'];

// what the server's reading of credentials uses of Node, for the worker that runs it in a browser
const device = (name: string): string => join(import.meta.dirname, 'src/device', name);
const DEVICE_ALIASES = [
  { find: 'node:crypto', replacement: device('node-crypto.ts') },
  { find: 'node:zlib', replacement: device('node-zlib.ts') },
  { find: /^\.\/wasm\.ts$/, replacement: device('library.ts') },
];

export default defineConfig({
  root: import.meta.dirname,
  base: '/',
  plugins: [react(), tailwind(), compressAhead()],
  resolve: { alias: DEVICE_ALIASES },
  worker: {
    format: 'es',
    // the server tells this file by its name, and lets it make no request (http/static.ts)
    rolldownOptions: { output: { entryFileNames: 'assets/device-reader-[hash].js' } },
  },
  build: {
    outDir: 'dist',
    emptyOutDir: true,
    target: ['chrome123', 'firefox128', 'safari17.5'],
    // Small assets stay files: a data: URL would need a wider content security policy.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
  },
  server: { proxy: Object.fromEntries(SERVER_PATHS.map((path) => [path, SERVER])) },
});
