// What ../src/watermark/native.wasm offers: build.ts writes it, native.test.ts checks that it is up to date.
export { centre, cutBlock, normalise, powers, toUnit, whiten } from './analyse';
export { forwardComplex, forwardReal, inverseReal } from './fft';
export { clearFold, evenOut, gather, gatherTilted, spread } from './fold';
export { linePower, sampleLines, scanRow, toPolar } from './lines';
export * from './memory';
