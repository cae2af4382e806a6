// Where the next page of a list begins: opaque to its holder, good for one tenant and one set of filters.
import { createHmac, timingSafeEqual } from 'node:crypto';
import type { InstallationKey } from '../keys/installation-keys.ts';
import type { TraceFilter, TracePosition } from '../storage/postgres/trace-list.ts';
import { ExploreRefusal } from './refusal.ts';

/** start_ns i64 | trace id 128 bits | the first 128 bits of HMAC-SHA-256 */
const START_BYTES = 8;
const ID_BYTES = 16;
const MAC_BYTES = 16;
const POSITION_BYTES = START_BYTES + ID_BYTES;

type Keys = readonly InstallationKey[];

/** With the first of the keys; the list is told apart by tenant and filters, so that a cursor of one cannot page another. */
export function writeCursor([key]: Keys, tenantId: string, filter: TraceFilter, position: TracePosition): string {
  if (key === undefined) throw new TypeError('Expected a key of cursors.');
  const bytes = Buffer.alloc(POSITION_BYTES);
  bytes.writeBigInt64BE(position.startNs);
  bytes.write(position.traceId, START_BYTES, 'hex');
  return Buffer.concat([bytes, macOf(key.secret, tenantId, filter, bytes)]).toString('base64url');
}

/** With any of the keys. Throws ExploreRefusal VALIDATION_FAILED for a cursor that this list did not give. */
export function readCursor(keys: Keys, tenantId: string, filter: TraceFilter, cursor: string): TracePosition {
  const bytes = Buffer.from(cursor, 'base64url');
  const position = bytes.subarray(0, POSITION_BYTES);
  const mac = bytes.subarray(POSITION_BYTES);
  const isOurs =
    bytes.length === POSITION_BYTES + MAC_BYTES &&
    keys.some(({ secret }) => timingSafeEqual(mac, macOf(secret, tenantId, filter, position)));
  if (!isOurs) {
    throw new ExploreRefusal('VALIDATION_FAILED', 'Expected a cursor that this list gave, with the same filters.');
  }
  return { startNs: position.readBigInt64BE(), traceId: position.toString('hex', START_BYTES) };
}

function macOf(key: Uint8Array, tenantId: string, filter: TraceFilter, position: Uint8Array): Buffer {
  const asked = JSON.stringify([tenantId, filter], (_name, value: unknown) =>
    typeof value === 'bigint' ? String(value) : value,
  );
  return createHmac('sha256', key).update(asked).update(position).digest().subarray(0, MAC_BYTES);
}
