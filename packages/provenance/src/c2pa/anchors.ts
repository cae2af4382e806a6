// Trust anchors as certificates, and the one question that the library cannot be asked: it keeps signers and
// time-stamping authorities in one list, so whether a signer leads to an anchor for signers is looked up here.
import { X509Certificate } from 'node:crypto';

const PEM = /-----BEGIN CERTIFICATE-----[A-Za-z0-9+/=\s]+-----END CERTIFICATE-----/g;
const LONGEST_CHAIN = 6;
const MOST_LISTS = 8;

// a list of the operator's is read once, not for every picture
const lists = new Map<string, readonly X509Certificate[]>();

/** The certificates of a PEM bundle; what is none in it is left out, and anchors nothing. */
export function certificatesOf(pem: string): readonly X509Certificate[] {
  const known = lists.get(pem);
  if (known !== undefined) return known;
  const read = (pem.match(PEM) ?? []).flatMap((text) => {
    try {
      return [new X509Certificate(text)];
    } catch {
      return [];
    }
  });
  if (lists.size >= MOST_LISTS) lists.clear();
  lists.set(pem, read);
  return read;
}

/** Whether a chain (DER, leaf first, in any order after it) ends at an anchor by names and signatures alone. */
export function leadsTo(chainDer: readonly Uint8Array[], anchors: readonly X509Certificate[]): boolean {
  return rootOf(chainDer, anchors) !== null;
}

/** The anchor that a chain ends at; null when it ends at none. */
export function rootOf(chainDer: readonly Uint8Array[], anchors: readonly X509Certificate[]): X509Certificate | null {
  let chain: X509Certificate[];
  try {
    chain = chainDer.map((der) => new X509Certificate(der));
  } catch {
    return null;
  }
  let at: X509Certificate | undefined = chain[0];
  for (let depth = 0; depth < LONGEST_CHAIN && at !== undefined; depth++) {
    const current = at;
    const isIssuer = (one: X509Certificate): boolean =>
      one.ca && current.checkIssued(one) && current.verify(one.publicKey) && !one.raw.equals(current.raw);
    const anchor = anchors.find((anchor) => anchor.raw.equals(current.raw) || isIssuer(anchor));
    if (anchor !== undefined) return anchor;
    at = chain.find(isIssuer);
  }
  return null;
}
