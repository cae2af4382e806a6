// A signing request with every statement that tests need, to be changed in one place each time.
import type { ImageFormat } from '../image.ts';
import type { TestChain } from './chain.fixture.ts';
import type { SignRequest } from './sign.ts';

export const PHOTO_ID = '6b1c5a2e-6f0e-4d3c-9a71-0f5f3f0f1a2b';

export function signRequest(chain: TestChain, bytes: Uint8Array, format: ImageFormat): SignRequest {
  return {
    bytes,
    format,
    signer: chain.signer,
    trust: chain.trust,
    photoId: PHOTO_ID,
    softBinding: { alg: 'org.lumatrace.watermark.1', value: Uint8Array.of(1, 2, 3, 4, 0, 0xff, 0x80, 8) },
    signedAt: new Date(),
    generatorVersion: '0.1.0',
  };
}
