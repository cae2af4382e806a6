// Every photo that was registered or protected. The pictures themselves are not kept, so there is none to show.
import { useInfiniteQuery } from '@tanstack/react-query';
import { Link, useNavigate } from '@tanstack/react-router';
import { Images, ShieldCheck } from 'lucide-react';
import { photosQuery, type Photo } from '../../api/photos.ts';
import { Button } from '../../elements/button.tsx';
import { Moment } from '../../elements/figures.tsx';
import { Empty, ProblemNotice } from '../../elements/notice.tsx';
import { Card, Page } from '../../elements/page.tsx';
import { SkeletonRows } from '../../elements/skeleton.tsx';
import { Table } from '../../elements/table.tsx';
import { plural } from '../../format/number.ts';
import { PhotoTabs } from './photo-tabs.tsx';

export function PhotosPage() {
  const photos = useInfiniteQuery(photosQuery);
  const all = photos.data?.pages.flatMap(({ data }) => data);
  return (
    <Page title="Photos" actions={<PhotoTabs />}>
      <div className="mx-auto flex max-w-6xl flex-col gap-4">
        {photos.error && (
          <ProblemNotice
            error={photos.error}
            retry={() => void photos.refetch()}
            title="The photos could not be read."
          />
        )}
        {photos.isPending && !photos.error && <SkeletonRows rows={10} />}
        {all?.length === 0 && <NoPhotos />}
        {all && all.length > 0 && (
          <Card
            title={photos.hasNextPage ? 'Newest first' : plural(all.length, 'photo')}
            note="hashes and credentials; no picture is kept"
            flush
          >
            <PhotoTable photos={all} />
          </Card>
        )}
        {photos.hasNextPage && (
          <Button
            className="self-center"
            disabled={photos.isFetchingNextPage}
            onClick={() => void photos.fetchNextPage()}
          >
            Older photos
          </Button>
        )}
      </div>
    </Page>
  );
}

function PhotoTable({ photos }: { photos: Photo[] }) {
  const navigate = useNavigate();
  return (
    <Table
      label="Photos"
      head={['Photo', 'State', 'Format', 'Size', 'Source', 'Original’s SHA-256', 'Registered', 'Protected']}
      rows={photos.map((photo) => ({
        id: photo.photoId,
        onOpen: () => void navigate({ to: '/photos/$photoId', params: { photoId: photo.photoId } }),
        openLabel: `Open photo ${photo.photoId}`,
        cells: [
          <code key="id" className="font-mono text-xs">
            {photo.photoId}
          </code>,
          <PhotoState key="state" photo={photo} />,
          photo.format ?? <None key="format" />,
          photo.width === null || photo.height === null ? <None key="size" /> : `${photo.width} × ${photo.height}`,
          photo.deviceModel || <None key="source" />,
          <code key="hash" className="font-mono text-xs text-ink-2" title={photo.contentHash}>
            {photo.contentHash.slice(0, 12)}…
          </code>,
          <Moment key="registered" iso={photo.createdAt} />,
          photo.protectedAt === null ? <None key="protected" /> : <Moment key="protected" iso={photo.protectedAt} />,
        ],
      }))}
    />
  );
}

export function PhotoState({ photo }: { photo: Pick<Photo, 'status'> }) {
  if (photo.status !== 'protected') return <span className="text-ink-2">registered</span>;
  return (
    <span className="inline-flex items-center gap-1 text-ok">
      <ShieldCheck size={14} aria-hidden /> protected
    </span>
  );
}

const None = () => <span className="text-ink-3">–</span>;

function NoPhotos() {
  return (
    <Empty icon={<Images size={24} />} title="No photo yet">
      <p>
        Protecting a picture marks it invisibly and signs Content Credentials into it, so that anybody can later tell
        whether it is still what it was. The picture is not kept.
      </p>
      <Link to="/photos/protect" className="text-accent underline">
        Protect the first one
      </Link>
    </Empty>
  );
}
