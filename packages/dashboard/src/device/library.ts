// The C2PA library in a browser's worker, in place of `provenance/c2pa/wasm.ts`: the same settings, the same errors. A worker
// reads one file and ends, so that nothing here is used again after a trap.
import { initSync, WasmReader } from '@contentauth/c2pa-wasm';
import {
  C2paEngineError,
  isNoManifest,
  librarySettings,
  type TrustAnchors,
} from '@lumatrace/provenance/c2pa/settings.ts';
import { MEDIA_TYPES, type ImageFormat } from '@lumatrace/provenance/image.ts';

export { C2paEngineError, keyPurposesOf, type TrustAnchors } from '@lumatrace/provenance/c2pa/settings.ts';

export function startLibrary(wasm: ArrayBuffer): void {
  initSync({ module: wasm });
}

// the reading is run again when cryptography has answered; what the library says of the same bytes stays
const reports = new WeakMap<Uint8Array, Promise<string | null>>();

export function readReport(bytes: Uint8Array, format: ImageFormat, trust: TrustAnchors): Promise<string | null> {
  const report = reports.get(bytes) ?? ask(bytes, format, trust);
  reports.set(bytes, report);
  return report;
}

async function ask(bytes: Uint8Array, format: ImageFormat, trust: TrustAnchors): Promise<string | null> {
  try {
    const reader = await WasmReader.fromBytes(MEDIA_TYPES[format], bytes, librarySettings(trust));
    try {
      return reader.json();
    } finally {
      reader.free();
    }
  } catch (cause) {
    const isTrap = cause instanceof WebAssembly.RuntimeError || cause instanceof RangeError;
    const message = (cause instanceof Error ? cause.message : String(cause)).slice(0, 500);
    if (!isTrap && isNoManifest(message)) return null;
    throw new C2paEngineError(message, isTrap, { cause });
  }
}
