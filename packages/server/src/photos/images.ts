// The door to the threads that see pixels: three jobs, their shapes, and what a failure of theirs means.
import { availableParallelism } from 'node:os';
import type { C2paVerification, Revocation } from '@lumatrace/provenance/c2pa/verify.ts';
import type { ChangedRegion } from '@lumatrace/provenance/decision.ts';
import type { ImageHeader } from '@lumatrace/provenance/image.ts';
import type { Disclosure } from '@lumatrace/provenance/profiles.ts';
import type { Signer, SigningAlgorithm } from '@lumatrace/provenance/signer.ts';
import type { PayloadKey, SyncKey } from '@lumatrace/provenance/watermark/keys.ts';
import type { BlindFinding, KnownFinding } from '@lumatrace/provenance/watermark/find.ts';
import type { ManifestGap, PhotoFormat } from '../storage/postgres/photos.ts';
import { codeOf, JobError, PoolError, WorkerPool, type PoolOptions } from './pool.ts';
import { Refusal } from './refusal.ts';

/** Where time stamps come from; both calls reject with the code UNAVAILABLE when there are none to be had. */
export interface TimestampSource {
  /** No token is longer. */
  maxTokenBytes(): Promise<number>;
  /** A TimeStampToken (RFC 3161) over a SHA-256 digest. */
  stamp(digest: Uint8Array): Promise<Uint8Array>;
}

/** What signs manifests now, and whom this installation believes when it reads one. */
export interface ManifestCredentials {
  /** Names the leaf certificate in records. */
  kid: string;
  signer: Signer;
  /** Stamps what the signer signed; null when signatures go without. */
  timestamper: TimestampSource | null;
  /** PEM of whom this installation believes about the time, when that is somebody else. */
  timestampAnchorsPem?: string;
  /** PEM of our own root and of others that the operator trusts. */
  trustAnchorsPem: string;
  /** Certificates that were called back, whoever made them. */
  revocations: readonly Revocation[];
  /** Reverse domain name of the owner of the watermark's algorithm. */
  softBindingAlg: string;
}

/** One photo's mark: its 64-bit id under the keys that were in force. */
export interface Mark {
  sync: SyncKey;
  payload: PayloadKey;
  id: bigint;
}

/** The same for a search: what marked the photo first, then every other version that may have marked the picture. */
export interface KnownMark {
  syncs: readonly SyncKey[];
  payloads: readonly PayloadKey[];
  id: bigint;
}

/** Everything that decides the bytes of a marked picture before its manifest. */
export interface MarkingJob {
  image: Uint8Array<ArrayBuffer>;
  mark: Mark;
  /** Factor on the visibility mask, 0.5…2. */
  strength?: number;
  keepGps: boolean;
}

export interface ProtectJob extends MarkingJob {
  photoId: string;
  signedAt: Date;
  digitalSourceType: string | null;
  disclosure?: Disclosure;
  title?: string;
  author?: string;
}

export interface RebuildJob extends MarkingJob {
  manifestStore: Uint8Array;
  manifestGaps: readonly ManifestGap[];
}

export interface ProtectedPicture {
  image: Uint8Array<ArrayBuffer>;
  sha256: Uint8Array;
  unsignedSha256: Uint8Array;
  format: PhotoFormat;
  width: number;
  height: number;
  orientation: number;
  /** Without the bytes that came in with the image. */
  manifestStore: Uint8Array;
  manifestGaps: ManifestGap[];
  manifestSha256: Uint8Array;
  fingerprint: Uint8Array;
  evidence: Record<string, number | string | boolean | null>;
}

export interface RebuiltPicture {
  image: Uint8Array<ArrayBuffer>;
  sha256: Uint8Array;
}

/** What an examination of a picture starts from: what was recorded when it was protected, if it was. */
export interface ExamineJob {
  image: Uint8Array<ArrayBuffer>;
  marked: { mark: KnownMark | null; width: number; height: number; fingerprint: Uint8Array } | null;
}

