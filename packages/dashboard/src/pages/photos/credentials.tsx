// What content credentials tell: what was done and when, who signed it, and by which chain of certificates.
import { BadgeCheck, Clock, FileBadge, FileQuestion } from 'lucide-react';
import { useState, type ReactNode } from 'react';
import type { CertificateStory, Credentials, ManifestStory } from '@lumatrace/provenance/c2pa/credentials.ts';
import { CopyButton } from '../../elements/copy.tsx';
import { plural } from '../../format/number.ts';
import { day, exactMoment } from '../../format/time.ts';
import { actionWords, commonName, sourceWords } from './credential-words.ts';

export function CredentialsStory({ credentials: { manifests, more } }: { credentials: Credentials }) {
  return (
    <ol className="flex flex-col gap-5">
      {manifests.map((manifest, index) => (
        <li key={`${index} ${manifest.label}`} className="min-w-0 break-words">
          <ManifestTold manifest={manifest} isActive={index === 0} />
        </li>
      ))}
      {more > 0 && (
        <li className="text-ink-3">{plural(more, 'earlier manifest is', 'earlier manifests are')} not shown.</li>
      )}
    </ol>
  );
}

function ManifestTold({ manifest, isActive }: { manifest: ManifestStory; isActive: boolean }) {
  const { title, claimGenerator, timestamp, trustedBy, chain, algorithm } = manifest;
  const [leaf] = chain;
  return (
    <article className="flex flex-col gap-3" aria-label={isActive ? 'Credentials in force' : 'Earlier credentials'}>
      {!isActive && (
        <h3 className="border-t pt-3 text-xs font-medium text-ink-3">Built on these earlier credentials</h3>
      )}
      <p>
        {title !== null && <span className="font-medium">{title}, </span>}
        written by <span className="font-medium">{claimGenerator ?? 'software that does not say its name'}</span>
      </p>
      <ol className="flex flex-col gap-2.5">
        {manifest.ingredients.map((ingredient, index) => (
          <Moment key={`i${index}`} name={`From ${ingredient.title ?? 'a picture without a title'}`}>
            {ingredient.manifest === null ? 'It came without credentials.' : 'It came with credentials of its own.'}
          </Moment>
        ))}
        {manifest.actions.map(({ action, when, softwareAgent, digitalSourceType }, index) => (
          <Moment key={`a${index}`} name={actionWords(action)} iso={when}>
            {[
              digitalSourceType === null ? null : sourceWords(digitalSourceType),
              softwareAgent === null ? null : `with ${softwareAgent}`,
            ]
              .filter((said) => said !== null)
              .join(', ')}
          </Moment>
        ))}
        <Moment name={`Signed${leaf === undefined ? '' : ` by ${commonName(leaf.subject)}`}`}>
          {algorithm ?? 'by an algorithm that is not known here'}
          {trustedBy === null ? '; nobody who is trusted here vouches for the signer' : ''}
        </Moment>
        {timestamp !== null && (
          <Moment name="Time-stamped" iso={timestamp.at} icon={<Clock size={14} aria-hidden />}>
            by {commonName(timestamp.authority)}, to within {timestamp.accuracyMs / 1_000} s
          </Moment>
        )}
      </ol>
      <Chain chain={chain} trustedBy={trustedBy} />
    </article>
  );
}

function Moment({
  name,
  iso = null,
  icon,
  children,
}: {
  name: string;
  iso?: string | null;
  icon?: ReactNode;
  children?: ReactNode;
}) {
  return (
    <li className="border-l-2 border-line-control pl-3">
      <p className="flex flex-wrap items-baseline gap-x-2">
        {icon}
        <span className="font-medium">{name}</span>
        {iso !== null && (
          <time className="text-xs text-ink-3" dateTime={iso}>
            {exactMoment(iso)}
          </time>
        )}
      </p>
      {children !== '' && <p className="text-ink-2">{children}</p>}
    </li>
  );
}

function Chain({ chain, trustedBy }: { chain: readonly CertificateStory[]; trustedBy: string | null }) {
  const [now] = useState(Date.now);
  return (
    <div>
      <h3 className="mb-1.5 text-xs font-medium text-ink-3">Chain of certificates</h3>
      <ol className="flex flex-col gap-2">
        {chain.map((certificate) => (
          <li key={certificate.sha256} className="flex gap-2">
            <FileBadge size={14} className="mt-[3px] shrink-0 text-ink-3" aria-hidden />
            <div className="min-w-0">
              <p title={certificate.subject}>{commonName(certificate.subject)}</p>
              <p className="text-xs text-ink-3">{validity(certificate, now)}</p>
              {certificate.revokedAt !== null && (
                <p className="text-xs text-error">Revoked: not believed since {exactMoment(certificate.revokedAt)}</p>
              )}
              <p className="flex min-w-0 items-center text-xs text-ink-3">
                <code className="truncate font-mono" title={certificate.sha256}>
                  SHA-256 {certificate.sha256.slice(0, 16)}…
                </code>
                <CopyButton
                  text={certificate.sha256}
                  label={`Copy the fingerprint of ${commonName(certificate.subject)}`}
                  className="!h-6 !w-6"
                />
              </p>
            </div>
          </li>
        ))}
        <li className="flex gap-2">
          {trustedBy === null ? (
            <>
              <FileQuestion size={14} className="mt-[3px] shrink-0 text-warn" aria-hidden />
              <p>It leads to no root that is trusted here.</p>
            </>
          ) : (
            <>
              <BadgeCheck size={14} className="mt-[3px] shrink-0 text-ok" aria-hidden />
              <p title={trustedBy}>It leads to {commonName(trustedBy)}, which is trusted here.</p>
            </>
          )}
        </li>
      </ol>
    </div>
  );
}

function validity({ notBefore, notAfter }: CertificateStory, now: number): string {
  const span = `${day(notBefore)} to ${day(notAfter)}`;
  return Date.parse(notAfter) < now ? `was valid ${span}` : `valid ${span}`;
}
