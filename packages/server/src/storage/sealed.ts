// Every place where sealed bytes lie, and what binds them to their row. The one list: whoever seals takes the binding from
// here, a rotation seals these columns again, and an erasure leaves nothing else to open.

/** Which rows a place has: the table, its sealed column, and the key that its rows are gone through by. */
export interface SealedPlace {
  table: string;
  column: string;
  purpose: 'content' | 'column' | 'preview';
  /** Column → type, in an order that an index has behind the tenant. */
  key: Readonly<Record<string, string>>;
  /** From the key's values as PostgreSQL writes them. */
  aad(values: Readonly<Record<string, string>>): Aad;
  /** Rows that are sealed again in one transaction: some megabytes at most, some tens of milliseconds. */
  batch: number;
}

/** What binds sealed bytes; made in this file alone, so that no column is sealed that a rotation does not know. */
export type Aad = string & { readonly boundBy: 'sealed.ts' };

const bound = (text: string): Aad => text as Aad;
const hex = (uuid = ''): string => uuid.replaceAll('-', '');

export const blockAad = (blockId: string): Aad => bound(`content_blocks|sealed|${blockId}`);
export const traceAad = (traceId: string): Aad => bound(`traces|sealed|${traceId}`);
export const logPreviewAad = (recordId: string): Aad => bound(`log_records|preview|${recordId}`);
export const scoreAad = (score: { traceId: string; spanId: bigint | string; name: string; source: string }): Aad =>
  bound(`scores|sealed|${score.traceId}|${score.spanId}|${score.source}|${score.name}`);
export const photoAad = (column: PhotoColumn, photoId: string): Aad => bound(`photos|${column}|${photoId}`);
export type PhotoColumn = 'device_model' | 'location';

export const manifestAad = (photoId: string): Aad => bound(`protections|manifest_store|${photoId}`);

export const invitationAad = (invitationId: string): Aad => bound(`invitations|email_sealed|${invitationId}`);
export const oidcSecretAad = (providerId: string): Aad => bound(`oidc_providers|client_secret_sealed|${providerId}`);

/** Not kept: whoever pages through photographs holds it, and begins again when it cannot be opened any more. */
export const PHOTO_CURSOR_AAD = bound('photos|cursor');

const photoPlace = (column: PhotoColumn): SealedPlace => ({
  table: 'photos',
  column,
  purpose: 'column',
  key: { photo_id: 'uuid' },
  aad: ({ photo_id: photoId = '' }) => photoAad(column, photoId),
  batch: 500,
});

export const SEALED_PLACES: readonly SealedPlace[] = [
  {
    table: 'content_blocks',
    column: 'sealed',
    purpose: 'content',
    key: { day: 'date', block_id: 'uuid' },
    aad: ({ block_id: blockId }) => blockAad(hex(blockId)),
    batch: 20,
  },
  {
    table: 'traces',
    column: 'sealed',
    purpose: 'preview',
    key: { trace_id: 'uuid' },
    aad: ({ trace_id: traceId }) => traceAad(hex(traceId)),
    batch: 200,
  },
  {
    table: 'log_records',
    column: 'preview',
    purpose: 'preview',
    key: { day: 'date', record_id: 'uuid' },
    aad: ({ record_id: recordId }) => logPreviewAad(hex(recordId)),
    batch: 500,
  },
  {
    table: 'scores',
    column: 'sealed',
    purpose: 'column',
    key: { trace_id: 'uuid', span_id: 'bigint', name: 'text', source: 'text' },
    aad: ({ trace_id: traceId = '', span_id: spanId = '', name = '', source = '' }) =>
      scoreAad({ traceId: hex(traceId), spanId, name, source }),
    batch: 500,
  },
  photoPlace('device_model'),
  photoPlace('location'),
  {
    table: 'protections',
    column: 'manifest_store',
    purpose: 'column',
    key: { photo_id: 'uuid' },
    aad: ({ photo_id: photoId = '' }) => manifestAad(photoId),
    batch: 50,
  },
  {
    table: 'invitations',
    column: 'email_sealed',
    purpose: 'column',
    key: { invitation_id: 'uuid' },
    aad: ({ invitation_id: invitationId = '' }) => invitationAad(invitationId),
    batch: 500,
  },
  {
    table: 'oidc_providers',
    column: 'client_secret_sealed',
    purpose: 'column',
    key: { provider_id: 'uuid' },
    aad: ({ provider_id: providerId = '' }) => oidcSecretAad(providerId),
    batch: 100,
  },
];
