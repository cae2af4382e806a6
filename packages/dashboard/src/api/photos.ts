// Photos: list, one photo, protect and verify. Images go up once and are kept nowhere.
import type { Credentials } from '@lumatrace/provenance/c2pa/credentials.ts';
import type { SaidGenerator } from '@lumatrace/provenance/c2pa/disclosure.ts';
import type { SaidCredentials } from '@lumatrace/provenance/c2pa/said.ts';
import { infiniteQueryOptions, queryOptions } from '@tanstack/react-query';
import { ApiError, fetchBytes, fetchJson } from './client.ts';
import type { KeyShown } from '../pages/photos/rotation.ts';
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
  /** The model call that made it, for who may read traces. */
  traceId?: string | null;
  spanId?: string | null;
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
    /** Whether the signature fits what is stored; unknown: the key is not at hand. */
    verdict: 'valid' | 'invalid' | 'unknown';
  };
  protection: {
    outputSha256: string;
    outputBytes: number;
    orientation: number;
    manifestSha256: string;
    certificateKid: string;
    fingerprint: string;
    evidence: Record<string, string | number | boolean | null>;
    /** The rule by which a generated picture was disclosed. */
    profile: string | null;
    credentials: Credentials | null;
  } | null;
}

export const photosQuery = infiniteQueryOptions({
  queryKey: ['photos'],
  queryFn: ({ pageParam, signal }) =>
    fetchJson<Page<Photo>>('/api/v1/photos', { query: { limit: 100, cursor: pageParam }, signal }),
  initialPageParam: undefined as string | undefined,
  getNextPageParam: (last) => last.pagination.nextCursor ?? undefined,
});

/** Every key with its dates; never a key itself. */
export const keyInventoryQuery = queryOptions({
  queryKey: ['key-inventory'],
  queryFn: ({ signal }) => fetchJson<{ data: KeyShown[] }>('/api/v1/key-inventory', { signal }),
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
  credentials: Credentials | null;
}

/** What the public detector says of a picture. */
export interface Detected {
  credentials: SaidCredentials;
  isGenerated: boolean | null;
  watermark: {
    status: 'DETECTED' | 'NOT_FOUND';
    log10p: number | null;
    photoId: string | null;
    manifestId: string | null;
    madeBy: SaidGenerator | null;
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

/** What is said of the model that made a picture; '' says nothing. */
export interface Disclosure {
  profile: '' | 'ai-generated' | 'eu-ai-act-art-50' | 'ca-sb-942';
  aiProvider: string;
  aiSystem: string;
  aiSystemVersion: string;
}

interface ProfileWords {
  title: string;
  serves: string;
  needs: readonly ('aiProvider' | 'aiSystem' | 'aiSystemVersion')[];
}

/** docs/guides/profiles.md; the server refuses what misses a fact. */
export const PROFILES: Readonly<Record<Disclosure['profile'], ProfileWords>> = {
  '': { title: 'No: nothing is said', serves: 'For photographs and pictures of unknown origin.', needs: [] },
  'ai-generated': {
    title: 'Yes: AI-generated',
    serves: 'The credentials say that a model made it, and which.',
    needs: ['aiSystem'],
  },
  'eu-ai-act-art-50': {
    title: 'Yes: AI-generated (EU AI Act, Art. 50)',
    serves: 'Machine-readable marks as Article 50(2) asks of providers. No legal advice.',
    needs: ['aiProvider', 'aiSystem'],
  },
  'ca-sb-942': {
    title: 'Yes: AI-generated (California SB 942)',
    serves: 'The latent disclosure of § 22757.3(b): provider, system, version, time and id. No legal advice.',
    needs: ['aiProvider', 'aiSystem', 'aiSystemVersion'],
  },
};

/** Members of the request; facts that are not filled in are left out. */
function saidBy(disclosure: Disclosure | undefined): Record<string, string> {
  if (disclosure === undefined || disclosure.profile === '') return {};
  return Object.fromEntries(
    Object.entries(disclosure)
      .map(([name, text]) => [name, text.trim()] as const)
      .filter(([, text]) => text !== ''),
  );
}

export async function protectImage(file: File, signal?: AbortSignal, disclosure?: Disclosure): Promise<ProtectedImage> {
  const { sha256Hex } = await import('./sha256.ts');
  const form = new FormData();
  const contentHash = await sha256Hex(file);
  form.set('request', JSON.stringify({ contentHash, deviceModel: 'LumaTrace dashboard', ...saidBy(disclosure) }));
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

/** Photos that a picture shows, by its pixels alone. */
export interface Identified {
  matches: { kind: 'watermark' | 'fingerprint'; photoId: string }[];
}

export function identifyImage(file: File, signal?: AbortSignal): Promise<Identified> {
  const form = new FormData();
  form.set('image', file);
  return fetchJson('/api/v1/photos/identify', { method: 'POST', form, signal });
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
