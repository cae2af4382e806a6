// The C2PA library (c2pa-rs as WebAssembly) in Node: two small shims, one settings object, no network, no files.
// It runs on the calling thread and its memory never shrinks: call it in a worker thread that is recycled.
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';
import { MEDIA_TYPES, type ImageFormat } from '../image.ts';
import { C2paEngineError, isNoManifest, librarySettings, type TrustAnchors } from './settings.ts';

export { C2paEngineError, CLAIM_SIGNING_EKU, keyPurposesOf, type TrustAnchors } from './settings.ts';

// the part of the library that is used here; its own types need a browser's
interface Library {
  initSync(options: { module: object }): { memory: { readonly buffer: ArrayBuffer } };
  WasmReader: { fromBytes(format: string, bytes: Uint8Array, settings: string): Promise<WasmReader> };
  WasmBuilder: { fromJson(definition: string, settings: string): WasmBuilder };
}

interface WasmReader {
  json(): string;
  free(): void;
}

interface WasmBuilder {
  addIngredientFromBlob(definition: string, format: string, blob: SyncBlob): Promise<void>;
  signAndGetManifestBytes(
    signer: { alg: string; reserveSize: number; sign: (claim: Uint8Array) => Promise<Uint8Array> },
    identityAssertions: readonly never[],
    format: string,
    source: SyncBlob,
  ): Promise<unknown>;
  free(): void;
}

declare const WebAssembly: {
  Module: new (bytes: Uint8Array) => object;
  RuntimeError: new (message?: string) => Error;
};

/** What the library asks of a Blob, over bytes that can be read synchronously as in a browser's worker. */
export class SyncBlob {
  readonly type: string;
  readonly source: Uint8Array;

  constructor(source: Uint8Array, type = '') {
    this.source = source;
    this.type = type;
  }

  get size(): number {
    return this.source.byteLength;
  }

  slice(start = 0, end = this.source.byteLength, type = this.type): SyncBlob {
    return new SyncBlob(this.source.subarray(start, end), type);
  }
}

class FileReaderSyncOfSyncBlob {
  readAsArrayBuffer(blob: unknown): ArrayBuffer {
    if (!(blob instanceof SyncBlob)) throw new TypeError('Expected a SyncBlob for FileReaderSync');
    return copyOf(blob.source);
  }
}

function copyOf(bytes: Uint8Array): ArrayBuffer {
  const copy = new Uint8Array(bytes.byteLength);
  copy.set(bytes);
  return copy.buffer;
}

const require = createRequire(import.meta.url);
const MODULE_URL = pathToFileURL(require.resolve('@contentauth/c2pa-wasm'));

interface Instance {
  library: Library;
  memory: { readonly buffer: ArrayBuffer };
}

let compiled: object | undefined;
let loading: Promise<Instance> | undefined;
let generation = 0;
let current: Instance | undefined;

// a trapped instance cannot be used again: its module is imported anew under another query
async function instance(): Promise<Instance> {
  loading ??= start(generation++);
  return loading;
}

async function start(index: number): Promise<Instance> {
  if (!('FileReaderSync' in globalThis))
    Object.defineProperty(globalThis, 'FileReaderSync', { value: FileReaderSyncOfSyncBlob, configurable: true });
  compiled ??= new WebAssembly.Module(readFileSync(new URL('c2pa_bg.wasm', MODULE_URL)));
  const url = new URL(index === 0 ? 'c2pa.js' : `c2pa.js?generation=${index}`, MODULE_URL);
  const library = (await import(url.href)) as Library;
  const { memory } = library.initSync({ module: compiled });
  current = { library, memory };
  return current;
}

/** Linear memory of the library in this thread, in bytes; 0 before its first use. It only grows: recycle the thread. */
export function memoryBytes(): number {
  return current?.memory.buffer.byteLength ?? 0;
}

/** The library's own report of a manifest store, as JSON text; null when it finds no store in the file. */
export async function readReport(bytes: Uint8Array, format: ImageFormat, trust: TrustAnchors): Promise<string | null> {
  return guarded(async ({ WasmReader }) => {
    const reader = await WasmReader.fromBytes(MEDIA_TYPES[format], bytes, librarySettings(trust));
    try {
      return reader.json();
    } finally {
      reader.free();
    }
  }, isNoManifest);
}

export interface ParentIngredient {
  readonly definition: object;
  readonly bytes: Uint8Array;
  readonly format: ImageFormat;
}

export interface Layout {
  readonly store: Uint8Array;
  /** The file with this store in it, as the library embeds it. */
  readonly asset: Uint8Array;
}

/**
 * Lays out a manifest store for `bytes` with a signature box of exactly `signatureBytes` zeros: nothing is signed here.
 * `parent` brings an earlier manifest store along, judged by `trust` as a later reader will.
 */
export async function layOutManifest(
  bytes: Uint8Array,
  format: ImageFormat,
  definition: object,
  signatureBytes: number,
  parent: ParentIngredient | null,
  trust: TrustAnchors,
): Promise<Layout> {
  const built = await guarded(async ({ WasmBuilder }) => {
    const builder = WasmBuilder.fromJson(JSON.stringify(definition), librarySettings(trust));
    try {
      if (parent !== null)
        await builder.addIngredientFromBlob(
          JSON.stringify(parent.definition),
          MEDIA_TYPES[parent.format],
          new SyncBlob(parent.bytes, MEDIA_TYPES[parent.format]),
        );
      const media = MEDIA_TYPES[format];
      const sign = async (): Promise<Uint8Array> => new Uint8Array(signatureBytes);
      const signer = { alg: 'es256', reserveSize: signatureBytes, sign };
      return layoutOf(await builder.signAndGetManifestBytes(signer, [], media, new SyncBlob(bytes, media)));
    } finally {
      builder.free();
    }
  });
  if (built === null) throw new C2paEngineError('Expected a manifest store from the library', false);
  return built;
}

function layoutOf(answer: unknown): Layout {
  if (typeof answer === 'object' && answer !== null && 'asset' in answer && 'manifest' in answer) {
    const { asset, manifest } = answer;
    if (asset instanceof Uint8Array && manifest instanceof Uint8Array) return { asset, store: manifest };
  }
  throw new C2paEngineError('Expected the bytes of a file and a manifest from the library', false);
}

// the library throws strings, Errors and, when it traps, RuntimeErrors; only the last break the instance
async function guarded<T>(
  call: (library: Library) => Promise<T>,
  isAbsence: (message: string) => boolean = () => false,
): Promise<T | null> {
  const { library } = await instance();
  try {
    return await call(library);
  } catch (cause) {
    if (cause instanceof C2paEngineError) throw cause;
    const trapped = cause instanceof WebAssembly.RuntimeError || cause instanceof RangeError;
    if (trapped) {
      loading = undefined;
      current = undefined;
    }
    const message = messageOf(cause);
    if (!trapped && isAbsence(message)) return null;
    throw new C2paEngineError(message, trapped, { cause });
  }
}

function messageOf(cause: unknown): string {
  const text = cause instanceof Error ? cause.message : String(cause);
  return text.slice(0, 500);
}
