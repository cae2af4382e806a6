// The pictures in what a model's function answered: bytes as they are, or base64 as OpenAI's images API writes them.
import { isRecord, listAt } from './instrument/fields.ts';
import { bytesOf, MAX_IMAGE_BYTES, type ImageInput } from './photo-body.ts';

/** `images.generate` and `images.edit` of the OpenAI client, asked for `b64_json`. */
export interface ImagesResponse {
  data?: readonly { b64_json?: string | null; url?: string | null }[] | null;
}

export type ImageAnswer = ImageInput | ImagesResponse;

/** OpenAI gives ten at most. */
const MAX_PICTURES = 10;
const MAX_BASE64 = Math.ceil(MAX_IMAGE_BYTES / 3) * 4;
const BASE64 = /^[A-Za-z0-9+/]+={0,2}$/;

/** At least one, in their order. @throws TypeError when there is none that could be protected; PhotoError as `bytesOf` */
export async function picturesOf(answer: ImageAnswer): Promise<Uint8Array[]> {
  if (!isImagesResponse(answer)) return [await bytesOf(answer)];
  const entries = listAt(answer, 'data').filter(isRecord);
  if (entries.length === 0 || entries.length > MAX_PICTURES)
    throw new TypeError(`Expected 1 to ${MAX_PICTURES} pictures in the answer but received ${entries.length}.`);
  return Promise.all(entries.map((entry) => bytesOf(decoded(entry['b64_json']))));
}

function isImagesResponse(answer: ImageAnswer): answer is ImagesResponse {
  return isRecord(answer) && Array.isArray((answer as ImagesResponse).data);
}

// a link is not followed: the SDK sends nothing anywhere but to LumaTrace
function decoded(text: unknown): Uint8Array {
  if (typeof text !== 'string')
    throw new TypeError("Expected b64_json in the answer: ask with response_format: 'b64_json', or fetch the picture.");
  if (text.length > MAX_BASE64 || !BASE64.test(text)) throw new TypeError('Expected a picture in base64 in b64_json.');
  return Buffer.from(text, 'base64');
}
