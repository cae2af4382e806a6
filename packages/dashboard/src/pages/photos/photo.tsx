// One photo: what is known about it. The server has no picture; one can be dropped here and is compared in the browser.
import { useQuery } from '@tanstack/react-query';
import { Link, useParams } from '@tanstack/react-router';
import { ArrowLeft, CircleCheck, CircleX, ShieldQuestion } from 'lucide-react';
import { useState, type ReactNode } from 'react';
import { ApiError } from '../../api/client.ts';
import { photoQuery, type PhotoDetail } from '../../api/photos.ts';
import { sha256Hex } from '../../api/sha256.ts';
import { CopyButton } from '../../elements/copy.tsx';
import { JsonView } from '../../elements/json-view.tsx';
import { Empty, ProblemNotice } from '../../elements/notice.tsx';
import { Card, Page } from '../../elements/page.tsx';
import { SkeletonRows } from '../../elements/skeleton.tsx';
import { bytes } from '../../format/number.ts';
import { exactMoment } from '../../format/time.ts';
import { CredentialsStory } from './credentials.tsx';
import { DropZone } from './drop-zone.tsx';
import { Glyph } from './glyph.tsx';
import { LogCard } from './log-card.tsx';
import { ModelCall } from './model-call.tsx';
import { PhotoState } from './photos.tsx';
import { Publication } from './publication.tsx';

export function PhotoPage() {
  const { photoId } = useParams({ from: '/shell/photos/$photoId' });
  const photo = useQuery(photoQuery(photoId));
  const isMissing = photo.error instanceof ApiError && photo.error.status === 404;
  return (
    <Page
      title={`Photo ${photoId.slice(0, 8)}`}
      before={
        <Link
          to="/photos"
          className="inline-flex h-8 items-center gap-1 rounded-md px-1.5 text-ink-2 hover:bg-hover hover:text-ink"
        >
          <ArrowLeft size={16} aria-hidden /> Photos
        </Link>
      }
      actions={
        <Link
          to="/photos/verify"
          search={{ photo: photoId }}
          className="inline-flex h-8 items-center rounded-md bg-accent px-3 font-medium text-on-accent hover:bg-accent-strong"
        >
          Verify a picture against it
        </Link>
      }
    >
      {isMissing && (
        <Empty icon={<ShieldQuestion size={24} />} title="There is no such photo here">
          <p>The id may be mistyped, or belong to another workspace.</p>
        </Empty>
      )}
      {photo.error && !isMissing && <ProblemNotice error={photo.error} retry={() => void photo.refetch()} />}
      {photo.isPending && !photo.error && <SkeletonRows rows={8} />}
      {photo.data && <Detail photo={photo.data} />}
    </Page>
  );
}

function Detail({ photo }: { photo: PhotoDetail }) {
  const { protection, registration } = photo;
  return (
    <div className="mx-auto grid max-w-5xl gap-4 lg:grid-cols-[1fr_300px]">
      <div className="flex min-w-0 flex-col gap-4">
        <Card title="What is known" note="no picture is kept">
          <dl className="grid gap-x-4 gap-y-1.5 sm:grid-cols-[150px_minmax(0,1fr)]">
            <Fact name="Photo id">
              <Code text={photo.photoId} label="photo id" />
            </Fact>
            <Fact name="State">
              <PhotoState photo={photo} />
            </Fact>
            <Fact name="Source">{photo.deviceModel || 'not given'}</Fact>
            {photo.width !== null && (
              <Fact name="Picture">
                {photo.width} × {photo.height} {photo.format}
                {protection && `, ${bytes(protection.outputBytes)}`}
              </Fact>
            )}
            {photo.latitude !== null && (
              <Fact name="Place">
                {photo.latitude}°, {photo.longitude}°
              </Fact>
            )}
            <Fact name="Original’s SHA-256">
              <Code text={photo.contentHash} label="hash of the original" />
            </Fact>
            {protection && (
              <Fact name="Protected SHA-256">
                <Code text={protection.outputSha256} label="hash of the protected file" />
              </Fact>
            )}
            {protection && (
              <Fact name="Certificate">
                <Code text={protection.certificateKid} label="certificate" />
              </Fact>
            )}
            {photo.traceId && (
              <Fact name="Made by">
                <Link to="/traces/$traceId" params={{ traceId: photo.traceId }} className="text-accent underline">
                  the model call in trace {photo.traceId.slice(0, 8)}
                </Link>
              </Fact>
            )}
          </dl>
        </Card>
        <ModelCall photo={photo} />
        <Compare photo={photo} />
        {protection?.credentials && (
          <Card title="Content credentials" note="as they were signed here; those it came with are not kept">
            <CredentialsStory credentials={protection.credentials} />
          </Card>
        )}
        <Card title="Signed registration" note={registration.algorithm}>
          <JsonView value={registration} openDepth={2} />
        </Card>
        {protection && (
          <Card title="What the check of our own result measured">
            <JsonView value={protection.evidence} openDepth={2} />
          </Card>
        )}
      </div>
      <div className="flex min-w-0 flex-col gap-4">
        {protection && (
          <Card title="Fingerprint" note={`${protection.fingerprint.length * 4} bits`}>
            <Glyph hex={protection.fingerprint} />
          </Card>
        )}
        {protection && <Publication photo={photo} />}
        <LogCard photoId={photo.photoId} />
        <Card title="History">
          <ol className="flex flex-col gap-3">
            <Step name="Registered" iso={String(registration.record['registeredAt'] ?? photo.createdAt)}>
              Its hash was signed.
            </Step>
            {photo.protectedAt && (
              <Step name="Protected" iso={photo.protectedAt}>
                Marked, signed with Content Credentials, and checked.
              </Step>
            )}
            {photo.publication && (
              <Step name="Published" iso={photo.publication.publishedAt}>
                A copy leads anybody to its credentials.
              </Step>
            )}
          </ol>
        </Card>
      </div>
    </div>
  );
}