export interface WatermarkSeen extends KnownFinding {
  /** The id of another photo of the tenant's that was read instead. */
  otherId: bigint | null;
  /** Parts without the mark, in pixels of the picture; null when nobody looked, or it cannot be told. */
  missing: readonly ChangedRegion[] | null;
  /** Area of the picture over that of the protected one, in the mark's own scale; null when not known. */
  coverage: number | null;
}

/** A search under many keys, for a picture that nobody says anything about. */
export interface IdentifyJob {
  image: Uint8Array<ArrayBuffer>;
  syncs: readonly SyncKey[];
  payloads: readonly PayloadKey[];
}

export interface Identified {
  /** Null when no id was read. */
  blind: BlindFinding | null;
  /** Readings that its bound pays for: all versions of all keys times all places that may be looked at. */
  attempts: number;
  fingerprint: Uint8Array;
}

/** What was seen, not yet judged. */
export interface Examination {
  c2pa: C2paVerification;
  header: ImageHeader;
  /** Null when there is no mark to look for, or when the pixels did not decode. */
  watermark: WatermarkSeen | null;
  /** False: the pixels did not decode. */
  decoded: boolean;
  /** Differing bits of 256 between this picture's fingerprint and the recorded one; null when not comparable. */
  fingerprintDistance: number | null;
  /** Of the whole file. */
  sha256: Uint8Array;
}

export type ImageJob =
  | ({ kind: 'protect'; signing: SigningIdentity; trust: Trust } & ProtectJob)
  | ({ kind: 'rebuild' } & RebuildJob)
  | ({ kind: 'examine'; trust: Trust } & ExamineJob)
  | ({ kind: 'identify' } & IdentifyJob);

export interface SigningIdentity {
  alg: SigningAlgorithm;
  certificateChainDer: readonly Uint8Array[];
  softBindingAlg: string;
  /** Room for a time stamp; null without one. */
  maxTokenBytes: number | null;
}

export interface Trust {
  anchorsPem: string;
  timestampAnchorsPem?: string;
  revocations: readonly Revocation[];
}

/** What a job asks back, the bytes to be signed or the digest to be stamped: no key and no network is in its thread. */
export interface Question {
  about: 'sign' | 'stamp';
  bytes: Uint8Array;
}

/** What the stories need of the threads; the pool below is the only implementation in the program. */
export interface Images {
  protect(job: ProtectJob, credentials: ManifestCredentials, signal?: AbortSignal): Promise<ProtectedPicture>;
  rebuild(job: RebuildJob, signal?: AbortSignal): Promise<RebuiltPicture>;
  examine(job: ExamineJob, credentials: ManifestCredentials, signal?: AbortSignal): Promise<Examination | Unexamined>;
  identify(job: IdentifyJob, signal?: AbortSignal): Promise<Identified>;
  close(): Promise<void>;
}

/** The examination did not come to an end: the file is not to be trusted. */
export interface Unexamined {
  unexamined: 'crashed' | 'timed out';
}

const RETRY_AFTER_SECONDS = 5;

// jobs per worker: chosen so that starting one (about 0.3 s) costs less than 1 % of its life
const POOL: Omit<PoolOptions, 'script' | 'maxWorkers'> = {
  maxQueued: 64,
  queueTimeoutMs: 30_000,
  jobTimeoutMs: 60_000,
  idleMs: 30_000,
  maxJobsPerWorker: 100,
  resourceLimits: { maxOldGenerationSizeMb: 512, maxYoungGenerationSizeMb: 64 },
};

export type ImagesOptions = Partial<PoolOptions>;

/** Threads are started by the first image. The memory of `job.image` goes to the thread: it is empty afterwards. */
export class ImageThreads implements Images {
  readonly #pool: WorkerPool;

