// What the credentials of a file are worth, fail closed: the library's verdict counts only together with our own
// reading of everything that no signature covers. VALID needs every check; anything unknown is INVALID.
import { createHash, X509Certificate } from 'node:crypto';
import { ownFinding, type Finding } from '../findings.ts';
import type { ImageFormat } from '../image.ts';
import { PHOTO_LABEL, readSoftBinding, SOFT_BINDING_LABEL, type SoftBinding } from './assertions.ts';
import { certificatesOf, leadsTo } from './anchors.ts';
import type { CborMap, CborValue } from './cbor.ts';
import { claimTime, type ClaimTime } from './claim-time.ts';
import { algorithmName, CoseError, parseClaimSignature, type ClaimSignature } from './cose.ts';
import {
  actionsIn,
  credentialsOf,
  firstCbor,
  generatorOf,
  listOf,
  nameOf,
  textOf,
  withLabel,
  type Credentials,
} from './credentials.ts';
import { EmbedError, extractManifest, hasC2paMarker, hasRemoteReference, type EmbeddedManifest } from './embed.ts';
import { activeManifest, cborMapOf, JumbfError, onlyContent, payloadOf, type ManifestBoxes } from './jumbf.ts';
import { asFinding, asReport, plain, type Report, type Status } from './report.ts';
import { C2paEngineError, keyPurposesOf, readReport, type TrustAnchors } from './wasm.ts';

/** VALID: intact and trusted. INVALID: readable, not to be trusted. TAMPERED: changed or damaged. MISSING: no marker. */
export type C2paStatus = 'VALID' | 'INVALID' | 'TAMPERED' | 'MISSING';

export interface Revocation {
  /** SHA-256 of the DER certificate, hex: a leaf or an issuing CA. */
  readonly certificateSha256: string;
  readonly revokedAt: Date;
}

export interface VerifyRequest {
  readonly bytes: Uint8Array;
  /** By magic bytes, never as declared. */
  readonly format: ImageFormat;
  readonly trust: TrustAnchors;
  readonly revocations?: readonly Revocation[];
  /** For who asks for the verdict alone: `credentials` stays null, 7 ms less. */
  readonly isUntold?: boolean;
}

/** What the active manifest says about itself; believe it only when the status is VALID. */
export interface ManifestSummary {
  readonly label: string;
  readonly manifestStoreSha256: string;
  readonly title: string | null;
  readonly claimGenerator: string | null;
  readonly signer: { readonly name: string; readonly serialNumber: string; readonly certificateSha256: string } | null;
  /** From a trusted time stamp, else null. */
  readonly signedAt: string | null;
  readonly timestamp: ClaimTime | null;
  readonly photoId: string | null;
  readonly softBindings: readonly SoftBinding[];
  readonly actions: readonly string[];
  readonly digitalSourceType: string | null;
}

export interface C2paVerification {
  readonly status: C2paStatus;
  readonly findings: readonly Finding[];
  readonly manifest: ManifestSummary | null;
  /** All that the store tells, the active manifest first; null when it cannot be read. */
  readonly credentials: Credentials | null;
}

/** Judges the credentials of a file. Never throws for what is in the file, never uses the network. */
export async function verifyC2pa(request: VerifyRequest): Promise<C2paVerification> {
  const { bytes, format } = request;
  if (!hasC2paMarker(bytes, format))
    return verdict('MISSING', [ownFinding('org.lumatrace.c2pa.missing', 'failure', 'c2pa')]);
  const embedded = embeddedManifest(bytes, format);
  if ('code' in embedded) return verdict('TAMPERED', [embedded]);
  const own = readStrictly(embedded, request);
  // bytes that no reader of ours can follow are not given to one that guesses: a wrong length once cost it 600 MB
  if (own.manifest === null) return verdict('TAMPERED', own.findings);
  let report: Report;
  try {
    const text = await readReport(bytes, format, request.trust);
    if (text === null)
      return verdict('TAMPERED', [...own.findings, unreadable('The library finds no manifest store.')]);
    report = asReport(JSON.parse(text));
  } catch (error) {
    return engineVerdict(error, own.findings);
  }
  return judge(report, own);
}

