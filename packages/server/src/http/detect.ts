// The public detector: anybody may ask what a picture says about itself, without an account.
import { IMAGE_LIMITS } from '@lumatrace/provenance/image.ts';
import { z } from 'zod';
import { detectPublicly, type DetectRoom } from '../photos/detect.ts';
import { Problem } from './errors.ts';
import { largestBody, readForm, UploadMemory, type FormLimits } from './multipart.ts';
import { answering, findingSchema } from './photos.ts';
import { json, route, type Route } from './route.ts';

const FORM: FormLimits = { parts: { image: IMAGE_LIMITS.maxBytes } };
/** Two of the largest at once: strangers must not take the memory of those who are logged in. */
const UPLOAD_MEMORY_BYTES = 2 * IMAGE_LIMITS.maxBytes;

/** A page that reads on its device asks once for whom it believes; a revocation is seen there as late as this. */
const BELIEF_AGE_SECONDS = 300;
const belief = z.object({
  anchorsPem: z.string().describe('roots of signers: the installation’s own and those that its operator trusts'),
  timestampAnchorsPem: z.string().nullable().describe('roots of time stamps; null: the same'),
  revocations: z.array(z.object({ certificateSha256: z.string(), revokedAt: z.iso.datetime() })),
});

const manifestId = z.string().nullable().describe('under /c2pa/manifests');
const madeBy = z
  .object({
    profile: z.string().nullable(),
    provider: z.string().nullable(),
    system: z.string(),
    version: z.string().nullable(),
    createdAt: z.string().nullable(),
  })
  .nullable();
const detection = z.object({
  credentials: z.object({
    status: z.enum(['VALID', 'INVALID', 'TAMPERED', 'MISSING']),
    generator: z.string().nullable(),
    signer: z.string().nullable(),
    signedAt: z.string().nullable().describe('from a trusted time stamp'),
    manifestId: z.string().nullable(),
    actions: z.array(z.string()),
    digitalSourceType: z.string().nullable(),
    madeBy: madeBy.describe('the model that they name; null when they name none or are not to be believed'),
  }),
  isGenerated: z
    .boolean()
    .nullable()
    .describe('whether a model made it, by credentials that are to be believed; null when they do not say'),
  watermark: z.object({
    status: z.enum(['DETECTED', 'NOT_FOUND']),
    log10p: z.number().nullable().describe('log10 of a bound on such an answer without a mark, all attempts counted'),
    photoId: z.uuid().nullable(),
    manifestId,
    madeBy: madeBy.describe('the model that the published photo’s own credentials name'),
  }),
  candidates: z.array(z.object({ photoId: z.uuid(), manifestId, distance: z.number().int() })),
  findings: z.array(findingSchema),
});

export function detectRoutes(room: DetectRoom): Route[] {
  const memory = new UploadMemory({ bytes: UPLOAD_MEMORY_BYTES });
  return [
    route({
      method: 'GET',
      path: '/api/v1/detect/belief',
      summary: 'Whom this installation believes about signers and times, for a check on the device of whoever asks',
      tag: 'provenance',
      policy: { kind: 'public', because: 'public certificates, so that a picture need not be sent to be checked' },
      limit: 'public',
      answers: { 200: { description: 'Certificates and revocations.', schema: belief } },
      handle: () =>
        answering(async () => {
          const { trustAnchorsPem, timestampAnchorsPem, revocations } = await room.manifestCredentials();
          const told = {
            anchorsPem: trustAnchorsPem,
            timestampAnchorsPem: timestampAnchorsPem ?? null,
            revocations: revocations.map(({ certificateSha256, revokedAt }) => ({
              certificateSha256,
              revokedAt: revokedAt.toISOString(),
            })),
          };
          return json(told, 200, { 'cache-control': `public, max-age=${BELIEF_AGE_SECONDS}` });
        }),
    }),
    route({
      method: 'POST',
      path: '/api/v1/detect',
      summary: 'Tell what a picture’s credentials and watermark say, without personal data and without a login',
      tag: 'provenance',
      policy: { kind: 'public', because: 'whoever sees a picture may ask where it comes from; nothing is kept' },
      limit: 'public',
      rawBody: { contentTypes: ['multipart/form-data'], description: 'part `image`: the file' },
      answers: {
        200: { description: 'What was found.', schema: detection },
        400: { description: 'The part is missing, or the pixels do not decode.' },
        413: { description: `Above ${IMAGE_LIMITS.maxBytes} bytes or ${IMAGE_LIMITS.maxPixels} pixels.` },
        415: { description: 'Not a still JPEG, PNG or WebP.' },
        503: { description: 'Too many images at once; Retry-After says when to come back.' },
      },
      handle: (context) =>
        answering(() =>
          memory.hold(largestBody(FORM), async () => {
            const { image } = await readForm(context.incoming, FORM);
            if (!image) throw new Problem('VALIDATION_FAILED', 'Expected the part "image".');
            return json(await detectPublicly(room, image, context.signal));
          }),
        ),
    }),
  ];
}
