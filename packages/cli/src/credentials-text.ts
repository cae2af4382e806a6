// Credentials of a file in words. Everything that comes out of a file is a stranger's text: nothing of it reaches the terminal
// but plain characters.
import type { Credentials } from '@lumatrace/provenance/c2pa/credentials.ts';
import { plain } from '@lumatrace/provenance/c2pa/report.ts';
import type { C2paStatus, C2paVerification } from '@lumatrace/provenance/c2pa/verify.ts';
import type { Finding } from '@lumatrace/provenance/findings.ts';

const STATUS: Readonly<Record<C2paStatus, string>> = {
  VALID: 'intact, and their signer is trusted',
  INVALID: 'readable, but not to be trusted',
  TAMPERED: 'damaged, or the file was changed after they were signed',
  MISSING: 'none',
};

/** Lines about the manifest that is in force. */
export function credentialLines({ status, manifest }: C2paVerification): string[] {
  const lines = [row('credentials', `${status}: ${STATUS[status]}`)];
  if (manifest === null) return lines;
  const { label, claimGenerator, signer, signedAt, title, actions, digitalSourceType, photoId, softBindings } =
    manifest;
  lines.push(row('manifest', label));
  if (title !== null) lines.push(row('title', title));
  if (claimGenerator !== null) lines.push(row('made with', claimGenerator));
  if (signer !== null) lines.push(row('signed by', `${signer.name}, serial number ${signer.serialNumber}`));
  if (signedAt !== null) lines.push(row('time stamp', signedAt));
  if (actions.length > 0) lines.push(row('actions', actions.join(', ')));
  if (digitalSourceType !== null) lines.push(row('source type', digitalSourceType));
  for (const { alg, value } of softBindings) lines.push(row('soft binding', `${alg} ${hex(value)}`));
  if (photoId !== null) lines.push(row('photo', photoId));
  return lines;
}

/** Lines about the signer's chain, and about the manifests that the one in force builds on. */
export function chainLines(credentials: Credentials | null): string[] {
  const [active, ...earlier] = credentials?.manifests ?? [];
  if (active === undefined) return [];
  const lines = active.chain.map(({ subject, notBefore, notAfter, sha256, revokedAt }) => {
    const revoked = revokedAt === null ? '' : `, revoked ${revokedAt}`;
    return row(
      'certificate',
      `${subject}, ${notBefore.slice(0, 10)} to ${notAfter.slice(0, 10)}${revoked}, SHA-256 ${sha256}`,
    );
  });
  lines.push(row('leads to', active.trustedBy ?? 'nobody who is trusted here'));
  if (active.timestamp !== null) lines.push(row('stamped by', active.timestamp.authority));
  for (const { title, claimGenerator, chain, trustedBy } of earlier) {
    const signer = chain[0]?.subject ?? 'nobody';
    const worth = trustedBy === null ? ', not trusted here' : '';
    lines.push(
      row(
        'built on',
        `${title ?? 'untitled'}, by ${claimGenerator ?? 'unnamed software'}, signed by ${signer}${worth}`,
      ),
    );
  }
  const more = credentials?.more ?? 0;
  if (more > 0) lines.push(row('built on', `${more} more`));
  return lines;
}

const MARKS: Readonly<Record<Finding['severity'], string>> = { success: '+', info: ' ', failure: '-' };

/** One line a finding: + for it, - against it. */
export function findingLines(findings: readonly Finding[]): string[] {
  return findings.map(({ code, severity, message }) => `  ${MARKS[severity]} ${plain(message)} (${plain(code)})`);
}

export const row = (name: string, text: string): string => `${name.padEnd(14)} ${plain(text)}`;

const MAX_SHOWN_BYTES = 32;
const hex = (value: Uint8Array): string =>
  Buffer.from(value.subarray(0, MAX_SHOWN_BYTES)).toString('hex') + (value.length > MAX_SHOWN_BYTES ? '…' : '');
