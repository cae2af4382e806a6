// Headers of good, bad and lying pictures: made by sharp where it can, by hand where it refuses to.
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { crc32 } from 'node:zlib';
import fc from 'fast-check';
import sharp, { type Sharp } from 'sharp';
import {
  IMAGE_LIMITS,
  ImageError,
  readImageHeader,
  requireProtectable,
  sniffFormat,
  type ImageErrorCode,
} from './image.ts';

const PHOTOS = new URL('../../../fixtures/photos/', import.meta.url);

const plain = (width = 300, height = 280, channels: 3 | 4 = 3): Sharp =>
  sharp({ create: { width, height, channels, background: { r: 90, g: 120, b: 60, alpha: 0.5 } } });

function refused(bytes: Uint8Array, code: ImageErrorCode, pattern: RegExp): void {
  assert.throws(
    () => readImageHeader(bytes),
    (error: unknown) => {
      assert.ok(error instanceof ImageError, String(error));
      assert.equal(error.code, code);
      assert.match(error.message, pattern);
      return true;
    },
  );
}

function pngChunk(type: string, body: Uint8Array): Buffer {
  const content = Buffer.concat([Buffer.from(type, 'latin1'), body]);
  const [length, sum] = [Buffer.alloc(4), Buffer.alloc(4)];
  length.writeUInt32BE(body.length);
  sum.writeUInt32BE(crc32(content));
  return Buffer.concat([length, content, sum]);
}

function pngOf(width: number, height: number, depth = 8, colourType = 2, ...more: Buffer[]): Buffer {
  const ihdr = Buffer.alloc(13);
  ihdr.writeUInt32BE(width, 0);
  ihdr.writeUInt32BE(height, 4);
  ihdr[8] = depth;
  ihdr[9] = colourType;
  const signature = Buffer.from('\x89PNG\r\n\x1a\n', 'latin1');
  return Buffer.concat([signature, pngChunk('IHDR', ihdr), ...more, pngChunk('IDAT', Buffer.alloc(8))]);
}

test('the header tells what the decoder tells, for every photograph', async () => {
  for (const name of readdirSync(PHOTOS)) {
    const bytes = readFileSync(new URL(name, PHOTOS));
    const header = readImageHeader(bytes);
    const metadata = await sharp(bytes).metadata();
    const told = {
      format: metadata.format,
      width: metadata.width,
      height: metadata.height,
      channels: metadata.channels,
    };
    const { format, width, height, channels } = header;
    assert.deepEqual({ format, width, height, channels }, told, name);
    assert.equal(header.chromaSubsampling, metadata.channels === 1 ? null : metadata.chromaSubsampling, name);
  }
});

test('depth, channels, alpha and losslessness are read from every format we accept', async () => {
  const cases: [string, Promise<Buffer>, Record<string, unknown>][] = [
    [
      'JPEG 4:4:4',
      plain().jpeg({ chromaSubsampling: '4:4:4' }).toBuffer(),
      { chromaSubsampling: '4:4:4', channels: 3 },
    ],
    ['JPEG grey', plain().toColourspace('b-w').jpeg().toBuffer(), { channels: 1, chromaSubsampling: null }],
    ['JPEG CMYK', plain().toColourspace('cmyk').jpeg().toBuffer(), { channels: 4, cmyk: true }],
    ['JPEG progressive', plain().jpeg({ progressive: true }).toBuffer(), { channels: 3, lossless: false }],
    ['PNG 16 bit', plain().toColourspace('rgb16').png().toBuffer(), { bitDepth: 16, channels: 3 }],
    ['PNG palette', plain().png({ palette: true }).toBuffer(), { palette: true, channels: 3 }],
    ['PNG alpha', plain(300, 280, 4).png().toBuffer(), { hasAlpha: true, channels: 4 }],
    ['WebP', plain().webp().toBuffer(), { lossless: false, hasAlpha: false, width: 300, height: 280 }],
    ['WebP lossless', plain().webp({ lossless: true }).toBuffer(), { lossless: true, width: 300, height: 280 }],
    ['WebP alpha', plain(300, 280, 4).webp().toBuffer(), { hasAlpha: true, width: 300, height: 280 }],
  ];
  for (const [name, encoding, expected] of cases) {
    const header = readImageHeader(await encoding);
    const told = Object.fromEntries(Object.entries(header).filter(([key]) => key in expected));
    assert.deepEqual(told, expected, name);
  }
});

test('the JPEG quality of libjpeg is read back exactly', async () => {
  for (const quality of [10, 50, 75, 85, 90, 96, 100]) {
    assert.equal(readImageHeader(await plain().jpeg({ quality }).toBuffer()).jpegQuality, quality);
  }
});

test('the EXIF orientation is read in all three formats and is not applied to width and height', async () => {
  for (const format of ['jpeg', 'png', 'webp'] as const) {
    const bytes = await plain().withMetadata({ orientation: 6 }).toFormat(format).toBuffer();
    const { orientation, width, height } = readImageHeader(bytes);
    assert.deepEqual({ orientation, width, height }, { orientation: 6, width: 300, height: 280 }, format);
  }
});

test('4000×4000 passes and 4096×4096 does not', () => {
  assert.equal(readImageHeader(pngOf(4000, 4000)).width, 4000);
  refused(pngOf(4096, 4096), 'PAYLOAD_TOO_LARGE', /16000000 pixels/);
});

