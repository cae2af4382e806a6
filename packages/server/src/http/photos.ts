// Routes of photos: read the form, call one story, answer. Images are held in memory for the length of the request.
import { DIGITAL_SOURCE_TYPES } from '@lumatrace/provenance/c2pa/assertions.ts';
import { IMAGE_LIMITS, MEDIA_TYPES } from '@lumatrace/provenance/image.ts';
import { PROFILE_NAMES } from '@lumatrace/provenance/profiles.ts';
import { z } from 'zod';
import type { Principal } from '../access/principal.ts';
import { photoDetail, photoPage, type AlbumRoom } from '../photos/album.ts';
import { credentialsSchema } from './credentials-schema.ts';
import { protect, type ProtectRoom } from '../photos/protect.ts';
import { register, type RegisterRoom } from '../photos/register.ts';
import { RECEIPT_HEADER } from '../photos/receipts.ts';
import type { Caller } from '../photos/registration.ts';
import { Refusal } from '../photos/refusal.ts';
import { identify, type IdentifyRoom, type Viewer } from '../photos/identify.ts';
import { publish, type PublishRoom } from '../photos/publish.ts';
import { verify, type VerifyRoom } from '../photos/verify.ts';
import { Problem } from './errors.ts';
import { largestBody, readForm, UploadMemory, type FormLimits } from './multipart.ts';
import { parseJson } from './json-body.ts';
import { json, route, type Answer, type Route, type RouteContext } from './route.ts';

export type PhotosRoom = RegisterRoom & ProtectRoom & VerifyRoom & IdentifyRoom & PublishRoom & AlbumRoom;

/** Bytes of uploads in memory at once; ten of the largest. Beyond, a request waits, then gets 503. */
const UPLOAD_MEMORY_BYTES = 10 * IMAGE_LIMITS.maxBytes;
const MAX_REQUEST_BYTES = 16_384;
const MAX_ID_BYTES = 256;
const DEFAULT_PAGE = 50;
const LARGEST_PAGE = 500;

const PROTECT_FORM: FormLimits = { parts: { image: IMAGE_LIMITS.maxBytes, request: MAX_REQUEST_BYTES } };
const IDENTIFY_FORM: FormLimits = { parts: { image: IMAGE_LIMITS.maxBytes } };
const VERIFY_FORM: FormLimits = { parts: { image: IMAGE_LIMITS.maxBytes, photoId: MAX_ID_BYTES } };

const traceId = z.string().regex(/^[0-9a-f]{32}$/, 'Expected 32 lower-case hexadecimal digits');
const spanId = z.string().regex(/^[0-9a-f]{16}$/, 'Expected 16 lower-case hexadecimal digits');

// members that we do not know are accepted: they count only when two bodies under one Idempotency-Key are compared
const registerRequest = z.looseObject({
  contentHash: z
    .string()
    .regex(/^[0-9a-fA-F]{64}$/, 'Expected 64 hexadecimal digits')
    .toLowerCase()
    .describe('SHA-256 of the file before protection'),
  deviceModel: z.string().trim().min(1).max(200),
  latitude: z.number().min(-90).max(90).optional().describe('WGS 84 degrees'),
  longitude: z.number().min(-180).max(180).optional(),
  traceId: traceId.optional().describe('trace of the model call that made the picture'),
  spanId: spanId.optional().describe('span of that call; only with traceId'),
});
const generatorText = z.string().trim().min(1).max(200);
const protectRequest = registerRequest.extend({
  title: z.string().trim().min(1).max(200).optional().describe('of the picture, for the manifest'),
  author: z.string().trim().min(1).max(200).optional().describe('who made the picture, for the manifest'),
  strength: z
    .number()
    .min(0.5)
    .max(2)
    .optional()
    .describe('factor on what the watermark may change where nobody sees it; 1 otherwise'),
  keepGps: z.boolean().optional().describe('keep the GPS position in EXIF; removed otherwise'),
  digitalSourceType: z
    .enum(Object.keys(DIGITAL_SOURCE_TYPES))
    .optional()
    .describe('IPTC digital source type, for the manifest'),
  profile: z
    .enum(PROFILE_NAMES)
    .optional()
    .describe('rule by which a generated picture is disclosed; it names the facts below that must come with it'),
  aiProvider: generatorText.optional().describe('who offers the system that made the picture'),
  aiSystem: generatorText.optional().describe('that system or model'),
  aiSystemVersion: generatorText.optional(),
  aiCreatedAt: z.iso.datetime({ offset: true }).optional().describe('when it made the picture; now otherwise'),
});

