// The truth table: what can happen to a protected photograph, and the answer that each history must get everywhere.
// The answers are written from the rules (docs/guides/verification.md), not copied from what the code says.
import type { C2paStatus } from '@lumatrace/provenance/c2pa/verify.ts';
import type { TamperClass, WatermarkStatus } from '@lumatrace/provenance/decision.ts';
import sharp from 'sharp';
import type { Cast } from './cast.fixture.ts';
import {
  copiedMark,
  parted,
  patched,
  saved,
  screenshot,
  signedAsEsp256,
  signedBy,
  transplanted,
} from './make.fixture.ts';

export interface History {
  name: string;
  /** The file in question, and the photo it is held against. */
  make(cast: Cast): Promise<{ image: Buffer; photoId: string }>;
  c2pa: C2paStatus;
  watermark: WatermarkStatus;
  tamperClass: TamperClass;
  /** Codes of which each must be among the findings. */
  findings: readonly string[];
}

type Make = (cast: Cast) => Buffer | Promise<Buffer>;

/** Held against the hero, unless said otherwise. */
const row = (
  name: string,
  make: Make,
  [c2pa, watermark, tamperClass]: readonly [C2paStatus, WatermarkStatus, TamperClass],
  findings: readonly string[],
  photoIdOf: (cast: Cast) => string = ({ own }) => own.photoId,
): History => ({
  name,
  make: async (cast) => ({ image: await make(cast), photoId: photoIdOf(cast) }),
  c2pa,
  watermark,
  tamperClass,
  findings,
});

type Role = 'png' | 'webp' | 'generated' | 'twice' | 'expired' | 'expiredStamped' | 'revoked' | 'revokedStamped';
const asItIs = (role: Role | 'own' | 'stamped' | 'wronglyStamped' | 'other' | 'theirs') =>
  [(cast: Cast) => cast[role].image, (cast: Cast) => cast[role].photoId] as const;

const actOn = (
  name: string,
  role: Parameters<typeof asItIs>[0],
  answer: Answer,
  findings: readonly string[],
): History => {
  const [make, photoIdOf] = asItIs(role);
  return row(name, make, answer, findings, photoIdOf);
};
type Answer = readonly [C2paStatus, WatermarkStatus, TamperClass];

const AUTHENTIC = ['VALID', 'DETECTED', 'NONE'] as const;
const VOUCHED = ['org.lumatrace.decision.authentic', 'org.lumatrace.registration.manifestMatches'];
const NO_MARK = 'org.lumatrace.watermark.notFound';
const NO_MANIFEST = 'org.lumatrace.c2pa.missing';
const OTHER_MANIFEST = 'org.lumatrace.registration.manifestDiffers';
const UNLIKE = ['org.lumatrace.registration.pixelsDiffer', 'org.lumatrace.registration.looksUnlike'];
const BAD_HASH = 'assertion.dataHash.mismatch';
const STRANGER = 'signingCredential.untrusted';
const REVOKED = 'signingCredential.ocsp.revoked';
const CHANGED_PARTS = 'org.lumatrace.watermark.missingParts';

const block = (file: Buffer): Promise<Buffer> =>
  sharp({ create: { width: 260, height: 200, channels: 3, background: '#808080' } })
    .png()
    .toBuffer()
    .then((input) => saved(file, (picture) => picture.composite([{ input, left: 380, top: 300 }]), 95));

