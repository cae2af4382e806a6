// traceImage: what its span says, what comes out, and that nothing comes out unprotected unless that was asked for by name.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { after, before, beforeEach, test } from 'node:test';
import { PROFILES } from '@lumatrace/provenance/profiles.ts';
import { Collector } from '../test/collector.ts';
import { flush, initLumina, PhotoError, shutdown, traceImage } from './index.ts';
import { bytesOf, type ImageInput } from './photo-body.ts';
import { Photos } from './photos.ts';
import type { ProtectedImage, ProtectOptions, Publication } from './photo-types.ts';
import { PROFILE_NEEDS } from './trace-image.ts';

/** Protects by turning the bytes around, and remembers what it was told. */
class Backwards extends Photos {
  readonly told: ProtectOptions[] = [];
  readonly published: string[] = [];
  refusal: Error | undefined;

  override async protect(image: ImageInput, options: ProtectOptions = {}): Promise<ProtectedImage> {
    if (this.refusal !== undefined) throw this.refusal;
    const bytes = await bytesOf(image);
    this.told.push(options);
    const contentHash = createHash('sha256').update(bytes).digest('hex');
    const protectedHash = contentHash;
    const photoId = `photo-${this.told.length}`;
    return { photoId, image: bytes.toReversed(), mediaType: 'image/png', contentHash, protectedHash, logReceipt: null };
  }

  override publish(photoId: string): Promise<Publication> {
    this.published.push(photoId);
    return Promise.resolve({ photoId, manifestId: 'm', publishedAt: 'now' });
  }
}

const IMAGE = Uint8Array.of(1, 2, 3);
const b64 = (...bytes: number[]): { b64_json: string } => ({ b64_json: Buffer.from(bytes).toString('base64') });

let collector: Collector;
let photos: Backwards;

before(async () => {
  collector = await new Collector().start();
  initLumina({ endpoint: collector.url, flush_interval_ms: 3_600_000, on_warning: () => undefined });
});
after(async () => {
  await shutdown();
  await collector.stop();
});
beforeEach(() => {
  collector.received.length = 0;
  photos = new Backwards();
});

test('bytes go in, the protected picture comes out, and span and photo name each other', async () => {
  const options = { name: 'draw', model: 'example-image', system: 'example', prompt: 'a lighthouse', photos };
  const made = await traceImage(options, () => IMAGE);
  await flush();
  const span = collector.span('draw');
  assert.deepEqual([made.image, made.photoId, made.state], [Uint8Array.of(3, 2, 1), 'photo-1', 'protected']);
  assert.deepEqual([made.traceId, made.spanId], [span.traceId, span.spanId]);
  assert.deepEqual(photos.told, [
    {
      profile: 'ai-generated',
      aiProvider: 'example',
      aiSystem: 'example-image',
      traceId: span.traceId,
      spanId: span.spanId,
    },
  ]);
  const { attributes } = span;
  assert.equal(attributes['gen_ai.operation.name'], 'generate_content');
  assert.equal(attributes['gen_ai.output.type'], 'image');
  assert.equal(attributes['gen_ai.request.model'], 'example-image');
  assert.match(String(attributes['gen_ai.input.messages']), /a lighthouse/);
  assert.deepEqual(
    [attributes['lumatrace.photo_id'], attributes['lumatrace.photo.content_hash'], attributes['lumatrace.photo.state']],
    ['photo-1', made.contentHash, 'protected'],
  );
  assert.deepEqual(photos.published, []);
});

