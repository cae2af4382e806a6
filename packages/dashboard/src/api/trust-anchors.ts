// Roots that are believed about signers: the workspace's own, and those of the installation.
import { queryOptions } from '@tanstack/react-query';
import { fetchJson } from './client.ts';

const PATH = '/api/v1/photos/trust-anchors';

/** What the server takes: `MOST_TENANT_ANCHORS` and the length of one certificate. */
export const MOST_ANCHORS = 20;
export const MOST_PEM_CHARACTERS = 16_384;

export interface TenantAnchor {
  /** Of the DER, 64 hexadecimal digits. */
  sha256: string;
  subject: string;
  expiresAt: string;
  addedAt: string;
  addedBy: string;
}

export interface AnchorFacts {
  sha256: string;
  subject: string;
  issuer: string;
  validFrom: string;
  expiresAt: string;
}

export interface InstalledAnchor extends AnchorFacts {
  source: 'own' | 'file' | 'time';
}

interface Anchors {
  data: TenantAnchor[];
  installation: InstalledAnchor[];
  /** Of the installation, not listed. */
  more: number;
}

export const anchorsQuery = queryOptions({
  queryKey: ['trust-anchors'],
  queryFn: ({ signal }) => fetchJson<Anchors>(PATH, { signal }),
});

/** Says what the certificate is; nothing is written. */
export const previewAnchor = (certificate: string): Promise<AnchorFacts> =>
  fetchJson(PATH, { method: 'POST', json: { certificate, dryRun: true } });

export const addAnchor = (certificate: string): Promise<unknown> =>
  fetchJson(PATH, { method: 'POST', json: { certificate } });

export const removeAnchor = (sha256: string): Promise<unknown> =>
  fetchJson(`${PATH}/${encodeURIComponent(sha256)}`, { method: 'DELETE' });
