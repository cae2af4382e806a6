// A tenant with something sealed in every place of storage/sealed.ts, for tests of what happens to all of it.
import { createHash, randomBytes, randomUUID } from 'node:crypto';
import { NOW_MS, type TestRoom } from '../ingest/fixtures/room.ts';
import type { TenantKey } from '../keys/tenant-key.ts';
import { registrationRow } from '../photos/registration.ts';
import type { Sql } from '../storage/database.ts';
import { insertPhoto, insertProtection, type NewProtection } from '../storage/postgres/photos.ts';
import { nameOf } from '../storage/postgres/reencryption.ts';
import { SEALED_PLACES } from '../storage/sealed.ts';
import { keepSeals } from '../storage/seals.ts';
import { insertInvitation } from '../storage/postgres/invitations.ts';
import { insertOidcProvider } from '../storage/postgres/oidc-providers.ts';

const NOW_NS = BigInt(NOW_MS) * 1_000_000n;
const hex = (bytes: number): string => randomBytes(bytes).toString('hex');
const text = (value: string): object => ({ stringValue: value });

/** What lies sealed in clear is this in every place; a photo says where it was made too. */
export const CONTENT = 'the parcel is in Lyon';

/** Spans, their log records, scores and photos: `traces` of each. Answers the traces' ids. */
export async function sealRows(room: TestRoom, tenantId: string, traces: number): Promise<string[]> {
  const ids = Array.from({ length: traces }, () => hex(16));
  for (const traceId of ids) {
    const spanId = hex(8);
    await room.send(tenantId, [
      {
        traceId,
        spanId,
        startNs: NOW_NS - 1_000_000_000n,
        endNs: NOW_NS,
        attributes: { 'gen_ai.operation.name': 'chat', 'gen_ai.prompt': CONTENT },
      },
    ]);
    await room.sendLogs(tenantId, logsOf(traceId, spanId));
    await addPhoto(room, tenantId, await room.tenantKeys.forTenant(tenantId));
  }
  await addPeople(room, tenantId, await room.tenantKeys.forTenant(tenantId));
  return ids;
}

function logsOf(traceId: string, spanId: string): object {
  const record = { traceId, spanId, timeUnixNano: String(NOW_NS) };
  const logRecords = [
    {
      ...record,
      eventName: 'gen_ai.user.message',
      body: { kvlistValue: { values: [{ key: 'content', value: text(CONTENT) }] } },
    },
    {
      ...record,
      eventName: 'gen_ai.evaluation.result',
      attributes: [
        { key: 'gen_ai.evaluation.name', value: text('Relevance, ünd more') },
        { key: 'gen_ai.evaluation.score.value', value: { doubleValue: 0.5 } },
        { key: 'gen_ai.evaluation.explanation', value: text(CONTENT) },
      ],
    },
  ];
  const resource = { attributes: [{ key: 'service.name', value: text('shop') }] };
  return { resourceLogs: [{ resource, scopeLogs: [{ scope: { name: 'test' }, logRecords }] }] };
}

async function addPhoto({ db }: TestRoom, tenantId: string, key: TenantKey): Promise<void> {
  const record = {
    type: 'test',
    photoId: randomUUID(),
    tenantId,
    contentHash: createHash('sha256').update(randomBytes(8)).digest('hex'),
    deviceModel: CONTENT,
    latitude: 48.1,
    longitude: 11.5,
    registeredAt: new Date(NOW_MS).toISOString(),
    keyId: 'test',
  } as const;
  const row = registrationRow(key, { record: record as never, signature: randomBytes(64) }, {});
  keepSeals(db.database, { tenant: async () => key });
  await db.database.inTenant(tenantId, async (sql) => {
    await insertPhoto(sql, row);
    await insertProtection(sql, protectionOf(record));
  });
}

async function addPeople({ db }: TestRoom, tenantId: string, key: TenantKey): Promise<void> {
  keepSeals(db.database, { tenant: async () => key });
  const made = { tenantId, createdAt: new Date(NOW_MS), createdBy: 'test' };
  await db.database.inTenant(tenantId, async (sql) => {
    await insertInvitation(sql, {
      ...made,
      invitationId: randomUUID(),
      email: 'somebody@example.com',
      role: 'viewer',
      tokenHash: randomBytes(32).toString('hex'),
      expiresAt: new Date(NOW_MS),
    });
    await insertOidcProvider(sql, {
      ...made,
      providerId: randomUUID(),
      name: 'Provider',
      issuer: 'https://provider.example',
      clientId: 'client',
      clientSecret: CONTENT,
      groupsClaim: 'groups',
      roleByGroup: [],
      defaultRole: null,
      isListed: false,
    });
  });
}

function protectionOf({ tenantId, photoId }: { tenantId: string; photoId: string }): NewProtection {
  const digest = randomBytes(32);
  return {
    tenantId,
    photoId,
    format: 'jpeg',
    width: 1,
    height: 1,
    orientation: 1,
    watermark: { id: randomBytes(8).readBigUInt64BE(), syncVersion: 1, payloadVersion: 1 },
    outputBytes: 1,
    outputSha256: digest,
    unsignedSha256: digest,
    manifestStore: Buffer.from(CONTENT),
    manifestGaps: [],
    manifestSha256: digest,
    certificateKid: 'test',
    fingerprint: digest,
    evidence: {},
    profile: null,
    protectedAt: new Date(NOW_MS),
  };
}

export interface Opened {
  /** table.column */
  place: string;
  version: number;
  plain: Buffer | undefined;
}

/** Everything sealed of a tenant as it opens with `key`; undefined where it does not. In a tenant transaction. */
export async function openAll(sql: Sql, tenantId: string, key: TenantKey | undefined): Promise<Opened[]> {
  const opened: Opened[] = [];
  for (const place of SEALED_PLACES) {
    const names = Object.keys(place.key);
    const { rows } = await sql.query<{ key: string[]; sealed: Buffer }>(
      `select array[${names.map((name) => `${name}::text`).join(', ')}] as key, ${place.column} as sealed
       from ${place.table} where tenant_id = $1 and ${place.column} is not null`,
      [tenantId],
    );
    for (const { key: values, sealed } of rows) {
      const aad = place.aad(Object.fromEntries(names.map((name, i) => [name, values[i] as string])));
      let plain: Buffer | undefined;
      try {
        plain = key?.open(place.purpose, aad, sealed);
      } catch {
        plain = undefined;
      }
      opened.push({ place: nameOf(place), version: sealed.readUInt32BE(2), plain });
    }
  }
  return opened;
}