  constructor(options: ImagesOptions = {}) {
    this.#pool = new WorkerPool({
      script: new URL('./worker.ts', import.meta.url),
      maxWorkers: availableParallelism(),
      ...POOL,
      ...options,
    });
  }

  get load(): WorkerPool['load'] {
    return this.#pool.load;
  }

  async protect(job: ProtectJob, credentials: ManifestCredentials, signal?: AbortSignal): Promise<ProtectedPicture> {
    const { signer, timestamper, softBindingAlg } = credentials;
    const { alg, certificateChainDer } = signer;
    const maxTokenBytes = timestamper === null ? null : await refusing(timestamper.maxTokenBytes());
    const signing = { alg, certificateChainDer, softBindingAlg, maxTokenBytes };
    const payload: ImageJob = { kind: 'protect', signing, trust: trustOf(credentials), ...job };
    const ask = async (question: unknown): Promise<unknown> => {
      const { about, bytes } = question as Question;
      return about === 'sign' ? signer.sign(bytes) : timestamper?.stamp(bytes);
    };
    return refusing(
      this.#pool.run(payload, { transfer: [job.image.buffer], signal, ask }),
    ) as Promise<ProtectedPicture>;
  }

  async rebuild(job: RebuildJob, signal?: AbortSignal): Promise<RebuiltPicture> {
    const payload: ImageJob = { kind: 'rebuild', ...job };
    return refusing(this.#pool.run(payload, { transfer: [job.image.buffer], signal })) as Promise<RebuiltPicture>;
  }

  async examine(
    job: ExamineJob,
    credentials: ManifestCredentials,
    signal?: AbortSignal,
  ): Promise<Examination | Unexamined> {
    const payload: ImageJob = { kind: 'examine', trust: trustOf(credentials), ...job };
    try {
      return (await this.#pool.run(payload, { transfer: [job.image.buffer], signal })) as Examination;
    } catch (error) {
      if (error instanceof PoolError && error.code === 'TIMED_OUT') return { unexamined: 'timed out' };
      if (error instanceof JobError || (error instanceof PoolError && error.code === 'CRASHED')) {
        return { unexamined: 'crashed' };
      }
      throw refusalOf(error);
    }
  }

  async identify(job: IdentifyJob, signal?: AbortSignal): Promise<Identified> {
    const payload: ImageJob = { kind: 'identify', ...job };
    return refusing(this.#pool.run(payload, { transfer: [job.image.buffer], signal })) as Promise<Identified>;
  }

  close(): Promise<void> {
    return this.#pool.close();
  }
}

function trustOf({ trustAnchorsPem, timestampAnchorsPem, revocations }: ManifestCredentials): Trust {
  const own = { anchorsPem: trustAnchorsPem, revocations };
  return timestampAnchorsPem === undefined ? own : { ...own, timestampAnchorsPem };
}

async function refusing<T>(result: Promise<T>): Promise<T> {
  try {
    return await result;
  } catch (error) {
    throw refusalOf(error);
  }
}

// UNAVAILABLE is the signer's, which may be starting again, or the time-stamping authority's
const JOB_CODES = ['VALIDATION_FAILED', 'UNSUPPORTED_MEDIA_TYPE', 'PAYLOAD_TOO_LARGE', 'UNAVAILABLE'] as const;

function refusalOf(error: unknown): unknown {
  if (error instanceof JobError) {
    const code = JOB_CODES.find((code) => code === error.code);
    if (!code) return internal(error);
    const retryAfterSeconds = code === 'UNAVAILABLE' ? RETRY_AFTER_SECONDS : undefined;
    return new Refusal(code, error.message, { retryAfterSeconds, cause: error });
  }
  if (!(error instanceof PoolError)) return codeOf(error) === 'UNAVAILABLE' ? later(error as Error) : error;
  if (error.code === 'CRASHED') return internal(error);
  return later(error);
}

function later(cause: Error): Refusal {
  return new Refusal('UNAVAILABLE', cause.message, { retryAfterSeconds: RETRY_AFTER_SECONDS, cause });
}

function internal(cause: Error): Refusal {
  return new Refusal('INTERNAL_ENGINE_ERROR', 'The image could not be worked on.', { cause });
}