const registered = z.object({
  photoId: z.uuid(),
  tenantId: z.uuid(),
  signature: z.string(),
  logReceipt: z
    .record(z.string(), z.string())
    .describe('of the transparency log; its proof comes from /api/v1/log/proof a moment later'),
});
/** A finding as it is answered. */
export const findingSchema = z.object({
  code: z.string(),
  severity: z.enum(['success', 'info', 'failure']),
  subject: z.string(),
  message: z.string(),
  evidence: z.record(z.string(), z.union([z.string(), z.number(), z.boolean(), z.null()])).optional(),
});
const verification = z.object({
  authentic: z.boolean(),
  confidenceScore: z.number(),
  c2paStatus: z.enum(['VALID', 'INVALID', 'TAMPERED', 'MISSING']),
  watermarkStatus: z.enum(['DETECTED', 'MARGINAL', 'NOT_FOUND']),
  tamperClass: z.enum(['NONE', 'COMPRESSION', 'RESIZE', 'CROP', 'STRUCTURAL_ALTERATION']).nullable(),
  changedRegions: z
    .array(
      z.object({
        x: z.number().int(),
        y: z.number().int(),
        width: z.number().int(),
        height: z.number().int(),
        log10p: z.number(),
      }),
    )
    .nullable()
    .describe(
      'parts of the picture, in its pixels, that lack the watermark or were painted over; null when that was not looked for',
    ),
  tenantId: z.uuid(),
  message: z.string(),
  findings: z.array(findingSchema),
  credentials: credentialsSchema
    .nullable()
    .describe('what the manifest store of the file tells, believed or not; null without one that can be read'),
});
const match = {
  photoId: z.uuid(),
  manifestId: z.string().nullable().describe('under /c2pa/manifests, when the photo is published'),
  traceId: z
    .string()
    .nullable()
    .describe('trace of the model call that made the picture; of your own photos, for who may read traces'),
  spanId: z.string().nullable().describe('span of that call'),
};
const identification = z.object({
  matches: z.array(
    z.discriminatedUnion('kind', [
      z.object({
        ...match,
        kind: z.literal('watermark'),
        log10p: z.number().describe('log10 of a bound on such an answer without a mark, all attempts counted'),
      }),
      z.object({
        ...match,
        kind: z.literal('fingerprint').describe('looks alike: a candidate, never proof'),
        distance: z.number().int().describe('differing bits of 256'),
      }),
    ]),
  ),
  findings: z.array(findingSchema),
});
const publication = z.object({
  photoId: z.uuid(),
  manifestId: z.string().nullable().describe('under /c2pa/manifests; null when the photo is not published'),
  publishedAt: z.iso.datetime().nullable(),
});
const summary = z.object({
  photoId: z.uuid(),
  status: z.enum(['registered', 'protected']),
  contentHash: z.string(),
  format: z.enum(['jpeg', 'png', 'webp']).nullable(),
  width: z.number().int().nullable(),
  height: z.number().int().nullable(),
  deviceModel: z.string(),
  createdAt: z.iso.datetime(),
  protectedAt: z.iso.datetime().nullable(),
  traceId: z.string().nullable().describe('of the model call that made it; null also for who may not read traces'),
  spanId: z.string().nullable(),
});
const page = z.object({
  data: z.array(summary),
  pagination: z.object({ limit: z.number().int(), nextCursor: z.string().nullable(), hasMore: z.boolean() }),
});
const detail = summary.extend({
  publication: z
    .object({ manifestId: z.string(), publishedAt: z.iso.datetime() })
    .nullable()
    .describe('null when strangers find nothing of it'),
  tenantId: z.uuid(),
  latitude: z.number().nullable(),
  longitude: z.number().nullable(),
  registration: z.object({
    record: z.record(z.string(), z.union([z.string(), z.number()])).describe('signed as its RFC 8785 text in UTF-8'),
    signature: z.string().describe('base64 of the DER signature'),
    algorithm: z.string(),
    keyId: z.string(),
    publicKey: z.string().nullable().describe('PEM'),
    verdict: z.enum(['valid', 'invalid', 'unknown']).describe('unknown: the key is not at hand'),
  }),
  protection: z
    .object({
      outputSha256: z.string(),
      outputBytes: z.number().int(),
      orientation: z.number().int(),
      manifestSha256: z.string(),
      certificateKid: z.string(),
      fingerprint: z.string(),
      evidence: z.record(z.string(), z.union([z.string(), z.number(), z.boolean(), z.null()])),
      profile: z.string().nullable().describe('rule by which a generated picture was disclosed'),
      credentials: credentialsSchema.nullable().describe('what the manifest tells that was made here'),
    })
    .nullable(),
});

const IMAGE_REFUSALS: Record<number, Answer> = {
  400: { description: 'A part is missing or wrong, or the image cannot carry the mark.' },
  413: { description: `Above ${IMAGE_LIMITS.maxBytes} bytes or ${IMAGE_LIMITS.maxPixels} pixels.` },
  415: { description: 'Not a still JPEG, PNG or WebP.' },
  503: { description: 'Too many images at once; Retry-After says when to come back.' },
};

