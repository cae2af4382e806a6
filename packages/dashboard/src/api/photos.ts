// Photos: list, one photo, protect and verify. Images go up once and are kept nowhere.
import { infiniteQueryOptions, queryOptions } from '@tanstack/react-query';
import { ApiError, fetchBytes, fetchJson } from './client.ts';
import type { Page } from './telemetry.ts';

/** The contract's limits, checked before an upload starts. */
export const MAX_IMAGE_BYTES = 26_214_400;
export const IMAGE_TYPES = ['image/jpeg', 'image/png', 'image/webp'] as const;

export interface Photo {
  photoId: string;
  status: 'registered' | 'protected';
  contentHash: string;
  format: string | null;
  width: number | null;
  height: number | null;
  deviceModel?: string | null;
  createdAt: string;
  protectedAt: string | null;
  traceId?: string | null;
}

/** One photo with everything that is recorded about it. */
export interface PhotoDetail extends Photo {
  /** Null when strangers find nothing of it. */
  publication: { manifestId: string; publishedAt: string } | null;
  tenantId: string;
  latitude: number | null;
  longitude: number | null;
  registration: {
    record: Record<string, string | number>;
    signature: string;
    algorithm: string;
    keyId: string;
    publicKey: string | null;
  };
  protection: {
    outputSha256: string;
    outputBytes: number;
    orientation: number;
    manifestSha256: string;
    certificateKid: string;
    fingerprint: string;
    evidence: Record<string, string | number | boolean | null>;
  } | null;
}

export const photosQuery = infiniteQueryOptions({
  queryKey: ['photos'],
  queryFn: ({ pageParam, signal }) =>
    fetchJson<Page<Photo>>('/api/v1/photos', { query: { limit: 100, cursor: pageParam }, signal }),
  initialPageParam: undefined as string | undefined,
  getNextPageParam: (last) => last.pagination.nextCursor ?? undefined,
});

export function photoQuery(photoId: string) {
  return queryOptions({
    queryKey: ['photo', photoId],
    queryFn: ({ signal }) => fetchJson<PhotoDetail>(`/api/v1/photos/${encodeURIComponent(photoId)}`, { signal }),
    retry: false,
  });
}

export function setPublished(photoId: string, isPublished: boolean): Promise<unknown> {
  const path = `/api/v1/photos/${encodeURIComponent(photoId)}/publication`;
  return fetchJson(path, { method: isPublished ? 'PUT' : 'DELETE' });
}

export interface Finding {
  /** A status code of the C2PA specification, or one of ours below `org.lumatrace.`. */
  code: string;
  /** Speaks for the image, for neither side, against it. */
  severity: 'success' | 'info' | 'failure';
  subject: 'file' | 'c2pa' | 'watermark' | 'registration' | 'decision';
  message: string;
  evidence?: Record<string, string | number | boolean | null>;
}

export interface ChangedRegion {
  x: number;
  y: number;
  width: number;
  height: number;
  log10p: number;
}

export interface Verdict {
  authentic: boolean;
  confidenceScore: number | null;
  c2paStatus: 'VALID' | 'INVALID' | 'TAMPERED' | 'MISSING';
  watermarkStatus: 'DETECTED' | 'MARGINAL' | 'NOT_FOUND';
  tamperClass: 'NONE' | 'COMPRESSION' | 'RESIZE' | 'CROP' | 'STRUCTURAL_ALTERATION' | null;
  /** Parts that lack the watermark, in pixels of the picture; null when that was not looked for. */
  changedRegions: ChangedRegion[] | null;
  tenantId: string;
  message: string;
  findings: Finding[];
}

/** What the public detector says of a picture. */
export interface Detected {
  credentials: {
    status: Verdict['c2paStatus'];
    generator: string | null;
    signer: string | null;
    signedAt: string | null;
    manifestId: string | null;
    actions: string[];
    digitalSourceType: string | null;
  };
  isGenerated: boolean | null;
  watermark: {
    status: 'DETECTED' | 'NOT_FOUND';
    log10p: number | null;
    photoId: string | null;
    manifestId: string | null;
  };
  candidates: { photoId: string; manifestId: string | null; distance: number }[];
  findings: Finding[];
}

export function detectImage(file: File, signal?: AbortSignal): Promise<Detected> {
  const form = new FormData();
  form.set('image', file);
  return fetchJson<Detected>('/api/v1/detect', { method: 'POST', form, signal });
}

export interface ProtectedImage {
  photoId: string;
  image: Blob;
}

export async function protectImage(file: File, signal?: AbortSignal): Promise<ProtectedImage> {
  const { sha256Hex } = await import('./sha256.ts');
  const form = new FormData();
  form.set('request', JSON.stringify({ contentHash: await sha256Hex(file), deviceModel: 'LumaTrace dashboard' }));
  form.set('image', file);
  const response = await fetchBytes('/api/v1/photos/protect', { method: 'POST', form, signal });
  const photoId = response.headers.get('x-photo-id');
  if (photoId === null)
    throw new ApiError(502, { code: 'BAD_ANSWER', message: 'The answer names no photo.' }, response.headers);
  return { photoId, image: await response.blob() };
}

export function verifyImage(file: File, photoId: string, signal?: AbortSignal): Promise<Verdict> {
  const form = new FormData();
  form.set('photoId', photoId);
  form.set('image', file);
  return fetchJson('/api/v1/photos/verify', { method: 'POST', form, signal });
}

const UUID = /[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/i;

/** The photo id that a download of ours carries in its name (`harbour.<photoId>.jpg`). */
export function photoIdInName(name: string): string | undefined {
  return UUID.exec(name)?.[0].toLowerCase();
}

/** `harbour.png` protected as JPEG → `harbour.<photoId>.jpg`: the name remembers which photo it is. */
export function protectedName(name: string, photoId: string): string {
  const dot = name.lastIndexOf('.');
  const [stem, extension] = dot > 0 ? [name.slice(0, dot), name.slice(dot)] : [name, ''];
  return `${stem.replace(UUID, '').replace(/\.$/, '')}.${photoId}${extension}`;
}