test('an answer of OpenAI gives all its pictures, its usage, and none of them in the span', async () => {
  const usage = { input_tokens: 12, output_tokens: 272 };
  const answer = { data: [b64(1, 2), b64(3, 4)], usage };
  const made = await traceImage({ name: 'two', model: 'm', photos, publish: true }, async () => answer);
  await flush();
  const span = collector.span('two');
  assert.deepEqual(
    made.images.map(({ image }) => [...image]),
    [
      [2, 1],
      [4, 3],
    ],
  );
  assert.equal(made.answer, answer);
  assert.deepEqual(span.attributes['lumatrace.photo_ids'], ['photo-1', 'photo-2']);
  assert.equal(span.attributes['gen_ai.usage.output_tokens'], 272);
  assert.ok(!JSON.stringify(span).includes(b64(1, 2).b64_json));
  assert.deepEqual(photos.published, ['photo-1', 'photo-2']);
});

test('when the protection fails the caller gets its error, and no picture', async () => {
  photos.refusal = new PhotoError('UNAVAILABLE', 'Too many images at once.', { status: 503 });
  await assert.rejects(
    traceImage({ name: 'refused', model: 'm', photos }, () => IMAGE),
    (error) => error === photos.refusal,
  );
  await flush();
  const span = collector.span('refused');
  assert.deepEqual([span.status.code, span.attributes['error.type']], [2, '503']);
  assert.equal(span.attributes['lumatrace.photo_id'], undefined);
});

test('only asked for by name an unprotected picture comes out, and says so, in the span too', async () => {
  photos.refusal = new PhotoError('NO_ANSWER', 'away');
  const options = { name: 'bare', model: 'm', photos, onFailure: 'return-unprotected' } as const;
  const made = await traceImage(options, () => IMAGE);
  await flush();
  assert.deepEqual([made.state, made.photoId, made.image], ['unprotected', null, IMAGE]);
  assert.ok(made.state === 'unprotected' && made.error === photos.refusal);
  const span = collector.span('bare');
  assert.deepEqual([span.status.code, span.attributes['lumatrace.photo.state']], [2, 'unprotected']);
});

test('what the function throws is thrown, and its span says so', async () => {
  const error = new Error('no more credit');
  await assert.rejects(
    traceImage({ name: 'thrown', model: 'm', photos }, () => Promise.reject(error)),
    (thrown) => thrown === error,
  );
  await flush();
  assert.equal(collector.span('thrown').status.code, 2);
  assert.equal(photos.told.length, 0);
});

test('a fact that the profile needs is missed before the model is called', async () => {
  let calls = 0;
  const draw = (): Uint8Array => {
    calls++;
    return IMAGE;
  };
  const options = { model: 'm', profile: 'ca-sb-942', provider: 'p', photos } as const;
  await assert.rejects(traceImage(options, draw), { name: 'TypeError', message: /modelVersion/ });
  assert.equal(calls, 0);
  await traceImage({ ...options, modelVersion: '2' }, draw);
  assert.equal(photos.told[0]?.aiSystemVersion, '2');
});

test('what the SDK asks of a profile is what the server asks', () => {
  const needs = Object.entries(PROFILES).map(([name, { requires }]) => [name, [...requires]]);
  assert.deepEqual(PROFILE_NEEDS, Object.fromEntries(needs));
});

const NO_PICTURE: [string, object][] = [
  ['a link', { data: [{ url: 'https://example.com/x.png' }] }],
  ['nothing', { data: [] }],
  ['eleven', { data: Array.from({ length: 11 }, () => b64(1)) }],
  ['no base64', { data: [{ b64_json: '<svg>' }] }],
  ['another object', { text: 'I cannot draw that.' }],
];
for (const [what, answer] of NO_PICTURE) {
  test(`an answer with ${what} is refused`, async () => {
    await assert.rejects(
      traceImage({ model: 'm', photos }, () => answer as Uint8Array),
      TypeError,
    );
    assert.equal(photos.told.length, 0);
  });
}

test('without a running SDK pictures are protected all the same, without a span', async () => {
  await shutdown();
  const made = await traceImage({ model: 'm', photos }, () => IMAGE);
  assert.deepEqual([made.state, made.photoId, made.traceId, made.spanId], ['protected', 'photo-1', null, null]);
  assert.deepEqual(photos.told, [{ profile: 'ai-generated', aiSystem: 'm' }]);
});
