// What a picture's credentials say, told to anybody: no title, no author, no place, no trace. The server's public detector and
// the browser's own reading give these words alike.
import type { SaidGenerator } from './disclosure.ts';
import type { C2paStatus, C2paVerification } from './verify.ts';

export interface SaidCredentials {
  status: C2paStatus;
  /** What they say, whether or not they are to be believed: `status` tells that. */
  generator: string | null;
  signer: string | null;
  signedAt: string | null;
  manifestId: string | null;
  actions: string[];
  digitalSourceType: string | null;
  /** The model that they name; null when they name none or are not to be believed. */
  madeBy: SaidGenerator | null;
}

export function credentialsSaid({ status, manifest }: C2paVerification, madeBy: SaidGenerator | null): SaidCredentials {
  return {
    status,
    generator: manifest?.claimGenerator ?? null,
    signer: manifest?.signer?.name ?? null,
    signedAt: manifest?.signedAt ?? null,
    manifestId: manifest?.label ?? null,
    actions: [...(manifest?.actions ?? [])],
    digitalSourceType: manifest?.digitalSourceType ?? null,
    madeBy: status === 'VALID' ? madeBy : null,
  };
}

// IPTC digital source types of pictures that a model made, whole or in part
const GENERATED = /\/(trainedAlgorithmicMedia|compositeWithTrainedAlgorithmicMedia|algorithmicMedia)$/;

/** Whether a model made it: what the credentials say, null when they say nothing or are not to be believed. */
export function isSaidGenerated({ status, manifest }: C2paVerification): boolean | null {
  const type = manifest?.digitalSourceType ?? null;
  return status !== 'VALID' || type === null ? null : GENERATED.test(type);
}
