// A thread that changes valid files at random and judges what comes out; ended and replaced by the bench, as the server does.
import { parentPort, workerData, type MessagePort } from 'node:worker_threads';
import { verifyC2pa } from '../../packages/provenance/src/c2pa/verify.ts';
import type { TrustAnchors } from '../../packages/provenance/src/c2pa/wasm.ts';
import { ImageError, readImageHeader, type ImageFormat } from '../../packages/provenance/src/image.ts';
import { randomFrom } from '../watermark/raster.ts';
import { hasMarker, mutated } from './mutate.ts';

export interface MutationJob {
  originals: readonly { format: ImageFormat; bytes: Uint8Array }[];
  trust: TrustAnchors;
  from: number;
  to: number;
}

export interface MutationCounts {
  mutations: number;
  crashes: number;
  falseAuthentic: number;
  falseMissing: number;
  /** What went wrong, by index. */
  wrong: string[];
}

if (workerData === 'bench suites') {
  const port = parentPort as MessagePort;
  port.on('message', (job: MutationJob) => void run(job).then((counts) => port.postMessage(counts)));
}

async function run({ originals, trust, from, to }: MutationJob): Promise<MutationCounts> {
  const counts: MutationCounts = { mutations: 0, crashes: 0, falseAuthentic: 0, falseMissing: 0, wrong: [] };
  for (let index = from; index < to; index++) {
    const random = randomFrom(index + 1);
    const original = originals[index % originals.length] as MutationJob['originals'][number];
    const other = originals[Math.floor(random() * originals.length)] as MutationJob['originals'][number];
    const bytes = mutated(original.bytes, random, other.bytes);
    counts.mutations++;
    try {
      const { format } = readImageHeader(bytes);
      const { status, findings } = await verifyC2pa({ bytes, format, trust });
      const trapped = findings.some(({ code }) => code === 'org.lumatrace.c2pa.engineFailed');
      if (trapped) note(counts, 'crashes', index, JSON.stringify(findings));
      if (status === 'VALID') note(counts, 'falseAuthentic', index, status);
      if (status === 'MISSING' && hasMarker(bytes)) note(counts, 'falseMissing', index, status);
    } catch (error) {
      if (!(error instanceof ImageError)) note(counts, 'crashes', index, String(error));
    }
  }
  return counts;
}

function note(
  counts: MutationCounts,
  kind: 'crashes' | 'falseAuthentic' | 'falseMissing',
  index: number,
  seen: string,
): void {
  counts[kind]++;
  counts.wrong.push(`${kind} ${index}: ${seen.slice(0, 300)}`);
}
