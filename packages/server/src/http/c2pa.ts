// Routes of the C2PA Soft Binding Resolution API, as the specification names them. Open to everybody: what they give out was
// published by its owner. `byReference` is not here: it would fetch what strangers name.
import { IMAGE_LIMITS, MEDIA_TYPES } from '@lumatrace/provenance/image.ts';
import { SPEC_VERSION } from '@lumatrace/provenance/c2pa/assertions.ts';
import { z } from 'zod';
import {
  manifestStore,
  matchesByBinding,
  matchesByContent,
  type ManifestMatch,
  type ResolutionRoom,
} from '../photos/resolution.ts';
import { FINGERPRINT_ALG } from '../photos/binding.ts';
import { readImageBody } from './image-body.ts';
import { UploadMemory } from './multipart.ts';
import { answering } from './photos.ts';
import { json, route, type Route } from './route.ts';

const OPEN = {
  kind: 'public',
  because: 'whoever holds a copy of a published picture may ask for its manifest',
} as const;
/** Two of the largest at once: strangers must not take the memory of those who are logged in. */
const UPLOAD_MEMORY_BYTES = 2 * IMAGE_LIMITS.maxBytes;
const MAX_VALUE_CHARACTERS = 2_048;
const MAX_BODY_BYTES = 8_192;
const BASE = '/c2pa';

const matches = z.object({
  matches: z.array(z.object({ manifestId: z.string(), similarityScore: z.number().int().min(0).max(100).optional() })),
});
const alg = z.string().min(1).max(200);
const value = z.string().min(1).max(MAX_VALUE_CHARACTERS).describe('base64 of the soft binding value');
const maxResults = z.coerce.number().int().min(1).max(100).default(10);
const algorithm = z.object({ alg: z.string() });

const answer = (found: readonly ManifestMatch[]): Response => json({ matches: found }, 200, OPEN_TO_PAGES);
/** Pages of others ask from the browser; nothing here depends on who asks. */
const OPEN_TO_PAGES = { 'access-control-allow-origin': '*' };

export interface C2paRoutesOptions {
  room: ResolutionRoom;
  /** Absolute, without a slash at its end. */
  publicUrl: string;
}