/** The answer when the validator crashed, ran out of time or was stopped: INVALID, whatever the file holds. */
export function c2paEngineFailed(reason: string): C2paVerification {
  return verdict('INVALID', [
    ownFinding('org.lumatrace.c2pa.engineFailed', 'failure', 'c2pa', { reason: plain(reason) }),
  ]);
}

// a trap says nothing about the file; any other refusal means a marker without a readable manifest
function engineVerdict(error: unknown, findings: readonly Finding[]): C2paVerification {
  const reason = error instanceof Error ? error.message : String(error);
  if (!(error instanceof C2paEngineError) || error.trapped) {
    const failed = c2paEngineFailed(reason);
    return { ...failed, findings: [...findings, ...failed.findings] };
  }
  return verdict('TAMPERED', [...findings, unreadable(reason)]);
}

function verdict(
  status: C2paStatus,
  findings: readonly Finding[],
  manifest: ManifestSummary | null = null,
  credentials: Credentials | null = null,
): C2paVerification {
  return { status, findings, manifest, credentials };
}

const unreadable = (reason: string): Finding =>
  ownFinding('org.lumatrace.c2pa.unreadable', 'failure', 'c2pa', { reason: plain(reason) });

function embeddedManifest(bytes: Uint8Array, format: ImageFormat): EmbeddedManifest | Finding {
  try {
    const embedded = extractManifest(bytes, format);
    if (embedded !== null) return embedded;
    if (hasRemoteReference(bytes)) return ownFinding('org.lumatrace.c2pa.remoteOnly', 'failure', 'c2pa');
    return ownFinding('org.lumatrace.c2pa.unreadable', 'failure', 'c2pa');
  } catch (error) {
    if (!(error instanceof EmbedError)) throw error;
    return ownFinding('org.lumatrace.c2pa.container', 'failure', 'c2pa', { reason: plain(error.message) });
  }
}

// ---------------------------------------------------------------- our own reading

interface OwnReading {
  readonly findings: readonly Finding[];
  readonly status: C2paStatus;
  readonly chainDer: readonly Uint8Array[];
  readonly manifest: ManifestSummary | null;
  readonly timestamp: ClaimTime | null;
  readonly credentials: Credentials | null;
  /** Whether the claim is signed with an algorithm that C2PA allows. */
  readonly isCheckable: boolean;
  readonly revocations: readonly Revocation[];
}

function readStrictly(
  embedded: EmbeddedManifest,
  { trust, revocations = [], isUntold = false }: VerifyRequest,
): OwnReading {
  try {
    const boxes = activeManifest(embedded.store);
    const claim = cborMapOf(embedded.store, boxes.claim);
    const signature = parseClaimSignature(payloadOf(embedded.store, boxes.signature));
    const nowMs = Date.now();
    const time = claimTime(signature, {
      claim: payloadOf(embedded.store, boxes.claim),
      anchors: certificatesOf(trust.timestampAnchorsPem ?? trust.anchorsPem),
      revoked: new Set(revocations.map(({ certificateSha256 }) => certificateSha256)),
      nowMs,
    });
    const timestamp = time !== null && 'at' in time ? time : null;
    const badTime = time !== null && 'code' in time ? time : null;
    const changed = undeclared(boxes, claim);
    const others = [
      exclusionsOutside(embedded, boxes),
      otherPurpose(signature, trust),
      otherRoot(signature, trust),
      unvouched(signature),
      badTime,
    ];
    const findings = [changed, ...others].filter(isFinding);
    return {
      findings,
      status: changed !== null ? 'TAMPERED' : findings.length > 0 ? 'INVALID' : 'VALID',
      chainDer: signature.chainDer,
      manifest: summaryOf(embedded.store, boxes, claim, signature),
      timestamp,
      credentials: isUntold ? null : credentialsOf(embedded.store, { trust, revocations, nowMs }),
      isCheckable: algorithmName(signature.algorithm) !== null,
      revocations,
    };
  } catch (error) {
    if (!(error instanceof JumbfError) && !(error instanceof CoseError)) throw error;
    const evidence = { reason: plain(error.message), ...(error instanceof JumbfError ? { offset: error.offset } : {}) };
    const finding = ownFinding('org.lumatrace.c2pa.container', 'failure', 'c2pa', evidence);
    return {
      findings: [finding],
      status: 'TAMPERED',
      chainDer: [],
      manifest: null,
      timestamp: null,
      credentials: null,
      isCheckable: false,
      revocations,
    };
  }
}

