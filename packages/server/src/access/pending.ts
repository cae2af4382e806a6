// What a browser keeps for us while somebody is on the way, in a cookie that it cannot read: sealed, and good for a while.
import { hkdfSync } from 'node:crypto';
import { kekFromBytes, type Kek } from '../keys/kek.ts';
import type { InstallationKey, SecretReader } from '../keys/installation-keys.ts';

const KEY_BYTES = 32;

export interface Pending<Kept extends object> {
  /** `about` is bound to it: what was kept for one purpose or party opens for no other. */
  seal(about: string, kept: Kept): Promise<string>;
  /** Undefined for another browser's, another party's, one that has ended, or none. */
  open(about: string, sealed: string | undefined): Promise<Kept | undefined>;
}

export interface PendingOptions {
  secrets: SecretReader;
  /** Told apart by this: each use has a key of its own. */
  use: string;
  lifeMs: number;
  nowMs: () => number;
}

export function createPending<Kept extends object>({ secrets, use, lifeMs, nowMs }: PendingOptions): Pending<Kept> {
  const keyOf = (key: InstallationKey): Kek =>
    kekFromBytes(Buffer.from(hkdfSync('sha256', key.secret, '', `lumatrace/${use}/pending`, KEY_BYTES)));
  const boundTo = (about: string): string => `${use}|pending|${about}`;
  return {
    async seal(about, kept) {
      const text = JSON.stringify({ kept, untilMs: nowMs() + lifeMs });
      const key = keyOf(await secrets.secret('session'));
      return key.wrap(boundTo(about), Buffer.from(text)).toString('base64url');
    },
    async open(about, sealed) {
      if (sealed === undefined) return undefined;
      for (const key of await secrets.candidates('session', lifeMs))
        try {
          const text = keyOf(key).unwrap(boundTo(about), Buffer.from(sealed, 'base64url')).toString('utf8');
          const { kept, untilMs } = JSON.parse(text) as { kept: Kept; untilMs: number };
          return untilMs > nowMs() ? kept : undefined;
        } catch {
          // another key's, or not ours at all
        }
      return undefined;
    },
  };
}
