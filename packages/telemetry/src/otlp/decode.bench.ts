// How many realistic GenAI spans one thread reads, normalises, previews and prices. Run: node packages/telemetry/src/otlp/decode.bench.ts
import { gzipSync } from 'node:zlib';
import { trafficRequest } from '../../test/traffic.ts';
import { decode, encodeRequest } from '../../test/wire.ts';
import { priceOfSpan } from '../cost.ts';
import { previewOf } from '../messages.ts';
import { decodeTracesProtobuf } from './decode.ts';
import { decodeTracesJson } from './json.ts';

const SPANS = 100;
const REQUESTS = 40;
const ROUNDS = 9;

const requests = Array.from({ length: REQUESTS }, (_, seed) => trafficRequest(SPANS, seed + 1));
const protobuf = requests.map((request) => encodeRequest(request));
const json = requests.map((request) => Buffer.from(JSON.stringify(request)));
const bytesPerSpan = Math.round(protobuf.reduce((sum, { length }) => sum + length, 0) / (SPANS * REQUESTS));
const gzipBytesPerSpan = Math.round(
  protobuf.reduce((sum, body) => sum + gzipSync(body).length, 0) / (SPANS * REQUESTS),
);

function measure(name: string, run: (i: number) => number): void {
  const rates: number[] = [];
  let check = 0;
  for (let round = 0; round < ROUNDS; round++) {
    const start = performance.now();
    for (let i = 0; i < REQUESTS; i++) check += run(i);
    rates.push((SPANS * REQUESTS) / ((performance.now() - start) / 1000));
  }
  const median = rates.sort((a, b) => a - b)[ROUNDS >> 1]!;
  console.log(
    `${name.padEnd(44)} ${Math.round(median).toLocaleString('en')} spans/s  ${(1e6 / median).toFixed(1)} µs/span  (${check})`,
  );
}

console.log(`${bytesPerSpan} bytes per span, ${gzipBytesPerSpan} gzipped`);
measure('protobuf: decode and normalise', (i) => decodeTracesProtobuf(protobuf[i]!).spans.length);
measure('protobuf: decode, normalise, cost', (i) => {
  let priced = 0;
  for (const span of decodeTracesProtobuf(protobuf[i]!).spans) if ('costPico' in priceOfSpan(span)!) priced++;
  return priced;
});
measure('protobuf: decode, normalise, cost, preview', (i) => {
  let answered = 0;
  for (const span of decodeTracesProtobuf(protobuf[i]!).spans) {
    priceOfSpan(span);
    if (previewOf(span.messages).response !== null) answered++;
  }
  return answered;
});
measure('JSON: decode and normalise', (i) => decodeTracesJson(json[i]!).spans.length);
measure(
  'for comparison: protobufjs objects',
  (i) => Object.keys(decode('ExportTraceServiceRequest', protobuf[i]!)).length,
);