export const HISTORIES: readonly History[] = [
  actOn('a JPEG as it was protected', 'own', AUTHENTIC, VOUCHED),
  actOn('a PNG as it was protected', 'png', AUTHENTIC, VOUCHED),
  actOn('a WebP as it was protected', 'webp', AUTHENTIC, VOUCHED),
  actOn('a generated picture as it was protected', 'generated', AUTHENTIC, VOUCHED),
  actOn('protected twice, held against the second', 'twice', AUTHENTIC, VOUCHED),
  actOn('time-stamped', 'stamped', AUTHENTIC, [...VOUCHED, 'timeStamp.trusted']),
  actOn('the leaf ended, time-stamped before', 'expiredStamped', AUTHENTIC, VOUCHED),
  actOn('the leaf was revoked, time-stamped before', 'revokedStamped', AUTHENTIC, VOUCHED),
  actOn('the leaf ended, no time stamp', 'expired', ['INVALID', 'DETECTED', 'NONE'], ['signingCredential.expired']),
  actOn('the leaf was revoked, no time stamp', 'revoked', ['INVALID', 'DETECTED', 'NONE'], [REVOKED]),
  actOn('a time stamp of a stranger', 'wronglyStamped', ['INVALID', 'DETECTED', 'NONE'], ['timeStamp.untrusted']),

  row(
    'the first of two protections',
    ({ twice }) => twice.image,
    ['VALID', 'DETECTED', 'COMPRESSION'],
    [OTHER_MANIFEST],
  ),
  row(
    'the manifest cut out',
    ({ own }) => parted(own.image).bare,
    ['MISSING', 'DETECTED', 'COMPRESSION'],
    [NO_MANIFEST],
  ),
  row(
    'saved again at quality 60',
    ({ own }) => saved(own.image, (it) => it, 60),
    ['MISSING', 'DETECTED', 'COMPRESSION'],
    [NO_MANIFEST],
  ),
  row(
    'shrunk as by a messenger',
    ({ own }) => saved(own.image, (it) => it.resize(720), 75),
    ['MISSING', 'DETECTED', 'RESIZE'],
    [NO_MANIFEST],
  ),
  row(
    'cropped',
    ({ own }) => saved(own.image, (it) => it.extract({ left: 100, top: 90, width: 800, height: 600 })),
    ['MISSING', 'DETECTED', 'CROP'],
    [NO_MANIFEST],
  ),
  row(
    'turned a little, with white corners',
    ({ own }) => saved(own.image, (it) => it.rotate(3, { background: '#fff' })),
    ['MISSING', 'DETECTED', 'STRUCTURAL_ALTERATION'],
    [NO_MANIFEST],
  ),
  row(
    'a screenshot',
    ({ own }) => screenshot(own.image),
    ['MISSING', 'DETECTED', 'STRUCTURAL_ALTERATION'],
    [NO_MANIFEST],
  ),
  row(
    'a screenshot of a generated picture',
    ({ generated }) => screenshot(generated.image),
    ['MISSING', 'DETECTED', 'STRUCTURAL_ALTERATION'],
    [NO_MANIFEST],
    ({ generated }) => generated.photoId,
  ),
  row(
    'a part painted over, without credentials',
    ({ own }) => block(own.image),
    ['MISSING', 'DETECTED', 'STRUCTURAL_ALTERATION'],
    [NO_MANIFEST, CHANGED_PARTS],
  ),
  row(
    'a part painted over, its credentials put back',
    async ({ own }) => transplanted(await block(own.image), parted(own.image).store),
    ['TAMPERED', 'DETECTED', 'STRUCTURAL_ALTERATION'],
    [BAD_HASH, CHANGED_PARTS],
  ),
  row(
    'saved again, its credentials put back',
    async ({ own }) => transplanted(await saved(own.image, (it) => it, 60), parted(own.image).store),
    ['TAMPERED', 'DETECTED', 'COMPRESSION'],
    [BAD_HASH],
  ),
  row(
    'its credentials on the picture before protection',
    ({ own, stage }) => transplanted(stage.photo.sunset, parted(own.image).store),
    ['TAMPERED', 'NOT_FOUND', 'STRUCTURAL_ALTERATION'],
    [BAD_HASH, NO_MARK],
  ),
  row(
    'its credentials on another picture',
    ({ own, stage }) => transplanted(stage.photo.stream, parted(own.image).store),
    ['TAMPERED', 'NOT_FOUND', null],
    [BAD_HASH, NO_MARK],
  ),
  row(
    'its credentials on another photo of the tenant',
    ({ own, other }) => transplanted(parted(other.image).bare, parted(own.image).store),
    ['TAMPERED', 'NOT_FOUND', null],
    [BAD_HASH, 'org.lumatrace.watermark.otherPhoto'],
  ),
  row(
    'another photo of the tenant',
    ({ other }) => other.image,
    ['VALID', 'NOT_FOUND', null],
    [OTHER_MANIFEST, 'org.lumatrace.watermark.otherPhoto'],
  ),
  row(
    'a photo of another tenant',
    ({ theirs }) => theirs.image,
    ['VALID', 'NOT_FOUND', null],
    [OTHER_MANIFEST, NO_MARK],
  ),
  row(
    'its watermark copied to another picture',
    ({ own, stage }) => copiedMark(stage.photo.sunset, own.image, stage.photo.stream),
    ['MISSING', 'DETECTED', 'STRUCTURAL_ALTERATION'],
    [NO_MANIFEST, ...UNLIKE],
  ),
  row(
    'its watermark copied, with credentials of a stranger',
    async ({ own, stage }) =>
      signedBy(stage.stranger, await copiedMark(stage.photo.sunset, own.image, stage.photo.stream)),
    ['INVALID', 'DETECTED', 'STRUCTURAL_ALTERATION'],
    [STRANGER, OTHER_MANIFEST, ...UNLIKE],
  ),
  row(
    'its watermark copied, with trusted credentials',
    async ({ own, stage }) =>
      signedBy(stage.chain, await copiedMark(stage.photo.sunset, own.image, stage.photo.stream)),
    ['VALID', 'DETECTED', 'STRUCTURAL_ALTERATION'],
    [OTHER_MANIFEST, ...UNLIKE],
  ),
  row(
    'its pixels under credentials of a stranger',
    ({ own, stage }) => signedBy(stage.stranger, parted(own.image).bare, { photoId: own.photoId }),
    ['INVALID', 'DETECTED', 'COMPRESSION'],
    [STRANGER, OTHER_MANIFEST],
  ),
  row(
    'its pixels under other trusted credentials',
    ({ own, stage }) => signedBy(stage.chain, parted(own.image).bare, { photoId: own.photoId }),
    ['VALID', 'DETECTED', 'COMPRESSION'],
    [OTHER_MANIFEST],
  ),
  row(
    'its pixels signed with a certificate of a web server',
    ({ own, webServer }) => signedBy(webServer, parted(own.image).bare),
    ['INVALID', 'DETECTED', 'COMPRESSION'],
    ['signingCredential.invalid', OTHER_MANIFEST],
  ),
  row(
    'its pixels signed with a certificate of tomorrow',
    ({ own, early }) => signedBy(early, parted(own.image).bare),
    ['INVALID', 'DETECTED', 'COMPRESSION'],
    ['signingCredential.expired', OTHER_MANIFEST],
  ),
  row(
    'the signature’s algorithm changed to one that nobody knows',
    ({ own }) => patched(own.image, Buffer.from([0xd2, 0x84, 0x59]), 7, 0x37),
    ['TAMPERED', 'DETECTED', 'STRUCTURAL_ALTERATION'],
    [],
  ),
  // readable, and no byte of it changed: not to be trusted, since nobody can check it
  row(
    'rightly signed, with an algorithm that C2PA does not allow',
    ({ own, stage }) => signedAsEsp256(stage.chain, own.image),
    ['INVALID', 'DETECTED', 'COMPRESSION'],
    ['algorithm.unsupported', OTHER_MANIFEST],
  ),
  row(
    'one letter of its claim changed',
    ({ own }) => patched(own.image, Buffer.from('LumaTrace'), 0, 0x4d),
    ['TAMPERED', 'DETECTED', 'STRUCTURAL_ALTERATION'],
    ['claimSignature.mismatch'],
  ),
  row(
    'bytes behind the end',
    ({ own }) => Buffer.concat([own.image, Buffer.from('and more')]),
    ['TAMPERED', 'DETECTED', 'STRUCTURAL_ALTERATION'],
    [BAD_HASH],
  ),
  row(
    'cut short',
    ({ own }) => own.image.subarray(0, own.image.length * 0.7),
    ['TAMPERED', 'NOT_FOUND', null],
    [BAD_HASH, 'org.lumatrace.file.undecodable'],
  ),
  row(
    'only a pointer to credentials elsewhere',
    ({ own }) =>
      Buffer.concat([
        parted(own.image).bare,
        Buffer.from('<rdf:Description dcterms:provenance="https://example.test/m.c2pa"/>'),
      ]),
    ['TAMPERED', 'DETECTED', 'STRUCTURAL_ALTERATION'],
    ['org.lumatrace.c2pa.remoteOnly'],
  ),
  row(
    'the picture as it was before protection',
    ({ stage }) => stage.photo.sunset,
    ['MISSING', 'NOT_FOUND', 'COMPRESSION'],
    [NO_MANIFEST, NO_MARK],
  ),
  row(
    'a picture that was never here',
    ({ stage }) => stage.photo.stream,
    ['MISSING', 'NOT_FOUND', null],
    [NO_MANIFEST, NO_MARK],
  ),
  row(
    'a generated picture of others, without a mark',
    ({ stage }) => signedBy(stage.stranger, stage.photo.stream, { digitalSourceType: 'trainedAlgorithmicMedia' }),
    ['INVALID', 'NOT_FOUND', null],
    [STRANGER, NO_MARK],
  ),
  row(
    'a generated picture, its credentials cut out',
    ({ generated }) => parted(generated.image).bare,
    ['MISSING', 'DETECTED', 'COMPRESSION'],
    [NO_MANIFEST],
    ({ generated }) => generated.photoId,
  ),
  row(
    'registered, never protected',
    ({ stage }) => stage.photo.stream,
    ['MISSING', 'NOT_FOUND', null],
    ['org.lumatrace.registration.registeredOnly'],
    ({ registered }) => registered,
  ),
];
