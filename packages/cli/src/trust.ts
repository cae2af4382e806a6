// Whom a command believes about credentials: the certificates in the files that it was given, and nobody else.
import { readFile } from 'node:fs/promises';
import type { TrustAnchors } from '@lumatrace/provenance/c2pa/wasm.ts';
import { CannotAnswer } from './command.ts';

export const TRUST_HELP = `  --trust      PEM file of root certificates to believe; without it no signer is trusted. That of an installation:
               curl URL/c2pa/trust-anchors`;

/** @throws CannotAnswer for a file that cannot be read or holds no certificate */
export async function trustOf(file: string | boolean | undefined): Promise<TrustAnchors> {
  if (typeof file !== 'string') return { anchorsPem: '' };
  const anchorsPem = await readFile(file, 'utf8').catch((cause: unknown) => {
    throw new CannotAnswer(`cannot read ${file}.`, { cause });
  });
  if (!anchorsPem.includes('-----BEGIN CERTIFICATE-----')) throw new CannotAnswer(`${file} holds no PEM certificate.`);
  return { anchorsPem };
}
