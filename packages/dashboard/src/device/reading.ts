// What a page and the worker that reads a file tell each other.
import type { Finding } from '@lumatrace/provenance/findings.ts';
import type { SaidCredentials } from '@lumatrace/provenance/c2pa/said.ts';

/** Whom this installation believes: `GET /api/v1/detect/belief`. */
export interface DeviceBelief {
  anchorsPem: string;
  timestampAnchorsPem: string | null;
  revocations: { certificateSha256: string; revokedAt: string }[];
}

/** The same words as the server's for its part about credentials; nothing about a watermark. */
export interface DeviceReading {
  credentials: SaidCredentials;
  isGenerated: boolean | null;
  findings: readonly Finding[];
}

export type DeviceAnswer = { reading: DeviceReading } | { refused: string } | { failed: string };
