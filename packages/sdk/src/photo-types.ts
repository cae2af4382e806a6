// What the API of photos takes and answers, as types. The server's OpenAPI (`/openapi.json`) is where they come from.

export interface CallOptions {
  /** Takes the call back. */
  signal?: AbortSignal;
}

export interface WriteOptions extends CallOptions {
  /** One is made for each call when none is given: repeats inside a call then make no second photo. */
  idempotencyKey?: string;
}

export interface RegisterOptions extends WriteOptions {
  /** What took or made the picture; default `@lumatrace/sdk`. */
  deviceModel?: string;
  /** WGS 84 degrees. */
  latitude?: number;
  longitude?: number;
  /** The model call that made the picture: 32 and 16 lower-case hexadecimal digits. */
  traceId?: string;
  spanId?: string;
}

/** The rule by which a generated picture is disclosed; docs/guides/profiles.md. */
export type Profile = 'ai-generated' | 'eu-ai-act-art-50' | 'ca-sb-942';

export interface ProtectOptions extends RegisterOptions {
  /** For the manifest. */
  title?: string;
  author?: string;
  /** Factor on what the watermark may change, 0.5 to 2. */
  strength?: number;
  /** Keep the position in EXIF; removed otherwise. */
  keepGps?: boolean;
  /** IPTC digital source type, for the manifest. */
  digitalSourceType?: string;
  profile?: Profile;
  aiProvider?: string;
  aiSystem?: string;
  aiSystemVersion?: string;
  aiCreatedAt?: Date | string;
}

export interface ListOptions extends CallOptions {
  /** 1 to 500; default 100. */
  limit?: number;
  cursor?: string;
  /** Only photos that calls of this trace made; needs the scope traces:read too. */
  traceId?: string;
}

/** Of the transparency log: keep it as a file for `./lumatrace verify FILE --proof RECEIPT.json`. */
export interface LogReceipt {
  type: string;
  /** The log's, as in its checkpoints. */
  origin: string;
  /** SHA-256 of the leaf (RFC 6962), hexadecimal. */
  leafHash: string;
  /** JSON text of the entry, as it was hashed. */
  entry: string;
  /** These three come with `logProof`, when the log has taken the entry in. */
  leafIndex?: number;
  /** Signed note (C2SP tlog-checkpoint). */
  checkpoint?: string;
  /** Inclusion proof in the checkpoint's tree: hashes in base64, the leaf's neighbour first. */
  proof?: string[];
}

export interface LogProof {
  /** Newest first. */
  data: LogReceipt[];
  /** Keep the key from elsewhere: a log that lies about its entries also lies about its key. */
  log: { origin: string; publicKey: string; verifierKey: string };
}

export interface ReceiptOptions {
  /** PEM of the log's key, kept from before: `GET /api/v1/log/key.pem`. */
  logKey: string;
  /** The file, or its SHA-256 as 64 hexadecimal digits: one of the two. */
  image?: Uint8Array;
  contentHash?: string;
}

export interface ReceiptVerification {
  /** `unknown`: nothing speaks against it, but the receipt has no proof yet; ask `logProof`. */
  verdict: 'included' | 'refused' | 'unknown';
  /** What the log holds; null when it cannot be read. */
  entry: {
    action: string;
    at: string;
    tenantId: string;
    /** `photo:<uuid>` */
    object: string;
    /** By role: `content` before protection, `output` the protected file, `manifest`. */
    sha256: Record<string, string>;
  } | null;
  findings: Finding[];
}

export interface Registered {
  photoId: string;
  tenantId: string;
  /** base64 of the DER signature over the registration record. */
  signature: string;
  logReceipt: LogReceipt;
}

export interface ProtectedImage {
  photoId: string;
  image: Uint8Array;
  mediaType: string;
  /** SHA-256 of the image before and after, 64 hexadecimal digits. */
  contentHash: string;
  protectedHash: string;
  /** Null from an installation without a transparency log. */
  logReceipt: LogReceipt | null;
}

export interface Finding {
  /** A status code of the C2PA specification, or one below `org.lumatrace.`. */
  code: string;
  severity: 'success' | 'info' | 'failure';
  subject: string;
  message: string;
  evidence?: Record<string, string | number | boolean | null>;
}

/** What a manifest store tells, believed or not: the active manifest first, then those that it builds on. */
export interface Credentials {
  manifests: {
    label: string;
    title: string | null;
    claimGenerator: string | null;
    algorithm: string | null;
    /** Of the signer, the leaf first. */
    chain: {
      subject: string;
      issuer: string;
      serialNumber: string;
      notBefore: string;
      notAfter: string;
      sha256: string;
      revokedAt: string | null;
    }[];
    /** Subject of the anchor that the chain leads to; null when it is not believed there. */
    trustedBy: string | null;
    timestamp: { at: string; accuracyMs: number; authority: string; policy: string; serialNumber: string } | null;
    actions: { action: string; when: string | null; softwareAgent: string | null; digitalSourceType: string | null }[];
    ingredients: {
      title: string | null;
      format: string | null;
      relationship: string | null;
      manifest: string | null;
    }[];
  }[];
  more: number;
}

export interface Verification {
  authentic: boolean;
  confidenceScore: number;
  c2paStatus: 'VALID' | 'INVALID' | 'TAMPERED' | 'MISSING';
  watermarkStatus: 'DETECTED' | 'MARGINAL' | 'NOT_FOUND';
  tamperClass: 'NONE' | 'COMPRESSION' | 'RESIZE' | 'CROP' | 'STRUCTURAL_ALTERATION' | null;
  changedRegions: { x: number; y: number; width: number; height: number; log10p: number }[] | null;
  tenantId: string;
  message: string;
  findings: Finding[];
  credentials: Credentials | null;
}

interface Matched {
  photoId: string;
  /** When the photo is published. */
  manifestId: string | null;
  /** The model call that made it: of your own photos, with the scope traces:read. */
  traceId: string | null;
  spanId: string | null;
}

export type Match =
  | (Matched & { kind: 'watermark'; log10p: number })
  /** Looks alike: a candidate, never proof. */
  | (Matched & { kind: 'fingerprint'; distance: number });

export interface Identification {
  matches: Match[];
  findings: Finding[];
}

export interface Publication {
  photoId: string;
  manifestId: string | null;
  publishedAt: string | null;
}

export interface PhotoSummary {
  photoId: string;
  status: 'registered' | 'protected';
  contentHash: string;
  format: 'jpeg' | 'png' | 'webp' | null;
  width: number | null;
  height: number | null;
  deviceModel: string;
  createdAt: string;
  protectedAt: string | null;
  traceId: string | null;
  spanId: string | null;
}

export interface PhotoPage {
  data: PhotoSummary[];
  pagination: { limit: number; nextCursor: string | null; hasMore: boolean };
}

export interface PhotoDetail extends PhotoSummary {
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
    profile: Profile | null;
  } | null;
}
