import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { compile } from '../../assembly/build.ts';

test('native.wasm is what its source compiles to', async () => {
  const stored = readFileSync(new URL('native.wasm', import.meta.url));
  assert.ok(stored.equals(await compile()), 'run node packages/provenance/assembly/build.ts');
});

test('native.wasm needs nothing from outside', () => {
  const module = new WebAssembly.Module(readFileSync(new URL('native.wasm', import.meta.url)));
  assert.deepEqual(WebAssembly.Module.imports(module), []);
});
