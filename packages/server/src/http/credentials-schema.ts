// Content credentials as they are answered: what a manifest store tells, the active manifest first.
import { z } from 'zod';

const time = z.iso.datetime();
const certificate = z.object({
  subject: z.string(),
  issuer: z.string(),
  serialNumber: z.string().describe('hexadecimal'),
  notBefore: time,
  notAfter: time,
  sha256: z.string().describe('of the DER, hexadecimal'),
  revokedAt: time.nullable().describe('from when on it is not believed'),
});
const timestamp = z.object({
  at: time,
  accuracyMs: z.number(),
  authority: z.string().describe("subject of the authority's certificate"),
  policy: z.string(),
  serialNumber: z.string(),
});
const action = z.object({
  action: z.string(),
  when: time.nullable(),
  softwareAgent: z.string().nullable(),
  digitalSourceType: z.string().nullable(),
});
const ingredient = z.object({
  title: z.string().nullable(),
  format: z.string().nullable(),
  relationship: z.string().nullable(),
  manifest: z.string().nullable().describe('label of its own manifest; null when it came without'),
});
const manifest = z.object({
  label: z.string(),
  title: z.string().nullable(),
  claimGenerator: z.string().nullable(),
  algorithm: z.string().nullable().describe('of the signature, such as ES256'),
  chain: z.array(certificate).describe('of the signer, the leaf first'),
  trustedBy: z
    .string()
    .nullable()
    .describe('subject of the anchor that the chain leads to; null when it is not believed'),
  timestamp: timestamp.nullable().describe('null without a time stamp that is believed here'),
  actions: z.array(action),
  ingredients: z.array(ingredient),
});

export const credentialsSchema = z.object({
  manifests: z.array(manifest).describe('the active one first, then those that it builds on'),
  more: z.number().int().describe('manifests that are not told'),
});
