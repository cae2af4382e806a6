// A generated picture: the call of the model is traced, the picture protected, published and found again from a copy.
import { createHash } from 'node:crypto';
import { initLumina, instrument, photos, shutdown, traceImage } from '@lumatrace/sdk';
import OpenAI from 'openai';

initLumina({ service_name: 'example-image', environment: 'development' });
const openai = instrument(new OpenAI());
const prompt = 'A lighthouse at dusk';

const made = await traceImage(
  {
    name: 'draw a lighthouse',
    model: 'gpt-image-1',
    modelVersion: '2025-04-15',
    provider: 'Example Studio',
    prompt,
    profile: 'ca-sb-942',
    publish: true,
  },
  () => openai.images.generate({ model: 'gpt-image-1', prompt }),
);
const verdict = await photos.verify(made.image, made.photoId);
const { matches } = await photos.identify(made.image);
console.log(`trace ${made.traceId}`);
console.log(`span ${made.spanId}`);
console.log(`photo ${made.photoId}, authentic: ${verdict.authentic}`);
console.log(`sha256 ${createHash('sha256').update(made.image).digest('hex')}`);
console.log(`identified ${matches[0]?.photoId}, made by span ${matches[0]?.spanId}`);
await shutdown();
