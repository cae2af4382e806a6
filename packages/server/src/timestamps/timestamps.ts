// Whose time stamps go beside signatures here, and whom this installation believes about the time.
import { X509Certificate } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import type { OwnAuthority } from './authority.ts';
import { createStamper, type Stamper } from './stamper.ts';

export interface TimestampsOptions {
  /** An authority of our own, or the way to one elsewhere; null: signatures go without a stamp. */
  source: { own: OwnAuthority } | { ask(request: Uint8Array): Promise<Uint8Array> } | null;
  /** PEM of the roots of this installation: they stand behind its own stamps. */
  ownAnchorsPem(): Promise<string>;
  /** PEM of further authorities whose stamps are believed. */
  furtherAnchorsPem: string;
  nowMs?: () => number;
}

export interface Timestamps {
  stamper: Stamper | null;
  anchorsPem(): Promise<string>;
  /** Daily, and at every start after the certificates were renewed. */
  renew(): Promise<void>;
}

export function createTimestamps({
  source,
  ownAnchorsPem,
  furtherAnchorsPem,
  nowMs = Date.now,
}: TimestampsOptions): Timestamps {
  const anchorsPem = async (): Promise<string> => `${await ownAnchorsPem()}\n${furtherAnchorsPem}`;
  if (source === null) return { stamper: null, anchorsPem, renew: async () => {} };
  if ('ask' in source) {
    return { stamper: createStamper({ ask: source.ask, anchorsPem, nowMs }), anchorsPem, renew: async () => {} };
  }
  const { own } = source;
  return { stamper: createStamper({ ask: own.answer, anchorsPem, nowMs }), anchorsPem, renew: own.renew };
}

const MAX_ANCHORS_BYTES = 4_194_304;
const CERTIFICATE = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g;

/** @throws Error for a file that cannot be read, is too long, or holds anything but certificates in PEM */
export async function readAnchors(file: string | undefined): Promise<string> {
  if (file === undefined) return '';
  const pem = await readFile(file, 'utf8');
  const certificates = pem.match(CERTIFICATE) ?? [];
  const isReadable = certificates.every((text) => new X509Certificate(text).ca);
  if (pem.length > MAX_ANCHORS_BYTES || certificates.length === 0 || !isReadable)
    throw new Error(`Expected root certificates in PEM in ${file}`);
  return certificates.join('\n');
}
