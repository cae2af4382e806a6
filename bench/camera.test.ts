import assert from 'node:assert/strict';
import { test } from 'node:test';
import sharp from 'sharp';
import { cameraLikeJpeg } from './camera.ts';

test('the camera makes 12 megapixels in 5 to 8 MB, the same every time', async () => {
  const picture = await cameraLikeJpeg();
  const { width, height, format } = await sharp(picture).metadata();
  assert.deepEqual({ width, height, format }, { width: 4_000, height: 3_000, format: 'jpeg' });
  assert.ok(picture.length >= 5e6 && picture.length <= 8e6, `${picture.length} bytes`);
  assert.deepEqual(await cameraLikeJpeg(), picture);
});
