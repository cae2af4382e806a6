// Routes of the transparency log: hashes, proofs and signed checkpoints for everybody; whole receipts for the owner of a photo.
import { LogError } from '@lumatrace/provenance/log/error.ts';
import { z } from 'zod';
import { photoReceipts, type ReceiptsRoom } from '../photos/receipts.ts';
import type { Log } from '../transparency/log.ts';
import { Problem } from './errors.ts';
import { answering } from './photos.ts';
import { json, route, type Route } from './route.ts';

const PUBLIC = {
  kind: 'public',
  because: 'who holds a receipt or an old checkpoint must be able to check the log without asking its operator',
} as const;
const TAG = 'transparency log';
const DEFAULT_PAGE = 1_000;
const LARGEST_PAGE = 5_000;

const place = z.coerce.number().int().min(0).max(Number.MAX_SAFE_INTEGER);
const hash = z
  .string()
  .regex(/^[0-9a-fA-F]{64}$/, 'Expected 64 hexadecimal digits')
  .toLowerCase();
const proof = z.array(z.string()).describe('hashes in base64');

const identity = z.object({
  origin: z.string(),
  publicKey: z.string().describe('PEM: what `verify --log-key` takes'),
  verifierKey: z.string().describe('the same as a line of C2SP signed-note'),
});
const entries = z.object({
  treeSize: z.number().int(),
  from: z.number().int(),
  leafHashes: z.array(z.string()).describe('hex, in the order of the tree'),
});
const inclusion = z.object({
  leafIndex: z.number().int(),
  treeSize: z.number().int(),
  checkpoint: z.string().nullable().describe('signed note; null when an older size was asked for'),
  proof,
});
const consistency = z.object({ first: z.number().int(), second: z.number().int(), proof });
/** A receipt as it is answered; whole when it holds a proof. */
export const receiptSchema = z.object({
  type: z.string(),
  origin: z.string().describe('of the log'),
  leafHash: z.string(),
  entry: z.string().describe('JSON text that the leaf is the hash of'),
  leafIndex: z.number().int().optional(),
  checkpoint: z.string().optional().describe('C2SP signed note'),
  proof: proof.optional(),
});

export function transparencyRoutes({ log, photos }: { log: Log; photos: ReceiptsRoom }): Route[] {
  return [
    route({
      method: 'GET',
      path: '/api/v1/log/key',
      summary: 'The key that signs the log’s checkpoints',
      tag: TAG,
      policy: PUBLIC,
      limit: 'public',
      answers: { 200: { description: 'The key; keep it where the log cannot change it.', schema: identity } },
      handle: () => {
        const { publicKeyPem, verifierKey, identity: own } = log;
        return Promise.resolve(json({ origin: own.origin, publicKey: publicKeyPem, verifierKey }));
      },
    }),
    route({
      method: 'GET',
      path: '/api/v1/log/key.pem',
      summary: 'The same key alone, as a PEM file',
      tag: TAG,
      policy: PUBLIC,
      limit: 'public',
      answers: { 200: { description: 'SubjectPublicKeyInfo in PEM.', contentType: 'application/x-pem-file' } },
      handle: () =>
        Promise.resolve(new Response(log.publicKeyPem, { headers: { 'content-type': 'application/x-pem-file' } })),
    }),
    route({
      method: 'GET',
      path: '/api/v1/log/checkpoint',
      summary: 'The newest signed checkpoint: size and root of the tree (C2SP tlog-checkpoint)',
      tag: TAG,
      policy: PUBLIC,
      limit: 'public',
      answers: { 200: { description: 'A signed note.', contentType: 'text/plain' } },
      async handle() {
        const { note } = await log.checkpoint();
        return new Response(note, {
          headers: { 'content-type': 'text/plain; charset=utf-8', 'cache-control': 'no-cache' },
        });
      },
    }),
    route({
      method: 'GET',
      path: '/api/v1/log/entries',
      summary: 'Hashes of leaves in their order, as far as they are signed',
      tag: TAG,
      policy: PUBLIC,
      limit: 'public',
      query: z.object({
        from: place.default(0),
        limit: z.coerce.number().int().min(1).max(LARGEST_PAGE).default(DEFAULT_PAGE),
      }),
      answers: { 200: { description: 'What an entry says is its owner’s; here are hashes only.', schema: entries } },
      async handle({ query: { from, limit } }) {
        const { treeSize, leaves } = await log.leaves(from, limit);
        return json({ treeSize, from, leafHashes: leaves.map((leaf) => leaf.toString('hex')) });
      },
    }),
    route({
      method: 'GET',
      path: '/api/v1/log/proof',
      summary: 'Prove that a leaf is in the tree (RFC 9162 inclusion proof)',
      tag: TAG,
      policy: PUBLIC,
      limit: 'public',
      query: z.object({
        leafHash: hash.optional().describe('of a receipt'),
        leafIndex: place.optional(),
        treeSize: place.optional().describe('an older size, with leafIndex; the newest signed one otherwise'),
      }),
      answers: {
        200: { description: 'The proof, the leaf’s neighbour first.', schema: inclusion },
        400: { description: 'Neither leafHash nor leafIndex, or a place that is not signed.' },
        404: { description: 'No signed tree holds this leaf (yet).' },
      },
      handle: ({ query: { leafHash, leafIndex, treeSize } }) =>
        refusing(async () => {
          if (leafHash !== undefined && leafIndex === undefined && treeSize === undefined) {
            const found = await log.inclusionOf(Buffer.from(leafHash, 'hex'));
            if (found === undefined) throw new Problem('NOT_FOUND', 'No signed tree holds this leaf; it may come yet.');
            return json(found);
          }
          if (leafIndex === undefined || leafHash !== undefined)
            throw new Problem('VALIDATION_FAILED', 'Expected leafHash alone, or leafIndex with or without treeSize.');
          return json(await log.inclusionAt(leafIndex, treeSize ?? null));
        }),
    }),
    route({
      method: 'GET',
      path: '/api/v1/log/consistency',
      summary: 'Prove that an older tree is the beginning of a newer one',
      tag: TAG,
      policy: PUBLIC,
      limit: 'public',
      query: z.object({
        first: place.describe('size of the older tree, from a checkpoint that was kept'),
        second: place.optional().describe('the newest signed size otherwise'),
      }),
      answers: {
        200: { description: 'The proof.', schema: consistency },
        400: { description: 'A size that is not signed, or first beyond second.' },
      },
      handle: ({ query: { first, second } }) =>
        refusing(async () => json(await log.consistency(first, second ?? null))),
    }),
    route({
      method: 'GET',
      path: '/api/v1/photos/{photoId}/log-proof',
      summary: 'Receipts of a photo in the transparency log, newest first, with their proofs',
      tag: TAG,
      policy: { kind: 'scope', scope: 'photos:verify' },
      limit: 'v1',
      params: z.object({ photoId: z.string() }),
      answers: {
        200: {
          description: 'Each can be kept as a file for `verify --proof`; one without proof is in the tree in a moment.',
          schema: z.object({ data: z.array(receiptSchema), log: identity }),
        },
        404: { description: 'There is no photo with this id.' },
      },
      handle: ({ principal, params }) =>
        answering(async () => {
          const data = await photoReceipts(photos, principal.tenantId, params.photoId);
          const { publicKeyPem, verifierKey, identity: own } = log;
          return json({ data, log: { origin: own.origin, publicKey: publicKeyPem, verifierKey } });
        }),
    }),
  ];
}

async function refusing(work: () => Promise<Response>): Promise<Response> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof LogError) throw new Problem('VALIDATION_FAILED', error.message, { cause: error });
    throw error;
  }
}
