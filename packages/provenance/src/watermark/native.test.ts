import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { compile, MODULES } from '../../assembly/build.ts';

for (const module of MODULES) {
  const stored = readFileSync(new URL(module.file, import.meta.url));

  test(`${module.file} is what its source compiles to`, async () => {
    assert.ok(stored.equals(await compile(module)), 'run node packages/provenance/assembly/build.ts');
  });

  test(`${module.file} needs nothing from outside`, () => {
    assert.deepEqual(WebAssembly.Module.imports(new WebAssembly.Module(stored)), []);
  });
}
