// Whether strangers who hold a copy of the picture find its credentials, and the switch for that.
import { useMutation, useQueryClient } from '@tanstack/react-query';
import { photoQuery, setPublished, type PhotoDetail } from '../../api/photos.ts';
import { Button } from '../../elements/button.tsx';
import { ProblemNotice } from '../../elements/notice.tsx';
import { Card } from '../../elements/page.tsx';
import { exactMoment } from '../../format/time.ts';

export function Publication({ photo: { photoId, publication } }: { photo: PhotoDetail }) {
  const queryClient = useQueryClient();
  const setting = useMutation({
    mutationFn: (isPublished: boolean) => setPublished(photoId, isPublished),
    onSuccess: () => queryClient.invalidateQueries({ queryKey: photoQuery(photoId).queryKey }),
  });
  return (
    <Card title="For strangers">
      <div className="flex flex-col items-start gap-3">
        {publication === null ? (
          <p>Whoever holds a copy of this picture finds nothing about it here.</p>
        ) : (
          <p>
            Published since {exactMoment(publication.publishedAt)}: a copy leads to its{' '}
            <a
              className="text-accent underline"
              href={`/c2pa/manifests/${encodeURIComponent(publication.manifestId)}`}
              download="manifest.c2pa"
            >
              signed credentials
            </a>
            , also on{' '}
            <a className="text-accent underline" href="/detect">
              the public page
            </a>
            .
          </p>
        )}
        {setting.error && <ProblemNotice error={setting.error} />}
        <Button disabled={setting.isPending} onClick={() => setting.mutate(publication === null)}>
          {publication === null ? 'Publish its credentials' : 'Take it back'}
        </Button>
      </div>
    </Card>
  );
}
