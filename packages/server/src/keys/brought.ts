// A certificate that the operator brings: chain and key as files, read again when they change. The key file is opened in
// the signer process alone. What is wrong with new files is told, and those before stay in use until their end.
import { createHash, type KeyObject } from 'node:crypto';
import { readFile, stat } from 'node:fs/promises';
import { certificatesOf, leadsTo } from '@lumatrace/provenance/c2pa/anchors.ts';
import type { Signer } from '@lumatrace/provenance/signer.ts';
import { CertificateRefused, checkChain, type CertificateFault, type CheckedChain } from './certificate-profile.ts';
import type { KeyShown } from './key-inventory.ts';
import { SignerError, type SignerProcess } from './signer/client.ts';

export interface BroughtIdentity {
  kid: string;
  signer: Signer;
  startsAt: Date;
  /** Nothing is signed from then on. */
  endsAt: Date;
  /** The root at the end of the chain file, when there is one. */
  rootPem: string | null;
}

export interface BroughtSource {
  /** @param anchorsPem further roots that this installation believes. @throws CertificateRefused, only before the first success */
  current(anchorsPem: string): Promise<BroughtIdentity>;
  /** For the inventory of keys; null before the first success. */
  shown(): KeyShown | null;
}

/** The private key's side: opens it for a checked chain. */
export type OpenSigner = (kid: string, chain: CheckedChain) => Promise<Signer>;

export interface BroughtOptions {
  chainFile: string;
  /** Files besides the chain whose change means to open the key again. */
  alsoWatched: readonly string[];
  open: OpenSigner;
  onWarning?: (warning: { message: string; code?: string; endsAt?: string }) => void;
  nowMs?: () => number;
}

const DAY_MS = 86_400_000;
const MAX_CHAIN_BYTES = 65_536;
/** An operator has this long to bring the next one. */
const WARN_BEFORE_MS = 14 * DAY_MS;

export function createBrought({
  chainFile,
  alsoWatched,
  open,
  onWarning,
  nowMs = Date.now,
}: BroughtOptions): BroughtSource {
  let known: { mark: string; identity: BroughtIdentity } | undefined;
  let warnedDay = 0;

  async function read(anchorsPem: string): Promise<BroughtIdentity> {
    const chain = checkChain(await readChainFile(chainFile), nowMs());
    requireTrust(chain, anchorsPem);
    const kid = kidOf(chain.publicKey);
    const { startsAt, endsAt, rootPem } = chain;
    return { kid, signer: await open(kid, chain), startsAt, endsAt, rootPem };
  }

  function warn({ endsAt }: BroughtIdentity): void {
    const day = Math.floor(nowMs() / DAY_MS);
    if (endsAt.getTime() - nowMs() > WARN_BEFORE_MS || day === warnedDay) return;
    warnedDay = day;
    const message =
      'The certificate that signs photographs ends soon: bring the next one, nothing is signed after its end.';
    onWarning?.({ message, endsAt: endsAt.toISOString() });
  }

  return {
    async current(anchorsPem) {
      const mark = await markOf([chainFile, ...alsoWatched]);
      if (known?.mark !== mark) {
        try {
          known = { mark, identity: await read(anchorsPem) };
        } catch (error) {
          if (known === undefined) throw error;
          const { message, code } = error as Error & { code?: string };
          onWarning?.({
            message: `The new certificate is not used, the one before stays: ${message}`,
            ...(code && { code }),
          });
        }
      }
      warn(known.identity);
      return known.identity;
    },
    shown: () => (known === undefined ? null : shownOf(known.identity, nowMs())),
  };
}

/** Opens the key of a chain from a file, in the signer process. */
export function openKeyFile(signer: SignerProcess, keyFile: string): OpenSigner {
  return async (kid, { alg, chainDer }) => {
    try {
      await signer.open(kid, keyFile);
    } catch (error) {
      const fault = error instanceof SignerError ? KEY_FAULTS.get(error.code) : undefined;
      if (fault === undefined) throw error;
      throw new CertificateRefused(fault, (error as Error).message, { cause: error });
    }
    return signer.signer(kid, alg, chainDer);
  };
}

const KEY_FAULTS = new Map<string, CertificateFault>([
  ['KEY_MODE', 'KEY_FILE_MODE'],
  ['KEY_MISMATCH', 'KEY_MISMATCH'],
  ['KEY_REFUSED', 'KEY_UNREADABLE'],
]);

async function readChainFile(file: string): Promise<string> {
  try {
    const { size } = await stat(file);
    if (size <= MAX_CHAIN_BYTES) return await readFile(file, 'utf8');
  } catch (cause) {
    throw new CertificateRefused('CHAIN_UNREADABLE', `The chain file ${file} cannot be read.`, { cause });
  }
  throw new CertificateRefused('CHAIN_UNREADABLE', `Expected at most ${MAX_CHAIN_BYTES} bytes in ${file}.`);
}

// pictures that we would call untrusted ourselves are not made
function requireTrust({ chainDer, rootPem }: CheckedChain, anchorsPem: string): void {
  if (rootPem !== null || leadsTo(chainDer, certificatesOf(anchorsPem))) return;
  throw new CertificateRefused(
    'ROOT_UNTRUSTED',
    'Expected a chain that leads to a trusted root: put the root at the end of the chain file, or into LUMATRACE_TRUST_ANCHORS_FILE.',
  );
}

async function markOf(files: readonly string[]): Promise<string> {
  const marks = files.map((file) =>
    stat(file).then(
      ({ mtimeMs, size, ino }) => `${mtimeMs} ${size} ${ino}`,
      () => 'missing',
    ),
  );
  return (await Promise.all(marks)).join('|');
}

function shownOf({ kid, startsAt, endsAt }: BroughtIdentity, nowMs: number): KeyShown {
  const rotateAt = new Date(endsAt.getTime() - WARN_BEFORE_MS);
  const state = nowMs >= endsAt.getTime() ? 'ended' : nowMs >= rotateAt.getTime() ? 'due' : 'active';
  return {
    kind: 'c2pa-brought',
    id: kid,
    owner: 'installation',
    createdAt: startsAt,
    rotateAt,
    endsAt,
    revokedAt: null,
    state,
  };
}

/** SHA-256 of the public key, base64url. */
function kidOf(publicKey: KeyObject): string {
  return createHash('sha256')
    .update(publicKey.export({ type: 'spki', format: 'der' }))
    .digest('base64url');
}
