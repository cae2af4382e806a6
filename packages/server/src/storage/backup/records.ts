// What stands inside a backup: a contents page, then every table as PostgreSQL's binary COPY, then the end mark.
// A record: type u8 | length u32 | body. Types: C contents, T a table begins, D bytes of COPY, E it ends, Z the end.
import { BackupRefused, Reader } from './container.ts';

/** First record: everything that must exist before the first row. */
export interface Contents {
  createdAt: string;
  postgres: string;
  /** Applied migrations, in order; the restoring program must know exactly these. */
  migrations: Array<{ version: number; name: string; sha256: string }>;
  /** Day partitions: under which table, with which bounds (`FROM ('2026-01-01') TO ('2026-01-02')`). */
  partitions: Array<{ name: string; parent: string; bound: string }>;
}

export interface TableStart {
  schema: string;
  name: string;
  columns: string[];
}

export interface TableEnd {
  rows: number;
}

export interface BackupEnd {
  tables: number;
  rows: number;
  /** Where identity columns go on. */
  sequences: Array<{ schema: string; table: string; column: string; last: string; isCalled: boolean }>;
}

export type Entry =
  | { type: 'contents'; contents: Contents }
  | { type: 'table'; table: TableStart }
  | { type: 'copy'; bytes: Buffer }
  | { type: 'tableEnd'; end: TableEnd }
  | { type: 'end'; end: BackupEnd };

const CODE = { contents: 0x43, table: 0x54, copy: 0x44, tableEnd: 0x45, end: 0x5a } as const;
const HEAD_BYTES = 5;
const MAX_BODY_BYTES = 64 * 1024 * 1024;

export function encodeEntry(entry: Entry): Buffer {
  const body = bodyOf(entry);
  const head = Buffer.alloc(HEAD_BYTES);
  head.writeUInt8(CODE[entry.type], 0);
  head.writeUInt32BE(body.length, 1);
  return Buffer.concat([head, body]);
}

function bodyOf(entry: Entry): Buffer {
  switch (entry.type) {
    case 'contents':
      return Buffer.from(JSON.stringify(entry.contents));
    case 'table':
      return Buffer.from(JSON.stringify(entry.table));
    case 'copy':
      return entry.bytes;
    case 'tableEnd':
    case 'end':
      return Buffer.from(JSON.stringify(entry.end));
  }
}

/** The entries of a stream, ending with `end`. @throws BackupRefused for anything else. */
export async function* decodeEntries(source: AsyncIterable<Uint8Array>): AsyncGenerator<Entry> {
  const reader = new Reader(source);
  for (;;) {
    const head = await reader.take(HEAD_BYTES);
    const length = head.length === HEAD_BYTES ? head.readUInt32BE(1) : 0;
    const body = length <= MAX_BODY_BYTES ? await reader.take(length) : Buffer.alloc(0);
    if (head.length < HEAD_BYTES || body.length !== length) throw new BackupRefused('The backup ends in the middle.');
    const entry = entryOf(head.readUInt8(0), body);
    yield entry;
    if (entry.type !== 'end') continue;
    if (!(await reader.isAtEnd())) throw new BackupRefused('Something follows the end of the backup.');
    return;
  }
}

// The bytes are ours: they were authenticated before they came here, so their JSON has the shape that we wrote.
function entryOf(code: number, body: Buffer): Entry {
  const json = <Shape>(): Shape => JSON.parse(body.toString('utf8')) as Shape;
  switch (code) {
    case CODE.contents:
      return { type: 'contents', contents: json<Contents>() };
    case CODE.table:
      return { type: 'table', table: json<TableStart>() };
    case CODE.copy:
      return { type: 'copy', bytes: body };
    case CODE.tableEnd:
      return { type: 'tableEnd', end: json<TableEnd>() };
    case CODE.end:
      return { type: 'end', end: json<BackupEnd>() };
    default:
      throw new BackupRefused(`The backup holds a record of unknown type ${code}.`);
  }
}
