// The price table that operators put in place of the release's: from a file or a pinned address, checked whole, kept in
// PostgreSQL so that every process uses it.
import { createHash } from 'node:crypto';
import { readFile, stat } from 'node:fs/promises';
import { promisify } from 'node:util';
import { zstdCompress, zstdDecompressSync } from 'node:zlib';
import { bundledProviders } from '@lumatrace/telemetry';
import { MAX_TABLE_BYTES, PriceTableError, readPriceTable } from '@lumatrace/telemetry/prices/read-table.ts';
import type { PriceTableJson } from '@lumatrace/telemetry/prices/table.ts';
import { createEgress, EgressError, type Egress } from '../egress/egress.ts';
import type { Database } from '../storage/database.ts';
import { insertTable, readInstalledTable, readTableBytes, type InstalledTable } from '../storage/postgres/prices.ts';

const compress = promisify(zstdCompress);
const FETCH_LIMIT_MS = 30_000;
const SHA256 = /^[0-9a-f]{64}$/;

export interface TableSource {
  /** Path of a file, or an https address. */
  from: string;
  /** Of the file, hex; the table is refused when it differs. Required for an address. */
  sha256?: string | undefined;
  /** Who brings it: a command or a setting. */
  by: string;
}

/**
 * Reads, checks and installs a table; false when it is the one in use already. Throws PriceTableError (with its code)
 * for anything that is wrong with it: then the table in use stays.
 */
export async function installTable(
  database: Database,
  source: TableSource,
  { egress = createEgress({ allow: [] }) }: { egress?: Egress } = {},
): Promise<{ isNew: boolean; table: PriceTableJson }> {
  const expected = source.sha256?.trim().toLowerCase();
  if (expected !== undefined && !SHA256.test(expected))
    throw new PriceTableError('Expected a SHA-256 of 64 hexadecimal digits');
  const bytes = source.from.startsWith('https://')
    ? await fetched(source.from, expected, egress)
    : await fileOf(source.from);
  const sha256 = createHash('sha256').update(bytes).digest('hex');
  if (expected !== undefined && sha256 !== expected)
    throw new PriceTableError(`Expected a file with the SHA-256 ${expected} but received one with ${sha256}`);
  const table = readPriceTable(bytes.toString('utf8'), sha256, bundledProviders());
  const compressed = await compress(Buffer.from(JSON.stringify(table), 'utf8'));
  // as the owner: what no tenant may change is out of reach of every request
  const isNew = await database.inSystem(async (sql) => {
    const current = await readInstalledTable(sql);
    if (current?.sha256 === sha256) return false;
    const models = table.providers.reduce((sum, { models: own }) => sum + own.length, 0);
    await insertTable(sql, { source: table.source, version: table.version, sha256, models, compressed, by: source.by });
    return true;
  });
  return { isNew, table };
}

/** The table of a row, as it was checked when it was installed. */
export async function readTable(database: Database, { tableId }: InstalledTable): Promise<PriceTableJson> {
  const bytes = await database.inLookup('prices', (sql) => readTableBytes(sql, tableId));
  if (bytes === undefined) throw new Error(`Expected price table ${tableId} but it is gone`);
  const json = zstdDecompressSync(bytes, { maxOutputLength: 4 * MAX_TABLE_BYTES }).toString('utf8');
  return JSON.parse(json) as PriceTableJson;
}

async function fileOf(path: string): Promise<Buffer> {
  try {
    const { size } = await stat(path);
    if (size > MAX_TABLE_BYTES) throw new PriceTableError('Expected a price table of at most 16 MiB');
    return await readFile(path);
  } catch (error) {
    if (error instanceof PriceTableError) throw error;
    const { code } = error as NodeJS.ErrnoException;
    throw new PriceTableError(`Expected a price table at ${path} but it cannot be read: ${code}`, { cause: error });
  }
}

async function fetched(url: string, sha256: string | undefined, egress: Egress): Promise<Buffer> {
  if (sha256 === undefined) throw new PriceTableError('Expected a SHA-256 beside the address of a price table');
  try {
    const { status, body } = await egress({ url, timeoutMs: FETCH_LIMIT_MS, maxBytes: MAX_TABLE_BYTES });
    if (status !== 200) throw new PriceTableError(`${url} answered ${status}`);
    return body;
  } catch (error) {
    if (error instanceof PriceTableError) throw error;
    // the guard's sentences hold nothing of what came back
    const why = error instanceof EgressError ? error.message : 'It does not answer.';
    throw new PriceTableError(`Expected a price table at ${url}: ${why}`, { cause: error });
  }
}