/** All routes of photos over one room. */
export function photoRoutes(room: PhotosRoom): Route[] {
  const memory = new UploadMemory({ bytes: UPLOAD_MEMORY_BYTES });
  return [
    route({
      method: 'POST',
      path: '/api/v1/photos/register',
      summary: 'Register a photo by the SHA-256 of its file',
      tag: 'provenance',
      policy: { kind: 'scope', scope: 'photos:register' },
      limit: 'v1',
      body: registerRequest,
      maxBodyBytes: MAX_REQUEST_BYTES,
      answers: {
        200: { description: 'Registered; the signature covers the registration record.', schema: registered },
        409: { description: 'The first request with this Idempotency-Key still runs.' },
        422: { description: 'This Idempotency-Key came with another body.' },
      },
      handle: (context) =>
        answering(async () => {
          const key = context.request.headers.get('idempotency-key');
          requireTraceOfSpan(context.body);
          const body = await register(room, callerOf(context), context.body, context.body, key);
          return new Response(Buffer.from(body), { headers: { 'content-type': 'application/json; charset=utf-8' } });
        }),
    }),
    route({
      method: 'POST',
      path: '/api/v1/photos/protect',
      summary: 'Mark and sign an image',
      tag: 'provenance',
      policy: { kind: 'scope', scope: 'photos:protect' },
      limit: 'v1',
      rawBody: {
        contentTypes: ['multipart/form-data'],
        description: 'part `image`: the file; part `request`: the JSON of a registration, optionally with keepGps',
      },
      answers: {
        200: {
          description:
            'The protected image; X-Photo-Id names it, LumaTrace-Log-Receipt is base64url of its log receipt.',
          contentType: 'image/*',
        },
        ...IMAGE_REFUSALS,
        409: { description: 'The first request still runs, or its answer cannot be built again.' },
        422: { description: 'This Idempotency-Key came with another body.' },
      },
      handle: (context) =>
        answering(() => memory.hold(expectedBytes(context, PROTECT_FORM), () => handleProtect(room, context))),
    }),
    route({
      method: 'POST',
      path: '/api/v1/photos/verify',
      summary: 'Tell whether an image is the protected photo, unchanged',
      tag: 'provenance',
      policy: { kind: 'scope', scope: 'photos:verify' },
      limit: 'v1',
      rawBody: {
        contentTypes: ['multipart/form-data'],
        description: 'part `image`: the file; part `photoId`: which photo it is said to be',
      },
      answers: {
        200: { description: 'The verdict with its findings.', schema: verification },
        ...IMAGE_REFUSALS,
        404: { description: 'There is no photo with this id.' },
      },
      handle: (context) =>
        answering(() => memory.hold(expectedBytes(context, VERIFY_FORM), () => handleVerify(room, context))),
    }),
    route({
      method: 'POST',
      path: '/api/v1/photos/identify',
      summary: 'Tell which photo an image shows, of the tenant or published by others, from its pixels alone',
      tag: 'provenance',
      policy: { kind: 'scope', scope: 'photos:verify' },
      limit: 'v1',
      rawBody: { contentTypes: ['multipart/form-data'], description: 'part `image`: the file' },
      answers: {
        200: { description: 'The photo whose watermark was read, then those that look alike.', schema: identification },
        ...IMAGE_REFUSALS,
      },
      handle: (context) =>
        answering(() => memory.hold(expectedBytes(context, IDENTIFY_FORM), () => handleIdentify(room, context))),
    }),
    ...[true, false].map((isPublished) =>
      route({
        method: isPublished ? 'PUT' : 'DELETE',
        path: '/api/v1/photos/{photoId}/publication',
        summary: isPublished
          ? 'Let everybody who holds a copy of the picture find its manifest'
          : 'Take the publication of a photo back',
        tag: 'provenance',
        policy: { kind: 'scope', scope: 'photos:protect' },
        limit: 'v1',
        params: z.object({ photoId: z.string() }),
        answers: {
          200: { description: 'What holds now; twice is once.', schema: publication },
          404: { description: 'There is no photo with this id.' },
          409: { description: 'There is no manifest that could be given out whole.' },
        },
        handle: (context) =>
          answering(async () => json(await publish(room, callerOf(context), context.params.photoId, isPublished))),
      }),
    ),
    route({
      method: 'GET',
      path: '/api/v1/photos',
      summary: 'Photos of the tenant, newest first',
      tag: 'provenance',
      policy: { kind: 'scope', scope: 'photos:verify' },
      limit: 'v1',
      query: z.object({
        limit: z.coerce.number().int().min(1).max(LARGEST_PAGE).default(DEFAULT_PAGE),
        cursor: z.string().max(200).optional(),
        traceId: traceId.optional().describe('pictures that calls of this trace made; needs traces:read too'),
      }),
      answers: {
        200: { description: 'A page of photos.', schema: page },
        403: { description: 'Photos of a trace are asked for by somebody who may not read traces.' },
      },
      handle: ({ principal, query }) =>
        answering(async () => {
          const { limit, cursor = null, traceId = null } = query;
          const viewer = viewerOf(principal);
          if (traceId !== null && !viewer.canReadTraces)
            throw new Problem('FORBIDDEN', 'Photos of a trace need the scope traces:read.');
          return json(await photoPage(room, viewer, { limit, cursor, traceId }));
        }),
    }),
    route({
      method: 'GET',
      path: '/api/v1/photos/{photoId}',
      summary: 'One photo',
      tag: 'provenance',
      policy: { kind: 'scope', scope: 'photos:verify' },
      limit: 'v1',
      params: z.object({ photoId: z.string() }),
      answers: {
        200: { description: 'The photo with its registration and protection.', schema: detail },
        404: { description: 'There is no photo with this id.' },
      },
      handle: ({ principal, params }) =>
        answering(async () => json(await photoDetail(room, viewerOf(principal), params.photoId))),
    }),
  ];
}

