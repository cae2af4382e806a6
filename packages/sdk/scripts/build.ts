// Builds what is published: dist/ is a package of its own, JavaScript for Node 18.19 and newer as ESM and CommonJS with the
// redaction bundled in, declarations, README and licence. `npm publish packages/sdk/dist` publishes it.
import { execFileSync } from 'node:child_process';
import { copyFile, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { rolldown, type Plugin } from 'rolldown';

const PACKAGE = fileURLToPath(new URL('..', import.meta.url));
const TSC = fileURLToPath(new URL('../../../node_modules/.bin/tsc', import.meta.url));
const OUT = process.argv[2] ?? join(PACKAGE, 'dist');
const FORMATS = [
  { format: 'esm', file: 'index.js', types: '.d.ts', specifier: '.js' },
  { format: 'cjs', file: 'index.cjs', types: '.d.cts', specifier: '.cjs' },
] as const;

await rm(OUT, { recursive: true, force: true });
await mkdir(OUT, { recursive: true });
await Promise.all([bundle(), declare(), describe()]);

async function bundle(): Promise<void> {
  const build = await rolldown({
    input: join(PACKAGE, 'src/index.ts'),
    platform: 'node',
    plugins: [leaveOutSpans()],
    external: [/^node:/, /^@opentelemetry\//],
    transform: { target: 'node18.19' },
    logLevel: 'warn',
  });
  for (const { format, file } of FORMATS) {
    await build.write({ file: join(OUT, file), format, sourcemap: false, codeSplitting: false });
  }
  await build.close();
}

/**
 * The engine of the redaction also reads stored spans again, with the whole table of conventions. The SDK redacts texts and
 * attributes alone: that half is left out, and says so should anybody call it.
 */
function leaveOutSpans(): Plugin {
  const NAME = '\0no stored spans';
  return {
    name: 'leave-out-spans',
    resolveId: (specifier, importer) =>
      specifier === './otlp/build.ts' && importer?.endsWith('/telemetry/src/redact.ts') === true ? NAME : null,
    load: (id) =>
      id === NAME
        ? `const no = () => { throw new Error('Stored spans are not redacted here'); }; export const contextOf = no, rereadSpan = no;`
        : null,
  };
}

/** Only declarations that the public ones reach. */
async function declare(): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'lumatrace-sdk-types-'));
  try {
    execFileSync(TSC, ['-p', join(PACKAGE, 'tsconfig.build.json'), '--outDir', folder], { stdio: 'inherit' });
    const root = join(folder, 'packages/sdk/src');
    const queue = ['index.d.ts'];
    const seen = new Set(queue);
    for (const path of queue) {
      const text = await readFile(join(root, path), 'utf8');
      for (const [, specifier = ''] of text.matchAll(/from '(\.[^']+)\.ts'/g)) {
        const next = `${join(dirname(path), specifier)}.d.ts`;
        if (!seen.has(next)) queue.push(next);
        seen.add(next);
      }
      for (const { types, specifier } of FORMATS) {
        const target = join(OUT, path.replace(/\.d\.ts$/, types));
        await mkdir(dirname(target), { recursive: true });
        await writeFile(target, text.replace(/(from '\.[^']+)\.ts'/g, `$1${specifier}'`));
      }
    }
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function describe(): Promise<void> {
  const source = JSON.parse(await readFile(join(PACKAGE, 'package.json'), 'utf8')) as Record<string, unknown>;
  const { name, version, description, license, engines, dependencies } = source;
  const exports = {
    '.': {
      import: { types: './index.d.ts', default: './index.js' },
      require: { types: './index.d.cts', default: './index.cjs' },
    },
    './package.json': './package.json',
  };
  const published = {
    name,
    version,
    description,
    license,
    type: 'module',
    sideEffects: false,
    engines,
    main: './index.cjs',
    types: './index.d.cts',
    exports,
    dependencies,
  };
  await writeFile(join(OUT, 'package.json'), `${JSON.stringify(published, null, 2)}\n`);
  for (const file of ['README.md', 'LICENSE']) await copyFile(join(PACKAGE, file), join(OUT, file));
}
