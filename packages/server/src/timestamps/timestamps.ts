// Whose time stamps go beside signatures here, and whom this installation believes about the time.
import type { OwnAuthority } from './authority.ts';
import { createStamper, type Stamper } from './stamper.ts';

export interface TimestampsOptions {
  /** An authority of our own, or the way to one elsewhere; null: signatures go without a stamp. */
  source: { own: OwnAuthority } | { ask(request: Uint8Array): Promise<Uint8Array> } | null;
  /** PEM of the roots of this installation: they stand behind its own stamps. */
  ownAnchorsPem(): Promise<string>;
  /** PEM of further authorities whose stamps are believed. */
  furtherAnchorsPem?: () => Promise<string>;
  /** SHA-256 (hex) of revoked certificates: no stamp under one is taken. */
  revoked?: () => Promise<ReadonlySet<string>>;
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
  furtherAnchorsPem = async () => '',
  revoked,
  nowMs = Date.now,
}: TimestampsOptions): Timestamps {
  const anchorsPem = async (): Promise<string> => `${await ownAnchorsPem()}\n${await furtherAnchorsPem()}`;
  const terms = { anchorsPem, nowMs, ...(revoked && { revoked }) };
  if (source === null) return { stamper: null, anchorsPem, renew: async () => {} };
  if ('ask' in source) {
    return { stamper: createStamper({ ask: source.ask, ...terms }), anchorsPem, renew: async () => {} };
  }
  const { own } = source;
  return { stamper: createStamper({ ask: own.answer, ...terms }), anchorsPem, renew: own.renew };
}
