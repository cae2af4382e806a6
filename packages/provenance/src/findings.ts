// A finding: one thing that a check saw, with the code of the specification where it has one.

/** `success` speaks for the image, `info` for neither side, `failure` against it. */
export type Severity = 'success' | 'info' | 'failure';

/** What was looked at. */
export type Subject = 'file' | 'c2pa' | 'watermark' | 'registration' | 'log' | 'decision';

export interface Finding {
  /** A validation status code of the C2PA specification (§15.2), or one of ours below `org.lumatrace.`. */
  readonly code: string;
  readonly severity: Severity;
  readonly subject: Subject;
  /** One sentence for people. */
  readonly message: string;
  /** Numbers, labels and names that led to it; never pixels, keys or whole files. */
  readonly evidence?: Readonly<Record<string, string | number | boolean | null>>;
}

/** Our own codes, each with the sentence that is shown unless a check knows a better one. */
export const OWN_CODES = {
  'org.lumatrace.file.undecodable': 'The pixels of this file could not be decoded.',
  'org.lumatrace.c2pa.missing': 'The file carries no C2PA manifest.',
  'org.lumatrace.c2pa.trusted': 'The manifest is intact and its signer is trusted here.',
  'org.lumatrace.c2pa.untrusted': 'The manifest is intact, but its signer is not trusted here.',
  'org.lumatrace.c2pa.unreadable': 'The file carries a C2PA marker, but no manifest can be read from it.',
  'org.lumatrace.c2pa.remoteOnly': 'The file only points to a manifest elsewhere; nothing was fetched.',
  'org.lumatrace.c2pa.container': 'The bytes around the manifest are not as a manifest store is written.',
  'org.lumatrace.c2pa.unvouched': 'Beside the signature stand fields that no signature covers and C2PA does not know.',
  'org.lumatrace.c2pa.engineFailed': 'The C2PA validator did not come to an answer.',
  'org.lumatrace.watermark.detected': 'The watermark of this photo was found.',
  'org.lumatrace.watermark.marginal': 'Traces of the watermark of this photo were found, too weak to count.',
  'org.lumatrace.watermark.notFound': 'The watermark of this photo was not found.',
  'org.lumatrace.watermark.missingParts':
    'Parts of the picture lack the watermark that the rest carries, or are painted over in one colour: they were changed.',
  'org.lumatrace.watermark.otherPhoto': 'The watermark of another photo of yours was found.',
  'org.lumatrace.identify.read': 'A watermark of an installation’s tenant was read from the pixels alone.',
  'org.lumatrace.identify.notRead': 'No watermark was read from the pixels.',
  'org.lumatrace.identify.candidates': 'Photos look alike by their fingerprints, which proves nothing.',
  'org.lumatrace.registration.protected': 'This photo was registered and protected here.',
  'org.lumatrace.registration.registeredOnly': 'This photo was registered here, but never protected.',
  'org.lumatrace.registration.manifestDiffers': 'The manifest is a valid one, but not the one issued for this photo.',
  'org.lumatrace.registration.manifestMatches': 'The manifest is the one issued for this photo.',
  'org.lumatrace.registration.pixelsDiffer': 'The picture differs from what was recorded when it was protected.',
  'org.lumatrace.registration.looksUnlike': 'The picture does not look like the one that was protected.',
  'org.lumatrace.log.included':
    'The transparency log holds this entry: the proof leads to a checkpoint that it signed.',
  'org.lumatrace.log.pending': 'The receipt holds no proof yet: ask for it again when the log has taken the entry in.',
  'org.lumatrace.log.keyMissing': 'The key of the log is not at hand, so its signature was not checked.',
  'org.lumatrace.log.receiptMalformed': 'This is no receipt of a transparency log.',
  'org.lumatrace.log.entryMismatch': 'The entry of the receipt is not what its leaf is the hash of.',
  'org.lumatrace.log.proofFails': 'The proof of the receipt does not lead to the checkpoint.',
  'org.lumatrace.log.checkpointUntrusted': 'The checkpoint of the receipt is not signed by this log.',
  'org.lumatrace.log.fileMatches': 'The entry names this very file.',
  'org.lumatrace.log.fileDiffers': 'The entry speaks of another file.',
  'org.lumatrace.decision.authentic': 'Every check passed.',
  'org.lumatrace.decision.notAuthentic': 'At least one check did not pass.',
} as const;

export type OwnCode = keyof typeof OWN_CODES;

/** A finding with a code of ours. */
export function ownFinding(
  code: OwnCode,
  severity: Severity,
  subject: Subject,
  evidence?: Finding['evidence'],
  message: string = OWN_CODES[code],
): Finding {
  return evidence === undefined ? { code, severity, subject, message } : { code, severity, subject, message, evidence };
}