type FormContext = RouteContext<unknown, unknown, unknown>;

async function handleProtect(room: PhotosRoom, context: FormContext): Promise<Response> {
  const { image, request } = await readForm(context.incoming, PROTECT_FORM);
  if (!image || !request) throw new TypeError('Expected the parts that the form declares.');
  const made = await protect(
    room,
    callerOf(context),
    image,
    requestOf(request.bytes),
    context.request.headers.get('idempotency-key'),
    context.signal,
  );
  return new Response(made.image, {
    headers: {
      'content-type': MEDIA_TYPES[made.format],
      'content-length': String(made.image.length),
      'x-photo-id': made.photoId,
      'cache-control': 'no-store',
      ...(made.logReceipt === undefined ? {} : { [RECEIPT_HEADER]: made.logReceipt }),
    },
  });
}

async function handleVerify(room: PhotosRoom, context: FormContext): Promise<Response> {
  const { image, photoId } = await readForm(context.incoming, VERIFY_FORM);
  if (!image || !photoId) throw new TypeError('Expected the parts that the form declares.');
  const id = Buffer.from(photoId.bytes).toString('utf8').trim();
  return json(await verify(room, callerOf(context), image, id, context.signal));
}

async function handleIdentify(room: PhotosRoom, context: FormContext): Promise<Response> {
  const { image } = await readForm(context.incoming, IDENTIFY_FORM);
  if (!image) throw new TypeError('Expected the parts that the form declares.');
  return json(await identify(room, viewerOf(context.principal), image, context.signal));
}

/** The `request` part: JSON in UTF-8, checked like the body of a registration. */
function requestOf(bytes: Uint8Array): z.output<typeof protectRequest> {
  const checked = protectRequest.safeParse(parseJson(bytes));
  if (checked.success) {
    requireTraceOfSpan(checked.data);
    return checked.data;
  }
  const issue = checked.error.issues[0];
  const where = ['request', ...(issue?.path ?? [])].join('.');
  throw new Problem('VALIDATION_FAILED', `${where}: ${issue?.message ?? 'not valid'}.`);
}

function requireTraceOfSpan({ traceId, spanId }: z.output<typeof registerRequest>): void {
  if (spanId !== undefined && traceId === undefined)
    throw new Problem('VALIDATION_FAILED', 'spanId: Expected traceId beside it: a span is named within its trace.');
}

function callerOf({ principal, requestId }: { principal: Principal; requestId: string }): Caller {
  return { tenantId: principal.tenantId, actor: principal.subject, requestId };
}

/** Which model call made a picture is told to those who may read traces. */
function viewerOf({ tenantId, scopes }: Principal): Viewer {
  return { tenantId, canReadTraces: scopes.has('traces:read') };
}

/** What the client says it sends, else the most that it may. */
function expectedBytes({ incoming }: FormContext, form: FormLimits): number {
  const declared = Number(incoming.headers['content-length'] ?? NaN);
  return Number.isNaN(declared) ? largestBody(form) : Math.min(declared, largestBody(form));
}

/** Refusals of the stories as problems of the rim. */
export async function answering(work: () => Promise<Response>): Promise<Response> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    throw new Problem(error.code, error.code === 'INTERNAL_ENGINE_ERROR' ? undefined : error.message, {
      status: error.status,
      headers: error.retryAfterSeconds === undefined ? {} : { 'retry-after': String(error.retryAfterSeconds) },
      cause: error,
    });
  }
}