const REFERENCE_LISTS = ['created_assertions', 'gathered_assertions', 'assertions'] as const;
const MAX_URI = 1000;

// labels lie outside the signature: the claim must name this manifest's signature and exactly these assertions
function undeclared(boxes: ManifestBoxes, claim: CborMap): Finding | null {
  const own = `self#jumbf=/c2pa/${boxes.label}/`;
  const signature = claim.get('signature');
  if (signature !== `${own}c2pa.signature` && signature !== 'self#jumbf=c2pa.signature')
    return tamperFinding('claimSignature.missing', "The claim names another manifest's signature.");
  const declared = REFERENCE_LISTS.flatMap((list) => listOf(claim.get(list))).map((item) => assertionLabel(item, own));
  const labels = new Set(declared);
  const extra = boxes.assertions.find(({ label }) => !labels.has(label));
  if (extra !== undefined)
    return tamperFinding('assertion.undeclared', 'The manifest holds a statement that was not signed.', extra.label);
  const present = new Set<string | null>(boxes.assertions.map(({ label }) => label));
  if (declared.some((label) => !present.has(label)))
    return tamperFinding('assertion.missing', 'A signed statement of the manifest is missing.');
  return null;
}

function tamperFinding(code: string, message: string, label?: string): Finding {
  const evidence = label === undefined ? {} : { evidence: { label: plain(label) } };
  return { code, severity: 'failure', subject: 'c2pa', message, ...evidence };
}

function assertionLabel(reference: CborValue, own: string): string | null {
  const uri = reference instanceof Map ? reference.get('url') : undefined;
  for (const prefix of ['self#jumbf=c2pa.assertions/', `${own}c2pa.assertions/`])
    if (typeof uri === 'string' && uri.length <= MAX_URI && uri.startsWith(prefix)) return uri.slice(prefix.length);
  return null;
}

// the only bytes that a data hash may leave out are those of the store's own container
function exclusionsOutside({ store, start, end }: EmbeddedManifest, boxes: ManifestBoxes): Finding | null {
  for (const assertion of withLabel(boxes, 'c2pa.hash.data')) {
    const hash = cborMapOf(store, onlyContent(assertion, 'cbor'));
    for (const range of listOf(hash.get('exclusions'))) {
      const from = range instanceof Map ? Number(range.get('start')) : Number.NaN;
      const to = range instanceof Map ? from + Number(range.get('length')) : Number.NaN;
      if (!(from >= start && to <= end))
        return {
          code: 'assertion.dataHash.additionalExclusionsPresent',
          severity: 'failure',
          subject: 'c2pa',
          message: 'The signed hash leaves out bytes of the file besides the manifest.',
          evidence: { from, to, containerFrom: start, containerTo: end },
        };
    }
  }
  return null;
}

// the library also accepts certificates of time stamping and revocation services as signers: here the purpose decides
function otherPurpose({ chainDer }: ClaimSignature, trust: TrustAnchors): Finding | null {
  const purposes = purposesOf(chainDer[0]);
  if (keyPurposesOf(trust).some((purpose) => purposes.includes(purpose))) return null;
  return {
    code: 'signingCredential.invalid',
    severity: 'failure',
    subject: 'c2pa',
    message: 'The certificate of the signer is not one for signing claims.',
    evidence: { keyPurposes: plain(purposes.join(' ')) },
  };
}

