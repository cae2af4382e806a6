// The inside of a content block of log records: what the records of one request carried beside their rows, as JSON under
// zstd. Sealing is the caller's. The block lies in the same table as those of spans and expires with them.
import { promisify } from 'node:util';
import { constants, zstdCompress, zstdDecompressSync, type ZstdOptions } from 'node:zlib';
import type { Attributes, Json, LogRecord, SpanContext } from '@lumatrace/telemetry';

const VERSION = 1;
const MAX_BLOCK_BYTES = 512 * 1024 * 1024;
// Level 1 as for spans: the higher ones save little and take twice the time.
const COMPRESSION = { params: { [constants.ZSTD_c_compressionLevel]: 1 } };

type StoredContext = Omit<SpanContext, 'rawResource' | 'rawScope'>;

interface StoredRecord {
  /** index of its context */
  c: number;
  b: Json;
  a: Attributes;
  /** severity text, observed time, dropped attributes */
  s?: string;
  o?: string;
  d?: number;
}

export interface LogBlock {
  v: number;
  contexts: StoredContext[];
  logs: StoredRecord[];
}

/** What the block says of one record. */
export interface StoredLog {
  context: StoredContext;
  body: Json;
  attributes: Attributes;
  severityText: string;
  droppedAttributes: number;
}

type Compress = (bytes: Uint8Array, options: ZstdOptions) => Promise<Buffer>;
const compress = promisify(zstdCompress) as Compress;

/** The bytes of a block; a record's place in `records` is its `blockIndex`. */
export function encodeLogBlock(records: readonly LogRecord[]): Promise<Buffer> {
  const indices = new Map<SpanContext, number>();
  const contexts: StoredContext[] = [];
  const logs = records.map((record): StoredRecord => {
    let index = indices.get(record.context);
    if (index === undefined) {
      index = contexts.length;
      indices.set(record.context, index);
      const { rawResource: _resource, rawScope: _scope, ...context } = record.context;
      contexts.push(context);
    }
    const { body, attributes, severityText, observedNs, droppedAttributes } = record;
    return {
      c: index,
      b: body,
      a: attributes,
      ...(severityText === '' ? {} : { s: severityText }),
      ...(observedNs === 0n ? {} : { o: String(observedNs) }),
      ...(droppedAttributes === 0 ? {} : { d: droppedAttributes }),
    };
  });
  const block: LogBlock = { v: VERSION, contexts, logs };
  return compress(Buffer.from(JSON.stringify(block), 'utf8'), COMPRESSION);
}

/** Throws when the bytes are no block of a version that is known here. */
export function decodeLogBlock(bytes: Uint8Array): LogBlock {
  const json = zstdDecompressSync(bytes, { maxOutputLength: MAX_BLOCK_BYTES });
  const block = JSON.parse(json.toString('utf8')) as LogBlock;
  if (block.v !== VERSION || !Array.isArray(block.logs)) throw new Error(`Expected a log block of version ${VERSION}`);
  return block;
}

export function logFrom(block: LogBlock, index: number): StoredLog {
  const stored = block.logs[index];
  const context = stored === undefined ? undefined : block.contexts[stored.c];
  if (stored === undefined || context === undefined) {
    throw new Error(`Expected record ${index} in a block of ${block.logs.length}`);
  }
  const { b: body, a: attributes, s: severityText = '', d: droppedAttributes = 0 } = stored;
  return { context, body, attributes, severityText, droppedAttributes };
}
