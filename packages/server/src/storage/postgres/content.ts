// SQL of content blocks: what the spans of one request said, sealed. A span points to its block and its place in it.
import type { Sql } from '../database.ts';
import { byteas, dates, isoDay, smallints, uuids } from './binary.ts';

export interface BlockRow {
  /** 32 hex digits. */
  blockId: string;
  /** Day of the latest span inside, days since 1970. */
  day: number;
  retentionClass: number;
  sealed: Uint8Array;
}

export async function insertBlocks(sql: Sql, tenantId: string, blocks: readonly BlockRow[]): Promise<void> {
  if (blocks.length === 0) return;
  await sql.query(
    `
      insert into content_blocks (tenant_id, day, block_id, retention_class, sealed)
      select $1::uuid, *
      from unnest($2::date[], $3::uuid[], $4::int2[], $5::bytea[])
    `,
    [
      tenantId,
      dates(blocks.map(({ day }) => day)),
      uuids(blocks.map(({ blockId }) => blockId)),
      smallints(blocks.map(({ retentionClass }) => retentionClass)),
      byteas(blocks.map(({ sealed }) => sealed)),
    ],
    'insert_content_blocks',
  );
}

/** Blocks by id; one that has expired is left out. `days` are the days of the blocks. */
export async function readBlocks(
  sql: Sql,
  tenantId: string,
  days: readonly number[],
  blockIds: readonly string[],
): Promise<Array<{ blockId: string; sealed: Buffer }>> {
  if (blockIds.length === 0) return [];
  const { rows } = await sql.query<{ blockId: string; sealed: Buffer }>(
    `
      select replace(block_id::text, '-', '') as "blockId", sealed
      from content_blocks
      where tenant_id = $1
        and day = any ($2::date[])
        and block_id = any ($3::uuid[])
    `,
    [tenantId, days.map(isoDay), uuids(blockIds)],
  );
  return rows;
}

/** Writes blocks again in their place: what their spans cost has changed, not what they said. */
export async function updateBlocks(
  sql: Sql,
  tenantId: string,
  days: readonly number[],
  blocks: readonly { blockId: string; sealed: Uint8Array }[],
): Promise<void> {
  if (blocks.length === 0) return;
  await sql.query(
    `
      update content_blocks
      set sealed = sent.sealed
      from unnest($3::uuid[], $4::bytea[]) as sent (block_id, sealed)
      where content_blocks.tenant_id = $1
        and content_blocks.day = any ($2::date[])
        and content_blocks.block_id = sent.block_id
    `,
    [
      tenantId,
      days.map(isoDay),
      uuids(blocks.map(({ blockId }) => blockId)),
      byteas(blocks.map(({ sealed }) => sealed)),
    ],
  );
}
