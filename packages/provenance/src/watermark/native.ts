// The hot loops: native.wasm, compiled from ../../assembly (docs/decisions/watermark-wasm.md tells what it gains).
import { readFileSync } from 'node:fs';

interface Exports {
  memory: WebAssembly.Memory;
  forwardReal(size: number, width: number, height: number): void;
  inverseReal(size: number, width: number, height: number): void;
  forwardComplex(size: number): void;
  normalise(
    width: number,
    height: number,
    size: number,
    residualRadius: number,
    varianceRadius: number,
    noiseFloor: number,
    most: number,
    flat: number,
    taper: number,
  ): void;
  whiten(size: number, radius: number, peak: number, most: number): void;
  powers(size: number, scale: number): void;
  toUnit(width: number, height: number, size: number): void;
  cutBlock(width: number, height: number, left: number, top: number, size: number): number;
  centre(size: number, middleX: number, middleY: number): void;
  clearFold(): void;
  spread(width: number, height: number, ...map: [number, number, number, number, number, number]): void;
  gather(
    width: number,
    height: number,
    left: number,
    top: number,
    right: number,
    bottom: number,
    ...map: [number, number, number, number, number, number]
  ): void;
  gatherTilted(
    width: number,
    height: number,
    left: number,
    top: number,
    right: number,
    bottom: number,
    ...map: [number, number, number, number, number, number, number, number]
  ): void;
  evenOut(): void;
  toPolar(size: number, rows: number, angles: number, stride: number): void;
  scanRow(lines: number, angles: number): void;
  linePower(size: number, lines: number, a: number, b: number, c: number, d: number): number;
  sampleLines(size: number, lines: number, a: number, b: number, c: number, d: number, most: number): void;
}

const instance = new WebAssembly.Instance(
  new WebAssembly.Module(readFileSync(new URL('native.wasm', import.meta.url))),
);

/** One instance a thread; its functions are not re-entrant and need not be: nothing here waits. */
export const native = instance.exports as unknown as Exports;

/** The module's memory; it never grows, so that views stay. Indices are in values of four bytes. */
export const floats = new Float32Array(native.memory.buffer);
export const words = new Uint32Array(native.memory.buffer);

/** Byte address of a region of assembly/memory.ts. */
export function addressOf(name: string): number {
  const address = instance.exports[name];
  if (!(address instanceof WebAssembly.Global)) throw new Error(`native.wasm has no ${name}`);
  return address.value as number;
}

/** Values by which a row of a plane is longer than its square. */
export const ROW_GAP = addressOf('ROW_GAP');

/** The pixels that lie in the region PIXELS; several rooms of the module read them. */
let heldPixels: Float32Array | null = null;
const PIXELS = addressOf('PIXELS') >> 2;

export function holdPixels(pixels: Float32Array): void {
  if (heldPixels !== pixels) floats.set(pixels, PIXELS);
  heldPixels = pixels;
}

/** What the module wrote there, as an array of its own. */
export function takePixels(length: number): Float32Array {
  heldPixels = floats.slice(PIXELS, PIXELS + length);
  return heldPixels;
}
