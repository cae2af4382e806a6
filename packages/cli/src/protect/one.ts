// One picture: sent, and what comes back.
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { post, type Installation } from '../installation.ts';
import { readPicture, type PictureFile } from '../picture-file.ts';

/** Members of the API's request beside those that the picture gives. */
export type ProtectRequest = Readonly<Record<string, string | number | boolean>>;

export interface Protected {
  photoId: string;
  image: Uint8Array;
}

export const sha256 = (data: Uint8Array | string): string => createHash('sha256').update(data).digest('hex');

/** The same picture with the same request under the same target is one photo, however often it is sent. */
export async function protectOne(
  installation: Installation,
  { bytes }: PictureFile,
  request: ProtectRequest,
  idempotencyKey: string,
): Promise<Protected> {
  const contentHash = sha256(bytes);
  const form = (): FormData => {
    const parts = new FormData();
    parts.set('image', new Blob([bytes]), 'image');
    parts.set('request', JSON.stringify({ contentHash, deviceModel: 'lumatrace protect', ...request }));
    return parts;
  };
  const response = await post(installation, '/api/v1/photos/protect', form, { 'idempotency-key': idempotencyKey });
  return {
    photoId: response.headers.get('x-photo-id') ?? '',
    image: new Uint8Array(await response.arrayBuffer()),
  };
}

/** Standard input to standard output; the photo's id goes to standard error. */
export async function protectStream(installation: Installation, request: ProtectRequest): Promise<number> {
  const picture = await readPicture('-');
  const { photoId, image } = await protectOne(installation, picture, request, crypto.randomUUID());
  if (!process.stdout.write(image)) await once(process.stdout, 'drain');
  process.stderr.write(`photo ${photoId}\n`);
  return 0;
}
