// The forms in which pictures are sent.
import { createHash } from 'node:crypto';
import type { Shot } from './shot.ts';

type Credentials = Record<string, string>;

/** A multipart form; members that are bytes are files. */
export function formShot(credentials: Credentials, path: string, form: Record<string, string | Buffer>): Shot {
  const boundary = 'lumatrace-attack-boundary';
  const parts = Object.entries(form).map(([name, content]) => {
    const file = typeof content === 'string' ? '' : '; filename="a"\r\ncontent-type: application/octet-stream';
    const head = `--${boundary}\r\ncontent-disposition: form-data; name="${name}"${file}\r\n\r\n`;
    return Buffer.concat([Buffer.from(head), Buffer.from(content), Buffer.from('\r\n')]);
  });
  return {
    method: 'POST',
    path,
    headers: { ...credentials, 'content-type': `multipart/form-data; boundary=${boundary}` },
    body: Buffer.concat([...parts, Buffer.from(`--${boundary}--\r\n`)]),
  };
}

export function verifyShot(credentials: Credentials, image: Buffer, photoId: string): Shot {
  return formShot(credentials, '/api/v1/photos/verify', { image, photoId });
}

export function protectShot(credentials: Credentials, image: Buffer): Shot {
  const contentHash = createHash('sha256').update(image).digest('hex');
  const request = JSON.stringify({ contentHash, deviceModel: 'attack' });
  return formShot(credentials, '/api/v1/photos/protect', { image, request });
}
