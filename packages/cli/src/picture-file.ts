// A picture named on the command line: a file, or "-" for standard input. Read whole, bounded, and known by its bytes.
import { open } from 'node:fs/promises';
import { IMAGE_LIMITS, readImageHeader, type ImageHeader } from '@lumatrace/provenance/image.ts';
import { CannotAnswer } from './command.ts';

export interface PictureFile {
  name: string;
  bytes: Uint8Array<ArrayBuffer>;
  header: ImageHeader;
}

/** @throws CannotAnswer for what cannot be read, is too large, or is no still JPEG, PNG or WebP */
export async function readPicture(name: string): Promise<PictureFile> {
  const bytes = name === '-' ? await readBounded(process.stdin, 'standard input') : await readFileBounded(name);
  try {
    return { name, bytes, header: readImageHeader(bytes) };
  } catch (cause) {
    throw new CannotAnswer(`${name}: ${(cause as Error).message}`, { cause });
  }
}

async function readFileBounded(name: string): Promise<Uint8Array<ArrayBuffer>> {
  try {
    const file = await open(name);
    return await readBounded(file.createReadStream(), name);
  } catch (cause) {
    if (cause instanceof CannotAnswer) throw cause;
    throw new CannotAnswer(`cannot read ${name}: ${(cause as Error).message}`, { cause });
  }
}

async function readBounded(stream: AsyncIterable<Buffer>, name: string): Promise<Uint8Array<ArrayBuffer>> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of stream) {
    size += chunk.length;
    if (size > IMAGE_LIMITS.maxBytes) throw new CannotAnswer(`${name} is larger than ${IMAGE_LIMITS.maxBytes} bytes.`);
    chunks.push(chunk);
  }
  const bytes = new Uint8Array(size);
  let at = 0;
  for (const chunk of chunks) {
    bytes.set(chunk, at);
    at += chunk.length;
  }
  return bytes;
}
