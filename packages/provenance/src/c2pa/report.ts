// The library's report on a manifest store, taken apart with suspicion, and its status codes put into words.
import type { Finding, Severity } from '../findings.ts';

export interface Status {
  readonly code: string;
  readonly url: string;
  readonly explanation: string;
}
export interface StatusLists {
  readonly success: readonly Status[];
  readonly informational: readonly Status[];
  readonly failure: readonly Status[];
}
export interface Report {
  readonly state: string;
  readonly active: StatusLists;
  readonly deltas: readonly StatusLists[];
  readonly time: string | null;
}

const SENTENCES: ReadonlyMap<string, string> = new Map([
  [
    'algorithm.unsupported',
    'The manifest was signed with an algorithm that C2PA does not allow, so nobody can check it.',
  ],
  ['assertion.dataHash.match', 'The bytes of the picture are the signed ones.'],
  ['assertion.dataHash.mismatch', 'The bytes of the picture are not the signed ones.'],
  ['assertion.hashedURI.mismatch', 'A statement of the manifest was changed after signing.'],
  ['assertion.missing', 'A signed statement of the manifest is missing.'],
  ['assertion.undeclared', 'The manifest holds a statement that was not signed.'],
  ['claimSignature.mismatch', 'The signature of the manifest does not fit what it signs.'],
  ['claimSignature.missing', 'The manifest has no signature.'],
  ['claimSignature.validated', 'The signature of the manifest is right.'],
  ['claimSignature.insideValidity', 'The signature was made while the certificate was valid.'],
  ['claimSignature.outsideValidity', 'The signature was not made while the certificate was valid.'],
  ['claim.missing', 'The manifest has no claim.'],
  ['signingCredential.trusted', 'The signer is trusted here.'],
  ['signingCredential.untrusted', 'The signer is not trusted here.'],
  [
    'signingCredential.expired',
    'The certificate of the signer has expired, and no time stamp shows an earlier signature.',
  ],
  ['signingCredential.invalid', 'The certificate of the signer does not fit the C2PA certificate profile.'],
  ['signingCredential.ocsp.revoked', 'The certificate of the signer was revoked.'],
  ['signingCredential.ocsp.skipped', 'No revocation service was asked: verification uses no network.'],
  ['timeStamp.mismatch', 'The time stamp belongs to another signature.'],
  ['timeStamp.untrusted', 'The time stamp comes from an authority that is not trusted here.'],
  ['timeStamp.outsideValidity', 'The time stamp lies outside the validity of its certificate.'],
  ['timeStamp.malformed', 'The time stamp cannot be read.'],
  ['timeStamp.trusted', 'The time stamp comes from a trusted authority.'],
  ['timeStamp.validated', 'The time stamp is right.'],
  ['ingredient.unknownProvenance', 'The picture that this one was made from had no credentials.'],
]);

/** One status of the report as a finding; `evidence` is added to what the status says itself. */
export function asFinding(
  { code, url, explanation }: Status,
  severity: Severity,
  evidence?: Finding['evidence'],
): Finding {
  const known = plain(code);
  const message = SENTENCES.get(known) ?? `${known}: ${plain(explanation)}`;
  const where: Finding['evidence'] = url === '' ? evidence : { url: plain(url), ...evidence };
  return { code: known, severity, subject: 'c2pa', message, ...(where === undefined ? {} : { evidence: where }) };
}

const MAX_TEXT = 300;

/** Text out of a file, for people: controls and direction marks out, and never long. */
export function plain(text: string): string {
  return text.slice(0, MAX_TEXT).replaceAll(/[\p{C}\p{Zl}\p{Zp}]/gu, '\ufffd');
}

/** The report out of its JSON; whatever is missing or of another type reads as empty. */
export function asReport(value: unknown): Report {
  const results = fieldOf(value, 'validation_results');
  const deltas = fieldOf(results, 'ingredientDeltas');
  const label = fieldOf(value, 'active_manifest');
  const active = typeof label === 'string' ? fieldOf(fieldOf(value, 'manifests'), label) : undefined;
  const time = fieldOf(fieldOf(active, 'signature_info'), 'time');
  return {
    state: String(fieldOf(value, 'validation_state')),
    active: statusLists(fieldOf(results, 'activeManifest')),
    deltas: Array.isArray(deltas) ? deltas.map((delta) => statusLists(fieldOf(delta, 'validationDeltas'))) : [],
    time: typeof time === 'string' && !Number.isNaN(Date.parse(time)) ? time : null,
  };
}

function statusLists(value: unknown): StatusLists {
  return {
    success: statusList(fieldOf(value, 'success')),
    informational: statusList(fieldOf(value, 'informational')),
    failure: statusList(fieldOf(value, 'failure')),
  };
}

function statusList(value: unknown): readonly Status[] {
  if (!Array.isArray(value)) return [];
  return value.map((entry: unknown) => ({
    code: String(fieldOf(entry, 'code') ?? ''),
    url: String(fieldOf(entry, 'url') ?? ''),
    explanation: String(fieldOf(entry, 'explanation') ?? ''),
  }));
}

function fieldOf(value: unknown, key: string): unknown {
  return typeof value === 'object' && value !== null && Object.hasOwn(value, key)
    ? (value as Record<string, unknown>)[key]
    : undefined;
}
