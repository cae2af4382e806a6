// Receipts of a photo in the transparency log, and the check of their proofs here, so that the page need not believe the answer.
import { queryOptions } from '@tanstack/react-query';
import { fetchJson } from './client.ts';
import { sha256Hex } from './sha256.ts';

export interface Receipt {
  origin: string;
  /** Hex. */
  leafHash: string;
  /** JSON text of the entry; the leaf is its hash. */
  entry: string;
  leafIndex?: number;
  /** C2SP signed note: origin, size, root in base64, then signatures. */
  checkpoint?: string;
  /** Hashes in base64, the leaf's neighbour first. */
  proof?: string[];
}

export interface LogProof {
  data: Receipt[];
  log: { origin: string; publicKey: string; verifierKey: string };
}

/** The log takes an entry in within seconds; asked again until then, a few times. */
const AGAIN_MS = 2_000;
const MAX_ASKED = 10;

export function logProofQuery(photoId: string) {
  return queryOptions({
    queryKey: ['photo', photoId, 'log-proof'],
    queryFn: ({ signal }) => fetchJson<LogProof>(`/api/v1/photos/${encodeURIComponent(photoId)}/log-proof`, { signal }),
    retry: false,
    refetchInterval: ({ state: { data, dataUpdateCount } }) =>
      dataUpdateCount < MAX_ASKED && data?.data.some(({ proof }) => proof === undefined) ? AGAIN_MS : false,
  });
}

export interface EntryShown {
  action: string;
  at: string;
}

/** What the entry says; null when it cannot be read. */
export function entryOf({ entry }: Receipt): EntryShown | null {
  try {
    const { action, at } = JSON.parse(entry) as Partial<EntryShown>;
    return typeof action === 'string' && typeof at === 'string' ? { action, at } : null;
  } catch {
    return null;
  }
}

/** `waits`: no proof yet. `included` and `refused` were computed here; who signed the checkpoint is not checked here. */
export type Inclusion = { name: 'waits' } | { name: 'refused' } | { name: 'included'; treeSize: number };

/** RFC 9162, 2.1.1 (leaf hash) and 2.1.3.2 (inclusion). */
export async function inclusionOf({ entry, leafHash, leafIndex, checkpoint, proof }: Receipt): Promise<Inclusion> {
  if (leafIndex === undefined || checkpoint === undefined || proof === undefined) return { name: 'waits' };
  const [, size = '', root = ''] = checkpoint.split('\n');
  const treeSize = Number(size);
  if (!/^\d{1,15}$/.test(size) || leafIndex >= treeSize) return { name: 'refused' };
  let hash = await sha256Hex(new Blob([Uint8Array.of(0), entry]));
  if (hash !== leafHash) return { name: 'refused' };
  let [at, last] = [leafIndex, treeSize - 1];
  // each neighbour is joined on its side, up to the root
  for (const text of proof) {
    if (last === 0) return { name: 'refused' };
    const neighbour = bytesOfBase64(text);
    if (at % 2 === 1 || at === last) {
      hash = await nodeHash(neighbour, bytesOfHex(hash));
      while (at % 2 === 0 && at !== 0) [at, last] = [at / 2, Math.floor(last / 2)];
    } else hash = await nodeHash(bytesOfHex(hash), neighbour);
    [at, last] = [Math.floor(at / 2), Math.floor(last / 2)];
  }
  const isIncluded = last === 0 && hash === hexOf(bytesOfBase64(root));
  return isIncluded ? { name: 'included', treeSize } : { name: 'refused' };
}

const nodeHash = (left: Uint8Array<ArrayBuffer>, right: Uint8Array<ArrayBuffer>): Promise<string> =>
  sha256Hex(new Blob([Uint8Array.of(1), left, right]));
const bytesOfHex = (hex: string): Uint8Array<ArrayBuffer> =>
  Uint8Array.from(hex.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16));
const hexOf = (bytes: Uint8Array): string => Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
/** Not base64 reads as no bytes, which no hash equals. */
function bytesOfBase64(text: string): Uint8Array<ArrayBuffer> {
  try {
    return Uint8Array.from(atob(text), (character) => character.codePointAt(0) ?? 0);
  } catch {
    return new Uint8Array();
  }
}