/** The API of the specification's part "Decoupled", 2.2 with what 2.4 adds for reading. */
export function c2paRoutes({ room, publicUrl }: C2paRoutesOptions): Route[] {
  const memory = new UploadMemory({ bytes: UPLOAD_MEMORY_BYTES });
  const shared = { tag: 'c2pa', policy: OPEN, limit: 'public' } as const;
  const capabilities = { c2paSpecificationVersion: SPEC_VERSION, supportedCapabilities: ['queryByContent'] };
  return [
    route({
      ...shared,
      method: 'GET',
      path: `${BASE}/matches/byBinding`,
      summary: 'Manifests by a soft binding value',
      query: z.object({ alg, value, maxResults }),
      answers: { 200: { description: 'Matching manifests; none is an answer too.', schema: matches } },
      handle: ({ query }) => answering(async () => answer(await matchesByBinding(room, query))),
    }),
    route({
      ...shared,
      method: 'POST',
      path: `${BASE}/matches/byBinding`,
      summary: 'Manifests by a soft binding value that is too long for an address',
      query: z.object({ maxResults }),
      body: z.object({ alg, value }),
      maxBodyBytes: MAX_BODY_BYTES,
      answers: { 200: { description: 'Matching manifests; none is an answer too.', schema: matches } },
      handle: ({ body, query }) => answering(async () => answer(await matchesByBinding(room, { ...body, ...query }))),
    }),
    route({
      ...shared,
      method: 'POST',
      path: `${BASE}/matches/byContent`,
      summary: 'Manifests of the photo that a picture shows, from its pixels alone',
      query: z.object({
        alg: alg.optional(),
        hintAlg: alg.optional(),
        hintValue: value.optional(),
        maxResults,
      }),
      rawBody: { contentTypes: Object.values(MEDIA_TYPES), description: 'the file; it is looked at and not kept' },
      answers: {
        200: { description: 'Manifests, those found by watermark first.', schema: matches },
        400: { description: 'The pixels cannot be decoded.' },
        413: { description: `Above ${IMAGE_LIMITS.maxBytes} bytes or ${IMAGE_LIMITS.maxPixels} pixels.` },
        415: { description: 'Not a still JPEG, PNG or WebP.' },
        503: { description: 'Too many images at once; Retry-After says when to come back.' },
      },
      handle: (context) =>
        answering(() =>
          memory.hold(IMAGE_LIMITS.maxBytes, async () => {
            const image = await readImageBody(context.incoming, IMAGE_LIMITS.maxBytes);
            const found = await matchesByContent(room, image, context.query, context.signal);
            const { hintAlg, hintValue } = context.query;
            if (found.length > 0 || hintAlg === undefined || hintValue === undefined) return answer(found);
            const hint = { alg: hintAlg, value: hintValue, maxResults: context.query.maxResults };
            return answer(await matchesByBinding(room, hint));
          }),
        ),
    }),
    route({
      ...shared,
      method: 'GET',
      path: `${BASE}/manifests/{manifestId}`,
      summary: 'A manifest store',
      params: z.object({ manifestId: z.string().min(1).max(200) }),
      answers: {
        200: { description: 'The manifest store as it was signed.', contentType: 'application/c2pa' },
        404: { description: 'There is no published manifest with this id.' },
      },
      handle: ({ params }) =>
        answering(async () => {
          const store = await manifestStore(room, params.manifestId);
          return new Response(new Uint8Array(store), {
            headers: {
              ...OPEN_TO_PAGES,
              'content-type': 'application/c2pa',
              'content-length': String(store.length),
              // its owner may take it back
              'cache-control': 'no-cache',
            },
          });
        }),
    }),
    route({
      ...shared,
      method: 'GET',
      path: `${BASE}/services/supportedAlgorithms`,
      summary: 'What this service can find pictures by',
      answers: {
        200: {
          description: 'Names of algorithms.',
          schema: z.object({ watermarks: z.array(algorithm), fingerprints: z.array(algorithm) }),
        },
      },
      handle: async () =>
        json(
          { watermarks: [{ alg: room.softBindingAlg }], fingerprints: [{ alg: FINGERPRINT_ALG }] },
          200,
          OPEN_TO_PAGES,
        ),
    }),
    route({
      ...shared,
      method: 'GET',
      path: `${BASE}/services/capabilities`,
      summary: 'Which parts of the specification this service offers',
      answers: {
        200: {
          description: 'Names of capabilities.',
          schema: z.object({ c2paSpecificationVersion: z.string(), supportedCapabilities: z.array(z.string()) }),
        },
      },
      handle: async () => json(capabilities, 200, OPEN_TO_PAGES),
    }),
    route({
      ...shared,
      method: 'GET',
      path: `${BASE}/services/status`,
      summary: 'Whether this service works',
      answers: {
        200: { description: 'ok.', schema: z.object({ status: z.literal('ok'), timestamp: z.iso.datetime() }) },
      },
      handle: () =>
        answering(async () => {
          await room.database.ping();
          return json({ status: 'ok', timestamp: new Date().toISOString() }, 200, OPEN_TO_PAGES);
        }),
    }),
    route({
      ...shared,
      method: 'GET',
      path: `${BASE}/trust-anchors`,
      summary: 'Root certificates of this installation, for whoever checks its credentials elsewhere',
      answers: { 200: { description: 'PEM certificates.', contentType: 'application/x-pem-file' } },
      handle: () =>
        answering(async () => {
          const { ownAnchorsPem, trustAnchorsPem } = await room.manifestCredentials();
          const headers = { ...OPEN_TO_PAGES, 'content-type': 'application/x-pem-file' };
          return new Response(ownAnchorsPem ?? trustAnchorsPem, { headers });
        }),
    }),
    route({
      ...shared,
      method: 'GET',
      path: '/.well-known/c2pa-soft-binding-resolution',
      summary: 'Where the Soft Binding Resolution API of this host is (RFC 8615)',
      answers: {
        200: {
          description: 'Its address and version.',
          schema: z.object({
            apiEndpoint: z.url(),
            c2paSpecificationVersion: z.string(),
            capabilitiesEndpoint: z.url(),
            statusEndpoint: z.url(),
          }),
        },
      },
      handle: async () =>
        json(
          {
            apiEndpoint: `${publicUrl}${BASE}`,
            c2paSpecificationVersion: SPEC_VERSION,
            capabilitiesEndpoint: `${publicUrl}${BASE}/services/capabilities`,
            statusEndpoint: `${publicUrl}${BASE}/services/status`,
          },
          200,
          OPEN_TO_PAGES,
        ),
    }),
  ];
}
