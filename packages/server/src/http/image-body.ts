// A request whose whole body is one file, read into memory and never to disk.
import type { IncomingMessage } from 'node:http';
import { Problem } from './errors.ts';

const IDLE_TIMEOUT_MS = 20_000;
const TOTAL_TIMEOUT_MS = 120_000;

/**
 * The body, in an ArrayBuffer of its own. @throws Problem PAYLOAD_TOO_LARGE, or VALIDATION_FAILED (empty, cut off;
 * status 408 when it does not come)
 */
export function readImageBody(
  incoming: IncomingMessage,
  maxBytes: number,
): Promise<{ bytes: Uint8Array<ArrayBuffer> }> {
  const declared = Number(incoming.headers['content-length'] ?? 0);
  if (declared > maxBytes) return Promise.reject(tooLarge(maxBytes));
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let size = 0;
    const end = (problem?: Problem): void => {
      clearTimeout(idle);
      clearTimeout(total);
      incoming.off('data', onData).off('end', onEnd).off('close', onClose).off('error', onClose);
      incoming.resume();
      if (problem) reject(problem);
      else if (size === 0) reject(new Problem('VALIDATION_FAILED', 'Expected a file but the body is empty.'));
      else resolve({ bytes: joined(chunks, size) });
    };
    const late = (): void => end(new Problem('VALIDATION_FAILED', 'The file did not come in time.', { status: 408 }));
    const idle = setTimeout(late, IDLE_TIMEOUT_MS);
    const total = setTimeout(late, TOTAL_TIMEOUT_MS);
    const onData = (chunk: Buffer): void => {
      idle.refresh();
      size += chunk.length;
      if (size > maxBytes) end(tooLarge(maxBytes));
      else chunks.push(chunk);
    };
    const onEnd = (): void => end();
    const onClose = (): void => end(new Problem('VALIDATION_FAILED', 'The file was cut off.'));
    incoming.on('data', onData).on('end', onEnd).on('close', onClose).on('error', onClose);
  });
}

function joined(chunks: readonly Buffer[], size: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(size);
  let at = 0;
  for (const chunk of chunks) {
    bytes.set(chunk, at);
    at += chunk.length;
  }
  return bytes;
}

function tooLarge(bytes: number): Problem {
  return new Problem('PAYLOAD_TOO_LARGE', `Expected a file of at most ${bytes} bytes.`);
}
