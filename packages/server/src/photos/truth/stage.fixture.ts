// Where histories happen: a room with its routes on a socket, whose certificates, clock of certificates and revocations
// can be changed between protecting and verifying.
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { makeChain, type TestChain } from '@lumatrace/provenance/c2pa/chain.fixture.ts';
import { makeAuthority, type TestAuthority } from '@lumatrace/provenance/timestamp/authority.fixture.ts';
import sharp from 'sharp';
import { photoRoutes } from '../../http/photos.ts';
import { serve } from '../fixtures/serve.ts';
import { testRoom } from '../fixtures/room.ts';
import type { ManifestCredentials } from '../images.ts';

export interface Protected {
  photoId: string;
  image: Buffer;
}

export interface Stage {
  url: string;
  tenantId: string;
  /** Whom the room trusts. */
  chain: TestChain;
  /** Somebody with a chain of the same names from another root. */
  stranger: TestChain;
  /** Real photographs as they came, 1024 px wide, without metadata. */
  photo: Record<'sunset' | 'dandelion' | 'stream', Buffer>;
  /** Whose time stamps the room believes. */
  authority: TestAuthority;
  /** What the room signs with and believes from now on; verifications see it too. */
  credentials: ManifestCredentials;
  newTenant(): Promise<string>;
  protect(image: Buffer, facts?: object, tenantId?: string): Promise<Protected>;
  /** The parsed answer of `POST /api/v1/photos/verify`, as it stands. */
  verify(image: Uint8Array, photoId: string): Promise<Record<string, unknown>>;
  /** Registers without protecting. */
  register(image: Buffer): Promise<string>;
  close(): Promise<void>;
}

const PHOTOS = new URL('../../../../../fixtures/photos/', import.meta.url);
const WIDTH_PX = 1_024;

const photograph = async (name: string): Promise<Buffer> =>
  sharp(await readFile(new URL(name, PHOTOS)))
    .resize(WIDTH_PX, 768, { fit: 'cover' })
    .jpeg({ quality: 92 })
    .toBuffer();

export async function openStage(): Promise<Stage> {
  const room = await testRoom({ sameMarks: true });
  const tenantId = await room.newTenant();
  const [chain, stranger, authority] = [await makeChain(), await makeChain(), await makeAuthority()];
  const stage = {
    credentials: {
      ...(await room.manifestCredentials()),
      signer: chain.signer,
      trustAnchorsPem: chain.trust.anchorsPem,
      timestampAnchorsPem: authority.rootPem,
    },
  };
  const served = await serve(photoRoutes({ ...room, manifestCredentials: async () => stage.credentials }));
  const post = async (path: string, form: FormData, tenant: string): Promise<Response> => {
    const headers = { authorization: `Bearer ${tenant}` };
    const response = await fetch(served.url + path, { method: 'POST', headers, body: form });
    if (!response.ok) throw new Error(`${path} answers ${response.status}: ${await response.text()}`);
    return response;
  };
  return Object.assign(stage, {
    url: served.url,
    tenantId,
    chain,
    stranger,
    authority,
    photo: {
      sunset: await photograph('sunset.jpg'),
      dandelion: await photograph('dandelion.jpg'),
      stream: await photograph('forest-stream.jpg'),
    },
    newTenant: () => room.newTenant(),
    async protect(image: Buffer, facts: object = {}, tenant: string = tenantId): Promise<Protected> {
      const form = new FormData();
      form.set('request', JSON.stringify({ contentHash: hashOf(image), deviceModel: 'history', ...facts }));
      form.set('image', new Blob([new Uint8Array(image)]));
      const response = await post('/api/v1/photos/protect', form, tenant);
      const photoId = response.headers.get('x-photo-id') ?? '';
      return { photoId, image: Buffer.from(await response.arrayBuffer()) };
    },
    async verify(image: Uint8Array, photoId: string): Promise<Record<string, unknown>> {
      const form = new FormData();
      form.set('photoId', photoId);
      form.set('image', new Blob([new Uint8Array(image)]));
      return (await (await post('/api/v1/photos/verify', form, tenantId)).json()) as Record<string, unknown>;
    },
    async register(image: Buffer): Promise<string> {
      const response = await fetch(`${served.url}/api/v1/photos/register`, {
        method: 'POST',
        headers: { authorization: `Bearer ${tenantId}`, 'content-type': 'application/json' },
        body: JSON.stringify({ contentHash: hashOf(image), deviceModel: 'history' }),
      });
      if (!response.ok) throw new Error(`register answers ${response.status}: ${await response.text()}`);
      return ((await response.json()) as { photoId: string }).photoId;
    },
    async close(): Promise<void> {
      served.close();
      await room.close();
    },
  });
}

const hashOf = (image: Buffer): string => createHash('sha256').update(image).digest('hex');
