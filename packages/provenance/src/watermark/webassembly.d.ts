// The part of the WebAssembly JavaScript interface that native.ts uses: it belongs to every runtime, but TypeScript
// declares it with the browser's types only (https://webassembly.github.io/spec/js-api/).
declare namespace WebAssembly {
  class Module {
    constructor(bytes: Uint8Array);
    static imports(module: Module): { module: string; name: string; kind: string }[];
  }
  class Instance {
    constructor(module: Module);
    readonly exports: Readonly<Record<string, unknown>>;
  }
  class Memory {
    readonly buffer: ArrayBuffer;
  }
  class Global {
    readonly value: unknown;
  }
}
