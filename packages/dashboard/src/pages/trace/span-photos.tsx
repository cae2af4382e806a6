// The pictures that a span made, with their state as the photos' side knows it; what the span itself claims is only a claim.
import { useQuery } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import { CircleAlert, ImageOff, ShieldCheck, ShieldOff } from 'lucide-react';
import { tracePhotosQuery } from '../../api/photo-call.ts';
import { photoQuery, type Photo, type PhotoDetail } from '../../api/photos.ts';
import type { SpanItem } from '../../api/trace.ts';

/** Details are read one by one: as many as there is room for. */
const MAX_SHOWN = 5;
/** What `traceImage` of the SDK says of its pictures. */
const STATE_KEY = 'lumatrace.photo.state';

interface SpanPhotosProps {
  traceId: string;
  spanId: string;
  /** Undefined until the span is read. */
  span: SpanItem | undefined;
}

/** Nothing for a span without pictures. */
export function SpanPhotos({ traceId, spanId, span }: SpanPhotosProps) {
  const { data, error } = useQuery(tracePhotosQuery(traceId));
  const claimed = span?.photo_id ?? null;
  const photos = (data?.data ?? []).filter((photo) => photo.spanId === spanId || photo.photoId === claimed);
  const isUnknown = claimed !== null && data !== undefined && photos.every(({ photoId }) => photoId !== claimed);
  const isUnprotected = span?.attributes?.[STATE_KEY] === 'unprotected';
  if (photos.length === 0 && claimed === null && !isUnprotected) return null;
  return (
    <ul aria-label="Pictures of this span" className="flex flex-col gap-1 text-xs">
      {photos.slice(0, MAX_SHOWN).map((photo) => (
        <PhotoLine key={photo.photoId} photo={photo} />
      ))}
      {photos.length > MAX_SHOWN && <li className="text-ink-2">and {photos.length - MAX_SHOWN} more pictures</li>}
      {isUnprotected && (
        <li className="inline-flex items-center gap-1 text-error">
          <ShieldOff size={14} className="shrink-0" aria-hidden />A picture of this call came out unprotected, as the
          program asked for such a case.
        </li>
      )}
      {isUnknown && (
        <li className="inline-flex items-center gap-1 text-warn">
          <ImageOff size={14} className="shrink-0" aria-hidden />
          The span says that it made the photo {claimed.slice(0, 8)}; no photo of this workspace names this trace so.
        </li>
      )}
      {error && claimed !== null && (
        <li className="text-ink-2">It made the photo {claimed.slice(0, 8)}, which you may not read.</li>
      )}
    </ul>
  );
}

function PhotoLine({ photo }: { photo: Photo }) {
  const { data } = useQuery(photoQuery(photo.photoId));
  const Icon = photo.status === 'protected' ? ShieldCheck : CircleAlert;
  return (
    <li className="flex flex-wrap items-center gap-x-2">
      <span className={`inline-flex items-center gap-1 ${photo.status === 'protected' ? 'text-ok' : 'text-warn'}`}>
        <Icon size={14} aria-hidden /> {photo.status === 'protected' ? 'protected' : 'registered, not protected'}
      </span>
      {data && <Told photo={data} />}
      <Link to="/photos/$photoId" params={{ photoId: photo.photoId }} className="text-accent hover:underline">
        Made the photo {photo.photoId.slice(0, 8)}
      </Link>
    </li>
  );
}

const VERDICTS: Record<PhotoDetail['registration']['verdict'], readonly [string, string]> = {
  valid: ['its registration’s signature is valid', 'text-ink-2'],
  invalid: ['its registration’s signature is not valid', 'text-error'],
  unknown: ['its registration’s key is not at hand', 'text-ink-2'],
};

function Told({ photo: { publication, registration } }: { photo: PhotoDetail }) {
  const [words, colour] = VERDICTS[registration.verdict];
  return (
    <>
      <span className="text-ink-2">{publication === null ? 'not published' : 'published'}</span>
      <span className={colour}>{words}</span>
    </>
  );
}