// an anchor for time stamps is none for signers, and the library has one list for both
function otherRoot({ chainDer }: ClaimSignature, { anchorsPem, timestampAnchorsPem }: TrustAnchors): Finding | null {
  if (timestampAnchorsPem === undefined || leadsTo(chainDer, certificatesOf(anchorsPem))) return null;
  return asFinding({ code: 'signingCredential.untrusted', url: '', explanation: '' }, 'failure');
}

function unvouched({ unknownHeaders }: ClaimSignature): Finding | null {
  if (unknownHeaders.length === 0) return null;
  const evidence = { headers: plain(unknownHeaders.join(' ')) };
  return ownFinding('org.lumatrace.c2pa.unvouched', 'failure', 'c2pa', evidence);
}

function purposesOf(leaf: Uint8Array | undefined): readonly string[] {
  if (leaf === undefined) return [];
  try {
    return new X509Certificate(leaf).keyUsage ?? [];
  } catch {
    return [];
  }
}

const isFinding = (finding: Finding | null): finding is Finding => finding !== null;

function summaryOf(
  store: Uint8Array,
  boxes: ManifestBoxes,
  claim: CborMap,
  { chainDer }: ClaimSignature,
): ManifestSummary {
  const photo = firstCbor(store, withLabel(boxes, PHOTO_LABEL));
  const actions = actionsIn(store, boxes);
  return {
    label: boxes.label,
    manifestStoreSha256: sha256(store),
    title: textOf(claim.get('dc:title')),
    claimGenerator: generatorOf(claim),
    signer: signerOf(chainDer[0]),
    signedAt: null,
    timestamp: null,
    photoId: textOf(photo?.get('photoId')),
    softBindings: withLabel(boxes, SOFT_BINDING_LABEL).flatMap((box) => {
      const binding = readSoftBinding(firstCbor(store, [box]) ?? undefined);
      return binding === null ? [] : [binding];
    }),
    actions: actions.flatMap((action) => textOf(action.get('action')) ?? []),
    digitalSourceType:
      actions.map((action) => textOf(action.get('digitalSourceType'))).find((type) => type !== null) ?? null,
  };
}

function signerOf(leaf: Uint8Array | undefined): ManifestSummary['signer'] {
  if (leaf === undefined) return null;
  try {
    const { subject, serialNumber } = new X509Certificate(leaf);
    return { name: nameOf(subject), serialNumber, certificateSha256: sha256(leaf) };
  } catch {
    return null; // the library says why this is no certificate
  }
}

const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

// ---------------------------------------------------------------- the verdict

// a failure with one of these codes means that bytes changed after signing; every other failure is a matter of trust
const TAMPER_CODES: ReadonlySet<string> = new Set([
  'assertion.bmffHash.mismatch',
  'assertion.boxesHash.mismatch',
  'assertion.boxesHash.unknownBox',
  'assertion.collectionHash.mismatch',
  'assertion.dataHash.mismatch',
  'assertion.hashedURI.mismatch',
  'assertion.inaccessible',
  'assertion.missing',
  'assertion.undeclared',
  'assertion.outsideManifest',
  'claim.hardBindings.missing',
  'claim.malformed',
  'claim.missing',
  'claim.multiple',
  'claimSignature.mismatch',
  'claimSignature.missing',
  'hashedURI.mismatch',
  'hashedURI.missing',
  'ingredient.claimSignature.mismatch',
  'ingredient.claimSignature.missing',
  'ingredient.hashedURI.mismatch',
  'ingredient.manifest.mismatch',
  'ingredient.manifest.missing',
  'manifest.inaccessible',
]);

// a wrong time stamp is only informational to the library; here it is a failure
const GOOD_TIMESTAMPS: ReadonlySet<string> = new Set(['timeStamp.validated', 'timeStamp.trusted']);