function Fact({ name, children }: { name: string; children: ReactNode }) {
  return (
    <>
      <dt className="text-ink-3">{name}</dt>
      <dd className="min-w-0">{children}</dd>
    </>
  );
}

function Code({ text, label }: { text: string; label: string }) {
  return (
    <span className="flex min-w-0 items-center">
      <code className="truncate font-mono text-xs" title={text}>
        {text}
      </code>
      <CopyButton text={text} label={`Copy ${label}`} className="!h-6 !w-6" />
    </span>
  );
}

function Step({ name, iso, children }: { name: string; iso: string; children: ReactNode }) {
  return (
    <li className="border-l-2 border-accent pl-3">
      <p className="font-medium">{name}</p>
      <p className="text-ink-2">{children}</p>
      <time className="text-xs text-ink-3" dateTime={iso}>
        {exactMoment(iso)}
      </time>
    </li>
  );
}

type Likeness = 'protected' | 'original' | 'other';

const LIKENESS: Record<Likeness, { good: boolean; text: string }> = {
  protected: { good: true, text: 'This is the protected file, byte for byte.' },
  original: {
    good: true,
    text: 'This is the original file that was registered, byte for byte. It carries no protection.',
  },
  other: {
    good: false,
    text: 'These bytes are neither the original nor the protected file. Verify it to learn whether the picture comes from this photo.',
  },
};

/** Byte equality only, told in the browser: the file goes nowhere. */
function Compare({ photo }: { photo: PhotoDetail }) {
  const [compared, setCompared] = useState<{ name: string; likeness: Likeness }>();
  const compare = async ([file]: File[]): Promise<void> => {
    if (file === undefined) return;
    const hash = await sha256Hex(file);
    const likeness =
      hash === photo.protection?.outputSha256 ? 'protected' : hash === photo.contentHash ? 'original' : 'other';
    setCompared({ name: file.name, likeness });
  };
  const shown = compared && LIKENESS[compared.likeness];
  return (
    <Card title="Compare a file" note="in this browser; nothing is sent">
      <div className="flex flex-col gap-3">
        <DropZone
          title="Drop a file to compare its hash"
          small
          multiple={false}
          onFiles={(files) => void compare(files)}
        >
          SHA-256 against the original and the protected file
        </DropZone>
        <div role="status">
          {compared && shown && (
            <p className="flex items-start gap-2">
              {shown.good ? (
                <CircleCheck size={16} className="mt-0.5 shrink-0 text-ok" aria-hidden />
              ) : (
                <CircleX size={16} className="mt-0.5 shrink-0 text-warn" aria-hidden />
              )}
              <span>
                <span className="font-medium">{compared.name}</span>: {shown.text}
              </span>
            </p>
          )}
        </div>
      </div>
    </Card>
  );
}