test('a header of 50,000×50,000 is refused without decoding', () => {
  refused(pngOf(50_000, 50_000), 'PAYLOAD_TOO_LARGE', /50000×50000/);
});

test('26,214,400 bytes pass and one more does not', () => {
  const large = Buffer.concat([pngOf(300, 300), Buffer.alloc(IMAGE_LIMITS.maxBytes)]);
  assert.equal(readImageHeader(large.subarray(0, IMAGE_LIMITS.maxBytes)).width, 300);
  refused(large.subarray(0, IMAGE_LIMITS.maxBytes + 1), 'PAYLOAD_TOO_LARGE', /26214400 bytes/);
});

test('an empty file is refused', () => refused(new Uint8Array(0), 'VALIDATION_FAILED', /empty/));

test('other formats are refused by name, whatever they are called', async () => {
  refused(await plain().gif().toBuffer(), 'UNSUPPORTED_MEDIA_TYPE', /GIF/);
  refused(await plain().tiff().toBuffer(), 'UNSUPPORTED_MEDIA_TYPE', /TIFF/);
  refused(await plain().avif().toBuffer(), 'UNSUPPORTED_MEDIA_TYPE', /AVIF/);
  refused(Buffer.from('<svg xmlns="http://www.w3.org/2000/svg"/>'), 'UNSUPPORTED_MEDIA_TYPE', /SVG/);
  refused(Buffer.from('not an image at all'), 'UNSUPPORTED_MEDIA_TYPE', /something else/);
});

test('a PNG that was renamed to .jpg is a PNG', async () => {
  const bytes = await plain().png().toBuffer();
  assert.equal(sniffFormat(bytes), 'png');
  assert.equal(readImageHeader(bytes).format, 'png');
});

test('animated pictures are refused: PNG, WebP and GIF', async () => {
  refused(pngOf(300, 300, 8, 2, pngChunk('acTL', Buffer.alloc(8))), 'UNSUPPORTED_MEDIA_TYPE', /animated png/);
  const frames = await sharp(
    await Promise.all([plain(300, 280).png().toBuffer(), plain(300, 280).negate().png().toBuffer()]),
    { join: { animated: true } },
  )
    .webp({ loop: 0, delay: [100, 100] })
    .toBuffer();
  refused(frames, 'UNSUPPORTED_MEDIA_TYPE', /animated webp/);
});

test('impossible PNG headers are refused', () => {
  refused(pngOf(0, 300), 'VALIDATION_FAILED', /above zero/);
  refused(pngOf(300, 300, 16, 3), 'VALIDATION_FAILED', /colour type/);
  refused(pngOf(300, 300, 7, 2), 'VALIDATION_FAILED', /colour type/);
});

test('a file cut inside its header is refused, one cut inside its pixels still has a header', async () => {
  for (const format of ['jpeg', 'png', 'webp'] as const) {
    const bytes = readFileSync(new URL('sunset.jpg', PHOTOS));
    const encoded = await sharp(bytes).resize(600).toFormat(format).toBuffer();
    assert.equal(readImageHeader(encoded.subarray(0, encoded.length >> 1)).width, 600, format);
    for (const length of [12, 16, 20])
      refused(encoded.subarray(0, length), 'VALIDATION_FAILED', /cut off|damaged|Expected/);
  }
});

test('protection asks for a shorter side of 256 px and refuses CMYK', async () => {
  const small = readImageHeader(await plain(255, 400).png().toBuffer());
  assert.throws(() => requireProtectable(small), { code: 'VALIDATION_FAILED' });
  requireProtectable(readImageHeader(await plain(256, 400).png().toBuffer()));
  const cmyk = readImageHeader(await plain().toColourspace('cmyk').jpeg().toBuffer());
  assert.throws(() => requireProtectable(cmyk), { code: 'UNSUPPORTED_MEDIA_TYPE' });
});

test('any bytes after the magic end in a header or in a coded error', () => {
  const magics = ['\xff\xd8\xff', '\x89PNG\r\n\x1a\n', 'RIFF\x10\0\0\0WEBP'].map((text) => Buffer.from(text, 'latin1'));
  fc.assert(
    fc.property(fc.constantFrom(...magics), fc.uint8Array({ maxLength: 400 }), (magic, rest) => {
      try {
        readImageHeader(Buffer.concat([magic, rest]));
      } catch (error) {
        assert.ok(error instanceof ImageError, String(error));
      }
    }),
    { numRuns: 2_000 },
  );
});

test('any change of bytes in a real header ends in a header or in a coded error', async () => {
  const originals = await Promise.all(
    (['jpeg', 'png', 'webp'] as const).map((format) =>
      plain().withMetadata({ orientation: 3 }).toFormat(format).toBuffer(),
    ),
  );
  fc.assert(
    fc.property(
      fc.constantFrom(...originals),
      fc.array(fc.tuple(fc.nat(300), fc.nat(255)), { minLength: 1, maxLength: 8 }),
      (original, changes) => {
        const bytes = Uint8Array.from(original);
        for (const [at, value] of changes) bytes[at % bytes.length] = value;
        try {
          readImageHeader(bytes);
        } catch (error) {
          assert.ok(error instanceof ImageError, String(error));
        }
      },
    ),
    { numRuns: 2_000 },
  );
});