// what must be said aloud before anything is VALID: the signer, the signature, and the hash of the picture
const REQUIRED = ['signingCredential.trusted', 'claimSignature.validated', 'claimSignature.insideValidity'] as const;
const HARD_BINDINGS = ['assertion.dataHash.match', 'assertion.boxesHash.match'] as const;

const SHOWN_SUCCESSES: ReadonlySet<string> = new Set([...REQUIRED, ...HARD_BINDINGS, ...GOOD_TIMESTAMPS]);
const MAX_FINDINGS = 60;
// by the library and by ourselves: one finding is enough
const JUDGED_TWICE = /^(timeStamp\.|signingCredential\.untrusted$)/;

function judge(report: Report, own: OwnReading): C2paVerification {
  const findings: Finding[] = [...own.findings];
  const informational = [report.active, ...report.deltas].flatMap((lists) => lists.informational);
  const badTimestamps = informational.filter(({ code }) => code.startsWith('timeStamp.') && !GOOD_TIMESTAMPS.has(code));
  const failures = [...[report.active, ...report.deltas].flatMap((lists) => lists.failure), ...badTimestamps];
  const told = new Set(own.findings.map(({ code }) => code));
  const untold = failures.filter(({ code }) => !(JUDGED_TWICE.test(code) && told.has(code)));
  findings.push(...untold.map((status) => asFinding(status, 'failure')));
  const timestamp = isTimeTrusted(report) ? own.timestamp : null;
  const revoked = revokedFinding(own, timestamp);
  if (revoked !== null) findings.push(revoked);
  const successes = new Set(report.active.success.map(({ code }) => code));
  const complete = REQUIRED.every((code) => successes.has(code)) && HARD_BINDINGS.some((code) => successes.has(code));
  // the library calls a signature wrong that it cannot check, too; that nobody can is a matter of trust
  const isUncheckable = (status: Status): boolean =>
    !own.isCheckable && status.code === 'claimSignature.mismatch' && report.active.failure.includes(status);
  const tampered =
    own.status === 'TAMPERED' || failures.some((status) => TAMPER_CODES.has(status.code) && !isUncheckable(status));
  const trusted = report.state === 'Trusted' && complete && findings.length === 0 && own.status === 'VALID';
  const status = tampered ? 'TAMPERED' : trusted ? 'VALID' : 'INVALID';
  if (status === 'INVALID' && findings.length === 0)
    findings.push(ownFinding('org.lumatrace.c2pa.untrusted', 'failure', 'c2pa', { state: plain(report.state) }));
  if (status === 'VALID') findings.push(ownFinding('org.lumatrace.c2pa.trusted', 'success', 'c2pa'));
  findings.push(
    ...report.active.success
      // the library believes authorities that we do not
      .filter(({ code }) => SHOWN_SUCCESSES.has(code) && (code !== 'timeStamp.trusted' || timestamp !== null))
      .map((item) => asFinding(item, 'success')),
    ...informational.filter((item) => !badTimestamps.includes(item)).map((item) => asFinding(item, 'info')),
  );
  const manifest = own.manifest === null ? null : { ...own.manifest, signedAt: timestamp?.at ?? null, timestamp };
  return verdict(status, findings.slice(0, MAX_FINDINGS), manifest, own.credentials);
}

function isTimeTrusted(report: Report): boolean {
  return report.active.success.some(({ code }) => code === 'timeStamp.trusted');
}

// a signature from before the revocation stays good only when a trusted time stamp says so
function revokedFinding(own: OwnReading, time: ClaimTime | null): Finding | null {
  const chain = new Set(own.chainDer.map(sha256));
  for (const { certificateSha256, revokedAt } of own.revocations) {
    if (!chain.has(certificateSha256) || (time !== null && Date.parse(time.at) + time.accuracyMs < revokedAt.getTime()))
      continue;
    return asFinding({ code: 'signingCredential.ocsp.revoked', url: '', explanation: '' }, 'failure', {
      certificateSha256,
      revokedAt: revokedAt.toISOString(),
    });
  }
  return null;
}
