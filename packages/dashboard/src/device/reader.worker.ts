// Reads the credentials of one file in a thread of its own, which may make no request at all: its policy says so
// (http/static.ts). The code that judges is the server's.
import './node-buffer.ts';
import { generatorSaidIn } from '@lumatrace/provenance/c2pa/disclosure.ts';
import { credentialsSaid, isSaidGenerated } from '@lumatrace/provenance/c2pa/said.ts';
import { verifyC2pa } from '@lumatrace/provenance/c2pa/verify.ts';
import { ImageError, readImageHeader } from '@lumatrace/provenance/image.ts';
import { startLibrary } from './library.ts';
import { untilAnswered } from './questions.ts';
import type { DeviceAnswer, DeviceBelief, DeviceReading } from './reading.ts';

type Order = { wasm: ArrayBuffer } | { bytes: ArrayBuffer; belief: DeviceBelief };

addEventListener('message', ({ data }: MessageEvent<Order>) => {
  if ('wasm' in data) startLibrary(data.wasm);
  else void answer(data.bytes, data.belief).then((said: DeviceAnswer) => postMessage(said));
});

async function answer(file: ArrayBuffer, belief: DeviceBelief): Promise<DeviceAnswer> {
  try {
    return { reading: await read(new Uint8Array(file), belief) };
  } catch (error) {
    if (error instanceof ImageError) return { refused: error.message };
    return { failed: error instanceof Error ? error.message.slice(0, 300) : 'The reading failed.' };
  }
}

async function read(bytes: Uint8Array, belief: DeviceBelief): Promise<DeviceReading> {
  const { format } = readImageHeader(bytes);
  const revocations = belief.revocations.map(({ certificateSha256, revokedAt }) => ({
    certificateSha256,
    revokedAt: new Date(revokedAt),
  }));
  const { anchorsPem, timestampAnchorsPem } = belief;
  const trust = { anchorsPem, ...(timestampAnchorsPem === null ? {} : { timestampAnchorsPem }) };
  const c2pa = await untilAnswered(() => verifyC2pa({ bytes, format, trust, revocations }));
  return {
    credentials: credentialsSaid(c2pa, generatorSaidIn(bytes, format)),
    isGenerated: isSaidGenerated(c2pa),
    findings: c2pa.findings,
  };
}
