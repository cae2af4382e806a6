// What is sent about a picture: its bytes from whatever holds them, bounded, and the form around them.
import { randomBytes } from 'node:crypto';
import { PhotoError } from './photo-error.ts';

/** A picture as a program has it: bytes, a Blob or File, or a stream of bytes (of Node or of the web). */
export type ImageInput = Uint8Array | ArrayBuffer | Blob | AsyncIterable<Uint8Array> | ReadableStream<Uint8Array>;

/** The contract's limit of an image. */
export const MAX_IMAGE_BYTES = 26_214_400;

/**
 * The bytes; a stream is read to its end, or to the limit.
 * @throws PhotoError PAYLOAD_TOO_LARGE, VALIDATION_FAILED for no bytes; TypeError for what is no picture's holder
 */
export async function bytesOf(image: ImageInput): Promise<Uint8Array> {
  const bytes = await read(image);
  if (bytes.length > MAX_IMAGE_BYTES) throw tooLarge();
  if (bytes.length === 0) throw new PhotoError('VALIDATION_FAILED', 'Expected an image but received no bytes.');
  return bytes;
}

async function read(image: ImageInput): Promise<Uint8Array> {
  if (image instanceof Uint8Array) return image;
  if (image instanceof ArrayBuffer) return new Uint8Array(image);
  if (image instanceof Blob) {
    if (image.size > MAX_IMAGE_BYTES) throw tooLarge();
    return new Uint8Array(await image.arrayBuffer());
  }
  if (typeof image === 'object' && image !== null && Symbol.asyncIterator in image)
    return gathered(image as AsyncIterable<Uint8Array>);
  throw new TypeError('Expected the image as Uint8Array, ArrayBuffer, Blob or stream.');
}

async function gathered(pieces: AsyncIterable<Uint8Array>): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const piece of pieces) {
    if (!(piece instanceof Uint8Array)) throw new TypeError('Expected a stream of bytes.');
    length += piece.length;
    if (length > MAX_IMAGE_BYTES) throw tooLarge();
    chunks.push(piece);
  }
  return Buffer.concat(chunks);
}

function tooLarge(): PhotoError {
  return new PhotoError('PAYLOAD_TOO_LARGE', `Expected an image of at most ${MAX_IMAGE_BYTES} bytes.`);
}

export interface FormBody {
  body: Uint8Array;
  contentType: string;
}

/** multipart/form-data (RFC 7578) with its length known, which a stream of `FormData` has not. */
export function formOf(image: Uint8Array, fields: Readonly<Record<string, string>>): FormBody {
  const boundary = `lumatrace-${randomBytes(16).toString('hex')}`;
  const parts: Uint8Array[] = [];
  for (const [name, text] of Object.entries(fields)) {
    parts.push(Buffer.from(`--${boundary}\r\ncontent-disposition: form-data; name="${name}"\r\n\r\n${text}\r\n`));
  }
  const head =
    'content-disposition: form-data; name="image"; filename="image"\r\ncontent-type: application/octet-stream';
  parts.push(Buffer.from(`--${boundary}\r\n${head}\r\n\r\n`), image, Buffer.from(`\r\n--${boundary}--\r\n`));
  return { body: Buffer.concat(parts), contentType: `multipart/form-data; boundary=${boundary}` };
}
